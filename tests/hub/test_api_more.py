"""Batch operations, history, discovery and contexts over the API, by example."""

from collections.abc import AsyncGenerator
from pathlib import Path
from urllib.parse import quote

import pytest
from aiohttp import web

from hanmaru.hub.terms import CORE_CONTEXT_URL
from tests.hub.api import Api, api, ids, room


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncGenerator[Api]:
    async with api(tmp_path) as made:
        yield made


async def test_a_batch_accepts_and_refuses_each_entity_by_itself(hub: Api) -> None:
    await hub.create(room(1, a=1))
    mixed = await hub("POST", "/entityOperations/create", [room(1), room(2), {"id": "bad", "type": "Room"}])
    assert mixed.status == 207
    assert mixed.json()["success"] == ["urn:ngsi-ld:Room:2"]
    assert {error["entityId"]: error["error"]["status"] for error in mixed.json()["errors"]} == {
        "urn:ngsi-ld:Room:1": 409,
        "bad": 400,
    }
    assert (await hub("POST", "/entityOperations/create", [])).status == 400


async def test_upsert_replaces_or_updates(hub: Api) -> None:
    first = await hub("POST", "/entityOperations/upsert", [room(1, a=1, b=1), room(2)])
    assert (first.status, first.json()) == (201, ["urn:ngsi-ld:Room:1", "urn:ngsi-ld:Room:2"])
    assert (await hub("POST", "/entityOperations/upsert?options=update", [room(1, a=2)])).status == 204
    assert await hub.get("/entities/urn:ngsi-ld:Room:1", options="keyValues") == room(1, a=2, b=1)
    assert (await hub("POST", "/entityOperations/upsert", [room(1, c=3)])).status == 204
    assert await hub.get("/entities/urn:ngsi-ld:Room:1", options="keyValues") == room(1, c=3)


async def test_batch_update_merge_delete_query(hub: Api) -> None:
    await hub.create(room(1, a=1), room(2, a=2))
    assert (await hub("POST", "/entityOperations/update", [{"id": "urn:ngsi-ld:Room:1", "b": 1}])).status == 204
    missing = await hub("POST", "/entityOperations/update", [{"id": "urn:ngsi-ld:Room:9", "b": 1}])
    assert missing.json()["errors"][0]["error"]["status"] == 404
    merged = [{"id": "urn:ngsi-ld:Room:1", "a": "urn:ngsi-ld:null"}]
    assert (await hub("POST", "/entityOperations/merge", merged)).status == 204
    found = await hub("POST", "/entityOperations/query", {"type": "Query", "entities": [{"type": "Room"}], "q": "b"})
    assert found.json() == [room(1, b={"type": "Property", "value": 1})]
    assert (await hub("POST", "/entityOperations/delete", ["urn:ngsi-ld:Room:1"])).status == 204
    assert ids(await hub.get("/entities", type="Room")) == [2]


async def test_every_change_is_history(hub: Api) -> None:
    def reading(value: int, hour: int) -> dict[str, object]:
        return {"type": "Property", "value": value, "observedAt": f"2026-11-23T{hour:02}:00:00Z"}

    await hub.create(room(1, t=reading(20, 1)))
    for hour in (2, 3, 4):
        await hub("PATCH", "/entities/urn:ngsi-ld:Room:1/attrs", {"t": reading(20 + hour, hour)})
    path = "/temporal/entities/urn:ngsi-ld:Room:1"
    whole = await hub.get(path, options="temporalValues")
    assert whole["t"]["values"] == [
        [20, "2026-11-23T01:00:00Z"],
        [22, "2026-11-23T02:00:00Z"],
        [23, "2026-11-23T03:00:00Z"],
        [24, "2026-11-23T04:00:00Z"],
    ]
    between = await hub.get(
        path,
        options="temporalValues",
        timerel="between",
        timeAt="2026-11-23T02:00:00Z",
        endTimeAt="2026-11-23T04:00:00Z",
    )
    assert [value for value, _ in between["t"]["values"]] == [22, 23]
    newest = await hub.get(path, lastN=2)
    assert [instance["value"] for instance in newest["t"]] == [23, 24]
    assert newest["t"][0]["instanceId"].startswith("urn:")
    queried = await hub.get(
        "/temporal/entities", type="Room", timerel="after", timeAt="2026-11-23T03:30:00Z", options="temporalValues"
    )
    assert queried[0]["t"]["values"] == [[24, "2026-11-23T04:00:00Z"]]
    await hub("DELETE", "/entities/urn:ngsi-ld:Room:1")
    assert len((await hub.get(path, options="temporalValues"))["t"]["values"]) == 4
    assert (await hub("DELETE", path)).status == 204


async def test_history_can_be_added_and_taken_away(hub: Api) -> None:
    values = [{"type": "Property", "value": n, "observedAt": f"2020-01-0{n}T00:00:00Z"} for n in (1, 2, 3)]
    assert (await hub("POST", "/temporal/entities", room(1, t=values))).status == 201
    assert (await hub("POST", "/temporal/entities", room(1, t=values))).status == 204  # the same again adds nothing
    path = "/temporal/entities/urn:ngsi-ld:Room:1"
    kept = (await hub.get(path))["t"]
    assert [instance["value"] for instance in kept] == [1, 2, 3]
    assert (await hub("DELETE", f"{path}/attrs/t/{kept[0]['instanceId']}")).status == 204
    assert [instance["value"] for instance in (await hub.get(path))["t"]] == [2, 3]
    assert (await hub("POST", f"{path}/attrs", {"t": values[:1]})).status == 204
    assert [instance["value"] for instance in (await hub.get(path))["t"]] == [1, 2, 3]


async def test_discovery(hub: Api) -> None:
    await hub.create(room(1, a=1, location={"type": "Point", "coordinates": [127, 36]}), room(2, b=2))
    await hub.create({"id": "urn:ngsi-ld:Hall:1", "type": "Hall", "a": 1})
    assert (await hub.get("/types"))["typeList"] == ["Hall", "Room"]
    about = await hub.get("/types/Room")
    assert about["entityCount"] == 2
    assert {d["attributeName"]: d["attributeTypes"] for d in about["attributeDetails"]} == {
        "a": ["Property"],
        "b": ["Property"],
        "location": ["GeoProperty"],
    }
    assert (await hub.get("/attributes"))["attributeList"] == ["a", "b", "location"]
    assert await hub.get("/attributes/a") == {
        "id": "https://uri.etsi.org/ngsi-ld/default-context/a",
        "type": "Attribute",
        "attributeName": "a",
        "attributeCount": 2,
        "attributeTypes": ["Property"],
        "typeNames": ["Hall", "Room"],
    }
    await hub("DELETE", "/entities/urn:ngsi-ld:Hall:1")
    assert (await hub.get("/types"))["typeList"] == ["Room"]
    assert (await hub("GET", "/types/Hall")).status == 404


async def test_user_contexts_are_fetched_once_and_kept(hub: Api, aiohttp_context: tuple[str, list[int]]) -> None:
    url, fetched = aiohttp_context
    body = {**room(1), "warmth": 5, "@context": [url, "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context.jsonld"]}
    assert (await hub("POST", "/entities", body, media="application/ld+json")).status == 201
    assert "https://example.org/warmth" in await hub.get("/entities/urn:ngsi-ld:Room:1")
    link = {"link": f'<{url}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'}
    mine = await hub("GET", "/entities/urn:ngsi-ld:Room:1", headers=link)
    assert mine.json()["warmth"]["value"] == 5
    assert url in mine.headers["link"]
    inside = await hub("GET", "/entities/urn:ngsi-ld:Room:1", headers={**link, "accept": "application/ld+json"})
    assert inside.json()["@context"] == [url, CORE_CONTEXT_URL]
    await hub("POST", "/jsonldContexts", {"@context": [url, CORE_CONTEXT_URL]})
    whole = f"http://localhost/ngsi-ld/v1/jsonldContexts/{(await hub.get('/jsonldContexts', kind='Hosted'))[0][-32:]}"
    link["link"] = f'<{whole}>; rel="http://www.w3.org/ns/json-ld#context"'
    inside = await hub("GET", "/entities/urn:ngsi-ld:Room:1", headers={**link, "accept": "application/ld+json"})
    assert inside.json()["@context"] == whole
    assert ids((await hub("GET", "/entities", headers=link, type="Room", q="warmth==5")).json()) == [1]
    assert fetched == [1]
    assert await hub.get("/jsonldContexts", kind="Cached") == [url]


async def test_a_contexts_address_is_decoded_once(hub: Api, aiohttp_context: tuple[str, list[int]]) -> None:
    url = f"{aiohttp_context[0]}?of=a%20b%2Fc"
    link = {"link": f'<{url}>; rel="http://www.w3.org/ns/json-ld#context"'}
    assert (await hub("GET", "/entities", headers=link, type="Room")).status == 200
    kept = f"/jsonldContexts/{quote(url, safe='')}"
    assert (await hub("GET", kept)).json()["@context"]["warmth"] == "ex:warmth"
    assert (await hub("DELETE", kept)).status == 204
    assert await hub.get("/jsonldContexts") == []


@pytest.fixture
async def aiohttp_context() -> AsyncGenerator[tuple[str, list[int]]]:
    fetched: list[int] = []

    async def context(request: web.Request) -> web.Response:
        fetched.append(1)
        return web.json_response({"@context": {"ex": "https://example.org/", "warmth": "ex:warmth"}})

    app = web.Application()
    app.router.add_get("/context.jsonld", context)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield f"http://127.0.0.1:{port}/context.jsonld", fetched
    await runner.cleanup()


async def test_a_context_can_be_hosted_here(hub: Api) -> None:
    context = {"@context": {"warmth": "https://example.org/warmth"}}
    added = await hub("POST", "/jsonldContexts", context)
    assert added.status == 201
    path = added.headers["location"].removeprefix("/ngsi-ld/v1")
    assert await hub.get(path) == context
    link = {"link": f'<http://localhost{added.headers["location"]}>; rel="http://www.w3.org/ns/json-ld#context"'}
    assert (await hub("POST", "/entities", room(1, warmth=5), headers=link)).status == 201
    assert "https://example.org/warmth" in await hub.get("/entities/urn:ngsi-ld:Room:1")
    assert (await hub("DELETE", path)).status == 204
    assert (await hub("GET", path)).status == 404


@pytest.mark.parametrize(
    ("context", "status", "says"),
    [
        ("http://127.0.0.1:9/none.jsonld", 504, "could not be fetched"),
        ("ftp://example.org/c", 504, "only http"),
        ({"a": 5}, 400, "not valid"),
        ({"a": {"@id": "b:c", "@container": "@nonsense"}}, 400, "not valid"),
    ],
)
async def test_contexts_that_cannot_be_used(hub: Api, context: object, status: int, says: str) -> None:
    answer = await hub("POST", "/entities", {**room(1), "@context": context}, media="application/ld+json")
    assert answer.status == status
    assert says in answer.json()["detail"]


async def test_where_a_context_may_stand(hub: Api) -> None:
    assert (await hub("POST", "/entities", room(1), media="application/ld+json")).status == 400
    assert (await hub("POST", "/entities", {**room(1), "@context": {}})).status == 400


async def test_an_attributes_history_is_deleted_by_dataset(hub: Api) -> None:
    path, of = "/temporal/entities/urn:ngsi-ld:Room:1", "2026-11-23T00:00:0{}Z"

    def seen(n: int, dataset: str | None) -> dict[str, object]:
        instance = {"type": "Property", "value": n, "observedAt": of.format(n)}
        return instance | ({"datasetId": dataset} if dataset else {})

    await hub("POST", "/temporal/entities", room(1, t=[seen(1, None), seen(2, "urn:d:1"), seen(3, "urn:d:2")]))

    async def values() -> list[int]:
        found = (await hub.get(path))["t"]
        return [instance["value"] for instance in (found if isinstance(found, list) else [found])]

    assert (await hub("DELETE", f"{path}/attrs/t?datasetId=urn:d:1")).status == 204
    assert await values() == [1, 3]
    assert (await hub("DELETE", f"{path}/attrs/t?datasetId=urn:d:1")).status == 404
    assert (await hub("DELETE", f"{path}/attrs/t")).status == 204
    assert await values() == [3]
    assert (await hub("DELETE", f"{path}/attrs/t?deleteAll=true")).status == 204
    assert "t" not in await hub.get(path)
