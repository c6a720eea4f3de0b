import type { Feature, Position } from "geojson";
import { useEffect, useMemo, useRef, useState, type JSX } from "react";
import { Button, ProgressBar } from "react-aria-components";
import { dateTime, nameOf, now, number } from "../../format";
import { t } from "../../i18n";
import { Section } from "../../office/parts";
import { dryRun, type Progress } from "./dryrun";
import { attrOf } from "./edit";
import { features } from "./map";
import { MapView } from "./MapView";
import { Timeline } from "./Timeline";
import { firstLeaf, type Dry, type Firing, type Rule, type Vocabulary } from "./types";
import { labelOf, shownValue, span } from "./words";

const SPANS = [["day", 86_400], ["week", 604_800], ["month", 2_592_000]] as const;
type SpanOf = (typeof SPANS)[number][0];
const PAGE = 20;

interface Shown {
  result: Dry;
  start: number;
  end: number;
  /** The rule that was tried. */
  rule: string;
}

/** What the rule would have done over what lies behind us. */
export function DryRun({ rule, words, ready, failed }: { rule: Rule; words: Vocabulary; ready: () => boolean; failed: (error: unknown) => string }): JSX.Element {
  const [over, setOver] = useState<SpanOf>("week");
  const [progress, setProgress] = useState<Progress>();
  const [shown, setShown] = useState<Shown>();
  const [said, setSaid] = useState("");
  const [problem, setProblem] = useState("");
  const running = useRef<AbortController>(undefined);
  useEffect(() => () => running.current?.abort(), []);

  async function run(): Promise<void> {
    if (!ready()) return;
    const end = Math.floor(now() / 1000) * 1000;
    const start = end - SPANS.find(([one]) => one === over)![1] * 1000;
    const controller = (running.current = new AbortController());
    setProblem("");
    setSaid("");
    setShown(undefined);
    setProgress({ done: 0, of: 0 });
    try {
      const result = await dryRun(rule, new Date(start).toISOString(), new Date(end).toISOString(), controller.signal, setProgress);
      setShown({ result, start, end, rule: JSON.stringify(rule) });
      setSaid(fired(result.count, over));
    } catch (error) {
      if (controller.signal.aborted) setSaid(t("centre.rules.cancelled"));
      else setProblem(failed(error));
    } finally {
      setProgress(undefined);
    }
  }

  const part = progress && progress.of > 0 ? Math.min(100, (100 * progress.done) / progress.of) : 0;
  return (
    <Section title={t("centre.rules.dry")} help={t("centre.rules.dryHelp")}>
      <div className="dry-controls">
        <label className="field inline"><span>{t("centre.rules.dryOver")}</span>
          <select value={over} disabled={progress !== undefined} onChange={(event) => setOver(event.target.value as SpanOf)}>
            {SPANS.map(([one]) => <option key={one} value={one}>{t(`centre.rules.last.${one}`)}</option>)}
          </select>
        </label>
        {progress ? <Button className="button" onPress={() => running.current?.abort()}>{t("office.cancel")}</Button> : <Button className="button primary" onPress={() => void run()}>{t("centre.rules.try")}</Button>}
      </div>
      {progress && (
        <ProgressBar className="progress" value={part} aria-label={t("centre.rules.dry")}>
          <div className="progress-label"><span>{t("centre.rules.reading")}</span><span>{t("centre.rules.seenSoFar", { n: number(progress.seen ?? 0) })}</span></div>
          <div className="track"><div style={{ inlineSize: `${part}%` }} /></div>
        </ProgressBar>
      )}
      <p className="problem" role="alert">{problem}</p>
      <p className="dry-said" role="status">{said}</p>
      {shown && <Result shown={shown} words={words} rule={rule} stale={shown.rule !== JSON.stringify(rule)} />}
    </Section>
  );
}

const fired = (count: number, over: SpanOf): string => t(count === 0 ? `centre.rules.firedNone.${over}` : count === 1 ? `centre.rules.firedOnce.${over}` : `centre.rules.fired.${over}`, { n: number(count) });

/** A place that stands for a geometry: its first position. */
function placeOf(firing: Firing): Position | undefined {
  let at: unknown = firing.location && "coordinates" in firing.location ? firing.location.coordinates : undefined;
  while (Array.isArray(at) && Array.isArray(at[0])) at = at[0];
  return Array.isArray(at) && typeof at[0] === "number" ? (at as Position) : undefined;
}

function Result({ shown: { result, start, end }, words, rule, stale }: { shown: Shown; words: Vocabulary; rule: Rule; stale: boolean }): JSX.Element {
  const [on, setOn] = useState<number>();
  const [page, setPage] = useState(0);
  const { firings } = result;
  const drawn = useMemo(() => ({
    area: features(rule.where?.polygon ? [{ type: "Feature", properties: {}, geometry: rule.where.polygon }] : []),
    firings: features(firings.flatMap((one, n): Feature[] => {
      const coordinates = placeOf(one);
      return coordinates ? [{ type: "Feature", properties: { n, on: n === on }, geometry: { type: "Point", coordinates } }] : [];
    })),
  }), [firings, on, rule.where]);
  const fit = useMemo(() => firings.map(placeOf).filter((at) => at !== undefined), [firings]);
  const pick = (n: number): void => {
    setOn(n);
    setPage(Math.floor(n / PAGE));
  };
  return (
    <>
      {stale && <p className="notice">{t("centre.rules.stale")}</p>}
      <p className="help">{t("centre.rules.seen", { n: number(result.seen) })}{result.truncated ? ` ${t("centre.rules.truncated", { n: number(firings.length) })}` : ""}</p>
      {firings.length > 0 && (
        <>
          <Timeline firings={firings} start={start} end={end} on={on} pick={pick} />
          <div className="dry-result">
            <div>
              <ol className="firings" start={page * PAGE + 1} aria-label={t("centre.rules.firings")}>
                {firings.slice(page * PAGE, (page + 1) * PAGE).map((one, i) => <FiringRow key={`${one.key} ${one.at}`} firing={one} words={words} rule={rule} on={on === page * PAGE + i} pick={() => setOn(page * PAGE + i)} />)}
              </ol>
              {firings.length > PAGE && (
                <nav className="pager" aria-label={t("office.pages", { name: t("centre.rules.firings") })}>
                  <Button className="button small" isDisabled={page === 0} onPress={() => setPage(page - 1)}>{t("centre.rules.earlier")}</Button>
                  <span>{t("centre.rules.page", { page: page + 1, pages: Math.ceil(firings.length / PAGE) })}</span>
                  <Button className="button small" isDisabled={(page + 1) * PAGE >= firings.length} onPress={() => setPage(page + 1)}>{t("centre.rules.later")}</Button>
                </nav>
              )}
            </div>
            {fit.length > 0 && <MapView label={t("centre.rules.firings")} drawn={drawn} fit={fit} />}
          </div>
        </>
      )}
    </>
  );
}

/** How long a firing lasted, in words. */
export function lasted(firing: Firing): string {
  if (!firing.until) return t("centre.rules.still");
  const seconds = (Date.parse(firing.until) - Date.parse(firing.at)) / 1000;
  const whole = seconds >= 7200 ? 3600 : seconds >= 120 ? 60 : 1;
  return t("centre.rules.lasted", { span: span(Math.round(seconds / whole) * whole) });
}

function FiringRow({ firing, words, rule, on, pick }: { firing: Firing; words: Vocabulary; rule: Rule; on: boolean; pick: () => void }): JSX.Element {
  const row = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (on) row.current?.scrollIntoView({ block: "nearest" });
  }, [on]);
  const type = firstLeaf(rule.when)?.type ?? "";
  const values = Object.entries(firing.values).slice(0, 4).map(([name, value]) => `${labelOf(words, type, name)} ${shownValue(value, attrOf(words, type, name))}`);
  return (
    <li ref={row}>
      <Button className="firing" aria-pressed={on} onPress={pick}>
        <b><time dateTime={firing.at}>{dateTime(firing.at)}</time></b>
        <span>{firing.name || firing.entities.map((id) => nameOf(id, {})).join(", ") || "–"}</span>
        <small>{[lasted(firing), ...values].join(" · ")}</small>
      </Button>
    </li>
  );
}
