import { createContext, useContext, useId, useState, type JSX, type ReactNode } from "react";
import { t } from "../../i18n";
import type { Wrong } from "./edit";
import { SECONDS, span, unitOf, type SpanUnit } from "./words";

/** What is wrong with the rule, for the fields that are meant. */
export const WrongContext = createContext<Wrong | undefined>(undefined);

function useWrong(path: string): { id: string; message: string | undefined; props: { "aria-invalid"?: true; "aria-describedby"?: string } } {
  const id = useId();
  const wrong = useContext(WrongContext);
  const meant = wrong && (wrong.path === path || wrong.path.startsWith(`${path}.`) || wrong.path.startsWith(`${path}[`));
  return { id, message: meant ? wrong.message : undefined, props: meant ? { "aria-invalid": true, "aria-describedby": id } : {} };
}

export function Wrongly({ path }: { path: string }): JSX.Element | null {
  const wrong = useContext(WrongContext);
  return wrong?.path === path ? <p className="problem">{wrong.message}</p> : null;
}

function Labelled({ label, id, message, className, children }: { label: string; id: string; message: string | undefined; className?: string | undefined; children: ReactNode }): JSX.Element {
  return (
    <label className={`field ${className ?? ""}`}>
      <span>{label}</span>
      {children}
      {message && <em id={id} className="problem">{message}</em>}
    </label>
  );
}

export function TextInput({ path, label, value, onChange, optional, className, maxLength = 200 }: { path: string; label: string; value: string; onChange: (value: string) => void; optional?: boolean; className?: string; maxLength?: number }): JSX.Element {
  const { id, message, props } = useWrong(path);
  return (
    <Labelled label={optional ? t("centre.rules.optional", { label }) : label} id={id} message={message} className={className}>
      <input data-path={path} value={value} maxLength={maxLength} autoComplete="off" onChange={(event) => onChange(event.target.value)} {...props} />
    </Labelled>
  );
}

const tidy = (value: number): number => Number(value.toPrecision(12));

/** A number in a unit; NaN while there is none. `scale` takes what is kept to what is shown. */
export function NumberInput({ path, label, value, onChange, unit = "", scale = 1, min, max }: { path: string; label: string; value: number; onChange: (value: number) => void; unit?: string; scale?: number; min?: number; max?: number }): JSX.Element {
  const { id, message, props } = useWrong(path);
  const given = Number.isFinite(value) ? tidy(value * scale) : NaN;
  const [written, setWritten] = useState(Number.isFinite(given) ? String(given) : "");
  const shown = written.trim() === "" ? (Number.isFinite(given) ? String(given) : "") : Number(written) === given || !Number.isFinite(given) ? written : String(given);
  return (
    <Labelled label={unit ? `${label} (${unit})` : label} id={id} message={message} className="number">
      <input
        data-path={path} type="number" step="any" min={min} max={max} value={shown}
        onChange={({ target }) => {
          setWritten(target.value);
          onChange(target.value.trim() === "" ? NaN : tidy(Number(target.value) / scale));
        }}
        {...props}
      />
    </Labelled>
  );
}

export function SelectInput<T extends string>({ path, label, value, options, onChange, className }: { path: string; label: string; value: T; options: readonly (readonly [value: T, title: string])[]; onChange: (value: T) => void; className?: string }): JSX.Element {
  const { id, message, props } = useWrong(path);
  const known = options.some(([one]) => one === value);
  return (
    <Labelled label={label} id={id} message={message} className={className}>
      <select data-path={path} value={value} onChange={(event) => onChange(event.target.value as T)} {...props}>
        {!known && <option value={value}>{value || t("centre.rules.choose")}</option>}
        {options.map(([one, title]) => <option key={one} value={one}>{title}</option>)}
      </select>
    </Labelled>
  );
}

const UNITS: readonly SpanUnit[] = ["seconds", "minutes", "hours", "days"];

/** A span of time as a number and its unit; seconds outside. */
export function SpanInput({ path, label, value, onChange }: { path: string; label: string; value: number; onChange: (seconds: number) => void }): JSX.Element {
  const { id, message, props } = useWrong(path);
  const [unit, setUnit] = useState<SpanUnit>(unitOf(value));
  const count = Number.isFinite(value) ? String(tidy(value / SECONDS[unit])) : "";
  return (
    <fieldset className="span-input">
      <legend>{label}</legend>
      <input
        data-path={path} type="number" min={0} step="any" aria-label={label} title={Number.isFinite(value) ? span(value) : undefined} value={count}
        onChange={({ target }) => onChange(target.value.trim() === "" ? NaN : tidy(Number(target.value) * SECONDS[unit]))} {...props}
      />
      <select
        aria-label={t("centre.rules.unitOf", { label })} value={unit}
        onChange={({ target }) => {
          const next = target.value as SpanUnit;
          setUnit(next);
          if (Number.isFinite(value)) onChange(tidy((value / SECONDS[unit]) * SECONDS[next]));
        }}
      >
        {UNITS.map((one) => <option key={one} value={one}>{t(`centre.rules.unit.${one}`)}</option>)}
      </select>
      {message && <em id={id} className="problem">{message}</em>}
    </fieldset>
  );
}
