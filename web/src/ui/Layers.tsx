import { Table2 } from "lucide";
import type { JSX } from "react";
import { Button, Switch } from "react-aria-components";
import { number } from "../format";
import { t, text } from "../i18n";
import { ICONS } from "../map/icons";
import type { Model } from "../model";
import { useValue } from "../state";
import type { Layer } from "../types";
import { Icon } from "./Icon";
import { Narrow } from "./Narrow";
import { swatch } from "./swatch";

/** Which layers the map shows, how many entities each has, and what their colours mean. */
export function Layers({ model }: { model: Model }): JSX.Element {
  const visible = useValue(model.visible);
  const { layers, services } = model.manifest;
  const all = layers.every((layer) => visible.has(layer.id));
  return (
    <section className="layers" aria-label={t("layers.title")}>
      <div className="section-head">
        <h2>{t("layers.title")}</h2>
        <Button className="link" onPress={() => (model.visible.value = new Set(all ? [] : layers.map((layer) => layer.id)))}>
          {t(all ? "layers.noneShown" : "layers.all")}
        </Button>
      </div>
      <Narrow model={model} />
      {services.map((service) => {
        const own = layers.filter((layer) => layer.service === service.name).reverse(); // topmost first
        if (!own.length) return null;
        return (
          <ul key={service.name} aria-label={text(service.title)}>
            {own.map((layer) => <LayerRow key={layer.id} model={model} layer={layer} on={visible.has(layer.id)} />)}
          </ul>
        );
      })}
    </section>
  );
}

function LayerRow({ model, layer, on }: { model: Model; layer: Layer; on: boolean }): JSX.Element {
  const count = useValue(model.store.city).counts[layer.type] ?? 0;
  const title = text(layer.title);
  const attr = layer.attrs.find((candidate) => candidate.name === layer.colourBy);
  return (
    <li className="layer" data-empty={count === 0 || undefined}>
      <Switch className="layer-switch" isSelected={on} onChange={(next) => model.setVisible(layer.id, next)}>
        <span className="swatch-icon" style={swatch(layer.colour)}><Icon node={ICONS[layer.icon] ?? ICONS.pin!} size={14} /></span>
        <span className="layer-title">{title}</span>
        <span className="layer-count" aria-label={t("layers.count", { count: number(count) })}>{number(count)}</span>
        <span className="switch" aria-hidden="true" />
      </Switch>
      <Button className="icon-button quiet" aria-label={t("layers.table", { name: title })} onPress={() => model.openTable(layer.id)}>
        <Icon node={Table2} size={15} />
      </Button>
      {on && count > 0 && attr && attr.steps.length > 1 && (
        <div className="legend" role="img" aria-label={`${t("layers.legend", { name: title, attr: text(attr.label) })} ${attr.steps.map(([from]) => `${number(from)} ${attr.unit}`).join(", ")}`}>
          {attr.steps.map(([from, colour]) => (
            <span key={from} style={swatch(colour)}>{number(from)}</span>
          ))}
          <i>{attr.unit || text(attr.label)}</i>
        </div>
      )}
    </li>
  );
}
