import { useEffect } from "react";
import { ROOT } from "./data";
import { POSE } from "./pose";

/**
 * Lets the kiosk be opened without a line, the detector of posture too, where the browser can: over HTTPS, or on the
 * machine itself. `loaded` says that what it opens with is there, so that all of it can be named.
 */
export function useLasting(loaded: boolean): void {
  useEffect(() => {
    if (!loaded || !("serviceWorker" in navigator)) return;
    const place = `${ROOT}/kiosk`;
    navigator.serviceWorker.register(`/worker.js?keep=${encodeURIComponent(place)}`, { scope: "/kiosk" }).then(async (registration) => {
      const worker = registration.active ?? (await navigator.serviceWorker.ready).active;
      const opened = performance.getEntriesByType("resource").map(({ name }) => name);
      worker?.postMessage([...new Set([...opened, ...[place, ...POSE].map((path) => new URL(path, location.origin).href)])]);
    }).catch(() => undefined);
  }, [loaded]);
}
