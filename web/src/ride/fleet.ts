import { useRef, useState } from "react";
import { throttled } from "../state";
import { useStream, type Line } from "./stream";
import type { Entry, Figures, Fleet, FleetNews, Risk, Van } from "./types";

/** How soon lists that are asked for are asked for again after something happened. */
const AGAIN_MS = 2_000;
const MOST_NEWS = 200;

export interface LiveFleet {
  vans: ReadonlyMap<string, Van>;
  risks: readonly Risk[];
  figures: Figures | null;
  /** Decisions that came by the stream, newest first. */
  news: readonly Entry[];
  /** Grows when trips, decisions or figures may have changed. */
  version: number;
  line: Line;
  lostAt: number;
  known: boolean;
}

const counts = (figures: Figures | null): string => (figures ? [figures.waiting, figures.aboard, figures.served, figures.refused].join() : "");

/** The fleet as the server pushes it: whole at first, then the vans that changed. */
export function useFleet(): LiveFleet {
  const [fleet, setFleet] = useState<{ vans: ReadonlyMap<string, Van>; risks: readonly Risk[]; figures: Figures | null; known: boolean }>({ vans: new Map(), risks: [], figures: null, known: false });
  const [news, setNews] = useState<readonly Entry[]>([]);
  const [version, setVersion] = useState(0);
  const soon = useRef<() => void>(undefined);
  soon.current ??= throttled(AGAIN_MS, () => setVersion((count) => count + 1));
  const { line, lostAt } = useStream("/fleet/live", {
    fleet: (told: FleetNews) => setFleet((before) => {
      const vans = new Map(told.full ? [] : before.vans);
      for (const van of told.vans ?? []) vans.set(van.id, van);
      for (const id of told.gone ?? []) vans.delete(id);
      const figures = told.figures ?? before.figures;
      if (counts(figures) !== counts(before.figures)) queueMicrotask(() => soon.current!());
      return { vans, risks: told.at_risk ?? before.risks, figures, known: true };
    }),
    risk: (told: { at_risk?: Fleet["at_risk"] }) => { if (told.at_risk) setFleet((before) => ({ ...before, risks: told.at_risk! })); },
    log: (entry: Entry) => {
      setNews((before) => [entry, ...before].slice(0, MOST_NEWS));
      soon.current!();
    },
  });
  return { ...fleet, news, version, line, lostAt };
}

/** Seconds that a van is behind its plan, at the worst of its stops. */
export const lateness = (van: Van): number => Math.max(0, ...van.plan.map(({ late_s }) => late_s ?? 0));
