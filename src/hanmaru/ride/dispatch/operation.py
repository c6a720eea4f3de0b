"""The service as it runs: what is asked is decided by the engine, noted in the journal, and told.

Everything here happens on one event loop and takes milliseconds; whatever takes longer is done elsewhere, and its
result is proposed. An answer is made at once from the state as it is then, and leaves when that state is on disk.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import structlog

from hanmaru.platform.limits import Rate
from hanmaru.platform.problems import Problem, not_found
from hanmaru.ride.dispatch import trips as t
from hanmaru.ride.dispatch.figures import Figures
from hanmaru.ride.dispatch.journal import PASSING, WALKING, Entry, Journal, Reader
from hanmaru.ride.dispatch.settings import Settings, seconds
from hanmaru.ride.dispatch.site import Site
from hanmaru.ride.dispatch.trips import Point, Trip
from hanmaru.ride.dispatch.vans import Tracks
from hanmaru.ride.dispatch.wire import News
from hanmaru.ride.domain import RideError, Rows, Travel
from hanmaru.ride.engine import commands as c
from hanmaru.ride.engine import events as e
from hanmaru.ride.engine.dispatcher import Dispatcher
from hanmaru.ride.engine.state import ABOARD, BREAK, BROKEN, OFF, ON, RESTING, WAITING, State
from hanmaru.ride.roads.matrix import Metric, Places

log = structlog.get_logger()

SNAPSHOT_EVENTS = 5_000
CANDIDATES = 3
"""Stops that are tried at each end of a ride: the nearest within the walk."""
NIGHT_S, NIGHT_LATE_S = 3 * 3600, 1800
"""A gap in the hours that is at least so long is a night, and how late a van may be home."""
LEAVE_EARLY_S = 120
"""A van that waits at a stop leaves for the next one so much earlier than it would have to."""
SHIFTS_A_TICK = 10
"""Vans whose next day is planned in one second, so that midnight keeps nobody waiting."""
CALLS = 20
"""Times as many calls, acceptances and cancellations as trips may be open can come at once from a rider, and as many
as trips a minute from then on: each is thought about and written down.
"""
DOORS_S = 7 * 86_400
"""For how long it is kept from which door to which a trip was, what its rider calls them and how far they walked: a
week to ask again, complain, or look for what was lost.
"""
LATE_S = 12 * 3600
"""What a driver says of longer ago, a shift, is taken as so long ago."""

Future = asyncio.Future[None]
encode = msgspec.msgpack.Encoder().encode


class Operation:
    """A service in operation, in the process that holds the lock."""

    def __init__(
        self,
        site: Site,
        settings: Settings,
        zone: ZoneInfo,
        metric: Metric,
        dispatcher: Dispatcher,
        journal: Journal,
        reader: Reader,
        clock: Callable[[], float],
    ) -> None:
        """Go on from where the dispatcher and the journal are."""
        self.site, self.settings, self.zone, self.metric = site, settings, zone, metric
        self.dispatcher, self.journal, self.reader = dispatcher, journal, reader
        self._clock = clock
        self.tracks = Tracks(site)
        self.tracks.load(reader.fact("legs"))
        self.trips: dict[str, Trip] = {}
        self.of_rider: dict[str, set[str]] = {}
        for body in reader.open_trips():
            self._know(t.decode(body))
        self.figures = Figures()
        self.answered: dict[str, str] = {}
        most = settings.limits.max_open
        self.rate = Rate(most / 60, CALLS * most, "rider")
        self.van_index = {van.id: v for v, van in enumerate(site.vans)}
        self.stop_index = {stop.id: k for k, stop in enumerate(site.facts)}
        self.tell: Callable[[News], None] = lambda news: None
        self.called: Callable[[int, int], None] = lambda at_s, stop: None
        """Told of each call: when, and the stop nearest to its start."""
        self.changed = np.zeros(len(site.vans), np.int64)
        """The number of the last event about each van's plan."""
        self._riders: set[str] = set()
        self._vans: set[int] = set()
        self._snapshot_at = dispatcher.state.seq

    @property
    def state(self) -> State:
        """The engine's state."""
        return self.dispatcher.state

    def now(self) -> float:
        """Return the time, Unix seconds."""
        return self._clock()

    # ---- riders

    def request(
        self, key: str, rider: str, start: Point, goal: Point, seats: int, wheelchairs: int,
        when: str | dict[str, str], earliest_s: int | None, arrive_by_s: int | None, max_walk_m: int,
    ) -> Trip:  # fmt: skip
        """Take a call and return the trip with its offers, or with the reason why there are none."""
        if (known := self._known(key)) is not None:
            return self.trip(known, rider)
        limits, now_s = self.settings.limits, int(self.now())
        if sum(self.trips[id].open for id in self.of_rider.get(rider, ())) >= limits.max_open:
            raise Problem(409, "Too many trips", f"You have {limits.max_open} trips that are not over. Cancel one.")
        self.rate.require(rider)
        if self.journal.full:
            raise Problem(503, "Busy", "The dispatcher's disk does not keep up. Try again soon.", retry_after_s=5)
        trip = Trip(
            id=_new_id(), rider=rider, start=start, goal=goal, seats=seats, wheelchairs=wheelchairs, when=when,
            made_s=now_s, changed_s=now_s, code=f"{secrets.randbelow(10_000):04}",
        )  # fmt: skip
        near = [self.site.stops.near((p.lon, p.lat), max_walk_m, wheelchairs > 0, CANDIDATES) for p in (start, goal)]
        trip.walks = ({s: m for s, m, _ in near[0]}, {s: m for s, m, _ in near[1]})
        self._know(trip)
        asked_s = earliest_s or arrive_by_s or now_s
        refusal = "" if near[0] and near[1] else "no-destination-stop" if near[0] else "no-origin-stop"
        if not refusal and not self._open_at(asked_s):
            refusal = "closed"
        if refusal:
            trip.state, trip.reason = "refused", refusal
            self._keep([], [trip], key, trip.id)
            return trip
        origins, destinations = (tuple(c.Spot(s, walk_s) for s, _, walk_s in side) for side in near)
        command = c.Request(
            id=trip.id, origins=origins, destinations=destinations, seats=seats, wheelchairs=wheelchairs,
            earliest_s=earliest_s, arrive_by_s=arrive_by_s,
        )  # fmt: skip
        try:
            self.handle(command, key, trip.id)
        except Exception:
            self._forget(trip.id, rider)
            raise
        self.called(now_s, near[0][0][0])
        return trip

    def accept(self, key: str, rider: str, id: str, offer: str) -> Trip:
        """Take an offer; the trip is then booked, or has other offers where this one cannot be kept any more."""
        return self._rider(key, rider, id, lambda: c.Accept(id, offer))

    def decline(self, key: str, rider: str, id: str) -> Trip:
        """Take none of the offers."""
        return self._rider(key, rider, id, lambda: c.Decline(id))

    def cancel(self, key: str, rider: str, id: str, reason: str) -> Trip:
        """Call a trip off; what the rider writes is personal, and not kept."""
        return self._rider(key, rider, id, lambda: c.Cancel(id))

    def _rider(self, key: str, rider: str, id: str, command: Callable[[], c.AnyCommand]) -> Trip:
        trip = self.trip(id, rider)
        if (known := self._known(key)) is None:
            self.rate.require(rider)
            self.handle(command(), key, id)
        elif known != id:
            raise Problem(422, "Key used before", "This Idempotency-Key was sent with another trip. Make a new one.")
        return trip

    def trip(self, id: str, rider: str | None = None) -> Trip:
        """Return a trip, a rider's own where one is named; raises Problem 404 for another one."""
        trip = self.trips.get(id)
        if trip is None and (body := self.reader.trip(id)) is not None:
            trip = t.decode(body)
        if trip is None or (rider is not None and trip.rider != rider):
            raise not_found("There is no such trip.")
        return trip

    def trips_of(self, rider: str, active: bool) -> list[Trip]:
        """Return a rider's trips, newest first: those that are not over, or the last 50."""
        own = [self.trips[id] for id in self.of_rider.get(rider, ())]
        if not active:
            known = {trip.id for trip in own}
            own += [trip for trip in map(t.decode, self.reader.trips_of(rider, 50)) if trip.id not in known]
        else:
            own = [trip for trip in own if trip.open]
        return sorted(own, key=lambda trip: -trip.made_s)[:50]

    # ---- vans

    def act(self, van: int, action: dict[str, Any]) -> None:
        """Do what a driver says happened. Raises RideError where it cannot have."""
        kind, now = action["kind"], int(self.now())
        now_s = min(max(int(action["at_s"]), now - LATE_S), now)
        key = f"{self.site.vans[van].id} {action['id']}"
        state = self.state
        stop = int(state.vans.stop[van])
        if kind == "position":
            if stop >= 0 and now_s < int(state.vans.since_s[van]):  # where it was before it came here
                return
            lonlat = action["lon"], action["lat"]
            if self.tracks.see(van, stop, lonlat, action.get("bearing"), now_s):
                self._under_way([van], now_s)
            return
        command: c.AnyCommand
        match kind:
            case "arrived":
                command = c.Arrived(van, self._stop((action.get("stop") or "").partition(":")[0]), now_s)
            case "boarded":
                command = c.Boarded(van, action.get("request") or "", now_s)
            case "alighted":
                command = c.Alighted(van, action.get("request") or "", now_s)
            case "no-show":
                self._own(van, action.get("request") or "")
                command = c.NoShow(action.get("request") or "")
            case "break-start":
                command = c.BreakStart(van)
            case "break-end":
                command = c.BreakEnd(van)
            case "breakdown":
                command = c.Breakdown(van)
            case "back":
                command = c.Back(van, self._nearest(van))
            case _:
                raise RideError(f"a driver cannot do {kind!r}")
        self.handle(command, key, "")
        if kind in ("arrived", "back"):
            self.tracks.arrive(van)
            self.tracks.seen_s[van] = max(float(self.tracks.seen_s[van]), now_s)
            self._keep_legs()

    def done(self, van: int, id: str) -> bool:
        """Whether a driver's action was taken before."""
        return self._known(f"{self.site.vans[van].id} {id}") is not None

    def override(self, key: str, kind: str, van: str, request: str, stop: str, reason: str) -> list[e.AnyEvent]:
        """Do what a person at the desk decides."""
        if self._known(key) is not None:
            return []
        v = self.van(van) if van else None
        if kind == "cancel":
            return self.handle(c.Cancel(request, reason), key, request)
        if kind == "back":
            if v is None:
                raise RideError("back needs the van that is back")
            return self.handle(c.Back(v, self._nearest(v)), key, "")
        try:
            what = c.Kind(kind)
        except ValueError:
            raise RideError(f"kind is one of {', '.join([*c.Kind, 'cancel', 'back'])}") from None
        at = self._stop(stop) if stop else None
        return self.handle(c.Override(kind=what, van=v, id=request or None, stop=at, reason=reason), key, "")

    def van(self, id: str) -> int:
        """Return a van's index; raises Problem 404."""
        if id not in self.van_index:
            raise not_found(f"There is no van {id!r}.")
        return self.van_index[id]

    def _stop(self, id: str) -> int:
        number = id.removeprefix("depot-")
        if number != id and number.isascii() and number.isdigit() and int(number[:9]) < len(self.site.places):
            return int(number[:9])
        if id not in self.stop_index:
            raise RideError(f"there is no stop {id!r}")
        return self.stop_index[id]

    def stop_id(self, stop: int) -> str:
        """Return a column's id: a stop's, or a depot's."""
        return self.site.facts[stop].id if stop < len(self.site.facts) else f"depot-{stop}"

    def _nearest(self, van: int) -> int:
        state = self.state
        if state.vans.stop[van] >= 0:
            return int(state.vans.stop[van])
        spot = self.tracks.spot(van, -1, self.now())
        return self.site.stops.near((spot.lon, spot.lat), 1e6, most=1)[0][0]

    def _own(self, van: int, id: str) -> None:
        slot = self.state.slot(id)
        if int(self.state.requests.van[slot]) != van:
            raise RideError("this rider is not this van's any more")

    def next_stop(self, van: int) -> int | None:
        """Return the stop (column) that a van drives to next, None where it stays: it waits, rests or has none."""
        state = self.state
        vans, requests = state.vans, state.requests
        if vans.status[van] in (RESTING, BROKEN, OFF):
            return None
        if state.fixed(van, int(self.now())):
            return None
        for action in vans.actions(van)[:1]:
            slot = abs(action) - 1
            stop = int((requests.origin if action > 0 else requests.destination)[slot])
            return stop if stop >= 0 else None
        target = int(vans.target[van])
        return target if target >= 0 else None

    def drive(self, now_s: float) -> None:
        """Send off every van whose time to leave has come, and on another way whoever's next stop is another now."""
        state = self.state
        self.dispatcher.timetables.refresh(int(now_s))
        early = self.dispatcher.timetables.early
        time_s = self.dispatcher.travel.time_s
        left: list[int] = []
        for van in np.flatnonzero((state.vans.length > 0) | (state.vans.target >= 0) | (state.vans.stop < 0)).tolist():
            stop, goal = int(state.vans.stop[van]), self.next_stop(van)
            if stop < 0:
                self.tracks.divert(van, -1 if goal is None else goal, now_s)
            elif goal is not None and goal != stop:
                begins = float(early[van, 0]) if state.vans.length[van] else now_s
                if begins - float(time_s[stop, goal]) - LEAVE_EARLY_S <= now_s:
                    self.tracks.depart(van, stop, goal, now_s)
                    left.append(van)
        if left:
            self._under_way(left, now_s)

    def _under_way(self, vans: Sequence[int], now_s: float) -> None:
        """Tell the engine that vans have left their stops; their rows are the stops' until they are worked out."""
        rows = tuple(len(self.site.places) + van for van in vans)
        travel = self.dispatcher.travel
        for van, row in zip(vans, rows, strict=True):
            if (stop := int(self.state.vans.stop[van])) >= 0:
                travel.time_s[row], travel.length_m[row] = travel.time_s[stop], travel.length_m[stop]
        self.handle(c.Moved(tuple(vans), rows, (int(now_s),) * len(rows)), "", "")
        self._keep_legs()

    def moved(self, vans: Sequence[int], places: Places, time_s: Rows, length_m: Rows, at_s: float) -> None:
        """Take the rows of vans under way, for where they are at a time."""
        self.tracks.near(vans, places, at_s)
        first = len(self.site.places)
        rows = [first + van for van in vans]
        travel = self.dispatcher.travel
        travel.time_s[rows], travel.length_m[rows] = time_s, length_m
        self.handle(c.Moved(tuple(vans), tuple(rows), (int(at_s),) * len(rows)), "", "")
        self._keep_legs()

    def retime(self, metric: Metric, travel: Travel) -> None:
        """Take other travel times, and look at every promise again."""
        self.metric, self.dispatcher.travel = metric, travel
        self.handle(c.Retime(f"{int(self.now())}"), "", "")

    def tick(self, now_s: float) -> None:
        """Do what time alone brings."""
        self.handle(c.Tick(), "", "")
        for shift in self.shifts(now_s)[:SHIFTS_A_TICK]:
            self.handle(shift, "", "")
        self.keep_nights(now_s)
        self.drive(now_s)

    def propose(self, proposal: c.AnyCommand) -> None:
        """Take what a layer found; what does not fit any more is dropped by the engine."""
        self.handle(proposal, "", "")

    # ---- what was decided

    def handle(self, command: c.AnyCommand, key: str, answer: str) -> list[e.AnyEvent]:
        """Have the engine decide, take the events into the trips and the journal. Raises RideError.

        Where that fails half-way the journal ends: the state is ahead of it, and another dispatcher goes on from what
        is written.
        """
        before = self.state.seq
        try:
            return self._handle(command, key, answer)
        except Exception as error:
            if self.state.seq != before:
                log.critical("a decision failed half-way", command=type(command).__name__, exc_info=error)
                self.journal.fail(error)
            raise

    def _handle(self, command: c.AnyCommand, key: str, answer: str) -> list[e.AnyEvent]:
        events = self.dispatcher.handle(command, int(self.now()))
        changed: dict[str, Trip] = {}
        for event in events:
            touched = list(_vans_of(event))
            self._vans.update(touched)
            self.changed[touched] = event.seq
            for id in _trips_of(event):
                if trip := self.trips.get(id):
                    t.fold(trip, event)
                    changed[id] = trip
            if isinstance(event, e.PlansChanged | e.Accepted):
                for id in self._moved_trips(event):
                    changed[id] = self.trips[id]
        self._keep(events, changed.values(), key, answer)
        return events

    def _moved_trips(self, event: e.PlansChanged | e.Accepted) -> list[str]:
        """Return the open trips that have another van now, and note which."""
        found: list[str] = []
        requests = self.state.requests
        plans = event.plans if isinstance(event, e.PlansChanged) else {event.van: event.plan}
        for van, plan in plans.items():
            for action in plan:
                trip = self.trips.get(requests.ids[abs(action) - 1])
                if trip is not None and trip.van != van:
                    trip.van = van
                    found.append(trip.id)
        return found

    def _keep(self, events: Sequence[e.AnyEvent], trips: Iterable[Trip], key: str, answer: str) -> None:
        rows = [(trip.id, trip.rider, trip.open, trip.changed_s, t.encode(trip)) for trip in trips]
        if not (rows or events or key):
            return
        answers = [(key, int(self.now()), answer.encode())] if key else []
        body = [(event.seq, event.time_s, _lasts(event), encode(event)) for event in events]
        durable = self.journal.append(Entry(body, rows, answers))
        if key:
            self.answered[key] = answer
            if len(self.answered) > 50_000:
                del self.answered[next(iter(self.answered))]
        for id, rider, still_open, *_ in rows:
            self._riders.add(rider)
            if not still_open:
                self.figures.ended(self.trips[id])
                self._forget(id, rider)
        if not (self._riders or self._vans):
            return
        news = News(0, self.state.seq, sorted(self._riders), [self.site.vans[v].id for v in sorted(self._vans)])
        self._riders, self._vans = set(), set()
        durable.add_done_callback(lambda done: None if done.cancelled() or done.exception() else self.tell(news))
        if self.state.seq - self._snapshot_at >= SNAPSHOT_EVENTS:
            self.snapshot()

    def snapshot(self) -> None:
        """Keep the state, unless nothing has happened since it was kept."""
        if self.state.seq > self._snapshot_at:
            self._snapshot_at = self.state.seq
            self.journal.snapshot(self.state.seq, self.state.dumps())

    def leave_doors(self) -> None:
        """Keep of trips that have been over for `DOORS_S` from which stop to which, not from which door."""

        def anew(body: bytes) -> bytes | None:
            try:
                return t.encode(t.over(t.decode(body), self.tracks.column))
            except (msgspec.ValidationError, IndexError):  # another version's, or between stops that are no more
                return None

        self.journal.rewrite(int(self.now()) - DOORS_S, anew)

    def _keep_legs(self) -> None:
        self.journal.append(Entry(facts=[("legs", self.tracks.kept())]))

    def _know(self, trip: Trip) -> None:
        self.trips[trip.id] = trip
        self.of_rider.setdefault(trip.rider, set()).add(trip.id)

    def _forget(self, id: str, rider: str) -> None:
        """Leave a trip that is over to the journal."""
        self.trips.pop(id, None)
        own = self.of_rider.get(rider, set())
        own.discard(id)
        if not own:
            self.of_rider.pop(rider, None)

    def _known(self, key: str) -> str | None:
        """Return what was answered to a key before."""
        if not key:
            return None
        if (known := self.answered.get(key)) is None and (body := self.reader.answer(key)) is not None:
            known = self.answered[key] = body.decode()
        return known

    def _open_at(self, at_s: int) -> bool:
        local = datetime.fromtimestamp(at_s, self.zone)
        clock = local.hour * 3600 + local.minute * 60 + local.second
        opens, closes = map(seconds, self.settings.hours)
        return opens <= clock < closes if opens < closes else clock >= opens or clock < closes

    def shifts(self, now_s: float) -> list[c.Shift]:
        """Return working times that vans should have and have not: as many days as can be booked, nights as rests."""
        found: list[c.Shift] = []
        midnight = datetime.fromtimestamp(now_s, self.zone).replace(hour=0, minute=0, second=0, microsecond=0)
        days = [midnight + timedelta(days=n) for n in range(-1, self.settings.limits.book_ahead_days + 1)]
        for v, van in enumerate(self.site.vans):
            first, last = map(seconds, van.shift or self.settings.hours)
            last += 86_400 if last <= first else 0
            times = [(int(day.timestamp()) + first, int(day.timestamp()) + last) for day in days]
            times = [(begin, end) for begin, end in times if end > now_s]
            if not times or self.state.vans.shift_to_s[v] >= times[-1][1] or self.state.vans.status[v] == BROKEN:
                continue
            rests = [
                c.Break(int(day.timestamp()) + seconds(rest.begin[0]), int(day.timestamp()) + seconds(rest.begin[1]),
                        rest.minutes * 60)
                for day in days
                for rest in van.rests
            ]  # fmt: skip
            nights = [
                c.Break(end, end + NIGHT_LATE_S, begin - end - NIGHT_LATE_S)
                for (_, end), (begin, _) in pairwise(times)
                if begin - end >= NIGHT_S
            ]
            last_s = times[-1][1]
            breaks = [rest for rest in (*rests, *nights) if now_s < rest.to_s and rest.from_s < last_s]
            breaks.sort(key=lambda rest: rest.from_s)
            found.append(c.Shift(v, times[0][0], last_s, tuple(breaks)))
        return found

    def keep_nights(self, now_s: float) -> None:
        """Begin and end the rests that are nights: no driver is there to say so."""
        state = self.state
        vans, requests = state.vans, state.requests
        for van in np.flatnonzero(vans.length > 0).tolist():
            slot = abs(int(vans.plan[van, 0])) - 1
            if requests.kind[slot] != BREAK or requests.boarding_s[slot] < NIGHT_S - NIGHT_LATE_S:
                continue
            if vans.status[van] == RESTING:
                if int(vans.ready_s[van] + requests.boarding_s[slot]) <= now_s:
                    self.handle(c.BreakEnd(van), "", "")
            elif vans.status[van] == ON and requests.earliest_s[slot] <= now_s and vans.stop[van] >= 0:
                self.handle(c.BreakStart(van), "", "")

    def aboard(self, van: int) -> list[Trip]:
        """Return who is in a van."""
        requests = self.state.requests
        return [
            self.trips[id]
            for slot in self.state.aboard(van)
            if (id := requests.ids[slot]) in self.trips and requests.status[slot] == ABOARD
        ]

    def waiting(self) -> int:
        """Return how many riders wait for a van."""
        requests = self.state.requests
        return int(((requests.status[: requests.size] == WAITING) & (requests.kind[: requests.size] == 0)).sum())


def _new_id() -> str:
    return "r-" + secrets.token_hex(10)


def _lasts(event: e.AnyEvent) -> int:
    return PASSING if isinstance(event, e.Moved) else WALKING if isinstance(event, t.WALKING) else 0


def _trips_of(event: e.AnyEvent) -> tuple[str, ...]:
    id = getattr(event, "id", None)
    return (id,) if isinstance(id, str) else ()


def _vans_of(event: e.AnyEvent) -> Iterable[int]:
    if isinstance(event, e.PlansChanged):
        return event.plans
    if isinstance(event, e.Repositioned):
        return event.vans
    if isinstance(event, e.Moved | e.TravelChanged):
        return ()
    if isinstance(event, e.PromiseBroken):
        return () if event.offer is None else (event.offer.van,)
    van = getattr(event, "van", None)
    return (van,) if isinstance(van, int) and van >= 0 else ()
