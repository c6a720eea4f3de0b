import { X } from "lucide";
import { useEffect, useRef, useState, type JSX } from "react";
import { Problem } from "../../api";
import { exact, now, number } from "../../format";
import { t, text } from "../../i18n";
import { Choice, FormDialog, Waiting } from "../../office/parts";
import { useLoaded } from "../../office/data";
import { Icon } from "../../ui/Icon";
import { Field } from "../../ui/Field";
import { To, useShell } from "../../ui/page";
import { LevelChip } from "../citizen/parts";
import { Trend } from "../citizen/TrendsView";
import type { Series } from "../citizen/types";
import { amount, date, range } from "../citizen/words";
import { about, ask, dueIn, ROOT, word } from "./data";
import { ReferralList } from "./ReferralsPart";
import type { Grade, Hospital, Referral, Summary } from "./types";

/** What a nurse looks at first. */
const FIRST = ["sbp_mmhg", "dbp_mmhg", "glucose_mg_dl", "hba1c_pct", "weight_kg", "bmi", "waist_cm", "grip_right_kg", "body_fat_pct"];
const MOST_TRENDS = 6;
/** Why a hospital cannot be asked, by the problem's title. */
const REFUSALS: Record<string, string> = { "No consent": "desk.noConsent", "Referred already": "desk.referredAlready" };
const KINDS = ["phone", "face", "letter", "message"] as const;

/** A person at the desk: what was found, how it went, what is due, who has talked to them. */
export function PersonPart({ id, done }: { id: string; done: () => void }): JSX.Element {
  const path = `${ROOT}/patients/${encodeURIComponent(id)}`;
  const { data, problem, reload } = useLoaded<Summary>(path);
  const head = useRef<HTMLHeadingElement>(null);
  const there = data !== undefined;
  useEffect(() => head.current?.focus(), [there]);
  const [version, setVersion] = useState(0);
  const changed = async (): Promise<void> => {
    await reload();
    setVersion((before) => before + 1);
    done();
  };
  if (!data) return <section className="desk-part" aria-label={t("desk.person")}><p><To path="/care">{t("desk.close")}</To></p><Waiting problem={problem} /></section>;
  const { patient, grades, follow_ups: due, contacts, visits, alerts } = data;
  const advice = grades.filter(({ beside }) => !beside);
  const telling = advice.filter(({ level }) => level !== "good" && level !== "info");
  return (
    <section className="desk-part desk-person" aria-labelledby="desk-person">
      <header>
        <div><h2 id="desk-person" ref={head} tabIndex={-1}>{patient.name}</h2><p className="help">{about(patient.age_years, patient.sex)}{patient.birth_date && ` · ${date(patient.birth_date)}`}{patient.phone && <> · <a className="link" href={`tel:${patient.phone}`}>{patient.phone}</a></>}</p></div>
        <To path="/care" className="icon-button" label={t("desk.close")}><Icon node={X} /></To>
      </header>
      <div className="row-buttons">
        <ContactDialog id={id} name={patient.name} due={due} done={changed} />
        <ReferDialog id={id} name={patient.name} done={changed} />
        <FormDialog open={t("desk.card")} about={patient.name} title={t("desk.cardTitle", { who: patient.name })} help={t("desk.cardHelp")} submit={t("desk.cardGive")} fields={[{ name: "number", label: t("desk.cardNumber"), check: (value) => (value.trim().length < 4 ? t("desk.cardShort") : undefined) }]} run={async (form) => { await ask(`/patients/${encodeURIComponent(id)}/card`, "POST", { number: String(form.get("number")).trim() }); }} />
      </div>
      {alerts.some(({ state }) => state === "open") && <p className="notice">{t("desk.openAlert")}</p>}
      <h3>{t("desk.followUps")}</h3>
      {due.length === 0 ? <p className="help">{t("desk.nothingDue")}</p> : <ul className="desk-list">{[...due].sort((a, b) => a.due.localeCompare(b.due)).map((one) => <li key={one.task}><LevelChip level={one.level} /> {text(one.text)} <small className={one.overdue_days > 0 ? "late" : undefined}>{dueIn(one.overdue_days)} ({date(one.due)})</small></li>)}</ul>}
      <h3>{t("desk.lastResults")}{visits[0] && <small> {date(visits[0].at)}{visits[0].place && `, ${text(visits[0].place.name)}`}</small>}</h3>
      {advice.length === 0 ? <p className="help">{t("desk.noResults")}</p> : <Grades grades={telling} empty={t("desk.allFine")} />}
      {advice.length > telling.length && <details><summary>{t("desk.otherResults", { count: advice.length - telling.length })}</summary><Grades grades={advice.filter((one) => !telling.includes(one))} empty="" /></details>}
      <h3>{t("desk.trends")}</h3>
      <Trends path={`${path}/trends`} />
      <h3>{t("desk.referrals")}</h3>
      <PersonReferrals id={id} key={version} />
      <h3>{t("desk.contacts")}</h3>
      {contacts.length === 0 ? <p className="help">{t("desk.noContacts")}</p> : <ol className="desk-list">{contacts.map((one) => <li key={one.id}><b>{word("contact", one.kind)}</b> {one.note}<small> {exact(one.at, false)}{one.by && ` · ${one.by}`}</small></li>)}</ol>}
      <h3>{t("desk.visits")}</h3>
      <ul className="desk-list">{visits.map((one) => <li key={one.encounter}>{exact(one.at, false)} {one.place && text(one.place.name)} <LevelChip level={one.level} /></li>)}</ul>
    </section>
  );
}

/** A unit as people write it: counts and ratios have none. */
const unit = (ucum: string): string => (ucum === "1" || ucum.startsWith("{") ? "" : ucum);

/** What a rule judged: its value, or both pressures. */
function measured({ value, unit: ucum, inputs }: Grade): string {
  if (value !== null) return `${number(value)} ${unit(ucum)}`;
  const { sbp_mmhg: systolic, dbp_mmhg: diastolic } = inputs;
  return Object.keys(inputs).length === 2 && systolic !== undefined && diastolic !== undefined ? `${number(systolic)}/${number(diastolic)} mmHg` : "";
}

function Grades({ grades, empty }: { grades: Grade[]; empty: string }): JSX.Element {
  if (grades.length === 0) return <p className="help">{empty}</p>;
  return (
    <ul className="desk-list desk-grades">
      {grades.map((one) => <li key={one.rule}><span><b>{text(one.title)}</b> <span>{measured(one)}</span></span><LevelChip level={one.level} /><small>{text(one.text)}</small></li>)}
    </ul>
  );
}

/** How the values have gone, drawn; each with its last value and healthy range in words. */
function Trends({ path }: { path: string }): JSX.Element {
  const { data, problem } = useLoaded<{ series: Series[] }>(path);
  if (!data) return <Waiting problem={problem} />;
  const rank = ({ column }: Series): number => FIRST.indexOf(column) + 1 || FIRST.length + 1;
  const drawn = data.series.filter(({ points }) => points.length > 1).sort((a, b) => rank(a) - rank(b)).slice(0, MOST_TRENDS);
  if (drawn.length === 0) return <p className="help">{t("desk.oneVisit")}</p>;
  return (
    <div className="desk-trends">
      {drawn.map((series) => {
        const healthy = range(series.low, series.high, series.unit);
        return (
          <figure key={series.column}>
            <figcaption id={`desk-${series.column}`}>{text(series.title)} <b>{amount(series.points.at(-1)!.value, series.unit)}</b>{healthy && <small> {t("health.healthy", { range: healthy })}</small>}</figcaption>
            <Trend series={series} labelledBy={`desk-${series.column}`} />
          </figure>
        );
      })}
    </div>
  );
}

function PersonReferrals({ id }: { id: string }): JSX.Element {
  const query = `patient=${encodeURIComponent(id)}`;
  const open = useLoaded<{ referrals: Referral[] }>(`${ROOT}/referrals?state=open&${query}`);
  const ended = useLoaded<{ referrals: Referral[] }>(`${ROOT}/referrals?state=ended&${query}`);
  if (!open.data || !ended.data) return <Waiting problem={open.problem || ended.problem} />;
  return <ReferralList referrals={[...open.data.referrals, ...ended.data.referrals]} named={false} changed={open.reload} empty={t("desk.noReferrals")} />;
}

function ContactDialog({ id, name, due, done }: { id: string; name: string; due: Summary["follow_ups"]; done: () => Promise<void> }): JSX.Element {
  return (
    <FormDialog
      open={t("desk.contact")} about={name} title={t("desk.contactTitle", { who: name })} submit={t("desk.contactKeep")} done={done}
      fields={[{ name: "note", label: t("desk.contactNote") }]}
      run={async (form) => {
        const again = String(form.get("again") ?? "");
        await ask(`/patients/${encodeURIComponent(id)}/contact`, "POST", { kind: form.get("kind"), note: String(form.get("note")).trim(), follow_ups: form.getAll("task"), ...(again ? { again } : {}) });
      }}
    >
      <Choice name="kind" label={t("desk.contactKind")} options={KINDS.map((kind) => [kind, word("contact", kind)] as const)} />
      {due.length > 0 && (
        <fieldset className="desk-done"><legend>{t("desk.contactDone")}</legend>
          {due.map((one) => <label key={one.task}><input type="checkbox" name="task" value={one.task} /> {text(one.text)}</label>)}
        </fieldset>
      )}
      <Field name="again" label={t("desk.contactAgain")} type="date" optional min={exact(now()).slice(0, 10)} />
    </FormDialog>
  );
}

function ReferDialog({ id, name, done }: { id: string; name: string; done: () => Promise<void> }): JSX.Element | null {
  const shell = useShell();
  const [hospitals, setHospitals] = useState<Hospital[]>([]);
  const may = shell.may("care.treat");
  useEffect(() => {
    if (may) ask<{ hospitals: Hospital[] }>("/hospitals").then(({ hospitals: found }) => setHospitals(found), () => setHospitals([]));
  }, [may]);
  if (!may) return null;
  if (hospitals.length === 0) return <p className="help">{t("desk.noHospitals")}</p>;
  return (
    <FormDialog
      open={t("desk.refer")} about={name} title={t("desk.referTitle", { who: name })} help={t("desk.referHelp")} submit={t("desk.refer")} done={done}
      fields={[{ name: "reason", label: t("desk.referReason") }, { name: "note", label: t("desk.referNote"), optional: true }]}
      run={async (form) => {
        const asked = { to: form.get("to"), reason: String(form.get("reason")).trim(), priority: form.get("priority"), note: String(form.get("note") ?? "") };
        try {
          await ask(`/patients/${encodeURIComponent(id)}/refer`, "POST", asked);
        } catch (error) {
          throw error instanceof Problem && error.status === 409 && REFUSALS[error.title] ? new Error(t(REFUSALS[error.title]!)) : error;
        }
      }}
    >
      <Choice name="to" label={t("desk.hospital")} options={hospitals.map((one) => [one.id, text(one.name)] as const)} />
      <Choice name="priority" label={t("desk.priority")} options={(["routine", "urgent", "asap"] as const).map((one) => [one, word("priorities", one)] as const)} />
    </FormDialog>
  );
}
