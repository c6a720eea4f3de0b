"""What the engine takes in, keeps and gives out: readings, things, cells, firings. Pure.

Kept state is rows by key, so that only what a batch of readings touched is written: ``t`` + entity, ``c`` + rule +
subject, ``a`` + entity + leaf (an anomaly detector), joined by a unit separator.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from hanmaru.centre.rules.panes import Series
from hanmaru.centre.rules.shapes import Point

SEPARATOR = "\x1f"


class Reading(msgspec.Struct, frozen=True):
    """A change of an entity: when the hub accepted it, when it was observed (None: then), its attributes now."""

    at_s: float
    id: str
    types: Sequence[str]
    touched: Sequence[str]
    values: Mapping[str, Any]
    observed_s: float | None = None
    deleted: bool = False


class Firing(msgspec.Struct, frozen=True):
    """A rule began or ceased to hold for ``key``; ``name`` of the subject as the hub has it."""

    rule: str
    key: str
    kind: Literal["raise", "clear"]
    at_s: float
    entities: tuple[str, ...] = ()
    location: Any = None
    values: Mapping[str, Any] = {}
    name: Any = None


class Thing(msgspec.Struct, array_like=True):
    """What is known of an entity, for all rules together.

    ``times``: observed and accepted time of each attribute's newest reading; ``true``: the leaves, sides, steps and
    relations that hold now; ``came``: when attributes last came, where a rule waits for them; ``fences``: since when
    it has been inside (0: outside); ``ended``: when sides of joins ceased; ``steps``: by sequence, the start of the
    newest chain that has come so far, by step, and who completed it.
    """

    id: str
    types: tuple[str, ...]
    heard_s: float
    name: Any = None
    location: Any = None
    place: Point | None = None
    placed_s: float = float("-inf")
    values: dict[str, Any] = {}
    times: dict[str, tuple[float, float]] = {}
    came: dict[str, float] = {}
    true: set[str] = set()
    series: dict[str, Series] = {}
    fences: dict[str, float] = {}
    ended: dict[str, float] = {}
    steps: dict[str, list[float | None]] = {}
    completed: dict[str, str] = {}

    def present(self, attr: str, now_s: float) -> float:
        """Return the present by this attribute's own clock: its newest observation and the time since it came."""
        observed, accepted = self.times.get(attr, (now_s, now_s))
        return observed + (now_s - accepted)


class Cell(msgspec.Struct, array_like=True):
    """A rule's state for one subject: whether it holds, since when, and whether that has been told."""

    on: bool = False
    since_s: float = 0.0
    observed_s: float = 0.0
    off_s: float = 0.0
    raised: bool = False
    flapping: bool = False
    raises: list[float] = []
    entities: tuple[str, ...] = ()
    location: Any = None
    values: dict[str, Any] = {}
    name: Any = None
