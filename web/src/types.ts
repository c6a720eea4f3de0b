import type { Geometry } from "geojson";

/** A text by language tag; `en` is always there. */
export type Text = Readonly<Record<string, string>>;

export interface Attr {
  name: string;
  label: Text;
  unit: string;
  decimals: number | null;
  /** Takes the entity's value to the shown unit. */
  scale: number;
  /** Ascending [shown value from which it holds, colour]. */
  steps: [number, string][];
}

export interface Layer {
  id: string;
  service: string;
  title: Text;
  type: string;
  attrs: Attr[];
  colour: string;
  colourBy: string | null;
  icon: string;
  visible: boolean;
}

export interface Panel {
  id: string;
  service: string;
  title: Text;
  kind: "values" | "chart" | "table" | "module";
  place: "entity" | "city";
  types: string[];
  attrs: Attr[];
  hours: number;
  module: string | null;
}

/** A page of a service's own, for who has the permission. */
export interface PageOf {
  id: string;
  service: string;
  title: Text;
  /** Addresses at and below it are the page's, unless another page has a longer path. */
  path: string;
  permission: string;
  module: string;
}

export interface City {
  name: Text;
  centre: [number, number];
  zone: string;
  languages: string[];
  bounds?: [number, number, number, number];
}

export interface Manifest {
  city: City;
  services: { name: string; title: Text }[];
  types: Record<string, Text>;
  layers: Layer[];
  panels: Panel[];
  pages: PageOf[];
}

/** What policy lets somebody do, now and with a second factor, and in each room. */
export interface Mine {
  actions: string[];
  with_second_factor: string[];
  rooms: Room[];
}

export interface Room {
  name: string;
  title: Text;
  actions: string[];
}

export interface Session {
  /** Whether there is a login at all; without one nobody can sign out. */
  login?: boolean;
  name: string;
  roles: string[];
  second_factor?: boolean;
}

export type Values = Record<string, unknown>;

/** An entity as every viewer knows it: what snapshots and frames carry of it. */
export interface Entity {
  readonly id: string;
  readonly types: readonly string[];
  readonly geometry: Geometry | null;
  readonly values: Values;
}

/** By types joined with a comma: [id, attributes]. */
export type Entries = Record<string, [string, Values][]>;

/** Several entities of a cell of a tile: [cell, longitude, latitude, count by layer]. */
export type Cluster = [number, number, number, Record<string, number>];

/** A view (a tile, a type, one entity) whole. */
export interface Whole {
  tile: string;
  seq: number;
  counts: Record<string, number>;
  clusters: Cluster[];
  features: Entries;
}

/** What has become of a view after sequence number `after`: forget `gone`, then merge `set`, then put the clusters. */
export interface Difference {
  tile: string;
  after: number;
  seq: number;
  counts: Record<string, number>;
  clusters: Cluster[];
  gone: string[];
  set: Entries;
}

/** The city now: entities by type, means by type and attribute ([mean, count]), the newest by type. */
export interface CityNow {
  seq: number;
  counts: Record<string, number>;
  means: Record<string, Record<string, [number, number]>>;
  newest: Record<string, [string, Values][]>;
}

/** [value, instant], oldest first. */
export type Point = [unknown, string];
