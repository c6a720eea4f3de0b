"""What an event is, and what may become of it. Pure.

An event is ``open`` until somebody takes it, ``taken`` while it is theirs, ``closed`` when it is over. Every change is
an entry of its timeline, which only grows. `change` is the whole state machine; what it refuses it refuses in a line
that says what to do.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from hanmaru.centre.domain import CentreError, Severity, Text

State: TypeAlias = Literal["open", "taken", "closed"]
STATES: tuple[State, ...] = ("open", "taken", "closed")
Verb: TypeAlias = Literal["take", "release", "note", "severity", "close", "reopen", "merge"]
VERBS: tuple[Verb, ...] = ("take", "release", "note", "severity", "close", "reopen", "merge")
SYSTEM = "system:centre"
"""Who does what the room does by itself, in timelines and in the audit trail."""

FLAP_S = 600.0
FLAP_RAISES = 4
"""An event flaps whose alarm began this often within `FLAP_S`; it is a choice of the house, as is FLAP_S."""
KEPT_RAISES = 8


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of a timeline: ``what`` happened (a word such as ``raised``), who did it, and how a person is told.

    ``at`` is in seconds since 1970; over HTTP, ``seq`` orders the entries of all events.
    """

    at: float
    who: str
    what: str
    text: Text
    detail: Mapping[str, Any] = {}
    seq: int = 0


class Escalation(msgspec.Struct, frozen=True):
    """That nobody acted: how many rungs of the ladder were climbed, to whom the last one led, when."""

    level: int
    to: str
    at: float


class ProcedureRef(msgspec.Struct, frozen=True):
    """Which procedure an event follows, and the run of it."""

    id: str
    name: Text
    run: str


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event as it stands. Times in seconds since 1970, ``location`` a GeoJSON geometry, ``place`` in words.

    ``count`` is how many alarms folded into it, ``keys`` the detections' keys with whether each still holds,
    ``raises`` when the last alarms began, ``cleared`` since when none holds any more. ``seq`` grows with every change
    of any event. ``gathers``: it stands for a flood of one rule's alarms, of which ``keys`` has those that hold.
    ``offered`` is who is to take it next, ``due`` when its next timer runs out; ``rungs`` of the ladder were climbed
    since it waits for somebody, from ``waiting_since`` on.
    """

    id: str
    number: str
    state: State
    severity: Severity
    category: str
    title: Text
    opened: float
    last: float
    location: Mapping[str, Any] | None = None
    place: Text | None = None
    taken: float | None = None
    closed: float | None = None
    cleared: float | None = None
    owner: str | None = None
    offered: str | None = None
    rule: str | None = None
    key: str = ""
    keys: Mapping[str, bool] = {}
    gathers: bool = False
    entities: tuple[str, ...] = ()
    values: Mapping[str, Any] = {}
    count: int = 1
    raises: tuple[float, ...] = ()
    waiting_since: float = 0.0
    rungs: int = 0
    escalated: Escalation | None = None
    procedure: ProcedureRef | None = None
    merged_into: str | None = None
    due: float | None = None
    seq: int = 0


class Act(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody does with an event, beside the verb: ``POST /events/{id}/{verb}``."""

    reason: str = ""
    text: str = ""
    severity: Severity | None = None
    into: Annotated[str, Meta(max_length=64)] = ""
    to: Annotated[str, Meta(max_length=200)] = ""


def flapping(event: Event, now: float) -> bool:
    """Return whether an event's alarm comes and goes: `FLAP_RAISES` beginnings within the last `FLAP_S`."""
    return sum(now - FLAP_S < at for at in event.raises) >= FLAP_RAISES


def change(event: Event, verb: Verb, act: Act, who: str, now: float) -> tuple[Event, Entry]:
    """Return an event as a person's deed leaves it, and the entry that says so.

    Taking what is one's own already changes nothing but the timeline. ``merge`` gives the side that ends; what its
    target gains, `absorb` gives. Raises CentreError for what the event's state does not allow, or what lacks a reason.
    """
    match verb, event.state:
        case "note", _:
            text = _need(act.text, "text: what there is to note")
            return event, _entry(now, who, "note", (text, text))
        case "take", "open" | "taken":
            if event.owner not in (None, who):
                reason = _need(act.reason, f"a reason: {event.owner} has this event")
                told = (f"Taken over from {event.owner}: {reason}", f"{event.owner}에게서 인수: {reason}")
            else:
                told = ("Taken", "담당 지정")
            had = {"from": event.owner} if event.owner else {}
            taken = msgspec.structs.replace(
                event, state="taken", owner=who, offered=None, taken=event.taken or now, escalated=None
            )
            return taken, _entry(now, who, "taken", told, **had)
        case "release", "taken":
            reason = _need(act.reason, "a reason for giving the event up")
            to = act.to.strip()[:100]
            told = (
                (f"Handed over to {to}: {reason}", f"{to}에게 인계: {reason}")
                if to
                else (f"Released: {reason}", f"담당 해제: {reason}")
            )
            back = msgspec.structs.replace(
                event, state="open", owner=None, offered=to or None, waiting_since=now, rungs=0, escalated=None
            )
            return back, _entry(now, who, "released", told, **({"to": to} if to else {}))
        case "severity", "open" | "taken":
            if act.severity is None:
                raise CentreError("give the new severity")
            reason = _need(act.reason, "a reason for the new severity")
            steps = f"{event.severity} → {act.severity}: {reason}"
            told = (f"Severity {steps}", f"심각도 {steps}")
            changed = msgspec.structs.replace(event, severity=act.severity)
            return changed, _entry(now, who, "severity", told, **{"from": event.severity, "to": act.severity})
        case "close", "open" | "taken":
            reason = _need(act.reason, "a reason for closing: what came of it")
            shut = msgspec.structs.replace(event, state="closed", closed=now, due=None, offered=None)
            return shut, _entry(now, who, "closed", (f"Closed: {reason}", f"종결: {reason}"))
        case "reopen", "closed":
            if event.merged_into:
                raise CentreError("this event was merged into another one: go on with that one")
            reason = _need(act.reason, "a reason for opening it again")
            again = msgspec.structs.replace(
                event, state="open", closed=None, owner=None, waiting_since=now, rungs=0, escalated=None
            )
            return again, _entry(now, who, "reopened", (f"Opened again: {reason}", f"다시 열림: {reason}"))
        case "merge", "open" | "taken":
            into = _need(act.into, "into: the id of the event to merge this one into")
            if into == event.id:
                raise CentreError("an event cannot be merged into itself: name another one")
            gone = msgspec.structs.replace(event, state="closed", closed=now, due=None, offered=None, merged_into=into)
            return gone, _entry(now, who, "merged", ("Merged into another event", "다른 사건에 병합"), into=into)
        case _:
            raise CentreError(f"an event that is {event.state} cannot be used so: {_ALLOWED[event.state]}")


_ALLOWED: Mapping[State, str] = {
    "open": "take it, close it, merge it or note something",
    "taken": "take it over, release it, close it, merge it or note something",
    "closed": "open it again first, or note something",
}


def absorb(event: Event, other: Event, who: str, now: float) -> tuple[Event, Entry]:
    """Return an open event with another one's alarms and entities taken in. Raises CentreError for one that is not."""
    if event.state == "closed":
        raise CentreError(f"event {event.number} is closed: open it again before anything is merged into it")
    grown = msgspec.structs.replace(
        event,
        count=event.count + other.count,
        keys={**event.keys, **other.keys},
        entities=united(event.entities, other.entities),
        last=max(event.last, other.last),
    )
    told = (f"Event {other.number} merged into this one", f"사건 {other.number} 병합됨")
    return grown, _entry(now, who, "absorbed", told, event=other.id)


MOST_ENTITIES = 200


def united(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    """Return both lists' entities in order, each once, at most `MOST_ENTITIES`."""
    return tuple(dict.fromkeys((*first, *second)))[:MOST_ENTITIES]


def _entry(at: float, who: str, what: str, told: tuple[str, str], **detail: Any) -> Entry:
    return Entry(at, who, what, {"en": told[0], "ko": told[1]}, detail)


def _need(value: str, what: str) -> str:
    if not (value := value.strip()):
        raise CentreError(f"give {what}")
    if len(value) > 2000:
        raise CentreError("give at most 2000 characters")
    return value
