"""Where the standard (ETSI GS CIM 009 v1.9.1) is particular: each example names its clause."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.asgi import ask
from tests.hub.api import Api, api, room

ONE = "/entities/urn:ngsi-ld:Room:1"
CORE = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.9.jsonld"


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncGenerator[Api]:
    async with api(tmp_path) as running:
        yield running


async def test_a_final_slash_after_a_fixed_name_is_welcome(hub: Api) -> None:
    """6.2: /entities/, /entities/{entityId}/attrs/."""
    assert (await hub("POST", "/entities/", room(1, a=1))).status == 201
    assert (await hub("POST", f"{ONE}/attrs/", {"b": 2})).status == 204
    assert (await hub("PATCH", f"{ONE}/attrs/", {"a": 3})).status == 204
    assert await hub.get(ONE, options="keyValues") == room(1, a=3, b=2)
    assert (await hub("PATCH", "/entities/", {"a": 3})).status == 400


async def test_names_of_any_script_go_into_headers(hub: Api) -> None:
    made = await hub("POST", "/entities", {"id": "urn:방:1%2F?#", "type": "방"})
    assert made.status == 201
    assert made.headers["location"] == "/ngsi-ld/v1/entities/urn:%EB%B0%A9:1%252F%3F%23"
    unseen = await hub("POST", "/entities", {"id": "urn:room:\u200b1", "type": "Room"})
    assert unseen.status == 400


async def test_the_core_context_is_not_named_twice(hub: Api) -> None:
    """4.4, 6.3.6: the core @context is last, unless the user's own context has it."""
    headers = {"accept": "application/ld+json"}
    for own, shown in (({"a": "ex:a"}, [{"a": "ex:a"}, CORE]), ([{"a": "ex:a"}, CORE], [{"a": "ex:a"}, CORE])):
        query = {"type": "Query", "entities": [{"type": "Room"}], "@context": own}
        await hub("POST", "/entities", room(1))
        found = await hub("POST", "/entityOperations/query", query, media="application/ld+json", headers=headers)
        assert found.json()[0]["@context"] == shown


async def test_partial_success_names_iris_in_plain_json(hub: Api) -> None:
    """6.3.6: a 207 is application/json whatever is accepted, its names IRIs."""
    await hub.create(room(1, a=1))
    headers = {"accept": "application/ld+json"}
    partly = await hub("POST", f"{ONE}/attrs?options=noOverwrite", {"a": 2, "b": 3}, headers=headers)
    assert (partly.status, partly.headers["content-type"]) == (207, "application/json")
    assert partly.json()["updated"] == ["https://uri.etsi.org/ngsi-ld/default-context/b"]
    assert "link" not in partly.headers
    batch = await hub("POST", "/entityOperations/update?options=noOverwrite", [room(1, a=5)], headers=headers)
    assert (batch.status, batch.headers["content-type"]) == (207, "application/json")
    assert batch.json()["errors"][0]["entityId"] == "urn:ngsi-ld:Room:1"
    assert (await hub("POST", "/entityOperations/create", [room(2), None])).status == 400


async def test_scope_is_replaced_appended_and_deleted_but_never_partly(hub: Api) -> None:
    """5.6.2.4, 5.6.3.4, 5.6.4.4, 5.6.5.4."""
    await hub.create(room(1))
    assert (await hub("PATCH", f"{ONE}/attrs", {"scope": "/a"})).status == 207
    assert (await hub("POST", f"{ONE}/attrs", {"scope": "/a"})).status == 204
    assert (await hub("POST", f"{ONE}/attrs?options=noOverwrite", {"scope": "/b"})).status == 204
    assert (await hub.get(ONE))["scope"] == ["/a", "/b"]
    assert (await hub("PATCH", f"{ONE}/attrs", {"scope": "/c"})).status == 204
    assert len(await hub.get("/entities", scopeQ="/c")) == 1
    for method in ("PATCH", "PUT"):
        assert (await hub(method, f"{ONE}/attrs/scope", {"scope": "/d"})).status == 400
    assert (await hub("DELETE", f"{ONE}/attrs/scope")).status == 204
    assert await hub.get(ONE) == room(1)
    assert await hub.get("/entities", scopeQ="/c") == []
    assert (await hub("DELETE", f"{ONE}/attrs/scope")).status == 404


async def test_a_partial_update_keeps_the_kind_and_knows_every_null(hub: Api) -> None:
    """5.6.4.4, 5.5.4."""
    name = {"type": "LanguageProperty", "languageMap": {"ko": "방"}}
    await hub.create(room(1, name=name, a=1))
    assert (await hub("PATCH", f"{ONE}/attrs/a", {"type": "Relationship", "object": "urn:x:1"})).status == 400
    assert (await hub("PATCH", f"{ONE}/attrs/name", {"languageMap": {"@none": "urn:ngsi-ld:null"}})).status == 204
    assert (await hub("PATCH", f"{ONE}/attrs/a", {"value": "urn:ngsi-ld:null"})).status == 204
    assert await hub.get(ONE) == room(1)


async def test_a_type_selects_before_anything_is_done(hub: Api) -> None:
    """5.6.2.4, 5.6.6.4, 5.7.1.4: another type is as if there were no such entity."""
    await hub.create(room(1, a=1))
    for method, path, body in (
        ("GET", ONE, None),
        ("PATCH", f"{ONE}/attrs", {"a": 2}),
        ("PATCH", f"{ONE}/attrs/a", {"value": 2}),
        ("DELETE", f"{ONE}/attrs/a", None),
        ("DELETE", ONE, None),
    ):
        assert (await hub(method, f"{path}?type=Hall", body)).status == 404
    assert (await hub("PATCH", f"{ONE}/attrs?type=Hall,Room", {"a": 3})).status == 204
    assert await hub.get(ONE, type="Room", options="keyValues") == room(1, a=3)


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"nonsense": "1"}, "InvalidRequest"),
        ({"options": "keyValues,nonsense"}, "InvalidRequest"),
        ({"format": "nonsense"}, "InvalidRequest"),
        ({"pick": "a", "attrs": "a"}, "BadRequestData"),
        ({"omit": "a", "attrs": "a"}, "BadRequestData"),
        ({"pick": "id,a", "omit": "a"}, "BadRequestData"),
        ({"pick": "id,,a"}, "BadRequestData"),
        ({"attrs": "id"}, "BadRequestData"),
        ({"geometryProperty": "location"}, "BadRequestData"),
        ({"join": "inline"}, "OperationNotSupported"),
        ({"orderBy": "a"}, "OperationNotSupported"),
    ],
)
async def test_parameters_that_make_no_sense(hub: Api, params: dict[str, str], error: str) -> None:
    """6.3.20, 4.21, 5.7.1.4."""
    await hub.create(room(1, a=1))
    for path in (ONE, "/entities"):
        answer = await hub("GET", f"{path}?{urlencode({'type': 'Room'} | params)}")
        assert answer.status == (422 if error == "OperationNotSupported" else 400)
        assert answer.json()["type"] == f"https://uri.etsi.org/ngsi-ld/errors/{error}"


async def test_everything_here_can_be_asked_for(hub: Api) -> None:
    """6.4.3.2: local=true, or type=*, needs no other condition; a pick that leaves nothing finds nothing."""
    await hub.create(room(1, a=1), {"id": "urn:ngsi-ld:Hall:1", "type": "Hall"})
    assert len(await hub.get("/entities", local="true")) == 2
    assert len(await hub.get("/entities", type="*")) == 2
    assert (await hub("GET", "/entities")).status == 400
    assert (await hub("GET", ONE, pick="b")).status == 404


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("application/ld+json, application/json", "application/json"),
        ("application/geo+json, application/*;q=0.5", "application/geo+json"),
        ("application/json;q=0, */*", "application/ld+json"),
        ("text/csv, application/ld+json;q=oops", "application/ld+json"),
    ],
)
async def test_media_types_have_an_order(hub: Api, accept: str, media: str) -> None:
    """6.3.4."""
    await hub.create(room(1))
    assert (await hub("GET", ONE, headers={"accept": accept})).headers["content-type"] == media


async def test_geojson_carries_its_context_unless_told_otherwise(hub: Api) -> None:
    """6.3.6."""
    await hub.create(room(1))
    headers = {"accept": "application/geo+json"}
    feature = await hub("GET", ONE, headers=headers)
    assert feature.json()["@context"] == CORE
    assert "link" not in feature.headers
    bare = await hub("GET", "/entities?type=Room", headers={**headers, "prefer": "body=json"})
    assert "@context" not in bare.json()
    assert CORE in bare.headers["link"]


async def test_a_body_says_how_long_it_is(hub: Api) -> None:
    """6.3.4: a body of unknown length is a 411."""
    media = {"content-type": "application/json"}
    answer = await ask(hub.app, "/ngsi-ld/v1/entities", method="POST", headers=media, body=[b"{", b"}"])
    assert answer.status == 411


async def test_history_in_short(hub: Api) -> None:
    """4.5.9: language maps, JSON and vocabularies keep their member; 4.21, 4.5.5: pick and datasetId choose."""
    names = [{"type": "LanguageProperty", "languageMap": {"ko": "방"}, "observedAt": "2026-01-01T00:00:00Z"}]
    other = {"type": "Property", "value": 2, "datasetId": "urn:d:2", "observedAt": "2026-01-01T00:00:00Z"}
    await hub("POST", "/temporal/entities", room(1, name=names, a=[other]))
    short = await hub.get(f"/temporal{ONE}", options="temporalValues", pick="name")
    assert short == {
        "name": {"type": "LanguageProperty", "languageMaps": [[{"languageMap": {"ko": "방"}}, "2026-01-01T00:00:00Z"]]}
    }
    assert (await hub.get(f"/temporal{ONE}", datasetId="urn:d:2", pick="id,name,a")).keys() == {"id", "a"}
    assert (await hub("GET", f"/temporal{ONE}?attrs=nonsense")).status == 404
    later = await hub.get(f"/temporal{ONE}", attrs="a", timerel="after", timeAt="2027-01-01T00:00:00Z")
    assert later == room(1)


async def test_what_was_deleted_is_null_in_history_as_its_kind_writes_it(hub: Api) -> None:
    """4.5.0, 4.5.4."""
    name = {"type": "LanguageProperty", "languageMap": {"ko": "방"}}
    beside = {"type": "ListRelationship", "objectList": [{"object": "urn:x:1"}]}
    await hub.create(room(1, name=name, beside=beside))
    await hub("DELETE", f"{ONE}/attrs/name")
    await hub("DELETE", f"{ONE}/attrs/beside")
    gone = await hub.get(f"/temporal{ONE}", timeproperty="deletedAt")
    assert gone["name"][0]["languageMap"] == {"@none": "urn:ngsi-ld:null"}
    assert gone["beside"][0]["objectList"] == [{"object": "urn:ngsi-ld:null"}]
    assert (await hub.get(f"/temporal{ONE}", timeproperty="deletedAt", lang="ko"))["name"][0]["deletedAt"]


async def test_a_plus_stands_for_one_level_of_scope(hub: Api) -> None:
    """4.19."""
    for n, scope in enumerate(["/city/east/gate", "/city/west/gate/b", "/city/gate", "/city/e.st/gate"]):
        await hub.create(room(n) | {"scope": scope})
    assert len(await hub.get("/entities", scopeQ="/city/+/gate")) == 2
    assert len(await hub.get("/entities", scopeQ="/city/+/gate/#")) == 3
    assert len(await hub.get("/entities", scopeQ="/+/gate")) == 1
    assert (await hub("GET", "/entities?scopeQ=/ci%2Bty")).status == 400


async def test_a_posted_query_says_what_to_show(hub: Api) -> None:
    """5.2.23, 5.2.33: projection in the body; an id comes before an idPattern."""
    await hub.create(room(1, a=1, b=2), room(2, a=3))

    async def find(*selectors: dict[str, str], **members: object) -> Any:
        query = {"type": "Query", "entities": list(selectors), **members}
        answer = await hub("POST", "/entityOperations/query?options=keyValues", query)
        return answer.json() if answer.status == 200 else answer.status

    assert await find({"type": "Room"}, attrs=["b"]) == [room(1, b=2)]
    assert await find({"type": "Room"}, pick=["a"]) == [{"a": 1}, {"a": 3}]
    assert await find({"type": "Room"}, omit=["a", "b"]) == [room(1), room(2)]
    assert await find({"type": "Room", "id": room(2)["id"], "idPattern": "nothing"}) == [room(2, a=3)]
    assert len(await find({"type": "*"})) == 2
    assert await find({"type": "Room", "id": room(2)["id"]}, {"type": "Hall"}) == 422


async def test_only_versions_of_the_core_context_are_built_in(hub: Api) -> None:
    link = '<https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context{}.jsonld>; rel="http://www.w3.org/ns/json-ld#context"'
    for name, status in (("", 201), ("-v1.3", 201), ("-none", 504)):
        answer = await hub("POST", "/entities", room(status + len(name)), headers={"link": link.format(name)})
        assert answer.status == status


async def test_a_span_of_time_selects_entities(hub: Api) -> None:
    """4.11: what has no instance in the span does not match; bounds are inclusive below, exclusive above."""
    for n, day in enumerate(["01", "02", "03"]):
        seen = [{"type": "Property", "value": n, "observedAt": f"2026-01-{day}T00:00:00Z"}]
        await hub("POST", "/temporal/entities", room(n, a=seen))

    async def find(**span: str) -> list[str]:
        return [e["id"][-1] for e in await hub.get("/temporal/entities", type="Room", **span)]

    second = "2026-01-02T00:00:00Z"
    assert await find(timerel="after", timeAt=second) == ["1", "2"]
    assert await find(timerel="before", timeAt=second) == ["0"]
    assert await find(timerel="between", timeAt=second, endTimeAt="2026-01-03T00:00:00Z") == ["1"]
    assert await find(timerel="after", timeAt=second, attrs="a") == ["1", "2"]
    assert await find(timerel="after", timeAt=second, attrs="b") == []
