import { Search } from "lucide";
import { useCallback, useEffect, useState, type JSX } from "react";
import { Button, Input, Label, TextField } from "react-aria-components";
import { number } from "../../format";
import { t, text } from "../../i18n";
import { Choice, Waiting } from "../../office/parts";
import { reason } from "../../problems";
import { Icon } from "../../ui/Icon";
import { To } from "../../ui/page";
import { LevelChip } from "../citizen/parts";
import { date } from "../citizen/words";
import { about, ask, dueIn, word } from "./data";
import type { Person, Worklist } from "./types";

const WINDOWS = ["-1", "0", "7", "30", "90"] as const;
const REFRESH_MS = 60_000;
const TYPING_MS = 250;

/** Who is overdue or due soon, and why; the gravest first. `version` grows when something was done. */
export function WorklistPart({ version, selected }: { version: number; selected: string }): JSX.Element {
  const [q, setQ] = useState("");
  const [why, setWhy] = useState("");
  const [within, setWithin] = useState<string>("7");
  const [list, setList] = useState<Worklist>();
  const [problem, setProblem] = useState("");
  const load = useCallback(async (alive: () => boolean) => {
    try {
      const found = await ask<Worklist>("/worklist", "POST", { q: q.trim(), reason: why, within_days: Number(within) });
      if (!alive()) return;
      setList(found);
      setProblem("");
    } catch (error) {
      if (alive()) setProblem(reason(error));
    }
  }, [q, why, within]);
  useEffect(() => {
    let alive = true;
    const first = setTimeout(() => void load(() => alive), TYPING_MS);
    const timer = setInterval(() => document.visibilityState === "visible" && void load(() => alive), REFRESH_MS);
    return () => {
      alive = false;
      clearTimeout(first);
      clearInterval(timer);
    };
  }, [load, version]);
  const reasons = [...new Set([...(list?.reasons.map(({ code }) => code) ?? []), ...(why ? [why] : [])])];
  const counted = new Map(list?.reasons.map(({ code, people }) => [code, people]));
  return (
    <section className="desk-part" aria-labelledby="desk-worklist">
      <h2 id="desk-worklist">{t("desk.worklist")} <span className="count" role="status">{list ? number(list.items.length) : "–"}</span></h2>
      <div className="desk-filters">
        <TextField className="find" value={q} onChange={setQ} type="search">
          <Label className="visually-hidden">{t("desk.findName")}</Label><Icon node={Search} size={16} /><Input placeholder={t("desk.findName")} maxLength={100} autoComplete="off" />
        </TextField>
        <Choice name="reason" label={t("desk.reason")} value={why} onChange={setWhy} options={[["", t("desk.anyReason")], ...reasons.map((code) => [code, counted.has(code) ? `${word("why", code)} (${counted.get(code)})` : word("why", code)] as const)]} />
        <Choice name="within" label={t("desk.due")} value={within} onChange={setWithin} options={WINDOWS.map((one) => [one, word("within", one)] as const)} />
      </div>
      {problem && <p role="alert" className="problem">{problem}</p>}
      {!list && !problem && <Waiting problem="" />}
      {list && list.items.length === 0 && <p className="hint">{t("desk.nobodyDue")}</p>}
      {list && list.items.length > 0 && (
        <ul className="desk-people" aria-label={t("desk.worklist")}>
          {list.items.map((item) => (
            <li key={item.patient} data-selected={item.patient === selected || undefined}>
              <div className="desk-who"><To path={`/care/person/${item.patient}`} current={item.patient === selected}>{item.name}</To><span>{about(item.age, item.sex)}</span><LevelChip level={item.level} /></div>
              <p className={item.overdue_days > 0 ? "late" : undefined}>{dueIn(item.overdue_days)} <small>{date(item.due)}</small></p>
              <ul className="desk-why">{item.why.map((one) => <li key={one.task}>{text(one.text)}</li>)}</ul>
              <p className="desk-next">{text(item.next_step)}{item.last_visit && <small> {t("desk.lastVisit", { date: date(item.last_visit) })}</small>}</p>
            </li>
          ))}
        </ul>
      )}
      {list?.more && <p className="hint">{t("desk.moreDue")}</p>}
    </section>
  );
}

/** Finds anybody by a part of the name, due or not. */
export function FindPart(): JSX.Element {
  const [q, setQ] = useState("");
  const [people, setPeople] = useState<Person[]>();
  const [problem, setProblem] = useState("");
  async function find(): Promise<void> {
    if (!q.trim()) return;
    try {
      setPeople((await ask<{ people: Person[] }>("/patients/find", "POST", { q: q.trim() })).people);
      setProblem("");
    } catch (error) {
      setProblem(reason(error));
    }
  }
  return (
    <section className="desk-part" aria-labelledby="desk-find">
      <h2 id="desk-find">{t("desk.findAnybody")}</h2>
      <form className="desk-filters" onSubmit={(event) => { event.preventDefault(); void find(); }}>
        <TextField className="find" value={q} onChange={setQ} type="search"><Label className="visually-hidden">{t("desk.name")}</Label><Icon node={Search} size={16} /><Input placeholder={t("desk.name")} maxLength={100} autoComplete="off" /></TextField>
        <Button type="submit" className="button">{t("desk.find")}</Button>
      </form>
      {problem && <p role="alert" className="problem">{problem}</p>}
      <div role="status">{people && people.length === 0 && <p className="hint">{t("desk.nobodyFound")}</p>}</div>
      {people && people.length > 0 && <ul className="desk-people">{people.map((one) => <li key={one.id}><div className="desk-who"><To path={`/care/person/${one.id}`}>{one.name}</To><span>{about(one.age_years, one.sex)}</span></div></li>)}</ul>}
    </section>
  );
}
