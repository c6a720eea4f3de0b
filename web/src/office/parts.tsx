import { useState, type FormEvent, type JSX, type ReactNode } from "react";
import { Button, Dialog, DialogTrigger, Form, Heading, Input, Label, Modal, ModalOverlay, TextField } from "react-aria-components";
import { t } from "../i18n";
import { reason } from "./data";

export function Section({ title, help, actions, children }: { title: string; help?: string; actions?: ReactNode; children: ReactNode }): JSX.Element {
  return (
    <section className="office-section" aria-label={title}>
      <header>
        <div><h2>{title}</h2>{help && <p className="help">{help}</p>}</div>
        {actions && <div className="actions">{actions}</div>}
      </header>
      {children}
    </section>
  );
}

/** A table that scrolls sideways by itself where it is too wide. */
export function DataTable({ label, head, rows, empty }: { label: string; head: string[]; rows: { key: string; cells: ReactNode[] }[]; empty: string }): JSX.Element {
  if (rows.length === 0) return <p className="hint">{empty}</p>;
  return (
    <div className="table-scroll office-table" tabIndex={0} role="region" aria-label={label}>
      <table>
        <thead><tr>{head.map((title, index) => <th key={index} scope="col">{title}</th>)}</tr></thead>
        <tbody>
          {rows.map(({ key, cells }) => (
            <tr key={key}>{cells.map((cell, index) => (index === 0 ? <th key={index} scope="row">{cell}</th> : <td key={index}>{cell}</td>))}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** A button that opens a dialog with a form; the dialog stays open, with the reason, when `run` fails. */
export function FormDialog({ open, title, help, submit, danger, fields, run, children }: {
  open: string;
  title: string;
  help?: string;
  submit: string;
  danger?: boolean;
  fields?: { name: string; label: string; type?: string; autoComplete?: string; required?: boolean }[];
  run: (data: FormData) => Promise<ReactNode | void>;
  children?: ReactNode;
}): JSX.Element {
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const [result, setResult] = useState<ReactNode>();

  async function send(event: FormEvent<HTMLFormElement>, close: () => void): Promise<void> {
    event.preventDefault();
    setBusy(true);
    setProblem("");
    try {
      const shown = await run(new FormData(event.currentTarget));
      if (shown) setResult(shown);
      else close();
    } catch (error) {
      setProblem(error instanceof DOMException ? t("sign.cancelled") : reason(error));
    } finally {
      setBusy(false);
    }
  }

  return (
    <DialogTrigger onOpenChange={() => { setProblem(""); setResult(undefined); }}>
      <Button className={danger ? "button danger" : "button"}>{open}</Button>
      <ModalOverlay className="overlay" isDismissable={!result}>
        <Modal className="modal">
          <Dialog>
            {({ close }) => (
              <>
                <Heading slot="title">{title}</Heading>
                {result ? (
                  <div className="dialog-body">
                    {result}
                    <div className="dialog-end"><Button className="button primary" onPress={close}>{t("office.done")}</Button></div>
                  </div>
                ) : (
                  <Form className="dialog-body" onSubmit={(event) => void send(event as FormEvent<HTMLFormElement>, close)}>
                    {help && <p className="help">{help}</p>}
                    {fields?.map((field, index) => (
                      <TextField key={field.name} name={field.name} type={field.type ?? "text"} isRequired={field.required !== false} autoFocus={index === 0}>
                        <Label>{field.label}</Label>
                        <Input autoComplete={field.autoComplete ?? "off"} />
                      </TextField>
                    ))}
                    {children}
                    <p role="alert" className="problem">{problem}</p>
                    <div className="dialog-end">
                      <Button className="button" onPress={close}>{t("office.cancel")}</Button>
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

/** A secret that is shown this once, with a button that copies it. */
export function Secret({ label, value }: { label: string; value: string }): JSX.Element {
  const [copied, setCopied] = useState(false);
  return (
    <div className="secret">
      <span className="react-aria-Label">{label}</span>
      <code>{value}</code>
      <Button className="button" onPress={() => void navigator.clipboard.writeText(value).then(() => setCopied(true))}>{t(copied ? "details.copied" : "office.copy")}</Button>
      <p className="help" role="status">{t("office.once")}</p>
    </div>
  );
}

export function Chip({ tone, children }: { tone?: "good" | "warn" | "bad" | undefined; children: ReactNode }): JSX.Element {
  return <span className="chip" data-tone={tone}>{children}</span>;
}
