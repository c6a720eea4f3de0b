"""What citizens send: bodies of the routes, checked where they come in."""

from datetime import date
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from hanmaru.care.citizen.goals import Wish
from hanmaru.platform.problems import Problem

OLDEST_YEAR = 1900


class Registration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who a citizen says that they are."""

    name: Annotated[str, Meta(min_length=1, max_length=80)]
    birth_date: Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\d$")]
    sex: Literal["male", "female"]
    phone: Annotated[str, Meta(max_length=30, pattern=r"^[0-9+() -]*$")] = ""


class Switched(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A consent that is given or withdrawn: ``<category>:Organization/<id>``."""

    id: Annotated[str, Meta(max_length=100, pattern=r"^[a-z-]+:Organization/[A-Za-z0-9.-]{1,64}$")]
    given: bool


class Wished(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A goal: a column's value, at most or at least, by a day or whenever."""

    column: Annotated[str, Meta(max_length=40)]
    target: Annotated[float, Meta(gt=-100, lt=10_000)]
    direction: Literal["at_most", "at_least"]
    due: Annotated[str, Meta(pattern=r"^(\d{4}-\d\d-\d\d)?$")] = ""


class Wishes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All goals that are followed from now on."""

    goals: Annotated[list[Wished], Meta(max_length=20)]


class Farewell(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The second look before everything is destroyed: one's own name, and how many records one was shown."""

    name: Annotated[str, Meta(max_length=80)]
    records: int


def patient(form: Registration, today: date, before: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the Patient that a registration describes, over what was there. Raises Problem 400 for no possible day."""
    name = " ".join(form.name.split())
    if not name or not name.isprintable():
        raise Problem(400, "Invalid request", "A name is a line of text.")
    born = day(form.birth_date, "birth_date")
    if born > today or born.year < OLDEST_YEAR:
        raise Problem(400, "Invalid request", f"birth_date is a day from {OLDEST_YEAR} until today.")
    telecom = [{"system": "phone", "value": form.phone, "use": "mobile"}] if form.phone else None
    made: dict[str, Any] = {
        **(before or {}),
        "resourceType": "Patient",
        "active": True,
        "name": [{"use": "official", "text": name}],
        "gender": form.sex,
        "birthDate": form.birth_date,
        "telecom": telecom,
    }
    return {key: value for key, value in made.items() if value is not None}


def wishes(form: Wishes) -> list[Wish]:
    """Return the goals that a form wishes. Raises Problem 400 for a day that is none."""
    for one in form.goals:
        if one.due:
            day(one.due, "due")
    return [Wish(one.column, one.target, one.direction, one.due) for one in form.goals]


def day(text: str, name: str) -> date:
    """Return a day (ISO 8601); raises Problem 400 for one that is not in the calendar."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Problem(400, "Invalid request", f"{name} is a day such as 1970-03-01.") from None
