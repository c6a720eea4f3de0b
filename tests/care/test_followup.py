"""When somebody is looked at again, and how who agreed is reminded."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hanmaru.care.citizen.consents import CENTRE, consent
from hanmaru.care.domain import CareError
from hanmaru.care.fhir import text
from hanmaru.care.fhir.records import ALL, Records
from hanmaru.care.hospital.reminders import BY_TEXT, Gateway, Reminders, gateway_of
from hanmaru.care.hospital.schedule import BY_LEVEL, INTERVALS, follow_ups, interval
from hanmaru.care.rules.catalogue import RULES, explain
from hanmaru.care.visits.shapes import spoken, task
from hanmaru.platform.sender import Sender
from tests.care.house import ZONE, house, person, put
from tests.care.receiving import Receiver, receiving

NOON = datetime(2026, 11, 20, 12, tzinfo=ZONE)


def test_every_finding_that_asks_for_something_has_a_day_with_a_source() -> None:
    for rule in RULES.values():
        for band in rule.bands:
            found = interval(rule.id, rule.group, band.code, band.level)
            assert (found is None) == (band.level not in BY_LEVEL), (rule.id, band.code)
            if found is not None:
                assert 0 < found.days <= found.by
                assert found.source
    assert all(band in {one.code for one in RULES[rule].bands} for rule, band in INTERVALS)


@pytest.mark.parametrize(
    ("systolic", "diastolic", "days", "by"),
    [
        (118, 76, None, None),
        (124, 76, 180, 365),
        (134, 84, 90, 180),
        (150, 92, 14, 30),
        (165, 95, 7, 14),
        (185, 95, 1, 1),
    ],
)
def test_the_higher_the_pressure_the_sooner_it_is_seen_to(systolic: int, diastolic: int, days: int, by: int) -> None:
    due = {one.group: one for one in follow_ups(explain({"sbp_mmhg": systolic, "dbp_mmhg": diastolic}))}
    found = due.get("blood-pressure")
    assert (found and found.days, found and found.by) == (days, by)


def test_posture_and_comparisons_ask_for_nothing() -> None:
    grades = explain({"cva_deg": 40, "shoulder_tilt_deg": 9})
    assert {one.level for one in grades} == {"watch"}
    assert follow_ups(grades) == []


async def due(records: Records, id: str, *, agreed: bool = True, phone: str = "010-1234-5678", days: int = 0) -> str:
    """Make somebody with a follow-up that is due so many days from noon's day."""
    patient = await person(records, id)
    telecom = [{"system": "phone", "value": phone}] if phone else []
    resource: dict[str, Any] = {"resourceType": "Patient", "name": [{"text": id}]}
    await put(records, "Patient", patient, {**resource, "telecom": telecom} if telecom else resource)
    said = consent(patient, "reminders", CENTRE, agreed, "2026-11-20T09:00:00+09:00", f"reminders-{patient}")
    await put(records, "Consent", f"reminders-{patient}", said)
    reason = spoken({"ko": "혈압", "en": "Blood pressure"})
    first = NOON.date() + timedelta(days=days)
    span = first, first + timedelta(days=16)
    made = task(reason, span, f"Patient/{patient}", int(NOON.timestamp() * 1e6))
    await put(records, "Task", f"due-{id}", made)
    return patient


async def reminded(records: Records, id: str) -> dict[str, Any]:
    return text.decode((await records.read(ALL, "Communication", f"reminder-due-{id}")).text)


async def test_who_agreed_is_reminded_once_when_it_is_due(tmp_path: Path) -> None:
    async with house(tmp_path) as records:
        for id, facts in {"kim": {}, "lee": {"agreed": False}, "park": {"days": 1}}.items():
            await due(records, id, **facts)
        reminders = Reminders(records, None, None, NOON.timestamp)  # nothing is sent outside
        assert (await reminders.look(), await reminders.send()) == (1, 1)
        assert (await reminders.look(), await reminders.send()) == (0, 0)
        said = await reminded(records, "kim")
    assert said["status"] == "completed"
    assert said["payload"][0]["contentString"].startswith("혈압")


async def test_texts_wait_for_the_gateway_and_say_nothing_of_health(tmp_path: Path) -> None:
    receiver = Receiver()
    async with house(tmp_path) as records, receiving(receiver):
        sender = Sender(per_endpoint=1, ssl=None)
        try:
            for id, facts in {"kim": {}, "lee": {}, "choi": {"phone": ""}}.items():
                await due(records, id, **facts)
            reminders = Reminders(records, Gateway(receiver.url, "X-Key: k"), sender, NOON.timestamp)
            assert await reminders.look() == 3
            receiver.status = 503
            assert await reminders.send() == 0
            assert (await reminded(records, "kim"))["status"] == "preparation"
            gone = consent("lee", "reminders", CENTRE, False, "2026-11-21T09:00:00+09:00", "reminders-lee")
            await put(records, "Consent", "reminders-lee", gone)
            receiver.status = 200
            assert await reminders.send() == 1
            states = [(await reminded(records, id))["status"] for id in ("kim", "lee", "choi")]
        finally:
            await sender.close()
    assert states == ["completed", "not-done", "not-done"]
    [came] = receiver.came
    assert json.loads(came.body) == {"id": "reminder-due-kim", "to": "010-1234-5678", "text": BY_TEXT}
    assert came.headers["X-Key"] == "k"


@pytest.mark.parametrize(
    ("written", "reason"),
    [("endpoint = 3", "cannot be used"), ('endpoint = "ftp://x/"', "https://"), ('port = "x"', "cannot be used")],
)
def test_a_gateway_that_cannot_be_used_says_why(tmp_path: Path, written: str, reason: str) -> None:
    assert gateway_of(tmp_path) is None
    (tmp_path / "reminders.toml").write_text(written)
    with pytest.raises(CareError, match=reason):
        gateway_of(tmp_path)
