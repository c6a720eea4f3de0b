import { useEffect, useState } from "react";

/** How long nobody touches the kiosk before what is on the screen is hidden: from who comes next, too. Nothing is lost. */
const QUIET_MS = 120_000;

/** Tells that somebody is there without touching: who rests, for one. */
export const ACTIVE = "hanmaru-kiosk-active";

/** Whether the screen should be covered, and how to uncover it. */
export function useCover(active: boolean): { covered: boolean; uncover: () => void } {
  const [covered, setCovered] = useState(false);
  useEffect(() => {
    if (!active) return setCovered(false);
    let timer: ReturnType<typeof setTimeout>;
    const touched = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => setCovered(true), QUIET_MS);
    };
    const events = ["pointerdown", "keydown", ACTIVE] as const;
    for (const event of events) addEventListener(event, touched, true);
    touched();
    return () => {
      clearTimeout(timer);
      for (const event of events) removeEventListener(event, touched, true);
    };
  }, [active]);
  return { covered, uncover: () => setCovered(false) };
}
