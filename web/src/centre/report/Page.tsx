import type { Polygon, Position } from "geojson";
import { FileText } from "lucide";
import { useEffect, useMemo, useState, type FormEvent, type JSX } from "react";
import { Button, Form } from "react-aria-components";
import { api, file } from "../../api";
import { exact, instantOf, now, number } from "../../format";
import { language, t, text } from "../../i18n";
import { Choice, DataTable, Section } from "../../office/parts";
import { reason } from "../../problems";
import { Icon } from "../../ui/Icon";
import { To, useShell, useTitle } from "../../ui/page";
import { placeOf, pointOf, ROOT, word } from "../events/data";
import { Grade } from "../events/parts";
import { AreaField } from "../rules/AreaField";
import { features } from "../rules/map";
import { MapView } from "../rules/MapView";
import "../../styles/centre-rules.css";
import "../../styles/centre-events.css";
import "../../styles/centre-report.css";
import type { Figure, Situation, State } from "./types";

const HOURS = ["1", "6", "12", "24", "168"];
const NOWHERE: Polygon = { type: "Polygon", coordinates: [[]] };

/** The situation of an area over a period: looked at here, then printed. */
export function Page(_: { part: string }): JSX.Element {
  const shell = useShell();
  const [dongs, setDongs] = useState<string[]>([]);
  const [where, setWhere] = useState("");
  const [area, setArea] = useState(NOWHERE);
  const [span, setSpan] = useState("24");
  const [start, setStart] = useState(() => exact(now() - 86_400_000, false).replace(" ", "T"));
  const [end, setEnd] = useState(() => exact(now(), false).replace(" ", "T"));
  const [made, setMade] = useState<{ asked: string; found: Situation }>();
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState("");
  useTitle(t("centre.report.title"));
  useEffect(() => {
    void shell.basemap().then((basemap) => setDongs((basemap.dongs?.features ?? []).map(({ properties }) => String(properties?.[`name_${language.value}`] ?? properties?.name_en ?? ""))), () => undefined);
  }, [shell]);

  function asked(): string {
    const query = new URLSearchParams();
    if (where === "drawn") query.set("area", JSON.stringify(area));
    else if (where) query.set("area", where);
    const [from, until] = span ? [new Date(now() - Number(span) * 3_600_000).toISOString(), new Date(now()).toISOString()] : [instantOf(start), instantOf(end)];
    if (from) query.set("start", from);
    if (until) query.set("end", until);
    return query.toString();
  }
  async function show(event: FormEvent): Promise<void> {
    event.preventDefault();
    setBusy("show");
    setProblem("");
    try {
      const question = asked();
      setMade({ asked: question, found: await api.get<Situation>(`${ROOT}/reports/situation?${question}`) });
    } catch (error) {
      setProblem(reason(error));
    }
    setBusy("");
  }
  async function print(lang: "ko" | "en"): Promise<void> {
    setBusy(lang);
    setProblem("");
    try {
      const blob = await file(`${ROOT}/reports/situation.pdf?${made?.asked ?? asked()}&lang=${lang}`);
      const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: `situation-${exact(now(), false).replace(/[^\d]+/g, "")}-${lang}.pdf` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    } catch (error) {
      setProblem(reason(error));
    }
    setBusy("");
  }
  const undrawn = where === "drawn" && (area.coordinates[0]?.length ?? 0) < 4;
  return (
    <div className="report-page">
      <h1>{t("centre.report.title")}</h1>
      <Form className="report-form" onSubmit={(event) => void show(event)} aria-label={t("centre.report.title")}>
        <div className="report-fields">
          <Choice name="where" label={t("centre.report.area")} value={where} onChange={setWhere} options={[["", t("centre.report.whole")], ["drawn", t("centre.report.drawn")], ...dongs.map((name, n) => [`dong:${n}`, name] as const)]} />
          <Choice name="span" label={t("centre.report.period")} value={span} onChange={setSpan} options={[...HOURS.map((one) => [one, t(`centre.report.last.${one}`)] as const), ["", t("centre.report.own")]]} />
          {!span && <label className="field"><span>{t("centre.report.start")}</span><input type="datetime-local" required value={start} max={end} onChange={({ target }) => setStart(target.value)} /></label>}
          {!span && <label className="field"><span>{t("centre.report.end")}</span><input type="datetime-local" required value={end} min={start} onChange={({ target }) => setEnd(target.value)} /></label>}
          <p role="alert" className="problem">{problem}</p>
          <div className="actions">
            <Button type="submit" className="button primary" isDisabled={Boolean(busy) || undrawn}>{t(busy === "show" ? "office.loading" : "centre.report.show")}</Button>
            {made && (["ko", "en"] as const).map((lang) => <Button key={lang} className="button" isDisabled={Boolean(busy)} onPress={() => void print(lang)}><Icon node={FileText} size={16} />{t(`centre.report.pdf.${lang}`)}</Button>)}
          </div>
        </div>
        {where === "drawn" && <AreaField path="area" value={area} onChange={setArea} />}
      </Form>
      <div role="status" className="visually-hidden">{made ? t("centre.report.ready", { count: number(made.found.layers.reduce((sum, { count }) => sum + count, 0)) }) : ""}</div>
      {made && <Shown found={made.found} />}
    </div>
  );
}

function Shown({ found }: { found: Situation }): JSX.Element {
  const drawn = useMemo(() => ({
    area: features([{ type: "Feature", geometry: found.area.geometry, properties: {} }]),
    firings: features(found.events.flatMap((event) => { const at = pointOf(event.location); return at ? [{ type: "Feature" as const, geometry: { type: "Point" as const, coordinates: at }, properties: {} }] : []; })),
  }), [found]);
  const fit = useMemo(() => (found.area.geometry.type === "Polygon" ? [found.area.geometry.coordinates] : found.area.geometry.coordinates).flat(2) as Position[], [found]);
  const titles = new Map(found.layers.map((layer) => [layer.id, text(layer.title)]));
  return (
    <>
      <dl className="report-facts">
        <div><dt>{t("centre.report.area")}</dt><dd>{text(found.area.name ?? undefined, t("centre.report.drawn"))} · {number(found.area.km2, 2)} km²</dd></div>
        <div><dt>{t("centre.report.period")}</dt><dd>{exact(found.start, false)} – {exact(found.end, false)}</dd></div>
        <div><dt>{t("centre.report.before")}</dt><dd>{exact(found.before.start, false)} – {exact(found.before.end, false)}</dd></div>
        <div><dt>{t("centre.report.made")}</dt><dd>{exact(found.made)}</dd></div>
      </dl>
      <div className="report-columns">
        <section className="report-map" aria-label={t("centre.report.map")}><MapView label={t("centre.report.map")} drawn={drawn} fit={fit} /></section>
        <Section title={t("centre.report.events")}>
          <DataTable label={t("centre.report.events")} empty={t("centre.report.noEvents")} head={[t("centre.events.number"), t("centre.events.what"), t("centre.events.severity"), t("centre.events.state")]}
            rows={found.events.slice(0, 60).map((event) => ({ key: event.id, cells: [<To key="to" path={`/events/${event.id}`}>{event.number}</To>, <>{text(event.title)}<small>{placeOf(event)}</small></>, <Grade key="grade" severity={event.severity} />, word("eventState", event.state)] }))} />
        </Section>
      </div>
      <Section title={t("centre.report.figures")} help={t("centre.report.figuresHelp")}>
        <DataTable label={t("centre.report.figures")} empty={t("centre.report.noFigures")} head={[t("centre.report.measure"), t("centre.report.mean"), t("centre.report.range"), t("centre.report.latest"), t("centre.report.change"), t("centre.report.trend")]}
          rows={found.figures.map((figure) => ({ key: `${figure.layer}.${figure.attr}`, cells: [<>{text(figure.label)}<small>{text(figure.title)} · {t("centre.report.sensors", { count: number(figure.sensors), of: number(figure.of) })}</small></>, measured(figure.mean, figure), `${number(figure.low, figure.decimals)} – ${number(figure.high, figure.decimals)}`, number(figure.latest, figure.decimals), changed(figure), <Trend key="trend" figure={figure} />] }))} />
      </Section>
      <Section title={t("centre.report.layers")}>
        <DataTable label={t("centre.report.layers")} empty={t("centre.report.nothing")} head={[t("centre.report.layer"), t("centre.report.count"), t("centre.report.states")]}
          rows={found.layers.map((layer) => ({ key: layer.id, cells: [text(layer.title), number(layer.count), layer.states.length ? <div key="states">{layer.states.map((state) => <p key={state.attr} className="report-states"><small>{text(state.label)}</small>{state.values.map(({ value, count }) => <span key={value}>{stateName(value, state)} {number(count)}</span>)}</p>)}</div> : "–"] }))} />
      </Section>
      <div className="report-columns">
        <Section title={t("centre.report.alerts")}>
          <DataTable label={t("centre.report.alerts")} empty={t("centre.report.noAlerts")} head={[t("centre.report.issued"), t("centre.events.what"), t("centre.events.severity")]}
            rows={found.alerts.slice(0, 40).map((alert) => ({ key: `${alert.id} ${alert.issued}`, cells: [exact(alert.issued, false), text(alert.title ?? undefined, alert.id), word("severity", alert.severity)] }))} />
        </Section>
        <Section title={t("centre.report.silent")} help={t("centre.report.silentHelp")}>
          <DataTable label={t("centre.report.silent")} empty={t("centre.report.noneSilent")} head={[t("centre.report.sensor"), t("centre.report.layer"), t("centre.report.since")]}
            rows={found.silent.map((one) => ({ key: one.id, cells: [text(one.name ?? undefined, one.id), titles.get(one.layer) ?? one.layer, exact(one.since, false)] }))} />
        </Section>
      </div>
    </>
  );
}

function measured(value: number, { decimals, unit }: Figure): string {
  return `${number(value, decimals)} ${unit}`.trim();
}

function changed(figure: Figure): string {
  if (!figure.before) return t("centre.report.noBefore");
  const difference = figure.mean - figure.before.mean;
  const shown = number(Math.abs(difference), figure.decimals);
  return Number(shown.replace(/[^\d.]/g, "")) === 0 ? "±0" : `${difference > 0 ? "+" : "−"}${shown} ${figure.unit}`.trim();
}

function stateName(value: string, { unit }: State): string {
  const [low, high] = value.split("..");
  if (high === undefined) return word("stateWord", value);
  return `${low && high ? `${low}–${high}` : low ? `≥ ${low}` : `< ${high}`} ${unit}`.trim();
}

/** A trend as a line, the one before dotted behind it; the numbers stand in the row. */
function Trend({ figure }: { figure: Figure }): JSX.Element {
  const before = figure.before?.trend ?? [];
  const known = [...figure.trend, ...before].filter((value): value is number => value !== null);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const line = (points: readonly (number | null)[]): string => points.map((value, n) => (value === null ? "" : `${points[n - 1] === null || n === 0 ? "M" : "L"}${(n * 150) / Math.max(1, points.length - 1)},${33 - ((value - low) / (high - low || 1)) * 30}`)).join("");
  return (
    <svg className="trend" viewBox="0 0 150 36" preserveAspectRatio="none" role="img" aria-label={t("centre.report.trendOf", { label: text(figure.label), low: number(figure.low, figure.decimals), high: number(figure.high, figure.decimals), latest: number(figure.latest, figure.decimals) })}>
      <path className="before" d={line(before)} /><path className="now" d={line(figure.trend)} />
    </svg>
  );
}
