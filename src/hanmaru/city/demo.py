"""The demo: the simulated city lives on the hub, from its first start and on after every restart."""

import asyncio
import hashlib
import time
from pathlib import Path

import msgspec
import structlog

from hanmaru.city import history, stream
from hanmaru.city.build import City, build
from hanmaru.city.clock import resume, save
from hanmaru.city.entities import statics
from hanmaru.city.profile import Profile
from hanmaru.hub.client import HubClient, Query

log = structlog.get_logger()

_SAVE_EVERY_S = 20.0


class _State(msgspec.Struct):
    """What a restart needs to know: which entities the hub was given, and up to when readings are written."""

    entities: str = ""
    through_s: float = 0.0


async def run_demo(
    hub: HubClient, profile: Profile, data_dir: Path, *, rate: float = stream.RATE, speed: float = 1.0
) -> None:
    """Run the simulated city on the hub until cancelled.

    First the sensors become entities, then readings stream, and meanwhile the last 24 hours of the charted ones are
    filled in. ``data_dir`` keeps how far that went: after a restart the entities stay, the gap is filled (at most 24
    hours), and the stream goes on. ``rate`` is updates a second, ``speed`` how fast the city's time runs.
    """
    path = data_dir / "city.json"
    state = _load(path)
    city = await asyncio.to_thread(_prepare, profile)
    clock = resume(data_dir / "clock.json", speed=speed)
    now = clock.now_s()
    began = time.perf_counter()
    count = await _introduce(hub, city, now, state, path)
    log.info("the city is on the hub", city=profile.id, entities=count, s=round(time.perf_counter() - began, 2))
    filled = state.through_s
    saved = 0.0
    backfilled = asyncio.Event()

    def reached(at_s: float) -> None:
        nonlocal saved
        if backfilled.is_set() and time.monotonic() - saved > _SAVE_EVERY_S:
            saved = time.monotonic()
            state.through_s = at_s
            save(path, state)

    async def fill() -> None:
        start = time.perf_counter()
        count = await history.backfill(hub, city, max(now - history.HOURS * 3600, filled), now)
        backfilled.set()
        log.info("the city's last day is filled in", sensors=count, s=round(time.perf_counter() - start, 2))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(fill())
        tasks.create_task(stream.run(hub, city, clock, rate=rate, since_s=now, reached=reached))


def _prepare(profile: Profile) -> City:
    city = build(profile)
    _ = city.sensors
    return city


async def _introduce(hub: HubClient, city: City, now: float, state: _State, path: Path) -> int:
    """Upsert every sensor with a reading, so that none is blank while it waits for its turn; return how many there are.

    Where the hub still has exactly these sensors, only the readings are written.
    """
    due = [(s.kind, *s.due(now - s.period_s, now)) for s in stream.schedules(city, stream.RATE)]
    first = await asyncio.to_thread(stream.report, city, due)
    given = {entity["id"]: entity for entity in statics(city)}
    seal = hashlib.sha256(msgspec.json.encode(given)).hexdigest()
    counts = [await hub.count(Query(type=kind)) for kind in city.sensors] if state.entities == seal else [-1]
    if all(have >= len(s) for have, s in zip(counts, city.sensors.values(), strict=False)):
        await stream.write(hub, first, 500)
        return len(given)
    for reading in first:
        given[reading["id"]] |= reading
    await stream.write(hub, list(given.values()), 500)
    state.entities = seal
    save(path, state)
    return len(given)


def _load(path: Path) -> _State:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_State)
    except (OSError, msgspec.DecodeError):
        return _State()
