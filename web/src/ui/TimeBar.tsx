import { ChevronLeft, ChevronRight, History, Pause, Play, Radio } from "lucide";
import { useEffect, useMemo, useRef, useState, type JSX, type KeyboardEvent } from "react";
import { Button, ToggleButton, ToggleButtonGroup } from "react-aria-components";
import { api } from "../api";
import { clock, day, exact, instantOf, nameOf } from "../format";
import { language, t } from "../i18n";
import { refused } from "../live";
import type { Model } from "../model";
import { useLoaded } from "../office/data";
import { bars, DAY, empty, HOUR, MINUTE, SPEEDS, windowOf, type PastEvent, type Span } from "../replay/span";
import { useValue } from "../state";
import { useWidth } from "../trace/width";
import type { Mine } from "../types";
import { Icon } from "./Icon";

import "../styles/centre-replay.css";

const HEIGHT = 40;
const LENGTHS = [30 * DAY, DAY, HOUR];
const READ_EVERY_MS = 60_000;
/** How long the hand has to rest before the city is read as of where it is. */
const REST_MS = 140;
/** What is said of the statuses that a replay is refused with until others end. */
const WHY: Record<number, string | undefined> = { 429: "centre.replay.yours", 503: "centre.replay.full" };

/** The time slider: the city as it was at any minute of the last 30 days, standing still or played. */
export function TimeBar({ model }: { model: Model }): JSX.Element {
  const source = useValue(model.source);
  const { data: mine } = useLoaded<Mine>("/api/policy/v1/mine");
  const [open, setOpen] = useState(false);
  useValue(language);
  if (!mine?.actions.includes("centre.watch")) return <></>;
  if (source.kind === "live" && !open)
    return <Button className="button time-open" onPress={() => setOpen(true)}><Icon node={History} size={16} />{t("centre.replay.open")}</Button>;
  return <Bar model={model} close={() => { model.source.value = { kind: "live" }; setOpen(false); }} />;
}

function Bar({ model, close }: { model: Model; close: () => void }): JSX.Element {
  const source = useValue(model.source);
  const shown = useValue(model.clock);
  const refusal = WHY[useValue(refused)];
  const read = useSpan();
  const span = read?.span;
  const [speed, setSpeed] = useState(source.kind === "replay" && source.speed ? source.speed : 1);
  const [length, setLength] = useState(LENGTHS[0]!);
  const [hand, setHand] = useState<number>();
  const resting = useRef<ReturnType<typeof setTimeout>>(undefined);
  const past = source.kind === "replay";
  const playing = past && source.speed > 0;
  const end = present(read);
  const begin = end - 30 * DAY;
  const at = Math.max(begin, hand ?? (past ? Date.parse(shown ?? source.at) : end));
  const [from, to] = useMemo(() => windowOf(Math.round(at / (length / 4)) * (length / 4), length, begin, end), [Math.round(at / (length / 4)), length, Math.round(end / MINUTE)]);
  const nothing = useMemo(() => (span ? empty(span) : []), [span]);
  const none = past && nothing.some(([first, last]) => first < at && at < last);
  useEffect(() => () => clearTimeout(resting.current), []);

  function go(instant: number, pace = playing ? speed : 0): void {
    clearTimeout(resting.current);
    setHand(undefined);
    const bounded = Math.min(Math.max(instant, begin), present(read) - 1000);
    model.source.value = { kind: "replay", at: new Date(bounded).toISOString(), speed: pace };
  }
  function drag(instant: number): void {
    setHand(instant);
    clearTimeout(resting.current);
    resting.current = setTimeout(() => go(instant), REST_MS);
  }
  function keys(event: KeyboardEvent<HTMLInputElement>): void {
    const little = event.shiftKey ? 10 * MINUTE : MINUTE;
    const step = { ArrowLeft: -little, ArrowDown: -little, ArrowRight: little, ArrowUp: little, PageDown: -HOUR, PageUp: HOUR }[event.key];
    const to = { Home: begin, End: end }[event.key] ?? (step === undefined ? undefined : Math.round(at / MINUTE) * MINUTE + step);
    if (to === undefined) return;
    event.preventDefault();
    drag(Math.min(Math.max(to, begin), end));
  }
  const events = span?.events ?? [];
  const next = (way: 1 | -1): PastEvent | undefined =>
    way > 0 ? events.find((event) => Date.parse(event.at) > at + 500) : events.findLast((event) => Date.parse(event.at) < at - 500);
  const told = past ? t(none ? "centre.replay.none" : "centre.replay.past", { at: exact(at, false) }) : t("centre.replay.live");
  return (
    <section className="time-bar" aria-label={t("centre.replay.title")} data-past={past || undefined}>
      <div className="time-tools">
        <Button className="icon-button" aria-label={t(playing ? "centre.replay.pause" : "centre.replay.play")} isDisabled={!past} onPress={() => go(at, playing ? 0 : speed)}><Icon node={playing ? Pause : Play} /></Button>
        <ToggleButtonGroup
          className="segments" aria-label={t("centre.replay.speed")} selectionMode="single" disallowEmptySelection selectedKeys={[String(speed)]}
          onSelectionChange={([chosen]) => { const wanted = Number(chosen); setSpeed(wanted); if (playing) go(at, wanted); }}
        >
          {SPEEDS.map((one) => <ToggleButton key={one} id={String(one)} className="segment" aria-label={t("centre.replay.times", { speed: one })}>{one}×</ToggleButton>)}
        </ToggleButtonGroup>
        <div className="time-now" data-past={past || undefined}>
          <b className="time-state">{t(past ? "centre.replay.isPast" : "centre.replay.isLive")}</b>
          <Entry at={at} go={go} />
        </div>
        <div className="time-events">
          <Button className="icon-button quiet" aria-label={t("centre.replay.before")} isDisabled={!next(-1)} onPress={() => go(Date.parse(next(-1)!.at), 0)}><Icon node={ChevronLeft} /></Button>
          <select aria-label={t("centre.replay.jump")} value="" onChange={(event) => go(Date.parse(event.target.value), 0)}>
            <option value="">{t("centre.replay.events", { count: events.length })}</option>
            {events.slice(-200).reverse().map((event) => <option key={`${event.id}/${event.at}`} value={event.at}>{`${exact(event.at, false)} ${titleOf(event)}`}</option>)}
          </select>
          <Button className="icon-button quiet" aria-label={t("centre.replay.after")} isDisabled={!next(1)} onPress={() => go(Date.parse(next(1)!.at), 0)}><Icon node={ChevronRight} /></Button>
        </div>
        <select aria-label={t("centre.replay.length")} value={length} onChange={(event) => setLength(Number(event.target.value))}>
          {LENGTHS.map((one, index) => <option key={one} value={one}>{t(["centre.replay.month", "centre.replay.day", "centre.replay.hour"][index]!)}</option>)}
        </select>
        <Button className="button time-back" onPress={close}><Icon node={Radio} size={16} />{t(past ? "centre.replay.back" : "centre.replay.close")}</Button>
      </div>
      <Strip events={events} nothing={nothing} from={from} to={to} at={at}>
        <input
          type="range" min={Math.floor(from / MINUTE)} max={Math.floor(to / MINUTE)} step={1} value={Math.floor(at / MINUTE)}
          aria-label={t("centre.replay.slider")} aria-valuetext={told} onChange={(event) => drag(Number(event.target.value) * MINUTE)} onKeyDown={keys}
        />
      </Strip>
      <p className="time-none" role="status">{past && refusal ? t(refusal) : none && t("centre.replay.noHistory")}</p>
      <p className="visually-hidden" role="status">{past ? t("centre.replay.entered", { at: exact(source.at, false) }) : t("centre.replay.left")}</p>
    </section>
  );
}

/** The instant, to be read and to be typed. */
function Entry({ at, go }: { at: number; go: (instant: number) => void }): JSX.Element {
  const [typed, setTyped] = useState<string>();
  const enter = (): void => {
    const instant = typed === undefined ? undefined : instantOf(typed.slice(0, 16));
    setTyped(undefined);
    if (instant) go(Date.parse(instant));
  };
  return (
    <input
      type="datetime-local" aria-label={t("centre.replay.entry")} value={typed ?? exact(at, false).replace(" ", "T")}
      onChange={(event) => setTyped(event.target.value)} onBlur={enter} onKeyDown={(event) => { if (event.key === "Enter") enter(); }}
    />
  );
}

interface StripProps {
  events: readonly PastEvent[];
  nothing: readonly [number, number][];
  from: number;
  to: number;
  at: number;
  children: JSX.Element;
}

function Strip({ events, nothing, from, to, at, children }: StripProps): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  const x = (instant: number): number => ((Math.max(from, Math.min(to, instant)) - from) / (to - from)) * width;
  const drawn = useMemo(() => {
    const counted = bars(events, from, to, width);
    const most = Math.max(1, ...counted.map(({ count }) => count));
    const step = [MINUTE * 10, HOUR, 3 * HOUR, DAY, 5 * DAY].find((one) => ((to - from) / one) * 46 < width) ?? 10 * DAY;
    const first = Date.parse(instantOf(exact(from).slice(0, 10)) ?? "") || from;
    const marks: number[] = [];
    for (let mark = first; mark < to; mark += step) if (mark > from) marks.push(mark);
    return (
      <svg width={width} height={HEIGHT} aria-hidden="true">
        <defs><pattern id="time-hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="6" height="6" className="hatch-ground" /><line x1="0" y1="0" x2="0" y2="6" className="hatch" /></pattern></defs>
        {nothing.map(([begin, end]) => <rect key={begin} x={x(begin)} width={Math.max(1, x(end) - x(begin))} y={0} height={HEIGHT} fill="url(#time-hatch)" />)}
        {marks.map((mark) => <g key={mark}><line className="mark" x1={x(mark)} x2={x(mark)} y1={0} y2={HEIGHT} /><text x={x(mark) + 3} y={11}>{step < DAY ? clock(mark) : day(mark)}</text></g>)}
        {counted.map((bar) => {
          const height = 6 + (16 * bar.count) / most;
          return <rect key={bar.x} className="event-bar" data-rank={bar.worst} x={bar.x} width={3} y={HEIGHT - height} height={height} rx={1} />;
        })}
      </svg>
    );
  }, [events, nothing, from, to, width]);
  return (
    <div className="time-strip" ref={box}>
      {drawn}
      <svg className="time-hand" width={width} height={HEIGHT} aria-hidden="true"><line x1={x(at)} x2={x(at)} y1={0} y2={HEIGHT} /></svg>
      {children}
    </div>
  );
}

function titleOf(event: PastEvent): string {
  return event.name ? nameOf(event.id, { name: event.name }) : [event.category, event.severity].filter(Boolean).join(" · ");
}

interface Read {
  span: Span;
  /** This machine's milliseconds when it came. */
  came: number;
}

/** The server's present: not `now()`, which is the clock of what is shown. */
function present(read: Read | undefined): number {
  return read ? Date.parse(read.span.end) + Date.now() - read.came : Date.now();
}

/** What the slider draws, read again now and then. */
function useSpan(): Read | undefined {
  const [read, setRead] = useState<Read>();
  useEffect(() => {
    const gone = new AbortController();
    const ask = (): void => void api.get<Span>("/api/centre/v1/replay/span", gone.signal).then((span) => setRead({ span, came: Date.now() })).catch(() => undefined);
    ask();
    const timer = setInterval(ask, READ_EVERY_MS);
    return () => { clearInterval(timer); gone.abort(); };
  }, []);
  return read;
}
