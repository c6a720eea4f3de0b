"""What a board is: tiles on a grid of `COLUMNS`, each with what it asks of the city. Pure."""

import math
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from hanmaru.centre.domain import CentreError, Text

COLUMNS = 12
MOST_ROWS = 200
MOST_TILES = 40
MOST_HOURS = 24 * 31

Name: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z_][\w.:/#-]{0,199}$")]
Aggregate: TypeAlias = Literal["mean", "sum", "min", "max", "count"]


class Around(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A circle: its middle (lon, lat) in degrees and its radius in metres."""

    at: tuple[Annotated[float, Meta(ge=-180, le=180)], Annotated[float, Meta(ge=-90, le=90)]]
    radius_m: Annotated[float, Meta(gt=0, le=200_000)]


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a tile wants to know of the entities of a type; one entity's where ``id`` names it.

    Without ``attr`` only ``count`` has an answer: how many there are. ``q`` is an NGSI-LD query; ``hours`` is how far
    back a series goes.
    """

    want: Literal["value", "series", "list"]
    type: Name
    attr: Annotated[str, Meta(max_length=200, pattern=r"^([A-Za-z_][\w.:/#-]*)?$")] = ""
    agg: Aggregate = "mean"
    q: Annotated[str, Meta(max_length=500)] = ""
    id: Annotated[str, Meta(max_length=500)] = ""
    area: Around | None = None
    hours: Annotated[int, Meta(ge=1, le=MOST_HOURS)] = 24
    order: Literal["high", "low"] = "high"

    def __post_init__(self) -> None:
        """Refuse an aggregate of nothing."""
        if not self.attr and (self.agg != "count" or self.want != "value"):
            raise CentreError("Choose what to show: without an attribute only the number of entities is known.")
        if self.area is not None and not all(map(math.isfinite, (*self.area.at, self.area.radius_m))):
            raise CentreError("An area is [lon, lat] in degrees and a radius in metres.")


class Tile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One tile: where it lies (columns and rows from the upper left), and what it shows.

    ``ask`` belongs to the kinds ``value``, ``chart`` (``bars`` instead of a line) and ``list``; ``text`` to ``text``.
    """

    id: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,40}$")]
    kind: Literal["value", "chart", "events", "list", "text"]
    x: Annotated[int, Meta(ge=0, lt=COLUMNS)]
    y: Annotated[int, Meta(ge=0, lt=MOST_ROWS)]
    w: Annotated[int, Meta(ge=1, le=COLUMNS)]
    h: Annotated[int, Meta(ge=1, le=12)]
    title: Annotated[str, Meta(max_length=120)] | Text = ""
    ask: Ask | None = None
    bars: bool = False
    text: Annotated[str, Meta(max_length=2000)] = ""

    def __post_init__(self) -> None:
        """Refuse a tile outside the grid, and one that asks for what its kind does not show."""
        if self.x + self.w > COLUMNS:
            raise CentreError(f"A tile ends at column {COLUMNS} at most.")
        if self.kind in ("value", "chart", "list") and self.ask is None:
            raise CentreError(f"A tile of kind {self.kind} needs what it asks for.")
        if isinstance(self.title, dict) and not all(len(word) <= 120 for word in self.title.values()):
            raise CentreError("A title has at most 120 characters.")


class Draft(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A board as it is sent: ``version`` is the one that was changed, 0 for a new board."""

    title: Annotated[str, Meta(min_length=1, max_length=120)]
    shared: bool = False
    tiles: Annotated[tuple[Tile, ...], Meta(max_length=MOST_TILES)] = ()
    version: Annotated[int, Meta(ge=0)] = 0

    def __post_init__(self) -> None:
        """Refuse two tiles of one name, and tiles that lie upon each other."""
        if len({tile.id for tile in self.tiles}) < len(self.tiles):
            raise CentreError("Two tiles have the same id.")
        taken: dict[tuple[int, int], str] = {}
        for tile in self.tiles:
            for cell in ((x, y) for x in range(tile.x, tile.x + tile.w) for y in range(tile.y, tile.y + tile.h)):
                if cell in taken:
                    raise CentreError(f"The tiles {taken[cell]} and {tile.id} lie upon each other.")
                taken[cell] = tile.id
