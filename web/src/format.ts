import { hasMessage, language, t, text } from "./i18n";
import type { Attr, Entity, Layer } from "./types";

let zone = "UTC";
/** Milliseconds that the server's clock is ahead of this one. */
let ahead = 0;

export function setZone(value: string): void {
  zone = value;
}

export function setServerNow(seconds: number): void {
  ahead = seconds * 1000 - Date.now();
}

/** The server's time now, in milliseconds since 1970. */
export function now(): number {
  return Date.now() + ahead;
}

const made = new Map<string, Intl.NumberFormat | Intl.DateTimeFormat | Intl.RelativeTimeFormat>();
function cached<T extends Intl.NumberFormat | Intl.DateTimeFormat | Intl.RelativeTimeFormat>(key: string, make: (tag: string) => T): T {
  const full = `${language.value}|${zone}|${key}`;
  let found = made.get(full) as T | undefined;
  if (!found) made.set(full, (found = make(language.value)));
  return found;
}

export function number(value: number, decimals: number | null = null): string {
  const options = decimals === null ? { maximumFractionDigits: 2 } : { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
  return cached(`n${decimals}`, (tag) => new Intl.NumberFormat(tag, options)).format(value);
}

/** An instant in the city's zone: date and time. */
export function dateTime(instant: string | number): string {
  return cached("dt", (tag) => new Intl.DateTimeFormat(tag, { timeZone: zone, dateStyle: "medium", timeStyle: "short" })).format(new Date(instant));
}

function parts(instant: Date): Record<string, string> {
  const options = { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" } as const;
  return Object.fromEntries(cached("parts", () => new Intl.DateTimeFormat("en", options)).formatToParts(instant).map(({ type, value }) => [type, value]));
}

/** An instant in the city's zone to the second, or to the minute, as ISO 8601 writes it with a space: 2026-11-23 09:30:00. */
export function exact(instant: string | number, seconds = true): string {
  const { year, month, day: date, hour, minute, second } = parts(new Date(instant));
  return `${year}-${month}-${date} ${hour}:${minute}${seconds ? `:${second}` : ""}`;
}

/** The instant that a date, or a date and time of the city's zone, written as `exact` does, means; undefined for another text. */
export function instantOf(written: string): string | undefined {
  const [, date, clocked = "00:00"] = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?))?$/.exec(written.trim()) ?? [];
  const wanted = Date.parse(`${date}T${clocked}Z`);
  if (Number.isNaN(wanted)) return undefined;
  let found = wanted;
  // The second round is for a change of the clocks between the first guess and the answer.
  for (let round = 0; round < 2; round++) found -= Date.parse(`${exact(found).replace(" ", "T")}Z`) - wanted;
  return new Date(found).toISOString();
}

/** An instant in the city's zone: hours and minutes. */
export function clock(instant: string | number): string {
  const options = { timeZone: zone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" } as const;
  return cached("t", (tag) => new Intl.DateTimeFormat(tag, options)).format(new Date(instant));
}

export function day(instant: string | number): string {
  return cached("d", (tag) => new Intl.DateTimeFormat(tag, { timeZone: zone, month: "short", day: "numeric" })).format(new Date(instant));
}

/** How long ago an instant was, in words. */
export function age(instant: string | number): string {
  const seconds = Math.round((new Date(instant).getTime() - now()) / 1000);
  const relative = cached("r", (tag) => new Intl.RelativeTimeFormat(tag, { numeric: "auto", style: "short" }));
  const size = Math.abs(seconds);
  if (size < 60) return relative.format(Math.min(0, seconds), "second");
  if (size < 3600) return relative.format(Math.trunc(seconds / 60), "minute");
  if (size < 86400) return relative.format(Math.trunc(seconds / 3600), "hour");
  return relative.format(Math.trunc(seconds / 86400), "day");
}

const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)$/;

/** Any attribute value in words, without its unit. */
export function plain(value: unknown, decimals: number | null = null): string {
  if (value === null || value === undefined || value === "") return t("value.none");
  if (typeof value === "number") return number(value, decimals);
  if (typeof value === "boolean") return t(value ? "value.yes" : "value.no");
  if (typeof value === "string") return INSTANT.test(value) ? dateTime(value) : hasMessage(`word.${value}`) ? t(`word.${value}`) : value;
  if (Array.isArray(value)) return value.map((item) => plain(item, decimals)).join(", ");
  const object = value as Record<string, unknown>;
  if ("@value" in object) return plain(object["@value"], decimals);
  const map = (object.languageMap ?? object) as Record<string, unknown>;
  const named = map[language.value] ?? map.en ?? map["@none"];
  if (typeof named === "string") return named;
  if (Array.isArray(object.coordinates)) return coordinates(object.coordinates);
  return Object.values(object).every((item) => typeof item !== "object") ? Object.values(object).map(String).join(", ") : JSON.stringify(object);
}

function coordinates(value: unknown[]): string {
  return typeof value[0] === "number" && typeof value[1] === "number" ? `${value[1].toFixed(5)}, ${value[0].toFixed(5)}` : "…";
}

/** An attribute value in words with its unit. */
export function withUnit(value: unknown, attr: Attr | undefined): string {
  const words = plain(scaled(value, attr), attr?.decimals ?? null);
  return attr?.unit && typeof value === "number" ? `${words} ${attr.unit}` : words;
}

/** An entity's value in the unit that it is shown in. */
export function scaled(value: unknown, attr: Attr | undefined): unknown {
  return typeof value === "number" && attr ? value * attr.scale : value;
}

/** The colour of the highest step that a value reaches. */
export function stepColour(value: unknown, attr: Attr | undefined): string | undefined {
  if (typeof value !== "number" || !attr) return undefined;
  let colour: string | undefined;
  for (const [from, step] of attr.steps) if (value * attr.scale >= from) colour = step;
  return colour ?? attr.steps[0]?.[1];
}

export function colourOf(values: Entity["values"], layer: Layer): string {
  const attr = layer.attrs.find((candidate) => candidate.name === layer.colourBy);
  return (attr && stepColour(values[attr.name], attr)) ?? layer.colour;
}

/** What an entity is called: its name, else the last part of its id. */
export function nameOf(id: string, values: Entity["values"]): string {
  const name = values.name ?? values.title;
  return name ? plain(name) : (id.split(":").slice(3).join(":") || id);
}

/** When the readings were taken, as far as the entity says, else when the hub changed. */
export function observedAt(values: Entity["values"]): string | undefined {
  const when = values.dateObserved ?? values.dateIssued ?? values.modifiedAt;
  return typeof when === "string" && !Number.isNaN(Date.parse(when)) ? when : undefined;
}

/** The label of an attribute that no service declares: a known text, else its name taken apart. */
export function attrLabel(name: string, attr?: Attr): string {
  if (attr) return text(attr.label, name);
  if (hasMessage(`attr.${name}`)) return t(`attr.${name}`);
  const words = name.replace(/([a-z\d])([A-Z])/g, "$1 $2").toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
