import { useEffect, useRef, useState, type JSX } from "react";
import { t } from "../../i18n";
import { ACTIVE } from "./cover";
import { Big, Sheet } from "./parts";
import { say } from "./speech";

/** Counts down a rest. It never goes on by itself: whoever is ready says so. */
export function Rest({ seconds, first, drawing, onRested }: { seconds: number; first: boolean; drawing: JSX.Element; onRested: () => void }): JSX.Element {
  const [left, setLeft] = useState(seconds);
  const end = useRef(Date.now() + seconds * 1000);
  useEffect(() => {
    const timer = setInterval(() => {
      const now = Math.max(0, Math.ceil((end.current - Date.now()) / 1000));
      setLeft(now);
      dispatchEvent(new Event(ACTIVE));
      if (!now) {
        clearInterval(timer);
        say(t("kiosk.rest.over"));
      }
    }, 500);
    return () => clearInterval(timer);
  }, []);
  const share = left / seconds;
  return (
    <Sheet title={t(first ? "kiosk.rest.title" : "kiosk.rest.between")} help={t("kiosk.rest.help")} drawing={drawing}
      actions={left === 0 ? <Big kind="primary" onPress={onRested}>{t("kiosk.rest.ready")}</Big> : first && <Big onPress={onRested}>{t("kiosk.rest.already")}</Big>}>
      <div className="clock">
        <svg viewBox="0 0 120 120" aria-hidden="true"><circle cx="60" cy="60" r="52" className="clock-way" /><circle cx="60" cy="60" r="52" className="clock-left" pathLength={100} strokeDasharray={`${100 * share} 100`} transform="rotate(-90 60 60)" /></svg>
        <b role="timer" aria-label={t("kiosk.rest.left")}>{Math.floor(left / 60)}:{String(left % 60).padStart(2, "0")}</b>
      </div>
      <p role="status" className="said">{left === 0 && t("kiosk.rest.over")}</p>
    </Sheet>
  );
}
