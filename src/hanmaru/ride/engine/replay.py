"""Applying events: the one place where the dispatcher's state changes.

Each function takes the state from just before its event to just after it, from what the event says alone, so that
the same log gives the same state to the last bit, from the start or from any snapshot.
"""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from hanmaru.ride.domain import RideError
from hanmaru.ride.engine import events as e
from hanmaru.ride.engine.commands import Spot
from hanmaru.ride.engine.state import (
    ABOARD,
    ASKED,
    AT_RISK,
    BREAK,
    BROKEN,
    CANCELLED,
    DONE,
    EXPIRED,
    FAILED,
    FOREVER,
    HELD,
    KEPT,
    LOST,
    NO_SHOW,
    OFF,
    OFFERED,
    ON,
    REJECTED,
    RESTING,
    WAITING,
    State,
)


def apply(state: State, event: e.AnyEvent) -> tuple[int, ...]:
    """Apply an event to a state; return the vans whose plan, riders, place or working time it changed.

    Raises `RideError` if it is not the next event of the log.
    """
    if event.seq != state.seq + 1:
        raise RideError(f"event {event.seq} cannot follow event {state.seq}: the log has a gap or is not this state's")
    touched = _HOW[type(event)](state, event)
    state.seq, state.now_s = event.seq, max(state.now_s, event.time_s)
    return touched


def _end(state: State, slot: int, status: int, time_s: int) -> tuple[int, ...]:
    """Finish a request: out of its van's plan, offers closed."""
    requests = state.requests
    van = int(requests.van[slot])
    touched: tuple[int, ...] = ()
    if van >= 0:
        _drop(state, van, slot)
        touched = (van,)
    requests.status[slot] = status
    requests.van[slot] = -1
    requests.offers[slot] = ()
    requests.changed_s[slot] = time_s
    return touched


def _drop(state: State, van: int, slot: int) -> None:
    state.vans.set_plan(van, [action for action in state.vans.actions(van) if abs(action) - 1 != slot])


def _hold(state: State, slot: int, promise: e.Promise) -> None:
    requests = state.requests
    requests.earliest_s[slot], requests.latest_s[slot] = promise.from_s, promise.to_s
    requests.deadline_s[slot], requests.ride_s[slot] = promise.by_s, promise.ride_s


def _promise(state: State, slot: int, offer: e.Offer) -> None:
    requests = state.requests
    requests.offer[slot] = offer
    if requests.status[slot] != ABOARD:
        requests.origin[slot] = offer.pickup.stop
    requests.destination[slot] = offer.dropoff.stop
    requests.risk[slot] = KEPT
    _hold(state, slot, offer.promise)


def _replan(state: State, plans: dict[int, e.Plan]) -> None:
    requests, vans = state.requests, state.vans
    for van in plans:
        for action in vans.actions(van):
            requests.van[abs(action) - 1] = -1
    for van, plan in plans.items():
        vans.set_plan(van, plan)
        for action in plan:
            requests.van[abs(action) - 1] = van


def _requested(state: State, event: e.Requested) -> tuple[int, ...]:
    requests, asked = state.requests, event.request
    slot = requests.add(asked.id)
    requests.asked[slot] = asked
    requests.status[slot] = ASKED
    requests.seats[slot], requests.wheelchairs[slot] = asked.seats, asked.wheelchairs
    requests.changed_s[slot] = event.time_s
    return ()


def _offered(state: State, event: e.Offered) -> tuple[int, ...]:
    slot = state.slot(event.id)
    touched = _end(state, slot, OFFERED, event.time_s)
    requests, first = state.requests, event.offers[0]
    requests.offers[slot] = event.offers
    requests.boarding_s[slot], requests.alighting_s[slot] = event.boarding_s, event.alighting_s
    requests.origin[slot], requests.destination[slot] = first.pickup.stop, first.dropoff.stop
    _hold(state, slot, first.promise)
    return touched


def _rejected(state: State, event: e.Rejected) -> tuple[int, ...]:
    return _end(state, state.slot(event.id), REJECTED, event.time_s)


def _accepted(state: State, event: e.Accepted) -> tuple[int, ...]:
    requests, slot = state.requests, state.slot(event.id)
    requests.status[slot] = WAITING
    requests.offers[slot] = ()
    requests.changed_s[slot] = event.time_s
    _promise(state, slot, event.offer)
    _replan(state, {event.van: event.plan})
    return (event.van,)


def _declined(state: State, event: e.Declined) -> tuple[int, ...]:
    return _end(state, state.slot(event.id), CANCELLED, event.time_s)


def _expired(state: State, event: e.Expired) -> tuple[int, ...]:
    return _end(state, state.slot(event.id), EXPIRED, event.time_s)


def _cancelled(state: State, event: e.Cancelled) -> tuple[int, ...]:
    slot = state.slot(event.id)
    if event.stop is None or event.van is None:
        return _end(state, slot, CANCELLED, event.time_s)
    offer = state.requests.offer[slot]
    if offer is not None:
        promise = replace(offer.promise, by_s=FOREVER, ride_s=FOREVER)
        _promise(state, slot, replace(offer, dropoff=Spot(event.stop), promise=promise))
    state.vans.set_plan(event.van, event.plan)
    return (event.van,)


def _plans_changed(state: State, event: e.PlansChanged) -> tuple[int, ...]:
    _replan(state, event.plans)
    return tuple(event.plans)


def _moved(state: State, event: e.Moved) -> tuple[int, ...]:
    vans, which = state.vans, list(event.vans)
    vans.row[which] = event.rows
    vans.ready_s[which] = event.ready_s
    vans.stop[which] = -1
    return event.vans


def _stand(state: State, van: int, stop: int, time_s: int) -> None:
    vans = state.vans
    vans.row[van] = vans.stop[van] = stop
    vans.ready_s[van] = vans.since_s[van] = time_s
    if vans.target[van] == stop:
        vans.target[van] = -1


def _arrived(state: State, event: e.Arrived) -> tuple[int, ...]:
    _stand(state, event.van, event.stop, event.since_s)
    return (event.van,)


def _picked_up(state: State, event: e.PickedUp) -> tuple[int, ...]:
    requests, vans, slot = state.requests, state.vans, state.slot(event.id)
    requests.status[slot] = ABOARD
    requests.begun_s[slot], requests.picked_s[slot] = event.begun_s, event.picked_s
    vans.ready_s[event.van] = event.picked_s
    plan = vans.actions(event.van)
    plan.remove(slot + 1)
    vans.set_plan(event.van, plan)
    return (event.van,)


def _dropped_off(state: State, event: e.DroppedOff) -> tuple[int, ...]:
    _end(state, state.slot(event.id), DONE, event.time_s)
    state.vans.ready_s[event.van] = event.left_s
    return (event.van,)


def _no_show(state: State, event: e.NoShow) -> tuple[int, ...]:
    touched = _end(state, state.slot(event.id), NO_SHOW, event.time_s)
    state.vans.ready_s[event.van] = event.time_s
    return touched


def _break_started(state: State, event: e.BreakStarted) -> tuple[int, ...]:
    vans = state.vans
    vans.resumes[event.van] = vans.status[event.van]
    vans.status[event.van] = RESTING
    vans.ready_s[event.van] = event.time_s
    return (event.van,)


def _break_ended(state: State, event: e.BreakEnded) -> tuple[int, ...]:
    _end(state, state.slot(event.id), DONE, event.time_s)
    vans = state.vans
    vans.status[event.van] = vans.resumes[event.van]
    vans.ready_s[event.van] = event.time_s
    return (event.van,)


def _strand(state: State, slot: int, event: e.BrokenDown) -> None:
    """Let a rider wait again where the van stands: for as long as it takes, but promised the same arrival and ride."""
    requests, offer = state.requests, state.requests.offer[slot]
    requests.status[slot] = WAITING
    if offer is None:
        return
    made = offer.promise
    by_s = min(made.by_s, int(requests.picked_s[slot]) + made.ride_s)
    promise = e.Promise(event.time_s, FOREVER, by_s, made.ride_s)
    _promise(state, slot, replace(offer, pickup=Spot(event.stop), promise=promise))


def _broken_down(state: State, event: e.BrokenDown) -> tuple[int, ...]:
    vans, requests, van = state.vans, state.requests, event.van
    for slot in state.aboard(van):
        if requests.kind[slot] != BREAK:
            _strand(state, slot, event)
    for action in vans.actions(van):
        slot = abs(action) - 1
        if requests.kind[slot] == BREAK and requests.status[slot] != CANCELLED:
            _end(state, slot, CANCELLED, event.time_s)
        requests.van[slot] = -1
    vans.set_plan(van, ())
    vans.status[van] = BROKEN
    vans.target[van] = -1
    return (van,)


def _van_back(state: State, event: e.VanBack) -> tuple[int, ...]:
    state.vans.status[event.van] = ON
    _stand(state, event.van, event.stop, event.time_s)
    return (event.van,)


def _shift_set(state: State, event: e.ShiftSet) -> tuple[int, ...]:
    vans, requests, van = state.vans, state.requests, event.van
    vans.shift_from_s[van], vans.shift_to_s[van] = event.from_s, event.to_s
    for action in vans.actions(van)[2 if vans.status[van] == RESTING else 0 :]:
        slot = abs(action) - 1
        if action > 0 and requests.kind[slot] == BREAK:
            _end(state, slot, CANCELLED, event.time_s)
    for id, rest in event.breaks.items():
        slot = requests.add(id)
        requests.kind[slot], requests.status[slot] = BREAK, WAITING
        requests.earliest_s[slot], requests.latest_s[slot] = rest.from_s, rest.to_s
        requests.boarding_s[slot] = rest.duration_s
        requests.deadline_s[slot] = requests.ride_s[slot] = FOREVER
        requests.seats[slot], requests.wheelchairs[slot] = vans.seats[van], vans.wheelchairs[van]
        requests.changed_s[slot] = event.time_s
    return (van,)


def _overtime(state: State, event: e.Overtime) -> tuple[int, ...]:
    state.vans.shift_to_s[event.van] = event.to_s
    return (event.van,)


def _at_risk(state: State, event: e.AtRisk) -> tuple[int, ...]:
    slot = state.slot(event.id)
    state.requests.risk[slot] = AT_RISK
    _hold(state, slot, event.held)
    return (event.van,)


def _safe(state: State, event: e.Safe) -> tuple[int, ...]:
    slot = state.slot(event.id)
    state.requests.risk[slot] = KEPT
    offer = state.requests.offer[slot]
    if offer is not None:
        _hold(state, slot, offer.promise)
    return _whose(state, slot)


def _promise_broken(state: State, event: e.PromiseBroken) -> tuple[int, ...]:
    requests, slot = state.requests, state.slot(event.id)
    if event.offer is not None:
        _promise(state, slot, event.offer)
    elif requests.status[slot] == WAITING and not requests.picked_s[slot]:
        return _end(state, slot, FAILED, event.time_s)
    else:
        requests.risk[slot] = LOST
    return _whose(state, slot)


def _whose(state: State, slot: int) -> tuple[int, ...]:
    van = int(state.requests.van[slot])
    return (van,) if van >= 0 else ()


def _repositioned(state: State, event: e.Repositioned) -> tuple[int, ...]:
    state.vans.target[list(event.vans)] = event.stops
    return event.vans


def _travel_changed(state: State, event: e.TravelChanged) -> tuple[int, ...]:
    state.travel, state.retimed_s = event.name, event.time_s
    return tuple(range(len(state.vans)))


def _overridden(state: State, event: e.Overridden) -> tuple[int, ...]:
    status = {e.Kind.HOLD: HELD, e.Kind.RELEASE: ON, e.Kind.OUT_OF_SERVICE: OFF}.get(event.kind)
    if status is None or event.van is None:
        return ()
    state.vans.status[event.van] = status
    if status == OFF:
        for action in state.vans.actions(event.van):
            if action > 0 and state.requests.kind[action - 1] == BREAK:
                _end(state, action - 1, CANCELLED, event.time_s)
    return (event.van,)


def _forgotten(state: State, event: e.Forgotten) -> tuple[int, ...]:
    for id in event.ids:
        state.requests.remove(id)
    return ()


_HOW: dict[type[e.AnyEvent], Callable[[State, Any], tuple[int, ...]]] = {
    e.Requested: _requested,
    e.Offered: _offered,
    e.Rejected: _rejected,
    e.Accepted: _accepted,
    e.Declined: _declined,
    e.Expired: _expired,
    e.Cancelled: _cancelled,
    e.PlansChanged: _plans_changed,
    e.Moved: _moved,
    e.Arrived: _arrived,
    e.PickedUp: _picked_up,
    e.DroppedOff: _dropped_off,
    e.NoShow: _no_show,
    e.BreakStarted: _break_started,
    e.BreakEnded: _break_ended,
    e.BrokenDown: _broken_down,
    e.VanBack: _van_back,
    e.ShiftSet: _shift_set,
    e.Overtime: _overtime,
    e.AtRisk: _at_risk,
    e.Safe: _safe,
    e.PromiseBroken: _promise_broken,
    e.Repositioned: _repositioned,
    e.TravelChanged: _travel_changed,
    e.Overridden: _overridden,
    e.Forgotten: _forgotten,
}
