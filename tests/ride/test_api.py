"""The room over HTTP: a rider, a driver and the desk at a real application, with a dispatcher beside it."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from starlette.applications import Starlette

from hanmaru.app import create_app
from hanmaru.composition import job_apart, open_hub
from hanmaru.config import Settings
from hanmaru.hub.client import Query
from hanmaru.platform.identity.accounts import Accounts
from hanmaru.ride import entities
from hanmaru.ride.dispatch.journal import FILE
from tests.asgi import Answer, ask, started
from tests.ride.room import settle

PASSWORD = "seven horses over the river"
PEOPLE = {"minji": "rider", "junho": "rider", "driver-1": "driver", "hana": "dispatcher", "office": "transit-authority"}


class House:
    """People who ask the application."""

    def __init__(self, app: Starlette, folder: Path) -> None:
        self.app, self.folder = app, folder

    async def say(self, who: str, method: str, path: str, body: object = None, **headers: str) -> Answer:
        credentials = b64encode(f"{who}:{PASSWORD}".encode()).decode()
        given = {"authorization": f"Basic {credentials}", **{k.replace("_", "-"): v for k, v in headers.items()}}
        sent = b"" if body is None else msgspec.json.encode(body)
        return await ask(self.app, f"/api/ride/v1{path}", method=method, headers=given, body=sent)

    async def get(self, who: str, path: str, **headers: str) -> Any:
        answer = await self.say(who, "GET", path, **headers)
        assert answer.status == 200, answer.body
        return answer.json()

    async def call(self, who: str, start: int = 3, goal: int = 30, **others: Any) -> Answer:
        stops = (await self.get(who, "/stops"))["stops"]
        ends = [{"lon": s["lon"], "lat": s["lat"]} for s in (stops[start], stops[goal])]
        return await self.say(who, "POST", "/requests", {"from": ends[0], "to": ends[1], **others})

    async def book(self, who: str, start: int = 3, goal: int = 30) -> Any:
        trip = (await self.call(who, start, goal)).json()
        taken = await self.say(who, "POST", f"/requests/{trip['id']}/accept", {"offer": trip["offers"][0]["id"]})
        assert taken.status == 200, taken.body
        return taken.json()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[House]:
    data = tmp_path_factory.mktemp("house")
    settings = Settings(data=data, city="hanbit", services=("ride",))
    folder = settle(data / "services" / "ride")
    accounts = Accounts(data)
    for name, role in PEOPLE.items():
        accounts.add(name, PASSWORD, role)
    accounts.close()
    app = create_app(settings)
    async with started(app), open_hub(settings) as hub, AsyncExitStack() as closing:
        job = asyncio.create_task(job_apart(settings, hub, closing, "ride-dispatcher").run())
        made = House(app, folder)
        while (await made.say("minji", "GET", "/service")).status == 503:
            assert not job.done()
        yield made
        job.cancel()
        with suppress(asyncio.CancelledError):
            await job


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_service_describes_itself_to_all_who_use_it(house: House) -> None:
    for who in ("minji", "driver-1", "hana", "office"):
        service = await house.get(who, "/service")
        assert service["name"]["ko"] == "한빛 부름버스"
        assert service["zone"]["type"] == "Polygon"
    stops = (await house.get("minji", "/stops"))["stops"]
    west = (await house.get("minji", "/stops?bbox=128.085,37.088,128.1,37.112"))["stops"]
    assert 0 < len(west) < len(stops)
    assert all(stop["lon"] <= 128.1 for stop in west)
    found = (await house.get("minji", "/search?q=shops"))["places"]
    assert all("shops" in place["name"]["en"].casefold() for place in found)
    assert (await house.say("minji", "GET", "/stops?bbox=1,2")).status == 400
    assert (await house.say("minji", "GET", "/search?q=")).status == 400


async def test_a_ride_is_called_taken_and_seen_by_its_rider_alone(house: House) -> None:
    answer = await house.call("minji", when="now", seats=2)
    assert answer.status == 201
    trip = answer.json()
    assert trip["state"] == "offered"
    assert {"pickup", "dropoff", "fare", "expires_at", "kind"} <= trip["offers"][0].keys()
    offer = trip["offers"][0]["id"]
    taken = await house.say("minji", "POST", f"/requests/{trip['id']}/accept", {"offer": offer})
    assert taken.json()["promise"]["pickup"]["stop"] == trip["offers"][0]["pickup"]["stop"]
    assert [t["id"] for t in (await house.get("minji", "/requests?active=1"))["trips"]] == [trip["id"]]
    for method, path, body in (
        ("GET", f"/requests/{trip['id']}", None),
        ("POST", f"/requests/{trip['id']}/accept", {"offer": offer}),
        ("POST", f"/requests/{trip['id']}/cancel", {"reason": ""}),
    ):
        assert (await house.say("junho", method, path, body)).status == 404
    over = await house.say("minji", "POST", f"/requests/{trip['id']}/cancel")
    assert over.json()["state"] == "cancelled"
    again = await house.say("minji", "POST", f"/requests/{trip['id']}/cancel")
    assert again.status == 409


async def test_a_request_with_the_key_of_another_is_that_one(house: House) -> None:
    stops = (await house.get("junho", "/stops"))["stops"]
    body = {name: {"lon": s["lon"], "lat": s["lat"]} for name, s in (("from", stops[2]), ("to", stops[20]))}
    twice = [await house.say("junho", "POST", "/requests", body, idempotency_key="0b5c") for _ in range(2)]
    assert twice[0].json()["id"] == twice[1].json()["id"]
    other = await house.say("minji", "POST", "/requests", body, idempotency_key="0b5c")
    assert other.json()["id"] != twice[0].json()["id"]
    for who, trip in (("junho", twice[0]), ("minji", other)):
        await house.say(who, "POST", f"/requests/{trip.json()['id']}/decline")


@pytest.mark.parametrize(
    "body",
    [
        {"from": {"lon": 128.1, "lat": 37.1}},
        {"from": {"lon": 1e9, "lat": 37.1}, "to": {"lon": 128.1, "lat": 37.1}},
        {"from": {"lon": 128.1, "lat": 37.1}, "to": {"lon": 128.1, "lat": 37.1}, "seats": 0},
        {"from": {"lon": 128.1, "lat": 37.1}, "to": {"lon": 128.1, "lat": 37.1}, "seats": 50},
        {"from": {"lon": 128.1, "lat": 37.1}, "to": {"lon": 128.1, "lat": 37.1}, "when": {"depart_at": "noon"}},
        {"from": {"lon": 128.1, "lat": 37.1}, "to": {"lon": 128.1, "lat": 37.1}, "when": {"later": "x"}},
        {"from": {"lon": 128.1, "lat": 37.1}, "to": {"lon": 128.1, "lat": 37.1}, "colour": "red"},
        [],
    ],
)
async def test_what_is_no_request_is_refused_with_what_to_send(house: House, body: object) -> None:
    answer = await house.say("minji", "POST", "/requests", body)
    assert answer.status == 400
    assert answer.json()["detail"]


async def test_a_driver_sees_one_van_and_says_what_happened_later(house: House) -> None:
    assert (await house.say("driver-1", "GET", "/driver?van=van-2")).status == 403
    assert (await house.say("hana", "GET", "/driver?van=van-2")).status == 403  # dispatching is no driving
    plan = await house.get("driver-1", "/driver")
    assert plan["van"]["id"] == "van-1"
    trips = [await house.book("junho", n, 30 - n) for n in (1, 4)]
    plan = await house.get("driver-1", "/driver")
    known = {action["request"] for stop in plan["stops"] for action in stop["actions"]}
    assert known <= {trip["id"] for trip in trips}
    stops = (await house.get("driver-1", "/stops"))["stops"]
    said = [
        {"id": "p", "at": "2026-01-01T00:00:00Z", "kind": "position", "lon": stops[0]["lon"], "lat": stops[0]["lat"]},
        {"id": "a", "at": "2026-01-01T00:00:01Z", "kind": "arrived", "stop": stops[0]["id"]},
        {"id": "b", "at": "2026-01-01T00:00:02Z", "kind": "boarded", "request": "r-nobody"},
    ]
    told = (await house.say("driver-1", "POST", "/driver/actions", {"actions": said})).json()
    assert told["applied"] == ["p", "a"]
    assert [(one["id"], one["reason"]["code"]) for one in told["refused"]] == [("b", "gone")]
    told = (await house.say("driver-1", "POST", "/driver/actions", {"actions": said})).json()
    assert told["already"] == ["a"]
    assert told["plan"]["van"]["stop"]["id"] == stops[0]["id"]
    for trip in trips:
        await house.say("junho", "POST", f"/requests/{trip['id']}/cancel")


async def test_the_desk_sees_the_fleet_and_no_names_without_a_purpose(house: House) -> None:
    assert (await house.say("minji", "PUT", "/me", {"name": "김민지", "phone": "010-1234-5678"})).status == 200
    trip = await house.book("minji")
    fleet = await house.get("office", "/fleet")
    assert [van["id"] for van in fleet["vans"]] == ["van-1", "van-2", "van-3"]
    assert fleet["figures"]["waiting"] == 1
    rows = (await house.get("hana", f"/trips?q={trip['id']}"))["trips"]
    assert [row["id"] for row in rows] == [trip["id"]]
    listed = msgspec.json.encode([rows, fleet, await house.get("hana", "/log")]).decode()
    assert "김민지" not in listed
    assert "minji" not in listed
    person = f"/trips/{trip['id']}/person"
    assert (await house.say("office", "GET", person, hanmaru_purpose="curious")).status == 403
    assert (await house.say("hana", "GET", person)).status == 400
    told = await house.get("hana", person, hanmaru_purpose="lost bag")
    assert told == {"account": "minji", "name": "김민지", "phone": "010-1234-5678"}
    files = [path for path in (house.folder.parents[1] / "audit").rglob("*") if path.is_file()]
    trail = b"".join(path.read_bytes() for path in files)
    assert b'"ride.person"' in trail
    assert b"lost bag" in trail
    kept = b"".join(path.read_bytes() for path in house.folder.glob("*.db*"))
    assert "김민지".encode() not in kept
    assert b"minji" not in kept
    entries = (await house.get("hana", "/log"))["entries"]
    assert {"Requested", "Offered", "Accepted"} <= {entry["kind"] for entry in entries}
    await house.say("minji", "POST", f"/requests/{trip['id']}/cancel")


async def test_the_desk_decides_otherwise(house: House) -> None:
    trip = await house.book("minji")
    told = await house.say("hana", "POST", "/override", {"kind": "hold", "van": "van-2", "reason": "washing"})
    assert [event["kind"] for event in told.json()["events"]] == ["Overridden"]
    vans = {van["id"]: van["status"] for van in (await house.get("hana", "/fleet"))["vans"]}
    assert vans["van-2"] == "held"
    assert (await house.say("office", "POST", "/override", {"kind": "release", "van": "van-2"})).status == 403
    assert (await house.say("hana", "POST", "/override", {"kind": "release", "van": "van-9"})).status == 404
    assert (await house.say("hana", "POST", "/override", {"kind": "release", "van": "van-2"})).status == 200
    assert (await house.say("hana", "POST", "/override", {"kind": "cancel", "request": trip["id"]})).status == 200
    assert (await house.get("minji", f"/requests/{trip['id']}"))["state"] == "cancelled"


async def test_a_rider_leaves_and_is_nobody_any_more(house: House) -> None:
    trip = await house.book("junho")
    assert (await house.say("junho", "DELETE", "/me")).status == 409
    await house.say("junho", "POST", f"/requests/{trip['id']}/cancel")
    assert (await house.get("junho", "/requests"))["trips"]
    assert (await house.say("junho", "DELETE", "/me")).status == 204
    assert (await house.get("junho", "/requests"))["trips"] == []
    assert (await house.say("hana", "GET", f"/trips/{trip['id']}")).status == 404


async def test_streams_begin_with_the_present_and_tell_what_changes(house: House) -> None:
    from hanmaru.ride.api.live import FleetFeed, driver_stream, trips_stream
    from hanmaru.ride.api.room import Room
    from hanmaru.ride.dispatch.client import Client

    room = Room.__new__(Room)
    room.client, room._ground = Client(house.folder), None  # pyright: ignore[reportPrivateUsage]
    fleet, driver = FleetFeed(room).stream(), driver_stream(room, "van-1").body_iterator
    seen: list[dict[str, Any]] = []
    async for part in fleet:
        assert isinstance(part, bytes)
        if b"event: fleet" in part:
            seen.append(msgspec.json.decode(part.partition(b"data: ")[2].partition(b"\n")[0]))
            await house.call("minji", 5, 25)
        if len(seen) == 2:
            break
    assert seen[0]["full"]
    assert len(seen[0]["vans"]) == 3
    assert not seen[1]["full"]
    async for part in driver:
        if b"event: plan" in bytes(part, "ascii") if isinstance(part, str) else b"event: plan" in part:
            break
    trip = await house.book("minji")
    rider = msgspec.json.decode(await room.client.call("rider_of", id=trip["id"]))["rider"]
    states: list[str] = []
    async for part in trips_stream(room, rider).body_iterator:
        assert isinstance(part, bytes)
        for event in part.split(b"\n\n"):
            if b"event: trip" in event:
                told = msgspec.json.decode(event.partition(b"data: ")[2])
                if told["id"] == trip["id"] and (not states or states[-1] != told["state"]):
                    states.append(told["state"])
        if states and len(states) == 1:
            await house.say("minji", "POST", f"/requests/{trip['id']}/cancel")
        if states[-1:] == ["cancelled"]:
            break
    assert len(states) == 2
    await room.client.close()


async def test_the_hub_is_told_of_vans_stops_and_figures_and_of_no_rider(house: House) -> None:
    settings = Settings(data=house.folder.parents[1], city="hanbit", services=("ride",))
    async with open_hub(settings) as hub, AsyncExitStack() as closing:
        from hanmaru.platform.services import Context

        context: Any = Context(hub.client, house.folder, {}, None, closing)  # type: ignore[arg-type]
        task = asyncio.create_task(entities.publish(context))
        while not await hub.client.query(Query(type="DemandResponsiveService")):
            assert not task.done()
            await asyncio.sleep(0.05)
        vans = await hub.client.query(Query(type="DemandResponsiveVehicle"), simplified=True)
        assert {van["vehiclePlateIdentifier"] for van in vans} == {"70바 1001", "70바 1002", "70바 1003"}
        assert all(van["location"]["type"] == "Point" and 0 <= van["occupancy"] <= 1 for van in vans)
        stops = await hub.client.query(Query(type="VirtualStop"), simplified=True)
        assert len(stops) == len((await house.get("minji", "/stops"))["stops"])
        every = msgspec.json.encode([vans, stops, await hub.client.query(Query(type="DemandResponsiveService"))])
        assert b"rider" not in every.replace(b"ridersPerVehicleHour", b"")
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert (house.folder / FILE).exists()
