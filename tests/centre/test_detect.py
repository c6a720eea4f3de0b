"""Detection on a real hub: live rules, HTTP, a dry run; and killed at any moment it neither misses nor repeats."""

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from hanmaru.centre.detect import api
from hanmaru.centre.detect.follow import Follower
from hanmaru.centre.detect.store import State
from hanmaru.centre.domain import Detection
from hanmaru.centre.rules.engine import Engine
from hanmaru.centre.rules.model import convert
from hanmaru.centre.rules.state import Reading
from hanmaru.centre.service import service
from hanmaru.edge import on_problem
from hanmaru.hub.client import HubClient
from hanmaru.hub.local import open_hub
from hanmaru.platform.access import Access
from hanmaru.platform.policy import Caller, Policy
from hanmaru.platform.policy.door import Door
from hanmaru.platform.problems import Problem
from hanmaru.platform.services import Context
from tests.asgi import Answer, ask
from tests.locks import locked

RULE = {
    "id": "high-water",
    "name": {"en": "High water", "ko": "수위 상승"},
    "title": {"en": "{name} stands at {value}", "ko": "{name} 수위 {value}"},
    "severity": "high",
    "category": "flood",
    "when": {"kind": "threshold", "type": "FloodMonitoring", "attr": "currentLevel", "op": ">", "value": 10},
}


def gauge(number: int, level: float, at: datetime | None = None) -> dict[str, Any]:
    observed = {} if at is None else {"observedAt": at.strftime("%Y-%m-%dT%H:%M:%SZ")}
    return {
        "id": f"urn:ngsi-ld:FloodMonitoring:test:{number}",
        "type": "FloodMonitoring",
        "name": {"type": "Property", "value": f"Gauge {number}"},
        "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [127.1, 37.1]}},
        "currentLevel": {"type": "Property", "value": level, **observed},
    }


async def until(holds: Callable[[], bool], seconds: float = 5) -> None:
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, "it did not come"
        await asyncio.sleep(0.02)


@asynccontextmanager
async def following(hub: HubClient, folder: Path) -> AsyncGenerator[State]:
    state = State(folder)
    task = asyncio.create_task(Follower(hub, state).run())
    try:
        yield state
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        state.close()


class Desk:
    def __init__(self, context: Context[HubClient]) -> None:
        routes = [Mount("/c", routes=list(api.routes(context)))]
        self.app = Starlette(routes=routes, exception_handlers={Problem: on_problem})
        assert service.policies is not None
        self.app.state.door = Door(Policy([service.policies], actions=list(service.permissions)))

    async def __call__(
        self, method: str, path: str, body: object = None, role: str = "supervisor", **headers: str
    ) -> Answer:
        async def as_caller(scope: Any, receive: Any, send: Any) -> None:
            await self.app({**scope, "caller": Caller("sue", (role,))}, receive, send)

        content = b"" if body is None else msgspec.json.encode(body)
        sent = {key.replace("_", "-"): value for key, value in headers.items()}
        return await ask(as_caller, "/c" + path, method=method, body=content, headers=sent)


def own(state: State) -> list[Detection]:
    return state.after(0, rule="high-water")


async def test_a_rule_written_over_http_is_live_within_a_second_and_its_detections_are_told(tmp_path: Path) -> None:
    async with open_hub(f"sqlite:///{tmp_path / 'hub.db'}") as opened:
        hub = opened.client(Access(write=True))
        with locked(tmp_path / "locks") as locks:
            context = Context(hub, tmp_path, {"languages": ["ko", "en"]}, locks.of("centre"))
            desk = Desk(context)
            async with context.closing, following(hub, tmp_path) as state:
                await hub.upsert([gauge(1, 12), gauge(2, 1)])
                wrong = await desk("POST", "/rules", RULE | {"severity": "huge"})
                assert (wrong.status, wrong.json()["detail"]) == (400, "severity: Invalid enum value 'huge'")
                assert (await desk("POST", "/rules", RULE, role="operator")).status == 403
                assert (await desk("POST", "/rules", RULE)).status == 201
                began = time.monotonic()
                await until(lambda: len(own(state)) == 1)
                assert time.monotonic() - began < 1.0 + 0.5, "what holds already is told, too"
                await hub.upsert([gauge(2, 30)])
                await until(lambda: len(own(state)) == 2)
                told = (await desk("GET", "/detections?after=1&rule=high-water", role="operator")).json()["items"][-1:]
                assert told[0]["title"]["ko"] == "Gauge 2 수위 30"
                assert told[0]["values"] == {"currentLevel": 30}
                entry = next(one for one in (await desk("GET", "/rules")).json()["items"] if one["id"] == RULE["id"])
                assert (entry["version"], entry["changed_by"], entry["raised"]) == (1, "sue", 2)
                assert (await desk("PUT", "/rules/high-water", RULE, if_match='"7"')).status == 412
                assert (await desk("POST", "/rules/high-water/disable")).json()["version"] == 2
                await until(lambda: len(own(state)) == 4)
                assert {one.kind for one in own(state)[2:]} == {"clear"}
                assert (await desk("DELETE", "/rules/high-water")).status == 204
                assert (await desk("GET", "/rules/high-water")).status == 404
                assert (await desk("POST", "/rules", RULE)).json()["version"] == 4
                versions = (await desk("GET", "/rules/high-water/versions")).json()["items"]
                assert [one["version"] for one in versions if one["rule"] is None] == [3]
                vocabulary = (await desk("GET", "/rules/vocabulary")).json()
                attrs = next(one for one in vocabulary["types"] if one["type"] == "FloodMonitoring")["attrs"]
                assert {one["name"]: one["kind"] for one in attrs}["currentLevel"] == "number"


async def test_a_dry_run_says_what_would_have_fired(tmp_path: Path) -> None:
    begin = datetime(2026, 11, 1, tzinfo=UTC)
    async with open_hub(f"sqlite:///{tmp_path / 'hub.db'}") as opened:
        hub = opened.client(Access(write=True))
        await hub.upsert([gauge(1, 0, begin - timedelta(hours=1))])
        levels = [
            {**gauge(1, 20 if n % 24 == 7 else 1, begin + timedelta(hours=n))["currentLevel"]} for n in range(24 * 14)
        ]
        await hub.record([{"id": gauge(1, 0)["id"], "type": "FloodMonitoring", "currentLevel": levels}])
        with locked(tmp_path / "locks") as locks:
            context = Context(hub, tmp_path, {}, locks.of("centre"))
            async with context.closing:
                span = {"start": "2026-11-01T00:00:00Z", "end": "2026-11-15T00:00:00Z"}
                answer = await Desk(context)("POST", "/rules/dry-run", {"rule": RULE, **span})
        last = answer.body.decode().strip().split("\n\n")[-1]
        assert last.startswith("event: result")
        result = msgspec.json.decode(last.partition("data: ")[2])
        assert (result["count"], result["truncated"]) == (14, False)
        assert result["firings"][0]["at"] == "2026-11-01T07:00:00.000Z"
        assert result["firings"][0]["until"] == "2026-11-01T08:00:00.000Z"


async def test_where_the_hub_forgot_the_present_state_is_read(tmp_path: Path) -> None:
    async with open_hub(f"sqlite:///{tmp_path / 'hub.db'}") as opened:
        hub = opened.client(Access(write=True))
        with_rule = State(tmp_path)
        with_rule.put(convert(RULE), "sue")
        with_rule.close()
        async with following(hub, tmp_path) as state:
            await hub.upsert([gauge(1, 12), gauge(2, 12)])
            await until(lambda: state.head() == 2)
        await hub.upsert([gauge(1, 1), gauge(3, 12)])
        await hub.delete([gauge(2, 0)["id"]])
        await opened.store.trim(await hub.head())
        async with following(hub, tmp_path) as state:
            await until(lambda: state.head() == 5)
            told = {(one.kind, one.key.rpartition(":")[2]) for one in state.after(2)}
        assert told == {("clear", "1"), ("clear", "2"), ("raise", "3")}


async def test_a_stop_of_the_hub_is_not_the_sensors_silence(tmp_path: Path) -> None:
    hours, moment = (
        convert(RULE | {"id": id, "when": {"kind": "absence", "type": "FloodMonitoring", "for_s": for_s}})
        for id, for_s in (("hours", 3600), ("moment", 1))
    )
    async with open_hub(f"sqlite:///{tmp_path / 'hub.db'}") as opened:
        hub = opened.client(Access(write=True))
        await hub.upsert([gauge(1, 1), gauge(2, 1)])
        began = time.time()
        engine, old = Engine([hours, moment]), State(tmp_path)
        for number in (1, 2):
            engine.feed(Reading(began - 7200, gauge(number, 1)["id"], ["FloodMonitoring"], [], {}))
        old.put(hours, "sue")
        old.put(moment, "sue")
        head, clock_s = await hub.head(), engine.clock_s
        old.commit([], engine.take(), head, clock_s, engine.listening_s, [hours, moment])
        old.close()
        async with following(hub, tmp_path) as state:
            await until(lambda: state.head() == 2)
            found = state.after(0)
            assert {one.rule for one in found} == {"moment"}
            assert all(datetime.fromisoformat(one.at).timestamp() >= began + 0.8 for one in found)
            assert state.fact("listening") >= began - 1
        async with following(hub, tmp_path) as state:
            await hub.upsert([gauge(1, 2)])
            await until(lambda: state.head() == 4)
            assert [one.kind for one in state.after(2)] == ["clear", "raise"]


KILLED_RULES = [
    RULE | {"id": "plain"},
    RULE | {"id": "flap", "flap": {"most": 3, "in_s": 3600}},
    {
        "id": "both",
        "name": {"en": "Both"},
        "when": {
            "kind": "join",
            "radius_m": 500,
            "left": RULE["when"],
            "right": {
                "kind": "window",
                "type": "FloodMonitoring",
                "attr": "currentLevel",
                "agg": "count",
                "over_s": 3600,
                "op": ">=",
                "value": 25,
            },
        },
    },
    {
        "id": "sequence",
        "name": {"en": "Up and up"},
        "when": {
            "kind": "sequence",
            "within_s": 3600,
            "steps": [RULE["when"], {**RULE["when"], "value": 18}],
        },
    },
]


async def test_killed_at_any_moment_it_neither_misses_nor_repeats(tmp_path: Path) -> None:
    chance = random.Random(20261123)
    through, killed = tmp_path / "through", tmp_path / "killed"
    for folder in (through, killed):
        book = State(folder)
        for rule in KILLED_RULES:
            book.put(convert(rule), "sue")
        book.close()

    def start(room: Path) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "tests.centre.detecting", str(tmp_path / "hub.db"), str(room)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL)

    async with open_hub(f"sqlite:///{tmp_path / 'hub.db'}") as opened:
        hub = opened.client(Access(write=True))
        steady, victim = start(through), start(killed)
        books, kills = [State(folder) for folder in (through, killed)], 0
        try:
            await until(lambda: all(len(book.applied()) == len(KILLED_RULES) for book in books), 30)
            ends = time.monotonic() + 4
            dies = time.monotonic() + chance.uniform(0.0, 0.5)
            while time.monotonic() < ends:
                for _ in range(chance.randrange(1, 20)):
                    await hub.upsert([gauge(chance.randrange(6), chance.randrange(21))])
                if time.monotonic() > dies:
                    victim.kill()
                    await asyncio.to_thread(victim.wait)
                    kills += 1
                    victim = start(killed)
                    dies = time.monotonic() + chance.uniform(0.4, 1.5)
            head = await hub.head()
            await until(lambda: all((book.fact("cursor") or 0) >= head for book in books), 30)
        finally:
            for process in (steady, victim):
                process.kill()
                process.wait()
        expected, found = ([(d.rule, d.key, d.kind, dict(d.values)) for d in book.after(0, 100_000)] for book in books)
        for book in books:
            book.close()
    assert kills >= 3
    assert len(expected) > 100
    assert found == expected


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"id":1}', b"[" * 10_000])
async def test_broken_bodies_are_refused(tmp_path: Path, body: bytes) -> None:
    with locked(tmp_path / "locks") as locks:
        context: Any = Context(None, tmp_path, {}, locks.of("centre"))
        desk = Desk(context)
        async with context.closing:
            for path in ("/rules", "/rules/dry-run"):
                answer = await desk("POST", path, msgspec.Raw(body))
                assert answer.status == 400
                assert answer.json()["detail"]
