import type { InputHTMLAttributes, JSX } from "react";
import { FieldError, Input, Label, Text as Help, TextField, type InputProps } from "react-aria-components";
import { t } from "../i18n";

/** A text field with its label, what it is for, and what is wrong with it, where it is. */
export function Field({ name, label, help, optional = false, type = "text", initial = "", autoFocus = false, check, onChange, ...input }: {
  name: string;
  label: string;
  help?: string | undefined;
  optional?: boolean | undefined;
  type?: string | undefined;
  initial?: string | undefined;
  autoFocus?: boolean | undefined;
  /** Says what is wrong with a value that is there, or nothing. */
  check?: ((value: string) => string | undefined) | undefined;
  onChange?: ((value: string) => void) | undefined;
} & Pick<InputHTMLAttributes<HTMLInputElement>, "autoComplete" | "inputMode" | "autoCapitalize" | "spellCheck" | "placeholder" | "list" | "min" | "max">): JSX.Element {
  return (
    <TextField
      name={name} type={type} isRequired={!optional} autoFocus={autoFocus} defaultValue={initial}
      onChange={(value) => onChange?.(value)} validate={(value) => (value && check?.(value)) || null}
    >
      <Label>{label}</Label>
      <Input autoComplete="off" {...(input as InputProps)} />
      {help && <Help slot="description" className="help">{help}</Help>}
      <FieldError className="problem">
        {({ validationDetails, validationErrors }) => (validationDetails.valueMissing ? t("office.required") : validationErrors.join(" "))}
      </FieldError>
    </TextField>
  );
}
