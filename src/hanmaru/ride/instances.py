"""Reading instances of the literature: Li & Lim's pick-up and delivery, Cordeau's dial-a-ride.

Both are plain text, a line of totals and a line a place, and tell themselves apart: Li & Lim's lines have 3 and 9
numbers, Cordeau's 5 and 7. Distances are Euclidean in double precision.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

import numpy as np

from hanmaru.ride.domain import Floats, RideError
from hanmaru.ride.engine.problem import Problem

Format = Literal["lilim", "cordeau"]
MOST_PLACES = 10_001
"""A matrix of distances between more places would need over 800 MB."""
NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
LARGEST = 1e9
WIDTHS: dict[Format, tuple[int, int]] = {"lilim": (3, 9), "cordeau": (5, 7)}


@dataclass(frozen=True, slots=True)
class Line:
    """A line's numbers, and where they are for an error to say."""

    path: Path
    number: int
    values: tuple[float, ...]

    def fail(self, why: str) -> NoReturn:
        """Raise RideError with the file and line."""
        raise RideError(f"{self.path}, line {self.number}: {why}")

    def whole(self, column: int, name: str, low: int, high: float) -> int:
        """Return a whole number within bounds."""
        value = self.values[column]
        if value != int(value) or not low <= value <= high:
            self.fail(f"column {column + 1} ({name}) is a whole number from {low} to {high:g}, not {value:g}")
        return int(value)

    def least(self, column: int, name: str, low: float) -> float:
        """Return a number that is not below a bound."""
        value = self.values[column]
        if value < low:
            self.fail(f"column {column + 1} ({name}) is {low:g} or more, not {value:g}")
        return value


def read(path: Path, form: Format | None = None) -> Problem:
    """Return the instance in a file, whose format is seen from its content where it is not given.

    Raises RideError, in one line with the file, the line and the column, for what is not such an instance.
    """
    lines = _lines(path)
    if not lines:
        raise RideError(f"{path} is empty; give an instance of Li & Lim or of Cordeau")
    form = form or _told(lines[0])
    head, rows = lines[0], lines[1:]
    for line, width in ((head, WIDTHS[form][0]), *((row, WIDTHS[form][1]) for row in rows)):
        if len(line.values) != width:
            line.fail(f"a line like this has {width} numbers in the format {form}, not {len(line.values)}")
    if not 3 <= len(rows) <= MOST_PLACES + 1:
        head.fail(f"{len(rows)} places follow; there have to be a depot and two for a request, {MOST_PLACES:,} at most")
    return _lilim(path, head, rows) if form == "lilim" else _cordeau(path, head, rows)


def _lines(path: Path) -> list[Line]:
    """Return the lines of a file that are not blank. Raises RideError where something is no number."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RideError(f"{path} cannot be read: {error.strerror or error}") from None
    lines: list[Line] = []
    for number, text in enumerate(content.splitlines(), 1):
        words = text.split()
        for column, word in enumerate(words, 1):
            if not NUMBER.fullmatch(word) or abs(float(word)) > LARGEST:
                shown = word[:20].decode(errors="replace")
                raise RideError(f"{path}, line {number}, column {column}: {shown!r} is no number up to {LARGEST:g}")
        if words:
            lines.append(Line(path, number, tuple(map(float, words))))
    return lines


def _told(head: Line) -> Format:
    for form, (width, _) in WIDTHS.items():
        if len(head.values) == width:
            return form
    head.fail("the first line has 3 numbers in an instance of Li & Lim and 5 in one of Cordeau")


def _lilim(path: Path, head: Line, rows: Sequence[Line]) -> Problem:
    """Vehicles, capacity, speed (never used); then number, x, y, load, open, close, service, pick-up, delivery."""
    last = len(rows) - 1
    pickup: list[int] = []
    delivery: list[int] = []
    for place, row in enumerate(rows):
        row.whole(0, "place", place, place)
        before, after = (row.whole(c, name, 0, last) for c, name in ((7, "pick-up"), (8, "delivery")))
        if place == 0:
            if before or after or row.values[3]:
                row.fail("the depot has neither load nor partner")
            continue
        if (before == 0) == (after == 0):
            row.fail("columns 8 and 9 (pick-up, delivery): one is the partner's number and the other is 0")
        partner = rows[before or after]
        if partner.values[8 if before else 7] != place:
            row.fail(f"place {before or after} does not name place {place} as its partner")
        if row.values[3] != -partner.values[3] or (row.values[3] < 0) != (before > 0):
            row.fail(f"column 4 (load) {row.values[3]:g} does not match its partner's {partner.values[3]:g}")
        if after:
            pickup.append(place)
            delivery.append(after)
    return _problem(
        path,
        rows,
        (1, 2, 6, 3, 4, 5),
        pickup=pickup,
        delivery=delivery,
        vehicles=head.whole(0, "vehicles", 1, 1e6),
        capacity=head.least(1, "capacity", 0),
        fleet_first=True,
    )


def _cordeau(path: Path, head: Line, rows: Sequence[Line]) -> Problem:
    """Vehicles, requests (2006) or places (2003), longest route, capacity, longest ride; then places.

    A place is its number, x, y, service, load, open, close.
    Pick-ups come first, deliveries after them in the same order. The 2006 instances repeat the depot at the end.
    """
    count = head.whole(1, "requests or places", 1, MOST_PLACES)
    if len(rows) == 2 * count + 2:
        requests = count
        if rows[-1].values[1:3] != rows[0].values[1:3]:
            rows[-1].fail("the last place is the depot again and lies where the first does")
        rows[-1].whole(0, "place", 2 * count + 1, 2 * count + 1)
        rows = rows[:-1]
    elif count % 2 == 0 and len(rows) == count + 1:
        requests = count // 2
    else:
        head.fail(f"column 2 says {count}, which needs {2 * count + 2} or {count + 1} places, but {len(rows)} follow")
    for place, row in enumerate(rows):
        row.whole(0, "place", place, place)
        load = row.values[4]
        if place == 0 and load:
            row.fail("the depot has no load")
        if place > requests and load != -rows[place - requests].values[4]:
            row.fail(f"column 5 (load) {load:g} does not match its pick-up's {rows[place - requests].values[4]:g}")
        if 0 < place <= requests:
            row.least(4, "load", 0)
    return _problem(
        path,
        rows,
        (1, 2, 3, 4, 5, 6),
        pickup=range(1, requests + 1),
        delivery=range(requests + 1, 2 * requests + 1),
        vehicles=head.whole(0, "vehicles", 1, 1e6),
        capacity=head.least(3, "capacity", 0),
        max_route=head.least(2, "longest route", 0),
        max_ride=head.least(4, "longest ride", 0),
        fleet_first=False,
    )


def _problem(
    path: Path,
    rows: Sequence[Line],
    columns: tuple[int, ...],
    *,
    pickup: Sequence[int],
    delivery: Sequence[int],
    vehicles: int,
    capacity: float,
    max_route: float = math.inf,
    max_ride: float = math.inf,
    fleet_first: bool,
) -> Problem:
    """Check what both formats have in common: ``columns`` are those of x, y, service, load, open and close."""
    for row in rows:
        row.least(columns[2], "service", 0)
        row.least(columns[5], "close", row.values[columns[4]])
    for place in pickup:
        if rows[place].values[columns[3]] > capacity:
            rows[place].fail(f"column {columns[3] + 1} (load) is more than a vehicle's capacity, {capacity:g}")
    x, y, service, load, open_, close = (
        np.array([row.values[column] for row in rows], np.float64) for column in columns
    )
    return Problem(
        name=path.stem,
        pickup=np.array(pickup, np.int32),
        delivery=np.array(delivery, np.int32),
        open=open_,
        close=close,
        service=service,
        load=load,
        travel=_distances(x, y),
        vehicles=vehicles,
        capacity=capacity,
        max_ride=max_ride,
        max_route=max_route,
        fleet_first=fleet_first,
    )


def _distances(x: Floats, y: Floats) -> Floats:
    return np.hypot(x[:, None] - x, y[:, None] - y)
