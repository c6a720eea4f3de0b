"""The audit trail: what is recorded stays, and whatever is done to it afterwards is found."""

import asyncio
import contextlib
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hanmaru.platform.audit import trail as module
from hanmaru.platform.audit.anchor import make_anchor
from hanmaru.platform.audit.lines import BODY_BYTES, LINE_BYTES, Entry, segments
from hanmaru.platform.audit.record import Record
from hanmaru.platform.audit.seal import TrailError
from hanmaru.platform.audit.trail import Trail
from hanmaru.platform.audit.verify import Report, verify

LOOK = Record(
    "kim", "vault.read", "vault:trace/case/01J9Z2", purpose="역학조사", subjects=("s-01HZX",), where="10.0.0.7"
)


def entries(data: Path, chain: str = "web-1") -> list[Entry]:
    """Return a chain's entries as the files have them."""
    return [msgspec.json.decode(line[65:], type=Entry) for line in lines_of(data, chain)]


def lines_of(data: Path, chain: str = "web-1") -> list[bytes]:
    return b"".join(path.read_bytes() for path in segments(data / "audit" / chain)).splitlines()


def finished(data: Path) -> list[Entry]:
    """Return the entries of a writer that was killed, without the lines it was killed in."""
    found: list[Entry] = []
    for line in lines_of(data):
        with contextlib.suppress(msgspec.DecodeError):
            found.append(msgspec.json.decode(line[65:], type=Entry))
    return found


def check(data: Path) -> Report:
    return verify(data, data / "keys")


def grave(report: Report) -> list[str]:
    return [str(finding) for finding in report.findings if finding.grave]


def test_a_record_is_a_line_that_says_who_did_what_to_whose_data(tmp_path: Path) -> None:
    with Trail(tmp_path, tmp_path / "keys", "web-1") as trail:
        trail.record(LOOK)
    looked, sealed = entries(tmp_path)
    assert (looked.seq, looked.chain, looked.who, looked.subjects) == (1, "web-1", "kim", ("s-01HZX",))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", looked.at)
    assert (sealed.action, sealed.who) == ("audit.checkpoint", "system:audit")
    report = check(tmp_path)
    assert report.ok
    assert not report.findings
    assert (report.records, report.chains) == (2, 1)


def test_the_next_process_continues_the_chain_and_a_second_one_begins_its_own(tmp_path: Path) -> None:
    with Trail(tmp_path, tmp_path / "keys", "web-1") as first:
        first.record(LOOK)
        with Trail(tmp_path, tmp_path / "keys", "web-1") as beside:
            beside.record(LOOK)
            assert beside.name == "web-1.2"
    with Trail(tmp_path, tmp_path / "keys", "web-1") as again:
        again.record(LOOK)
    assert [entry.seq for entry in entries(tmp_path)] == [1, 2, 3, 4]
    assert [entry.seq for entry in entries(tmp_path, "web-1.2")] == [1, 2]
    assert not check(tmp_path).findings


def test_segments_are_begun_at_their_size_and_hang_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEGMENT_BYTES", 1000)

    async def look() -> None:
        for _ in range(20):
            await trail.commit(LOOK)

    with Trail(tmp_path, tmp_path / "keys", "web-1") as trail:
        asyncio.run(look())
    files = segments(tmp_path / "audit" / "web-1")
    assert len(files) >= 5
    assert not check(tmp_path).findings
    for missing in (files[0], files[2], files[-1]):
        kept = missing.read_bytes()
        missing.unlink()
        assert not check(tmp_path).ok
        missing.write_bytes(kept)


async def test_commit_answers_all_who_wait_after_one_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (synced.append(fd), real(fd)))
    with Trail(tmp_path, tmp_path / "keys", "web-1") as trail:
        await asyncio.gather(*(trail.commit(LOOK) for _ in range(100)))
        assert len(synced) < 20
        # What was committed is sealed: nobody can cut it off again, even while the writer runs.
        file = tmp_path / "audit" / "web-1" / "000001.log"
        lines = file.read_bytes().splitlines(keepends=True)
        file.write_bytes(b"".join(lines[:99]))
        assert "too early" in grave(check(tmp_path))[0]


@pytest.mark.parametrize(
    "record",
    [
        Record("kim", "write", "GET /" + "x" * 10_000),
        Record("kim", "write", "한" * 10_000, purpose="\x00" * 5000, where="\n" * 900, request="😀" * 900),
        Record("kim", "write", "\udc80", detail={"\ud800": "\udfff"}),
        Record("kim", "write", "/", detail={f"name {n}": "value\n" * 50 for n in range(1000)}),
        Record("k" * 9000, "a" * 9000, "/", subjects=("s" * 9000,)),
    ],
)
def test_a_line_stays_a_line_whatever_is_recorded(tmp_path: Path, record: Record) -> None:
    with Trail(tmp_path, tmp_path / "keys", "web-1") as trail:
        trail.record(record)
    assert len(entries(tmp_path)) == 2
    assert all(len(line) < LINE_BYTES for line in (tmp_path / "audit/web-1/000001.log").read_bytes().splitlines())
    assert not check(tmp_path).findings


def test_subjects_beyond_a_line_are_spread_over_several_and_never_lost(tmp_path: Path) -> None:
    subjects = tuple(f"s-{n:026}" for n in range(500))
    with Trail(tmp_path, tmp_path / "keys", "web-1") as trail:
        trail.record(Record("kim", "vault.find", "vault:trace", subjects=subjects))
    *found, _ = entries(tmp_path)
    assert sum((entry.subjects for entry in found), ()) == subjects
    assert found[0].detail["part"] == f"1/{len(found)}"
    assert all(len(msgspec.json.encode(entry)) <= BODY_BYTES for entry in found)


WRITER = """
import sys
from pathlib import Path
from hanmaru.platform.audit.record import Record
from hanmaru.platform.audit.trail import Trail
data = Path(sys.argv[1])
trail = Trail(data, data / "keys", "web-1")
n = 0
while True:
    n += 1
    trail.record(Record("kim", "write", f"record {n}"))
    print(n, flush=True)
"""


def test_a_killed_writer_loses_nothing_that_it_was_told_is_written(tmp_path: Path) -> None:
    told = 0
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout
        for line in process.stdout:
            if int(line) == 3000:
                process.kill()
        last = int(line)
        process.wait()
        process.stdout.close()
        assert process.returncode == -signal.SIGKILL
        found = [entry for entry in finished(tmp_path) if entry.action == "write"]
        assert f"record {last}" in {entry.what for entry in found[told:]}
        told = len(found)
        assert not grave(check(tmp_path))
    assert told >= 9000
    assert [entry.seq for entry in finished(tmp_path)] == list(range(1, len(finished(tmp_path)) + 1))


def killed(data: Path, records: int = 30) -> None:
    """Leave a trail whose writer was killed: sealed, then some records more that nobody sealed."""
    code = f"""
import asyncio, os
from pathlib import Path
from hanmaru.platform.audit import trail as module
from hanmaru.platform.audit.record import Record
data = Path({str(data)!r})
trail = module.Trail(data, data / "keys", "web-1")
async def main():
    for n in range({records}):
        await trail.commit(Record("kim", "write", f"record {{n}}"))
asyncio.run(main())
trail._lock.acquire()
for n in range({records} // 3):
    trail._append(Record("kim", "write", f"unsealed {{n}}"))
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL


@pytest.fixture(scope="module")
def trails(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """Two trails as files by name: one closed, with several segments and chains, and one whose writer was killed."""
    closed, cut = tmp_path_factory.mktemp("closed"), tmp_path_factory.mktemp("killed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SEGMENT_BYTES", 3000)
        for name in ("web-1", "engine"):
            with Trail(closed, closed / "keys", name) as trail:
                for n in range(30):
                    asyncio.run(trail.commit(Record("kim", "write", f"record {n}", subjects=(f"s-{n}",))))
    killed(cut)
    return {
        kind: {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for kind, folder in (("closed", closed), ("killed", cut))
    }


def lay(files: dict[str, bytes], data: Path) -> None:
    shutil.rmtree(data, ignore_errors=True)
    for name, content in files.items():
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_bytes(content)


@pytest.mark.parametrize("kind", ["closed", "killed"])
def test_the_trails_to_be_damaged_are_sound(trails: dict[str, dict[str, bytes]], kind: str, tmp_path: Path) -> None:
    lay(trails[kind], tmp_path)
    assert not check(tmp_path).findings
    # Every file is among those that are damaged: segments, both halves of the key, the sealed heads.
    assert {Path(name).suffix for name in trails[kind]} == {".log", ".pem", ".key", ""} | (
        {".2"} if any(name.endswith(".2") for name in trails[kind]) else set()
    )


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody writes to these trails, so there is no line in flight to wait for."""
    monkeypatch.setattr("hanmaru.platform.audit.verify.IN_FLIGHT_S", 0)


@given(data=st.data())
@pytest.mark.usefixtures("hurried")
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("kind", ["closed", "killed"])
def test_one_byte_edited_inserted_or_cut_anywhere_is_found(
    trails: dict[str, dict[str, bytes]], tmp_path: Path, kind: str, data: st.DataObject
) -> None:
    files = trails[kind]
    name = data.draw(st.sampled_from(sorted(files)))
    content = files[name]
    at = data.draw(st.integers(0, len(content) - 1))
    byte = bytes([data.draw(st.integers(0, 255) | st.sampled_from(b"\n\r 0{}"))])
    way = data.draw(st.sampled_from(["edit", "insert", "cut", "append"]))
    damaged = {
        "edit": content[:at] + byte + content[at + 1 :],
        "insert": content[:at] + byte + content[at:],
        "cut": content[:at] + content[at + 1 :],
        "append": content + byte,
    }[way]
    if damaged == content:
        return
    folder = tmp_path / "trail"
    lay({**files, name: damaged}, folder)
    report = check(folder)
    assert not report.ok
    shown = grave(report)
    assert all("\n" not in line for line in shown)
    if name.endswith(".log"):
        # The finding leads to the line, or to a new one beside it.
        line = damaged[: at if way != "append" else len(content)].count(b"\n") + 1
        places = [finding.line for finding in report.findings if name.endswith(finding.file)]
        assert any(abs(line - place) <= 1 for place in places), (shown, line)


@given(data=st.data())
@pytest.mark.usefixtures("hurried")
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_run_of_bytes_cut_doubled_moved_or_blanked_anywhere_is_found(
    trails: dict[str, dict[str, bytes]], tmp_path: Path, data: st.DataObject
) -> None:
    files = trails["closed"]
    name = data.draw(st.sampled_from(sorted(files)))
    content = files[name]
    breaks = [0, *(at + 1 for at, byte in enumerate(content) if byte == 10)]
    place = st.sampled_from(breaks) | st.integers(0, len(content))
    first, last, to = sorted(data.draw(st.tuples(place, place, place)))
    run = content[first:last]
    damaged = data.draw(
        st.sampled_from(
            [
                content[:first] + content[last:],
                content[:last] + run + content[last:],
                content[:first] + content[last:to] + run + content[to:],
                content[:first] + bytes(len(run)) + content[last:],
            ]
        )
    )
    if damaged != content:
        lay({**files, name: damaged}, tmp_path / "trail")
        assert not check(tmp_path / "trail").ok


@pytest.mark.parametrize("kind", ["closed", "killed"])
def test_a_file_taken_away_is_found_whichever_it_is(
    trails: dict[str, dict[str, bytes]], tmp_path: Path, kind: str
) -> None:
    for name in trails[kind]:
        lay({other: content for other, content in trails[kind].items() if other != name}, tmp_path / "trail")
        assert not check(tmp_path / "trail").ok, name


def test_taking_all_of_the_trail_away_is_found(trails: dict[str, dict[str, bytes]], tmp_path: Path) -> None:
    lay({name: content for name, content in trails["closed"].items() if name.startswith("keys")}, tmp_path)
    assert {finding.file for finding in check(tmp_path).findings} >= {"engine", "web-1"}


def test_lines_cut_moved_or_doubled_are_found_and_said_where(
    trails: dict[str, dict[str, bytes]], tmp_path: Path
) -> None:
    name = "audit/web-1/000002.log"
    lines = trails["closed"][name].splitlines(keepends=True)
    for changed, said in [
        (lines[:2] + lines[3:], "missing before this line"),
        (lines[:2] + lines[4:], "are missing before this line"),
        ([*lines[:2], lines[3], lines[2], *lines[4:]], "line 3"),
        (lines[:3] + lines[2:], "line 4"),
        (lines[:1], "missing before this line"),
    ]:
        lay({**trails["closed"], name: b"".join(changed)}, tmp_path / "trail")
        assert said in "\n".join(grave(check(tmp_path / "trail")))


def rewritten(lines: list[bytes], change: int) -> list[bytes]:
    """Return a chain's lines with one record's author changed and every hash after it made to fit again."""
    from hanmaru.platform.audit.lines import GENESIS, link

    previous, out = GENESIS, []
    for n, line in enumerate(lines):
        body = line[65:-1].replace(b'"kim"', b'"lee"') if n == change else line[65:-1]
        previous = link(previous, body)
        out.append(previous + b" " + body + b"\n")
    return out


def test_a_chain_written_anew_with_fitting_hashes_is_found_by_signature_and_seal(tmp_path: Path) -> None:
    with Trail(tmp_path, tmp_path / "keys", "web-1") as trail:
        trail.record(LOOK)
    file = tmp_path / "audit/web-1/000001.log"
    file.write_bytes(b"".join(rewritten(file.read_bytes().splitlines(keepends=True), 0)))
    said = "\n".join(grave(check(tmp_path)))
    assert "a checkpoint that the trail's key did not sign" in said
    assert "not the record 2 that the sealed head states" in said


def test_an_anchor_finds_even_who_rolled_back_data_and_keys(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Trail(data, data / "keys", "web-1") as trail:
        trail.record(LOOK)
    shutil.copytree(data, tmp_path / "before")
    with Trail(data, data / "keys", "web-1") as trail:
        trail.record(LOOK)
    anchor = tmp_path / "anchor.json"
    anchor.write_bytes(make_anchor(data / "keys").encode())
    assert verify(data, data / "keys", anchors=[anchor]).ok
    shutil.rmtree(data)
    shutil.copytree(tmp_path / "before", data)
    assert verify(data, data / "keys").ok
    assert f"records 3 to 4 are missing that {anchor} states" in grave(verify(data, data / "keys", anchors=[anchor]))[0]
    # An auditor elsewhere needs the trail, the anchor and the public key alone.
    public = tmp_path / "public.pem"
    shutil.copy(data / "audit/public.pem", public)
    assert not verify(data, None, public=public, anchors=[anchor]).ok
    assert verify(data, None, public=public).ok


def test_a_changed_anchor_is_refused(tmp_path: Path) -> None:
    with Trail(tmp_path, tmp_path / "keys", "web-1") as trail:
        trail.record(LOOK)
    good = make_anchor(tmp_path / "keys").encode()
    anchor = tmp_path / "anchor.json"
    for at in random.Random(1).sample(range(len(good)), 60):
        anchor.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        with pytest.raises(TrailError, match=r"anchor\.json"):
            verify(tmp_path, tmp_path / "keys", anchors=[anchor])


@pytest.mark.parametrize("torn", [b"half a li", b"0" * 64 + b' {"seq":', b"\x00" * 300, b"\n\n"])
def test_an_unfinished_line_is_closed_by_a_record_that_accounts_for_it(tmp_path: Path, torn: bytes) -> None:
    killed(tmp_path)
    file = tmp_path / "audit/web-1/000001.log"
    with file.open("ab") as end:
        end.write(torn)
    assert not check(tmp_path).ok
    with Trail(tmp_path, tmp_path / "keys", "web-1") as trail:
        trail.record(LOOK)
    report = check(tmp_path)
    assert not grave(report)
    assert "unfinished when the writer stopped" in str(report.findings[0])
    assert torn in file.read_bytes()


def test_a_writer_killed_while_it_began_a_segment_is_followed_without_alarm(tmp_path: Path) -> None:
    killed(tmp_path)
    (tmp_path / "audit/web-1/000002.log").touch()
    assert not check(tmp_path).findings
    for _ in range(2):
        with Trail(tmp_path, tmp_path / "keys", "web-1") as trail:
            trail.record(LOOK)
        assert not check(tmp_path).findings
    assert (tmp_path / "audit/web-1/000002.log").stat().st_size


def test_a_line_that_lost_its_end_only_is_finished(tmp_path: Path) -> None:
    killed(tmp_path)
    file = tmp_path / "audit/web-1/000001.log"
    lines = file.read_bytes().count(b"\n")
    os.truncate(file, file.stat().st_size - 1)
    assert "this line lacks its end" in grave(check(tmp_path))[0]
    with Trail(tmp_path, tmp_path / "keys", "web-1"):
        pass
    assert not grave(check(tmp_path))
    assert file.read_bytes().count(b"\n") == lines + 2


def test_cutting_sealed_records_is_remembered_by_a_writer_that_starts_afterwards(tmp_path: Path) -> None:
    with Trail(tmp_path, tmp_path / "keys", "web-1") as trail:
        trail.record(LOOK)
        trail.record(LOOK)
    file = tmp_path / "audit/web-1/000001.log"
    file.write_bytes(file.read_bytes().splitlines(keepends=True)[0])
    for _ in range(2):
        with Trail(tmp_path, tmp_path / "keys", "web-1") as trail:
            trail.record(LOOK)
        assert "the record 3 that was sealed before was not found" in "\n".join(grave(check(tmp_path)))


@pytest.mark.parametrize("end", [None, b"", b"x" * 512])
def test_a_writer_that_finds_no_sealed_head_says_so_for_ever(tmp_path: Path, end: bytes | None) -> None:
    with Trail(tmp_path, tmp_path / "keys", "web-1") as trail:
        trail.record(LOOK)
    head = tmp_path / "keys/audit/heads/web-1"
    head.unlink()
    if end is not None:
        head.write_bytes(end)
    assert not check(tmp_path).ok
    with Trail(tmp_path, tmp_path / "keys", "web-1") as trail:
        trail.record(LOOK)
    assert "the sealed head was not found" in grave(check(tmp_path))[0]


def test_a_forged_end_is_not_signed_by_a_writer_that_starts_afterwards(tmp_path: Path) -> None:
    with Trail(tmp_path, tmp_path / "keys", "web-1") as trail:
        trail.record(LOOK)
    file = tmp_path / "audit/web-1/000001.log"
    first, seal = rewritten(file.read_bytes().splitlines(keepends=True), 0)
    file.write_bytes(first + seal)
    with Trail(tmp_path, tmp_path / "keys", "web-1") as trail:
        trail.record(LOOK)
    assert "the record 2 that was sealed before was not found" in "\n".join(grave(check(tmp_path)))


def test_verification_while_the_hub_writes_finds_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            WRITER.replace("print(n, flush=True)", "n == 1 and print(n, flush=True)"),
            str(tmp_path),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        process.stdout.readline()
        reports = [check(tmp_path) for _ in range(10)]
        while reports[-1].records < 10_000:  # on a busy machine the writer may not have had its turn
            reports.append(check(tmp_path))
    finally:
        process.kill()
        process.communicate()
    assert not any(report.findings for report in reports)


def test_what_cannot_be_written_is_refused_and_later_writes_follow_what_is_there(tmp_path: Path) -> None:
    code = f"""
import asyncio, resource
from pathlib import Path
from hanmaru.platform.audit.record import Record
from hanmaru.platform.audit.trail import Trail
data = Path({str(tmp_path)!r})
trail = Trail(data, data / "keys", "web-1")
record = Record("kim", "write", "x" * 300)
trail.record(record)
asyncio.run(trail.commit(record))
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
for refused in range(20):
    try:
        trail.record(record)
    except OSError as error:
        print(type(error).__name__, error)
        break
else:
    raise SystemExit("never refused")
try:
    asyncio.run(trail.commit(record))
    raise SystemExit("committed")
except OSError:
    pass
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
trail.record(record)
trail.close()
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert re.match(r"TrailError \[Errno \d+\] cannot write the audit trail: ", done.stdout)
    assert not check(tmp_path).findings
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


async def test_a_failed_sync_refuses_everything_from_then_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    with Trail(tmp_path, tmp_path / "keys", "web-1") as trail:
        await trail.commit(LOOK)
        monkeypatch.setattr(os, "fdatasync", fail)
        with pytest.raises(TrailError, match="could not be put on disk"):
            await trail.commit(LOOK)
        monkeypatch.undo()
        with pytest.raises(TrailError, match="start this process again"):
            trail.record(LOOK)


def test_a_closed_trail_refuses_records(tmp_path: Path) -> None:
    trail = Trail(tmp_path, tmp_path / "keys", "web-1")
    trail.close()
    trail.close()
    with pytest.raises(TrailError, match="closed"):
        trail.record(LOOK)


def test_keys_are_private_and_a_trail_is_not_continued_without_its_own(tmp_path: Path) -> None:
    Trail(tmp_path, tmp_path / "keys", "web-1").close()
    key = tmp_path / "keys/audit/signing.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.parent.stat().st_mode & 0o777 == 0o700
    key.unlink()
    with pytest.raises(TrailError, match="restore the keys"):
        Trail(tmp_path, tmp_path / "keys", "web-1")
    with pytest.raises(TrailError, match="is not the public key of"):
        Trail(tmp_path, tmp_path / "others", "web-1") if key.parent.joinpath("signing.key").exists() else (
            Trail(tmp_path / "new", tmp_path / "keys", "web-1").close(),
            Trail(tmp_path, tmp_path / "keys", "web-1"),
        )


def test_no_trail_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(TrailError, match="no audit trail in"):
        check(tmp_path)
