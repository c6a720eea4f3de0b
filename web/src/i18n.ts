import { Observable, useValue } from "./state";
import type { Text } from "./types";

/**
 * The web app's texts: one file a language in `i18n/`, found by its name. A file may also translate texts that services
 * declare, under `text.<the English text>`.
 */
type Messages = Record<string, string>;
const files = import.meta.glob<Messages>("./i18n/*.json", { eager: true, import: "default" });
const messages: Record<string, Messages> = Object.fromEntries(
  Object.entries(files).map(([path, content]) => [path.slice("./i18n/".length, -".json".length), content]),
);

export const languages: string[] = Object.keys(messages).sort();

function initial(): string {
  const wishes = [localStorage.getItem("hanmaru.language") ?? "", ...navigator.languages];
  for (const wish of wishes) {
    const found = languages.find((tag) => tag === wish || tag === wish.split("-")[0]);
    if (found) return found;
  }
  return "en";
}

export const language = new Observable(initial());
document.documentElement.lang = language.value;
language.watch((tag) => {
  localStorage.setItem("hanmaru.language", tag);
  document.documentElement.lang = tag;
});

export function languageName(tag: string): string {
  return messages[tag]?.["meta.name"] ?? tag;
}

/** Whether there is a message for a key, in the current language or in English. */
export function hasMessage(key: string): boolean {
  return (messages[language.value]?.[key] ?? messages.en?.[key]) !== undefined;
}

/** The message of a key in the current language, `{name}` replaced by its parameter. */
export function t(key: string, parameters: Record<string, string | number> = {}): string {
  const message = messages[language.value]?.[key] ?? messages.en?.[key] ?? key;
  return message.replace(/\{(\w+)\}/g, (_, name: string) => String(parameters[name] ?? ""));
}

/** A service's text in the current language. */
export function text(value: Text | undefined, fallback = ""): string {
  if (!value) return fallback;
  const english = value.en ?? fallback;
  return value[language.value] ?? messages[language.value]?.[`text.${english}`] ?? english;
}

/** Makes a component render again when the language changes. */
export function useLanguage(): string {
  return useValue(language);
}
