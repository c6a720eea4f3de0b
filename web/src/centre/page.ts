import type { PageShell } from "../shell";

/** Draws the room's pages; what they need is loaded with them, beside this file of a lasting name. */
export async function mount(element: HTMLElement, shell: PageShell): Promise<() => void> {
  return (await import("./mount")).mount(element, shell);
}
