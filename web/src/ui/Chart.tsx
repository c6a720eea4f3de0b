import { useEffect, useRef, type JSX } from "react";
import uPlot from "uplot";
import { clock, day, now, number, withUnit } from "../format";
import { useLanguage } from "../i18n";
import { theme } from "../settings";
import { useValue } from "../state";
import type { Attr } from "../types";

/** Seconds since 1970, ascending, and a value for each. */
export interface Series {
  times: number[];
  values: number[];
}

const HEIGHT = 118;

/** A line over time. Its words and its table are the caller's: a drawing alone says nothing to a screen reader. */
export function Chart({ series, attr, hours, labelledBy, bars = false, fill = false }: {
  series: Series;
  attr: Attr;
  hours: number;
  labelledBy: string;
  bars?: boolean;
  /** Whether it is as high as its place. */
  fill?: boolean;
}): JSX.Element {
  const place = useRef<HTMLDivElement>(null);
  const readout = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const shade = useValue(theme);
  const language = useLanguage();
  const ground = useRef(series);
  ground.current = series;

  useEffect(() => {
    const element = place.current!;
    const style = getComputedStyle(element);
    const colour = (name: string): string => style.getPropertyValue(name).trim();
    const grid = { stroke: colour("--chart-grid"), width: 1 };
    const font = "11px 'Pretendard Variable', sans-serif";
    const size = (): { width: number; height: number } => ({ width: Math.max(120, element.clientWidth), height: fill ? Math.max(60, element.clientHeight) : HEIGHT });
    const made = new uPlot(
      {
        ...size(),
        legend: { show: false },
        padding: [8, 6, 0, 0],
        cursor: { drag: { x: false, y: false }, points: { size: 7 } },
        scales: {
          x: { range: () => [now() / 1000 - hours * 3600, now() / 1000] },
          y: { range: (_, low, high) => spread(bars && low !== null ? Math.min(0, low) : low, high) },
        },
        axes: [
          {
            stroke: colour("--muted"), font, grid: { show: false }, ticks: { ...grid, size: 3 }, size: 24, space: 52,
            values: (_, splits) => splits.map((split) => (hours > 48 ? day(split * 1000) : clock(split * 1000))),
          },
          { stroke: colour("--muted"), font, grid, ticks: { show: false }, size: 42, space: 28, values: (_, splits) => splits.map((split) => number(split, decimalsOf(splits))) },
        ],
        series: [
          {},
          {
            stroke: colour("--chart-line"), width: 1.8, points: { show: series.values.length < 3, size: 5 },
            fill: colour(bars ? "--chart-line" : "--chart-fill"), spanGaps: true,
            ...(bars && uPlot.paths.bars ? { paths: uPlot.paths.bars({ size: [0.7, 40] }) } : {}),
          },
        ],
        hooks: {
          drawClear: [(self) => drawSteps(self, attr)],
          setCursor: [(self) => {
            const at = self.cursor.idx;
            const time = at === null || at === undefined ? undefined : self.data[0][at];
            const value = at === null || at === undefined ? undefined : self.data[1]?.[at];
            readout.current!.hidden = time === undefined || value == null;
            if (time !== undefined && value != null) {
              readout.current!.textContent = `${day(time * 1000)} ${clock(time * 1000)}  ${withUnit(value, { ...attr, scale: 1 })}`;
            }
          }],
        },
      },
      [ground.current.times, shown(ground.current, attr)],
      element,
    );
    plot.current = made;
    const resized = new ResizeObserver(() => made.setSize(size()));
    resized.observe(element);
    return () => {
      resized.disconnect();
      made.destroy();
    };
  }, [attr, hours, shade, language, bars, fill]);

  useEffect(() => plot.current?.setData([series.times, shown(series, attr)]));

  return (
    <div className="chart-place" data-fill={fill || undefined}>
      <div ref={place} role="img" aria-labelledby={labelledBy} />
      <div ref={readout} className="readout" hidden aria-hidden="true" />
    </div>
  );
}

function shown(series: Series, attr: Attr): number[] {
  return attr.scale === 1 ? series.values : series.values.map((value) => value * attr.scale);
}

/** How many decimals tell an axis's values apart. */
function decimalsOf(splits: number[]): number {
  const step = Math.abs((splits[1] ?? 1) - (splits[0] ?? 0));
  return step > 0 ? Math.min(6, Math.max(0, Math.ceil(-Math.log10(step) - 1e-9))) : 0;
}

/** The values' range with some air, from zero where zero is near. */
function spread(low: number | null, high: number | null): [number, number] {
  if (low === null || high === null || (low === 0 && high === 0)) return [0, 1];
  const air = Math.max((high - low) * 0.12, Math.abs(high) * 0.02, 1e-3);
  const bottom = low >= 0 && low < (high - low) * 1.5 ? 0 : low - air;
  return [bottom, high + air];
}

/** Draws the colour steps as a thin strip along the value axis, in the part that is in sight. */
function drawSteps(plot: uPlot, attr: Attr): void {
  if (attr.steps.length < 2) return;
  const { left, top, height } = plot.bbox;
  const scale = plot.scales.y;
  if (scale?.min === undefined || scale.max === undefined) return;
  const bounds = [...attr.steps.map(([from]) => from), Infinity];
  bounds[0] = -Infinity;
  for (let i = 0; i + 1 < bounds.length; i += 1) {
    const low = Math.max(bounds[i]!, scale.min);
    const high = Math.min(bounds[i + 1]!, scale.max);
    if (high <= low) continue;
    const y = plot.valToPos(high, "y", true);
    plot.ctx.fillStyle = attr.steps[i]![1];
    plot.ctx.fillRect(left - 3 * devicePixelRatio, Math.max(top, y), 3 * devicePixelRatio, Math.min(top + height, plot.valToPos(low, "y", true)) - Math.max(top, y));
  }
}
