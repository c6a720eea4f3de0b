import { useState, type FormEvent, type JSX } from "react";
import { Button, Form } from "react-aria-components";
import { t } from "../../i18n";
import { reason } from "../../problems";
import { Field } from "../../ui/Field";
import { useTitle } from "../../ui/page";
import { ask } from "./data";
import type { Me } from "./types";

/** Who somebody is, asked once: a value is judged by age and sex. */
export function Register({ me, done }: { me: Me; done: () => Promise<void> }): JSX.Element {
  useTitle(t("health.title"));
  return (
    <div className="health-part">
      <h1>{t("health.welcome")}</h1>
      <p>{t("health.welcomeHelp")}</p>
      <AboutMe me={me} submit={t("health.begin")} done={done} />
    </div>
  );
}

export function AboutMe({ me, submit, done }: { me: Me; submit: string; done: () => Promise<void> | void }): JSX.Element {
  const [failure, setFailure] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  async function send(event: FormEvent<HTMLFormElement>): Promise<void> {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    const said = (name: string): string => String(data.get(name) ?? "").trim();
    setBusy(true);
    setFailure(undefined);
    try {
      await ask("", "POST", { name: said("name"), birth_date: said("birth_date"), sex: said("sex"), phone: said("phone") });
      await done();
    } catch (error) {
      setFailure(error);
    } finally {
      setBusy(false);
    }
  }
  return (
    <Form className="about-me" onSubmit={(event) => void send(event as FormEvent<HTMLFormElement>)}>
      <Field name="name" label={t("health.name")} initial={me.name} autoComplete="name" />
      <Field name="birth_date" label={t("health.birthDate")} type="date" initial={me.birth_date} autoComplete="bday" min="1900-01-01" max={new Date().toISOString().slice(0, 10)} />
      <label className="field"><span>{t("health.sex")}</span>
        <select name="sex" defaultValue={me.sex} required>
          {!me.sex && <option value="">{t("health.choose")}</option>}
          {["female", "male"].map((sex) => <option key={sex} value={sex}>{t(`health.value.${sex}`)}</option>)}
        </select>
      </label>
      <p className="help">{t("health.sexHelp")}</p>
      <Field name="phone" label={t("health.phone")} help={t("health.phoneHelp")} type="tel" initial={me.phone} optional autoComplete="tel" inputMode="tel" />
      <p role="alert" className="problem">{failure === undefined ? "" : reason(failure)}</p>
      <Button type="submit" className="button primary big" isDisabled={busy}>{submit}</Button>
    </Form>
  );
}
