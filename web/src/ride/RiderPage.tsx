import { History, X } from "lucide";
import { useCallback, useEffect, useMemo, useRef, useState, type JSX } from "react";
import { Button } from "react-aria-components";
import { setServerNow } from "../format";
import { t } from "../i18n";
import { useLoaded } from "../office/data";
import { FormDialog, Waiting } from "../office/parts";
import { reason } from "../problems";
import { Icon } from "../ui/Icon";
import { To, useShell, useTitle } from "../ui/page";
import { ask, keep, kept, ROOT, uuid } from "./data";
import { useLasting } from "./lasting";
import { collection, EMPTY, line, point, type Drawn } from "./map";
import { MapView } from "./MapView";
import { LineState, State } from "./parts";
import { body, draftOf, newDraft, Planner, type Draft } from "./Planner";
import { useStream } from "./stream";
import { ACTIVE, TripView } from "./TripView";
import type { LonLat, Offer, Place, ServiceInfo, Stop, Trip } from "./types";
import { at, money, told, way } from "./words";

const DRAFT = "hanmaru.ride.draft";
/** Half the side of the box that the nearest stop is sought in, in degrees: about 600 m. */
const NEAR = 0.006;
const STOPS_MS = 250;
const AGAIN_MS = 2_000;

/** Calls rides: the plan, the offers, the ride under way, and the ones before. */
export function RiderPage({ part }: { part: string }): JSX.Element {
  const { data: service, problem, reload } = useLoaded<ServiceInfo>(`${ROOT}/service`);
  // A dispatcher that has just been started answers in a moment.
  useEffect(() => {
    if (service || !problem) return undefined;
    const timer = setTimeout(() => void reload(), AGAIN_MS);
    return () => clearTimeout(timer);
  });
  useLasting("app/ride");
  useEffect(() => void (service && setServerNow(Date.parse(service.now) / 1000)), [service]);
  if (!service) return <div className="rider-alone"><Waiting problem={problem} /></div>;
  return <Rider service={service} part={part} />;
}

function Rider({ service, part }: { service: ServiceInfo; part: string }): JSX.Element {
  const shell = useShell();
  const [trips, setTrips] = useState<ReadonlyMap<string, Trip>>();
  const [problem, setProblem] = useState("");
  const put = useCallback((...some: Trip[]) => setTrips((before) => new Map([...(before ?? []), ...some.map((one) => [one.id, one] as const)])), []);
  const { line: state, lostAt } = useStream("/requests/live", { trip: (trip: Trip) => put(trip) });
  useEffect(() => {
    // Anew whenever the line is back: what ended meanwhile is in no event any more.
    if (state === "lost") return;
    ask<{ trips: Trip[] }>("/requests").then(({ trips: all }) => { put(...all); setProblem(""); }, (error: unknown) => setProblem(reason(error)));
  }, [put, state]);

  const [draft, setDraft] = useState<Draft>(() => kept(DRAFT, newDraft(), sessionStorage));
  const change = (to: Partial<Draft>): void => setDraft((before) => ({ ...before, ...to }));
  useEffect(() => void keep(DRAFT, draft, sessionStorage), [draft]);
  const [shown, setShown] = useState<string | null>(null);
  const [picking, setPicking] = useState<"from" | "to" | null>(null);
  const [looked, setLooked] = useState<Offer | null>(null);

  const all = useMemo(() => [...(trips?.values() ?? [])].sort((a, b) => Date.parse(b.made_at) - Date.parse(a.made_at)), [trips]);
  const active = all.find(({ state: one }) => ACTIVE.has(one));
  useEffect(() => {
    if (active) setShown((before) => before ?? active.id);
  }, [active]);
  const trip = part === "trips" || part === "new" ? undefined : (trips?.get(part || (shown ?? "")) ?? undefined);
  const refused = trip?.state === "refused" ? trip : null;
  const current = refused ? undefined : trip;
  const [middle, setMiddle] = useState<LonLat>(shell.city.centre);
  const { stops, nearest } = useStops(middle, Boolean(picking));
  useTitle(part === "trips" ? t("ride.history") : current ? t("ride.yourRide") : t("ride.whereTo"));

  const sent = useRef({ what: "", key: "" });
  async function send(wish: Draft): Promise<void> {
    const asked = body(wish, service);
    if (!asked) return;
    const same = JSON.stringify(asked);
    if (sent.current.what !== same) sent.current = { what: same, key: uuid() };
    const made = await ask<Trip>("/requests", "POST", asked, { key: sent.current.key });
    sent.current = { what: "", key: "" };
    put(made);
    setShown(made.id);
    setLooked(made.offers?.[0] ?? null);
    if (part) shell.go("/app/ride");
  }
  async function post(id: string, what: string, with_: { offer?: string; reason?: string } = {}): Promise<void> {
    put(await ask<Trip>(`/requests/${encodeURIComponent(id)}/${what}`, "POST", with_, { key: `${what}-${with_.offer ?? id}` }));
  }
  function leave(): void {
    if (current?.state === "offered") void post(current.id, "decline").catch(() => undefined);
    setShown(null);
    setLooked(null);
    if (part) shell.go("/app/ride");
    if (current && current.state !== "offered") setDraft(newDraft());
  }
  function askAgain(): void {
    if (!current) return;
    const wish = draftOf(current);
    setDraft(wish);
    if (current.state === "offered" || current.state === "broken" || current.state === "expired") send(wish).catch((error: unknown) => setProblem(reason(error)));
    else { setShown(null); shell.go("/app/ride/new"); }
  }

  const recent = useMemo(() => {
    const found = new Map<string, Place>();
    for (const { from, to } of all) for (const place of [to, from]) if (place.label) found.set(place.label, place);
    return [...found.values()];
  }, [all]);
  const drawn = useDrawn(service, stops, picking ? undefined : current, picking || current ? null : draft, looked);
  const fit = useMemo(() => fitted(current, draft), [current, draft]);
  const fitKey = picking ? undefined : current ? `${current.id} ${current.state} ${current.van ? "van" : ""}` : `${draft.from?.lon} ${draft.to?.lon}`;
  const [goTo, setGoTo] = useState<{ at: LonLat; zoom?: number } | null>(null);

  function pick(end: "from" | "to", from?: LonLat): void {
    setPicking(end);
    const place = draft[end];
    const start = from ?? (place ? [place.lon, place.lat] as const : undefined);
    if (start) setGoTo({ at: start, zoom: 16 });
    else setGoTo({ at: middle, zoom: 15 });
  }

  if (part === "trips") return <Trips trips={all} again={(one) => { setDraft(draftOf(one)); setShown(null); shell.go("/app/ride/new"); }} />;
  return (
    <div className="rider" data-picking={picking ?? undefined} data-trip={current?.state} data-van={current?.van ? `${current.van.lon},${current.van.lat}` : undefined}>
      <MapView
        drawn={drawn} fit={fit} goTo={goTo} {...(fitKey !== undefined ? { fitKey } : {})}
        heard={{
          moved: setMiddle,
          tapped: (place) => { if (picking) setGoTo({ at: place }); else if (!current) pick(draft.from ? "to" : "from", place); },
        }}
      >
        {picking && <span className="centre-pin" data-end={picking} aria-hidden="true" />}
      </MapView>
      <section className="rider-panel" aria-label={t("ride.panel")}>
        <LineState line={state} lostAt={lostAt} />
        {problem && <p role="alert" className="problem">{problem}</p>}
        {picking ? (
          <div className="picking">
            <header><h1>{t(`ride.pick.${picking}`)}</h1><Button className="icon-button quiet" aria-label={t("office.cancel")} onPress={() => setPicking(null)}><Icon node={X} /></Button></header>
            <p role="status">{nearest ? t("ride.nearStop", { stop: told(nearest.name) }) : t("ride.pickHelp")}</p>
            <div className="thumb">
              <Button
                className="button primary big" autoFocus
                onPress={() => { change({ [picking]: { lon: middle[0], lat: middle[1], label: nearest ? t("ride.nearStop", { stop: told(nearest.name) }) : t("ride.somewhere") } }); setPicking(null); }}
              >
                {t(`ride.pickHere.${picking}`)}
              </Button>
            </div>
          </div>
        ) : current ? (
          <TripView
            key={current.id} trip={current} show={setLooked} leave={leave} again={askAgain}
            accept={(offer) => post(current.id, "accept", { offer: offer.id })}
            cancel={(because) => post(current.id, "cancel", because ? { reason: because } : {})}
          />
        ) : trips || problem ? (
          <>
            {active && <p className="ride-note"><To path="/app/ride">{t("ride.backToRide")}</To></p>}
            <Planner draft={draft} service={service} recent={recent} refused={refused} change={change} pick={pick} send={() => send(draft)} />
            {all.length > 0 && <p className="to-history"><Icon node={History} size={16} /><To path="/app/ride/trips">{t("ride.history")}</To></p>}
          </>
        ) : <p role="status" className="hint">{t("office.loading")}</p>}
      </section>
    </div>
  );
}

/** The rides so far, newest first. */
function Trips({ trips, again }: { trips: readonly Trip[]; again: (trip: Trip) => void }): JSX.Element {
  return (
    <div className="sheet-page trips-page">
      <header className="page-head"><h1>{t("ride.history")}</h1><span className="row-buttons"><Me /><To path="/app/ride" className="button">{t("ride.back")}</To></span></header>
      {trips.length === 0 && <p className="hint">{t("ride.noTrips")}</p>}
      <ul className="trip-list">
        {trips.map((trip) => (
          <li key={trip.id}>
            <div>
              <h2><To path={`/app/ride/${encodeURIComponent(trip.id)}`}>{way(trip)}</To></h2>
              <p><time dateTime={trip.made_at}>{at(trip.made_at)}</time>{trip.fare && ` · ${money(trip.fare)}`}</p>
            </div>
            <State of="state" state={trip.state} />
            <Button className="button small" aria-label={t("ride.againFrom", { way: way(trip) })} onPress={() => again(trip)}>{t("ride.again")}</Button>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** Who the rider is, as far as they say: only a dispatcher with a reason sees it. */
function Me(): JSX.Element {
  const { data: me, reload } = useLoaded<{ name?: string; phone?: string }>(`${ROOT}/me`);
  return (
    <FormDialog
      open={t("ride.me")} title={t("ride.me")} help={t("ride.meHelp")} submit={t("ride.save")} done={reload}
      fields={[{ name: "name", label: t("ride.me.name"), initial: me?.name ?? "", optional: true, autoComplete: "name" }, { name: "phone", label: t("ride.me.phone"), type: "tel", initial: me?.phone ?? "", optional: true, autoComplete: "tel" }]}
      run={async (data) => void (await ask("/me", "PUT", { name: String(data.get("name")).trim(), phone: String(data.get("phone")).trim() }))}
    />
  );
}

/** The stops around a place, and the nearest of them, while they are asked for. */
function useStops(middle: LonLat, wanted: boolean): { stops: readonly Stop[]; nearest: Stop | undefined } {
  const [stops, setStops] = useState<readonly Stop[]>([]);
  const [lon, lat] = middle;
  useEffect(() => {
    if (!wanted) return undefined;
    const abort = new AbortController();
    const timer = setTimeout(() => {
      const box = [lon - NEAR, lat - NEAR, lon + NEAR, lat + NEAR].map((value) => value.toFixed(5)).join(",");
      ask<{ stops: Stop[] }>(`/stops?bbox=${box}`, "GET", undefined, { signal: abort.signal }).then(({ stops: found }) => setStops(found), () => undefined);
    }, STOPS_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [lon, lat, wanted]);
  const narrow = Math.cos((lat * Math.PI) / 180);
  const far = (stop: Stop): number => ((stop.lon - lon) * narrow) ** 2 + (stop.lat - lat) ** 2;
  const near = stops.filter((stop) => far(stop) < NEAR ** 2).sort((a, b) => far(a) - far(b));
  return { stops: wanted ? stops : [], nearest: near[0] };
}

const spot = ({ lon, lat }: { lon: number; lat: number }): LonLat => [lon, lat];

/** What the map draws of the ride that is planned, offered or under way. */
function useDrawn(service: ServiceInfo, stops: readonly Stop[], trip: Trip | undefined, draft: Draft | null, looked: Offer | null): Drawn {
  const zone = useMemo(() => (service.zone ? collection([{ type: "Feature", geometry: service.zone, properties: {} }]) : EMPTY), [service]);
  const around = useMemo(() => collection(stops.map((stop) => point(stop.lon, stop.lat, { name: told(stop.name) }))), [stops]);
  return useMemo(() => {
    if (!trip) {
      const ends = draft ? (["from", "to"] as const).flatMap((end) => (draft[end] ? [point(draft[end].lon, draft[end].lat, { k: end === "from" ? "start" : "end", name: draft[end].label ?? "" })] : [])) : [];
      return { zone, stops: around, ends: collection(ends) };
    }
    const offers = trip.state === "broken" ? trip.broken?.offers : trip.offers;
    const offer = offers?.find(({ id }) => id === looked?.id) ?? offers?.[0];
    const pickup = trip.promise?.pickup.stop ?? offer?.pickup.stop;
    const dropoff = trip.promise?.dropoff.stop ?? offer?.dropoff.stop;
    const stop = (one: Stop | undefined, k: string) => (one ? [point(one.lon, one.lat, { k, name: told(one.name) })] : []);
    const walk = [...(pickup && trip.state !== "aboard" ? [line([spot(trip.from), spot(pickup)])] : []), ...(dropoff ? [line([spot(dropoff), spot(trip.to)])] : [])];
    return {
      zone, walk: collection(walk),
      paths: trip.path?.length ? collection([line(trip.path)]) : EMPTY,
      ends: collection([point(trip.from.lon, trip.from.lat, { k: "start" }), point(trip.to.lon, trip.to.lat, { k: "end" }), ...stop(pickup, "pickup"), ...stop(dropoff, "dropoff")]),
      vans: trip.van ? collection([point(trip.van.lon, trip.van.lat, { look: "busy", bearing: trip.van.bearing ?? 0, name: trip.van.plate })]) : EMPTY,
    };
  }, [zone, around, trip, draft, looked]);
}

function fitted(trip: Trip | undefined, draft: Draft): LonLat[] {
  if (!trip) return [draft.from, draft.to].flatMap((place) => (place ? [spot(place)] : []));
  const promise = trip.promise;
  if (!promise) return [spot(trip.from), spot(trip.to), ...(trip.offers ?? []).flatMap(({ pickup, dropoff }) => [spot(pickup.stop), spot(dropoff.stop)])];
  const places = [...(trip.state === "aboard" ? [] : [trip.from]), promise.pickup.stop, ...(trip.van ? [trip.van] : []), ...(trip.state === "aboard" || !trip.van ? [trip.to] : [])];
  return [...places.map(spot), ...(trip.state === "aboard" ? trip.path ?? [] : [])];
}
