import { Footprints, Timer, Wallet } from "lucide";
import { useState, type JSX } from "react";
import { Button } from "react-aria-components";
import { clock } from "../format";
import { t } from "../i18n";
import { reason } from "../problems";
import { Icon } from "../ui/Icon";
import { useNow } from "./data";
import type { Offer } from "./types";
import { at, between, countdown, lasting, metres, money, told, until, word } from "./words";

const minutes = (instant: string): number => Math.floor(Date.parse(instant) / 60_000);

/** What an offer is measured by, as exactly as it is shown; the best of each is marked where they differ. */
const MEASURES = {
  pickup: (offer: Offer) => minutes(offer.pickup.window.to),
  arrival: (offer: Offer) => minutes(offer.dropoff.arrive_by),
  ride: (offer: Offer) => Math.round(offer.ride_s / 60),
  fare: (offer: Offer) => offer.fare.amount,
} as const;
type Measure = keyof typeof MEASURES;

/** Whether an offer is the best by a measure, and not all are as good. */
function best(offers: readonly Offer[], offer: Offer, by: Measure): true | undefined {
  const values = offers.map(MEASURES[by]);
  const least = Math.min(...values);
  return MEASURES[by](offer) === least && values.some((value) => value > least) ? true : undefined;
}

const NOW_MS = 30_000;
/** A stop that is so near is where one is. */
const HERE_M = 20;

function Walk({ walk_m, walk_s }: { walk_m: number; walk_s: number }): JSX.Element {
  return <small><Icon node={Footprints} size={13} />{walk_m < HERE_M ? t("ride.noWalk") : t("ride.walkOf", { time: lasting(walk_s), length: metres(walk_m) })}</small>;
}

/** The offers of a trip as cards, each accepted by its own button. */
export function Offers({ offers, accept, show, again }: {
  offers: readonly Offer[];
  accept: (offer: Offer) => Promise<void>;
  show: (offer: Offer) => void;
  /** Asks anew when the offers have expired. */
  again: () => void;
}): JSX.Element {
  const now = useNow(1000);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const left = Math.min(...offers.map((offer) => Date.parse(offer.expires_at))) - now;

  async function take(offer: Offer): Promise<void> {
    setBusy(true);
    setProblem("");
    try {
      await accept(offer);
    } catch (error) {
      setProblem(reason(error));
    } finally {
      setBusy(false);
    }
  }

  if (left <= 0) {
    return (
      <div className="ride-note" role="status" data-tone="warn">
        <b>{t("ride.expired")}</b> <span>{t("ride.expiredHelp")}</span>
        <div className="thumb"><Button className="button primary big" onPress={again}>{t("ride.askAgain")}</Button></div>
      </div>
    );
  }
  return (
    <>
      <p className="offers-left"><Icon node={Timer} size={15} /><span role="timer" aria-live="off">{t("ride.offersLeft", { time: countdown(left) })}</span></p>
      <p role="alert" className="problem">{problem}</p>
      <ol className="offers" aria-label={t("ride.offers")}>
        {offers.map((offer) => (
          <li key={offer.id} className="offer" onPointerEnter={() => show(offer)} onFocus={() => show(offer)}>
            <header><h2>{word("offer", offer.kind)}</h2><span className="fare" data-best={best(offers, offer, "fare")}><Icon node={Wallet} size={15} />{money(offer.fare)}</span></header>
            <p className="offer-when"><span data-best={best(offers, offer, "pickup")}>{between(offer.pickup.window)}</span><small>{Date.parse(offer.pickup.window.from) - now < NOW_MS ? t("ride.now") : t("ride.pickupIn", { time: until(offer.pickup.window.from, now) })}</small></p>
            <dl>
              <div><dt>{t("ride.getOn")}</dt><dd>{told(offer.pickup.stop.name)} <Walk {...offer.pickup} /></dd></div>
              <div><dt>{t("ride.getOff")}</dt><dd>{told(offer.dropoff.stop.name)} <Walk {...offer.dropoff} /></dd></div>
              <div><dt>{t("ride.arrival")}</dt><dd><b data-best={best(offers, offer, "arrival")}>{t("ride.latest", { time: at(offer.dropoff.arrive_by) })}</b> <small>{t("ride.likely", { time: clock(offer.dropoff.expected) })}</small></dd></div>
              <div><dt>{t("ride.inVan")}</dt><dd><span data-best={best(offers, offer, "ride")}>{lasting(offer.ride_s)}</span></dd></div>
            </dl>
            <Button className="button primary big" isDisabled={busy} aria-label={t("ride.takeThis", { kind: word("offer", offer.kind), time: between(offer.pickup.window) })} onPress={() => void take(offer)}>{t("ride.take")}</Button>
          </li>
        ))}
      </ol>
    </>
  );
}
