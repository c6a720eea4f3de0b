import { lazy, Suspense, useCallback, useEffect, useState, type JSX } from "react";
import { I18nProvider } from "react-aria-components";
import { Problem, session as sessions } from "../api";
import { t, useLanguage } from "../i18n";
import { Model } from "../model";
import type { Session } from "../types";
import { SignIn, type DemoAccount } from "./SignIn";

// The map is most of the code, and is not needed to sign in.
const load = () => import("./Screen");
const Screen = lazy(async () => ({ default: (await load()).Screen }));

type Stage =
  | { at: "loading" }
  | { at: "signIn"; demo: DemoAccount[] }
  | { at: "failed"; reason: string }
  | { at: "ready"; session: Session; model: Model };

export function App(): JSX.Element {
  const language = useLanguage();
  const [stage, setStage] = useState<Stage>({ at: "loading" });

  const enter = useCallback(async () => {
    setStage({ at: "loading" });
    try {
      const session = await sessions.get();
      void load();
      const model = await Model.load();
      setStage({ at: "ready", session, model });
    } catch (error) {
      if (error instanceof Problem && error.status === 401) {
        setStage({ at: "signIn", demo: (error.document.demo_accounts as DemoAccount[] | undefined) ?? [] });
      } else setStage({ at: "failed", reason: error instanceof Error ? error.message : String(error) });
    }
  }, []);

  useEffect(() => void enter(), [enter]);
  useEffect(() => (stage.at === "ready" ? stage.model.follow(() => void enter()) : undefined), [stage, enter]);

  return (
    <I18nProvider locale={language}>
      {stage.at === "loading" && <Loading />}
      {stage.at === "failed" && (
        <main className="waiting">
          <h1>{t("app.failed")}</h1>
          <p role="alert">{stage.reason}</p>
          <button className="button primary" onClick={() => void enter()}>{t("app.retry")}</button>
        </main>
      )}
      {stage.at === "signIn" && <SignIn demo={stage.demo} done={() => void enter()} />}
      {stage.at === "ready" && (
        <Suspense fallback={<Loading />}>
          <Screen model={stage.model} session={stage.session} signedOut={() => void enter()} />
        </Suspense>
      )}
    </I18nProvider>
  );
}

function Loading(): JSX.Element {
  return (
    <main className="waiting" aria-busy="true">
      <span className="mark" aria-hidden="true" />
      <p role="status">{t("app.loading")}</p>
    </main>
  );
}
