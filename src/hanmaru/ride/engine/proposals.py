"""What a layer proposes, held against the state as it is now.

A layer plans on a snapshot; until its proposal comes, riders are picked up, cancel and are accepted. Its plans are
brought up to date, split into sets of vans that exchange riders among each other, and each set is taken or left as
one: taken if every rider of these vans is still served, every promise is kept by the exact kernel, and it costs
less.
"""

from collections.abc import Iterable

from hanmaru.ride.engine import events as e
from hanmaru.ride.engine.decisions import Decisions
from hanmaru.ride.engine.state import ABOARD, BREAK, KEPT, WAITING

SAVES = 0.5
"""A proposal has to save more than this (driven seconds): below it is rounding."""


def consider(d: Decisions, plans: dict[int, e.Plan], layer: str) -> None:
    """Take what can be taken of a proposal, as one `PlansChanged`."""
    current = {van: plan for van, given in plans.items() if (plan := _current(d, van, given)) is not None}
    current = {van: plan for van, plan in current.items() if list(plan) != d.state.vans.actions(van)}
    taken: dict[int, e.Plan] = {}
    for group in _groups(d, current):
        if _consistent(d, group) and _better(d, group):
            taken |= group
    if not taken:
        return
    d.tell(e.PlansChanged, layer=layer, plans=taken)
    requests = d.state.requests
    for slot in sorted({abs(action) - 1 for plan in taken.values() for action in plan}):
        if requests.risk[slot] != KEPT and requests.offer[slot] is not None and _kept(d, slot):
            d.tell(e.Safe, id=requests.ids[slot])


def _kept(d: Decisions, slot: int) -> bool:
    """Whether a rider's van keeps the promise itself, not only what is held to while it is at risk."""
    requests, promise = d.state.requests, d.offer_of(slot).promise
    van = int(requests.van[slot])
    begins = d.timetables.begins(van, d.now_s)
    if begins is None:
        return False
    plan = d.state.vans.actions(van)
    dropped = int(begins[plan.index(-slot - 1)])
    picked = int(requests.picked_s[slot])
    if slot + 1 in plan:
        begun = int(begins[plan.index(slot + 1)])
        picked = begun + int(requests.boarding_s[slot])
        if begun > promise.to_s:
            return False
    return dropped <= promise.by_s and dropped - picked <= promise.ride_s


def _current(d: Decisions, van: int, plan: e.Plan) -> e.Plan | None:
    """Return a plan without what is over since it was made, or None if it is for somebody else's rider or no rider."""
    if not 0 <= van < len(d.state.vans):
        return None
    requests = d.state.requests
    kept: list[int] = []
    for action in plan:
        slot = abs(action) - 1
        if not 0 <= slot < requests.size:
            return None
        status, at = requests.status[slot], requests.van[slot]
        if status == WAITING or (status == ABOARD and at == van and action < 0):
            kept.append(action)
        elif status == ABOARD and at != van:
            return None
    return tuple(kept)


def _groups(d: Decisions, plans: dict[int, e.Plan]) -> Iterable[dict[int, e.Plan]]:
    """Split plans into the smallest sets of vans between which riders move; a set with a van that has no plan is
    left out.
    """
    root = {van: van for van in plans}

    def find(van: int) -> int:
        while root[van] != van:
            van = root[van]
        return van

    bad: set[int] = set()
    for van, plan in plans.items():
        for action in plan:
            other = int(d.state.requests.van[abs(action) - 1])
            if other in root:
                root[find(van)] = find(other)
            elif other >= 0:
                bad.add(van)
    groups: dict[int, dict[int, e.Plan]] = {}
    for van, plan in plans.items():
        groups.setdefault(find(van), {})[van] = plan
    return [group for group in groups.values() if not bad & set(group)]


def _consistent(d: Decisions, group: dict[int, e.Plan]) -> bool:
    """Whether everybody whom these vans serve is served once, in order, and what is under way stays as it is."""
    vans, requests = d.state.vans, d.state.requests
    seen: set[int] = set()
    open_vans = d.open_vans()
    for van, plan in group.items():
        now = vans.actions(van)
        fixed = d.state.fixed(van, d.now_s)
        if list(plan[:fixed]) != now[:fixed]:
            return False
        opened: set[int] = set()
        for action in plan:
            slot = abs(action) - 1
            if action in seen:
                return False
            seen.add(action)
            if action > 0:
                opened.add(slot)
                if requests.van[slot] != van and (not open_vans[van] or requests.kind[slot] == BREAK):
                    return False
            elif requests.status[slot] == WAITING and slot not in opened:
                return False
    before = {action for van in group for action in vans.actions(van)}
    new = seen - before
    return before <= seen and all(-action in new and requests.van[abs(action) - 1] < 0 for action in new)


def _better(d: Decisions, group: dict[int, e.Plan]) -> bool:
    """Whether all plans can be driven as promised, and cost less than before, or serve somebody who has no van, or are
    the way out for a van that cannot drive its plan.
    """
    old = new = 0.0
    needed = False
    for van, plan in group.items():
        begins = d.timetables.begins(van, d.now_s, plan)
        if begins is None:
            return False
        new += d.timetables.cost(van, plan, begins)
        now = d.state.vans.actions(van)
        was = d.timetables.begins(van, d.now_s, now)
        if was is None:
            needed = True
        else:
            old += d.timetables.cost(van, now, was)
        needed = needed or any(d.state.requests.van[abs(action) - 1] < 0 for action in plan)
    return needed or new < old - SAVES
