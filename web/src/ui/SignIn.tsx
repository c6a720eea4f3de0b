import { useEffect, useState, type FormEvent, type JSX } from "react";
import { Button, Form, Input, Label, Text as Help, TextField } from "react-aria-components";
import { api, Problem, session } from "../api";
import { t, text } from "../i18n";
import { passkeysWork, usePasskey } from "../passkeys";
import type { Text } from "../types";
import { LanguageButtons } from "./Menu";

export interface DemoAccount {
  name: string;
  password: string;
  role?: string;
}

/** The ways to sign in that the server offers. */
export interface Ways {
  password: boolean;
  passkey: boolean;
  oidc: { title: string } | null;
}

export function SignIn({ demo, ways, done }: { demo: DemoAccount[]; ways: Ways; done: () => void }): JSX.Element {
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const [city, setCity] = useState<Text>();
  /** Name and password that were right, while the second factor is asked for. */
  const [first, setFirst] = useState<{ name: string; password: string }>();

  useEffect(() => {
    api.get<{ name: Text }>("/api/shell/v1/city").then((answer) => setCity(answer.name), () => undefined);
  }, []);

  async function attempt(work: () => Promise<unknown>): Promise<void> {
    setBusy(true);
    setProblem("");
    try {
      await work();
      done();
    } catch (error) {
      setBusy(false);
      setProblem(said(error));
    }
  }

  async function open(name: string, password: string, code?: string): Promise<void> {
    await attempt(async () => {
      try {
        await session.open(name, password, code);
      } catch (error) {
        if (!code && error instanceof Problem && Array.isArray(error.document.second_factor)) setFirst({ name, password });
        throw error;
      }
    });
  }

  function submit(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    if (first) void open(first.name, first.password, String(data.get("code")).trim());
    else void open(String(data.get("name")), String(data.get("password")));
  }

  function passkey(): void {
    void attempt(async () => {
      const options = await api.post<PublicKeyCredentialRequestOptionsJSON>("/api/session/passkey/options", {});
      await api.post("/api/session/passkey", await usePasskey(options));
    });
  }

  return (
    <main className="sign-in">
      <div className="card">
        <span className="mark" aria-hidden="true" />
        <p className="eyebrow">{t("app.centre")}</p>
        <h1>{text(city, "Hanmaru")}</h1>
        <Form onSubmit={submit}>
          {first ? (
            <TextField key="code" name="code" isRequired autoFocus>
              <Label>{t("sign.code")}</Label>
              <Input autoComplete="one-time-code" inputMode="text" autoCapitalize="off" spellCheck={false} />
              <Help slot="description" className="help">{t("sign.codeHelp")}</Help>
            </TextField>
          ) : (
            <>
              <TextField name="name" isRequired autoFocus>
                <Label>{t("sign.name")}</Label>
                <Input autoComplete="username webauthn" />
              </TextField>
              <TextField name="password" type="password" isRequired>
                <Label>{t("sign.password")}</Label>
                <Input autoComplete="current-password" />
              </TextField>
            </>
          )}
          <p role="alert" className="problem">{problem}</p>
          <Button type="submit" className="button primary" isDisabled={busy}>{t(first ? "sign.confirm" : "sign.submit")}</Button>
          {first && <Button className="button" onPress={() => { setFirst(undefined); setProblem(""); }}>{t("sign.back")}</Button>}
          {!first && ways.passkey && passkeysWork && <Button className="button" isDisabled={busy} onPress={passkey}>{t("sign.passkey")}</Button>}
          {!first && ways.oidc && (
            <a className="button" href={`/login/oidc?next=${encodeURIComponent(location.pathname)}`}>{t("sign.with", { name: ways.oidc.title })}</a>
          )}
        </Form>
        {demo.length > 0 && !first && (
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

function said(error: unknown): string {
  if (!(error instanceof Problem)) return error instanceof DOMException ? t("sign.cancelled") : t("sign.failed", { reason: String(error) });
  if (Array.isArray(error.document.second_factor)) return "";
  if (error.status === 401) return t("sign.wrong");
  if (error.status === 429 || error.status === 423) return t("sign.wait", { seconds: String(error.document.retry_after_s ?? "") });
  return t("sign.failed", { reason: error.message });
}
