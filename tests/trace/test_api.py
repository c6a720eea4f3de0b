"""The journey of one case over HTTP: evidence in, results, decisions, hotspots, chain, report out."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hanmaru.trace.cases import chain, findings, hotspots, intake
from hanmaru.trace.cases.work import conclude
from hanmaru.trace.evidence.inputs import EVIDENCE
from tests.trace import rooms
from tests.trace.rooms import CARRIER, KIM, LEE, LOCATION, PARK, City, engine, until

HOME, CAFE = (36.4800, 127.2600), (36.4900, 127.2700)


@pytest.fixture
async def city(tmp_path: Path) -> AsyncIterator[City]:
    async with rooms.city(tmp_path) as city:
        yield city


def day_of(subject: str, day: str, out: tuple[int, int] = (12, 14)) -> str:
    """Return a day's phone rows: at home, and in the café between two hours; one every ten minutes, with 60 m error."""
    rows: list[str] = []
    at = datetime.fromisoformat(f"{day}T08:00:00+09:00")
    for n in range(72):
        when = at + timedelta(minutes=10 * n)
        lat, lon = CAFE if out[0] <= when.hour < out[1] else HOME
        wiggle = 0.0001 * ((n * 7) % 5 - 2)
        rows.append(f"{subject},{when.isoformat()},{lat + wiggle:.5f},{lon - wiggle:.5f},60\n")
    return "".join(rows)


HEAD = "subject,time,lat,lon,accuracy_m\n"


async def test_a_case_is_investigated_as_a_workflow_and_again_without_losing_what_was_decided(tmp_path: Path) -> None:
    async with rooms.city(tmp_path) as city, engine(city):
        case = await city.open_case()
        assert (await city.refused(KIM, f"/cases/{case}/results"))[0] == 404
        near = {**LOCATION, "kinds": ["location"]}
        id = await city.approved(case, near)
        days = ["2026-11-10", "2026-11-11"]
        own = HEAD + "".join(day_of(case, day) for day in days)
        await city.json(CARRIER, f"/requests/{id}/answers?kind=location", raw=own.encode())
        area = {"lat": CAFE[0], "lon": CAFE[1], "radius_m": 400}
        crowd = await city.approved(case, {**LOCATION, "kinds": ["cell-presence"], "area": area})
        others = HEAD + "".join(day_of(f"p{n}", "2026-11-10") for n in range(6))
        taken = await city.json(CARRIER, f"/requests/{crowd}/answers?kind=phone", raw=others.encode())
        assert taken["refused"]["out_of_area"] == 6 * 60, "nobody is followed home"
        said = {
            "start": "2026-11-11T19:00:00+09:00",
            "end": "2026-11-11T20:00:00+09:00",
            "lat": HOME[0],
            "lon": HOME[1],
        }
        await city.json(KIM, f"/cases/{case}/statements", {**said, "text": "집에 있었다", "certainty": "sure"})

        begun = await city.ask(KIM, f"/cases/{case}/investigate", {})
        assert (begun.status, begun.json()["state"]) == (202, "queued")
        await until(lambda: finished(city, case), within_s=120)
        results = await city.json(KIM, f"/cases/{case}/results")
        cafe = [
            stay
            for stay in results["stays"]
            if abs(stay["lat"] - CAFE[0]) < 0.002 and abs(stay["lon"] - CAFE[1]) < 0.002
        ]
        assert [stay["start"][:10] for stay in cafe] == days
        assert {row["request"] for row in results["evidence"] if row["kind"] == "phone"} == {id}
        assert any(row["kind"] == "statement" for row in results["evidence"])
        met = {contact["subject"] for contact in results["contacts"]}
        assert met
        assert met <= {f"p{n}" for n in range(6)}
        assert all(contact["decision"] is None for contact in results["contacts"])
        assert not results["test_data"]

        first = results["contacts"][0]
        decision = {"verdict": "dismissed", "reason": "마스크 착용"}
        await city.json(KIM, f"/cases/{case}/contacts/{first['id']}/decision", decision)
        assert (await city.refused(KIM, f"/cases/{case}/contacts/c-unknown/decision", decision))[0] == 404
        (card,) = (await city.json(KIM, "/cases"))["cases"]
        assert card["contacts"] == {"total": len(met), "undecided": len(met) - 1, "accepted": 0}
        before = city.room.book.case(case).results
        await city.json(KIM, f"/cases/{case}/investigate", {})
        await until(lambda: finished(city, case, 2), within_s=60)
        again = await city.json(KIM, f"/cases/{case}/results")
        kept = {contact["subject"]: contact["decision"] for contact in again["contacts"]}
        assert kept[first["subject"]]["verdict"] == "dismissed"
        assert before
        assert not city.locks.vaults.keys.versions("trace", before), "no old results lie about"
        progress = await city.json(KIM, f"/cases/{case}/investigation")
        assert (progress["state"], progress["progress"]) == ("done", 1.0)
        text = (await city.ask(KIM, f"/cases/{case}/cameras.csv")).body
        assert text.startswith(b"camera_id,start,end,probability")


def finished(city: City, case: str, run: int = 1) -> bool:
    row = city.room.book.case(case)
    assert row.run_state != "failed", row.run_stage
    return row.run == run and row.run_state == "done"


async def test_an_investigation_of_nothing_says_so(tmp_path: Path) -> None:
    async with rooms.city(tmp_path) as city, engine(city):
        case = await city.open_case()
        await city.json(KIM, f"/cases/{case}/investigate", {})
        progress = await until(lambda: failed(city, case))
        assert progress["stage"].startswith("nothing has come yet")


async def failed(city: City, case: str) -> Any:
    progress = await city.json(KIM, f"/cases/{case}/investigation")
    return progress if progress["state"] == "failed" else None


def test_answers_have_the_columns_that_investigations_read() -> None:
    for name in ("phone", "cards", "checkins", "gps", "sightings"):
        theirs = {column: (kind.kind, kind.needed) for column, kind in EVIDENCE[name].items()}
        ours = {column: (kind.kind, kind.needed) for column, kind in intake.columns(name).items()}
        if name == "cards":  # without it nobody knows whether the row was asked for
            theirs["kind"] = ("text", True)
        assert ours == theirs, name


def spot(people: int, lat: float = 36.48123, **more: Any) -> dict[str, Any]:
    times = {"start": "2026-11-10T03:00:00Z", "end": "2026-11-10T05:00:00Z"}
    place = {"id": f"cafe-{lat}", "name": "카페", "kind": "cafe", "lat": lat, "lon": 127.26}
    figures = {"radius_m": 50.0, "people": people, "expected": 1.0, "probability": 0.9, "place": place}
    return {"id": "h1", "lat": lat, "lon": 127.26789, **times, **figures, **more}


async def test_hotspots_are_shared_where_five_people_were_and_name_no_case(city: City) -> None:
    one, two = await city.open_case(), await city.open_case()
    await findings.keep(city.room, one, {"hotspots": [spot(12), spot(4, 36.5), spot(5, 36.6)], "contacts": []})
    await findings.keep(city.room, two, {"hotspots": [spot(9)], "contacts": []})
    shared = (await city.json(KIM, "/hotspots"))["hotspots"]
    assert [(round(each["lat"], 2), each["people"], each["cases"]) for each in shared] == [(36.48, 12, 2), (36.6, 5, 1)]
    assert one not in str(shared)
    assert (await city.json(KIM, "/hotspots?since=2026-11-11T00:00:00Z"))["hotspots"] == []
    assert (await city.refused(KIM, "/hotspots?since=2026-11-11T00:00:00"))[0] == 400
    assert (await city.refused(PARK, "/hotspots"))[0] == 403
    made = hotspots.entity(shared[0])
    assert made["location"]["value"]["coordinates"] == [127.268, 36.481]
    assert (made["peopleCount"]["value"], made["validFrom"]["value"]) == (10, "2026-11-10")
    assert "place" not in made
    await city.json(KIM, f"/cases/{two}/close", {"outcome": "회복"})
    assert [each["cases"] for each in (await city.json(KIM, "/hotspots"))["hotspots"]] == [1, 1]


async def test_the_chain_joins_a_case_to_the_contact_that_became_one(city: City) -> None:
    first = await city.open_case(onset="2026-11-10")
    named = {"person": {"name": "남궁민준"}}
    contact = (await city.json(KIM, f"/cases/{first}/contacts", named))["id"]
    new = {**rooms.NEW_CASE, "person": {"name": "남궁민준"}, "onset": "2026-11-14"}
    second = (await city.json(KIM, f"/cases/{first}/contacts/{contact}/convert", {"new": new}))["id"]
    far = await city.open_case(onset="2026-09-01")
    await chain.work_out(city.room)
    found = await city.json(KIM, "/chain?disease=covid-19")
    best = {one["infectee"]: one for one in found["links"] if one["rank"] == 1}
    assert best[second]["infector"] == first
    assert best[second]["probability"] > 0.8
    assert "contact" in {reason["kind"] for reason in best[second]["reasons"]}
    assert best[far]["infector"] == "imported"
    assert [{*cluster["cases"]} for cluster in found["clusters"]] == [{first, second}]
    assert {one["id"]: one["onset"] for one in found["cases"]}[first] == "2026-11-10"
    await city.ask(rooms.PRIVACY, f"/cases/{first}/destroy", {"reason": "당사자 요청"})
    found = await city.json(KIM, "/chain?disease=covid-19")
    assert first not in str(found)
    assert await city.json(KIM, "/chain?disease=measles") == {"cases": [], "links": [], "clusters": []}


async def test_what_rests_on_several_cases_is_worked_out_when_something_happened(city: City) -> None:
    await city.open_case()
    seen = await conclude(city.context, -1)
    assert await conclude(city.context, seen) == seen
    await city.open_case()
    assert await conclude(city.context, seen) > seen


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/cases?status=lost", None, "status is one of"),
        ("/cases?limit=0", None, "limit is a whole number"),
        ("/cases?before=x", None, "before is a whole number"),
        ("/requests?state=x", None, "state is one of"),
        ("/requests?mine=all", None, "mine is approve or asked"),
        ("/chain?disease=x", None, "disease is one of"),
        ("/cases/{case}/report.pdf?lang=fr", None, "lang is ko or en"),
        ("/cases/{case}/requests", {**LOCATION, "kinds": ["dna"]}, "There is no kind 'dna'"),
        ("/cases/{case}/requests", {**LOCATION, "kinds": []}, "kinds"),
        ("/cases/{case}/requests", {**LOCATION, "because": " "}, "State purpose and because"),
        (
            "/cases/{case}/requests",
            {**LOCATION, "period": {"start": "2026-11-22T00:00:00+09:00", "end": "2026-11-01T00:00:00+09:00"}},
            "period ends after it starts",
        ),
        (
            "/cases/{case}/requests",
            {**LOCATION, "period": {"start": "2026-11-01T00:00:00", "end": "2026-11-02T00:00:00+09:00"}},
            "timezone",
        ),
        (
            "/cases/{case}/requests",
            {**LOCATION, "period": {"start": "2025-11-01T00:00:00Z", "end": "2026-11-02T00:00:00Z"}},
            "at most 60 days",
        ),
        ("/cases/{case}/requests", {**LOCATION, "subjects": ["../x"]}, "subjects"),
        ("/cases/{case}/statements", {"start": "2026-11-01T00:00:00Z"}, "end"),
        ("/cases/{case}/contacts/x/decision", {"verdict": "maybe"}, "verdict"),
    ],
)
async def test_what_cannot_be_done_is_refused_and_says_why(city: City, path: str, body: Any, said: str) -> None:
    case = await city.open_case()
    status, detail = await city.refused(KIM, path.format(case=case), body)
    assert status == 400
    assert said in detail


@pytest.mark.parametrize(
    "path", ["/cases/nothing", "/cases/case-aaaaaaaaaaaaaaaaaaaaaaaaaa", "/requests/nothing", "/cases/%00"]
)
async def test_what_is_not_there_is_not_found(city: City, path: str) -> None:
    assert (await city.refused(KIM, path))[0] == 404
    assert (await city.refused(LEE, path))[0] in (403, 404)


async def test_requests_come_in_pages(city: City) -> None:
    case = await city.open_case()
    ids = [(await city.json(KIM, f"/cases/{case}/requests", LOCATION))["id"] for _ in range(5)]
    await asyncio.gather(*(city.json(LEE, f"/requests/{id}/decision", {"verdict": "approve"}) for id in ids[:2]))
    first = await city.json(KIM, "/requests?limit=3")
    rest = await city.json(KIM, f"/requests?limit=3&before={first['next']}")
    assert [one["id"] for one in (*first["requests"], *rest["requests"])] == ids[::-1]
    assert rest["next"] is None
    assert {one["id"] for one in (await city.json(PARK, "/requests?mine=approve"))["requests"]} == {*ids[:2]}
    assert {one["id"] for one in (await city.json(LEE, "/requests?mine=approve"))["requests"]} == {*ids[2:]}
    assert datetime.fromisoformat(first["requests"][0]["asked_at"]) <= datetime.now(UTC)
