"""The journal's file: what was told to be on disk is there, whatever happens to the end of it."""

import asyncio
import shutil
from pathlib import Path

import apsw
import pytest

from hanmaru.ride.dispatch.journal import SNAPSHOTS, Entry, Journal, Reader
from hanmaru.ride.domain import RideError


def entry(first: int, count: int = 1, *, passing: bool = False, at_s: int = 100) -> Entry:
    return Entry([(seq, at_s, passing, f"event {seq}".encode()) for seq in range(first, first + count)])


async def test_what_was_told_to_be_durable_is_read_back_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    waiting = [journal.append(entry(3 * n + 1, 3)) for n in range(50)]
    await asyncio.gather(*set(waiting))
    assert len(set(waiting)) < 50  # who waits together is flushed together
    reader = Reader(tmp_path / "journal.db")
    assert [seq for seq, _, _ in reader.events(0)] == list(range(1, 151))
    assert reader.events(149)[0][2] == b"event 150"
    reader.close()
    journal.close()


async def test_a_log_that_was_torn_off_ends_with_a_whole_decision(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = Journal(path)
    for n in range(20):
        await journal.append(entry(5 * n + 1, 5))
    left = tmp_path / "left"
    left.mkdir()
    for name in ("journal.db", "journal.db-wal"):  # as a power failure may leave them: nothing was closed
        shutil.copy(tmp_path / name, left / name)
    journal.close()
    whole = (left / "journal.db-wal").stat().st_size
    kept: list[int] = []
    for n, cut in enumerate((0, 100, 5000, whole // 2, whole - 3000)):
        torn = tmp_path / f"torn-{n}"
        shutil.copytree(left, torn)
        with (torn / "journal.db-wal").open("r+b") as file:
            file.truncate(whole - cut)
        reader = Reader(torn / "journal.db")
        found = [seq for seq, _, _ in reader.events(0)]
        reader.close()
        assert found == list(range(1, len(found) + 1))
        assert len(found) % 5 == 0  # all of a decision or nothing
        kept.append(len(found))
    assert kept[0] == 100
    assert kept[1] == 95
    assert kept == sorted(kept, reverse=True)
    assert kept[-2] < 95


async def test_a_damaged_snapshot_is_passed_over_and_a_damaged_event_is_named(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = Journal(path)
    journal.append(entry(1, 10))
    for seq in (4, 7, 9):
        journal.snapshot(seq, f"state at {seq}".encode())
    await journal.durable()
    journal.close()
    db = apsw.Connection(str(path))
    db.execute("UPDATE snapshot SET body = zeroblob(20) WHERE seq = 9")
    reader = Reader(path)
    assert reader.snapshots() == [(7, b"state at 7"), (4, b"state at 4")]
    db.execute("UPDATE event SET body = CAST('event X' AS BLOB) WHERE seq = 9")
    with pytest.raises(RideError, match=r"journal\.db: event 9 is damaged or missing; restore the file"):
        reader.events(7)
    db.execute("DELETE FROM event WHERE seq = 8")
    with pytest.raises(RideError, match="event 8 is damaged or missing"):
        reader.events(7)
    reader.close()
    db.close()


async def test_what_passes_goes_with_the_snapshots_and_what_is_over_with_time(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    journal.append(entry(1, 3, passing=True))
    journal.append(entry(4, 3, passing=False, at_s=200))
    journal.append(Entry(trips=[("r-1", "rider-a", True, 100, b"open"), ("r-2", "rider-a", False, 100, b"over")]))
    for seq in range(4, 5 + SNAPSHOTS):
        journal.snapshot(seq, b"state")
    await journal.durable()
    reader = Reader(tmp_path / "journal.db")
    assert [seq for seq, _, _ in reader.events(3)] == [4, 5, 6]
    with pytest.raises(RideError, match="event 1"):
        reader.events(0)
    journal.forget(150, 200)
    await journal.durable()
    assert reader.trip("r-1") == b"open"
    assert reader.trip("r-2") is None
    assert [seq for seq, _ in reader.snapshots()] == [7, 6, 5]
    journal.append(Entry(trips=[("r-1", "rider-a", False, 300, b"over")]))
    await journal.destroy("rider-a")
    assert reader.trips_of("rider-a", 10) == []
    reader.close()
    journal.close()


async def test_a_disk_that_takes_nothing_is_told_to_whoever_waits(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    await journal.append(entry(1))
    waiting = journal.append(entry(1))  # as when somebody else had written the same event
    with pytest.raises(apsw.ConstraintError):
        await waiting
    with pytest.raises(apsw.ConstraintError):
        await journal.failed
    journal.close()


def test_another_file_is_no_journal(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_text("seven horses over the river " * 100)
    with pytest.raises(RideError, match="not a ride journal"):
        Reader(tmp_path / "journal.db")
