import { useEffect, useMemo, useRef, useState, type JSX } from "react";
import { t } from "../../i18n";
import { reason } from "../../problems";
import { useTitle } from "../../ui/page";
import { ask } from "./data";
import type { Me, Pass } from "./types";

/** A pass is renewed so long before it ends, that whoever begins to show it has time to. */
const RENEW_MS = 20_000;
const AGAIN_MS = 4_000;

/** The code that the kiosk reads: large, black on white whatever the theme, kept bright, renewed before it ends. */
export function PassView({ me }: { me: Me }): JSX.Element {
  const { pass, left, problem } = usePass();
  useTitle(t("health.pass"));
  useAwake(Boolean(pass));
  const size = pass?.rows.length ?? 0;
  const drawn = useMemo(() => (pass?.rows ?? []).flatMap((row, y) => [...row.matchAll(/1+/g)].map((dark) => `M${dark.index} ${y}h${dark[0].length}v1h-${dark[0].length}z`)).join(""), [pass]);
  return (
    <div className="pass">
      <h1>{t("health.pass")}</h1>
      <p>{t("health.passHelp")}</p>
      {problem && <p role="alert" className="problem">{problem}</p>}
      <div className="pass-card" data-live={pass ? true : undefined}>
        {pass ? (
          <svg viewBox={`-3 -3 ${size + 6} ${size + 6}`} role="img" aria-label={t("health.passAlt", { name: me.name })} shapeRendering="crispEdges"><path d={drawn} /></svg>
        ) : <p role="status">{problem ? "" : t("office.loading")}</p>}
      </div>
      <p className="pass-name">{me.name}</p>
      {pass && (
        <>
          <div className="pass-left" aria-hidden="true"><span style={{ width: `${Math.max(0, Math.min(100, (left / Math.max(1, pass.lasts)) * 100))}%` }} /></div>
          <p className="pass-time" role="timer">{t("health.passLeft", { seconds: Math.max(0, Math.ceil(left / 1000)) })}</p>
        </>
      )}
      <p className="help">{t("health.passSafe")}</p>
    </div>
  );
}

/** A pass that is good now, how long it still is in milliseconds, and why there is none. */
function usePass(): { pass: (Pass & { lasts: number }) | undefined; left: number; problem: string } {
  const [pass, setPass] = useState<Pass & { lasts: number; until: number }>();
  const [problem, setProblem] = useState("");
  const [time, setTime] = useState(Date.now);
  const asking = useRef(0);
  useEffect(() => {
    let gone = false;
    const renew = async (): Promise<void> => {
      asking.current = Date.now();
      try {
        const made = await ask<Pass>("/pass", "POST");
        if (gone) return;
        setProblem("");
        setPass({ ...made, lasts: made.seconds * 1000, until: Date.now() + made.seconds * 1000 });
      } catch (error) {
        if (!gone) setProblem(reason(error));
      }
    };
    void renew();
    const timer = setInterval(() => {
      setTime(Date.now());
      setPass((now) => {
        if ((!now || now.until - Date.now() < RENEW_MS) && Date.now() - asking.current > AGAIN_MS && document.visibilityState === "visible") void renew();
        return now && now.until > Date.now() ? now : undefined;
      });
    }, 500);
    return () => {
      gone = true;
      clearInterval(timer);
    };
  }, []);
  return { pass, left: pass ? pass.until - time : 0, problem };
}

/** Keeps the screen on while a code is shown, where the browser lets it. */
function useAwake(wanted: boolean): void {
  useEffect(() => {
    if (!wanted || !("wakeLock" in navigator)) return undefined;
    let lock: WakeLockSentinel | undefined;
    let gone = false;
    const take = (): void => void navigator.wakeLock.request("screen").then((made) => { if (gone) void made.release(); else lock = made; }, () => undefined);
    const seen = (): void => { if (document.visibilityState === "visible") take(); };
    take();
    document.addEventListener("visibilitychange", seen);
    return () => {
      gone = true;
      document.removeEventListener("visibilitychange", seen);
      void lock?.release();
    };
  }, [wanted]);
}
