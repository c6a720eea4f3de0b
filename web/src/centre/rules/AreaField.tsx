import type { Polygon, Position } from "geojson";
import { useContext, useId, useMemo, useState, type JSX } from "react";
import { Button } from "react-aria-components";
import { t } from "../../i18n";
import { NumberInput, WrongContext } from "./fields";
import { circle, features } from "./map";
import { MapView } from "./MapView";

const written = (corners: readonly Position[]): string => corners.map(([lon = 0, lat = 0]) => `${lat.toFixed(6)}, ${lon.toFixed(6)}`).join("\n");

/** The corners that lines of "latitude, longitude" name; undefined where a line is none. */
export function read(lines: string): Position[] | undefined {
  const found = lines.split("\n").map((one) => one.trim()).filter(Boolean).map((one) => one.split(/[,\s]+/).map(Number));
  return found.every((one) => one.length === 2 && one.every(Number.isFinite) && Math.abs(one[0]!) <= 90 && Math.abs(one[1]!) <= 180) ? found.map(([lat = 0, lon = 0]) => [lon, lat]) : undefined;
}

const corners = (polygon: Polygon): Position[] => (polygon.coordinates[0] ?? []).slice(0, -1);
const closed = (list: Position[], others: Position[][]): Polygon => ({ type: "Polygon", coordinates: [list.length ? [...list, list[0]!] : [], ...others] });

/** An area, drawn corner by corner on the map or typed as coordinates. */
export function AreaField({ path, value, onChange }: { path: string; value: Polygon; onChange: (polygon: Polygon) => void }): JSX.Element {
  const id = useId();
  const wrong = useContext(WrongContext);
  const message = wrong && (wrong.path === path || wrong.path.startsWith(`${path}.`)) ? wrong.message : undefined;
  const list = corners(value);
  const holes = value.coordinates.slice(1);
  const [text, setText] = useState<string>();
  const [odd, setOdd] = useState(false);
  const change = (next: Position[]): void => {
    setText(undefined);
    setOdd(false);
    onChange(closed(next, holes));
  };
  const drawn = useMemo(() => {
    const at = corners(value);
    return {
      area: features(at.length > 1 ? [{ type: "Feature", properties: {}, geometry: at.length > 2 ? value : { type: "LineString", coordinates: at } }] : []),
      corners: features(at.map((coordinates, n) => ({ type: "Feature", properties: { n }, geometry: { type: "Point", coordinates } }))),
    };
  }, [value]);
  return (
    <div className="area-field">
      <MapView label={`${t("centre.rules.area")} ${path.replace(/\D+/g, " ").trim()}`.trim()} drawn={drawn} fit={list} tapped={(at) => change([...list, at])} moved={(corner, at) => change(list.map((one, i) => (i === corner ? at : one)))} />
      <div className="area-side">
        <label className="field"><span>{t("centre.rules.corners", { n: list.length })}</span>
          <textarea
            data-path={path} rows={6} spellCheck={false} value={text ?? written(list)} aria-describedby={`${id}-help${message || odd ? ` ${id}` : ""}`} {...(message || odd ? { "aria-invalid": true } : {})}
            onChange={({ target }) => {
              setText(target.value);
              const next = read(target.value);
              setOdd(!next);
              if (next) onChange(closed(next, holes));
            }}
          />
        </label>
        <p className="help" id={`${id}-help`}>{t("centre.rules.cornersHelp")}</p>
        {(odd || message) && <p className="problem" id={id}>{odd ? t("centre.rules.wrong.coordinates") : message}</p>}
        <div className="actions">
          <Button className="button small" isDisabled={list.length === 0} onPress={() => change(list.slice(0, -1))}>{t("centre.rules.undoCorner")}</Button>
          <Button className="button small" isDisabled={list.length === 0} onPress={() => change([])}>{t("centre.rules.clearArea")}</Button>
        </div>
      </div>
    </div>
  );
}

/** A place and how far around it, by a click on the map or typed. */
export function NearField({ near, radius_m, onChange }: { near: [number, number]; radius_m: number; onChange: (near: [number, number], radius_m: number) => void }): JSX.Element {
  const drawn = useMemo(() => {
    const known = near.every(Number.isFinite);
    return {
      area: features(known && radius_m > 0 ? [{ type: "Feature", properties: {}, geometry: circle(near, radius_m) }] : []),
      corners: features(known ? [{ type: "Feature", properties: { n: 0 }, geometry: { type: "Point", coordinates: near } }] : []),
    };
  }, [near, radius_m]);
  const fit = useMemo(() => (near.every(Number.isFinite) ? circle(near, Math.max(radius_m || 0, 300)).coordinates[0]! : []), [near, radius_m]);
  const round = (value: number): number => Number(value.toFixed(6));
  return (
    <div className="area-field">
      <MapView label={t("centre.rules.place.near")} drawn={drawn} fit={fit} tapped={([lon, lat]) => onChange([round(lon), round(lat)], radius_m)} moved={(_, [lon, lat]) => onChange([round(lon), round(lat)], radius_m)} />
      <div className="area-side">
        <NumberInput path="where.near" label={t("centre.rules.latitude")} unit="°" min={-90} max={90} value={near[1]} onChange={(lat) => onChange([near[0], lat], radius_m)} />
        <NumberInput path="where.near" label={t("centre.rules.longitude")} unit="°" min={-180} max={180} value={near[0]} onChange={(lon) => onChange([lon, near[1]], radius_m)} />
        <NumberInput path="where.radius_m" label={t("centre.rules.radius")} unit="m" min={1} max={50_000} value={radius_m} onChange={(next) => onChange(near, next)} />
        <p className="help">{t("centre.rules.nearHelp")}</p>
      </div>
    </div>
  );
}
