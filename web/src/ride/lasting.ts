import { useEffect } from "react";
import { ROOT } from "./data";

/** What a page is opened with again when there is no line. The driver's plan and queue are kept by themselves. */
const KEEP = { "app/ride": [`${ROOT}/service`, `${ROOT}/requests`], driver: [] } as const;
const MANIFEST = { "app/ride": "rider", driver: "driver" } as const;

/** Makes the page one that can be installed, and opened without a line, where the browser can: over HTTPS. */
export function useLasting(page: "app/ride" | "driver"): void {
  useEffect(() => {
    const link = Object.assign(document.createElement("link"), { rel: "manifest", href: `/services/ride/${MANIFEST[page]}.json` });
    document.head.append(link);
    if ("serviceWorker" in navigator) {
      const keep = new URLSearchParams(KEEP[page].map((path) => ["keep", path]));
      navigator.serviceWorker.register(`/worker.js?${keep}`, { scope: `/${page}` }).then(async (registration) => {
        const worker = registration.active ?? (await navigator.serviceWorker.ready).active;
        worker?.postMessage(performance.getEntriesByType("resource").map(({ name }) => name));
      }, () => undefined);
    }
    return () => link.remove();
  }, [page]);
}
