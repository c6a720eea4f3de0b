import type { Feature, FeatureCollection } from "geojson";
import { LngLatBounds, Map as MapLibre, ScaleControl, setWorkerUrl, type ExpressionSpecification, type GeoJSONSource, type LayerSpecification, type StyleSpecification } from "maplibre-gl";
import workerUrl from "maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url";
import { FONT, makeStyle, PALETTES, type Basemap } from "../map/style";
import { calm, type Theme } from "../settings";
import type { City } from "../types";
import type { LonLat } from "./types";

setWorkerUrl(workerUrl);

/** What a van is doing, as far as its colour tells. */
export const LOOKS = ["busy", "free", "risk", "off"] as const;
export type Look = (typeof LOOKS)[number];

const COLOURS = {
  light: { busy: "#0b5d53", free: "#3567b0", risk: "#b3261e", off: "#6b7682", path: "#0b6b60", walk: "#3567b0", stop: "#55626f", start: "#3567b0", end: "#b3261e", zone: "#0b5d53" },
  dark: { busy: "#63d0be", free: "#8ab4f0", risk: "#ff8a80", off: "#8f9ba7", path: "#63d0be", walk: "#8ab4f0", stop: "#9fadbb", start: "#8ab4f0", end: "#ff8a80", zone: "#63d0be" },
} as const;
export const lookColour = (theme: Theme, look: Look): string => COLOURS[theme][look];

export const SOURCES = ["zone", "paths", "walk", "stops", "ends", "vans"] as const;
export type Source = (typeof SOURCES)[number];
export type Drawn = Partial<Record<Source, FeatureCollection>>;

/** Pixels between what is shown whole and the map's edge, for its label. */
const MOST_PADDING = 60;

export const EMPTY: FeatureCollection = { type: "FeatureCollection", features: [] };
export const collection = (features: Feature[]): FeatureCollection => ({ type: "FeatureCollection", features });
export const point = (lon: number, lat: number, properties: Record<string, unknown> = {}): Feature => ({ type: "Feature", geometry: { type: "Point", coordinates: [lon, lat] }, properties });
export const line = (path: readonly LonLat[], properties: Record<string, unknown> = {}): Feature => ({ type: "Feature", geometry: { type: "LineString", coordinates: path.map(([lon, lat]) => [lon, lat]) }, properties });

function layers(theme: Theme): LayerSpecification[] {
  const c = COLOURS[theme];
  const { ring, ink, halo } = PALETTES[theme];
  const label = { "text-font": FONT, "text-offset": [0, 1.1] as [number, number], "text-anchor": "top" as const, "text-optional": true };
  const bright: ExpressionSpecification = ["case", ["boolean", ["get", "on"], true], 0.85, 0.25];
  return [
    { id: "zone", type: "line", source: "zone", paint: { "line-color": c.zone, "line-width": 2, "line-dasharray": [3, 2], "line-opacity": 0.8 } },
    { id: "paths-casing", type: "line", source: "paths", layout: { "line-cap": "round", "line-join": "round" }, paint: { "line-color": ring, "line-width": 7, "line-opacity": bright } },
    { id: "paths", type: "line", source: "paths", layout: { "line-cap": "round", "line-join": "round" }, paint: { "line-color": ["coalesce", ["get", "c"], c.path], "line-width": 4, "line-opacity": bright } },
    { id: "walk", type: "line", source: "walk", layout: { "line-cap": "round" }, paint: { "line-color": c.walk, "line-width": 3.5, "line-dasharray": [0.2, 2] } },
    { id: "stops", type: "circle", source: "stops", minzoom: 12.5, paint: { "circle-radius": ["interpolate", ["linear"], ["zoom"], 12.5, 2.5, 16, 5.5], "circle-color": ring, "circle-stroke-color": c.stop, "circle-stroke-width": 2 } },
    { id: "stop-names", type: "symbol", source: "stops", minzoom: 15, layout: { ...label, "text-field": ["coalesce", ["get", "name"], ""], "text-size": 11, "text-offset": [0, 0.8] }, paint: { "text-color": ink, "text-halo-color": halo, "text-halo-width": 1.5 } },
    { id: "ends", type: "circle", source: "ends", paint: { "circle-radius": ["match", ["get", "k"], "start", 7, "end", 7, 9], "circle-color": ["match", ["get", "k"], "start", ring, "end", ring, "pickup", c.start, "dropoff", c.end, "next", c.path, c.stop], "circle-stroke-color": ["match", ["get", "k"], "start", c.start, "end", c.end, ring], "circle-stroke-width": ["match", ["get", "k"], "start", 4, "end", 4, 3] } },
    { id: "end-names", type: "symbol", source: "ends", layout: { ...label, "text-field": ["coalesce", ["get", "name"], ""], "text-size": 12.5 }, paint: { "text-color": ink, "text-halo-color": halo, "text-halo-width": 1.8 } },
    {
      id: "vans", type: "symbol", source: "vans",
      layout: { "icon-image": ["concat", "van|", ["get", "look"], ["case", ["boolean", ["get", "on"], false], "|on", ""]], "icon-rotate": ["coalesce", ["get", "bearing"], 0], "icon-rotation-alignment": "map", "icon-overlap": "always", "icon-ignore-placement": true, "icon-size": ["interpolate", ["linear"], ["zoom"], 10, 0.6, 14, 1] },
    },
    { id: "van-names", type: "symbol", source: "vans", layout: { ...label, "text-field": ["coalesce", ["get", "name"], ""], "text-size": 11.5, "text-offset": [0, 1.3] }, paint: { "text-color": ink, "text-halo-color": halo, "text-halo-width": 1.8 } },
  ];
}

/** A disc that points where the van goes, twice as fine as it is shown. */
function vanImage(colour: string, ring: string, mark: string | undefined): ImageData {
  const size = 76;
  const context = Object.assign(document.createElement("canvas"), { width: size, height: size }).getContext("2d")!;
  context.translate(size / 2, size / 2);
  const disc = (radius: number, fill: string): void => {
    context.beginPath();
    context.arc(0, 0, radius, 0, 2 * Math.PI);
    context.fillStyle = fill;
    context.fill();
  };
  if (mark) disc(36, mark);
  disc(27, ring);
  disc(23, colour);
  context.beginPath();
  for (const [x, y] of [[0, -15], [11, 11], [0, 5], [-11, 11]] as const) context.lineTo(x, y);
  context.closePath();
  context.fillStyle = ring;
  context.fill();
  return context.getImageData(0, 0, size, size);
}

export interface Heard {
  /** Something that is drawn was clicked. */
  picked?: (source: Source, id: string) => void;
  /** The map was clicked where nothing that can be picked is. */
  tapped?: (at: LonLat) => void;
  /** The viewer has moved the map's middle. */
  moved?: (middle: LonLat) => void;
}

/** The city's map with what a ride draws on it. */
export class RideMap {
  readonly map: MapLibre;
  #ready = false;
  #waiting: (() => void)[] = [];
  /** What the map shows whole until the viewer moves it. */
  #fitted: readonly LonLat[] = [];

  constructor(element: HTMLElement, city: City, basemap: Basemap, theme: Theme, language: string, label: string, heard: () => Heard) {
    const style: StyleSpecification = makeStyle(theme, language, basemap, []);
    for (const source of SOURCES) style.sources[source] = { type: "geojson", data: EMPTY };
    style.layers.push(...layers(theme));
    this.map = new MapLibre({
      container: element, style, center: city.centre, zoom: 13, minZoom: 8, maxZoom: 18.5, attributionControl: false, dragRotate: false, pitchWithRotate: false, touchPitch: false,
      fadeDuration: calm.value ? 0 : 150, locale: { "Map.Title": label },
    });
    this.map.touchZoomRotate.disableRotation();
    this.map.keyboard.disableRotation();
    this.map.addControl(new ScaleControl({ maxWidth: 90 }), "bottom-left");
    const { ring, mark } = PALETTES[theme];
    for (const look of LOOKS) {
      for (const on of [false, true]) this.map.addImage(`van|${look}${on ? "|on" : ""}`, vanImage(COLOURS[theme][look], ring, on ? mark : undefined), { pixelRatio: 2 });
    }
    this.map.once("load", () => {
      this.#ready = true;
      for (const run of this.#waiting.splice(0)) run();
      element.dataset.ready = "";
    });
    const pickable = ["vans", "ends"];
    const found = (at: { x: number; y: number }): (Feature & { layer: { id: string } }) | undefined => (this.#ready && heard().picked ? this.map.queryRenderedFeatures([[at.x - 8, at.y - 8], [at.x + 8, at.y + 8]], { layers: pickable })[0] : undefined);
    this.map.on("click", ({ point: at, lngLat }) => {
      const one = found(at);
      if (one?.properties?.id) heard().picked?.(one.layer.id as Source, String(one.properties.id));
      else heard().tapped?.([lngLat.lng, lngLat.lat]);
    });
    this.map.on("mousemove", ({ point: at }) => void (this.map.getCanvas().style.cursor = found(at)?.properties?.id ? "pointer" : ""));
    for (const own of ["dragstart", "zoomstart"] as const) this.map.on(own, ({ originalEvent }) => { if (originalEvent) this.#fitted = []; });
    this.map.on("resize", () => this.#fit(false));
    this.map.on("moveend", () => {
      const { lng, lat } = this.map.getCenter();
      heard().moved?.([lng, lat]);
    });
  }

  /** Does something once the map has its layers. */
  #then(run: () => void): void {
    if (this.#ready) run();
    else this.#waiting.push(run);
  }

  set(source: Source, data: FeatureCollection): void {
    this.#then(() => void (this.map.getSource(source) as GeoJSONSource | undefined)?.setData(data));
  }

  fit(places: readonly LonLat[]): void {
    this.#fitted = places;
    this.#fit(!calm.value);
  }

  #fit(animate: boolean): void {
    const bounds = new LngLatBounds();
    for (const [lon, lat] of this.#fitted) bounds.extend([lon, lat]);
    const { clientWidth, clientHeight } = this.map.getContainer();
    const padding = Math.min(MOST_PADDING, Math.round(0.2 * Math.min(clientWidth, clientHeight)));
    if (!bounds.isEmpty()) this.map.fitBounds(bounds, { padding, maxZoom: 16, animate, duration: 500 });
  }

  goTo(at: LonLat, zoom?: number): void {
    this.#fitted = [];
    this.map.easeTo({ center: [at[0], at[1]], zoom: zoom ?? Math.max(14, this.map.getZoom()), duration: calm.value ? 0 : 400 });
  }

  destroy(): void {
    this.map.remove();
  }
}
