import { api } from "./api";
import { age, dateTime, number, plain } from "./format";
import { language, text } from "./i18n";
import type { Model } from "./model";
import { theme, type Theme } from "./settings";
import type { Batch } from "./store";
import type { City, Entity, Text } from "./types";

/** What changed in the entities that a module watches. */
export interface LiveChanges {
  /** The changed entities as they are now. */
  set: readonly Entity[];
  /** Ids of entities that were deleted. */
  gone: readonly string[];
}

/** What a service's module gets from the shell, as the second argument of its `mount(element, shell)`. */
export interface Shell {
  /** Grows when something is taken away or changes its meaning, never when something is added. */
  readonly version: 1;
  readonly city: City;
  /** The current language's tag, such as `ko`. */
  readonly language: string;
  readonly theme: Theme;
  /** The entity whose details the panel is part of; null for a panel of the city. */
  readonly entity: Entity | null;
  /** The id of the entity that is selected on the screen. */
  readonly selected: string | null;
  /** Opens an entity's details, or closes them. */
  select(id: string | null): void;
  /** A text by language tag, in the current language. */
  text(value: Text): string;
  /** Requests to the hub or to the service's own routes, with the viewer's session; they throw problems as `Error`s. */
  readonly api: typeof api;
  /** The entities of a type that the screen knows: those of all declared layers. */
  entities(type: string): Entity[];
  /** Calls back with each batch of live changes to a type's entities; returns how to stop. */
  live(type: string, callback: (changes: LiveChanges) => void): () => void;
  /** Calls back when the language, the theme or the selected entity changes; returns how to stop. */
  changed(callback: () => void): () => void;
  readonly format: { number: typeof number; dateTime: typeof dateTime; age: typeof age; value: typeof plain };
}

/** What a service's module exports. */
export interface PanelModule {
  /** Fills the element; may return what takes it down again. */
  mount(element: HTMLElement, shell: Shell): void | (() => void) | Promise<void | (() => void)>;
}

/** Makes the shell for one panel; `dispose` ends every subscription that its module made. */
export function makeShell(model: Model, entity: string | null): { shell: Shell; dispose: () => void } {
  const undo = new Set<() => void>();
  const kept = (stop: () => void): (() => void) => {
    undo.add(stop);
    return () => {
      undo.delete(stop);
      stop();
    };
  };
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
    entities: (type) => [...model.store.ofType(type)].map((id) => model.store.entities.get(id)!),
    live: (type, callback) => {
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
  return { shell, dispose: () => [...undo].forEach((stop) => stop()) };
}
