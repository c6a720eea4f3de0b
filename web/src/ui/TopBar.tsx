import { useEffect, useState, type JSX } from "react";
import { age, clock, day, now } from "../format";
import { t, text } from "../i18n";
import { connection, lastFrame } from "../live";
import type { Model } from "../model";
import { useValue } from "../state";
import { useLoaded } from "../office/data";
import type { Mine, Session } from "../types";
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
        <Desks model={model} />
      </div>
      <Search model={model} />
      <div className="top-end">
        <Clock />
        <ConnectionState model={model} />
        <Menu session={session} signedOut={signedOut} />
      </div>
    </header>
  );
}

/** The centre's other screens, as far as policy opens them to the viewer; narrow screens have them in the menu. */
function Desks({ model }: { model: Model }): JSX.Element | null {
  const { data: mine } = useLoaded<Mine>("/api/policy/v1/mine");
  const open = model.manifest.pages.filter(({ service, permission }) => service === "centre" && mine?.actions.includes(permission));
  return open.length === 0 ? null : (
    <nav className="room-nav desks" aria-label={t("app.centre")}>
      {open.map((page) => <a key={page.id} href={page.path}>{text(page.title)}</a>)}
    </nav>
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

function ConnectionState({ model }: { model: Model }): JSX.Element {
  const reached = useValue(connection);
  const past = useValue(model.source).kind === "replay";
  const state = past && reached === "live" ? "past" : reached;
  const last = useValue(lastFrame);
  useTick(5000);
  return (
    <div className="connection" data-state={state} role="status" title={last ? t("live.last", { age: age(last) }) : undefined}>
      <span className="lamp" aria-hidden="true" />
      <span className="connection-text">{t(state === "past" ? "centre.replay.isPast" : `live.${state}`)}</span>
    </div>
  );
}
