import type { JSX } from "react";
import { Button } from "react-aria-components";
import { age, nameOf, number, observedAt, stepColour, withUnit } from "../format";
import { t, text } from "../i18n";
import type { Model } from "../model";
import type { Attr, Panel } from "../types";
import { ModulePanel } from "./ModulePanel";
import { swatch } from "./swatch";
import { useValue } from "../state";

const NEWEST = 4;

/** The panels about the whole city: values are means over the entities of the panel's types. */
export function CityPanels({ model }: { model: Model }): JSX.Element {
  useValue(model.store.city);
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
  const { newest, counts } = model.store.city.value;
  const count = panel.types.reduce((sum, type) => sum + (counts[type] ?? 0), 0);
  const entities = panel.types.flatMap((type) => newest[type] ?? []).map(([id, values]) => ({ id, values, when: observedAt(values) ?? "" }));
  entities.sort((a, b) => b.when.localeCompare(a.when));
  return (
    <>
      {entities.length === 0 && <p className="none">{t("city.nothing")}</p>}
      <ul className="newest">
        {entities.slice(0, NEWEST).map(({ id, values, when }) => (
          <li key={id}>
            <Button className="link" onPress={() => model.select(id)}>{nameOf(id, values)}</Button>
            <span>{when && age(when)}</span>
          </li>
        ))}
      </ul>
      {layer && count > NEWEST && (
        <Button className="link small" onPress={() => model.openTable(layer.id)}>{t("city.all", { count: number(count) })}</Button>
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
    const [one, of] = model.store.city.value.means[type]?.[name] ?? [0, 0];
    sum += one * of;
    count += of;
  }
  return { value: count ? sum / count : undefined, count };
}
