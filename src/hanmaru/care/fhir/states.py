"""How a referral may go on: which change of state is allowed, and whose it is.

A referral is a Task of the code ``referral``: the health centre asks, the hospital answers. Its states are those of
R4's Task (https://hl7.org/fhir/R4/task.html#statemachine) and an Appointment's those of R4's Appointment. Other Tasks
are their systems' own and go as these let them.
"""

from collections.abc import Mapping
from typing import Any, Final

from hanmaru.care.fhir.values import Reader
from hanmaru.platform.problems import Problem

SYSTEM: Final = "urn:hanmaru:care:task"
REFERRAL: Final = "referral"

Table = Mapping[str, frozenset[str]]


def _table(**allowed: str) -> Table:
    return {state.replace("_", "-"): frozenset(after.split()) for state, after in allowed.items()}


TASK: Final = _table(
    requested="received accepted rejected cancelled",
    received="accepted rejected cancelled",
    accepted="in-progress completed failed cancelled",
    in_progress="on-hold completed failed cancelled",
    on_hold="in-progress failed cancelled",
)
"""From each state the states that may follow; none from where a referral has ended."""
APPOINTMENT: Final = _table(
    proposed="pending booked cancelled",
    pending="booked cancelled proposed",
    booked="arrived checked-in fulfilled noshow cancelled pending",
    checked_in="arrived fulfilled cancelled",
    arrived="fulfilled cancelled",
    waitlist="pending booked cancelled",
)
REQUEST: Final = _table(draft="active revoked", active="on-hold completed revoked", on_hold="active completed revoked")
"""Of a ServiceRequest."""
ASKER: Final = frozenset({"cancelled"})
"""What the health centre says of a referral; all else is the hospital's to say."""
FIXED: Final = ("code", "focus", "for", "owner", "requester")
"""What stays as it was when a referral was made."""
STATES: Final[Mapping[str, Table]] = {"Task": TASK, "Appointment": APPOINTMENT, "ServiceRequest": REQUEST}


def check(reader: Reader, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Raise Problem 422 for a state that cannot follow, 403 for one that is not the writer's to set."""
    type = old.get("resourceType")
    if type not in STATES or not _ours(old):
        return
    before, after = str(old.get("status")), str(new.get("status"))
    if type == "Task" and any(old.get(name) != new.get(name) for name in FIXED):
        raise Problem(422, "Not to be changed", f"A referral keeps {', '.join(FIXED)}: cancel it and make another.")
    if before == after:
        return
    allowed = STATES[type].get(before, frozenset[str]())
    if after not in allowed and not (reader.kind == "all" and after == "entered-in-error"):
        ways = f"after {before!r} comes {' or '.join(sorted(allowed))}" if allowed else f"{before!r} is the end"
        raise Problem(422, "State cannot follow", f"A {type} cannot go from {before!r} to {after!r}: {ways}.")
    if type == "Task" and reader.kind == "organisation":
        asker = reader.id != _id(old.get("owner"))
        if asker != (after in ASKER) or (asker and reader.id != _id(old.get("requester"))):
            raise Problem(403, "Not yours to say", f"{after!r} is for the {'hospital' if asker else 'health centre'}.")


def check_deletion(reader: Reader, old: Mapping[str, Any]) -> None:
    """Raise Problem 409 for a referral: what was asked of a hospital is cancelled, not wiped away."""
    if reader.kind != "all" and old.get("resourceType") == "Task" and _ours(old):
        raise Problem(409, "Not to be deleted", "A referral is cancelled, not deleted: set its status.")


def _ours(resource: Mapping[str, Any]) -> bool:
    """Whether a resource belongs to a referral."""
    if resource.get("resourceType") == "Appointment":
        return bool(resource.get("basedOn"))
    if resource.get("resourceType") == "ServiceRequest":
        return any(one.get("system") == SYSTEM for one in resource.get("identifier", ()) or ())
    concept: Mapping[str, Any] = resource.get("code") or {}
    codings: list[Mapping[str, Any]] = concept.get("coding") or []
    return any(one.get("system") == SYSTEM and one.get("code") == REFERRAL for one in codings)


def _id(reference: object) -> str:
    text = reference.get("reference", "") if isinstance(reference, dict) else ""  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - JSON
    return str(text).rpartition("/")[2]  # pyright: ignore[reportUnknownArgumentType]
