import { Minus, Plus, ScanSearch } from "lucide";
import { useEffect, useRef, useState, type JSX } from "react";
import { Button } from "react-aria-components";
import { t, text, useLanguage } from "../i18n";
import { theme as shownTheme } from "../settings";
import { throttled, useValue } from "../state";
import { Icon } from "../ui/Icon";
import { swatch } from "../ui/swatch";
import type { Course } from "./course";
import { useShell } from "./data";
import { cameraFeatures, colourOf, contactFeatures, hotspotFeatures, moveFeatures, placeAt, SHOWN, stayFeatures, TraceMap, type Shown } from "./map";
import type { Contact } from "./types";
import { word } from "./words";

const NOW_MS = 60;

/** The map of a case, which follows the course's instant, days and picked row, and picks by clicks. */
export function CaseMap({ course, contacts, open }: { course: Course; contacts: Contact[]; open: (what: Shown, id: string) => void }): JSX.Element {
  const shell = useShell();
  const place = useRef<HTMLDivElement>(null);
  const [map, setMap] = useState<TraceMap>();
  const [off, setOff] = useState<ReadonlySet<Shown>>(new Set(["contacts", "cameras"]));
  const theme = useValue(shownTheme);
  const language = useLanguage();
  const opened = useRef(open);
  opened.current = open;

  useEffect(() => {
    let made: TraceMap | undefined;
    let gone = false;
    const undo: (() => void)[] = [];
    const label = t("trace.map", { city: text(shell.city.name) });
    // A canvas does not wait for a web font by itself.
    const font = document.fonts.load("400 24px 'Pretendard Variable'", "0123456789 abc 가나다").catch(() => undefined);
    void Promise.all([shell.basemap().catch(() => ({})), font]).then(([basemap]) => {
      if (gone) return;
      made = new TraceMap(place.current!, shell.city, basemap, theme, language, label, (layer, id) => {
        const part = course.parts.find((one) => ("stay" in one ? one.stay.id : one.move.id) === id);
        if (part) {
          course.goTo(part.from);
          const [row] = ("stay" in part ? part.stay : part.move).evidence;
          if (row && course.row(row)) course.picked.value = row;
        } else if (layer === "rows") course.pick(id);
        else opened.current(layer as Shown, id);
      });
      made.set("stays", stayFeatures(course));
      made.set("moves", moveFeatures(course));
      made.set("hotspots", hotspotFeatures(course.results.hotspots));
      made.set("cameras", cameraFeatures(course.results.cameras));
      const everywhere = [...course.results.stays.map(({ lon, lat }) => [lon, lat] as const), ...course.results.moves.flatMap((move) => move.path)];
      made.fit(everywhere);
      const now = throttled(NOW_MS, () => {
        const at = placeAt(course, course.at.value);
        made?.set("now", { type: "FeatureCollection", features: at ? [{ type: "Feature", geometry: { type: "Point", coordinates: [at.lon, at.lat] }, properties: { r: at.radius_m } }] : [] });
        place.current!.dataset.at = at ? `${at.lon.toFixed(5)},${at.lat.toFixed(5)}` : "";
      });
      const rows = (): void => {
        const part = course.partAt(course.at.value);
        const ids = new Set([...(part ? ("stay" in part ? part.stay : part.move).evidence : []), ...(course.picked.value ? [course.picked.value] : []), ...course.pointed.value]);
        const features = [...ids].slice(0, 300).flatMap((id) => {
          const row = course.row(id);
          return row && row.lat !== null && row.lon !== null ? [{ type: "Feature" as const, geometry: { type: "Point" as const, coordinates: [row.lon, row.lat] }, properties: { id, k: row.kind } }] : [];
        });
        made?.set("rows", { type: "FeatureCollection", features });
      };
      let part = course.partAt(course.at.value);
      const limit = (): void => made?.limit(...course.view.value);
      undo.push(
        course.at.watch(() => {
          now();
          const next = course.partAt(course.at.value);
          if (next !== part) {
            part = next;
            rows();
          }
        }),
        course.view.watch(limit), course.picked.watch(rows), course.pointed.watch(rows),
        course.look.watch((look) => {
          made?.set("look", { type: "FeatureCollection", features: look ? [{ type: "Feature", geometry: { type: "Point", coordinates: [look.lon, look.lat] }, properties: { r: Math.max(25, look.radius_m) } }] : [] });
          if (look) made?.goTo([look.lon, look.lat], look.radius_m);
        }),
      );
      now();
      rows();
      limit();
      setMap(made);
    });
    return () => {
      gone = true;
      for (const stop of undo) stop();
      made?.destroy();
      setMap(undefined);
    };
  }, [shell, course, theme, language]);
  useEffect(() => map?.set("contacts", contactFeatures(contacts)), [map, contacts]);
  useEffect(() => SHOWN.forEach((what) => map?.show(what, !off.has(what))), [map, off]);

  const there: Record<Shown, number> = { stays: course.results.stays.length, route: course.results.moves.length, hotspots: course.results.hotspots.length, cameras: course.results.cameras.length, contacts: contacts.length };
  return (
    <div className="case-map">
      <div ref={place} className="map" />
      <fieldset className="map-layers">
        <legend className="visually-hidden">{t("trace.mapLayers")}</legend>
        {SHOWN.filter((what) => there[what] > 0).map((what) => (
          <label key={what}>
            <input type="checkbox" checked={!off.has(what)} onChange={(event) => setOff((before) => { const next = new Set(before); if (event.target.checked) next.delete(what); else next.add(what); return next; })} />
            <span className="dot" style={swatch(colourOf(theme, what))} aria-hidden="true" />{word("layer", what)}
          </label>
        ))}
      </fieldset>
      <div className="map-buttons">
        <Button className="icon-button" aria-label={t("map.in")} onPress={() => map?.map.zoomIn()}><Icon node={Plus} /></Button>
        <Button className="icon-button" aria-label={t("map.out")} onPress={() => map?.map.zoomOut()}><Icon node={Minus} /></Button>
        <Button className="icon-button" aria-label={t("trace.wholeCourse")} onPress={() => map?.fit([...course.results.stays.map(({ lon, lat }) => [lon, lat] as const), ...course.results.moves.flatMap((move) => move.path)])}><Icon node={ScanSearch} /></Button>
      </div>
    </div>
  );
}
