"""Subscriptions over HTTP: what is accepted, refused, shown, changed and deleted."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from hanmaru.edge import on_problem
from hanmaru.hub.api.subscriptions import routes
from hanmaru.hub.local import Hub, open_hub
from hanmaru.hub.model import DEFAULT_VOCAB
from hanmaru.hub.owners import HIDDEN, LOST, Owners
from hanmaru.hub.subscriptions import KIND, decode
from hanmaru.platform.access import Access, Area, Grant
from hanmaru.platform.policy import Caller, caller_of
from hanmaru.platform.problems import Problem
from tests.asgi import Answer, ask
from tests.hub.notifying import EVERYTHING, document, room

BASE = "/ngsi-ld/v1/subscriptions"
ENDPOINT = "http://receiver.example/notify"
Ask = Callable[..., Awaitable[Answer]]


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncGenerator[Hub]:
    async with open_hub(f"sqlite:///{tmp_path}/hub.db") as hub:
        yield hub


@pytest.fixture
def api(hub: Hub) -> Ask:
    """Ask the subscription routes as a caller of some role."""

    def may_manage(request: Request, owner: str) -> bool:
        return caller_of(request).name == "manager"

    app = Starlette(routes=routes(hub, may_manage), exception_handlers={Problem: on_problem})

    async def call(
        method: str,
        path: str = "",
        body: Any = None,
        role: Any = "admin",
        headers: dict[str, str] | None = None,
        name: str = "somebody",
    ) -> Answer:
        async def identified(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "caller": Caller(name, (role,))}, receive, send)

        given = {"content-type": "application/json", **(headers or {})}
        return await ask(
            identified,
            BASE + path,
            method=method,
            headers=given,
            body=b"" if body is None else msgspec.json.encode(body),
        )

    return call


FULL = document(
    ENDPOINT,
    id="urn:ngsi-ld:Subscription:full",
    subscriptionName="warm rooms",
    description="Rooms of the town hall that are too warm",
    entities=[{"type": "Room", "idPattern": "^urn:ngsi-ld:Room:"}, {"type": "Hall;(Lab|Office)"}],
    watchedAttributes=["temperature"],
    notificationTrigger=["attributeUpdated", "entityDeleted"],
    q="temperature>25;address[city]==Sejong",
    geoQ={"geometry": "Point", "coordinates": [127.29, 36.48], "georel": "near;maxDistance==500"},
    scopeQ="/Sejong/#",
    lang="ko",
    isActive=True,
    expiresAt="2099-01-01T00:00:00Z",
    throttling=5,
    datasetId=["urn:ngsi-ld:Dataset:1", "@none"],
    localOnly=True,
    notification={
        "pick": ["id", "temperature"],
        "format": "concise",
        "sysAttrs": True,
        "endpoint": {
            "uri": ENDPOINT,
            "accept": "application/ld+json",
            "timeout": 2000,
            "cooldown": 5000,
            "receiverInfo": [{"key": "Authorization", "value": "Bearer secret"}],
        },
    },
)


async def test_a_subscription_is_shown_as_it_was_given(api: Ask) -> None:
    created = await api("POST", body=FULL)
    assert (created.status, created.headers["location"]) == (201, f"{BASE}/{FULL['id']}")
    shown = (await api("GET", f"/{FULL['id']}?options=sysAttrs")).json()
    assert shown.pop("createdAt") == shown.pop("modifiedAt")
    assert shown.pop("status") == "active"
    assert shown.pop("jsonldContext").startswith("https://uri.etsi.org/ngsi-ld/")
    assert shown == FULL
    assert (await api("POST", body=FULL)).status == 409
    shown["status"] = "active"  # what the hub adds may come back
    assert (await api("PATCH", f"/{FULL['id']}", shown)).status == 204


async def test_names_are_expanded_by_the_context_of_the_request(api: Ask, hub: Hub) -> None:
    context = {"warmth": "https://sejong.example/warmth", "Room": "https://sejong.example/Room"}
    body = {**document(ENDPOINT, watchedAttributes=["warmth"], q="warmth>25", entities=[{"type": "Room"}])}
    created = await api("POST", body=body | {"@context": context}, headers={"content-type": "application/ld+json"})
    id = created.headers["location"].removeprefix(BASE + "/")
    kept = decode(await hub.store.get_document(KIND, "", id) or b"")
    assert kept.watched == ("https://sejong.example/warmth",)
    assert kept.q is not None
    assert kept.q.names == {"warmth": "https://sejong.example/warmth"}
    assert kept.context == context
    shown = (await api("GET", f"/{id}")).json()
    assert shown["watchedAttributes"] == ["https://sejong.example/warmth"]
    assert shown["entities"] == [{"type": "https://sejong.example/Room"}]


async def test_an_id_is_made_where_none_is_given(api: Ask) -> None:
    created = await api("POST", body=document(ENDPOINT))
    assert created.headers["location"].startswith(BASE + "/urn:ngsi-ld:Subscription:")
    assert (await api("GET", created.headers["location"].removeprefix(BASE))).status == 200


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"type": "Subscripton"}, '"type": "Subscription"'),
        ({"watched": ["a"]}, "'watched' is no member"),
        ({"id": "no uri"}, "id must be a URI"),
        ({"entities": []}, "entities must be a list"),
        ({"entities": [{"id": "urn:a:b"}]}, "needs a type"),
        ({"entities": [{"type": "Room", "idPattern": "("}]}, "not a valid pattern"),
        ({"entities": [{"type": "(Room"}]}, "closing parenthesis"),
        ({"entities": [{"type": "Room", "typePattern": "R.*"}]}, "typePattern"),
        ({"watchedAttributes": []}, "watchedAttributes must be a list"),
        ({"notificationTrigger": ["created"]}, "'created' is none of entityCreated"),
        ({"timeInterval": 5, "throttling": 5}, "timeInterval notifies periodically"),
        ({"timeInterval": 5, "watchedAttributes": ["a"]}, "timeInterval notifies periodically"),
        ({"timeInterval": 0}, "seconds greater than 0"),
        ({"throttling": -1}, "seconds greater than 0"),
        ({"throttling": True}, "seconds greater than 0"),
        ({"q": "a>>3"}, "q="),
        ({"q": ""}, "q must be a text"),
        ({"geoQ": {"geometry": "Point", "coordinates": [0, 0]}}, "georel"),
        ({"geoQ": {"geometry": "Point", "coordinates": [0, 100], "georel": "within"}}, "coordinates"),
        ({"geoQ": {}}, "geoQ needs georel"),
        ({"scopeQ": "/a/b+"}, "scopeQ"),
        ({"isActive": "yes"}, "true or false"),
        ({"expiresAt": "tomorrow"}, "ISO 8601"),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, "in the past"),
        ({"datasetId": ["no uri"]}, "datasetId"),
        ({"jsonldContext": "here"}, "jsonldContext"),
        ({"notification": []}, "notification must be an object"),
        ({"notification": {}}, "endpoint"),
        ({"notification": {"endpoint": {}}}, "endpoint.uri"),
        ({"notification": {"format": "xml"}}, "format must be one of"),
        ({"notification": {"attributes": ["a"], "pick": ["a"]}}, "not both"),
        ({"notification": {"pick": ["a"], "omit": ["a"]}}, "picked and omitted"),
        ({"notification": {"attributes": "a"}}, "must be a list"),
        ({"endpoint": {"uri": "mqtt://broker/topic"}}, "MQTT"),
        ({"endpoint": {"uri": "ftp://host/"}}, "http or https"),
        ({"endpoint": {"uri": "http:///path"}}, "with a host"),
        ({"endpoint": {"uri": "http://host:99999/"}}, "no address"),
        ({"endpoint": {"uri": "http://me:secret@host/"}}, "receiverInfo"),
        ({"endpoint": {"uri": "http://host/\r\nX: y"}}, "with a host"),
        ({"endpoint": {"accept": "text/html"}}, "accept must be one of"),
        ({"endpoint": {"timeout": 1.5}}, "milliseconds"),
        ({"endpoint": {"receiverInfo": [{"key": "Host", "value": "x"}]}}, "'Host'"),
        ({"endpoint": {"receiverInfo": [{"key": "X", "value": "a\r\nY: b"}]}}, "one line"),
        ({"endpoint": {"receiverInfo": {"X": "a"}}}, "receiverInfo must be a list"),
        ({"endpoint": {"notifierInfo": [{"key": "MQTT-QoS", "value": "1"}]}}, "MQTT"),
    ],
)
async def test_what_cannot_work_is_refused_with_what_to_do(api: Ask, members: dict[str, Any], says: str) -> None:
    body = document(ENDPOINT) | {k: v for k, v in members.items() if k not in ("notification", "endpoint")}
    if "notification" in members:
        given = members["notification"]
        body["notification"] = given if not given or "endpoint" in given else body["notification"] | given
    if "endpoint" in members:
        body["notification"]["endpoint"] |= members["endpoint"]
    refused = await api("POST", body=body)
    assert refused.status == 400
    assert says in refused.json()["detail"]
    assert refused.json()["type"].endswith("BadRequestData")


async def test_nothing_to_watch_and_nowhere_to_notify_are_refused(api: Ask) -> None:
    nothing = {"type": "Subscription", "notification": {"endpoint": {"uri": ENDPOINT}}}
    assert "what is to be watched" in (await api("POST", body=nothing)).json()["detail"]
    nowhere = {"type": "Subscription", "entities": [{"type": "Room"}]}
    assert "where is it to be sent" in (await api("POST", body=nowhere)).json()["detail"]


async def test_show_changes_is_refused_as_not_offered(api: Ask) -> None:
    refused = await api("POST", body=document(ENDPOINT, notification={"showChanges": True}))
    assert (refused.status, refused.json()["title"]) == (501, "Not implemented")


async def test_a_patch_replaces_and_removes_members(api: Ask) -> None:
    await api("POST", body=FULL)
    fragment = {"q": "humidity<30", "scopeQ": "urn:ngsi-ld:null", "isActive": False}
    assert (await api("PATCH", f"/{FULL['id']}", fragment)).status == 204
    shown = (await api("GET", f"/{FULL['id']}")).json()
    assert shown["q"] == "humidity<30"
    assert "scopeQ" not in shown
    assert shown["status"] == "paused"
    assert shown["watchedAttributes"] == ["temperature"]
    refused = [
        {"notification": "urn:ngsi-ld:null"},
        {"watchedAttributes": "urn:ngsi-ld:null", "entities": "urn:ngsi-ld:null"},
        {"id": "urn:ngsi-ld:Subscription:other"},
        {"timeInterval": 5},
        {"nonsense": 1},
    ]
    for fragment in refused:
        assert (await api("PATCH", f"/{FULL['id']}", fragment)).status == 400
    assert (await api("GET", f"/{FULL['id']}")).json() == shown
    assert (await api("PATCH", "/urn:ngsi-ld:Subscription:none", {"q": "a"})).status == 404


async def test_a_subscription_that_is_made_active_again_forgets_what_happened_meanwhile(api: Ask, hub: Hub) -> None:
    await api("POST", body=FULL | {"isActive": False})
    await hub.client(EVERYTHING).upsert([room(1, temperature=20), room(2, temperature=20)])
    await api("PATCH", f"/{FULL['id']}", {"description": "still paused"})
    assert decode(await hub.store.get_document(KIND, "", FULL["id"]) or b"").since == 0
    await api("PATCH", f"/{FULL['id']}", {"isActive": True})
    assert decode(await hub.store.get_document(KIND, "", FULL["id"]) or b"").since == await hub.store.head() == 2


async def test_lists_have_pages_and_counts(api: Ask) -> None:
    for n in range(5):
        await api("POST", body=document(ENDPOINT, id=f"urn:ngsi-ld:Subscription:{n}"))
    page = await api("GET", "?limit=2&offset=2&count=true")
    assert [s["id"] for s in page.json()] == ["urn:ngsi-ld:Subscription:2", "urn:ngsi-ld:Subscription:3"]
    assert page.headers["ngsild-results-count"] == "5"
    assert 'rel="next"' in page.headers["link"]
    assert 'rel="prev"' in page.headers["link"]
    assert 'rel="next"' not in (await api("GET", "?limit=2&offset=4")).headers["link"]
    assert (await api("GET", "?limit=0")).status == 400
    assert (await api("GET", "?limit=0&count=true")).json() == []


async def test_tenants_have_their_own_subscriptions(api: Ask) -> None:
    sejong, id = {"NGSILD-Tenant": "sejong"}, FULL["id"]
    assert (await api("POST", body=FULL, headers=sejong)).headers["ngsild-tenant"] == "sejong"
    assert (await api("GET", f"/{id}")).status == 404
    assert (await api("GET")).json() == []
    assert (await api("GET", f"/{id}", headers=sejong)).status == 200
    assert (await api("GET", headers={"NGSILD-Tenant": "nowhere"})).status == 404


async def test_a_deleted_subscription_is_gone(api: Ask) -> None:
    await api("POST", body=FULL)
    assert (await api("DELETE", f"/{FULL['id']}")).status == 204
    assert (await api("DELETE", f"/{FULL['id']}")).status == 404
    assert (await api("GET", f"/{FULL['id']}")).status == 404


async def test_a_subscription_is_there_for_its_owner(api: Ask) -> None:
    await api("POST", body=FULL)
    one = f"/{FULL['id']}"
    assert (await api("GET", one, name="other")).status == 404
    assert (await api("PATCH", one, {"isActive": False}, name="other")).status == 404
    assert (await api("DELETE", one, name="other")).status == 404
    listed = await api("GET", "?count=true", name="other")
    assert (listed.json(), listed.headers["ngsild-results-count"]) == ([], "0")
    assert (await api("GET", one)).json()["isActive"] is True
    assert (await api("PATCH", one, {"isActive": False}, role="reader")).status == 403


async def test_who_manages_subscriptions_pauses_and_deletes_those_of_others(api: Ask) -> None:
    await api("POST", body=FULL)
    one = f"/{FULL['id']}"
    (shown,) = (await api("GET", name="manager")).json()
    assert shown["notification"]["endpoint"]["receiverInfo"] == [{"key": "Authorization"}]
    elsewhere = {"notification": {"endpoint": {"uri": "http://manager.example/"}}}
    assert (await api("PATCH", one, elsewhere, name="manager")).status == 403
    assert (await api("PATCH", one, {"type": "Subscription", "isActive": False}, name="manager")).status == 204
    mine = (await api("GET", one)).json()
    assert (mine["status"], mine["notification"]["endpoint"]["uri"]) == ("paused", ENDPOINT)
    assert mine["notification"]["endpoint"]["receiverInfo"][0]["value"] == "Bearer secret"
    assert (await api("DELETE", one, name="manager")).status == 204


async def test_a_subscription_without_rights_says_so(api: Ask, hub: Hub) -> None:
    hub.owners = Owners(fresh_s=0)
    may: list[Access] = [EVERYTHING]
    hub.rights = lambda owner, tenant: may[0] if may else None
    await api("POST", body=FULL)

    async def shown() -> tuple[str, str | None, str]:
        subscription = (await api("GET", f"/{FULL['id']}")).json()
        n = subscription["notification"]
        return subscription["status"], n.get("status"), n.get("lastErrorReason", "")

    assert await shown() == ("active", None, "")
    may[0] = Access(grants=(Grant(types=frozenset({DEFAULT_VOCAB + "Bus"})),))
    assert await shown() == ("paused", "failed", HIDDEN)
    may.clear()
    assert await shown() == ("paused", "failed", LOST)
    assert (await api("POST", body=document(ENDPOINT))).status == 403
    may.append(EVERYTHING)
    assert await shown() == ("active", None, "")


async def test_the_subscriber_keeps_the_access_it_had(api: Ask, hub: Hub) -> None:
    await api("POST", body=FULL, headers={"NGSILD-Tenant": "sejong"})
    kept = decode(await hub.store.get_document(KIND, "sejong", FULL["id"]) or b"")
    assert (kept.owner, kept.access.tenant, kept.access.write) == ("somebody", "sejong", True)
    assert kept.watched == (DEFAULT_VOCAB + "temperature",)


async def test_a_subscription_stored_before_accesses_were_unions_keeps_its_bounds(api: Ask, hub: Hub) -> None:
    await api("POST", body=FULL)
    stored = msgspec.json.decode(await hub.store.get_document(KIND, "", FULL["id"]) or b"")
    stored["access"] = {
        "tenant": "",
        "types": ["urn:x:Room"],
        "scopes": ["/Sejong"],
        "attributes": None,
        "area": {"geometry": "{}"},
        "write": True,
    }
    bounds = Grant(frozenset({"urn:x:Room"}), ("/Sejong",), None, Area("{}"))
    assert decode(msgspec.json.encode(stored)).access == Access("", (bounds,), True)
    stored["access"] = {"tenant": "", "types": None, "scopes": None, "attributes": None, "area": None, "write": False}
    assert decode(msgspec.json.encode(stored)).access == Access()
