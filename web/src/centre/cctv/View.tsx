import { VideoOff } from "lucide";
import { useEffect, useRef, useState, type JSX, type ReactNode } from "react";
import { api } from "../../api";
import { age, exact } from "../../format";
import { t, text } from "../../i18n";
import type { Text } from "../../types";
import { Icon } from "../../ui/Icon";
import "../../styles/centre-cctv.css";
import { ROOT, watch, type Header } from "./stream";
import type { Camera, CountLine, State } from "./types";

/** Longer than this without a picture, and a camera counts as lost whatever was last said of it. */
const STALE_MS = 5_000;

/** What a view knows of its camera. */
export interface Seen {
  state: State | "waiting";
  since: string | null;
  notice: Text | null;
  veil: Header["veil"];
}

/**
 * The pictures of one camera as they come, with its state in words. Time and picture are drawn past React: there are many a
 * second. `lines` are drawn upon it; `grant` shows faces.
 */
export function Picture({ id, name, height = 180, tracks = false, lines, grant = "", told, children }: {
  id: string;
  name: string;
  height?: 180 | 360;
  tracks?: boolean;
  lines?: readonly CountLine[] | undefined;
  grant?: string;
  told?: (seen: Seen) => void;
  children?: ReactNode;
}): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  const time = useRef<HTMLTimeElement>(null);
  const drawn = useRef({ tracks, lines, told });
  drawn.current = { tracks, lines, told };
  const [seen, setSeen] = useState<Seen>({ state: "waiting", since: null, notice: null, veil: undefined });

  useEffect(() => {
    let last = 0;
    let lastAt: string | null = null;
    let frames = 0;
    let current: Seen = { state: "waiting", since: null, notice: null, veil: undefined };
    const be = (next: Partial<Seen>): void => {
      const made = { ...current, ...next };
      if (made.state === current.state && made.since === current.since && made.veil === current.veil && made.notice === current.notice) return;
      current = made;
      setSeen(made);
      drawn.current.told?.(made);
    };
    const stop = watch(id, height, {
      picture: (bitmap, header) => {
        last = performance.now();
        lastAt = header.at;
        const element = canvas.current;
        if (!element) return;
        if (element.width !== bitmap.width || element.height !== bitmap.height) Object.assign(element, { width: bitmap.width, height: bitmap.height });
        const context = element.getContext("2d");
        if (!context) return;
        context.drawImage(bitmap, 0, 0);
        if (drawn.current.tracks) drawTracks(context, header);
        if (drawn.current.lines) drawLines(context, drawn.current.lines);
        element.dataset.frames = String((frames += 1));
        if (time.current) {
          time.current.textContent = exact(header.at).slice(11);
          time.current.dateTime = header.at;
        }
        be({ veil: header.veil, ...(current.state === "live" ? {} : { state: "live", since: null, notice: null }) });
      },
      told: ({ state, since, notice }) => be({ state: state === "live" && !last ? "waiting" : state, since, notice: notice ?? null }),
      line: (up) => { if (!up && last) be({ state: "lost", since: lastAt, notice: null }); },
    }, grant);
    const stale = setInterval(() => {
      if (current.state === "live" && document.visibilityState === "visible" && performance.now() - last > STALE_MS) be({ state: "lost", since: lastAt });
    }, 1000);
    return () => {
      clearInterval(stale);
      stop();
    };
  }, [id, height, grant]);

  const words = stateWords(seen);
  return (
    <div className="cam-picture" data-state={seen.state} data-camera={id}>
      <canvas ref={canvas} role="img" aria-label={`${name}: ${words}`} width={height * 16 / 9} height={height} />
      {seen.state !== "live" && (
        <p className="cam-lost"><Icon node={VideoOff} size={22} /><span>{words}{seen.notice && <small>{text(seen.notice)}</small>}</span></p>
      )}
      {seen.veil === "none" && <p className="cam-clear">{t("centre.cctv.facesShown")}</p>}
      <div className="cam-bar" aria-hidden="true"><span className="cam-name">{name}</span><time ref={time} /></div>
      {children}
    </div>
  );
}

export function stateWords({ state, since }: Pick<Seen, "state" | "since">): string {
  const words = t(`centre.cctv.state.${state}`);
  return since && (state === "lost" || state === "off") ? t("centre.cctv.since", { state: words, age: age(since) }) : words;
}

const COLOURS: Record<string, string> = { person: "#ffd54a", vehicle: "#5ad1ff" };

function drawTracks(context: CanvasRenderingContext2D, { tracks = [], width, height }: Header): void {
  const { width: w, height: h } = context.canvas;
  const size = Math.max(1.5, h / 180);
  context.lineWidth = size;
  context.font = `600 ${Math.round(h / 18)}px 'Pretendard Variable', sans-serif`;
  for (const { id, kind, box: [x1, y1, x2, y2] } of tracks) {
    // Boxes are shares of the frame; one that is in pixels is of the frame that its header tells.
    const [sx, sy] = Math.max(x1, y1, x2, y2) > 2 ? [w / width, h / height] : [w, h];
    context.strokeStyle = context.fillStyle = COLOURS[kind] ?? "#fff";
    context.strokeRect(x1 * sx, y1 * sy, (x2 - x1) * sx, (y2 - y1) * sy);
    context.fillText(String(id), x1 * sx + 2, y1 * sy - 3);
  }
}

/** Lines with the way that counts as in: from their left to their right, looking from `from` to `to`. */
export function drawLines(context: CanvasRenderingContext2D, lines: readonly CountLine[]): void {
  const { width: w, height: h } = context.canvas;
  context.lineWidth = Math.max(2, h / 120);
  context.font = `600 ${Math.round(h / 18)}px 'Pretendard Variable', sans-serif`;
  for (const { name, from, to } of lines) {
    const [ax, ay, bx, by] = [from[0] * w, from[1] * h, to[0] * w, to[1] * h];
    const [mx, my, length] = [(ax + bx) / 2, (ay + by) / 2, Math.hypot(bx - ax, by - ay) || 1];
    // y grows downwards, so what is at the right hand of (dx, dy) lies at (-dy, dx).
    const [nx, ny] = [-(by - ay) / length, (bx - ax) / length];
    context.strokeStyle = context.fillStyle = "#ff7ad9";
    context.beginPath();
    context.moveTo(ax, ay);
    context.lineTo(bx, by);
    context.moveTo(mx, my);
    context.lineTo(mx + nx * h / 12, my + ny * h / 12);
    context.stroke();
    context.beginPath();
    context.arc(mx + nx * h / 12, my + ny * h / 12, h / 60, 0, 7);
    context.fill();
    context.fillText(name, ax + 4, ay - 4);
  }
}

const known = new Map<string, Promise<Camera>>();

/** A camera of the register, asked for once a page. */
export function cameraOf(id: string): Promise<Camera> {
  let asked = known.get(id);
  if (!asked) {
    known.set(id, (asked = api.get<Camera>(`${ROOT}/cameras/${encodeURIComponent(id)}`)));
    asked.catch(() => known.delete(id));
  }
  return asked;
}

/** Some cameras side by side, for any page: live, with faces hidden. `names` spares asking what they are called. */
export function CameraView({ ids, height = 180, tracks = false, names = {} }: { ids: readonly string[]; height?: 180 | 360; tracks?: boolean; names?: Readonly<Record<string, Text>> }): JSX.Element {
  return (
    <ul className="cam-view" aria-label={t("centre.cctv.cameras")}>
      {ids.map((id) => <li key={id}><Named id={id} height={height} tracks={tracks} name={names[id]} /></li>)}
    </ul>
  );
}

function Named({ id, name, ...given }: { id: string; height: 180 | 360; tracks: boolean; name: Text | undefined }): JSX.Element {
  const [found, setFound] = useState<Text>();
  useEffect(() => {
    if (!name) cameraOf(id).then((camera) => setFound(camera.name), () => undefined);
  }, [id, name]);
  return <Picture id={id} name={text(name ?? found, id)} {...given} />;
}
