import { useEffect, useRef, useState, type JSX, type RefObject } from "react";
import { number } from "../../format";
import { t } from "../../i18n";
import { posture, type Angles, type Point, type View } from "../posture";
import { useCamera } from "./camera";
import { Drawing } from "./drawings";
import { Big, Sheet } from "./parts";
import { Detector, MODEL } from "./pose";
import { say } from "./speech";
import type { Posture } from "./types";

/** Long enough to step back from the screen. */
const COUNT_S = 8;
const VIEWS = ["front", "side"] as const;

interface Seen {
  at: "seen";
  seen: Angles;
  points: Point[] | null;
  width: number;
  height: number;
}
type Stage = { at: "show" } | { at: "aim" } | { at: "looking" } | { at: "failed" } | Seen;

/** Two photographs, from the front and from the side, of which nothing but angles is left. */
export function PostureStep({ onTaken, onSkip }: { onTaken: (posture: Posture) => void; onSkip: () => void }): JSX.Element {
  const [detector, setDetector] = useState<Detector>();
  const [view, setView] = useState<View>("front");
  const [stage, setStage] = useState<Stage>({ at: "show" });
  const [angles, setAngles] = useState<Record<string, number>>({});
  const video = useRef<HTMLVideoElement>(null);
  const { problem, ready } = useCamera(video, stage.at === "aim");
  useEffect(() => {
    const made = new Detector();
    setDetector(made);
    return () => made.close();
  }, []);

  const shoot = async (): Promise<void> => {
    if (!video.current?.videoWidth || !detector) return setStage({ at: "failed" });
    const photo = await createImageBitmap(video.current);
    const { width, height } = photo;
    setStage({ at: "looking" });
    try {
      const points = await detector.joints(photo);
      setStage({ at: "seen", seen: posture(view, points, width, height), points, width, height });
    } catch {
      setStage({ at: "failed" });
    }
  };
  const next = (found: Record<string, number>): void => {
    const all = { ...angles, ...found };
    setAngles(all);
    if (view === "front") {
      setView("side");
      return setStage({ at: "aim" });
    }
    if (Object.keys(all).length) onTaken({ angles: all, model: MODEL });
    else onSkip();
  };

  const name = t("kiosk.measure.posture");
  if (stage.at === "show") return (
    <Sheet title={name} help={t("kiosk.posture.how")} drawing={<Drawing of="posture" />} actions={<><Big kind="primary" onPress={() => setStage({ at: "aim" })}>{t("kiosk.posture.photo")}</Big><Big onPress={onSkip}>{t("kiosk.skip")}</Big></>}>
      <p className="said" data-tone="ask">{t("kiosk.posture.private")}</p>
    </Sheet>
  );
  if (stage.at === "aim") return (
    <Aim key={view} view={view} problem={problem} ready={ready} video={video} onShoot={() => void shoot()} onSkip={onSkip} />
  );
  if (stage.at === "looking") return <Sheet title={t("kiosk.posture.looking")}><p role="status" className="said"><i className="pulse" />{t("kiosk.identify.busy")}</p></Sheet>;
  if (stage.at === "failed") return <Sheet tone="ask" title={t("kiosk.posture.failed")} help={t("kiosk.posture.failedHelp")} actions={<><Big kind="primary" onPress={() => setStage({ at: "aim" })}>{t("kiosk.posture.photo")}</Big><Big onPress={onSkip}>{t("kiosk.skip")}</Big></>} />;
  const { seen, points, width, height } = stage;
  const some = Object.keys(seen.angles).length > 0;
  const why = `kiosk.posture.problem.${seen.problems[0] ?? "unsure"}`;
  return (
    <Sheet tone={some ? undefined : "ask"} title={t(some ? "kiosk.posture.seen" : why)} help={some && seen.problems.length ? t("kiosk.posture.some") : ""}
      drawing={points && <Figure points={points} width={width} height={height} />}
      actions={<>{some && <Big kind="primary" onPress={() => next(seen.angles)}>{t("kiosk.next")}</Big>}<Big kind={some ? "plain" : "primary"} onPress={() => setStage({ at: "aim" })}>{t("kiosk.posture.again")}</Big><Big onPress={() => next({})}>{t("kiosk.skip")}</Big></>}>
      {some && <dl className="values">{Object.entries(seen.angles).map(([column, value]) => <div key={column}><dt>{t(`kiosk.column.${column}`)}</dt><dd><b>{number(value, 1)}</b>°</dd></div>)}</dl>}
    </Sheet>
  );
}

/** The camera's picture with where to stand, and a countdown once somebody is ready. */
function Aim({ view, problem, ready, video, onShoot, onSkip }: { view: View; problem: string; ready: boolean; video: RefObject<HTMLVideoElement | null>; onShoot: () => void; onSkip: () => void }): JSX.Element {
  const [left, setLeft] = useState<number | null>(null);
  const shoot = useRef(onShoot);
  shoot.current = onShoot;
  useEffect(() => {
    if (left === null) return;
    if (left === 0) return shoot.current();
    if (left <= 3) say(String(left));
    const timer = setTimeout(() => setLeft(left - 1), 1000);
    return () => clearTimeout(timer);
  }, [left]);
  return (
    <Sheet title={t(`kiosk.posture.${view}`)} help={t(`kiosk.posture.${view}Help`)}
      actions={<><Big kind="primary" disabled={left !== null || !ready} onPress={() => setLeft(COUNT_S)}>{t("kiosk.posture.ready", { seconds: COUNT_S })}</Big><Big onPress={onSkip}>{t("kiosk.skip")}</Big></>}>
      <div className="camera">
        <video ref={video} muted playsInline aria-label={t("kiosk.camera")} />
        {left !== null && <b className="count" role="timer">{left}</b>}
        {problem && <p role="alert" className="said" data-tone="ask">{problem}</p>}
      </div>
      <p className="said">{t(`kiosk.posture.steps.${VIEWS.indexOf(view) + 1}`)}</p>
    </Sheet>
  );
}

/** Lines between joints, by the detector's numbers. */
const BONES = [[11, 12], [23, 24], [11, 23], [12, 24], [11, 13], [13, 15], [12, 14], [14, 16], [23, 25], [25, 27], [24, 26], [26, 28], [7, 11], [8, 12]] as const;

/** What the detector saw, as lines and dots: no picture of anybody. */
function Figure({ points, width, height }: { points: readonly Point[]; width: number; height: number }): JSX.Element {
  const stroke = Math.max(width, height) / 90;
  return (
    <svg viewBox={`0 0 ${width} ${height}`} className="drawn figure" role="presentation" strokeWidth={stroke}>
      {BONES.map(([from, to]) => { const [a, b] = [points[from]!, points[to]!]; return <line key={`${from} ${to}`} x1={a.x} y1={a.y} x2={b.x} y2={b.y} style={{ strokeWidth: stroke }} />; })}
      {[0, 7, 8, 11, 12, 23, 24, 25, 26, 27, 28].map((index) => <circle key={index} cx={points[index]!.x} cy={points[index]!.y} r={stroke * 1.4} className="joint" />)}
    </svg>
  );
}
