import { Crosshair, Minus, Plus } from "lucide";
import { useEffect, useRef, useState, type JSX } from "react";
import { Button } from "react-aria-components";
import { t, useLanguage } from "../../i18n";
import { theme as shownTheme } from "../../settings";
import { useValue } from "../../state";
import { Icon } from "../../ui/Icon";
import { useShell } from "../../ui/page";
import { CameraMap, type At } from "./map";
import type { Camera } from "./types";

/** The map of cameras. `goTo` is where it is asked to go; a new array asks again. */
export function CameraMapView({ cameras, chosen, mark, goTo, pick, ask }: {
  cameras: readonly Camera[];
  chosen: string;
  mark: At | null;
  goTo: At | null;
  pick: (id: string) => void;
  ask: (at: At) => void;
}): JSX.Element {
  const shell = useShell();
  const place = useRef<HTMLDivElement>(null);
  const [map, setMap] = useState<CameraMap>();
  const [failed, setFailed] = useState(false);
  const theme = useValue(shownTheme);
  const language = useLanguage();
  const heard = useRef({ pick, ask });
  heard.current = { pick, ask };
  const fitted = useRef(false);

  useEffect(() => {
    let made: CameraMap | undefined;
    let gone = false;
    const font = document.fonts.load("400 24px 'Pretendard Variable'", "0123456789 abc 가나다").catch(() => undefined);
    void Promise.all([shell.basemap().catch(() => ({})), font]).then(([basemap]) => {
      if (gone) return;
      try {
        made = new CameraMap(place.current!, shell.city, basemap, theme, language, t("centre.cctv.map"), { picked: (id) => heard.current.pick(id), tapped: (at) => heard.current.ask(at) });
        setMap(made);
      } catch {
        setFailed(true);
      }
    });
    return () => {
      gone = true;
      made?.destroy();
      setMap(undefined);
      fitted.current = false;
    };
  }, [shell, theme, language]);

  useEffect(() => map?.draw(cameras, chosen, mark), [map, cameras, chosen, mark]);
  useEffect(() => {
    if (!map || fitted.current || cameras.length === 0) return;
    fitted.current = true;
    if (!goTo) map.fit(cameras);
  }, [map, cameras, goTo]);
  useEffect(() => {
    if (map && goTo) map.goTo(goTo);
  }, [map, goTo]);

  return (
    <div className="cam-map">
      <div ref={place} className="map" />
      {failed && <p className="map-failed" role="status">{t("centre.cctv.noMap")}</p>}
      {map && (
        <div className="map-buttons">
          <Button className="icon-button" aria-label={t("map.in")} onPress={() => map.map.zoomIn()}><Icon node={Plus} /></Button>
          <Button className="icon-button" aria-label={t("map.out")} onPress={() => map.map.zoomOut()}><Icon node={Minus} /></Button>
          <Button className="icon-button" aria-label={t("centre.cctv.nearMiddle")} onPress={() => ask(map.middle())}><Icon node={Crosshair} /></Button>
        </div>
      )}
    </div>
  );
}
