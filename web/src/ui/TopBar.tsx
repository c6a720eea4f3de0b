import { useEffect, useState, type JSX } from "react";
import { age, clock, day, now } from "../format";
import { t, text } from "../i18n";
import { connection, lastFrame } from "../live";
import type { Model } from "../model";
import { useValue } from "../state";
import type { Session } from "../types";
import { Menu } from "./Menu";
import { Search } from "./Search";

export function TopBar({ model, session, signedOut }: { model: Model; session: Session; signedOut: () => void }): JSX.Element {
  return (
    <header className="top">
      <div className="brand">
        <span className="mark" aria-hidden="true" />
        <div>
          <h1>{text(model.manifest.city.name, "Hanmaru")}</h1>
          <p>{t("app.centre")}</p>
        </div>
      </div>
      <Search model={model} />
      <div className="top-end">
        <Clock />
        <ConnectionState />
        <Menu session={session} signedOut={signedOut} />
      </div>
    </header>
  );
}

/** Renders again every `ms` milliseconds. */
export function useTick(ms: number): void {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((count) => count + 1), ms);
    return () => clearInterval(timer);
  }, [ms]);
}

function Clock(): JSX.Element {
  useTick(5000);
  return <time className="clock" dateTime={new Date(now()).toISOString()}><span>{day(now())}</span> <b>{clock(now())}</b></time>;
}

function ConnectionState(): JSX.Element {
  const state = useValue(connection);
  const last = useValue(lastFrame);
  useTick(5000);
  return (
    <div className="connection" data-state={state} role="status" title={last ? t("live.last", { age: age(last) }) : undefined}>
      <span className="lamp" aria-hidden="true" />
      <span className="connection-text">{t(`live.${state}`)}</span>
    </div>
  );
}
