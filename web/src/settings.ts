import { media, Observable, remembered } from "./state";

export type Theme = "light" | "dark";
export type ThemeChoice = "system" | Theme;

const systemDark = media("(prefers-color-scheme: dark)");
export const themeChoice = remembered<ThemeChoice>("hanmaru.theme", (v): v is ThemeChoice => ["system", "light", "dark"].includes(v), "system");
export const calm = media("(prefers-reduced-motion: reduce)");
export const wide = media("(min-width: 1100px)");
export const phone = media("(max-width: 699px)");

const resolve = (): Theme => (themeChoice.value === "system" ? (systemDark.value ? "dark" : "light") : themeChoice.value);

/** The theme on screen. */
export const theme = new Observable<Theme>(resolve());

function settle(): void {
  theme.value = resolve();
  document.documentElement.dataset.theme = theme.value;
}
themeChoice.watch(settle);
systemDark.watch(settle);
settle();
