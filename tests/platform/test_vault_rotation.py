"""Another master key, another data key: all opens after, the old opens nothing, a kill in the middle loses nothing."""

import asyncio
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from hanmaru.platform.policy import Caller
from hanmaru.platform.vault import Desk, Index, VaultError, Vaults, backup, lake, rotate
from hanmaru.platform.vault.keys import Keys
from tests.platform import killing
from tests.platform.vaults import opened

KIM = {"name": "김민준", "phone": "010-1234-5678"}


@pytest.fixture
def vaults(tmp_path: Path) -> Iterator[Vaults]:
    made = opened(tmp_path / "city")
    yield made
    made.close()


def desk_of(vaults: Vaults) -> Desk:
    vaults.room("trace").declare(Index("phone", "person.phone"))
    return vaults.room("trace").at(Caller("investigator"), "contact tracing")


async def clip() -> AsyncIterator[bytes]:
    yield bytes(600_000)


async def filled(vaults: Vaults, count: int = 3) -> list[str]:
    desk = desk_of(vaults)
    subjects = await desk.open_subjects("case", count)
    for subject in subjects:
        await desk.put_many(
            [(subject, "person", "p", KIM), *((subject, "visit", f"v{n}", {"n": n}) for n in range(50))]
        )
        await desk.put_blob(subject, "clip", "c", clip())
        await lake.write_table(desk, subject, "calls", pa.table({"n": range(1_000)}))
    return subjects


async def all_opens(vaults: Vaults, subjects: list[str]) -> None:
    desk = desk_of(vaults)
    assert await desk.find("phone", KIM["phone"]) == sorted(subjects)
    for subject in subjects:
        assert await desk.get(subject, "person", "p") == KIM
        assert await desk.get(subject, "visit", "v49") == {"n": 49}
        found = await desk.get_blob(subject, "clip", "c")
        assert found
        assert b"".join([part async for part in found]) == bytes(600_000)
        assert (await lake.read_table(desk, subject, "calls"))["n"].to_pylist() == list(range(1_000))


async def test_a_new_master_key_opens_everything_and_the_old_one_nothing(vaults: Vaults, tmp_path: Path) -> None:
    subjects = await filled(vaults)
    folder = tmp_path / "key-backups"
    before = backup.backup_keys(vaults.keys, folder)
    file = vaults.keys.master_file.path
    old = file.read_bytes()
    told: list[tuple[int, int]] = []
    count = await asyncio.to_thread(rotate.rotate_master, vaults.keys, lambda done, of: told.append((done, of)))
    assert count == len(subjects) + 1  # and the blind index's
    assert told[-1] == (count, count)
    assert file.read_bytes() != old
    assert not file.with_name("master.key.next").exists()
    assert not before.exists()
    (fresh,) = folder.glob("*.hkb")
    assert len(backup.read_backup(vaults.keys, fresh).keys) == len(subjects)
    await all_opens(vaults, subjects)
    vaults.close()
    await all_opens(vaults, subjects)
    new = file.read_bytes()
    file.write_bytes(old)
    with pytest.raises(VaultError, match="wrapped by master key"):
        Keys(vaults.keys_folder)
    file.write_bytes(new)


async def test_a_running_process_goes_on_over_a_rotation_by_another(vaults: Vaults) -> None:
    subjects = await filled(vaults)
    other = Keys(vaults.keys_folder)
    await asyncio.to_thread(rotate.rotate_master, other)
    await asyncio.to_thread(rotate.rotate_master, other)
    vaults.keys.forget()
    await all_opens(vaults, subjects)
    subjects += await filled(vaults, 1)
    other.forget()
    assert other.get("trace", subjects[-1], 1)
    other.close()
    await all_opens(vaults, subjects)


async def test_a_subject_gets_a_new_key_and_the_old_one_is_gone(vaults: Vaults) -> None:
    subjects = await filled(vaults)
    keys = vaults.keys
    before = keys.get("trace", subjects[0], 1)
    await asyncio.to_thread(rotate.rotate_subject, vaults.data, keys, "trace", subjects[0])
    assert keys.versions("trace", subjects[0]) == [2]
    assert keys.versions("trace", subjects[1]) == [1]
    assert keys.get("trace", subjects[0], 2).secret != before.secret
    await all_opens(vaults, subjects)
    assert await asyncio.to_thread(rotate.rotate_older, vaults.data, keys, 1) == 0
    assert await asyncio.to_thread(rotate.rotate_older, vaults.data, keys, 0) == 3
    assert [keys.versions("trace", subject) for subject in subjects] == [[3], [2], [2]]
    await all_opens(vaults, subjects)
    with pytest.raises(VaultError, match="no subject"):
        rotate.rotate_subject(vaults.data, keys, "trace", "case-" + "a" * 26)


async def test_writes_during_a_rotation_are_not_lost(vaults: Vaults) -> None:
    (subject,) = await filled(vaults, 1)
    desk = desk_of(vaults)
    rotating = [asyncio.to_thread(rotate.rotate_subject, vaults.data, vaults.keys, "trace", subject)]

    async def write() -> None:
        for n in range(60):
            await desk.put(subject, "visit", f"new{n}", {"n": n})
            assert await desk.get(subject, "visit", f"new{n}") == {"n": n}

    await asyncio.gather(*rotating, write())
    await all_opens(vaults, [subject])
    assert len(await desk.list(subject, "visit")) == 110
    assert vaults.keys.versions("trace", subject) == [2]


@pytest.mark.parametrize("what", ["master", "subject"])
async def test_a_rotation_that_is_killed_loses_nothing_and_is_finished_by_the_next(tmp_path: Path, what: str) -> None:
    city = opened(tmp_path / "city")
    subjects = await filled(city)
    city.close()
    copies = tmp_path / "copies"
    command = [sys.executable, killing.__file__, str(tmp_path / "city"), str(copies), "16", what, subjects[0]]
    await asyncio.to_thread(subprocess.run, command, check=True, timeout=200)
    middle = 0
    for folder in sorted(copies.iterdir()):
        killed = opened(folder)
        await all_opens(killed, subjects)
        if what == "master":
            middle += killed.keys.master_file.next_path.exists()
            await asyncio.to_thread(rotate.rotate_master, killed.keys)
            assert not killed.keys.master_file.next_path.exists()
            with sqlite3.connect(folder / "keys" / "keys.db") as db:
                assert db.execute("SELECT count(DISTINCT master) FROM key").fetchone() == (1,)
            db.close()
        else:
            middle += len(killed.keys.versions("trace", subjects[0])) == 2
            await asyncio.to_thread(rotate.rotate_older, killed.data, killed.keys, 1)  # only what was interrupted
            assert len(killed.keys.versions("trace", subjects[0])) == 1
            assert killed.keys.versions("trace", subjects[1]) == [1]
        await all_opens(killed, subjects)
        killed.close()
        await asyncio.to_thread(shutil.rmtree, folder)
    assert middle > 5
