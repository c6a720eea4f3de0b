"""Search: patient, code and date among a million Observations, through the SQL that a request would run.

Generated: ten thousand citizens (a hundredth in quick runs), each with a hundred measurements over three years: thirty
LOINC codes, values in UCUM units, one coding each, as the kiosks write them. They go through the room's own
extraction and index, in groups of a thousand, into a file encrypted as the room's is. Then each question is asked with
different citizens, codes and days; a call compiles the query, begins where the fewest keys are, and returns the
keys of a page (50) and its sealed cursor. Bodies are not read. Milliseconds of the clock and of processor time.
``organisation`` asks as a hospital that a tenth of the citizens let in, so that consent is part of each hop.
"""

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import numpy as np

from hanmaru.care.fhir import extract, index, query, schema
from hanmaru.care.fhir.database import attach, connect
from hanmaru.care.fhir.definitions import parameters
from hanmaru.care.fhir.values import Reader
from hanmaru.platform.vault.crypto import Key

YEARS_US = 3 * 365 * 86_400_000_000
START_US = 1_672_498_800_000_000  # 2023-01-01 in Seoul
EACH, CODES, HOSPITAL = 100, 30, "hospital"
LOINC, CATEGORY = "http://loinc.org", "http://terminology.hl7.org/CodeSystem/observation-category"
FAMILY = "김이박최정강조윤장임한오서신권황안송류전홍"
GIVEN = ["민준", "서연", "도윤", "지우", "하준", "서현", "은우", "하윤", "시우", "지민", "영희", "철수", "순자", "영수"]
Query = list[tuple[str, str]]


def patient(n: int) -> dict[str, Any]:
    """Return a citizen."""
    family, given = FAMILY[n % len(FAMILY)], GIVEN[n // len(FAMILY) % len(GIVEN)]
    return {
        "resourceType": "Patient",
        "id": f"p{n}",
        "active": True,
        "name": [{"text": f"{family}{given}", "family": family, "given": [given]}],
        "gender": ("male", "female")[n % 2],
        "birthDate": f"{1940 + n % 70}-{1 + n % 12:02d}-{1 + n % 28:02d}",
        "identifier": [{"system": "urn:hanmaru:care:number", "value": f"{n:07d}"}],
    }


def observation(n: int, of: int, chance: random.Random) -> dict[str, Any]:
    """Return one of a citizen's measurements."""
    code = n % CODES
    at = time.gmtime((START_US + chance.randrange(YEARS_US)) // 1_000_000)
    return {
        "resourceType": "Observation",
        "id": f"o{n}",
        "status": "final",
        "category": [{"coding": [{"system": CATEGORY, "code": "vital-signs"}]}],
        "code": {"coding": [{"system": LOINC, "code": f"{8000 + code}-0", "display": f"Measurement {code}"}]},
        "subject": {"reference": f"Patient/p{of}"},
        "encounter": {"reference": f"Encounter/e{n // 10}"},
        "effectiveDateTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", at),
        "performer": [{"reference": "Organization/health-centre"}],
        "device": {"reference": f"Device/d{n % 9}"},
        "valueQuantity": {
            "value": round(chance.gauss(120, 15), 1),
            "unit": "mmHg",
            "system": "http://unitsofmeasure.org",
            "code": "mm[Hg]",
        },
    }


def resources(people: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield citizens and their measurements with their owner's key, as they would come over the years."""
    chance = random.Random(6)
    for n in range(people):
        yield n + 2, patient(n)
    for n in range(people * EACH):
        of = chance.randrange(people)
        yield of + 2, observation(n, of, chance)


def load(db: apsw.Connection, people: int) -> dict[str, float]:
    """Index everything; return microseconds of processor time for each resource."""
    extracting = writing = 0.0
    key = 0
    batch: list[tuple[int, dict[str, Any]]] = []

    def flush() -> None:
        nonlocal extracting, writing, key
        began = time.process_time()
        rows = [(owner, r, extract.rows(r)) for owner, r in batch]
        extracting += time.process_time() - began
        began = time.process_time()
        with db:
            for owner, r, made in rows:
                key += 1
                db.execute(
                    "INSERT INTO resource VALUES(?, ?, ?, ?, 1, ?, 1, 0)", (key, r["resourceType"], r["id"], key, owner)
                )
                index.replace(db, key, r["resourceType"], r["id"], START_US + key, made)
        writing += time.process_time() - began
        batch.clear()

    for each in resources(people):
        batch.append(each)
        if len(batch) == 1000:
            flush()
    flush()
    return {"extract us": round(extracting / key * 1e6, 1), "index us": round(writing / key * 1e6, 1)}


def day(chance: random.Random) -> str:
    """Return a day of the three years."""
    return time.strftime("%Y-%m-%d", time.gmtime((START_US + chance.randrange(YEARS_US)) // 1_000_000))


def questions(people: int) -> dict[str, Callable[[random.Random], tuple[str, Query]]]:
    """Return what is asked, by name."""

    def code(c: random.Random) -> str:
        return f"{LOINC}|{8000 + c.randrange(CODES)}-0"

    def of(c: random.Random) -> str:
        return f"Patient/p{c.randrange(people)}"

    def name(c: random.Random) -> str:
        return c.choice(FAMILY) + c.choice(GIVEN)

    def high(c: random.Random) -> str:
        return f"gt{c.randrange(130, 170)}|http://unitsofmeasure.org|mm[Hg]"

    def obs(make: Callable[[random.Random], Query]) -> Callable[[random.Random], tuple[str, Query]]:
        return lambda c: ("Observation", make(c))

    def has(c: random.Random) -> Query:
        return [("_has:Observation:patient:code-value-quantity", f"{code(c)}$gt175")]

    return {
        "patient + code + date": obs(lambda c: [("patient", of(c)), ("code", code(c)), ("date", f"ge{day(c)}")]),
        "patient + code, newest first": obs(lambda c: [("patient", of(c)), ("code", code(c)), ("_sort", "-date")]),
        "code + value-quantity": obs(lambda c: [("code", code(c)), ("value-quantity", high(c))]),
        "subject.name + code": obs(lambda c: [("subject:Patient.name", name(c)), ("code", code(c))]),
        "code, newest first": obs(lambda c: [("code", code(c)), ("_sort", "-date")]),
        "all, newest first": obs(lambda c: [("_sort", "-date")]),
        "one day": obs(lambda c: [("date", day(c))]),
        "code, the last days": obs(lambda c: [("date", f"ge2025-12-{c.randrange(20, 31)}"), ("code", code(c))]),
        "name contains": lambda c: ("Patient", [("name:contains", c.choice(GIVEN)[1])]),
        "has an Observation": lambda c: ("Patient", has(c)),
        "patient, with the Patient": obs(lambda c: [("patient", of(c)), ("_include", "Observation:patient")]),
    }


def ask(db: apsw.Connection, reader: Reader, kind: str, asked: Query, secret: Key) -> query.Found:
    """Search as a request would, in a read transaction."""
    with db:
        return query.search(db, query.compile(kind, asked, reader, START_US + YEARS_US), asked, secret)


def figures(seconds: list[float], cpu: float, found: int) -> dict[str, float]:
    """Return the milliseconds that calls took, and how many matches a page had."""
    p50, p95, p99 = np.percentile(seconds, [50, 95, 99]) * 1000
    return {
        "p50 ms": round(float(p50), 2),
        "p95 ms": round(float(p95), 2),
        "p99 ms": round(float(p99), 2),
        "cpu ms": round(cpu / len(seconds) * 1000, 2),
        "matches": round(found / len(seconds), 1),
    }


def measured(db: apsw.Connection, reader: Reader, people: int, times: int, secret: Key) -> dict[str, Any]:
    """Ask every question ``times`` over, each time another one, after three that warm up."""
    answers: dict[str, Any] = {}
    for name, make in questions(people).items():
        chance = random.Random(name)
        for _ in range(3):
            ask(db, reader, *make(chance), secret)
        taken: list[float] = []
        found, cpu = 0, time.process_time()
        for _ in range(times):
            asked = make(chance)
            began = time.perf_counter()
            found += len(ask(db, reader, *asked, secret).matches)
            taken.append(time.perf_counter() - began)
        answers[name] = figures(taken, time.process_time() - cpu, found)
    return answers


def paged(db: apsw.Connection, reader: Reader, secret: Key, pages: int) -> dict[str, float]:
    """Turn pages of one code, newest first; every key must come once."""
    asked: Query = [("code", f"{LOINC}|8007-0"), ("_sort", "-date")]
    seen: set[int] = set()
    taken: list[float] = []
    cpu = time.process_time()
    cursor: Query = []
    for _ in range(pages):
        began = time.perf_counter()
        found = ask(db, reader, "Observation", asked + cursor, secret)
        taken.append(time.perf_counter() - began)
        if seen & set(found.matches):
            raise AssertionError("a page repeated a row")
        seen |= set(found.matches)
        if found.next is None:
            break
        cursor = [("_cursor", found.next)]
    return figures(taken, time.process_time() - cpu, len(seen))


def filled(folder: Path, people: int) -> tuple[apsw.Connection, dict[str, float]]:
    """Make the files and index everything, without journals and with a large cache, as a first import may."""
    db = connect(folder / "records.db")
    attach(db, folder / "care.index.db", bytes(range(32)))
    for schema_name in ("main", "ix"):
        db.execute(f"PRAGMA {schema_name}.journal_mode=OFF; PRAGMA {schema_name}.synchronous=OFF")
    db.execute("PRAGMA ix.cache_size=-2000000")
    db.execute(schema.SCHEMA)
    index.prepare(db)
    with db:
        for n in range(people):
            db.execute("INSERT INTO owner(key, kind, id) VALUES(?, 'patient', ?)", (n + 2, f"p{n}"))
            if n % 10 == 0:
                db.execute("INSERT INTO grants VALUES(?, ?, ?, 0, ?)", (HOSPITAL, n + 2, n, 1 << 62))
    loaded = load(db, people)
    db.close()
    size = (folder / "care.index.db").stat().st_size // (people * (EACH + 1))
    db = connect(folder / "records.db")
    attach(db, folder / "care.index.db", bytes(range(32)))
    return db, loaded | {"bytes": size}


def peer(times: int) -> dict[str, float] | None:
    """Return microseconds for one Observation's expressions by fhirpathpy, compiled once; None where it is absent.

    It reads what our extraction reads, without the expressions that need ``resolve()``; it makes no rows.
    """
    try:
        import fhirpathpy
        from fhirpathpy.models import models
    except ImportError:
        return None
    chance = random.Random(1)
    expressions = [p.expression for p in parameters()["Observation"].values() if "resolve()" not in p.expression]
    compiled = [fhirpathpy.compile(e.replace("Resource.", "Observation."), models["r4"]) for e in expressions]
    made = [observation(n, n, chance) for n in range(times)]
    began = time.process_time()
    for each in made:
        for one in compiled:
            one(each)
    theirs = (time.process_time() - began) / times
    began = time.process_time()
    for each in made:
        extract.rows(each)
    return {"fhirpathpy us": round(theirs * 1e6, 1), "ours us": round((time.process_time() - began) / times * 1e6, 1)}


def run(quick: bool) -> dict[str, Any]:
    """Return what indexing and each question cost."""
    people = 100 if quick else 10_000
    with tempfile.TemporaryDirectory() as folder:
        db, loaded = filled(Path(folder), people)
        secret = Key.make("benchmark")
        times = 40 if quick else 200
        room, hospital = Reader("room", "all"), Reader("hospital", "organisation", HOSPITAL)
        result = {
            "observations": people * EACH,
            "indexing": loaded,
            "room": measured(db, room, people, times, secret),
            "organisation": measured(db, hospital, people, times, secret),
            "paths of an Observation": peer(200),
            "pages of code, newest first": paged(db, room, secret, times),
        }
        db.close()
    return result
