"""The dispatcher's process: it works when it holds the lock, and is ready to when another one does.

Two of them run. The one without the lock has its kernels compiled, the roads ready and the journal followed, so that it
answers a moment after the system takes the lock from one that was killed.
"""

import asyncio
import fcntl
import hashlib
import os
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import structlog

from hanmaru.city.profile import from_context
from hanmaru.hub.client import HubClient
from hanmaru.platform.services import Context
from hanmaru.ride.dispatch import site as ground
from hanmaru.ride.dispatch import trips
from hanmaru.ride.dispatch.calls import Calls
from hanmaru.ride.dispatch.journal import FILE, STEP_S, Entry, Journal, Reader
from hanmaru.ride.dispatch.layers import Layers
from hanmaru.ride.dispatch.operation import Operation
from hanmaru.ride.dispatch.server import Server
from hanmaru.ride.dispatch.settings import Settings
from hanmaru.ride.dispatch.site import Site
from hanmaru.ride.dispatch.vans import AHEAD_S, Leg
from hanmaru.ride.dispatch.views import Views
from hanmaru.ride.domain import RideError, Rows, Travel
from hanmaru.ride.engine import commands as c
from hanmaru.ride.engine import events as e
from hanmaru.ride.engine.dispatcher import Dispatcher
from hanmaru.ride.engine.state import Fleet, Requests, State, Vans
from hanmaru.ride.roads.live import follow
from hanmaru.ride.roads.matrix import Metric, Places

log = structlog.get_logger()

LOCK = "dispatcher.lock"
TRY_S = 0.05
"""How often who has no lock asks for it, and reads on in the journal."""
TICK_S, MOVE_S = 1.0, 5.0
SWITCH_S = 0.0005
"""After so long a thread lets others in, so that the one that answers never waits for one that computes."""
RETENTION_S, CHECKPOINT_S = 3600.0, 10.0
DOORS_S = 60.0
SETTINGS_S = 15.0
"""How often settings that cannot be are read again."""

_event = msgspec.msgpack.Decoder(e.AnyEvent)


class Replica:
    """The dispatcher's state as the journal has it, followed."""

    def __init__(self, site: Site, settings: Settings, reader: Reader, zone: ZoneInfo) -> None:
        """Take the newest snapshot that is whole, or begin with the fleet at its depots; `follow` does the rest."""
        self.site, self.settings, self.reader = site, settings, reader
        self.zone = zone
        self.metric = site.metric(time.time(), zone)
        depots = site.places.take(np.array(site.depot))
        self._travel = self.metric.travel(site.targets, depots)
        vans = [(van.id, van.seats, van.wheelchairs) for van in site.vans]
        form = msgspec.json.schema(e.AnyEvent), Vans.__slots__, Requests.__slots__
        self.ground = hashlib.sha256(msgspec.json.encode([site.facts, vans, form], order="sorted")).hexdigest()
        self.dispatcher = self._newest()

    @property
    def same_ground(self) -> bool:
        """Whether the journal is about these stops and vans, as this version writes it: else its plans mean nothing."""
        return (kept := self.reader.fact("ground")) is None or kept == self.ground.encode()

    def _newest(self) -> Dispatcher:
        if self.same_ground:
            for seq, body in self.reader.snapshots():
                try:
                    state = State.loads(body)
                except RideError as error:
                    log.error("a snapshot cannot be read; an older one is used", seq=seq, error=str(error))
                    continue
                return Dispatcher(self.settings.promise, state, self._travel)
        return self.fresh()

    def fresh(self) -> Dispatcher:
        """Return a dispatcher that knows nothing but the fleet."""
        vans, depot = self.site.vans, tuple(self.site.depot)
        fleet = Fleet(
            seats=tuple(van.seats for van in vans),
            wheelchairs=tuple(van.wheelchairs for van in vans),
            depot=depot,
            stop=depot,
            shift_from_s=(0,) * len(vans),
            shift_to_s=(0,) * len(vans),
        )
        return Dispatcher(self.settings.promise, fleet, self._travel)

    def follow(self) -> None:
        """Apply what the journal has that was not applied."""
        while self.same_ground:
            events = self.reader.events(self.dispatcher.state.seq)
            for _, _, body in events:
                self.dispatcher.apply(_event.decode(body))
            if len(events) < 10_000:
                return


def warm(replica: Replica) -> None:
    """Have every kernel compiled that an answer needs, on a dispatcher that is thrown away."""
    dispatcher = replica.fresh()
    now_s = int(time.time())
    for van in range(len(replica.site.vans)):
        dispatcher.state.vans.shift_to_s[van] = now_s + 86_400
    made = dispatcher.handle(c.Request(id="warm", origins=(c.Spot(0),), destinations=(c.Spot(1),)), now_s)
    for event in made:
        if isinstance(event, e.Offered):
            dispatcher.handle(c.Accept("warm", event.offers[0].id), now_s)
    spots = tuple(c.Spot(stop) for stop in range(min(6, len(replica.site.stops))))
    dispatcher.handle(c.Request(id="more", origins=spots[:3], destinations=spots[3:] or spots), now_s)
    dispatcher.timetables.refresh(now_s)
    for van in np.flatnonzero(dispatcher.state.vans.length)[:1].tolist():
        dispatcher.timetables.begins(van, now_s)
        dispatcher.timetables.late_begins(van, now_s)
    site = replica.site
    for wheelchair in (False, True):
        site.stops.near(site.network.graph.lonlat[0].tolist(), 500.0, wheelchair)
    replica.metric.rows(site.places.take([0]), site.targets)
    replica.metric.way(site.places.take([0]), site.places.take([1]))


@asynccontextmanager
async def only(folder: Path, replica: Replica) -> AsyncGenerator[None]:
    """Wait for the lock, following the journal meanwhile, and hold it for as long as the block lasts."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not _taken(descriptor):
            replica.follow()
            await asyncio.sleep(TRY_S)
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def run(context: Context[HubClient]) -> None:
    """Be a dispatcher until cancelled: the active one, or ready to be."""
    sys.setswitchinterval(SWITCH_S)
    folder, profile = context.data_dir, from_context(context.city)
    while True:
        try:
            settings = await asyncio.to_thread(ground.ready, folder, profile, bool(context.city.get("demo")))
            site = await asyncio.to_thread(ground.make, folder, settings, profile)
            break
        except RideError as error:
            log.critical("the service cannot begin; its settings are read again soon", reason=str(error))
            await asyncio.sleep(SETTINGS_S)
    reader = Reader(folder / FILE)
    try:
        replica = await asyncio.to_thread(Replica, site, settings, reader, ZoneInfo(str(context.city["zone"])))
        await asyncio.to_thread(warm, replica)
        log.info("a dispatcher is ready", vans=len(site.vans), stops=len(site.stops))
        async with only(folder, replica):
            began = time.monotonic()
            replica.follow()
            async with serving(folder, replica) as (operation, journal):
                took = round(time.monotonic() - began, 3)
                log.info("the dispatcher works", seq=operation.state.seq, open=len(operation.trips), took_s=took)
                await _work(operation, journal, context.hub, folder / FILE)
    finally:
        reader.close()


@asynccontextmanager
async def serving(folder: Path, replica: Replica) -> AsyncGenerator[tuple[Operation, Journal]]:
    """Give the operation, asked and answered over the socket, for as long as the block lasts."""
    reader = replica.reader
    journal = Journal(folder / FILE, trips.bare)
    try:
        if not replica.same_ground:
            log.warning("stops, vans or the journal's form changed: open trips are over, and all begins anew")
            _end_all(journal, reader)
            await journal.begin_anew()
            replica.dispatcher = replica.fresh()
        if reader.fact("ground") is None:
            await journal.note("ground", replica.ground.encode())
        operation = Operation(
            replica.site, replica.settings, replica.zone, replica.metric, replica.dispatcher, journal, reader, time.time
        )
        _shift(operation)
        await _move(operation, seek=False)
        server = Server(folder, Calls(operation).answer)
        operation.tell = server.tell
        await server.open()
        try:
            yield operation, journal
        finally:
            await server.close()
    finally:
        await asyncio.to_thread(journal.close)


def _end_all(journal: Journal, reader: Reader) -> None:
    """End every trip that is open: nobody will come."""
    now_s = int(time.time())
    for body in reader.open_trips():
        try:
            trip = trips.decode(body)
        except msgspec.ValidationError:  # another version's
            continue
        trip.state, trip.reason, trip.changed_s = "broken", e.Reason.OVERRIDE.value, now_s
        trip.log.append(trips.Note(now_s, "broken"))
        journal.append(Entry(trips=[(trip.id, trip.rider, False, now_s, trips.encode(trip))]))


async def _work(operation: Operation, journal: Journal, hub: HubClient, path: Path) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(Layers(operation).run())
        group.create_task(_traffic(operation, hub))
        group.create_task(_every(STEP_S, operation, lambda: _figure(operation)))
        group.create_task(_every(TICK_S, operation, lambda: operation.tick(operation.now())))
        group.create_task(_every(RETENTION_S, operation, lambda: _forget(operation)))
        group.create_task(_every(DOORS_S, operation, operation.leave_doors))
        group.create_task(_moving(operation))
        group.create_task(_checkpoints(path))
        await journal.failed


async def _every(seconds: float, operation: Operation, work: "asyncio.Future[None] | object") -> None:
    """Do something again and again; what cannot be done now is logged and tried again."""
    assert callable(work)
    while True:
        try:
            work()
        except RideError as error:
            log.warning("not possible now", reason=str(error))
        await asyncio.sleep(seconds)


def _shift(operation: Operation) -> None:
    for shift in operation.shifts(operation.now()):
        operation.handle(shift, "", "")


async def _checkpoints(path: Path) -> None:
    """Keep the journal's log short, beside those who commit to it."""
    reader = await asyncio.to_thread(Reader, path)
    try:
        while True:
            await asyncio.sleep(CHECKPOINT_S)
            await asyncio.to_thread(reader.checkpoint)
    finally:
        reader.close()


def _figure(operation: Operation) -> None:
    """Keep the figures of the last step."""
    at_s = int(operation.now()) // STEP_S * STEP_S
    operation.journal.figure(at_s, msgspec.json.encode(Views(operation).figures(STEP_S / 3600)))


async def _traffic(operation: Operation, hub: HubClient) -> None:
    """Follow the traffic: what the hub's sensors measure changes the travel times within a minute."""
    site, swapping = operation.site, set[asyncio.Task[None]]()

    async def swap(metric: Metric) -> None:
        at_s = operation.now()

        def work() -> Travel:
            travel = metric.travel(site.targets, site.places.take(np.array(site.depot)))
            vans, _, places = operation.tracks.at(at_s)
            first = [len(site.places) + van for van in vans]
            travel.time_s[first], travel.length_m[first] = metric.rows(places, site.targets)
            return travel

        operation.retime(metric, await asyncio.to_thread(work))

    def begin(metric: Metric) -> None:
        if not swapping:
            task = asyncio.create_task(swap(metric), name="ride travel times")
            swapping.add(task)
            task.add_done_callback(swapping.discard)

    await follow(hub, site.network, lambda at_s: site.usual_kmh(at_s, operation.zone), begin, now_s=operation.now)


def _forget(operation: Operation) -> None:
    operation.snapshot()  # so that also in a quiet service events do not outlast their time
    now_s = int(operation.now())
    operation.journal.forget(now_s - operation.settings.limits.keep_days * 86_400, now_s)


async def _moving(operation: Operation) -> None:
    """Keep up with the vans under way; where there are many, more rarely: it takes at most a tenth of a core."""
    while True:
        began = time.monotonic()
        await _move(operation)
        await asyncio.sleep(max(MOVE_S, 9 * (time.monotonic() - began)))


async def _move(operation: Operation, *, seek: bool = True) -> None:
    """Work out the rows of vans under way; with ``seek`` find the ways of those that have none, too."""
    tracks, metric, at_s = operation.tracks, operation.metric, operation.now() + AHEAD_S

    def work() -> tuple[list[int], list[Leg], Places, Rows, Rows]:
        if seek:
            tracks.seek(metric, range(len(tracks.legs)))
        vans, legs, places = tracks.at(at_s)
        return vans, legs, places, *metric.rows(places, operation.site.targets)

    vans, legs, places, time_s, length_m = await asyncio.to_thread(work)
    still = [k for k, van in enumerate(vans) if tracks.legs[van] is legs[k]]
    if still and operation.metric is metric:
        operation.moved([vans[k] for k in still], places.take(still), time_s[still], length_m[still], at_s)
