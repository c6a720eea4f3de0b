import { instantOf, exact } from "../format";
import { Observable } from "../state";
import type { Evidence, EvidenceKind, Move, Results, Stay } from "./types";

export const KINDS: EvidenceKind[] = ["phone", "card", "transit", "checkin", "gps", "statement", "sighting"];
/** A kind's colour, in both themes at least 3:1 against the ground of map and table. */
export const KIND_COLOUR: Record<EvidenceKind, string> = {
  phone: "#7a8694", card: "#b45f06", transit: "#8e5bd0", checkin: "#0f8a6d", gps: "#2f78c4", statement: "#c2487f", sighting: "#c23b30",
};
const DAY_MS = 86_400_000;

/** A row of evidence with its times in milliseconds. */
export interface Row extends Evidence {
  from: number;
  to: number;
}

/** A stretch of the person's course, in milliseconds. */
export type Part = { from: number; to: number } & ({ stay: Stay } | { move: Move });

/**
 * What map, scrubber and table show together: the instant, the days in view, the picked row. Each moves the others by these
 * values; nothing is drawn again that does not look at them.
 */
export class Course {
  readonly rows: Row[];
  readonly parts: Part[];
  readonly from: number;
  readonly to: number;
  readonly at: Observable<number>;
  /** The part of the period that is in view. */
  readonly view: Observable<readonly [number, number]>;
  /** The picked row's id. */
  readonly picked = new Observable<string | null>(null);
  /** The ids of rows that something else points at: a contact's reason, a stay. */
  readonly pointed = new Observable<ReadonlySet<string>>(new Set());
  readonly playing = new Observable(false);
  /** A place that is to be seen on the map. */
  readonly look = new Observable<{ lon: number; lat: number; radius_m: number } | null>(null);
  readonly #rowOf: Map<string, Row>;

  constructor(readonly results: Results) {
    this.rows = results.evidence
      .map((one) => ({ ...one, from: Date.parse(one.start), to: Date.parse(one.end ?? one.start) }))
      .sort((a, b) => a.from - b.from);
    this.#rowOf = new Map(this.rows.map((row) => [row.id, row]));
    this.parts = [
      ...results.stays.map((stay): Part => ({ from: Date.parse(stay.start), to: Date.parse(stay.end), stay })),
      ...results.moves.map((move): Part => ({ from: Date.parse(move.start), to: Date.parse(move.end), move })),
    ].sort((a, b) => a.from - b.from);
    this.from = Date.parse(results.period.start);
    this.to = Math.max(Date.parse(results.period.end), this.from + 1);
    this.at = new Observable(Math.max(this.from, Math.min(this.to, this.parts[0]?.from ?? this.rows[0]?.from ?? this.from)));
    this.view = new Observable<readonly [number, number]>([this.from, this.to]);
  }

  row(id: string): Row | undefined {
    return this.#rowOf.get(id);
  }

  /** The last part that began by an instant, where it has not ended yet. */
  partAt(at: number): Part | undefined {
    const found = this.parts[lastBy(this.parts, at)];
    return found && at <= found.to ? found : undefined;
  }

  /** Goes to an instant; where it is out of view, the view goes along. */
  goTo(at: number): void {
    const clipped = Math.max(this.from, Math.min(this.to, at));
    const [from, to] = this.view.value;
    if (clipped < from || clipped > to) this.showDay(clipped);
    this.at.value = clipped;
  }

  /** Moves time by hand: no row is picked any more, and the table follows the instant. */
  scrub(at: number): void {
    this.playing.value = false;
    this.picked.value = null;
    const [from, to] = this.view.value;
    this.at.value = Math.max(from, Math.min(to, at));
  }

  pick(id: string): void {
    const row = this.#rowOf.get(id);
    this.picked.value = id;
    if (!row) return;
    this.goTo(row.from);
    if (row.lat !== null && row.lon !== null) this.look.value = { lon: row.lon, lat: row.lat, radius_m: row.radius_m ?? 100 };
  }

  /** Points at rows and goes to the first of them. */
  pointAt(ids: readonly string[]): void {
    this.pointed.value = new Set(ids);
    const first = ids.map((id) => this.#rowOf.get(id)).filter((row) => row !== undefined).sort((a, b) => a.from - b.from)[0];
    if (first) this.pick(first.id);
  }

  /** The city's days of the period, as instants of their beginnings. */
  days(): number[] {
    const days: number[] = [];
    for (let at = this.from; at < this.to; at += DAY_MS) days.push(midnight(at));
    const last = midnight(this.to - 1);
    if (days.at(-1) !== last) days.push(last);
    return days;
  }

  showDay(at: number): void {
    const start = midnight(at);
    this.view.value = [Math.max(this.from, start), Math.min(this.to, start + DAY_MS)];
    const [from, to] = this.view.value;
    if (this.at.value < from || this.at.value > to) this.at.value = from;
  }

  showAll(): void {
    this.view.value = [this.from, this.to];
  }
}

/** The index of the last that began by an instant, -1 where none did; they are sorted by `from`. */
export function lastBy(sorted: readonly { from: number }[], at: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]!.from <= at) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The beginning of the city's day that an instant is in. */
export function midnight(at: number): number {
  return Date.parse(instantOf(exact(at).slice(0, 10))!);
}
