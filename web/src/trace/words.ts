import { dateTime, exact, now, number } from "../format";
import { hasMessage, language, t, text } from "../i18n";
import type { Text } from "../types";
import type { Country, Disease, Period } from "./types";

/** A word of the room's own for a code, else the code. */
export function word(group: string, code: string | null | undefined): string {
  if (!code) return "–";
  const key = `trace.${group}.${code}`;
  return hasMessage(key) ? t(key) : code;
}

/** A text that may be one in several languages. */
export function told(value: Text | string | null | undefined, fallback = ""): string {
  return typeof value === "string" ? value : value ? text(value, fallback) : fallback;
}

export function diseaseName(diseases: Disease[] | undefined, id: string): string {
  return told(diseases?.find((one) => one.id === id)?.name, id);
}

export function kindName(country: Country | undefined, kind: string): string {
  const title = country?.kinds[kind]?.title;
  return title ? told(title) : word("kind", kind);
}

/** What a place is called; the person's own home and workplace have no name of their own. */
export function placeName(place: { name: string } | null | undefined): string {
  return place?.name ? word("place", place.name) : t("trace.somewhere");
}

export function roleName(role: string): string {
  return word("role", role);
}

/** A date, or a date and time, as the reader writes it; a date alone stays one. */
export function when(instant: string | null | undefined): string {
  if (!instant) return "–";
  return /^\d{4}-\d\d-\d\d$/.test(instant) ? instant : dateTime(instant);
}

/** A span in the city's zone, the day named once where it is one day. */
export function span({ start, end }: { start: string; end?: string | null }): string {
  const from = exact(start, false);
  if (!end) return from;
  const to = exact(end, false);
  return from.slice(0, 10) === to.slice(0, 10) ? `${from} – ${to.slice(11)}` : `${from} – ${to}`;
}

/** The first and the last day that a period covers; its end is no longer part of it. */
export function days({ start, end }: Period): string {
  const [from, to] = [exact(start), exact(Date.parse(end) - 1)].map((written) => written.slice(0, 10));
  return from === to ? from! : `${from} – ${to}`;
}

/** A length of time in words: hours and minutes. */
export function lasting(minutes: number): string {
  const whole = Math.round(minutes);
  if (whole < 60) return t("trace.minutes", { count: number(whole) });
  const [hours, rest] = [Math.floor(whole / 60), whole % 60];
  return rest && hours < 24 ? t("trace.hoursMinutes", { hours: number(hours), minutes: number(rest) }) : t("trace.hours", { count: number(hours) });
}

export function percent(share: number): string {
  return new Intl.NumberFormat(language.value, { style: "percent", maximumFractionDigits: share > 0 && share < 0.01 ? 1 : 0 }).format(share);
}

/** How late something is, in words. */
export function late(due: string): string {
  const hours = Math.max(1, Math.round((now() - Date.parse(due)) / 3_600_000));
  return hours < 48 ? t("trace.lateHours", { count: hours }) : t("trace.lateDays", { count: Math.round(hours / 24) });
}
