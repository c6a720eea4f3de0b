import { useEffect, useRef, useState } from "react";
import { ended, session } from "../api";
import { keep, kept, ROOT } from "./data";

export type Line = "connecting" | "live" | "lost";

/** Longer than two of the server's beats: a line that was heard beating and is silent for so long is dead. */
const SILENCE_MS = 40_000;
const MOST_WAIT_MS = 15_000;
const HEARD = "hanmaru.ride.heard";

/** What happens to each event's data, by the event's name. */
export type Handlers = Record<string, (data: never) => void>;

/** Follows a stream of the room until it is stopped; connects anew where the browser gives up or the line is silent. */
export function follow(path: string, handlers: Handlers, changed: (line: Line) => void): () => void {
  let source: EventSource | undefined;
  let watchdog: ReturnType<typeof setTimeout> | undefined;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let attempt = 0;
  let beats = false;
  let stopped = false;

  function alive(): void {
    attempt = 0;
    keep(HEARD, Date.now());
    changed("live");
    clearTimeout(watchdog);
    if (beats) watchdog = setTimeout(again, SILENCE_MS);
  }

  function again(): void {
    source?.close();
    clearTimeout(watchdog);
    clearTimeout(retry);
    if (stopped) return;
    changed("lost");
    attempt += 1;
    retry = setTimeout(connect, Math.min(MOST_WAIT_MS, 500 * 2 ** Math.min(attempt, 5)) * (0.75 + Math.random() / 2));
  }

  function connect(): void {
    source?.close();
    clearTimeout(retry);
    source = new EventSource(ROOT + path);
    source.onopen = alive;
    source.addEventListener("beat", () => {
      beats = true;
      alive();
    });
    for (const [name, handle] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => {
        alive();
        handle(JSON.parse((event as MessageEvent<string>).data) as never);
      });
    }
    source.onerror = () => {
      changed("lost");
      if (source?.readyState !== EventSource.CLOSED) return;
      again();
      session.get().catch((problem: { status?: number }) => {
        if (problem.status === 401) ended.value += 1;
      });
    };
  }

  const gone = (): void => changed("lost");
  addEventListener("online", connect);
  addEventListener("offline", gone);
  connect();
  return () => {
    stopped = true;
    removeEventListener("online", connect);
    removeEventListener("offline", gone);
    source?.close();
    clearTimeout(watchdog);
    clearTimeout(retry);
  };
}

/** Follows a stream while the component is there. Returns how the line is and, while it is lost, when it was last heard, in milliseconds; also before this page was opened. */
export function useStream(path: string | null, handlers: Handlers): { line: Line; lostAt: number } {
  const [state, setState] = useState<{ line: Line; lostAt: number }>({ line: "connecting", lostAt: 0 });
  const current = useRef(handlers);
  current.current = handlers;
  useEffect(() => {
    if (path === null) return undefined;
    const latest = Object.fromEntries(Object.keys(current.current).map((name) => [name, (data: never) => current.current[name]!(data)]));
    return follow(path, latest, (line) => setState((before) => (before.line === line ? before : { line, lostAt: line === "lost" ? kept(HEARD, Date.now()) : 0 })));
  }, [path]);
  return state;
}
