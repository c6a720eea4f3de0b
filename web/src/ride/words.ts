import { clock, exact, now, number } from "../format";
import { hasMessage, language, t, text } from "../i18n";
import type { Money, Name, Reason, Span, Trip, When } from "./types";

/** A word of the room's own for a code, else the code. */
export function word(group: string, code: string | null | undefined): string {
  if (!code) return "–";
  const key = `ride.${group}.${code}`;
  return hasMessage(key) ? t(key) : code;
}

/** A text that may be one in several languages. */
export function told(value: Name | null | undefined, fallback = ""): string {
  return typeof value === "string" ? value : value ? text(value, fallback) : fallback;
}

/** A reason in words: the server's, else the room's own for its code. */
export function why(reason: Reason | string | null | undefined): string {
  if (!reason) return "";
  if (typeof reason === "string") return word("why", reason);
  return told(reason.text) || word("why", reason.code);
}

export function money({ amount, currency }: Money): string {
  const format = new Intl.NumberFormat(language.value, { style: "currency", currency });
  return format.format(amount / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 0));
}

/** A length of time in minutes, hours where it is long; never less than a minute. */
export function lasting(seconds: number): string {
  const minutes = Math.max(1, Math.round(Math.abs(seconds) / 60));
  if (minutes < 60) return t("ride.minutes", { count: number(minutes) });
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60];
  return rest ? t("ride.hoursMinutes", { hours: number(hours), minutes: number(rest) }) : t("ride.hours", { count: number(hours) });
}

/** Minutes and seconds, as a watch counts them down. */
export function countdown(ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** How long until an instant, in whole minutes; "now" when it is less than half of one, or past. */
export function until(instant: string, at: number): string {
  const seconds = (Date.parse(instant) - at) / 1000;
  return seconds < 30 ? t("ride.now") : lasting(seconds);
}

export function metres(length: number): string {
  return length < 950 ? t("ride.metres", { count: number(Math.round(length / 10) * 10) }) : t("ride.kilometres", { count: number(length / 1000, 1) });
}

/** The day of an instant before its time, where it is another day than today. */
export function at(instant: string | number): string {
  const [day] = exact(instant).split(" ");
  return day === exact(now()).split(" ")[0] ? clock(instant) : `${day!.slice(5).replace("-", "/")} ${clock(instant)}`;
}

export function between({ from, to }: Span): string {
  return `${at(from)}–${clock(to)}`;
}

/** When somebody wants to ride. */
export function wanted(when: When): string {
  if (when === "now") return t("ride.when.now");
  return "depart_at" in when ? t("ride.when.departAt", { time: at(when.depart_at) }) : t("ride.when.arriveBy", { time: at(when.arrive_by) });
}

/** How many people, and how many of them in wheelchairs. */
export function party(seats: number, wheelchairs: number): string {
  const people = t("ride.people", { count: number(seats + wheelchairs) });
  return wheelchairs ? `${people} · ${t("ride.wheelchairs", { count: number(wheelchairs) })}` : people;
}

/** From where to where a trip is: as the rider called the places, else by its stops. */
export function way({ from, to, promise }: Trip): string {
  return `${from.label ?? told(promise?.pickup.stop.name, t("ride.somewhere"))} → ${to.label ?? told(promise?.dropoff.stop.name, t("ride.somewhere"))}`;
}
