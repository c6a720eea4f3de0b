import type { Geometry } from "geojson";
import { Observable } from "./state";
import type { CityNow, Cluster, Difference, Entity, Entries, Values, Whole } from "./types";

export interface Batch {
  /** Entities as they are now, after what changed. */
  set: Entity[];
  gone: string[];
  /** What each changed entity was told: the touched attributes only. Absent where a view came whole. */
  touched?: Map<string, Values>;
}

interface View {
  ids: Set<string>;
  clusters: Map<number, Cluster>;
  seq: number;
}

/**
 * What this page knows of the city: the views that it looks at (tiles, types, single entities), each whole and then
 * carried on by differences. An entity is known for as long as a view holds it.
 */
export class CityStore {
  readonly entities = new Map<string, Entity>();
  readonly views = new Map<string, View>();
  /** The whole city in numbers. */
  readonly city = new Observable<CityNow>({ seq: 0, counts: {}, means: {}, newest: {} });
  readonly #holders = new Map<string, Set<string>>();
  readonly #byType = new Map<string, Set<string>>();
  readonly #watchers = new Set<(batch: Batch) => void>();

  watch(watcher: (batch: Batch) => void): () => void {
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  ofType(type: string): ReadonlySet<string> {
    return this.#byType.get(type) ?? new Set();
  }

  /** Takes a view whole: what was known of it is forgotten. */
  whole(name: string, told: Whole): void {
    const before = this.views.get(name);
    const view: View = { ids: new Set(), clusters: clustersOf(new Map(), told.clusters), seq: told.seq };
    this.views.set(name, view);
    const set = this.#take(name, view, told.features, !name.startsWith("id/"));
    const gone = [...(before?.ids ?? [])].filter((id) => !view.ids.has(id) && this.#release(id, name));
    this.#tell({ set, gone });
  }

  /** Carries a view on. A difference of a view that is not known is passed over: it comes whole. */
  difference(name: string, told: Difference): void {
    const view = this.views.get(name);
    if (!view) return;
    const gone = told.gone.filter((id) => view.ids.delete(id) && this.#release(id, name));
    clustersOf(view.clusters, told.clusters);
    const touched = new Map<string, Values>();
    const set = this.#take(name, view, told.set, false, touched);
    view.seq = told.seq;
    this.#tell({ set, gone: gone.filter((id) => !this.entities.has(id)), touched });
  }

  /** Forgets a view that nobody looks at any more. */
  forget(name: string): void {
    const view = this.views.get(name);
    if (!view) return;
    this.views.delete(name);
    this.#tell({ set: [], gone: [...view.ids].filter((id) => this.#release(id, name)) });
  }

  #take(name: string, view: View, entries: Entries, replace: boolean, touched?: Map<string, Values>): Entity[] {
    const set: Entity[] = [];
    for (const [joined, some] of Object.entries(entries)) {
      const types = joined.split(",");
      for (const [id, told] of some) {
        view.ids.add(id);
        let holders = this.#holders.get(id);
        if (!holders) this.#holders.set(id, (holders = new Set()));
        holders.add(name);
        const known = this.entities.get(id);
        const alone = replace && holders.size === 1;
        const values: Values = alone ? {} : { ...known?.values };
        let geometry = known?.geometry ?? null;
        for (const [attr, value] of Object.entries(told)) {
          if (attr === "location") geometry = same(geometry, value as Geometry | null) ? geometry : (value as Geometry | null);
          else if (value === null) delete values[attr];
          else values[attr] = value;
        }
        set.push(this.#put({ id, types, geometry, values }));
        touched?.set(id, told);
      }
    }
    return set;
  }

  /** Takes an entity from a view; returns whether no other view holds it. */
  #release(id: string, name: string): boolean {
    const holders = this.#holders.get(id);
    holders?.delete(name);
    if (holders?.size) return false;
    this.#holders.delete(id);
    for (const type of this.entities.get(id)?.types ?? []) this.#byType.get(type)?.delete(id);
    return this.entities.delete(id);
  }

  #put(entity: Entity): Entity {
    const known = this.entities.get(entity.id);
    for (const type of known?.types ?? []) if (!entity.types.includes(type)) this.#byType.get(type)?.delete(entity.id);
    this.entities.set(entity.id, entity);
    for (const type of entity.types) {
      let ids = this.#byType.get(type);
      if (!ids) this.#byType.set(type, (ids = new Set()));
      ids.add(entity.id);
    }
    return entity;
  }

  #tell(batch: Batch): void {
    for (const watcher of [...this.#watchers]) watcher(batch);
  }
}

function clustersOf(into: Map<number, Cluster>, told: Cluster[]): Map<number, Cluster> {
  for (const cluster of told) {
    if (Object.keys(cluster[3]).length) into.set(cluster[0], cluster);
    else into.delete(cluster[0]);
  }
  return into;
}

function same(a: Geometry | null, b: Geometry | null): boolean {
  return a === b || (a?.type === "Point" && b?.type === "Point" && a.coordinates[0] === b.coordinates[0] && a.coordinates[1] === b.coordinates[1]);
}
