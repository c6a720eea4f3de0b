import { useEffect, useMemo, useRef, useState } from "react";
import { api } from "../../api";
import { reason } from "../../problems";
import type { Ask, Tile } from "./model";

export const ROOT = "/api/centre/v1/boards";
const VALUES_MS = 4_000;
const SERIES_MS = 30_000;
/** As far back as a trend looks. */
export const TREND_H = 1;

export interface Figure {
  value?: number | null;
  count?: number;
  points?: [number, number][];
  step_s?: number;
  entities?: number;
  of?: number;
  items?: { id: string; name: unknown; value: number }[];
  problem?: string;
}

export const keyOf = (ask: Ask): string => JSON.stringify(ask);

/** The series behind a value, for its trend; numbers of entities have none. */
export function trendOf(tile: Tile): Ask | undefined {
  return tile.kind === "value" && tile.ask?.attr && tile.ask.agg !== "count" ? { ...tile.ask, want: "series", hours: 6 } : undefined;
}

function asksOf(tiles: readonly Tile[]): Ask[] {
  return tiles.flatMap((tile) => (["value", "chart", "list"].includes(tile.kind) && tile.ask ? [tile.ask, ...[trendOf(tile)].filter((ask) => ask !== undefined)] : []));
}

/** What the tiles show, asked for together while the page is seen: values often, series seldom. */
export function useFigures(tiles: readonly Tile[], board: string): { figures: ReadonlyMap<string, Figure>; problem: string; version: number; by: string } {
  const [figures, setFigures] = useState<ReadonlyMap<string, Figure>>(new Map());
  const [state, setState] = useState({ problem: "", version: 0, by: "" });
  const asked = useRef(new Map<string, number>());
  const wanted = useMemo(() => JSON.stringify([...new Map(asksOf(tiles).map((ask) => [keyOf(ask), ask])).values()]), [tiles]);
  useEffect(() => {
    const asks = JSON.parse(wanted) as Ask[];
    let stopped = false;
    /** Values do not wait for series, which take longer to find. */
    function follow(all: readonly Ask[], everyMs: number, ofBoard: string): () => Promise<void> {
      let busy = false;
      return async () => {
        if (busy || document.visibilityState === "hidden") return;
        const at = performance.now();
        const due = all.filter((one) => at - (asked.current.get(keyOf(one)) ?? -Infinity) >= everyMs - 200);
        if (due.length === 0 && !ofBoard) return;
        busy = true;
        try {
          const answer = await api.post<{ items: Figure[]; version?: number; by?: string }>(`${ROOT}/data`, { asks: due, board: ofBoard });
          if (stopped) return;
          for (const one of due) asked.current.set(keyOf(one), at);
          setFigures((before) => new Map([...before, ...due.map((one, index): [string, Figure] => [keyOf(one), answer.items[index]!])]));
          setState((before) => (ofBoard ? { problem: "", version: answer.version ?? 0, by: answer.by ?? "" } : { ...before, problem: "" }));
        } catch (error) {
          if (!stopped) setState((before) => ({ ...before, problem: reason(error) }));
        } finally {
          busy = false;
        }
      };
    }
    const values = follow(asks.filter(({ want }) => want !== "series"), VALUES_MS, board);
    const series = follow(asks.filter(({ want }) => want === "series"), SERIES_MS, "");
    const ask = (): void => void Promise.all([values(), series()]);
    ask();
    const timer = setInterval(ask, VALUES_MS);
    document.addEventListener("visibilitychange", ask);
    return () => {
      stopped = true;
      clearInterval(timer);
      document.removeEventListener("visibilitychange", ask);
    };
  }, [wanted, board]);
  return { figures, ...state };
}
