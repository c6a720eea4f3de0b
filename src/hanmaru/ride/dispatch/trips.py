"""A rider's trip from the call to the end, as the events tell it. Who the rider is, is a pseudonym's secret."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from hanmaru.platform.bodies import instant
from hanmaru.ride.engine import events as e
from hanmaru.ride.engine.commands import Spot

MOST_NOTES = 50
OPEN = ("asked", "offered", "booked", "aboard")
"""States of a trip that is not over; ``on-way`` and ``arriving`` are booked ones, seen from outside."""
ALIASES = (
    "Crane Magpie Heron Swan Falcon Sparrow Lark Owl Tiger Deer Hare Fox Otter Bear Turtle Dolphin Pine Maple Bamboo"
    " Lotus Plum Azalea Willow Ginkgo"
).split()
ALIASES_KO = (
    "두루미 까치 왜가리 고니 매 참새 종달새 올빼미 호랑이 사슴 토끼 여우 수달 곰 거북 돌고래 소나무 단풍 대나무 연꽃"
    " 매화 진달래 버들 은행"
).split()


class Point(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a rider is or goes, and what they call it."""

    lon: float
    lat: float
    label: str = ""


class Note(msgspec.Struct, frozen=True):
    """A line of a trip's log."""

    at_s: int
    what: str


class Broken(msgspec.Struct, frozen=True):
    """A promise that was broken: why, and whether another one took its place."""

    at_s: int
    reason: str
    instead: bool


class Trip(msgspec.Struct, kw_only=True):
    """One call. ``walks`` are the metres to each stop that was asked about, by stop, from the start and to the goal.

    ``promise`` is the accepted offer. ``code`` is what the rider shows the driver.
    """

    id: str
    rider: str
    start: Point
    goal: Point
    seats: int
    wheelchairs: int
    when: str | dict[str, str]
    made_s: int
    code: str
    walks: tuple[dict[int, int], dict[int, int]] = ({}, {})
    state: str = "asked"
    offers: tuple[e.Offer, ...] = ()
    instead: str = ""
    promise: e.Offer | None = None
    reason: str = ""
    broken: Broken | None = None
    at_risk_s: int = 0
    van: int = -1
    picked_s: int = 0
    dropped_s: int = 0
    changed_s: int = 0
    log: list[Note] = []

    @property
    def open(self) -> bool:
        """Whether it is not over."""
        return self.state in OPEN

    @property
    def alias(self) -> str:
        """What a driver calls the rider: no name."""
        number = int(self.code)
        return f"{ALIASES_KO[number % len(ALIASES)]} {number % 100:02} · {ALIASES[number % len(ALIASES)]}"


def fold(trip: Trip, event: e.AnyEvent) -> None:
    """Take an event about a trip into it."""
    what = ""
    match event:
        case e.Offered():
            trip.state, trip.offers, trip.van = "offered", event.offers, -1
            trip.instead = event.instead or ""
            what = "offered"
        case e.Rejected():
            trip.state, trip.reason, trip.offers = "refused", event.reason, ()
            what = "refused"
        case e.Accepted():
            trip.state, trip.promise, trip.offers, trip.van = "booked", event.offer, (), event.van
            trip.instead = ""
            what = "booked"
        case e.Declined():
            trip.state, trip.offers = "cancelled", ()
            what = "declined"
        case e.Expired():
            trip.state, trip.offers = "expired", ()
            what = "expired"
        case e.Cancelled():
            if event.stop is None:
                trip.state = "cancelled"
            what = "cancelled"
        case e.PickedUp():
            trip.state, trip.picked_s, trip.van = "aboard", event.begun_s, event.van
            what = "boarded"
        case e.DroppedOff():
            trip.state = "cancelled" if any(note.what == "cancelled" for note in trip.log) else "done"
            trip.dropped_s = event.begun_s
            what = "alighted"
        case e.NoShow():
            trip.state = "no-show"
            what = "no-show"
        case e.AtRisk():
            trip.at_risk_s = max(1, event.late_s)
            what = "at-risk"
        case e.Safe():
            trip.at_risk_s = 0
            what = "safe"
        case e.PromiseBroken():
            trip.broken = Broken(event.time_s, event.reason, event.offer is not None)
            trip.at_risk_s = 0
            if event.offer is not None:
                trip.promise = event.offer
            elif trip.state == "booked":
                trip.state, trip.reason = "broken", event.reason
            what = "broken"
        case _:
            return
    trip.changed_s = event.time_s
    if len(trip.log) < MOST_NOTES or what not in ("at-risk", "safe"):  # a van in a jam may be both by turns for hours
        trip.log.append(Note(event.time_s, what))


def _at_stops(offer: e.Offer) -> e.Offer:
    return replace(offer, pickup=Spot(offer.pickup.stop), dropoff=Spot(offer.dropoff.stop))


def over(trip: Trip, where: Callable[[int], tuple[float, float]]) -> Trip:
    """Return a trip as it is kept once it is over: its ends are stops, not doors, and have no labels or walks.

    ``where`` tells a stop's lon, lat. Where no stop was near, an end is rounded to about a kilometre.
    """
    offer = trip.promise
    stops = (
        spot.stop if spot else next(iter(walks), None)
        for spot, walks in ((offer and offer.pickup, trip.walks[0]), (offer and offer.dropoff, trip.walks[1]))
    )
    start, goal = (
        Point(round(point.lon, 2), round(point.lat, 2)) if stop is None else Point(*where(stop))
        for stop, point in zip(stops, (trip.start, trip.goal), strict=True)
    )
    return replace(
        trip,
        start=start,
        goal=goal,
        walks=(dict.fromkeys(trip.walks[0], 0), dict.fromkeys(trip.walks[1], 0)),
        offers=(),
        promise=offer and _at_stops(offer),
    )


WALKING = (e.Requested, e.Offered, e.Accepted, e.PromiseBroken)
"""Events that say how far somebody walks to stops."""


def bare(body: bytes) -> bytes:
    """Return an event of `WALKING` without the walks."""
    event = _event.decode(body)
    match event:
        case e.Requested(request=asked):
            ends = {
                name: tuple(Spot(spot.stop) for spot in getattr(asked, name)) for name in ("origins", "destinations")
            }
            event = replace(event, request=replace(asked, **ends))
        case e.Offered():
            event = replace(event, offers=tuple(map(_at_stops, event.offers)))
        case e.Accepted():
            event = replace(event, offer=_at_stops(event.offer))
        case e.PromiseBroken():
            event = replace(event, offer=event.offer and _at_stops(event.offer))
        case _:
            pass
    return encode(event)


_event = msgspec.msgpack.Decoder(e.AnyEvent)
encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Trip).decode


TEXTS: dict[type[e.AnyEvent], tuple[str, str]] = {
    e.Requested: ("A ride was called", "호출 접수"),
    e.Offered: ("Offers were made", "제안 전송"),
    e.Rejected: ("Nothing could be offered", "제안 불가"),
    e.Accepted: ("Booked", "예약 확정"),
    e.Declined: ("The rider declined", "승객 거절"),
    e.Expired: ("No offer was taken in time", "제안 만료"),
    e.Cancelled: ("Cancelled", "취소"),
    e.PlansChanged: ("Plans were changed", "운행 계획 변경"),
    e.Arrived: ("A van arrived", "정류장 도착"),
    e.PickedUp: ("Boarded", "승차"),
    e.DroppedOff: ("Alighted", "하차"),
    e.NoShow: ("Nobody came", "미탑승"),
    e.BreakStarted: ("A break began", "휴식 시작"),
    e.BreakEnded: ("A break ended", "휴식 종료"),
    e.BrokenDown: ("A van broke down", "차량 고장"),
    e.VanBack: ("A van is back", "차량 복귀"),
    e.ShiftSet: ("A shift was set", "근무 시간 설정"),
    e.Overtime: ("A van works past its shift", "근무 시간 초과"),
    e.AtRisk: ("A promise is at risk", "약속 위험"),
    e.Safe: ("A promise is safe again", "약속 회복"),
    e.PromiseBroken: ("A promise was broken", "약속 불이행"),
    e.Repositioned: ("Idle vans were moved", "대기 차량 이동"),
    e.TravelChanged: ("Travel times changed", "소요 시간 변경"),
    e.Overridden: ("The desk decided", "담당자 조치"),
}
QUIET = (e.Moved, e.Forgotten)
"""Events that say nothing to a person."""


def described(event: e.AnyEvent, vans: Sequence[str]) -> dict[str, Any]:
    """Return an event as an entry of the desk's log; ``vans`` are the vans' ids."""
    english, korean = TEXTS[type(event)]
    by = "engine"
    if isinstance(event, e.PlansChanged):
        by = event.layer
    elif isinstance(event, e.Overridden):
        by, english, korean = "dispatcher", f"{english}: {event.kind.value}", f"{korean}: {event.kind.value}"
    elif isinstance(event, e.Repositioned):
        by = "rebalancing"
    many: Iterable[int] = ()
    if isinstance(event, e.PlansChanged):
        many = event.plans
    elif isinstance(event, e.Repositioned):
        many = event.vans
    elif isinstance(van := getattr(event, "van", None), int) and van >= 0:
        many = (van,)
    named = [vans[v] for v in many if v < len(vans)]
    id = event.request.id if isinstance(event, e.Requested) else getattr(event, "id", None)
    reason = getattr(event, "reason", None) or getattr(event, "instead", None)
    return {
        "seq": event.seq,
        "at": instant(event.time_s),
        "kind": type(event).__name__,
        "by": by,
        "van": named[0] if len(named) == 1 else None,
        "vans": named,
        "request": id if isinstance(id, str) else None,
        "text": {"en": english, "ko": korean},
        "reason": str(reason) if reason else None,
    }
