import { useEffect, useRef, useState } from "react";
import type { LonLat } from "./types";

/** Often enough for an arrival that is told to the minute, seldom enough for a telephone's battery and line. */
const EVERY_MS = 5_000;

/** Where the device is, told at most every five seconds while it is wanted. */
export function usePosition(wanted: boolean, told: (at: LonLat) => void): { at: LonLat | null; denied: boolean } {
  const [at, setAt] = useState<LonLat | null>(null);
  const [denied, setDenied] = useState(false);
  const tell = useRef(told);
  tell.current = told;
  useEffect(() => {
    if (!wanted || !("geolocation" in navigator)) return undefined;
    let last = 0;
    setDenied(false);
    const watch = navigator.geolocation.watchPosition(
      ({ coords }) => {
        const here: LonLat = [coords.longitude, coords.latitude];
        setAt(here);
        if (performance.now() - last < EVERY_MS && last) return;
        last = performance.now();
        tell.current(here);
      },
      ({ code }) => setDenied(code === GeolocationPositionError.PERMISSION_DENIED),
      { enableHighAccuracy: true, maximumAge: 2_000 },
    );
    return () => navigator.geolocation.clearWatch(watch);
  }, [wanted]);
  return { at, denied };
}

/** Keeps the screen lit while the page is seen, where the browser can. */
export function useLit(): void {
  useEffect(() => {
    let lock: WakeLockSentinel | undefined;
    const light = (): void => {
      if (document.visibilityState !== "visible") return;
      navigator.wakeLock?.request("screen").then((got) => void (lock = got), () => undefined);
    };
    light();
    document.addEventListener("visibilitychange", light);
    return () => {
      document.removeEventListener("visibilitychange", light);
      void lock?.release();
    };
  }, []);
}
