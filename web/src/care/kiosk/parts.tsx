import { Delete } from "lucide";
import { createContext, useContext, useEffect, useId, type JSX, type ReactNode } from "react";
import { Button } from "react-aria-components";
import { t } from "../../i18n";
import { Icon } from "../../ui/Icon";
import { say } from "./speech";

/** Says how far along the visit is, for the bar under a screen's heading. */
export const Progress = createContext<{ done: number; all: number } | null>(null);

/** One thing to do: what it is in large type, a drawing, and the buttons below. Its words are read aloud. */
export function Sheet({ title, help = "", also = "", drawing, children, actions, tone }: {
  title: string;
  help?: string;
  /** What is read aloud beside what is written. */
  also?: string;
  drawing?: ReactNode;
  children?: ReactNode;
  actions?: ReactNode;
  tone?: "urgent" | "ask" | undefined;
}): JSX.Element {
  const id = useId();
  const progress = useContext(Progress);
  useEffect(() => say([title, help, also].filter(Boolean).join(". ")), [title, help, also]);
  // Who goes by keyboard or hears the screen begins at its heading, unless a field is there to be filled in.
  useEffect(() => {
    const heading = document.getElementById(id)!;
    if (!heading.closest("section")!.contains(document.activeElement)) heading.focus();
  }, [id, title]);
  return (
    <section className="kiosk-sheet" aria-labelledby={id} data-tone={tone} data-drawn={drawing ? "" : undefined}>
      {progress && <div className="steps" role="progressbar" aria-label={t("kiosk.progress")} aria-valuemin={0} aria-valuemax={progress.all} aria-valuenow={progress.done}><i style={{ inlineSize: `${(100 * progress.done) / progress.all}%` }} /></div>}
      <div className="sheet-words"><h1 id={id} tabIndex={-1}>{title}</h1>{help && <p className="lead">{help}</p>}</div>
      {drawing && <div className="drawing" aria-hidden="true">{drawing}</div>}
      <div className="sheet-body">{children}</div>
      {actions && <div className="actions">{actions}</div>}
    </section>
  );
}

/** A button that a finger cannot miss. */
export function Big({ children, onPress, kind = "plain", disabled = false, pressed }: { children: ReactNode; onPress: () => void; kind?: "primary" | "plain" | "quiet"; disabled?: boolean; pressed?: boolean }): JSX.Element {
  return <Button className="big" data-kind={kind} isDisabled={disabled} onPress={onPress} {...(pressed === undefined ? {} : { "aria-pressed": pressed })}>{children}</Button>;
}

/** A number that is typed with large keys on the screen, or with a keyboard. */
export function NumberPad({ label, unit, value, onChange, decimals, signed = false, onEnter, focus = false }: {
  label: string;
  unit: string;
  value: string;
  onChange: (value: string) => void;
  decimals: number;
  signed?: boolean | undefined;
  onEnter: () => void;
  focus?: boolean;
}): JSX.Element {
  const id = useId();
  useEffect(() => { if (focus) document.getElementById(id)?.focus(); }, [focus, id]);
  const put = (text: string): void => { if (PARTIAL.test(text) && (decimals || !text.includes("."))) onChange(text); };
  return (
    <div className="pad">
      <label htmlFor={id}>{label}</label>
      <span className="pad-value">
        <input
          id={id} inputMode="none" autoComplete="off" value={value} onChange={(event) => put(event.target.value.replace(",", ".").trim())}
          onKeyDown={(event) => { if (event.key === "Enter") onEnter(); }}
        />
        <b>{unit}</b>
      </span>
      <div className="keys" role="group" aria-label={t("kiosk.keys")}>
        {["1", "2", "3", "4", "5", "6", "7", "8", "9", signed ? "−" : "", "0", decimals ? "." : ""].map((key, index) => (key === "" ? <span key={index} /> : (
          <Button key={index} className="key" onPress={() => put(key === "−" ? (value.startsWith("-") ? value.slice(1) : `-${value}`) : value + key)}>{key}</Button>
        )))}
        <Button className="key wide" aria-label={t("kiosk.delete")} onPress={() => onChange(value.slice(0, -1))}><Icon node={Delete} size={34} /></Button>
      </div>
    </div>
  );
}

/** What may stand in the field while a number is typed. */
const PARTIAL = /^-?\d{0,4}(\.\d{0,2})?$/;
