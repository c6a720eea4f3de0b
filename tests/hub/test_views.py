"""A city's policy as its callers meet it: one view in every kind of answer that the hub gives."""

import json
from base64 import b64encode
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from hanmaru.app import create_app
from hanmaru.config import Settings
from hanmaru.hub.contexts import Contexts
from hanmaru.platform.identity.accounts import Accounts
from hanmaru.platform.machines.machines import Machines
from hanmaru.platform.policy import cedar
from tests.asgi import Answer, ask, started
from tests.hub.api import Api

PASSWORD = "seven horses over the river"
POLICIES = """
@id("company-keeps-its-buses")
permit (principal in Role::"bus-company", action in [Action::"read", Action::"write"], resource == View::"buses");
@id("company-sees-public-air")
permit (principal in Role::"bus-company", action == Action::"read", resource == View::"public-air");
"""
VIEWS = """
[buses]
types = ["Vehicle"]
scopes = ["/transit"]
[public-air]
types = ["AirQualityObserved"]
attributes = ["pm10", "location"]
area = "south.geojson"
"""
SOUTH = {"type": "Polygon", "coordinates": [[[127, 36], [128, 36], [128, 36.5], [127, 36.5], [127, 36]]]}
BUS, TAXI, NEAR, FAR = (
    "urn:ngsi-ld:Vehicle:bus",
    "urn:ngsi-ld:Vehicle:taxi",
    "urn:ngsi-ld:Air:near",
    "urn:ngsi-ld:Air:far",
)


def entity(id: str, type: str, lat: float, **values: Any) -> dict[str, Any]:
    point = {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [127.3, lat]}}
    scope = {"scope": values.pop("scope")} if "scope" in values else {}
    at = {"observedAt": "2026-11-23T06:00:00Z"}
    properties = {name: {"type": "Property", "value": value, **at} for name, value in values.items()}
    return {"id": id, "type": type, "location": point, **scope, **properties}


CITY = [
    entity(BUS, "Vehicle", 36.4, speed=40, scope="/transit/bus"),
    entity(TAXI, "Vehicle", 36.4, speed=50, scope="/taxi"),
    entity(NEAR, "AirQualityObserved", 36.4, pm10=30, secret=7),
    entity(FAR, "AirQualityObserved", 36.7, pm10=30, secret=7),
]


class As(Api):
    """Requests by an account."""

    def __init__(self, app: Any, name: str) -> None:
        super().__init__(app)
        self.credentials = {"authorization": "Basic " + b64encode(f"{name}:{PASSWORD}".encode()).decode()}

    async def __call__(self, method: str, path: str, body: Any = None, **rest: Any) -> Answer:
        headers = {**self.credentials, **(rest.pop("headers", None) or {})}
        return await super().__call__(method, path, body, headers=headers, **rest)


@pytest.fixture
async def city(tmp_path: Path) -> AsyncGenerator[tuple[As, As]]:
    """Return the requests of a writer and of the bus company in a city with four entities."""
    policies, data = tmp_path / "policies", tmp_path / "data"
    policies.mkdir()
    (policies / "city.cedar").write_text(POLICIES)
    (policies / "views.toml").write_text(VIEWS)
    (policies / "south.geojson").write_text(json.dumps(SOUTH))
    accounts = Accounts(data)
    accounts.add("lee", PASSWORD, "writer")
    accounts.add("company", PASSWORD, "bus-company")
    accounts.close()
    async with started(create_app(Settings(data=data, policies=policies))) as app:
        writer = As(app, "lee")
        await writer.create(*CITY)
        yield writer, As(app, "company")


def ids(found: Any) -> set[str]:
    return {one["id"] for one in found}


async def test_queries_counts_and_types_are_those_of_the_views(city: tuple[As, As]) -> None:
    _, company = city
    everything = await company("GET", "/entities", local="true", count="true", type="Vehicle,AirQualityObserved")
    assert ids(everything.json()) == {BUS, NEAR}
    assert everything.headers["ngsild-results-count"] == "2"
    assert {one["id"]: set(one) - {"id", "type", "scope"} for one in everything.json()} == {
        BUS: {"location", "speed"},
        NEAR: {"location", "pm10"},
    }
    assert await company.get("/entities", type="AirQualityObserved", q="secret==7") == []
    assert ids(await company.get("/entities", type="AirQualityObserved", q="pm10==30")) == {NEAR}
    types = await company.get("/types", details="true")
    assert {one["typeName"]: set(one["attributeNames"]) for one in types} == {
        "Vehicle": {"location", "speed"},
        "AirQualityObserved": {"location", "pm10"},
    }
    assert "secret" not in json.dumps(await company.get("/attributes"))
    assert (await company("GET", "/attributes/secret")).status == 404


async def test_what_is_not_in_a_view_cannot_be_told_from_what_is_not_there(city: tuple[As, As]) -> None:
    _, company = city
    assert (await company("GET", f"/entities/{BUS}")).status == 200
    for id in (TAXI, FAR, "urn:ngsi-ld:Vehicle:none"):
        for path in (f"/entities/{id}", f"/temporal/entities/{id}"):
            answer = await company("GET", path)
            assert answer.status == 404
            assert answer.json()["title"] == "Resource not found"


async def test_history_is_that_of_the_views(city: tuple[As, As]) -> None:
    _, company = city
    span = {"timerel": "after", "timeAt": "2026-11-23T00:00:00Z"}
    found = await company.get("/temporal/entities", type="Vehicle,AirQualityObserved", **span)
    assert ids(found) == {BUS, NEAR}
    assert "secret" not in json.dumps(found)
    assert "secret" not in json.dumps(await company.get(f"/temporal/entities/{NEAR}", **span))


async def test_one_view_may_be_written_and_another_only_read(city: tuple[As, As]) -> None:
    _, company = city
    speed = {"speed": {"type": "Property", "value": 41}}
    pm10 = {"pm10": {"type": "Property", "value": 1}}
    assert (await company("PATCH", f"/entities/{BUS}/attrs", speed)).status == 204
    assert (await company("PATCH", f"/entities/{NEAR}/attrs", pm10)).status in (403, 404)
    assert (await company("PATCH", f"/entities/{TAXI}/attrs", speed)).status == 404
    assert (await company("DELETE", f"/entities/{TAXI}")).status == 404
    new = entity("urn:ngsi-ld:Vehicle:new", "Vehicle", 36.4, speed=1, scope="/taxi")
    assert (await company("POST", "/entities", new)).status == 403


async def test_a_tenant_of_others_is_not_in_any_view(city: tuple[As, As]) -> None:
    writer, company = city
    assert (await writer("POST", "/entities", CITY[1], headers={"ngsild-tenant": "other"})).status == 201
    assert ids((await company("GET", "/entities", type="Vehicle", headers={"ngsild-tenant": "other"})).json()) == set()


async def test_whoever_has_no_view_is_refused_and_it_is_written_down(city: tuple[As, As], tmp_path: Path) -> None:
    writer, _ = city
    accounts = Accounts(tmp_path / "data")
    accounts.add("nobody", PASSWORD)
    accounts.close()
    nobody = As(writer.app, "nobody")
    for method, path in (("GET", "/entities?type=Vehicle"), ("DELETE", f"/entities/{BUS}"), ("GET", "/types")):
        answer = await nobody(method, path)
        assert answer.status == 403
        assert "administrator" in answer.json()["detail"]
    lines = b"".join(path.read_bytes() for path in (tmp_path / "data" / "audit").rglob("*.log")).decode().splitlines()
    records = [json.loads(line.partition(" ")[2]) for line in lines]
    denied = [(r["action"], r["what"]) for r in records if r["who"] == "nobody" and r["decision"] == "deny"]
    assert ("write", f"DELETE /ngsi-ld/v1/entities/{BUS}") in denied
    assert sum(action == "read" for action, _ in denied) == 2


async def test_a_view_may_be_open_to_the_world(city: tuple[As, As], tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(cedar, "LOOK_AGAIN_S", -1)
    app = city[0].app
    assert (await ask(app, "/ngsi-ld/v1/entities?type=AirQualityObserved")).status == 401
    (tmp_path / "policies" / "open.cedar").write_text(
        '@id("open") permit (principal, action == Action::"read", resource == View::"public-air");'
    )
    answer = await ask(app, "/ngsi-ld/v1/entities?type=AirQualityObserved,Vehicle")
    assert ids(answer.json()) == {NEAR}
    assert (await ask(app, "/ngsi-ld/v1/entities", method="POST")).status == 401
    assert (await ask(app, "/api/account")).status == 401


async def test_the_map_shows_the_views(city: tuple[As, As]) -> None:
    _, company = city
    answer = await ask(company.app, "/api/centre/v1/layers/centre.air", headers=company.credentials)
    assert [item["id"] for item in answer.json()["items"]] == [NEAR]
    assert "secret" not in answer.body.decode()


async def test_made_up_tenants_are_not_remembered(city: tuple[As, As]) -> None:
    _, company = city
    for headers in ({"ngsild-tenant": "t" * 20_000}, {"ngsild-tenant": "two words"}, {"ngsild-tenant": "a\tb"}):
        assert (await company("GET", "/entities", type="Vehicle", headers=headers)).status == 400
        assert (await ask(company.app, "/api/centre/v1/basemap", headers=headers)).status == 400


async def test_a_token_for_some_roles_subscribes_to_no_more_than_it_sees(city: tuple[As, As], tmp_path: Path) -> None:
    machines = Machines(tmp_path / "data")
    machine = machines.add("gateway", "oauth", ["bus-company", "writer"]).machine
    narrow, whole = (
        {"authorization": f"Bearer {machines.issue_token(machine, roles)}"}
        for roles in (["bus-company"], ["bus-company", "writer"])
    )
    machines.close()
    api = Api(city[0].app)
    wanted = {
        "id": "urn:ngsi-ld:Subscription:all",
        "type": "Subscription",
        "entities": [{"type": "AirQualityObserved"}],
        "notification": {"endpoint": {"uri": "http://127.0.0.1:9/theirs"}},
    }
    refused = await api("POST", "/subscriptions", wanted, headers=narrow)
    assert refused.status == 403
    assert "more than you may" in refused.json()["detail"]
    assert (await api("POST", "/subscriptions", wanted, headers=whole)).status == 201
    elsewhere = {"notification": {"endpoint": {"uri": "http://127.0.0.1:9/mine"}}}
    assert (await api("PATCH", f"/subscriptions/{wanted['id']}", elsewhere, headers=narrow)).status == 403
    assert (await api("PATCH", f"/subscriptions/{wanted['id']}", elsewhere, headers=whole)).status == 204


async def test_who_has_not_signed_in_has_nothing_fetched(
    city: tuple[As, As], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cedar, "LOOK_AGAIN_S", 0.0)
    everybody = '@id("open-air") permit (principal, action == Action::"read", resource == View::"public-air");'
    (tmp_path / "policies" / "open.cedar").write_text(everybody)
    anybody, (writer, _) = Api(city[0].app), city
    air = {"type": "AirQualityObserved"}
    assert ids(await anybody.get("/entities", **air)) == {NEAR}
    fetched: list[str] = []

    async def fetch(self: Contexts, url: str) -> dict[str, Any]:
        fetched.append(url)
        return {"@context": {"dust": "https://uri.etsi.org/ngsi-ld/default-context/pm10"}}

    monkeypatch.setattr(Contexts, "_fetch", fetch)
    link = {"link": '<http://10.0.0.1:22/>; rel="http://www.w3.org/ns/json-ld#context"'}
    assert (await anybody("GET", "/entities", headers=link, **air)).status == 401
    query = {"type": "Query", "entities": [air], "@context": ["http://10.0.0.1:22/", {"a": "urn:a"}]}
    ld = {"content-type": "application/ld+json"}
    assert (await anybody("POST", "/entityOperations/query", query, headers=ld)).status == 401
    assert fetched == []
    assert (await writer("GET", "/entities", headers=link, **air)).status == 200
    assert fetched == ["http://10.0.0.1:22/"]
    (seen,) = (await anybody("GET", "/entities", headers=link, **air)).json()  # the hub has it now
    assert "dust" in seen
    assert len(fetched) == 1


async def test_contexts_in_contexts_end_in_a_400(city: tuple[As, As]) -> None:
    writer, _ = city
    for depth in (10, 300, 990):
        raw = b'{"type":"Query","entities":[{"type":"Vehicle"}],"@context":' + b"[" * depth + b"1" + b"]" * depth + b"}"
        headers = {**writer.credentials, "content-type": "application/ld+json"}
        answer = await ask(writer.app, "/ngsi-ld/v1/entityOperations/query", method="POST", headers=headers, body=raw)
        assert answer.status == 400, answer.body


async def test_who_writes_a_part_does_not_take_contexts_from_others(city: tuple[As, As]) -> None:
    writer, company = city
    hosted = await writer("POST", "/jsonldContexts", {"@context": {"dust": "urn:dust"}})
    path = hosted.headers["location"].removeprefix("/ngsi-ld/v1")
    assert (await company("DELETE", path)).status == 403
    assert (await company("GET", path)).status == 200
    assert (await writer("DELETE", path)).status == 204
