import { X } from "lucide";
import { useEffect, useMemo, useRef, type JSX } from "react";
import { Button } from "react-aria-components";
import { clock, number } from "../format";
import { t } from "../i18n";
import { Icon } from "../ui/Icon";
import { useShell } from "../ui/page";
import { Override } from "./Override";
import { State } from "./parts";
import type { Risk, Stop, Van } from "./types";
import { lasting, told, word } from "./words";

/** How many stops a van can be sent to from here: the nearest. */
const MOST_STOPS = 40;

/** One van: its plan, and what the dispatcher can do with it. */
export function VanPanel({ van, stops, risks, close }: { van: Van; stops: readonly Stop[]; risks: readonly Risk[]; close: () => void }): JSX.Element {
  const shell = useShell();
  const panel = useRef<HTMLElement>(null);
  useEffect(() => panel.current?.scrollIntoView({ block: "nearest" }), []);
  const far = (stop: Stop): number => (stop.lon - van.lon) ** 2 + (stop.lat - van.lat) ** 2;
  const near = useMemo(() => [...stops].sort((a, b) => far(a) - far(b)).slice(0, MOST_STOPS).map((stop) => [stop.id, told(stop.name)] as const), [stops, van.id]);
  const risky = new Set(risks.filter((risk) => risk.van === van.id).map(({ request }) => request));
  const held = van.status === "held";
  const out = ["off", "broken", "out-of-service"].includes(van.status);
  return (
    <section ref={panel} className="van-panel" aria-label={t("ride.vanOf", { plate: van.plate })} onKeyDown={(event) => { if (event.key === "Escape") close(); }}>
      <header>
        <h2>{van.plate}</h2><State of="status" state={van.status} />
        <span>{t("ride.ofSeats", { aboard: number(van.aboard), seats: number(van.seats) })}{van.wheelchairs > 0 && ` · ${t("ride.wheelchairs", { count: number(van.wheelchairs) })}`}{van.driver && ` · ${van.driver}`}{van.reckoned && ` · ${t("ride.reckoned")}`}</span>
        <Button className="icon-button quiet" aria-label={t("ride.closeVan")} onPress={close}><Icon node={X} /></Button>
      </header>
      {van.plan.length === 0 ? <p className="hint">{t("ride.noPlan")}</p> : (
        <ol className="van-plan">
          {van.plan.map((one, index) => (
            <li key={index} data-risk={(one.request && risky.has(one.request)) || undefined}>
              <time dateTime={one.at}>{clock(one.at)}</time><span>{told(one.stop?.name)} <small>{word("action", one.kind)}</small></span>
              {(one.late_s ?? 0) > 60 && <b className="late">{t("ride.lateBy", { time: lasting(one.late_s!) })}</b>}
            </li>
          ))}
        </ol>
      )}
      {shell.may("ride.dispatch") && (
        <div className="row-buttons">
          {out ? <Override kind="back" about={van.plate} van={van.id} /> : (
            <>
              <Override kind={held ? "release" : "hold"} about={van.plate} van={van.id} />
              {near.length > 0 && <Override kind="stop-at" about={van.plate} van={van.id} stops={near} />}
              <Override kind="out-of-service" about={van.plate} van={van.id} />
            </>
          )}
        </div>
      )}
    </section>
  );
}
