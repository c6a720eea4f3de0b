import type { Text } from "../../types";

export type Sex = "male" | "female";
export type Level = "info" | "good" | "watch" | "act" | "urgent";

export interface Limits {
  low: number;
  high: number;
  impossible_low: number;
  impossible_high: number;
  unit: string;
}

export interface ConsentText {
  id: string;
  title: Text;
  text: Text;
  required: boolean;
}

/** What the server says of the kiosk and of how it measures. */
export interface Place {
  place: { id: string; name: Text } | null;
  kiosk: string;
  measures: string[];
  consent_texts: ConsentText[];
  plausibility: Record<string, Limits>;
  simulated?: boolean;
}

/** How somebody is known: as read, until the server has said who it is. */
export type Card = { pass: string } | { card: string };

export interface Identified {
  visit_key: string;
  name_hint: string;
  sex: Sex | null;
  age_years: number | null;
  last: { at: string; height_cm?: number | null } | null;
  consents: Record<string, boolean>;
}

export interface DeviceInfo {
  name: string;
  model?: string;
  serial?: string;
  address?: string;
}

export interface Measurement {
  column: string;
  value: number;
  unit: string;
  at: string;
  how: "device" | "manual";
  device: DeviceInfo | null;
  /** The bytes of the device, hexadecimal; packets parted by a space. */
  raw: string | null;
  repeat?: number;
}

export interface Posture {
  angles: Record<string, number>;
  model: string;
}

/** A visit as it is sent. */
export interface VisitBody {
  id: string;
  at: string;
  kiosk: string;
  visit_key?: string;
  pass?: string;
  card?: string;
  person?: { sex: Sex; age_years: number };
  consents: Record<string, boolean>;
  answers: Record<string, boolean>;
  measurements: Measurement[];
  posture: Posture | null;
}

export interface Graded {
  rule: string;
  group: string;
  title: Text;
  value: number | null;
  unit: string;
  band: string;
  level: Level;
  text: Text;
  cannot: Text;
  beside?: boolean;
}

export interface Alert {
  level: Level;
  text: Text;
  what_to_do: Text;
  /** Whether a nurse has been told, too. */
  nurse_told: boolean;
}

export interface Outcome {
  encounter: string | null;
  grades: Graded[];
  alerts: Alert[];
  already: boolean;
}

/** A value that the server did not take, and why. */
export interface Objection {
  column: string;
  code: string;
  text: Text;
}
