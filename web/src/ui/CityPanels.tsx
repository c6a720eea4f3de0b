import type { JSX } from "react";
import { Button } from "react-aria-components";
import { number, stepColour, withUnit } from "../format";
import { t, text } from "../i18n";
import type { Model } from "../model";
import type { Attr, Panel } from "../types";
import { ModulePanel } from "./ModulePanel";
import { swatch } from "./swatch";
import { useStoreChanges } from "./useStore";

/** The panels about the whole city: values are means over the entities of the panel's types. */
export function CityPanels({ model }: { model: Model }): JSX.Element {
  useStoreChanges(model.store, 1000);
  return (
    <section className="city-panels" aria-label={t("city.title")}>
      <div className="section-head"><h2>{t("city.title")}</h2></div>
      {model.manifest.panels.filter((panel) => panel.place === "city").map((panel) => (
        <section key={panel.id} className="city-panel" aria-label={text(panel.title)}>
          <h3>{text(panel.title)}</h3>
          <CityPanel model={model} panel={panel} />
        </section>
      ))}
    </section>
  );
}

function CityPanel({ model, panel }: { model: Model; panel: Panel }): JSX.Element {
  if (panel.kind === "module") return <ModulePanel model={model} panel={panel} entity={null} />;
  if (panel.kind === "table") {
    const layer = model.manifest.layers.find((candidate) => panel.types.includes(candidate.type));
    return layer ? <Button className="button" onPress={() => model.openTable(layer.id)}>{t("layers.table", { name: text(layer.title) })}</Button> : <></>;
  }
  return (
    <dl className="tiles">
      {panel.attrs.map((attr) => <Tile key={attr.name} attr={attr} {...mean(model, panel.types, attr.name)} />)}
    </dl>
  );
}

function Tile({ attr, value, count }: { attr: Attr; value: number | undefined; count: number }): JSX.Element {
  const colour = stepColour(value, attr);
  return (
    <div className="tile" data-coloured={colour ? "" : undefined} style={swatch(colour)} title={count ? t("city.mean", { count: number(count) }) : t("city.none")}>
      <dt>{text(attr.label)}</dt>
      <dd>{value === undefined ? t("value.none") : <><b>{withUnit(value, { ...attr, unit: "" })}</b> <span>{attr.unit}</span></>}</dd>
    </div>
  );
}

function mean(model: Model, types: readonly string[], name: string): { value: number | undefined; count: number } {
  let sum = 0;
  let count = 0;
  for (const type of types) {
    for (const id of model.store.ofType(type)) {
      const value = model.store.entities.get(id)?.values[name];
      if (typeof value !== "number" || !Number.isFinite(value)) continue;
      sum += value;
      count += 1;
    }
  }
  return { value: count ? sum / count : undefined, count };
}
