"""Cameras, and the retrieval list: which of them could have seen the subject, and at which minutes."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false, reportMissingTypeStubs=false
# PyArrow brings no types.

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa

from hanmaru.trace import tables
from hanmaru.trace.domain import Floats, Ints
from hanmaru.trace.engine import visibility
from hanmaru.trace.engine.plane import Plane

CAMERAS: Final = {
    "camera_id": tables.TEXT,
    "lat": tables.LAT,
    "lon": tables.LON,
    "azimuth_deg": tables.MAYBE_NUMBER,
    "fov_deg": tables.MAYBE_NUMBER,
    "range_m": tables.MAYBE_METRES,
}
RANGE_M: Final = 30.0
"""Range of a camera whose table gives none: a person is recognisable at 125 pixels a metre (EN 62676-4), some 15-30 m
for a street camera of two megapixels."""
LEAST: Final = 0.02
"""Windows less likely than this are left off the list."""
ENDS_S: Final = 900
"""Of a stay longer than twice this, the list asks for its first and last 15 minutes: people pass a camera when they
come and go, and a reviewer's hours are few."""


@dataclass(frozen=True, eq=False, slots=True)
class Cameras:
    """c cameras in a plane: ``ids``, positions, and their fields of view (c,)."""

    plane: Plane
    ids: tuple[str, ...]
    lat: Floats
    lon: Floats
    x_m: Floats
    y_m: Floats
    azimuth_deg: Floats
    fov_deg: Floats
    range_m: Floats


def read(table: pa.Table | None, plane: Plane) -> Cameras:
    """Return the cameras of a table as `CAMERAS` has it; one without a field of view or azimuth looks all round."""
    if table is None:
        return Cameras(plane, (), *(np.zeros(0) for _ in range(7)))
    lat, lon = tables.floats(table, "lat"), tables.floats(table, "lon")
    azimuth, fov = tables.floats(table, "azimuth_deg"), tables.floats(table, "fov_deg")
    all_round = np.isnan(azimuth) | np.isnan(fov)
    return Cameras(
        plane,
        tuple(table["camera_id"].to_pylist()),
        lat,
        lon,
        *plane.xy(lon, lat),
        np.nan_to_num(azimuth),
        np.where(all_round, 360.0, np.clip(fov, 0.0, 360.0)),
        np.nan_to_num(tables.floats(table, "range_m"), nan=RANGE_M),
    )


@dataclass(frozen=True, eq=False, slots=True)
class Whereabouts:
    """n intervals in which a person was about one position, (n,) each, of the stay or move that ``of`` indexes into
    ``ids``.
    """

    start_s: Ints
    end_s: Ints
    x_m: Floats
    y_m: Floats
    radius_m: Floats
    of: Ints
    ids: tuple[str, ...]
    what: Literal["stay", "move"]


def retrieval(cameras: Cameras, whereabouts: tuple[Whereabouts, ...], least: float = LEAST) -> list[dict[str, Any]]:
    """Return the retrieval list: for each camera, likeliest first, its windows by probability, each with the stay or
    the move it belongs to; start and end are Unix seconds.
    """
    found: dict[int, list[dict[str, Any]]] = {}
    for w in whereabouts:
        position, camera, probability = visibility.views(
            w.x_m,
            w.y_m,
            w.radius_m,
            cameras.x_m,
            cameras.y_m,
            cameras.azimuth_deg,
            cameras.fov_deg,
            cameras.range_m,
            least,
        )
        start, end, of = w.start_s[position], w.end_s[position], w.of[position]
        if w.what == "stay":
            long = end - start > 2 * ENDS_S
            camera, probability = np.append(camera, camera[long]), np.append(probability, probability[long])
            of = np.append(of, of[long])
            start, end = (
                np.append(start, end[long] - ENDS_S),
                np.append(np.where(long, start + ENDS_S, end), end[long]),
            )
        key = camera * len(w.ids) + of
        for k, a, b, p in zip(*(v.tolist() for v in visibility.windows(key, start, end, probability)), strict=True):
            window = {"start": a, "end": b, "probability": p, w.what: w.ids[k % len(w.ids)]}
            found.setdefault(k // len(w.ids), []).append(window)
    listed = [
        {
            "camera_id": cameras.ids[c],
            "lat": float(cameras.lat[c]),
            "lon": float(cameras.lon[c]),
            "windows": sorted(windows, key=lambda each: (-each["probability"], each["start"])),
        }
        for c, windows in found.items()
    ]
    return sorted(listed, key=lambda each: (-each["windows"][0]["probability"], each["camera_id"]))
