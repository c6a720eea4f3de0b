import { session } from "./api";
import { setServerNow } from "./format";
import { Observable } from "./state";
import type { CityStore } from "./store";
import type { Frame } from "./types";

export type Connection = "connecting" | "live" | "lost";

export const connection = new Observable<Connection>("connecting");
/** When the last frame came, in this machine's milliseconds; 0: none yet. */
export const lastFrame = new Observable(0);

/** Longer than the server's heartbeat by a margin: a silent connection is a dead one. */
const SILENCE_MS = 40_000;

/**
 * Follows the live stream for as long as the page lives. The browser reconnects by itself with `Last-Event-ID`; where
 * it gives up (an error status, a silent network) this connects anew from the store's sequence number.
 */
export function follow(store: CityStore, resync: () => Promise<void>, signedOut: () => void): () => void {
  let source: EventSource | undefined;
  let watchdog: ReturnType<typeof setTimeout> | undefined;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let attempt = 0;
  let stopped = false;

  function alive(): void {
    clearTimeout(watchdog);
    watchdog = setTimeout(again, SILENCE_MS);
    attempt = 0;
    connection.value = "live";
  }

  function again(): void {
    source?.close();
    clearTimeout(watchdog);
    clearTimeout(retry);
    if (stopped) return;
    connection.value = "lost";
    attempt += 1;
    retry = setTimeout(connect, Math.min(15_000, 500 * 2 ** Math.min(attempt, 5)) * (0.75 + Math.random() / 2));
  }

  function connect(): void {
    source = new EventSource(`/api/centre/v1/live?after=${store.seq}`);
    source.addEventListener("hello", (event) => {
      setServerNow((JSON.parse(event.data) as { now: number }).now);
      alive();
    });
    source.addEventListener("beat", alive);
    source.addEventListener("frame", (event) => {
      store.apply(JSON.parse(event.data) as Frame);
      lastFrame.value = Date.now();
      alive();
    });
    source.addEventListener("resync", () => {
      alive();
      resync().catch(again);
    });
    source.onerror = () => {
      connection.value = "lost";
      if (source?.readyState !== EventSource.CLOSED) return;
      again();
      session.get().catch((problem: { status?: number }) => {
        if (problem.status === 401) signedOut();
      });
    };
  }

  connect();
  return () => {
    stopped = true;
    source?.close();
    clearTimeout(watchdog);
    clearTimeout(retry);
  };
}
