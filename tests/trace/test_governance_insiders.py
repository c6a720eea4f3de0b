"""Insiders who bend a lawful request: its people, its time, its purpose, its end."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hanmaru.platform.policy import Caller
from hanmaru.trace.cases import findings, hotspots, intake, investigation, requests
from hanmaru.trace.cases.stripping import without
from hanmaru.trace.cases.work import Run, sweep_once
from tests.trace import rooms
from tests.trace.rooms import CARRIER, KIM, LEE, LOCATION, NAME, PARK, PRIVACY, City, phone_rows

YES = {"verdict": "approve", "reason": "확진"}
IN = ("2026-11-10T08:00:00+09:00", "2026-11-10T08:05:00+09:00")


@pytest.fixture
async def city(tmp_path: Path) -> AsyncIterator[City]:
    async with rooms.city(tmp_path) as city:
        yield city


async def test_who_is_asked_about_cannot_be_swapped_after_the_approval(city: City) -> None:
    case = await city.open_case()
    id = await city.approved(case)
    await city.json(KIM, f"/cases/{case}", {"person": {"name": "남의이름", "phone": "010-0000-0001"}}, method="PATCH")
    (person,) = (await city.json(CARRIER, f"/requests/{id}"))["people"]
    assert (person["name"], person["phone"]) == (NAME, rooms.PHONE)


async def test_a_machine_asks_for_nothing_that_its_owner_could_approve(city: City) -> None:
    case = await city.open_case()
    machine = Caller("client:kims-own", ("investigator",), "machine")
    status, detail = await city.refused(machine, f"/cases/{case}/requests", LOCATION)
    assert (status, detail) == (403, "A person has to ask, so that somebody else can approve.")
    said = [entry for entry in city.trail() if entry.what == f"trace:case/{case}/requests"]
    assert [(entry.who, entry.decision) for entry in said] == [(machine.name, "deny")]


async def test_a_decision_is_not_replayed_nor_taken_back(city: City) -> None:
    case = await city.open_case()
    id = await city.approved(case)
    for who in (LEE, PARK):
        for verdict in ({"verdict": "refuse", "reason": "취소"}, YES):
            assert (await city.refused(who, f"/requests/{id}/decision", verdict))[0] == 409
    await city.json(KIM, f"/requests/{id}/withdraw", {})
    assert (await city.refused(PARK, f"/requests/{id}/decision", YES))[0] == 409
    assert (await city.refused(KIM, f"/requests/{id}/approval"))[0] == 409


async def test_closing_a_case_ends_its_approvals_at_once(city: City) -> None:
    case = await city.open_case()
    asked = (await city.json(KIM, f"/cases/{case}/requests", LOCATION))["id"]
    id = await city.approved(case)
    assert (await city.json(CARRIER, f"/requests/{id}"))["may"] == ["answer"]
    closed = await city.json(KIM, f"/cases/{case}/close", {"outcome": f"{NAME} 완치"})
    assert closed["outcome"] == f"{NAME} 완치"
    assert (await city.refused(LEE, f"/requests/{asked}/decision", YES))[0] == 409
    assert (await city.refused(CARRIER, f"/requests/{id}"))[0] == 404
    assert (await city.refused(CARRIER, f"/requests/{id}/answers?kind=location", raw=phone_rows(case, *IN)))[0] == 404
    await sweep_once(city.context)
    assert {city.room.book.request(one).state for one in (asked, id)} == {"expired"}
    book = b"".join(path.read_bytes() for path in city.room.folder.glob("book.db*"))
    assert NAME.encode() not in book, "what was said of the end lies in the vault"


async def test_nothing_new_is_worked_out_once_the_approval_has_expired(city: City) -> None:
    case = await city.open_case()
    id = await city.approved(case)
    await city.json(CARRIER, f"/requests/{id}/answers?kind=location", raw=phone_rows(case, *IN))
    row = city.room.book.case(case)
    inputs, _ = await investigation.gather(city.room, row)
    assert [*inputs.own] == ["phone"]
    for ended in ({"expires": time.time()}, {"expires": time.time() + 900, "destroy_on": time.time()}):
        await change(city, id, **ended)
        await asyncio.to_thread(lambda: city.room.book.change_case(case, "test", 0, "", run=1))
        assert await investigation.run(city.room, Run(case, 1)) == "failed"
        assert "ask anew" in (city.room.book.case(case).run_stage or "")
    said = {"start": IN[0], "end": IN[1], "lat": 36.48, "lon": 127.26, "certainty": "sure"}
    await city.json(KIM, f"/cases/{case}/statements", said)
    inputs, _ = await investigation.gather(city.room, row)
    assert ([*inputs.own], inputs.refused) == (["statements"], {"approval_expired": 2})


async def test_an_answer_that_comes_while_its_case_is_destroyed_leaves_nothing(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = await city.open_case()
    id = await city.approved(case)
    before = subjects(city)
    sift = intake.sift

    def destroyed_meanwhile(*given: Any) -> Any:
        city.room.book.destroy_case(case, "oh", time.time())
        return sift(*given)

    monkeypatch.setattr(intake, "sift", destroyed_meanwhile)
    answer = await city.ask(CARRIER, f"/requests/{id}/answers?kind=location", raw=phone_rows(case, *IN))
    assert answer.status == 409
    assert city.room.book.request(id).data is None
    (orphan,) = subjects(city) - before
    await asyncio.to_thread(city.room.book.doom, orphan, 0.0)  # its quarter of an hour is over
    await sweep_once(city.context)
    assert not city.locks.vaults.keys.versions("trace", orphan)


async def test_an_answer_that_comes_while_its_request_is_withdrawn_leaves_nothing(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = await city.open_case()
    id = await city.approved(case)
    kept: list[str] = []
    write = intake.lake.write_table

    async def withdrawn_meanwhile(desk: Any, subject: str, name: str, table: Any) -> None:
        await write(desk, subject, name, table)
        kept.append(subject)
        await city.json(KIM, f"/requests/{id}/withdraw", {})

    monkeypatch.setattr(intake.lake, "write_table", withdrawn_meanwhile)
    assert (await city.ask(CARRIER, f"/requests/{id}/answers?kind=location", raw=phone_rows(case, *IN))).status == 409
    assert city.room.book.request(id).data is None
    assert not city.locks.vaults.keys.versions("trace", kept[0])


async def test_what_is_destroyed_while_it_is_investigated_is_not_in_the_results(city: City) -> None:
    case = await city.open_case()
    id = await city.approved(case)
    await city.json(CARRIER, f"/requests/{id}/answers?kind=location", raw=phone_rows(case, *IN))
    await requests.withdraw(city.room, KIM, id)  # the run had read its rows
    await findings.keep(city.room, case, results(id))
    await investigation.forget_destroyed(city.room, case)
    assert (await city.json(KIM, f"/cases/{case}/results"))["stays"][0]["id"] == "s2"


def results(request: str) -> dict[str, Any]:
    span = {"start": "2026-11-09T23:00:00Z", "end": "2026-11-10T00:00:00Z", "lat": 36.48, "lon": 127.26}
    after = {"start": "2026-11-10T01:00:00Z", "end": "2026-11-10T02:00:00Z", "lat": 36.49, "lon": 127.26}
    place = {"id": "p1", "name": "식당", "kind": "restaurant", "lat": 36.49, "lon": 127.26}
    spot = {"radius_m": 30.0, "people": 7.0, "expected": 1.0, "probability": 0.9, "place": place}
    window = {"start": span["start"], "end": span["end"], "probability": 0.5}
    return {
        "evidence": [
            {"id": "phone:1", "kind": "phone", "request": request},
            {"id": "card:1", "kind": "card", "request": "another"},
        ],
        "stays": [
            {**span, "id": "s1", "evidence": ["phone:1"]},
            {**after, "id": "s2", "evidence": ["phone:1", "card:1"]},
        ],
        "moves": [
            {"id": "m1", "start": span["end"], "end": after["start"], "evidence": []},
            {"id": "m2", "start": after["end"], "end": "2026-11-10T03:00:00Z", "evidence": []},
        ],
        "contacts": [
            {"id": "c1", "subject": "p-1", "reasons": [{"kind": "same_cell", "evidence": ["phone:1"]}]},
            {"id": "c2", "subject": "p-2", "reasons": [{"kind": "card", "evidence": ["card:1"]}]},
        ],
        "hotspots": [{**span, **spot, "id": "h1", "stays": ["s1"]}, {**after, **spot, "id": "h2", "stays": ["s2"]}],
        "cameras": [
            {"camera_id": "k1", "windows": [{**window, "stay": "s1"}]},
            {"camera_id": "k2", "windows": [{**window, "stay": "s2"}, {**window, "move": "m1"}]},
        ],
        "counts": {"stays": 2, "contacts": 2, "subjects": 3},
        "others": {"near": ["p-2"]},
    }


def ids(found: Any) -> list[str]:
    return [one["id"] for one in found]


def test_what_rested_on_a_request_alone_goes_with_it() -> None:
    left = without(results("r"), "r")
    assert left is not None
    assert (ids(left["evidence"]), ids(left["stays"]), ids(left["moves"])) == (["card:1"], ["s2"], ["m2"])
    assert (ids(left["contacts"]), ids(left["hotspots"])) == (["c2"], ["h2"])
    assert [(one["camera_id"], len(one["windows"])) for one in left["cameras"]] == [("k2", 1)]
    assert left["counts"] == {"stays": 1, "contacts": 1, "subjects": 3}
    assert without(left, "r") is None


def test_people_whom_a_request_brought_are_contacts_no_more_once_it_is_destroyed() -> None:
    left = without(results("r"), "near")
    assert left is not None
    assert (ids(left["stays"]), ids(left["contacts"]), left["hotspots"]) == (["s1", "s2"], ["c1"], [])


def test_nobodys_home_is_a_hotspot_of_the_city() -> None:
    found = results("r")
    found["hotspots"][0]["place"] = {**found["hotspots"][0]["place"], "kind": "home"}
    assert [one["start"] for one in hotspots.of(found, "covid-19")["hotspots"]] == ["2026-11-10T01:00:00Z"]


def test_a_camera_that_is_a_formula_is_a_text() -> None:
    for name in ("=HYPERLINK(1)", "+1", "-1", "@SUM(1)", "\t=1", "\r=1"):
        windows = [{"start": "a", "end": "b", "probability": 0.5}]
        text = findings.retrieval({"cameras": [{"camera_id": name, "windows": windows}]})
        assert text.splitlines()[1].lstrip('"').startswith("'")


async def test_what_may_be_known_of_a_case_that_is_not_there_is_what_may_be_known_of_anothers(city: City) -> None:
    case = await city.open_case()
    id = await city.approved(case)
    for path in ("/requests/{}", "/requests/{}/approval", "/cases/{}/looks"):
        real = case if "cases" in path else id
        for who in (Caller("client:cards", ("card-provider",), "machine"), Caller("choi", ("card-approver",))):
            both = [await city.refused(who, path.format(name)) for name in (real, "a" * 16, "%00", "=1")]
            assert len(set(both)) == 1, (path, who.name, both)
            assert both[0][0] == 404


async def test_a_purpose_is_a_line_that_people_can_read(city: City) -> None:
    case = await city.open_case()
    for purpose in ("\t\t", "a\x07b", "x" * 201, "\u202etxt"):
        assert (await city.refused(KIM, f"/cases/{case}", purpose=purpose))[0] == 400, repr(purpose)
    assert (await city.refused(PRIVACY, f"/cases/{case}"))[0] == 403


async def test_a_destruction_without_a_reason_destroys_nothing(city: City) -> None:
    case = await city.open_case()
    for reason in ("", "  ", "a\nb"):
        assert (await city.refused(PRIVACY, f"/cases/{case}/destroy", {"reason": reason}))[0] == 400
    assert (await city.json(KIM, f"/cases/{case}"))["status"] == "new"


async def change(city: City, id: str, **columns: float) -> None:
    await asyncio.to_thread(lambda: city.room.book.change_request(id, "test", 0, "test", **columns))


def subjects(city: City) -> set[str]:
    return {*city.locks.vaults.room("trace").store.subjects("answer", "", 1_000)}
