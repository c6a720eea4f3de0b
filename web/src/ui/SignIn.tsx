import { useEffect, useState, type FormEvent, type JSX } from "react";
import { Button, Form, Input, Label, TextField } from "react-aria-components";
import { api, Problem, session } from "../api";
import { t, text } from "../i18n";
import type { Text } from "../types";
import { LanguageButtons } from "./Menu";

export interface DemoAccount {
  name: string;
  password: string;
  role?: string;
}

export function SignIn({ demo, done }: { demo: DemoAccount[]; done: () => void }): JSX.Element {
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const [city, setCity] = useState<Text>();

  useEffect(() => {
    api.get<{ name: Text }>("/api/shell/v1/city").then((answer) => setCity(answer.name), () => undefined);
  }, []);

  async function open(name: string, password: string): Promise<void> {
    setBusy(true);
    setProblem("");
    try {
      await session.open(name, password);
      done();
    } catch (error) {
      setBusy(false);
      setProblem(error instanceof Problem && error.status === 401 ? t("sign.wrong") : t("sign.failed", { reason: (error as Error).message }));
    }
  }

  function submit(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    void open(String(data.get("name")), String(data.get("password")));
  }

  return (
    <main className="sign-in">
      <div className="card">
        <span className="mark" aria-hidden="true" />
        <p className="eyebrow">{t("app.centre")}</p>
        <h1>{text(city, "Hanmaru")}</h1>
        <Form onSubmit={submit}>
          <TextField name="name" isRequired autoFocus>
            <Label>{t("sign.name")}</Label>
            <Input autoComplete="username" />
          </TextField>
          <TextField name="password" type="password" isRequired>
            <Label>{t("sign.password")}</Label>
            <Input autoComplete="current-password" />
          </TextField>
          <p role="alert" className="problem">{problem}</p>
          <Button type="submit" className="button primary" isDisabled={busy}>{t("sign.submit")}</Button>
        </Form>
        {demo.length > 0 && (
          <section aria-label={t("sign.demo")} className="demo">
            <h2>{t("sign.demo")}</h2>
            {demo.map((account) => (
              <Button key={account.name} className="button" isDisabled={busy} onPress={() => void open(account.name, account.password)}>
                {t("sign.demoAs", { name: account.name })}
              </Button>
            ))}
          </section>
        )}
        <LanguageButtons />
      </div>
    </main>
  );
}
