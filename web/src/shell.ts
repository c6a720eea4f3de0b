import { api } from "./api";
import { age, dateTime, number, plain } from "./format";
import { language, text } from "./i18n";
import type { Model } from "./model";
import { theme, type Theme } from "./settings";
import type { Observable } from "./state";
import type { Batch } from "./store";
import type { Basemap } from "./map/style";
import type { City, Entity, Session, Text } from "./types";

/** What changed in the entities that a module watches. */
export interface LiveChanges {
  /** The changed entities as they are now. */
  set: readonly Entity[];
  /** Ids of entities that were deleted. */
  gone: readonly string[];
}

/** What every module of a service gets from the shell, as the second argument of its `mount(element, shell)`. */
export interface AnyShell {
  /** Grows when something is taken away or changes its meaning, never when something is added. */
  readonly version: 1;
  readonly city: City;
  /** The current language's tag, such as `ko`. */
  readonly language: string;
  readonly theme: Theme;
  /** A text by language tag, in the current language. */
  text(value: Text): string;
  /** Requests to the hub or to the service's own routes, with the viewer's session; they throw problems as `Error`s. */
  readonly api: typeof api;
  readonly format: { number: typeof number; dateTime: typeof dateTime; age: typeof age; value: typeof plain };
}

/** What the module of a panel gets. */
export interface Shell extends AnyShell {
  /** The entity whose details the panel is part of; null for a panel of the city. */
  readonly entity: Entity | null;
  /** The id of the entity that is selected on the screen. */
  readonly selected: string | null;
  /** Opens an entity's details, or closes them. */
  select(id: string | null): void;
  /** The entities of a type of a declared layer, as far as they are here: the first call asks for all, `live` says when they come. */
  entities(type: string): Entity[];
  /** Calls back with each batch of live changes to a type's entities; returns how to stop. */
  live(type: string, callback: (changes: LiveChanges) => void): () => void;
  /** Calls back when the language, the theme or the selected entity changes; returns how to stop. */
  changed(callback: () => void): () => void;
}

/** What the module of a page gets. */
export interface PageShell extends AnyShell {
  /** The address without its origin, such as `/trace/cases/7`: the page's path or one below it. */
  readonly path: string;
  /** Goes to another address of the service's pages, or to any of the hub's. */
  go(path: string): void;
  /** Who is signed in. */
  readonly session: Session;
  /** Whether policy lets the viewer do an action, such as one of the service's permissions. */
  may(action: string): boolean;
  /** Names what the page shows now, for the browser's tab and history. */
  title(text: string): void;
  /** The city's own map to draw on, as GeoJSON by layer. */
  basemap(): Promise<Basemap>;
  /** Calls back when the address below the page's path, the language or the theme changes; returns how to stop. */
  changed(callback: () => void): () => void;
}

/** What a service's module exports. */
export interface ServiceModule<S extends AnyShell> {
  /** Fills the element; may return what takes it down again. */
  mount(element: HTMLElement, shell: S): void | (() => void) | Promise<void | (() => void)>;
}

/** Loads a service's module and mounts it in the element; returns how to take it down, which ends its subscriptions too. */
export function mounted<S extends AnyShell>(element: HTMLElement, address: string, made: { shell: S; dispose: () => void }, failed: (reason: string) => void): () => void {
  let takeDown: void | (() => void);
  let gone = false;
  void (async () => {
    try {
      const module = (await import(/* @vite-ignore */ address)) as ServiceModule<S>;
      if (gone) return;
      takeDown = await module.mount(element, made.shell);
      if (gone) takeDown?.();
    } catch (error) {
      if (!gone) failed(error instanceof Error ? error.message : String(error));
    }
  })();
  return () => {
    gone = true;
    takeDown?.();
    made.dispose();
  };
}

/** Keeps what a module subscribed to, for when it is taken down. */
function keeper(): { kept: (stop: () => void) => () => void; dispose: () => void } {
  const undo = new Set<() => void>();
  const kept = (stop: () => void): (() => void) => {
    undo.add(stop);
    return () => {
      undo.delete(stop);
      stop();
    };
  };
  return { kept, dispose: () => [...undo].forEach((stop) => stop()) };
}

/** Makes the shell for one page. */
export function makePageShell(
  city: City, session: Session, may: (action: string) => boolean, path: Observable<string>, go: (path: string) => void, title: (text: string) => void,
): { shell: PageShell; dispose: () => void } {
  const { kept, dispose } = keeper();
  const shell: PageShell = {
    version: 1,
    city, session, may, go, title, api,
    get language() { return language.value; },
    get theme() { return theme.value; },
    get path() { return path.value; },
    text: (value) => text(value),
    basemap: () => api.get<Basemap>("/api/centre/v1/basemap"),
    changed: (callback) => {
      const stops = [language.watch(callback), theme.watch(callback), path.watch(callback)];
      return kept(() => stops.forEach((stop) => stop()));
    },
    format: { number, dateTime, age, value: plain },
  };
  return { shell, dispose };
}

/** Makes the shell for one panel; `dispose` ends every subscription that its module made. */
export function makeShell(model: Model, entity: string | null): { shell: Shell; dispose: () => void } {
  const { kept, dispose } = keeper();
  const shell: Shell = {
    version: 1,
    city: model.manifest.city,
    get language() { return language.value; },
    get theme() { return theme.value; },
    get entity() { return (entity && model.store.entities.get(entity)) || null; },
    get selected() { return model.selected.value; },
    select: (id) => model.select(id),
    text: (value) => text(value),
    api,
    entities: (type) => {
      model.want(type);
      return [...model.store.ofType(type)].map((id) => model.store.entities.get(id)!);
    },
    live: (type, callback) => {
      model.want(type);
      const known = new Set(model.store.ofType(type));
      return kept(model.store.watch((batch: Batch) => {
        const set = batch.set.filter((one) => one.types.includes(type));
        const gone = batch.gone.filter((id) => known.delete(id));
        for (const one of set) known.add(one.id);
        if (set.length || gone.length) callback({ set, gone });
      }));
    },
    changed: (callback) => {
      const stops = [language.watch(callback), theme.watch(callback), model.selected.watch(callback)];
      return kept(() => stops.forEach((stop) => stop()));
    },
    format: { number, dateTime, age, value: plain },
  };
  return { shell, dispose };
}
