import { useEffect, useState, type FormEvent, type JSX } from "react";
import { Button, Form, Input, Label, ProgressBar, TextField } from "react-aria-components";
import { api } from "../api";
import { age, dateTime, number } from "../format";
import { t } from "../i18n";
import { reason, useLoaded } from "./data";
import type { PageProps } from "./Office";
import { Chip, DataTable, Section } from "./parts";

interface AuditRecord {
  seq: number;
  at: string;
  chain: string;
  who: string;
  action: string;
  what: string;
  decision?: "allow" | "deny";
  purpose?: string;
  subjects?: string[];
  where?: string;
}

interface Status {
  chains: { name: string; records: number; first: string | null; last: string | null; sealed: number }[];
  verified: { at: string; ok: boolean; findings: string[] } | null;
}

interface Verification {
  running: boolean;
  done: number;
  total: number;
  findings: string[];
}

const FILTERS = ["subject", "who", "action"] as const;

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
  const [failed, setFailed] = useState("");
  const running = run?.running ?? false;

  useEffect(() => {
    if (!running) return undefined;
    const timer = setInterval(() => {
      api.get<Verification>("/api/audit/v1/verify").then((next) => {
        setRun(next);
        if (!next.running) void reload();
      }, (error: unknown) => setFailed(reason(error)));
    }, 400);
    return () => clearInterval(timer);
  }, [running, reload]);

  const start = (): void => {
    setFailed("");
    api.post("/api/audit/v1/verify", {}).then(() => setRun({ running: true, done: 0, total: 0, findings: [] }), (error: unknown) => setFailed(reason(error)));
  };
  const records = status?.chains.reduce((sum, chain) => sum + chain.records, 0) ?? 0;
  return (
    <Section
      title={t("audit.chain")} help={t("audit.chainHelp")}
      actions={verify && <Button className="button primary" isDisabled={running} onPress={start}>{t("audit.verify")}</Button>}
    >
      <p role="alert" className="problem">{problem || failed}</p>
      {running && run && (
        <ProgressBar className="progress" value={run.done} maxValue={Math.max(run.total, 1)} isIndeterminate={run.total === 0}>
          <Label>{t("audit.verifying")}</Label>
          <div className="track"><div style={{ inlineSize: `${run.total ? (100 * run.done) / run.total : 10}%` }} /></div>
        </ProgressBar>
      )}
      {status && (
        <dl className="facts">
          <dt>{t("audit.records")}</dt><dd>{number(records)}</dd>
          <dt>{t("audit.chains")}</dt><dd>{status.chains.map((chain) => chain.name).join(", ") || "–"}</dd>
          <dt>{t("audit.lastVerified")}</dt>
          <dd>
            {status.verified ? <><Chip tone={status.verified.ok ? "good" : "bad"}>{t(status.verified.ok ? "audit.whole" : "audit.broken")}</Chip> {age(status.verified.at)}</> : t("audit.never")}
          </dd>
        </dl>
      )}
      {status?.verified && !status.verified.ok && <ul className="findings">{status.verified.findings.map((one) => <li key={one}>{one}</li>)}</ul>}
    </Section>
  );
}

function Records(): JSX.Element {
  const [filter, setFilter] = useState("");
  const [pages, setPages] = useState<string[]>([]);
  const before = pages.at(-1);
  const path = `/api/audit/v1/records?limit=50${filter}${before ? `&before=${encodeURIComponent(before)}` : ""}`;
  const { data, problem, loading } = useLoaded<{ records: AuditRecord[]; next: string | null }>(path);

  function submit(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    const given = new FormData(event.currentTarget);
    const parts = [...FILTERS, "decision", "from", "to"].flatMap((name) => {
      const value = String(given.get(name) ?? "").trim();
      if (!value) return [];
      return `&${name}=${encodeURIComponent(name === "from" || name === "to" ? new Date(value).toISOString() : value)}`;
    });
    setPages([]);
    setFilter(parts.join(""));
  }

  return (
    <Section title={t("audit.search")}>
      <Form className="filters" onSubmit={(event) => submit(event as FormEvent<HTMLFormElement>)}>
        {FILTERS.map((name) => (
          <TextField key={name} name={name}><Label>{t(`audit.${name}`)}</Label><Input autoComplete="off" spellCheck={false} /></TextField>
        ))}
        <label className="field"><span>{t("audit.decision")}</span>
          <select name="decision"><option value="">{t("audit.any")}</option><option value="allow">{t("audit.allow")}</option><option value="deny">{t("audit.deny")}</option></select>
        </label>
        <label className="field"><span>{t("audit.from")}</span><input type="datetime-local" name="from" /></label>
        <label className="field"><span>{t("audit.to")}</span><input type="datetime-local" name="to" /></label>
        <Button type="submit" className="button primary">{t("audit.find")}</Button>
      </Form>
      <p role="alert" className="problem">{problem}</p>
      {loading && <p role="status" className="hint">{t("app.loading")}</p>}
      {data && (
        <DataTable
          label={t("audit.search")} empty={t("search.none")}
          head={[t("audit.at"), t("audit.who"), t("audit.action"), t("audit.what"), t("audit.decision"), t("audit.purpose"), t("audit.subject"), t("audit.where")]}
          rows={data.records.map((one) => ({
            key: `${one.chain}/${one.seq}`,
            cells: [
              dateTime(one.at), one.who || "–", one.action, <span key="what" className="long">{one.what}</span>,
              <Chip key="decision" tone={one.decision === "deny" ? "bad" : "good"}>{t(one.decision === "deny" ? "audit.deny" : "audit.allow")}</Chip>,
              one.purpose || "–", one.subjects?.length ? <code key="subjects">{one.subjects.join(", ")}</code> : "–", one.where || "–",
            ],
          }))}
        />
      )}
      <nav className="pager" aria-label={t("audit.search")}>
        <Button className="button" isDisabled={pages.length === 0} onPress={() => setPages(pages.slice(0, -1))}>{t("audit.newer")}</Button>
        <Button className="button" isDisabled={!data?.next} onPress={() => data?.next && setPages([...pages, data.next])}>{t("audit.older")}</Button>
      </nav>
    </Section>
  );
}
