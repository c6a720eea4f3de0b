"""What somebody tries who is not meant to: to learn of others, to hold the room up, to stay after being destroyed."""

import sqlite3
import time
from base64 import b64encode
from decimal import Decimal
from pathlib import Path
from typing import Any

from hanmaru.care import people
from hanmaru.care.fhir import quantities, text
from hanmaru.care.fhir.records import Change, Reader, Records
from hanmaru.care.visits import kiosks
from hanmaru.care.visits.api import CARDS
from hanmaru.platform.problems import Problem
from tests.asgi import ask
from tests.care.house import consent, house, observation, person, put, status
from tests.care.visiting import PASSWORD, centre, citizen, posted

HOSPITAL = Reader("machine", "organisation", "hospital", "treatment")
OTHER = Reader("another", "organisation", "other", "treatment")


def subscription(endpoint: str, **more: Any) -> dict[str, Any]:
    channel = {"type": "rest-hook", "endpoint": endpoint}
    return {"resourceType": "Subscription", "status": "requested", "criteria": "Task", "channel": channel, **more}


async def test_whether_somebody_was_destroyed_is_not_told_to_who_may_not_know_them(tmp_path: Path) -> None:
    async with house(tmp_path) as records:
        gone, citizen = await person(records), await person(records)
        await records.purge(gone)
        for reader in (HOSPITAL, Reader("minji", "patient", citizen)):
            for id in (gone, "never-was"):
                change = Change("POST", "Observation", None, observation(id))
                assert await status(records.commit(reader, [change])) == 403


async def test_a_subscription_is_its_authors_even_where_it_names_a_patient_of_another(tmp_path: Path) -> None:
    about = {"contact": [{"extension": [{"url": "urn:x", "valueReference": {"reference": "Patient/p1"}}]}]}
    async with house(tmp_path) as records:
        await person(records, "p1")
        for organisation in ("hospital", "other"):
            made = consent("p1", organisation)
            await records.commit(Reader("minji", "patient", "p1"), [Change("POST", "Consent", None, made)])
        await put(records, "Subscription", "s1", subscription("https://a.example/", **about), HOSPITAL)
        stolen = [Change("PUT", "Subscription", "s1", subscription("https://evil.example/", **about))]
        assert await status(records.commit(OTHER, stolen)) == 403
        assert await status(records.commit(OTHER, [Change("DELETE", "Subscription", "s1")])) == 403
        assert await status(records.commit(HOSPITAL, stolen)) == 200


async def test_citizens_do_not_take_up_the_subscriptions(tmp_path: Path) -> None:
    async with house(tmp_path) as records:
        minji = Reader("minji", "patient", await person(records))
        made = [Change("POST", "Subscription", None, subscription("https://a.example/"))]
        assert await status(records.commit(minji, made)) == 403


async def test_citizens_make_no_alert_and_no_referral_of_their_own(tmp_path: Path) -> None:
    async with house(tmp_path) as records:
        me = {"reference": f"Patient/{await person(records)}"}
        minji = Reader("minji", "patient", me["reference"].removeprefix("Patient/"))
        task = {"resourceType": "Task", "status": "requested", "intent": "order", "for": me}
        alert = {"resourceType": "Communication", "status": "completed", "subject": me}
        for made in (task, alert):
            assert await status(records.commit(minji, [Change("POST", made["resourceType"], None, made)])) == 403
        goal = {"resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": "walk"}, "subject": me}
        assert (await records.commit(minji, [Change("POST", "Goal", None, goal)]))[0].version == 1


async def test_a_hospital_cannot_tie_two_people_together_so_that_one_is_destroyed_with_the_other(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as records:
        for id in ("p1", "p2"):
            await person(records, id)
            made = consent(id, "hospital")
            await records.commit(Reader(id, "patient", id), [Change("POST", "Consent", None, made)])
        tied = {"resourceType": "Patient", "link": [{"other": {"reference": "Patient/p2"}, "type": "seealso"}]}
        assert await status(records.commit(HOSPITAL, [Change("PUT", "Patient", "p1", tied)])) == 403
        await records.purge("p2")
        assert (await records.read(Reader("p1", "patient", "p1"), "Patient", "p1")).version == 1


async def test_nothing_names_a_destroyed_person_not_even_the_answers_to_idempotency_keys(tmp_path: Path) -> None:
    async with house(tmp_path) as records:
        kept = await person(records)
        for patient in (gone := await person(records), kept):
            change = Change("PUT", "Observation", f"of-{patient}", observation(patient))
            await records.commit(Reader("room", "all"), [change], f"key-{patient}")
        await records.purge(gone)
    for path in (tmp_path / "data" / "services" / "care").rglob("*"):
        if path.is_file():
            assert gone.encode() not in path.read_bytes(), path.name
    db = sqlite3.connect(tmp_path / "data" / "services" / "care" / "records.db")
    (left,) = db.execute("SELECT made FROM idempotency").fetchall()
    db.close()
    assert kept in left[0]


def test_a_number_of_many_digits_holds_nobody_up() -> None:
    begun = time.process_time()
    number = Decimal("1." + "7" * 400_000)
    assert quantities.canonical(quantities.UCUM, "kg", (number,))[1][0] is not None
    for other in ("1E999999999", "-1E-999999999"):
        quantities.canonical(quantities.UCUM, "kg", (Decimal(other),))
    assert time.process_time() - begun < 2


async def test_odd_searches_are_refused_and_never_fail(tmp_path: Path) -> None:
    async with house(tmp_path) as records:
        patient = await person(records)
        for name, value in (
            ("_has:Observation:patient:code", "x"),
            ("_has:Provenance:target:_id", "x"),
            ("_has:Patient:link:_has:Observation:patient:code", "x"),
            (".".join(["subject"] * 50), "x"),
            ("_count", "-1"),
            ("_cursor", "AAAA"),
            ("value-quantity", "NaN"),
            ("_id", ",".join("x" * 3_000)),
            ("_include", "*:*"),
        ):
            assert await status(records.search(HOSPITAL, None, [(name, value)])) == 400, name
        for asked in (("_include", "*"), ("_count", "999999999"), ("_compartment", f"Patient/{patient}")):
            assert patient not in {each.id for each in (await records.search(HOSPITAL, None, [asked])).matches}


async def test_hidden_and_missing_are_told_alike_in_every_way_of_asking(tmp_path: Path) -> None:
    async with house(tmp_path) as records:
        hidden = await person(records)
        await put(records, "Observation", "seen", observation(hidden))

        async def said(id: str, patient: str) -> list[tuple[int, str]]:
            return [await _refused(records, id, patient, at) for at in range(6)]

        there, missing = await said("seen", hidden), await said("none", "nobody")
        assert [(code, words.replace("seen", "none").replace(hidden, "nobody")) for code, words in there] == missing


async def _refused(records: Records, id: str, patient: str, at: int) -> tuple[int, str]:
    ways = (
        lambda: records.read(HOSPITAL, "Observation", id),
        lambda: records.vread(HOSPITAL, "Observation", id, 1),
        lambda: records.history(HOSPITAL, "Observation", id),
        lambda: records.commit(HOSPITAL, [Change("DELETE", "Observation", id)]),
        lambda: records.commit(HOSPITAL, [Change("POST", "Observation", None, observation(patient))]),
        lambda: records.read(HOSPITAL, "Patient", patient),
    )
    try:
        await ways[at]()
    except Problem as problem:
        return problem.status, problem.detail
    raise AssertionError("it was answered")


async def test_a_kiosk_guesses_no_cards_and_travels_in_no_time(tmp_path: Path) -> None:
    async with centre(tmp_path) as kiosk:
        patient = await citizen(kiosk.records, "kim", "store")
        await people.bind(kiosk.records, "minji", patient)
        for at in ("2199-01-01T00:00:00Z", "2001-01-01T00:00:00Z"):
            one = {"column": "height_cm", "value": 170, "unit": "cm", "at": at, "how": "manual"}
            answer = await kiosk.say("kiosk-1", "POST", "/visits", {**posted(card="kim"), "measurements": [one]})
            assert answer.status == 400, answer.body
        assert (await kiosk.say("kiosk-1", "POST", "/kiosk/identify", {"card": "kim"})).status == 200
        trail = b"".join(path.read_bytes() for path in (tmp_path / "audit").rglob("*") if path.is_file())
        (said,) = [line for line in trail.splitlines() if b'"care.identify"' in line]
        assert people.subject_of(kiosk.records, patient).encode() in said
        assert patient.encode() not in said  # the vault's pseudonym alone
        found = [
            (await kiosk.say("kiosk-1", "POST", "/kiosk/identify", {"card": f"guess {n}"})).status
            for n in range(CARDS + 3)
        ]
        assert found[0] == 404
        assert found[-1] == 429
        await kiosks.bind(kiosk.records, "kiosk-2", "place-1")
        assert (await kiosk.say("kiosk-2", "POST", "/kiosk/identify", {"card": "kim"})).status == 200
        # over HTTP: who has no business with records is told so before anything is looked for
        for who in ("kiosk-1", "boss"):
            credentials = b64encode(f"{who}:{PASSWORD}".encode()).decode()
            for path in (f"/Patient/{patient}", "/Patient/nobody", f"/Patient/{patient}/$everything", "/_history", ""):
                headers = {"authorization": f"Basic {credentials}", "if-none-match": 'W/"1"'}
                assert (await ask(kiosk.app, f"/fhir/R4{path}", headers=headers)).status == 403
        # a batch's entries, ETag and Prefer tell a nurse without a consent nothing
        credentials = b64encode(f"nari:{PASSWORD}".encode()).decode()
        entries = [{"request": {"method": "GET", "url": f"Patient/{patient}", "ifNoneMatch": 'W/"1"'}}]
        batch = text.encode({"resourceType": "Bundle", "type": "batch", "entry": entries})
        headers = {"authorization": f"Basic {credentials}", "content-type": "application/fhir+json"}
        answer = await ask(kiosk.app, "/fhir/R4", method="POST", headers=headers, body=batch)
        assert answer.json()["entry"][0]["response"]["status"].startswith("404")
