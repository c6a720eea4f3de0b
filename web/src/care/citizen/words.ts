import { exact, number } from "../../format";
import { t, text } from "../../i18n";
import type { Text } from "../../types";

/** A date of the city's zone as it is said: 2026-05-01, in the language's own way. */
export function date(instant: string): string {
  return exact(instant.length === 10 ? `${instant}T12:00:00Z` : instant).slice(0, 10).replaceAll("-", t("health.dateSeparator"));
}

/** A number with its unit, to as many digits as a person can make use of. */
export function amount(value: number, unit: Text): string {
  const named = text(unit);
  const shown = Math.abs(value) < 5 ? number(value) : number(Math.round(value * 10) / 10);
  return named ? `${shown} ${named}` : shown;
}

/** A range in words: below, from … on, from … to below …; nothing where both ends are open. */
export function range(low: number | null, high: number | null, unit: Text): string {
  if (low === null && high === null) return "";
  if (low === null) return t("health.below", { high: amount(high!, unit) });
  if (high === null) return t("health.above", { low: amount(low, unit) });
  return t("health.between", { low: number(low), high: amount(high, unit) });
}

/** A code that may have words of its own, such as yes, no, male, female. */
export function shown(value: string): string {
  return ["yes", "no", "male", "female"].includes(value) ? t(`health.value.${value}`) : value;
}
