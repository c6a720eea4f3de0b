import { useEffect, useRef, useState, type JSX } from "react";
import { t, useLanguage } from "../i18n";
import type { Model } from "../model";
import { makeShell, type PanelModule } from "../shell";
import type { Panel } from "../types";

/** A panel that a service ships as an ES module, loaded when first shown. A module that fails leaves the rest alone. */
export function ModulePanel({ model, panel, entity }: { model: Model; panel: Panel; entity: string | null }): JSX.Element {
  const place = useRef<HTMLDivElement>(null);
  const [problem, setProblem] = useState("");
  useLanguage();

  useEffect(() => {
    const element = document.createElement("div");
    place.current!.replaceChildren(element);
    const { shell, dispose } = makeShell(model, entity);
    let takeDown: void | (() => void);
    let gone = false;
    setProblem("");
    void (async () => {
      try {
        const module = (await import(/* @vite-ignore */ panel.module!)) as PanelModule;
        if (gone) return;
        takeDown = await module.mount(element, shell);
        if (gone) takeDown?.();
      } catch (error) {
        if (!gone) setProblem(error instanceof Error ? error.message : String(error));
      }
    })();
    return () => {
      gone = true;
      takeDown?.();
      dispose();
    };
  }, [model, panel, entity]);

  return (
    <div className="module" data-panel={panel.id}>
      {problem && <p role="alert" className="problem">{t("panel.failed", { reason: problem })}</p>}
      <div ref={place} />
    </div>
  );
}
