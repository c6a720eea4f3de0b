import { useEffect, useState } from "react";
import { request } from "../api";
import { now } from "../format";

export const ROOT = "/api/ride/v1";

/** Asks the room's routes. What is asked again with the same `key`, because no answer came, counts once. */
export function ask<T>(path: string, method = "GET", body?: unknown, { signal, key, purpose }: { signal?: AbortSignal; key?: string; purpose?: string } = {}): Promise<T> {
  const headers = {
    ...(body === undefined ? {} : { "content-type": "application/json" }), ...(key ? { "idempotency-key": key } : {}),
    // A header carries bytes, and the purpose is UTF-8.
    ...(purpose ? { "hanmaru-purpose": String.fromCharCode(...new TextEncoder().encode(purpose)) } : {}),
  };
  return request<T>(ROOT + path, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }), ...(signal ? { signal } : {}) });
}

/** The server's time, told again every `ms` milliseconds. */
export function useNow(ms: number): number {
  const [time, setTime] = useState(now);
  useEffect(() => {
    const timer = setInterval(() => setTime(now()), ms);
    return () => clearInterval(timer);
  }, [ms]);
  return time;
}

/** A random UUID, where the page is not a secure context, too. */
export function uuid(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** JSON in the browser's storage under a key; `fallback` where there is none that can be read. */
export function kept<T>(key: string, fallback: T, storage: Storage = localStorage): T {
  try {
    return (JSON.parse(storage.getItem(key) ?? "null") as T | null) ?? fallback;
  } catch {
    return fallback;
  }
}

/** Keeps a value for the next time; whether the browser had room for it. */
export function keep(key: string, value: unknown, storage: Storage = localStorage): boolean {
  try {
    storage.setItem(key, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}
