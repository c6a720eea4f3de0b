import { useEffect, useRef, useState } from "react";
import { throttled } from "../state";
import { ask } from "./data";
import { useStream, type Line } from "./stream";
import type { Entry, FigurePoint, Figures, Fleet, FleetNews, Risk, Stop, Van } from "./types";

/** How soon lists that are asked for are asked for again after something happened. */
const AGAIN_MS = 2_000;
const MOST_NEWS = 200;
/** What was seen of the figures is charted: one point in so long, for a shift. */
const POINT_MS = 30_000;
const MOST_POINTS = 1_200;

export interface LiveFleet {
  vans: ReadonlyMap<string, Van>;
  risks: readonly Risk[];
  figures: Figures | null;
  /** Where vans can be sent. */
  stops: readonly Stop[];
  /** The figures since the page was opened. */
  points: readonly FigurePoint[];
  /** Decisions that came by the stream, newest first. */
  news: readonly Entry[];
  /** Grows when trips, decisions or figures may have changed. */
  version: number;
  line: Line;
  lostAt: number;
  known: boolean;
}

const counts = (figures: Figures | null): string => (figures ? [figures.waiting, figures.aboard, figures.served, figures.refused].join() : "");

/** The fleet as the server pushes it: whole, or the vans that changed where it says so. */
export function useFleet(): LiveFleet {
  const [fleet, setFleet] = useState<{ vans: ReadonlyMap<string, Van>; risks: readonly Risk[]; figures: Figures | null; known: boolean }>({ vans: new Map(), risks: [], figures: null, known: false });
  const [stops, setStops] = useState<readonly Stop[]>([]);
  const points = useRef<FigurePoint[]>([]);
  const [news, setNews] = useState<readonly Entry[]>([]);
  const [version, setVersion] = useState(0);
  const soon = useRef<() => void>(undefined);
  soon.current ??= throttled(AGAIN_MS, () => setVersion((count) => count + 1));
  const { line, lostAt } = useStream("/fleet/live", {
    fleet: (told: FleetNews) => setFleet((before) => {
      const vans = new Map(told.full === false ? before.vans : []);
      for (const van of told.vans ?? []) vans.set(van.id, van);
      for (const id of told.gone ?? []) vans.delete(id);
      const figures = told.figures ?? before.figures;
      const last = points.current.at(-1);
      if (figures && (!last || Date.parse(figures.at) - Date.parse(last.at) >= POINT_MS)) points.current = [...points.current.slice(-MOST_POINTS), figures];
      if (counts(figures) !== counts(before.figures)) queueMicrotask(() => soon.current!());
      return { vans, risks: told.at_risk ?? before.risks, figures, known: true };
    }),
    risk: (told: { at_risk?: Fleet["at_risk"] }) => { if (told.at_risk) setFleet((before) => ({ ...before, risks: told.at_risk! })); },
    log: (entry: Entry) => {
      setNews((before) => [entry, ...before].slice(0, MOST_NEWS));
      soon.current!();
    },
  });
  const there = line === "live";
  useEffect(() => {
    if (there) ask<{ stops: Stop[] }>("/stops").then(({ stops: all }) => setStops(all), () => undefined);
  }, [there]);
  return { ...fleet, stops, points: points.current, news, version, line, lostAt };
}

/** Seconds that a van is behind its plan, at the worst of its stops. */
export const lateness = (van: Van): number => Math.max(0, ...van.plan.map(({ late_s }) => late_s ?? 0));
