import { Maximize2, Minimize2, Redo2, Undo2 } from "lucide";
import { useCallback, useEffect, useRef, useState, type JSX } from "react";
import { Button } from "react-aria-components";
import { api, Problem } from "../../api";
import { t, text } from "../../i18n";
import { useLoaded } from "../../office/data";
import { Choice, FormDialog, Waiting } from "../../office/parts";
import { reason } from "../../problems";
import "../../styles/centre-board.css";
import type { Manifest, Text } from "../../types";
import { Field } from "../../ui/Field";
import { Icon } from "../../ui/Icon";
import { useShell, useTitle } from "../../ui/page";
import { ROOT, useFigures } from "./data";
import { Grid } from "./Grid";
import { closed, free, placed, type Board, type BoardOf, type Draft, type Tile } from "./model";
import { TileForm } from "./TileForm";
import { titleOf } from "./TileView";

const FIRST = "ready-city";
const MOST_UNDO = 100;
const told = (title: string | Text): string => (typeof title === "string" ? title : text(title));

/** Boards of tiles: the ready ones, the viewer's own and the shared ones. */
export function Page({ part }: { part: string }): JSX.Element {
  const shell = useShell();
  const id = part || FIRST;
  const { data: manifest } = useLoaded<Manifest>("/api/shell/v1/manifest");
  const { data: list, reload: relist } = useLoaded<{ items: BoardOf[] }>(ROOT);
  const { data: board, problem, reload } = useLoaded<Board>(`${ROOT}/${encodeURIComponent(id)}`);
  const [said, setSaid] = useState("");
  useTitle(board ? told(board.title) : t("centre.board.boards"));
  const choices = (list?.items ?? []).map((one) => [one.id, one.ready ? told(one.title) : t(one.shared ? "centre.board.sharedBy" : "centre.board.ownBoard", { title: told(one.title), owner: one.owner })] as const);
  const changed = async (next: string): Promise<void> => {
    await relist();
    if (next === id) await reload();
    else shell.go(next ? `/board/${next}` : "/board");
  };
  return (
    <div className="board-page">
      <p className="visually-hidden" role="status" aria-live="polite">{said}</p>
      {board ? (
        <Shown key={`${board.id}/${board.version}`} board={board} manifest={manifest} say={setSaid} changed={changed} reload={reload}>
          {choices.length > 0 && <Choice name="board" label={t("centre.board.choose")} value={id} onChange={(next) => shell.go(`/board/${next}`)} options={choices} />}
        </Shown>
      ) : <Waiting problem={problem} />}
    </div>
  );
}

function Shown({ board, manifest, say, changed, reload, children }: {
  board: Board;
  manifest: Manifest | undefined;
  say: (what: string) => void;
  changed: (id: string) => Promise<void>;
  reload: () => Promise<void>;
  children?: React.ReactNode;
}): JSX.Element {
  const [edit, setEdit] = useState<Editor | null>(null);
  const [wall, setWall] = useState(false);
  const page = useRef<HTMLDivElement>(null);
  const tiles = edit?.now.tiles ?? board.tiles;
  const { figures, problem, version, by } = useFigures(tiles, board.ready ? "" : board.id);
  const overtaken = version > board.version;

  useEffect(() => {
    // Who only looks sees what somebody else has kept; who edits is told.
    if (overtaken && !edit) void reload();
  }, [overtaken, edit, reload]);
  useEffect(() => {
    if (!edit || edit.past.length === 0) return undefined;
    const stay = (event: BeforeUnloadEvent): void => event.preventDefault();
    addEventListener("beforeunload", stay);
    return () => removeEventListener("beforeunload", stay);
  }, [edit]);
  useEffect(() => {
    const left = (): void => void (document.fullscreenElement ?? setWall(false));
    const escape = (event: KeyboardEvent): void => void (event.key === "Escape" && setWall(false));
    document.addEventListener("fullscreenchange", left);
    document.addEventListener("keydown", escape);
    return () => {
      document.removeEventListener("fullscreenchange", left);
      document.removeEventListener("keydown", escape);
    };
  }, []);

  const begin = (from: Board): void => setEdit({ id: from.ready || !from.edits ? "" : from.id, version: from.version, past: [], ahead: [], now: { title: from.ready || !from.edits ? t("centre.board.copyOf", { title: told(from.title) }) : told(from.title), shared: from.ready || !from.edits ? false : from.shared, tiles: from.tiles } });
  const change = useCallback((next: Partial<Draft>, what = ""): void => {
    setEdit((before) => before && { ...before, past: [...before.past, before.now].slice(-MOST_UNDO), ahead: [], now: { ...before.now, ...next } });
    if (what) say(what);
  }, [say]);
  const undo = useCallback((): void => {
    setEdit((before) => (before?.past.length ? { ...before, past: before.past.slice(0, -1), ahead: [before.now, ...before.ahead], now: before.past.at(-1)! } : before));
    say(t("centre.board.undone"));
  }, [say]);
  const redo = useCallback((): void => {
    setEdit((before) => (before?.ahead.length ? { ...before, past: [...before.past, before.now], ahead: before.ahead.slice(1), now: before.ahead[0]! } : before));
    say(t("centre.board.redone"));
  }, [say]);
  const editing = edit !== null;
  useEffect(() => {
    if (!editing) return undefined;
    const keys = (event: KeyboardEvent): void => {
      const typing = event.target instanceof HTMLElement && event.target.matches("input, textarea, select");
      if (typing || !(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z") return;
      event.preventDefault();
      if (event.shiftKey) redo();
      else undo();
    };
    addEventListener("keydown", keys);
    return () => removeEventListener("keydown", keys);
  }, [editing, undo, redo]);

  const onWall = (): void => {
    setWall(true);
    void page.current?.requestFullscreen?.().catch(() => undefined);
  };
  const offWall = (): void => {
    setWall(false);
    if (document.fullscreenElement) void document.exitFullscreen();
  };

  return (
    <div ref={page} className="board-shown" data-wall={wall || undefined}>
      <header className="board-head">
        <h1 tabIndex={-1}>{edit ? edit.now.title || t("centre.board.new") : told(board.title)}</h1>
        {!edit && !wall && children}
        {!edit && (
          <div className="actions">
            {!wall && manifest && <Button className="button" onPress={() => begin(board)}>{t(board.edits ? "centre.board.arrange" : "centre.board.copy")}</Button>}
            {!wall && manifest && <Button className="button" onPress={() => setEdit({ id: "", version: 0, past: [], ahead: [], now: { title: "", shared: false, tiles: [] } })}>{t("centre.board.new")}</Button>}
            {!wall && board.owns && <FormDialog danger open={t("centre.board.delete")} title={t("centre.board.deleteTitle", { title: told(board.title) })} submit={t("centre.board.delete")} run={async () => { await api.delete(`${ROOT}/${board.id}`); await changed(""); }} />}
            <Button className="button" onPress={wall ? offWall : onWall}><Icon node={wall ? Minimize2 : Maximize2} size={16} />{t(wall ? "centre.board.wallOff" : "centre.board.wall")}</Button>
          </div>
        )}
      </header>
      {problem && <p className="problem" role="alert">{t("centre.board.noLine", { reason: problem })}</p>}
      {edit && manifest && <Tools board={board} edit={edit} manifest={manifest} change={change} undo={undo} redo={redo} overtakenBy={overtaken ? by : ""} leave={() => setEdit(null)} set={setEdit} changed={async (id) => { setEdit(null); say(t("centre.board.saved")); await changed(id); }} />}
      {tiles.length === 0 && <p className="hint">{t("centre.board.empty")}</p>}
      <Grid tiles={tiles} manifest={manifest} figures={figures} label={t("centre.board.tiles")} {...(edit && manifest ? { editing: { manifest, change: (next, what) => change({ tiles: next }, what) } } : {})} />
    </div>
  );
}

interface Editor {
  /** The board that is changed; empty for a new one. */
  id: string;
  version: number;
  now: Draft;
  past: Draft[];
  ahead: Draft[];
}

/** What one does while arranging: name, add, undo, keep. */
function Tools({ board, edit, manifest, change, undo, redo, overtakenBy, leave, set, changed }: {
  board: Board;
  edit: Editor;
  manifest: Manifest;
  change: (next: Partial<Draft>, what?: string) => void;
  undo: () => void;
  redo: () => void;
  overtakenBy: string;
  leave: () => void;
  set: (next: Editor) => void;
  changed: (id: string) => Promise<void>;
}): JSX.Element {
  const shell = useShell();
  const [problem, setProblem] = useState("");
  const [theirs, setTheirs] = useState<Board | null>(null);
  const [busy, setBusy] = useState(false);
  const { title, shared, tiles } = edit.now;
  const maySharing = shell.may("centre.act") && (!edit.id || board.owns);

  async function save(id = edit.id, version = edit.version): Promise<void> {
    if (!title.trim()) return setProblem(t("centre.board.wantsTitle"));
    setBusy(true);
    setProblem("");
    try {
      const body = { title: title.trim(), shared, version, tiles };
      const kept = id ? await api.put<Board>(`${ROOT}/${id}`, body) : await api.post<Board>(ROOT, { ...body, version: 0 });
      await changed(kept.id);
    } catch (error) {
      if (error instanceof Problem && error.status === 409 && error.document.current) setTheirs(error.document.current as Board);
      else setProblem(reason(error));
    } finally {
      setBusy(false);
    }
  }
  const add = (made: Omit<Tile, "x" | "y">): void => {
    const tile = { ...made, ...free(tiles, made.w, made.h) };
    change({ tiles: placed(tiles, tile) }, t("centre.board.at", { title: titleOf(tile, manifest), column: tile.x + 1, row: tile.y + 1, width: tile.w, height: tile.h }));
  };
  return (
    <section className="board-edit" aria-label={t("centre.board.arrange")}>
      <div className="board-edit-row">
        <Field name="title" label={t("centre.board.title")} initial={title} onChange={(value) => set({ ...edit, now: { ...edit.now, title: value } })} autoFocus={!edit.id} />
        {maySharing && <label className="board-check"><input type="checkbox" checked={shared} onChange={(event) => change({ shared: event.target.checked })} />{t("centre.board.share")}</label>}
        <div className="actions">
          <TileForm manifest={manifest} keep={add} />
          <Button className="icon-button" aria-label={t("centre.board.undo")} isDisabled={edit.past.length === 0} onPress={undo}><Icon node={Undo2} /></Button>
          <Button className="icon-button" aria-label={t("centre.board.redo")} isDisabled={edit.ahead.length === 0} onPress={redo}><Icon node={Redo2} /></Button>
          <Button className="button" onPress={() => change({ tiles: closed(tiles) }, t("centre.board.closedUp"))}>{t("centre.board.closeUp")}</Button>
          <Button className="button" onPress={leave}>{t("office.cancel")}</Button>
          <Button className="button primary" isDisabled={busy} onPress={() => void save()}>{t("office.save")}</Button>
        </div>
      </div>
      <p className="help">{t("centre.board.help")}</p>
      <p className="problem" role="alert">{problem}</p>
      {overtakenBy && !theirs && <p className="notice" role="status">{t("centre.board.overtaken", { who: overtakenBy })}</p>}
      {theirs && (
        <div className="notice" role="alertdialog" aria-label={t("centre.board.conflict")}>
          <p>{t("centre.board.overtaken", { who: theirs.by ?? "" })}</p>
          <div className="actions">
            <Button className="button" autoFocus onPress={() => void changed(edit.id)}>{t("centre.board.theirs")}</Button>
            <Button className="button" onPress={() => { setTheirs(null); void save(""); }}>{t("centre.board.asCopy")}</Button>
            <Button className="button danger" onPress={() => { setTheirs(null); void save(edit.id, theirs.version); }}>{t("centre.board.over")}</Button>
          </div>
        </div>
      )}
    </section>
  );
}
