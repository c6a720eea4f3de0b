import type { Geometry, Polygon } from "geojson";
import type { Text } from "../../types";

export const ROOT = "/api/centre/v1";

export const OPS = [">", ">=", "<", "<=", "==", "!="] as const;
export type Op = (typeof OPS)[number];
export const SEVERITIES = ["informational", "low", "medium", "high", "critical"] as const;
export type Severity = (typeof SEVERITIES)[number];
export const AGGS = ["mean", "max", "min", "sum", "count"] as const;
export const SENSITIVITIES = ["low", "medium", "high"] as const;
export type Scalar = number | boolean | string;

interface Of {
  type: string;
}
interface OfAttr extends Of {
  attr: string;
}
/** What is noticed of the entities of one type. */
export type Leaf =
  | ({ kind: "threshold"; op: Op; value: Scalar; hysteresis?: number } & OfAttr)
  | ({ kind: "absence"; for_s: number; attr?: string } & Of)
  | ({ kind: "change"; from?: Scalar; to?: Scalar } & OfAttr)
  | ({ kind: "rate"; per_s: number; op: Op; value: number } & OfAttr)
  | ({ kind: "window"; agg: (typeof AGGS)[number]; over_s: number; op: Op; value: number } & OfAttr)
  | ({ kind: "geofence"; polygon: Polygon; on: "enter" | "leave" | "dwell"; dwell_s?: number } & Of)
  | ({ kind: "anomaly"; sensitivity?: (typeof SENSITIVITIES)[number] } & OfAttr);
export type Group = { kind: "all" | "any" | "not"; of: Condition[] };
export type Sequence = { kind: "sequence"; steps: Condition[]; within_s: number; same?: "entity" | "area"; radius_m?: number };
export type Join = { kind: "join"; left: Condition; right: Condition; within_s?: number; radius_m: number };
export type Condition = Leaf | Group | Sequence | Join;
export type Kind = Condition["kind"];

export const LEAVES = ["threshold", "window", "rate", "change", "absence", "geofence", "anomaly"] as const;
export const KINDS: readonly Kind[] = [...LEAVES, "all", "any", "not", "sequence", "join"];

export interface Where {
  polygon?: Polygon;
  near?: [number, number];
  radius_m?: number;
}

/** A rule as the server keeps it; what is left out has the server's own value. */
export interface Rule {
  id: string;
  name: Text;
  enabled?: boolean;
  severity?: Severity;
  category?: string;
  procedure?: string | null;
  when: Condition;
  where?: Where | null;
  group?: "entity" | "rule";
  for_s?: number;
  clear_s?: number;
  flap?: { most?: number; in_s?: number } | null;
  title?: Text;
}

export interface Entry extends Rule {
  version: number;
  changed: string;
  changed_by: string;
  ready?: boolean;
  raised?: number;
  last?: string | null;
}

/** A rule as it was; null once it was deleted. */
export interface Version extends Pick<Entry, "version" | "changed" | "changed_by"> {
  rule: Rule | null;
}

export interface WordAttr {
  name: string;
  label: Text;
  unit: string;
  kind: "number" | "text" | "flag" | "time" | "place";
  /** Takes the hub's value to the shown unit. */
  scale: number;
}

export interface Vocabulary {
  types: { type: string; title: Text; count: number; attrs: WordAttr[] }[];
  categories: { id: string; title: Text }[];
}

export interface Firing {
  at: string;
  until: string | null;
  key: string;
  name?: string;
  entities: string[];
  values: Record<string, unknown>;
  location: Geometry | null;
}

export interface Dry {
  count: number;
  firings: Firing[];
  seen: number;
  entities?: number;
  truncated: boolean;
}

const MEMBERS = ["id", "name", "enabled", "severity", "category", "procedure", "when", "where", "group", "for_s", "clear_s", "flap", "title"] as const;

/** The rule of an entry, without what the server says about it. */
export function ruleOf(entry: Rule): Rule {
  return Object.fromEntries(MEMBERS.filter((name) => entry[name] !== undefined).map((name) => [name, entry[name]])) as unknown as Rule;
}

/** The entity types that a condition is about: one for what can hold of an entity. */
export function subjects(condition: Condition): string[] {
  switch (condition.kind) {
    case "all": case "any": case "not": return [...new Set(condition.of.flatMap(subjects))];
    case "sequence": return condition.steps[0] ? subjects(condition.steps[0]) : [];
    case "join": return subjects(condition.left);
    default: return [condition.type];
  }
}

/** The first leaf of a condition. */
export function firstLeaf(condition: Condition): Leaf | undefined {
  switch (condition.kind) {
    case "all": case "any": case "not": return condition.of[0] && firstLeaf(condition.of[0]);
    case "sequence": return condition.steps[0] && firstLeaf(condition.steps[0]);
    case "join": return firstLeaf(condition.left);
    default: return condition;
  }
}
