import { session } from "./api";
import { setServerNow } from "./format";
import type { Model } from "./model";
import { Observable, throttled } from "./state";
import type { CityNow, Difference, Whole } from "./types";

export type Connection = "connecting" | "live" | "lost";

export const connection = new Observable<Connection>("connecting");
/** When something last came, in this machine's milliseconds; 0: nothing yet. */
export const lastFrame = new Observable(0);
/** The status that a replay was refused with; 0: it was not. */
export const refused = new Observable(0);

/** Longer than the server's heartbeat by a margin: a silent connection is a dead one. */
const SILENCE_MS = 40_000;
const MOST_HELD = 64;

/**
 * Follows the stream, live or replayed, of what the model looks at, for as long as the page lives. When that changes it
 * connects anew and names the views that it holds, so that only the others come whole.
 */
export function follow(model: Model, signedOut: () => void): () => void {
  const { store } = model;
  let stream: EventSource | undefined;
  let watchdog: ReturnType<typeof setTimeout> | undefined;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let attempt = 0;
  let stopped = false;
  /** What the views that are held were asked for with: tiles of other layers are no tiles of these. */
  let kind = "";
  let missing = new Set<string>();

  function alive(): void {
    clearTimeout(watchdog);
    watchdog = setTimeout(again, SILENCE_MS);
    attempt = 0;
    connection.value = "live";
    refused.value = 0;
  }

  function again(): void {
    stream?.close();
    clearTimeout(watchdog);
    clearTimeout(retry);
    if (stopped) return;
    connection.value = "lost";
    attempt += 1;
    retry = setTimeout(connect, Math.min(15_000, 500 * 2 ** Math.min(attempt, 5)) * (0.75 + Math.random() / 2));
  }

  function address(wanted: string[]): string {
    const source = model.source.value;
    const query = new URLSearchParams();
    const layers = [...model.visible.value].sort().join(",");
    const filter = model.filter.value;
    query.set("layers", layers);
    if (model.tiles.value.length) query.set("tiles", model.tiles.value.join(","));
    if (model.types.value.size) query.set("types", [...model.types.value].join(","));
    if (model.selected.value) query.set("ids", model.selected.value);
    if (filter) query.set("filter", filter);
    const now = source.kind === "live" ? `${layers} ${filter}` : "past";
    if (now === kind && source.kind === "live") {
      const held = wanted.filter((name) => store.views.has(name)).slice(0, MOST_HELD);
      if (held.length) query.set("held", held.map((name) => `${name}@${store.views.get(name)!.seq}`).join(","));
      missing = new Set(wanted.filter((name) => !store.views.has(name)));
    } else missing = new Set(wanted);
    kind = now;
    if (source.kind === "live") return `/api/centre/v1/live?${query}`;
    query.set("at", model.clock.value ?? source.at);
    query.set("speed", String(source.speed));
    return `/api/centre/v1/replay/stream?${query}`;
  }

  function connect(): void {
    clearTimeout(retry);
    stream?.close();
    const wanted = [
      ...model.tiles.value, ...[...model.types.value].map((type) => `type/${type}`), ...(model.selected.value ? [`id/${model.selected.value}`] : []),
    ];
    const mine = (stream = new EventSource(address(wanted)));
    const settle = (): void => {
      if (missing.size) return;
      for (const name of [...store.views.keys()]) if (!wanted.includes(name)) store.forget(name);
      if (wanted.length) model.settled.value += 1;
    };
    const on = <T>(name: string, heard: (data: T) => void): void =>
      mine.addEventListener(name, (event) => {
        if (mine !== stream) return;
        heard(JSON.parse((event as MessageEvent<string>).data) as T);
        alive();
      });
    on<{ now: number }>("hello", ({ now }) => {
      setServerNow(now);
      settle();
    });
    on("beat", () => undefined);
    on<Whole>("tile", (told) => {
      store.whole(told.tile, told);
      missing.delete(told.tile);
      lastFrame.value = Date.now();
      settle();
    });
    on<Difference>("frame", (told) => {
      store.difference(told.tile, told);
      lastFrame.value = Date.now();
    });
    on<CityNow>("city", (told) => (store.city.value = told));
    on<{ at: string }>("clock", ({ at }) => {
      setServerNow(Date.parse(at) / 1000);
      model.clock.value = at;
    });
    on("end", () => (model.source.value = { kind: "live" }));
    mine.onerror = () => {
      if (mine !== stream) return;
      connection.value = "lost";
      if (mine.readyState !== EventSource.CLOSED) return;
      again();
      if (kind === "past") void statusOf(mine.url).then((status) => { if (mine === stream) refused.value = status; });
      session.get().catch((problem: { status?: number }) => {
        if (problem.status === 401) signedOut();
      });
    };
  }

  const anew = throttled(120, () => void (stopped || connect()));
  connect();
  const undo = [
    model.tiles.watch(anew), model.visible.watch(anew), model.types.watch(anew), model.selected.watch(anew), model.filter.watch(anew),
    model.source.watch((source) => {
      model.clock.value = source.kind === "replay" ? source.at : null;
      anew();
    }),
  ];
  return () => {
    stopped = true;
    for (const stop of undo) stop();
    stream?.close();
    clearTimeout(watchdog);
    clearTimeout(retry);
  };
}

/** Asks for a stream again only to hear what status it is refused with, which an EventSource does not tell; 0: it is not. */
async function statusOf(address: string): Promise<number> {
  const heard = new AbortController();
  try {
    const answer = await fetch(address, { signal: heard.signal });
    return answer.ok ? 0 : answer.status;
  } catch {
    return 0;
  } finally {
    heard.abort();
  }
}
