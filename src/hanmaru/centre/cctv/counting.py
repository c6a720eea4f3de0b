"""Counts of who crosses a line and who is in a zone, by kind and minute. Pure; nobody is known or kept."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from hanmaru.centre.cctv.shapes import Corner, Kind, Line, Zone

FORGET_S = 3.0
"""For how long it is known where a track was last seen."""

Seen = tuple[int, Kind, tuple[float, float]]
"""A track's number, its kind and where it stands: the middle of its box's lower edge, in shares of the frame."""


def side(line: Line, at: Corner) -> float:
    """Return which side of a line a place is on: negative its left, positive its right, looking from its start.

    The cross product of the line and the way from its start to the place; y points down.
    """
    (x1, y1), (x2, y2) = line.start, line.end
    return (x2 - x1) * (at[1] - y1) - (y2 - y1) * (at[0] - x1)


def crosses(line: Line, before: Corner, after: Corner) -> int:
    """Return 1 for a step over a line from its left to its right, -1 for the other way, 0 for none."""
    first, last = side(line, before), side(line, after)
    if (first < 0) == (last < 0):
        return 0
    way = Line(line.id, line.name, before, after)
    if (side(way, line.start) < 0) == (side(way, line.end) < 0):
        return 0  # past its ends
    return 1 if first < 0 else -1


def inside(polygon: Sequence[Corner], at: Corner) -> bool:
    """Return whether a place is in a polygon (even-odd rule)."""
    x, y = at
    within = False
    for (x1, y1), (x2, y2) in zip(polygon, (*polygon[1:], polygon[0]), strict=True):
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            within = not within
    return within


class Counting:
    """The counts of one camera."""

    def __init__(self, lines: Sequence[Line], zones: Sequence[Zone]) -> None:
        """Begin at nothing."""
        self.lines, self.zones = lines, zones
        self._last: dict[int, tuple[float, Corner]] = {}
        self._begin()

    def _begin(self) -> None:
        self._crossed: Counter[tuple[str, Kind, str]] = Counter()
        self._sums: Counter[tuple[str, Kind]] = Counter()
        self._most: dict[tuple[str, Kind], int] = {}
        self._looks = 0

    def add(self, at_s: float, seen: Iterable[Seen]) -> None:
        """Take who is seen at an instant."""
        self._last = {id: one for id, one in self._last.items() if at_s - one[0] <= FORGET_S}
        self._looks += 1
        here: Counter[tuple[str, Kind]] = Counter()
        for id, kind, place in seen:
            if (before := self._last.get(id)) is not None:
                for line in self.lines:
                    if way := crosses(line, before[1], place):
                        self._crossed[line.id, kind, "in" if way > 0 else "out"] += 1
            self._last[id] = at_s, place
            for zone in self.zones:
                if inside(zone.polygon, place):
                    here[zone.id, kind] += 1
        for key, number in here.items():
            self._sums[key] += number
            self._most[key] = max(self._most.get(key, 0), number)

    def take(self) -> Mapping[tuple[str, Kind], Mapping[str, float]]:
        """Return the counts by line or zone and kind since they were last taken, and begin anew; zeros too."""
        taken: dict[tuple[str, Kind], dict[str, float]] = {}
        kinds: tuple[Kind, Kind] = ("person", "vehicle")
        for kind in kinds:
            for line in self.lines:
                taken[line.id, kind] = {way: float(self._crossed[line.id, kind, way]) for way in ("in", "out")}
            for zone in self.zones:
                mean = self._sums[zone.id, kind] / max(1, self._looks)
                most = self._most.get((zone.id, kind), 0)
                taken[zone.id, kind] = {"mean": round(mean, 2), "most": float(most)}
        self._begin()
        return taken
