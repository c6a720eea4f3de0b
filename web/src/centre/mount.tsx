import { lazy, Suspense, useSyncExternalStore, type JSX } from "react";
import { I18nProvider } from "react-aria-components";
import { createRoot } from "react-dom/client";
import { t, useLanguage } from "../i18n";
import type { PageShell } from "../shell";
import { ShellContext } from "../ui/page";

const PAGES = {
  events: lazy(async () => ({ default: (await import("./events/Page")).Page })),
  cctv: lazy(async () => ({ default: (await import("./cctv/Page")).Page })),
  board: lazy(async () => ({ default: (await import("./board/Page")).Page })),
  rules: lazy(async () => ({ default: (await import("./rules/Page")).Page })),
  report: lazy(async () => ({ default: (await import("./report/Page")).Page })),
};

export function mount(element: HTMLElement, shell: PageShell): () => void {
  const root = createRoot(element);
  root.render(<ShellContext value={shell}><Room shell={shell} /></ShellContext>);
  return () => root.unmount();
}

function Room({ shell }: { shell: PageShell }): JSX.Element {
  const path = useSyncExternalStore(shell.changed, () => shell.path);
  const language = useLanguage();
  const [, page, part = ""] = path.split("/").map(decodeURIComponent);
  const Page = PAGES[page as keyof typeof PAGES];
  return (
    <I18nProvider locale={language}>
      <Suspense fallback={<p role="status" className="hint">{t("office.loading")}</p>}><Page part={part} /></Suspense>
    </I18nProvider>
  );
}
