"""Referrals in one house: who may ask, what may follow what, and what the room ends."""

from pathlib import Path
from typing import Any

import pytest

from hanmaru.care.fhir import text
from hanmaru.care.fhir.records import ALL, Change, Reader, Records
from hanmaru.care.fhir.states import TASK
from hanmaru.care.hospital import referrals
from hanmaru.platform.problems import Problem
from tests.care.house import consent, house, person, put, status

HOSPITAL = Reader("client:hospital", "organisation", "hospital-1")
OTHER = Reader("client:other", "organisation", "hospital-2")
DOCTOR = Reader("doctor", "organisation", "health-centre")


async def citizen(records: Records) -> str:
    """Make a citizen who lets the health centre and one hospital see the record."""
    for id in ("hospital-1", "hospital-2"):
        await put(records, "Organization", id, {"resourceType": "Organization", "active": True, "name": id})
    made = await person(records)
    await put(records, "Consent", f"centre-{made}", consent(made, "health-centre", "follow-up"))
    await put(records, "Consent", f"hospital-{made}", consent(made, "hospital-1"))
    return made


async def move(records: Records, reader: Reader, task: str, **change: Any) -> None:
    version = await records.read(reader, "Task", task)
    await records.commit(reader, [Change("PUT", "Task", task, text.decode(version.text) | change, version.version)])


async def test_a_referral_is_asked_answered_and_ended(tmp_path: Path) -> None:
    async with house(tmp_path) as records:
        kim = await citizen(records)
        made = await referrals.refer(records, DOCTOR, kim, "hospital-1", "혈압", "urgent", "약은 드시지 않음")
        assert (made["state"], made["to"]["id"], made["patient"]["name"]) == ("requested", "hospital-1", "홍길동")
        task = made["id"]
        assert await status(move(records, HOSPITAL, task, status="completed")) == 422
        assert await status(move(records, DOCTOR, task, status="accepted")) == 403
        assert await status(move(records, HOSPITAL, task, owner={"reference": "Organization/hospital-2"})) == 422
        assert await status(records.commit(HOSPITAL, [Change("DELETE", "Task", task)])) == 409
        assert await status(move(records, OTHER, task, status="received")) == 404
        for state in ("received", "accepted", "in-progress", "completed"):
            await move(records, HOSPITAL, task, status=state)
        assert await status(referrals.cancel(records, DOCTOR, task, "zu spät")) == 422
        for row in await records.changes(0, 1000):
            await referrals.follow(records, row)
        request = text.decode((await records.read(ALL, "ServiceRequest", made["request"])).text)
        assert request["status"] == "completed"
        assert [one["state"] for one in await referrals.listed(records, DOCTOR, "ended")] == ["completed"]
        assert await referrals.listed(records, DOCTOR, "open") == []


async def test_nobody_is_referred_where_they_do_not_want_to_be_seen(tmp_path: Path) -> None:
    async with house(tmp_path) as records:
        kim = await citizen(records)
        ask = [(kim, "hospital-2"), (kim, "nowhere"), ("nobody", "hospital-1"), (kim, "health-centre")]
        found = [await status(referrals.refer(records, DOCTOR, who, to, "?", "routine")) for who, to in ask]
        assert found == [409, 404, 404, 409]
        assert await records.looks(kim) == [] or all(
            look.organisation != "hospital-2" for look in await records.looks(kim)
        )


async def test_the_health_centre_cancels_and_asks_elsewhere(tmp_path: Path) -> None:
    async with house(tmp_path) as records:
        kim = await citizen(records)
        made = await referrals.refer(records, DOCTOR, kim, "hospital-1", "혈압", "routine")
        with pytest.raises(Problem, match="under way"):
            await referrals.refer(records, DOCTOR, kim, "hospital-1", "혈압", "routine")
        ended = await referrals.cancel(records, DOCTOR, made["id"], "다른 병원을 원함")
        assert (ended["state"], ended["why"]) == ("cancelled", "다른 병원을 원함")
        assert (await referrals.refer(records, DOCTOR, kim, "hospital-1", "혈압", "routine"))["state"] == "requested"


def test_every_open_state_can_end() -> None:
    for state in TASK:
        reached, ways = set(), {state}
        while ways:
            reached |= ways
            ways = {after for one in ways for after in TASK.get(one, ())} - reached
        assert reached & referrals.ENDED
    assert not referrals.ENDED & set(TASK)
