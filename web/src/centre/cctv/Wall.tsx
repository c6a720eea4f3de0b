import { Maximize2, Minimize2, X } from "lucide";
import { useEffect, useMemo, useRef, useState, type CSSProperties, type JSX, type KeyboardEvent } from "react";
import { Button } from "react-aria-components";
import { t } from "../../i18n";
import { useValue } from "../../state";
import { Icon } from "../../ui/Icon";
import { To } from "../../ui/page";
import { MOST_ON_WALL, nameOfCamera, onWall, placeOf, setWall, wall, type Register } from "./data";
import { Picture, type Seen } from "./View";
import type { Camera } from "./types";

/** Up to sixteen cameras at once, one of them enlarged; kept in the browser. */
export function Wall({ register: { cameras } }: { register: Register }): JSX.Element {
  const ids = useValue(wall);
  const [full, setFull] = useState(false);
  const [tracks, setTracks] = useState(false);
  const [grouped, setGrouped] = useState(false);
  const [big, setBig] = useState("");
  const [here, setHere] = useState(0);
  const [said, setSaid] = useState("");
  const page = useRef<HTMLDivElement>(null);
  const states = useRef(new Map<string, string>());
  const byId = useMemo(() => new Map((cameras ?? []).map((camera) => [camera.id, camera])), [cameras]);
  const shown = useMemo(() => {
    const found = onWall().flatMap((id) => byId.get(id) ?? []);
    return grouped ? [...found].sort((a, b) => placeOf(a).localeCompare(placeOf(b))) : found;
  }, [ids, byId, grouped]);
  const side = Math.max(1, Math.ceil(Math.sqrt(shown.length)));
  const enlarged = shown.find(({ id }) => id === big);

  useEffect(() => {
    const left = (): void => void (document.fullscreenElement ?? setFull(false));
    document.addEventListener("fullscreenchange", left);
    return () => document.removeEventListener("fullscreenchange", left);
  }, []);
  useEffect(() => {
    const escape = (event: globalThis.KeyboardEvent): void => {
      if (event.key !== "Escape" || event.defaultPrevented) return;
      if (big) shrink();
      else setFull(false);
    };
    document.addEventListener("keydown", escape);
    return () => document.removeEventListener("keydown", escape);
  });

  function heard(camera: Camera, { state }: Seen): void {
    const before = states.current.get(camera.id);
    states.current.set(camera.id, state);
    if ((state === "lost" && before) || (state === "live" && before === "lost")) setSaid(`${nameOfCamera(camera)}: ${t(`centre.cctv.state.${state}`)}`);
  }
  function focus(index: number): void {
    setHere(index);
    page.current?.querySelectorAll<HTMLElement>("[data-cell]")[index]?.focus();
  }
  function shrink(): void {
    setBig("");
    setTimeout(() => focus(Math.min(here, shown.length - 1)), 0);
  }
  function remove(index: number): void {
    setWall(onWall().filter((id) => id !== shown[index]!.id));
    setSaid(t("centre.cctv.takenOff", { name: nameOfCamera(shown[index]!) }));
    setTimeout(() => focus(Math.max(0, Math.min(index, shown.length - 2))), 0);
  }
  function keys(event: KeyboardEvent, index: number): void {
    const columns = grouped ? 1 : side;
    const next = { ArrowRight: index + 1, ArrowLeft: index - 1, ArrowDown: index + columns, ArrowUp: index - columns, Home: 0, End: shown.length - 1 }[event.key];
    if (event.key === "Delete") remove(index);
    else if (next === undefined) return;
    else if (next >= 0 && next < shown.length) focus(next);
    event.preventDefault();
  }
  const fullScreen = (): void => {
    setFull(!full);
    if (full && document.fullscreenElement) void document.exitFullscreen();
    else if (!full) void page.current?.requestFullscreen?.().catch(() => undefined);
  };

  if (!cameras) return <p className="hint" role="status">{t("office.loading")}</p>;
  let group = "";
  return (
    <div ref={page} className="cam-wall" data-full={full || undefined}>
      <p className="visually-hidden" role="status">{said}</p>
      <div className="cam-tools">
        <p className="help">{t("centre.cctv.wallHelp", { count: shown.length, most: MOST_ON_WALL })}</p>
        <label><input type="checkbox" checked={tracks} onChange={(event) => setTracks(event.target.checked)} />{t("centre.cctv.tracks")}</label>
        <label><input type="checkbox" checked={grouped} onChange={(event) => setGrouped(event.target.checked)} />{t("centre.cctv.group")}</label>
        {enlarged && <Button className="button" autoFocus onPress={shrink}>{t("centre.cctv.back")}</Button>}
        <Button className="button" onPress={fullScreen}><Icon node={full ? Minimize2 : Maximize2} size={16} />{t(full ? "centre.board.wallOff" : "centre.board.wall")}</Button>
      </div>
      {shown.length === 0 && <p className="hint">{t("centre.cctv.emptyWall")} <To path="/cctv">{t("centre.cctv.tab.find")}</To></p>}
      {enlarged ? (
        <div className="cam-big">
          <Picture id={enlarged.id} name={nameOfCamera(enlarged)} height={360} tracks={tracks} lines={tracks ? enlarged.lines : undefined} told={(seen) => heard(enlarged, seen)} />
          <To className="button" path={`/cctv/${encodeURIComponent(enlarged.id)}`}>{t("centre.cctv.open")}</To>
        </div>
      ) : (
        <ul className="cam-grid" aria-label={t("centre.cctv.wall")} style={{ "--side": side, "--rows": Math.ceil(shown.length / side) } as CSSProperties} data-grouped={grouped || undefined}>
          {shown.map((camera, index) => {
            const name = nameOfCamera(camera);
            const head = grouped && placeOf(camera) !== group ? (group = placeOf(camera)) : "";
            return (
              <li key={camera.id} data-head={head || undefined} className="cam-cell">
                {grouped && <p className="cam-head">{head}</p>}
                <button
                  type="button" className="cam-open" data-cell="" aria-label={t("centre.cctv.enlarge", { name })} tabIndex={index === Math.min(here, shown.length - 1) ? 0 : -1}
                  onKeyDown={(event) => keys(event, index)} onFocus={() => setHere(index)} onClick={() => { setHere(index); setBig(camera.id); }}
                />
                <Picture id={camera.id} name={name} tracks={tracks} told={(seen) => heard(camera, seen)}>
                  <Button className="icon-button quiet cam-off" excludeFromTabOrder aria-label={t("centre.cctv.takeOff", { name })} onPress={() => remove(index)}><Icon node={X} size={15} /></Button>
                </Picture>
              </li>
            );
          })}
        </ul>
      )}
    </div>
  );
}
