import type { Polygon } from "geojson";
import type { Text } from "../types";

/** What `/api/ride/v1` answers. Instants are ISO 8601 in UTC, positions WGS 84, money in the currency's minor units. */
export type LonLat = readonly [lon: number, lat: number];

/** A name that may be one in several languages. */
export type Name = Text | string;

export interface Place {
  lon: number;
  lat: number;
  label?: string | null;
}

export interface Stop {
  id: string;
  name: Name;
  lon: number;
  lat: number;
  accessible?: boolean;
}

export interface Span {
  from: string;
  to: string;
}

export interface Money {
  amount: number;
  currency: string;
}

export interface Reason {
  code: string;
  text?: Name;
}

export interface ServiceInfo {
  name: Name;
  zone: Polygon | null;
  hours: Span;
  currency: string;
  max_seats: number;
  max_wheelchairs: number;
  max_walk_m: number;
  book_ahead_days: number;
  now: string;
}

export interface Found {
  name: Name;
  kind: string;
  lon: number;
  lat: number;
}

export type OfferKind = "soonest" | "fastest" | "least-walk" | "cheapest";

export interface Offer {
  id: string;
  kind: OfferKind;
  pickup: { stop: Stop; walk_m: number; walk_s: number; window: Span };
  dropoff: { stop: Stop; walk_m: number; walk_s: number; arrive_by: string; expected: string };
  ride_s: number;
  fare: Money;
  expires_at: string;
}

export type TripState = "offered" | "booked" | "on-way" | "arriving" | "aboard" | "done" | "cancelled" | "no-show" | "refused" | "expired" | "broken";
export type When = "now" | { depart_at: string } | { arrive_by: string };

export interface Trip {
  id: string;
  state: TripState;
  from: Place;
  to: Place;
  seats: number;
  wheelchairs: number;
  when: When;
  made_at: string;
  offers?: Offer[];
  promise?: { pickup: { stop: Stop } & Span; dropoff: { stop: Stop; arrive_by: string } } | null;
  expected?: { pickup?: string | null; arrive?: string | null } | null;
  van?: { id: string; plate: string; lon: number; lat: number; bearing?: number | null; stops_before: number } | null;
  code?: string | null;
  path?: LonLat[] | null;
  reason?: (Reason & { try?: Reason[] }) | null;
  broken?: (Reason & { offers?: Offer[] }) | null;
  fare?: Money | null;
  log?: { at: string; what: string }[];
}

// ---- driver

export type ActionKind = "position" | "arrived" | "boarded" | "no-show" | "alighted" | "break-start" | "break-end" | "breakdown" | "back";

/** What a driver did: kept on the device until the server has it. */
export interface Action {
  id: string;
  at: string;
  kind: ActionKind;
  stop?: string;
  request?: string;
  break?: string;
  lon?: number;
  lat?: number;
}

export type PassengerState = "waiting" | "boarded" | "alighted" | "no-show";

export interface Passenger {
  request: string;
  kind: "pickup" | "dropoff";
  alias: string;
  code?: string | null;
  seats: number;
  wheelchairs: number;
  state?: string;
}

export interface DriverStop {
  key: string;
  stop: Stop;
  arrive_at: string;
  leave_at?: string | null;
  actions: Passenger[];
  path?: LonLat[] | null;
  /** Whether the van is there. */
  arrived?: boolean;
}

export interface Break extends Span {
  id: string;
  state: string;
}

export interface Plan {
  van: { id: string; plate: string; status: string };
  shift: Span;
  breaks: Break[];
  stops: DriverStop[];
  aboard: { request: string; alias: string; seats: number; wheelchairs: number; to?: Name | Stop | null }[];
  seq: number;
}

export interface Refused {
  id: string;
  reason: Reason;
}

export interface Settled {
  applied: string[];
  already: string[];
  refused: Refused[];
  plan: Plan;
}

// ---- dispatcher

export interface Planned {
  stop: Stop;
  kind: string;
  at: string;
  late_s?: number | null;
  request?: string;
}

export interface Van {
  id: string;
  plate: string;
  lon: number;
  lat: number;
  bearing?: number | null;
  status: string;
  seats: number;
  wheelchairs: number;
  aboard: number;
  plan: Planned[];
  path?: LonLat[] | null;
  driver?: string | null;
}

export interface Risk {
  request: string;
  van: string | null;
  plate?: string;
  what?: string;
  promise: string;
  expected: string | null;
  late_s: number;
  why: Reason | string;
}

export interface Figures {
  waiting: number;
  aboard: number;
  served: number;
  refused: number;
  mean_wait_s: number | null;
  p95_wait_s: number | null;
  riders_per_van_hour: number | null;
  at: string;
}

export interface Fleet {
  vans: Van[];
  at_risk: Risk[];
  figures: Figures | null;
}

export interface FleetNews extends Partial<Fleet> {
  full?: boolean;
  gone?: string[];
}

export interface TripRow {
  id: string;
  state: TripState;
  alias?: string | null;
  from: Place & { stop?: Stop | null };
  to: Place & { stop?: Stop | null };
  seats: number;
  wheelchairs: number;
  made_at: string;
  van?: { id: string; plate: string } | null;
  promise?: Trip["promise"] | string;
  expected?: Trip["expected"] | string;
  late_s?: number | null;
}

export type OverrideKind = "assign" | "unassign" | "cancel" | "hold" | "release" | "out-of-service" | "back" | "stop-at";

export interface Entry {
  seq: number;
  at: string;
  kind: string;
  by?: string;
  van?: string | null;
  request?: string | null;
  text?: Name;
  reason?: string | null;
}

export interface FigurePoint extends Partial<Omit<Figures, "at">> {
  at: string;
  requests?: number;
}
