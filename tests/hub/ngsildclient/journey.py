"""What a user of ngsildclient does with a broker, by its documentation; run by its own interpreter. Argument: port."""

import sys
from datetime import UTC, datetime

from ngsildclient import Client, Entity

client = Client(hostname="127.0.0.1", port=int(sys.argv[1]), verbose=False)
assert client.is_connected()

room = Entity("Room", "Room:1").prop("temperature", 21.5, observedat=datetime(2026, 11, 23, tzinfo=UTC))
room.prop("name", "Library").loc((36.48, 127.289)).rel("isIn", "Building:1")
assert client.create(room)
assert client.exists(room)
read = client.get("urn:ngsi-ld:Room:1")
assert read["temperature"]["value"] == 21.5, read
assert read["location"]["value"]["coordinates"] == [127.289, 36.48], read

read["temperature"]["value"] = 25.0
assert client.upsert(read)
assert client.get(room)["temperature"]["value"] == 25.0
read["temperature"]["value"] = 26.0
assert client.update(read)

rooms = [Entity("Room", f"Room:{n}").prop("temperature", float(n)) for n in range(2, 40)]
created = client.batch.create(rooms)
assert created.ok, created.errors
assert created.n_ok == 38, created
again = client.batch.create(rooms[:3])
assert again.n_err == 3, again
assert client.upsert(rooms).ok
assert client.batch.update(rooms, overwrite=False).n_tot == 38

assert client.entities.count(type="Room") == 39
assert len(client.query(type="Room", limit=10)) == 39
assert {entity.id for entity in client.query(type="Room", q="temperature>=37")} == {
    "urn:ngsi-ld:Room:37",
    "urn:ngsi-ld:Room:38",
    "urn:ngsi-ld:Room:39",
}
asked = {"type": "Query", "entities": [{"type": "Room"}], "q": "temperature<5"}
assert len(client.alt.query(asked)) == 3

assert "Room" in client.types.list(), client.types.list()

history = client.temporal.get("urn:ngsi-ld:Room:1")
values = [value for value, _ in history["temperature"]["values"]]
assert values[-1] == 26.0, history
assert client.temporal.query(type="Room", lastn=1)

context = {"@context": {"warmth": "https://example.org/warmth"}}
client.contexts.add(context)
assert client.contexts.list()

client.subscriptions.create(
    {
        "type": "Subscription",
        "entities": [{"type": "Room"}],
        "watchedAttributes": ["temperature"],
        "notification": {"endpoint": {"uri": "http://127.0.0.1:9/never", "accept": "application/json"}},
        "@context": "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context.jsonld",
    }
)
(subscription,) = client.subscriptions.list()
assert subscription["watchedAttributes"] == ["temperature"], subscription
client.subscriptions.purge()
assert client.subscriptions.list() == []

with Client(hostname="127.0.0.1", port=int(sys.argv[1]), tenant="sejong", verbose=False) as tenant:
    assert tenant.create(Entity("Room", "Room:1").prop("temperature", 1.0))
    assert tenant.get("urn:ngsi-ld:Room:1")["temperature"]["value"] == 1.0
assert client.get("urn:ngsi-ld:Room:1")["temperature"]["value"] == 26.0

assert client.delete(room)
assert not client.exists(room)
assert client.batch.delete(rooms).n_ok == 38
print("every step passed")
