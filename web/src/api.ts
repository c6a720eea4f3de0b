import { Observable } from "./state";
import type { Session } from "./types";

/** How often a request was refused because the session has ended. */
export const ended = new Observable(0);

/** An RFC 9457 problem that the server answered with, or status 0 when it did not answer. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly document: Record<string, unknown> = {},
  ) {
    super(typeof document.detail === "string" ? document.detail : title);
  }
}

/** Asks the hub with the viewer's session. */
async function answered(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(path, { credentials: "same-origin", ...init });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem(0, String(error));
  }
}

/** Asks for a file. A refusal is thrown as any other. */
export async function file(path: string, init: RequestInit = {}): Promise<Blob> {
  const response = await answered(path, init);
  return response.ok ? response.blob() : await parsed<never>(path, response);
}

export async function request<T>(path: string, init: RequestInit = {}): Promise<T> {
  return parsed<T>(path, await answered(path, { ...init, headers: { accept: "application/json", ...init.headers } }));
}

async function parsed<T>(path: string, response: Response): Promise<T> {
  const body = await response.text();
  let document: unknown = null;
  try {
    document = body ? JSON.parse(body) : null;
  } catch {
    if (response.ok) throw new Problem(response.status, "The answer is not JSON");
  }
  if (!response.ok) {
    const problem = (document ?? {}) as Record<string, unknown>;
    if (response.status === 401 && !/^\/api\/(session|setup)\b/.test(path)) ended.value += 1;
    throw new Problem(response.status, typeof problem.title === "string" ? problem.title : response.statusText, problem);
  }
  return document as T;
}

export const api = {
  get: <T>(path: string, signal?: AbortSignal): Promise<T> => request<T>(path, signal ? { signal } : {}),
  post: <T>(path: string, body: unknown, headers: Record<string, string> = {}): Promise<T> =>
    request<T>(path, { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json", ...headers } }),
  put: <T>(path: string, body: unknown): Promise<T> =>
    request<T>(path, { method: "PUT", body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  patch: <T>(path: string, body: unknown): Promise<T> =>
    request<T>(path, { method: "PATCH", body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  delete: <T>(path: string, body?: unknown): Promise<T> =>
    request<T>(path, body === undefined ? { method: "DELETE" } : { method: "DELETE", body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
};

export const session = {
  get: () => api.get<Session>("/api/session"),
  open: (name: string, password: string, code?: string) => api.post<Session>("/api/session", { name, password, ...(code ? { code } : {}) }),
  close: async () => {
    // What `worker.js` and the health page keep for when there is no line is nobody else's.
    if ("caches" in window) await caches.delete("hanmaru-data");
    if ("indexedDB" in window) indexedDB.deleteDatabase("hanmaru-health");
    return api.delete<null>("/api/session");
  },
};
