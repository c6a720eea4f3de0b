import type { Text } from "../types";

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
export const SPEEDS = [1, 2, 4, 10, 30, 60] as const;

export interface PastEvent {
  at: string;
  id: string;
  name?: Text | { languageMap: Text } | string;
  severity?: string;
  category?: string;
  location?: unknown;
}

/** What the slider draws, as the server says it. */
export interface Span {
  begin: string;
  start: string;
  end: string;
  gaps: [string, string][];
  events: PastEvent[];
}

/** Spans of time, in milliseconds, of which there is no history: before it begins, and its gaps. */
export function empty(span: Span): [number, number][] {
  const gaps = span.gaps.map(([from, to]): [number, number] => [Date.parse(from), Date.parse(to)]);
  const [begin, start] = [Date.parse(span.begin), Date.parse(span.start)];
  return start > begin ? [[begin, start], ...gaps] : gaps;
}

const RANK = ["informational", "low", "medium", "high", "critical"];
export const rank = (event: PastEvent): number => RANK.indexOf(event.severity ?? "");

/** Events counted in bars of a width in pixels, each with the worst severity in it. */
export function bars(events: readonly PastEvent[], from: number, to: number, width: number, step = 4): { x: number; count: number; worst: number }[] {
  const found = new Map<number, { x: number; count: number; worst: number }>();
  for (const event of events) {
    const at = Date.parse(event.at);
    if (at < from || at >= to) continue;
    const x = Math.floor((((at - from) / (to - from)) * width) / step) * step;
    const bar = found.get(x) ?? { x, count: 0, worst: -1 };
    found.set(x, { x, count: bar.count + 1, worst: Math.max(bar.worst, rank(event)) });
  }
  return [...found.values()];
}

/** The part of the 30 days that is shown around an instant. */
export function windowOf(at: number, length: number, begin: number, end: number): [number, number] {
  if (length >= end - begin) return [begin, end];
  const from = Math.max(begin, Math.min(end - length, at - length / 2));
  return [from, from + length];
}
