"""The lake's queries and kernels say the same on DuckDB, on a Spark cluster, and in plain Python."""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hanmaru.trace.domain import TraceError
from hanmaru.trace.lake.engines import DuckDB, Engine, Spark, open_engine
from hanmaru.trace.lake.index import Index, build, open_index
from hanmaru.trace.lake.kernels import VISITS, visits_of
from hanmaru.trace.lake.queries import present, surroundings, with_tile, within
from tests.trace.spark import BRIEF, cluster, hang_up

# py4j, which speaks to Spark, leaves its sockets to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

UTC = pa.timestamp("us", "UTC")
NOON_S = 1_767_236_400
PEOPLE, PLACES = 60, 8


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Generator[list[Engine]]:
    folder = tmp_path_factory.mktemp("spark")
    settings = {
        "spark.executor.memory": "1g",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.shuffle.partitions": "2",
        "spark.driver.extraJavaOptions": BRIEF,
        "spark.executor.extraJavaOptions": BRIEF,
    }
    with cluster(folder) as master, Spark(master, settings) as spark, DuckDB(folder / "scratch") as duck:
        yield [duck, spark]
    hang_up()


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty people who go from place to place for a day, seen every five minutes or so."""
    rng = np.random.default_rng(7)
    places = np.column_stack([36.48 + rng.uniform(0, 0.03, PLACES), 127.26 + rng.uniform(0, 0.03, PLACES)])
    rows: list[tuple[str, int, float, float, str]] = []
    for person in range(PEOPLE):
        at = NOON_S
        while at < NOON_S + 43_200:
            place = int(rng.integers(PLACES))
            until = at + int(rng.uniform(1800, 10_800))
            for t in np.arange(at, until, 300) + rng.integers(0, 200, len(range(at, until, 300))):
                lat, lon = places[place] + rng.normal(0, 0.0003, 2)
                rows.append((f"p{person:03}", int(t), lat, lon, f"cell-{place}"))
            at = until + 900
    subject, time_s, lat, lon, cell = (list(column) for column in zip(*rows, strict=True))
    time = pa.array(np.array(time_s) * 1_000_000, UTC)
    accuracy = pa.nulls(len(rows), pa.float64()).fill_null(45.0)
    table = pa.table(
        {"subject": subject, "time": time, "lat": lat, "lon": lon, "cell_id": cell, "accuracy_m": accuracy}
    )
    path = tmp_path_factory.mktemp("lake") / "events.parquet"
    pq.write_table(table.take(pa.array(rng.permutation(table.num_rows))), path)
    return path


@pytest.fixture(scope="module")
def indices(engines: list[Engine], events: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Index]:
    out = tmp_path_factory.mktemp("index")
    return [build(engine, [events], visits_of, out / str(i)) for i, engine in enumerate(engines)]


def rows(table: pa.Table) -> list[dict[str, Any]]:
    """Return rows in an order of their own, without measures, which differ a little between partitions."""
    measures = [name for name in ("lat", "lon", "radius_m", "confidence") if name in table.column_names]
    return sorted(table.drop_columns(measures).to_pylist(), key=repr)


def at(hours: float) -> int:
    return NOON_S + round(3600 * hours)


def times(*seconds: int) -> pa.Array:
    return pa.array([1_000_000 * each for each in seconds], UTC)


def test_present_is_who_was_in_an_area_for_long_enough(engines: list[Engine], events: Path) -> None:
    windows = pa.table(
        {
            "area": ["club", "club", "school"],
            "cell_id": ["cell-1", "cell-2", "cell-3"],
            "start": times(at(1), at(1), at(4)),
            "end": times(at(4), at(4), at(6)),
        }
    )
    expected: dict[tuple[str, str], list[int]] = {}
    seen = pq.read_table(events).to_pydict()
    for subject, time, cell in zip(seen["subject"], seen["time"], seen["cell_id"], strict=True):
        for window in windows.to_pylist():
            if cell == window["cell_id"] and window["start"] <= time < window["end"]:
                expected.setdefault((window["area"], subject), []).append(int(time.timestamp()))
    long = {key: len(times) for key, times in expected.items() if max(times) - min(times) >= 1800}
    assert 20 < len(long) < len(expected)
    for engine in engines:
        found = engine.fetch(present(engine.read(events), ibis.memtable(windows), 30)).to_pylist()
        assert {(row["area"], row["subject"]): row["events"] for row in found} == long


def test_overlapping_windows_of_an_area_count_an_event_once(engines: list[Engine], events: Path) -> None:
    twice = pa.table(
        {
            "area": ["club", "club"],
            "cell_id": ["cell-1", "cell-1"],
            "start": times(at(1), at(2)),
            "end": times(at(4), at(5)),
        }
    )
    once = pa.table({"area": ["club"], "cell_id": ["cell-1"], "start": times(at(1)), "end": times(at(5))})
    for engine in engines:
        read = engine.read(events)
        assert rows(engine.fetch(present(read, ibis.memtable(twice), 30))) == rows(
            engine.fetch(present(read, ibis.memtable(once), 30))
        )


def test_a_kernel_finds_the_same_visits_however_people_are_dealt(indices: list[Index], events: Path) -> None:
    whole = visits_of(pq.read_table(events).sort_by([("subject", "ascending"), ("time", "ascending")]))
    assert whole.num_rows > 2 * PEOPLE
    subjects = [f"p{n:03}" for n in range(PEOPLE)]
    for index in indices:
        found = index.visits_of(subjects)
        assert found.schema.names == VISITS.names
        assert found.num_rows == index.about.visits == whole.num_rows
        assert found["subject"].to_pylist() == whole["subject"].to_pylist()
        for name in ("start", "end"):
            assert found[name].to_pylist() == whole[name].to_pylist()
        for name in ("lat", "lon"):  # each partition computes in a plane of its own
            np.testing.assert_allclose(found[name].to_numpy(), whole[name].to_numpy(), atol=2e-5)


def test_around_misses_nobody_who_was_near(indices: list[Index]) -> None:
    for index in indices:
        case = index.visits_of(["p007"])
        found = {(row["subject"], row["start"]) for row in index.around(case).to_pylist()}
        for other in index.visits_of([f"p{n:03}" for n in range(PEOPLE)]).to_pylist():
            near = any(
                visit["start"] < other["end"]
                and visit["end"] > other["start"]
                and np.hypot(visit["lat"] - other["lat"], (visit["lon"] - other["lon"]) * 0.8) * 111_320 < 300
                for visit in case.to_pylist()
            )
            if near:
                assert (other["subject"], other["start"]) in found
        assert len(found) < index.about.visits


def test_both_engines_answer_around_alike(indices: list[Index]) -> None:
    answers = [rows(index.around(index.visits_of(["p001", "p002"]))) for index in indices]
    assert answers[0] == answers[1]


def test_surroundings_stay_few_and_reach_over_tile_edges(engines: list[Engine]) -> None:
    visit = {"lat": [36.4799], "lon": [127.2601], "radius_m": [50.0], "start": times(at(1)), "end": times(at(2))}
    windows = surroundings(pa.table(visit))
    assert windows.num_rows <= 25
    assert windows["start_s"].unique().to_pylist() == [at(1)]
    neighbour = pa.table(
        {"lat": [36.4801], "lon": [127.2599], "start": times(at(0)), "end": times(at(1.5)), "subject": ["b"]}
    )
    for engine in engines:
        found = engine.fetch(within(with_tile(ibis.memtable(neighbour)), ibis.memtable(windows)))
        assert found["subject"].to_pylist() == ["b"]


def test_partitions_bound_what_a_kernel_holds(events: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hanmaru.trace.lake.engines.ROWS_A_PARTITION", 1000)
    sizes: list[int] = []

    def kernel(table: pa.Table) -> pa.Table:
        sizes.append(table.num_rows)
        return visits_of(table)

    with DuckDB(tmp_path / "scratch") as duck:
        index = build(duck, [events], kernel, tmp_path / "index")
        assert len(sizes) > 5
        assert sum(sizes) == pq.read_metadata(events).num_rows == index.about.events
        assert len(index.visits_of(["p000"])) > 1


def test_what_cannot_be_indexed_is_said(events: Path, tmp_path: Path) -> None:
    with DuckDB(tmp_path / "scratch") as duck:
        with pytest.raises(TraceError, match=r"neither a Parquet file nor a folder"):
            build(duck, [tmp_path], visits_of, tmp_path / "out")
        pq.write_table(pa.table({"subject": ["a"]}), tmp_path / "thin.parquet")
        with pytest.raises(TraceError, match=r"thin\.parquet lacks the columns lat, lon, time"):
            build(duck, [tmp_path / "thin.parquet"], visits_of, tmp_path / "out")
        index = build(duck, [events], visits_of, tmp_path / "out")
        with pytest.raises(TraceError, match="is there already"):
            build(duck, [events], visits_of, tmp_path / "out")
        with pytest.raises(TraceError, match="no visits of nobody"):
            index.visits_of(["p001", "nobody"])
        with pytest.raises(TraceError, match="hanmaru trace index"):
            open_index(duck, tmp_path)
    with pytest.raises(TraceError, match="there is no engine 'postgres'"):
        open_engine("postgres", tmp_path)


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_times_mean_the_same_in_any_unit(events: Path, tmp_path: Path, unit: str) -> None:
    table = pq.read_table(events)
    stored = table.set_column(1, "time", table["time"].cast(pa.timestamp(unit, "Asia/Seoul")))
    pq.write_table(stored, tmp_path / "events.parquet")
    with DuckDB(tmp_path / "scratch") as duck:
        found = build(duck, [tmp_path / "events.parquet"], visits_of, tmp_path / "out").visits_of(["p007"])
        assert at(0) <= min(found["start"].to_pylist()).timestamp() <= at(1)


def with_column(table: pa.Table, name: str, values: Any) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)


def test_events_that_say_less_than_they_must_are_refused(events: Path, tmp_path: Path) -> None:
    table = pq.read_table(events)
    lat, subject = table["lat"].to_pylist(), table["subject"].to_pylist()
    spoiled = {
        "says no instant": with_column(table, "time", table["time"].cast(pa.timestamp("us"))),
        "string says no instant": with_column(table, "time", table["time"].cast(pa.string())),
        "1 events lack .* position": with_column(table, "lat", pa.array([None, *lat[1:]])),
        "2 events lack .* position": with_column(table, "lat", pa.array([float("nan"), 91.0, *lat[2:]])),
        "1 events lack a subject": with_column(table, "subject", pa.array([None, *subject[1:]])),
    }
    with DuckDB(tmp_path / "scratch") as duck:
        for message, rows_ in spoiled.items():
            pq.write_table(rows_, tmp_path / "spoiled.parquet")
            with pytest.raises(TraceError, match=message):
                build(duck, [tmp_path / "spoiled.parquet"], visits_of, tmp_path / "out")


def test_a_build_that_fails_leaves_nothing(events: Path, tmp_path: Path) -> None:
    def broken(_: pa.Table) -> pa.Table:
        raise TraceError("no")

    def left() -> Iterator[str]:
        return (path.name for path in tmp_path.iterdir())

    with DuckDB(tmp_path / "scratch") as duck, pytest.raises(TraceError, match="no"):
        build(duck, [events], broken, tmp_path / "out")
    assert list(left()) == []
