import { useState, type JSX, type ReactNode } from "react";
import { Button } from "react-aria-components";
import { age, dateTime, exact, number } from "../format";
import { t } from "../i18n";
import { Chip, FormDialog } from "../office/parts";
import { reason } from "../problems";
import { ask, useShell } from "./data";
import { To } from "./parts";
import { Area } from "./Requests";
import type { Country, Period, Request, Step } from "./types";
import { days, kindName, late, roleName, told, when, word } from "./words";

const DAY_MS = 86_400_000;
const TONES: Record<string, "good" | "warn" | "bad"> = { approved: "good", answering: "good", answered: "good", asked: "warn", refused: "bad", expired: "bad" };

/** A request: what is asked, for whom and when, where it waits, and what the viewer may do about it. */
export function RequestCard({ one, country, changed, scope, full = false }: { one: Request; country: Country | undefined; changed: () => Promise<void>; scope: string; full?: boolean }): JSX.Element {
  const shell = useShell();
  const [failure, setFailure] = useState<unknown>();
  const [open, setOpen] = useState(full);
  const path = `/requests/${encodeURIComponent(one.id)}`;
  const may = (action: string): boolean => one.may.includes(action);
  const own = one.asked_by === shell.session.name;
  const decides = one.state === "asked" && own && ["location", "card", "health"].some((kind) => shell.may(`trace.approve.${kind}`));
  const unnamed = one.kinds.every((kind) => country?.kinds[kind]?.others);
  async function run(what: string): Promise<void> {
    setFailure(undefined);
    try {
      await ask(scope, `${path}/${what}`, "POST", {});
      await changed();
    } catch (error) {
      setFailure(error);
    }
  }
  const decide = (verdict: "approve" | "refuse") => async (data: FormData): Promise<void> => void (await ask(scope, `${path}/decision`, "POST", { verdict, reason: String(data.get("reason") ?? "") }));
  return (
    <li className="request" data-state={one.state}>
      <header>
        <h2>{one.kinds.map((kind) => kindName(country, kind)).join(", ")}</h2>
        <Chip tone={TONES[one.state]}>{word("state", one.state)}</Chip>
      </header>
      <p className="request-line">
        {scope === one.case ? null : <>{shell.may("trace.read") ? <To path={`/trace/cases/${encodeURIComponent(one.case)}/requests`}>{one.case_label}</To> : one.case_label} · </>}
        {unnamed ? t("trace.peopleUnnamed") : t("trace.peopleCount", { count: number(one.subjects.length) })}{one.period && ` · ${days(one.period)}`} · {t("trace.askedBy", { who: one.asked_by, age: age(one.asked_at) })}
      </p>
      <p className="request-why"><b>{one.purpose}</b>{one.because && <span>{one.because}</span>}</p>
      {one.period && <Span period={one.period} />}
      <ol className="steps" aria-label={t("trace.steps")}>
        <StepLine state="done" title={t("trace.step.asked")} detail={`${one.asked_by} · ${dateTime(one.asked_at)}`} />
        {one.steps.map((step, index) => <StepLine key={index} state={step.state === "waiting" && !step.due ? "pending" : step.state} title={told(step.title) || roleName(step.role)} late={step.overdue} detail={<StepDetail step={step} />} />)}
        {one.answers.map((answer, index) => <StepLine key={`a${index}`} state="done" title={t("trace.step.answered", { kind: kindName(country, answer.kind) })} detail={<AnswerDetail answer={answer} />} />)}
        {one.notify && (one.notify.due || one.notify.done_at) && <StepLine state={one.notify.done_at ? "done" : "waiting"} title={t("trace.step.notify")} detail={one.notify.done_at ? dateTime(one.notify.done_at) : t("trace.by", { date: when(one.notify.due) })} late={!one.notify.done_at && one.notify.due !== null && Date.parse(one.notify.due) < Date.now()} />}
        {one.destroy_on && <StepLine state={one.state === "destroyed" ? "done" : "pending"} title={t("trace.step.destroy")} detail={when(one.destroy_on)} />}
      </ol>
      {one.area && (
        <div className="request-area">
          <Button className="link small" aria-expanded={open} onPress={() => setOpen(!open)}>{t(open ? "trace.area.hide" : "trace.area.show", { metres: number(one.area.radius_m) })}</Button>
          {open && <Area area={one.area} />}
        </div>
      )}
      {decides && !may("approve") && <p className="notice">{t("trace.ownRequest")}</p>}
      {failure !== undefined && <p role="alert" className="problem">{reason(failure)}</p>}
      {one.may.length > 0 && (
        <div className="actions">
          {may("approve") && (
            <>
              <FormDialog open={t("handover.approve")} about={one.case_label} title={t("trace.approveTitle", { kinds: one.kinds.map((kind) => kindName(country, kind)).join(", "), label: one.case_label })} help={t("trace.approveHelp", { purpose: one.purpose, period: one.period ? days(one.period) : "–" })} submit={t("handover.approve")}
                fields={[{ name: "reason", label: t("trace.reason"), optional: true }]} run={decide("approve")} done={changed} />
              <FormDialog danger open={t("handover.refuse")} about={one.case_label} title={t("trace.refuseTitle")} help={t("trace.refuseHelp")} submit={t("handover.refuse")} fields={[{ name: "reason", label: t("trace.reason") }]} run={decide("refuse")} done={changed} />
            </>
          )}
          {may("notify") && <Button className="button" onPress={() => void run("notified")}>{t("trace.notified")}</Button>}
          {may("withdraw") && <Button className="button" aria-label={`${t("trace.withdraw")}: ${one.case_label}`} onPress={() => void run("withdraw")}>{t("trace.withdraw")}</Button>}
        </div>
      )}
    </li>
  );
}

function StepLine({ state, title, detail, late = false }: { state: string; title: string; detail: ReactNode; late?: boolean }): JSX.Element {
  return (
    <li data-step={state} data-late={late || undefined}>
      <b>{title}</b> <span className="visually-hidden">{word("step", state)}</span>
      <span>{detail}</span>
    </li>
  );
}

function StepDetail({ step }: { step: Step }): JSX.Element {
  if (!step.at && !step.due) return <>{t("trace.afterThat", { role: roleName(step.role) })}</>;
  if (step.at) return <>{word("step", step.state)}: {step.by ?? roleName(step.role)} · {dateTime(step.at)}{step.reason && <small>“{step.reason}”</small>}</>;
  return (
    <>
      {t("trace.waitsFor", { role: roleName(step.role) })}
      {step.due && <> · {step.overdue ? <b className="late">{late(step.due)}</b> : t("trace.by", { date: exact(step.due, false) })}</>}
      {step.escalated_to && <small>{t("trace.escalated", { role: roleName(step.escalated_to) })}</small>}
    </>
  );
}

function AnswerDetail({ answer }: { answer: Request["answers"][number] }): JSX.Element {
  const refused = Object.entries(answer.refused).filter(([, count]) => count > 0);
  return (
    <>
      {answer.provider} · {dateTime(answer.received_at)} · {t("trace.rows", { accepted: number(answer.accepted), rows: number(answer.rows) })}
      {refused.length > 0 && <small>{t("trace.refusedRows")}: {refused.map(([why, count]) => `${word("refused", why)} ${number(count)}`).join(", ")}</small>}
    </>
  );
}

/** The period as a bar on the weeks up to today. */
function Span({ period }: { period: Period }): JSX.Element {
  const [from, to] = [Date.parse(period.start), Date.parse(period.end)];
  const end = Math.max(Date.now(), to);
  const start = Math.min(from, end - 28 * DAY_MS);
  const share = (at: number): number => (100 * (at - start)) / (end - start);
  return (
    <div className="request-span">
      <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"><rect className="rail" width={100} height={10} /><rect className="fill" x={share(from)} width={Math.max(0.8, share(to) - share(from))} height={10} /></svg>
      <small><span>{exact(start).slice(0, 10)}</span><span>{t("trace.lastsDays", { count: number(Math.max(1, Math.round((to - from) / DAY_MS))) })}</span><span>{exact(end).slice(0, 10)}</span></small>
    </div>
  );
}
