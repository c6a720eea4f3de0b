import { useMemo, useRef, useState, type FormEvent, type JSX } from "react";
import { Button, Form } from "react-aria-components";
import { api } from "../../api";
import { t, text } from "../../i18n";
import { useLoaded } from "../../office/data";
import { Choice } from "../../office/parts";
import { reason } from "../../problems";
import type { Text } from "../../types";
import { Field } from "../../ui/Field";
import { To, useShell, useTitle } from "../../ui/page";
import { features } from "../rules/map";
import { MapView } from "../rules/MapView";
import { ROOT, word } from "./data";
import { SEVERITIES, type CityEvent } from "./types";

export const CATEGORIES = ["security", "fire", "flood", "health", "traffic", "safety", "weather", "environment", "construction"] as const;

/** An event that somebody saw or was told of: what, how grave, where. */
export function Raise(): JSX.Element {
  const shell = useShell();
  const { data: procedures } = useLoaded<{ items: { id: string; name: Text }[] }>(`${ROOT}/procedures`);
  const [place, setPlace] = useState("");
  const [failure, setFailure] = useState<unknown>();
  const once = useRef<{ key: string; body: string }>(undefined);
  const [busy, setBusy] = useState(false);
  useTitle(t("centre.events.raise"));
  const point = pointIn(place);
  const drawn = useMemo(() => {
    const at = pointIn(place);
    return { corners: features(at ? [{ type: "Feature", properties: { n: 0 }, geometry: { type: "Point", coordinates: at } }] : []) };
  }, [place]);
  const fit = useMemo((): [number, number][] => [], []);

  async function send(event: FormEvent<HTMLFormElement>): Promise<void> {
    event.preventDefault();
    const given = new FormData(event.currentTarget);
    setBusy(true);
    setFailure(undefined);
    try {
      const body = {
        category: given.get("category"), severity: given.get("severity"), title: String(given.get("title")).trim(), note: String(given.get("note") ?? "").trim(),
        location: point ? { type: "Point", coordinates: point } : null, procedure: given.get("procedure") || null,
      };
      // What is sent again because its answer was lost is one event.
      if (once.current?.body !== JSON.stringify(body)) once.current = { key: crypto.randomUUID(), body: JSON.stringify(body) };
      const made = await api.post<CityEvent>(`${ROOT}/events`, body, { "idempotency-key": once.current.key });
      shell.go(`/events/${made.id}`);
    } catch (error) {
      setFailure(error);
      setBusy(false);
    }
  }

  return (
    <div className="sheet-page raise">
      <header className="page-head"><div><p><To path="/events">{t("centre.events.title")}</To></p><h1>{t("centre.events.raise")}</h1></div></header>
      <Form className="raise-form" onSubmit={(event) => void send(event as FormEvent<HTMLFormElement>)}>
        <div className="raise-fields">
          <Field name="title" label={t("centre.events.what")} autoFocus />
          <Choice name="severity" label={t("centre.events.severity")} options={SEVERITIES.map((one) => [one, word("severity", one)] as const)} />
          <Choice name="category" label={t("centre.events.category")} options={CATEGORIES.map((one) => [one, word("category", one)] as const)} />
          <Choice name="procedure" label={t("centre.events.procedure")} options={[["", t("centre.events.noProcedure")], ...(procedures?.items ?? []).map((one) => [one.id, text(one.name)] as const)]} />
          <label className="field"><span>{t("centre.events.note")}</span><textarea name="note" rows={4} maxLength={2000} /></label>
          <label className="field"><span>{t("centre.events.place")}</span>
            <input value={place} onChange={({ target }) => setPlace(target.value)} aria-describedby="place-help" aria-invalid={place.trim() && !point ? true : undefined} autoComplete="off" placeholder="36.48000, 127.28900" /></label>
          <p className="help" id="place-help">{t(place.trim() && !point ? "centre.events.placeWrong" : "centre.events.placeHelp")}</p>
        </div>
        <MapView label={t("centre.events.map")} drawn={drawn} fit={fit} tapped={([lon, lat]) => setPlace(`${lat.toFixed(5)}, ${lon.toFixed(5)}`)} moved={(_, [lon, lat]) => setPlace(`${lat.toFixed(5)}, ${lon.toFixed(5)}`)} />
        <p role="alert" className="problem">{failure === undefined ? "" : reason(failure)}</p>
        <div className="dialog-end">
          <To path="/events" className="button">{t("office.cancel")}</To>
          <Button type="submit" className="button primary" isDisabled={busy || Boolean(place.trim() && !point)}>{t("centre.events.raise")}</Button>
        </div>
      </Form>
    </div>
  );
}

/** The place that "latitude, longitude" names. */
function pointIn(written: string): [number, number] | undefined {
  const [lat, lon, ...rest] = written.trim().split(/[,\s]+/).map(Number);
  return rest.length === 0 && lat !== undefined && lon !== undefined && Math.abs(lat) <= 90 && Math.abs(lon) <= 180 ? [lon, lat] : undefined;
}
