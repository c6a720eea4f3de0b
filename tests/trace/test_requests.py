"""A lawful request from asking to destruction, and each way it may go wrong."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hanmaru.platform.policy import Caller
from hanmaru.platform.vault import lake
from hanmaru.trace.cases import inbox, requests
from tests.trace import rooms
from tests.trace.rooms import (
    CARDS,
    CARRIER,
    CHOI,
    DIRECTOR,
    KIM,
    LEE,
    LOCATION,
    PARK,
    PRIVACY,
    City,
    engine,
    phone_rows,
    until,
)

YES = {"verdict": "approve", "reason": "확진"}
IN = ("2026-11-10T08:00:00+09:00", "2026-11-10T08:05:00+09:00")


@pytest.fixture
async def city(tmp_path: Path) -> AsyncIterator[City]:
    async with rooms.city(tmp_path) as city:
        yield city


def quick(**days: float) -> str:
    """Return Korea's rules with other times."""
    from hanmaru.trace.cases.country import BUILT_IN

    text = BUILT_IN.read_text("utf-8")
    lines = [
        next((f"{name} = {value!r}" for name, value in days.items() if line.startswith(f"{name} =")), line)
        for line in text.splitlines()
    ]
    return "\n".join(lines)


async def test_the_whole_way_asked_approved_by_others_answered_stored_and_destroyed_at_its_date(tmp_path: Path) -> None:
    second = 1 / 86_400
    async with rooms.city(tmp_path, rules=quick(retention_days=4 * second)) as city, engine(city):
        case = await city.open_case()
        id = (await city.json(KIM, f"/cases/{case}/requests", LOCATION))["id"]
        (waiting,) = (await city.json(KIM, "/cases"))["cases"][0]["waiting"]
        assert (waiting["request"], waiting["role"], waiting["overdue"]) == (id, "health-approver", False)
        for who in (LEE, PARK):
            (mine,) = (await city.json(who, "/requests?mine=approve"))["requests"]
            assert (mine["id"], mine["because"]) == (id, LOCATION["because"])
            shown = await city.json(who, f"/requests/{id}/decision", {"verdict": "approve", "reason": "확진"})
        assert shown["state"] == "approved"

        asked = await city.json(CARRIER, f"/requests/{id}")
        assert asked["people"] == [
            {"subject": case, "name": rooms.NAME, "birth_date": "1990-02-03", "phone": rooms.PHONE}
        ]
        taken = await city.json(CARRIER, f"/requests/{id}/answers?kind=phone", raw=phone_rows(case, *IN))
        assert taken == {"kind": "location", "rows": 2, "accepted": 2, "refused": {}}
        row = city.room.book.request(id)
        assert row.data
        (name,) = await lake.names(city.room.own_desk("test"), row.data)
        kept = await lake.read_table(city.room.own_desk("test"), row.data, name)
        assert kept["subject"].to_pylist() == [case, case]

        await until(lambda: city.room.book.request(id).state == "destroyed")
        await until(lambda: city.room.book.request(id).data is None)
        assert not (tmp_path / "data/vaults/trace/lake" / row.data).exists()
        assert not city.locks.vaults.keys.versions("trace", row.data)
        states = [line["what"] for line in (await city.json(KIM, f"/cases/{case}"))["log"]]
        assert states == [
            "opened",
            "request.asked",
            "investigating",
            "request.approved",
            "request.approved",
            "request.answered",
            "request.destroyed",
            "request.data-destroyed",
        ]


async def test_nothing_goes_on_before_everybody_has_approved(city: City) -> None:
    case = await city.open_case()
    id = (await city.json(KIM, f"/cases/{case}/requests", LOCATION))["id"]
    assert (await city.refused(PARK, f"/requests/{id}/decision", YES))[0] == 403, "the agency comes first"
    assert (await city.refused(CARRIER, f"/requests/{id}"))[0] == 404
    assert (await city.refused(CARRIER, f"/requests/{id}/answers?kind=location", raw=phone_rows(case, *IN)))[0] == 404
    await city.json(LEE, f"/requests/{id}/decision", YES)
    assert (await city.refused(CARRIER, f"/requests/{id}/answers?kind=location", raw=phone_rows(case, *IN)))[0] == 404
    await city.json(PARK, f"/requests/{id}/decision", YES)
    assert (await city.json(CARRIER, "/requests"))["requests"][0]["may"] == ["answer"]


async def test_a_refusal_needs_a_reason_and_ends_it(city: City) -> None:
    case = await city.open_case()
    id = (await city.json(KIM, f"/cases/{case}/requests", LOCATION))["id"]
    assert (await city.refused(LEE, f"/requests/{id}/decision", {"verdict": "refuse"}))[0] == 400
    shown = await city.json(LEE, f"/requests/{id}/decision", {"verdict": "refuse", "reason": "필요성 부족"})
    assert (shown["state"], shown["steps"][0]["state"], shown["reason"]) == ("refused", "refused", "필요성 부족")
    assert shown["steps"][1]["state"] == "waiting"
    assert (await city.refused(PARK, f"/requests/{id}/decision", YES))[0] == 409
    assert await requests.tend(city.room, id) == 0


async def test_rows_outside_what_was_approved_are_counted_and_never_stored(city: City, tmp_path: Path) -> None:
    case = await city.open_case()
    id = await city.approved(case, {**LOCATION, "area": {"lat": 36.48, "lon": 127.26, "radius_m": 2_000}})
    secret = "somebody-else-9264"
    rows = [
        f"{case},{IN[0]},36.481,127.261",
        f"{case},2026-11-07T23:59:59+09:00,36.48,127.26",
        f"{case},2026-11-22T00:00:00+09:00,36.48,127.26",
        f"{secret},{IN[0]},36.48,127.26",
        f"{case},{IN[0]},36.60,127.26",
        f"{case},{IN[0]},,",
        f"{case},2026-11-10T08:00:00,36.48,127.26",
        f"{case},{IN[0]},136.48,127.26",
    ]
    body = "subject,time,lat,lon\n" + "\n".join(rows)
    taken = await city.json(CARRIER, f"/requests/{id}/answers?kind=location", raw=body.encode())
    assert taken["accepted"] == 1
    assert taken["rows"] == 8
    assert taken["refused"] == {
        "unreadable": 2,
        "out_of_period": 2,
        "other_subject": 1,
        "no_position": 1,
        "out_of_area": 1,
    }
    row = city.room.book.request(id)
    assert row.data
    desk = city.room.own_desk("test")
    (name,) = await lake.names(desk, row.data)
    assert (await lake.read_table(desk, row.data, name))["lat"].to_pylist() == [36.481]
    assert files_with(tmp_path, secret.encode()) == []


async def test_the_same_answer_twice_is_one_answer(city: City) -> None:
    case = await city.open_case()
    id = await city.approved(case)
    for _ in range(2):
        await city.json(CARRIER, f"/requests/{id}/answers?kind=location", raw=phone_rows(case, *IN))
    (answer,) = (await city.json(KIM, f"/requests/{id}"))["answers"]
    assert (answer["accepted"], answer["provider"]) == (2, "client:carrier")


async def test_people_near_a_place_are_taken_by_area_and_period_alone(city: City) -> None:
    case = await city.open_case()
    near = {**LOCATION, "kinds": ["cell-presence"]}
    status, detail = await city.refused(KIM, f"/cases/{case}/requests", near)
    assert status == 400
    assert "give area" in detail
    id = await city.approved(case, {**near, "area": {"lat": 36.48, "lon": 127.26, "radius_m": 500}})
    reference = city.room.folder / "reference"
    reference.mkdir()
    (reference / "cells.csv").write_text("cell_id,lat,lon\nc1,36.481,127.261\nc2,36.50,127.26\n")
    body = "subject,time,cell_id\n" + "".join(
        f"p{n},{IN[0]},{cell}\n" for n, cell in enumerate(["c1", "c1", "c2", "c9"])
    )
    taken = await city.json(CARRIER, f"/requests/{id}/answers?kind=phone", raw=body.encode())
    assert (taken["accepted"], taken["refused"]) == (2, {"no_position": 1, "out_of_area": 1})
    assert (await city.json(CARRIER, f"/requests/{id}"))["people"] == [], "nobody is named to the carrier"


async def test_transit_rows_are_no_card_payments(city: City) -> None:
    case = await city.open_case()
    id = await city.approved(case, {**LOCATION, "kinds": ["card"]}, by=(LEE, CHOI))
    body = "subject,time,merchant_id,amount_krw,kind,posted\n"
    body += "".join(f"{case},{IN[0]},m1,4500,{kind},{IN[1]}\n" for kind in ("card", "transit", "card"))
    taken = await city.json(CARDS, f"/requests/{id}/answers?kind=cards", raw=body.encode())
    assert (taken["accepted"], taken["refused"]) == (2, {"other_kind": 1})


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "empty"),
        (b"subject,lat\nx,1\n", "lacks the column time"),
        (b"PAR1nonsense", "cannot be read"),
        (b"\xff\xfe\x00", "lacks the column"),
    ],
)
async def test_an_answer_that_is_no_table_is_refused_whole(city: City, body: bytes, said: str) -> None:
    case = await city.open_case()
    id = await city.approved(case)
    status, detail = await city.refused(CARRIER, f"/requests/{id}/answers?kind=location", raw=body)
    assert status == 400
    assert said in detail


async def test_an_overdue_step_escalates_to_the_role_in_the_file_and_is_told(city: City) -> None:
    case = await city.open_case()
    id = (await city.json(KIM, f"/cases/{case}/requests", LOCATION))["id"]
    left_s = await requests.tend(city.room, id)
    assert 7_100 < left_s <= 7_200, "the agency has two hours"
    assert (await city.json(DIRECTOR, "/requests"))["requests"] == []
    late(city, id, "UPDATE step SET due = 1 WHERE request = ? AND n = 0")
    await requests.tend(city.room, id)
    await requests.tend(city.room, id)
    (seen,) = (await city.json(DIRECTOR, "/requests?mine=approve"))["requests"]
    assert (seen["steps"][0]["overdue"], seen["steps"][0]["escalated_to"]) == (True, "health-director")
    told = [entry for entry in city.trail() if entry.action == "trace.escalate"]
    assert [(entry.what, entry.detail) for entry in told] == [
        (f"trace:request/{id}/step/0", {"late": "health-approver", "to": "health-director"})
    ]
    assert (await city.json(KIM, "/cases"))["cases"][0]["waiting"][0]["overdue"]
    await city.json(DIRECTOR, f"/requests/{id}/decision", YES)
    late(city, id, "UPDATE step SET due = 1 WHERE request = ? AND n = 1")
    await requests.tend(city.room, id)
    shown = await city.json(DIRECTOR, f"/requests/{id}")
    assert shown["steps"][1]["escalated_to"] == "health-director"
    assert shown["may"] == [], "the director sees that the police are late, and cannot decide in their place"
    assert (
        await city.refused(Caller("han", ("health-director",), second_factor=True), f"/requests/{id}/decision", YES)
    )[0] == 403


async def test_an_overdue_notice_escalates_and_a_notice_is_noted(city: City) -> None:
    case = await city.open_case()
    id = await city.approved(case)
    assert (await city.refused(KIM, f"/requests/{id}/notified", {}))[0] == 409
    await city.json(CARRIER, f"/requests/{id}/answers?kind=location", raw=phone_rows(case, *IN))
    shown = await city.json(KIM, f"/requests/{id}")
    assert shown["notify"]["due"]
    assert not shown["notify"]["overdue"]
    assert "notify" in shown["may"]
    late(city, id, "UPDATE request SET notify_due = 1 WHERE id = ?")
    await requests.tend(city.room, id)
    await requests.tend(city.room, id)
    shown = await city.json(PRIVACY, f"/requests/{id}")
    assert (shown["notify"]["overdue"], shown["notify"]["escalated_to"]) == (True, "privacy")
    assert len([entry for entry in city.trail() if entry.what == f"trace:request/{id}/notice"]) == 1
    done = await city.json(KIM, f"/requests/{id}/notified", {})
    assert (done["notify"]["by"], done["notify"]["overdue"]) == ("kim", False)


async def test_withdrawn_it_takes_nothing_and_what_came_is_destroyed(city: City) -> None:
    case = await city.open_case()
    id = await city.approved(case)
    await city.json(CARRIER, f"/requests/{id}/answers?kind=location", raw=phone_rows(case, *IN))
    data = city.room.book.request(id).data
    assert data
    other = Caller("jang", ("investigator",), second_factor=True)
    assert (await city.refused(other, f"/requests/{id}/withdraw", {}))[0] == 403
    assert (await city.json(KIM, f"/requests/{id}/withdraw", {}))["state"] == "withdrawn"
    assert not city.locks.vaults.keys.versions("trace", data)
    assert (await city.refused(CARRIER, f"/requests/{id}/answers?kind=location", raw=phone_rows(case, *IN)))[0] == 404
    assert await requests.tend(city.room, id) > 6 * 86_400, "the person is still to be told"


async def test_a_file_that_is_dropped_is_taken_in_and_gone(city: City) -> None:
    case = await city.open_case()
    id = await city.approved(case, {**LOCATION, "kinds": ["location", "card"]}, by=(LEE, PARK, CHOI))
    assert await inbox.look(city.room) == 0
    folder = city.room.inbox / id
    drop(folder, "phone-carrier1.csv", phone_rows(case, *IN))
    drop(folder, "card.csv", b"no,table\n")
    drop(folder, "secret.csv", phone_rows(case, *IN))
    drop(folder, "phone.txt", b"is left alone")
    drop(city.room.inbox / "unknown", "phone.csv", phone_rows(case, *IN))
    assert await inbox.look(city.room, settled_s=0) == 4
    assert files(city.room.inbox) == ["done.jsonl", "phone.txt", "refused.jsonl", "refused.jsonl"]
    assert b'"accepted":2' in (folder / "done.jsonl").read_bytes()
    assert b"cannot be read as a table" in (folder / "refused.jsonl").read_bytes()
    shown = await city.json(KIM, f"/requests/{id}")
    assert (shown["state"], shown["answers"][0]["provider"]) == ("answering", "system:trace")


async def test_a_file_that_is_still_being_written_is_left_for_later(city: City) -> None:
    case = await city.open_case()
    id = await city.approved(case)
    await inbox.look(city.room)
    drop(city.room.inbox / id, "phone.csv", phone_rows(case, *IN))
    assert await inbox.look(city.room, settled_s=60) == 0
    assert await inbox.look(city.room, settled_s=0) == 1


async def test_a_kill_in_the_middle_of_the_destruction_is_made_good(tmp_path: Path) -> None:
    async with rooms.city(tmp_path, rules=quick(retention_days=6 / 86_400)) as city:
        case = await city.open_case()
        id = await city.approved(case)
        await city.json(CARRIER, f"/requests/{id}/answers?kind=location", raw=phone_rows(case, *IN))
        data = city.room.book.request(id).data
        assert data
        (tmp_path / "die").touch()
        first = start(tmp_path)
        assert await asyncio.to_thread(first.wait, 60) == -signal.SIGKILL
        assert (city.room.book.request(id).state, city.room.book.request(id).data) == ("answered", data)
        second = start(tmp_path)
        try:
            await until(lambda: city.room.book.request(id).data is None)
        finally:
            second.kill()
            second.wait()
        assert city.room.book.request(id).state == "destroyed"
        assert not city.locks.vaults.keys.versions("trace", data)
        what = [event.what for event in city.room.book.events(case)]
        assert what.count("request.destroyed") == 1


async def test_the_clocks_keep_ids_and_nothing_else(tmp_path: Path) -> None:
    async with rooms.city(tmp_path) as city, engine(city):
        case = await city.open_case()
        id = await city.approved(case)
        await city.json(CARRIER, f"/requests/{id}/answers?kind=location", raw=phone_rows(case, *IN))
        await until(lambda: waiting(city, id))
    kept = b"".join(path.read_bytes() for path in (tmp_path / "data").glob("jobs.db*"))
    kept += b"".join(path.read_bytes() for path in (tmp_path / "data/services/trace").glob("book.db*"))
    for text in (rooms.NAME, rooms.PHONE, LOCATION["because"], LOCATION["purpose"], "2026-11-08", "한누리대로"):
        assert str(text).encode() not in kept, text
    assert id.encode() in kept


async def waiting(city: City, id: str) -> bool:
    return (await city.locks.jobs.state(f"trace.{id}")).status == "waiting"


def start(folder: Path) -> "subprocess.Popen[bytes]":
    script = Path(rooms.__file__)
    environment = {**os.environ, "PYTHONPATH": str(script.parents[2])}
    return subprocess.Popen([sys.executable, str(script), str(folder)], env=environment, stderr=subprocess.DEVNULL)


def late(city: City, id: str, change: str) -> None:
    """Let time have passed, in the book."""
    db = sqlite3.connect(city.room.folder / "book.db")
    with db:
        db.execute(change, (id,))
    db.close()


def drop(folder: Path, name: str, content: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def files_with(folder: Path, text: bytes) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text in path.read_bytes()]
