"""The lake's queries, as Ibis expressions that mean the same on every engine.

Times are compared as Unix seconds (``epoch_seconds``), so that no engine's time zone plays a part.
"""

# Ibis ships no complete types.
# pyright: basic, reportOperatorIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

TILE_DEG = 0.005
"""Side of a tile, degrees: about 450 by 550 m in Korea, so that a visit's surroundings are a handful of tiles."""
_ROW = 100_000
"""Tiles are numbered row by row; a row has 360 / 0.005 = 72,000 of them."""
MOST_TILES = 11
"""How many tiles wide the surroundings of one visit get at most."""
METRES_PER_DEGREE = 111_320.0
MARGIN_M = 300.0


def with_tile(visits: ir.Table) -> ir.Table:
    """Return visits (``lat``, ``lon``) with the number of the ``tile`` that each lies in."""
    row, column = ((visits["lat"] + 90) / TILE_DEG).floor(), ((visits["lon"] + 180) / TILE_DEG).floor()
    return visits.mutate(tile=(row * _ROW + column).cast("int64"))


def surroundings(visits: pa.Table) -> pa.Table:
    """Return the windows in which others may have met the subjects of some visits: ``tile``, ``start_s``, ``end_s``.

    A visit's surroundings reach twice its radius and `MARGIN_M` beyond its position, at most `MOST_TILES` tiles wide.
    """
    lat, lon = (visits[name].to_numpy().astype(np.float64) for name in ("lat", "lon"))
    radius = visits["radius_m"].to_numpy().astype(np.float64)
    start, end = (_seconds(visits[name]) for name in ("start", "end"))
    reach = 2 * np.nan_to_num(radius) + MARGIN_M
    most = (MOST_TILES - 1) // 2
    rows, columns = np.floor((lat + 90) / TILE_DEG), np.floor((lon + 180) / TILE_DEG)
    high = np.minimum(np.ceil(reach / METRES_PER_DEGREE / TILE_DEG), most).astype(np.int64)
    across = METRES_PER_DEGREE * np.maximum(np.cos(np.radians(lat)), 0.01)
    wide = np.minimum(np.ceil(reach / across / TILE_DEG), most).astype(np.int64)
    size = (2 * high + 1) * (2 * wide + 1)
    each = np.repeat(np.arange(len(lat)), size)
    step = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    row = rows[each] - high[each] + step // (2 * wide[each] + 1)
    column = columns[each] - wide[each] + step % (2 * wide[each] + 1)
    tile = (row * _ROW + column).astype(np.int64)
    return pa.table({"tile": tile, "start_s": start[each], "end_s": end[each]})


def within(visits: ir.Table, windows: ir.Table) -> ir.Table:
    """Return the visits (with ``tile``, ``start``, ``end``) that overlap one of `surroundings` in place and time."""
    timed = visits.mutate(from_s=visits["start"].epoch_seconds(), to_s=visits["end"].epoch_seconds())
    kept = timed.semi_join(
        windows,
        [timed["tile"] == windows["tile"], timed["from_s"] < windows["end_s"], timed["to_s"] > windows["start_s"]],
    )
    return kept.drop("from_s", "to_s")


def present(events: ir.Table, windows: ir.Table, minutes: float) -> ir.Table:
    """Return who was at some cells for a time: the answer to a request for people near a place.

    ``events`` have ``subject``, ``time``, ``cell_id``; ``windows`` ``area``, ``cell_id``, ``start``, ``end``. One row
    per ``area`` and ``subject`` whose first and last event in its cells lie at least ``minutes`` apart: ``first``,
    ``last``, ``events``.
    """
    at = events["time"].epoch_seconds()
    timed = events.select("subject", "cell_id", "time", at=at)
    limits = windows.select(
        "area",
        window_cell=windows["cell_id"],
        start_s=windows["start"].epoch_seconds(),
        end_s=windows["end"].epoch_seconds(),
    ).distinct()
    met = timed.inner_join(
        limits,
        [
            timed["cell_id"] == limits["window_cell"],
            timed["at"] >= limits["start_s"],
            timed["at"] < limits["end_s"],
        ],
    )
    # One event in two overlapping windows of an area counts once.
    met = met.select("area", "subject", "cell_id", "time").distinct()
    people = met.group_by(["area", "subject"]).agg(first=met["time"].min(), last=met["time"].max(), events=met.count())
    long = people["last"].epoch_seconds() - people["first"].epoch_seconds() >= round(60 * minutes)
    return people.filter(long).order_by(["area", "subject"])


def _seconds(column: pa.ChunkedArray) -> np.ndarray:
    return column.cast(pa.timestamp("s", "UTC"), safe=False).to_numpy().astype("datetime64[s]").astype(np.int64)
