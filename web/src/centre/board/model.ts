import type { Attr, Layer, Manifest, Text } from "../../types";

export const COLUMNS = 12;
export const MOST_ROWS = 200;
export const MOST_HEIGHT = 12;
export const KINDS = ["value", "chart", "events", "list", "text"] as const;
export type Kind = (typeof KINDS)[number];
export const AGGREGATES = ["mean", "sum", "min", "max", "count"] as const;

export interface Ask {
  want: "value" | "series" | "list";
  type: string;
  attr?: string;
  agg?: (typeof AGGREGATES)[number];
  q?: string;
  id?: string;
  area?: { at: [number, number]; radius_m: number } | null;
  hours?: number;
  order?: "high" | "low";
}

export interface Tile {
  id: string;
  kind: Kind;
  x: number;
  y: number;
  w: number;
  h: number;
  title?: string | Text;
  ask?: Ask | null;
  bars?: boolean;
  text?: string;
}

export interface BoardOf {
  id: string;
  owner: string;
  shared: boolean;
  title: string | Text;
  version: number;
  by?: string;
  ready: boolean;
  edits: boolean;
  owns: boolean;
}

export interface Board extends BoardOf {
  tiles: Tile[];
}

/** What is being edited. */
export interface Draft {
  title: string;
  shared: boolean;
  tiles: Tile[];
}

const clash = (a: Tile, b: Tile): boolean => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
/** As they are read: from the top, then from the left. */
export const inOrder = (tiles: readonly Tile[]): Tile[] => [...tiles].sort((a, b) => a.y - b.y || a.x - b.x);

/** The tiles with one in its new place: it stays inside the grid, and those that it falls upon make way downwards. */
export function placed(tiles: readonly Tile[], moved: Tile): Tile[] {
  const w = Math.min(COLUMNS, Math.max(1, moved.w));
  const h = Math.min(MOST_HEIGHT, Math.max(1, moved.h));
  const first = { ...moved, w, h, x: Math.min(COLUMNS - w, Math.max(0, moved.x)), y: Math.min(MOST_ROWS - h, Math.max(0, moved.y)) };
  const done: Tile[] = [first];
  for (const tile of inOrder(tiles)) {
    if (tile.id === first.id) continue;
    let next = tile;
    for (let hit = done.find((one) => clash(one, next)); hit; hit = done.find((one) => clash(one, next))) next = { ...next, y: hit.y + hit.h };
    done.push(next);
  }
  return inOrder(done);
}

/** The tiles as high up as they can go without passing another. */
export function closed(tiles: readonly Tile[]): Tile[] {
  const done: Tile[] = [];
  for (const tile of inOrder(tiles)) {
    let next = tile;
    while (next.y > 0 && !done.some((one) => clash(one, { ...next, y: next.y - 1 }))) next = { ...next, y: next.y - 1 };
    done.push(next);
  }
  return done;
}

/** Where a new tile goes: the first free place. */
export function free(tiles: readonly Tile[], w: number, h: number): { x: number; y: number } {
  for (let y = 0; y < MOST_ROWS - h; y += 1) {
    for (let x = 0; x + w <= COLUMNS; x += 1) {
      const here = { id: "", kind: "text", x, y, w, h } as Tile;
      if (!tiles.some((one) => clash(one, here))) return { x, y };
    }
  }
  return { x: 0, y: 0 };
}

export const rowsOf = (tiles: readonly Tile[]): number => Math.max(1, ...tiles.map(({ y, h }) => y + h));

/** The layers of types that have anything to show, one a type. */
export function typesOf(manifest: Manifest): Layer[] {
  return [...new Map(manifest.layers.map((layer) => [layer.type, layer])).values()];
}

export function attrOf(manifest: Manifest | undefined, ask: Ask | null | undefined): Attr | undefined {
  const layer = manifest?.layers.find(({ type, attrs }) => type === ask?.type && attrs.some(({ name }) => name === ask?.attr));
  const attr = layer?.attrs.find(({ name }) => name === ask?.attr);
  // A sum or a number of readings has no good and bad of its own.
  return attr && (ask?.agg === "sum" || ask?.agg === "count") ? { ...attr, steps: [], ...(ask.agg === "count" ? { unit: "", scale: 1, decimals: 0 } : {}) } : attr;
}
