"""Reading the audit trail: searching, exporting, checking what was exported, and the page's HTTP interface."""

import asyncio
import csv
import json
import re
import sqlite3
import subprocess
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from hanmaru.edge import on_http_exception, on_problem
from hanmaru.platform.audit import trail as module
from hanmaru.platform.audit.api import routes
from hanmaru.platform.audit.export import ANCHOR, check_export, export
from hanmaru.platform.audit.index import Index, Query, instant, keep_index
from hanmaru.platform.audit.lines import Entry, segments
from hanmaru.platform.audit.reader import TrailReader
from hanmaru.platform.audit.record import Record
from hanmaru.platform.audit.seal import TrailError, private_key, public_key
from hanmaru.platform.audit.trail import Trail
from hanmaru.platform.policy import Caller, Door, Policy
from hanmaru.platform.problems import Problem
from tests.asgi import Answer, ask
from tests.running import COMMAND, environment


def record(n: int) -> Record:
    """Return the n-th of a varied lot of records."""
    return Record(
        ("kim", "lee", "system:engine")[n % 3],
        ("vault.read", "write", "handover.approve", "vault.read")[n % 4],
        f"=HYPERLINK(/{n})" if n % 5 == 0 else f'GET /thing/{n}\r\n,"{n}"',
        "deny" if n % 7 == 0 else "allow",
        purpose="역학조사" if n % 2 else "",
        subjects=tuple(f"s-{(n + each) % 20}" for each in range(n % 4)),
        where="10.0.0.1",
        detail={"n": str(n)} if n % 6 == 0 else {},
    )


def write(data: Path, count: int, start: int = 0) -> None:
    """Write records to two chains in turn."""
    with Trail(data, data / "keys", "web-1") as one, Trail(data, data / "keys", "engine") as two:
        for n in range(start, start + count):
            (one, two)[n % 2].record(record(n))


@pytest.fixture
def trail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "SEGMENT_BYTES", 20_000)
    write(tmp_path, 300)
    write(tmp_path, 300, start=300)
    return tmp_path


def all_entries(data: Path) -> list[Entry]:
    import msgspec

    found = [
        msgspec.json.decode(line[65:], type=Entry)
        for chain in (data / "audit").iterdir()
        if chain.is_dir()
        for path in segments(chain)
        for line in path.read_bytes().splitlines()
    ]
    return sorted((entry for entry in found if entry.action != "audit.checkpoint"), key=lambda entry: entry.at)


def indexed(data: Path) -> Index:
    index = Index(data / "audit")
    index.catch_up()
    return index


QUERIES: list[tuple[Query, Callable[[Entry], bool]]] = [
    (Query(limit=1000), lambda e: True),
    (Query(subject="s-7", limit=1000), lambda e: "s-7" in e.subjects),
    (Query(subject="s-7", who="lee", limit=1000), lambda e: "s-7" in e.subjects and e.who == "lee"),
    (Query(who="kim", action="write", limit=1000), lambda e: e.who == "kim" and e.action == "write"),
    (Query(decision="deny", limit=1000), lambda e: e.decision == "deny"),
    (Query(subject="s-1", decision="deny", limit=1000), lambda e: "s-1" in e.subjects and e.decision == "deny"),
    (Query(who="nobody"), lambda e: False),
    (Query(action="'; DROP TABLE records; --"), lambda e: False),
]


@pytest.mark.parametrize(("query", "fits"), QUERIES)
def test_search_finds_what_reading_everything_finds(trail: Path, query: Query, fits: Callable[[Entry], bool]) -> None:
    page = indexed(trail).search(query)
    expected = [entry for entry in all_entries(trail) if fits(entry)]
    assert sorted((e.entry for e in page.records), key=lambda e: (e.at, e.chain)) == sorted(
        expected, key=lambda e: (e.at, e.chain)
    )
    assert [found.entry.at for found in page.records] == sorted((e.at for e in expected), reverse=True)
    assert all(found.sound for found in page.records)
    assert (page.next, page.behind) == (None, 0)


@pytest.mark.parametrize("query", [Query(limit=7), Query(subject="s-3", limit=7), Query(who="kim", limit=7)])
def test_pages_continue_where_the_one_before_ended(trail: Path, query: Query) -> None:
    index = indexed(trail)
    seen: list[Entry] = []
    before: str | None = None
    while True:
        page = index.search(Query(query.subject, query.who, limit=7, before=before))
        seen += [found.entry for found in page.records]
        before = page.next
        if before is None:
            break
    whole = index.search(Query(query.subject, query.who, limit=1000)).records
    assert seen == [found.entry for found in whole]
    assert len(seen) > 30


def test_times_bound_a_search_from_the_first_instant_to_before_the_last(trail: Path) -> None:
    entries = all_entries(trail)
    first, last = entries[100].at, entries[200].at
    page = indexed(trail).search(Query(since=instant(first), until=instant(last), limit=1000))
    assert {found.entry.at for found in page.records} == {e.at for e in entries if first <= e.at < last}


def test_the_index_follows_the_trail_and_can_be_made_again(trail: Path) -> None:
    index = indexed(trail)
    before = len(index.search(Query(limit=1000)).records)
    with Trail(trail, trail / "keys", "web-1") as more:
        more.record(record(1))
        assert index.behind() > 0
        assert index.catch_up() >= 1
        assert len(index.search(Query(limit=1000)).records) == before + 1
    index.rebuild()
    assert index.search(Query()).records == ()
    assert index.catch_up(most=10) >= 10
    index.catch_up()
    assert len(index.search(Query(limit=1000)).records) == before + 1
    assert index.actions() == ["handover.approve", "vault.read", "write"]


@pytest.mark.parametrize("content", [b"not a database" * 100, b""])
def test_a_damaged_index_is_made_again(trail: Path, content: bytes) -> None:
    (trail / "audit" / "index.db").write_bytes(content)
    assert len(indexed(trail).search(Query(limit=1000)).records) == 600


def test_an_index_of_another_version_is_made_again(trail: Path) -> None:
    indexed(trail)
    with sqlite3.connect(trail / "audit" / "index.db") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    assert len(indexed(trail).search(Query(limit=1000)).records) == 600


def test_a_record_that_was_changed_is_found_but_said_to_be(trail: Path) -> None:
    index = indexed(trail)
    file = trail / "audit/web-1/000002.log"
    content = file.read_bytes()
    at = content.index(b"/thing/", 200)
    file.write_bytes(content[:at] + b"/thong/" + content[at + 7 :])
    changed = [found.entry.seq for found in index.search(Query(limit=1000)).records if not found.sound]
    assert len(changed) == 1
    file.unlink()
    lost = [found for found in index.search(Query(limit=1000)).records if not found.sound]
    assert len(lost) > 50


def test_an_index_that_lies_is_not_believed(trail: Path) -> None:
    index = indexed(trail)
    with sqlite3.connect(trail / "audit" / "index.db") as db:
        db.execute("UPDATE subjects SET subject = 's-other' WHERE subject = 's-7'")
    db.close()
    page = index.search(Query(subject="s-other"))
    assert page.records
    assert not any(found.sound for found in page.records)


async def until(true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if true():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not happen")


async def test_the_index_is_kept_in_the_background(trail: Path) -> None:
    task = asyncio.create_task(keep_index(trail, every_s=0.01))
    index = Index(trail / "audit")
    await until(lambda: index.behind() == 0)
    task.cancel()
    assert len(index.search(Query(limit=1000)).records) == 600


@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_an_export_has_the_records_in_order_and_can_be_checked_elsewhere(trail: Path, format: Any) -> None:
    out = trail / f"out.{format}"
    records, changed = export(trail, trail / "keys", Query(who="lee"), out, format)
    expected = [entry for entry in all_entries(trail) if entry.who == "lee"]
    assert (records, changed) == (len(expected), 0)
    if format == "jsonl":
        bodies = [json.loads(line)["record"] for line in out.read_text().splitlines()]
    else:
        with out.open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())
        bodies = [json.loads(row["record"]) for row in rows]
    assert [body["at"] for body in bodies] == [entry.at for entry in expected]
    key = public_key((trail / "audit/public.pem").read_bytes())
    assert check_export(out, key) == []
    with pytest.raises(TrailError, match="choose another name"):
        export(trail, trail / "keys", Query(), out, format)


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_one_byte_changed_in_an_export_or_its_anchor_is_found(tmp_path: Path, format: Any, data: st.DataObject) -> None:
    out = tmp_path / f"out.{format}"
    if not out.exists():
        write(tmp_path, 20)
        export(tmp_path, tmp_path / "keys", Query(), out, format)
        assert check_export(out, private_key(tmp_path / "keys").public_key()) == []
    key = private_key(tmp_path / "keys").public_key()
    damaged = tmp_path / "damaged"
    files = {"": out.read_bytes(), ANCHOR: out.with_name(out.name + ANCHOR).read_bytes()}
    end = data.draw(st.sampled_from(sorted(files)))
    content = files[end]
    at = data.draw(st.integers(0, len(content) - 1))
    byte = bytes([data.draw(st.integers(0, 255))])
    files[end] = data.draw(
        st.sampled_from(
            [
                content[:at] + byte + content[at + 1 :],
                content[:at] + content[at + 1 :],
                content[:at] + byte + content[at:],
            ]
        )
    )
    for name, each in files.items():
        damaged.with_name("damaged" + name).write_bytes(each)
    if files[end] == content:
        assert check_export(damaged, key) == []
        return
    if end == ANCHOR:
        with pytest.raises(TrailError, match=r"damaged\.anchor\.json"):
            check_export(damaged, key)
    else:
        assert check_export(damaged, key)


def test_exporting_a_changed_trail_says_how_many_records_do_not_fit(trail: Path) -> None:
    file = trail / "audit/web-1/000001.log"
    file.write_bytes(file.read_bytes().replace(b'"kim"', b'"lee"', 1))
    assert export(trail, trail / "keys", Query(), trail / "out.jsonl")[1] == 1


class As:
    """An application as one caller sees it."""

    def __init__(self, app: ASGIApp, caller: Caller) -> None:
        self.app, self.caller = app, caller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["caller"] = self.caller
        await self.app(scope, receive, send)


built_in = cache(Policy)
AUDITOR = Caller("han", ("auditor",), second_factor=True)


def application(data: Path, trail: Trail, caller: Caller = AUDITOR) -> ASGIApp:
    app = Starlette(
        routes=routes(TrailReader(data, data / "keys")),
        exception_handlers={Problem: on_problem, HTTPException: on_http_exception},
    )
    app.state.door = Door(built_in(), trail)
    return As(app, caller)


async def test_the_page_lists_records_and_listing_them_is_a_record(trail: Path) -> None:
    with Trail(trail, trail / "keys", "web-1") as writer:
        app = application(trail, writer)
        answer = (await ask(app, "/api/audit/v1/records?subject=s-7&limit=3")).json()
        assert (answer["records"][0]["who"], answer["records"][0]["action"]) == ("han", "audit.search")
        assert all("s-7" in r["subjects"] for r in answer["records"])
        again = (await ask(app, f"/api/audit/v1/records?subject=s-7&limit=1000&before={answer['next']}")).json()
        ats = [r["at"] for r in (*answer["records"], *again["records"])]
        assert len(ats) == len(set(ats)) > 60
        assert again["next"] is None
        assert all(r["sound"] for r in again["records"])
        found = (await ask(app, "/api/audit/v1/records?action=audit.search&limit=1")).json()["records"][0]
        assert found["detail"] == {"action": "audit.search", "limit": "1"}


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=ten",
        "limit=%D9%A1",
        "from=yesterday",
        "to=2026-13-01",
        "from=0001-01-01T00:00:00%2B14:00&to=9999-12-31T23:59:59-14:00",
        "before=x",
        "before=1.web-1.99999999999999999999",
        "before=%D9%A1.web-1.1",
        "decision=perhaps",
        "subject=" + "s" * 300,
        "colour=red",
    ],
)
async def test_bad_questions_are_refused_with_what_to_do(trail: Path, query: str) -> None:
    with Trail(trail, trail / "keys", "web-1") as writer:
        answer = await ask(application(trail, writer), f"/api/audit/v1/records?{query}")
    if query.startswith("from=0001"):
        assert answer.status in (200, 400)
    else:
        assert answer.status == 400
        assert answer.json()["detail"]


@given(text=st.text(max_size=40), name=st.sampled_from(["subject", "who", "action", "from", "to", "before", "limit"]))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_question_is_a_server_error(tmp_path: Path, name: str, text: str) -> None:
    from urllib.parse import quote

    with Trail(tmp_path, tmp_path / "keys", "web-1") as writer:
        path = f"/api/audit/v1/records?{name}={quote(text, errors='backslashreplace')}"
        assert asyncio.run(ask(application(tmp_path, writer), path)).status in (200, 400)


@pytest.mark.parametrize("roles", [(), ("reader",), ("admin",), ("writer",)])
async def test_only_those_who_may_see_the_trail(trail: Path, roles: tuple[str, ...]) -> None:
    with Trail(trail, trail / "keys", "web-1") as writer:
        app = application(trail, writer, Caller("kim", roles, second_factor=True))
        for path in ("records", "status", "actions", "verify"):
            assert (await ask(app, f"/api/audit/v1/{path}")).status == 403
        assert (await ask(app, "/api/audit/v1/verify", method="POST")).status == 403


async def verified(app: ASGIApp) -> Any:
    """Wait for the verification to end, as the page does, and return what is known of it."""
    for _ in range(3000):
        state = (await ask(app, "/api/audit/v1/verify")).json()
        if not state["running"]:
            return state
        await asyncio.sleep(0.01)
    raise AssertionError("the verification did not end")


async def test_a_verification_runs_beside_and_only_once(trail: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hanmaru.platform.audit.verify.STEP_LINES", 1)
    with Trail(trail, trail / "keys", "web-1") as writer:
        app = application(trail, writer)
        assert (await ask(app, "/api/audit/v1/status")).json()["verified"] is None
        begun: Answer = await ask(app, "/api/audit/v1/verify", method="POST")
        assert begun.status == 202
        assert (await ask(app, "/api/audit/v1/verify", method="POST")).status == 409
        state = await verified(app)
        assert (state["verified"]["ok"], state["findings"], state["error"]) == (True, [], None)
        status = (await ask(app, "/api/audit/v1/status")).json()
        assert status["verified"]["ok"]
        assert [chain["name"] for chain in status["chains"]] == ["engine", "web-1"]
        assert status["chains"][0]["sealed"] == status["chains"][0]["records"] > 300
        assert status["chains"][0]["first"] < status["chains"][0]["last"]
        file = trail / "audit/engine/000001.log"
        file.write_bytes(file.read_bytes().replace(b"deny", b"dany", 1))
        await ask(app, "/api/audit/v1/verify", method="POST")
        state = await verified(app)
        assert not state["verified"]["ok"]
        assert state["findings"][0]["file"] == "engine/000001.log"
        assert (await ask(app, "/api/audit/v1/actions")).status == 200


async def test_a_verification_that_died_with_its_worker_is_said_to_be_interrupted(trail: Path) -> None:
    (trail / "audit" / "verified.json").write_text(
        json.dumps({"now": {"started": "2026-11-23T00:00:00Z", "beat": time.time() - 60, "done": 1, "total": 9}})
    )
    with Trail(trail, trail / "keys", "web-1") as writer:
        state = await verified(application(trail, writer))
    assert "interrupted" in state["error"]


def hanmaru(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments], cwd=cwd, env=environment(), capture_output=True, text=True, check=False
    )


def test_the_commands_as_an_auditor_uses_them(tmp_path: Path) -> None:
    write(tmp_path / "data", 50)
    done = hanmaru("audit", "verify", "--json", cwd=tmp_path)
    assert (done.returncode, json.loads(done.stdout)["ok"], done.stderr) == (0, True, "")
    found = hanmaru("audit", "search", "--subject", "s-7", "--json", cwd=tmp_path)
    lines = [json.loads(line) for line in found.stdout.splitlines()]
    assert lines[0]["action"] == "audit.search"
    assert lines[0]["who"].startswith("cli:")
    assert all("s-7" in line["subjects"] for line in lines)
    assert hanmaru("audit", "export", "--out", "a.csv", "--format", "csv", cwd=tmp_path).returncode == 0
    assert hanmaru("audit", "check", "a.csv", cwd=tmp_path).stdout == "unchanged: a.csv\n"
    assert hanmaru("audit", "anchor", "--out", "anchor.json", cwd=tmp_path).returncode == 0
    assert hanmaru("audit", "verify", "--anchor", "anchor.json", cwd=tmp_path).returncode == 0
    file = tmp_path / "data/audit/web-1/000001.log"
    file.write_bytes(file.read_bytes()[:-1])
    verified = hanmaru("audit", "verify", cwd=tmp_path)
    assert verified.returncode == 1
    assert re.match(r"web-1/000001\.log: line \d+, byte \d+: this line lacks its end\n", verified.stdout)
    wrong = hanmaru("audit", "search", "--from", "yesterday", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "2026-11-23T09:30:00+09:00" in wrong.stderr
    nothing = hanmaru("audit", "verify", "--data", "nowhere", cwd=tmp_path)
    assert (nothing.returncode, nothing.stderr.count("\n")) == (1, 1)
