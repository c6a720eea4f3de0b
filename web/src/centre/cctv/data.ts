import { useCallback, useEffect, useState } from "react";
import { api } from "../../api";
import { text } from "../../i18n";
import { reason } from "../../problems";
import { remembered } from "../../state";
import type { Text } from "../../types";
import { ROOT } from "./stream";
import type { Camera } from "./types";

export const MOST_ON_WALL = 16;
const PAGE = 1000;
const MOST_PAGES = 5;
const EVERY_MS = 10_000;
const SELDOM_MS = 60_000;

export interface Register {
  cameras: Camera[] | undefined;
  notice: Text | null;
  problem: string;
  reload: () => Promise<void>;
}

/** The whole register with its states, asked again while the page is seen: seldom where it has many pages. */
export function useCameras(): Register {
  const [state, setState] = useState<Omit<Register, "reload">>({ cameras: undefined, notice: null, problem: "" });
  const reload = useCallback(async () => {
    try {
      const cameras: Camera[] = [];
      let after: string | null = "";
      let notice: Text | null = null;
      for (let page = 0; page < MOST_PAGES && after !== null; page += 1) {
        const answer: { items: Camera[]; next: string | null; notice: Text | null } = await api.get(`${ROOT}/cameras?limit=${PAGE}&after=${encodeURIComponent(after)}`);
        cameras.push(...answer.items);
        [after, notice] = [answer.next, answer.notice];
      }
      setState({ cameras, notice, problem: "" });
    } catch (error) {
      setState((before) => ({ ...before, problem: reason(error) }));
    }
  }, []);
  const many = (state.cameras?.length ?? 0) > PAGE;
  useEffect(() => {
    void reload();
    const timer = setInterval(() => document.visibilityState === "visible" && void reload(), many ? SELDOM_MS : EVERY_MS);
    return () => clearInterval(timer);
  }, [reload, many]);
  return { ...state, reload };
}

export const nameOfCamera = (camera: Camera): string => text(camera.name, camera.id);
/** The place that a camera's name begins with: cities name cameras by their district. */
export const placeOf = (camera: Camera): string => nameOfCamera(camera).split(/[\s,·(]/)[0] ?? "";

const isText = (value: string): value is string => typeof value === "string";
/** The ids of the viewer's wall, kept in the browser. */
export const wall = remembered("hanmaru.centre.wall", isText, "");
export const onWall = (): string[] => wall.value.split(",").filter(Boolean);
export function setWall(ids: readonly string[]): void {
  wall.value = [...new Set(ids)].slice(0, MOST_ON_WALL).join(",");
}
