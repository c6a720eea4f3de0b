import { ArrowLeftRight, Trash2 } from "lucide";
import { useRef, useState, type JSX, type KeyboardEvent, type PointerEvent } from "react";
import { Button } from "react-aria-components";
import { t } from "../../i18n";
import { Icon } from "../../ui/Icon";
import { Picture } from "./View";
import type { Corner, CountLine } from "./types";

const MOST_LINES = 8;
const STEP = 0.01;
const LONG_STEP = 0.05;
const STEPS: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const share = (value: number): number => Math.round(Math.min(1, Math.max(0, value)) * 1000) / 1000;

/** Lines drawn on the camera's picture: their ends are dragged, or moved by arrow keys. */
export function LineEditor({ camera, name, lines, change }: { camera: string; name: string; lines: readonly CountLine[]; change: (lines: CountLine[]) => void }): JSX.Element {
  const frame = useRef<HTMLDivElement>(null);
  const [said, setSaid] = useState("");
  const set = (id: string, part: Partial<CountLine>): void => change(lines.map((line) => (line.id === id ? { ...line, ...part } : line)));
  const where = ([x, y]: Corner): string => t("centre.cctv.lineAt", { x: Math.round(x * 100), y: Math.round(y * 100) });

  function dragged(event: PointerEvent<HTMLElement>, line: CountLine, end: "from" | "to"): void {
    const box = frame.current!.getBoundingClientRect();
    const handle = event.currentTarget;
    handle.setPointerCapture(event.pointerId);
    const move = (now: globalThis.PointerEvent): void => set(line.id, { [end]: [share((now.clientX - box.left) / box.width), share((now.clientY - box.top) / box.height)] });
    const done = (): void => {
      handle.removeEventListener("pointermove", move);
      handle.removeEventListener("pointerup", done);
      handle.removeEventListener("pointercancel", done);
    };
    handle.addEventListener("pointermove", move);
    handle.addEventListener("pointerup", done);
    handle.addEventListener("pointercancel", done);
  }
  function stepped(event: KeyboardEvent, line: CountLine, end: "from" | "to"): void {
    const step = STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    const by = event.shiftKey ? LONG_STEP : STEP;
    const next: Corner = [share(line[end][0] + step[0] * by), share(line[end][1] + step[1] * by)];
    set(line.id, { [end]: next });
    setSaid(where(next));
  }
  function add(): void {
    const free = Array.from({ length: MOST_LINES }, (_, index) => `line-${index + 1}`).find((id) => !lines.some((line) => line.id === id))!;
    change([...lines, { id: free, name: t("centre.cctv.lineName", { number: lines.length + 1 }), from: [0.2, 0.6], to: [0.8, 0.6] }]);
  }
  return (
    <div className="cam-lines">
      <p className="visually-hidden" role="status">{said}</p>
      <div ref={frame} className="cam-frame">
        <Picture id={camera} name={name} height={360} />
        <svg viewBox="0 0 1 1" preserveAspectRatio="none" aria-hidden="true">
          {lines.map(({ id, from, to }) => <line key={id} x1={from[0]} y1={from[1]} x2={to[0]} y2={to[1]} />)}
        </svg>
        {lines.flatMap((line) => (["from", "to"] as const).map((end) => (
          <button
            key={`${line.id}${end}`} type="button" className="cam-end" data-end={end} style={{ left: `${line[end][0] * 100}%`, top: `${line[end][1] * 100}%` }} aria-label={`${line.name}: ${t(`centre.cctv.line.${end}`)}, ${where(line[end])}`}
            aria-description={t("centre.cctv.lineKeys")} onPointerDown={(event) => dragged(event, line, end)} onKeyDown={(event) => stepped(event, line, end)}
          />
        )))}
      </div>
      <ul>
        {lines.map((line) => (
          <li key={line.id}>
            <label className="field"><span>{t("centre.cctv.lineNameLabel")}</span><input value={line.name} maxLength={200} required onChange={(event) => set(line.id, { name: event.target.value })} /></label>
            <Button className="icon-button" aria-label={t("centre.cctv.lineTurn", { name: line.name })} onPress={() => set(line.id, { from: line.to, to: line.from })}><Icon node={ArrowLeftRight} size={16} /></Button>
            <Button className="icon-button" aria-label={t("centre.cctv.lineRemove", { name: line.name })} onPress={() => change(lines.filter(({ id }) => id !== line.id))}><Icon node={Trash2} size={16} /></Button>
          </li>
        ))}
      </ul>
      <Button className="button" isDisabled={lines.length >= MOST_LINES} onPress={add}>{t("centre.cctv.lineAdd")}</Button>
      <p className="help">{t("centre.cctv.lineHelp")}</p>
    </div>
  );
}
