import { ArrowDownRight, ArrowRight, ArrowUpRight } from "lucide";
import { useId, useMemo, type JSX } from "react";
import { age, attrLabel, dateTime, nameOf, number, stepColour, withUnit } from "../../format";
import { hasMessage, t, text } from "../../i18n";
import { useLoaded } from "../../office/data";
import type { Attr, Manifest, Text } from "../../types";
import { Chart, type Series } from "../../ui/Chart";
import { Icon } from "../../ui/Icon";
import { To } from "../../ui/page";
import { swatch } from "../../ui/swatch";
import { keyOf, trendOf, TREND_H, type Figure } from "./data";
import { attrOf, type Tile } from "./model";

export type Figures = ReadonlyMap<string, Figure>;
const BARE: Attr = { name: "", label: { en: "" }, unit: "", decimals: null, scale: 1, steps: [] };
const MOST_ROWS = 200;

/** What a tile is called: its own title, else what it shows. */
export function titleOf(tile: Tile, manifest: Manifest | undefined): string {
  const own = typeof tile.title === "object" ? text(tile.title) : tile.title;
  if (own) return own;
  if (!tile.ask) return t(`centre.board.kind.${tile.kind}`);
  const type = text(manifest?.layers.find((layer) => layer.type === tile.ask?.type)?.title, tile.ask.type);
  return tile.ask.attr ? `${type}: ${attrLabel(tile.ask.attr, attrOf(manifest, tile.ask))}` : type;
}

export function TileContent({ tile, manifest, figures, labelledBy }: { tile: Tile; manifest: Manifest | undefined; figures: Figures; labelledBy: string }): JSX.Element {
  if (tile.kind === "text") return <div className="board-text">{(tile.text ?? "").split("\n").map((line, index) => <p key={index}>{line}</p>)}</div>;
  if (tile.kind === "events") return <OpenEvents />;
  const figure = tile.ask ? figures.get(keyOf(tile.ask)) : undefined;
  if (!figure) return <p className="hint">{t("office.loading")}</p>;
  if (figure.problem) return <p className="problem">{figure.problem}</p>;
  const attr = attrOf(manifest, tile.ask) ?? BARE;
  if (tile.kind === "list") return <Ranking figure={figure} attr={attr} />;
  if (tile.kind === "chart") return <Over figure={figure} attr={attr} tile={tile} labelledBy={labelledBy} />;
  const trend = trendOf(tile);
  return <Now figure={figure} attr={attr} agg={tile.ask?.agg ?? "mean"} trend={trend && figures.get(keyOf(trend))} />;
}

function Now({ figure, attr, agg, trend }: { figure: Figure; attr: Attr; agg: string; trend: Figure | undefined }): JSX.Element {
  const value = figure.value ?? undefined;
  const colour = stepColour(value, attr);
  const points = trend?.points ?? [];
  return (
    <div className="board-value" data-coloured={colour ? "" : undefined} style={swatch(colour)}>
      <p><b>{value === undefined ? t("value.none") : withUnit(value, { ...attr, unit: "" })}</b> <span>{value === undefined ? "" : attr.unit}</span></p>
      <small>{figure.count || agg === "count" ? t(`centre.board.from.${agg}`, { count: number(figure.count ?? 0) }) : t("city.none")}</small>
      {points.length > 1 && <Trend points={points} attr={attr} />}
      {points.length > 1 && <Spark points={points} />}
    </div>
  );
}

/** Now against an hour ago, in a sign and in words. */
function Trend({ points, attr }: { points: [number, number][]; attr: Attr }): JSX.Element {
  const [end, now] = points.at(-1)!;
  const before = points.findLast(([at]) => at <= end - TREND_H * 3600) ?? points[0]!;
  const change = now - before[1];
  const words = withUnit(Math.abs(change), attr);
  const still = words === withUnit(0, attr) || Math.abs(change) < 0.02 * Math.max(Math.abs(now), Math.abs(before[1]));
  const way = still ? "same" : change > 0 ? "up" : "down";
  return (
    <span className="board-trend" title={t(`centre.board.trend.${way}`, { change: words })}>
      <Icon node={still ? ArrowRight : change > 0 ? ArrowUpRight : ArrowDownRight} size={15} />
      <span aria-hidden="true">{still ? "" : words}</span><span className="visually-hidden">{t(`centre.board.trend.${way}`, { change: words })}</span>
    </span>
  );
}

function Spark({ points }: { points: [number, number][] }): JSX.Element {
  const times = points.map(([at]) => at);
  const values = points.map(([, value]) => value);
  const [from, to, low, high] = [times[0]!, times.at(-1)!, Math.min(...values), Math.max(...values)];
  const drawn = points.map(([at, value]) => `${((100 * (at - from)) / (to - from || 1)).toFixed(1)},${(22 - (20 * (value - low)) / (high - low || 1)).toFixed(1)}`).join(" ");
  return <svg className="board-spark" viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true"><polyline points={drawn} /></svg>;
}

function Over({ figure, attr, tile, labelledBy }: { figure: Figure; attr: Attr; tile: Tile; labelledBy: string }): JSX.Element {
  const summary = useId();
  const points = figure.points ?? [];
  const series = useMemo((): Series => ({ times: points.map(([at]) => at), values: points.map(([, value]) => value) }), [figure.points]);
  if (points.length === 0) return <p className="hint">{t("chart.none")}</p>;
  const told = (value: number): string => withUnit(value, attr);
  const words = { label: "", last: told(series.values.at(-1)!), low: told(Math.min(...series.values)), high: told(Math.max(...series.values)), count: number(points.length) };
  return (
    <figure className="board-chart" data-points={points.length}>
      <figcaption id={summary} className="visually-hidden">{t("chart.summary", words).replace(/^: /, "")}</figcaption>
      <Chart series={series} attr={attr} hours={tile.ask?.hours ?? 24} labelledBy={`${labelledBy} ${summary}`} bars={tile.bars ?? false} fill />
      <details className="readings">
        <summary>{(figure.of ?? 0) > (figure.entities ?? 0) ? t("centre.board.sampled", { entities: number(figure.entities!), of: number(figure.of!) }) : t("chart.asTable")}</summary>
        <div tabIndex={0} role="region" aria-label={t("chart.asTable")}>
          <table>
            <thead><tr><th scope="col">{t("chart.time")}</th><th scope="col">{attr.unit || t("centre.board.value")}</th></tr></thead>
            <tbody>{points.slice(-MOST_ROWS).reverse().map(([at, value]) => <tr key={at}><td>{dateTime(at * 1000)}</td><td>{told(value)}</td></tr>)}</tbody>
          </table>
        </div>
      </details>
    </figure>
  );
}

function Ranking({ figure, attr }: { figure: Figure; attr: Attr }): JSX.Element {
  if (!figure.items?.length) return <p className="hint">{t("city.none")}</p>;
  return (
    <ol className="board-list">
      {figure.items.map(({ id, name, value }) => (
        <li key={id}>
          <a className="link" href={`/#entity=${encodeURIComponent(id)}`}>{nameOf(id, { name })}</a>
          <b>{stepColour(value, attr) && <span className="dot" style={swatch(stepColour(value, attr))} aria-hidden="true" />}{withUnit(value, attr)}</b>
        </li>
      ))}
    </ol>
  );
}

interface EventRow {
  id: string;
  number: string;
  state: string;
  severity: string;
  title: Text;
  opened: string;
  owner: string | null;
}

function OpenEvents(): JSX.Element {
  const { data, problem } = useLoaded<{ items: EventRow[] }>("/api/centre/v1/events?state=open,taken&limit=20", 5_000);
  if (!data) return problem ? <p className="problem">{problem}</p> : <p className="hint">{t("office.loading")}</p>;
  if (data.items.length === 0) return <p className="hint">{t("centre.board.noEvents")}</p>;
  return (
    <ul className="board-list board-events">
      {data.items.map((event) => (
        <li key={event.id} data-severity={event.severity}>
          <To path={`/events/${encodeURIComponent(event.id)}`}>{text(event.title, event.number)}</To>
          <span>{hasMessage(`word.${event.severity}`) ? t(`word.${event.severity}`) : event.severity} · {event.owner ?? t("centre.board.nobody")} · {age(event.opened)}</span>
        </li>
      ))}
    </ul>
  );
}
