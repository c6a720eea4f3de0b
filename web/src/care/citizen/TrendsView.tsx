import { useEffect, useRef, useState, type JSX } from "react";
import { number } from "../../format";
import { t, text } from "../../i18n";
import { useTitle } from "../../ui/page";
import { useMine } from "./data";
import { Mark, OfflineNote, Part } from "./parts";
import type { Series } from "./types";
import { amount, date, range } from "./words";

/** What most people look for first. */
const FIRST = ["sbp_mmhg", "dbp_mmhg", "weight_kg", "bmi", "waist_cm", "body_fat_pct", "skeletal_muscle_kg", "grip_right_kg", "grip_left_kg"];

/** How one's values have gone over the visits, each with its healthy range. */
export function TrendsView(): JSX.Element {
  const { data, problem, keptAt } = useMine<{ series: Series[] }>("/trends");
  const [chosen, setChosen] = useState("");
  useTitle(t("health.trends"));
  const rank = ({ column }: Series): number => (FIRST.indexOf(column) + 1 || FIRST.length + 1);
  const all = [...(data?.series ?? [])].sort((a, b) => rank(a) - rank(b));
  const shown = chosen ? all.filter(({ column }) => column === chosen) : all.filter(({ points }) => points.length > 1).slice(0, 6);
  return (
    <>
      <h1>{t("health.trends")}</h1>
      <OfflineNote keptAt={keptAt} />
      {problem && <p role="alert" className="problem">{problem}</p>}
      {!data && !problem && <p role="status" className="hint">{t("office.loading")}</p>}
      {data && all.length === 0 && <p className="hint">{t("health.nothingYet")}</p>}
      {all.length > 0 && (
        <label className="field"><span>{t("health.whichTrend")}</span>
          <select value={chosen} onChange={(event) => setChosen(event.target.value)}>
            <option value="">{t("health.mainTrends")}</option>
            {all.map((one) => <option key={one.column} value={one.column}>{text(one.title)}</option>)}
          </select>
        </label>
      )}
      {all.length > 0 && shown.length === 0 && <p className="hint">{t("health.oneVisit")}</p>}
      {shown.map((series) => <TrendPart key={series.column} series={series} />)}
    </>
  );
}

function TrendPart({ series }: { series: Series }): JSX.Element {
  const { points, unit } = series;
  const [first, last] = [points[0]!, points[points.length - 1]!];
  const healthy = range(series.low, series.high, unit);
  const change = last.value - first.value;
  const way = points.length < 2 ? "" : t(change === 0 ? "health.same" : change > 0 ? "health.up" : "health.down", { change: amount(Math.abs(change), unit), date: date(first.at) });
  return (
    <Part title={text(series.title)} id={`trend-${series.column}`}>
      <p className="trend-said"><b>{amount(last.value, unit)}</b> {way}{healthy && <small> {t("health.healthy", { range: healthy })}</small>}</p>
      <Trend series={series} labelledBy={`trend-${series.column}`} />
      <details>
        <summary>{t("health.asTable")}<span className="visually-hidden">: {text(series.title)}</span></summary>
        <table>
          <thead><tr><th scope="col">{t("health.day")}</th><th scope="col">{t("health.valueHead")}</th><th scope="col">{t("health.meaning")}</th></tr></thead>
          <tbody>
            {[...points].reverse().map((point) => (
              <tr key={point.at}><th scope="row">{date(point.at)}</th><td>{amount(point.value, unit)}</td><td>{point.level ? <><Mark level={point.level} /> {t(`health.level.${point.level}`)}</> : "–"}</td></tr>
            ))}
          </tbody>
        </table>
      </details>
    </Part>
  );
}

const HEIGHT = 168;
const PAD = { left: 40, right: 18, top: 22, bottom: 24 };

/** A line over the visits, the healthy range behind it. Every point of it is in the table below. */
export function Trend({ series, labelledBy }: { series: Series; labelledBy: string }): JSX.Element {
  const place = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(340);
  useEffect(() => {
    const seen = new ResizeObserver(([entry]) => entry && setWidth(Math.max(220, Math.round(entry.contentRect.width))));
    seen.observe(place.current!);
    return () => seen.disconnect();
  }, []);
  const { points, low, high } = series;
  const values = points.map(({ value }) => value);
  const near = [low, high].filter((edge): edge is number => edge !== null);
  const [least, most] = [Math.min(...values, ...near), Math.max(...values, ...near)];
  const air = (most - least) * 0.15 || Math.abs(most) * 0.1 || 1;
  const [bottom, top] = [least - air, most + air];
  const times = points.map(({ at }) => Date.parse(at));
  const [from, to] = [times[0]!, times[times.length - 1]!];
  const x = (time: number): number => (to === from ? width / 2 : PAD.left + ((time - from) / (to - from)) * (width - PAD.left - PAD.right));
  const y = (value: number): number => PAD.top + ((top - value) / (top - bottom)) * (HEIGHT - PAD.top - PAD.bottom);
  const [ceiling, floor] = [y(high ?? top), y(low ?? bottom)];
  const labelled = points.length <= Math.floor(width / 52);
  return (
    <div ref={place} className="trend" role="img" aria-labelledby={labelledBy} aria-describedby={`${labelledBy}-said`}>
      <span id={`${labelledBy}-said`} className="visually-hidden">{t("health.trendAlt", { count: points.length, first: amount(values[0]!, series.unit), last: amount(values[values.length - 1]!, series.unit) })}</span>
      <svg width={width} height={HEIGHT} aria-hidden="true" focusable="false">
        {near.length > 0 && <rect className="healthy" x={PAD.left} y={ceiling} width={width - PAD.left - PAD.right} height={Math.max(0, floor - ceiling)} />}
        {near.map((edge) => <g key={edge}><line className="healthy-edge" x1={PAD.left} x2={width - PAD.right} y1={y(edge)} y2={y(edge)} /><text x={PAD.left - 6} y={y(edge) + 4} textAnchor="end">{number(edge)}</text></g>)}
        <polyline className="way" points={points.map((point, index) => `${x(times[index]!)},${y(point.value)}`).join(" ")} />
        {points.map((point, index) => (
          <g key={point.at}>
            <circle className="dot" data-level={point.level || undefined} cx={x(times[index]!)} cy={y(point.value)} r={point.level === "good" || !point.level ? 4.5 : 6} />
            {(labelled || index === points.length - 1) && <text className="dot-value" x={x(times[index]!)} y={y(point.value) - 11} textAnchor={index === 0 && points.length > 1 ? "start" : index === points.length - 1 && points.length > 1 ? "end" : "middle"}>{number(point.value)}</text>}
          </g>
        ))}
        <text x={x(from)} y={HEIGHT - 6} textAnchor={to === from ? "middle" : "start"}>{date(points[0]!.at)}</text>
        {to !== from && <text x={width - PAD.right} y={HEIGHT - 6} textAnchor="end">{date(points[points.length - 1]!.at)}</text>}
      </svg>
    </div>
  );
}
