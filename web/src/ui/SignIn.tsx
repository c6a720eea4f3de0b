import { useEffect, useState, type FormEvent, type JSX } from "react";
import { Button, Form } from "react-aria-components";
import { api, Problem, session } from "../api";
import { hasMessage, t, text } from "../i18n";
import { passkeysWork, usePasskey } from "../passkeys";
import { reason } from "../problems";
import type { Text } from "../types";
import { Field } from "./Field";
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
  const [failure, setFailure] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const [city, setCity] = useState<Text>();
  /** Name and password that were right, while the second factor is asked for. */
  const [first, setFirst] = useState<{ name: string; password: string; ways: string[] }>();

  useEffect(() => {
    api.get<{ name: Text }>("/api/shell/v1/city").then((answer) => setCity(answer.name), () => undefined);
  }, []);

  async function attempt(work: () => Promise<unknown>): Promise<void> {
    setBusy(true);
    setFailure(undefined);
    try {
      await work();
      done();
    } catch (error) {
      setBusy(false);
      setFailure(error);
    }
  }

  async function open(name: string, password: string, code?: string): Promise<void> {
    await attempt(async () => {
      try {
        await session.open(name, password, code);
      } catch (error) {
        const ways = error instanceof Problem && error.document.second_factor;
        if (!code && Array.isArray(ways)) setFirst({ name, password, ways: ways.map(String) });
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
            <Field
              key="code" name="code" label={t("sign.code")} help={t(first.ways.includes("totp") ? "sign.codeHelp" : "sign.recoveryHelp")}
              autoComplete="one-time-code" autoCapitalize="off" spellCheck={false} autoFocus
            />
          ) : (
            <>
              <Field key="name" name="name" label={t("sign.name")} autoComplete="username webauthn" autoCapitalize="off" spellCheck={false} autoFocus />
              <Field key="password" name="password" type="password" label={t("sign.password")} autoComplete="current-password" />
            </>
          )}
          <p role="alert" className="problem">{said(failure)}</p>
          <Button type="submit" className="button primary" isDisabled={busy}>{t(first ? "sign.confirm" : "sign.submit")}</Button>
          {passkeysWork && (first ? first.ways.includes("passkey") : ways.passkey) && <Button className="button" isDisabled={busy} onPress={passkey}>{t("sign.passkey")}</Button>}
          {first && <Button className="button" onPress={() => { setFirst(undefined); setFailure(undefined); }}>{t("sign.back")}</Button>}
          {!first && ways.oidc && (
            <a className="button" href={`/login/oidc?next=${encodeURIComponent(location.pathname)}`}>{t("sign.with", { name: ways.oidc.title })}</a>
          )}
        </Form>
        {demo.length > 0 && !first && (
          <section aria-label={t("sign.demo")} className="demo">
            <h2>{t("sign.demo")}</h2>
            <div>
              {demo.map(({ name, password, role = name }) => {
                const title = hasMessage(`role.${role}`) ? t(`role.${role}`) : role.replace(/^./, (first) => first.toUpperCase());
                return <Button key={name} className="button" isDisabled={busy} aria-label={t("sign.demoAs", { name: title })} onPress={() => void open(name, password)}>{title}</Button>;
              })}
            </div>
          </section>
        )}
        <LanguageButtons />
      </div>
    </main>
  );
}

function said(failure: unknown): string {
  // That a code is asked for is not a failure: the form asks for it now.
  if (failure === undefined || (failure instanceof Problem && failure.title === "Second factor needed")) return "";
  return reason(failure);
}
