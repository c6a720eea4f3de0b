"""A visit over HTTP: who comes, what is stored of it and what is not, and what is refused without being lost."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from hanmaru.care.citizen.visit import grades, measured
from hanmaru.care.fhir import text, validate
from hanmaru.care.visits import passes
from hanmaru.care.visits.kiosks import ROOM
from hanmaru.care.visits.visit import Posted, take
from hanmaru.platform.problems import Problem
from tests.care.visiting import House, centre, citizen, posted

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[House]:
    async with centre(tmp_path_factory.mktemp("centre")) as made:
        yield made


async def found(house: House, type: str, *query: tuple[str, str]) -> list[dict[str, Any]]:
    answer = await house.records.search(ROOM, type, [*query, ("_count", "500")])
    return [text.decode(each.text) for each in answer.matches]


async def sent(house: House, visit: dict[str, Any]) -> Any:
    return (await house.say("kiosk-1", "POST", "/visits", visit)).json()


async def test_a_kiosk_starts_with_all_that_it_needs_offline(house: House) -> None:
    told = await house.get("kiosk-1", "/kiosk")
    assert told["place"] == {"id": "place-1", "name": {"ko": "솔숲동 건강측정실", "en": "Solsup Health Corner"}}
    assert [each["id"] for each in told["consent_texts"]] == ["store", "follow-up", "reminders"]
    assert told["plausibility"]["sbp_mmhg"]["impossible_high"] == 300
    assert told["norms"]["bp.urgent"] == "1"
    assert (await house.say("kiosk-2", "GET", "/kiosk")).status == 403
    assert (await house.say("nari", "GET", "/kiosk")).status == 403


async def test_a_visit_is_stored_whole_and_once(house: House) -> None:
    patient = await citizen(house.records, "card-1", "store", "follow-up")
    shown = await house.say("kiosk-1", "POST", "/kiosk/identify", {"card": "card-1"})
    who = shown.json()
    assert who["name_hint"] == "c○○"
    assert who["consents"] == {"store": True, "follow-up": True, "reminders": False}
    assert who["last"] is None
    visit = posted(visit_key=who["visit_key"])
    told = await house.visit(visit)
    assert told["encounter"] == visit["id"]
    assert {one["rule"]: one["band"] for one in told["grades"]}["bp.urgent"] == "no"
    stored = await found(house, "Observation", ("encounter", f"Encounter/{visit['id']}"))
    values = {one.column: one.value for one in measured(stored)}
    assert values == {"height_cm": 170.2, "weight_kg": 71.4, "sbp_mmhg": 128, "dbp_mmhg": 79, "pulse_bpm": 72}
    kept = {one.rule: one for one in grades(stored)}
    assert kept.keys() == {one["rule"] for one in told["grades"]}
    for one in told["grades"]:
        again = kept[one["rule"]]
        assert (again.version, again.band, again.level, again.source) == (
            *(one["version"], one["band"], one["level"], one["source"]),
        )
        assert again.inputs == pytest.approx(one["inputs"])
        assert again.text == one["text"]
    for type in ("DiagnosticReport", "RiskAssessment", "QuestionnaireResponse"):
        assert all(each["encounter"]["reference"].endswith(visit["id"]) for each in await found(house, type))
    (report,) = await found(house, "DiagnosticReport", ("subject", f"Patient/{patient}"))
    assert len(report["result"]) == len(stored)
    (provenance,) = await found(house, "Provenance", ("target", f"Encounter/{visit['id']}"))
    assert len(provenance["target"]) > len(stored)
    for _ in range(2):
        again = await house.visit(visit, 200)
        for one, before in zip(again["grades"], told["grades"], strict=True):
            assert one == before
        assert again == told | {"already": True}
    last = (await house.say("kiosk-1", "POST", "/kiosk/identify", {"card": "card-1"})).json()["last"]
    assert last["height_cm"] == 170.2


async def test_everything_of_a_visit_is_valid_r4(house: House) -> None:
    await citizen(house.records, "valid", "store", "follow-up")
    visit = posted(192, 112, card="valid", posture={"angles": {"cva_deg": 41.0}, "model": "pose 0.5"})
    device = {"name": "Scale", "model": "UC-352BLE", "serial": "5190200123"}
    visit["measurements"][1] |= {"how": "device", "device": device, "raw": "00c837", "repeat": 2}
    await house.visit(visit)
    (provenance,) = await found(house, "Provenance", ("target", f"Encounter/{visit['id']}"))
    targets = [each["reference"].split("/") for each in provenance["target"]]
    assert {type for type, _ in targets} == {
        *("Encounter", "Observation", "RiskAssessment", "QuestionnaireResponse", "DiagnosticReport", "Communication"),
        "Task",
    }
    resources = [text.decode((await house.records.read(ROOM, type, id)).text) for type, id in targets]
    for resource in [*resources, provenance, *await found(house, "Device"), *await found(house, "Location")]:
        errors = [each for each in validate.check(resource) if each.severity == "error"]
        assert errors == [], (resource["resourceType"], errors)


async def test_what_a_device_sent_is_kept_and_checked(house: House) -> None:
    await citizen(house.records, "cuff", "store")
    cuff = {"name": "Cuff", "model": "UA-651BLE", "address": "00:1A:7D:DA:71:13"}
    raw = {"how": "device", "device": cuff, "raw": "01a0f06bf078f0"}  # 16.0/10.7 kPa
    visit = posted(card="cuff")
    pressures = [one for one in visit["measurements"] if one["column"] in ("sbp_mmhg", "dbp_mmhg")]
    for one, value in zip(pressures, (16.0, 10.7), strict=True):
        one |= raw | {"value": value, "unit": "kPa"}
    told = await house.visit(visit)
    (one,) = await found(house, "Observation", ("encounter", f"Encounter/{visit['id']}"), ("code", "85354-9"))
    assert [float(part["valueQuantity"]["value"]) for part in one["component"]] == pytest.approx(
        [120.0099, 80.2566], abs=1e-3
    )
    extensions = {each["url"].rpartition(":")[2]: each for each in one["extension"]}
    assert extensions["raw"]["valueString"] == raw["raw"]
    assert extensions["sent"]["valueQuantity"] == {"value": 16, "unit": "kPa"}
    device = text.decode((await house.records.read(ROOM, "Device", one["device"]["reference"].split("/")[1])).text)
    assert device["identifier"][0]["value"] == cuff["address"]
    assert "patient" not in device
    assert told["encounter"] == visit["id"]
    other = {**visit, "id": posted()["id"], "measurements": [{**pressures[0], "value": 15.0}]}
    refused = await house.visit(other, 422)
    assert [(each["column"], each["code"]) for each in refused["problems"]] == [("sbp_mmhg", "raw-mismatch")]


@pytest.mark.parametrize(
    ("column", "change", "code"),
    [
        ("sbp_mmhg", {"value": 412}, "impossible"),
        ("dbp_mmhg", {"value": 130}, "impossible"),
        ("weight_kg", {"unit": "stone"}, "unit"),
        ("height_cm", {"column": "shoe_size"}, "unknown-column"),
        ("weight_kg", {"raw": "zz", "how": "device"}, "raw-mismatch"),
        ("weight_kg", {"raw": "00ffff", "how": "device"}, "raw-mismatch"),
        ("pulse_bpm", {"raw": "00c837", "how": "device"}, "raw-mismatch"),
    ],
)
async def test_a_value_that_cannot_be_is_refused_and_nothing_is_lost(
    house: House, column: str, change: dict[str, Any], code: str
) -> None:
    name = f"{column} {code} {change}"[:60]
    patient = await citizen(house.records, name, "store")
    visit = posted(card=name)
    whole = [dict(one) for one in visit["measurements"]]
    for one in visit["measurements"]:
        one |= change if one["column"] == column else {}
    refused = await house.visit(visit, 422)
    assert code in [each["code"] for each in refused["problems"]]
    assert all(each["text"].keys() == {"ko", "en"} for each in refused["problems"])
    assert await found(house, "Encounter", ("patient", f"Patient/{patient}")) == []
    assert (await house.visit({**visit, "measurements": whole}))["encounter"] == visit["id"]


async def test_without_consent_nothing_is_stored_and_all_is_told(house: House) -> None:
    patient = await citizen(house.records, "no")
    for one in (posted(card="no"), posted(192, 112, card="no", consents={"store": False, "follow-up": True})):
        told = await house.visit(one, 200)
        assert told["encounter"] is None
        assert told["grades"]
    kept = await found(house, "Encounter", ("patient", f"Patient/{patient}"))
    assert kept == []
    assert await found(house, "Communication", ("subject", f"Patient/{patient}")) == []
    before = await house.records.head()
    nobody = await house.visit(posted(192, 112, person={"sex": "female", "age_years": 70}), 200)
    assert [each["level"] for each in nobody["alerts"]] == ["urgent"]
    assert await house.records.head() == before


async def test_consents_that_are_given_at_the_kiosk_count_from_this_visit_on(house: House) -> None:
    patient = await citizen(house.records, "new")
    told = await house.visit(posted(192, 112, card="new", consents={"store": True, "follow-up": True}))
    assert told["alerts"][0]["nurse_told"] is True
    await house.visit(posted(192, 112, card="new", consents={"follow-up": False}))
    given = await found(house, "Consent", ("patient", f"Patient/{patient}"))
    codes = {each["category"][0]["coding"][0]["code"]: (each["status"], each["meta"]["versionId"]) for each in given}
    assert codes == {"store": ("active", "1"), "follow-up": ("inactive", "2")}
    assert len(await found(house, "Communication", ("subject", f"Patient/{patient}"))) == 1
    for each in given:  # who wrote it for the citizen, and when
        assert await found(house, "Provenance", ("target", f"Consent/{each['id']}"))


async def test_a_pass_identifies_while_it_is_shown_and_offline_by_when_it_was(house: House) -> None:
    patient = await citizen(house.records, "pass", "store")
    shown, until = passes.issue(house.records, patient)
    assert patient not in shown
    assert (await house.say("kiosk-1", "POST", "/kiosk/identify", {"pass": shown})).status == 200
    assert (await house.visit({**posted(), "pass": shown}))["encounter"]
    for wrong in (shown[:-2] + "AA", "x", passes.visit_key(house.records, patient), "é" * 20):
        assert (await house.say("kiosk-1", "POST", "/kiosk/identify", {"pass": wrong})).status == 404
    assert passes.patient_of(house.records, "pass", shown, until - passes.PASS_S) == patient
    for when in (until + passes.SKEW_S + 1, until - passes.PASS_S - passes.SKEW_S - 1):
        with pytest.raises(Problem, match="not valid any more"):
            passes.patient_of(house.records, "pass", shown, when)
    assert (await house.say("kiosk-1", "POST", "/kiosk/identify", {"card": "nobody's"})).status == 404
    assert (await house.say("kiosk-1", "POST", "/kiosk/identify", {})).status == 400


async def test_one_of_two_workers_stores_a_visit_that_both_get(house: House) -> None:
    await citizen(house.records, "twice", "store", "follow-up")
    visit = posted(192, 112, card="twice")
    other = take(house.records, "kiosk-1", msgspec.convert(visit, Posted))
    first, (second, _), third = await asyncio.gather(sent(house, visit), other, sent(house, visit))
    told = [first, second, third]
    assert sorted(each["already"] for each in told) == [False, True, True]
    assert len({each["report"] for each in told}) == 1
    assert len(await found(house, "Communication", ("encounter", f"Encounter/{visit['id']}"))) == 1
    await citizen(house.records, "somebody else", "store")
    taken = await house.say("kiosk-1", "POST", "/visits", {**visit, "card": "somebody else"})
    assert taken.status == 409


async def test_several_readings_count_by_their_mean_and_tries_by_the_best(house: House) -> None:
    await citizen(house.records, "again", "store")
    visit = posted(150, 95, card="again")
    more = [{**one, "repeat": 2} for one in visit["measurements"] if one["column"] in ("sbp_mmhg", "dbp_mmhg")]
    more[0]["value"], more[1]["value"] = 130, 85
    grip = {"column": "grip_left_kg", "unit": "kg", "at": visit["at"], "how": "manual"}
    visit["measurements"] += [*more, {**grip, "value": 31}, {**grip, "value": 29, "repeat": 2}]
    told = await house.visit(visit)
    inputs = {name: value for one in told["grades"] for name, value in one["inputs"].items()}
    assert (inputs["sbp_mmhg"], inputs["dbp_mmhg"]) == (140, 90)
    if "grip_left_kg" in inputs:
        assert inputs["grip_left_kg"] == 31
    stored = await found(house, "Observation", ("encounter", f"Encounter/{visit['id']}"), ("code", "85354-9"))
    assert len(stored) == 2
    urgent = next(one for one in told["grades"] if one["rule"] == "bp.urgent")
    graded = await found(house, "Observation", ("encounter", f"Encounter/{visit['id']}"), ("code", "bp.urgent"))
    assert urgent["band"] == "no"
    assert {each["reference"] for each in graded[0]["derivedFrom"]} == {f"Observation/{each['id']}" for each in stored}


async def test_a_clock_that_is_wrong_is_told(house: House) -> None:
    for at in ("2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z", "2026-05-01T08:30:00", "soon"):
        assert (await house.say("kiosk-1", "POST", "/visits", {**posted(), "at": at})).status == 400


async def test_a_qr_code_is_drawn_and_kept_nowhere(house: House) -> None:
    drawn = (await house.say("kiosk-1", "POST", "/kiosk/qr", {"text": "혈압 120/80"})).json()["rows"]
    assert len(drawn) == len(drawn[0]) >= 21
    assert drawn[0].startswith("1111111")
