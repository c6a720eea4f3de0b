"""A small town on a plane with vans that do what they are told, riders who do not always, and a slow road now and
then.
"""

from dataclasses import dataclass

import numpy as np

from hanmaru.ride.domain import RideError, Travel
from hanmaru.ride.engine import commands as c
from hanmaru.ride.engine import events as e
from hanmaru.ride.engine.config import Config
from hanmaru.ride.engine.dispatcher import Dispatcher
from hanmaru.ride.engine.state import ABOARD, BREAK, BROKEN, OFFERED, RESTING, WAITING, Fleet, State
from hanmaru.ride.engine.timetable import Timetables
from tests.ride.witness import Witness

START = 1_800_000_000
CONFIG = Config(max_wait_s=600, detour_s=300, forget_s=600)


def fleet(rng: np.random.Generator, vans: int, stops: int, hours: float = 12) -> Fleet:
    return Fleet(
        seats=tuple(int(x) for x in rng.integers(3, 9, vans)),
        wheelchairs=tuple(int(x) for x in rng.integers(0, 2, vans)),
        depot=tuple(int(x) for x in rng.integers(-1, stops, vans)),
        stop=tuple(int(x) for x in rng.integers(0, stops, vans)),
        shift_from_s=(START,) * vans,
        shift_to_s=tuple(START + int(hours * 3600) - int(x) for x in rng.integers(0, 1800, vans)),
    )


@dataclass
class Van:
    at: np.ndarray
    busy_s: int = 0
    done: str = ""
    reported_s: int = 0


class Town:
    """``calm``: nothing unforeseen happens. Vans go at 8 m/s, a second at a time, and say where they are every 15 s."""

    def __init__(self, seed: int, vans: int = 6, stops: int = 25, config: Config = CONFIG, hours: float = 12) -> None:
        self.rng = np.random.default_rng(seed)
        self.stops = self.rng.random((stops, 2)) * 3000
        self.fleet = fleet(self.rng, vans, stops, hours)
        self.config, self.slow, self.now_s = config, 1.0, START
        rows = np.concatenate((self.stops, self.stops[list(self.fleet.stop)]))
        self.travel = self._travel(rows)
        self.dispatcher = Dispatcher(config, self.fleet, self.travel)
        self.witness = Witness(config, self.fleet, self.travel)
        self.vans = [Van(self.stops[stop].copy()) for stop in self.fleet.stop]
        self.log: list[e.AnyEvent] = []
        self.absent: set[str] = set()
        self.asked = 0
        self.refused = 0

    def _travel(self, rows: np.ndarray) -> Travel:
        length = np.hypot(*(rows[:, None] - self.stops[None]).transpose(2, 0, 1))
        return Travel(np.ceil(length * self.slow / 8).astype(np.int32), np.ceil(length).astype(np.int32))

    def say(self, command: c.AnyCommand) -> list[e.AnyEvent]:
        batch = self.dispatcher.handle(command, self.now_s)
        self.log += batch
        self.witness.read(batch)
        return batch

    def may(self, command: c.AnyCommand) -> None:
        """Say something that may make no sense; then nothing may have changed."""
        before = self.dispatcher.state.seq
        try:
            self.say(command)
        except RideError:
            self.refused += 1
            assert self.dispatcher.state.seq == before

    def ask(self, **more) -> e.AnyEvent:
        self.asked += 1
        near = self.rng.permutation(len(self.stops))
        origins = tuple(c.Spot(int(stop), int(self.rng.integers(0, 120))) for stop in near[: self.rng.integers(1, 4)])
        last = near[-int(self.rng.integers(1, 4)) :]
        destinations = tuple(c.Spot(int(stop), int(self.rng.integers(0, 120))) for stop in last)
        what = {"id": f"r{self.asked}", "origins": origins, "destinations": destinations} | more
        return self.say(c.Request(**what))[-1]

    def restart(self) -> None:
        """Start again from a snapshot, and compare with a replay of the whole log."""
        state = self.dispatcher.state
        digest = self.dispatcher.digest()
        self.dispatcher = Dispatcher(self.config, State.loads(state.dumps()), self.travel)
        assert self.dispatcher.digest() == digest
        again = Dispatcher(self.config, self.fleet, self.travel)
        for event in self.log:
            again.apply(event)
        assert again.digest() == digest

    def retime(self, slow: float) -> None:
        self.slow = slow
        self.travel = self._travel(np.concatenate((self.stops, [van.at for van in self.vans])))
        self.dispatcher.travel = self.witness.travel = self.travel
        self.say(c.Retime(f"slow {slow:.2f}"))

    def drive(self, seconds: int, pace: float = 1.0) -> None:
        """Let time pass."""
        for _ in range(seconds):
            self.now_s += 1
            for number in range(len(self.vans)):
                if self.vans[number].busy_s <= self.now_s:
                    self._step(number, pace)
            if self.now_s % 10 == 0:
                self.say(c.Tick())

    def _step(self, number: int, pace: float) -> None:
        van, state = self.vans[number], self.dispatcher.state
        vans, requests = state.vans, state.requests
        if vans.status[number] == BROKEN:
            van.done = ""
            return
        if vans.status[number] == RESTING:
            if van.done == "break":
                van.done = ""
                self.say(c.BreakEnd(number))
            else:
                van.done, van.busy_s = "break", self.now_s + int(requests.boarding_s[vans.plan[number, 0] - 1]) - 1
            return
        plan = vans.actions(number)
        if not plan:
            goal = int(vans.target[number])
            if goal >= 0:
                self._go(number, goal, pace)
            return
        action = plan[0]
        slot = abs(action) - 1
        id = requests.ids[slot]
        if requests.kind[slot] == BREAK:
            if self.now_s >= requests.earliest_s[slot]:
                self.say(c.BreakStart(number))
            return
        goal = int((requests.origin if action > 0 else requests.destination)[slot])
        if vans.stop[number] != goal:
            van.done = ""
            self._go(number, goal, pace)
        elif action > 0 and self.now_s < requests.earliest_s[slot]:
            van.done = ""
        elif action > 0 and id in self.absent:
            since = max(int(vans.since_s[number]), int(requests.earliest_s[slot]))
            if self.now_s >= since + self.config.no_show_s:
                self.say(c.NoShow(id))
        elif van.done == f"{id}{action}":
            van.done = ""
            self.say(c.Boarded(number, id) if action > 0 else c.Alighted(number, id))
            self._step(number, pace)
        else:
            van.done = f"{id}{action}"
            service = int((requests.boarding_s if action > 0 else requests.alighting_s)[slot])
            van.busy_s = self.now_s + service

    def _go(self, number: int, goal: int, pace: float) -> None:
        van = self.vans[number]
        way = self.stops[goal] - van.at
        left = float(np.hypot(*way))
        step = 8 / self.slow * pace
        if left <= step:
            van.at = self.stops[goal].copy()
            self.say(c.Arrived(number, goal))
            return
        van.at = van.at + way / left * step
        if self.dispatcher.state.vans.stop[number] >= 0 or self.now_s >= van.reported_s + 15:
            van.reported_s = self.now_s
            row = len(self.stops) + number
            length = np.hypot(*(self.stops - van.at).T)
            self.travel.time_s[row] = np.ceil(length * self.slow / 8)
            self.travel.length_m[row] = np.ceil(length)
            self.say(c.Moved((number,), (row,), (self.now_s,)))

    def some(self, status: int) -> str | None:
        requests = self.dispatcher.state.requests
        slots = np.nonzero((requests.status[: requests.size] == status) & (requests.kind[: requests.size] != BREAK))[0]
        return requests.ids[int(self.rng.choice(slots))] if len(slots) else None

    def accept(self) -> None:
        """Somebody with offers takes one."""
        id = self.some(OFFERED)
        if id is not None:
            offers = self.dispatcher.state.requests.offers[self.dispatcher.state.slot(id)]
            self.say(c.Accept(id, offers[int(self.rng.integers(len(offers)))].id))

    def mischief(self) -> None:
        """Something happens that nobody wanted."""
        rng, number = self.rng, int(self.rng.integers(len(self.vans)))
        waiting, aboard = self.some(WAITING), self.some(ABOARD)
        stop = int(rng.integers(len(self.stops)))
        kind = rng.integers(12)
        if kind == 0 and waiting:
            self.absent.add(waiting)
        elif kind == 1:
            self.may(c.Cancel(waiting or "nobody"))
        elif kind == 2 and aboard:
            self.may(c.Cancel(aboard))
        elif kind == 3:
            self.may(c.Breakdown(number))
        elif kind == 4:
            self.may(c.Back(number, stop))
            if self.dispatcher.state.vans.stop[number] == stop:
                self.vans[number].at = self.stops[stop].copy()
        elif kind == 5:
            self.may(c.Override(kind=c.Kind.ASSIGN, van=number, id=waiting, reason="a friend"))
        elif kind == 6:
            self.may(c.Override(kind=c.Kind.UNASSIGN, id=waiting))
        elif kind == 7:
            held = c.Kind.HOLD if rng.random() < 0.5 else c.Kind.RELEASE
            self.may(c.Override(kind=held, van=number))
        elif kind == 8 and rng.random() < 0.3:
            self.may(c.Override(kind=c.Kind.OUT_OF_SERVICE, van=number))
        elif kind == 9:
            self.may(c.Override(kind=c.Kind.STOP_AT, van=number, stop=stop))
        elif kind == 10:
            self.retime(float(rng.choice((0.9, 1.0, 1.3))))
        else:
            rest = c.Break(self.now_s + 600, self.now_s + 1800, 300)
            self.may(c.Shift(number, START, self.now_s + int(rng.integers(600, 7200)), (rest,)))

    def propose(self) -> None:
        """A layer proposes something: rubbish now and then, else the best of some exchanges, perhaps thought up a while
        ago.
        """
        state, rng = self.dispatcher.state, self.rng
        tables = self.dispatcher.timetables
        best, saved = {}, 0.0
        for _ in range(30):
            one, other = (int(x) for x in rng.choice(len(self.vans), 2, replace=False))
            plans = {van: state.vans.actions(van) for van in (one, other)}
            before = self._cost(tables, plans)
            if not plans[one]:
                continue
            slot = abs(int(rng.choice(plans[one])))
            pair = [action for action in plans[one] if abs(action) == slot]
            plans[one] = [action for action in plans[one] if abs(action) != slot]
            goal = plans[int(rng.choice((one, other)))]
            k = int(rng.integers(len(goal) + 1))
            for action in pair:
                goal.insert(k, action)
                k = int(rng.integers(k + 1, len(goal) + 1))
            if rng.random() < 0.01:
                goal.append(int(rng.integers(-60, 60)) or 1)
                best = plans
                break
            if before - self._cost(tables, plans) > saved:
                best, saved = plans, before - self._cost(tables, plans)
        plans, version = {van: tuple(plan) for van, plan in best.items()}, state.seq
        if rng.random() < 0.3:
            self.drive(int(rng.integers(0, 60)))
        self.may(c.Propose(version, plans, "chance"))

    def _cost(self, tables: Timetables, plans: dict[int, list[int]]) -> float:
        begins = {van: tables.begins(van, self.now_s, plan) for van, plan in plans.items()}
        return sum(
            tables.cost(van, plan, begins[van]) if begins[van] is not None else np.inf for van, plan in plans.items()
        )
