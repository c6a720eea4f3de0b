"""The centre's HTTP on a real hub."""

import gzip
import json
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from hanmaru.centre import api
from hanmaru.centre.live.api import MAX_HITS
from hanmaru.edge import on_problem
from hanmaru.hub.client import HubClient
from hanmaru.hub.local import open_hub
from hanmaru.platform.access import Access
from hanmaru.platform.policy import Caller
from hanmaru.platform.problems import Problem
from hanmaru.platform.services import Context
from hanmaru.platform.trust import Trust
from tests.asgi import Answer, ask
from tests.locks import locked

ID = "urn:ngsi-ld:AirQualityObserved:test:1"


def station(number: int, pm25: float, at: str | None = None) -> dict[str, Any]:
    at = at or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "id": f"urn:ngsi-ld:AirQualityObserved:test:{number}",
        "type": "AirQualityObserved",
        "name": {"type": "LanguageProperty", "languageMap": {"en": f"Station {number}", "ko": f"측정소 {number}"}},
        "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [127.28, 36.48]}},
        "pm25": {"type": "Property", "value": pm25, "observedAt": at},
    }


class Site:
    def __init__(self, hub: HubClient, folder: Path, trust: Trust) -> None:
        self.hub, self.folder = hub, folder
        context = Context(hub, folder, {"languages": ["ko", "en"], "basemap_path": str(folder)}, trust)
        self.app = Starlette(
            routes=[Mount("/c", routes=list(api.routes(context)))], exception_handlers={Problem: on_problem}
        )

    async def get(self, path: str, roles: tuple[Any, ...] = ("reader",), **headers: str) -> Answer:
        async def as_caller(scope: Any, receive: Any, send: Any) -> None:
            await self.app({**scope, "caller": Caller("somebody", roles)}, receive, send)

        return await ask(as_caller, "/c" + path, headers={k.replace("_", "-"): v for k, v in headers.items()})


@pytest.fixture
async def site(tmp_path: Path) -> AsyncGenerator[Site]:
    async with open_hub(f"sqlite:///{tmp_path / 'hub.db'}") as hub:
        with locked(tmp_path / "locks") as locks:
            yield Site(hub.client(Access(write=True)), tmp_path, locks.of("centre"))


async def test_a_layer_is_a_table_in_pages(site: Site) -> None:
    await site.hub.upsert([station(n, 50 - n) for n in range(1, 13)])
    first = (await site.get("/layers/centre.air?limit=5")).json()
    assert (first["count"], first["next"], first["seq"]) == (12, "5", await site.hub.head())
    assert first["items"][0]["id"] == ID
    assert first["items"][0]["values"]["pm25"] == 49
    assert first["items"][0]["values"]["name"] == {"languageMap": {"en": "Station 1", "ko": "측정소 1"}}
    assert "createdAt" not in first["items"][0]["values"]
    found = [item["id"].rpartition(":")[2] for item in first["items"]]
    for after in ("5", "10"):
        page = (await site.get(f"/layers/centre.air?limit=5&after={after}")).json()
        found += [item["id"].rpartition(":")[2] for item in page["items"]]
    assert found == [str(n) for n in range(1, 13)], "station 2 comes before station 10"
    assert page["next"] is None
    assert (await site.get("/layers/centre.nothing")).status == 404


async def test_a_table_is_sorted_and_narrowed(site: Site) -> None:
    nameless = {"id": "urn:ngsi-ld:AirQualityObserved:x", "type": "AirQualityObserved"}
    await site.hub.upsert([*(station(n, 50 - n) for n in range(1, 5)), nameless])

    async def numbers(query: str) -> list[str]:
        items = (await site.get(f"/layers/centre.air?{query}")).json()["items"]
        return [item["id"].rpartition(":")[2] for item in items]

    assert await numbers("sort=pm25") == ["4", "3", "2", "1", "x"]
    assert await numbers("sort=pm25&down=1") == ["1", "2", "3", "4", "x"]
    assert await numbers(f"text={quote('측정소 3')}&lang=ko") == ["3"]
    assert await numbers(f"filter={quote(json.dumps({'q': 'pm25>=48'}))}") == ["1", "2"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "after=x",
        "after=-1",
        "text=" + "x" * 101,
        "filter=x",
        "filter=" + quote('{"q": "pm25>>"}'),
        "filter=" + quote('{"minutes": -1}'),
    ],
)
async def test_a_table_refuses_what_it_does_not_understand(site: Site, query: str) -> None:
    assert (await site.get(f"/layers/centre.air?{query}")).status == 400


async def test_a_large_page_travels_packed(site: Site) -> None:
    await site.hub.upsert([station(n, n) for n in range(50)])
    answer = await site.get("/layers/centre.air", accept_encoding="gzip")
    assert answer.headers["content-encoding"] == "gzip"
    assert len(json.loads(gzip.decompress(answer.body))["items"]) == 50


async def test_history_is_the_last_hours_of_the_named_attributes(site: Site) -> None:
    await site.hub.upsert([station(1, 0)])
    now = datetime.now(UTC)
    for hours in (30, 3, 2):
        at = (now - timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")
        await site.hub.record([{"id": ID, "type": "AirQualityObserved", "pm25": [station(1, hours, at)["pm25"]]}])
    attrs = (await site.get(f"/entities/{ID}/history?attrs=pm25&hours=24")).json()["attrs"]
    assert [value for value, _ in attrs["pm25"]] == [3, 2, 0]
    assert set(attrs) == {"pm25"}
    assert (await site.get(f"/entities/{ID}/history?hours=0")).status == 400
    assert (await site.get(f"/entities/{ID}/history?hours=nan")).status == 400
    assert (await site.get("/entities/urn:none/history")).json()["attrs"] == {}


async def test_an_entity_is_whole(site: Site) -> None:
    await site.hub.upsert([station(1, 20.5)])
    assert (await site.get(f"/entities/{ID}")).json()["pm25"]["modifiedAt"]
    assert (await site.get("/entities/urn:none")).status == 404


@pytest.mark.parametrize("text", ["station 1", "측정소 1", "Observed:test:1", "tion 1"])
async def test_search_finds_by_name_in_any_language_and_by_id(site: Site, text: str) -> None:
    await site.hub.upsert([station(1, 1), station(2, 2)])
    assert [hit["id"] for hit in (await site.get(f"/search?q={quote(text)}")).json()] == [ID]


@pytest.mark.parametrize("text", ['"', "(", "[", "\\", ".*", "|", "a;b", "'", "%"])
async def test_search_takes_any_text_literally(site: Site, text: str) -> None:
    await site.hub.upsert([station(1, 1)])
    answer = await site.get(f"/search?q={quote(text)}")
    assert (answer.status, answer.json()) == (200, [])


async def test_search_is_bounded(site: Site) -> None:
    await site.hub.upsert([station(n, n) for n in range(60)])
    assert len((await site.get("/search?q=station")).json()) == MAX_HITS
    assert (await site.get("/search?q=")).status == 400
    assert (await site.get("/search?q=" + "x" * 101)).status == 400


async def test_the_basemap_is_sent_once(site: Site) -> None:
    (site.folder / "roads.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    answer = await site.get("/basemap", accept_encoding="gzip")
    assert json.loads(gzip.decompress(answer.body)) == {"roads": {"type": "FeatureCollection", "features": []}}
    assert (await site.get("/basemap")).json() == json.loads(gzip.decompress(answer.body))
    assert (await site.get("/basemap", if_none_match=answer.headers["etag"])).status == 304


@pytest.mark.parametrize(
    "path", ["/layers/centre.air", "/live", f"/entities/{ID}", f"/entities/{ID}/history", "/search?q=x", "/basemap"]
)
async def test_nothing_is_for_those_who_may_not_read(site: Site, path: str) -> None:
    assert (await site.get(path, roles=())).status == 403


@pytest.mark.parametrize(
    "query",
    [
        "tiles=x",
        "tiles=19/0/0",
        "tiles=2/4/0",
        "tiles=" + ",".join(f"9/{n}/1" for n in range(65)),
        "held=x",
        "held=9/1/1@x",
        "layers=centre.nothing",
        "ids=" + ",".join(map(str, range(17))),
        "filter=[]",
        "filter=" + quote('{"q": "pm25>>"}'),
    ],
)
async def test_a_stream_refuses_what_it_does_not_understand(site: Site, query: str) -> None:
    assert (await site.get(f"/live?{query}")).status == 400
