"""Which changes concern which subscriptions."""

from typing import Any

import pytest
from msgspec.structs import replace

from hanmaru.hub import expand, subscriptions
from hanmaru.hub.matching import Matcher, Occurrence, Watch, concerns
from hanmaru.hub.model import DEFAULT_VOCAB, Change, Entity
from hanmaru.hub.subscriptions import TRIGGERS, Subscription
from hanmaru.hub.terms import CORE_TERMS
from hanmaru.hub.writes import Write, decide
from hanmaru.platform.access import Access, Grant
from tests.hub.notifying import EVERYTHING, document, room

T0, T1 = "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"


def sees(**grant: Any) -> Access:
    return Access(grants=(Grant(**grant),))


def made(*, access: Access = EVERYTHING, since: int = 0, **members: Any) -> Subscription:
    return subscriptions.parse(document("http://localhost/", **members), CORE_TERMS, access, "test", T0, since)


def entity(content: dict[str, Any], now: str = T0) -> Entity:
    return expand.entity(content, CORE_TERMS, now)


def written(
    operation: Any, before: dict[str, Any] | None, content: dict[str, Any] | None = None, **more: Any
) -> Change:
    """Return the change that a write makes, as the outbox carries it."""
    given = content or before
    assert given is not None
    fragment = expand.fragment(content, CORE_TERMS, T1, nulls=True) if content else None
    write = Write(operation, given["id"], T1, fragment, **more)
    change = decide(write, entity(before) if before else None).change
    assert change is not None
    return replace(change, seq=1)


CREATED = written("create", None, room(1, temperature=20))
UPDATED = written("upsert", room(1, temperature=20), room(1, temperature=21))
EXTENDED = written("upsert", room(1, temperature=20), room(1, humidity=40))
REDUCED = written("delete_attribute", room(1, temperature=20, humidity=40), attribute=DEFAULT_VOCAB + "humidity")
REPLACED = written("replace", room(1, temperature=20), room(1, humidity=40))
DELETED = written("delete", room(1, temperature=20))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (CREATED, {"entityCreated", "entityUpdated", "attributeCreated"}),
        (UPDATED, {"entityUpdated", "attributeUpdated"}),
        (EXTENDED, {"entityUpdated", "attributeCreated"}),
        (REDUCED, {"entityUpdated", "attributeDeleted"}),
        (REPLACED, {"entityUpdated", "attributeCreated", "attributeDeleted"}),
        (DELETED, {"entityDeleted"}),
    ],
    ids=["created", "updated", "extended", "reduced", "replaced", "deleted"],
)
def test_each_trigger_fires_for_its_changes_only(change: Change, expected: set[str]) -> None:
    assert {t for t in TRIGGERS if concerns(made(notificationTrigger=[t]), change)} == expected


def test_without_triggers_created_and_updated_attributes_notify() -> None:
    notified = [c for c in (CREATED, UPDATED, EXTENDED, REDUCED, DELETED) if concerns(made(), c)]
    assert notified == [CREATED, UPDATED, EXTENDED]


@pytest.mark.parametrize(
    ("change", "watched", "trigger", "expected"),
    [
        (UPDATED, "temperature", "attributeUpdated", True),
        (UPDATED, "humidity", "attributeUpdated", False),
        (EXTENDED, "temperature", "attributeCreated", False),
        (REDUCED, "humidity", "attributeDeleted", True),
        (REDUCED, "temperature", "attributeDeleted", False),
        (CREATED, "temperature", "entityCreated", True),
        (CREATED, "humidity", "entityCreated", False),
        (DELETED, "temperature", "entityDeleted", True),
        (DELETED, "humidity", "entityDeleted", False),
    ],
)
def test_watched_attributes_limit_every_trigger(change: Change, watched: str, trigger: str, expected: bool) -> None:
    assert concerns(made(watchedAttributes=[watched], notificationTrigger=[trigger]), change) is expected


PLACED = written(
    "create",
    None,
    {
        "id": "urn:ngsi-ld:Room:7",
        "type": ["Room", "Lab"],
        "scope": "/Sejong/Naseong",
        "temperature": {"type": "Property", "value": 25, "accuracy": 0.5},
        "location": {"type": "Point", "coordinates": [127.289, 36.48]},
    },
)
NEAR = {"geometry": "Point", "coordinates": [127.29, 36.48], "georel": "near;maxDistance==500"}


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"q": "temperature>24"}, True),
        ({"q": "temperature>25"}, False),
        ({"q": "temperature.accuracy<1;temperature==20..30"}, True),
        ({"q": "humidity"}, False),
        ({"scopeQ": "/Sejong/#"}, True),
        ({"scopeQ": "/Seoul/#"}, False),
        ({"geoQ": NEAR}, True),
        ({"geoQ": NEAR | {"georel": "near;maxDistance==50"}}, False),
        ({"geoQ": NEAR | {"geoproperty": "entrance"}}, False),
        ({"entities": [{"type": "Lab"}]}, True),
        ({"entities": [{"type": "Lab;Room"}]}, True),
        ({"entities": [{"type": "Lab;Hall"}]}, False),
        ({"entities": [{"type": "Hall"}, {"type": "Room", "id": "urn:ngsi-ld:Room:7"}]}, True),
        ({"entities": [{"type": "Room", "id": "urn:ngsi-ld:Room:8"}]}, False),
        ({"entities": [{"type": "Hall", "id": "urn:ngsi-ld:Room:7"}]}, False),
        ({"entities": [{"type": "Room", "idPattern": "Room:[0-9]$"}]}, True),
        ({"entities": [{"type": "Room", "idPattern": "^Room"}]}, False),
        ({"entities": [{"type": "*"}]}, True),
        ({"entities": [{"type": "*", "idPattern": "Hall"}]}, False),
        ({"watchedAttributes": ["temperature"]}, True),
        ({"watchedAttributes": ["humidity"]}, False),
    ],
)
def test_conditions_on_the_entity(members: dict[str, Any], expected: bool) -> None:
    subscription = made(**members)
    assert concerns(subscription, PLACED) is expected
    matcher = Matcher()
    matcher.put(Watch(subscription))
    assert bool(matcher.firing(Occurrence(PLACED))) is expected


def test_a_subscriber_is_not_told_what_it_may_not_see() -> None:
    temperature, humidity = DEFAULT_VOCAB + "temperature", DEFAULT_VOCAB + "humidity"
    sees_humidity = sees(attributes=frozenset({humidity}))
    assert not concerns(made(access=sees_humidity), UPDATED)
    assert not concerns(made(access=sees_humidity, watchedAttributes=["temperature"]), UPDATED)
    assert not concerns(made(access=sees_humidity, q="temperature==25"), PLACED)
    assert not concerns(made(access=sees_humidity, geoQ=NEAR), PLACED)
    assert concerns(made(access=sees(attributes=frozenset({temperature}))), UPDATED)
    assert not concerns(made(access=sees(types=frozenset({DEFAULT_VOCAB + "Hall"}))), UPDATED)
    assert not concerns(made(access=sees(scopes=("/Seoul",))), PLACED)
    assert concerns(made(access=sees(scopes=("/Sejong",))), PLACED)
    assert not concerns(made(access=Access(tenant="other")), UPDATED)


def test_changes_older_than_the_subscription_are_none_of_its_business() -> None:
    assert not concerns(made(since=1), UPDATED)
    assert concerns(made(since=0), UPDATED)


def test_a_change_asks_only_the_subscriptions_that_it_could_concern() -> None:
    matcher = Matcher()
    for n in range(250):
        matcher.put(Watch(made(entities=[{"type": f"Type{n}"}])))
        matcher.put(Watch(made(entities=[{"type": "Room", "id": f"urn:ngsi-ld:Room:{n}"}])))
        matcher.put(Watch(made(entities=[{"type": "Room"}], watchedAttributes=[f"attribute{n}"])))
        matcher.put(Watch(made(watchedAttributes=[f"attribute{n}"])))
    assert len(matcher) == 1_000
    change = written("upsert", room(1, temperature=20), room(1, temperature=21, attribute5=1))
    fired = {w.subscription.watched or w.subscription.entities[0].id for w in matcher.firing(Occurrence(change))}
    assert fired == {"urn:ngsi-ld:Room:1", (DEFAULT_VOCAB + "attribute5",)}
    assert matcher.evaluations == 3


def test_a_removed_subscription_is_asked_no_more() -> None:
    matcher, subscription = Matcher(), made()
    matcher.put(Watch(subscription))
    matcher.put(Watch(replace(subscription, watched=(DEFAULT_VOCAB + "humidity",))))
    assert not matcher.firing(Occurrence(UPDATED))
    matcher.remove(subscription.key)
    matcher.remove(subscription.key)
    assert not matcher.firing(Occurrence(UPDATED))
    assert len(matcher) == matcher.evaluations == 0
