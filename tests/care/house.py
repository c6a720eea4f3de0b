"""The room's records in a folder, with a real vault, policies and audit trail.

``python house.py FOLDER`` writes until it is killed and prints what was acknowledged.
"""

import asyncio
import itertools
import json
import os
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from hanmaru.care.fhir.records import ALL, Change, Reader, Records, new_id
from hanmaru.care.service import service
from hanmaru.platform.audit.lines import Entry, chains, segments
from hanmaru.platform.audit.trail import Trail
from hanmaru.platform.policy import Policy
from hanmaru.platform.problems import Problem
from hanmaru.platform.vault import Vaults

ZONE = ZoneInfo("Asia/Seoul")


@asynccontextmanager
async def house(folder: Path, chain: str = "test") -> AsyncGenerator[Records]:
    """Open records in a folder; several may be open at once, each with a chain of its own."""
    data, keys = folder / "data", folder / "keys"
    assert service.policies
    policy = Policy([service.policies], actions=list(service.permissions))
    with Trail(data, keys, chain) as trail:
        vaults = await asyncio.to_thread(Vaults, data, keys, trail, policy)
        records = Records(data / "services" / "care", vaults.room("care"), trail, ZONE)
        try:
            await records.open()
            try:
                yield records
            finally:
                await records.close()
        finally:
            vaults.close()


def audited(folder: Path, action: str) -> list[Entry]:
    """Return the trail's records of an action."""
    import msgspec

    lines = [
        line[65:]
        for chain in chains(folder / "data" / "audit")
        for path in segments(folder / "data" / "audit" / chain)
        for line in path.read_bytes().splitlines()
    ]
    return [entry for line in lines if (entry := msgspec.json.decode(line, type=Entry)).action == action]


def observation(patient: str, value: float = 120, **more: Any) -> dict[str, Any]:
    """Return a systolic blood pressure."""
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": "2026-11-20T09:00:00+09:00",
        "valueQuantity": {"value": value, "unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"},
        **more,
    }


def consent(patient: str, organisation: str, category: str = "hospital", **more: Any) -> dict[str, Any]:
    """Return a Consent that lets an organisation see a patient's record."""
    role = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-RoleClass", "code": "PROV"}]}
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"},
            ]
        },
        "category": [{"coding": [{"system": "urn:hanmaru:care:consent", "code": category}]}],
        "patient": {"reference": f"Patient/{patient}"},
        "dateTime": "2026-11-20T09:00:00+09:00",
        "provision": {
            "type": "permit",
            "actor": [{"role": role, "reference": {"reference": f"Organization/{organisation}"}}],
        },
        **more,
    }


async def person(records: Records, id: str | None = None, name: str = "홍길동") -> str:
    """Make a Patient and return the id."""
    made = id or new_id()
    await records.commit(ALL, [Change("PUT", "Patient", made, {"resourceType": "Patient", "name": [{"text": name}]})])
    return made


async def put(records: Records, type: str, id: str, resource: dict[str, Any], reader: Reader = ALL) -> int:
    """Write a resource and return its version."""
    return (await records.commit(reader, [Change("PUT", type, id, resource)]))[0].version


async def status(work: Any) -> int:
    """Return the status of what a call is refused with, 200 if it is not."""
    try:
        await work
    except Problem as problem:
        return problem.status
    return 200


async def ids(records: Records, reader: Reader, type: str, *query: tuple[str, str]) -> list[str]:
    """Return the ids that a search finds."""
    return [each.id for each in (await records.search(reader, type, query)).matches]


async def write_until_killed(folder: Path, patients: Sequence[str]) -> None:
    """Commit pairs of resources, from several callers at once, and print each pair once it is acknowledged."""
    async with house(folder, f"writer-{os.getpid()}") as records:

        async def client(number: int) -> None:
            patient = patients[number % len(patients)]
            for turn in itertools.count():
                pair = [Change("POST", "Observation", None, observation(patient, turn)) for _ in range(2)]
                made = await records.commit(ALL, pair)
                print(json.dumps([each.id for each in made]), flush=True)

        await asyncio.gather(*(client(number) for number in range(4)))


if __name__ == "__main__":
    asyncio.run(write_until_killed(Path(sys.argv[1]), sys.argv[2:]))
