import { Building2, Layers as LayersIcon, Map as MapIcon, Minus, Plus, ScanSearch, Table2 } from "lucide";
import { useEffect, useRef, useState, type JSX } from "react";
import { Button, Tab, TabList, TabPanel, Tabs, ToggleButton, ToggleButtonGroup } from "react-aria-components";
import { nameOf } from "../format";
import { t, text } from "../i18n";
import { CityMap } from "../map/citymap";
import type { Model } from "../model";
import { phone, wide } from "../settings";
import { useValue } from "../state";
import type { Session } from "../types";
import { CityPanels } from "./CityPanels";
import { Details } from "./Details";
import { Icon } from "./Icon";
import { Layers } from "./Layers";
import { Sheet } from "./Sheet";
import { TableView } from "./TableView";
import { TimeBar } from "./TimeBar";
import { TopBar } from "./TopBar";
import { useEntity } from "./useStore";

interface Props {
  model: Model;
  session: Session;
  signedOut: () => void;
}

export function Screen({ model, session, signedOut }: Props): JSX.Element {
  const view = useValue(model.view);
  const selected = useValue(model.selected);
  const isWide = useValue(wide);
  const entity = useEntity(model.store, selected ?? "");
  useEffect(() => {
    const city = text(model.manifest.city.name, "Hanmaru");
    document.title = entity ? `${nameOf(entity.id, entity.values)} · ${city}` : `${city} · ${t("app.centre")}`;
    if (entity) model.announcement.value = t("details.selected", { name: nameOf(entity.id, entity.values) });
  });
  return (
    <div className="screen" data-details={isWide && selected ? "" : undefined}>
      <a className="skip" href="#stage" onClick={(event) => { event.preventDefault(); document.getElementById("stage")?.focus(); }}>{t("app.skip")}</a>
      <TopBar model={model} session={session} signedOut={signedOut} />
      {isWide && (
        <aside className="side left" aria-label={t("panel.label")}>
          <CityPanels model={model} />
          <Layers model={model} />
        </aside>
      )}
      <main id="stage" className="stage" tabIndex={-1}>
        <MapView model={model} hidden={view !== "map"} />
        {view === "table" && <TableView model={model} />}
        <ViewSwitch model={model} />
        <TimeBar model={model} />
      </main>
      {isWide ? (
        selected && <aside className="side right" aria-label={t("details.title")}><Details key={selected} model={model} id={selected} /></aside>
      ) : (
        <Sheet model={model}><PanelTabs model={model} /></Sheet>
      )}
      <Announcer model={model} />
    </div>
  );
}

function ViewSwitch({ model }: { model: Model }): JSX.Element {
  const view = useValue(model.view);
  return (
    <ToggleButtonGroup
      className="segments view-switch" aria-label={t("table.view")} selectionMode="single" disallowEmptySelection selectedKeys={[view]}
      onSelectionChange={(keys) => { const [next] = keys; if (next) model.view.value = next as "map" | "table"; }}
    >
      <ToggleButton id="map" className="segment"><Icon node={MapIcon} size={15} />{t("table.map")}</ToggleButton>
      <ToggleButton id="table" className="segment"><Icon node={Table2} size={15} />{t("table.table")}</ToggleButton>
    </ToggleButtonGroup>
  );
}

function MapView({ model, hidden }: { model: Model; hidden: boolean }): JSX.Element {
  const place = useRef<HTMLDivElement>(null);
  const tip = useRef<HTMLDivElement>(null);
  const [map, setMap] = useState<CityMap>();
  useEffect(() => {
    let made: CityMap | undefined;
    let gone = false;
    // Map labels are drawn on a canvas, which does not wait for a web font by itself.
    const sample = [model.basemap.dongs, model.basemap.roads, model.basemap.green].flatMap((layer) => layer?.features ?? []).map((feature) => Object.values(feature.properties ?? {}).join("")).join("");
    void document.fonts.load("400 24px 'Pretendard Variable'", `0123456789 abc ${sample}`).catch(() => undefined).then(() => {
      if (gone) return;
      made = new CityMap(place.current!, tip.current!, model);
      setMap(made);
    });
    return () => {
      gone = true;
      made?.destroy();
    };
  }, [model]);
  return (
    <div className="map-view" inert={hidden} data-hidden={hidden || undefined}>
      <p id="map-help" className="visually-hidden">{t("map.help")}</p>
      <div ref={place} className="map" />
      <div ref={tip} className="tip" hidden aria-hidden="true" />
      <div className="map-buttons">
        <Button className="icon-button" aria-label={t("map.in")} onPress={() => map?.map.zoomIn()}><Icon node={Plus} /></Button>
        <Button className="icon-button" aria-label={t("map.out")} onPress={() => map?.map.zoomOut()}><Icon node={Minus} /></Button>
        <Button className="icon-button" aria-label={t("map.home")} onPress={() => map?.home()}><Icon node={ScanSearch} /></Button>
      </div>
    </div>
  );
}

/** The one panel of narrow screens, with the wide screen's panels as tabs. */
function PanelTabs({ model }: { model: Model }): JSX.Element {
  const tab = useValue(model.tab);
  const selected = useValue(model.selected);
  const isPhone = useValue(phone);
  return (
    <Tabs
      className="panel-tabs" selectedKey={tab}
      onSelectionChange={(key) => {
        model.tab.value = key as "layers" | "city" | "details";
        if (isPhone && model.sheet.value === "peek") model.sheet.value = "half";
      }}
    >
      <TabList aria-label={t("panel.label")}>
        <Tab id="layers"><Icon node={LayersIcon} size={16} />{t("layers.title")}</Tab>
        <Tab id="city"><Icon node={Building2} size={16} />{t("city.title")}</Tab>
        <Tab id="details"><Icon node={ScanSearch} size={16} />{t("details.title")}</Tab>
      </TabList>
      <TabPanel id="layers"><Layers model={model} /></TabPanel>
      <TabPanel id="city"><CityPanels model={model} /></TabPanel>
      <TabPanel id="details">
        {selected ? <Details key={selected} model={model} id={selected} /> : <p className="hint">{t("details.pick")}</p>}
      </TabPanel>
    </Tabs>
  );
}

function Announcer({ model }: { model: Model }): JSX.Element {
  return <div className="visually-hidden" role="status">{useValue(model.announcement)}</div>;
}
