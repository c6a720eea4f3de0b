import { Accessibility, ChevronRight, Footprints, Users } from "lucide";
import { type JSX, type ReactNode } from "react";
import { Button, Disclosure, DisclosurePanel, Heading } from "react-aria-components";
import { clock, number } from "../format";
import { t } from "../i18n";
import { FormDialog } from "../office/parts";
import { Icon } from "../ui/Icon";
import { useNow } from "./data";
import { Offers } from "./Offers";
import { State } from "./parts";
import type { Offer, Trip } from "./types";
import { at, between, lasting, money, party, told, until, wanted, way, why, word } from "./words";

/** States in which a ride is still to come or under way. */
export const ACTIVE: ReadonlySet<string> = new Set(["offered", "booked", "on-way", "arriving", "aboard", "broken"]);
/** A van that comes so soon is as good as there. */
const HERE_MS = 30_000;
const CANCELLABLE: ReadonlySet<string> = new Set(["booked", "on-way", "arriving", "broken"]);

/** One ride: what is promised, what is expected, where the van is. */
export function TripView({ trip, accept, show, cancel, again, leave }: {
  trip: Trip;
  accept: (offer: Offer) => Promise<void>;
  show: (offer: Offer) => void;
  cancel: (reason: string) => Promise<void>;
  /** Asks for the same ride anew. */
  again: () => void;
  leave: () => void;
}): JSX.Element {
  const now = useNow(5000);
  const offers = trip.state === "broken" ? trip.broken?.offers : trip.state === "offered" ? trip.offers : undefined;
  return (
    <article className="trip" aria-labelledby="trip-head">
      <header className="trip-head">
        <div>
          <p className="eyebrow">{way(trip)}</p>
          <h1 id="trip-head"><Headline trip={trip} now={now} /></h1>
          <p role="status" className="visually-hidden"><Headline trip={trip} now={now} /></p>
        </div>
        <State of="state" state={trip.state} />
      </header>
      {trip.broken && ACTIVE.has(trip.state) && (
        <div role="alert" className="ride-note" data-tone="bad">
          <b>{t("ride.brokenTitle")}</b> <span>{told(trip.broken.text) || why(trip.broken.reason)}</span>
          <p>{t(offers?.length ? "ride.brokenOffers" : trip.state === "broken" ? "ride.brokenNone" : "ride.brokenInstead")}</p>
        </div>
      )}
      {trip.state === "refused" && <p className="ride-note" data-tone="bad">{why(trip.reason)}</p>}
      {offers?.length ? <Offers offers={offers} accept={accept} show={show} again={again} /> : null}
      {!offers && ACTIVE.has(trip.state) && trip.state !== "broken" && <Live trip={trip} now={now} />}
      <dl className="trip-facts">
        <Fact name={t("ride.wantedFor")}>{wanted(trip.when)}</Fact>
        <Fact name={t("ride.partyLabel")}><Icon node={trip.wheelchairs ? Accessibility : Users} size={15} />{party(trip.seats, trip.wheelchairs)}</Fact>
        {trip.fare && <Fact name={t("ride.fare")}>{money(trip.fare)}</Fact>}
      </dl>
      {trip.log?.length ? (
        <Disclosure className="disclosure trip-log">
          <Heading level={2}><Button slot="trigger"><Icon node={ChevronRight} size={15} />{t("ride.log")}</Button></Heading>
          <DisclosurePanel><ol>{trip.log.map((one, index) => <li key={index}><time dateTime={one.at}>{at(one.at)}</time> {word("log", one.what)}</li>)}</ol></DisclosurePanel>
        </Disclosure>
      ) : null}
      <div className="thumb">
        {CANCELLABLE.has(trip.state) && (
          <FormDialog danger open={t("ride.cancel")} title={t("ride.cancelTitle")} help={t(trip.state === "arriving" ? "ride.cancelLate" : "ride.cancelHelp")} submit={t("ride.cancelYes")} stay={t("ride.cancelNo")} run={async () => cancel("")} />
        )}
        {trip.state === "offered" && <Button className="button" onPress={leave}>{t("ride.noThanks")}</Button>}
        {(!ACTIVE.has(trip.state) || (trip.state === "broken" && !offers?.length)) && <Button className="button" onPress={again}>{t("ride.again")}</Button>}
        {!ACTIVE.has(trip.state) && <Button className="button primary big" onPress={leave}>{t("ride.newRide")}</Button>}
      </div>
    </article>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }): JSX.Element {
  return <div><dt>{name}</dt><dd>{children}</dd></div>;
}

/** What matters now, in one line. */
function Headline({ trip, now }: { trip: Trip; now: number }): JSX.Element {
  const { state, expected, promise } = trip;
  const pickup = expected?.pickup ?? promise?.pickup.from;
  const arrive = expected?.arrive ?? promise?.dropoff.arrive_by;
  const coming = state === "booked" || state === "on-way" || (state === "arriving" && pickup && Date.parse(pickup) - now > HERE_MS);
  if (coming && pickup) return <>{t("ride.head.comes", { time: at(pickup), left: until(pickup, now) })}</>;
  if (state === "aboard" && arrive) return <>{t("ride.head.aboard", { time: clock(arrive) })}</>;
  return <>{t(`ride.head.${state}`)}</>;
}

/** The promise, how the van keeps it, and the code to board with. */
function Live({ trip, now }: { trip: Trip; now: number }): JSX.Element {
  const { promise, expected, van } = trip;
  const waiting = trip.state !== "aboard";
  const late = waiting ? lateBy(expected?.pickup, promise?.pickup.to) : lateBy(expected?.arrive, promise?.dropoff.arrive_by);
  return (
    <div className="live">
      {waiting && trip.code && (
        <div className="boarding">
          <span>{t("ride.code")}</span>
          <b className="code" aria-label={[...trip.code].join(" ")}>{trip.code}</b>
          <small>{t("ride.codeHelp")}</small>
        </div>
      )}
      {van && (
        <div className="van-line">
          <b className="plate">{van.plate}</b>
          {waiting && <span>{van.stops_before > 0 ? t("ride.stopsBefore", { count: number(van.stops_before) }) : t("ride.nextIsYou")}</span>}
          {waiting && expected?.pickup && <span className="eta">{until(expected.pickup, now)}</span>}
        </div>
      )}
      {late > 0 && <p role="status" className="ride-note" data-tone="warn">{t("ride.late", { time: lasting(late) })}</p>}
      {promise && (
        <ol className="legs">
          <li data-done={!waiting || undefined}>
            <span className="leg-time">{between(promise.pickup)}</span>
            <span><b>{told(promise.pickup.stop.name)}</b><small><Icon node={Footprints} size={13} />{t("ride.getOn")}{expected?.pickup && waiting && ` · ${t("ride.likely", { time: clock(expected.pickup) })}`}</small></span>
          </li>
          <li>
            <span className="leg-time">{t("ride.latest", { time: clock(promise.dropoff.arrive_by) })}</span>
            <span><b>{told(promise.dropoff.stop.name)}</b><small>{t("ride.getOff")}{expected?.arrive && ` · ${t("ride.likely", { time: clock(expected.arrive) })}`}</small></span>
          </li>
        </ol>
      )}
    </div>
  );
}

/** Seconds after what was promised that is expected; less than a minute is none. */
function lateBy(expected: string | null | undefined, promised: string | undefined): number {
  if (!expected || !promised) return 0;
  const seconds = (Date.parse(expected) - Date.parse(promised)) / 1000;
  return seconds >= 60 ? seconds : 0;
}
