"""What riders, drivers and the desk see: plain JSON values made from the operation as it is now."""

import asyncio
from collections.abc import Iterable
from typing import Any

import numpy as np

from hanmaru.platform.bodies import instant
from hanmaru.ride.dispatch.operation import Operation
from hanmaru.ride.dispatch.trips import Trip
from hanmaru.ride.dispatch.words import REASONS, reason
from hanmaru.ride.engine import events as e
from hanmaru.ride.engine.state import BREAK, BROKEN, HELD, OFF, RESTING

ARRIVING_S = 120
"""A van that is so near is arriving."""
SHOWN_STOPS = 3
"""A rider sees the van from so many stops before theirs on."""
SLICE = 25
"""After so many vans of a fleet, who asks for an offer goes first."""
MOST_PATHS = 100
"""A fleet up to this size is told with its vans' ways; of a larger one, a van's own page shows it."""
Json = dict[str, Any]


class Views:
    """Looks at an operation; what is worked out for one view serves the others until something changes."""

    def __init__(self, operation: Operation) -> None:
        """Look at an operation."""
        self.operation = operation
        self._fresh = -1, -1
        self._stops: list[Json] = [
            {"id": s.id, "name": s.name, "lon": s.lon, "lat": s.lat, "accessible": s.accessible}
            for s in operation.site.facts
        ]
        for k in range(len(self._stops), len(operation.site.places)):
            lon, lat = operation.tracks.column(k)
            depot = {"en": "Depot", "ko": "차고지"}
            self._stops.append(
                {"id": f"depot-{k}", "name": depot, "lon": round(lon, 6), "lat": round(lat, 6), "accessible": False}
            )

    def stop(self, stop: int) -> Json:
        """Return a stop, or a depot."""
        return self._stops[stop]

    @property
    def stops(self) -> list[Json]:
        """Every stop that riders use."""
        return self._stops[: len(self.operation.site.facts)]

    # ---- riders

    def trip(self, trip: Trip) -> Json:
        """Return a trip as its rider sees it."""
        op, now_s = self.operation, self.operation.now()
        promise = trip.promise
        state, van, expected, path = trip.state, None, None, None
        if promise is not None and state in ("booked", "aboard"):
            at = self._when(trip)
            if at is not None:
                before, pickup_s, dropoff_s = at
                expected = {"pickup": instant(pickup_s or trip.picked_s or None), "arrive": instant(dropoff_s)}
                if state == "booked" and before == 0:
                    near = pickup_s is not None and pickup_s - now_s <= ARRIVING_S
                    state = "arriving" if near else "on-way"
                if before <= SHOWN_STOPS or state == "aboard":
                    van = self._van(trip.van, before)
                    path = op.tracks.path(trip.van, now_s) if before == 0 else None
        broken = trip.broken
        return {
            "id": trip.id,
            "state": state,
            "from": _point(trip.start),
            "to": _point(trip.goal),
            "seats": trip.seats,
            "wheelchairs": trip.wheelchairs,
            "when": trip.when,
            "made_at": instant(trip.made_s),
            "offers": [self.offer(offer, trip) for offer in trip.offers],
            "promise": None if promise is None else self.promise(promise),
            "expected": expected,
            "van": van,
            "code": trip.code,
            "path": path,
            "reason": reason(trip.reason or trip.instead) if trip.reason or trip.instead else None,
            "broken": None
            if broken is None
            else {
                "at": instant(broken.at_s),
                **{key: value for key, value in reason(broken.reason).items() if key != "code"},
                "reason": broken.reason,
                "offers": [self.offer(promise, trip)] if broken.instead and promise and trip.open else [],
            },
            "at_risk": trip.at_risk_s > 0,
            "fare": None if promise is None else self.fare(promise),
            "log": [{"at": instant(note.at_s), "what": note.what} for note in trip.log],
        }

    def offer(self, offer: e.Offer, trip: Trip) -> Json:
        """Return an offer."""
        promise = offer.promise
        pick, drop = offer.pickup, offer.dropoff
        return {
            "id": offer.id,
            "kind": offer.kind.value,
            "pickup": {
                "stop": self.stop(pick.stop),
                "walk_m": trip.walks[0].get(pick.stop, 0),
                "walk_s": pick.walk_s,
                "window": {"from": instant(promise.from_s), "to": instant(promise.to_s)},
                "expected": instant(offer.pickup_s),
            },
            "dropoff": {
                "stop": self.stop(drop.stop),
                "walk_m": trip.walks[1].get(drop.stop, 0),
                "walk_s": drop.walk_s,
                "arrive_by": instant(promise.by_s),
                "expected": instant(offer.dropoff_s),
            },
            "ride_s": offer.dropoff_s - offer.pickup_s,
            "fare": self.fare(offer),
            "expires_at": instant(offer.expires_s),
        }

    def promise(self, offer: e.Offer) -> Json:
        """Return what an accepted offer promises."""
        promise = offer.promise
        return {
            "pickup": {
                "stop": self.stop(offer.pickup.stop),
                "from": instant(promise.from_s),
                "to": instant(promise.to_s),
            },
            "dropoff": {"stop": self.stop(offer.dropoff.stop), "arrive_by": instant(promise.by_s)},
        }

    def fare(self, offer: e.Offer) -> Json:
        """Return an offer's price."""
        return {"amount": offer.fare, "currency": self.operation.settings.promise.tariff.currency}

    def _van(self, van: int, stops_before: int) -> Json:
        op = self.operation
        spot = op.tracks.spot(van, int(op.state.vans.stop[van]), op.now())
        facts = op.site.vans[van]
        return {
            "id": facts.id,
            "plate": facts.plate,
            "lon": spot.lon,
            "lat": spot.lat,
            "bearing": spot.bearing,
            "reckoned": spot.reckoned,
            "stops_before": stops_before,
        }

    def _when(self, trip: Trip) -> tuple[int, int | None, int] | None:
        """Return how many stops come before a rider's next one, when it is picked up (None: was) and dropped off."""
        state = self.operation.state
        slot = state.requests.slots.get(trip.id)
        van = -1 if slot is None else int(state.requests.van[slot])
        if slot is None or van < 0:
            return None
        trip.van = van
        plan, begins = state.vans.actions(van), self.begins(van)
        pick = plan.index(slot + 1) if slot + 1 in plan else None
        if -slot - 1 not in plan:
            return None
        drop = plan.index(-slot - 1)
        before = len(self._visits(van, plan[: drop if pick is None else pick]))
        at = self._place(van, plan[drop if pick is None else pick])
        if before and at == self._place(van, plan[(drop if pick is None else pick) - 1]):
            before -= 1
        return before, None if pick is None else int(begins[pick]), int(begins[drop])

    def begins(self, van: int) -> Any:
        """Return when service begins at each stop of a van's plan, late or not, as Unix seconds."""
        op = self.operation
        timetables, now_s = op.dispatcher.timetables, int(op.now())
        if self._fresh != (op.state.seq, now_s):
            timetables.refresh(now_s)
            self._fresh = op.state.seq, now_s
        return timetables.early[van] if timetables.good[van] else timetables.late_begins(van, now_s)

    def _place(self, van: int, action: int) -> int:
        requests, slot = self.operation.state.requests, abs(action) - 1
        if requests.kind[slot] == BREAK:
            return -1
        return int((requests.origin if action > 0 else requests.destination)[slot])

    def _visits(self, van: int, plan: Iterable[int]) -> list[tuple[int, list[int]]]:
        """Return a plan as visits: a stop (-1: a rest, where the van is) and the places of its actions in the plan."""
        visits: list[tuple[int, list[int]]] = []
        for k, action in enumerate(plan):
            stop = self._place(van, action)
            if visits and visits[-1][0] == stop:
                visits[-1][1].append(k)
            else:
                visits.append((stop, [k]))
        return visits

    # ---- drivers

    def driver(self, van: int) -> Json:
        """Return what a van's driver sees."""
        op, state = self.operation, self.operation.state
        facts, vans, requests = op.site.vans[van], state.vans, state.requests
        now_s, plan, begins = op.now(), state.vans.actions(van), self.begins(van)
        fixed = state.fixed(van, int(now_s)) if plan else 0
        stops: list[Json] = []
        breaks: list[Json] = []
        for n, (stop, places) in enumerate(self._visits(van, plan)):
            slots = [abs(plan[k]) - 1 for k in places]
            if stop < 0:
                begun = vans.status[van] == RESTING and places[0] < fixed
                breaks.append(
                    {
                        "id": requests.ids[slots[0]],
                        "from": instant(int(begins[places[0]])),
                        "to": instant(int(begins[places[0]]) + int(requests.boarding_s[slots[0]])),
                        "state": "begun" if begun else "due",
                    }
                )
                continue
            last = places[-1]
            service = requests.boarding_s if plan[last] > 0 else requests.alighting_s
            leave_s = int(begins[last]) + int(service[slots[-1]])
            stops.append(
                {
                    "key": f"{self.stop(stop)['id']}:{requests.ids[slots[0]]}",
                    "stop": self.stop(stop),
                    "arrive_at": instant(int(begins[places[0]])),
                    "leave_at": instant(leave_s),
                    "actions": [self._action(plan[k]) for k in places],
                    "arrived": int(vans.stop[van]) == stop,
                    "path": op.tracks.path(van, now_s) if n == 0 else None,
                }
            )
        target = int(vans.target[van])
        if not stops and target >= 0 and vans.stop[van] != target:
            stops.append(
                {"key": f"wait:{target}", "stop": self.stop(target), "arrive_at": None, "leave_at": None, "actions": [],
                 "path": op.tracks.path(van, now_s)}
            )  # fmt: skip
        spot = op.tracks.spot(van, int(vans.stop[van]), now_s)
        return {
            "van": {
                "id": facts.id,
                "plate": facts.plate,
                "status": self.status(van),
                "seats": facts.seats,
                "wheelchairs": facts.wheelchairs,
                "lon": spot.lon,
                "lat": spot.lat,
                "bearing": spot.bearing,
                "reckoned": spot.reckoned,
                "stop": self.stop(int(vans.stop[van])) if vans.stop[van] >= 0 else None,
            },
            "shift": {"from": instant(int(vans.shift_from_s[van])), "to": instant(int(vans.shift_to_s[van]))},
            "breaks": breaks,
            "stops": stops,
            "aboard": [
                {
                    "request": trip.id,
                    "alias": trip.alias,
                    "seats": trip.seats,
                    "wheelchairs": trip.wheelchairs,
                    "to": self.stop(trip.promise.dropoff.stop) if trip.promise else None,
                }
                for trip in op.aboard(van)
            ],
            "seq": state.seq,
            "now": instant(now_s),
        }

    def _action(self, action: int) -> Json:
        requests, slot = self.operation.state.requests, abs(action) - 1
        trip = self.operation.trips.get(requests.ids[slot])
        return {
            "request": requests.ids[slot],
            "kind": "pickup" if action > 0 else "dropoff",
            "alias": trip.alias if trip else "",
            "code": trip.code if trip and action > 0 else None,
            "seats": int(requests.seats[slot]),
            "wheelchairs": int(requests.wheelchairs[slot]),
            "state": "boarded" if trip and trip.state == "aboard" else "waiting",
            "from": instant(int(requests.earliest_s[slot])) if action > 0 else None,
        }

    def status(self, van: int) -> str:
        """Return what a van does, as drivers and the desk are told."""
        op, vans = self.operation, self.operation.state.vans
        status, now_s = int(vans.status[van]), op.now()
        if status == BROKEN:
            return "broken"
        if status == RESTING:
            return "break"
        if status == HELD:
            return "held"
        if status == OFF:
            return "out-of-service"
        if not vans.shift_from_s[van] <= now_s < vans.shift_to_s[van]:
            return "off" if not vans.length[van] else "driving"
        if vans.stop[van] < 0:
            return "driving"
        here = vans.length[van] and self._place(van, int(vans.plan[van, 0])) == vans.stop[van]
        return "at-stop" if here else "ready"

    # ---- the desk

    async def fleet(self) -> Json:
        """Return every van with its plan, the promises at risk, and the figures; other calls go on meanwhile."""
        vans: list[Json] = []
        count, before = len(self.operation.site.vans), self.operation.state.seq
        for van in range(count):
            if van % SLICE == 0:
                await asyncio.sleep(0)
            vans.append(self.van(van, count <= MOST_PATHS))
        for van in np.flatnonzero(self.operation.changed > before).tolist():  # nobody is seen in two vans, or in none
            vans[van] = self.van(van, count <= MOST_PATHS)
        return {"vans": vans, "at_risk": self.at_risk(), "figures": self.figures(), "seq": self.operation.state.seq}

    async def vans(self) -> Json:
        """Return where each van is and what it does, and the figures; other calls go on meanwhile."""
        op, vans = self.operation, self.operation.state.vans
        requests, found = op.state.requests, list[Json]()
        for v, facts in enumerate(op.site.vans):
            if v % SLICE == 0:
                await asyncio.sleep(0)
            spot = op.tracks.spot(v, int(vans.stop[v]), op.now())
            aboard = op.state.aboard(v) if vans.length[v] else []
            found.append(
                {
                    "id": facts.id,
                    "plate": facts.plate,
                    "lon": spot.lon,
                    "lat": spot.lat,
                    "bearing": spot.bearing,
                    "speed_kmh": spot.speed_kmh,
                    "reckoned": spot.reckoned,
                    "status": self.status(v),
                    "seats": facts.seats + facts.wheelchairs,
                    "aboard": int(sum(requests.seats[s] + requests.wheelchairs[s] for s in aboard)),
                }
            )
        return {"vans": found, "figures": self.figures()}

    def van(self, van: int, path: bool) -> Json:
        """Return a van as the desk sees it."""
        op, state = self.operation, self.operation.state
        requests, now_s, facts = state.requests, op.now(), op.site.vans[van]
        spot = op.tracks.spot(van, int(state.vans.stop[van]), now_s)
        plan: list[Json] = []
        taken = 0
        if state.vans.length[van]:
            actions, begins = state.vans.actions(van), self.begins(van)
            picked: set[int] = set()
            for k, action in enumerate(actions):
                slot, at_s = abs(action) - 1, int(begins[k])
                if requests.kind[slot] == BREAK:
                    if action > 0:
                        plan.append({"stop": None, "request": None, "kind": "break", "at": instant(at_s), "late_s": 0})
                    continue
                if action > 0:
                    picked.add(slot)
                elif slot not in picked:
                    taken += int(requests.seats[slot] + requests.wheelchairs[slot])
                close = int((requests.latest_s if action > 0 else requests.deadline_s)[slot])
                plan.append(
                    {
                        "stop": self.stop(self._place(van, action)),
                        "request": requests.ids[slot],
                        "kind": "pickup" if action > 0 else "dropoff",
                        "at": instant(at_s),
                        "late_s": max(0, at_s - close),
                    }
                )
        return {
            "id": facts.id,
            "plate": facts.plate,
            "lon": spot.lon,
            "lat": spot.lat,
            "bearing": spot.bearing,
            "reckoned": spot.reckoned,
            "status": self.status(van),
            "seats": facts.seats,
            "wheelchairs": facts.wheelchairs,
            "aboard": taken,
            "plan": plan,
            "path": op.tracks.path(van, now_s) if path else None,
            "driver": facts.driver or None,
        }

    def at_risk(self) -> list[Json]:
        """Return the promises at risk."""
        found: list[Json] = []
        for trip in self.operation.trips.values():
            if not trip.at_risk_s or trip.promise is None:
                continue
            at, waits = self._when(trip), trip.state == "booked"
            expected = None if at is None else at[1] if waits else at[2]
            van = self.operation.site.vans[trip.van] if trip.van >= 0 else None
            found.append(
                {
                    "request": trip.id,
                    "van": van.id if van else None,
                    "plate": van.plate if van else None,
                    "what": "pickup" if waits else "arrival",
                    "promise": instant(trip.promise.promise.to_s if waits else trip.promise.promise.by_s),
                    "expected": None if expected is None else instant(expected),
                    "late_s": trip.at_risk_s,
                    "why": {"code": "late", "text": REASONS[e.Reason.LATE]},
                }
            )
        return found

    def figures(self, hours: float = 1.0) -> Json:
        """Return the service's figures."""
        op = self.operation
        now_s = op.now()
        figures = op.figures.of(now_s, hours)
        vans = op.state.vans
        at_work = (vans.shift_from_s <= now_s) & (now_s < vans.shift_to_s)
        on = int((at_work & ~np.isin(vans.status, (OFF, BROKEN))).sum())
        aboard = sum(trip.seats + trip.wheelchairs for trip in op.trips.values() if trip.state == "aboard")
        riders = figures.pop("riders") or 0
        return {
            "waiting": op.waiting(),
            "aboard": aboard,
            **figures,
            "vans_on": on,
            "riders_per_van_hour": round(riders / on / hours, 2) if on else None,
            "hours": hours,
            "at": instant(now_s),
        }


def _point(point: Any) -> Json:
    return {"lon": point.lon, "lat": point.lat, **({"label": point.label} if point.label else {})}
