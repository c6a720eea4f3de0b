import type { Feature, FeatureCollection, Polygon } from "geojson";
import { LngLatBounds, Map as MapLibre, ScaleControl, setWorkerUrl, type GeoJSONSource, type StyleSpecification } from "maplibre-gl";
import workerUrl from "maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url";
import { makeStyle, PALETTES, type Basemap } from "../../map/style";
import { calm, type Theme } from "../../settings";
import type { City } from "../../types";
import type { Camera } from "./types";

setWorkerUrl(workerUrl);

export const COLOURS = {
  light: { live: "#0b5d53", lost: "#b3261e", off: "#6b7682", view: "#5b4b9a", mark: "#c2410c" },
  dark: { live: "#63d0be", lost: "#ff8a80", off: "#8f9ba7", view: "#bda6f2", mark: "#ffab8a" },
} as const;

export type At = [number, number];
const EMPTY: FeatureCollection = { type: "FeatureCollection", features: [] };
const METRES_OF_DEGREE = 111_320;
const ARC_STEPS = 24;

/** What a camera sees, as a fan on the ground; `WGS 84`, flat near by: fields of view end after some hundred metres. */
export function fieldOf({ location: { coordinates: [lon, lat] }, direction_deg, fov_deg, range_m }: Pick<Camera, "location" | "direction_deg" | "fov_deg" | "range_m">): Polygon {
  const wide = METRES_OF_DEGREE * Math.cos((lat * Math.PI) / 180);
  const arc = Array.from({ length: ARC_STEPS + 1 }, (_, step): At => {
    const bearing = ((direction_deg + fov_deg * (step / ARC_STEPS - 0.5)) * Math.PI) / 180;
    return [lon + (Math.sin(bearing) * range_m) / wide, lat + (Math.cos(bearing) * range_m) / METRES_OF_DEGREE];
  });
  return { type: "Polygon", coordinates: [fov_deg >= 360 ? arc : [[lon, lat], ...arc, [lon, lat]]] };
}

/** The map of cameras: dots by state, fields of view when near or chosen, a mark where one asks what is near. */
export class CameraMap {
  readonly map: MapLibre;
  #ready = false;
  #last: { cameras: readonly Camera[]; chosen: string; mark: At | null } | undefined;

  constructor(element: HTMLElement, city: City, basemap: Basemap, theme: Theme, language: string, label: string, heard: { picked: (id: string) => void; tapped: (at: At) => void }) {
    const c = COLOURS[theme];
    const style: StyleSpecification = makeStyle(theme, language, basemap, []);
    for (const source of ["cam-fields", "cam-points", "cam-mark"]) style.sources[source] = { type: "geojson", data: EMPTY };
    style.layers.push(
      { id: "cam-fields", type: "fill", source: "cam-fields", minzoom: 13, paint: { "fill-color": c.view, "fill-opacity": ["case", ["get", "on"], 0.4, 0.14] } },
      { id: "cam-edges", type: "line", source: "cam-fields", minzoom: 13, paint: { "line-color": c.view, "line-width": ["case", ["get", "on"], 2.5, 0.8] } },
      {
        id: "cam-points", type: "circle", source: "cam-points",
        paint: { "circle-radius": ["interpolate", ["linear"], ["zoom"], 9, ["case", ["get", "on"], 8, 2.5], 15, ["case", ["get", "on"], 10, 6]], "circle-color": ["match", ["get", "state"], "live", c.live, "lost", c.lost, c.off], "circle-stroke-color": PALETTES[theme].ring, "circle-stroke-width": 1.5 },
      },
      { id: "cam-mark", type: "circle", source: "cam-mark", paint: { "circle-radius": 8, "circle-color": "transparent", "circle-stroke-color": c.mark, "circle-stroke-width": 4 } },
    );
    this.map = new MapLibre({
      container: element, style, center: city.centre, zoom: 12, minZoom: 8, maxZoom: 19, attributionControl: false, dragRotate: false, pitchWithRotate: false, touchPitch: false,
      fadeDuration: calm.value ? 0 : 150, locale: { "Map.Title": label },
    });
    this.map.touchZoomRotate.disableRotation();
    this.map.keyboard.disableRotation();
    this.map.addControl(new ScaleControl({ maxWidth: 90 }), "bottom-left");
    this.map.once("load", () => {
      this.#ready = true;
      element.dataset.ready = "";
      if (this.#last) this.draw(this.#last.cameras, this.#last.chosen, this.#last.mark);
    });
    this.map.on("click", ({ point, lngLat }) => {
      const hit = this.#ready ? this.map.queryRenderedFeatures([[point.x - 8, point.y - 8], [point.x + 8, point.y + 8]], { layers: ["cam-points"] })[0] : undefined;
      if (hit) heard.picked(String(hit.properties.id));
      else heard.tapped([lngLat.lng, lngLat.lat]);
    });
  }

  draw(cameras: readonly Camera[], chosen: string, mark: At | null): void {
    this.#last = { cameras, chosen, mark };
    if (!this.#ready) return;
    const of = (make: (camera: Camera) => Feature["geometry"]): FeatureCollection => ({
      type: "FeatureCollection", features: cameras.map((camera) => ({ type: "Feature", geometry: make(camera), properties: { id: camera.id, state: camera.state, on: camera.id === chosen } })),
    });
    const put = (source: string, data: FeatureCollection): void => void this.map.getSource<GeoJSONSource>(source)?.setData(data);
    put("cam-fields", of(fieldOf));
    put("cam-points", of(({ location }) => location));
    put("cam-mark", mark ? { type: "FeatureCollection", features: [{ type: "Feature", geometry: { type: "Point", coordinates: mark }, properties: {} }] } : EMPTY);
  }

  fit(cameras: readonly Camera[]): void {
    const bounds = new LngLatBounds();
    for (const { location } of cameras) bounds.extend(location.coordinates);
    if (!bounds.isEmpty()) this.map.fitBounds(bounds, { padding: 40, maxZoom: 16, animate: false });
  }

  goTo(at: At): void {
    this.map.easeTo({ center: at, zoom: Math.max(15.5, this.map.getZoom()), duration: calm.value ? 0 : 400 });
  }

  middle(): At {
    const { lng, lat } = this.map.getCenter();
    return [lng, lat];
  }

  destroy(): void {
    this.map.remove();
  }
}
