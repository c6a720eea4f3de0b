import { lazy, Suspense, useSyncExternalStore, type JSX } from "react";
import { I18nProvider } from "react-aria-components";
import { createRoot } from "react-dom/client";
import { t, useLanguage } from "../i18n";
import type { PageShell } from "../shell";
import "../styles/ride.css";
import { ShellContext } from "../ui/page";

const RiderPage = lazy(async () => ({ default: (await import("./RiderPage")).RiderPage }));
const DriverPage = lazy(async () => ({ default: (await import("./DriverPage")).DriverPage }));
const DispatchPage = lazy(async () => ({ default: (await import("./DispatchPage")).DispatchPage }));

export function mount(element: HTMLElement, shell: PageShell): () => void {
  const root = createRoot(element);
  root.render(<ShellContext value={shell}><Room shell={shell} /></ShellContext>);
  return () => root.unmount();
}

function Room({ shell }: { shell: PageShell }): JSX.Element {
  const path = useSyncExternalStore(shell.changed, () => shell.path);
  const language = useLanguage();
  const [, ...parts] = path.split("/").map(decodeURIComponent);
  const page = parts[0];
  const part = (page === "app" ? parts[2] : parts[1]) ?? "";
  return (
    <I18nProvider locale={language}>
      <Suspense fallback={<p role="status" className="hint">{t("office.loading")}</p>}>
        {page === "app" && <RiderPage part={part} />}
        {page === "driver" && <DriverPage />}
        {page === "ride" && <DispatchPage part={part} />}
      </Suspense>
    </I18nProvider>
  );
}
