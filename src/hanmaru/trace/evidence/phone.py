"""Phone events: where a phone was when a cell served it.

A cell serves a sector: the phone is taken to be anywhere in it with equal density, so that its position is the
sector's centroid and its error what is left around that. A row's own ``lat``, ``lon`` (the carrier's estimate) go
before the cell's.
"""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false, reportMissingTypeStubs=false
# PyArrow brings no types.

from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
import pyarrow as pa

from hanmaru.trace import tables
from hanmaru.trace.domain import Floats, Ints, Points
from hanmaru.trace.engine.plane import Plane

CELLS: Final = {
    "cell_id": tables.TEXT,
    "lat": tables.LAT,
    "lon": tables.LON,
    "azimuth_deg": tables.MAYBE_NUMBER,
    "beam_deg": tables.MAYBE_NUMBER,
    "radius_m": tables.MAYBE_METRES,
}
PHONE: Final = {
    "subject": tables.TEXT,
    "time": tables.WHEN,
    "cell_id": tables.MAYBE_TEXT,
    "lat": tables.MAYBE_LAT,
    "lon": tables.MAYBE_LON,
    "accuracy_m": tables.MAYBE_METRES,
}
RADIUS_M = 500.0
"""Range of a cell whose table gives none: the spacing of masts at the edge of Korean cities, from which the error
follows; too wide is safer here than too narrow."""
ACCURACY_M = 250.0
"""Error of a carrier's estimate that states none (225 m: mean of the Korean regulator's active fixes of 2020)."""
BEAM_DEG = 120.0
"""Opening of a sector with an azimuth but no beam: three to a mast."""


@dataclass(frozen=True, eq=False, slots=True)
class Cells:
    """c cells: ``ids`` and where each one's phones are: ``lat``, ``lon``, ``radius_m`` (c,)."""

    ids: pa.Array
    lat: Floats
    lon: Floats
    radius_m: Floats

    def __len__(self) -> int:
        """Return how many cells there are."""
        return len(self.lat)


def cells(table: pa.Table | None) -> Cells:
    """Return the cells of a table as `CELLS` has it, each at its sector's centroid."""
    if table is None:
        return Cells(pa.array([], pa.string()), np.zeros(0), np.zeros(0), np.zeros(0))
    lat, lon = tables.floats(table, "lat"), tables.floats(table, "lon")
    azimuth, beam = tables.floats(table, "azimuth_deg"), tables.floats(table, "beam_deg")
    reach = np.nan_to_num(tables.floats(table, "radius_m"), nan=RADIUS_M)
    forward, radius = sector(reach, np.where(np.isnan(azimuth), 360.0, np.nan_to_num(beam, nan=BEAM_DEG)))
    turn = np.radians(np.nan_to_num(azimuth))
    plane = Plane.about(lon, lat)
    x, y = plane.xy(lon, lat)
    lon, lat = plane.lonlat(x + forward * np.sin(turn), y + forward * np.cos(turn))
    ids = cast(Any, table["cell_id"]).combine_chunks()
    return Cells(ids.chunk(0) if isinstance(ids, pa.ChunkedArray) else ids, lat, lon, radius)


def sector(reach_m: Floats, opening_deg: Floats) -> tuple[Floats, Floats]:
    """Return how far ahead a circular sector's centroid lies, and the radius around it that holds 68 % of the sector's
    points, metres; arguments and results of one shape.

    With opening 2a the centroid of equal density is at ``2/3 R sin(a) / a``, the mean square distance from the apex
    ``R² / 2``. Of a disc, ``sqrt(0.68) R`` holds 68 %: 1.17 times the root mean square, which is taken for all sectors.
    """
    half = np.radians(np.clip(opening_deg, 1.0, 360.0)) / 2
    ahead = 2 / 3 * reach_m * np.sin(half) / half
    return ahead, np.sqrt(2 * 0.68 * np.maximum(reach_m**2 / 2 - ahead**2, 1.0))


@dataclass(frozen=True, eq=False, slots=True)
class Located:
    """Phone rows with a position: ``points`` sorted by subject, time; ``row`` (n,) of each in its table, from 0;
    ``cell`` (n,) into the cells or -1; ``unknown`` rows had a cell that the table of cells lacks, or nothing.
    """

    points: Points
    row: Ints
    cell: Ints
    unknown: int


def locate(table: pa.Table, subject: Ints, known: Cells, plane: Plane) -> Located:
    """Return where phones were by a table as `PHONE` has it; ``subject`` (rows,) are its subjects as indices."""
    time_s = tables.seconds(table, "time")
    lat, lon = tables.floats(table, "lat").copy(), tables.floats(table, "lon").copy()
    radius = tables.floats(table, "accuracy_m").copy()
    cell = _indices(table["cell_id"], known.ids)
    estimated = np.isfinite(lat) & np.isfinite(lon)
    by_cell = ~estimated & (cell >= 0)
    at = cell[by_cell]
    lat[by_cell], lon[by_cell], radius[by_cell] = known.lat[at], known.lon[at], known.radius_m[at]
    good = estimated | by_cell
    radius = np.where(np.isnan(radius), ACCURACY_M, radius)
    x, y = plane.xy(lon, lat)
    row = np.flatnonzero(good)
    key = (subject[row] << 40) + (time_s[row] - int(time_s.min(initial=0)))
    if np.any(np.diff(key) < 0):
        row = row[np.argsort(key, kind="stable")]
    points = Points(subject[row], time_s[row], x[row], y[row], np.maximum(radius[row], 1.0))
    return Located(points, row, cell[row], int(len(good) - good.sum()))


def _indices(column: pa.ChunkedArray, ids: pa.Array) -> Ints:
    """Return where each value of a column is among ids, -1 where it is not."""
    coded = cast(Any, column).combine_chunks().dictionary_encode()
    coded = coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded
    at = {value: i for i, value in enumerate(cast("list[str]", ids.to_pylist()))}
    lookup = np.array([at.get(value, -1) for value in coded.dictionary.to_pylist()] + [-1], np.int64)
    return lookup[coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)]
