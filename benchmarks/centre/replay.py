"""Replay: the first frame of any minute of 30 days, among ten million attribute instances on disk.

Generated: a third of the entities are vehicles (location, speed), the rest are sensors of four types (place stated,
two or three readings each), spread over a city of 20 km. The entities go through the hub; their history is then put
into the hub's own table in the order of its key (ten million writes through the hub would take an hour), at even steps
with a jitter, so that an entity and attribute has instances / (entities · attributes) of them in 30 days. Then random
minutes are replayed as a browser would: 20 tiles of zoom 13 and the city's figures; the first frame is there when the
stream has given ``clock``. ``play`` is the processor time of reading and applying 10 seconds of play at 60×.
The file lies in ``TMPDIR`` and is read through the operating system's cache, as after a restart of the hub alone;
``cold`` drops its pages before (posix_fadvise) each of some minutes.
Quick: a tenth of the instances.
"""

import asyncio
import math
import os
import random
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import apsw
import numpy as np

from hanmaru.centre.live.feed import Wanted
from hanmaru.centre.live.geometry import project
from hanmaru.centre.live.world import Declared
from hanmaru.centre.replay.session import AHEAD_S, Replay
from hanmaru.hub.client import HubClient
from hanmaru.hub.local import open_hub
from hanmaru.hub.terms import CORE_TERMS
from hanmaru.platform.access import Access

DAYS = 30
END = datetime(2026, 11, 23, 0, 0, tzinfo=UTC)
START = END - timedelta(days=DAYS)
SHAPES = (  # of what is measured by type; a vehicle's location is, too
    ("Vehicle", ("location", "speed"), 1 / 3),
    ("AirQualityObserved", ("pm25", "pm10", "o3"), 1 / 6),
    ("TrafficFlowObserved", ("averageVehicleSpeed", "intensity"), 1 / 6),
    ("WaterObserved", ("height", "flow"), 1 / 6),
    ("NoiseLevelObserved", ("LAeq",), 1 / 6),
)
WEST, SOUTH, SPAN = 127.2, 36.4, 0.2
DECLARED = Declared(
    tuple((f"bench.{type}", type) for type, _, _ in SHAPES),
    {type: frozenset(attrs) for type, attrs, _ in SHAPES},
    {type: frozenset(attrs) - {"location"} for type, attrs, _ in SHAPES},
)

FILL = """
INSERT INTO instance
SELECT ?1, ?2, at, '', 0, 1, at, CAST(CASE WHEN ?7 THEN
  printf('{"k":"GeoProperty","v":{"type":"Point","coordinates":[%.6f,%.6f]},"o":"%s","c":"%s","m":"%s"}',
    127.2 + 0.2 * abs(((value * ?6 + ?1 * 37) % 2000) / 1000.0 - 1),
    36.4 + 0.2 * ((?1 * 7919) % 1000) / 1000.0, t, t, t)
ELSE
  printf('{"k":"Property","v":%.1f,"o":"%s","c":"%s","m":"%s"}', (value * 13 + ?1) % 997 / 10.0, t, t, t)
END AS BLOB)
FROM (SELECT value, at, strftime('%Y-%m-%dT%H:%M:%S', at / 1000000, 'unixepoch') || printf('.%06dZ', at % 1000000) AS t
  FROM (SELECT value, ?3 + CAST((value + ((value * 7 + ?1) % 10) / 11.0) * ?5 AS INTEGER) AS at
    FROM number WHERE value<?4))
"""


async def build(path: Path, entities: int, instances: int) -> int:
    """Make a hub with so many entities and instances; return how many there are."""
    chance = random.Random(7)
    documents: list[dict[str, Any]] = []
    for type, attrs, share in SHAPES:
        for n in range(max(1, round(entities * share))):
            at = [WEST + chance.random() * SPAN, SOUTH + chance.random() * SPAN]
            place = {"type": "GeoProperty", "value": {"type": "Point", "coordinates": at}}
            first = {"type": "Property", "value": 0, "observedAt": START.isoformat()}
            if "location" in attrs:
                place["observedAt"] = START.isoformat()
            readings = {name: first for name in attrs if name != "location"}
            documents.append({"id": f"urn:ngsi-ld:{type}:{n}", "type": type, "location": place, **readings})
    async with open_hub(f"sqlite:///{path}") as hub:
        client = hub.client(Access(write=True))
        for start in range(0, len(documents), 1000):
            await client.upsert(documents[start : start + 1000])
    return await asyncio.to_thread(_fill, path, instances)


def _fill(path: Path, instances: int) -> int:
    db: Any = apsw.Connection(str(path))
    db.execute("PRAGMA synchronous=OFF; PRAGMA cache_size=-200000")
    names = {text: number for number, text in db.execute("SELECT id, text FROM term")}
    series = [
        (key, names[CORE_TERMS.expand(attr)], attr)
        for type, attrs, _ in SHAPES
        for (key,) in list(db.execute("SELECT entity FROM entity_type WHERE type=?", (names[CORE_TERMS.expand(type)],)))
        for attr in attrs
    ]
    each = math.ceil(instances / len(series))
    db.execute("PRAGMA temp_store=MEMORY; CREATE TEMP TABLE number (value INTEGER PRIMARY KEY)")
    db.execute(
        "WITH RECURSIVE n(v) AS (SELECT 0 UNION ALL SELECT v+1 FROM n WHERE v+1<?) INSERT INTO number SELECT v FROM n",
        (each,),
    )
    step = int(DAYS * 86_400e6 / each)
    begin = int(START.timestamp() * 1e6) + 1
    with db:
        for key, attr, name in sorted(series):
            db.execute(FILL, (key, attr, begin, each, step, 1 + key % 5, name == "location"))
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    ((count,),) = db.execute("SELECT count(*) FROM instance").fetchall()
    db.close()
    return count


def tiles() -> tuple[tuple[int, int, int], ...]:
    """Return 20 tiles of zoom 13 around the city's middle."""
    x, y = (int(part * (1 << 13)) for part in project(WEST + SPAN / 2, SOUTH + SPAN / 2))
    return tuple((13, x + i, y + j) for i in range(-2, 3) for j in range(-2, 2))


async def first_frame(client: HubClient, at: datetime) -> tuple[float, float, Replay]:
    """Return the seconds of the clock and of processor time to the first frame of an instant."""
    began, used = time.perf_counter(), time.process_time()
    replay = Replay(client, DECLARED, Wanted(tiles=tiles()), at, 60, now=lambda: END)
    await replay.load()
    stream = replay.stream()
    async for chunk in stream:
        if b"event: clock" in chunk:
            break
    took = time.perf_counter() - began, time.process_time() - used
    await stream.aclose()
    return *took, replay


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the median, the 99th percentile and the most, in milliseconds."""
    ms = np.array(values) * 1000
    return {"p50_ms": round(float(np.median(ms)), 1), "p99_ms": round(float(np.percentile(ms, 99)), 1)} | {
        "max_ms": round(float(ms.max()), 1)
    }


def forget_pages(path: Path) -> None:
    """Ask the operating system to drop a file's cached pages."""
    for file in (path, path.with_name(path.name + "-wal")):
        if file.exists():
            handle = os.open(file, os.O_RDONLY)
            os.fsync(handle)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(handle)


async def measure(folder: Path, entities: int, instances: int, minutes: int) -> dict[str, Any]:
    """Build a city and replay random minutes of it."""
    path = folder / f"{entities}.db"
    began = time.perf_counter()
    count = await build(path, entities, instances)
    built = time.perf_counter() - began
    chance = random.Random(11)
    clock, used, cold = list[float](), list[float](), list[float]()
    play: list[float] = []
    shown = 0
    for n in range(minutes + minutes // 5):
        at = START + timedelta(minutes=chance.randrange(60, DAYS * 1440 - 60))
        dropped = n >= minutes
        if dropped:
            forget_pages(path)
        async with open_hub(f"sqlite:///{path}") as hub:
            client = hub.client(Access())
            took, processor, replay = await first_frame(client, at)
            (cold if dropped else clock).append(took)
            if not dropped:
                used.append(processor)
            shown = len(replay.world.entities)
            if n < 5:
                before = time.process_time()
                changes, _ = await replay.read(at, at + timedelta(seconds=AHEAD_S * 60))
                replay.world.apply(change for _, change in changes)
                play.append((time.process_time() - before) / AHEAD_S)
    return {
        "entities": shown,
        "instances": count,
        "file_mb": path.stat().st_size >> 20,
        "built_s": round(built, 1),
        "minutes": minutes,
        "first_frame": spread(clock),
        "first_frame_processor": spread(used),
        "first_frame_cold": spread(cold),
        "play_60x_core_share": round(max(play), 3),
    }


def run(quick: bool) -> list[dict[str, Any]]:
    """Return what was measured for cities of several sizes."""
    instances, minutes = (1_000_000, 20) if quick else (10_000_000, 100)
    found: list[dict[str, Any]] = []
    for entities in (2_000, 10_000) if quick else (2_000, 10_000, 50_000):
        with tempfile.TemporaryDirectory(prefix="hanmaru-replay-") as folder:
            found.append(asyncio.run(measure(Path(folder), entities, instances, minutes)))
    return found
