import { useCallback, useEffect, useState } from "react";
import { Problem, request } from "../../api";
import { reason } from "../../problems";
import { useShell } from "../../ui/page";
import { forget, keep, kept } from "./kept";

export const ROOT = "/api/care/v1/me";

export function ask<T>(path: string, method = "GET", body?: unknown): Promise<T> {
  return request<T>(ROOT + path, body === undefined ? { method } : { method, body: JSON.stringify(body), headers: { "content-type": "application/json" } });
}

export interface Mine<T> {
  data: T | undefined;
  problem: string;
  /** When what is shown was read, where there is no line and it was kept on this device. */
  keptAt: string | undefined;
  reload: () => Promise<void>;
}

/** One's own data: as the server has it, else as it was when it was last read on this device. */
export function useMine<T>(path: string): Mine<T> {
  const owner = useShell().session.name;
  const [state, setState] = useState<{ path: string; data?: T; problem?: string; keptAt?: string }>({ path: "" });
  const reload = useCallback(async () => {
    try {
      const data = await ask<T>(path);
      setState({ path, data });
      await kept(owner, path);
      await keep(owner, path, data);
    } catch (error) {
      if (error instanceof Problem && error.status === 401) await forget();
      const found = error instanceof Problem && error.status === 0 ? await kept(owner, path) : undefined;
      setState(found ? { path, data: found.data as T, keptAt: found.at } : { path, problem: reason(error) });
    }
  }, [owner, path]);
  useEffect(() => {
    void reload();
    const back = (): void => void reload();
    addEventListener("online", back);
    return () => removeEventListener("online", back);
  }, [reload]);
  const current = state.path === path;
  return { data: current ? state.data : undefined, problem: (current && state.problem) || "", keptAt: current ? state.keptAt : undefined, reload };
}
