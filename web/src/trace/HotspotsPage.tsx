import { useEffect, useRef, useState, type JSX } from "react";
import { exact } from "../format";
import { t, text, useLanguage } from "../i18n";
import { Choice } from "../office/parts";
import { theme as shownTheme } from "../settings";
import { useValue } from "../state";
import { LISTS, useAsked, useShell } from "./data";
import { HotspotList } from "./HotspotList";
import { hotspotFeatures, TraceMap } from "./map";
import { Answer, Purpose, useTitle } from "./parts";
import type { Hotspot } from "./types";

const DAY_MS = 86_400_000;

/** Hotspots across the open cases: on the map and as a list. */
export function HotspotsPage(): JSX.Element {
  const shell = useShell();
  const [back, setBack] = useState("14");
  const [since, setSince] = useState(() => sinceOf(14));
  const asked = useAsked<{ hotspots: Hotspot[] } | Hotspot[]>(LISTS, `/hotspots?since=${encodeURIComponent(since)}`);
  const place = useRef<HTMLDivElement>(null);
  const [map, setMap] = useState<TraceMap>();
  const theme = useValue(shownTheme);
  const language = useLanguage();
  useTitle(t("trace.hotspots"));
  const hotspots = Array.isArray(asked.data) ? asked.data : asked.data?.hotspots;
  useEffect(() => {
    let made: TraceMap | undefined;
    let gone = false;
    void shell.basemap().catch(() => ({})).then((basemap) => {
      if (gone) return;
      made = new TraceMap(place.current!, shell.city, basemap, theme, language, t("trace.map", { city: text(shell.city.name) }), () => undefined);
      setMap(made);
    });
    return () => {
      gone = true;
      made?.destroy();
      setMap(undefined);
    };
  }, [shell, theme, language]);
  useEffect(() => {
    if (!map || !hotspots) return;
    map.set("hotspots", hotspotFeatures(hotspots));
    map.fit(hotspots.map(({ lon, lat }) => [lon, lat] as const));
  }, [map, hotspots]);
  return (
    <div className="hotspots-page">
      <div className="hotspots-side">
        <header className="page-head"><div><h1>{t("trace.hotspots")}</h1><p className="help">{t("trace.hotspots.help")}</p><Purpose scope={LISTS} /></div></header>
        <div className="side-tools">
          <Choice name="since" label={t("trace.since.days")} value={back} onChange={(value) => { setBack(value); setSince(sinceOf(Number(value))); }} options={["7", "14", "28"].map((count) => [count, t("trace.lastDays", { count })] as const)} />
        </div>
        {!hotspots ? <Answer asked={asked} /> : (
          <HotspotList hotspots={hotspots} look={(spot) => {
            map?.set("look", { type: "FeatureCollection", features: [{ type: "Feature", geometry: { type: "Point", coordinates: [spot.lon, spot.lat] }, properties: { r: Math.max(40, spot.radius_m) } }] });
            map?.map.easeTo({ center: [spot.lon, spot.lat], zoom: 14.5 });
          }} />
        )}
      </div>
      <div className="hotspots-map"><div ref={place} className="map" /></div>
    </div>
  );
}

/** The beginning of a day some days ago. */
function sinceOf(days: number): string {
  return `${exact(Date.now() - days * DAY_MS).slice(0, 10)}T00:00:00Z`;
}
