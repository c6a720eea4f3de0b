"""Events, timelines and runs of procedures as HTTP shows them: times RFC 3339 in UTC, steps with what is in them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from hanmaru.centre.events.model import Entry, Event, flapping
from hanmaru.centre.procedures.model import Procedure, Receipt, Run, Step, StepRun

Json = dict[str, Any]


def instant(seconds: float | None) -> str | None:
    """Return seconds since 1970 as an instant in UTC, to the millisecond."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def event(found: Event, now: float, timeline: Sequence[Entry] | None = None) -> Json:
    """Return an event; with its ``timeline`` (oldest first) where one is given."""
    shown: Json = {
        "id": found.id,
        "number": found.number,
        "seq": found.seq,
        "state": found.state,
        "severity": found.severity,
        "category": found.category,
        "title": dict(found.title),
        "location": found.location,
        "place": found.place,
        "opened": instant(found.opened),
        "last": instant(found.last),
        "taken": instant(found.taken),
        "closed": instant(found.closed),
        "cleared": instant(found.cleared),
        "owner": found.owner,
        "offered": found.offered,
        "rule": found.rule,
        "key": found.key,
        "entities": list(found.entities),
        "values": dict(found.values),
        "count": found.count,
        "flapping": flapping(found, now),
        "escalated": _shown(found.escalated),
        "procedure": None if found.procedure is None else msgspec.to_builtins(found.procedure),
        "merged_into": found.merged_into,
    }
    return shown if timeline is None else {**shown, "timeline": [entry(one) for one in timeline]}


def entry(one: Entry) -> Json:
    """Return a line of a timeline."""
    return {
        "seq": one.seq,
        "at": instant(one.at),
        "who": one.who,
        "what": one.what,
        "text": dict(one.text),
        "detail": dict(one.detail),
    }


def run(found: Run) -> Json:
    """Return how far a procedure has come."""
    return {
        "run": found.id,
        "event": found.event,
        "state": found.state,
        "started": instant(found.started),
        "ended": instant(found.ended),
        "procedure": {"id": found.procedure.id, "name": dict(found.procedure.name)},
        "steps": [_step(one, found.steps[one.id]) for one in found.procedure.steps],
    }


def _step(step: Step, at: StepRun) -> Json:
    return {
        "id": step.id,
        "kind": step.kind,
        "title": dict(step.title),
        "help": dict(step.help),
        "role": step.role,
        "required": step.required,
        "state": at.state,
        "opened": instant(at.opened),
        "due": instant(at.due),
        "done_at": instant(at.done_at),
        "done_by": at.done_by,
        "reason": at.reason,
        "items": [_item(one.id, one.text, at) for one in step.items],
        "options": [{"id": one.id, "text": dict(one.text)} for one in step.options],
        "chosen": at.chosen,
        "to": step.to or None,
        "text": dict(step.text),
        "agency": step.agency,
        "basis": dict(step.basis),
        "receipt": receipt(at.receipt),
        "level": at.level,
    }


def _item(id: str, text: Mapping[str, str], at: StepRun) -> Json:
    tick = at.ticked.get(id)
    return {
        "id": id,
        "text": dict(text),
        "done": tick is not None,
        "by": tick and tick.by,
        "at": tick and instant(tick.at),
    }


def receipt(found: Receipt | None) -> Json | None:
    """Return how a hand-over stands."""
    return _shown(found)


def procedure(found: Procedure, *, ready: bool, toml: str | None = None) -> Json:
    """Return a procedure, with its TOML where that is given; ``ready`` says that it is one of those that come along."""
    shown = {**msgspec.to_builtins(found), "ready": ready}
    return shown if toml is None else {**shown, "toml": toml}


def _shown(value: msgspec.Struct | None) -> Json | None:
    return None if value is None else {**msgspec.structs.asdict(value), "at": instant(getattr(value, "at", None))}
