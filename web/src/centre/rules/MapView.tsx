import type { FeatureCollection, Position } from "geojson";
import { Minus, Plus } from "lucide";
import { useEffect, useRef, useState, type JSX } from "react";
import { Button } from "react-aria-components";
import { t, text, useLanguage } from "../../i18n";
import { theme as shownTheme } from "../../settings";
import { useValue } from "../../state";
import { Icon } from "../../ui/Icon";
import { useShell } from "../../ui/page";
import { RulesMap, type Source } from "./map";

/** The map beside a list or a text of the same things: who cannot use it misses nothing. */
export function MapView({ label, drawn, fit, tapped, moved }: { label: string; drawn: Partial<Record<Source, FeatureCollection>>; fit: readonly Position[]; tapped?: (at: [number, number]) => void; moved?: (corner: number, at: [number, number]) => void }): JSX.Element {
  const shell = useShell();
  const place = useRef<HTMLDivElement>(null);
  const [map, setMap] = useState<RulesMap>();
  const [failed, setFailed] = useState(false);
  const theme = useValue(shownTheme);
  const language = useLanguage();
  const heard = useRef({ tapped, moved });
  heard.current = { tapped, moved };
  const fitted = useRef("");
  useEffect(() => {
    let made: RulesMap | undefined;
    let gone = false;
    void shell.basemap().catch(() => ({})).then((basemap) => {
      if (gone) return;
      try {
        made = new RulesMap(place.current!, shell.city, basemap, theme, language, t("centre.rules.map", { city: text(shell.city.name), what: label }), { tapped: (at) => heard.current.tapped?.(at), moved: (corner, at) => heard.current.moved?.(corner, at) });
        setMap(made);
      } catch {
        setFailed(true);
      }
    });
    return () => {
      gone = true;
      fitted.current = "";
      made?.destroy();
      setMap(undefined);
    };
  }, [shell, theme, language, label]);
  useEffect(() => {
    if (!map) return;
    for (const source of ["area", "corners", "firings"] as const) map.set(source, drawn[source] ?? { type: "FeatureCollection", features: [] });
  }, [map, drawn]);
  useEffect(() => {
    if (!map || fitted.current || fit.length === 0) return;
    fitted.current = "once";
    map.fit(fit);
  }, [map, fit]);
  return (
    <div className="rules-map" data-drawing={tapped ? "" : undefined}>
      <div ref={place} className="map" />
      {failed && <p className="map-failed" role="status">{t("centre.rules.noMap")}</p>}
      {map && (
        <div className="map-buttons">
          <Button className="icon-button" aria-label={t("map.in")} onPress={() => map.map.zoomIn()}><Icon node={Plus} /></Button>
          <Button className="icon-button" aria-label={t("map.out")} onPress={() => map.map.zoomOut()}><Icon node={Minus} /></Button>
        </div>
      )}
    </div>
  );
}
