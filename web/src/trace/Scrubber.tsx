import { ChevronLeft, ChevronRight, Pause, Play } from "lucide";
import { useEffect, useMemo, useRef, type JSX, type KeyboardEvent } from "react";
import { Button } from "react-aria-components";
import { clock, day, exact } from "../format";
import { t } from "../i18n";
import { calm } from "../settings";
import { useValue } from "../state";
import { Icon } from "../ui/Icon";
import { KIND_COLOUR, KINDS, midnight, type Course } from "./course";
import { useWidth } from "./width";
import { percent, placeName } from "./words";

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** What plays in a second: as much as shows a day in a good half minute. */
const PLAY_MS = 40 * MINUTE_MS;
const NIGHT = [[0, 6], [20, 24]] as const;
const HEIGHT = 62;
const STAYS_PX = 22;

/** Time as a strip: nights shaded, stays and evidence drawn, and a slider over all of it. */
export function Scrubber({ course }: { course: Course }): JSX.Element {
  const at = useValue(course.at);
  const [from, to] = useValue(course.view);
  const playing = useValue(course.playing);
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  const whole = from === course.from && to === course.to;
  const days = useMemo(() => course.days(), [course]);
  const today = midnight(at);

  useEffect(() => {
    if (!playing) return undefined;
    let last = performance.now();
    let frame = 0;
    const step = calm.value ? 500 : 0; // for who wants no motion it moves in steps
    const run = (now: number): void => {
      if (now - last >= step) {
        const next = course.at.value + ((now - last) / 1000) * PLAY_MS;
        last = now;
        const end = course.view.value[1];
        course.at.value = Math.min(next, end);
        if (next >= end) course.playing.value = false;
      }
      frame = requestAnimationFrame(run);
    };
    frame = requestAnimationFrame(run);
    return () => cancelAnimationFrame(frame);
  }, [course, playing]);

  function keys(event: KeyboardEvent<HTMLInputElement>): void {
    const step = { ArrowLeft: -5 * MINUTE_MS, ArrowDown: -5 * MINUTE_MS, ArrowRight: 5 * MINUTE_MS, ArrowUp: 5 * MINUTE_MS, PageDown: -HOUR_MS, PageUp: HOUR_MS }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    course.scrub(course.at.value + step);
  }

  const part = course.partAt(at);
  const where = !part ? t("trace.nowhere") : "stay" in part
    ? t("trace.atStay", { place: placeName(part.stay.places[0]), share: percent(part.stay.confidence) })
    : t("trace.moving");
  const next = (way: 1 | -1): void => {
    const index = days.indexOf(today);
    const day = days[Math.max(0, Math.min(days.length - 1, index + way))];
    if (day === undefined) return;
    course.showDay(day);
    course.scrub(day + (at - today));
  };
  return (
    <div className="scrubber">
      <div className="scrub-tools">
        <Button className="icon-button" aria-label={t(playing ? "trace.pause" : "trace.play")} onPress={() => { if (!playing) course.scrub(at >= to ? from : at); course.playing.value = !playing; }}><Icon node={playing ? Pause : Play} /></Button>
        <p className="scrub-now"><b>{exact(at, false)}</b> <span>{where}</span></p>
        <div className="scrub-days">
          <Button className="icon-button quiet" aria-label={t("trace.dayBefore")} isDisabled={today <= days[0]!} onPress={() => next(-1)}><Icon node={ChevronLeft} /></Button>
          <label className="field"><span className="visually-hidden">{t("trace.shownDays")}</span>
            <select value={whole ? "all" : String(midnight(from))} onChange={(event) => (event.target.value === "all" ? course.showAll() : course.showDay(Number(event.target.value)))}>
              <option value="all">{t("trace.wholePeriod")}</option>
              {days.map((one) => <option key={one} value={String(one)}>{day(one)}</option>)}
            </select>
          </label>
          <Button className="icon-button quiet" aria-label={t("trace.dayAfter")} isDisabled={today >= days.at(-1)!} onPress={() => next(1)}><Icon node={ChevronRight} /></Button>
        </div>
      </div>
      <div className="strip" ref={box}>
        <Strip course={course} from={from} to={to} width={width} />
        <svg className="strip-now" width={width} height={HEIGHT} aria-hidden="true">
          <line x1={((at - from) / (to - from)) * width} x2={((at - from) / (to - from)) * width} y1={0} y2={HEIGHT} />
        </svg>
        <input
          type="range" min={from} max={to} step={MINUTE_MS} value={at} aria-label={t("trace.time")} aria-valuetext={`${exact(at, false)}, ${where}`}
          onChange={(event) => course.scrub(Number(event.target.value))} onKeyDown={keys}
        />
      </div>
    </div>
  );
}

function Strip({ course, from, to, width }: { course: Course; from: number; to: number; width: number }): JSX.Element {
  return useMemo(() => {
    const x = (at: number): number => ((Math.max(from, Math.min(to, at)) - from) / (to - from)) * width;
    const days = course.days().filter((start) => start < to && start + DAY_MS > from);
    const each = Math.max(1, Math.ceil(46 / (width / Math.max(1, days.length))));
    const hours = days.length > 1 ? [] : width < 520 ? [6, 12, 18] : [3, 6, 9, 12, 15, 18, 21];
    const ticks = new Map<string, { x: number; kind: (typeof KINDS)[number]; count: number }>();
    for (const row of course.rows) {
      if (row.from < from || row.from > to) continue;
      const at = Math.round(x(row.from));
      const key = `${at}/${row.kind}`;
      const tick = ticks.get(key);
      if (tick) tick.count += 1;
      else ticks.set(key, { x: at, kind: row.kind, count: 1 });
    }
    const most = Math.max(1, ...[...ticks.values()].filter(({ kind }) => kind === "phone").map(({ count }) => count));
    return (
      <svg width={width} height={HEIGHT} aria-hidden="true">
        {days.flatMap((start) => NIGHT.map(([begin, end]) => <rect key={`${start}/${begin}`} className="night" x={x(start + begin * HOUR_MS)} width={Math.max(0, x(start + end * HOUR_MS) - x(start + begin * HOUR_MS))} y={0} height={HEIGHT} />))}
        {days.map((start, index) => (
          <g key={start}>
            <line className="day-line" x1={x(start)} x2={x(start)} y1={0} y2={HEIGHT} />
            {index % each === 0 && <text x={x(start) + 4} y={13}>{day(start)}</text>}
          </g>
        ))}
        {hours.map((hour) => <text key={hour} className="hour" x={x(days[0]! + hour * HOUR_MS)} y={13} textAnchor="middle">{clock(days[0]! + hour * HOUR_MS)}</text>)}
        {course.parts.map((part) => {
          if (part.to < from || part.from > to) return null;
          const [left, right] = [x(part.from), x(part.to)];
          return "stay" in part
            ? <rect key={part.stay.id} className="stay-bar" x={left} width={Math.max(1.5, right - left)} y={STAYS_PX} height={20} rx={2} opacity={0.25 + 0.75 * part.stay.confidence} />
            : <rect key={part.move.id} className="move-bar" x={left} width={Math.max(1, right - left)} y={STAYS_PX + 9} height={2.5} />;
        })}
        {[...ticks].sort(([, a], [, b]) => Number(b.kind === "phone") - Number(a.kind === "phone")).map(([key, tick]) => {
          // The phone is heard all the time; how often shows as height, and what is rarer stands out before it.
          const height = tick.kind === "phone" ? Math.max(1.5, (7 * tick.count) / most) : 13;
          return <rect key={key} x={tick.x - 1} width={2} y={HEIGHT - 2 - height} height={height} fill={KIND_COLOUR[tick.kind]} />;
        })}
      </svg>
    );
  }, [course, from, to, width]);
}
