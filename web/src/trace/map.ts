import type { Feature, FeatureCollection } from "geojson";
import { LngLatBounds, Map as MapLibre, ScaleControl, setWorkerUrl, type ExpressionSpecification, type GeoJSONSource, type LayerSpecification, type StyleSpecification } from "maplibre-gl";
import workerUrl from "maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url";
import { makeStyle, PALETTES, type Basemap } from "../map/style";
import { calm, type Theme } from "../settings";
import type { City } from "../types";
import { KIND_COLOUR, KINDS, type Course } from "./course";
import type { CameraToAsk, Contact, Hotspot } from "./types";

setWorkerUrl(workerUrl);

export type Shown = "stays" | "route" | "hotspots" | "cameras" | "contacts";
export const SHOWN: readonly Shown[] = ["stays", "route", "hotspots", "cameras", "contacts"];

const COLOURS = {
  light: { stay: "#0b5d53", route: "#3567b0", hotspot: "#b3261e", camera: "#5b3fa0", contact: "#a14b00", night: "#101a3a" },
  dark: { stay: "#63d0be", route: "#8ab4f0", hotspot: "#ff8a80", camera: "#bda6f2", contact: "#f0b35a", night: "#000010" },
} as const;
/** What the map's colours mean, for the legend. */
export const colourOf = (theme: Theme, what: Shown): string => COLOURS[theme][({ stays: "stay", route: "route", hotspots: "hotspot", cameras: "camera", contacts: "contact" } as const)[what]];

const EMPTY: FeatureCollection = { type: "FeatureCollection", features: [] };
/** Pixels of a metre at zoom 0 on the equator, for tiles of 512 pixels. */
const PIXELS_PER_M = 512 / 40_075_016.686;

/** A length in metres, drawn to scale. */
function metres(value: ExpressionSpecification | number, latitude: number): ExpressionSpecification {
  const scale = PIXELS_PER_M / Math.cos((latitude * Math.PI) / 180);
  const at = (zoom: number): ExpressionSpecification => ["*", value, scale * 2 ** zoom];
  return ["interpolate", ["exponential", 2], ["zoom"], 4, at(4), 22, at(22)];
}

const point = (lon: number, lat: number, properties: Record<string, unknown>): Feature => ({ type: "Feature", geometry: { type: "Point", coordinates: [lon, lat] }, properties });
const collection = (features: Feature[]): FeatureCollection => ({ type: "FeatureCollection", features });

export function stayFeatures(course: Course): FeatureCollection {
  return collection(course.results.stays.map((stay) => point(stay.lon, stay.lat, { id: stay.id, r: stay.radius_m, c: stay.confidence, from: Date.parse(stay.start), to: Date.parse(stay.end), minutes: (Date.parse(stay.end) - Date.parse(stay.start)) / 60_000 })));
}

export function moveFeatures(course: Course): FeatureCollection {
  return collection(course.results.moves.flatMap((move) => move.path.slice(1).map((next, index): Feature => ({
    type: "Feature", geometry: { type: "LineString", coordinates: [move.path[index]!, next] },
    properties: { id: move.id, r: ((move.radius_m[index] ?? 0) + (move.radius_m[index + 1] ?? move.radius_m[index] ?? 0)) / 2, from: Date.parse(move.start), to: Date.parse(move.end) },
  }))));
}

export const hotspotFeatures = (hotspots: Hotspot[]): FeatureCollection => collection(hotspots.map((one) => point(one.lon, one.lat, { id: one.id, r: one.radius_m, p: one.probability, people: one.people })));
export const cameraFeatures = (cameras: CameraToAsk[]): FeatureCollection => collection(cameras.map((one) => point(one.lon, one.lat, { id: one.camera_id, from: Math.min(...one.windows.map(({ start }) => Date.parse(start))), to: Math.max(...one.windows.map(({ end }) => Date.parse(end))) })));
export const contactFeatures = (contacts: Contact[]): FeatureCollection => collection(contacts.filter((one) => one.decision?.verdict !== "dismissed").slice(0, 500).map((one) => point(one.lon, one.lat, { id: one.id, p: one.probability, from: Date.parse(one.start), to: Date.parse(one.end) })));

function layers(theme: Theme, latitude: number): LayerSpecification[] {
  const c = COLOURS[theme];
  const { ring } = PALETTES[theme];
  const r: ExpressionSpecification = ["get", "r"];
  return [
    { id: "hotspots", type: "circle", source: "hotspots", paint: { "circle-radius": metres(r, latitude), "circle-color": c.hotspot, "circle-opacity": 0.16, "circle-stroke-color": c.hotspot, "circle-stroke-width": 2 } },
    { id: "route-band", type: "line", source: "moves", layout: { "line-cap": "butt", "line-join": "round" }, paint: { "line-color": c.route, "line-opacity": 0.1, "line-width": metres(["*", 2, r], latitude) } },
    { id: "route", type: "line", source: "moves", layout: { "line-cap": "round", "line-join": "round" }, paint: { "line-color": c.route, "line-width": 2.6, "line-opacity": 0.9 } },
    { id: "stays-area", type: "circle", source: "stays", paint: { "circle-radius": metres(r, latitude), "circle-color": c.stay, "circle-opacity": ["*", 0.14, ["get", "c"]], "circle-stroke-color": c.stay, "circle-stroke-width": 1, "circle-stroke-opacity": 0.55 } },
    { id: "stays", type: "circle", source: "stays", paint: { "circle-radius": ["interpolate", ["linear"], ["get", "minutes"], 0, 4, 60, 6, 480, 10], "circle-color": c.stay, "circle-opacity": ["+", 0.35, ["*", 0.65, ["get", "c"]]], "circle-stroke-color": ring, "circle-stroke-width": 1.5 } },
    { id: "contacts", type: "circle", source: "contacts", paint: { "circle-radius": 5, "circle-color": c.contact, "circle-opacity": ["+", 0.25, ["*", 0.75, ["get", "p"]]], "circle-stroke-color": ring, "circle-stroke-width": 1.2 } },
    { id: "cameras", type: "circle", source: "cameras", paint: { "circle-radius": 4.5, "circle-color": ring, "circle-stroke-color": c.camera, "circle-stroke-width": 2.5 } },
    {
      id: "rows", type: "circle", source: "rows",
      paint: { "circle-radius": 4, "circle-color": ["match", ["get", "k"], ...KINDS.flatMap((kind) => [kind, KIND_COLOUR[kind]]), "#888888"] as unknown as ExpressionSpecification, "circle-stroke-color": ring, "circle-stroke-width": 1.2 },
    },
    { id: "look", type: "circle", source: "look", paint: { "circle-radius": metres(r, latitude), "circle-color": "transparent", "circle-stroke-color": c.contact, "circle-stroke-width": 2.5 } },
    { id: "now-area", type: "circle", source: "now", paint: { "circle-radius": metres(r, latitude), "circle-color": PALETTES[theme].mark, "circle-opacity": 0.16, "circle-stroke-color": PALETTES[theme].mark, "circle-stroke-width": 1.5 } },
    { id: "now", type: "circle", source: "now", paint: { "circle-radius": 8, "circle-color": PALETTES[theme].mark, "circle-stroke-color": ring, "circle-stroke-width": 3 } },
  ];
}

const SOURCES = ["hotspots", "moves", "stays", "contacts", "cameras", "rows", "look", "now"] as const;
export type Source = (typeof SOURCES)[number];
const DRAWN: Record<Shown, string[]> = { stays: ["stays", "stays-area"], route: ["route", "route-band"], hotspots: ["hotspots"], cameras: ["cameras"], contacts: ["contacts"] };

/** The city's map with what an investigation draws on it. */
export class TraceMap {
  readonly map: MapLibre;
  #ready = false;
  #waiting: (() => void)[] = [];

  constructor(element: HTMLElement, city: City, basemap: Basemap, theme: Theme, language: string, label: string, picked: (layer: string, id: string) => void) {
    const style: StyleSpecification = makeStyle(theme, language, basemap, []);
    for (const source of SOURCES) style.sources[source] = { type: "geojson", data: EMPTY };
    style.layers.push(...layers(theme, city.centre[1]));
    this.map = new MapLibre({
      container: element, style, center: city.centre, zoom: 12, minZoom: 7, maxZoom: 18.5, attributionControl: false, dragRotate: false, pitchWithRotate: false, touchPitch: false,
      cooperativeGestures: false, fadeDuration: calm.value ? 0 : 150, locale: { "Map.Title": label },
    });
    this.map.touchZoomRotate.disableRotation();
    this.map.keyboard.disableRotation();
    this.map.addControl(new ScaleControl({ maxWidth: 90 }), "bottom-left");
    this.map.once("load", () => {
      this.#ready = true;
      for (const run of this.#waiting.splice(0)) run();
      element.dataset.ready = "";
    });
    const order = ["stays", "contacts", "cameras", "rows", "route", "hotspots", "stays-area"];
    const found = (at: { x: number; y: number }): Feature & { layer?: { id: string } } | undefined => {
      const near = this.map.queryRenderedFeatures([[at.x - 6, at.y - 6], [at.x + 6, at.y + 6]], { layers: order });
      return near.sort((a, b) => order.indexOf(a.layer.id) - order.indexOf(b.layer.id))[0];
    };
    this.map.on("click", ({ point: at }) => {
      const one = found(at);
      if (one?.layer) picked(one.layer.id, String(one.properties?.id));
    });
    this.map.on("mousemove", ({ point: at }) => void (this.map.getCanvas().style.cursor = found(at) ? "pointer" : ""));
  }

  /** Does something once the map has its layers. */
  #then(run: () => void): void {
    if (this.#ready) run();
    else this.#waiting.push(run);
  }

  set(source: Source, data: FeatureCollection): void {
    this.#then(() => void (this.map.getSource(source) as GeoJSONSource | undefined)?.setData(data));
  }

  show(what: Shown, on: boolean): void {
    this.#then(() => DRAWN[what].forEach((layer) => this.map.setLayoutProperty(layer, "visibility", on ? "visible" : "none")));
  }

  /** Leaves what is not of a span of time away. */
  limit(from: number, to: number): void {
    this.#then(() => {
      for (const layer of ["stays", "stays-area", "route", "route-band", "contacts", "cameras"]) this.map.setFilter(layer, ["all", ["<=", ["get", "from"], to], [">=", ["get", "to"], from]]);
    });
  }

  fit(places: readonly (readonly [number, number])[]): void {
    const bounds = new LngLatBounds();
    for (const [lon, lat] of places) bounds.extend([lon, lat]);
    if (!bounds.isEmpty()) this.map.fitBounds(bounds, { padding: 40, maxZoom: 15, animate: !calm.value });
  }

  goTo(at: [number, number], radius_m: number): void {
    if (this.map.getBounds().contains(at) && this.map.getZoom() > 11.5) return;
    this.map.easeTo({ center: at, zoom: Math.max(12.5, Math.min(15.5, 22 - Math.log2(Math.max(20, radius_m)))), duration: calm.value ? 0 : 500 });
  }

  destroy(): void {
    this.map.remove();
  }
}

/** Where the person was at an instant, as far as the course says: in a stay, or on the way between two points of a move. */
export function placeAt(course: Course, at: number): { lon: number; lat: number; radius_m: number } | undefined {
  const part = course.partAt(at);
  if (!part) return undefined;
  if ("stay" in part) return part.stay;
  const { path, radius_m: radii, times } = part.move;
  if (path.length === 0) return undefined;
  const began = path.map((_, index) => (times ? Date.parse(times[index]!) : part.from + ((part.to - part.from) * index) / Math.max(1, path.length - 1)));
  const before = Math.max(0, began.findLastIndex((time) => time <= at));
  const after = Math.min(path.length - 1, before + 1);
  const share = Math.max(0, Math.min(1, (at - began[before]!) / Math.max(1, began[after]! - began[before]!)));
  const between = (a: number, b: number): number => a + (b - a) * share;
  const [[x, y], [u, v]] = [path[before]!, path[after]!];
  return { lon: between(x, u), lat: between(y, v), radius_m: between(radii[before] ?? 0, radii[after] ?? radii[before] ?? 0) };
}
