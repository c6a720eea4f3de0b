"""HTTP polling against a real server on a free port."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from hanmaru.connectors.checkpoint import CheckpointFile
from hanmaru.connectors.http import UnavailableError, poll_once, shown_url
from hanmaru.connectors.ingest import Summary
from hanmaru.connectors.run import pause_s, run_connectors
from hanmaru.connectors.schemas import TypeRegistry
from hanmaru.connectors.sources import HttpPoll
from hanmaru.connectors.status import read_statuses
from hanmaru.hub.client import HubClient, Query
from tests.connectors.conftest import eventually, instants, mapping

JSON = mapping(
    """
[source]
records = "data.items"
[time]
column = "at"
zone = "Asia/Seoul"
[entity]
type = "AirQualityObserved"
id = "urn:ngsi-ld:AirQualityObserved:{station.code}"
mode = "series"
[attributes]
pm10 = { column = "values.pm10", unit = "GQ" }
"""
)
CSV = mapping(
    '[entity]\ntype = "Device"\nid = "urn:ngsi-ld:Device:{id}"\n[attributes]\nname = "name"\nbatteryLevel = "battery"'
)
Reply = Callable[[web.Request], web.StreamResponse]


@dataclass
class Server:
    """A server whose next answers a test decides, and the requests it saw."""

    url: str = ""
    replies: list[Reply] = field(default_factory=list)
    seen: list[web.Request] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        return reply(request)


@pytest.fixture
async def server() -> AsyncGenerator[Server]:
    found = Server()
    app = web.Application()
    app.router.add_get("/{path:.*}", found.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    found.url = f"http://{host}:{port}"
    yield found
    await runner.cleanup()


def items(*readings: tuple[str, int]) -> dict[str, object]:
    return {"data": {"items": [{"station": {"code": 1}, "at": at, "values": {"pm10": v}} for at, v in readings]}}


async def once(config: HttpPoll, hub: HubClient, folder: Path) -> Summary:
    store = CheckpointFile(folder, config.url, config.mapping.name)
    store.path.parent.mkdir(parents=True, exist_ok=True)
    async with aiohttp.ClientSession(headers=dict(config.headers)) as session:
        return await poll_once(config, session, store, hub, TypeRegistry())


async def test_only_what_changed_is_taken(server: Server, hub: HubClient, tmp_path: Path) -> None:
    body = items(("2024-01-01T01:00", 5))

    def reply(request: web.Request) -> web.Response:
        tag = f'"{len(body["data"]["items"])}"'  # type: ignore[index, call-overload]
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304)
        return web.json_response(body, headers={"ETag": tag})

    server.replies = [reply]
    config = HttpPoll(name="air", mapping=JSON, url=f"{server.url}/air")
    assert (await once(config, hub, tmp_path)).values == 1
    assert (await once(config, hub, tmp_path)).rows == 0
    assert [r.headers.get("If-None-Match") for r in server.seen] == [None, '"1"']
    body = items(("2024-01-01T01:00", 5), ("2024-01-01T02:00", 6))
    grown = await once(config, hub, tmp_path)
    assert (grown.rows, grown.values, grown.repeated) == (2, 1, 1)
    id = "urn:ngsi-ld:AirQualityObserved:1"
    assert await instants(hub, id, "pm10") == [("2023-12-31T16:00:00Z", 5), ("2023-12-31T17:00:00Z", 6)]


async def test_without_etag_the_date_or_the_body_itself_tells(server: Server, hub: HubClient, tmp_path: Path) -> None:
    date = "Wed, 21 Oct 2015 07:28:00 GMT"
    server.replies = [
        lambda r: web.Response(
            text="id,name,battery\n1,a,0.5\n", content_type="text/csv", headers={"Last-Modified": date}
        )
    ]
    config = HttpPoll(name="csv", mapping=CSV, url=f"{server.url}/devices?key=secret")
    assert (await once(config, hub, tmp_path)).rows == 1
    assert (await once(config, hub, tmp_path)).rows == 0
    assert server.seen[1].headers["If-Modified-Since"] == date
    device = await hub.retrieve("urn:ngsi-ld:Device:1", simplified=True)
    assert device is not None
    assert device["batteryLevel"] == 0.5


@pytest.mark.parametrize("status", [404, 500, 503])
async def test_a_failing_answer_is_no_data(server: Server, hub: HubClient, tmp_path: Path, status: int) -> None:
    server.replies = [
        lambda r: web.Response(status=status, text="id,name,battery\n1,a,1\n", headers={"Retry-After": "7"})
    ]
    config = HttpPoll(name="csv", mapping=CSV, url=f"{server.url}/devices.csv?key=secret")
    with pytest.raises(UnavailableError, match=f"answered {status}") as caught:
        await once(config, hub, tmp_path)
    assert caught.value.retry_after_s == 7
    assert "secret" not in str(caught.value)
    assert await hub.count(Query(type="Device")) == 0


async def test_a_redirect_is_told_and_not_followed(server: Server, hub: HubClient, tmp_path: Path) -> None:
    elsewhere = "http://elsewhere.example/devices.csv?key=secret"
    server.replies = [lambda r: web.Response(status=302, headers={"Location": elsewhere})]
    config = HttpPoll(name="csv", mapping=CSV, url=server.url, headers={"X-API-Key": "secret"})
    with pytest.raises(UnavailableError, match=r"302: it is at http://elsewhere\.example/devices\.csv") as caught:
        await once(config, hub, tmp_path)
    assert "secret" not in str(caught.value)
    server.replies = [lambda r: web.Response(status=302, headers={"Location": "http://["})]
    with pytest.raises(UnavailableError):
        await once(config, hub, tmp_path)


async def test_endless_bodies_are_cut_off(server: Server, hub: HubClient, tmp_path: Path) -> None:
    server.replies = [lambda r: web.Response(body=b"x" * 2_000_000)]
    config = HttpPoll(name="csv", mapping=CSV, url=server.url, max_bytes=1_000_000)
    with pytest.raises(UnavailableError, match="more than 1,000,000 bytes"):
        await once(config, hub, tmp_path)
    assert not list((tmp_path / "connectors" / "checkpoints").glob("*.body"))


async def test_errors_are_survived_and_the_dead_delay_nobody(server: Server, hub: HubClient, tmp_path: Path) -> None:
    broken = lambda r: web.Response(status=500)  # noqa: E731
    rows = "id,name,battery\n1,a,0.5\n2,b,7\n"
    server.replies = [broken, broken, lambda r: web.Response(text=rows, content_type="text/csv")]
    live = HttpPoll(name="live", mapping=CSV, url=f"{server.url}/a", interval_s=0.05, backoff_s=0.02)
    dead = HttpPoll(name="dead", mapping=JSON, url="http://127.0.0.1:9/b", backoff_s=0.02)
    running = asyncio.create_task(run_connectors(hub, [dead, live], tmp_path))

    async def taken() -> bool:
        return len(server.seen) >= 5 and await hub.count(Query(type="Device")) == 1

    await eventually(taken)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    statuses = {s.name: s for s in read_statuses(tmp_path)}
    assert (statuses["dead"].status, statuses["dead"].rows) == ("failing", 0)
    assert "127.0.0.1:9" in (statuses["dead"].last_error or "")
    source = await hub.retrieve("urn:ngsi-ld:DataSource:live", simplified=True)
    assert source is not None
    assert (source["status"], source["rows"], source["quarantined"]) == ("working", 2, 1)
    assert "answered 500" in source["lastError"]


def test_pauses_double_up_to_a_limit() -> None:
    config = HttpPoll(name="a", mapping=CSV, url="http://x", backoff_s=1, backoff_max_s=60)
    for n in range(1, 50):
        limit = min(2 ** (n - 1), 60)
        assert 0.75 * limit <= pause_s(config, n) <= limit
    assert pause_s(config, 1, asked=30) == 30
    assert pause_s(config, 1, asked=9000) == 60


def test_urls_are_shown_without_their_secrets() -> None:
    assert shown_url("https://me:pw@example.org:8443/a/b?serviceKey=1") == "https://example.org:8443/a/b"
