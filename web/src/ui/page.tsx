import { createContext, useContext, useEffect, type JSX, type MouseEvent, type ReactNode } from "react";
import type { PageShell } from "../shell";

/** The shell of the page, for whatever is drawn on it. */
export const ShellContext = createContext<PageShell | null>(null);

export function useShell(): PageShell {
  const shell = useContext(ShellContext);
  if (!shell) throw new Error("There is no page around this.");
  return shell;
}

/** A link to another of the room's addresses, without loading the page anew. */
export function To({ path, className = "link", children, label, current }: { path: string; className?: string; children: ReactNode; label?: string; current?: boolean }): JSX.Element {
  const shell = useShell();
  return (
    <a
      className={className} href={path} aria-label={label} aria-current={current ? "page" : undefined}
      onClick={(event: MouseEvent) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey) return;
        event.preventDefault();
        shell.go(path);
      }}
    >
      {children}
    </a>
  );
}

export function useTitle(title: string): void {
  const shell = useShell();
  useEffect(() => shell.title(title), [shell, title]);
}
