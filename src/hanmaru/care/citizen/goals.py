"""What a citizen sets out to reach, as FHIR Goals, and how far they have come."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal

from hanmaru.care.citizen.scale import unit
from hanmaru.care.citizen.trends import range_of
from hanmaru.care.citizen.visit import COLUMN, Measured, Resource, code, part, taken
from hanmaru.care.domain import CareError
from hanmaru.care.rules.columns import COLUMNS
from hanmaru.platform.services import Text

UCUM: Final = "http://unitsofmeasure.org"
_NONE: Final[Resource] = {}

SETTABLE: Final = (
    "weight_kg",
    "waist_cm",
    "body_fat_pct",
    "skeletal_muscle_kg",
    "sbp_mmhg",
    "dbp_mmhg",
    "grip_right_kg",
    "grip_left_kg",
    "shuttle20_laps",
    "cross_sit_ups",
    "sit_and_reach_cm",
    "two_minute_step",
    "chair_stand_reps",
    "figure8_s",
    "tug3m_s",
)
"""What a goal may be set for: what somebody can change, and sees again at the next visit."""

Direction = Literal["at_most", "at_least"]


_ENDS: Final[tuple[tuple[str, Direction], ...]] = (("high", "at_most"), ("low", "at_least"))


@dataclass(frozen=True, slots=True)
class Wish:
    """A goal as it is set: reach a value of a column, at most or at least, by a day (ISO 8601) or whenever."""

    column: str
    target: float
    direction: Direction
    due: str = ""


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal with the way to it: where it began, where it is now, the share of the way (0 to 1; None: not known)."""

    id: str
    column: str
    title: Text
    unit: Text
    target: float
    direction: Direction
    due: str
    since: str
    start: float | None
    now: float | None
    at: str
    progress: float | None
    reached: bool


def goal(patient: str, wish: Wish, since: str, id: str | None = None) -> dict[str, Any]:
    """Return a patient's Goal, set on the day ``since``. Raises CareError for what cannot be a goal."""
    if wish.column not in SETTABLE:
        raise CareError(f"There are no goals for {wish.column!r}: choose one of {', '.join(SETTABLE)}.")
    about = COLUMNS[wish.column]
    amount = {"value": wish.target, "unit": about.unit, "system": UCUM, "code": about.ucum}
    codings = [{"system": COLUMN, "code": wish.column}]
    if about.loinc:
        codings.insert(0, {"system": about.system, "code": about.loinc})
    target: dict[str, Any] = {
        "measure": {"coding": codings, "text": about.ko},
        "detailRange": {"high" if wish.direction == "at_most" else "low": amount},
    }
    if wish.due:
        target["dueDate"] = wish.due
    resource: dict[str, Any] = {
        "resourceType": "Goal",
        "lifecycleStatus": "active",
        "description": {"text": about.ko},
        "subject": {"reference": f"Patient/{patient}"},
        "startDate": since,
        "target": [target],
        "expressedBy": {"reference": f"Patient/{patient}"},
    }
    return resource if id is None else {**resource, "id": id}


def read(resources: Iterable[Resource], values: Sequence[Measured]) -> list[Goal]:
    """Return the goals that are being followed, with how far each has come."""
    return [found for one in resources if one.get("lifecycleStatus") == "active" and (found := _goal(one, values))]


def changes(patient: str, current: Sequence[Resource], wishes: Sequence[Wish], today: date) -> list[dict[str, Any]]:
    """Return the Goals to write so that exactly the wishes are followed: one for each column.

    A goal whose column is wished again keeps its beginning; one that is not wished any more is cancelled, not deleted.
    Raises CareError for a wish that cannot be a goal, and for two of one column.
    """
    if len({wish.column for wish in wishes}) != len(wishes):
        raise CareError("Set one goal for each measurement.")
    held = {_column(one): one for one in current if one.get("lifecycleStatus") == "active"}
    written: list[dict[str, Any]] = []
    for wish in wishes:
        before = held.pop(wish.column, None)
        since = str(before["startDate"]) if before and "startDate" in before else today.isoformat()
        made = goal(patient, wish, since, str(before["id"]) if before else None)
        if not before or _wish(before) != wish:
            written.append(made)
    return [*written, *({**one, "lifecycleStatus": "cancelled"} for one in held.values())]


def progress(start: float | None, now: float | None, target: float, direction: Direction) -> float | None:
    """Return the share of the way from start to target that is done, 0 to 1; None where nothing was measured.

    It is 1 once the target is reached, 0 for who went the other way.
    """
    if now is None or start is None:
        return None
    if reached(now, target, direction):
        return 1.0
    way = target - start
    return min(max((now - start) / way, 0.0), 1.0) if way else 0.0


def reached(now: float | None, target: float, direction: Direction) -> bool:
    """Return whether a value is at the target, or beyond it."""
    return now is not None and (now <= target if direction == "at_most" else now >= target)


def _column(resource: Resource) -> str:
    return next((found for t in resource.get("target", ()) if (found := code(t.get("measure"), COLUMN))), "")


def _wish(resource: Resource) -> Wish | None:
    target: Resource
    column, target = _column(resource), next(iter(resource.get("target", ())), _NONE)
    for end, direction in _ENDS:
        amount = part(part(target, "detailRange"), end)
        if column in COLUMNS and "value" in amount:
            return Wish(column, float(amount["value"]), direction, str(target.get("dueDate", "")))
    return None


def _goal(resource: Resource, values: Sequence[Measured]) -> Goal | None:
    wish = _wish(resource)
    if wish is None:
        return None
    since = str(resource.get("startDate", ""))
    own = taken(one for one in values if one.column == wish.column)
    earlier = [one for one in own if one.at[:10] <= since] or own[:1]
    start, now = earlier[-1].value if earlier else None, own[-1].value if own else None
    about = COLUMNS[wish.column]
    return Goal(
        id=str(resource.get("id", "")),
        column=wish.column,
        title={"ko": about.ko, "en": about.en},
        unit=unit(about.unit),
        target=wish.target,
        direction=wish.direction,
        due=wish.due,
        since=since,
        start=start,
        now=now,
        at=own[-1].at if own else "",
        progress=progress(start, now, wish.target, wish.direction),
        reached=reached(now, wish.target, wish.direction),
    )


def suggested(column: str, person: Mapping[str, float], now: float) -> tuple[float, Direction] | None:
    """Return a first step towards the healthy range: its edge, or one twentieth of the value where that is nearer.

    None where the value is healthy, or what healthy is is not known.
    """
    judged = range_of(column, person)
    low, high = (judged.healthy if judged else None) or (None, None)
    step = abs(now) / 20
    if high is not None and now >= high:
        return max(high, now - step), "at_most"
    if low is not None and now < low:
        return min(low, now + step), "at_least"
    return None
