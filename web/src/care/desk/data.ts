import { useEffect, useMemo, useState } from "react";
import { ended, request, session } from "../../api";
import { age } from "../../format";
import { hasMessage, t } from "../../i18n";
import type { Alert } from "./types";

export const ROOT = "/api/care/v1";

/** Longer than two of the server's beats: a line that is silent for so long is dead. */
const SILENCE_MS = 40_000;
const MOST_WAIT_MS = 15_000;
/** The server ends each stream after a while and the browser connects again: only what takes longer is worth a word. */
const PATIENCE_MS = 3_000;
/** As many alerts as one screen is of use for. */
const MOST_ALERTS = 200;

export function ask<T>(path: string, method = "GET", body?: unknown): Promise<T> {
  const sent = body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  return request<T>(ROOT + path, { method, ...sent });
}

export interface Alerts {
  open: Alert[];
  /** Whether the server has told what waits. */
  known: boolean;
  lost: boolean;
  /** The alert that came last, since the page is open. */
  newest: Alert | undefined;
  changed: (alert: Alert) => void;
}

/** The open alerts as they are now: told by the server as they come, whoever acknowledges them. */
export function useAlerts(): Alerts {
  const [alerts, setAlerts] = useState<ReadonlyMap<string, Alert>>(new Map());
  const [known, setKnown] = useState(false);
  const [lost, setLost] = useState(false);
  const [newest, setNewest] = useState<Alert>();
  const take = useMemo(() => (alert: Alert): void => setAlerts((before) => {
    const after = new Map(before);
    if (alert.state === "open" && after.size < MOST_ALERTS) after.set(alert.id, alert);
    else after.delete(alert.id);
    return after;
  }), []);
  useEffect(() => {
    let source: EventSource;
    let silence: ReturnType<typeof setTimeout>;
    let retry: ReturnType<typeof setTimeout>;
    let doubt: ReturnType<typeof setTimeout> | undefined;
    let attempt = 0;
    function heard(): void {
      attempt = 0;
      setLost(false);
      clearTimeout(silence);
      clearTimeout(doubt);
      doubt = undefined;
      silence = setTimeout(again, SILENCE_MS);
    }
    function again(): void {
      source.close();
      clearTimeout(silence);
      clearTimeout(retry);
      setLost(true);
      attempt += 1;
      retry = setTimeout(connect, Math.min(MOST_WAIT_MS, 500 * 2 ** Math.min(attempt, 5)));
    }
    function connect(): void {
      source = new EventSource(`${ROOT}/alerts/live`);
      source.onopen = heard;
      source.addEventListener("beat", heard);
      source.addEventListener("alerts", (event) => {
        heard();
        const told = JSON.parse((event as MessageEvent<string>).data) as { alerts: Alert[] };
        setAlerts(new Map(told.alerts.map((alert) => [alert.id, alert])));
        setKnown(true);
      });
      source.addEventListener("alert", (event) => {
        heard();
        const alert = JSON.parse((event as MessageEvent<string>).data) as Alert;
        take(alert);
        if (alert.state === "open") setNewest(alert);
      });
      source.onerror = () => {
        doubt ??= setTimeout(() => setLost(true), PATIENCE_MS);
        if (source.readyState !== EventSource.CLOSED) return;
        again();
        session.get().catch((problem: { status?: number }) => {
          if (problem.status === 401) ended.value += 1;
        });
      };
    }
    connect();
    return () => {
      source.close();
      clearTimeout(silence);
      clearTimeout(retry);
      clearTimeout(doubt);
    };
  }, [take]);
  const open = useMemo(() => [...alerts.values()].sort((a, b) => Number(b.escalated) - Number(a.escalated) || Number(a.kind === "help") - Number(b.kind === "help") || a.sent.localeCompare(b.sent)), [alerts]);
  return { open, known, lost, newest, changed: take };
}

/** A word of the desk's own for a code, else the code. */
export function word(group: string, code: string | null | undefined): string {
  if (!code) return "–";
  const key = `desk.${group}.${code}`;
  return hasMessage(key) ? t(key) : code;
}

/** Age and sex as a nurse reads them. */
export function about(years: number | null, sex: string | null): string {
  return [years === null ? "" : t("desk.years", { count: years }), sex ? word("sex", sex) : ""].filter(Boolean).join(" · ");
}

/** How many days something is over its day, or when it is. */
export function dueIn(days: number): string {
  if (days > 0) return t("desk.overdue", { count: days });
  return days === 0 ? t("desk.today") : t("desk.inDays", { count: -days });
}

export function since(instant: string | null | undefined): string {
  return instant ? age(instant) : "–";
}
