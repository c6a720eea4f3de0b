import { useState, type FormEvent, type JSX } from "react";
import { Button, Form, Input, Label, Text as Help, TextField } from "react-aria-components";
import { api } from "../api";
import { t } from "../i18n";
import { LanguageButtons } from "../ui/Menu";
import { reason } from "./data";

/** Where a one-time set-up link leads: its token is in the fragment, which is never sent with a request. */
export function Setup(): JSX.Element {
  const [token] = useState(() => location.hash.slice(1));
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);

  async function submit(event: FormEvent<HTMLFormElement>): Promise<void> {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    if (data.get("password") !== data.get("again")) {
      setProblem(t("setup.differ"));
      return;
    }
    setBusy(true);
    setProblem("");
    const name = String(data.get("name") ?? "").trim();
    try {
      await api.post("/api/setup", { token, password: data.get("password"), ...(name ? { name } : {}) });
      location.replace("/account");
    } catch (error) {
      setProblem(reason(error));
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
            <TextField name="name" autoFocus>
              <Label>{t("sign.name")}</Label>
              <Input autoComplete="username" />
              <Help slot="description" className="help">{t("setup.nameHelp")}</Help>
            </TextField>
            <TextField name="password" type="password" isRequired>
              <Label>{t("account.newPassword")}</Label>
              <Input autoComplete="new-password" />
              <Help slot="description" className="help">{t("account.passwordHelp")}</Help>
            </TextField>
            <TextField name="again" type="password" isRequired>
              <Label>{t("setup.again")}</Label>
              <Input autoComplete="new-password" />
            </TextField>
            <p role="alert" className="problem">{problem}</p>
            <Button type="submit" className="button primary" isDisabled={busy}>{t("setup.submit")}</Button>
          </Form>
        ) : <p className="problem" role="alert">{t("setup.noToken")}</p>}
        <LanguageButtons />
      </div>
    </main>
  );
}
