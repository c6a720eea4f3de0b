"""What somebody who means ill, or a device that errs, can do to the room: less than they would like."""

import asyncio
import struct
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from hanmaru.city.profile import load
from hanmaru.platform.limits import Rate
from hanmaru.platform.problems import Problem
from hanmaru.ride.dispatch import process, site
from hanmaru.ride.dispatch import settings as files
from hanmaru.ride.dispatch import trips as t
from hanmaru.ride.dispatch.client import Client
from hanmaru.ride.dispatch.journal import FILE, SNAPSHOTS, Entry, Reader
from hanmaru.ride.dispatch.wire import MOST_BYTES, SOCKET, address, read_frame
from hanmaru.ride.domain import RideError
from hanmaru.ride.engine import commands as c
from hanmaru.ride.engine import events as e
from hanmaru.ride.engine.dispatcher import Dispatcher
from hanmaru.ride.riders import KNOWN_S, Riders
from tests.platform.vaults import Kept, opened
from tests.ride.room import SERVICE, Desk, dispatching, settle

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOME, WORK = "우리집 현관", "가게 뒷문"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Desk]:
    async with dispatching(settle(tmp_path_factory.mktemp("attacks"))) as desk:
        yield desk


def folder_of(desk: Desk) -> Path:
    return desk.operation.reader._path.parent  # pyright: ignore[reportPrivateUsage]


def on_disk(desk: Desk) -> bytes:
    return b"".join(path.read_bytes() for path in folder_of(desk).glob("journal.db*"))


def doors(desk: Desk, start: int, goal: int, home: str) -> dict[str, Any]:
    """Two doors a little off their stops, with what their owner calls them."""
    ends = [(desk.stops[k].lon + 0.00041, desk.stops[k].lat + 0.00023) for k in (start, goal)]
    (x0, y0), (x1, y1) = ends
    return {"start": {"lon": x0, "lat": y0, "label": home}, "goal": {"lon": x1, "lat": y1, "label": WORK}}


async def ask_from_door(desk: Desk, rider: str, home: str = HOME) -> Any:
    asked = {"seats": 1, "wheelchairs": 0, "when": "now", "earliest_s": None, "arrive_by_s": None, "max_walk_m": 500}
    return await desk.ask("request", key=f"{rider} call", rider=rider, **doors(desk, 3, 30, home), **asked)


async def book_from_door(desk: Desk, rider: str) -> Any:
    trip = await ask_from_door(desk, rider)
    offer = trip["offers"][0]["id"]
    return await desk.ask("accept", key=f"{rider} take", rider=rider, id=trip["id"], offer=offer)


# ---- what is personal


async def test_the_desk_sees_stops_and_neither_doors_nor_what_riders_call_them(desk: Desk) -> None:
    trip = await book_from_door(desk, "rider-seen")
    assert trip["from"]["label"] == HOME
    told = await desk.ask("desk_trip", id=trip["id"])
    stop = told["promise"]["pickup"]["stop"]
    assert (told["from"]["lon"], told["from"]["lat"]) == pytest.approx((stop["lon"], stop["lat"]), abs=1e-6)
    assert told["code"] is None
    every = msgspec.json.encode(
        [told, await desk.ask("fleet"), await desk.ask("driver", van=trip["van"]["id"])]
    ).decode()
    assert HOME not in every
    assert "rider-seen" not in every
    await desk.ask("cancel", key="rider-seen end", rider="rider-seen", id=trip["id"], reason="")


async def test_a_ride_that_has_long_been_over_is_kept_from_stop_to_stop(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = desk.operation
    trip, open_now = await book_from_door(desk, "rider-over"), await book_from_door(desk, "rider-open")
    why = "to the clinic, as every Tuesday"
    await desk.ask("cancel", key="rider-over end", rider="rider-over", id=trip["id"], reason=why)
    assert why.encode() not in on_disk(desk)

    async def kept(id: str, after_s: float) -> t.Trip:
        with monkeypatch.context() as later:
            now = operation.now() + after_s
            later.setattr(operation, "now", lambda: now)
            for _ in range(3):
                operation.leave_doors()
        await operation.journal.durable()
        return t.decode(operation.reader.trip(id) or b"")

    assert (await kept(trip["id"], 6 * 86_400)).start.label == HOME
    over = await kept(trip["id"], 8 * 86_400)
    assert over.promise is not None
    assert (over.start.lon, over.start.lat) == operation.tracks.column(over.promise.pickup.stop)
    assert not over.start.label + over.goal.label
    assert over.promise.pickup.walk_s == 0
    assert not any(over.walks[0].values())
    assert (await kept(open_now["id"], 8 * 86_400)).start.label == HOME
    old = ("r-old", "rider-old", False, 1, msgspec.msgpack.encode({"id": "r-old", "start": HOME}))
    operation.journal.append(Entry(trips=[old], facts=[("rewritten", b"0")]))
    for _ in range(3):
        operation.leave_doors()
    await operation.journal.durable()
    assert operation.reader.trip("r-old") is None  # another version's, which nobody can read
    await desk.ask("cancel", key="rider-open end", rider="rider-open", id=open_now["id"], reason="")


async def test_events_lose_the_walks_that_lead_to_a_door_once_snapshots_hold_them(desk: Desk) -> None:
    operation = desk.operation
    trip = await book_from_door(desk, "rider-walks")
    decode = msgspec.msgpack.Decoder(e.AnyEvent).decode

    def walked() -> list[int]:
        about = [decode(body) for body in operation.reader.last_events(0, 100_000)]
        asked = [x.request for x in about if isinstance(x, e.Requested) and x.request.id == trip["id"]]
        offers = [o for x in about if isinstance(x, e.Offered) and x.id == trip["id"] for o in x.offers]
        offers += [x.offer for x in about if isinstance(x, e.Accepted) and x.id == trip["id"]]
        assert len(asked) == 1
        assert len(offers) >= 2
        return [s.walk_s for r in asked for s in (*r.origins, *r.destinations)] + [o.pickup.walk_s for o in offers]

    assert all(walked())
    await desk.ask("cancel", key="rider-walks end", rider="rider-walks", id=trip["id"], reason="")
    for n in range(SNAPSHOTS):
        await desk.call(4, 31, rider=f"rider-later-{n}")
        operation.snapshot()
    await operation.journal.durable()
    assert not any(walked())
    assert [seq for seq, _, _ in operation.reader.events(operation.reader.snapshots()[-1][0])]


async def test_who_leaves_is_in_no_file_of_the_journal(desk: Desk) -> None:
    home = "한빛로 12, 3층"
    trip = await ask_from_door(desk, "rider-leaves", home)
    with pytest.raises(Problem, match="not over"):
        await desk.ask("destroy", rider="rider-leaves")
    await desk.ask("decline", key="rider-leaves no", rider="rider-leaves", id=trip["id"])
    for said in (b"rider-leaves", home.encode()):
        assert said in on_disk(desk)
    await desk.ask("destroy", rider="rider-leaves")
    for said in (b"rider-leaves", home.encode()):
        assert said not in on_disk(desk)


async def test_files_and_the_socket_are_their_owners_alone(desk: Desk) -> None:
    folder = folder_of(desk)
    for name in (FILE, f"{FILE}-wal", SOCKET):
        assert (folder / name).stat().st_mode & 0o077 == 0, name


# ---- whose it is


async def test_a_driver_can_say_nothing_of_another_vans_rider(desk: Desk) -> None:
    trip = await desk.book(5, 33, rider="rider-mine")
    van = desk.operation.site.vans[desk.operation.trips[trip["id"]].van].id
    other = next(v.id for v in desk.operation.site.vans if v.id != van)
    said = [{"kind": kind, "request": trip["id"]} for kind in ("boarded", "alighted", "no-show")]
    told = await desk.act(other, *said)
    assert told["applied"] == []
    assert {one["reason"]["code"] for one in told["refused"]} == {"wrong-van"}
    assert trip["id"] not in msgspec.json.encode(await desk.ask("driver", van=other)).decode()
    for call in ("accept", "decline", "cancel"):
        more = {"accept": {"offer": "1"}, "decline": {}, "cancel": {"reason": ""}}[call]
        with pytest.raises(Problem, match="no such trip"):
            await desk.ask(call, key=f"rider-else {call}", rider="rider-else", id=trip["id"], **more)
    await desk.ask("cancel", key="rider-mine end", rider="rider-mine", id=trip["id"], reason="")


async def test_a_key_that_was_sent_with_another_trip_does_nothing(desk: Desk) -> None:
    first = await desk.call(6, 34, rider="rider-keys", key="rider-keys one")
    second = await desk.call(7, 35, rider="rider-keys", key="rider-keys two")
    with pytest.raises(Problem, match="another trip"):
        await desk.ask("decline", key="rider-keys two", rider="rider-keys", id=first["id"])
    for trip in (first, second):
        assert (await desk.ask("trip", id=trip["id"], rider="rider-keys"))["state"] == "offered"
        await desk.ask("decline", key=f"rider-keys no {trip['id']}", rider="rider-keys", id=trip["id"])


# ---- a driver's device


@pytest.mark.parametrize(
    "stop", ["", "depot-", "depot-²", "depot--1", "depot-" + "9" * 58, "wait:3", "s0003\n", "../x"]
)
async def test_a_stop_that_is_none_is_refused_and_what_comes_after_is_done(desk: Desk, stop: str) -> None:
    told = await desk.act("van-3", {"kind": "arrived", "stop": stop}, {"kind": "arrived", "stop": desk.stops[9].id})
    assert len(told["refused"]) == 1
    assert told["plan"]["van"]["stop"]["id"] == desk.stops[9].id


async def test_a_position_from_before_the_van_came_does_not_send_it_off(desk: Desk) -> None:
    far = {"kind": "position", "lon": desk.stops[20].lon, "lat": desk.stops[20].lat}
    told = await desk.act("van-3", {"kind": "arrived", "stop": desk.stops[9].id})
    for at_s in (0, 946_684_800, int(desk.operation.now()) - 3600):
        told = await desk.act("van-3", {**far, "at_s": at_s})
        assert told["plan"]["van"]["stop"]["id"] == desk.stops[9].id
    told = await desk.act("van-3", {**far, "at_s": 7_258_118_400})  # a clock that is ahead is right by now at most
    assert told["plan"]["van"]["stop"] is None
    assert desk.operation.state.vans.ready_s[2] <= desk.operation.now()
    await desk.act("van-3", {"kind": "arrived", "stop": desk.stops[9].id, "at_s": 946_684_800})
    assert desk.operation.state.vans.since_s[2] > desk.operation.now() - 86_400


# ---- too much


async def test_a_rider_who_floods_waits_and_others_do_not(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk.operation, "rate", Rate(0.1, 3, "rider"))
    ids = [(await desk.call(8, 36, rider="rider-flood"))["id"] for _ in range(3)]
    with pytest.raises(Problem) as refused:
        await desk.call(8, 36, rider="rider-flood")
    assert refused.value.status == 429
    with pytest.raises(Problem, match="requests a second"):
        await desk.ask("decline", key="rider-flood no", rider="rider-flood", id=ids[0])
    for id in ids:
        assert (await desk.ask("trip", id=id, rider="rider-flood"))["state"] == "offered"
    assert (await desk.call(8, 36, rider="rider-calm"))["id"] not in ids


async def test_room_held_for_who_never_decides_is_free_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    operation = desk.operation
    for n in range(6):
        await desk.call(10, 35, rider=f"rider-waits-{n}", seats=6)
    holds = operation.dispatcher._on.holds  # pyright: ignore[reportPrivateUsage]
    assert holds.vans
    later = operation.now() + operation.settings.promise.offer_ttl_s + 1
    monkeypatch.setattr(operation, "now", lambda: later)
    operation.handle(c.Tick(), "", "")
    assert not holds.vans
    assert not [trip for trip in operation.trips.values() if trip.state == "offered"]


async def test_a_call_that_fails_leaves_no_open_trip(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RideError("not now")

    with monkeypatch.context() as broken:
        broken.setattr(Dispatcher, "handle", refuse)
        with pytest.raises(RideError):
            await desk.call(8, 36, rider="rider-unlucky")
    assert "rider-unlucky" not in desk.operation.of_rider
    assert not desk.operation.journal.failed.done()


# ---- the socket


async def test_broken_frames_end_their_own_connection_only(desk: Desk) -> None:
    folder = folder_of(desk)
    client = Client(folder)
    assert b"seq" in await client.call("now")
    deep = msgspec.msgpack.encode([1, "now"])[:-4] + b"\x91" * 100_000
    for bad in (
        struct.pack(">I", MOST_BYTES + 1),
        struct.pack(">I", 3) + b"\xc1\xc1\xc1",
        struct.pack(">I", len(deep)) + deep,
    ):
        reader, writer = await asyncio.open_unix_connection(address(folder))
        writer.write(bad)
        with pytest.raises(ConnectionError):
            await read_frame(reader)
        writer.close()
    assert b"seq" in await client.call("now")
    await client.close()


# ---- a decision that fails half-way


async def test_what_was_half_decided_is_not_written_and_the_next_goes_on_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = settle(tmp_path / "ride")
    async with dispatching(folder) as desk:
        booked = await desk.book(3, 30)
        handle = Dispatcher.handle

        def half(self: Dispatcher, command: c.AnyCommand, now_s: int) -> list[e.AnyEvent]:
            handle(self, command, now_s)
            raise ZeroDivisionError

        monkeypatch.setattr(Dispatcher, "handle", half)
        with pytest.raises(ZeroDivisionError):
            await desk.call(4, 31, key="rider-a half")
        monkeypatch.undo()
        with pytest.raises(ZeroDivisionError):
            await desk.operation.journal.failed
        with pytest.raises(Problem, match="back in a moment"):
            await desk.call(5, 32)
    async with dispatching(folder) as desk:
        assert [trip["id"] for trip in (await desk.ask("trips", rider="rider-a", active=True))["trips"]] == [
            booked["id"]
        ]
        assert (await desk.call(4, 31, key="rider-a half"))["state"] == "offered"
        assert (await desk.call(3, 30, key="rider-a key-1"))["id"] == booked["id"]  # its answer may have been lost
    reader = Reader(folder / FILE)
    assert reader.events(0)
    reader.close()


# ---- settings


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ("[[vans]]", "[promise]\nmax_wait_s = -5\n[[vans]]", "promise.max_wait_s is -5"),
        ("[[vans]]", "[promise]\ndetour_factor = nan\n[[vans]]", "promise.detour_factor is nan"),
        ("[[vans]]", "[promise.weights]\ndrive = inf\n[[vans]]", "promise.weights.drive is inf"),
        ("[[vans]]", "[promise.tariff]\nstep = 0\n[[vans]]", "promise.tariff.step is at least 1"),
        ("[[vans]]", "[promise]\nmax_weight_s = 5\n[[vans]]", "promise has no 'max_weight_s'"),
        ("max_open = 50", "keep_days = 2", "keep_days has to be more than book_ahead_days"),
        ("max_open = 50", "walk_kmh = nan", "limits.walk_kmh"),
        ("van-{n}", "van-{n:99999999}", "no other braces"),
        ("driver-{n}", "{n.__class__}", "no other braces"),
        ("[128.085, 37.088]", "[nan, 37.088]", r"area\[0\]\[0\]"),
        ('"24:00"]', '"24:30"]', r"hours\[1\]"),
        ("stops = 60", "stops = [", "service.toml"),
    ],
)
async def test_a_mistake_in_the_settings_is_named_in_a_line(tmp_path: Path, was: str, becomes: str, says: str) -> None:
    (tmp_path / files.FILE).write_text(SERVICE.replace(was, becomes, 1), "utf-8")
    with pytest.raises(RideError, match=says) as error:
        files.load(tmp_path)
    assert "\n" not in str(error.value)


# ---- who riders are


async def test_who_was_destroyed_elsewhere_is_somebody_new_here_and_who_rides_is_not_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vaults = opened(tmp_path)
    here, there = (Riders(tmp_path, vaults.room("ride"), Kept()) for _ in range(2))
    was = await here.pseudonym("minji")
    assert await there.pseudonym("minji") == was
    await there.destroy("minji", "asked for")
    began, clock = time.monotonic(), time.time()
    monkeypatch.setattr(time, "monotonic", lambda: began + KNOWN_S + 1)
    anew = await here.pseudonym("minji")
    assert anew != was
    assert await here.person(was) == {}
    # a worker that runs for months notes that somebody still rides
    monkeypatch.setattr(time, "monotonic", lambda: began + 90 * 86_400)
    monkeypatch.setattr(time, "time", lambda: clock + 90 * 86_400)
    assert await here.pseudonym("minji") == anew
    assert await there.sweep(clock + 89 * 86_400) == []
    assert await there.sweep(clock + 91 * 86_400) == [anew]
    for one in (here, there, vaults):
        one.close()


async def test_settings_that_cannot_be_are_named_once_and_read_again_when_they_are_put_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / files.FILE).write_text(SERVICE.replace("stops = 60", "stops = 0"), "utf-8")
    monkeypatch.setattr(process, "SETTINGS_S", 0.01)

    def put_right(*_: object) -> None:
        raise EOFError("the ground is made")

    monkeypatch.setattr(site, "make", put_right)
    context: Any = SimpleNamespace(data_dir=tmp_path, city=load("hanbit").as_dict())
    with capture_logs() as logs:
        running = asyncio.create_task(process.run(context))
        while not logs:  # noqa: ASYNC110 - the log is all that tells
            await asyncio.sleep(0.01)
        (tmp_path / files.FILE).write_text(SERVICE, "utf-8")
        with pytest.raises(EOFError, match="the ground is made"):
            await running
    assert "Expected `int` >= 2 - at `$.stops`" in logs[0]["reason"]


async def test_a_jam_does_not_make_a_trip_grow() -> None:
    trip = t.Trip(
        id="r-jam", rider="rider-jam", start=t.Point(0, 0), goal=t.Point(0, 0), seats=1, wheelchairs=0, when="now",
        made_s=0, changed_s=0, code="0000",
    )  # fmt: skip
    for n in range(1000):
        t.fold(trip, e.AtRisk(seq=1, time_s=n, id="r-jam", van=0, held=e.Promise(0, 0, 0, 0), late_s=5))
        t.fold(trip, e.Safe(seq=1, time_s=n, id="r-jam"))
    t.fold(trip, e.NoShow(seq=1, time_s=1000, id="r-jam", van=0))
    assert len(trip.log) == t.MOST_NOTES + 1
    assert (trip.log[-1].what, trip.at_risk_s) == ("no-show", 0)
