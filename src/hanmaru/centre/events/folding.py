"""How alarms become events: a new event, or one more fold of one that is there; when an event's alarm has ceased; and
what happens when nobody takes an event. Pure.
"""

from collections.abc import Mapping, Sequence
from math import asin, cos, radians, sin, sqrt
from typing import Any

from msgspec.structs import replace

from hanmaru.centre.domain import SEVERITIES, Detection, Severity, Text
from hanmaru.centre.events.model import KEPT_RAISES, SYSTEM, Entry, Escalation, Event, united
from hanmaru.centre.procedures.engine import named, order_of
from hanmaru.centre.procedures.model import Order, Run, Rung

EARTH_M = 6_371_008.8
"""Mean radius of the Earth (IUGG)."""
AGAIN_S = 600.0
"""An alarm that begins again this soon after its event closed by itself opens that event again."""
SELF_CLOSING: frozenset[Severity] = frozenset({"informational", "low"})
"""Events of these severities close by themselves when their alarm ceases before anybody took them."""

FLOOD = 20
"""So many open events of one rule are a flood: what the rule finds beyond them is gathered in one event."""
MOST_GATHERED = 500
"""Alarms that hold in one gathering event; beyond them another one begins."""

LADDERS: Mapping[Severity, tuple[Rung, ...]] = {
    "critical": (Rung(60, "supervisor"), Rung(180, "all")),
    "high": (Rung(120, "supervisor"), Rung(360, "all")),
    "medium": (Rung(300, "supervisor"), Rung(900, "all")),
    "low": (Rung(1800, "supervisor"),),
    "informational": (),
}
"""Whom to tell when nobody takes an event whose procedure says nothing else: choices of the house."""


def point_of(geometry: Mapping[str, Any] | None) -> tuple[float, float] | None:
    """Return a GeoJSON geometry's point as (lon, lat), the middle of its box where it is none; None for none."""
    if not geometry:
        return None
    points: list[tuple[float, float]] = []
    waiting: list[Any] = [geometry.get("coordinates")]
    while waiting and len(points) < 10_000:
        part = waiting.pop()
        if not isinstance(part, list | tuple) or not part:
            continue
        if all(isinstance(each, int | float) for each in part) and len(part) >= 2:  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            points.append((float(part[0]), float(part[1])))  # pyright: ignore[reportUnknownArgumentType]
        else:
            waiting.extend(part)  # pyright: ignore[reportUnknownArgumentType]
    if not points:
        return None
    lons, lats = zip(*points, strict=True)
    return (min(lons) + max(lons)) / 2, (min(lats) + max(lats)) / 2


def apart_m(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Return the great-circle distance of two (lon, lat) in metres (haversine)."""
    (lon_a, lat_a), (lon_b, lat_b) = a, b
    north, east = radians(lat_b - lat_a) / 2, radians(lon_b - lon_a) / 2
    h = sin(north) ** 2 + cos(radians(lat_a)) * cos(radians(lat_b)) * sin(east) ** 2
    return 2 * EARTH_M * asin(min(1.0, sqrt(h)))


def near(event: Event, detection: Detection, now: float, fold_m: float, fold_s: float) -> bool:
    """Return whether a detection folds into an event by category, place and time."""
    if event.category != detection.category or now - event.last > fold_s:
        return False
    here, there = point_of(event.location), point_of(detection.location)
    return here is not None and there is not None and apart_m(here, there) <= fold_m


def begun(detection: Detection, id: str, number: str, place: Text | None, at: float, now: float) -> tuple[Event, Entry]:
    """Return the event that a detection of ``at`` begins; from ``now`` on it waits for somebody (s since 1970)."""
    event = Event(
        id,
        number,
        "open",
        detection.severity,
        detection.category,
        detection.title,
        at,
        at,
        location=detection.location,
        place=place,
        rule=detection.rule,
        key=detection.key,
        keys={detection.key: True},
        entities=united(detection.entities, ()),
        values=detection.values,
        raises=(at,),
        waiting_since=now,
    )
    told = {"en": f"Raised by rule {detection.rule}", "ko": f"규칙 {detection.rule}에 의해 발생"}
    return event, Entry(at, SYSTEM, "raised", told, {"rule": detection.rule, "values": dict(detection.values)})


def gathering(event: Event, at: float) -> tuple[Event, Entry]:
    """Return an event that has just begun as the one that gathers what its rule finds in a flood."""
    more = {"ko": "{} 외 다수"}
    title = {language: more.get(language, "{} and more").format(name) for language, name in event.title.items()}
    told = {
        "en": f"The rule has {FLOOD} open events: its further alarms are gathered here",
        "ko": f"이 규칙의 사건이 {FLOOD}건 열려 있어 이후 경보를 여기에 모음",
    }
    return replace(event, title=title, gathers=True), Entry(at, SYSTEM, "gathering", told)


def folded(event: Event, detection: Detection, at: float) -> tuple[Event, Entry | None]:
    """Return an event with one more alarm folded in. Of many folds, the timeline tells the first ten, then each
    doubling: a timeline is for people."""
    count = event.count + 1
    grown = replace(
        event,
        count=count,
        last=max(event.last, at),
        cleared=None,
        keys={**event.keys, detection.key: True},
        entities=united(event.entities, detection.entities),
        values=detection.values,
        raises=(*event.raises, at)[-KEPT_RAISES:],
        severity=max(event.severity, detection.severity, key=SEVERITIES.index),
    )
    if count > 10 and count & (count - 1):
        return grown, None
    told = {"en": f"Alarm again ({count} times)", "ko": f"경보 반복 ({count}회)"}
    return grown, Entry(at, SYSTEM, "folded", told, {"rule": detection.rule, "count": count})


def reopened(event: Event, at: float, now: float) -> tuple[Event, Entry]:
    """Return an event that had closed by itself, open again."""
    told = {"en": "Opened again: the alarm is back", "ko": "다시 열림: 경보 재발"}
    again = replace(event, state="open", closed=None, waiting_since=now, rungs=0, escalated=None)
    return again, Entry(at, SYSTEM, "reopened", told)


def cleared(event: Event, key: str, at: float) -> tuple[Event, list[Entry]]:
    """Return an event one of whose alarms has ceased: with the last of them it is cleared, and may close by itself."""
    keys = {**event.keys, key: False}
    if event.gathers:
        del keys[key]
    event = replace(event, keys=keys)
    if any(keys.values()) or event.state == "closed":
        return event, []
    event = replace(event, cleared=at)
    entries: list[Entry] = []
    # A press of a button is over as it comes: only of what lasted, the end is told.
    if at > event.last and (event.count <= 10 or not event.count & (event.count - 1)):
        entries = [Entry(at, SYSTEM, "cleared", {"en": "The alarm has ceased", "ko": "경보 해제"})]
    if event.state == "open" and event.severity in SELF_CLOSING and event.procedure is None:
        event = replace(event, state="closed", closed=at, due=None)
        told = {"en": "Closed by itself: the alarm ceased before anybody took it", "ko": "자동 종결: 담당 전 경보 해제"}
        entries.append(Entry(at, SYSTEM, "closed", told, {"self": True}))
    return event, entries


def ladder(event: Event, run: Run | None) -> Sequence[Rung]:
    """Return whom to tell, one after another, when nobody takes an event."""
    return (run.procedure.escalation if run else ()) or LADDERS[event.severity]


def unattended(event: Event, run: Run | None, now: float) -> tuple[Event, list[Entry], list[Order]]:
    """Climb the rungs of the ladder for which an event has waited long enough."""
    entries: list[Entry] = []
    orders: list[Order] = []
    rungs = ladder(event, run)
    while (
        event.state == "open" and event.rungs < len(rungs) and now >= event.waiting_since + rungs[event.rungs].after_s
    ):
        rung, level = rungs[event.rungs], event.rungs + 1
        waited = int(now - event.waiting_since)
        name_en, name_ko = named(rung.to)
        told = {
            "en": f"Escalated to {name_en}: nobody has taken this for {waited} s",
            "ko": f"{name_ko}에 상향 보고: {waited}초 동안 담당자 없음",
        }
        entries.append(Entry(now, SYSTEM, "escalated", told, {"level": level, "to": rung.to}))
        text = {"en": f"Nobody has taken: {event.title.get('en', '')}", "ko": f"담당자 없음: {_ko(event.title)}"}
        orders.append(order_of(rung, text, f"{event.id}:{event.waiting_since:.3f}:rung{level}"))
        event = replace(event, rungs=level, escalated=Escalation(level, rung.to, now))
    return event, entries, orders


def due(event: Event, run: Run | None) -> float | None:
    """Return when an event is next escalated for want of somebody who takes it; None for never."""
    rungs = ladder(event, run)
    if event.state != "open" or event.rungs >= len(rungs):
        return None
    return event.waiting_since + rungs[event.rungs].after_s


def _ko(text: Text) -> str:
    return text.get("ko", text.get("en", ""))
