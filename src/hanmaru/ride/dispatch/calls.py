"""What web workers can ask of the dispatcher over its socket. Each call is a method with the parameters of its name."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from hanmaru.platform.bodies import instant
from hanmaru.platform.problems import Problem
from hanmaru.ride.dispatch.operation import Operation
from hanmaru.ride.dispatch.server import Answer
from hanmaru.ride.dispatch.site import spots
from hanmaru.ride.dispatch.trips import Point, described, over
from hanmaru.ride.dispatch.views import Json, Views
from hanmaru.ride.domain import RideError
from hanmaru.ride.engine.state import FINISHED


class Calls:
    """Answers calls about one operation."""

    def __init__(self, operation: Operation) -> None:
        """Answer about an operation."""
        self.operation, self.views = operation, Views(operation)
        self._how: dict[str, Callable[..., Any]] = {
            name.removeprefix("call_"): getattr(self, name) for name in dir(self) if name.startswith("call_")
        }

    def answer(self, method: str, params: dict[str, Any]) -> Answer | Awaitable[Answer]:
        """Decide a call; return its JSON and the future that is done when it may leave. Raises Problem, RideError.

        What only looks at much of the service is awaited, and lets others in meanwhile.
        """
        found = self._how[method](**params)
        return self._later(found) if isinstance(found, Awaitable) else self._answer(found)  # pyright: ignore[reportUnknownArgumentType]

    def _answer(self, found: Json) -> Answer:
        return msgspec.json.encode(found), self.operation.journal.durable()

    async def _later(self, found: Awaitable[Json]) -> Answer:
        return self._answer(await found)

    # ---- what does not change

    def call_ground(self) -> Json:
        """Return what web workers keep: the service, its stops, and what can be searched for."""
        op = self.operation
        settings = op.settings
        ring = [list(point) for point in op.site.ring]
        limits = settings.limits
        service = {
            "name": settings.name,
            "zone": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
            "hours": {"from": settings.hours[0], "to": settings.hours[1]},
            "time_zone": str(op.zone),
            "currency": settings.promise.tariff.currency,
            "max_seats": limits.max_seats,
            "max_wheelchairs": limits.max_wheelchairs,
            "max_walk_m": limits.max_walk_m,
            "book_ahead_days": limits.book_ahead_days,
            "detour_factor": settings.promise.detour_factor,
            "detour_s": settings.promise.detour_s,
        }
        drivers = {van.driver: van.id for van in op.site.vans if van.driver}
        return {
            "service": service,
            "stops": self.views.stops,
            "places": spots(op.site),
            "drivers": drivers,
            "vans": [{"id": van.id, "plate": van.plate} for van in op.site.vans],
            "keep_days": limits.keep_days,
        }

    # ---- riders

    def call_request(self, start: Json, goal: Json, **others: Any) -> Json:
        """Take a call."""
        return self.views.trip(self.operation.request(start=Point(**start), goal=Point(**goal), **others))

    def call_accept(self, key: str, rider: str, id: str, offer: str) -> Json:
        """Take an offer."""
        return self.views.trip(self.operation.accept(key, rider, id, offer))

    def call_decline(self, key: str, rider: str, id: str) -> Json:
        """Take none of the offers."""
        return self.views.trip(self.operation.decline(key, rider, id))

    def call_cancel(self, key: str, rider: str, id: str, reason: str) -> Json:
        """Call a trip off."""
        return self.views.trip(self.operation.cancel(key, rider, id, reason))

    def call_trip(self, id: str, rider: str) -> Json:
        """Return a trip as its rider sees it."""
        return self.views.trip(self.operation.trip(id, rider))

    def call_desk_trip(self, id: str) -> Json:
        """Return a trip as the desk sees it: from stop to stop, without the rider's doors, labels, walks and code."""
        trip = over(self.operation.trip(id), self.operation.tracks.column)
        return {**self.views.trip(trip), "code": None}

    def call_rider_of(self, id: str) -> Json:
        """Return the pseudonym of who took a trip."""
        return {"rider": self.operation.trip(id).rider}

    def call_trips(self, rider: str, active: bool) -> Json:
        """Return a rider's trips, with the event's number that they are at."""
        op = self.operation
        return {"trips": [self.views.trip(trip) for trip in op.trips_of(rider, active)], "seq": op.state.seq}

    def call_destroy(self, rider: str) -> Json:
        """Forget somebody's trips; raises Problem 409 while one is not over."""
        if self.operation.trips_of(rider, active=True):
            raise Problem(409, "Not possible", "You have trips that are not over. Cancel them first.")
        self.operation.journal.destroy(rider)
        return {}

    # ---- drivers

    def call_driver(self, van: str) -> Json:
        """Return what a van's driver sees."""
        return self.views.driver(self.operation.van(van))

    def call_actions(self, van: str, actions: list[Json]) -> Json:
        """Do what a driver says happened, in order; one that is refused stops none after it."""
        op = self.operation
        v = op.van(van)
        applied: list[str] = []
        already: list[str] = []
        refused: list[Json] = []
        for action in actions:
            if op.done(v, action["id"]):
                already.append(action["id"])
                continue
            try:
                op.act(v, action)
                applied.append(action["id"])
            except RideError as error:
                reason = {"code": self._why(v, action), "text": {"en": str(error), "ko": "지금은 할 수 없습니다."}}
                refused.append({"id": action["id"], "reason": reason})
        return {"applied": applied, "already": already, "refused": refused, "plan": self.views.driver(v)}

    def _why(self, van: int, action: Json) -> str:
        """Return why a driver's action is refused: the rider is gone, done, another van's, or it is out of order."""
        requests, id = self.operation.state.requests, action.get("request")
        if not id:
            return "order"
        slot = requests.slots.get(id)
        if slot is None:
            return "gone"
        if requests.status[slot] >= FINISHED:
            return "done"
        return "order" if int(requests.van[slot]) == van else "wrong-van"

    # ---- the desk

    async def call_fleet(self) -> Json:
        """Return every van, the promises at risk and the figures."""
        return await self.views.fleet()

    async def call_vans(self) -> Json:
        """Return where each van is and what it does, and the figures: what the hub is told."""
        return await self.views.vans()

    def call_figures(self, hours: float) -> Json:
        """Return the figures of some hours."""
        return self.views.figures(hours)

    def call_open_trips(self) -> Json:
        """Return every trip that is not over, without who takes it."""
        return {"trips": [self.views.trip(trip) for trip in self.operation.trips.values()]}

    def call_override(self, **what: Any) -> Json:
        """Do what a person at the desk decides."""
        try:
            events = self.operation.override(**what)
        except RideError as error:
            raise Problem(409, "Not possible", str(error)) from None
        vans = [van.id for van in self.operation.site.vans]
        return {"events": [described(event, vans) for event in events]}

    def call_now(self) -> Json:
        """Return the time here."""
        return {"now": instant(self.operation.now()), "seq": self.operation.state.seq}
