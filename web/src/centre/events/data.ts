import type { Geometry, Position } from "geojson";
import { useEffect, useRef, useState } from "react";
import { ended, session } from "../../api";
import { now, setServerNow } from "../../format";
import { hasMessage, t, text } from "../../i18n";
import { SEVERITIES, type CityEvent, type Notice } from "./types";

export const ROOT = "/api/centre/v1";

/** Longer than two of the server's beats: a line that is silent for so long is dead. */
const SILENCE_MS = 40_000;

/** Follows what changes of events while the component is there. Returns whether the line is up. */
export function useChanges(changed: (id: string | null) => void, noticed?: (notice: Notice) => void): boolean {
  const [up, setUp] = useState(true);
  const heard = useRef({ changed, noticed });
  heard.current = { changed, noticed };
  useEffect(() => {
    let source: EventSource | undefined;
    let last = 0;
    let position = "";
    let stopped = false;
    const alive = (event?: MessageEvent<string>): void => {
      last = Date.now();
      if (event?.lastEventId) position = event.lastEventId;
      setUp(true);
    };
    const connect = (): void => {
      source?.close();
      last = Date.now();
      source = new EventSource(`${ROOT}/events/stream${position && `?after=${position}`}`);
      source.addEventListener("hello", (event: MessageEvent<string>) => {
        alive(event);
        setServerNow(Date.parse((JSON.parse(event.data) as { now: string }).now) / 1000);
      });
      source.addEventListener("beat", () => alive());
      source.addEventListener("resync", (event: MessageEvent<string>) => { alive(event); heard.current.changed(null); });
      source.addEventListener("event", (event: MessageEvent<string>) => { alive(event); heard.current.changed((JSON.parse(event.data) as { id: string }).id); });
      source.addEventListener("notice", (event: MessageEvent<string>) => { alive(event); heard.current.noticed?.(JSON.parse(event.data) as Notice); });
      source.onerror = () => {
        setUp(false);
        if (source?.readyState !== EventSource.CLOSED) return;
        last = 0;
        session.get().catch((problem: { status?: number }) => { if (problem.status === 401) ended.value += 1; });
      };
    };
    connect();
    const watchdog = setInterval(() => { if (!stopped && Date.now() - last > SILENCE_MS) connect(); }, 3000);
    addEventListener("online", connect);
    return () => {
      stopped = true;
      clearInterval(watchdog);
      removeEventListener("online", connect);
      source?.close();
    };
  }, []);
  return up;
}

/** Says the time anew every second, for what counts down. */
export function useClock(): number {
  const [at, setAt] = useState(now());
  useEffect(() => {
    const timer = setInterval(() => setAt(now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return at;
}

/** A word of the centre's for a code, else the code. */
export function word(group: string, code: string | null | undefined): string {
  if (!code) return "–";
  const key = `centre.${group}.${code}`;
  return hasMessage(key) ? t(key) : code;
}

/** Who did something: an account's name, or in words the centre itself or an agency. */
export function person(who: string | null | undefined): string {
  if (who?.startsWith("agency:")) return word("agency", who.slice("agency:".length));
  return who?.startsWith("system:") ? word("who", "system") : word("who", who);
}

/** A length of time as a clock shows it: 4:07, or 1:04:07. */
export function ticking(ms: number): string {
  const seconds = Math.abs(Math.round(ms / 1000));
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, String(seconds % 60).padStart(2, "0")];
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** Where something is: a point itself, the first position of another geometry. */
export function pointOf(location: Geometry | null | undefined): [number, number] | undefined {
  let value: unknown = location && "coordinates" in location ? location.coordinates : undefined;
  while (Array.isArray(value) && Array.isArray(value[0])) value = value[0];
  const [lon, lat] = (value as Position | undefined) ?? [];
  return lon === undefined || lat === undefined ? undefined : [lon, lat];
}

export function placeOf(event: CityEvent): string {
  const point = pointOf(event.location);
  const named = typeof event.place === "string" ? event.place : text(event.place ?? undefined);
  return named || (point ? `${point[1].toFixed(5)}, ${point[0].toFixed(5)}` : "");
}

/** The gravest first; of equals those nobody has, then the oldest. */
export function byUrgency(a: CityEvent, b: CityEvent): number {
  const rank = (event: CityEvent): number => (event.state === "closed" ? 100 : 0) + SEVERITIES.indexOf(event.severity) * 2 + (event.state === "open" ? 0 : 1);
  return rank(a) - rank(b) || (a.state === "closed" ? b.opened.localeCompare(a.opened) : a.opened.localeCompare(b.opened));
}
