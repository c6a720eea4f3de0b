import { useEffect, useId, useMemo, useState, type JSX } from "react";
import { clock, number } from "../format";
import { t } from "../i18n";
import { Choice, Waiting } from "../office/parts";
import { reason } from "../problems";
import type { Attr } from "../types";
import { Chart } from "../ui/Chart";
import { ask } from "./data";
import type { LiveFleet } from "./fleet";
import type { FigurePoint } from "./types";

/** What is charted: its unit, and what takes it there. */
const CHARTED = [["mean_wait_s", "min", 1 / 60, 1], ["p95_wait_s", "min", 1 / 60, 1], ["aboard", "", 1, 0], ["waiting", "", 1, 0], ["riders_per_van_hour", "", 1, 1]] as const;

/** The service over the last hours. */
export function FiguresTab({ fleet }: { fleet: LiveFleet }): JSX.Element {
  const [hours, setHours] = useState("3");
  const [kept, setKept] = useState<readonly FigurePoint[]>();
  const [problem, setProblem] = useState("");
  useEffect(() => {
    ask<{ points?: FigurePoint[] }>(`/figures?hours=${hours}`).then((told) => { setKept(told.points ?? []); setProblem(""); }, (error: unknown) => setProblem(reason(error)));
  }, [hours, fleet.version]);
  if (!kept) return <Waiting problem={problem} />;
  const end = Date.parse(kept.at(-1)?.at ?? "") || 0;
  const points = [...kept, ...fleet.points.filter(({ at }) => Date.parse(at) > end)];
  return (
    <div className="figures-tab">
      <Choice name="hours" label={t("ride.span")} value={hours} onChange={setHours} options={["1", "3", "6", "24"].map((count) => [count, t("ride.lastHours", { count })] as const)} />
      {points.length === 0 ? <p className="hint">{t("ride.noFigures")}</p> : CHARTED.map(([name, unit, scale, decimals]) => <Charted key={name} name={name} unit={unit} scale={scale} decimals={decimals} hours={Number(hours)} points={points} />)}
    </div>
  );
}

function Charted({ name, unit, scale, decimals, hours, points }: { name: (typeof CHARTED)[number][0]; unit: string; scale: number; decimals: number; hours: number; points: FigurePoint[] }): JSX.Element | null {
  const id = useId();
  const attr: Attr = useMemo(() => ({ name, label: { en: name }, unit: unit && t("ride.minuteUnit"), decimals, scale, steps: [] }), [name, unit, decimals, scale]);
  const known = points.flatMap((point) => (typeof point[name] === "number" ? [{ time: Date.parse(point.at) / 1000, value: point[name] }] : []));
  if (known.length === 0) return null;
  const last = known.at(-1)!.value * scale;
  return (
    <figure className="chart">
      <figcaption id={id}><span>{t(`ride.figure.${name}`)}</span><b>{number(last, decimals)}{unit && ` ${t("ride.minuteUnit")}`}</b></figcaption>
      <Chart series={{ times: known.map(({ time }) => time), values: known.map(({ value }) => value) }} attr={attr} hours={hours} labelledBy={id} />
      <details className="readings">
        <summary>{t("ride.asTable")}</summary>
        <div tabIndex={0} role="group" aria-labelledby={id}>
          <table><thead><tr><th scope="col">{t("ride.time")}</th><th scope="col">{t(`ride.figure.${name}`)}</th></tr></thead>
            <tbody>{known.slice(-60).reverse().map(({ time, value }) => <tr key={time}><td>{clock(time * 1000)}</td><td>{number(value * scale, decimals)}</td></tr>)}</tbody></table>
        </div>
      </details>
    </figure>
  );
}
