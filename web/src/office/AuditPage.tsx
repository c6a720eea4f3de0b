import { useEffect, useState, type FormEvent, type JSX } from "react";
import { Button, Form, Label, ProgressBar } from "react-aria-components";
import { api, Problem } from "../api";
import { age, exact, instantOf, number } from "../format";
import { t } from "../i18n";
import { reason } from "../problems";
import { Field } from "../ui/Field";
import { useLoaded } from "./data";
import type { PageProps } from "./Office";
import { Chip, Choice, DataTable, Pager, Section, Waiting } from "./parts";

interface AuditRecord {
  seq: number;
  at: string;
  chain: string;
  who: string;
  action: string;
  what: string;
  decision: "allow" | "deny";
  purpose: string;
  subjects: string[];
  where: string;
  detail: Record<string, string>;
  /** Whether the record is unchanged in its file. */
  sound: boolean;
}

interface Status {
  chains: { name: string; records: number }[];
  verified: { at: string; ok: boolean } | null;
}

interface Finding {
  file: string;
  line: number;
  byte: number;
  what: string;
  grave: boolean;
}

interface Verification {
  running: boolean;
  /** Bytes, as is `total`. */
  done: number;
  total: number;
  error: string | null;
  findings: Finding[];
}

const FILTERS = ["who", "action", "subject"] as const;
const LOOK_MS = 400;
/** Bytes of the trail; looking itself writes some. */
const FAR_BEHIND = 64 * 1024;

export function AuditPage({ may }: PageProps): JSX.Element {
  return (
    <>
      <Trust verify={may("audit.verify")} />
      <Records />
    </>
  );
}

function Trust({ verify }: { verify: boolean }): JSX.Element {
  const { data: status, problem, reload } = useLoaded<Status>("/api/audit/v1/status", 10_000);
  const [run, setRun] = useState<Verification>();
  const [failure, setFailure] = useState<unknown>();
  const running = run?.running ?? false;

  useEffect(() => {
    if (!verify) return;
    api.get<Verification>("/api/audit/v1/verify").then(setRun, setFailure);
  }, [verify]);
  useEffect(() => {
    if (!running) return undefined;
    const timer = setInterval(() => {
      api.get<Verification>("/api/audit/v1/verify").then((next) => {
        setRun(next);
        if (!next.running) void reload();
      }, setFailure);
    }, LOOK_MS);
    return () => clearInterval(timer);
  }, [running, reload]);

  async function start(): Promise<void> {
    setFailure(undefined);
    try {
      await api.post("/api/audit/v1/verify", {});
    } catch (error) {
      // Somebody else has started one: that is the one to watch.
      if (!(error instanceof Problem && error.status === 409)) return setFailure(error);
    }
    setRun({ running: true, done: 0, total: 0, error: null, findings: [] });
  }
  const records = status?.chains.reduce((sum, chain) => sum + chain.records, 0) ?? 0;
  return (
    <Section
      title={t("audit.chain")} help={t("audit.chainHelp")}
      actions={verify && <Button className="button primary" isDisabled={running} onPress={() => void start()}>{t("audit.verify")}</Button>}
    >
      <p role="alert" className="problem">{problem || (failure === undefined ? "" : reason(failure)) || (run?.error && t("audit.interrupted", { reason: run.error }))}</p>
      {running && run && (
        <ProgressBar className="progress" value={run.done} maxValue={Math.max(run.total, 1)} isIndeterminate={run.total === 0}>
          {({ valueText }) => (
            <>
              <div className="progress-label"><Label>{t("audit.verifying")}</Label><span>{run.total ? valueText : ""}</span></div>
              <div className="track"><div style={{ inlineSize: `${run.total ? (100 * run.done) / run.total : 10}%` }} /></div>
            </>
          )}
        </ProgressBar>
      )}
      {status && (
        <dl className="facts">
          <dt>{t("audit.records")}</dt><dd>{number(records)}</dd>
          <dt>{t("audit.chains")}</dt><dd>{status.chains.map((chain) => chain.name).join(", ") || "–"}</dd>
          <dt>{t("audit.lastVerified")}</dt>
          <dd>
            <span role="status" className="chips">{status.verified ? <><Chip tone={status.verified.ok ? "good" : "bad"}>{t(status.verified.ok ? "audit.whole" : "audit.broken")}</Chip> {age(status.verified.at)}</> : t("audit.never")}</span>
          </dd>
        </dl>
      )}
      {run && run.findings.length > 0 && (
        <ul className="findings">
          {run.findings.slice(0, 100).map((one) => (
            <li key={`${one.file}:${one.byte}:${one.what}`} data-grave={one.grave || undefined}>
              {one.line > 0 ? t("audit.finding", { file: one.file, line: one.line, byte: one.byte }) : one.file}: {one.what}
            </li>
          ))}
        </ul>
      )}
    </Section>
  );
}

const written = (value: string): string | undefined => (instantOf(value) ? undefined : t("audit.badTime"));

function Records(): JSX.Element {
  const [filter, setFilter] = useState("");
  const [pages, setPages] = useState<string[]>([]);
  const before = pages.at(-1);
  const { data, problem, loading, reload } = useLoaded<{ records: AuditRecord[]; next: string | null; behind: number }>(
    `/api/audit/v1/records?limit=50${filter}${before ? `&before=${encodeURIComponent(before)}` : ""}`,
  );
  const { data: actions } = useLoaded<string[]>("/api/audit/v1/actions");

  function submit(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    const given = new FormData(event.currentTarget);
    const next = [...FILTERS, "decision", "from", "to"].flatMap((name) => {
      const value = String(given.get(name) ?? "").trim();
      if (!value) return [];
      return `&${name}=${encodeURIComponent(name === "from" || name === "to" ? instantOf(value)! : value)}`;
    }).join("");
    setPages([]);
    setFilter(next);
    if (next === filter && pages.length === 0) void reload();
  }

  const older = data?.next;
  return (
    <Section title={t("audit.search")} help={t("audit.searchHelp")}>
      <Form className="filters" onSubmit={(event) => submit(event as FormEvent<HTMLFormElement>)}>
        {FILTERS.map((name) => <Field key={name} name={name} label={t(`audit.${name}`)} optional spellCheck={false} autoCapitalize="off" list={name === "action" ? "audit-actions" : undefined} />)}
        <datalist id="audit-actions">{actions?.map((one) => <option key={one} value={one} />)}</datalist>
        <Choice name="decision" label={t("audit.decision")} options={[["", t("audit.any")], ["allow", t("audit.allow")], ["deny", t("audit.deny")]]} />
        <Field name="from" label={t("audit.from")} optional placeholder="2026-11-23 09:00" check={written} />
        <Field name="to" label={t("audit.to")} optional placeholder="2026-11-23 18:00" check={written} />
        <Button type="submit" className="button primary">{t("audit.find")}</Button>
      </Form>
      {problem && <p role="alert" className="problem">{problem}</p>}
      {loading && !data && <Waiting problem="" />}
      {data && data.behind > FAR_BEHIND && <p role="status" className="help">{t("audit.behind")}</p>}
      {data && (
        <DataTable
          label={t("audit.search")} empty={t("search.none")}
          head={[t("audit.at"), t("audit.who"), t("audit.action"), t("audit.what"), t("audit.decision"), t("audit.purpose"), t("audit.subject"), t("audit.where")]}
          rows={data.records.map((one) => ({
            key: `${one.chain}/${one.seq}`,
            cells: [
              exact(one.at), one.who || t("audit.nobody"), <code key="action">{one.action}</code>,
              <span key="what" className="long">{one.what}{Object.entries(one.detail).map(([name, value]) => <small key={name}>{name}: {value}</small>)}</span>,
              <span key="decision" className="chips">
                <Chip tone={one.decision === "deny" ? "bad" : "good"}>{t(one.decision === "deny" ? "audit.deny" : "audit.allow")}</Chip>
                {!one.sound && <Chip tone="bad">{t("audit.changed")}</Chip>}
              </span>,
              one.purpose ? <span key="purpose" className="long">{one.purpose}</span> : "–",
              one.subjects.length ? <span key="subjects" className="long"><code>{one.subjects.join(", ")}</code></span> : "–",
              one.where || "–",
            ],
          }))}
        />
      )}
      <Pager label={t("audit.search")} newer={pages.length ? () => setPages(pages.slice(0, -1)) : undefined} older={older ? () => setPages([...pages, older]) : undefined} />
    </Section>
  );
}
