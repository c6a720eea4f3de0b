import { CircleCheck, Search, TriangleAlert } from "lucide";
import { useMemo, useState, type JSX, type KeyboardEvent } from "react";
import { Button, Input, Label, Tab, TabList, TabPanel, Tabs, TextField } from "react-aria-components";
import { clock, number } from "../format";
import { t } from "../i18n";
import { useLoaded } from "../office/data";
import { theme as shownTheme } from "../settings";
import { useValue } from "../state";
import { Icon } from "../ui/Icon";
import { useShell, useTitle } from "../ui/page";
import { swatch } from "../ui/swatch";
import { ROOT } from "./data";
import { FiguresTab } from "./FiguresTab";
import { lateness, useFleet, type LiveFleet } from "./fleet";
import { LogTab } from "./LogTab";
import { collection, EMPTY, line, lookColour, LOOKS, point, type Drawn, type Look } from "./map";
import { MapView } from "./MapView";
import { Override } from "./Override";
import { LineState, State } from "./parts";
import { TripsTab } from "./TripsTab";
import type { Figures, LonLat, Risk, ServiceInfo, Van } from "./types";
import { VanPanel } from "./VanPanel";
import { at, lasting, told, why, word } from "./words";

const TABS = ["vans", "trips", "log", "figures"] as const;
/** As many rows as are of use before one searches. */
const MOST_ROWS = 150;

/** The dispatcher's desk: what is at risk first, then the fleet. */
export function DispatchPage({ part }: { part: string }): JSX.Element {
  const shell = useShell();
  const fleet = useFleet();
  const { data: service } = useLoaded<ServiceInfo>(`${ROOT}/service`);
  const [selected, setSelected] = useState<string | null>(null);
  const [goTo, setGoTo] = useState<{ at: LonLat; zoom?: number } | null>(null);
  const tab = TABS.find((one) => one === part) ?? "vans";
  useTitle(t("ride.dispatch"));
  const van = selected ? fleet.vans.get(selected) : undefined;
  function select(id: string | null): void {
    setSelected(id);
    const found = id ? fleet.vans.get(id) : undefined;
    if (found) setGoTo({ at: [found.lon, found.lat] });
  }
  const drawn = useDrawn(fleet, service, selected);
  const fit = useMemo(() => (service?.zone?.coordinates[0] ?? []).map(([lon = 0, lat = 0]): LonLat => [lon, lat]), [service]);

  return (
    <div className="dispatch">
      <div className="dispatch-side">
        <h1 className="visually-hidden">{t("ride.dispatch")}</h1>
        <LineState line={fleet.line} lostAt={fleet.lostAt} />
        <Risks fleet={fleet} select={select} />
        {van && <VanPanel key={van.id} van={van} stops={fleet.stops} risks={fleet.risks} close={() => setSelected(null)} />}
        <Tabs className="case-tabs dispatch-tabs" selectedKey={tab} onSelectionChange={(key) => shell.go(key === "vans" ? "/ride" : `/ride/${String(key)}`)}>
          <TabList aria-label={t("ride.parts")}>{TABS.map((one) => <Tab key={one} id={one}>{word("tab", one)}{one === "vans" && fleet.known ? <small>{number(fleet.vans.size)}</small> : null}</Tab>)}</TabList>
          <TabPanel id="vans"><Vans fleet={fleet} selected={selected} select={select} /></TabPanel>
          <TabPanel id="trips"><TripsTab fleet={fleet} select={select} /></TabPanel>
          <TabPanel id="log"><LogTab fleet={fleet} /></TabPanel>
          <TabPanel id="figures"><FiguresTab fleet={fleet} /></TabPanel>
        </Tabs>
      </div>
      <section className="dispatch-map" aria-label={t("ride.fleetMap")}>
        <Now figures={fleet.figures} vans={fleet.vans.size} />
        <MapView drawn={drawn} fit={fit} fitKey={service ? "known" : "unknown"} goTo={goTo} heard={{ picked: (source, id) => { if (source === "vans") setSelected(id); } }}>
          <Legend />
        </MapView>
      </section>
    </div>
  );
}

function Legend(): JSX.Element {
  const theme = useValue(shownTheme);
  return <ul className="look-legend" aria-label={t("ride.legend")}>{LOOKS.map((look) => <li key={look}><span className="dot" style={swatch(lookColour(theme, look))} aria-hidden="true" />{word("look", look)}</li>)}</ul>;
}

/** The service now, as a row of figures. */
function Now({ figures, vans }: { figures: Figures | null; vans: number }): JSX.Element {
  const tile = (name: string, value: string): JSX.Element => <div className="tile"><dt>{t(`ride.figure.${name}`)}</dt><dd><b>{value}</b></dd></div>;
  const time = (seconds: number | null | undefined): string => (seconds === null || seconds === undefined ? "–" : lasting(seconds));
  return (
    <dl className="tiles now-tiles">
      {tile("vans", number(vans))}
      {tile("waiting", figures ? number(figures.waiting) : "–")}
      {tile("aboard", figures ? number(figures.aboard) : "–")}
      {tile("served", figures ? number(figures.served) : "–")}
      {tile("refused", figures ? number(figures.refused) : "–")}
      {tile("mean_wait_s", time(figures?.mean_wait_s))}
      {tile("p95_wait_s", time(figures?.p95_wait_s))}
      {tile("riders_per_van_hour", typeof figures?.riders_per_van_hour === "number" ? number(figures.riders_per_van_hour, 1) : "–")}
    </dl>
  );
}

const MOST_RISKS = 30;
/** Seconds after its promise that a ride is expected now; what it was when the risk was seen, where nothing is expected. */
const behind = ({ promise, expected, late_s }: Risk): number => (expected ? (Date.parse(expected) - Date.parse(promise)) / 1000 : late_s);

/** Promises that will not be kept as things stand: why, how late, and what can be done. */
function Risks({ fleet, select }: { fleet: LiveFleet; select: (van: string) => void }): JSX.Element {
  const shell = useShell();
  const acts = shell.may("ride.dispatch");
  const choices = useMemo(() => vanChoices(fleet.vans), [fleet.vans]);
  const plate = (risk: Risk): string => risk.plate ?? "–";
  return (
    <section className="risks" aria-labelledby="risks-head">
      <h2 id="risks-head">{t("ride.atRisk")} <span className="count" role="status">{number(fleet.risks.length)}</span></h2>
      {fleet.known && fleet.risks.length === 0 && <p className="all-kept"><Icon node={CircleCheck} size={17} />{t("ride.allKept")}</p>}
      <ul>
        {[...fleet.risks].sort((a, b) => behind(b) - behind(a)).slice(0, MOST_RISKS).map((risk) => (
          <li key={risk.request} className="risk">
            <Icon node={TriangleAlert} size={18} />
            <div>
              <p><b>{t("ride.lateBy", { time: lasting(behind(risk)) })}</b> · {word("what", risk.what)} {t("ride.promised", { time: at(risk.promise) })}{risk.expected && `, ${t("ride.expected", { time: clock(risk.expected) })}`}</p>
              <p className="risk-why">{why(risk.why)} · {plate(risk)} · <code>{risk.request.slice(-8)}</code></p>
            </div>
            <div className="row-buttons">
              {risk.van && <Button className="button small" aria-label={t("ride.showVan", { plate: plate(risk) })} onPress={() => select(risk.van!)}>{t("ride.show")}</Button>}
              {acts && <Override kind="assign" about={risk.request.slice(-8)} request={risk.request} vans={choices.filter(([id]) => id !== risk.van)} />}
              {acts && <Override kind="cancel" about={risk.request.slice(-8)} request={risk.request} />}
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** The vans that could take a ride, the emptiest first. */
export function vanChoices(vans: ReadonlyMap<string, Van>): (readonly [string, string])[] {
  return [...vans.values()].filter(({ status }) => !["off", "broken", "out-of-service"].includes(status)).sort((a, b) => a.plan.length - b.plan.length || a.plate.localeCompare(b.plate))
    .map((van) => [van.id, t("ride.vanChoice", { plate: van.plate, aboard: number(van.aboard), seats: number(van.seats), stops: number(van.plan.length) })] as const);
}

/** Moves the focus among a table's rows by arrow keys, Home and End. */
export function rowKeys(event: KeyboardEvent<HTMLElement>): void {
  const rows = [...event.currentTarget.querySelectorAll<HTMLElement>("[data-row]")];
  const here = rows.indexOf(document.activeElement as HTMLElement);
  const next = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: rows.length - 1 }[event.key];
  if (here < 0 || next === undefined) return;
  event.preventDefault();
  rows[Math.min(rows.length - 1, Math.max(0, next))]?.focus();
}

function Vans({ fleet, selected, select }: { fleet: LiveFleet; selected: string | null; select: (id: string) => void }): JSX.Element {
  const [query, setQuery] = useState("");
  const at_risk = useMemo(() => new Set(fleet.risks.map(({ van }) => van)), [fleet.risks]);
  const wish = query.trim().toLowerCase();
  const found = [...fleet.vans.values()]
    .filter((van) => !wish || [van.plate, van.driver ?? "", word("status", van.status), van.id].some((text) => text.toLowerCase().includes(wish)))
    .sort((a, b) => Number(at_risk.has(b.id)) - Number(at_risk.has(a.id)) || a.plate.localeCompare(b.plate));
  if (!fleet.known) return <p role="status" className="hint">{t("office.loading")}</p>;
  return (
    <>
      <Find label={t("ride.findVan")} value={query} onChange={setQuery} />
      {found.length === 0 ? <p className="hint">{t("ride.noVans")}</p> : (
        <div className="table-scroll" role="group" aria-label={t("ride.tab.vans")}>
          <table className="fleet-table">
            <thead><tr><th scope="col">{t("ride.van")}</th><th scope="col">{t("ride.statusLabel")}</th><th scope="col">{t("ride.occupancy")}</th><th scope="col">{t("ride.nextStop")}</th><th scope="col" data-number="">{t("ride.delay")}</th></tr></thead>
            <tbody onKeyDown={rowKeys}>
              {found.slice(0, MOST_ROWS).map((van) => {
                const next = van.plan.find(({ stop }) => stop);
                const late = lateness(van);
                return (
                  <tr key={van.id} data-selected={van.id === selected || undefined} data-risk={at_risk.has(van.id) || undefined}>
                    <th scope="row"><button type="button" className="link" data-row="" aria-pressed={van.id === selected} onClick={() => select(van.id)}>{van.plate}</button></th>
                    <td><State of="status" state={van.status} /></td>
                    <td><Load van={van} /></td>
                    <td>{next ? <>{clock(next.at)} {told(next.stop?.name)}</> : "–"}</td>
                    <td data-number="" className={late > 60 ? "late" : undefined}>{late > 60 ? lasting(late) : "–"}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
      {found.length > MOST_ROWS && <p className="hint">{t("ride.moreRows", { count: number(found.length - MOST_ROWS) })}</p>}
    </>
  );
}

export function Find({ label, value, onChange }: { label: string; value: string; onChange: (value: string) => void }): JSX.Element {
  return (
    <TextField className="find" value={value} onChange={onChange} type="search">
      <Label className="visually-hidden">{label}</Label><Icon node={Search} size={16} /><Input placeholder={label} autoComplete="off" />
    </TextField>
  );
}

/** How full a van is, as a bar with its numbers. */
export function Load({ van }: { van: Van }): JSX.Element {
  const share = van.seats ? Math.min(1, van.aboard / van.seats) : 0;
  return (
    <span className="load">
      <svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true"><rect width="100" height="8" rx="2" className="rail" /><rect width={100 * share} height="8" rx="2" className="fill" /></svg>
      {t("ride.ofSeats", { aboard: number(van.aboard), seats: number(van.seats) })}
    </span>
  );
}

function look(van: Van, risky: ReadonlySet<string | null>): Look {
  if (["off", "broken", "out-of-service"].includes(van.status)) return "off";
  return risky.has(van.id) ? "risk" : van.aboard > 0 || van.plan.some(({ stop }) => stop) ? "busy" : "free";
}

function useDrawn(fleet: LiveFleet, service: ServiceInfo | undefined, selected: string | null): Drawn {
  const theme = useValue(shownTheme);
  const zone = useMemo(() => (service?.zone ? collection([{ type: "Feature", geometry: service.zone, properties: {} }]) : EMPTY), [service]);
  return useMemo(() => {
    const risky = new Set(fleet.risks.map(({ van }) => van));
    const vans = [...fleet.vans.values()];
    const chosen = selected ? fleet.vans.get(selected) : undefined;
    return {
      zone,
      paths: collection(vans.flatMap((van) => (van.path && van.path.length > 1 ? [line(van.path, { c: lookColour(theme, look(van, risky)), on: !chosen || van === chosen })] : []))),
      ends: chosen ? collection(chosen.plan.flatMap(({ stop, kind }, index) => (stop ? [point(stop.lon, stop.lat, { k: index === 0 ? "next" : kind, name: told(stop.name) })] : []))) : EMPTY,
      vans: collection(vans.map((van) => point(van.lon, van.lat, { id: van.id, look: look(van, risky), on: van.id === selected, bearing: van.bearing ?? 0, name: `${van.plate.slice(-4)} ${van.aboard}/${van.seats}` }))),
    };
  }, [fleet.vans, fleet.risks, zone, selected, theme]);
}

