"""Backups of a real data folder, taken and restored under load, cut, forged, and killed in the middle."""

import asyncio
import hashlib
import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import tarfile
import threading
import time
from base64 import b64encode
from collections.abc import Callable
from contextlib import closing, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hanmaru.backup import BackupError, finish, restore, take
from hanmaru.backup.archive import read_manifest, unpack
from hanmaru.backup.swap import Order, restoring, write_order
from hanmaru.config import Settings
from hanmaru.platform.policy import Caller
from hanmaru.platform.vault import Vaults
from tests.platform.vaults import ALLOW, Kept
from tests.running import COMMAND, Running, environment, running

Tree = dict[str, bytes]
NOT_DATA = ("run", "keys", "before-restore-", ".restore-")


def make(folder: Path, content: str = "old") -> Settings:
    """Make a small data folder: databases, plain files, keys, an audit trail, and what no backup takes."""
    data = folder / "data"
    for name, table in (("hub.db", "entity"), ("accounts.db", "session"), ("vaults/trace.db", "record")):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(data / name, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute(f"CREATE TABLE {table}(content TEXT)")
            db.execute("CREATE TABLE kept(content TEXT)")
            for into in (table, "kept"):
                db.execute(f"INSERT INTO {into} VALUES(?)", (content,))
    files = {
        "services/centre/notes.json": json.dumps(content),
        "vaults/trace/blobs/case-a/1": content,
        "vaults/trace.index.db": "derived",
        "audit/web/000001.log": f"{content}\ntorn",
        "keys/master.key": "secret",
        "run/lock": "",
        "demo-accounts.json": "[]",
        "한글/이름 하나": content,
    }
    for name, text in files.items():
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_text(text)
    return Settings(data=data)


def tree(data: Path, *without: str) -> Tree:
    """Return the files of a data folder that a restore swaps, databases as their content."""
    found: Tree = {}
    for path in sorted(data.rglob("*")):
        name = path.relative_to(data).as_posix()
        if path.is_file() and not name.startswith((*NOT_DATA, *without)) and not name.endswith(("-wal", "-shm")):
            found[name] = content_of(path)
    return found


def content_of(path: Path) -> bytes:
    if path.suffix != ".db" or path.name.endswith(".index.db"):
        return path.read_bytes()
    with closing(sqlite3.connect(path)) as db:
        return "\n".join(db.iterdump()).encode()


def before_of(data: Path) -> Path:
    return next(data.glob("before-restore-*"))


@pytest.mark.parametrize("target", ["backup.tar", "folder"])
def test_what_was_backed_up_comes_back_and_what_was_there_is_kept(tmp_path: Path, target: str) -> None:
    old = make(tmp_path)
    was = tree(old.data)
    manifest = take(old, tmp_path / target)
    assert [file.name for file in manifest.files] == [
        "services/centre/notes.json",
        "vaults/trace/blobs/case-a/1",
        "한글/이름 하나",
        "hub.db",
        "vaults/trace.db",
        "accounts.db",
        "audit/web/000001.log",
    ]
    shutil.rmtree(old.data)
    make(tmp_path, "new")
    (old.data / "added later").write_text("new")
    now = tree(old.data)
    done = restore(old, tmp_path / target)
    assert not done.running
    restored = tree(old.data)
    assert restored["hub.db"] == was["hub.db"]
    assert restored["services/centre/notes.json"] == b'"old"'
    assert "added later" not in restored
    assert "vaults/trace.index.db" not in restored
    assert tree(done.before) == {
        n: c for n, c in now.items() if not n.startswith(("audit", "demo", "vaults/trace.index"))
    }
    assert (old.data / "keys" / "master.key").read_text() == "secret"


def test_the_audit_trail_is_not_undone_but_comes_back_where_there_is_none(tmp_path: Path) -> None:
    made = make(tmp_path)
    take(made, tmp_path / "a.tar")
    trail = made.data / "audit/web/000001.log"
    trail.write_text("old\nnewer\n")
    restore(made, tmp_path / "a.tar")
    assert trail.read_text() == "old\nnewer\n"
    elsewhere = Settings(data=tmp_path / "new machine")
    restore(elsewhere, tmp_path / "a.tar")
    assert (elsewhere.data / "audit/web/000001.log").read_text() == "old\n"  # up to the end of a line


def test_a_backup_holds_no_key_no_session_and_no_password_in_the_clear(tmp_path: Path) -> None:
    take(make(tmp_path), tmp_path / "folder")
    names = {path.name for path in (tmp_path / "folder").rglob("*")}
    assert not names & {"keys", "master.key", "run", "demo-accounts.json", "trace.index.db"}
    with closing(sqlite3.connect(tmp_path / "folder" / "accounts.db")) as db:
        assert db.execute("SELECT * FROM session").fetchall() == []
        assert db.execute("SELECT * FROM kept").fetchall() == [("old",)]
    for path in (tmp_path / "folder", *(tmp_path / "folder").rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path


def test_keys_elsewhere_in_the_data_folder_stay_out_and_in_place(tmp_path: Path) -> None:
    made = make(tmp_path)
    (made.data / "keys").rename(made.data / "secrets")
    made = Settings(data=made.data, keys=made.data / "secrets")
    manifest = take(made, tmp_path / "a.tar")
    assert not [file.name for file in manifest.files if "secret" in file.name]
    restore(made, tmp_path / "a.tar")
    assert (made.data / "secrets" / "master.key").is_file()


def test_a_target_that_exists_or_lies_in_the_data_is_refused(tmp_path: Path) -> None:
    made = make(tmp_path)
    (tmp_path / "a.tar").write_text("precious")
    with pytest.raises(BackupError, match="exists"):
        take(made, tmp_path / "a.tar")
    with pytest.raises(BackupError, match="inside the data folder"):
        take(made, made.data / "b.tar")
    assert (tmp_path / "a.tar").read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "data"]


def refused(made: Settings, source: Path) -> str:
    """Restore what must be refused; return why. Nothing has changed then."""
    was = tree(made.data)
    with pytest.raises(BackupError) as refusal:
        restore(made, source)
    assert tree(made.data) == was
    assert not [entry.name for entry in made.data.iterdir() if entry.name.startswith((".restore", "before"))]
    assert not (made.data / "run" / "restore.json").exists()
    return str(refusal.value)


def forge(path: Path, members: list[tuple[tarfile.TarInfo, bytes]], files: list[dict[str, Any]] | None = None) -> Path:
    """Write an archive whose manifest agrees with what is in it."""
    if files is None:
        files = [{"name": i.name, "size": len(c), "sha256": hashlib.sha256(c).hexdigest()} for i, c in members]
    head = {"format": 1, "version": "0.1.0", "at": "2026-01-01T00:00:00Z", "hub": "sqlite"}
    manifest = json.dumps({**head, "files": files}).encode()
    digest = hashlib.sha256(manifest).hexdigest().encode()
    with tarfile.open(path, "w") as tar:
        for info, content in [
            *members,
            (tarfile.TarInfo("manifest.json"), manifest),
            (tarfile.TarInfo("manifest.sha256"), digest),
        ]:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def link(name: str, kind: bytes, to: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info


@pytest.mark.parametrize(
    "member",
    [
        tarfile.TarInfo("../escaped"),
        tarfile.TarInfo("/tmp/escaped"),
        tarfile.TarInfo("a/../../escaped"),
        tarfile.TarInfo("a//b"),
        tarfile.TarInfo("./a"),
        tarfile.TarInfo("a\\..\\b"),
        tarfile.TarInfo("run/restore.json"),
        tarfile.TarInfo("keys/master.key"),
        tarfile.TarInfo(".restore-1/a"),
        tarfile.TarInfo("before-restore-1/a"),
        tarfile.TarInfo("a\nb"),
        tarfile.TarInfo("x" * 5000),
        link("link", tarfile.SYMTYPE, "/etc/passwd"),
        link("hard", tarfile.LNKTYPE, "/etc/passwd"),
        link("device", tarfile.CHRTYPE),
        link("pipe", tarfile.FIFOTYPE),
        link("folder", tarfile.DIRTYPE),
    ],
    ids=lambda info: info.name[:30].replace("\n", "?"),
)
def test_an_archive_that_leads_out_or_holds_what_is_no_file_is_refused(tmp_path: Path, member: tarfile.TarInfo) -> None:
    made = make(tmp_path)
    archive = forge(tmp_path / "forged.tar", [(member, b"")])
    assert "is no backup" in refused(made, archive)
    assert not Path("/tmp/escaped").exists()
    assert not (tmp_path / "escaped").exists()


def test_what_does_not_agree_with_the_manifest_is_refused(tmp_path: Path) -> None:
    made = make(tmp_path)
    one = (tarfile.TarInfo("a"), b"content")
    right = {"name": "a", "size": 7, "sha256": hashlib.sha256(b"content").hexdigest()}
    assert "not what was written" in refused(made, forge(tmp_path / "1.tar", [one], [{**right, "sha256": "0" * 64}]))
    assert "missing" in refused(made, forge(tmp_path / "2.tar", [], [right]))
    assert "not in its manifest" in refused(made, forge(tmp_path / "3.tar", [one], []))
    assert "twice" in refused(made, forge(tmp_path / "4.tar", [one, one], [right]))
    both = [one, (tarfile.TarInfo("a/b"), b"")]
    assert refused(made, forge(tmp_path / "5.tar", both))
    assert "no manifest" in refused(made, folder_of(tmp_path / "6", {"a": b""}))


def folder_of(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def test_a_folder_with_a_link_in_it_is_refused(tmp_path: Path) -> None:
    made = make(tmp_path)
    take(made, tmp_path / "folder")
    (tmp_path / "folder" / "services" / "centre" / "notes.json").unlink()
    (tmp_path / "folder" / "services" / "centre" / "notes.json").symlink_to("/etc/passwd")
    assert "is no backup" in refused(made, tmp_path / "folder")


def test_an_archive_that_is_exchanged_after_it_was_checked_leads_nowhere(tmp_path: Path) -> None:
    made = make(tmp_path)
    take(made, tmp_path / "good.tar")
    manifest = read_manifest(tmp_path / "good.tar")
    with tarfile.open(tmp_path / "good.tar", "w:") as tar:
        tar.addfile(tarfile.TarInfo("../outside"), io.BytesIO())
    (tmp_path / "new").mkdir()
    with pytest.raises(BackupError, match="changed while it was restored"):
        unpack(tmp_path / "good.tar", manifest, tmp_path / "new", lambda name: False, lambda done: None)
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("size", [10**12, 2**63, 2**63 - 1])
def test_a_member_that_says_it_is_huge_is_refused(tmp_path: Path, size: int) -> None:
    made = make(tmp_path)
    info = tarfile.TarInfo("hub.db")
    info.size = size
    (tmp_path / "huge.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + b"short")
    assert "backup" in refused(made, tmp_path / "huge.tar")


def test_a_sparse_file_and_a_compressed_archive_are_refused(tmp_path: Path) -> None:
    made = make(tmp_path)
    with (tmp_path / "hole").open("wb") as hole:
        hole.truncate(2**34)
    packed = subprocess.run(
        ["tar", "--sparse", "-cf", "sparse.tar", "hole"], cwd=tmp_path, capture_output=True, check=False
    )
    if packed.returncode == 0:
        assert "not a plain file" in refused(made, tmp_path / "sparse.tar")
    with tarfile.open(tmp_path / "small.tar.gz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("hub.db"))
    assert "is no backup" in refused(made, tmp_path / "small.tar.gz")


def test_a_disk_without_room_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(tmp_path)
    take(made, tmp_path / "a.tar")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))  # type: ignore[attr-defined]
    assert "1 are free" in refused(made, tmp_path / "a.tar")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("archive")
    take(make(folder), folder / "a.tar")
    return (folder / "a.tar").read_bytes()


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_no_changed_byte_and_no_cut_goes_unnoticed(tmp_path: Path, archive: bytes, data: st.DataObject) -> None:
    mangled = bytearray(archive)
    if data.draw(st.booleans()):
        del mangled[data.draw(st.integers(0, len(archive) - 1)) :]
    for _ in range(data.draw(st.integers(1, 4))):
        if mangled:
            mangled[data.draw(st.integers(0, len(mangled) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "fuzzed.tar"
    path.write_bytes(mangled)
    (tmp_path / "whole.tar").write_bytes(archive)
    with suppress(BackupError):  # or bytes between files were changed, which say nothing
        assert read_manifest(path) == read_manifest(tmp_path / "whole.tar")


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=3000))
def test_no_bytes_at_all_are_taken_for_a_backup(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "any.tar").write_bytes(content)
    with pytest.raises(BackupError, match=r"any\.tar"):
        read_manifest(tmp_path / "any.tar")


def killed(work: Callable[[], object], steps: int) -> bool:
    """Do work in a process that is killed before its ``steps``-th change of a file; return whether it was."""
    child = os.fork()
    if child == 0:
        left = steps

        def dying(function: Any) -> Any:
            def run(*arguments: Any, **named: Any) -> Any:
                nonlocal left
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*arguments, **named)

            return run

        for name in ("rename", "unlink", "mkdir", "open"):
            setattr(Path, name, dying(getattr(Path, name)))
        for name in ("fsync", "rename", "replace", "unlink", "mkdir", "open"):
            setattr(os, name, dying(getattr(os, name)))
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL)
    return status != 0


def test_a_restore_killed_at_any_point_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    made = make(tmp_path)
    take(made, tmp_path / "a.tar")
    shutil.rmtree(made.data)
    make(tmp_path, "new")
    shutil.copytree(made.data, tmp_path / "pristine")
    present = tree(made.data)
    restore(made, tmp_path / "a.tar")
    restored = tree(made.data)
    assert present != restored
    seen: list[str] = []
    steps, alive = 0, False
    while not alive:
        shutil.rmtree(made.data)
        shutil.copytree(tmp_path / "pristine", made.data)
        alive = not killed(lambda: restore(made, tmp_path / "a.tar"), steps)
        killed(lambda: finish(made), steps % 7)  # and killed again while it is finished
        finish(made)
        assert not (made.data / "run" / "restore.json").exists()
        found = tree(made.data)
        assert found in (present, restored), f"killed at {steps}: neither the old nor the new state: {sorted(found)}"
        seen.append("present" if found == present else "restored")
        steps += 1
    print(f"killed at {steps} points")
    assert seen == sorted(seen)  # once decided, it stays decided
    assert seen[0] == "present"
    assert seen[-1] == "restored"
    with restoring(made.data):
        assert not list(made.data.glob(".restore-*"))  # what was unpacked in vain is gone


def test_any_command_finishes_what_was_decided(tmp_path: Path) -> None:
    made = make(tmp_path)
    (made.data / "accounts.db").unlink()
    take(made, tmp_path / "a.tar")
    (made.data / "hub.db").write_bytes(b"")
    assert killed(lambda: restore(made, tmp_path / "a.tar"), 10_000) is False
    shutil.copy(tmp_path / "a.tar", tmp_path / "b.tar")
    steps = 0
    while not (made.data / "run" / "restore.json").exists():
        killed(lambda: restore(made, tmp_path / "b.tar"), steps)
        steps += 1
    listing = [COMMAND, "user", "list", "--data", str(made.data)]
    subprocess.run(listing, env=environment(), capture_output=True, text=True, check=True)
    assert not (made.data / "run" / "restore.json").exists()
    assert content_of(made.data / "hub.db")


def request(hub: Running, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
    parts = urlsplit(hub.url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    try:
        content = None if body is None else msgspec.json.encode(body)
        connection.request(method, path, content, {"content-type": "application/json", **headers})
        answer = connection.getresponse()
        raw = answer.read()
        return answer.status, msgspec.json.decode(raw) if raw else None
    finally:
        connection.close()


def eventually(done: Callable[[], bool], timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.1)


class Writing(threading.Thread):
    """Writes counters into entities until stopped: all of a batch have the same number, in one transaction each."""

    def __init__(self, hub: Running) -> None:
        super().__init__()
        self.hub, self.number, self.acknowledged = hub, 0, 0
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.is_set():
            self.number += 1
            body = [
                {"id": f"urn:ngsi-ld:T:{n}", "type": "T", "count": {"type": "Property", "value": self.number}}
                for n in range(20)
            ]
            with suppress(OSError, AssertionError):
                if request(self.hub, "POST", "/ngsi-ld/v1/entityOperations/upsert", body)[0] in (201, 204):
                    self.acknowledged = self.number

    def __enter__(self) -> "Writing":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.join()


def command(*arguments: str, **settings: str) -> dict[str, Any]:
    done = subprocess.run(
        [COMMAND, *arguments, "--json"], env=environment(**settings), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def counts(hub: Running) -> set[int]:
    status, found = request(hub, "GET", "/ngsi-ld/v1/entities?type=T&limit=100&options=keyValues")
    assert status == 200
    assert len(found) == 20
    return {entity["count"] for entity in found}


def test_a_hub_under_load_is_backed_up_and_restored_without_being_stopped(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    archive = tmp_path / "backups" / "a.tar"
    with running(data, AUTH="off", SERVICES="") as hub:
        with Writing(hub) as writing:
            eventually(lambda: writing.acknowledged > 5)
            least = writing.acknowledged
            taken = command("backup", str(archive), "--data", str(data))
            most = writing.number
            eventually(lambda: writing.acknowledged > most + 5)
        assert taken["hub"] == "sqlite"
        assert min(counts(hub)) > most
        done = command("restore", str(archive), "--data", str(data))
        assert done["running"]
        hub.logged("data restored")
        eventually(lambda: request(hub, "GET", "/readyz")[0] == 200)
        found = counts(hub)
        assert least <= min(found)
        assert max(found) <= most
        with closing(sqlite3.connect(Path(done["before"]) / "hub.db")) as before:
            assert before.execute("SELECT count(*) FROM entity").fetchone() == (20,)
        with Writing(hub) as writing:  # it goes on from there
            eventually(lambda: writing.acknowledged > 3)
        assert counts(hub) == {writing.number} or counts(hub) == {writing.acknowledged}
        assert hub.process.poll() is None
    with running(data, AUTH="off", SERVICES="") as hub:
        assert len(counts(hub)) >= 1


def test_accounts_come_back_and_everybody_signs_in_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    password = "an old and tired password"
    for name, role in (("kim", "admin"), ("lee", "reader")):
        add = [COMMAND, "user", "add", name, "--role", role, "--password-stdin", "--data", str(data)]
        subprocess.run(add, env=environment(), input=f"{password}\n", text=True, check=True, capture_output=True)
    authorization = "Basic " + b64encode(f"lee:{password}".encode()).decode()
    archive = tmp_path / "a.tar"
    with running(data, SERVICES="") as hub:
        assert request(hub, "GET", "/ngsi-ld/v1/entities?type=T", authorization=authorization)[0] == 200
        command("backup", str(archive), "--data", str(data))
        subprocess.run(
            [COMMAND, "user", "remove", "lee", "--data", str(data)], env=environment(), check=True, capture_output=True
        )
        assert request(hub, "GET", "/ngsi-ld/v1/entities?type=T", authorization=authorization)[0] == 401
        command("restore", str(archive), "--data", str(data))
        eventually(lambda: request(hub, "GET", "/readyz")[0] == 200)
        eventually(lambda: request(hub, "GET", "/ngsi-ld/v1/entities?type=T", authorization=authorization)[0] == 200)


def test_a_swap_that_the_database_refuses_leaves_the_hub_as_it_was(tmp_path: Path) -> None:
    with running(tmp_path, AUTH="off", SERVICES="") as hub:
        made = Settings(data=tmp_path)
        (tmp_path / ".restore-1").mkdir()
        (tmp_path / ".restore-1" / "hub.pgdump").write_bytes(b"no dump")
        write_order(made.data, Order(".restore-1", "before-restore-1", ("hub.db",), ()))
        assert "pg_restore" in hub.logged("data not restored")["reason"]
        eventually(lambda: request(hub, "GET", "/readyz")[0] == 200)
        assert not (tmp_path / "run" / "restore.json").exists()
        assert (tmp_path / "hub.db").is_file()
        assert not (tmp_path / "before-restore-1").exists()


def test_a_refused_restore_leaves_a_running_hub_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "a.tar").write_bytes(os.urandom(20_000))
    with running(data, AUTH="off", SERVICES="") as hub:
        workers = [worker.pid for worker in hub.workers()]
        done = subprocess.run(
            [COMMAND, "restore", str(tmp_path / "a.tar"), "--data", str(data)],
            **{"env": environment(), "capture_output": True, "text": True},
        )
        assert done.returncode == 1
        assert done.stderr.strip().count("\n") == 0
        assert "is no backup" in done.stderr
        assert [worker.pid for worker in hub.workers()] == workers


async def test_what_was_destroyed_after_a_backup_does_not_come_back(tmp_path: Path) -> None:
    made = Settings(data=tmp_path / "data")
    vaults = Vaults(made.data, made.keys_folder, Kept(), ALLOW)
    desk = vaults.room("trace").at(Caller("investigator"), "contact tracing")
    kept, destroyed = await desk.open_subject("case"), await desk.open_subject("case")
    for subject in (kept, destroyed):
        await desk.put(subject, "person", "p1", {"name": "김민준"})
    await asyncio.to_thread(take, made, tmp_path / "backups" / "a.tar")
    await desk.destroy(destroyed, "the case is closed")
    await desk.put(kept, "person", "p1", {"name": "박서연"})
    assert destroyed in (tmp_path / "backups" / "destroyed.log").read_text()
    vaults.close()

    done = await asyncio.to_thread(restore, made, tmp_path / "backups" / "a.tar")
    vaults = Vaults(made.data, made.keys_folder, Kept(), ALLOW)
    desk = vaults.room("trace").at(Caller("investigator"), "contact tracing")
    assert await desk.get(kept, "person", "p1") == {"name": "김민준"}
    assert await desk.subjects("case") == [kept]
    vaults.close()
    for path in (*made.data.rglob("*"), *(tmp_path / "backups").rglob("*")):
        if path.is_file():
            assert "김민준".encode() not in path.read_bytes(), path
    with closing(sqlite3.connect(made.keys_folder / "keys.db")) as db:
        subjects = {subject for (subject,) in db.execute("SELECT subject FROM key")}
    assert kept in subjects
    assert destroyed not in subjects
    assert not list(done.before.rglob("*.index.db*"))
