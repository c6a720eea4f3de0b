import { lazy, Suspense, useSyncExternalStore, type JSX } from "react";
import { I18nProvider } from "react-aria-components";
import { createRoot } from "react-dom/client";
import { t, useLanguage } from "../i18n";
import type { PageShell } from "../shell";
import "../styles/trace.css";
import { Board } from "./Board";
import { LISTS, ShellContext } from "./data";
import { NewCase } from "./NewCase";
import { ForPurpose } from "./parts";
import { Requests } from "./Requests";

// These have the map or the graph with them.
const CasePage = lazy(async () => ({ default: (await import("./CasePage")).CasePage }));
const Chain = lazy(async () => ({ default: (await import("./ChainPage")).ChainPage }));
const CityHotspots = lazy(async () => ({ default: (await import("./HotspotsPage")).HotspotsPage }));

export function mount(element: HTMLElement, shell: PageShell): () => void {
  const root = createRoot(element);
  root.render(<ShellContext value={shell}><Room shell={shell} /></ShellContext>);
  return () => root.unmount();
}

function Room({ shell }: { shell: PageShell }): JSX.Element {
  const path = useSyncExternalStore(shell.changed, () => shell.path);
  const language = useLanguage();
  return (
    <I18nProvider locale={language}>
      <Suspense fallback={<p role="status" className="hint">{t("office.loading")}</p>}>
        <div className="trace"><Route path={path} /></div>
      </Suspense>
    </I18nProvider>
  );
}

function Route({ path }: { path: string }): JSX.Element {
  const [, , part, id = "", tab = ""] = path.split("/").map(decodeURIComponent);
  if (!part) return <ForPurpose scope={LISTS}><Board /></ForPurpose>;
  if (part === "requests") return <Requests id={id} />;
  if (part === "chain") return <ForPurpose scope={LISTS}><Chain /></ForPurpose>;
  if (part === "hotspots") return <ForPurpose scope={LISTS}><CityHotspots /></ForPurpose>;
  if (part === "cases" && id === "new") return <ForPurpose scope={LISTS}><NewCase /></ForPurpose>;
  if (part === "cases" && id) return <CasePage key={id} id={id} tab={tab} />;
  return <p className="notice">{t("office.nowhere")}</p>;
}
