import type { Text } from "../../types";

export type State = "live" | "lost" | "off";
/** Shares of the frame: x from the left, y from the top. */
export type Corner = [number, number];

export interface CountLine {
  id: string;
  name: string;
  from: Corner;
  to: Corner;
}

export interface Zone {
  id: string;
  name: string;
  polygon: Corner[];
}

export interface Settings {
  name: Text;
  location: { type: "Point"; coordinates: [number, number] };
  direction_deg: number;
  fov_deg: number;
  range_m: number;
  use: string;
  retention_days: number;
  record: boolean;
  analyse: boolean;
  lines: CountLine[];
  zones: Zone[];
}

export interface Camera extends Settings {
  id: string;
  entity: string;
  source: { kind: "rtsp" | "file" } | null;
  state: State;
  since: string | null;
  notice: Text | null;
  fps: number | null;
  width: number | null;
  height: number | null;
  analysis: "on" | "off" | "missing";
  distance_m?: number | null;
  sees?: boolean | null;
}

export interface Grant {
  grant: string;
  camera: string;
  until: string;
}

export interface Clip {
  id: string;
  camera: string;
  event: string;
  reason: string;
  who: string;
  asked_start: string;
  asked_end: string;
  at: string;
  state: "wanted" | "ready" | "failed";
  start: string | null;
  end: string | null;
  problem: string | null;
  subject: string | null;
  sha256: string | null;
  blurred_sha256: string | null;
  bytes: number | null;
  until: string | null;
  custody?: Custody[];
}

export interface Custody {
  seq: number;
  at: string;
  who: string;
  what: string;
  sha256: string;
  detail: string;
}

export interface Counts {
  camera: string;
  place: string;
  kind: "person" | "vehicle";
  at: string;
  values: Record<string, number>;
}
