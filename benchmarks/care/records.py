"""The records' store without HTTP: reads by id, durable transactions, the index's way back.

People have a Patient and some Observations each; every reader asks for random ones. The same read is measured on the
event loop and through a thread, for the room (nothing to note), for a citizen, and for a nurse (audited and told to the
patient). A transaction is two Observations of one person in one commit, ``synchronous=FULL``. The peer's figures are
Blaze's, published for one client and eight on larger machines (samply/blaze, docs/performance): 1,400 reads/s, 178 and
400 transactions/s.
"""

import asyncio
import json
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from hanmaru.care.fhir import bodies
from hanmaru.care.fhir.records import ALL, Change, Reader, Records, new_id, now_us
from tests.care.house import consent, house, observation

PEOPLE, EACH = (2_000, 10), (200, 5)
SECONDS = (8.0, 1.5)


async def load(records: Records, people: int, each: int) -> dict[str, list[str]]:
    """Make people with Observations and a consent for the health centre; return the Observations' ids by Patient."""
    made: dict[str, list[str]] = {new_id(): [new_id() for _ in range(each)] for _ in range(people)}

    def changes(patient: str, observations: list[str]) -> list[Change]:
        rest = [Change("PUT", "Observation", id, observation(patient)) for id in observations]
        given = Change("PUT", "Consent", new_id(), consent(patient, "health-centre", "follow-up"))
        return [Change("PUT", "Patient", patient, {"name": [{"text": "홍길동"}]}), given, *rest]

    await records.keyring.ready(people)
    whole = list(made.items())
    for begin in range(0, people, 50):
        part = [change for patient, ids in whole[begin : begin + 50] for change in changes(patient, ids)]
        await records.commit(ALL, part)
    return made


async def timed(clients: int, seconds: float, work: Callable[[], Awaitable[Any]]) -> dict[str, float]:
    """Let clients work one after the other's answer; return calls a second, latency in ms and CPU µs a call."""
    took: list[float] = []
    until = time.perf_counter() + seconds

    async def client() -> None:
        while (begin := time.perf_counter()) < until:
            await work()
            took.append(time.perf_counter() - begin)

    cpu, began = time.process_time(), time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    elapsed, used = time.perf_counter() - began, time.process_time() - cpu
    took.sort()
    at = [round(took[int(len(took) * share)] * 1e3, 3) for share in (0.5, 0.99)]
    return {
        "per_s": round(len(took) / elapsed),
        "p50_ms": at[0],
        "p99_ms": at[1],
        "cpu_us": round(used / len(took) * 1e6),
    }


async def reads(records: Records, people: dict[str, list[str]], seconds: float) -> dict[str, Any]:
    """Measure reads by id."""
    dice = random.Random(7)
    patients = list(people)

    def one(reader: Reader | None) -> Callable[[], Awaitable[Any]]:
        def go() -> Awaitable[Any]:
            patient = dice.choice(patients)
            asks = reader or Reader("hong", "patient", patient)
            return records.read(asks, "Observation", dice.choice(people[patient]))

        return go

    def apart() -> Awaitable[Any]:
        id = dice.choice(people[dice.choice(patients)])

        def work(db: Any) -> Any:
            row = bodies.current(db, "Observation", id, ALL, now_us())
            assert row
            return bodies.opened(db, records.keyring, row)

        return records._read_apart(work)

    nurse = Reader("kim", "organisation", "health-centre", "treatment")
    return {
        "on the loop, the room": await timed(1, seconds, one(ALL)),
        "through a thread, the room": await timed(1, seconds, apart),
        "on the loop, a citizen": await timed(1, seconds, one(None)),
        "on the loop, a nurse (audited, told)": await timed(1, seconds, one(nurse)),
        "on the loop, the room, 8 clients": await timed(8, seconds, one(ALL)),
    }


async def writes(records: Records, people: dict[str, list[str]], seconds: float) -> dict[str, Any]:
    """Measure durable transactions of two resources."""
    dice = random.Random(7)
    patients = list(people)

    def pair() -> Awaitable[Any]:
        patient = dice.choice(patients)
        return records.commit(ALL, [Change("POST", "Observation", None, observation(patient)) for _ in range(2)])

    return {f"{clients} clients": await timed(clients, seconds, pair) for clients in (1, 8, 32)}


async def measured(folder: Path, quick: bool) -> dict[str, Any]:
    """Measure all in a folder."""
    many, each = EACH if quick else PEOPLE
    seconds = SECONDS[quick]
    async with house(folder) as records:
        began = time.perf_counter()
        people = await load(records, many, each)
        loaded = many * (each + 2) / (time.perf_counter() - began)
        started = time.perf_counter()
        purged = next(iter(people))
        await records.purge(purged)
        destroyed = time.perf_counter() - started
        del people[purged]
        result = {
            "resources": many * (each + 2),
            "loaded_per_s": round(loaded),
            "read": await reads(records, people, seconds),
            "transaction of two": await writes(records, people, seconds),
            "destroying_a_person_ms": round(destroyed * 1e3),
        }
        sizes = [path.stat().st_size for path in (records.files.records, records.files.index)]
        rows = records.inline.execute("SELECT count(*) FROM resource").fetchone()[0]
        result["bytes_a_resource"] = {"records": round(sizes[0] / rows), "index": round(sizes[1] / rows)}
        index = records.files.index
    for end in ("", "-wal", "-shm"):
        index.with_name(index.name + end).unlink(missing_ok=True)
    began = time.perf_counter()
    async with house(folder):
        result["index_made_anew_per_s"] = round(rows / (time.perf_counter() - began))
    return result


def run(quick: bool) -> dict[str, Any]:
    """Return what was measured; ``quick`` takes a tenth of the time and people."""
    with tempfile.TemporaryDirectory(prefix="hanmaru-care-") as folder:
        return asyncio.run(measured(Path(folder), quick))


if __name__ == "__main__":
    print(json.dumps(run(quick=True), indent=1, ensure_ascii=False))
