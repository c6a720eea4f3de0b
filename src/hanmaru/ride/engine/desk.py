"""What a person at the desk imposes, shifts with their breaks, and vans that drop out."""

from hanmaru.ride.domain import UNREACHABLE, Bools, RideError
from hanmaru.ride.engine import commands as c
from hanmaru.ride.engine import events as e
from hanmaru.ride.engine.decisions import Decisions
from hanmaru.ride.engine.promises import ARRIVAL, anyhow, behind, homeless, promised, renewed, repair, settle
from hanmaru.ride.engine.state import BREAK, BROKEN, FOREVER, HELD, OFF, ON, RESTING, WAITING


def legal_breaks(from_s: int, to_s: int) -> tuple[c.Break, ...]:
    """Return the rest that Korea's Labour Standards Act asks for within working time (art. 54): 30 minutes in 4
    hours, an hour in 8; here as half an hour in the middle hour of every 4 hours begun and worked in full.
    """
    parts = (to_s - from_s) // (4 * 3600)
    starts = (from_s + part * 4 * 3600 for part in range(parts))
    return tuple(c.Break(start + 90 * 60, start + 150 * 60, 30 * 60) for start in starts)


def shift(d: Decisions, command: c.Shift) -> None:
    """Set a van's shift and put its breaks where they fit between its riders."""
    van = d.state.van(command.van)
    if command.to_s <= command.from_s or any(x.to_s < x.from_s or x.duration_s <= 0 for x in command.breaks):
        raise RideError(f"the shift of van {van} must end after it begins, and so must the windows of its breaks")
    if d.state.vans.status[van] in (BROKEN, OFF):
        raise RideError(f"van {van} is out of service: say first when it is back")
    breaks = {f"break-{d.state.seq + 1}-{k}": rest for k, rest in enumerate(command.breaks)}
    d.tell(e.ShiftSet, van=van, from_s=command.from_s, to_s=command.to_s, breaks=breaks)
    plan = d.state.vans.actions(van)
    fixed = d.state.fixed(van, d.now_s)
    for id in breaks:
        slot = d.state.slot(id)
        ways = [[*plan[:k], slot + 1, -slot - 1, *plan[k:]] for k in range(fixed, len(plan) + 1)]
        plan = next((way for way in ways if d.timetables.begins(van, d.now_s, way) is not None), ways[-1])
    if breaks:
        d.tell(e.PlansChanged, layer="shift", plans={van: tuple(plan)})
    if plan and d.timetables.begins(van, d.now_s) is None:
        repair(d, van, e.Reason.OVERRIDE)


def break_start(d: Decisions, command: c.BreakStart) -> None:
    """Begin the next break, before what else is planned if that can wait."""
    van, requests = d.state.van(command.van), d.state.requests
    plan = d.state.vans.actions(van)
    slot = next((a - 1 for a in plan if a > 0 and requests.kind[a - 1] == BREAK), None)
    if slot is None:
        raise RideError(f"van {van} has no break ahead: set one with its shift")
    if d.state.vans.status[van] not in (ON, HELD) or d.state.aboard(van):
        raise RideError(f"van {van} can begin its break only when it is empty and at work")
    if plan[0] != slot + 1:
        first = (slot + 1, -slot - 1, *(action for action in plan if abs(action) - 1 != slot))
        if d.timetables.begins(van, d.now_s, first) is None:
            raise RideError(f"riders of van {van} would be late if its break began now")
        d.tell(e.PlansChanged, layer="driver", plans={van: first})
    d.tell(e.BreakStarted, van=van, id=requests.ids[slot])


def break_end(d: Decisions, command: c.BreakEnd) -> None:
    """Go back to work."""
    van = d.state.van(command.van)
    plan = d.state.vans.actions(van)
    if d.state.vans.status[van] != RESTING:
        raise RideError(f"van {van} is not on a break")
    d.tell(e.BreakEnded, van=van, id=d.state.requests.ids[plan[0] - 1])


def breakdown(d: Decisions, command: c.Breakdown) -> None:
    """Take a van out where it stands and find others for its riders, those who were aboard first."""
    vans, van = d.state.vans, d.state.van(command.van)
    if vans.status[van] == BROKEN:
        return
    if command.stop is not None:
        stop = command.stop
    elif vans.stop[van] >= 0:
        stop = int(vans.stop[van])
    else:
        stop = int(d.travel.time_s[vans.row[van]].argmin())
    if not 0 <= stop < d.travel.time_s.shape[1]:
        raise RideError(f"there is no stop {stop} where van {van} could stand")
    for slot in d.state.aboard(van):
        if d.state.requests.deadline_s[slot] == FOREVER and d.state.requests.kind[slot] != BREAK:  # wants to get off
            id, since_s = d.state.requests.ids[slot], int(vans.since_s[van])
            d.tell(e.DroppedOff, id=id, van=van, stop=stop, begun_s=since_s, left_s=d.now_s)
    d.tell(e.BrokenDown, van=van, stop=stop)
    rehouse(d, e.Reason.BREAKDOWN)


def rehouse(d: Decisions, reason: e.Reason) -> None:
    """Find vans for all who have lost theirs."""
    for slot in homeless(d):
        settle(d, slot, reason)


def back(d: Decisions, command: c.Back) -> None:
    """Take a van into service again."""
    van = d.state.van(command.van)
    if d.state.vans.status[van] not in (BROKEN, OFF):
        raise RideError(f"van {van} is in service already")
    d.tell(e.VanBack, van=van, stop=command.stop)


def reposition(d: Decisions, command: c.Reposition) -> None:
    """Send those vans that are idle."""
    pairs = [(van, stop) for van, stop in zip(command.vans, command.stops, strict=True) if _idle(d, van)]
    if pairs:
        d.tell(e.Repositioned, vans=tuple(van for van, _ in pairs), stops=tuple(stop for _, stop in pairs))


def _idle(d: Decisions, van: int) -> bool:
    vans = d.state.vans
    return 0 <= van < len(vans) and vans.status[van] == ON and vans.length[van] == 0


def homewards(d: Decisions) -> None:
    """Send idle vans to their depots when only the way there is left of their shift."""
    vans = d.state.vans
    due = (vans.status == ON) & (vans.length == 0) & (vans.depot >= 0) & (vans.target != vans.depot)
    due &= (vans.stop != vans.depot) & (vans.shift_from_s < d.now_s)
    which = due.nonzero()[0]
    way = d.travel.time_s[vans.row[which], vans.depot[which]]
    which = which[(way < UNREACHABLE) & (d.now_s + way + d.config.grace_s >= vans.shift_to_s[which])]
    if len(which):
        d.tell(e.Repositioned, vans=tuple(which.tolist()), stops=tuple(vans.depot[which].tolist()))


def override(d: Decisions, command: c.Override) -> None:
    """Do what the desk decides, if it can be done at all."""
    kind = command.kind
    if kind is c.Kind.ASSIGN:
        _assign(d, command)
    elif kind is c.Kind.UNASSIGN:
        _unassign(d, command)
    else:
        _govern(d, command)


def _record(d: Decisions, command: c.Override) -> None:
    what = {name: getattr(command, name) for name in command.__struct_fields__}
    d.tell(e.Overridden, **what)


def _waiting(d: Decisions, id: str | None) -> int:
    if id is None:
        raise RideError("this override needs the request that it is about")
    slot = d.state.slot(id)
    if d.state.requests.status[slot] != WAITING:
        raise RideError(f"request {id!r} does not wait for a van: only riders who wait can be given another")
    van = int(d.state.requests.van[slot])
    if van >= 0 and slot in {abs(a) - 1 for a in d.state.vans.actions(van)[: d.state.fixed(van, d.now_s)]}:
        raise RideError(f"van {van} stands at the stop of request {id!r} already")
    return slot


def _assign(d: Decisions, command: c.Override) -> None:
    slot = _waiting(d, command.id)
    van = d.state.van(-1 if command.van is None else command.van)
    if d.state.vans.status[van] in (BROKEN, OFF):
        raise RideError(f"van {van} is out of service")
    only = d.open_vans()
    only[:] = False
    only[van] = True
    _give(
        d, slot, command, only, f"van {van} cannot take request {command.id!r}: no seat, or no time left in its shift"
    )


def _unassign(d: Decisions, command: c.Override) -> None:
    slot = _waiting(d, command.id)
    others = d.open_vans(without=[int(d.state.requests.van[slot])] if d.state.requests.van[slot] >= 0 else ())
    _give(d, slot, command, others, f"no other van can take request {command.id!r}: cancel it if it must be")


def _give(d: Decisions, slot: int, command: c.Override, allowed: Bools, refusal: str) -> None:
    """Give a rider to one of some vans: as promised, or else with a new promise."""
    requests = d.state.requests
    van = int(requests.van[slot])
    if van >= 0 and allowed[van]:
        return
    place = d.best(d.wish(slot, promised(d, slot)), slot, allowed)
    kept = place is not None
    place = place or d.best(d.wish(slot, anyhow(d, slot)), slot, allowed, ARRIVAL)
    if place is None:
        raise RideError(refusal)
    _record(d, command)
    if not kept:
        late = behind(d, slot, place)
        offer = renewed(d, slot, place)
        d.tell(e.PromiseBroken, id=requests.ids[slot], reason=e.Reason.OVERRIDE, offer=offer, late_s=late)
    plans = {place.van: place.plan}
    if van >= 0:
        plans[van] = tuple(action for action in d.state.vans.actions(van) if abs(action) - 1 != slot)
    d.tell(e.PlansChanged, layer="desk", plans=plans)


def _govern(d: Decisions, command: c.Override) -> None:
    """Hold, release or take out a van, or send it to a stop."""
    van = d.state.van(-1 if command.van is None else command.van)
    vans = d.state.vans
    if command.kind is c.Kind.STOP_AT:
        if not _idle(d, van) or command.stop is None or not 0 <= command.stop < d.travel.time_s.shape[1]:
            raise RideError(f"van {van} can be sent to a stop only while it is idle, and to one that there is")
        _record(d, command)
        d.tell(e.Repositioned, vans=(van,), stops=(command.stop,))
        return
    if vans.status[van] in (BROKEN, OFF):
        raise RideError(f"van {van} is out of service: say when it is back")
    if command.kind is c.Kind.HOLD and vans.status[van] != ON:
        raise RideError(f"van {van} can be held only while it is at work")
    if command.kind is c.Kind.RELEASE and vans.status[van] != HELD:
        raise RideError(f"van {van} is not held")
    _record(d, command)
    if command.kind is c.Kind.OUT_OF_SERVICE:
        kept = set(d.state.aboard(van)) | {abs(a) - 1 for a in vans.actions(van)[: d.state.fixed(van, d.now_s)]}
        plan = tuple(action for action in vans.actions(van) if abs(action) - 1 in kept)
        d.tell(e.PlansChanged, layer="desk", plans={van: plan})
        rehouse(d, e.Reason.OVERRIDE)
