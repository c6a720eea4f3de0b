import type { Feature, FeatureCollection, Geometry, Position } from "geojson";
import {
  LngLatBounds, Map as MapLibre, ScaleControl, setWorkerUrl,
  type GeoJSONSource, type GeoJSONSourceDiff, type MapLayerMouseEvent,
} from "maplibre-gl";
import workerUrl from "maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url";
import { colourOf, nameOf, withUnit } from "../format";
import { language, t, text } from "../i18n";
import type { Model } from "../model";
import { calm, theme, type Theme } from "../settings";
import { throttled } from "../state";
import type { Batch } from "../store";
import type { Entity, Layer } from "../types";
import { clusterImage, DRAWN, pinImage } from "./icons";
import { baseLayers, liveLayers, makeStyle, PALETTES } from "./style";

setWorkerUrl(workerUrl);

const FLUSH_MS = 300;
const PICKABLE = ["pins", "dots", "lines", "areas"];

/**
 * The map: draws the store's entities and keeps up with it. What changed since the last flush goes to MapLibre's
 * worker as one diff a source, never two at a time, so that the main thread only collects ids.
 */
export class CityMap {
  readonly map: MapLibre;
  readonly #model: Model;
  readonly #dirty = new Set<string>();
  /** Which source holds an entity's feature now. */
  readonly #drawn = new Map<string, "points" | "shapes">();
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
    this.map.remove();
  }

  home(): void {
    const bounds = this.#bounds();
    if (bounds) this.map.fitBounds(bounds, { padding: 24, animate: !calm.value });
    else this.map.easeTo({ center: this.#model.manifest.city.centre, zoom: 11, animate: !calm.value });
  }

  goTo(at: [number, number], zoom: number): void {
    const options = { center: at, zoom: Math.max(zoom, this.map.getZoom()) };
    if (calm.value) this.map.jumpTo(options);
    else this.map.easeTo({ ...options, duration: 700 });
  }

  #start(): void {
    this.#ready = true;
    const { store, visible, selected, goTo } = this.#model;
    for (const id of store.entities.keys()) this.#dirty.add(id);
    this.#undo.push(
      store.watch((batch) => this.#collect(batch)),
      visible.watch(() => {
        for (const id of store.entities.keys()) this.#dirty.add(id);
        this.#soon();
      }),
      selected.watch(() => this.#showSelected(true)),
      goTo.watch((target) => target && this.goTo(target.at, target.zoom)),
      theme.watch((value) => this.#repaint(value)),
      language.watch(() => this.#repaint(theme.value)),
    );
    void this.#flush();
    this.#showSelected(true);
    this.map.getContainer().dataset.ready = "true";
  }

  #collect(batch: Batch): void {
    for (const entity of batch.set) this.#dirty.add(entity.id);
    for (const id of batch.gone) this.#dirty.add(id);
    const selected = this.#model.selected.value;
    if (selected && (batch.touched?.has(selected) || batch.gone.includes(selected))) this.#showSelected(false);
    this.#soon();
  }

  async #flush(): Promise<void> {
    if (!this.#ready || this.#busy || this.#dirty.size === 0) return;
    this.#busy = true;
    const diffs: Record<"points" | "shapes", Required<Pick<GeoJSONSourceDiff, "add" | "remove">>> = {
      points: { add: [], remove: [] },
      shapes: { add: [], remove: [] },
    };
    const ids = [...this.#dirty];
    this.#dirty.clear();
    for (const id of ids) {
      const feature = this.#feature(id);
      const before = this.#drawn.get(id);
      const source = feature && (feature.geometry.type === "Point" ? "points" : "shapes");
      if (before && before !== source) diffs[before].remove.push(id);
      if (feature && source) {
        diffs[source].add.push(feature);
        this.#drawn.set(id, source);
      } else this.#drawn.delete(id);
    }
    try {
      await Promise.all(
        (["points", "shapes"] as const)
          .filter((source) => diffs[source].add.length || diffs[source].remove.length)
          .map((source) => this.#source(source).updateData(diffs[source])),
      );
    } finally {
      this.#busy = false;
      this.map.getContainer().dataset.drawn = String(this.#drawn.size);
      this.map.getContainer().dataset.seq = String(this.#model.store.seq);
      if (this.#dirty.size) this.#soon();
    }
  }

  #feature(id: string): Feature<Geometry> | undefined {
    const entity = this.#model.store.entities.get(id);
    if (!entity?.geometry) return undefined;
    const layer = this.#model.layerOf(entity, true);
    if (!layer) return undefined;
    return {
      type: "Feature",
      geometry: entity.geometry,
      properties: {
        id,
        l: this.#model.manifest.layers.indexOf(layer),
        c: colourOf(entity.values, layer),
        i: layer.icon,
        t: layer.colourBy ? keyValue(entity, layer, false) : "",
      },
    };
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
    if (move && at && !this.#inSight(at)) this.goTo(at, 13);
  }

  /** Whether a place is on the map, zoomed in far enough to be seen by itself. */
  #inSight(at: [number, number]): boolean {
    return this.map.getZoom() >= 12.5 && this.map.getBounds().contains(at);
  }

  #repaint(value: Theme): void {
    for (const layer of [...baseLayers(value, language.value), ...liveLayers(value, this.#model.manifest.layers)]) {
      for (const [name, setting] of Object.entries(layer.paint ?? {})) this.map.setPaintProperty(layer.id, name as never, setting as never);
      for (const [name, setting] of Object.entries(("layout" in layer && layer.layout) || {})) {
        if (name === "icon-image" || name === "text-field") this.map.setLayoutProperty(layer.id, name as never, setting as never);
      }
    }
    for (const id of this.#drawn.keys()) this.#dirty.add(id);
    this.#soon();
    this.map.getCanvas().setAttribute("aria-label", t("map.label", { city: text(this.#model.manifest.city.name) }));
  }

  /** Draws `pin|theme|colour|icon` and `cluster|theme|diameter|0,shares…` when the map first needs them. */
  #makeImage(id: string): void {
    const [kind, of, first, rest] = id.split("|");
    const palette = PALETTES[of as Theme];
    if (!palette || !first || this.map.hasImage(id)) return;
    if (kind === "pin") this.map.addImage(id, pinImage(first, rest ?? "", palette.ring), { pixelRatio: DRAWN });
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
    const cluster = this.#pick(event, ["clusters"]);
    if (cluster) {
      const centre = (cluster.geometry as GeoJSON.Point).coordinates as [number, number];
      void this.#source("points")
        .getClusterExpansionZoom(Number(cluster.properties?.cluster_id))
        .then((zoom) => this.goTo(centre, zoom + 0.2));
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

function* positions(geometry: Geometry): Generator<Position> {
  if (geometry.type === "GeometryCollection") {
    for (const part of geometry.geometries) yield* positions(part);
    return;
  }
  const walk = function* (value: unknown): Generator<Position> {
    if (!Array.isArray(value)) return;
    if (typeof value[0] === "number") yield value as Position;
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
