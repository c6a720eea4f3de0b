import { Filter as FilterIcon, PenTool, X } from "lucide";
import { useId, useState, type FormEvent, type JSX } from "react";
import { Button, Input, Label, TextField } from "react-aria-components";
import { api } from "../api";
import { t } from "../i18n";
import type { Model } from "../model";
import { useValue } from "../state";
import { Icon } from "./Icon";

import "../styles/centre-live.css";

const MINUTES = [1, 5, 15, 60, 1440];
type Corner = [number, number];

/** Narrows the map and the table to an area, to what changed lately, to an NGSI-LD query: decided by the server. */
export function Narrow({ model }: { model: Model }): JSX.Element {
  const filter = useValue(model.filter);
  const drawing = useValue(model.drawing);
  const [open, setOpen] = useState(filter !== "");
  const [minutes, setMinutes] = useState("");
  const [q, setQ] = useState("");
  const [corners, setCorners] = useState("");
  const [problem, setProblem] = useState("");
  const id = useId();

  async function apply(event?: FormEvent, area = corners): Promise<void> {
    event?.preventDefault();
    const places = cornersOf(area);
    if (!places) return setProblem(t("narrow.badArea"));
    const ring = places.length ? [...places, places[0]!] : [];
    const wanted = {
      ...(ring.length && { area: { type: "Polygon", coordinates: [ring] } }),
      ...(minutes && { minutes: Number(minutes) }),
      ...(q.trim() && { q: q.trim() }),
    };
    const next = Object.keys(wanted).length ? JSON.stringify(wanted) : "";
    try {
      const layer = model.manifest.layers[0];
      if (next && layer) await api.get(`/api/centre/v1/layers/${encodeURIComponent(layer.id)}?limit=1&filter=${encodeURIComponent(next)}`);
      setProblem("");
      model.filter.value = next;
      model.announcement.value = t(next ? "narrow.on" : "narrow.off");
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
  }

  function drawn(): void {
    const area = (drawing ?? []).map(([lon, lat]) => `${lon.toFixed(5)},${lat.toFixed(5)}`).join(" ");
    model.drawing.value = null;
    setCorners(area);
    if (area) void apply(undefined, area);
  }

  return (
    <section className="narrow" aria-label={t("narrow.title")} data-on={filter !== "" || undefined}>
      <div className="narrow-head">
        <Button className="link" aria-expanded={open} aria-controls={id} onPress={() => setOpen(!open)}>
          <Icon node={FilterIcon} size={14} />{t(filter ? "narrow.isOn" : "narrow.title")}
        </Button>
        {filter && (
          <Button className="icon-button quiet" aria-label={t("narrow.clear")} onPress={() => {
            setMinutes(""); setQ(""); setCorners(""); setProblem("");
            model.filter.value = "";
            model.announcement.value = t("narrow.off");
          }}><Icon node={X} size={14} /></Button>
        )}
      </div>
      <form id={id} hidden={!open} onSubmit={(event) => void apply(event)}>
        <label className="field">
          <span>{t("narrow.time")}</span>
          <select value={minutes} onChange={(event) => setMinutes(event.target.value)}>
            <option value="">{t("narrow.anyTime")}</option>
            {MINUTES.map((one) => <option key={one} value={one}>{one < 60 ? t("narrow.minutes", { count: one }) : t("narrow.hours", { count: one / 60 })}</option>)}
          </select>
        </label>
        <TextField className="field" value={corners} onChange={setCorners}>
          <Label>{t("narrow.area")}</Label>
          <Input placeholder="127.26,36.47 127.31,36.47 127.31,36.51" spellCheck="false" />
        </TextField>
        <div className="narrow-buttons">
          {drawing ? (
            <Button className="button" onPress={drawn}>{t("narrow.drawn", { count: drawing.length })}</Button>
          ) : (
            <Button className="button" onPress={() => { model.view.value = "map"; model.sheet.value = "peek"; model.drawing.value = []; }}><Icon node={PenTool} size={14} />{t("narrow.draw")}</Button>
          )}
        </div>
        <TextField className="field" value={q} onChange={setQ}>
          <Label>{t("narrow.q")}</Label>
          <Input placeholder="pm25>35|temperature<0" spellCheck="false" />
        </TextField>
        {problem && <p role="alert" className="problem">{problem}</p>}
        <Button type="submit" className="button primary">{t("narrow.apply")}</Button>
      </form>
    </section>
  );
}

/** The corners that are typed as `lon,lat lon,lat …`, a box's as `west,south,east,north`; undefined for another text. */
function cornersOf(typed: string): Corner[] | undefined {
  const groups = typed.trim().split(/\s+/).filter(Boolean).map((group) => group.split(",").map(Number));
  if (groups.some((group) => group.some((value) => !Number.isFinite(value)))) return undefined;
  if (groups.length === 1 && groups[0]!.length === 4) {
    const [west, south, east, north] = groups[0] as [number, number, number, number];
    return [[west, south], [east, south], [east, north], [west, north]];
  }
  return groups.length === 0 || (groups.length > 2 && groups.every((group) => group.length === 2)) ? (groups as Corner[]) : undefined;
}
