import { Plus, Search } from "lucide";
import { useDeferredValue, useState, type JSX } from "react";
import { Input, Label, TextField } from "react-aria-components";
import { age, number } from "../format";
import { t } from "../i18n";
import { Chip } from "../office/parts";
import { Icon } from "../ui/Icon";
import { LISTS, useAsked, useShell } from "./data";
import { Answer, Purpose, To, useTitle } from "./parts";
import type { CaseCard, Country, Disease, Status, Waiting } from "./types";
import { diseaseName, kindName, late, percent, roleName, when, word } from "./words";

const COLUMNS: Status[] = ["new", "investigating", "following", "closed"];
const LOOK_MS = 60_000;

/** The cases by what they are at; each says what it waits for, and for how long. */
export function Board(): JSX.Element {
  const shell = useShell();
  const [text, setText] = useState("");
  const [disease, setDisease] = useState("");
  const [late, setLate] = useState(false);
  const q = useDeferredValue(text.trim());
  const { data: diseases } = useAsked<Disease[]>(LISTS, "/diseases");
  const { data: country } = useAsked<Country>(LISTS, "/country");
  const asked = useAsked<{ cases: CaseCard[]; counts: Record<string, number> }>(
    LISTS, `/cases?${new URLSearchParams({ ...(disease && { disease }), ...(q && { q }) })}`, LOOK_MS,
  );
  useTitle(t("trace.board"));
  const all = asked.data?.cases ?? [];
  const isLate = (one: CaseCard): boolean => one.waiting.some(({ overdue }) => overdue);
  const shown = late ? all.filter(isLate) : all;
  const overdue = all.filter(isLate).length;
  return (
    <div className="board-page">
      <header className="page-head">
        <div>
          <h1>{t("trace.board")}</h1>
          <Purpose scope={LISTS} />
        </div>
        {shell.may("trace.investigate") && <To path="/trace/cases/new" className="button primary"><Icon node={Plus} size={16} />{t("trace.new.open")}</To>}
      </header>
      <div className="board-tools">
        <TextField className="find" value={text} onChange={setText} aria-label={t("trace.find")}>
          <Icon node={Search} size={16} /><Label className="visually-hidden">{t("trace.find")}</Label><Input type="search" placeholder={t("trace.find")} />
        </TextField>
        <label className="field inline"><span>{t("trace.disease")}</span>
          <select value={disease} onChange={(event) => setDisease(event.target.value)}>
            <option value="">{t("trace.allDiseases")}</option>
            {diseases?.map((one) => <option key={one.id} value={one.id}>{diseaseName(diseases, one.id)}</option>)}
          </select>
        </label>
        <label className="tick"><input type="checkbox" checked={late} onChange={(event) => setLate(event.target.checked)} />{t("trace.onlyLate", { count: number(overdue) })}</label>
      </div>
      {!asked.data && <Answer asked={asked} />}
      {asked.data && asked.problem && <p role="alert" className="problem">{asked.problem}</p>}
      {asked.data && (
        <div className="board">
          {COLUMNS.map((status) => {
            const cases = shown.filter((one) => one.status === status || (status === "closed" && one.status === "destroyed"));
            return (
              <section key={status} className="column" aria-label={word("status", status)}>
                <h2><span className="status-dot" data-status={status} aria-hidden="true" />{word("status", status)} <span className="count">{number(cases.length)}</span></h2>
                <ul>{cases.map((one) => <Card key={one.id} one={one} diseases={diseases} country={country} />)}</ul>
                {cases.length === 0 && <p className="none">{t("trace.noCases")}</p>}
              </section>
            );
          })}
        </div>
      )}
    </div>
  );
}

function Card({ one, diseases, country }: { one: CaseCard; diseases: Disease[] | undefined; country: Country | undefined }): JSX.Element {
  const { contacts, investigation } = one;
  return (
    <li className="case-card" data-late={one.waiting.some(({ overdue }) => overdue) || undefined}>
      <h3><To path={`/trace/cases/${encodeURIComponent(one.id)}`} className="card-link">{one.label}</To></h3>
      <p className="card-line"><Chip>{diseaseName(diseases, one.disease)}</Chip>{one.status === "destroyed" && <Chip>{word("status", "destroyed")}</Chip>} <span>{t("trace.onsetOn", { date: when(one.onset) })}</span></p>
      {one.waiting.length > 0 && (
        <ul className="waits">
          {one.waiting.map((wait) => <li key={`${wait.request}/${wait.kind}/${wait.role}`}><WaitLine wait={wait} country={country} /></li>)}
        </ul>
      )}
      {investigation?.state === "running" && <p className="card-line"><progress value={investigation.progress ?? undefined} max={1} aria-label={t("trace.running")} /> {t("trace.running")}{typeof investigation.progress === "number" && ` ${percent(investigation.progress)}`}</p>}
      <p className="card-foot">
        <span>{contacts.total ? t("trace.contactsLine", { total: number(contacts.total), undecided: number(contacts.undecided) }) : t("trace.contactsNone")}</span>
        <span>{one.opened_by} · {age(one.opened_at)}</span>
      </p>
    </li>
  );
}

/** What a case waits for, since when, and how late that is. */
function WaitLine({ wait, country }: { wait: Waiting; country: Country | undefined }): JSX.Element {
  return (
    <>
      <span>{t("trace.waits", { kind: wait.kind.split(",").map((kind) => kindName(country, kind.trim())).join(", "), role: roleName(wait.role) })}</span>{" "}
      <small>{t("trace.since", { age: age(wait.since) })}</small>{" "}
      {wait.overdue && wait.due && <b className="late">{late(wait.due)}</b>}
    </>
  );
}
