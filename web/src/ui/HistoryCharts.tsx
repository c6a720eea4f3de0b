import { useEffect, useId, useMemo, useState, type JSX } from "react";
import { ToggleButton, ToggleButtonGroup } from "react-aria-components";
import { api } from "../api";
import { age, dateTime, observedAt, now, withUnit } from "../format";
import { t, text } from "../i18n";
import type { Model } from "../model";
import { throttled } from "../state";
import type { Attr, Point } from "../types";
import { Chart, type Series } from "./Chart";

const SPANS = [6, 24, 168];
const MOST_ROWS = 200;

/** Histories of an entity's attributes: fetched once, then carried on by the live changes. */
export function HistoryCharts({ model, id, attrs, hours: initial }: { model: Model; id: string; attrs: readonly Attr[]; hours: number }): JSX.Element {
  const [hours, setHours] = useState(initial);
  const [series, setSeries] = useState<Record<string, Series>>();
  const names = useMemo(() => attrs.map((attr) => attr.name).join(","), [attrs]);
  const spans = SPANS.includes(initial) ? SPANS : [...SPANS, initial].sort((a, b) => a - b);

  useEffect(() => {
    const abort = new AbortController();
    let current: Record<string, Series> = {};
    let late: [string, number, number][] = [];
    let fetched = false;
    const show = throttled(250, () => {
      const from = now() / 1000 - hours * 3600;
      for (const one of Object.values(current)) {
        while (one.times.length && one.times[0]! < from) {
          one.times.shift();
          one.values.shift();
        }
      }
      setSeries({ ...current });
    });
    const append = (name: string, time: number, value: number): void => {
      const one = (current[name] ??= { times: [], values: [] });
      const last = one.times.at(-1) ?? -Infinity;
      if (time < last) return;
      if (time === last) one.values[one.values.length - 1] = value;
      else {
        one.times.push(time);
        one.values.push(value);
      }
    };
    const undo = model.store.watch((batch) => {
      const touched = batch.touched?.get(id);
      const entity = touched && model.store.entities.get(id);
      if (!touched || !entity) return;
      const time = Date.parse(observedAt({ ...entity.values, ...touched }) ?? "") / 1000;
      for (const name of names.split(",")) {
        const value = touched[name];
        if (typeof value !== "number" || Number.isNaN(time)) continue;
        if (fetched) append(name, time, value);
        else late.push([name, time, value]);
      }
      if (fetched) show();
    });
    api
      .get<{ attrs: Record<string, Point[]> }>(`/api/centre/v1/entities/${encodeURIComponent(id)}/history?attrs=${encodeURIComponent(names)}&hours=${hours}`, abort.signal)
      .then((answer) => {
        current = Object.fromEntries(Object.entries(answer.attrs).map(([name, points]) => [name, numeric(points)]));
        fetched = true;
        for (const [name, time, value] of late) append(name, time, value);
        late = [];
        setSeries({ ...current });
      })
      .catch(() => setSeries((known) => known ?? {}));
    return () => {
      abort.abort();
      undo();
    };
  }, [model, id, names, hours]);

  return (
    <div className="history">
      <ToggleButtonGroup
        className="segments" aria-label={t("chart.range")} selectionMode="single" disallowEmptySelection selectedKeys={[String(hours)]}
        onSelectionChange={(keys) => setHours(Number([...keys][0] ?? hours))}
      >
        {spans.map((span) => (
          <ToggleButton key={span} id={String(span)} className="segment">
            {span < 72 ? t("chart.hours", { count: span }) : t("chart.days", { count: span / 24 })}
          </ToggleButton>
        ))}
      </ToggleButtonGroup>
      {series && attrs.map((attr) => <OneChart key={attr.name} attr={attr} series={series[attr.name]} hours={hours} />)}
    </div>
  );
}

function numeric(points: Point[]): Series {
  const series: Series = { times: [], values: [] };
  for (const [value, instant] of points) {
    const time = Date.parse(instant) / 1000;
    if (typeof value !== "number" || time === series.times.at(-1)) continue;
    series.times.push(time);
    series.values.push(value);
  }
  return series;
}

function OneChart({ attr, series, hours }: { attr: Attr; series: Series | undefined; hours: number }): JSX.Element {
  const id = useId();
  const label = text(attr.label);
  if (!series || series.values.length === 0) {
    return <figure className="chart" data-attr={attr.name}><figcaption><b>{label}</b><span>{t("chart.none")}</span></figcaption></figure>;
  }
  let low = Infinity;
  let high = -Infinity;
  for (const value of series.values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const last = series.values.at(-1)!;
  const words = { label, last: withUnit(last, attr), low: withUnit(low, attr), high: withUnit(high, attr), count: series.values.length };
  const from = Math.max(0, series.times.length - MOST_ROWS);
  return (
    <figure className="chart" data-attr={attr.name} data-points={series.values.length}>
      <figcaption id={id}>
        <b>{label}</b>
        <span aria-hidden="true">{t("chart.low")} {withUnit(low, attr)} · {t("chart.high")} {withUnit(high, attr)}</span>
        <span className="visually-hidden">{t("chart.summary", words)}</span>
      </figcaption>
      <Chart series={series} attr={attr} hours={hours} labelledBy={id} />
      <details className="readings">
        <summary>{t("chart.asTable")}</summary>
        <div tabIndex={0} role="region" aria-label={`${label}: ${t("chart.asTable")}`}>
          <table>
            <thead><tr><th scope="col">{t("chart.time")}</th><th scope="col">{label}</th></tr></thead>
            <tbody>
              {series.times.slice(from).map((time, index) => (
                <tr key={time}><td title={age(time * 1000)}>{dateTime(time * 1000)}</td><td>{withUnit(series.values[from + index], attr)}</td></tr>
              )).reverse()}
            </tbody>
          </table>
        </div>
      </details>
    </figure>
  );
}
