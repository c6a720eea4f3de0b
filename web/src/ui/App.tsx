import { lazy, Suspense, useCallback, useEffect, useState, type JSX } from "react";
import { I18nProvider } from "react-aria-components";
import { Problem, session as sessions } from "../api";
import { t, useLanguage } from "../i18n";
import { Model } from "../model";
import type { Session } from "../types";
import { SignIn, type DemoAccount, type Ways } from "./SignIn";

// The map is most of the code, and is not needed to sign in.
const load = () => import("./Screen");
const Screen = lazy(async () => ({ default: (await load()).Screen }));
const Office = lazy(async () => ({ default: (await import("../office/Office")).Office }));
const RoomPage = lazy(async () => ({ default: (await import("./RoomPage")).RoomPage }));
const Setup = lazy(async () => ({ default: (await import("../office/Setup")).Setup }));

type Stage =
  | { at: "loading" }
  | { at: "signIn"; demo: DemoAccount[]; ways: Ways }
  | { at: "failed"; reason: string }
  | { at: "office" | "page"; session: Session }
  | { at: "ready"; session: Session; model: Model };

/** The page that the address asks for: the map, the office behind it, a service's page, or the set-up that a link leads to. */
export function App(): JSX.Element {
  const language = useLanguage();
  if (location.pathname !== "/setup") return <Signed />;
  return <I18nProvider locale={language}><Suspense fallback={<Loading />}><Setup /></Suspense></I18nProvider>;
}

function Signed(): JSX.Element {
  const language = useLanguage();
  const [stage, setStage] = useState<Stage>({ at: "loading" });

  const enter = useCallback(async () => {
    setStage({ at: "loading" });
    try {
      const session = await sessions.get();
      if (location.pathname !== "/") {
        setStage({ at: /^\/(account|manage)(\/|$)/.test(location.pathname) ? "office" : "page", session });
        return;
      }
      void load();
      const model = await Model.load();
      setStage({ at: "ready", session, model });
    } catch (error) {
      if (error instanceof Problem && error.status === 401) {
        const { demo_accounts: demo, ways } = error.document as { demo_accounts?: DemoAccount[]; ways?: Ways };
        setStage({ at: "signIn", demo: demo ?? [], ways: ways ?? { password: true, passkey: false, oidc: null } });
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
      {stage.at === "signIn" && <SignIn demo={stage.demo} ways={stage.ways} done={() => void enter()} />}
      {stage.at === "office" && (
        <Suspense fallback={<Loading />}>
          <Office session={stage.session} signedOut={() => void enter()} />
        </Suspense>
      )}
      {stage.at === "page" && (
        <Suspense fallback={<Loading />}>
          <RoomPage session={stage.session} signedOut={() => void enter()} />
        </Suspense>
      )}
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
