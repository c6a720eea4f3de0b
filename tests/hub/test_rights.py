"""What a subscription shows follows what its owner may see, down to what already waits for its receiver."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hanmaru.hub.local import Hub, open_hub
from hanmaru.hub.model import DEFAULT_VOCAB, LOCATION
from hanmaru.hub.owners import Owners
from hanmaru.hub.writes import Write
from hanmaru.platform.access import Access, Area, Grant
from tests.hub.notifying import EVERYTHING, QUICK, Receiver, eventually, notifying, receiving, room, subscribe

TEMPERATURE, HUMIDITY = DEFAULT_VOCAB + "temperature", DEFAULT_VOCAB + "humidity"
SEJONG = Area('{"type":"Polygon","coordinates":[[[127,36],[128,36],[128,37],[127,37],[127,36]]]}')


class Office:
    """Where rights are kept: what each owner may see, and how often that was asked."""

    def __init__(self) -> None:
        self.rights: dict[str, Access] = {"test": EVERYTHING}
        self.asked = 0

    def __call__(self, owner: str, tenant: str) -> Access | None:
        self.asked += 1
        return self.rights.get(owner)


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncGenerator[Hub]:
    async with open_hub(f"sqlite:///{tmp_path}/hub.db") as hub:
        hub.owners = Owners(fresh_s=0)
        yield hub


@pytest.fixture
def office(hub: Hub) -> Office:
    office = Office()
    hub.rights = office
    return office


@pytest.fixture
async def receiver() -> AsyncGenerator[Receiver]:
    async with receiving(Receiver()) as receiver:
        yield receiver


async def put(hub: Hub, *entities: dict[str, Any]) -> None:
    assert not (await hub.client(EVERYTHING).upsert(entities)).failures


def only(**grant: Any) -> Access:
    return Access(grants=(Grant(**grant),))


def shown(receiver: Receiver) -> list[dict[str, Any]]:
    return [entity for note in receiver.got for entity in note.body["data"]]


async def nothing_waits(hub: Hub) -> bool:
    return not await hub.store.waiting() and await hub.store.cursor("notifier") == await hub.store.head()


async def test_a_subscription_notifies_while_its_owner_may_see(hub: Hub, office: Office, receiver: Receiver) -> None:
    await subscribe(hub, receiver.url(), notification={"format": "keyValues"})
    async with notifying(hub):
        await put(hub, room(1, temperature=20))
        await receiver.notes(1)
        del office.rights["test"]
        await put(hub, room(2, temperature=20))
        await eventually(lambda: nothing_waits(hub))
        office.rights["test"] = Access(grants=())
        await put(hub, room(3, temperature=20))
        await eventually(lambda: nothing_waits(hub))
        office.rights["test"] = EVERYTHING
        await put(hub, room(4, temperature=20))
        await receiver.notes(2)
    assert [entity["id"][-1] for entity in shown(receiver)] == ["1", "4"]


async def test_lost_types_and_attributes_are_no_longer_shown(hub: Hub, office: Office, receiver: Receiver) -> None:
    await subscribe(hub, receiver.url(), entities=[{"type": "*"}], notification={"format": "keyValues"})
    async with notifying(hub):
        office.rights["test"] = Access(
            grants=(
                Grant(types=frozenset({DEFAULT_VOCAB + "Room"}), attributes=frozenset({TEMPERATURE})),
                Grant(types=frozenset({DEFAULT_VOCAB + "Hall"}), attributes=frozenset({HUMIDITY})),
            )
        )
        hall = {"id": "urn:ngsi-ld:Hall:1", "type": "Hall", "temperature": 5, "humidity": 6}
        lab = {"id": "urn:ngsi-ld:Lab:1", "type": "Lab", "temperature": 7}
        await put(hub, room(1, humidity=1), lab, hall, room(2, temperature=3, humidity=4))
        await receiver.until(lambda: len(shown(receiver)) == 2)
        await eventually(lambda: nothing_waits(hub))
    assert shown(receiver) == [
        {"id": "urn:ngsi-ld:Hall:1", "type": "Hall", "humidity": 6},
        {"id": "urn:ngsi-ld:Room:2", "type": "Room", "temperature": 3},
    ]


async def waiting_for(receiver: Receiver) -> None:
    """Wait until something was tried to be sent."""

    async def tried() -> bool:
        return bool(receiver.tried)

    await eventually(tried)


@pytest.mark.parametrize("throttling", [{}, {"throttling": 0.01}])
async def test_what_waits_is_sent_as_far_as_it_may_still_be_seen(
    hub: Hub, office: Office, receiver: Receiver, throttling: dict[str, Any]
) -> None:
    receiver.answers["/"] = 503
    await subscribe(hub, receiver.url(), entities=[{"type": "*"}], notification={"format": "keyValues"}, **throttling)
    async with notifying(hub):
        await put(hub, room(1, temperature=20, humidity=40))
        await put(hub, {"id": "urn:ngsi-ld:Lab:1", "type": "Lab", "temperature": 7})
        await waiting_for(receiver)
        office.rights["test"] = only(types=frozenset({DEFAULT_VOCAB + "Room"}), attributes=frozenset({TEMPERATURE}))
        receiver.answers.clear()
        await receiver.notes(1)
        await eventually(lambda: nothing_waits(hub))
    assert shown(receiver) == [{"id": "urn:ngsi-ld:Room:1", "type": "Room", "temperature": 20}]


async def test_what_waits_is_dropped_with_the_right(hub: Hub, office: Office, receiver: Receiver) -> None:
    receiver.answers["/"] = 503
    await subscribe(hub, receiver.url())
    async with notifying(hub):
        for n in range(5):
            await put(hub, room(n, temperature=n))
        await waiting_for(receiver)
        del office.rights["test"]
        receiver.answers.clear()
        await eventually(lambda: nothing_waits(hub))
    assert receiver.got == []


async def test_the_condition_on_a_lost_attribute_cannot_be_told_by_what_waits(
    hub: Hub, office: Office, receiver: Receiver
) -> None:
    receiver.answers["/"] = 503
    await subscribe(
        hub, receiver.url(), q="humidity>50|temperature>50", notificationTrigger=["entityDeleted", "attributeCreated"]
    )
    async with notifying(hub):
        await put(hub, room(1, temperature=20, humidity=60), room(2, temperature=60, humidity=60))
        await hub.store.write(EVERYTHING, [Write("delete", "urn:ngsi-ld:Room:1", "2026-11-23T00:00:00Z")])
        await waiting_for(receiver)
        office.rights["test"] = only(attributes=frozenset({TEMPERATURE}))
        receiver.answers.clear()
        await eventually(lambda: nothing_waits(hub))
    assert [entity["id"][-1] for entity in shown(receiver)] == ["2"]


async def test_what_waits_goes_out_whole_where_a_hidden_place_bounds_what_is_seen(
    hub: Hub, office: Office, receiver: Receiver
) -> None:
    office.rights["test"] = only(attributes=frozenset({TEMPERATURE}), area=SEJONG)
    receiver.answers["/"] = 503
    await subscribe(hub, receiver.url(), notification={"format": "keyValues"})
    inside = {"type": "Point", "coordinates": [127.3, 36.5]}
    async with notifying(hub):
        await put(hub, room(1, temperature=1), room(2, temperature=2, location=inside, humidity=3))
        await waiting_for(receiver)
        office.rights["test"] = only(attributes=frozenset({TEMPERATURE}), area=SEJONG)  # the same, said again
        receiver.answers.clear()
        await receiver.notes(1)
        await eventually(lambda: nothing_waits(hub))
    assert shown(receiver) == [{"id": "urn:ngsi-ld:Room:2", "type": "Room", "temperature": 2}]
    assert LOCATION not in receiver.got[0].body["data"][0]


async def test_a_notification_whose_turn_comes_late_is_decided_again(
    hub: Hub, office: Office, receiver: Receiver
) -> None:
    """The endpoint takes one request at a time, and rights change while the second waits for its turn."""
    gate = asyncio.Event()

    async def slow() -> int:
        await gate.wait()
        return 200

    receiver.answers["/"] = slow
    for n in range(2):
        await subscribe(hub, receiver.url(), id=f"urn:ngsi-ld:Subscription:{n}", notification={"format": "keyValues"})

    async with notifying(hub, replace(QUICK, per_endpoint=1, timeout_s=10)):
        await put(hub, room(1, temperature=20, humidity=40))
        await waiting_for(receiver)
        office.rights["test"] = only(attributes=frozenset({TEMPERATURE}))
        gate.set()
        await receiver.notes(2)
        await eventually(lambda: nothing_waits(hub))
    first, second = shown(receiver)
    assert first["humidity"] == 40
    assert second == {"id": "urn:ngsi-ld:Room:1", "type": "Room", "temperature": 20}


async def test_periodic_notifications_show_what_may_be_seen_now(hub: Hub, office: Office, receiver: Receiver) -> None:
    await put(hub, room(1, temperature=20, humidity=40))
    await subscribe(hub, receiver.url(), timeInterval=0.05, notification={"format": "keyValues"})
    async with notifying(hub):
        await receiver.notes(1)
        office.rights["test"] = only(attributes=frozenset({TEMPERATURE}))
        await receiver.until(lambda: "humidity" not in shown(receiver)[-1])
        del office.rights["test"]
        asked = office.asked
        await eventually(lambda: _more(office, asked + 3))
        sent = len(receiver.tried)
        await eventually(lambda: _more(office, asked + 6))
        assert len(receiver.tried) == sent
        office.rights["test"] = EVERYTHING
        await receiver.until(lambda: len(receiver.got) > sent)
    assert shown(receiver)[-1]["humidity"] == 40


async def _more(office: Office, than: int) -> bool:
    return office.asked > than


async def test_an_owner_is_asked_for_once_in_a_while(hub: Hub, receiver: Receiver) -> None:
    hub.owners, office = Owners(), Office()
    hub.rights = office
    for n in range(20):
        await subscribe(hub, receiver.url(), id=f"urn:ngsi-ld:Subscription:{n}")
    async with notifying(hub):
        await put(hub, *(room(n, temperature=n) for n in range(20)))
        await receiver.until(lambda: len(shown(receiver)) == 400)
    assert office.asked <= 3


async def test_rights_that_cannot_be_had_are_none(hub: Hub, receiver: Receiver) -> None:
    def broken(owner: str, tenant: str) -> Access | None:
        raise OSError("accounts.db is away")

    hub.rights = broken
    await subscribe(hub, receiver.url())
    async with notifying(hub):
        await put(hub, room(1, temperature=20))
        await eventually(lambda: nothing_waits(hub))
    assert receiver.tried == []
