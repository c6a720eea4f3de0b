"""Somebody who reads the dispatcher's log and believes nothing: keeps its own books in plain Python, with the
definitions of promises, capacity, order and ride time, and shares no code with the engine's kernels.
"""

from dataclasses import dataclass, field

from hanmaru.ride.engine import events as e
from hanmaru.ride.engine.config import Config
from hanmaru.ride.engine.state import Fleet

FOREVER = 2**40


@dataclass
class Rider:
    id: str
    request: object
    state: str = "asked"
    offers: dict = field(default_factory=dict)
    promise: e.Promise | None = None
    held: e.Promise | None = None
    offer: e.Offer | None = None
    van: int | None = None
    picked_s: int | None = None
    origin: int = -1
    destination: int = -1
    boarding_s: int = 0
    alighting_s: int = 0
    rest: object = None
    lost: bool = False
    broken: int = 0


OPEN = ("asked", "offered", "waiting", "aboard")


class Witness:
    def __init__(self, config: Config, fleet: Fleet, travel) -> None:
        self.config, self.fleet, self.travel = config, fleet, travel
        size = len(fleet.seats)
        self.riders: dict[str, Rider] = {}
        self.slots: list[str] = []
        self.free: list[int] = []
        self.plans: list[list[int]] = [[] for _ in range(size)]
        self.stop = list(fleet.stop)
        self.row, self.ready = list(fleet.stop), list(fleet.shift_from_s)
        self.shift_to = list(fleet.shift_to_s)
        self.resting = [False] * size
        self.out = [False] * size
        self.seq, self.time_s = 0, 0
        self.counts: dict[str, int] = {}
        self.moved_riders: set[int] = set()

    # -- reading ---------------------------------------------------------------------------------------------------

    def read(self, batch) -> None:
        """Read what one command led to, and check that all is well after it."""
        changed: set[int] = set()
        for event in batch:
            self.seq += 1
            assert event.seq == self.seq, "the log has a gap"
            assert event.time_s >= self.time_s, "time runs backwards"
            self.time_s = event.time_s
            name = type(event).__name__
            self.counts[name] = self.counts.get(name, 0) + 1
            changed |= getattr(self, "_" + name)(event) or set()
        self.all_is_well()
        for van in changed:
            self.can_be_driven(van)

    def _slot(self, id: str) -> None:
        if self.free:
            self.slots[self.free.pop()] = id
        else:
            self.slots.append(id)

    def who(self, action: int) -> Rider:
        return self.riders[self.slots[abs(action) - 1]]

    def _Requested(self, event) -> None:
        assert event.request.id not in self.riders, "asked twice"
        self.riders[event.request.id] = Rider(event.request.id, event.request)
        self._slot(event.request.id)

    def _Offered(self, event) -> None:
        rider = self.riders[event.id]
        assert rider.state in ("asked", "offered")
        assert event.offers
        rider.boarding_s, rider.alighting_s = event.boarding_s, event.alighting_s
        rider.state, rider.offers = "offered", {offer.id: offer for offer in event.offers}
        for offer in event.offers:
            self.within_limits(rider.request, offer, event.time_s)

    def within_limits(self, request, offer, now_s) -> None:
        """An offer keeps the service's limits on wait, ride and detour, each by its own definition."""
        config, promise = self.config, offer.promise
        assert offer.pickup in request.origins
        assert offer.dropoff in request.destinations
        direct = int(self.travel.time_s[offer.pickup.stop, offer.dropoff.stop])
        most = max(direct, min(config.max_ride_s, int(direct * config.detour_factor) + config.detour_s))
        assert promise.from_s <= offer.pickup_s <= promise.to_s
        assert offer.dropoff_s <= promise.by_s
        assert promise.ride_s <= most
        if request.arrive_by_s is None:
            ready = max(now_s, request.earliest_s or 0) + offer.pickup.walk_s
            assert ready <= promise.from_s
            assert promise.to_s <= ready + config.max_wait_s
        else:
            assert promise.from_s >= now_s + offer.pickup.walk_s
            assert promise.by_s + offer.dropoff.walk_s <= request.arrive_by_s

    def _Rejected(self, event) -> None:
        self._finish(event.id, ("asked", "offered"), "rejected")

    def _Accepted(self, event) -> set[int]:
        rider = self.riders[event.id]
        assert rider.state == "offered", "promised twice, or something nobody offered"
        assert event.offer == rider.offers[event.offer.id], "another promise than the one that was offered"
        rider.state, rider.offer, rider.promise, rider.held = (
            "waiting",
            event.offer,
            event.offer.promise,
            event.offer.promise,
        )
        rider.origin, rider.destination = event.offer.pickup.stop, event.offer.dropoff.stop
        self._replan({event.van: event.plan})
        return {event.van}

    def _finish(self, id, before, after) -> None:
        rider = self.riders[id]
        assert rider.state in before, f"{id} was {rider.state} and cannot become {after}"
        rider.state = after
        if rider.van is not None:
            slot = self.slots.index(id)
            self.plans[rider.van] = [a for a in self.plans[rider.van] if abs(a) - 1 != slot]
            rider.van = None

    def _Declined(self, event) -> None:
        self._finish(event.id, ("offered", "waiting"), "cancelled")

    def _Expired(self, event) -> None:
        self._finish(event.id, ("offered",), "expired")

    def _Cancelled(self, event) -> None:
        rider = self.riders[event.id]
        if event.stop is None:
            self._finish(event.id, ("offered", "waiting"), "cancelled")
            return
        assert rider.state == "aboard"
        assert rider.van == event.van
        rider.destination = event.stop
        rider.promise = rider.held = replace_promise(rider.promise, by_s=FOREVER, ride_s=FOREVER)
        self._replan({event.van: event.plan})

    def _replan(self, plans) -> None:
        for van in plans:
            for action in self.plans[van]:
                self.who(action).van = None
        for van, plan in plans.items():
            for action in plan:
                rider = self.who(action)
                assert rider.van in (None, van), "one rider in two vans"
                rider.van = van
            self.plans[van] = list(plan)

    def _PlansChanged(self, event) -> set[int]:
        for van, plan in event.plans.items():
            here = {abs(a) for a in self.plans[van]}
            if event.layer not in ("shift",) and self.out[van]:
                assert {abs(a) for a in plan} <= here, "a van out of service got riders"
        self._replan(event.plans)
        return set() if event.layer in ("shift", "repair", "desk") else set(event.plans)

    def _Moved(self, event) -> None:
        for van, row, ready_s in zip(event.vans, event.rows, event.ready_s, strict=True):
            self.stop[van], self.row[van], self.ready[van] = -1, row, ready_s

    def _Arrived(self, event) -> None:
        self.stop[event.van] = self.row[event.van] = event.stop
        self.ready[event.van] = event.since_s

    def _PickedUp(self, event) -> None:
        rider = self.riders[event.id]
        assert rider.state == "waiting"
        assert rider.van == event.van, "picked up by another van than planned"
        assert self.stop[event.van] == rider.origin, "picked up somewhere else"
        assert event.picked_s >= rider.promise.from_s, "picked up before the window"
        assert event.begun_s <= rider.promise.to_s, f"{rider.id}: late for the window, and nobody said so"
        rider.state, rider.picked_s = "aboard", event.picked_s
        self.ready[event.van] = event.picked_s
        self.plans[event.van].remove(self.slots.index(event.id) + 1)
        aboard = [x for x in self.riders.values() if x.state == "aboard" and x.van == event.van]
        assert sum(x.request.seats for x in aboard) <= self.fleet.seats[event.van]
        assert sum(x.request.wheelchairs for x in aboard) <= self.fleet.wheelchairs[event.van]

    def _DroppedOff(self, event) -> None:
        rider = self.riders[event.id]
        assert rider.state == "aboard"
        assert rider.van == event.van, "dropped off by a van that is another"
        assert event.begun_s <= rider.promise.by_s, f"{rider.id}: late for the arrival, and nobody said so"
        assert event.begun_s - rider.picked_s <= rider.promise.ride_s, f"{rider.id}: aboard too long, nobody said so"
        assert event.stop == rider.destination or rider.promise.by_s == FOREVER, "dropped off elsewhere"
        self._finish(event.id, ("aboard",), "done")
        self.ready[event.van] = event.left_s

    def _NoShow(self, event) -> None:
        assert self.stop[event.van] == self.riders[event.id].origin
        self._finish(event.id, ("waiting",), "no-show")
        self.ready[event.van] = event.time_s

    def _ShiftSet(self, event) -> None:
        self.shift_to[event.van] = event.to_s
        begun = self.plans[event.van][:2] if self.resting[event.van] else []
        for action in list(self.plans[event.van]):
            rider = self.who(action)
            if action > 0 and rider.rest and action not in begun:
                self._finish(rider.id, ("waiting",), "cancelled")
        for id, rest in event.breaks.items():
            self.riders[id] = Rider(id, None, "waiting", rest=rest, boarding_s=rest.duration_s)
            self.riders[id].held = e.Promise(rest.from_s, rest.to_s, FOREVER, FOREVER)
            self._slot(id)

    def _Overtime(self, event) -> None:
        assert event.to_s > self.shift_to[event.van]
        self.shift_to[event.van] = event.to_s

    def _BreakStarted(self, event) -> None:
        assert not [x for x in self.riders.values() if x.state == "aboard" and x.van == event.van], "riders in a break"
        assert self.who(self.plans[event.van][0]).id == event.id
        self.resting[event.van] = True
        self.ready[event.van] = event.time_s

    def _BreakEnded(self, event) -> None:
        self._finish(event.id, ("waiting",), "done")
        self.resting[event.van] = False
        self.ready[event.van] = event.time_s

    def _BrokenDown(self, event) -> None:
        van = event.van
        self.out[van], self.resting[van] = True, False
        for action in list(self.plans[van]):
            rider = self.who(action)
            if rider.rest and rider.state == "waiting":
                self._finish(rider.id, ("waiting",), "cancelled")
            elif rider.state == "aboard":
                by_s = min(rider.promise.by_s, rider.picked_s + rider.promise.ride_s)
                rider.state, rider.origin = "waiting", event.stop
                rider.promise = e.Promise(event.time_s, FOREVER, by_s, rider.promise.ride_s)
                rider.held = rider.promise
            rider.van = None
        self.plans[van] = []

    def _VanBack(self, event) -> None:
        self.out[event.van] = False
        self._Arrived(e.Arrived(seq=0, time_s=0, van=event.van, stop=event.stop, since_s=event.time_s))

    def _AtRisk(self, event) -> None:
        rider = self.riders[event.id]
        if rider.promise is not None:
            for late, made in zip(limits(event.held), limits(rider.promise), strict=True):
                assert late - made <= self.config.grace_s, "at risk by more than the grace: that is broken"
        rider.held = event.held

    def _Safe(self, event) -> None:
        rider = self.riders[event.id]
        rider.held, rider.lost = rider.promise, False

    def _PromiseBroken(self, event) -> None:
        rider = self.riders[event.id]
        assert rider.state in ("waiting", "aboard")
        rider.broken += 1
        if event.offer is not None:
            assert event.late_s > 0, "a promise broken for nothing"
            rider.offer, rider.promise, rider.held = event.offer, event.offer.promise, event.offer.promise
            rider.lost = False
        elif rider.state == "waiting" and rider.picked_s is None:
            self._finish(event.id, ("waiting",), "failed")
        else:
            rider.lost = True

    def _Repositioned(self, event) -> None:
        for van in event.vans:
            assert not self.plans[van], "a van with work was sent away"

    def _TravelChanged(self, event) -> None: ...

    def _Overridden(self, event) -> None:
        if event.kind == e.Kind.OUT_OF_SERVICE:
            self.out[event.van] = True
            for action in list(self.plans[event.van]):
                rider = self.who(action)
                if rider.rest and rider.state == "waiting":
                    self._finish(rider.id, ("waiting",), "cancelled")

    def _Forgotten(self, event) -> None:
        for id in event.ids:
            assert self.riders[id].state not in OPEN, "forgot somebody who is still under way"
            self.free.append(self.slots.index(id))
            self.slots[self.free[-1]] = ""

    # -- checking --------------------------------------------------------------------------------------------------

    def all_is_well(self) -> None:
        """Everybody accepted is in exactly one plan, in order, and no van is ever fuller than it can be."""
        seen: dict[int, int] = {}
        for van, plan in enumerate(self.plans):
            assert len(set(plan)) == len(plan)
            aboard = [self.who(a) for a in plan if a < 0 and -a not in plan]
            assert all(rider.state == "aboard" for rider in aboard), "to be dropped off without being aboard"
            seats = sum(x.request.seats for x in aboard)
            chairs = sum(x.request.wheelchairs for x in aboard)
            for action in plan:
                rider = self.who(action)
                assert seen.setdefault(abs(action), van) == van, "one rider in two plans"
                if rider.rest:
                    assert seats == chairs == 0, "a break with riders aboard"
                    continue
                sign = 1 if action > 0 else -1
                assert sign < 0 or rider.state == "waiting"
                assert sign > 0 or rider.state == "aboard" or plan.index(-action) < plan.index(action)
                seats += sign * rider.request.seats
                chairs += sign * rider.request.wheelchairs
                assert seats <= self.fleet.seats[van]
                assert chairs <= self.fleet.wheelchairs[van]
            assert seats == chairs == 0, "somebody stays aboard for ever"
        for slot, id in enumerate(self.slots):
            if id and self.riders[id].state in ("waiting", "aboard"):
                assert slot + 1 in seen or self.riders[id].lost, f"{id} was lost without a word"

    def can_be_driven(self, van: int) -> None:
        """A plan just decided on can be driven within everything that is held: relaxed until nothing moves."""
        plan = self.plans[van]
        times: list[int] = [0] * len(plan)
        index = {action: k for k, action in enumerate(plan)}
        standing = [False] * len(plan)
        for k, action in enumerate(plan):
            rider = self.who(action)
            stop = rider.origin if action > 0 else rider.destination
            begun = action < 0 or rider.held.from_s <= self.time_s
            standing[k] = begun and stop == self.stop[van] >= 0 and all(standing[:k])
        if self.resting[van]:
            standing[:2] = True, True
        for _ in range(len(plan) + 2):
            before = list(times)
            here, free = self.row[van], self.ready[van]
            leave = self.time_s
            for k, action in enumerate(plan):
                rider = self.who(action)
                stop = -1 if rider.rest else rider.origin if action > 0 else rider.destination
                leg = 0 if stop < 0 else int(self.travel.time_s[here, stop])
                start = free + leg if standing[k] else max(free, leave) + leg
                opens = rider.held.from_s if action > 0 and not (rider.rest and standing[k]) else 0
                times[k] = max(times[k], start, opens)
                free = times[k] + (rider.boarding_s if action > 0 else rider.alighting_s)
                here = here if stop < 0 else stop
            for action, k in index.items():
                rider = self.who(action)
                if action < 0 and -action in index and not standing[k]:
                    pick = index[-action]
                    least = times[k] - rider.held.ride_s - rider.boarding_s
                    times[pick] = max(times[pick], least)
            if times == before:
                break
        for k, action in enumerate(plan):
            rider, held = self.who(action), self.who(action).held
            if standing[k]:
                continue
            if action > 0:
                assert times[k] <= held.to_s, f"{rider.id} planned {times[k] - held.to_s} s late"
            else:
                assert times[k] <= held.by_s, f"{rider.id} planned to arrive {times[k] - held.by_s} s late"
                since = rider.picked_s if rider.state == "aboard" else times[index[-action]] + rider.boarding_s
                assert times[k] - since <= held.ride_s, f"{rider.id} planned aboard too long"


def limits(promise: e.Promise) -> tuple[int, int, int]:
    return promise.to_s, promise.by_s, promise.ride_s


def replace_promise(promise: e.Promise, **what) -> e.Promise:
    return e.Promise(**({name: getattr(promise, name) for name in promise.__struct_fields__} | what))
