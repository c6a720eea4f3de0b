import type { FeatureCollection, Geometry } from "geojson";
import type { Entity, Frame, Values } from "./types";

export interface Batch {
  /** Entities as they are now, after what changed. */
  set: Entity[];
  gone: string[];
  /** What each changed entity was told: the touched attributes only. Absent for snapshots. */
  touched?: Map<string, Values>;
}

export interface Snapshot extends FeatureCollection<Geometry | null> {
  seq: number;
}

/**
 * The city as this page knows it. Snapshots lay the ground and frames carry it on; frames that arrive while a snapshot
 * is under way are kept and applied to it again, which is harmless because frames are idempotent.
 */
export class CityStore {
  readonly entities = new Map<string, Entity>();
  readonly #byType = new Map<string, Set<string>>();
  readonly #watchers = new Set<(batch: Batch) => void>();
  #recent: Frame[] = [];
  #underWay = 0;
  seq = 0;

  watch(watcher: (batch: Batch) => void): () => void {
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  ofType(type: string): ReadonlySet<string> {
    return this.#byType.get(type) ?? new Set();
  }

  /** Fetches the types' snapshots and lays them down as they come; `seq` is then what all of them are at least at. */
  async load(types: Iterable<string>, fetch: (type: string) => Promise<Snapshot>): Promise<void> {
    this.#underWay += 1;
    try {
      const seqs = await Promise.all(
        [...types].map(async (type) => {
          const snapshot = await fetch(type);
          this.#lay(type, snapshot);
          return snapshot.seq;
        }),
      );
      if (seqs.length) this.seq = Math.max(Math.min(...seqs), this.#recent.at(-1)?.seq ?? 0);
    } finally {
      this.#underWay -= 1;
      if (this.#underWay === 0) this.#recent = [];
    }
  }

  #lay(type: string, snapshot: Snapshot): void {
    const stale = new Set(this.ofType(type));
    const set: Entity[] = [];
    for (const feature of snapshot.features) {
      const id = String(feature.id);
      stale.delete(id);
      const known = this.entities.get(id);
      const types = known && known.types.includes(type) ? known.types : [type];
      set.push(this.#put({ id, types, geometry: feature.geometry, values: (feature.properties ?? {}) as Values }));
    }
    for (const id of stale) this.#drop(id);
    this.#tell({ set, gone: [...stale] });
    for (const frame of this.#recent) if (frame.seq > snapshot.seq) this.#merge(frame, type);
  }

  apply(frame: Frame): void {
    if (this.#underWay > 0) this.#recent.push(frame);
    this.#merge(frame);
    this.seq = Math.max(this.seq, frame.seq);
  }

  #merge(frame: Frame, only?: string): void {
    const batch: Required<Batch> = { set: [], gone: [], touched: new Map() };
    for (const id of frame.gone) {
      const known = this.entities.get(id);
      if (!known || (only && !known.types.includes(only))) continue;
      this.#drop(id);
      batch.gone.push(id);
    }
    for (const [joined, entries] of Object.entries(frame.set)) {
      const types = joined.split(",");
      if (only && !types.includes(only)) continue;
      for (const [id, touched] of entries) {
        const known = this.entities.get(id);
        const values: Values = { ...known?.values };
        let geometry = known?.geometry ?? null;
        for (const [name, value] of Object.entries(touched)) {
          if (name === "location") geometry = value as Geometry | null;
          else if (value === null) delete values[name];
          else values[name] = value;
        }
        batch.set.push(this.#put({ id, types, geometry, values }));
        batch.touched.set(id, touched);
      }
    }
    if (batch.set.length || batch.gone.length) this.#tell(batch);
  }

  #put(entity: Entity): Entity {
    const known = this.entities.get(entity.id);
    if (known && known.types !== entity.types) for (const type of known.types) this.#byType.get(type)?.delete(entity.id);
    this.entities.set(entity.id, entity);
    for (const type of entity.types) {
      let ids = this.#byType.get(type);
      if (!ids) this.#byType.set(type, (ids = new Set()));
      ids.add(entity.id);
    }
    return entity;
  }

  #drop(id: string): void {
    for (const type of this.entities.get(id)?.types ?? []) this.#byType.get(type)?.delete(id);
    this.entities.delete(id);
  }

  #tell(batch: Batch): void {
    for (const watcher of [...this.#watchers]) watcher(batch);
  }
}
