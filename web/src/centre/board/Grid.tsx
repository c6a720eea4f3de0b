import { Move, Scaling, Trash2 } from "lucide";
import { useId, useRef, useState, type CSSProperties, type JSX, type KeyboardEvent, type PointerEvent } from "react";
import { Button } from "react-aria-components";
import { t } from "../../i18n";
import type { Manifest } from "../../types";
import { Icon } from "../../ui/Icon";
import { COLUMNS, inOrder, placed, rowsOf, type Tile } from "./model";
import { TileContent, titleOf, type Figures } from "./TileView";
import { TileForm } from "./TileForm";

export interface Editing {
  /** Takes the tiles as they are now, and says what happened. */
  change: (tiles: Tile[], said: string) => void;
  manifest: Manifest;
}

const STEPS: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** The tiles in their places. With `editing` each can be moved and sized by mouse, by finger and by arrow keys. */
export function Grid({ tiles, manifest, figures, editing, label }: { tiles: readonly Tile[]; manifest: Manifest | undefined; figures: Figures; editing?: Editing; label: string }): JSX.Element {
  const grid = useRef<HTMLUListElement>(null);
  /** What is shown while something is dragged. */
  const [held, setHeld] = useState<{ tile: Tile; tiles: Tile[] } | null>(null);
  const shown = held?.tiles ?? inOrder(tiles);

  const where = (tile: Tile, list: readonly Tile[]): string => {
    const { x, y, w, h } = list.find(({ id }) => id === tile.id) ?? tile;
    return t("centre.board.at", { title: titleOf(tile, manifest), column: x + 1, row: y + 1, width: w, height: h });
  };
  function stepped(event: KeyboardEvent, tile: Tile, size: boolean): void {
    const step = STEPS[event.key];
    if (!step || !editing) return;
    event.preventDefault();
    const [dx, dy] = step;
    const next = placed(tiles, size ? { ...tile, w: Math.min(COLUMNS - tile.x, tile.w + dx), h: tile.h + dy } : { ...tile, x: tile.x + dx, y: tile.y + dy });
    editing.change(next, where(tile, next));
  }
  function dragged(event: PointerEvent<HTMLElement>, tile: Tile, size: boolean): void {
    if (!editing || event.button !== 0 || !grid.current) return;
    event.preventDefault();
    const style = getComputedStyle(grid.current);
    const gap = parseFloat(style.columnGap) || 0;
    const column = (grid.current.clientWidth + gap) / COLUMNS;
    const row = (parseFloat(style.gridAutoRows) || 80) + gap;
    const [x, y] = [event.clientX, event.clientY];
    let latest: Tile[] | null = null;
    const move = (now: globalThis.PointerEvent): void => {
      const [dx, dy] = [Math.round((now.clientX - x) / column), Math.round((now.clientY - y) / row)];
      latest = placed(tiles, size ? { ...tile, w: Math.min(COLUMNS - tile.x, tile.w + dx), h: tile.h + dy } : { ...tile, x: tile.x + dx, y: tile.y + dy });
      setHeld({ tile, tiles: latest });
    };
    const end = (now: globalThis.PointerEvent): void => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", end);
      removeEventListener("pointercancel", end);
      setHeld(null);
      if (latest && now.type === "pointerup") editing.change(latest, where(tile, latest));
    };
    // On the window: the handle's tile may change its place among the others, and lose the pointer, while it is dragged.
    addEventListener("pointermove", move);
    addEventListener("pointerup", end);
    addEventListener("pointercancel", end);
  }

  return (
    <ul ref={grid} className="board-grid" aria-label={label} data-editing={editing ? "" : undefined} style={{ "--rows": rowsOf(shown) } as CSSProperties}>
      {shown.map((tile) => (
        <Cell key={tile.id} tile={tile} manifest={manifest} figures={figures} held={held?.tile.id === tile.id}>
          {editing && (
            <div className="board-tools">
              <button type="button" className="icon-button quiet board-move" aria-label={t("centre.board.move", { title: titleOf(tile, manifest) })} aria-description={t("centre.board.arrows")} onKeyDown={(event) => stepped(event, tile, false)} onPointerDown={(event) => dragged(event, tile, false)}><Icon node={Move} size={16} /></button>
              <TileForm tile={tile} about={titleOf(tile, manifest)} manifest={editing.manifest} keep={(made) => editing.change(placed(tiles, { ...made, x: tile.x, y: tile.y }), t("centre.board.changed", { title: titleOf(tile, manifest) }))} />
              <Button className="icon-button quiet" aria-label={t("centre.board.remove", { title: titleOf(tile, manifest) })} onPress={() => { editing.change(tiles.filter(({ id }) => id !== tile.id), t("centre.board.removed", { title: titleOf(tile, manifest) })); document.querySelector<HTMLElement>(".board-head h1")?.focus(); }}><Icon node={Trash2} size={16} /></Button>
              <button type="button" className="icon-button quiet board-size" aria-label={t("centre.board.resize", { title: titleOf(tile, manifest) })} aria-description={t("centre.board.arrowsSize")} onKeyDown={(event) => stepped(event, tile, true)} onPointerDown={(event) => dragged(event, tile, true)}><Icon node={Scaling} size={16} /></button>
            </div>
          )}
        </Cell>
      ))}
    </ul>
  );
}

function Cell({ tile, manifest, figures, held, children }: { tile: Tile; manifest: Manifest | undefined; figures: Figures; held: boolean; children?: React.ReactNode }): JSX.Element {
  const id = useId();
  return (
    <li className="board-tile" data-kind={tile.kind} data-tile={tile.id} data-held={held || undefined} style={{ gridColumn: `${tile.x + 1} / span ${tile.w}`, gridRow: `${tile.y + 1} / span ${tile.h}`, "--h": tile.h } as CSSProperties}>
      <section aria-labelledby={id}>
        <h2 id={id}>{titleOf(tile, manifest)}</h2>
        {children}
        <div className="board-content"><TileContent tile={tile} manifest={manifest} figures={figures} labelledBy={id} /></div>
      </section>
    </li>
  );
}
