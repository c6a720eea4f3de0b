"""The nurse's desk and the manager's, over HTTP: alerts, their stream, the worklist, a person, places and parties."""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from hanmaru.care import entities
from hanmaru.care.citizen.consents import CENTRE, consent
from hanmaru.care.fhir.records import Change, Reader
from hanmaru.care.nurse import alerts, live
from hanmaru.care.visits import kiosks
from hanmaru.care.visits.kiosks import ROOM
from hanmaru.platform.bodies import instant
from tests.care.visiting import House, centre, citizen, posted

pytestmark = pytest.mark.asyncio(loop_scope="module")
NURSE = Reader("nari", "organisation", "health-centre", "treatment")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[House]:
    async with centre(tmp_path_factory.mktemp("centre")) as made:
        yield made


async def urgent(house: House, name: str, *allowed: str) -> tuple[str, Any]:
    """Have somebody measured whose pressure needs a doctor today."""
    patient = await citizen(house.records, name, *allowed)
    return patient, await house.visit(posted(192, 112, card=name))


async def withdraw(house: House, patient: str, category: str = "follow-up") -> None:
    found = await house.records.search(ROOM, "Consent", [("patient", f"Patient/{patient}"), ("category", category)])
    at = instant(time.time()) or ""
    said = consent(patient, category, CENTRE, False, at, found.matches[0].id)
    await house.records.commit(ROOM, [Change("PUT", "Consent", found.matches[0].id, said)])


async def open_of(house: House, patient: str) -> list[dict[str, Any]]:
    listed = (await house.get("nari", "/alerts"))["alerts"]
    return [each for each in listed if each["patient"] and each["patient"]["id"] == patient]


async def test_an_alert_waits_until_somebody_acknowledges_it(house: House) -> None:
    patient, told = await urgent(house, "Kim", "store", "follow-up")
    assert [each["nurse_told"] for each in told["alerts"]] == [True]
    (alert,) = await open_of(house, patient)
    assert alert["patient"]["name"] == "Kim"
    assert alert["place"]["id"] == "place-1"
    assert "192" in alert["text"]["ko"]
    assert alert["encounter"] == told["encounter"]
    taken = await house.say("nari", "POST", f"/alerts/{alert['id']}/acknowledge", {"note": "119를 불렀음"})
    assert taken.json()["acknowledged"]["by"] == "nari"
    assert await open_of(house, patient) == []
    again = await house.say("nari", "POST", f"/alerts/{alert['id']}/acknowledge", {"note": "me, too"})
    assert again.status == 409
    assert again.json()["by"] == "nari"
    done = (await house.get("nari", "/alerts?state=done"))["alerts"]
    assert done[0]["acknowledged"]["note"] == "119를 불렀음"
    assert (await house.say("nari", "POST", f"/alerts/{alert['id']}/acknowledge", {"note": ""})).status == 400


async def test_without_consent_to_be_followed_up_only_the_citizen_is_told(house: House) -> None:
    patient, told = await urgent(house, "Lee", "store")
    assert [each["nurse_told"] for each in told["alerts"]] == [False]
    assert "119" in told["alerts"][0]["what_to_do"]["ko"]
    assert await open_of(house, patient) == []
    found = await house.records.search(ROOM, "Communication", [("subject", f"Patient/{patient}")])
    assert found.matches == []


async def test_who_waits_longest_is_escalated_and_comes_first(house: House) -> None:
    first, _ = await urgent(house, "Han", "store", "follow-up")
    later = time.time_ns() // 1000 + (alerts.ESCALATE_S + 1) * 1_000_000
    assert await alerts.escalated(house.records, time.time_ns() // 1000) == 0
    assert await alerts.escalated(house.records, later) == 1
    assert await alerts.escalated(house.records, later) == 0
    second, _ = await urgent(house, "Moon", "store", "follow-up")
    listed = (await house.get("nari", "/alerts"))["alerts"]
    assert [each["patient"]["id"] for each in listed if each["patient"]][:2] == [first, second]
    assert [each["escalated"] for each in listed[:2]] == [True, False]


async def test_a_call_for_help_names_a_place_and_nobody(house: House) -> None:
    asked = await house.say("kiosk-1", "POST", "/kiosk/help", {"at": instant(time.time()), "step": "grip"})
    assert asked.status == 202
    calls = [each for each in (await house.get("nari", "/alerts"))["alerts"] if each["kind"] == "help"]
    assert [(each["patient"], each["place"]["id"]) for each in calls] == [(None, "place-1")]
    taken = await house.say("nari", "POST", f"/alerts/{calls[0]['id']}/acknowledge", {"note": "갔음"})
    assert taken.json()["state"] == "done"


class Watching:
    """A nurse's stream, event by event."""

    def __init__(self, house: House, after: int | None = None) -> None:
        self.reader = NURSE
        self._events = live.stream(house.records, self.eyes, after)

    async def eyes(self) -> Reader:
        return self.reader

    async def next(self, name: str) -> tuple[int, Any]:
        """Return the id and data of the next event of a name."""
        async with asyncio.timeout(10):
            async for body in self._events:
                for event in body.decode().split("\n\n"):
                    lines = dict(line.split(": ", 1) for line in event.split("\n") if line)
                    if lines.get("event") == name:
                        return int(lines["id"]), msgspec.json.decode(lines["data"])
        raise AssertionError("the stream ended")

    async def close(self) -> None:
        await self._events.aclose()  # type: ignore[attr-defined]


async def test_the_stream_tells_alerts_as_they_come_and_resumes(house: House) -> None:
    watching = Watching(house)
    _, before = await watching.next("alerts")
    patient, _ = await urgent(house, "Yoon", "store", "follow-up")
    seen, alert = await watching.next("alert")
    assert alert["patient"]["id"] == patient
    assert patient not in [each["patient"]["id"] for each in before["alerts"] if each["patient"]]
    await watching.close()
    missed, _ = await urgent(house, "Seo", "store", "follow-up")
    await house.say("nari", "POST", f"/alerts/{alert['id']}/acknowledge", {"note": "전화함"})
    again = Watching(house, seen)
    _, now = await again.next("alerts")
    here = [each["patient"]["id"] for each in now["alerts"] if each["patient"]]
    assert missed in here
    assert patient not in here
    told = [(await again.next("alert"))[1] for _ in range(2)]
    assert [(each["patient"]["id"], each["state"]) for each in told] == [(missed, "open"), (patient, "done")]
    await withdraw(house, missed)
    _, after = await again.next("alerts")
    assert missed not in [each["patient"]["id"] for each in after["alerts"] if each["patient"]]
    again.reader = Reader("nari", "organisation", "another-hospital", "treatment")  # she works for somebody else now
    await urgent(house, "Bae", "store", "follow-up")
    _, nothing = await again.next("alerts")
    assert nothing["alerts"] == []
    await again.close()


async def test_the_worklist_says_who_is_due_and_why_and_forgets_who_withdraws(house: House) -> None:
    patient = await citizen(house.records, "Oh", "store", "follow-up")
    await house.visit(posted(165, 104, card="Oh"))

    async def mine(**asked: Any) -> list[Any]:
        answer = await house.say("nari", "POST", "/worklist", {"within_days": 30, **asked})
        assert answer.status == 200, answer.body
        return [item for item in answer.json()["items"] if item["patient"] == patient]

    (item,) = await mine(q="oh")
    assert item["why"][0]["what"] == "see-doctor"
    assert item["why"][0]["from"] < item["why"][0]["due"]
    assert item["name"] == "Oh"
    assert item["level"] == "act"
    assert item["overdue_days"] < 0
    assert item["last_visit"]
    assert await mine(q="nobody") == []
    reason = item["why"][0]["code"]
    assert len(await mine(reason=reason)) == 1
    assert await mine(reason="something else") == []
    assert await mine(within_days=0) == []
    listed = await house.get("nari", f"/worklist?within_days=30&reason={reason}")
    assert patient in [each["patient"] for each in listed["items"]]
    person = await house.get("nari", f"/patients/{patient}")
    assert person["patient"]["name"] == "Oh"
    assert person["grades"][0]["level"] == "act"
    assert {each["code"] for each in item["why"]} <= {each["code"] for each in person["follow_ups"]}
    done = [each["task"] for each in person["follow_ups"]]
    note = {"kind": "phone", "note": "다음 주에 오기로 함", "follow_ups": done, "again": "2026-01-02"}
    made = await house.say("nari", "POST", f"/patients/{patient}/contact", note)
    assert made.status == 201, made.body
    (item,) = await mine()
    assert [why["code"] for why in item["why"]] == ["talk-again"]
    assert item["overdue_days"] > 0
    assert (await house.get("nari", f"/patients/{patient}"))["contacts"][0]["note"] == "다음 주에 오기로 함"
    await house.visit(posted(card="Oh"))
    assert all(why["code"] != "talk-again" for item in await mine() for why in item["why"])
    await withdraw(house, patient)
    assert await mine() == []
    for method, path, body in (
        ("GET", f"/patients/{patient}", None),
        ("POST", f"/patients/{patient}/contact", {"kind": "phone", "note": "?"}),
        ("POST", f"/patients/{patient}/card", {"number": "1234"}),
    ):
        assert (await house.say("nari", method, path, body)).status == 404
    found = await house.say("nari", "POST", "/patients/find", {"q": "Oh"})
    assert patient not in [each["id"] for each in found.json()["people"]]
    async with asyncio.timeout(10):
        while not (looks := await house.records.looks(patient)):  # noqa: ASYNC110 - another process writes
            await asyncio.sleep(0.05)
    assert {look.who for look in looks} == {"nari"}


async def test_a_manager_puts_kiosks_at_places_and_sees_nobody(house: House) -> None:
    place = {"name": {"ko": "강변동 건강측정실", "en": "Riverside"}, "lon": 128.09, "lat": 37.09}
    hours = {"days": ["mon", "sat"], "opens": "10:00", "closes": "19:30"}
    put = await house.say("boss", "PUT", "/manage/places/place-2", place | {"hours": hours})
    assert put.json()["hours"] == hours
    assert (await house.say("boss", "PUT", "/manage/kiosks/kiosk-2", {"place": "nowhere"})).status == 404
    assert (await house.say("boss", "PUT", "/manage/kiosks/kiosk-2", {"place": "place-2"})).status == 200
    assert (await house.get("kiosk-2", "/kiosk"))["place"]["id"] == "place-2"
    assert (await house.say("boss", "DELETE", "/manage/kiosks/kiosk-2")).status == 204
    assert (await house.say("kiosk-2", "GET", "/kiosk")).status == 403
    hospital = {"name": {"ko": "한빛병원", "en": "Hanbit Hospital"}}
    assert (await house.say("boss", "PUT", "/manage/organisations/hanbit", hospital)).status == 200
    assert (await house.say("boss", "PUT", "/manage/parties/dr-ahn", {"organisation": "nowhere"})).status == 404
    assert (await house.say("boss", "PUT", "/manage/parties/dr-ahn", {"organisation": "hanbit"})).status == 204
    told = await house.get("boss", "/manage")
    assert {each["account"]: each["active"] for each in told["kiosks"]} == {"kiosk-1": True, "kiosk-2": False}
    assert [each["id"] for each in told["places"]] == ["place-1", "place-2"]
    assert {"account": "dr-ahn", "organisation": "hanbit"} in told["parties"]
    assert (await house.say("boss", "DELETE", "/manage/parties/dr-ahn")).status == 204
    assert (await house.get("boss", "/manage"))["parties"] == []
    for path in ("/alerts", "/worklist"):
        assert (await house.say("boss", "GET", path)).status == 403
    assert (await house.say("nari", "GET", "/manage")).status == 403


async def test_the_hub_is_told_where_places_are_and_how_busy_in_steps(house: House) -> None:
    def shown(measured: int) -> Any:
        location = kiosks.place(
            "p", {"ko": "가", "en": "A"}, 128.1, 37.1, kiosks.Hours(("sat", "mon"), "09:00", "18:00")
        )
        return entities.entity(location, 1, measured)

    assert [shown(n)["measuredToday"]["value"] for n in (0, 4, 5, 9, 10)] == [0, 0, 5, 5, 10]
    assert shown(1)["openingHours"]["value"] == ["Mo,Sa 09:00-18:00"]
    before = {each["id"]: each for each in await entities.places(house.records)}[
        "urn:ngsi-ld:HealthScreeningPlace:care:place-1"
    ]
    for n in range(5):
        await citizen(house.records, f"one of {n}", "store")
        await house.visit(posted(card=f"one of {n}"))
    after = {each["id"]: each for each in await entities.places(house.records)}[
        "urn:ngsi-ld:HealthScreeningPlace:care:place-1"
    ]
    assert after["measuredToday"]["value"] == before["measuredToday"]["value"] + 5
    assert after["name"]["languageMap"]["en"] == "Solsup Health Corner"
    assert after["kiosksInService"]["value"] == 1
