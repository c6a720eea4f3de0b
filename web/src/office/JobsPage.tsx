import { useRef, useState, type JSX } from "react";
import { Button } from "react-aria-components";
import { api } from "../api";
import { age, dateTime, exact, plain } from "../format";
import { hasMessage, t, text } from "../i18n";
import type { Text } from "../types";
import { useLoaded } from "./data";
import type { PageProps } from "./Office";
import { Chip, Choice, DataTable, FormDialog, Pager, Section, Waiting } from "./parts";

interface Workflow {
  id: string;
  name: string;
  title: Text;
  status: string;
  created: string;
  updated: string;
  waiting_for: { topic: string; until: string } | null;
  published: Record<string, unknown>;
  error: string | null;
}

interface Details extends Workflow {
  steps: { name: string; started: string | null; ended: string | null; outcome: string }[];
}

interface Plan {
  name: string;
  workflow: string;
  title: Text;
  cron: string | null;
  every_s: number | null;
  last: string | null;
  next: string;
}

const TONES: Record<string, "good" | "warn" | "bad"> = { done: "good", failed: "bad", "given up": "bad", cancelled: "warn", uninstalled: "warn" };
const STATUSES = ["queued", "running", "waiting", "done", "failed", "cancelled", "given up", "uninstalled"];
const OVER = new Set(["done", "failed", "cancelled", "given up"]);

function statusName(name: string): string {
  return hasMessage(`jobs.status.${name}`) ? t(`jobs.status.${name}`) : name;
}

function rhythm({ cron, every_s: seconds }: Plan): string {
  if (!seconds) return cron ?? "–";
  if (seconds % 3600 === 0) return t("jobs.everyHours", { count: seconds / 3600 });
  return seconds % 60 === 0 ? t("jobs.everyMinutes", { count: seconds / 60 }) : t("jobs.every", { count: seconds });
}

export function JobsPage({ may }: PageProps): JSX.Element {
  const [pages, setPages] = useState<string[]>([]);
  const [status, setStatus] = useState("");
  const [shown, setShown] = useState<string>();
  const opener = useRef<Element>(null);
  const before = pages.at(-1);
  const { data, problem, reload } = useLoaded<{ workflows: Workflow[]; next: string | null }>(
    `/api/jobs/v1/workflows?limit=50${status ? `&status=${encodeURIComponent(status)}` : ""}${before ? `&before=${encodeURIComponent(before)}` : ""}`, 5000,
  );
  const { data: schedules } = useLoaded<{ schedules: Plan[] }>("/api/jobs/v1/schedules", 30_000);
  const older = data?.next;
  return (
    <>
      <Section
        title={t("jobs.workflows")} help={t("jobs.help")}
        actions={<Choice
          name="status" label={t("handover.show")} value={status} onChange={(next) => { setPages([]); setStatus(next); }}
          options={[["", t("handover.all")], ...STATUSES.map((one) => [one, statusName(one)] as const)]}
        />}
      >
        {problem && <p role="alert" className="problem">{problem}</p>}
        {!data && !problem && <Waiting problem="" />}
        {data && (
          <DataTable
            label={t("jobs.workflows")} empty={t(status ? "jobs.noneSuch" : "jobs.none")}
            head={[t("jobs.what"), t("jobs.state"), t("jobs.waiting"), t("jobs.begun"), t("jobs.changed"), `-${t("office.actions")}`]}
            rows={data.workflows.map((one) => ({
              key: one.id,
              cells: [
                <span key="what"><b>{text(one.title, one.name)}</b><br /><code>{one.id}</code></span>,
                <Chip key="status" tone={TONES[one.status]}>{statusName(one.status)}</Chip>,
                one.waiting_for ? <span key="waiting">{waitingName(one.waiting_for.topic)}<br />{t("jobs.until", { at: dateTime(one.waiting_for.until) })}</span> : "–",
                dateTime(one.created), age(one.updated),
                <span key="do" className="actions">
                  <Button className="button" aria-label={`${t("jobs.open")}: ${text(one.title, one.name)}`} onPress={() => { opener.current = document.activeElement; setShown(one.id); }}>{t("jobs.open")}</Button>
                  {may("jobs.manage") && !OVER.has(one.status) && (
                    <FormDialog danger open={t("jobs.cancel")} about={text(one.title, one.name)} title={t("jobs.cancelName", { name: text(one.title, one.name) })} help={t("jobs.cancelHelp")} submit={t("jobs.cancelIt")} done={reload}
                      run={async () => void (await api.post(`/api/jobs/v1/workflows/${encodeURIComponent(one.id)}/cancel`, {}))} />
                  )}
                </span>,
              ],
            }))}
          />
        )}
        <Pager label={t("jobs.workflows")} newer={pages.length ? () => setPages(pages.slice(0, -1)) : undefined} older={older ? () => setPages([...pages, older]) : undefined} />
      </Section>
      {shown && <Steps key={shown} id={shown} close={() => {
        setShown(undefined);
        if (opener.current instanceof HTMLElement) opener.current.focus();
      }} />}
      <Section title={t("jobs.schedules")}>
        <DataTable
          label={t("jobs.schedules")} empty={t("jobs.noSchedules")} head={[t("jobs.what"), t("jobs.when"), t("jobs.last"), t("jobs.next")]}
          rows={(schedules?.schedules ?? []).map((one) => ({
            key: one.name,
            cells: [text(one.title, one.workflow), rhythm(one), one.last ? age(one.last) : "–", dateTime(one.next)],
          }))}
        />
      </Section>
    </>
  );
}

function waitingName(topic: string): string {
  return hasMessage(`jobs.topic.${topic}`) ? t(`jobs.topic.${topic}`) : topic;
}

function Steps({ id, close }: { id: string; close: () => void }): JSX.Element {
  const { data, problem } = useLoaded<Details>(`/api/jobs/v1/workflows/${encodeURIComponent(id)}`, 5000);
  const label = t("jobs.steps", { name: data ? text(data.title, data.name) : id });
  return (
    <Section title={label} help={<code>{id}</code>} focused actions={<Button className="button" onPress={close}>{t("jobs.close")}</Button>}>
      {problem && <p role="alert" className="problem">{problem}</p>}
      {data?.error && <p className="problem">{data.error}</p>}
      {data && (
        <dl className="facts">
          <dt>{t("jobs.state")}</dt><dd><Chip tone={TONES[data.status]}>{statusName(data.status)}</Chip></dd>
          {data.waiting_for && <><dt>{t("jobs.waiting")}</dt><dd>{waitingName(data.waiting_for.topic)}, {t("jobs.until", { at: dateTime(data.waiting_for.until) })}</dd></>}
          {Object.entries(data.published).map(([key, value]) => [<dt key={key}>{key}</dt>, <dd key={`${key}.v`}>{plain(value)}</dd>])}
        </dl>
      )}
      {data && (
        <DataTable
          label={label} empty={t("jobs.noSteps")} head={[t("jobs.step"), t("jobs.state"), t("jobs.begun"), t("jobs.ended")]}
          rows={data.steps.map((step, index) => ({
            key: String(index),
            cells: [step.name, <Chip key="outcome" tone={TONES[step.outcome]}>{statusName(step.outcome)}</Chip>, step.started ? exact(step.started) : "–", step.ended ? exact(step.ended) : "–"],
          }))}
        />
      )}
    </Section>
  );
}
