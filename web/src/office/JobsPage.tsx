import { useState, type JSX } from "react";
import { Button } from "react-aria-components";
import { api } from "../api";
import { age, dateTime } from "../format";
import { hasMessage, t, text } from "../i18n";
import type { Text } from "../types";
import { useLoaded } from "./data";
import type { PageProps } from "./Office";
import { Chip, DataTable, FormDialog, Section } from "./parts";

interface Workflow {
  id: string;
  name: string;
  title: Text;
  status: string;
  created: string;
  updated: string;
  waiting_for: { topic: string; until: string | null } | null;
  published: Record<string, unknown>;
}

interface Detail {
  workflow: Workflow;
  steps: { name: string; started: string | null; ended: string | null; outcome: string }[];
}

const TONES: Record<string, "good" | "warn" | "bad"> = { done: "good", failed: "bad", "given up": "bad", cancelled: "warn", uninstalled: "warn" };
const OVER = new Set(["done", "failed", "cancelled", "given up"]);

const STATUSES = ["queued", "running", "waiting", "done", "failed", "cancelled", "given up", "uninstalled"];

function statusName(name: string): string {
  return hasMessage(`jobs.status.${name}`) ? t(`jobs.status.${name}`) : name;
}

export function JobsPage({ may }: PageProps): JSX.Element {
  const [pages, setPages] = useState<string[]>([]);
  const [status, setStatus] = useState("");
  const [shown, setShown] = useState<string>();
  const before = pages.at(-1);
  const { data, problem, reload } = useLoaded<{ workflows: Workflow[]; next: string | null }>(
    `/api/jobs/v1/workflows?limit=50${status ? `&status=${encodeURIComponent(status)}` : ""}${before ? `&before=${encodeURIComponent(before)}` : ""}`, 5000,
  );
  const { data: schedules } = useLoaded<{ schedules: { name: string; title?: Text; workflow: string; cron?: string; every_s?: number; last: string | null; next: string | null }[] }>("/api/jobs/v1/schedules", 30_000);
  return (
    <>
      <Section
        title={t("jobs.workflows")} help={t("jobs.help")}
        actions={
          <label className="field"><span>{t("handover.show")}</span>
            <select value={status} onChange={(event) => { setPages([]); setStatus(event.target.value); }}>
              <option value="">{t("handover.all")}</option>
              {STATUSES.map((one) => <option key={one} value={one}>{statusName(one)}</option>)}
            </select>
          </label>
        }
      >
        <p role="alert" className="problem">{problem}</p>
        {data && (
          <DataTable
            label={t("jobs.workflows")} empty={t("jobs.none")}
            head={[t("jobs.what"), t("jobs.state"), t("jobs.waiting"), t("jobs.begun"), t("jobs.changed"), ""]}
            rows={data.workflows.map((one) => ({
              key: one.id,
              cells: [
                <Button key="open" className="link" onPress={() => setShown(one.id)}>{text(one.title, one.name)}<br /><code>{one.id}</code></Button>,
                <Chip key="status" tone={TONES[one.status]}>{statusName(one.status)}</Chip>,
                one.waiting_for ? `${one.waiting_for.topic}${one.waiting_for.until ? ` · ${t("jobs.until", { at: dateTime(one.waiting_for.until) })}` : ""}` : "–",
                dateTime(one.created), age(one.updated),
                may("jobs.manage") && !OVER.has(one.status) ? (
                  <FormDialog key="cancel" danger open={t("jobs.cancel")} title={t("jobs.cancelName", { name: text(one.title, one.name) })} help={t("jobs.cancelHelp")} submit={t("jobs.cancel")} run={async () => {
                    await api.post(`/api/jobs/v1/workflows/${encodeURIComponent(one.id)}/cancel`, {});
                    await reload();
                  }} />
                ) : "",
              ],
            }))}
          />
        )}
        <nav className="pager" aria-label={t("jobs.workflows")}>
          <Button className="button" isDisabled={pages.length === 0} onPress={() => setPages(pages.slice(0, -1))}>{t("audit.newer")}</Button>
          <Button className="button" isDisabled={!data?.next} onPress={() => data?.next && setPages([...pages, data.next])}>{t("audit.older")}</Button>
        </nav>
      </Section>
      {shown && <Steps key={shown} id={shown} close={() => setShown(undefined)} />}
      <Section title={t("jobs.schedules")}>
        <DataTable
          label={t("jobs.schedules")} empty={t("jobs.noSchedules")} head={[t("jobs.what"), t("jobs.when"), t("jobs.last"), t("jobs.next")]}
          rows={(schedules?.schedules ?? []).map((one) => ({
            key: one.name,
            cells: [text(one.title, one.workflow), one.cron ?? t("jobs.every", { seconds: one.every_s ?? 0 }), one.last ? age(one.last) : "–", one.next ? dateTime(one.next) : "–"],
          }))}
        />
      </Section>
    </>
  );
}

function Steps({ id, close }: { id: string; close: () => void }): JSX.Element {
  const { data, problem } = useLoaded<Detail>(`/api/jobs/v1/workflows/${encodeURIComponent(id)}`, 5000);
  return (
    <Section title={t("jobs.steps", { id })} actions={<Button className="button" onPress={close}>{t("jobs.close")}</Button>}>
      <p role="alert" className="problem">{problem}</p>
      {data && Object.keys(data.workflow.published).length > 0 && (
        <dl className="facts">{Object.entries(data.workflow.published).map(([key, value]) => [<dt key={key}>{key}</dt>, <dd key={`${key}.v`}>{typeof value === "string" ? value : JSON.stringify(value)}</dd>])}</dl>
      )}
      {data && (
        <DataTable
          label={t("jobs.steps", { id })} empty={t("jobs.noSteps")} head={[t("jobs.step"), t("jobs.state"), t("jobs.begun"), t("jobs.ended")]}
          rows={data.steps.map((step, index) => ({
            key: String(index),
            cells: [step.name, <Chip key="outcome" tone={TONES[step.outcome]}>{statusName(step.outcome)}</Chip>, step.started ? dateTime(step.started) : "–", step.ended ? dateTime(step.ended) : "–"],
          }))}
        />
      )}
    </Section>
  );
}
