import { useState, type FormEvent, type JSX, type ReactNode } from "react";
import { Button, Dialog, FieldError, Form, Heading, Input, Label, Modal, ModalOverlay, TextField } from "react-aria-components";
import { t } from "../i18n";
import { Waiting } from "../office/parts";
import { LISTS, purposes, setPurpose, usePurpose, useShell, type Asked } from "./data";
import { percent } from "./words";

export { To, useTitle } from "../ui/page";

const SUGGESTED = ["tracing", "request", "check"] as const;

/** Asks what the viewer looks for, before anything personal is read. */
export function PurposeDialog({ scope, change = false, close, leave }: { scope: string; change?: boolean; close: () => void; leave: () => void }): JSX.Element {
  const [value, setValue] = useState(usePurpose(scope) ?? purposes.value.get(LISTS) ?? "");
  function submit(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    if (!value.trim()) return;
    setPurpose(scope, value.trim());
    close();
  }
  return (
    <ModalOverlay className="overlay" isOpen isDismissable={change} onOpenChange={(open) => !open && leave()}>
      <Modal className="modal">
        <Dialog>
          <Heading slot="title" level={change ? 2 : 1}>{t("trace.purpose.title")}</Heading>
          <Form className="dialog-body" onSubmit={(event) => submit(event as FormEvent<HTMLFormElement>)}>
            <p className="help">{t("trace.purpose.help")}</p>
            <div className="suggestions" role="group" aria-label={t("trace.purpose.suggested")}>
              {SUGGESTED.map((one) => <Button key={one} className="button small" onPress={() => setValue(t(`trace.purpose.${one}`))}>{t(`trace.purpose.${one}`)}</Button>)}
            </div>
            <TextField name="purpose" value={value} onChange={setValue} isRequired autoFocus maxLength={200}>
              <Label>{t("trace.purpose.label")}</Label>
              <Input autoComplete="off" />
              <FieldError className="problem">{t("office.required")}</FieldError>
            </TextField>
            <div className="dialog-end">
              <Button className="button" onPress={leave}>{t("office.cancel")}</Button>
              <Button type="submit" className="button primary">{t("trace.purpose.go")}</Button>
            </div>
          </Form>
        </Dialog>
      </Modal>
    </ModalOverlay>
  );
}

/** Draws its children once a purpose is stated for what they read. */
export function ForPurpose({ scope, children }: { scope: string; children: ReactNode }): JSX.Element {
  const shell = useShell();
  if (usePurpose(scope)) return <>{children}</>;
  return <PurposeDialog scope={scope} close={() => undefined} leave={() => shell.go(scope === LISTS ? "/" : "/trace")} />;
}

/** The purpose that is stated for a case or for the lists, and how to change it. */
export function Purpose({ scope }: { scope: string }): JSX.Element | null {
  const purpose = usePurpose(scope);
  const [open, setOpen] = useState(false);
  if (!purpose) return null;
  return (
    <p className="purpose">
      <span>{t("trace.purpose.now", { purpose })}</span> <Button className="link small" onPress={() => setOpen(true)}>{t("trace.purpose.change")}</Button>
      {open && <PurposeDialog scope={scope} change close={() => setOpen(false)} leave={() => setOpen(false)} />}
    </p>
  );
}

/** What is shown instead of an answer that is not there: the wait, the reason, or the question for a purpose. */
export function Answer({ asked, scope = LISTS }: { asked: Asked<unknown>; scope?: string }): JSX.Element {
  const shell = useShell();
  if (asked.wants) return <PurposeDialog scope={scope} close={() => void asked.reload()} leave={() => shell.go("/")} />;
  return <Waiting problem={asked.problem} />;
}

/** A share of one as a bar with its number. */
export function Probability({ value, label }: { value: number; label?: string }): JSX.Element {
  return (
    <span className="probability">
      <svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true"><rect width="100" height="8" rx="2" className="rail" /><rect width={Math.max(1.5, 100 * value)} height="8" rx="2" className="fill" /></svg>
      <b>{percent(value)}</b>{label && <span className="visually-hidden">{label}</span>}
    </span>
  );
}

/** A text of several lines under its label. */
export function Lines({ name, label, help, initial = "", required = false, rows = 3 }: { name: string; label: string; help?: string; initial?: string; required?: boolean; rows?: number }): JSX.Element {
  return (
    <label className="field"><span>{label}</span>
      <textarea name={name} rows={rows} defaultValue={initial} required={required} maxLength={2000} />
      {help && <small className="help">{help}</small>}
    </label>
  );
}
