import { useState, type FormEvent, type JSX } from "react";
import { Button, Form } from "react-aria-components";
import { api } from "../api";
import { t } from "../i18n";
import { reason } from "../problems";
import { Field } from "../ui/Field";
import { LanguageButtons } from "../ui/Menu";

/** Where a one-time set-up link leads: its token is in the fragment, which is never sent with a request. */
export function Setup(): JSX.Element {
  const [token] = useState(() => location.hash.slice(1));
  const [failure, setFailure] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const [password, setPassword] = useState("");

  async function submit(event: FormEvent<HTMLFormElement>): Promise<void> {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    setBusy(true);
    setFailure(undefined);
    const name = String(data.get("name") ?? "").trim();
    try {
      await api.post("/api/setup", { token, password: data.get("password"), ...(name ? { name } : {}) });
      location.replace("/account");
    } catch (error) {
      setFailure(error);
      setBusy(false);
    }
  }

  return (
    <main className="sign-in">
      <div className="card">
        <span className="mark" aria-hidden="true" />
        <h1>{t("setup.title")}</h1>
        {token ? (
          <Form onSubmit={(event) => void submit(event as FormEvent<HTMLFormElement>)}>
            <p className="help">{t("setup.help")}</p>
            <Field name="name" label={t("sign.name")} autoComplete="username" help={t("setup.nameHelp")} optional autoFocus />
            <Field name="password" type="password" label={t("account.newPassword")} autoComplete="new-password" help={t("account.passwordHelp")} onChange={setPassword} />
            <Field name="again" type="password" label={t("setup.again")} autoComplete="new-password" check={(again) => (again === password ? undefined : t("setup.differ"))} />
            <p role="alert" className="problem">{failure === undefined ? "" : reason(failure)}</p>
            <Button type="submit" className="button primary" isDisabled={busy}>{t("setup.submit")}</Button>
          </Form>
        ) : <p className="problem" role="alert">{t("setup.noToken")}</p>}
        <LanguageButtons />
      </div>
    </main>
  );
}
