import { useEffect } from "react";

/** Makes the page one that can be installed, and opened without a line, where the browser can: over HTTPS. */
export function useLasting(): void {
  useEffect(() => {
    const link = Object.assign(document.createElement("link"), { rel: "manifest", href: "/services/care/health.json" });
    document.head.append(link);
    if ("serviceWorker" in navigator) {
      navigator.serviceWorker.register("/worker.js", { scope: "/app/health" }).then(async (registration) => {
        const worker = registration.active ?? (await navigator.serviceWorker.ready).active;
        worker?.postMessage(performance.getEntriesByType("resource").map(({ name }) => name));
      }, () => undefined);
    }
    return () => link.remove();
  }, []);
}
