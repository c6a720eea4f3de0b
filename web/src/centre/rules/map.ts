import type { Feature, FeatureCollection, Polygon, Position } from "geojson";
import { LngLatBounds, Map as MapLibre, ScaleControl, setWorkerUrl, type GeoJSONSource, type LayerSpecification } from "maplibre-gl";
import workerUrl from "maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url";
import { makeStyle, PALETTES, type Basemap } from "../../map/style";
import { calm, type Theme } from "../../settings";
import type { City } from "../../types";

setWorkerUrl(workerUrl);

const SOURCES = ["area", "corners", "firings"] as const;
export type Source = (typeof SOURCES)[number];
const COLOURS = { light: { area: "#0b5d53", fired: "#b3261e" }, dark: { area: "#63d0be", fired: "#ff8a80" } } as const;
const EMPTY: FeatureCollection = { type: "FeatureCollection", features: [] };
const M_A_DEGREE = 111_320;

function layers(theme: Theme): LayerSpecification[] {
  const { area, fired } = COLOURS[theme];
  const { ring } = PALETTES[theme];
  return [
    { id: "area", type: "fill", source: "area", filter: ["==", ["geometry-type"], "Polygon"], paint: { "fill-color": area, "fill-opacity": 0.16 } },
    { id: "area-edge", type: "line", source: "area", paint: { "line-color": area, "line-width": 2.5 } },
    { id: "corners", type: "circle", source: "corners", paint: { "circle-radius": 6, "circle-color": ring, "circle-stroke-color": area, "circle-stroke-width": 3 } },
    { id: "firings", type: "circle", source: "firings", paint: { "circle-radius": ["case", ["boolean", ["get", "on"], false], 10, 6], "circle-color": fired, "circle-opacity": 0.8, "circle-stroke-color": ring, "circle-stroke-width": 2 } },
  ];
}

/** A circle of a radius in metres around a place, as a polygon of 48 corners; plane geometry, so for city distances. */
export function circle([lon, lat]: readonly [number, number], radius_m: number): Polygon {
  const ring = Array.from({ length: 49 }, (_, i): Position => {
    const angle = (i % 48) * (Math.PI / 24);
    return [lon + (radius_m * Math.cos(angle)) / (M_A_DEGREE * Math.cos((lat * Math.PI) / 180)), lat + (radius_m * Math.sin(angle)) / M_A_DEGREE];
  });
  return { type: "Polygon", coordinates: [ring] };
}

export const features = (list: Feature[]): FeatureCollection => ({ type: "FeatureCollection", features: list });

/** The city's map with a rule's place, or with where it would have fired. */
export class RulesMap {
  readonly map: MapLibre;
  #ready = false;
  #waiting: (() => void)[] = [];

  constructor(element: HTMLElement, city: City, basemap: Basemap, theme: Theme, language: string, label: string, heard: { tapped: (at: [number, number]) => void; moved: (corner: number, at: [number, number]) => void }) {
    const style = makeStyle(theme, language, basemap, []);
    for (const source of SOURCES) style.sources[source] = { type: "geojson", data: EMPTY };
    style.layers.push(...layers(theme));
    this.map = new MapLibre({
      container: element, style, center: city.centre, zoom: 12, minZoom: 8, maxZoom: 18.5, attributionControl: false, dragRotate: false, pitchWithRotate: false, touchPitch: false,
      fadeDuration: calm.value ? 0 : 150, locale: { "Map.Title": label }, cooperativeGestures: false,
    });
    this.map.touchZoomRotate.disableRotation();
    this.map.keyboard.disableRotation();
    this.map.addControl(new ScaleControl({ maxWidth: 90 }), "bottom-left");
    this.map.once("load", () => {
      this.#ready = true;
      for (const run of this.#waiting.splice(0)) run();
      element.dataset.ready = "";
    });
    let held: number | undefined;
    this.map.on("click", ({ lngLat }) => heard.tapped([lngLat.lng, lngLat.lat]));
    for (const [down, move, up] of [["mousedown", "mousemove", "mouseup"], ["touchstart", "touchmove", "touchend"]] as const) {
      this.map.on(down, "corners", (event) => {
        const corner: unknown = event.features?.[0]?.properties.n;
        if (typeof corner !== "number") return;
        held = corner;
        event.preventDefault();
      });
      this.map.on(move, ({ lngLat }) => {
        if (held !== undefined) heard.moved(held, [lngLat.lng, lngLat.lat]);
      });
      this.map.on(up, () => (held = undefined));
    }
  }

  set(source: Source, data: FeatureCollection): void {
    const run = (): void => void (this.map.getSource(source) as GeoJSONSource | undefined)?.setData(data);
    if (this.#ready) run();
    else this.#waiting.push(run);
  }

  fit(places: readonly Position[]): void {
    const bounds = new LngLatBounds();
    for (const [lon = 0, lat = 0] of places) bounds.extend([lon, lat]);
    if (!bounds.isEmpty()) this.map.fitBounds(bounds, { padding: 40, maxZoom: 15.5, animate: false });
  }

  destroy(): void {
    this.map.remove();
  }
}
