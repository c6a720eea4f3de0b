import { useEffect, useRef, type JSX } from "react";
import { t, text, useLanguage } from "../i18n";
import { theme as shownTheme } from "../settings";
import { useValue } from "../state";
import { useShell } from "./data";
import { TraceMap } from "./map";

/** A circle on the city's map. */
export function AreaMap({ area }: { area: { lat: number; lon: number; radius_m: number } }): JSX.Element {
  const shell = useShell();
  const place = useRef<HTMLDivElement>(null);
  const theme = useValue(shownTheme);
  const language = useLanguage();
  const { lat, lon, radius_m } = area;
  useEffect(() => {
    let made: TraceMap | undefined;
    let gone = false;
    void shell.basemap().catch(() => ({})).then((basemap) => {
      if (gone) return;
      made = new TraceMap(place.current!, shell.city, basemap, theme, language, t("trace.map", { city: text(shell.city.name) }), () => undefined);
      made.set("look", { type: "FeatureCollection", features: [{ type: "Feature", geometry: { type: "Point", coordinates: [lon, lat] }, properties: { r: radius_m } }] });
      const [dx, dy] = [radius_m / (111_320 * Math.cos((lat * Math.PI) / 180)), radius_m / 111_320];
      made.fit([[lon - dx, lat - dy], [lon + dx, lat + dy]]);
    });
    return () => {
      gone = true;
      made?.destroy();
    };
  }, [shell, theme, language, lat, lon, radius_m]);
  return <div ref={place} className="area-map" />;
}
