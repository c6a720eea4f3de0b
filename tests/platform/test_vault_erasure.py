"""Destroyed is destroyed: after back-up, destruction and restore nothing names the person or opens what is left."""

import asyncio
import base64
import json
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest
from cryptography.exceptions import InvalidTag

from hanmaru.backup.restore import restore
from hanmaru.backup.take import take
from hanmaru.config import Settings
from hanmaru.platform.audit.trail import Trail
from hanmaru.platform.policy import Caller
from hanmaru.platform.vault import Desk, Index, VaultError, Vaults, backup, lake
from hanmaru.platform.vault.blobs import CHUNK
from hanmaru.platform.vault.crypto import Key
from hanmaru.platform.vault.keys import Keys, unwrap
from hanmaru.platform.vault.store import Address
from tests.platform import killing
from tests.platform.vaults import ALLOW

NAME, PHONE = "선우하윤슬", "010-7351-9264"
INDEXES = (Index("name", "person.name", ("exact", "phonetic")), Index("phone", "person.phone"))


@dataclass
class City:
    """A city's folders: the data, the keys, and backups of both."""

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def settings(self) -> Settings:
        return Settings(data=self.data, keys=self.keys)

    @property
    def backups(self) -> Path:
        return self.root / "backups"

    @property
    def key_backups(self) -> Path:
        return self.root / "key-backups"


@pytest.fixture
def city(tmp_path: Path) -> City:
    return City(tmp_path / "city")


def desk_of(vaults: Vaults) -> Desk:
    vaults.room("trace").declare(*INDEXES)
    return vaults.room("trace").at(Caller("investigator"), "contact tracing", where="10.0.0.9")


class Open:
    """The vaults of a city with its real audit trail."""

    def __init__(self, city: City) -> None:
        self.trail = Trail(city.data, city.keys, "test")
        self.vaults = Vaults(city.data, city.keys, self.trail, ALLOW)

    def __enter__(self) -> Vaults:
        return self.vaults

    def __exit__(self, *_: object) -> None:
        self.vaults.close()
        self.trail.close()


async def clip(of: str) -> AsyncIterator[bytes]:
    for _ in range(40):
        yield f"{of} was here. ".encode() * 1_000


async def fill(desk: Desk, subject: str, name: str, phone: str) -> None:
    await desk.put(subject, "person", "p", {"name": name, "phone": phone})
    await desk.put_many([(subject, "visit", f"v{n}", {"who": name, "n": n}) for n in range(200)])
    await desk.put_blob(subject, "clip", "c", clip(name))
    await lake.write_table(desk, subject, "calls", pa.table({"who": [name] * 1_000, "phone": [phone] * 1_000}))


async def built(city: City) -> tuple[str, str]:
    """Make two subjects with records, a blob, a table and tokens; return their pseudonyms."""
    with Open(city) as vaults:
        desk = desk_of(vaults)
        case, other = await desk.open_subjects("case", 2)
        await fill(desk, case, NAME, PHONE)
        await fill(desk, other, "남궁민준", "010-1111-2222")
        assert await desk.find("phone", PHONE) == [case]
    return case, other


def back_up(city: City) -> Path:
    """Back up the data and, apart from it, the keys; return the key backup."""
    city.backups.mkdir(exist_ok=True)
    take(city.settings, city.backups / "data")
    keys = Keys(city.keys)
    try:
        return backup.backup_keys(keys, city.key_backups)
    finally:
        keys.close()


def spellings(text: str) -> Iterator[bytes]:
    """Yield a text as files may hold it."""
    for plain in {text, text.replace("-", ""), text[1:], "".join(f"\\u{ord(c):04x}" for c in text)}:
        for encoded in (plain.encode(), plain.encode("utf-16-le"), plain.encode("utf-16-be")):
            yield encoded
            yield encoded.hex().encode()
            yield encoded.hex().upper().encode()
            # at each of the three alignments, what base64 makes of the bytes that do not depend on their neighbours
            for lead in range(3):
                text64 = base64.b64encode(b"\0" * lead + encoded + b"\0" * (-(lead + len(encoded)) % 3))
                yield text64[4 if lead else 0 : len(text64) - 4]


def files_with(root: Path, needles: list[bytes]) -> list[tuple[Path, bytes]]:
    """Return which files hold any of the needles."""
    contents = [(path, path.read_bytes()) for path in root.rglob("*") if path.is_file()]
    assert len(contents) > 10
    return [(path, needle) for path, content in contents for needle in needles if needle in content]


def wrapped_keys(path: Path, subject: str) -> list[bytes]:
    """Return a subject's wrapped keys in a keys.db."""
    db = sqlite3.connect(path)
    try:
        return [row[0] for row in db.execute("SELECT wrapped FROM key WHERE subject = ?", (subject,))]
    finally:
        db.close()


@dataclass
class Left:
    """What was encrypted for a subject, as an old backup of the data still holds it."""

    records: list[tuple[Address, int, bytes]]
    blobs: list[bytes]
    tables: list[bytes]

    def __len__(self) -> int:
        return len(self.records) + len(self.blobs) + len(self.tables)


def left_of(data: Path, subject: str) -> Left:
    db = sqlite3.connect(data / "vaults" / "trace.db")
    rows = db.execute("SELECT subject, kind, id, version, sealed FROM record WHERE subject = ?", (subject,)).fetchall()
    db.close()
    blobs = [path.read_bytes() for path in data.glob(f"vaults/trace/blobs/{subject}/*")]
    tables = [path.read_bytes() for path in data.glob(f"vaults/trace/lake/{subject}/*")]
    return Left([(Address(*row[:3]), row[3], row[4]) for row in rows], blobs, tables)


def every_key(root: Path) -> list[Key]:
    """Unwrap every wrapped key in any key file or key backup under a folder, with every master key there."""
    folders = {path.parent for path in root.rglob("master.key*")}
    keyrings = [Keys(folder) for folder in folders]
    found: list[Key] = []
    for path in root.rglob("keys.db"):
        db = sqlite3.connect(path)
        rows = db.execute("SELECT room, subject, version, master, wrapped FROM key").fetchall()
        db.close()
        for room, subject, version, master, wrapped in rows:
            found += [unwrap(keys.wrapper(master), wrapped, room, subject, version) for keys in keyrings]
    for path in root.rglob("*.hkb"):
        for keys in keyrings:
            for key in backup.read_backup(keys, path).keys:
                found.append(unwrap(keys.wrapper(key.master), key.wrapped, key.room, key.subject, key.version))
    for keys in keyrings:
        found += [keys.wrapper(keys.current_master()), keys.sealer(keys.current_master())]
        keys.close()
    return found


def opens(keys: list[Key], left: Left) -> int:
    """Return how many of what is left any of the keys opens."""
    count = 0
    for address, version, sealed in left.records:
        place = "|".join(["record", "trace", *address, str(version)])
        count += any(key.open(sealed, place) is not None for key in keys)
    for blob in left.blobs:
        count += any(opens_blob(key, blob, left.records[0][0].subject) for key in keys)
    for table in left.tables:  # its own keys are in it, wrapped by the subject's
        wrapped = [base64.b64decode(one) for one in re.findall(rb'"wrappedKEK":"([^"]+)"', table)]
        assert wrapped
        count += any(key.derive("lake").open(one, "lake") is not None for key in keys for one in wrapped)
    return count


def opens_blob(key: Key, blob: bytes, subject: str) -> bool:
    own = key.derive(f"blob|trace|{subject}|clip|c", blob[8:40])
    try:
        return bool(own.aead.decrypt(bytes(12), blob[40 : 40 + CHUNK + 16], None))
    except InvalidTag:
        return False


def nothing_left(city: City, subject: str, wrapped: list[bytes], old: Left) -> None:
    """Check that no file of the city names, finds or opens a subject."""
    needles = [*spellings(NAME), *spellings(PHONE), *wrapped, *(base64.b64encode(one) for one in wrapped)]
    assert files_with(city.root, needles) == []
    keys = every_key(city.root)
    assert keys
    assert opens(keys, old) == 0
    live = [path for path in city.data.rglob("*") if subject in path.name and ".before" not in str(path)]
    assert [path for path in live if path.is_relative_to(city.data / "vaults")] == []
    for path in city.data.glob("vaults/trace.index.db*"):
        assert subject.encode() not in path.read_bytes()


async def others_open(city: City, case: str, other: str) -> None:
    with Open(city) as vaults:
        desk = desk_of(vaults)
        assert await desk.get(case, "person", "p") is None
        assert await desk.get_blob(case, "clip", "c") is None
        assert await desk.find("phone", PHONE) == []
        assert await desk.find("name", NAME, phonetic=True) == []
        assert await desk.find("phone", "01011112222") == [other]
        assert await desk.get(other, "visit", "v7") == {"who": "남궁민준", "n": 7}
        found = await desk.get_blob(other, "clip", "c")
        assert found
        assert b"".join([part async for part in found]).startswith("남궁민준 was here.".encode())
        assert (await lake.read_table(desk, other, "calls")).num_rows == 1_000


async def test_what_an_interrupted_backup_left_is_forgotten_too(city: City) -> None:
    case, other = await built(city)
    (wrapped,) = wrapped_keys(city.keys / "keys.db", case)
    path = back_up(city)
    whole = path.read_bytes()
    half, unfinished, damaged = (path.with_name(name) for name in ("keys-1.hkb", path.name + ".new", "keys-2.hkb"))
    half.write_bytes(whole[: whole.index(base64.b64encode(wrapped)) + 90])
    unfinished.write_bytes(whole)
    damaged.write_bytes(b"{" + whole)
    with Open(city) as vaults:
        await desk_of(vaults).destroy(case, "case closed")
        assert [key.subject for key in backup.read_backup(vaults.keys, path).keys] == [other]
        for broken in (half, damaged):
            with pytest.raises(VaultError, match="no key backup"):
                backup.read_backup(vaults.keys, broken)
    assert files_with(city.root, [wrapped, base64.b64encode(wrapped)]) == []
    assert not unfinished.exists()
    assert other.encode() in damaged.read_bytes()


def test_the_search_finds_what_it_is_to_find(tmp_path: Path) -> None:
    for number, held in enumerate((NAME, PHONE, "01073519264", json.dumps({"name": NAME}), f"+82{PHONE[1:]}")):
        for how in (str.encode, lambda text: text.encode("utf-16-le"), lambda text: text.encode("utf-16-be")):
            for lead in range(3):
                plain = b"x" * lead + how(held) + b"yz"
                for encoded in (plain, base64.b64encode(plain), plain.hex().encode()):
                    (tmp_path / f"{number} {hash(encoded)}").write_bytes(encoded)
    for number in range(5):
        held = {path for path in tmp_path.iterdir() if path.name.startswith(f"{number} ")}
        found = {path for path, _ in files_with(tmp_path, [*spellings(NAME), *spellings(PHONE)])}
        assert held <= found, number


async def test_no_restore_brings_back_who_was_destroyed(city: City) -> None:
    case, other = await built(city)
    wrapped = wrapped_keys(city.keys / "keys.db", case)
    key_backup = back_up(city)
    elsewhere = city.root.parent / "elsewhere.hkb"  # a copy that the hub does not know of
    shutil.copy(key_backup, elsewhere)
    old = left_of(city.data, case)
    assert opens(every_key(city.root), old) == len(old) == 203  # 201 records, a blob, a table: the search works
    assert base64.b64encode(wrapped[0]) in key_backup.read_bytes()

    with Open(city) as vaults:
        await desk_of(vaults).destroy(case, "case closed")
    nothing_left(city, case, wrapped, old)

    restore(city.settings, city.backups / "data")
    nothing_left(city, case, wrapped, old)
    await others_open(city, case, other)

    keys = Keys(city.keys)
    keys.destroy("trace", other)  # as when keys.db was lost
    back = city.key_backups / "keys-of-elsewhere.hkb"
    shutil.copy(elsewhere, back)
    assert backup.restore_keys(keys, back) == 1
    keys.close()
    nothing_left(city, case, wrapped, old)
    await others_open(city, case, other)


async def test_a_destruction_that_is_killed_is_finished_at_the_next_start(city: City, tmp_path: Path) -> None:
    case, other = await built(city)
    wrapped = wrapped_keys(city.keys / "keys.db", case)
    back_up(city)
    old = left_of(city.data, case)
    copies = tmp_path / "copies"
    command = [sys.executable, killing.__file__, str(city.root), str(copies), "24", "destroy", case]
    await asyncio.to_thread(subprocess.run, command, check=True, timeout=200)
    asked = 0
    for root in sorted(copies.iterdir()):
        copy = City(root)
        db = sqlite3.connect(copy.keys / "keys.db")
        begun = db.execute("SELECT count(*) FROM destroying").fetchone()[0]
        ever = begun or not db.execute("SELECT 1 FROM key WHERE subject = ?", (case,)).fetchone()
        db.close()
        if not ever:
            continue  # killed before the intent was on disk: nothing was promised
        asked += 1
        with Open(copy):
            pass
        nothing_left(copy, case, wrapped, old)
        await others_open(copy, case, other)
    assert asked > 15


async def test_a_key_backup_is_good_for_a_week_and_cannot_be_redated(city: City) -> None:
    await built(city)
    path = back_up(city)
    text = path.read_text()
    keys = Keys(city.keys)
    made = backup.read_backup(keys, path).made
    week = backup.timedelta(days=7)
    with pytest.raises(VaultError, match="good for 7 days"):
        backup.restore_keys(keys, path, at=made + week * 1.01)
    path.write_text(text.replace(made.isoformat(), (made + week).isoformat()))
    with pytest.raises(VaultError, match="changed"):
        backup.restore_keys(keys, path, at=made + week * 1.01)
    path.write_text(text)
    assert backup.expire(city.key_backups, made + week * 0.99) == []
    assert backup.expire(city.key_backups, made + week * 1.01) == [path]
    assert not path.exists()
    for garbage in ("", "{}", "\x00\xff", text[:200], text.replace(" 1 ", " x ", 1), "[" * 100_000):
        path.write_text(garbage, "latin-1")
        with pytest.raises(VaultError):
            backup.restore_keys(keys, path)
    keys.close()


def test_a_destroyed_key_is_in_no_page_however_many_there_were(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    subjects = [f"case-{number:026}" for number in range(3_000)]
    keys.make("trace", subjects)
    db = sqlite3.connect(tmp_path / "keys.db")
    wrapped = dict(db.execute("SELECT subject, wrapped FROM key").fetchall())
    db.close()
    gone = subjects[::7]
    for subject in gone:
        keys.destroy("trace", subject)
    left = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert not [subject for subject in gone if wrapped[subject] in left]
    assert keys.get("trace", subjects[1], 1)
    with pytest.raises(VaultError, match="destroyed"):
        keys.get("trace", gone[0], 1)
    keys.close()


def test_a_copy_that_was_left_in_a_page_is_found_and_overwritten(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    keys.make("trace", ["case-" + letter * 26 for letter in "abc"])
    db = sqlite3.connect(tmp_path / "keys.db")
    db.execute("PRAGMA secure_delete=OFF")
    (wrapped,) = db.execute("DELETE FROM key WHERE subject LIKE 'case-b%' RETURNING wrapped").fetchone()
    db.commit()
    db.close()
    assert wrapped in (tmp_path / "keys.db").read_bytes()
    keys.db.scrub([wrapped])
    assert wrapped not in (tmp_path / "keys.db").read_bytes()
    keys.close()


async def test_another_process_forgets_a_destroyed_key_at_once(city: City) -> None:
    case, _ = await built(city)
    here, there = Keys(city.keys), Keys(city.keys)
    assert there.get("trace", case, 1)
    here.destroy("trace", case)
    with pytest.raises(VaultError, match="destroyed"):
        there.get("trace", case, 1)
    here.close()
    there.close()


def test_a_lost_master_key_is_not_replaced_by_a_new_one(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    keys.make("trace", ["case-" + "a" * 26])
    keys.close()
    (tmp_path / "master.key").unlink()
    with pytest.raises(VaultError, match="is missing"):
        Keys(tmp_path)
    (tmp_path / "master.key").write_text("not a key")
    with pytest.raises(VaultError, match="not a master key file"):
        Keys(tmp_path)
