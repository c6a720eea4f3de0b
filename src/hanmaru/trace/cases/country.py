"""What a country's law asks of a request: who approves which kind of data, within which time, and when it is destroyed.

A file says it (``countries/kr.toml``). Another city writes its own and puts it into the room's folder.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from hanmaru.trace.cases.profiles import Text, read_toml
from hanmaru.trace.domain import TraceError

BUILT_IN = Path(__file__).with_name("countries") / "kr.toml"
TABLES = ("phone", "cards", "checkins", "gps", "sightings")
"""The evidence tables that an answer may be."""

Positive = Annotated[float, msgspec.Meta(gt=0)]


class _Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class StepRule(_Rule, frozen=True):
    """One approval: of which ``role``, with which ``permission``, within how long, and who hears when it is late.

    ``escalates_to`` is a role that then sees the step too, and may decide it where policy gives it the permission.
    """

    role: str
    title: Text
    permission: str
    within_hours: Positive
    escalates_to: str


class KindRule(_Rule, frozen=True):
    """A kind of data: its legal basis, the approvals it needs in order, who answers, and for how long it is kept.

    ``table`` is the evidence table that answers become; ``rows`` the value that their column ``kind`` must have.
    ``others`` says that answers are of people whom nobody named, near a place that the request then has to name.
    """

    title: Text
    law: Text
    table: str
    answered_by: str
    steps: Sequence[str]
    retention_days: Positive
    notify_within_days: Positive
    rows: str = ""
    others: bool = False


class Country(_Rule, frozen=True):
    """A country's file."""

    name: Text
    valid_days: Positive
    case_retention_days: Positive
    notify_escalates_to: str
    kinds: Mapping[str, KindRule]
    steps: Mapping[str, StepRule]

    def steps_of(self, kinds: Sequence[str]) -> list[StepRule]:
        """Return the approvals that kinds of data need together, each once, in the order of the first that asks."""
        names = dict.fromkeys(name for kind in kinds for name in self.kinds[kind].steps)
        return [self.steps[name] for name in names]


def load(own: Path | None = None) -> Country:
    """Return a city's own file where it is there, else Korea's. Raises TraceError that says what to change."""
    path = own if own is not None and own.exists() else BUILT_IN
    country = read_toml(path, Country)
    for name, kind in country.kinds.items():
        if kind.table not in TABLES:
            raise TraceError(f"{path}: kinds.{name}.table is one of {', '.join(TABLES)}")
        if not kind.steps or not {*kind.steps} <= country.steps.keys():
            raise TraceError(f"{path}: kinds.{name}.steps names one or more of {', '.join(country.steps)}")
    return country
