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
  /** What may help, as codes. */
  try?: readonly string[];
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
  reason?: Reason | null;
  /** A promise that was not kept: with `offers` while one has to be chosen, else with the promise that took its place. */
  broken?: { at: string; reason: string; text?: Name; offers?: Offer[] } | null;
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
  /** A stop's id. */
  stop?: string;
  request?: string;
  lon?: number;
  lat?: number;
}

export interface Passenger {
  request: string;
  kind: "pickup" | "dropoff";
  alias: Name;
  code?: string | null;
  seats: number;
  wheelchairs: number;
  state?: string;
}

export interface DriverStop {
  key: string;
  stop: Stop;
  /** Null where the van is sent to wait. */
  arrive_at: string | null;
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
  van: { id: string; plate: string; status: string; lon: number; lat: number; bearing: number | null; stop: Stop | null };
  shift: Span;
  breaks: Break[];
  stops: DriverStop[];
  aboard: { request: string; alias: Name; seats: number; wheelchairs: number; to?: Stop | null }[];
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
  /** None for a break, which is where the van is. */
  stop: Stop | null;
  kind: string;
  at: string;
  late_s?: number | null;
  request?: string | null;
}

export interface Van {
  id: string;
  plate: string;
  lon: number;
  lat: number;
  bearing?: number | null;
  /** Whether no device says where it is. */
  reckoned?: boolean;
  status: string;
  seats: number;
  wheelchairs: number;
  /** How many people. */
  aboard: number;
  plan: Planned[];
  path?: LonLat[] | null;
  driver?: string | null;
}

export interface Risk {
  request: string;
  van: string | null;
  plate: string | null;
  what: "pickup" | "arrival";
  promise: string;
  expected: string | null;
  late_s: number;
  why: Reason;
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
  alias?: Name | null;
  from: { stop: Stop | null };
  to: { stop: Stop | null };
  seats: number;
  wheelchairs: number;
  made_at: string;
  van: { id: string; plate: string } | null;
  /** The latest pick-up of who waits, the latest arrival of who rides. */
  promise: string | null;
  expected: string | null;
  late_s: number | null;
}

export type OverrideKind = "assign" | "unassign" | "cancel" | "hold" | "release" | "out-of-service" | "back" | "stop-at";

export interface Entry {
  seq: number;
  at: string;
  kind: string;
  by?: string;
  van?: string | null;
  vans?: readonly string[];
  request?: string | null;
  text?: Name;
  reason?: string | null;
}

export interface FigurePoint extends Partial<Omit<Figures, "at">> {
  at: string;
  requests?: number;
}
