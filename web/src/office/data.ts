import { useCallback, useEffect, useState } from "react";
import { api } from "../api";
import { reason } from "../problems";

export interface Loaded<T> {
  data: T | undefined;
  problem: string;
  loading: boolean;
  reload: () => Promise<void>;
}

/** What a path answers; asked again by `reload` and, where `everyMs` is given, while the page is seen. */
export function useLoaded<T>(path: string, everyMs?: number): Loaded<T> {
  const [state, setState] = useState<{ path: string; data?: T; error?: unknown }>({ path: "" });
  const reload = useCallback(async () => {
    try {
      setState({ path, data: await api.get<T>(path) });
    } catch (error) {
      setState((before) => ({ ...(before.path === path ? before : {}), path, error }));
    }
  }, [path]);
  useEffect(() => {
    void reload();
    if (!everyMs) return undefined;
    const timer = setInterval(() => document.visibilityState === "visible" && void reload(), everyMs);
    return () => clearInterval(timer);
  }, [reload, everyMs]);
  const current = state.path === path;
  return { data: current ? state.data : undefined, problem: current && state.error ? reason(state.error) : "", loading: !current, reload };
}
