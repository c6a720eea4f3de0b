// Keeps a page of a room usable without a line. A page registers it for its own address and names, as `keep`, the
// answers of its room that it can be opened again with. What comes from the network is always preferred.
const KEPT = new Set(["/api/session", "/api/shell/v1/manifest", "/api/policy/v1/mine", "/api/centre/v1/basemap", ...new URL(location.href).searchParams.getAll("keep")]);
const CODE = "hanmaru-code";
const DATA = "hanmaru-data";
/** More than one version of the screen has files, fonts included; beyond, the oldest go. */
const MOST = 250;
const page = () => new URL(registration.scope).pathname;

addEventListener("install", () => skipWaiting());
addEventListener("activate", (event) => event.waitUntil(clients.claim()));
// What the page had loaded before this was there.
addEventListener("message", ({ data }) => void Promise.all([page(), ...data].map((url) => answer(new Request(url)))).catch(() => undefined));

addEventListener("fetch", (event) => {
  const answered = answer(event.request);
  if (answered) event.respondWith(answered);
});

/** The answer to what is kept; undefined for everything else, live streams among it. */
function answer(request) {
  const { origin, pathname } = new URL(request.url);
  if (origin !== location.origin || request.method !== "GET") return undefined;
  if (request.mode === "navigate" || pathname === page()) return fresh(CODE, request, page());
  if (pathname.startsWith("/assets/")) return lasting(request);
  if (pathname.startsWith("/services/") || pathname === "/favicon.svg") return fresh(CODE, request);
  return KEPT.has(pathname) ? fresh(DATA, request) : undefined;
}

async function fresh(name, request, key = request) {
  const cache = await caches.open(name);
  try {
    const response = await fetch(request);
    if (response.status === 200) await cache.put(key, response.clone());
    else if (response.status === 401) await caches.delete(DATA);
    return response;
  } catch (error) {
    const found = await cache.match(key, { ignoreVary: true });
    if (found) return found;
    throw error;
  }
}

/** A file whose name changes with what is in it. */
async function lasting(request) {
  const cache = await caches.open(CODE);
  const found = await cache.match(request, { ignoreVary: true });
  if (found) return found;
  const response = await fetch(request);
  if (response.status === 200) {
    await cache.put(request, response.clone());
    const files = (await cache.keys()).filter(({ url }) => new URL(url).pathname.startsWith("/assets/"));
    await Promise.all(files.slice(0, Math.max(0, files.length - MOST)).map((file) => cache.delete(file)));
  }
  return response;
}
