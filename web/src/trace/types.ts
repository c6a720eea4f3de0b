import type { Text } from "../types";

/** What `/api/trace/v1` answers. Instants are ISO 8601 in UTC, positions WGS 84, radii metres that hold 68 % of the error. */
export interface Period {
  start: string;
  end: string;
}

export type Status = "new" | "investigating" | "following" | "closed" | "destroyed";

export interface Waiting {
  request: string;
  /** Kinds, with commas between. */
  kind: string;
  role: string;
  title?: Text;
  since: string;
  due: string | null;
  overdue: boolean;
}

export interface CaseCard {
  id: string;
  label: string;
  disease: string;
  status: Status;
  onset: string | null;
  confirmed: string | null;
  opened_at: string;
  opened_by: string;
  destroy_on: string | null;
  waiting: Waiting[];
  contacts: { total: number; undecided: number; accepted: number };
  investigation: { state: string | null; progress: number | null; stage?: string | null; at: string | null } | null;
}

export interface Person {
  name?: string;
  birth_date?: string | null;
  sex?: string | null;
  phone?: string | null;
  address?: string | null;
}

export interface Lab {
  test?: string;
  result?: string;
  sampled?: string | null;
  reported?: string | null;
}

export interface Case extends CaseCard {
  person: Person | null;
  symptoms: { code: string; onset?: string | null }[];
  lab: Lab | null;
  notes: string;
  exposure_window: Period | null;
  infectious_window: Period | null;
  requests: Request[];
  named_contacts?: NamedContact[];
  linked_to?: { case: string } | null;
  log: { at: string; who: string; what: string }[];
}

/** A contact that somebody named, not the engine. */
export interface NamedContact {
  id: string;
  person: Person;
  notes?: string;
  decision?: Decision | null;
}

export interface Disease {
  id: string;
  name: Text;
  symptoms?: { code: string; name: Text }[];
}

export interface Country {
  kinds: Record<string, { title: Text; law?: Text | string; others?: boolean; steps: { role: string; title: Text; within_hours: number; escalates_to?: string | null }[] }>;
}

export type EvidenceKind = "phone" | "card" | "transit" | "checkin" | "gps" | "statement" | "sighting";

export interface Evidence {
  id: string;
  kind: EvidenceKind;
  start: string;
  end: string | null;
  /** Null where the row has no place: an online purchase. */
  lat: number | null;
  lon: number | null;
  radius_m: number | null;
  label: string;
  request: string | null;
  flags: string[];
  used: boolean;
  why: string;
}

export interface Place {
  id: string;
  name: string;
  kind: string;
  lat: number;
  lon: number;
  probability?: number;
}

export interface Stay extends Period {
  id: string;
  lat: number;
  lon: number;
  radius_m: number;
  confidence: number;
  places: Place[];
  evidence: string[];
}

export interface Move extends Period {
  id: string;
  path: [number, number][];
  radius_m: number[];
  /** When the person was at each point of the path. */
  times?: string[];
  evidence: string[];
}

export interface Reason {
  kind: string;
  minutes?: number | null;
  start: string;
  end: string;
  weight: number;
  evidence: string[];
  other_evidence?: number;
}

export interface Decision {
  verdict: "accepted" | "dismissed";
  reason: string;
  by: string;
  at: string;
}

export interface Contact extends Period {
  id: string;
  subject: string;
  probability: number;
  minutes: number;
  lat: number;
  lon: number;
  rank: number;
  place: Place | null;
  reasons: Reason[];
  decision?: Decision | null;
}

export interface Hotspot extends Period {
  id: string;
  lat: number;
  lon: number;
  radius_m: number;
  people: number;
  expected: number;
  probability: number;
  place: Place | null;
  stays?: string[];
  cases?: string[] | number;
}

export interface CameraToAsk {
  camera_id: string;
  lat: number;
  lon: number;
  windows: (Period & { probability: number; stay?: string; move?: string })[];
}

export interface Results {
  version: 1;
  made_at: string;
  test_data: boolean;
  period: Period;
  evidence: Evidence[];
  stays: Stay[];
  moves: Move[];
  contacts: Contact[];
  hotspots: Hotspot[];
  cameras: CameraToAsk[];
  counts: Record<string, number | Record<string, number>>;
  refused: Record<string, number>;
}

export interface Step {
  role: string;
  title: Text | string;
  state: "waiting" | "approved" | "refused";
  /** Since when it is waited for; null while an earlier step is. */
  since?: string | null;
  by: string | null;
  at: string | null;
  due: string | null;
  overdue: boolean;
  escalated_to: string | null;
  reason: string | null;
}

export interface Request {
  id: string;
  case: string;
  case_label: string;
  kinds: string[];
  subjects: string[];
  /** Null once the case is destroyed. */
  period: Period | null;
  area?: { lat: number; lon: number; radius_m: number } | null;
  purpose: string;
  because: string;
  asked_by: string;
  asked_at: string;
  state: string;
  steps: Step[];
  answers: { kind: string; provider: string; received_at: string; rows: number; accepted: number; refused: Record<string, number> }[];
  notify: { due: string | null; done_at: string | null } | null;
  destroy_on: string | null;
  may: string[];
}

export interface Chain {
  cases: { id: string; label: string; onset: string | null; cluster: string | null; status: string }[];
  links: { infectee: string; infector: string; probability: number; rank: number; reasons?: (string | { kind: string })[] }[];
  clusters: { id: string; cases: string[]; probability: number }[];
}

export interface Look {
  at: string;
  who: string;
  action: string;
  what: string;
  decision?: "allow" | "deny";
  purpose: string;
}
