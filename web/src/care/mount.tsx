import { lazy, Suspense, useSyncExternalStore, type JSX } from "react";
import { I18nProvider } from "react-aria-components";
import { createRoot } from "react-dom/client";
import { t, useLanguage } from "../i18n";
import type { PageShell } from "../shell";
import { ShellContext } from "../ui/page";

const Kiosk = lazy(async () => ({ default: (await import("./kiosk/Kiosk")).Kiosk }));
const HealthPage = lazy(async () => ({ default: (await import("./citizen/HealthPage")).HealthPage }));
const DeskPage = lazy(async () => ({ default: (await import("./desk/DeskPage")).DeskPage }));
const ManagePage = lazy(async () => ({ default: (await import("./desk/ManagePage")).ManagePage }));

export function mount(element: HTMLElement, shell: PageShell): () => void {
  const root = createRoot(element);
  root.render(<ShellContext value={shell}><Room shell={shell} /></ShellContext>);
  return () => root.unmount();
}

function Room({ shell }: { shell: PageShell }): JSX.Element {
  const path = useSyncExternalStore(shell.changed, () => shell.path);
  const language = useLanguage();
  const [, page, part = "", tab = "", id = ""] = path.split("/").map(decodeURIComponent);
  return (
    <I18nProvider locale={language}>
      <Suspense fallback={<p role="status" className="hint">{t("office.loading")}</p>}>
        {page === "kiosk" && <Kiosk />}
        {page === "care" && (part === "manage" ? <ManagePage /> : <DeskPage part={part} id={tab} />)}
        {page === "app" && part === "health" && <HealthPage part={tab} id={id} />}
      </Suspense>
    </I18nProvider>
  );
}
