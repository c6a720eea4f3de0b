import { Check, ChevronRight, Copy, LocateFixed, X } from "lucide";
import { useEffect, useState, type JSX } from "react";
import { Button, Disclosure, DisclosurePanel, Heading } from "react-aria-components";
import { api, Problem } from "../api";
import { age, attrLabel, nameOf, observedAt, plain, stepColour, withUnit } from "../format";
import { t, text } from "../i18n";
import { middle } from "../map/citymap";
import { ICONS } from "../map/icons";
import type { Model } from "../model";
import type { Attr, Entity, Panel, Values } from "../types";
import { HistoryCharts } from "./HistoryCharts";
import { Icon } from "./Icon";
import { ModulePanel } from "./ModulePanel";
import { swatch } from "./swatch";
import { useTick } from "./TopBar";
import { useEntity } from "./useStore";

/** Begins the ids of the centre's own events in the hub; what follows is the event's number. */
const EVENT = /^urn:ngsi-ld:Alert:centre-/;

type Normalised = Record<string, unknown>;

/** An entity's details: what its services' panels declare; without any, its layer's attributes now and over time. */
export function Details({ model, id }: { model: Model; id: string }): JSX.Element {
  const live = useEntity(model.store, id);
  const [whole, setWhole] = useState<Normalised>();
  const [gone, setGone] = useState(false);
  useTick(10_000);

  useEffect(() => {
    const abort = new AbortController();
    api.get<Normalised>(`/api/centre/v1/entities/${encodeURIComponent(id)}`, abort.signal).then(setWhole, (problem: unknown) => {
      if (problem instanceof Problem && problem.status === 404) setGone(true);
    });
    return () => abort.abort();
  }, [id]);

  const types = live?.types ?? ([whole?.type].flat().filter(Boolean) as string[]);
  const values: Values = { ...simplified(whole), ...live?.values };
  const entity: Entity = live ?? { id, types, geometry: null, values };
  const layer = model.layerOf(entity);
  const name = nameOf(id, values);
  const when = observedAt(values);
  const declared = model.panelsFor(types);
  const shown = declared.some((panel) => panel.kind !== "module") ? declared : [...fallback(layer?.attrs ?? [], types), ...declared];
  const at = entity.geometry && middle(entity.geometry);

  return (
    <article className="details" aria-label={name}>
      <header>
        <span className="swatch-icon large" style={swatch(layer?.colour)}><Icon node={ICONS[layer?.icon ?? "pin"] ?? ICONS.pin!} size={20} /></span>
        <div>
          <p className="eyebrow">{layer ? text(layer.title) : text(model.manifest.types[types[0] ?? ""], types.join(", "))}</p>
          <h2>{name}</h2>
          {when && <p className="age">{t("details.updated", { age: age(when) })}</p>}
        </div>
        <div className="header-buttons">
          {at && (
            <Button className="icon-button quiet" aria-label={t("details.show")} onPress={() => { model.view.value = "map"; model.goTo.value = { at, zoom: 15 }; }}>
              <Icon node={LocateFixed} />
            </Button>
          )}
          <Button className="icon-button quiet" aria-label={t("details.close")} onPress={() => model.select(null)}><Icon node={X} /></Button>
        </div>
      </header>
      {gone && !live && <p role="alert" className="problem">{t("details.gone")}</p>}
      {EVENT.test(id) && <p className="event-link"><a className="link" href={`/events/${encodeURIComponent(id.replace(EVENT, ""))}`}>{t("centre.events.open")}</a></p>}
      {shown.map((panel) => (
        <div key={panel.id} role="group" className="panel" aria-label={text(panel.title)}>
          <h3>{text(panel.title)}</h3>
          <EntityPanel model={model} panel={panel} entity={{ ...entity, values }} />
        </div>
      ))}
      <AllAttributes id={id} whole={whole} values={values} attrs={layer?.attrs ?? []} />
    </article>
  );
}

function EntityPanel({ model, panel, entity }: { model: Model; panel: Panel; entity: Entity }): JSX.Element {
  switch (panel.kind) {
    case "module":
      return <ModulePanel model={model} panel={panel} entity={entity.id} />;
    case "chart":
      return <HistoryCharts model={model} id={entity.id} attrs={panel.attrs} hours={panel.hours} />;
    default:
      return <NowValues attrs={panel.attrs} values={entity.values} />;
  }
}

function NowValues({ attrs, values }: { attrs: readonly Attr[]; values: Values }): JSX.Element {
  return (
    <dl className="tiles">
      {attrs.filter((attr) => values[attr.name] !== undefined).map((attr) => {
        const value = values[attr.name];
        const colour = stepColour(value, attr);
        const unit = typeof value === "number" ? attr.unit : "";
        return (
          <div key={attr.name} className="tile" data-attr={attr.name} data-coloured={colour ? "" : undefined} data-long={plain(value).length > 14 || undefined} style={swatch(colour)}>
            <dt>{text(attr.label)}</dt>
            <dd><b>{withUnit(value, { ...attr, unit: "" })}</b> {unit}</dd>
          </div>
        );
      })}
    </dl>
  );
}

function AllAttributes({ id, whole, values, attrs }: { id: string; whole: Normalised | undefined; values: Values; attrs: readonly Attr[] }): JSX.Element {
  const [copied, setCopied] = useState(false);
  const names = [...new Set([...Object.keys(whole ?? {}), ...Object.keys(values)])].filter((name) => !["id", "type", "@context"].includes(name));
  return (
    <Disclosure className="disclosure">
      <Heading level={3}><Button slot="trigger"><Icon node={ChevronRight} size={16} />{t("details.all")}</Button></Heading>
      <DisclosurePanel>
        <div className="id-row">
          <code>{id}</code>
          <Button
            className="icon-button quiet" aria-label={t(copied ? "details.copied" : "details.copy")}
            onPress={() => void navigator.clipboard.writeText(id).then(() => setCopied(true))}
          ><Icon node={copied ? Check : Copy} size={15} /></Button>
        </div>
        <dl className="attributes">
          {names.sort().map((name) => (
            <div key={name}>
              <dt title={name}>{attrLabel(name, attrs.find((attr) => attr.name === name))}</dt>
              <dd>{withUnit(values[name], attrs.find((attr) => attr.name === name))}</dd>
            </div>
          ))}
        </dl>
      </DisclosurePanel>
    </Disclosure>
  );
}

/** Panels for entities of which no service declares any. */
function fallback(attrs: Attr[], types: readonly string[]): Panel[] {
  const title = (key: string): Panel["title"] => ({ en: t(key) });
  const base = { service: "", place: "entity" as const, types: [...types], hours: 24, module: null };
  if (!attrs.length) return [];
  return [
    { ...base, id: "now", kind: "values", title: title("details.now"), attrs },
    { ...base, id: "history", kind: "chart", title: title("details.history"), attrs: attrs.filter((attr) => attr.unit || attr.steps.length || attr.decimals !== null) },
  ];
}

/** A normalised entity as key-values. */
export function simplified(whole: Normalised | undefined): Values {
  const values: Values = {};
  for (const [name, attribute] of Object.entries(whole ?? {})) {
    if (["id", "type", "@context"].includes(name)) continue;
    const first = (Array.isArray(attribute) ? attribute[0] : attribute) as unknown;
    if (typeof first !== "object" || first === null) values[name] = first;
    else {
      const member = ["value", "object", "languageMap", "vocab", "json", "valueList", "objectList"].find((candidate) => candidate in first);
      const value = member && (first as Record<string, unknown>)[member];
      if (member) values[name] = typeof value === "object" && value !== null && "@value" in value ? value["@value"] : value;
    }
  }
  return values;
}
