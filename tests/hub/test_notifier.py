"""Notifications as receivers get them: content, order, retries, throttling, and what stops them."""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hanmaru.hub.local import Hub, open_hub
from hanmaru.hub.model import DEFAULT_VOCAB
from hanmaru.hub.notifier import CONSUMER
from hanmaru.hub.subscriptions import KIND
from hanmaru.hub.terms import CORE_CONTEXT_URL
from hanmaru.hub.times import micros, now
from hanmaru.hub.writes import Write
from hanmaru.platform.access import Access, Grant
from hanmaru.platform.problems import Problem
from tests.hub.notifying import (
    EVERYTHING,
    QUICK,
    Receiver,
    change,
    eventually,
    notifying,
    receiving,
    room,
    status,
    subscribe,
)

LOOPBACK = Path(__file__).with_name("loopback.pem")
"""A self-signed certificate for 127.0.0.1 with its key, made for these tests and of no use anywhere else."""


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncGenerator[Hub]:
    async with open_hub(f"sqlite:///{tmp_path}/hub.db") as hub:
        yield hub


@pytest.fixture
async def receiver() -> AsyncGenerator[Receiver]:
    async with receiving(Receiver()) as receiver:
        yield receiver


async def put(hub: Hub, *entities: dict[str, Any], access: Access = EVERYTHING) -> None:
    result = await hub.client(access).upsert(entities)
    assert not result.failures


async def write(hub: Hub, operation: Any, n: int, **more: Any) -> None:
    (outcome,) = await hub.store.write(EVERYTHING, [Write(operation, f"urn:ngsi-ld:Room:{n}", now(), **more)])
    assert not isinstance(outcome, Exception), outcome


async def waiting(hub: Hub) -> int:
    return sum(number for _, _, number in await hub.store.waiting())


async def test_a_notification_has_the_standard_shape(hub: Hub, receiver: Receiver) -> None:
    headers = [{"key": "Authorization", "value": "Bearer secret"}]
    made = await subscribe(hub, receiver.url(), endpoint={"receiverInfo": headers})
    async with notifying(hub):
        await put(hub, room(1, temperature={"type": "Property", "value": 20, "observedAt": "2026-01-01T00:00:00Z"}))
        (note,) = await receiver.notes(1)
    assert note.body.pop("id").startswith("urn:ngsi-ld:Notification:")
    assert note.body.pop("notifiedAt").endswith("Z")
    assert note.body == {
        "type": "Notification",
        "subscriptionId": made.id,
        "data": [
            {
                "id": "urn:ngsi-ld:Room:1",
                "type": "Room",
                "temperature": {"type": "Property", "value": 20, "observedAt": "2026-01-01T00:00:00Z"},
            }
        ],
    }
    assert note.headers["Content-Type"] == "application/json"
    assert note.headers["Link"].startswith(f'<{CORE_CONTEXT_URL}>; rel="http://www.w3.org/ns/json-ld#context"')
    assert note.headers["Authorization"] == "Bearer secret"
    assert "NGSILD-Tenant" not in note.headers


@pytest.mark.parametrize(
    ("notification", "expected"),
    [
        ({"format": "keyValues"}, {"id": "urn:ngsi-ld:Room:1", "type": "Room", "temperature": 20, "humidity": 40}),
        (
            {"format": "concise", "attributes": ["temperature"]},
            {"id": "urn:ngsi-ld:Room:1", "type": "Room", "temperature": 20},
        ),
        ({"format": "simplified", "pick": ["id", "humidity"]}, {"id": "urn:ngsi-ld:Room:1", "humidity": 40}),
        ({"format": "simplified", "omit": ["humidity", "type"]}, {"id": "urn:ngsi-ld:Room:1", "temperature": 20}),
    ],
)
async def test_formats_and_projections(
    hub: Hub, receiver: Receiver, notification: dict[str, Any], expected: dict[str, Any]
) -> None:
    await subscribe(hub, receiver.url(), notification=notification)
    async with notifying(hub):
        await put(hub, room(1, temperature=20, humidity=40))
        (note,) = await receiver.notes(1)
    assert note.body["data"] == [expected]


async def test_system_times_languages_and_datasets(hub: Hub, receiver: Receiver) -> None:
    dataset = "urn:ngsi-ld:Dataset:1"
    await subscribe(hub, receiver.url(), notification={"sysAttrs": True}, lang="ko", datasetId=[dataset, "@none"])
    values = [{"type": "Property", "value": v, "datasetId": d} for v, d in ((1, dataset), (2, dataset + "2"))]
    name = {"type": "LanguageProperty", "languageMap": {"en": "lab", "ko": "실험실"}}
    async with notifying(hub):
        await put(hub, room(1, temperature=values, name=name))
        (note,) = await receiver.notes(1)
    (entity,) = note.body["data"]
    assert entity["createdAt"] == entity["temperature"]["modifiedAt"]
    assert entity["temperature"]["value"] == 1
    assert (entity["name"]["value"], entity["name"]["lang"]) == ("실험실", "ko")


async def test_contexts_travel_as_the_endpoint_accepts(hub: Hub, receiver: Receiver) -> None:
    context = "https://sejong.example/context.jsonld"
    body = {"body": {"@context": {"temperature": "https://sejong.example/temperature"}}}
    await hub.store.put_document("context", "", context, msgspec.json.encode(body))
    for kind in ("json", "ld+json", "geo+json"):
        endpoint = {"accept": f"application/{kind}"}
        await subscribe(hub, receiver.url(f"/{kind}"), endpoint=endpoint, jsonldContext=context)
    attribute = "https://sejong.example/temperature"
    async with notifying(hub):
        await put(hub, room(1, location={"type": "Point", "coordinates": [127, 36]}, **{attribute: 20}))
        (plain,), (linked,), (geo,) = [await receiver.notes(1, path) for path in ("/json", "/ld+json", "/geo+json")]
    assert plain.headers["Link"].startswith(f"<{context}>")
    assert "@context" not in plain.body
    assert plain.body["data"][0]["temperature"]["value"] == 20
    assert linked.body["@context"] == [context, CORE_CONTEXT_URL]
    assert linked.headers["Content-Type"] == "application/ld+json"
    assert "Link" not in linked.headers
    assert geo.headers["Content-Type"] == "application/geo+json"
    assert geo.body["data"]["type"] == "FeatureCollection"
    (feature,) = geo.body["data"]["features"]
    assert feature["geometry"] == {"type": "Point", "coordinates": [127, 36]}
    assert (feature["id"], feature["properties"]["type"]) == ("urn:ngsi-ld:Room:1", "Room")


async def test_deletions_are_told(hub: Hub, receiver: Receiver) -> None:
    await subscribe(hub, receiver.url(), notificationTrigger=["attributeDeleted", "entityDeleted"])
    owner = {"type": "Relationship", "object": "urn:ngsi-ld:Person:1"}
    async with notifying(hub):
        await put(hub, room(1, temperature=20, owner=owner))
        await write(hub, "delete_attribute", 1, attribute=DEFAULT_VOCAB + "owner")
        await write(hub, "delete", 1)
        reduced, deleted = await receiver.notes(2)
    (entity,) = reduced.body["data"]
    assert entity["owner"] == {"type": "Relationship", "object": "urn:ngsi-ld:null"}
    assert entity["temperature"]["value"] == 20
    (gone,) = deleted.body["data"]
    assert gone.pop("deletedAt").endswith("Z")
    assert gone == {"id": "urn:ngsi-ld:Room:1", "type": "Room"}


async def test_tenants_hear_of_their_own_entities(hub: Hub, receiver: Receiver) -> None:
    other = Access(tenant="sejong", write=True)
    await subscribe(hub, receiver.url("/default"))
    await subscribe(hub, receiver.url("/sejong"), access=other)
    async with notifying(hub):
        await put(hub, room(1, n=1), access=other)
        await put(hub, room(2, n=1))
        await receiver.notes(1, "/default")
        await receiver.notes(1, "/sejong")
    assert {note.path: note.ids for note in receiver.got} == {
        "/default": ["urn:ngsi-ld:Room:2"],
        "/sejong": ["urn:ngsi-ld:Room:1"],
    }
    assert receiver.at("/sejong")[0].headers["NGSILD-Tenant"] == "sejong"


async def test_hidden_attributes_are_not_shown(hub: Hub, receiver: Receiver) -> None:
    sees = Access(grants=(Grant(attributes=frozenset({DEFAULT_VOCAB + "temperature"})),))
    await subscribe(hub, receiver.url(), access=sees, notification={"format": "keyValues"})
    async with notifying(hub):
        await put(hub, room(1, temperature=20, humidity=40))
        (note,) = await receiver.notes(1)
    assert note.body["data"] == [{"id": "urn:ngsi-ld:Room:1", "type": "Room", "temperature": 20}]


async def test_changes_of_one_batch_share_a_notification(hub: Hub, receiver: Receiver) -> None:
    await subscribe(hub, receiver.url(), notification={"format": "keyValues"})
    async with notifying(hub):
        await put(hub, *(room(n, n=0) for n in range(5)), room(3, n=1))
        await receiver.until(lambda: sum(len(note.ids) for note in receiver.got) == 6)
    values = [(entity["id"][-1], entity["n"]) for note in receiver.got for entity in note.body["data"]]
    assert values == [("0", 0), ("1", 0), ("2", 0), ("3", 0), ("4", 0), ("3", 1)]


async def test_changes_before_the_subscription_are_not_told(hub: Hub, receiver: Receiver) -> None:
    await put(hub, room(1, n=1))
    await subscribe(hub, receiver.url())
    await put(hub, room(2, n=1))
    async with notifying(hub):  # its first start: a subscription has waited for the second change since it was made
        await put(hub, room(3, n=1))
        await receiver.until(lambda: sum(len(note.ids) for note in receiver.got) == 2)
    assert [id for note in receiver.got for id in note.ids] == ["urn:ngsi-ld:Room:2", "urn:ngsi-ld:Room:3"]


async def test_counters_tell_how_it_goes(hub: Hub, receiver: Receiver) -> None:
    made = await subscribe(hub, receiver.url())
    version = await hub.store.document_version(KIND)
    receiver.answers["/"] = 404
    async with notifying(hub):
        await put(hub, room(1, n=1))
        await eventually(lambda: _sent(hub, made, 1))
        failed = await status(hub, made)
        receiver.answers["/"] = 204
        await put(hub, room(1, n=2))
        await eventually(lambda: _sent(hub, made, 2))
    good = await status(hub, made)
    assert (failed.failed, failed.reason, failed.last_success) == (1, "the endpoint answered 404", None)
    assert failed.last_failure == failed.last_notification
    assert (good.sent, good.failed, good.reason) == (2, 1, None)
    assert good.last_success == good.last_notification
    assert good.last_failure == failed.last_failure
    assert await hub.store.document_version(KIND) == version


async def _sent(hub: Hub, subscription: Any, number: int) -> bool:
    return (await status(hub, subscription)).sent >= number


@pytest.mark.parametrize("answer", [400, 401, 410, 302])
async def test_a_refusal_is_not_repeated(hub: Hub, receiver: Receiver, answer: int) -> None:
    await subscribe(hub, receiver.url())
    receiver.answers["/"] = answer
    async with notifying(hub):
        await put(hub, room(1, n=1))
        await receiver.until(lambda: len(receiver.tried) == 1)
        receiver.answers["/"] = 200
        await put(hub, room(2, n=1))
        (note,) = await receiver.notes(1)
        await eventually(lambda: _none_waits(hub))
    assert note.ids == ["urn:ngsi-ld:Room:2"]
    assert len(receiver.tried) == 2


async def _none_waits(hub: Hub) -> bool:
    return await waiting(hub) == 0


@pytest.mark.parametrize("answer", [500, 503, 408, 429])
async def test_a_failure_is_repeated_in_order(hub: Hub, receiver: Receiver, answer: int) -> None:
    made = await subscribe(hub, receiver.url(), notification={"format": "keyValues"})
    receiver.answers["/"] = answer
    async with notifying(hub):
        for n in range(6):
            await put(hub, room(n % 2, n=n))
        await receiver.until(lambda: len(receiver.tried) >= 3)
        receiver.answers["/"] = 200
        await receiver.until(lambda: sum(len(note.ids) for note in receiver.got) == 6)
        await eventually(lambda: _none_waits(hub))
        await eventually(lambda: _sent(hub, made, 3))
    assert [entity["n"] for note in receiver.got for entity in note.body["data"]] == list(range(6))
    assert (await status(hub, made)).failed >= 3


async def test_a_repetition_has_the_same_id(hub: Hub) -> None:
    ids: list[str] = []

    class Deaf(Receiver):
        async def handle(self, request: Any) -> Any:
            ids.append(msgspec.json.decode(await request.read())["id"])
            self.answers["/"] = 500 if len(ids) < 3 else 200
            return await super().handle(request)

    async with receiving(Deaf()) as receiver:
        await subscribe(hub, receiver.url())
        async with notifying(hub):
            await put(hub, room(1, n=1))
            await receiver.notes(1)
    assert len(ids) == 3
    assert len(set(ids)) == 1


async def test_a_receiver_that_was_away_gets_everything_in_order(hub: Hub) -> None:
    async with receiving(Receiver()) as away:
        port = away.port
    made = await subscribe(hub, away.url(), notification={"format": "keyValues"})
    async with notifying(hub):
        for n in range(120):  # more than a lane holds in memory
            await put(hub, room(1, n=n))
        await eventually(lambda: _sent(hub, made, 2))
        assert "cannot connect" in ((await status(hub, made)).reason or "")
        async with receiving(Receiver(), port=port) as back:
            await back.until(lambda: sum(len(note.ids) for note in back.got) >= 120)
            await eventually(lambda: _none_waits(hub))
    assert [entity["n"] for note in back.got for entity in note.body["data"]] == list(range(120))


async def test_dead_and_slow_endpoints_delay_nobody(hub: Hub, receiver: Receiver) -> None:
    released = asyncio.Event()

    async def slow() -> int:
        await released.wait()
        return 200

    receiver.answers["/slow"] = slow
    for n in range(20):
        await subscribe(hub, receiver.url("/slow"), subscriptionName=f"slow {n}")
        await subscribe(hub, "http://127.0.0.1:9/", subscriptionName=f"dead {n}")
    await subscribe(hub, receiver.url("/live"), notification={"format": "keyValues"})
    async with notifying(hub):
        for n in range(30):
            await put(hub, room(1, n=n))
        await receiver.until(lambda: sum(len(note.ids) for note in receiver.at("/live")) == 30)
        assert not receiver.at("/slow")  # they are still being waited for
        assert receiver.tried.count("/slow") <= QUICK.per_endpoint
        released.set()
        await receiver.until(lambda: len(receiver.at("/slow")) >= 20)


async def test_a_slow_answer_is_a_failure_that_says_so(hub: Hub, receiver: Receiver) -> None:
    released = asyncio.Event()

    async def never() -> int:
        await released.wait()
        return 200

    receiver.answers["/"] = never
    made = await subscribe(hub, receiver.url(), endpoint={"timeout": 50, "cooldown": 60_000})
    async with notifying(hub):
        await put(hub, room(1, n=1))
        await eventually(lambda: _sent(hub, made, 1))
        released.set()
    found = await status(hub, made)
    assert "no answer from 127.0.0.1" in (found.reason or "")
    assert found.sent == 1
    (held,) = await hub.store.deliveries(*made.key)
    assert held.due / 1e6 > asyncio.get_running_loop().time()
    assert held.attempts == 1


async def test_throttling_tells_the_latest_state_of_each_entity(hub: Hub, receiver: Receiver) -> None:
    await subscribe(hub, receiver.url(), throttling=1, notification={"format": "keyValues"})
    async with notifying(hub):
        await put(hub, room(1, n=0))
        (first,) = await receiver.notes(1)
        for n in range(1, 40):
            await put(hub, room(n % 3, n=n))
        _, second = await receiver.notes(2)
        await eventually(lambda: _none_waits(hub))
    assert [e["n"] for e in first.body["data"]] == [0]
    assert {e["id"][-1]: e["n"] for e in second.body["data"]} == {"0": 39, "1": 37, "2": 38}
    elapsed_s = _seconds(second.body["notifiedAt"]) - _seconds(first.body["notifiedAt"])
    assert elapsed_s >= 0.99
    assert len(receiver.got) == 2


def _seconds(instant: str) -> float:
    return micros(instant) / 1e6


async def test_throttled_changes_survive_a_restart(hub: Hub, receiver: Receiver) -> None:
    made = await subscribe(hub, receiver.url(), throttling=1.5, notification={"format": "keyValues"})
    async with notifying(hub):
        await put(hub, room(1, n=0))
        await receiver.notes(1)
        await put(hub, room(1, n=1))
        await put(hub, room(2, n=2))
        await eventually(lambda: _some_wait(hub))
        await eventually(lambda: _sent(hub, made, 1))
    async with notifying(hub):
        _, second = await receiver.notes(2)
    assert [e["n"] for e in second.body["data"]] == [1, 2]
    assert _seconds(second.body["notifiedAt"]) - _seconds(receiver.got[0].body["notifiedAt"]) >= 1.49


async def _some_wait(hub: Hub) -> bool:
    return await waiting(hub) > 0


async def test_periodic_subscriptions_tell_the_present_state(hub: Hub, receiver: Receiver) -> None:
    await put(hub, *(room(n, temperature=20 + n) for n in range(5)))
    await put(hub, {"id": "urn:ngsi-ld:Hall:1", "type": "Hall", "temperature": 30})
    selectors = [{"type": "Room"}, {"type": "*", "idPattern": "Room|Hall"}]
    made = await subscribe(
        hub,
        receiver.url(),
        entities=selectors,
        timeInterval=0.2,
        q="temperature>22",
        notification={"format": "keyValues"},
    )
    async with notifying(hub):
        notes = await receiver.notes(4)
        await eventually(lambda: _sent(hub, made, 4))
    told = [sorted(entity["id"].rpartition(":")[0][12:] for entity in n.body["data"]) for n in notes[:4]]
    assert told == [["Room", "Room"], ["Hall"]] * 2  # a page of each selector, each entity once
    assert _seconds(notes[2].body["notifiedAt"]) - _seconds(notes[0].body["notifiedAt"]) >= 0.19


async def test_paused_expired_and_deleted_subscriptions_fall_silent(hub: Hub, receiver: Receiver) -> None:
    made = [await subscribe(hub, receiver.url(f"/{n}")) for n in range(4)]
    for n in range(4):
        receiver.answers[f"/{n}"] = 503
    async with notifying(hub):
        await put(hub, room(1, n=1))
        await receiver.until(lambda: len(set(receiver.tried)) == 4)
        await change(hub, made[0], is_active=False)
        await change(hub, made[1], expires_at="2020-01-01T00:00:00Z")
        await hub.store.delete_document(KIND, *made[2].key)
        await eventually(lambda: _only_last_waits(hub, made[3]))
        receiver.answers.clear()
        await receiver.notes(1, "/3")
        await put(hub, room(1, n=2))
        await receiver.notes(2, "/3")
        assert {note.path for note in receiver.got} == {"/3"}
        await change(hub, made[0], since=await hub.store.head())  # active again
        await put(hub, room(1, n=3))
        (note,) = await receiver.notes(1, "/0")
    assert note.body["data"][0]["n"]["value"] == 3


async def _only_last_waits(hub: Hub, subscription: Any) -> bool:
    return [key[1] for key in await hub.store.waiting()] == [subscription.id]


async def test_a_corrected_endpoint_is_tried_at_once(hub: Hub, receiver: Receiver) -> None:
    made = await subscribe(hub, "http://127.0.0.1:9/", endpoint={"cooldown": 3_600_000})
    async with notifying(hub):
        await put(hub, room(1, n=1))
        await eventually(lambda: _sent(hub, made, 1))
        endpoint = msgspec.structs.replace(made.notification.endpoint, uri=receiver.url())
        await change(hub, made, notification=msgspec.structs.replace(made.notification, endpoint=endpoint))
        await receiver.notes(1)


async def test_what_is_too_old_is_given_up(hub: Hub, receiver: Receiver) -> None:
    receiver.answers["/"] = 503
    made = await subscribe(hub, receiver.url())
    async with notifying(hub, replace(QUICK, give_up_s=0.3)):
        for n in range(20):
            await put(hub, room(1, n=n))
        await eventually(lambda: _none_waits_after(hub, made))
        receiver.answers["/"] = 200
        await put(hub, room(1, n=99))
        (note,) = await receiver.notes(1)
    assert note.body["data"][0]["n"]["value"] == 99


async def _none_waits_after(hub: Hub, subscription: Any) -> bool:
    return await _none_waits(hub) and await _sent(hub, subscription, 1)


async def test_a_certificate_that_nobody_vouches_for_is_a_failure_that_says_so(hub: Hub) -> None:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(LOOPBACK)
    async with receiving(Receiver(), tls=server) as receiver:
        made = await subscribe(hub, receiver.url())
        async with notifying(hub):
            await put(hub, room(1, n=1))
            await eventually(lambda: _sent(hub, made, 1))
        reason = (await status(hub, made)).reason or ""
        assert f"the certificate of 127.0.0.1:{receiver.port} is not trusted" in reason
        assert "self-signed certificate" in reason
        trusted = ssl.create_default_context(cafile=str(LOOPBACK))
        async with notifying(hub, replace(QUICK, ssl=trusted)):
            (note,) = await receiver.notes(1)
    assert note.ids == ["urn:ngsi-ld:Room:1"]


async def test_a_restart_goes_on_where_it_stopped(hub: Hub, receiver: Receiver) -> None:
    await subscribe(hub, receiver.url(), notification={"format": "keyValues"})
    n = 0
    for _ in range(4):
        async with notifying(hub):
            for _ in range(5):
                await put(hub, room(1, n=n))
                n += 1
        await put(hub, room(1, n=n))  # while nobody notifies
        n += 1
    async with notifying(hub):
        await receiver.until(lambda: any(e["n"] == n - 1 for note in receiver.got for e in note.body["data"]))
    told = [entity["n"] for note in receiver.got for entity in note.body["data"]]
    assert set(told) == set(range(n))
    assert sorted(told) == told  # a repetition, where there is one, comes before what follows it


async def test_the_outbox_is_trimmed_behind_the_cursor(hub: Hub, receiver: Receiver) -> None:
    await subscribe(hub, receiver.url())
    async with notifying(hub, retention_s=0.2):
        await put(hub, *(room(n, n=n) for n in range(10)))
        await eventually(lambda: _is_trimmed(hub, 10))
        assert await hub.store.cursor(CONSUMER) == 10
        await put(hub, room(1, n=99))
        await receiver.until(lambda: receiver.got[-1].body["data"][-1]["n"]["value"] == 99)


async def _is_trimmed(hub: Hub, seq: int) -> bool:
    try:
        await hub.store.changes(seq - 1)
    except Problem as problem:
        return problem.status == 410
    return False


async def test_a_deleted_instance_is_told_beside_those_that_stay(hub: Hub, receiver: Receiver) -> None:
    second = "urn:ngsi-ld:Dataset:2"
    await subscribe(hub, receiver.url(), notificationTrigger=["attributeDeleted"], notification={"sysAttrs": True})
    await subscribe(hub, receiver.url("/updates"), notificationTrigger=["attributeUpdated"])
    values = [{"type": "Property", "value": 1}, {"type": "Property", "value": 2, "datasetId": second}]
    async with notifying(hub):
        await put(hub, room(1, temperature=values))
        await write(hub, "delete_attribute", 1, attribute=DEFAULT_VOCAB + "temperature", dataset=second)
        (note,) = await receiver.notes(1)
        await put(hub, room(1, temperature=3))
        await receiver.notes(1, "/updates")
    kept, gone = note.body["data"][0]["temperature"]
    assert kept["value"] == 1
    assert "deletedAt" not in kept
    assert (gone["value"], gone["datasetId"]) == ("urn:ngsi-ld:null", second)
    assert gone["deletedAt"] == note.body["data"][0]["modifiedAt"]
    (updated,) = receiver.at("/updates")
    assert updated.body["data"][0]["temperature"]["value"] == 3
