"""The sequential kernels as functions of Arrow tables, for `lake.engines` to run partition by partition."""

# pyarrow ships no types.
# pyright: basic

import numpy as np
import pyarrow as pa

from hanmaru.trace import tables
from hanmaru.trace.domain import Points, TraceError
from hanmaru.trace.engine import serving, stays
from hanmaru.trace.engine.clean import clean
from hanmaru.trace.engine.plane import Plane

VISITS = pa.schema(
    [
        ("subject", pa.string()),
        ("start", tables.TIME),
        ("end", tables.TIME),
        ("lat", pa.float64()),
        ("lon", pa.float64()),
        ("radius_m", pa.float64()),
        ("confidence", pa.float64()),
    ]
)
"""What `visits_of` returns, and what an index holds."""


def visits_of(events: pa.Table) -> pa.Table:
    """Return the visits in events of whole subjects, sorted by subject and time: `VISITS`, by subject and start.

    ``events`` have ``subject``, ``time``, ``lat``, ``lon`` and may have ``accuracy_m`` and ``cell_id``. They are
    cleaned as ``hanmaru trace stays`` cleans them. Raises TraceError for rows without a subject, a time or a position.
    """
    lat, lon = tables.floats(events, "lat"), tables.floats(events, "lon")
    if lacking := events["subject"].null_count + np.count_nonzero(~((abs(lat) <= 90) & (abs(lon) <= 180))):
        raise TraceError(f"{lacking} events lack a subject or a position on the globe; leave those rows out")
    coded = events["subject"].combine_chunks().dictionary_encode()
    plane = Plane.about(lon, lat)
    x_m, y_m = plane.xy(lon, lat)
    known = "accuracy_m" in events.column_names
    points = Points(
        coded.indices.to_numpy().astype(np.int64),
        tables.seconds(events, "time"),
        x_m,
        y_m,
        tables.floats(events, "accuracy_m") if known else np.full(len(lat), np.nan),
    )
    if known and "cell_id" in events.column_names and not np.isnan(points.radius_m).any():
        served = events["cell_id"].combine_chunks().dictionary_encode()
        cell = served.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        found = serving.find(points, cell)
    else:
        found = stays.find(clean(points).points)
    lon, lat = plane.lonlat(found.x_m, found.y_m)
    start, end = (tables.times(column).cast(tables.TIME) for column in (found.start_s, found.end_s))
    subject = coded.dictionary.take(pa.array(found.subject))
    return pa.table([subject, start, end, lat, lon, found.radius_m, found.confidence], schema=VISITS)
