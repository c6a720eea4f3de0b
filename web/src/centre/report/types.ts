import type { MultiPolygon, Polygon } from "geojson";
import type { Text } from "../../types";
import type { CityEvent } from "../events/types";

export interface State {
  attr: string;
  label: Text;
  unit: string;
  values: { value: string; count: number; colour: string | null }[];
}

export interface Figure {
  layer: string;
  attr: string;
  title: Text;
  label: Text;
  unit: string;
  decimals: number | null;
  sensors: number;
  of: number;
  mean: number;
  low: number;
  high: number;
  latest: number;
  trend: (number | null)[];
  before: { mean: number; trend: (number | null)[] } | null;
}

export interface Situation {
  area: { geometry: Polygon | MultiPolygon; name: Text | null; km2: number };
  start: string;
  end: string;
  before: { start: string; end: string };
  made: string;
  layers: { id: string; title: Text; count: number; looked: number; silent: number; states: State[] }[];
  figures: Figure[];
  alerts: { id: string; title: Text | null; category: string | null; severity: string | null; issued: string }[];
  alerts_more: number;
  events: CityEvent[];
  events_more: number;
  silent: { id: string; name: Text | null; layer: string; since: string }[];
  silent_more: number;
}
