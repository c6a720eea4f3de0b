import type { Feature, FeatureCollection, Position } from "geojson";
import type { ExpressionSpecification, LayerSpecification, SourceSpecification, StyleSpecification } from "maplibre-gl";
import type { Theme } from "../settings";
import type { Layer } from "../types";

export interface Basemap {
  boundary?: FeatureCollection;
  dongs?: FeatureCollection;
  roads?: FeatureCollection;
  water?: FeatureCollection;
  green?: FeatureCollection;
  buildings?: FeatureCollection;
  rail?: FeatureCollection;
}

interface Palette {
  outside: string;
  land: string;
  edge: string;
  dong: string;
  water: string;
  green: string;
  road: string;
  casing: string;
  minor: string;
  brt: string;
  building: string;
  rail: string;
  label: string;
  greenLabel: string;
  halo: string;
  paper: string;
  ink: string;
  ring: string;
  mark: string;
}

export const PALETTES: Record<Theme, Palette> = {
  light: {
    outside: "#e6e9ec", land: "#f6f5f1", edge: "#8e9aa6", dong: "#c3cad1", water: "#bcd7e8", green: "#dae8d0", road: "#ffffff",
    casing: "#cfd3d8", minor: "#e6e6e2", brt: "#f3dcb4", building: "#e6e4df", rail: "#aeb6bf", label: "#44515e", greenLabel: "#3c6a3f", halo: "#f9f8f5", paper: "#ffffff", ink: "#16202b", ring: "#ffffff", mark: "#0b5d53",
  },
  dark: {
    outside: "#0b1016", land: "#18212b", edge: "#51606f", dong: "#33414f", water: "#16364a", green: "#1a3026", road: "#394857",
    casing: "#0e141b", minor: "#25313d", brt: "#5a4c33", building: "#202b36", rail: "#485665", label: "#a3b1bf", greenLabel: "#86b58b", halo: "#10171f", paper: "#1b2530", ink: "#eef3f7", ring: "#0e151c", mark: "#63d0be",
  },
};

export const FONT = ["Pretendard Variable"];
/** A cluster's ring is drawn in so many parts: fewer parts, fewer different images that every tile has to carry. */
const SHARES = 5;
const EMPTY: FeatureCollection = { type: "FeatureCollection", features: [] };

/** Roads of a class or better; unclassified ones count as minor. */
const MAIN: ExpressionSpecification = ["in", ["coalesce", ["get", "class"], ""], ["literal", ["motorway", "trunk", "primary"]]];
const MIDDLE: ExpressionSpecification = ["in", ["coalesce", ["get", "class"], ""], ["literal", ["secondary", "tertiary"]]];
const roadWidth = (factor: number, more: number): ExpressionSpecification => [
  "interpolate", ["exponential", 1.5], ["zoom"],
  9, ["+", more * 0.4, ["*", factor, ["case", MAIN, 1.1, MIDDLE, 0.5, 0.2]]],
  13, ["+", more, ["*", factor, ["case", MAIN, 3.6, MIDDLE, 2.2, 0.9]]],
  17, ["+", more * 1.6, ["*", factor, ["case", MAIN, 16, MIDDLE, 11, 6]]],
];

/** The basemap's layers, bottom to top. */
export function baseLayers(theme: Theme, language: string): LayerSpecification[] {
  const c = PALETTES[theme];
  const name: ExpressionSpecification = ["coalesce", ["get", `name_${language}`], ["get", "name"], ["get", "name_ko"], ""];
  return [
    { id: "outside", type: "background", paint: { "background-color": c.outside } },
    { id: "land", type: "fill", source: "boundary", paint: { "fill-color": c.land } },
    { id: "green", type: "fill", source: "green", paint: { "fill-color": c.green } },
    { id: "water", type: "fill", source: "water", filter: ["==", ["geometry-type"], "Polygon"], paint: { "fill-color": c.water } },
    {
      id: "streams", type: "line", source: "water", filter: ["==", ["geometry-type"], "LineString"],
      paint: { "line-color": c.water, "line-width": ["interpolate", ["linear"], ["zoom"], 9, 1, 15, 8] },
    },
    {
      id: "buildings", type: "fill", source: "buildings", minzoom: 12.5,
      paint: { "fill-color": c.building, "fill-opacity": ["interpolate", ["linear"], ["zoom"], 12.5, 0, 13.5, 1] },
    },
    { id: "rail", type: "line", source: "rail", paint: { "line-color": c.rail, "line-width": 2.2, "line-dasharray": [5, 2] } },
    { id: "dongs", type: "line", source: "dongs", paint: { "line-color": c.dong, "line-width": 1, "line-dasharray": [3, 3] } },
    {
      id: "roads-minor", type: "line", source: "roads", minzoom: 11.5, filter: ["!", ["any", MAIN, MIDDLE]],
      layout: { "line-cap": "round", "line-join": "round" }, paint: { "line-color": c.minor, "line-width": roadWidth(1, 0.4) },
    },
    {
      id: "roads-casing", type: "line", source: "roads", filter: ["any", MAIN, MIDDLE],
      layout: { "line-cap": "round", "line-join": "round" }, paint: { "line-color": c.casing, "line-width": roadWidth(1, 1.5) },
    },
    {
      id: "roads", type: "line", source: "roads", filter: ["any", MAIN, MIDDLE],
      layout: { "line-cap": "round", "line-join": "round" }, paint: { "line-color": ["case", ["boolean", ["get", "brt"], false], c.brt, c.road], "line-width": roadWidth(1, 0) },
    },
    { id: "edge", type: "line", source: "boundary", paint: { "line-color": c.edge, "line-width": 1.6 } },
    {
      id: "green-names", type: "symbol", source: "green-centres", minzoom: 12,
      layout: { "text-field": name, "text-font": FONT, "text-size": 11, "text-max-width": 7 },
      paint: { "text-color": c.greenLabel, "text-halo-color": c.halo, "text-halo-width": 1.4 },
    },
    {
      id: "road-names", type: "symbol", source: "roads", minzoom: 12.5, filter: MAIN,
      layout: { "text-field": name, "text-font": FONT, "text-size": 11, "symbol-placement": "line", "symbol-spacing": 420 },
      paint: { "text-color": c.label, "text-halo-color": c.halo, "text-halo-width": 1.4 },
    },
    {
      id: "dong-names", type: "symbol", source: "dong-centres",
      layout: { "text-field": name, "text-font": FONT, "text-size": ["interpolate", ["linear"], ["zoom"], 9, 10.5, 14, 14], "text-padding": 6 },
      paint: { "text-color": c.label, "text-halo-color": c.halo, "text-halo-width": 1.6 },
    },
  ];
}

/** The zoom from which no entity is part of a cluster: each is a pin with its icon and its value. */
export const ALONE = 15;
/** The zoom from which dots have icons. */
const LEGIBLE = 12.5;

/** An entity's colour. It is feature state: a new value needs no new data, so that clusters stay where they are. */
const COLOUR: ExpressionSpecification = ["to-color", ["feature-state", "c"], "#888888"];

/** The layers of live entities: shapes, clusters, dots that become pins when zoomed in, the mark of the selected one. */
export function liveLayers(theme: Theme, layers: readonly Layer[]): LayerSpecification[] {
  const c = PALETTES[theme];
  const shares = layers.flatMap((_, index): (string | ExpressionSpecification)[] => [
    ",", ["to-string", ["round", ["/", ["*", SHARES, ["get", `l${index}`]], ["get", "point_count"]]]],
  ]);
  const size: ExpressionSpecification = ["step", ["get", "point_count"], "30", 25, "36", 100, "42", 1000, "50"];
  const pointLayers = (source: "points" | "movers"): LayerSpecification[] => [
    {
      id: `${source}-dots`, type: "circle", source, maxzoom: ALONE,
      paint: {
        "circle-color": COLOUR, "circle-stroke-color": c.ring, "circle-stroke-width": 1.4,
        "circle-radius": ["interpolate", ["linear"], ["zoom"], 8, 4, LEGIBLE, 8.5, ALONE, 12],
      },
    },
    {
      id: `${source}-icons`, type: "symbol", source, minzoom: LEGIBLE, maxzoom: ALONE,
      layout: {
        "icon-image": ["concat", "icon|", theme, "|", ["get", "i"]], "icon-overlap": "always", "icon-ignore-placement": true,
        "icon-size": ["interpolate", ["linear"], ["zoom"], LEGIBLE, 0.7, ALONE, 1],
      },
    },
    {
      id: `${source}-pins`, type: "symbol", source, minzoom: ALONE,
      layout: {
        "icon-image": ["concat", "pin|", theme, "|", ["coalesce", ["get", "c"], "#888888"], "|", ["get", "i"]],
        "icon-overlap": "always", "icon-ignore-placement": true,
        "text-field": ["coalesce", ["get", "t"], ""], "text-font": FONT, "text-size": 11.5,
        "text-offset": [0, 1.25], "text-anchor": "top", "text-optional": true,
      },
      paint: { "text-color": c.ink, "text-halo-color": c.halo, "text-halo-width": 1.6 },
    },
  ];
  return [
    {
      id: "narrow-line", type: "line", source: "narrow", filter: ["!=", ["geometry-type"], "Point"],
      paint: { "line-color": c.mark, "line-width": 2.5, "line-dasharray": [3, 2] },
    },
    {
      id: "narrow-corners", type: "circle", source: "narrow", filter: ["==", ["geometry-type"], "Point"],
      paint: { "circle-color": c.mark, "circle-radius": 5, "circle-stroke-color": c.ring, "circle-stroke-width": 1.5 },
    },
    {
      id: "areas", type: "fill", source: "shapes", filter: ["==", ["geometry-type"], "Polygon"],
      paint: { "fill-color": COLOUR, "fill-opacity": 0.28 },
    },
    {
      id: "lines", type: "line", source: "shapes", layout: { "line-cap": "round", "line-join": "round" },
      paint: { "line-color": COLOUR, "line-width": ["interpolate", ["exponential", 1.5], ["zoom"], 9, 1.6, 13, 3.6, 17, 10] },
    },
    {
      id: "selected-line", type: "line", source: "selected", filter: ["!=", ["geometry-type"], "Point"], layout: { "line-cap": "round" },
      paint: { "line-color": c.mark, "line-width": 3, "line-gap-width": 6 },
    },
    {
      id: "selected", type: "circle", source: "selected", filter: ["==", ["geometry-type"], "Point"],
      paint: {
        "circle-radius": ["interpolate", ["linear"], ["zoom"], 10, 11, 13, 18],
        "circle-color": c.mark, "circle-opacity": 0.22, "circle-stroke-color": c.mark, "circle-stroke-width": 2.5,
      },
    },
    ...pointLayers("points"),
    ...pointLayers("movers"),
    {
      id: "clusters", type: "symbol", source: "clusters",
      layout: {
        "icon-image": ["concat", "cluster|", theme, "|", size, "|0", ...shares], "icon-overlap": "always",
        "text-field": ["get", "words"], "text-font": FONT, "text-size": 12, "text-overlap": "always",
        "icon-ignore-placement": true, "text-ignore-placement": true,
      },
      paint: { "text-color": c.ink },
    },
  ];
}

/** A point in the middle of each polygon, so that a name is written once however many tiles its polygon spans. */
function centres(collection: FeatureCollection | undefined): FeatureCollection {
  const features = (collection?.features ?? []).flatMap((feature): Feature[] => {
    const { geometry } = feature;
    const rings = geometry.type === "Polygon" ? [geometry.coordinates[0]] : geometry.type === "MultiPolygon" ? geometry.coordinates.map(([ring]) => ring) : [];
    let best: [number, number, number] = [0, 0, 0];
    for (const ring of rings) {
      const middle = ring && centroid(ring);
      if (middle && middle[2] > best[2]) best = middle;
    }
    return best[2] > 0 ? [{ type: "Feature", properties: feature.properties, geometry: { type: "Point", coordinates: [best[0], best[1]] } }] : [];
  });
  return { type: "FeatureCollection", features };
}

/** A ring's centroid and its area, in degrees. */
function centroid(ring: Position[]): [number, number, number] {
  const [ox = 0, oy = 0] = ring[0] ?? [];
  let [x, y, area] = [0, 0, 0];
  for (let i = 0; i + 1 < ring.length; i += 1) {
    const [ax, ay, bx, by] = [ring[i]![0]! - ox, ring[i]![1]! - oy, ring[i + 1]![0]! - ox, ring[i + 1]![1]! - oy];
    const cross = ax * by - bx * ay;
    area += cross / 2;
    x += ((ax + bx) * cross) / 6;
    y += ((ay + by) * cross) / 6;
  }
  return [ox + x / area, oy + y / area, Math.abs(area)];
}

export function makeStyle(theme: Theme, language: string, basemap: Basemap, layers: readonly Layer[]): StyleSpecification {
  const geojson = (data: FeatureCollection | undefined): SourceSpecification => ({ type: "geojson", data: data ?? EMPTY });
  return {
    version: 8,
    sources: {
      boundary: geojson(basemap.boundary), dongs: geojson(basemap.dongs), roads: geojson(basemap.roads),
      water: geojson(basemap.water), green: geojson(basemap.green),
      buildings: geojson(basemap.buildings), rail: geojson(basemap.rail),
      "green-centres": geojson(centres(basemap.green)),
      "dong-centres": geojson(centres(basemap.dongs)),
      points: { type: "geojson", data: EMPTY, promoteId: "id" },
      clusters: { type: "geojson", data: EMPTY, promoteId: "id" },
      narrow: geojson(EMPTY),
      movers: { type: "geojson", data: EMPTY, promoteId: "id" },
      shapes: { type: "geojson", data: EMPTY, promoteId: "id" },
      selected: geojson(EMPTY),
    },
    layers: [...baseLayers(theme, language), ...liveLayers(theme, layers)],
  };
}
