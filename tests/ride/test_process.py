"""A dispatcher's process: what it decides survives it, and is decided once."""

import asyncio
import fcntl
import os
from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from hanmaru.platform.problems import Problem
from hanmaru.ride.dispatch import process
from hanmaru.ride.dispatch import settings as files
from hanmaru.ride.dispatch.client import Client
from hanmaru.ride.dispatch.process import LOCK, only
from hanmaru.ride.dispatch.server import Server
from hanmaru.ride.domain import RideError
from hanmaru.ride.engine.state import ON
from tests.ride.room import ZONE, Desk, dispatching, replica, settle


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return settle(tmp_path / "ride")


@pytest.fixture
async def desk(folder: Path) -> AsyncGenerator[Desk]:
    async with dispatching(folder) as desk:
        yield desk


async def test_a_rider_is_carried_from_the_call_to_the_end(desk: Desk) -> None:
    trip = await desk.book(3, 30)
    assert trip["state"] in ("booked", "on-way", "arriving")
    van = trip["van"]["id"]
    plan = await desk.ask("driver", van=van)
    first = plan["stops"][0]
    assert [a["request"] for a in first["actions"]] == [trip["id"]]
    assert first["actions"][0]["code"] == trip["code"]
    done = await desk.act(van, {"kind": "arrived", "stop": first["stop"]["id"]})
    assert done["plan"]["van"]["status"] == "at-stop"
    done = await desk.act(van, {"kind": "boarded", "request": trip["id"]})
    assert [rider["request"] for rider in done["plan"]["aboard"]] == [trip["id"]]
    assert (await desk.ask("trip", id=trip["id"], rider="rider-a"))["state"] == "aboard"
    last = done["plan"]["stops"][0]
    done = await desk.act(van, {"kind": "arrived", "stop": last["key"]}, {"kind": "alighted", "request": trip["id"]})
    assert len(done["applied"]) == 2
    over = await desk.ask("trip", id=trip["id"], rider="rider-a")
    assert over["state"] == "done"
    assert [note["what"] for note in over["log"]] == ["offered", "booked", "boarded", "alighted"]
    figures = await desk.ask("figures", hours=1)
    assert figures["served"] == 1


async def test_what_comes_again_is_decided_once(desk: Desk) -> None:
    first = await desk.call(3, 30, key="rider-a again")
    second = await desk.call(5, 9, key="rider-a again")
    assert second["id"] == first["id"]
    offer = first["offers"][0]["id"]
    booked = [
        await desk.ask("accept", key="rider-a take", rider="rider-a", id=first["id"], offer=offer) for _ in range(2)
    ]
    assert booked[0]["promise"] == booked[1]["promise"]
    van = (await desk.ask("fleet"))["vans"][0]["id"]
    said = {"id": "once", "at_s": int(desk.operation.now()), "kind": "arrived", "stop": desk.stops[1].id}
    assert (await desk.ask("actions", van=van, actions=[said]))["applied"] == ["once"]
    assert (await desk.ask("actions", van=van, actions=[said]))["already"] == ["once"]


async def test_riders_see_their_own_trips_and_no_others(desk: Desk) -> None:
    trip = await desk.book(3, 30, rider="rider-a")
    assert [t["id"] for t in (await desk.ask("trips", rider="rider-a", active=True))["trips"]] == [trip["id"]]
    assert (await desk.ask("trips", rider="rider-b", active=True))["trips"] == []
    for ask in ("trip", "cancel"):
        others = {} if ask == "trip" else {"key": "rider-b x", "reason": ""}
        with pytest.raises(Problem) as error:
            await desk.ask(ask, id=trip["id"], rider="rider-b", **others)
        assert error.value.status == 404


async def test_a_call_that_cannot_be_served_says_why(desk: Desk) -> None:
    trip = await desk.call(3, 30, max_walk_m=0)
    assert trip["state"] == "refused"
    assert trip["reason"]["code"] == "no-origin-stop"
    assert {"en", "ko"} <= trip["reason"]["text"].keys()
    trip = await desk.call(3, 30, seats=40)
    assert trip["reason"]["code"] == "too-large"
    assert (await desk.ask("trips", rider="rider-a", active=True))["trips"] == []
    assert len((await desk.ask("trips", rider="rider-a", active=False))["trips"]) == 2


async def test_a_ride_is_booked_for_tomorrow_and_no_van_drives_at_night(folder: Path) -> None:
    toml = folder / files.FILE
    toml.write_text(toml.read_text().replace('["00:00", "24:00"]', '["06:00", "22:00"]'))
    async with dispatching(folder) as desk:
        midnight = datetime.now(ZONE).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        for hour, state in ((8, "offered"), (21, "offered"), (3, "refused"), (23, "refused")):
            at_s = int((midnight + timedelta(hours=hour)).timestamp())
            trip = await desk.call(3, 30, earliest_s=at_s)
            assert trip["state"] == state, hour
        assert trip["reason"]["code"] == "closed"
        operation = desk.operation
        for hours, works in ((-1.5, False), (3.0, False), (6.1, True)):
            now_s = (midnight + timedelta(hours=hours)).timestamp()
            if now_s > operation.now():
                operation._clock = lambda now_s=now_s: now_s  # pyright: ignore[reportPrivateUsage]
                operation.tick(now_s)
                vans = operation.state.vans  # opened at night, a service has its vans wait for their first shift
                working = (vans.status == ON) & (vans.shift_from_s <= now_s) & (now_s < vans.shift_to_s)
                assert set(working.tolist()) == {works}


async def test_another_process_goes_on_where_this_one_ended(folder: Path) -> None:
    async with dispatching(folder) as desk:
        trips = [await desk.book(3 * n + 1, 38 - n) for n in range(6)]
        await desk.ask("cancel", key="rider-a c", rider="rider-a", id=trips[5]["id"], reason="")
        desk.operation.tick(desk.operation.now())
        desk.operation.journal.snapshot(desk.operation.state.seq, desk.operation.state.dumps())
        await desk.book(2, 31, rider="rider-b")
        await desk.operation.journal.durable()
        before = desk.operation.dispatcher.digest()
        every = replica(folder)  # follows while the other one still works
        every.follow()
        assert every.dispatcher.digest() == before
        every.reader.close()
    async with dispatching(folder) as desk:
        open_now = (await desk.ask("trips", rider="rider-a", active=True))["trips"]
        assert {t["id"] for t in open_now} == {t["id"] for t in trips[:5]}
        assert [t["promise"] for t in sorted(open_now, key=lambda t: t["id"])] == [
            t["promise"] for t in sorted(trips[:5], key=lambda t: t["id"])
        ]
        again = await desk.ask("cancel", key="rider-a c", rider="rider-a", id=trips[5]["id"], reason="")
        assert again["state"] == "cancelled"


async def test_all_events_and_a_snapshot_with_the_rest_give_the_same_state(folder: Path) -> None:
    async with dispatching(folder) as desk:
        for n in range(5):
            await desk.book(2 * n + 1, 39 - n)
        half = desk.operation.state.seq, desk.operation.state.dumps()
        for n in range(5):
            await desk.book(2 * n + 2, 30 - n)
        await desk.operation.journal.durable()
        from_all = replica(folder)
        from_all.follow()
        desk.operation.journal.snapshot(*half)
        await desk.operation.journal.durable()
        from_half = replica(folder)
        assert from_half.dispatcher.state.seq == half[0]
        from_half.follow()
        assert from_all.dispatcher.digest() == from_half.dispatcher.digest() == desk.operation.dispatcher.digest()
        from_all.reader.close()
        from_half.reader.close()


async def test_other_vans_begin_anew_and_tell_who_was_booked(folder: Path) -> None:
    async with dispatching(folder) as desk:
        trip = await desk.book(3, 30)
    toml = folder / files.FILE
    toml.write_text(toml.read_text().replace("count = 3", "count = 2"))
    async with dispatching(folder) as desk:
        assert (await desk.ask("trips", rider="rider-a", active=True))["trips"] == []
        over = await desk.ask("trip", id=trip["id"], rider="rider-a")
        assert over["state"] == "broken"
        assert over["reason"]["code"] == "override"
        assert len((await desk.ask("fleet"))["vans"]) == 2
        await desk.book(3, 30, key="rider-a later")


async def test_only_one_works_and_the_other_follows_until_the_lock_is_free(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "TRY_S", 0.01)
    held = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT)
    fcntl.flock(held, fcntl.LOCK_EX)
    async with dispatching(folder) as desk:
        standby = replica(folder)
        got = asyncio.Event()

        async def wait() -> None:
            async with only(folder, standby):
                got.set()

        waiting = asyncio.create_task(wait())
        trip = await desk.book(3, 30)
        while trip["id"] not in standby.dispatcher.state.requests.slots:  # noqa: ASYNC110 - the other follows a file
            await asyncio.sleep(0.01)
        assert not got.is_set()
        os.close(held)
        await asyncio.wait_for(got.wait(), 10)
        await waiting
        standby.reader.close()


async def test_calls_under_way_are_answered_by_the_next_dispatcher(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[str] = []

    def server(name: str, silent: bool) -> Server:
        def decide(method: str, params: dict[str, object]) -> tuple[bytes, "asyncio.Future[None]"]:
            answers.append(name)
            durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            if not silent:
                durable.set_result(None)
            return name.encode(), durable

        return Server(folder, decide)

    first, second = server("first", True), server("second", False)
    await first.open()
    client = Client(folder)
    calls = [asyncio.create_task(client.call("anything")) for _ in range(20)]
    while len(answers) < 20:  # noqa: ASYNC110 - what the server is asked
        await asyncio.sleep(0.01)
    await first.close()  # it decided, and died before that was on disk
    await second.open()
    assert await asyncio.gather(*calls) == [b"second"] * 20
    await second.close()
    monkeypatch.setattr("hanmaru.ride.dispatch.client.WAIT_S", 0.2)
    with pytest.raises(Problem) as error:
        await client.call("anything")
    assert error.value.status == 503
    assert error.value.extra["retry_after_s"]
    await client.close()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("count = 3", "count = 3\ncolour = 1"), "colour"),
        (("driver-{n}", "driver"), "two vans have the driver 'driver'"),
        (("stops = 60", "stops = 60\npromise = { max_weight_s = 1 }"), "promise has no 'max_weight_s'"),
        (('"24:00"]', '"25:00"]'), "hours"),
        (("128.085, 37.088], ", "128.085, 37.088]], x = [["), "area|x"),
        (("[128.085, 37.112]]", "[128.085, 99]]"), "area"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused_by_name(folder: Path, change: tuple[str, str], words: str) -> None:
    path = folder / files.FILE
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(RideError, match=words):
        files.load(folder)
