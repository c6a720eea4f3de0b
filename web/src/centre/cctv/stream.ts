import { ended } from "../../api";
import type { Text } from "../../types";
import type { State } from "./types";

export const ROOT = "/api/centre/v1";

/** A moving thing: its box in shares of the frame. */
export interface Track {
  id: number;
  kind: string;
  box: [number, number, number, number];
}

/** What comes with a picture. `veil` says what hides faces: `none` under a grant. */
export interface Header {
  camera: string;
  at: string;
  seq: number;
  width: number;
  height: number;
  state?: State;
  veil?: "faces" | "whole" | "none";
  tracks?: Track[];
}

export interface Told {
  camera: string;
  state: State;
  since: string | null;
  notice?: Text | null;
}

/** Somebody who looks at one camera. A bitmap is the viewer's to draw, not to keep. */
export interface Viewer {
  picture: (bitmap: ImageBitmap, header: Header) => void;
  told: (told: Told) => void;
  line: (up: boolean) => void;
}

const PICTURE = 1;
const MOST_MESSAGE = 8 << 20;
/** A line that is silent for so long is taken for dead; states come when it opens, pictures many times a second. */
const SILENCE_MS = 20_000;
const MOST_WAIT_MS = 8_000;
/** Cameras come and go together when a wall is drawn: one line is opened for all of them. */
const SETTLE_MS = 60;

/** One response that carries the pictures of all cameras of one size; a grant has one of its own, for it ends. */
class Line {
  readonly #viewers = new Map<string, Set<Viewer>>();
  readonly #states = new Map<string, Told>();
  /** The newest picture of a camera that is not decoded yet: an older one is dropped. */
  readonly #waiting = new Map<string, { header: Header; jpeg: Uint8Array<ArrayBuffer> }>();
  readonly #decoding = new Set<string>();
  #abort: AbortController | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #attempt = 0;
  #asked = "";
  up = false;

  constructor(readonly height: number, readonly grant: string) {
    document.addEventListener("visibilitychange", () => this.#settle());
  }

  watch(camera: string, viewer: Viewer): () => void {
    const viewers = this.#viewers.get(camera) ?? new Set();
    this.#viewers.set(camera, viewers.add(viewer));
    const known = this.#states.get(camera);
    if (known) viewer.told(known);
    viewer.line(this.up);
    this.#settle();
    return () => {
      viewers.delete(viewer);
      if (viewers.size === 0) {
        this.#viewers.delete(camera);
        this.#states.delete(camera);
        this.#waiting.delete(camera);
      }
      this.#settle();
    };
  }

  #settle(after = SETTLE_MS): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#connect(), after);
  }

  #path(): string {
    if (document.visibilityState === "hidden" || this.#viewers.size === 0) return "";
    const asked = new URLSearchParams({ ids: [...this.#viewers.keys()].sort().join(","), height: String(this.height) });
    if (this.grant) asked.set("grant", this.grant);
    return `${ROOT}/cameras/stream?${asked}`;
  }

  #tell(up: boolean): void {
    if (this.up === up) return;
    this.up = up;
    for (const viewers of this.#viewers.values()) for (const viewer of viewers) viewer.line(up);
  }

  async #connect(): Promise<void> {
    const path = this.#path();
    if (path === this.#asked) return;
    this.#abort?.abort();
    this.#asked = path;
    if (!path) return this.#tell(false);
    const abort = (this.#abort = new AbortController());
    try {
      const response = await fetch(path, { credentials: "same-origin", signal: abort.signal });
      if (response.status === 401) ended.value += 1;
      if (!response.ok || !response.body) throw new Error(String(response.status));
      await this.#read(response.body.getReader(), abort);
      if (!abort.signal.aborted) throw new Error("ended");
    } catch {
      if (abort !== this.#abort) return; // Another line has taken its place.
      this.#asked = "";
      this.#tell(false);
      this.#attempt += 1;
      this.#settle(Math.min(MOST_WAIT_MS, 400 * 2 ** Math.min(this.#attempt, 5)) * (0.75 + Math.random() / 2));
    }
  }

  async #read(reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>, abort: AbortController): Promise<void> {
    let parts: Uint8Array<ArrayBuffer>[] = [];
    let held = 0;
    let wanted = 4;
    let silent: ReturnType<typeof setTimeout> | undefined;
    try {
      for (;;) {
        clearTimeout(silent);
        silent = setTimeout(() => abort.abort("silent"), SILENCE_MS);
        const { done, value } = await reader.read();
        if (done) return;
        this.#attempt = 0;
        this.#tell(true);
        parts.push(value);
        held += value.length;
        if (held < wanted) continue;
        const bytes = joined(parts, held);
        const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
        let at = 0;
        wanted = 4;
        while (held - at >= 4) {
          const length = view.getUint32(at);
          if (length < 3 || length > MOST_MESSAGE) throw new Error("not a message");
          wanted = 4 + length;
          if (held - at < wanted) break;
          const header = view.getUint16(at + 5);
          const told = JSON.parse(new TextDecoder().decode(bytes.subarray(at + 7, at + 7 + header))) as unknown;
          if (view.getUint8(at + 4) === PICTURE) this.#take(told as Header, bytes.slice(at + 7 + header, at + wanted));
          else this.#told(told as Told);
          at += wanted;
          wanted = 4;
        }
        parts = at < held ? [bytes.slice(at)] : [];
        held -= at;
      }
    } finally {
      clearTimeout(silent);
      void reader.cancel().catch(() => undefined);
    }
  }

  #told(told: Told): void {
    this.#states.set(told.camera, told);
    for (const viewer of this.#viewers.get(told.camera) ?? []) viewer.told(told);
  }

  #take(header: Header, jpeg: Uint8Array<ArrayBuffer>): void {
    this.#waiting.set(header.camera, { header, jpeg });
    if (!this.#decoding.has(header.camera)) void this.#decode(header.camera);
  }

  async #decode(camera: string): Promise<void> {
    this.#decoding.add(camera);
    for (let next = this.#waiting.get(camera); next; next = this.#waiting.get(camera)) {
      this.#waiting.delete(camera);
      try {
        const bitmap = await createImageBitmap(new Blob([next.jpeg], { type: "image/jpeg" }));
        for (const viewer of this.#viewers.get(camera) ?? []) viewer.picture(bitmap, next.header);
        bitmap.close();
      } catch {
        // A damaged picture is not shown; the next one comes soon.
      }
    }
    this.#decoding.delete(camera);
  }
}

function joined(parts: Uint8Array<ArrayBuffer>[], length: number): Uint8Array<ArrayBuffer> {
  if (parts.length === 1) return parts[0]!;
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

const lines = new Map<string, Line>();

/** Looks at a camera until it is stopped. All that look at one size share one response: browsers open few at once. */
export function watch(camera: string, height: 180 | 360, viewer: Viewer, grant = ""): () => void {
  const key = `${height} ${grant}`;
  let line = lines.get(key);
  if (!line) lines.set(key, (line = new Line(height, grant)));
  return line.watch(camera, viewer);
}
