import { useState, type JSX } from "react";
import { dateTime, exact } from "../../format";
import { t, text } from "../../i18n";
import { Chip, Choice, FormDialog, Waiting } from "../../office/parts";
import { useLoaded } from "../../office/data";
import { To, useShell } from "../../ui/page";
import { ask, ROOT, since, word } from "./data";
import type { Referral } from "./types";

const STEPS = ["requested", "received", "accepted", "in-progress", "completed"] as const;
const ENDED = new Set(["rejected", "cancelled", "failed", "completed"]);
const REFRESH_MS = 30_000;

/** All referrals, and where each stands. */
export function ReferralsPart(): JSX.Element {
  const [state, setState] = useState("open");
  const { data, problem, reload } = useLoaded<{ referrals: Referral[] }>(`${ROOT}/referrals?state=${state}`, REFRESH_MS);
  return (
    <section className="desk-part" aria-labelledby="desk-referrals">
      <h2 id="desk-referrals">{t("desk.referrals")}</h2>
      <div className="desk-filters"><Choice name="state" label={t("desk.which")} value={state} onChange={setState} options={[["open", t("desk.underWay")], ["ended", t("desk.ended")]]} /></div>
      {data ? <ReferralList referrals={data.referrals} named changed={reload} empty={t("desk.noReferrals")} /> : <Waiting problem={problem} />}
    </section>
  );
}

export function ReferralList({ referrals, named, changed, empty }: { referrals: Referral[]; named: boolean; changed: () => Promise<void>; empty: string }): JSX.Element {
  const shell = useShell();
  if (referrals.length === 0) return <p className="help">{empty}</p>;
  return (
    <ul className="desk-referrals">
      {referrals.map((one) => (
        <li key={one.id}>
          <p className="desk-who">{named && <To path={`/care/person/${one.patient.id}`}>{one.patient.name || "–"}</To>}<span>{text(one.to.name)}</span>{one.priority !== "routine" && <Chip tone="bad">{word("priorities", one.priority)}</Chip>}</p>
          <p>{one.reason}</p>
          <Way state={one.state} />
          {one.why && <p className="help">{t("desk.because", { reason: one.why })}</p>}
          {one.appointment?.start && <p>{t("desk.appointment", { time: exact(one.appointment.start, false) })}</p>}
          {one.results.map((result) => result.text && <p key={result.id}><b>{t("desk.result")}</b> {result.text}</p>)}
          <p className="help"><time dateTime={one.changed} title={dateTime(one.changed)}>{t("desk.changed", { age: since(one.changed) })}</time></p>
          {!ENDED.has(one.state) && shell.may("care.treat") && (
            <FormDialog open={t("desk.cancelReferral")} about={`${one.patient.name} ${text(one.to.name)}`} title={t("desk.cancelReferral")} submit={t("desk.cancelReferral")} stay={t("desk.keepReferral")} danger fields={[{ name: "reason", label: t("desk.cancelReason") }]} done={changed} run={async (form) => { await ask(`/referrals/${encodeURIComponent(one.id)}/cancel`, "POST", { reason: String(form.get("reason")).trim() }); }} />
          )}
        </li>
      ))}
    </ul>
  );
}

/** Where a referral stands on its way, drawn; what ended otherwise is said in a word. */
function Way({ state }: { state: string }): JSX.Element {
  const at = STEPS.findIndex((step) => step === state);
  if (at < 0) return <Chip tone="warn">{word("state", state)}</Chip>;
  return <ol className="desk-way" aria-label={t("desk.stands", { state: word("state", state) })}>{STEPS.map((step, index) => <li key={step} data-done={index <= at || undefined} aria-current={index === at ? "step" : undefined}>{word("state", step)}</li>)}</ol>;
}
