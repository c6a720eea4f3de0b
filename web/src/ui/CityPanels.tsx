import type { JSX } from "react";
import { Button } from "react-aria-components";
import { age, nameOf, number, observedAt, stepColour, withUnit } from "../format";
import { t, text } from "../i18n";
import type { Model } from "../model";
import type { Attr, Entity, Panel } from "../types";
import { ModulePanel } from "./ModulePanel";
import { swatch } from "./swatch";
import { useStoreChanges } from "./useStore";

const NEWEST = 4;

/** The panels about the whole city: values are means over the entities of the panel's types. */
export function CityPanels({ model }: { model: Model }): JSX.Element {
  useStoreChanges(model.store, 1000);
  return (
    <section className="city-panels" aria-label={t("city.title")}>
      <div className="section-head"><h2>{t("city.title")}</h2></div>
      {model.manifest.panels.filter((panel) => panel.place === "city").map((panel) => (
        <div key={panel.id} role="group" className="city-panel" aria-label={text(panel.title)}>
          <h3>{text(panel.title)}</h3>
          <CityPanel model={model} panel={panel} />
        </div>
      ))}
    </section>
  );
}

function CityPanel({ model, panel }: { model: Model; panel: Panel }): JSX.Element {
  if (panel.kind === "module") return <ModulePanel model={model} panel={panel} entity={null} />;
  if (panel.kind === "table") {
    return <Newest model={model} panel={panel} />;
  }
  return (
    <dl className="tiles">
      {panel.attrs.map((attr) => <Tile key={attr.name} attr={attr} {...mean(model, panel.types, attr.name)} />)}
    </dl>
  );
}

/** The newest entities of a table panel, and the way to all of them. */
function Newest({ model, panel }: { model: Model; panel: Panel }): JSX.Element {
  const layer = model.manifest.layers.find((candidate) => panel.types.includes(candidate.type));
  const entities: { entity: Entity; when: string }[] = [];
  for (const type of panel.types) {
    for (const id of model.store.ofType(type)) {
      const entity = model.store.entities.get(id)!;
      entities.push({ entity, when: observedAt(entity.values) ?? "" });
    }
  }
  entities.sort((a, b) => b.when.localeCompare(a.when));
  return (
    <>
      {entities.length === 0 && <p className="none">{t("city.nothing")}</p>}
      <ul className="newest">
        {entities.slice(0, NEWEST).map(({ entity, when }) => (
          <li key={entity.id}>
            <Button className="link" onPress={() => model.select(entity.id)}>{nameOf(entity.id, entity.values)}</Button>
            <span>{when && age(when)}</span>
          </li>
        ))}
      </ul>
      {layer && entities.length > NEWEST && (
        <Button className="link small" onPress={() => model.openTable(layer.id)}>{t("city.all", { count: number(entities.length) })}</Button>
      )}
    </>
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
