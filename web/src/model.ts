import { api } from "./api";
import { setZone } from "./format";
import { follow } from "./live";
import type { Basemap } from "./map/style";
import { Observable } from "./state";
import { CityStore, type Snapshot } from "./store";
import type { Entity, Layer, Manifest, Panel } from "./types";

export interface Place {
  name: string;
  at: [number, number];
}

/** Everything the screen shows: what the services declare, the city's entities, and what the viewer has chosen. */
export class Model {
  readonly store = new CityStore();
  /** The id of the entity whose details are open. */
  readonly selected = new Observable<string | null>(null);
  readonly visible: Observable<ReadonlySet<string>>;
  readonly view = new Observable<"map" | "table">("map");
  /** The layer in the table; empty: the topmost that has entities. */
  readonly tableLayer: Observable<string>;
  /** Which tab the single panel of narrow screens shows. */
  readonly tab = new Observable<"layers" | "city" | "details">("layers");
  /** How large the phone's sheet is. */
  readonly sheet = new Observable<"peek" | "half" | "full">("peek");
  /** Where the map is asked to go. */
  readonly goTo = new Observable<{ at: [number, number]; zoom: number } | null>(null);
  readonly announcement = new Observable("");

  constructor(
    readonly manifest: Manifest,
    readonly basemap: Basemap,
  ) {
    this.visible = new Observable<ReadonlySet<string>>(new Set(manifest.layers.filter((layer) => layer.visible).map((layer) => layer.id)));
    this.tableLayer = new Observable("");
  }

  static async load(): Promise<Model> {
    const [manifest, basemap] = await Promise.all([
      api.get<Manifest>("/api/shell/v1/manifest"),
      api.get<Basemap>("/api/centre/v1/basemap"),
    ]);
    setZone(manifest.city.zone);
    const model = new Model(manifest, basemap);
    await model.resync();
    model.#followAddress();
    return model;
  }

  /** Reads every layer's snapshot again. */
  resync(): Promise<void> {
    const byType = new Map(this.manifest.layers.map((layer) => [layer.type, layer.id]));
    return this.store.load(byType.keys(), (type) =>
      api.get<Snapshot>(`/api/centre/v1/layers/${encodeURIComponent(byType.get(type) ?? "")}`),
    );
  }

  follow(signedOut: () => void): () => void {
    return follow(this.store, () => this.resync(), signedOut);
  }

  /** The layer that draws an entity: the topmost visible one of its types, else the first of its types. */
  layerOf(entity: Pick<Entity, "types">, visibleOnly = false): Layer | undefined {
    const layers = this.manifest.layers.filter((layer) => entity.types.includes(layer.type));
    return layers.findLast((layer) => this.visible.value.has(layer.id)) ?? (visibleOnly ? undefined : layers[0]);
  }

  layer(id: string): Layer | undefined {
    return this.manifest.layers.find((layer) => layer.id === id);
  }

  /** The panels that an entity's details show. */
  panelsFor(types: readonly string[]): Panel[] {
    return this.manifest.panels.filter((panel) => panel.place === "entity" && (!panel.types.length || panel.types.some((type) => types.includes(type))));
  }

  setVisible(id: string, on: boolean): void {
    const next = new Set(this.visible.value);
    if (on) next.add(id);
    else next.delete(id);
    this.visible.value = next;
  }

  select(id: string | null): void {
    this.selected.value = id;
    if (id) {
      this.tab.value = "details";
      if (this.sheet.value === "peek") this.sheet.value = "half";
    } else if (this.tab.value === "details") this.tab.value = "layers";
  }

  openTable(layer: string): void {
    this.tableLayer.value = layer;
    this.view.value = "table";
    this.sheet.value = "peek";
  }

  /** Keeps the address's `#entity=…` and the selection the same, both ways. */
  #followAddress(): void {
    const read = (): void => this.select(new URLSearchParams(location.hash.slice(1)).get("entity"));
    read();
    addEventListener("hashchange", read);
    this.selected.watch((id) => {
      const hash = id ? `#entity=${encodeURIComponent(id)}` : "";
      if (location.hash !== hash) history.pushState(null, "", hash || location.pathname);
    });
    addEventListener("popstate", read);
  }
}
