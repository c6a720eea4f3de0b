import type { Text } from "../../types";

export type Level = "info" | "good" | "watch" | "act" | "urgent";

export interface Me { patient: string | null; name: string; birth_date: string; sex: "male" | "female" | ""; phone: string }

export interface Value { column: string; title: Text; shown: string; unit: Text }

export interface Segment { low: number | null; high: number | null; band: string; level: Level; text: Text }

/** A column's bands from `low` to `high`, what is drawn, and where the value is. */
export interface Scale { column: string; title: Text; unit: Text; value: number | null; low: number; high: number; segments: Segment[] }

export interface Item {
  rule: string; version: string; title: Text; value: number | null; shown: string; unit: Text; band: string; level: Level; word: Text; text: Text; cannot: Text; source: string;
  beside: boolean; inputs: Value[]; scales: Scale[]; previous: { at: string; shown: string; level: Level } | null;
}

export interface Group { id: string; title: Text; level: Level; word: Text; items: Item[] }

/** What to do, about which group, from a day on and by another; `set`: the health centre knows of it. */
export interface Next { what: Text; text: Text; about: Text; start: string; when: string; level: Level; set: boolean }

export interface Report {
  encounter: string; at: string; place: Text; summary: { level: Level; word: Text; text: Text }; urgent: Item[]; alerted: boolean; seen: string | null;
  groups: Group[]; measurements: Value[]; next: Next[];
}

export interface Visit { encounter: string; at: string; place: Text; level: Level; word: Text }

export interface Point { at: string; value: number; encounter: string; level: Level | "" }

/** One column's values, oldest first; an end of the healthy range that is null is open, both are where none is known. */
export interface Series { column: string; title: Text; unit: Text; low: number | null; high: number | null; points: Point[] }

export interface Goal {
  id: string; column: string; title: Text; unit: Text; target: number; direction: "at_most" | "at_least"; due: string; since: string; start: number | null; now: number | null;
  at: string; progress: number | null; reached: boolean;
}

/** What a goal may be set for, with a first step that suits the newest value. */
export interface Choice { column: string; title: Text; unit: Text; now: number | null; target: number | null; direction: "at_most" | "at_least" }

export interface Allowed { id: string; category: string; organisation: Text; title: Text; text: Text; off: Text; given: boolean; since: string | null }

export interface Look { at: string; who: string; organisation: Text; what: Text; purpose: Text }

export interface Referral {
  id: string; at: string; to: Text; reason: Text; state: string; word: Text; appointment: { at: string; place: Text; state: string; word: Text } | null; results: { at: string; title: Text; text: Text }[];
}

/** `rows` are the code's modules, `1` dark; it is good for `seconds` from now on. */
export interface Pass { text: string; expires: string; seconds: number; rows: string[] }

export interface Destruction { records: number; visits: number; remains: Text[] }
