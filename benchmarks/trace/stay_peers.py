"""The stays of peers, run by an interpreter that has them: trackintel, movingpandas. Prints JSON.

``stay_peers.py POINTS.csv PEER DISTANCE_M MINUTES GAP_MINUTES OUT.csv``; POINTS: subject,time,lat,lon.
"""

import json
import sys
import time
import warnings

import pandas as pd

warnings.filterwarnings("ignore")


def trackintel(points: pd.DataFrame, distance_m: float, minutes: float, gap: float) -> tuple[float, pd.DataFrame]:
    """Return seconds and stays (subject, start, end) of the sliding method."""
    from trackintel import Positionfixes

    frame = points.rename(columns={"subject": "user_id", "time": "tracked_at"})
    fixes = Positionfixes(_geometry(frame))
    began = time.perf_counter()
    _, stays = fixes.generate_staypoints(
        method="sliding", dist_threshold=distance_m, time_threshold=minutes, gap_threshold=gap
    )
    seconds = time.perf_counter() - began
    renamed = {"user_id": "subject", "started_at": "start", "finished_at": "end"}
    return seconds, pd.DataFrame(stays.rename(columns=renamed)[["subject", "start", "end"]])


def movingpandas(points: pd.DataFrame, distance_m: float, minutes: float, _gap: float) -> tuple[float, pd.DataFrame]:
    """Return seconds and stays (subject, start, end) of the stop detector; the distance is a stop's diameter."""
    from datetime import timedelta

    from movingpandas import TrajectoryCollection, TrajectoryStopDetector

    frame = points.assign(time=points["time"].dt.tz_localize(None)).set_index("time")
    tracks = TrajectoryCollection(_geometry(frame), "subject")
    began = time.perf_counter()
    stops = TrajectoryStopDetector(tracks).get_stop_time_ranges(
        min_duration=timedelta(minutes=minutes), max_diameter=distance_m
    )
    seconds = time.perf_counter() - began
    rows = [(stop.traj_id, stop.t_0, stop.t_n) for stop in stops]
    out = pd.DataFrame(rows, columns=["subject", "start", "end"])
    return seconds, out.assign(**{name: out[name].dt.tz_localize("UTC") for name in ("start", "end")})


def _geometry(frame: pd.DataFrame):
    import geopandas

    return geopandas.GeoDataFrame(
        frame.drop(columns=["lat", "lon"]), geometry=geopandas.points_from_xy(frame["lon"], frame["lat"]), crs=4326
    )


if __name__ == "__main__":
    source, peer, distance_m, minutes, gap, out = sys.argv[1:]
    points = pd.read_csv(source, dtype={"subject": str}, parse_dates=["time"])
    seconds, stays = {"trackintel": trackintel, "movingpandas": movingpandas}[peer](
        points, float(distance_m), float(minutes), float(gap)
    )
    stays.to_csv(out, index=False, date_format="%Y-%m-%dT%H:%M:%SZ")
    print(json.dumps({"points": len(points), "stays": len(stays), "seconds": seconds}))
