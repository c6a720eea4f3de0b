import { BellRing, CircleCheck, HandHelping, WifiOff } from "lucide";
import { useEffect, useRef, useState, type FormEvent, type JSX } from "react";
import { Button } from "react-aria-components";
import { Problem } from "../../api";
import { dateTime, exact, number } from "../../format";
import { t, text } from "../../i18n";
import { reason } from "../../problems";
import { Icon } from "../../ui/Icon";
import { To } from "../../ui/page";
import { about, ask, since, type Alerts } from "./data";
import type { Alert } from "./types";

/** Alerts that wait for somebody, above everything else; Alt+A goes to the first one's note. */
export function AlertsPart({ alerts }: { alerts: Alerts }): JSX.Element {
  const list = useRef<HTMLElement>(null);
  useEffect(() => {
    function pressed(event: KeyboardEvent): void {
      if (!event.altKey || event.code !== "KeyA") return;
      event.preventDefault();
      list.current?.querySelector("input")?.focus();
    }
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
  const { open, known, lost, newest } = alerts;
  return (
    <section ref={list} className="desk-alerts" aria-labelledby="desk-alerts" data-some={open.length > 0 || undefined} tabIndex={-1}>
      <h2 id="desk-alerts"><Icon node={BellRing} size={18} />{t("desk.alerts")} <span className="count" role="status">{known ? number(open.length) : "–"}</span></h2>
      <div role="status" className="desk-line">{lost && <><Icon node={WifiOff} size={16} />{t("desk.lost")}</>}</div>
      <p role="alert" className="visually-hidden">{newest ? `${t("desk.newAlert")}: ${newest.patient?.name ?? ""} ${text(newest.text)}` : ""}</p>
      {known && open.length === 0 && <p className="desk-quiet"><Icon node={CircleCheck} size={17} />{t("desk.noAlerts")}</p>}
      {open.length > 0 && <p className="help desk-key">{t("desk.alertKey")}</p>}
      <ul>{open.map((alert) => <AlertCard key={alert.id} alert={alert} taken={alerts.changed} focusList={() => list.current?.focus()} />)}</ul>
    </section>
  );
}

function AlertCard({ alert, taken, focusList }: { alert: Alert; taken: (alert: Alert) => void; focusList: () => void }): JSX.Element {
  const [note, setNote] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const who = alert.patient ? alert.patient.name : t("desk.helpAt", { place: text(alert.place?.name) });

  async function send(event: FormEvent): Promise<void> {
    event.preventDefault();
    if (!note.trim()) return;
    setBusy(true);
    try {
      const done = await ask<Alert>(`/alerts/${encodeURIComponent(alert.id)}/acknowledge`, "POST", { note: note.trim() });
      taken(done);
      focusList();
    } catch (error) {
      const { by, at } = error instanceof Problem && error.status === 409 ? (error.document as { by?: string; at?: string }) : {};
      setProblem(by && at ? t("desk.takenBefore", { who: by, time: exact(at, false) }) : reason(error));
      setBusy(false);
    }
  }

  return (
    <li className="desk-alert" data-kind={alert.kind}>
      <Icon node={alert.kind === "help" ? HandHelping : BellRing} size={20} />
      <div>
        <p className="desk-who">
          {alert.patient ? <To path={`/care/person/${alert.patient.id}`}>{who}</To> : <b>{who}</b>}
          {alert.patient && <span>{about(alert.patient.age_years, alert.patient.sex)}</span>}
          {alert.patient?.phone && <a className="link" href={`tel:${alert.patient.phone}`}>{alert.patient.phone}</a>}
          {alert.escalated && <span className="chip" data-tone="bad">{t("desk.escalated")}</span>}
        </p>
        {alert.kind === "alert" && <p>{text(alert.text)}</p>}
        <p className="help"><time dateTime={alert.sent} title={dateTime(alert.sent)}>{since(alert.sent)}</time>{alert.kind === "alert" && alert.place && ` · ${text(alert.place.name)}`}</p>
        <form onSubmit={(event) => void send(event)}>
          <input aria-label={t("desk.noteFor", { who })} aria-keyshortcuts="Alt+A" placeholder={t("desk.notePlaceholder")} value={note} maxLength={1000} required autoComplete="off" onChange={(event) => setNote(event.target.value)} />
          <Button type="submit" className="button primary" isDisabled={busy} aria-label={`${t("desk.acknowledge")}: ${who}`}>{t("desk.acknowledge")}</Button>
        </form>
        {problem && <p role="alert" className="problem">{problem}</p>}
      </div>
    </li>
  );
}
