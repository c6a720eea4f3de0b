"""Kill -9 under load: no acknowledged write is lost, and no notification that follows from one."""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import msgspec
import psutil
import pytest
from aiohttp import web

from tests.running import Running, running

LOAD_S = 2.0
WRITERS = 8


class Receiver:
    """An HTTP endpoint that remembers the entities it was notified of, in a thread of its own."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, int]] = set()
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self._ready.wait()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.run_forever()
        self._loop.run_until_complete(self._runner.cleanup())
        self._loop.close()

    async def _serve(self) -> None:
        async def notify(request: web.Request) -> web.Response:
            for entity in (await request.json())["data"]:
                self.seen.add((entity["id"], entity["n"]["value"]))
            return web.Response()

        app = web.Application(client_max_size=1 << 24)
        app.router.add_post("/", notify)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/"
        self._ready.set()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


@contextmanager
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    try:
        yield made
    finally:
        made.close()


async def load(url: str, round: int, stop: asyncio.Event) -> set[tuple[str, int]]:
    """Write until the server is gone; return what it acknowledged, as (id, value)."""
    acknowledged: set[tuple[str, int]] = set()

    async def writer(w: int) -> None:
        async with aiohttp.ClientSession() as session:
            n = 0
            while not stop.is_set():
                n += 1
                id = f"urn:ngsi-ld:Crash:{round}-{w}-{n // 5}"
                try:
                    if n % 5 == 0:
                        entity = {"id": id, "type": "Crash", "n": n}
                        async with session.post(f"{url}/ngsi-ld/v1/entities", json=entity) as answer:
                            ok = answer.status == 201
                    elif n > 5:
                        path = f"{url}/ngsi-ld/v1/entities/{id}/attrs/n"
                        async with session.patch(path, json={"value": n}) as answer:
                            ok = answer.status == 204
                    else:
                        continue
                    if ok:
                        acknowledged.add((id, n))
                except (aiohttp.ClientError, OSError):
                    return

    await asyncio.gather(*(writer(w) for w in range(WRITERS)))
    return acknowledged


def kill(hub: Running) -> None:
    """Kill the supervisor and every worker at once, as a power cut would."""
    root = psutil.Process(hub.process.pid)
    family = [root, *root.children(recursive=True)]
    for process in family:
        os.kill(process.pid, signal.SIGKILL)
    psutil.wait_procs(family, timeout=10)


async def kept(url: str, ids: set[str]) -> dict[str, int]:
    """Return the values that the server has for the ids."""
    found: dict[str, int] = {}
    wanted = sorted(ids)
    async with aiohttp.ClientSession() as session:
        for start in range(0, len(wanted), 100):
            params = {"id": ",".join(wanted[start : start + 100]), "limit": "100", "options": "keyValues"}
            async with session.get(f"{url}/ngsi-ld/v1/entities", params=params) as answer:
                found.update((entity["id"], entity["n"]) for entity in await answer.json(loads=msgspec.json.decode))
    return found


async def subscribe(url: str, endpoint: str) -> None:
    subscription = {
        "type": "Subscription",
        "entities": [{"type": "Crash"}],
        "notification": {"endpoint": {"uri": endpoint, "accept": "application/json"}},
    }
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/ngsi-ld/v1/subscriptions", json=subscription) as answer,
    ):
        assert answer.status == 201, await answer.text()


async def loaded_then_killed(hub: Running, round: int) -> set[tuple[str, int]]:
    stop = asyncio.Event()
    writing = asyncio.create_task(load(hub.url, round, stop))
    await asyncio.sleep(LOAD_S)
    await asyncio.to_thread(kill, hub)
    stop.set()
    return await writing


def crash(folder: Path, rounds: int) -> int:
    """Load, kill, restart, check; return how many writes were acknowledged."""
    acknowledged: set[tuple[str, int]] = set()
    with receiver() as endpoint:
        for round in range(rounds):
            with running(folder, AUTH="off") as hub:
                if round == 0:
                    asyncio.run(subscribe(hub.url, endpoint.url))
                acknowledged |= asyncio.run(loaded_then_killed(hub, round))
            latest: dict[str, int] = {}
            for id, n in acknowledged:
                latest[id] = max(n, latest.get(id, 0))
            with running(folder, AUTH="off") as hub:
                values = asyncio.run(kept(hub.url, set(latest)))
                lost = {id for id, n in latest.items() if values.get(id, -1) < n}
                assert not lost, f"round {round}: acknowledged and gone: {sorted(lost)[:5]} and {len(lost)} in all"
                missing = asyncio.run(notified(endpoint, acknowledged))
                assert not missing, f"round {round}: {len(missing)} notifications lost, such as {sorted(missing)[:5]}"
    return len(acknowledged)


async def notified(endpoint: Receiver, acknowledged: set[tuple[str, int]]) -> set[tuple[str, int]]:
    """Wait until every acknowledged change was notified; return those that were not within a minute."""
    for _ in range(600):
        if not (missing := acknowledged - endpoint.seen):
            break
        await asyncio.sleep(0.1)
    return missing


def test_one_kill_under_load(tmp_path: Path) -> None:
    assert crash(tmp_path, 1) > 100


@pytest.mark.soak
def test_twenty_kills_under_load(tmp_path: Path) -> None:
    assert crash(tmp_path, 20) > 2_000
