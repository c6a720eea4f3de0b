"""Keeping promises: what happens when a plan can no longer be driven as promised.

A van whose timetable fails is repaired in this order: riders who still wait go to other vans that keep their
promise as it stands, late ones first, then others whose going helps; what stays late by no more than the grace is
*at risk*, and held to the best that can be done now, so that nothing makes it worse; what is later than that is
*broken*, by an event with its reason, and the rider has a new promise at once, in this van or in another that is
sooner there.
"""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import numpy as np

from hanmaru.ride.domain import UNREACHABLE, Bools, Floats
from hanmaru.ride.engine import events as e
from hanmaru.ride.engine.commands import Spot
from hanmaru.ride.engine.decisions import Decisions, Place
from hanmaru.ride.engine.schedule import CLOSE, PARTNER, SERVICE, schedule
from hanmaru.ride.engine.state import (
    AT_RISK,
    BREAK,
    BROKEN,
    FOREVER,
    KEPT,
    LOST,
    WAITING,
)
from hanmaru.ride.engine.timetable import READY, START

ARRIVAL: Floats = np.array([[0.0, 1.0, 0.05]])
"""For a rider whose promise is lost: be there soon; cost decides between near equals."""

MOST = 40
"""How many vans are repaired at a time: about a millisecond each, with 1,000 vans."""
SPREADS_S = 60
"""Promises that fall so long after other travel times came into use fell because of them."""


class Late(NamedTuple):
    """A rider or break that a plan is late for: by how much, and what could be held to."""

    slot: int
    late_s: int
    held: e.Promise


def lateness(d: Decisions, van: int, plan: list[int], rides: bool = True) -> list[Late]:
    """Return for whom a plan is late if it is driven as quickly as can be, worst first; with or without ride limits."""
    requests = d.state.requests
    stops, _ = d.timetables.route(van, d.now_s, plan)
    begins = d.timetables.late_begins(van, d.now_s, plan)
    fixed = d.state.fixed(van, d.now_s)
    worst: dict[int, Late] = {}
    for k, action in enumerate(plan):
        slot, at = abs(action) - 1, int(begins[k])
        known = worst.get(slot)
        held = known.held if known else d.held(slot)
        late = known.late_s if known else 0
        if action > 0:
            if k >= fixed and at > held.to_s:
                late, held = max(late, at - held.to_s), msgspec.structs.replace(held, to_s=at)
        elif k >= fixed:
            if at > held.by_s:
                late, held = max(late, at - held.by_s), msgspec.structs.replace(held, by_s=at)
            pick = int(stops[k, PARTNER])
            since = int(begins[pick] + stops[pick, SERVICE]) if pick >= 0 else int(requests.picked_s[slot])
            over = at - since - held.ride_s
            if over > 0 and (rides or pick < 0):
                late, held = max(late, over), msgspec.structs.replace(held, ride_s=held.ride_s + over)
        if late:
            worst[slot] = Late(slot, late, held)
    return sorted(worst.values(), key=lambda one: (-one.late_s, one.slot))


def watch(d: Decisions) -> None:
    """Look at all vans: repair those that cannot keep their plans, and give the all-clear where a risk is over.

    At most `MOST` vans at a time, so that nobody waits for an answer while half the fleet is late; the others get
    no new riders and are next.
    """
    d.timetables.refresh(d.now_s)
    vans = d.state.vans
    reason = e.Reason.TRAVEL_TIMES if d.now_s <= d.state.retimed_s + SPREADS_S else e.Reason.LATE
    for van in np.nonzero(~d.timetables.good & (vans.length > 0) & (vans.status != BROKEN))[0][:MOST].tolist():
        repair(d, van, reason)
    requests = d.state.requests
    for slot in np.nonzero(requests.risk[: requests.size] == AT_RISK)[0].tolist():
        _clear(d, slot)


def _clear(d: Decisions, slot: int) -> None:
    """Tell that a promise is safe again, if its van could keep it as it was made."""
    requests = d.state.requests
    van, offer = int(requests.van[slot]), requests.offer[slot]
    if van < 0 or offer is None:
        return
    begins = d.timetables.begins(van, d.now_s)
    if begins is None:
        return
    promise = offer.promise
    since = int(requests.picked_s[slot])
    for k, action in enumerate(d.state.vans.actions(van)):
        if action == slot + 1:
            if begins[k] > promise.to_s:
                return
            since = int(begins[k] + requests.boarding_s[slot])
        elif action == -slot - 1 and (begins[k] > promise.by_s or begins[k] - since > promise.ride_s):
            return
    d.tell(e.Safe, id=requests.ids[slot])


def repair(d: Decisions, van: int, reason: e.Reason) -> None:
    """Make a van's plan one that can be driven: by moving riders, or by saying which promises are at risk or broken."""
    if _relieve(d, van):
        return
    _give_up(d, van, reason)
    plan = d.state.vans.actions(van)
    late = lateness(d, van, plan, rides=False)
    if not _enough(d, van, plan, late):
        late = lateness(d, van, plan)
    for one in late:
        _concede(d, van, one, reason)
    end = int(d.timetables.late_begins(van, d.now_s)[-1])
    if d.state.vans.length[van] and d.state.vans.shift_to_s[van] < end < d.now_s + UNREACHABLE // 2:
        d.tell(e.Overtime, van=van, to_s=end)


def _give_up(d: Decisions, van: int, reason: e.Reason) -> None:
    """Take out riders who wait, or want to go, where no road leads, the first in the plan first."""
    requests = d.state.requests
    while True:
        plan = d.state.vans.actions(van)
        never = {one.slot for one in lateness(d, van, plan) if one.late_s >= UNREACHABLE // 2}
        cut_off = (abs(a) - 1 for a in plan if abs(a) - 1 in never and requests.status[abs(a) - 1] == WAITING)
        slot = next((one for one in cut_off if requests.kind[one] != BREAK), None)
        if slot is None:
            return
        rest = tuple(action for action in plan if abs(action) - 1 != slot)
        d.tell(e.PlansChanged, layer="repair", plans={van: rest})
        settle(d, slot, reason)


def _enough(d: Decisions, van: int, plan: list[int], late: list[Late]) -> bool:
    """Whether a plan can be driven, but for its end, if what is late is only allowed to be so late."""
    stops, head = d.timetables.route(van, d.now_s, plan)
    held = {one.slot: one.held for one in late}
    for k, action in enumerate(plan):
        if (promise := held.get(abs(action) - 1)) is not None:
            stops[k, CLOSE] = max(stops[k, CLOSE], promise.to_s if action > 0 else promise.by_s)
    begins = np.zeros(len(plan), np.int64)
    return schedule(len(plan), stops, d.travel.time_s, int(head[START]), int(head[READY]), begins) < 0


def _relieve(d: Decisions, van: int) -> bool:
    """Move riders who wait to other vans that keep their promises, until the van is in time; return whether it is."""
    vans, requests = d.state.vans, d.state.requests
    tried: set[int] = set()
    while True:
        plan = vans.actions(van)
        if not plan or d.timetables.begins(van, d.now_s, plan) is not None:
            return True
        late = lateness(d, van, plan)
        total = sum(one.late_s for one in late)
        fixed = {abs(action) - 1 for action in plan[: d.state.fixed(van, d.now_s)]}
        waiting = [a - 1 for a in plan if a > 0 and requests.kind[a - 1] != BREAK and a - 1 not in fixed]
        order = [one.slot for one in late if one.slot in waiting]
        for slot in dict.fromkeys(order + waiting):
            rest = [action for action in plan if abs(action) - 1 != slot]
            if slot in tried or (slot not in order and sum(x.late_s for x in lateness(d, van, rest)) >= total):
                continue
            tried.add(slot)
            place = d.best(d.wish(slot, promised(d, slot)), slot, d.open_vans(without=[van]))
            if place is not None:
                d.tell(e.PlansChanged, layer="repair", plans={van: tuple(rest), place.van: place.plan})
                if requests.risk[slot] == AT_RISK:
                    d.tell(e.Safe, id=requests.ids[slot])
                break
        else:
            return False


def promised(d: Decisions, slot: int) -> e.Promise:
    """Return what a rider has been promised, or for a break, what is held."""
    offer = d.state.requests.offer[slot]
    return d.held(slot) if offer is None else offer.promise


def _concede(d: Decisions, van: int, late: Late, reason: e.Reason) -> None:
    """Put on record that somebody's plan is late, and go on with what can be held."""
    requests, slot = d.state.requests, late.slot
    id, offer = requests.ids[slot], requests.offer[slot]
    made = promised(d, slot)
    over = max(late.held.to_s - made.to_s, late.held.by_s - made.by_s, late.held.ride_s - made.ride_s)
    if offer is None or over <= d.config.grace_s:
        d.tell(e.AtRisk, id=id, van=van, held=_eased(d.config.grace_s, made, late.held), late_s=max(over, late.late_s))
        return
    if requests.status[slot] == WAITING and slot not in _fixed(d, van):
        sooner = msgspec.structs.replace(late.held, by_s=late.held.by_s - 1)
        place = d.best(d.wish(slot, sooner), slot, d.open_vans(without=[van]), ARRIVAL)
        if place is not None:
            rest = tuple(action for action in d.state.vans.actions(van) if abs(action) - 1 != slot)
            d.tell(e.PromiseBroken, id=id, reason=reason, offer=renewed(d, slot, place), late_s=over)
            d.tell(e.PlansChanged, layer="repair", plans={van: rest, place.van: place.plan})
            return
    slack = d.config.arrival_slack_s
    held = late.held
    promise = e.Promise(
        made.from_s,
        held.to_s + slack if held.to_s > made.to_s else made.to_s,
        held.by_s + slack if held.by_s > made.by_s else made.by_s,
        held.ride_s + slack if held.ride_s > made.ride_s else made.ride_s,
    )
    serial = f"{d.state.seq + 1}-0"
    renewal = msgspec.structs.replace(offer, id=serial, promise=promise, van=van, expires_s=d.now_s)
    d.tell(e.PromiseBroken, id=id, reason=reason, offer=renewal, late_s=over)


def _eased(grace_s: int, made: e.Promise, held: e.Promise) -> e.Promise:
    """Return what to hold to, with a quarter of the grace on top, so that a van's next second is no new event."""

    def ease(was: int, now: int) -> int:
        return was if now <= was else max(now, min(was + grace_s, now + grace_s // 4))

    return e.Promise(made.from_s, *(ease(getattr(made, x), getattr(held, x)) for x in ("to_s", "by_s", "ride_s")))


def _fixed(d: Decisions, van: int) -> set[int]:
    return {abs(action) - 1 for action in d.state.vans.actions(van)[: d.state.fixed(van, d.now_s)]}


def renewed(d: Decisions, slot: int, place: Place) -> e.Offer:
    """Return the accepted offer of a rider with a new promise around where the rider is placed now."""
    offer, requests, slack = d.offer_of(slot), d.state.requests, d.config.arrival_slack_s
    ride = place.dropoff_s - place.pickup_s - int(requests.boarding_s[slot])
    promise = e.Promise(
        int(requests.earliest_s[slot]),
        place.pickup_s + slack,
        max(place.dropoff_s + slack, offer.promise.by_s),
        max(ride, offer.promise.ride_s),
    )
    return msgspec.structs.replace(
        offer,
        id=f"{d.state.seq + 1}-0",
        pickup=Spot(int(requests.origin[slot]), offer.pickup.walk_s),
        promise=promise,
        pickup_s=place.pickup_s,
        dropoff_s=place.dropoff_s,
        van=place.van,
        expires_s=d.now_s,
    )


def behind(d: Decisions, slot: int, place: Place) -> int:
    """Return by how much a place for a rider misses the promise."""
    made, ride = promised(d, slot), place.dropoff_s - place.pickup_s - int(d.state.requests.boarding_s[slot])
    return max(0, place.pickup_s - made.to_s, place.dropoff_s - made.by_s, ride - made.ride_s)


def settle(d: Decisions, slot: int, reason: e.Reason, allowed: Bools | None = None) -> bool:
    """Find a van for a rider who has none: one that keeps the promise, or else with a new promise; or break it without.

    Returns whether a van was found.
    """
    requests = d.state.requests
    allowed = d.open_vans() if allowed is None else allowed
    id = requests.ids[slot]
    made = promised(d, slot)
    place = d.best(d.wish(slot, made), slot, allowed)
    if place is not None:
        d.tell(e.PlansChanged, layer="rescue", plans={place.van: place.plan})
        if requests.risk[slot] != KEPT:
            d.tell(e.Safe, id=id)
        return True
    place = d.best(d.wish(slot, anyhow(d, slot)), slot, allowed, ARRIVAL)
    if place is not None:
        late = behind(d, slot, place)
        d.tell(e.PromiseBroken, id=id, reason=reason, offer=renewed(d, slot, place), late_s=late)
        d.tell(e.PlansChanged, layer="rescue", plans={place.van: place.plan})
        return True
    if requests.risk[slot] != LOST:
        d.tell(e.PromiseBroken, id=id, reason=reason, offer=None, late_s=0)
    return False


def anyhow(d: Decisions, slot: int) -> e.Promise:
    """Return the promise that only asks to be brought there, some time within the longest wait and ride of all."""
    requests, limit = d.state.requests, d.config.max_ride_s
    start = max(d.now_s, int(requests.earliest_s[slot]))
    direct = int(d.travel.time_s[requests.origin[slot], requests.destination[slot]])
    ride = max(limit, 0 if direct >= UNREACHABLE else direct)
    return e.Promise(int(requests.earliest_s[slot]), start + 4 * d.config.max_wait_s, FOREVER, ride)


def homeless(d: Decisions) -> Iterator[int]:
    """Yield riders who have lost their van: those who were aboard first, then by when they must be picked up."""
    requests = d.state.requests
    lost = (requests.status[: requests.size] == WAITING) & (requests.van[: requests.size] < 0)
    slots = np.nonzero(lost & (requests.kind[: requests.size] != BREAK))[0].tolist()
    yield from sorted(slots, key=lambda x: (requests.picked_s[x] == 0, requests.latest_s[x], x))


def judge(d: Decisions, slot: int, begun_s: int, aboard: bool) -> None:
    """Put on record if a rider is picked up (or, ``aboard``, dropped off) later than promised and nobody has said
    so.
    """
    requests = d.state.requests
    offer = requests.offer[slot]
    if offer is None:
        return
    made = offer.promise
    if aboard:
        late = max(begun_s - made.by_s, begun_s - int(requests.picked_s[slot]) - made.ride_s)
        ride = max(made.ride_s, begun_s - int(requests.picked_s[slot]))
        promise = msgspec.structs.replace(made, by_s=max(made.by_s, begun_s), ride_s=ride)
    else:
        late = begun_s - made.to_s
        promise = msgspec.structs.replace(made, to_s=begun_s)
    if late > 0:
        offer = msgspec.structs.replace(offer, id=f"{d.state.seq + 1}-0", promise=promise, expires_s=d.now_s)
        d.tell(e.PromiseBroken, id=requests.ids[slot], reason=e.Reason.LATE, offer=offer, late_s=late)
