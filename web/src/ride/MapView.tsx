import { Minus, Plus } from "lucide";
import { useEffect, useRef, useState, type JSX, type ReactNode } from "react";
import { Button } from "react-aria-components";
import { t, text, useLanguage } from "../i18n";
import { theme as shownTheme } from "../settings";
import { useValue } from "../state";
import { Icon } from "../ui/Icon";
import { useShell } from "../ui/page";
import { EMPTY, RideMap, SOURCES, type Drawn, type Heard } from "./map";
import type { LonLat } from "./types";

/**
 * The map of a page. `fit` are the places that it shows; it goes there again only when `fitKey` changes, so that the
 * viewer's own moves are left alone. Where the browser cannot draw maps it says so: everything is in lists, too.
 */
export function MapView({ drawn, fit, fitKey, goTo, heard = {}, children }: {
  drawn: Drawn;
  fit?: readonly LonLat[];
  fitKey?: string;
  /** Where the map is asked to go; a new object asks again. */
  goTo?: { at: LonLat; zoom?: number } | null;
  heard?: Heard;
  children?: ReactNode;
}): JSX.Element {
  const shell = useShell();
  const place = useRef<HTMLDivElement>(null);
  const [map, setMap] = useState<RideMap>();
  const [failed, setFailed] = useState(false);
  const theme = useValue(shownTheme);
  const language = useLanguage();
  const listening = useRef(heard);
  listening.current = heard;
  const last = useRef<{ centre: LonLat; zoom: number } | null>(null);

  useEffect(() => {
    let made: RideMap | undefined;
    let gone = false;
    const font = document.fonts.load("400 24px 'Pretendard Variable'", "0123456789 abc 가나다").catch(() => undefined);
    void Promise.all([shell.basemap().catch(() => ({})), font]).then(([basemap]) => {
      if (gone) return;
      try {
        made = new RideMap(place.current!, shell.city, basemap, theme, language, t("ride.map", { city: text(shell.city.name) }), () => listening.current);
        if (last.current) made.map.jumpTo({ center: [...last.current.centre], zoom: last.current.zoom });
        setMap(made);
      } catch {
        setFailed(true);
      }
    });
    return () => {
      gone = true;
      if (made) {
        const { lng, lat } = made.map.getCenter();
        last.current = { centre: [lng, lat], zoom: made.map.getZoom() };
      }
      made?.destroy();
      setMap(undefined);
    };
  }, [shell, theme, language]);

  const told = useRef(new Map<string, unknown>());
  useEffect(() => told.current.clear(), [map]);
  useEffect(() => {
    for (const source of SOURCES) {
      const data = drawn[source] ?? EMPTY;
      if (!map || told.current.get(source) === data) continue;
      told.current.set(source, data);
      map.set(source, data);
    }
  }, [map, drawn]);
  useEffect(() => {
    if (map && fit?.length && !(last.current && fitKey === undefined)) map.fit(fit);
    // Where to is the caller's; when is the key's.
  }, [map, fitKey]);
  useEffect(() => {
    if (map && goTo) map.goTo(goTo.at, goTo.zoom);
  }, [map, goTo]);

  return (
    <div className="ride-map">
      <div ref={place} className="map" />
      {failed && <p className="map-failed" role="status">{t("ride.noMap")}</p>}
      {map && (
        <div className="map-buttons">
          <Button className="icon-button" aria-label={t("map.in")} onPress={() => map.map.zoomIn()}><Icon node={Plus} /></Button>
          <Button className="icon-button" aria-label={t("map.out")} onPress={() => map.map.zoomOut()}><Icon node={Minus} /></Button>
        </div>
      )}
      {children}
    </div>
  );
}
