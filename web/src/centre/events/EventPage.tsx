import { FileText, WifiOff } from "lucide";
import { useCallback, useEffect, useMemo, useRef, useState, type JSX } from "react";
import { Button } from "react-aria-components";
import { api } from "../../api";
import { age, exact, number } from "../../format";
import { language, t, text } from "../../i18n";
import { useLoaded } from "../../office/data";
import { Choice, FormDialog, Section, Waiting } from "../../office/parts";
import { reason } from "../../problems";
import { Icon } from "../../ui/Icon";
import { To, useShell, useTitle } from "../../ui/page";
import { CameraView } from "../cctv/View";
import type { Camera } from "../cctv/types";
import { features } from "../rules/map";
import { MapView } from "../rules/MapView";
import { person, placeOf, pointOf, ROOT, useChanges, useClock, word } from "./data";
import { Escalated, Grade } from "./parts";
import { Procedure } from "./Procedure";
import { SEVERITIES, type CityEvent, type Run } from "./types";

/** An event: where, whose, what was and is to be done, and the cameras nearest to it. */
export function EventPage({ id }: { id: string }): JSX.Element {
  const [event, setEvent] = useState<CityEvent>();
  const [run, setRun] = useState<Run | null>();
  const [problem, setProblem] = useState("");
  const path = `${ROOT}/events/${encodeURIComponent(id)}`;
  const load = useCallback(async () => {
    try {
      const found = await api.get<CityEvent>(path);
      setEvent(found);
      setRun(found.procedure ? await api.get<Run>(`${path}/procedure`) : null);
      setProblem("");
    } catch (error) {
      setProblem(reason(error));
    }
  }, [path]);
  useEffect(() => void load(), [load]);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const up = useChanges((changed) => {
    if (changed !== null && changed !== id) return;
    clearTimeout(timer.current);
    timer.current = setTimeout(() => void load(), 100);
  });
  useTitle(event ? `${event.number} ${text(event.title)}` : t("centre.events.title"));
  if (!event) return <div className="sheet-page"><Waiting problem={problem} /></div>;
  return (
    <div className="event-page" data-severity={event.severity}>
      <Head event={event} path={path} done={load} />
      {!up && <p className="line-state" role="status"><Icon node={WifiOff} size={16} />{t("centre.events.noLine")}</p>}
      {problem && <p role="alert" className="problem">{problem}</p>}
      <div className="event-columns">
        <div className="event-main">
          <Procedure event={event} run={run ?? null} path={path} done={load} />
          <Timeline event={event} />
        </div>
        <div className="event-aside">
          <Place event={event} />
          <Nearest event={event} />
          <Facts event={event} />
        </div>
      </div>
    </div>
  );
}

function Head({ event, path, done }: { event: CityEvent; path: string; done: () => Promise<void> }): JSX.Element {
  const shell = useShell();
  const [failure, setFailure] = useState("");
  const [busy, setBusy] = useState(false);
  const acts = shell.may("centre.act");
  const act = async (verb: string, body: object): Promise<void> => {
    await api.post(`${path}/${verb}`, body);
    await done();
  };
  const because = { name: "reason", label: t("centre.events.reason") };
  const mine = event.owner === shell.session.name;
  async function take(): Promise<void> {
    setBusy(true);
    setFailure("");
    await act("take", {}).catch((error: unknown) => setFailure(reason(error)));
    setBusy(false);
  }
  return (
    <header className="event-head">
      <p><To path="/events">{t("centre.events.title")}</To></p>
      <p className="event-line"><Grade severity={event.severity} /><span className="event-number">{event.number}</span><span className="chip" data-tone={event.state === "closed" ? "good" : event.state === "open" ? "warn" : undefined}>{word("eventState", event.state)}</span><Escalated event={event} /></p>
      <h1>{text(event.title)}</h1>
      <p className="event-place">{[word("category", event.category), placeOf(event), t("centre.events.began", { age: age(event.opened), at: exact(event.opened, false) }), event.owner && t("centre.events.with", { name: event.owner })].filter(Boolean).join(" · ")}</p>
      <div className="actions">
        {acts && event.state !== "closed" && !mine && <Button className="button primary" isDisabled={busy} onPress={() => void take()}>{t(event.owner ? "centre.events.takeOver" : "centre.events.take")}</Button>}
        {acts && <FormDialog open={t("centre.events.addNote")} title={t("centre.events.addNote")} submit={t("centre.events.save")} fields={[{ name: "text", label: t("centre.events.note") }]} run={async (data) => act("note", { text: data.get("text") })} />}
        {acts && event.state === "taken" && <FormDialog open={t("centre.events.release")} title={t("centre.events.release")} submit={t("centre.events.release")} fields={[because, { name: "to", label: t("centre.events.releaseTo"), optional: true }]} run={async (data) => act("release", { reason: data.get("reason"), to: data.get("to") ?? "" })} />}
        {acts && event.state !== "closed" && (
          <FormDialog open={t("centre.events.severity")} title={t("centre.events.changeSeverity")} submit={t("centre.events.save")} fields={[because]} run={async (data) => act("severity", { severity: data.get("severity"), reason: data.get("reason") })}>
            <Choice name="severity" label={t("centre.events.severity")} options={SEVERITIES.map((one) => [one, word("severity", one)] as const)} />
          </FormDialog>
        )}
        {acts && event.state !== "closed" && <Merge event={event} act={act} />}
        {acts && event.state !== "closed" && <FormDialog open={t("centre.events.close")} title={t("centre.events.closeTitle")} help={t("centre.events.closeHelp")} submit={t("centre.events.close")} fields={[{ name: "reason", label: t("centre.events.outcome") }]} run={async (data) => act("close", { reason: data.get("reason") })} />}
        {acts && event.state === "closed" && !event.merged_into && <FormDialog open={t("centre.events.reopen")} title={t("centre.events.reopen")} submit={t("centre.events.reopen")} fields={[because]} run={async (data) => act("reopen", { reason: data.get("reason") })} />}
        <a className="button" href={`${path}/report.pdf?lang=${language.value === "ko" ? "ko" : "en"}`} target="_blank" rel="noreferrer"><Icon node={FileText} size={16} />{t("centre.events.report")}</a>
      </div>
      {event.merged_into && <p className="notice">{t("centre.events.merged")} <To path={`/events/${event.merged_into}`}>{t("centre.events.goThere")}</To></p>}
      <p role="alert" className="problem">{failure}</p>
    </header>
  );
}

function Merge({ event, act }: { event: CityEvent; act: (verb: string, body: object) => Promise<void> }): JSX.Element {
  const { data } = useLoaded<{ items: CityEvent[] }>(`${ROOT}/events?state=open,taken&limit=200`);
  const others = (data?.items ?? []).filter((one) => one.id !== event.id);
  return (
    <FormDialog open={t("centre.events.merge")} title={t("centre.events.mergeTitle")} help={t("centre.events.mergeHelp")} submit={t("centre.events.merge")} run={async (given) => act("merge", { into: given.get("into") })}>
      <Choice name="into" label={t("centre.events.into")} options={others.map((one) => [one.id, `${one.number} ${text(one.title)}`] as const)} />
    </FormDialog>
  );
}

function Timeline({ event }: { event: CityEvent }): JSX.Element {
  const entries = [...(event.timeline ?? [])].reverse();
  return (
    <Section title={t("centre.events.timeline")}>
      <ol className="event-timeline" reversed>
        {entries.map((entry) => (
          <li key={entry.seq} data-what={entry.what}><time dateTime={entry.at}>{exact(entry.at)}</time><div><p>{text(entry.text)}</p><small>{person(entry.who)}</small></div></li>
        ))}
      </ol>
    </Section>
  );
}

function Place({ event }: { event: CityEvent }): JSX.Element {
  const point = pointOf(event.location);
  const key = point?.join();
  const drawn = useMemo(() => ({ firings: features(key ? [{ type: "Feature", properties: { on: true }, geometry: { type: "Point", coordinates: key.split(",").map(Number) } }] : []) }), [key]);
  const fit = useMemo(() => (key ? [key.split(",").map(Number)] : []), [key]);
  return (
    <section className="event-map" aria-label={t("centre.events.map")}>
      {point ? <MapView label={t("centre.events.map")} drawn={drawn} fit={fit} /> : <p className="hint">{t("centre.events.noPlace")}</p>}
    </section>
  );
}

/** The four cameras nearest to the event, live, without being asked for. */
function Nearest({ event }: { event: CityEvent }): JSX.Element | null {
  const key = pointOf(event.location)?.join();
  const [found, setFound] = useState<Camera[]>();
  const [problem, setProblem] = useState("");
  useEffect(() => {
    if (!key) return undefined;
    const abort = new AbortController();
    api.get<{ items: Camera[] }>(`${ROOT}/cameras?near=${key}&limit=4`, abort.signal).then(({ items }) => setFound(items), (error: unknown) => { if (!abort.signal.aborted) setProblem(reason(error)); });
    return () => abort.abort();
  }, [key]);
  if (!key) return null;
  const ids = (found ?? []).map(({ id }) => id);
  return (
    <Section title={t("centre.events.cameras")}>
      {!found && <Waiting problem={problem} />}
      {found && ids.length === 0 && <p className="hint">{t("centre.events.noCameras")}</p>}
      {ids.length > 0 && <CameraView ids={ids} height={180} tracks names={Object.fromEntries(found!.map((one) => [one.id, one.name]))} />}
      {found?.some((one) => typeof one.distance_m === "number") && <p className="help">{found.map((one) => `${text(one.name)} ${t("centre.events.metres", { count: number(Math.round(one.distance_m ?? 0)) })}`).join(" · ")}</p>}
    </Section>
  );
}

function Facts({ event }: { event: CityEvent }): JSX.Element {
  const at = useClock();
  const facts: [string, string][] = [
    [t("centre.events.count"), number(event.count)],
    [t("centre.events.lasted"), lasting(Date.parse(event.opened), event.closed ? Date.parse(event.closed) : at)],
    ...(event.taken ? [[t("centre.events.takenAfter"), lasting(Date.parse(event.opened), Date.parse(event.taken))] as [string, string]] : []),
    ...(event.rule ? [[t("centre.events.rule"), event.rule] as [string, string]] : []),
    ...(event.cleared && event.cleared !== event.last ? [[t("centre.events.cleared"), exact(event.cleared)] as [string, string]] : []),
    ...Object.entries(event.values).slice(0, 8).map(([name, value]): [string, string] => [name, typeof value === "number" ? number(value) : String(value)]),
  ];
  return (
    <Section title={t("centre.events.facts")}>
      <dl className="event-facts">{facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
    </Section>
  );
}

function lasting(from: number, to: number): string {
  const minutes = Math.max(0, Math.floor((to - from) / 60_000));
  return minutes < 60 ? t("centre.events.minutes", { count: number(minutes) }) : t("centre.events.hours", { hours: number(Math.floor(minutes / 60)), minutes: number(minutes % 60) });
}
