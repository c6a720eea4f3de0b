import { useLayoutEffect, useRef, useState, type JSX } from "react";
import { clock, day, dateTime } from "../../format";
import { t } from "../../i18n";
import type { Firing } from "./types";

const HEIGHT = 74, ROW = 40, LEFT = 8;

/** When a rule would have fired and how long, along time. The list below says the same; a click picks a row of it. */
export function Timeline({ firings, start, end, on, pick }: { firings: readonly Firing[]; start: number; end: number; on: number | undefined; pick: (n: number) => void }): JSX.Element {
  const place = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(600);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(([entry]) => entry && setWidth(Math.max(200, entry.contentRect.width)));
    observer.observe(place.current!);
    return () => observer.disconnect();
  }, []);
  const x = (at: number): number => LEFT + ((Math.min(end, Math.max(start, at)) - start) / (end - start)) * (width - 2 * LEFT);
  const ticks = Math.max(2, Math.min(7, Math.floor(width / 90)));
  const short = end - start <= 2 * 86_400_000;
  return (
    <div ref={place} className="timeline">
      <svg width={width} height={HEIGHT} viewBox={`0 0 ${width} ${HEIGHT}`} role="img" aria-label={t("centre.rules.timeline", { n: firings.length, from: dateTime(start), to: dateTime(end) })}>
        <line className="axis" x1={LEFT} x2={width - LEFT} y1={ROW} y2={ROW} />
        {firings.map((one, n) => {
          const from = x(Date.parse(one.at));
          return (
            <g key={n} className={n === on ? "fired on" : "fired"} onClick={() => pick(n)}>
              <rect x={from - 4} y={4} width={Math.max(8, x(one.until ? Date.parse(one.until) : end) - from + 4)} height={ROW - 4} className="hit" />
              <rect x={from} y={18} width={Math.max(3, x(one.until ? Date.parse(one.until) : end) - from)} height={ROW - 18} className="span" />
              <rect x={from} y={10} width={3} height={ROW - 10} />
            </g>
          );
        })}
        {Array.from({ length: ticks }, (_, i) => {
          const at = start + ((end - start) * i) / (ticks - 1);
          return (
            <g key={i} className="tick">
              <line x1={x(at)} x2={x(at)} y1={ROW} y2={ROW + 6} />
              <text x={x(at)} y={ROW + 22} textAnchor={i === 0 ? "start" : i === ticks - 1 ? "end" : "middle"}>{short ? clock(at) : day(at)}</text>
            </g>
          );
        })}
      </svg>
    </div>
  );
}
