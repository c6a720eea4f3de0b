import { useEffect, useState } from "react";
import { throttled } from "../state";
import type { Batch, CityStore } from "../store";
import type { Entity } from "../types";

/** Renders again when the store changed in a way that `concerns` says matters, at most every `ms` milliseconds. */
export function useStoreChanges(store: CityStore, ms: number, concerns: (batch: Batch) => boolean = () => true): number {
  const [version, setVersion] = useState(0);
  useEffect(() => {
    const soon = throttled(ms, () => setVersion((count) => count + 1));
    return store.watch((batch) => void (concerns(batch) && soon()));
    // The condition is made anew each time but means the same: what it closes over is in the caller's key.
  }, [store, ms]);
  return version;
}

/** An entity as it is, kept up to date. */
export function useEntity(store: CityStore, id: string): Entity | undefined {
  useStoreChanges(store, 40, (batch) => batch.gone.includes(id) || batch.set.some((entity) => entity.id === id));
  return store.entities.get(id);
}
