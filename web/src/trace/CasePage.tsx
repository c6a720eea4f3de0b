import { FileSearch } from "lucide";
import { useEffect, useMemo, useState, type JSX } from "react";
import { Button, Tab, TabList, TabPanel, Tabs } from "react-aria-components";
import { number } from "../format";
import { t } from "../i18n";
import { Chip, FormDialog } from "../office/parts";
import { reason } from "../problems";
import { Icon } from "../ui/Icon";
import { CaseMap } from "./CaseMap";
import { CamerasTab } from "./CamerasTab";
import { ContactsTab } from "./ContactsTab";
import { Course } from "./course";
import { ask, useAsked, useShell } from "./data";
import { EvidenceTable } from "./EvidenceTable";
import { HotspotList } from "./HotspotList";
import { LooksTab, ReportTab } from "./LooksTab";
import { Answer, ForPurpose, Purpose, To, useTitle } from "./parts";
import { RecordTab } from "./RecordTab";
import { CaseRequests } from "./Requests";
import { Scrubber } from "./Scrubber";
import type { Case, Disease, Results } from "./types";
import { days, diseaseName, percent, when, word } from "./words";

const TABS = ["evidence", "contacts", "hotspots", "cameras", "requests", "record", "looks", "report"] as const;
type TabName = (typeof TABS)[number];
/** Tabs that say nothing of the course: on a narrow screen it makes room for them. */
const APART: ReadonlySet<TabName> = new Set(["requests", "record", "looks", "report"]);
const RUNNING_MS = 1_000;

export function CasePage({ id, tab }: { id: string; tab: string }): JSX.Element {
  return <ForPurpose scope={id}><TheCase id={id} tab={tab} /></ForPurpose>;
}

interface Run {
  state: string;
  progress?: number | null;
  /** What is being done; of one that failed, why. */
  stage?: string | null;
}

function TheCase({ id, tab: wanted }: { id: string; tab: string }): JSX.Element {
  const shell = useShell();
  const path = `/cases/${encodeURIComponent(id)}`;
  // Every look is recorded, so nothing here is asked again by itself except for how far an investigation is.
  const asked = useAsked<Case>(id, path);
  const run = useAsked<Run>(id, `${path}/investigation`);
  const running = run.data?.state === "running" || run.data?.state === "queued";
  const [lookAgain, lookAtRun] = [asked.reload, run.reload];
  useEffect(() => {
    if (!running) return undefined;
    const timer = setInterval(() => void lookAtRun(), RUNNING_MS);
    return () => {
      clearInterval(timer);
      void lookAgain();
    };
  }, [running, lookAgain, lookAtRun]);
  const found = useAsked<Results>(id, asked.data && !running ? `${path}/results` : null);
  const { data: diseases } = useAsked<Disease[]>(id, "/diseases");
  const course = useCourse(found.data);
  const [failure, setFailure] = useState<unknown>();
  const one = asked.data;
  useTitle(one?.label ?? t("trace.case"));
  if (!one) return <div className="sheet-page"><Answer asked={asked} scope={id} /></div>;
  const tab: TabName = TABS.find((name) => name === wanted) ?? (course ? "evidence" : "requests");
  const go = (name: string): void => shell.go(`/trace/cases/${encodeURIComponent(id)}/${name}`);
  const changed = async (): Promise<void> => { await Promise.all([asked.reload(), run.reload(), found.reload()]); };
  const contacts = found.data?.contacts ?? [];
  const counts: Partial<Record<TabName, number>> = {
    evidence: found.data?.evidence.length ?? 0, contacts: contacts.length + (one.named_contacts?.length ?? 0), hotspots: found.data?.hotspots.length ?? 0, cameras: found.data?.cameras.length ?? 0, requests: one.requests?.length ?? 0,
  };
  return (
    <div className="case-page" data-course={course ? "" : undefined} data-apart={APART.has(tab) || undefined}>
      <header className="case-head">
        <div className="case-title">
          <p><To path="/trace">{t("trace.board")}</To></p>
          <h1>{one.label}{one.person?.name && <span className="person"> {one.person.name}</span>}</h1>
          <p className="chips">
            <Chip>{diseaseName(diseases, one.disease)}</Chip>{(one.status === "closed" || !shell.may("trace.investigate")) && <Chip>{word("status", one.status)}</Chip>}
            {found.data?.test_data && <Chip tone="warn">{t("trace.testData")}</Chip>}
          </p>
        </div>
        <dl className="windows">
          <div><dt>{t("trace.onset")}</dt><dd>{when(one.onset)}</dd></div>
          {one.exposure_window && <div><dt>{t("trace.exposureWindow")}</dt><dd>{days(one.exposure_window)}</dd></div>}
          {one.infectious_window && <div><dt>{t("trace.infectiousWindow")}</dt><dd>{days(one.infectious_window)}</dd></div>}
          {one.destroy_on && <div><dt>{t("trace.destroyOn")}</dt><dd>{when(one.destroy_on)}</dd></div>}
        </dl>
        <div className="case-actions">
          <Purpose scope={id} />
          {shell.may("trace.investigate") && one.status !== "closed" && one.status !== "destroyed" && <Investigate id={id} path={path} run={run.data} running={running} changed={changed} />}
          {shell.may("trace.investigate") && one.status !== "closed" && one.status !== "destroyed" && (
            <label className="field inline"><span>{t("trace.status")}</span>
              <select value={one.status} onChange={(event) => void ask(id, path, "PATCH", { status: event.target.value }).then(changed, setFailure)}>
                {(["new", "investigating", "following"] as const).map((status) => <option key={status} value={status}>{word("status", status)}</option>)}
              </select>
            </label>
          )}
          {shell.may("trace.investigate") && one.status !== "closed" && one.status !== "destroyed" && (
            <FormDialog open={t("trace.close")} title={t("trace.closeTitle", { name: one.label })} help={t("trace.closeHelp")} submit={t("trace.close")} fields={[{ name: "outcome", label: t("trace.outcome") }]} done={changed}
              run={async (data) => void (await ask(id, `${path}/close`, "POST", { outcome: String(data.get("outcome")) }))} />
          )}
          {shell.may("trace.destroy") && one.status !== "destroyed" && (
            <FormDialog danger open={t("trace.destroy")} title={t("trace.destroyTitle", { name: one.label })} help={t("trace.destroyHelp")} submit={t("trace.destroy")} fields={[{ name: "reason", label: t("trace.reason") }]} done={changed}
              run={async (data) => void (await ask(id, `${path}/destroy`, "POST", { reason: String(data.get("reason")) }))} />
          )}
        </div>
      </header>
      {course && (
        <section className="course" aria-label={t("trace.course")}>
          <CaseMap course={course} contacts={contacts} open={(what) => go(what)} />
          <Scrubber course={course} />
        </section>
      )}
      <div className="case-side">
        {(asked.problem || failure !== undefined) && <p role="alert" className="problem">{asked.problem || reason(failure)}</p>}
        <Tabs className="case-tabs" selectedKey={tab} onSelectionChange={(key) => go(String(key))}>
          <TabList aria-label={t("trace.parts")}>
            {TABS.map((name) => <Tab key={name} id={name}>{word("tab", name)}{counts[name] ? <small>{number(counts[name])}</small> : null}</Tab>)}
          </TabList>
          <TabPanel id="evidence">{course ? <EvidenceTable course={course} /> : <NoResults running={running} run={run.data} problem={found.status === 404 ? "" : found.problem} />}</TabPanel>
          <TabPanel id="contacts">{course ? <ContactsTab id={id} course={course} contacts={contacts} changed={changed} one={one} show={(rows) => { course.pointAt(rows); go("evidence"); }} /> : <NoResults running={running} run={run.data} problem="" />}</TabPanel>
          <TabPanel id="hotspots">{course ? <HotspotList hotspots={course.results.hotspots} look={(spot) => { course.look.value = spot; course.goTo(Date.parse(spot.start)); }} /> : <NoResults running={running} run={run.data} problem="" />}</TabPanel>
          <TabPanel id="cameras">{course ? <CamerasTab id={id} course={course} changed={changed} /> : <NoResults running={running} run={run.data} problem="" />}</TabPanel>
          <TabPanel id="requests"><CaseRequests one={one} changed={changed} /></TabPanel>
          <TabPanel id="record"><RecordTab one={one} disease={diseases?.find((known) => known.id === one.disease)} changed={changed} /></TabPanel>
          <TabPanel id="looks"><LooksTab id={id} /></TabPanel>
          <TabPanel id="report"><ReportTab id={id} label={one.label} ready={Boolean(course)} /></TabPanel>
        </Tabs>
      </div>
    </div>
  );
}

/** Keeps the shown instant and days where only decisions in the results changed. */
function useCourse(results: Results | undefined): Course | undefined {
  const key = results?.made_at;
  return useMemo(() => (results ? new Course(results) : undefined), [key, Boolean(results)]);
}

function Investigate({ id, path, run, running, changed }: { id: string; path: string; run: Run | undefined; running: boolean; changed: () => Promise<void> }): JSX.Element {
  const [failure, setFailure] = useState<unknown>();
  async function start(): Promise<void> {
    setFailure(undefined);
    try {
      await ask(id, `${path}/investigate`, "POST", {});
      await changed();
    } catch (error) {
      setFailure(error);
    }
  }
  return (
    <>
      {running
        ? <p className="running" role="status"><progress value={run?.progress ?? undefined} max={1} aria-label={t("trace.running")} /> {run?.stage ? word("stage", run.stage) : t("trace.running")}{typeof run?.progress === "number" && ` ${percent(run.progress)}`}</p>
        : <Button className="button primary" onPress={() => void start()}><Icon node={FileSearch} size={16} />{t("trace.investigate")}</Button>}
      {failure !== undefined && <p role="alert" className="problem">{reason(failure)}</p>}
      {run?.state === "failed" && <p role="alert" className="problem">{t("trace.failed", { reason: run.stage ?? "" })}</p>}
    </>
  );
}

function NoResults({ running, run, problem }: { running: boolean; run: Run | undefined; problem: string }): JSX.Element {
  if (problem) return <p role="alert" className="problem">{problem}</p>;
  return <p className="hint" role="status">{running ? `${t("trace.running")} ${run?.stage ? word("stage", run.stage) : ""}` : t("trace.noResults")}</p>;
}
