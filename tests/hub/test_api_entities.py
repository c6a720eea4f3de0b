"""Entities and attributes over the API, by example."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from hanmaru.hub.model import DEFAULT_VOCAB
from tests.hub.api import Api, api, ids, room


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncGenerator[Api]:
    async with api(tmp_path) as made:
        yield made


LIBRARY = room(
    1,
    temperature={
        "type": "Property",
        "value": 21.5,
        "unitCode": "CEL",
        "observedAt": "2026-11-23T06:00:00Z",
        "accuracy": {"type": "Property", "value": 0.5},
    },
    isIn={"type": "Relationship", "object": "urn:ngsi-ld:Building:1"},
    name={"type": "LanguageProperty", "languageMap": {"ko": "도서관", "en": "Library"}},
    location={"type": "GeoProperty", "value": {"type": "Point", "coordinates": [127.289, 36.48]}},
)


async def test_an_entity_comes_back_as_it_went_in(hub: Api) -> None:
    created = await hub("POST", "/entities", LIBRARY)
    assert created.status == 201
    assert created.headers["location"] == "/ngsi-ld/v1/entities/urn:ngsi-ld:Room:1"
    assert await hub.get("/entities/urn:ngsi-ld:Room:1") == LIBRARY


async def test_forms(hub: Api) -> None:
    await hub.create(LIBRARY)
    simple = await hub.get("/entities/urn:ngsi-ld:Room:1", options="keyValues")
    assert simple["temperature"] == 21.5
    assert simple["isIn"] == "urn:ngsi-ld:Building:1"
    concise = await hub.get("/entities/urn:ngsi-ld:Room:1", options="concise")
    assert concise["isIn"] == {"object": "urn:ngsi-ld:Building:1"}
    assert concise["location"] == {"type": "Point", "coordinates": [127.289, 36.48]}
    assert concise["temperature"]["accuracy"] == 0.5
    korean = await hub.get("/entities/urn:ngsi-ld:Room:1", lang="ko-KR,en;q=0.5", pick="id,name")
    assert korean == {"id": LIBRARY["id"], "name": {"type": "Property", "value": "도서관", "lang": "ko"}}
    for odd in ("fr;q=much, ko", "ko-KR-x;q=1", ";q=,ko;q=0.1"):
        shown = await hub.get("/entities/urn:ngsi-ld:Room:1", lang=odd, pick="name")
        assert shown["name"]["lang"] == "ko", odd
    times = await hub.get("/entities/urn:ngsi-ld:Room:1", options="sysAttrs")
    assert times["createdAt"] == times["temperature"]["modifiedAt"]
    feature = await hub("GET", "/entities/urn:ngsi-ld:Room:1", headers={"accept": "application/geo+json"})
    assert feature.json()["geometry"] == {"type": "Point", "coordinates": [127.289, 36.48]}


async def test_concise_and_simplified_input_means_the_same(hub: Api) -> None:
    await hub.create(room(2, temperature=20, where={"type": "Point", "coordinates": [127, 36]}, flag={"value": True}))
    read = await hub.get("/entities/urn:ngsi-ld:Room:2")
    assert read["temperature"] == {"type": "Property", "value": 20}
    assert read["where"]["type"] == "GeoProperty"
    assert read["flag"] == {"type": "Property", "value": True}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"type": "Room"}, "id must be a URI"),
        ({"id": "room 1", "type": "Room"}, "id must be a URI"),
        ({"id": "urn:x:1"}, "no type"),
        (room(1, a=None), "null"),
        (room(1, a={"type": "Property"}), "has no value"),
        (room(1, a={"type": "Relationship", "object": 5}), "must be a URI"),
        (room(1, a={"type": "Colour", "value": 5}), "unknown type"),
        (room(1, a={"type": "Property", "value": 5, "observedAt": "yesterday"}), "observedAt of a"),
        (room(1, a={"type": "GeoProperty", "value": {"type": "Point", "coordinates": [200, 0]}}), "longitude"),
        (
            room(1, a={"type": "GeoProperty", "value": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}}),
            "Polygon",
        ),
        (room(1, **{"a b": 5}), "valid name"),
        ([], "JSON object"),
        (b"{", "not JSON"),
        (b"", "empty"),
    ],
)
async def test_bad_entities_are_refused_with_what_to_do(hub: Api, body: object, says: str) -> None:
    answer = await hub("POST", "/entities", body)
    assert answer.status == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.json()["detail"]


async def test_what_is_not_there_and_what_is_there_already(hub: Api) -> None:
    assert (await hub("GET", "/entities/urn:ngsi-ld:Room:9")).status == 404
    assert (await hub("DELETE", "/entities/urn:ngsi-ld:Room:9")).status == 404
    await hub.create(room(1))
    again = await hub("POST", "/entities", room(1))
    assert again.status == 409
    assert again.json()["type"].endswith("/AlreadyExists")
    assert (await hub("POST", "/entities", room(2), media="text/plain")).status == 415
    assert (await hub("GET", "/entities", type="Room", headers={"accept": "text/csv"})).status == 406


async def test_append_update_and_their_partial_answers(hub: Api) -> None:
    await hub.create(room(1, a=1, b=2))
    kept = await hub("POST", "/entities/urn:ngsi-ld:Room:1/attrs?options=noOverwrite", {"a": 9, "c": 3})
    assert kept.status == 207
    assert kept.json()["updated"] == [DEFAULT_VOCAB + "c"]
    assert kept.json()["notUpdated"][0]["attributeName"] == DEFAULT_VOCAB + "a"
    every = await hub("PATCH", "/entities/urn:ngsi-ld:Room:1/attrs", {"a": 5, "z": 1, "b": "urn:ngsi-ld:null"})
    assert every.status == 204
    assert await hub.get("/entities/urn:ngsi-ld:Room:1", options="keyValues") == room(1, a=5, c=3, z=1)


async def test_partial_attribute_update_keeps_the_rest(hub: Api) -> None:
    await hub.create(LIBRARY)
    changed = await hub("PATCH", "/entities/urn:ngsi-ld:Room:1/attrs/temperature", {"value": 25})
    assert changed.status == 204
    temperature = (await hub.get("/entities/urn:ngsi-ld:Room:1"))["temperature"]
    assert temperature["value"] == 25
    assert temperature["unitCode"] == "CEL"
    assert temperature["accuracy"]["value"] == 0.5


async def test_merge_deletes_with_the_null_urn(hub: Api) -> None:
    await hub.create(room(1, a={"type": "Property", "value": {"x": 1, "y": 2}}, b=2))
    merged = await hub("PATCH", "/entities/urn:ngsi-ld:Room:1", {"a": {"value": {"y": 3}}, "b": "urn:ngsi-ld:null"})
    assert merged.status == 204
    assert await hub.get("/entities/urn:ngsi-ld:Room:1", options="keyValues") == room(1, a={"x": 1, "y": 3})


async def test_replace_and_delete(hub: Api) -> None:
    await hub.create(room(1, a=1, b=2))
    assert (await hub("PUT", "/entities/urn:ngsi-ld:Room:1", room(1, c=3))).status == 204
    assert await hub.get("/entities/urn:ngsi-ld:Room:1", options="keyValues") == room(1, c=3)
    assert (await hub("DELETE", "/entities/urn:ngsi-ld:Room:1/attrs/c")).status == 204
    assert await hub.get("/entities/urn:ngsi-ld:Room:1") == room(1)
    assert (await hub("DELETE", "/entities/urn:ngsi-ld:Room:1")).status == 204
    assert (await hub("GET", "/entities/urn:ngsi-ld:Room:1")).status == 404


async def test_instances_by_dataset(hub: Api) -> None:
    speeds = [
        {"type": "Property", "value": 50},
        {"type": "Property", "value": 55, "datasetId": "urn:ngsi-ld:Dataset:gps"},
    ]
    await hub.create(room(1, speed=speeds))
    assert (await hub.get("/entities/urn:ngsi-ld:Room:1"))["speed"] == speeds
    gps = await hub.get("/entities/urn:ngsi-ld:Room:1", datasetId="urn:ngsi-ld:Dataset:gps")
    assert gps["speed"]["value"] == 55
    await hub("DELETE", "/entities/urn:ngsi-ld:Room:1/attrs/speed?datasetId=urn:ngsi-ld:Dataset:gps")
    assert (await hub.get("/entities/urn:ngsi-ld:Room:1"))["speed"] == speeds[0]


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("temperature>21", [2, 3]),
        ("temperature==20..21", [0, 1]),
        ("temperature==20,23", [0, 3]),
        ("temperature!=20", [1, 2, 3]),
        ('name=="room 1"', [1]),
        ('name~="[12]$"', [1, 2]),
        ('name!~="[12]$"', [0, 3]),
        ('sign[ko]=="방 1"', [1]),
        ('sign[*]~="^방 [23]"', [2, 3]),
        ("open==true", [0, 2]),
        ("open", [0, 2]),
        ("(temperature<21|temperature>22);open", [0]),
        ("temperature.accuracy>=0.3", [3]),
        ('address[city]=="Sejong"', [0, 1, 2, 3]),
        ("address[floor]>=2", [2, 3]),
        ("tags==2", [2]),
        ("isIn==urn:ngsi-ld:Building:1", [1, 3]),
        ("temperature.observedAt>2026-11-23T02:00:00Z", [3]),
        ("since<2026-01-03T09:00:00%2B09:00".replace("%2B", "+"), [0, 1]),
        ("nothing>1", []),
    ],
)
async def test_query_language(hub: Api, q: str, found: list[int]) -> None:
    await hub.create(
        *(
            room(
                n,
                temperature={
                    "type": "Property",
                    "value": 20 + n,
                    "observedAt": f"2026-11-23T0{n}:00:00Z",
                    "accuracy": n / 10,
                },
                name=f"room {n}",
                sign={"type": "LanguageProperty", "languageMap": {"ko": f"방 {n}", "en": f"room {n}"}},
                address={"type": "Property", "value": {"city": "Sejong", "floor": n}},
                tags=[n, "x"],
                isIn={"type": "Relationship", "object": f"urn:ngsi-ld:Building:{n % 2}"},
                since=f"2026-01-0{n + 1}T00:00:00Z",
                **({"open": True} if n % 2 == 0 else {}),
            )
            for n in range(4)
        )
    )
    answer = await hub("GET", "/entities", type="Room", q=q, count="true")
    assert answer.status == 200, answer.body
    assert ids(answer.json()) == found
    assert answer.headers["ngsild-results-count"] == str(len(found))


async def test_geo_queries(hub: Api) -> None:
    await hub.create(*(room(n, location={"type": "Point", "coordinates": [127 + n / 100, 36.5]}) for n in range(5)))
    near = await hub.get(
        "/entities", type="Room", georel="near;maxDistance==1000", geometry="Point", coordinates="[127.02,36.5]"
    )
    assert ids(near) == [1, 2, 3]
    square = "[[[127.005,36],[127.025,36],[127.025,37],[127.005,37],[127.005,36]]]"
    within = await hub.get("/entities", type="Room", georel="within", geometry="Polygon", coordinates=square)
    assert ids(within) == [1, 2]
    far = await hub("GET", "/entities", type="Room", georel="near", geometry="Point", coordinates="[127,36]")
    assert far.status == 400
    assert "maxDistance" in far.json()["detail"]


async def test_pages_cover_everything_once(hub: Api) -> None:
    await hub.create(*(room(n) for n in range(25)))
    first = await hub("GET", "/entities", type="Room", limit=10, count="true")
    assert first.headers["ngsild-results-count"] == "25"
    assert 'rel="next"' in first.headers["link"]
    assert 'rel="prev"' not in first.headers["link"]
    pages = [await hub.get("/entities", type="Room", limit=10, offset=offset) for offset in (0, 10, 20)]
    assert sorted(ids([entity for page in pages for entity in page])) == list(range(25))
    last = await hub("GET", "/entities", type="Room", limit=10, offset=20)
    assert 'rel="next"' not in last.headers["link"]
    assert (await hub("GET", "/entities", type="Room", limit=0)).status == 400
    assert (await hub("GET", "/entities", type="Room", limit=-1)).status == 400
    assert (await hub("GET", "/entities")).status == 400


async def test_types_and_scopes(hub: Api) -> None:
    await hub.create(
        {"id": "urn:ngsi-ld:Room:1", "type": ["Room", "Office"], "scope": "/Sejong/Naseong"},
        {"id": "urn:ngsi-ld:Room:2", "type": "Room", "scope": ["/Sejong/Dodam", "/Public"]},
    )
    assert ids(await hub.get("/entities", type="Room;Office")) == [1]
    assert ids(await hub.get("/entities", type="(Room;Office)|Hall")) == [1]
    assert ids(await hub.get("/entities", type="Room", scopeQ="/Sejong/#")) == [1, 2]
    assert ids(await hub.get("/entities", type="Room", scopeQ="/Public")) == [2]


async def test_tenants_do_not_see_each_other(hub: Api) -> None:
    await hub.create(room(1, a=1))
    busan = {"ngsild-tenant": "busan"}
    assert (await hub("GET", "/entities/urn:ngsi-ld:Room:1", headers=busan)).status == 404
    assert (await hub("GET", "/entities", type="Room", headers=busan)).json()["type"].endswith("/NonexistentTenant")
    created = await hub("POST", "/entities", room(1, a=2), headers=busan)
    assert created.headers["ngsild-tenant"] == "busan"
    assert (await hub("GET", "/entities/urn:ngsi-ld:Room:1", headers=busan)).json()["a"]["value"] == 2
    assert (await hub.get("/entities/urn:ngsi-ld:Room:1"))["a"]["value"] == 1
    assert (await hub("GET", "/types", headers=busan)).json()["typeList"] == ["Room"]
