import { useDeferredValue, useEffect, useMemo, useState, type JSX } from "react";
import { clock } from "../format";
import { t } from "../i18n";
import { Choice, FormDialog, Waiting } from "../office/parts";
import { reason } from "../problems";
import { useShell } from "../ui/page";
import { ask } from "./data";
import { Find, rowKeys, vanChoices } from "./DispatchPage";
import type { LiveFleet } from "./fleet";
import { Override } from "./Override";
import { State } from "./parts";
import { ACTIVE } from "./TripView";
import type { TripRow } from "./types";
import { at, lasting, party, told } from "./words";

const STATES = ["", "booked", "on-way", "arriving", "aboard", "broken", "done", "cancelled", "no-show", "refused", "expired"] as const;

/** Rides by state, name or number. Who rides is not in it. */
export function TripsTab({ fleet, select }: { fleet: LiveFleet; select: (van: string) => void }): JSX.Element {
  const shell = useShell();
  const acts = shell.may("ride.dispatch");
  const [query, setQuery] = useState("");
  const [state, setState] = useState<string>("");
  const wish = useDeferredValue(query.trim());
  const [trips, setTrips] = useState<TripRow[]>();
  const [problem, setProblem] = useState("");
  const [again, setAgain] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    const parameters = new URLSearchParams({ ...(state ? { state } : {}), ...(wish ? { q: wish } : {}) });
    ask<{ trips: TripRow[] }>(`/trips?${parameters}`, "GET", undefined, { signal: abort.signal }).then(
      ({ trips: found }) => { setTrips(found); setProblem(""); },
      (error: unknown) => { if (!abort.signal.aborted) setProblem(reason(error)); },
    );
    return () => abort.abort();
  }, [wish, state, fleet.version, again]);
  const choices = useMemo(() => vanChoices(fleet.vans), [fleet.vans]);
  const done = (): void => setAgain((count) => count + 1);
  return (
    <>
      <div className="side-tools">
        <Find label={t("ride.findTrip")} value={query} onChange={setQuery} />
        <Choice name="state" label={t("ride.statusLabel")} value={state} onChange={setState} options={STATES.map((one) => [one, one ? t(`ride.state.${one}`) : t("ride.allStates")] as const)} />
      </div>
      {problem && <p role="alert" className="problem">{problem}</p>}
      {!trips ? <Waiting problem="" /> : trips.length === 0 ? <p className="hint">{t("ride.noneFound")}</p> : (
        <ul className="dispatch-trips" onKeyDown={rowKeys}>
          {trips.map((trip) => {
            const { van } = trip;
            const way = [trip.from.stop, trip.to.stop].map((stop) => told(stop?.name, "–")).join(" → ");
            const short = trip.id.slice(-8);
            return (
              <li key={trip.id}>
                <div>
                  <h3><code>{short}</code>{trip.alias && <> {told(trip.alias)}</>} <State of="state" state={trip.state} /></h3>
                  <p>{way}</p>
                  <p className="trip-line">{promised(trip)} · {party(trip.seats, trip.wheelchairs)}{(trip.late_s ?? 0) > 60 && <> · <b className="late">{t("ride.lateBy", { time: lasting(trip.late_s!) })}</b></>}</p>
                </div>
                <div className="row-buttons">
                  {van && <button type="button" className="button small" data-row="" aria-label={t("ride.showVan", { plate: van.plate })} onClick={() => select(van.id)}>{van.plate}</button>}
                  {acts && <Who id={trip.id} short={short} />}
                  {acts && ACTIVE.has(trip.state) && trip.state !== "offered" && trip.state !== "aboard" && (
                    <>
                      <Override kind="assign" about={short} request={trip.id} vans={choices.filter(([id]) => id !== van?.id)} done={done} />
                      {van && <Override kind="unassign" about={short} request={trip.id} done={done} />}
                      <Override kind="cancel" about={short} request={trip.id} done={done} />
                    </>
                  )}
                </div>
              </li>
            );
          })}
        </ul>
      )}
    </>
  );
}

/** What was promised and is expected, in a few words; when it was asked for where nothing was. */
function promised({ promise, expected, made_at: made }: TripRow): string {
  if (!promise) return t("ride.askedAt", { time: at(made) });
  return [t("ride.promised", { time: at(promise) }), ...(expected ? [t("ride.expected", { time: clock(expected) })] : [])].join(", ");
}

/** Says who a rider is to a dispatcher who says what for; the audit trail has both. */
function Who({ id, short }: { id: string; short: string }): JSX.Element {
  return (
    <FormDialog
      open={t("ride.who")} about={short} title={t("ride.whoTitle")} help={t("ride.whoHelp")} submit={t("ride.who")} fields={[{ name: "purpose", label: t("ride.purpose") }]}
      run={async (data) => {
        const { name, phone } = await ask<{ name?: string; phone?: string }>(`/trips/${encodeURIComponent(id)}/person`, "GET", undefined, { purpose: String(data.get("purpose")).trim() });
        return <p>{[name, phone].filter(Boolean).join(", ") || t("ride.nobodyKnown")}</p>;
      }}
    />
  );
}
