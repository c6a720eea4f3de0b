import type { Geometry } from "geojson";
import type { Text } from "../../types";

export const SEVERITIES = ["critical", "high", "medium", "low", "informational"] as const;
export type Severity = (typeof SEVERITIES)[number];

export interface Entry {
  seq: number;
  at: string;
  who: string;
  what: string;
  text: Text;
  detail: Record<string, unknown>;
}

export interface CityEvent {
  id: string;
  number: string;
  seq: number;
  state: "open" | "taken" | "closed";
  severity: Severity;
  category: string;
  title: Text;
  location: Geometry | null;
  place: Text | string | null;
  opened: string;
  last: string;
  taken: string | null;
  closed: string | null;
  cleared: string | null;
  owner: string | null;
  offered: string | null;
  rule: string | null;
  entities: string[];
  values: Record<string, unknown>;
  count: number;
  flapping: boolean;
  escalated: { level: number; to: string; at: string | null } | null;
  procedure: { id: string; name: Text; run: string } | null;
  merged_into: string | null;
  timeline?: Entry[];
}

export interface Receipt {
  key: string;
  agency: string;
  state: "queued" | "sent" | "accepted" | "declined" | "refused" | "finished";
  at: string | null;
  attempts: number;
  reference: string;
  text: string;
}

export interface Step {
  id: string;
  kind: "task" | "checklist" | "message" | "handover" | "decision" | "wait";
  title: Text;
  help: Text;
  role: string;
  required: boolean;
  state: "waiting" | "open" | "done" | "skipped" | "overdue" | "failed";
  opened: string | null;
  due: string | null;
  done_at: string | null;
  done_by: string | null;
  reason: string;
  items: { id: string; text: Text; done: boolean; by: string | null; at: string | null }[];
  options: { id: string; text: Text }[];
  chosen: string | null;
  to: string | null;
  text: Text;
  agency: string | null;
  basis: Text;
  receipt: Receipt | null;
  level: number;
}

export interface Run {
  run: string;
  event: string;
  state: "running" | "finished" | "ended";
  started: string;
  ended: string | null;
  procedure: { id: string; name: Text };
  steps: Step[];
}

export interface Notice {
  seq: number;
  event: string;
  number: string;
  at: string;
  to: string;
  text: Text;
  seen_by: string | null;
}
