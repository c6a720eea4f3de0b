"""A whole hub whose workers are killed while kiosks hand in visits: none that was answered is lost, none is twice."""

import asyncio
import json
import os
import signal
import uuid
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hanmaru.care.citizen.visit import reference
from hanmaru.care.fhir import text
from hanmaru.care.visits.kiosks import ROOM
from tests.care.visiting import PASSWORD, citizen, furnish, posted, records_of, settle
from tests.running import Running, running

KIOSKS, EACH, KILLS = 4, 4, 1


async def kiosk(hub: Running, http: aiohttp.ClientSession, n: int, answered: dict[str, Any]) -> None:
    """Hand in visits one after the other, each until somebody answers, as a kiosk's queue does."""
    headers = {"authorization": aiohttp.encode_basic_auth("kiosk-1", PASSWORD)}
    for turn in range(EACH):
        visit = posted(192, 112, card=f"card {(n + turn) % 3}")
        while visit["id"] not in answered:
            try:
                async with http.post(f"{hub.url}/api/care/v1/visits", json=visit, headers=headers) as answer:
                    if answer.status in (200, 201):
                        answered[visit["id"]] = await answer.json()
                    else:
                        assert answer.status == 503, await answer.text()
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)


async def scenario(hub: Running) -> dict[str, Any]:
    answered: dict[str, Any] = {}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as http:
        kiosks = [asyncio.create_task(kiosk(hub, http, n, answered)) for n in range(KIOSKS)]
        for kill in range(KILLS):
            while len(answered) < (kill + 1) * 5:  # noqa: ASYNC110 - other processes answer
                await asyncio.sleep(0.005)
            web = [worker.pid for worker in hub.workers() if worker.net_connections("tcp")]
            assert web
            for pid in web:
                os.kill(pid, signal.SIGKILL)
        await asyncio.gather(*kiosks)
    return answered


async def before(folder: Path) -> None:
    async with records_of(settle(folder)) as records:
        await furnish(records)
        for n in range(3):
            await citizen(records, f"card {n}", "store", "follow-up")


async def after(folder: Path, answered: dict[str, Any]) -> None:
    from hanmaru.config import Settings

    async with records_of(Settings(data=folder, city="hanbit", services=("care",))) as records:

        async def all_of(type: str) -> list[dict[str, Any]]:
            found = await records.search(ROOM, type, [("_count", "1000")])
            return [text.decode(each.text) for each in found.matches]

        for type in ("Encounter", "DiagnosticReport", "Communication"):
            stored = await all_of(type)
            visits = [each["id"] if type == "Encounter" else reference(each, "encounter")[10:] for each in stored]
            assert sorted(visits) == sorted(answered)
            assert all(each["meta"]["versionId"] == "1" for each in stored)
        reports = {each["id"] for each in await all_of("DiagnosticReport")}
        assert {each["report"] for each in answered.values()} == reports
        assert all(json.dumps(each["alerts"]) != "[]" and uuid.UUID(each["encounter"]) for each in answered.values())


@pytest.mark.alone
def test_killed_workers_lose_no_visit_and_store_none_twice(tmp_path: Path) -> None:
    asyncio.run(before(tmp_path))
    with running(tmp_path, SERVICES="care", CITY="hanbit") as hub:
        answered = asyncio.run(scenario(hub))
    assert len(answered) == KIOSKS * EACH
    asyncio.run(after(tmp_path, answered))
