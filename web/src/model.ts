import { api } from "./api";
import { setZone } from "./format";
import { follow } from "./live";
import type { Basemap } from "./map/style";
import { Observable } from "./state";
import { CityStore } from "./store";
import type { Entity, Layer, Manifest, Panel } from "./types";

export interface Place {
  name: string;
  at: [number, number];
}

export type Source = { readonly kind: "live" } | { readonly kind: "replay"; readonly at: string; readonly speed: number };

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
  /** The map's tiles, `z/x/y`. */
  readonly tiles = new Observable<readonly string[]>([]);
  /** Types of which every entity is asked for. */
  readonly types = new Observable<ReadonlySet<string>>(new Set());
  /** What the map and the table are narrowed to, as the server takes it; empty: nothing. */
  readonly filter = new Observable("");
  /** Whether corners of an area are being put on the map, and those that are there. */
  readonly drawing = new Observable<readonly [number, number][] | null>(null);
  /** Grows when all that the screen looks at is there. */
  readonly settled = new Observable(0);
  readonly announcement = new Observable("");
  /** Which city is shown: the live one, or that of an instant on, at a speed (0: it stands still). */
  readonly source = new Observable<Source>({ kind: "live" });
  /** The instant that a replay has come to, as its stream says; null while the live city is shown. */
  readonly clock = new Observable<string | null>(null);

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
    model.#followAddress();
    return model;
  }

  follow(signedOut: () => void): () => void {
    return follow(this, signedOut);
  }

  /** Asks for every entity of a type from now on. */
  want(type: string): void {
    if (!this.types.value.has(type)) this.types.value = new Set([...this.types.value, type]);
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
