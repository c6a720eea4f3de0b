import { useEffect, useRef, useState, type JSX } from "react";
import { t, useLanguage } from "../i18n";
import type { Model } from "../model";
import { makeShell, mounted } from "../shell";
import type { Panel } from "../types";

/** A panel that a service ships as an ES module, loaded when first shown. A module that fails leaves the rest alone. */
export function ModulePanel({ model, panel, entity }: { model: Model; panel: Panel; entity: string | null }): JSX.Element {
  const place = useRef<HTMLDivElement>(null);
  const [problem, setProblem] = useState("");
  useLanguage();

  useEffect(() => {
    const element = document.createElement("div");
    place.current!.replaceChildren(element);
    setProblem("");
    return mounted(element, panel.module!, makeShell(model, entity), setProblem);
  }, [model, panel, entity]);

  return (
    <div className="module" data-panel={panel.id}>
      {problem && <p role="alert" className="problem">{t("panel.failed", { reason: problem })}</p>}
      <div ref={place} />
    </div>
  );
}
