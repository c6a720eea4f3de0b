import { useCallback, useEffect, useState } from "react";
import { file, Problem, request } from "../api";
import { reason } from "../problems";
import { Observable, useValue } from "../state";

export { ShellContext, useShell } from "../ui/page";

const ROOT = "/api/trace/v1";
/** What a purpose is kept for when it is not for one case: the lists. */
export const LISTS = "";

/** Why the viewer looks, by case. In memory only: a reload asks again. */
export const purposes = new Observable<ReadonlyMap<string, string>>(new Map());

export function setPurpose(scope: string, purpose: string): void {
  purposes.value = new Map(purposes.value).set(scope, purpose);
}

export function usePurpose(scope: string): string | undefined {
  return useValue(purposes).get(scope);
}

/** A header carries bytes, and the purpose is UTF-8. */
function stated(scope: string): Record<string, string> {
  const purpose = purposes.value.get(scope);
  return purpose ? { "hanmaru-purpose": String.fromCharCode(...new TextEncoder().encode(purpose)) } : {};
}

/** Asks the room's routes for the purpose that was stated for `scope`. */
export function ask<T>(scope: string, path: string, method = "GET", body?: unknown): Promise<T> {
  if (body === undefined) return request<T>(ROOT + path, { method, headers: stated(scope) });
  return request<T>(ROOT + path, { method, body: JSON.stringify(body), headers: { ...stated(scope), "content-type": "application/json" } });
}

/** Fetches a file for the stated purpose, which a plain link cannot tell, and has the browser keep it. */
export async function download(scope: string, path: string, name: string): Promise<void> {
  const address = URL.createObjectURL(await file(ROOT + path, { headers: stated(scope) }));
  const link = Object.assign(document.createElement("a"), { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

export interface Asked<T> {
  data: T | undefined;
  problem: string;
  /** The refusal's status; 0: there is none. */
  status: number;
  /** Whether nothing but a purpose is wanting. */
  wants: boolean;
  reload: () => Promise<void>;
}

/** What a path answers, asked again when the purpose changes, by `reload` and, where `everyMs` is given, while it is seen. */
export function useAsked<T>(scope: string, path: string | null, everyMs?: number): Asked<T> {
  const purpose = usePurpose(scope);
  const [state, setState] = useState<{ path: string | null; data?: T; error?: unknown }>({ path: "" });
  const reload = useCallback(async () => {
    if (path === null) return;
    try {
      setState({ path, data: await ask<T>(scope, path) });
    } catch (error) {
      setState((before) => ({ ...(before.path === path ? before : {}), path, error }));
    }
  }, [scope, path, purpose]);
  useEffect(() => {
    void reload();
    if (!everyMs) return undefined;
    const timer = setInterval(() => document.visibilityState === "visible" && void reload(), everyMs);
    return () => clearInterval(timer);
  }, [reload, everyMs]);
  const current = state.path === path;
  const error = current ? state.error : undefined;
  const problem = error instanceof Problem ? error : undefined;
  return {
    data: current ? state.data : undefined,
    problem: error === undefined ? "" : reason(error),
    status: problem?.status ?? 0,
    wants: problem?.document.needs === "purpose" || problem?.title === "State the purpose",
    reload,
  };
}
