import { useSyncExternalStore } from "react";

/** A value that can be watched: the whole of our state management. */
export class Observable<T> {
  #value: T;
  readonly #watchers = new Set<(value: T) => void>();

  constructor(value: T) {
    this.#value = value;
  }

  get value(): T {
    return this.#value;
  }

  set value(next: T) {
    if (Object.is(next, this.#value)) return;
    this.#value = next;
    for (const watcher of [...this.#watchers]) watcher(next);
  }

  readonly watch = (watcher: (value: T) => void): (() => void) => {
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  };

  readonly get = (): T => this.#value;
}

export function useValue<T>(observable: Observable<T>): T {
  return useSyncExternalStore(observable.watch, observable.get);
}

/** An observable that outlives the page in the browser's local storage. */
export function remembered<T extends string>(key: string, allowed: (value: string) => value is T, initial: T): Observable<T> {
  const kept = localStorage.getItem(key);
  const observable = new Observable<T>(kept !== null && allowed(kept) ? kept : initial);
  observable.watch((value) => localStorage.setItem(key, value));
  return observable;
}

export function media(query: string): Observable<boolean> {
  const list = matchMedia(query);
  const observable = new Observable(list.matches);
  list.addEventListener("change", () => (observable.value = list.matches));
  return observable;
}

/** Calls `run` at most once in `wait` milliseconds, the last time after the last call. */
export function throttled(wait: number, run: () => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let last = -Infinity;
  return () => {
    if (timer !== undefined) return;
    timer = setTimeout(() => {
      timer = undefined;
      last = performance.now();
      run();
    }, Math.max(0, last + wait - performance.now()));
  };
}
