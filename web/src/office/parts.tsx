import { useEffect, useRef, useState, type FormEvent, type JSX, type ReactNode } from "react";
import { Button, Dialog, DialogTrigger, Form, Heading, Modal, ModalOverlay } from "react-aria-components";
import { t } from "../i18n";
import { reason } from "../problems";
import { Field } from "../ui/Field";

/** A part of a page. It can take the focus, for when what had it is gone. */
export function Section({ title, help, actions, children, focused = false }: { title: string; help?: ReactNode; actions?: ReactNode; children: ReactNode; focused?: boolean }): JSX.Element {
  const section = useRef<HTMLElement>(null);
  useEffect(() => {
    if (!focused) return;
    section.current?.focus({ preventScroll: true });
    section.current?.scrollIntoView({ block: "start" });
  }, [focused]);
  return (
    <section ref={section} className="office-section" aria-label={title} tabIndex={-1}>
      <header>
        <div><h2>{title}</h2>{help && <p className="help">{help}</p>}</div>
        {actions && <div className="actions">{actions}</div>}
      </header>
      {children}
    </section>
  );
}

/** What is shown instead of a list that is not there yet. */
export function Waiting({ problem }: { problem: string }): JSX.Element {
  return problem ? <p className="problem" role="alert">{problem}</p> : <p className="hint" role="status">{t("office.loading")}</p>;
}

/** A table; on a phone each row is a card. A head that begins with a hyphen names a column of buttons and is not shown. */
export function DataTable({ label, head, rows, empty }: { label: string; head: string[]; rows: { key: string; cells: ReactNode[] }[]; empty: string }): JSX.Element {
  if (rows.length === 0) return <p className="hint">{empty}</p>;
  const heads = head.map((title) => ({ title: title.replace(/^-/, ""), shown: !title.startsWith("-") }));
  return (
    <div className="table-scroll office-table" tabIndex={0} role="group" aria-label={label}>
      <table role="table">
        <thead role="rowgroup">
          <tr role="row">
            {heads.map(({ title, shown }) => <th key={title} role="columnheader" scope="col"><span className={shown ? "" : "visually-hidden"}>{title}</span></th>)}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {rows.map(({ key, cells }) => (
            <tr key={key} role="row">
              {cells.map((cell, index) => {
                const { title, shown } = heads[index]!;
                return index === 0 ? <th key={title} role="rowheader" scope="row">{cell}</th> : <td key={title} role="cell" data-label={shown ? title : undefined} data-empty={cell === "–" || undefined}>{cell}</td>;
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Newer and older pages; nothing where there is only one. */
export function Pager({ label, newer, older }: { label: string; newer: (() => void) | undefined; older: (() => void) | undefined }): JSX.Element | null {
  if (!newer && !older) return null;
  return (
    <nav className="pager" aria-label={t("office.pages", { name: label })}>
      <Button className="button" isDisabled={!newer} onPress={() => newer?.()}>{t("audit.newer")}</Button>
      <Button className="button" isDisabled={!older} onPress={() => older?.()}>{t("audit.older")}</Button>
    </nav>
  );
}

export interface FieldOf {
  name: string;
  label: string;
  type?: string;
  autoComplete?: string;
  optional?: boolean;
  help?: string;
  initial?: string;
  check?: (value: string) => string | undefined;
}

/**
 * A button that opens a dialog with a form. The dialog stays open, with the reason, when `run` fails; what `run` returns is
 * shown until it is closed. `done` is called once that is over, and the focus goes back to the button, or to the part of
 * the page that it was in when the button is gone.
 */
export function FormDialog({ open, about, title, help, submit, stay, danger, fields, run, done, children }: {
  open: string;
  /** What the button is about, for who hears it without seeing its row. */
  about?: string;
  title: string;
  help?: ReactNode;
  submit: string;
  /** What leaves the dialog without doing it, where "cancel" could be taken for what it does. */
  stay?: string;
  danger?: boolean;
  fields?: FieldOf[];
  run: (data: FormData) => Promise<ReactNode | void>;
  done?: () => Promise<void> | void;
  children?: ReactNode;
}): JSX.Element {
  const [failure, setFailure] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const [result, setResult] = useState<ReactNode>();
  const succeeded = useRef(false);
  const button = useRef<HTMLButtonElement>(null);

  async function send(event: FormEvent<HTMLFormElement>, close: () => void): Promise<void> {
    event.preventDefault();
    setBusy(true);
    setFailure(undefined);
    try {
      const shown = await run(new FormData(event.currentTarget));
      succeeded.current = true;
      if (shown) setResult(shown);
      else close();
    } catch (error) {
      setFailure(error);
    } finally {
      setBusy(false);
    }
  }

  async function changed(open: boolean): Promise<void> {
    setFailure(undefined);
    setResult(undefined);
    if (open || !succeeded.current) return;
    succeeded.current = false;
    const part = button.current?.closest("section");
    await done?.();
    // The button may have gone with its row by now.
    setTimeout(() => {
      if (document.activeElement === document.body) (button.current?.isConnected ? button.current : part)?.focus();
    }, 50);
  }

  return (
    <DialogTrigger onOpenChange={(open) => void changed(open)}>
      <Button ref={button} className={danger ? "button danger" : "button"} {...(about ? { "aria-label": `${open}: ${about}` } : {})}>{open}</Button>
      <ModalOverlay className="overlay" isDismissable={!result && !busy}>
        <Modal className="modal">
          <Dialog role={danger && !fields ? "alertdialog" : "dialog"}>
            {({ close }) => (
              <>
                <Heading slot="title">{title}</Heading>
                {result ? (
                  <div className="dialog-body">
                    {result}
                    <div className="dialog-end"><Button className="button primary" autoFocus onPress={close}>{t("office.done")}</Button></div>
                  </div>
                ) : (
                  <Form className="dialog-body" onSubmit={(event) => void send(event as FormEvent<HTMLFormElement>, close)}>
                    {help && <p className="help">{help}</p>}
                    {fields?.map((field, index) => <Field key={field.name} autoFocus={index === 0} {...field} />)}
                    {children}
                    <p role="alert" className="problem">{failure === undefined ? "" : reason(failure)}</p>
                    <div className="dialog-end">
                      <Button className="button" onPress={close}>{stay ?? t("office.cancel")}</Button>
                      <Button type="submit" className={danger ? "button danger" : "button primary"} isDisabled={busy}>{submit}</Button>
                    </div>
                  </Form>
                )}
              </>
            )}
          </Dialog>
        </Modal>
      </ModalOverlay>
    </DialogTrigger>
  );
}

/** A button that opens a dialog to read. */
export function ReadDialog({ open, about, title, children }: { open: string; about?: string; title: string; children: ReactNode }): JSX.Element {
  return (
    <DialogTrigger>
      <Button className="button" {...(about ? { "aria-label": `${open}: ${about}` } : {})}>{open}</Button>
      <ModalOverlay className="overlay" isDismissable>
        <Modal className="modal">
          <Dialog>
            {({ close }) => (
              <>
                <Heading slot="title">{title}</Heading>
                <div className="dialog-body">
                  {children}
                  <div className="dialog-end"><Button className="button" onPress={close}>{t("jobs.close")}</Button></div>
                </div>
              </>
            )}
          </Dialog>
        </Modal>
      </ModalOverlay>
    </DialogTrigger>
  );
}

/** A choice among a few, under its label. */
export function Choice({ name, label, options, value, onChange }: {
  name: string;
  label: string;
  options: (readonly [value: string, title: string])[];
  value?: string;
  onChange?: (value: string) => void;
}): JSX.Element {
  return (
    <label className="field"><span>{label}</span>
      <select name={name} value={value} onChange={onChange && ((event) => onChange(event.target.value))}>
        {options.map(([one, title]) => <option key={one} value={one}>{title}</option>)}
      </select>
    </label>
  );
}

/** A secret that is shown this once, with a button that copies it. */
export function Secret({ label, value, open = false }: { label: string; value: string; open?: boolean }): JSX.Element {
  const [copied, setCopied] = useState(false);
  return (
    <div className="secret">
      <span className="react-aria-Label">{label}</span>
      <code>{value}</code>
      {navigator.clipboard && (
        <Button className="button" aria-label={`${t("office.copy")}: ${label}`} onPress={() => void navigator.clipboard.writeText(value).then(() => setCopied(true))}>{t(copied ? "details.copied" : "office.copy")}</Button>
      )}
      {!open && <p className="help" role="status">{t("office.once")}</p>}
    </div>
  );
}

export function Chip({ tone, children }: { tone?: "good" | "warn" | "bad" | undefined; children: ReactNode }): JSX.Element {
  return <span className="chip" data-tone={tone}>{children}</span>;
}

/** Says that a second factor is wanting, and where to add one. */
export function WantsFactor(): JSX.Element {
  return <p className="notice">{t("office.wantsFactor")} <a className="link" href="/account">{t("office.addFactor")}</a></p>;
}
