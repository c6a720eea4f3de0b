"""Trips, networks and scenarios in files: what is right is read, what is wrong is named."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hanmaru.ride.domain import RideError
from hanmaru.ride.sim import files, scenario
from hanmaru.ride.sim.scenario import POLICIES, Scenario
from hanmaru.ride.sim.trips import poisson

DATA = Path(os.environ.get("HANMARU_TEST_DATA", Path(__file__).parents[3] / "shared/data"))
MIDNIGHT = 1_777_993_200  # 2026-05-06 00:00 in Korea
GOOD = "origin_lon,origin_lat,dest_lon,dest_lat"


def written(folder: Path, text: str, name: str = "trips.csv") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def test_trips_have_positions_times_and_parties(tmp_path: Path) -> None:
    rows = "2026-05-06T08:30:00+09:00,127.25,36.5,127.26,36.51,2,0\n28800,127.2,36.4,127.3,36.6,,1\n"
    found, timed = files.trips(written(tmp_path, f"\ufefftime,{GOOD},seats,wheelchairs\n{rows}"), MIDNIGHT)
    assert timed
    assert (found.asked_s - MIDNIGHT).tolist() == [28_800, 30_600]  # in order of time
    assert found.origin.tolist() == [[127.2, 36.4], [127.25, 36.5]]
    assert found.destination.tolist() == [[127.3, 36.6], [127.26, 36.51]]
    assert found.seats.tolist() == [1, 2]
    assert found.wheelchairs.tolist() == [1, 0]


def test_fleetpys_names_are_understood(tmp_path: Path) -> None:
    text = ",rq_time,start,end,request_id,earliest_pickup_time\n0,0,2966,2988,0,194\n1,217,2966,2973,1,\n"
    found, _ = files.trips(written(tmp_path, text), 0)
    assert found.asked_s.tolist() == [0, 217]
    assert found.depart_s.tolist() == [194, 217]
    assert found.origin.tolist() == [[2966], [2966]]


def test_parquet_is_read_as_csv_is(tmp_path: Path) -> None:
    at = np.array(["2026-05-05T23:30:00"], "datetime64[s]")
    columns = {"time": pa.array(at).cast(pa.timestamp("s", "UTC")), "origin": [3], "destination": [4]}
    pq.write_table(pa.table(columns), tmp_path / "trips.parquet")
    found, _ = files.trips(tmp_path / "trips.parquet", MIDNIGHT)
    assert found.asked_s.tolist() == [MIDNIGHT + 8 * 3600 + 1800]
    assert found.destination.tolist() == [[4]]


def test_trips_without_times_arrive_at_random_over_the_hours(tmp_path: Path) -> None:
    path = written(tmp_path, "origin,destination\n" + "".join(f"{k},{k + 1}\n" for k in range(2000)))
    given, timed = files.trips(path, 0)
    assert not timed
    found, again, other = (poisson(given, 3600, 7200, seed) for seed in (1, 1, 2))
    assert (np.diff(found.asked_s) >= 0).all()
    assert found.asked_s.min() >= 3600
    assert found.asked_s.max() < 7200
    assert abs(found.asked_s.mean() - 5400) < 4 * 3600 / np.sqrt(12 * 2000)
    assert (found.destination - found.origin == 1).all()
    assert sorted(found.origin[:, 0]) == list(range(2000))
    assert (found.asked_s == again.asked_s).all()
    assert (found.origin == again.origin).all()
    assert (found.origin != other.origin).any()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no trips"),
        ("time\n1\n", "needs the columns origin_lon, origin_lat, dest_lon, dest_lat; or origin, destination"),
        (f"time,{GOOD}\n", "has no trips"),
        ("time,origin\n0,1\n", "lacks the column destination; it has time, origin"),
        (f"time,{GOOD}\n0,127,36.5,127,95\n", "row 2, column dest_lat: '95' is not a number from -90 to 90"),
        (f"time,{GOOD}\n0,127,36.5,127,nan\n", "row 2, column dest_lat"),
        (f"time,{GOOD}\nnoon,127,36,127,36\n", "row 2, column time: 'noon' is not a time"),
        (f"time,{GOOD}\n2026-05-06T08:00:00,127,36,127,36\n", "with its offset"),
        (f"time,{GOOD}\n,127,36,127,36\n", "row 2, column time: there is no time"),
        (f"time,{GOOD}\n1,127,36,127,36\n-1,127,36,127,36\n", "row 3, column time: '-1'"),
        (f"time,{GOOD},seats\n1,127,36,127,36,0\n", "row 2, column seats: nobody would ride"),
        (f"time,{GOOD},seats\n1,127,36,127,36,1.5\n", "a whole number from 0 to 100"),
        (f"time,{GOOD}\n1,127,36,127\n", "row 2: 4 values for 5 columns"),
        ("time,time,origin,destination\n1,1,1,1\n", "several columns time"),
        ("origin,destination\n1,-2\n", "row 2, column destination: '-2'"),
    ],
)
def test_what_is_wrong_in_trips_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(RideError) as error:
        files.trips(written(tmp_path, text), MIDNIGHT)
    assert "trips.csv" in str(error.value)
    assert said in str(error.value)


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RideError, match="there is no such file"):
        files.trips(tmp_path / "none.csv", 0)
    (tmp_path / "bytes.csv").write_bytes(b"time,origin\n\xff\xfe")
    with pytest.raises(RideError, match="not UTF-8"):
        files.trips(tmp_path / "bytes.csv", 0)
    (tmp_path / "trips.parquet").write_bytes(b"no parquet")
    with pytest.raises(RideError, match=r"trips\.parquet cannot be read"):
        files.trips(tmp_path / "trips.parquet", 0)


@pytest.mark.skipif(not (DATA / "fleet").is_dir(), reason="FleetPy's example is not at HANMARU_TEST_DATA")
def test_fleetpys_example_network_and_demand_are_read() -> None:
    folder = DATA / "fleet" / "fleetpy" / "data"
    nodes, source, target, time_s, length_m = files.links(folder / "networks" / "example_network")
    assert nodes == 7617
    assert len(source) == len(target) == len(time_s) == len(length_m) == 11_366
    found, timed = files.trips(folder / "demand/example_demand/matched/example_network/example_400.csv", 0)
    assert (len(found), timed) == (400, True)


def test_a_network_whose_links_lead_nowhere_is_refused(tmp_path: Path) -> None:
    written(tmp_path, "node_index\n0\n1\n", "nodes.csv")
    written(tmp_path, "from_node,to_node,distance,travel_time\n0,7,1,1\n", "edges.csv")
    with pytest.raises(RideError, match=r"edges\.csv, row 2, column to_node: '7' is not a whole number from 0 to 1"):
        files.links(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[van", "is no TOML"),
        ("colour = 1", "there is no key"),
        ("[compare]\nvans = [0]", "$.compare.vans[0]"),
        ("[compare]\npolicies = ['magic']", "magic"),
        ("[demand]\nshare = 2.0", "$.demand.share"),
        ("[hours]\nbegin = '25:00'", "'25:00' is no time of day"),
        ("[hours]\nbegin = '09:00'\nend = '08:00'", "no span of a day"),
        ("[[van]]\nbreaks = ['12:30-12:00']", "ends before it begins"),
        ("[[van]]\nseats = 0\nwheelchairs = 0", "nobody"),
        ("van = []", "van"),
    ],
)
def test_what_is_wrong_in_a_scenario_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(RideError) as error:
        scenario.load(written(tmp_path, text, "town.toml"))
    assert "town.toml" in str(error.value)
    assert said in str(error.value)


def test_the_scenario_in_the_documentation_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/reference/ride-files.md").read_text("utf-8")
    example = page.split("```toml\n")[1].split("```")[0]
    found = scenario.load(written(tmp_path, example, "town.toml"))
    assert found.compare.policies == POLICIES
    assert found.folder == str(tmp_path)
    assert scenario.load(written(tmp_path, "", "empty.toml")) == Scenario(folder=str(tmp_path))
