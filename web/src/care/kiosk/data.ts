import { request } from "../../api";

export const ROOT = "/api/care/v1";

/** Asks the room's routes. */
export function ask<T>(path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const sent = body === undefined ? {} : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  return request<T>(ROOT + path, { ...sent, ...(signal ? { signal } : {}) });
}
