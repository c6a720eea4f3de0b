"""Where rows were, and whether that is within an area: what approvals for a place ask."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeStubs=false
# PyArrow brings no types.

import math
from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa

from hanmaru.trace import tables
from hanmaru.trace.cases.records import Area
from hanmaru.trace.domain import Floats

EARTH_M: Final = 6_371_008.8
"""Mean radius of the Earth (IUGG)."""
WHERE: Final = {
    "phone": ("cells", "cell_id"),
    "cards": ("merchants", "merchant_id"),
    "checkins": ("places", "place_id"),
    "sightings": ("cameras", "camera_id"),
}
"""The reference table, and its key, that says where a row of a table without a position of its own was."""


def distance_m(lat: Floats, lon: Floats, area: Area) -> Floats:
    """Return the great-circle distances (n,) in metres of points from an area's middle (the haversine formula)."""
    phi, phi0 = np.radians(lat), math.radians(area.lat)
    half = np.sin((phi - phi0) / 2) ** 2 + np.cos(phi) * math.cos(phi0) * np.sin(np.radians(lon - area.lon) / 2) ** 2
    return 2 * EARTH_M * np.arcsin(np.sqrt(np.clip(half, 0.0, 1.0)))


def positions(name: str, table: pa.Table, reference: Mapping[str, pa.Table]) -> tuple[Floats, Floats]:
    """Return where a table's rows were, (n,) latitudes and longitudes: their own, else their reference's, else NaN."""

    def own(column: str) -> Floats:
        return tables.floats(table, column) if column in table.column_names else np.full(len(table), np.nan)

    lat, lon = own("lat").copy(), own("lon").copy()
    listed, key = WHERE.get(name, ("", ""))
    if listed in reference:
        known = reference[listed]
        at = dict(
            zip(
                known[key].to_pylist(),
                zip(tables.floats(known, "lat").tolist(), tables.floats(known, "lon").tolist(), strict=True),
                strict=True,
            )
        )
        ids = table[key]
        for i in np.flatnonzero(np.isnan(lat) | np.isnan(lon)).tolist():
            lat[i], lon[i] = at.get(ids[i].as_py(), (math.nan, math.nan))
    return lat, lon
