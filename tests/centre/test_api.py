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


async def test_a_layer_is_compact_geojson_with_its_sequence_number(site: Site) -> None:
    await site.hub.upsert([station(1, 20.5), station(2, 30)])
    answer = await site.get("/layers/centre.air")
    document = answer.json()
    assert document["seq"] == await site.hub.head()
    assert document["truncated"] is False
    feature = document["features"][0]
    assert (feature["id"], feature["geometry"]["type"]) == (ID, "Point")
    assert feature["properties"]["pm25"] == 20.5
    assert feature["properties"]["name"] == {"languageMap": {"en": "Station 1", "ko": "측정소 1"}}
    assert "createdAt" not in feature["properties"]
    assert (await site.get("/layers/centre.nothing")).status == 404


async def test_a_layer_of_many_pages_is_whole(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "PAGE", 3)
    await site.hub.upsert([station(n, n) for n in range(7)])
    features = (await site.get("/layers/centre.air")).json()["features"]
    assert len({feature["id"] for feature in features}) == 7


async def test_a_large_layer_travels_packed(site: Site) -> None:
    await site.hub.upsert([station(n, n) for n in range(50)])
    answer = await site.get("/layers/centre.air", accept_encoding="gzip")
    assert answer.headers["content-encoding"] == "gzip"
    assert len(json.loads(gzip.decompress(answer.body))["features"]) == 50


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
    assert len((await site.get("/search?q=station")).json()) == api.MAX_HITS
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


async def test_a_wrong_sequence_number_is_refused(site: Site) -> None:
    assert (await site.get("/live?after=x")).status == 400
