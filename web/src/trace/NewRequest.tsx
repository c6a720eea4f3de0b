import { useState, type JSX } from "react";
import { exact, instantOf } from "../format";
import { t } from "../i18n";
import { FormDialog } from "../office/parts";
import { Field } from "../ui/Field";
import { ask } from "./data";
import { Lines } from "./parts";
import type { Case, Country } from "./types";
import { kindName, told } from "./words";

const DAY_MS = 86_400_000;
const dayOf = (instant: string | undefined): string => (instant ? exact(instant).slice(0, 10) : "");
const date = (value: string): string | undefined => (instantOf(value) && /^\d{4}-\d\d-\d\d$/.test(value) ? undefined : t("trace.badDate"));
const between = (low: number, high: number) => (value: string): string | undefined => (Number(value) >= low && Number(value) <= high ? undefined : t("trace.badNumber", { low, high }));

/** What data is asked for, about whom and when; the law of the kind and who has to approve it are shown beside it. */
export function NewRequest({ one, country, changed }: { one: Case; country: Country; changed: () => Promise<void> }): JSX.Element {
  const [kinds, setKinds] = useState<ReadonlySet<string>>(new Set());
  const needsArea = [...kinds].some((kind) => country.kinds[kind]?.others);
  const start = dayOf(one.exposure_window?.start ?? one.infectious_window?.start);
  const end = dayOf(new Date(Math.min(Date.now(), Date.parse(one.infectious_window?.end ?? new Date().toISOString()) - 1)).toISOString());
  return (
    <div className="side-tools">
      <FormDialog open={t("trace.request.new")} title={t("trace.request.new")} help={t("trace.request.help")} submit={t("trace.request.send")} done={changed}
        run={async (data) => {
          if (kinds.size === 0) throw new Error(t("trace.request.noKind"));
          const value = (name: string): string => String(data.get(name) ?? "").trim();
          const until = Date.parse(instantOf(value("end"))!) + DAY_MS;
          await ask(one.id, `/cases/${encodeURIComponent(one.id)}/requests`, "POST", {
            kinds: [...kinds], period: { start: instantOf(value("start")), end: new Date(until).toISOString() }, purpose: value("purpose"), because: value("because"),
            ...(needsArea && { area: { lat: Number(value("lat")), lon: Number(value("lon")), radius_m: Number(value("radius_m")) } }),
          });
          setKinds(new Set());
        }}>
        <fieldset className="boxes kinds-boxes">
          <legend>{t("trace.kinds")}</legend>
          {Object.entries(country.kinds).map(([kind, rule]) => (
            <label key={kind}>
              <input type="checkbox" checked={kinds.has(kind)} onChange={(event) => setKinds((before) => { const next = new Set(before); if (event.target.checked) next.add(kind); else next.delete(kind); return next; })} />
              <span>{kindName(country, kind)}<small>{told(rule.law)}</small><small>{rule.steps.map((step) => told(step.title, step.role)).join(" → ")}</small></span>
            </label>
          ))}
        </fieldset>
        <div className="pair">
          <Field name="start" type="date" label={t("trace.from")} initial={start} check={date} />
          <Field name="end" type="date" label={t("trace.to")} initial={end} check={date} />
        </div>
        {needsArea && (
          <div className="fields">
            <Field name="lat" inputMode="decimal" label={t("trace.latitude")} check={between(-90, 90)} />
            <Field name="lon" inputMode="decimal" label={t("trace.longitude")} check={between(-180, 180)} />
            <Field name="radius_m" inputMode="numeric" label={t("trace.radius")} initial="300" check={between(10, 5000)} />
          </div>
        )}
        <Field name="purpose" label={t("trace.request.purpose")} initial={t("trace.purpose.tracing")} />
        <Lines name="because" label={t("trace.request.because")} help={t("trace.request.becauseHelp")} required />
      </FormDialog>
    </div>
  );
}
