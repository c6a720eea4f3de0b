import type { Feature, FeatureCollection, Geometry, Position as Place } from "geojson";
import {
  LngLatBounds, Map as MapLibre, ScaleControl, setWorkerUrl,
  type GeoJSONSource, type MapLayerMouseEvent,
} from "maplibre-gl";
import workerUrl from "maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url";
import { colourOf, nameOf, withUnit } from "../format";
import { language, t, text } from "../i18n";
import type { Model } from "../model";
import { calm, phone, theme, type Theme } from "../settings";
import { throttled } from "../state";
import type { Batch } from "../store";
import type { Cluster, Entity, Layer } from "../types";
import { Glide, type Position } from "./glide";
import { clusterImage, DRAWN, iconImage, pinImage } from "./icons";
import { ALONE, baseLayers, liveLayers, makeStyle, PALETTES } from "./style";

setWorkerUrl(workerUrl);

const FLUSH_MS = 200;
const LOOK_MS = 250;
const PICKABLE = ["movers-pins", "points-pins", "movers-dots", "points-dots", "lines", "areas"];
/** How long one flush may keep the page, ms: what is left has its turn a moment later. */
const FLUSH_BUDGET_MS = 25;
const MOST_ZOOM = 18;
const MOST_TILES = 64;

const SOURCES = ["points", "movers", "shapes"] as const;
type SourceName = (typeof SOURCES)[number];

/** What the map was last told of an entity. */
interface Drawn {
  source: SourceName;
  geometry: Geometry;
  layer: Layer;
  colour: string;
  /** Colour and text as the data have them; only kept up to date where pins show them. */
  detail: string;
}

/**
 * The map: says which tiles are in sight, draws what the store knows of them, and keeps up with it.
 *
 * What changed since the last flush goes to MapLibre's worker as one diff a source, never two at a time. A new value
 * changes an entity's colour by feature state, without new data; what moves lives in a source of its own and glides.
 */
export class CityMap {
  readonly map: MapLibre;
  readonly #model: Model;
  readonly #dirty = new Set<string>();
  readonly #drawn = new Map<string, Drawn>();
  readonly #glide = new Glide(async (moved) => {
    const update = moved.filter(([id]) => this.#drawn.get(id)?.source === "movers").map(([id, at]) => ({ id, newGeometry: { type: "Point" as const, coordinates: at } }));
    if (update.length) await this.#source("movers").updateData({ update });
  });
  #clusters = new Map<string, Cluster>();
  #clustered = 0;
  #awaited = false;
  #again = false;
  readonly #tip: HTMLElement;
  readonly #undo: (() => void)[] = [];
  readonly #soon: () => void;
  #busy = false;
  #ready = false;

  constructor(element: HTMLElement, tip: HTMLElement, model: Model) {
    this.#model = model;
    this.#tip = tip;
    this.#soon = throttled(FLUSH_MS, () => void this.#flush());
    const bounds = this.#bounds();
    this.map = new MapLibre({
      container: element,
      style: makeStyle(theme.value, language.value, model.basemap, model.manifest.layers),
      ...(bounds ? { bounds, fitBoundsOptions: { padding: 24 } } : { center: model.manifest.city.centre, zoom: 11 }),
      minZoom: 7,
      maxZoom: 18.5,
      attributionControl: false,
      dragRotate: false,
      pitchWithRotate: false,
      touchPitch: false,
      fadeDuration: calm.value ? 0 : 150,
      locale: { "Map.Title": t("map.label", { city: text(model.manifest.city.name) }) },
    });
    this.map.getCanvas().setAttribute("aria-describedby", "map-help");
    this.map.touchZoomRotate.disableRotation();
    this.map.keyboard.disableRotation();
    this.map.addControl(new ScaleControl({ maxWidth: 90 }), "bottom-left");
    this.map.setMissingStyleImageResolver((id) => this.#makeImage(id));
    this.map.once("load", () => this.#start());
    this.map.on("click", (event) => this.#click(event));
    this.map.on("mousemove", (event) => this.#hover(event));
    this.map.on("mouseout", () => (this.#tip.hidden = true));
    this.map.on("movestart", () => (this.#tip.hidden = true));
  }

  destroy(): void {
    for (const undo of this.#undo) undo();
    this.#glide.stop();
    this.map.remove();
  }

  home(): void {
    const bounds = this.#bounds();
    if (bounds) this.map.fitBounds(bounds, { padding: 24, animate: !calm.value });
    else this.map.easeTo({ center: this.#model.manifest.city.centre, zoom: 11, animate: !calm.value });
  }

  goTo(at: [number, number], zoom: number): void {
    const hidden = phone.value ? this.map.getContainer().clientHeight / 2 : 0; // by the sheet
    const options = { center: at, zoom: Math.max(zoom, this.map.getZoom()), offset: [0, -hidden / 2] as [number, number] };
    this.map.easeTo({ ...options, duration: calm.value ? 0 : 700 });
  }

  #start(): void {
    this.#ready = true;
    const { store, visible, selected, goTo, settled, filter, drawing } = this.#model;
    for (const id of store.entities.keys()) this.#dirty.add(id);
    this.#undo.push(
      store.watch((batch) => this.#collect(batch)),
      visible.watch(() => this.#reconsiderAll()),
      selected.watch(() => this.#showSelected(true)),
      settled.watch(() => this.#soon()),
      filter.watch(() => this.#showNarrowed()),
      drawing.watch(() => this.#showNarrowed()),
      goTo.watch((target) => target && this.goTo(target.at, target.zoom)),
      theme.watch((value) => this.#repaint(value)),
      language.watch(() => this.#repaint(theme.value)),
    );
    let detailed = false;
    this.map.on("zoom", () => {
      if (this.#detailed && !detailed) this.#reconsiderAll();
      detailed = this.#detailed;
    });
    const look = throttled(LOOK_MS, () => this.#look());
    this.map.on("move", look);
    this.map.on("resize", look);
    this.#look();
    this.#showSelected(true);
    this.#showNarrowed();
  }

  /** Says which tiles are in sight. */
  #look(): void {
    const bounds = this.map.getBounds();
    for (let z = Math.min(MOST_ZOOM, Math.max(0, Math.floor(this.map.getZoom()))); z >= 0; z -= 1) {
      const n = 2 ** z;
      const clamp = (value: number): number => Math.min(n - 1, Math.max(0, Math.floor(value * n)));
      const [west, east] = [clamp(bounds.getWest() / 360 + 0.5), clamp(bounds.getEast() / 360 + 0.5)];
      const [north, south] = [clamp(mercator(bounds.getNorth())), clamp(mercator(bounds.getSouth()))];
      if ((east - west + 1) * (south - north + 1) > MOST_TILES) continue;
      const tiles: string[] = [];
      for (let y = north; y <= south; y += 1) for (let x = west; x <= east; x += 1) tiles.push(`${z}/${x}/${y}`);
      if (tiles.join() !== this.#model.tiles.value.join()) this.#model.tiles.value = tiles;
      return;
    }
  }

  /** What is in sight as the corners of an area, for a filter. */
  inSight(): [number, number][] {
    const bounds = this.map.getBounds();
    return [[bounds.getWest(), bounds.getSouth()], [bounds.getEast(), bounds.getSouth()], [bounds.getEast(), bounds.getNorth()], [bounds.getWest(), bounds.getNorth()]];
  }

  #showNarrowed(): void {
    const corners = this.#model.drawing.value;
    const features: Feature[] = [];
    if (corners) {
      for (const at of corners) features.push({ type: "Feature", properties: {}, geometry: { type: "Point", coordinates: [...at] } });
      if (corners.length > 1) features.push({ type: "Feature", properties: {}, geometry: { type: "LineString", coordinates: [...corners, corners[0]!].map((at) => [...at]) } });
    } else if (this.#model.filter.value) {
      const { area } = JSON.parse(this.#model.filter.value) as { area?: Geometry };
      if (area) features.push({ type: "Feature", properties: {}, geometry: area });
    }
    void this.#source("narrow").setData({ type: "FeatureCollection", features });
    this.map.getCanvas().dataset.drawing = corners ? "" : "no";
  }

  #reconsiderAll(): void {
    for (const id of this.#model.store.entities.keys()) this.#dirty.add(id);
    this.#soon();
  }

  #collect(batch: Batch): void {
    for (const entity of batch.set) this.#dirty.add(entity.id);
    for (const id of batch.gone) this.#dirty.add(id);
    const selected = this.#model.selected.value;
    if (selected && (this.#awaited || batch.touched?.has(selected) || batch.gone.includes(selected))) this.#showSelected(this.#awaited);
    this.#soon();
  }

  /** Whether pins are in sight, which show colour and value from the data. */
  get #detailed(): boolean {
    return this.map.getZoom() >= ALONE - 0.2;
  }

  async #flush(): Promise<void> {
    if (!this.#ready) return;
    if (this.#busy) {
      this.#again = true;
      return;
    }
    this.#busy = true;
    this.#again = false;
    const until = performance.now() + FLUSH_BUDGET_MS;
    const diffs = Object.fromEntries(SOURCES.map((source) => [source, { add: [], remove: [] }])) as unknown as Record<
      SourceName,
      { add: Feature[]; remove: string[] }
    >;
    for (const id of this.#dirty) {
      this.#dirty.delete(id);
      this.#collectFeature(id, diffs);
      if (performance.now() > until) break;
    }
    try {
      await Promise.all([
        ...SOURCES.filter((source) => diffs[source].add.length || diffs[source].remove.length).map((source) => this.#source(source).updateData(diffs[source])),
        this.#flushClusters(),
      ]);
    } finally {
      this.#busy = false;
      if (this.#dirty.size || this.#again) this.#soon();
      else if (this.#model.settled.value) this.map.getContainer().dataset.drawn = String(this.#drawn.size + this.#clustered);
    }
  }

  /** Brings the clusters up to date: few, so that all are compared. */
  async #flushClusters(): Promise<void> {
    const now = new Map<string, Cluster>();
    const add: Feature[] = [];
    const layers = this.#model.manifest.layers;
    this.#clustered = 0;
    for (const [tile, view] of this.#model.store.views) {
      for (const [cell, cluster] of view.clusters) {
        const id = `${tile}/${cell}`;
        now.set(id, cluster);
        const [, lon, lat, counts] = cluster;
        const count = Object.values(counts).reduce((sum, one) => sum + one, 0);
        this.#clustered += count;
        if (this.#clusters.get(id) === cluster) continue;
        const shares = Object.fromEntries(layers.map((layer, index) => [`l${index}`, counts[layer.id] ?? 0]));
        const properties = { id, point_count: count, words: compactNumber(count), ...shares };
        add.push({ type: "Feature", geometry: { type: "Point", coordinates: [lon, lat] }, properties });
      }
    }
    const remove = [...this.#clusters.keys()].filter((id) => !now.has(id));
    this.#clusters = now;
    if (add.length || remove.length) await this.#source("clusters").updateData({ add, remove });
  }

  /** Adds what the map has to be told of an entity to the diffs, and tells its colour at once. */
  #collectFeature(id: string, diffs: Record<SourceName, { add: Feature[]; remove: string[] }>): void {
    const entity = this.#model.store.entities.get(id);
    const layer = entity?.geometry ? this.#model.layerOf(entity, true) : undefined;
    const before = this.#drawn.get(id);
    if (!entity?.geometry || !layer) {
      if (before) this.#forget(id, before, diffs);
      return;
    }
    const { geometry, values } = entity;
    const colour = colourOf(values, layer);
    const source = this.#sourceOf(geometry, before);
    const detail = this.#detailed ? `${colour} ${keyValue(entity, layer, false)}` : (before?.detail ?? "");
    if (before && before.source !== source) this.#forget(id, before, diffs);
    const moved = geometry.type === "Point" && before?.geometry.type === "Point" && before.geometry !== geometry;
    const glides = moved && source === "movers" && !calm.value && before.layer === layer && before.detail === detail && before.source === "movers";
    if (moved && source === "movers") {
      const [from, to] = [before.geometry, geometry].map((point) => (point as GeoJSON.Point).coordinates as Position);
      if (calm.value) this.#glide.forget(id);
      else this.#glide.to(id, from!, to!);
    }
    if (glides) {
      // its place is told by the glide alone
    } else if (before?.source !== source || before.geometry !== geometry || before.layer !== layer || before.detail !== detail) {
      const properties = { id, l: this.#model.manifest.layers.indexOf(layer), i: layer.icon, c: colour, t: layer.colourBy ? keyValue(entity, layer, false) : "" };
      const at = source === "movers" ? this.#glide.at(id) : undefined;
      diffs[source].add.push({ type: "Feature", geometry: at ? { type: "Point", coordinates: at } : geometry, properties });
    }
    if (before?.source !== source || before.colour !== colour) this.map.setFeatureState({ source, id }, { c: colour });
    this.#drawn.set(id, { source, geometry, layer, colour, detail });
  }

  #forget(id: string, before: Drawn, diffs: Record<SourceName, { remove: string[] }>): void {
    diffs[before.source].remove.push(id);
    this.map.removeFeatureState({ source: before.source, id });
    this.#drawn.delete(id);
    if (!this.#model.store.entities.has(id)) this.#glide.forget(id);
  }

  #sourceOf(geometry: Geometry, before: Drawn | undefined): SourceName {
    if (geometry.type !== "Point") return "shapes";
    if (before?.source === "movers") return "movers";
    const moved = before?.source === "points" && before.geometry !== geometry && !same(before.geometry, geometry);
    return moved ? "movers" : "points";
  }

  #source(name: string): GeoJSONSource {
    return this.map.getSource(name) as GeoJSONSource;
  }

  #showSelected(move: boolean): void {
    const id = this.#model.selected.value;
    const geometry = id ? this.#model.store.entities.get(id)?.geometry : undefined;
    const features: Feature[] = geometry ? [{ type: "Feature", geometry, properties: {} }] : [];
    void this.#source("selected").setData({ type: "FeatureCollection", features });
    const at = geometry && middle(geometry);
    this.#awaited = id !== null && !geometry;
    if (move && at && !this.#inSight(at)) this.goTo(at, ALONE);
  }

  /** Whether a place is on the map, zoomed in far enough to be seen by itself. */
  #inSight(at: [number, number]): boolean {
    return this.map.getZoom() >= ALONE && this.map.getBounds().contains(at);
  }

  #repaint(value: Theme): void {
    for (const layer of [...baseLayers(value, language.value), ...liveLayers(value, this.#model.manifest.layers)]) {
      for (const [name, setting] of Object.entries(layer.paint ?? {})) this.map.setPaintProperty(layer.id, name as never, setting as never);
      for (const [name, setting] of Object.entries(("layout" in layer && layer.layout) || {})) {
        if (name === "icon-image" || name === "text-field") this.map.setLayoutProperty(layer.id, name as never, setting as never);
      }
    }
    this.#reconsiderAll();
    this.map.getCanvas().setAttribute("aria-label", t("map.label", { city: text(this.#model.manifest.city.name) }));
  }

  /** Draws `icon|theme|icon`, `pin|theme|colour|icon` and `cluster|theme|diameter|0,shares…` when the map first needs them. */
  #makeImage(id: string): void {
    const [kind, of, first, rest] = id.split("|");
    const palette = PALETTES[of as Theme];
    if (!palette || !first || this.map.hasImage(id)) return;
    if (kind === "icon") this.map.addImage(id, iconImage(first), { pixelRatio: DRAWN });
    else if (kind === "pin") this.map.addImage(id, pinImage(first, rest ?? "", palette.ring), { pixelRatio: DRAWN });
    else if (kind === "cluster") {
      const layers = this.#model.manifest.layers;
      const shares = (rest ?? "").split(",").slice(1).map((share, index): [string, number] => [layers[index]?.colour ?? "#888888", Number(share)]);
      const some = shares.filter(([, share]) => share > 0);
      this.map.addImage(id, clusterImage(Number(first), some.length ? some : [[palette.edge, 1]], palette.paper), { pixelRatio: DRAWN });
    }
  }

  #pick(event: MapLayerMouseEvent, layers: string[]): Feature | undefined {
    const { x, y } = event.point;
    const reach = matchMedia("(pointer: coarse)").matches ? 10 : 3;
    return this.map.queryRenderedFeatures([[x - reach, y - reach], [x + reach, y + reach]], { layers })[0];
  }

  #click(event: MapLayerMouseEvent): void {
    const { drawing } = this.#model;
    if (drawing.value) {
      drawing.value = [...drawing.value, [event.lngLat.lng, event.lngLat.lat]];
      return;
    }
    const cluster = this.#pick(event, ["clusters"]);
    if (cluster) {
      const centre = (cluster.geometry as GeoJSON.Point).coordinates as [number, number];
      if (this.map.getZoom() >= MOST_ZOOM) this.#model.view.value = "table";
      else this.goTo(centre, Math.min(MOST_ZOOM, Math.floor(this.map.getZoom()) + 2));
      return;
    }
    const found = this.#pick(event, PICKABLE);
    if (found) this.#model.select(String(found.properties?.id));
  }

  #hover(event: MapLayerMouseEvent): void {
    const cluster = this.#pick(event, ["clusters"]);
    const found = cluster ?? this.#pick(event, PICKABLE);
    this.map.getCanvas().style.cursor = found ? "pointer" : "";
    const entity = found && !cluster ? this.#model.store.entities.get(String(found.properties?.id)) : undefined;
    const layer = entity && this.#model.layerOf(entity);
    this.#tip.hidden = !cluster && !layer;
    if (this.#tip.hidden) return;
    const lines = cluster
      ? [t("map.cluster", { count: Number(cluster.properties?.point_count) })]
      : [nameOf(entity!.id, entity!.values), [text(layer!.title), keyValue(entity!, layer!, true)].filter(Boolean).join(" · ")];
    this.#tip.replaceChildren(...lines.map((line) => Object.assign(document.createElement("span"), { textContent: line })));
    this.#tip.style.transform = `translate(${Math.round(event.point.x + 14)}px, ${Math.round(event.point.y + 14)}px)`;
  }

  #bounds(): LngLatBounds | undefined {
    const declared = this.#model.manifest.city.bounds;
    if (declared) return new LngLatBounds(declared);
    return boundsOf(this.#model.basemap.boundary);
  }
}

/** The value that a layer is coloured by, in words. */
function keyValue(entity: Entity, layer: Layer, label: boolean): string {
  const attr = layer.attrs.find((candidate) => candidate.name === layer.colourBy) ?? layer.attrs[0];
  const value = attr && entity.values[attr.name];
  if (!attr || value === undefined) return "";
  return label ? `${text(attr.label)} ${withUnit(value, attr)}` : withUnit(value, { ...attr, unit: "" });
}

/** A latitude as a fraction of the world from its north (spherical Mercator). */
function mercator(lat: number): number {
  return 0.5 - Math.asinh(Math.tan((lat * Math.PI) / 180)) / (2 * Math.PI);
}

function compactNumber(count: number): string {
  return count < 1000 ? String(count) : count < 10_000 ? `${(count / 1000).toFixed(1)}k` : `${Math.round(count / 1000)}k`;
}

function same(a: Geometry, b: Geometry): boolean {
  return a.type === "Point" && b.type === "Point" && a.coordinates[0] === b.coordinates[0] && a.coordinates[1] === b.coordinates[1];
}

function* positions(geometry: Geometry): Generator<Place> {
  if (geometry.type === "GeometryCollection") {
    for (const part of geometry.geometries) yield* positions(part);
    return;
  }
  const walk = function* (value: unknown): Generator<Place> {
    if (!Array.isArray(value)) return;
    if (typeof value[0] === "number") yield value as Place;
    else for (const item of value) yield* walk(item);
  };
  yield* walk(geometry.coordinates);
}

/** A place on a geometry to go to: the point, or the middle one of its positions. */
export function middle(geometry: Geometry): [number, number] | undefined {
  const all = [...positions(geometry)];
  const position = all[Math.floor(all.length / 2)];
  return position && [position[0]!, position[1]!];
}

export function boundsOf(collection: FeatureCollection | undefined): LngLatBounds | undefined {
  const bounds = new LngLatBounds();
  for (const feature of collection?.features ?? []) for (const [lon, lat] of positions(feature.geometry)) bounds.extend([lon!, lat!]);
  return bounds.isEmpty() ? undefined : bounds;
}
