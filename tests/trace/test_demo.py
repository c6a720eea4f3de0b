"""The demo's cases go the lawful way, with records of the simulated city."""

import asyncio
from datetime import date
from pathlib import Path

from hanmaru.trace.cases import demo, demo_records
from tests.trace import rooms
from tests.trace.rooms import City, engine, until

KIM, POLICE, CARDS = (demo.account(role) for role in ("investigator", "police-approver", "card-approver"))


async def test_three_cases_at_several_stages_and_providers_who_answer(tmp_path: Path) -> None:
    records = tmp_path / "records"
    await asyncio.to_thread(demo_records.make, records, "sejong", 300, 4, date.today())
    async with rooms.city(tmp_path / "city", demo=True) as city, engine(city):
        (records / "reference").rename(city.room.folder / "reference")
        await demo.introduce(city.room, records)
        await demo.introduce(city.room, records)
        first, second, third = (await city.json(KIM, "/cases"))["cases"][::-1]
        assert [one["disease"] for one in (first, second, third)] == ["covid-19", "covid-19", "measles"]
        assert third["status"] == "new"
        (waiting,) = second["waiting"]
        assert waiting["role"] == "police-approver"
        await city.json(POLICE, f"/requests/{waiting['request']}/decision", {"verdict": "approve"})
        assert await demo.answer_all(city.room, records) == 0, "nobody answers before the cards are approved, too"
        await city.json(CARDS, f"/requests/{waiting['request']}/decision", {"verdict": "approve"})
        assert await demo.answer_all(city.room, records) == 2
        assert (await city.json(KIM, f"/requests/{waiting['request']}"))["state"] == "answered"

        await until(lambda: finished(city, first["id"]), within_s=120)
        results = await city.json(KIM, f"/cases/{first['id']}/results")
        assert len(results["stays"]) >= 4
        assert {row["kind"] for row in results["evidence"]} >= {"phone", "card", "checkin"}
        for request in (await city.json(KIM, f"/cases/{first['id']}"))["requests"]:
            assert request["state"] == "answered"


def finished(city: City, case: str) -> bool:
    row = city.room.book.case(case)
    assert row.run_state != "failed", row.run_stage
    return row.run_state == "done"
