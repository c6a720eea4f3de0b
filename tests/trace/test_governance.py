"""What must not happen, and what is found when it did."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.routing import Route

from hanmaru.backup.restore import restore
from hanmaru.backup.take import take
from hanmaru.config import Settings
from hanmaru.platform.audit.verify import verify
from hanmaru.platform.policy import Caller, cases, walk
from hanmaru.platform.problems import Problem
from hanmaru.platform.vault import backup
from hanmaru.platform.vault.keys import Keys
from hanmaru.trace.cases import findings, requests
from hanmaru.trace.cases.work import sweep_once
from hanmaru.trace.service import service
from tests.platform.test_vault_erasure import every_key, files_with, left_of, opens, spellings, wrapped_keys
from tests.trace import rooms
from tests.trace.rooms import (
    CARDS,
    CARRIER,
    CHOI,
    KIM,
    LEE,
    LOCATION,
    NAME,
    PARK,
    PHONE,
    PRIVACY,
    PURPOSE,
    City,
    phone_rows,
)

YES = {"verdict": "approve", "reason": "확진"}
IN = ("2026-11-10T08:00:00+09:00", "2026-11-10T08:05:00+09:00")


@pytest.fixture
async def city(tmp_path: Path) -> AsyncIterator[City]:
    async with rooms.city(tmp_path / "city") as city:
        yield city


def found(case: str, request: str) -> dict[str, Any]:
    """Return results as an investigation makes them, resting on a request's row and on a statement."""
    row = {
        "kind": "phone",
        "start": "2026-11-09T23:00:00Z",
        "end": None,
        "lat": 36.48,
        "lon": 127.26,
        "radius_m": 120.0,
    }
    stay = {
        "id": "s1",
        "start": "2026-11-09T23:00:00Z",
        "end": "2026-11-10T00:00:00Z",
        "evidence": ["phone:1", "statement:1"],
    }
    return {
        "version": 1,
        "evidence": [
            {**row, "id": "phone:1", "label": NAME, "request": request, "used": True},
            {**row, "id": "statement:1", "kind": "statement", "label": "", "request": None, "used": True},
        ],
        "stays": [stay],
        "contacts": [{"id": "c1", "subject": "p-77", "probability": 0.8, "reasons": [{"evidence": ["phone:1"]}]}],
    }


async def with_everything(city: City) -> tuple[str, str]:
    """Open a case with a contact, an answer, results, a statement and a decision; return it and its request."""
    case = await city.open_case()
    named = {"person": {"name": NAME + "의 언니", "phone": PHONE}, "notes": f"{NAME}와 동거"}
    await city.json(KIM, f"/cases/{case}/contacts", named)
    said = {"start": IN[0], "end": IN[1], "lat": 36.48, "lon": 127.26, "text": f"{NAME} 진술"}
    await city.json(KIM, f"/cases/{case}/statements", said)
    id = await city.approved(case)
    await city.json(CARRIER, f"/requests/{id}/answers?kind=location", raw=phone_rows(case, *IN))
    await findings.keep(city.room, case, found(case, id))
    (contact,) = (await city.json(KIM, f"/cases/{case}/results"))["contacts"]
    await city.json(KIM, f"/cases/{case}/contacts/{contact['id']}/decision", {"verdict": "accepted", "reason": NAME})
    return case, id


def test_the_policies_say_what_their_cases_say() -> None:
    assert service.policies
    outcome = cases.run([service.policies], actions=list(service.permissions))
    assert outcome.wrong == []
    assert outcome.untested == []


async def test_every_route_asks_for_one_of_the_rooms_permissions(city: City) -> None:
    asked = {path: route.permission for path, route in walk(city.app.routes) if isinstance(route, Route)}  # type: ignore[attr-defined]
    assert len(asked) > 20
    assert {path for path, permission in asked.items() if permission == "public"} == {"/api/trace/v1/authority.pem"}
    assert {*asked.values()} - {"public"} <= {*service.permissions}


# ---- self-approval, and one person in two steps


async def test_nobody_approves_their_own_request(city: City) -> None:
    both = Caller("kim", ("investigator", "health-approver", "police-approver"), second_factor=True)
    case = await city.open_case()
    id = (await city.json(both, f"/cases/{case}/requests", LOCATION))["id"]
    assert (await city.json(both, f"/requests/{id}"))["may"] == ["withdraw"]
    refused = await city.refused(both, f"/requests/{id}/decision", YES)
    assert refused == (403, "Somebody else has to approve your request.")
    denied = [entry for entry in city.trail() if entry.decision == "deny"]
    assert [(entry.who, entry.action, entry.subjects) for entry in denied] == [("kim", "trace.approve.health", (case,))]
    assert city.room.book.request(id).state == "asked"


async def test_nobody_approves_two_steps(city: City) -> None:
    both = Caller("lee", ("health-approver", "police-approver"), second_factor=True)
    case = await city.open_case()
    id = (await city.json(KIM, f"/cases/{case}/requests", LOCATION))["id"]
    await city.json(both, f"/requests/{id}/decision", YES)
    refused = await city.refused(both, f"/requests/{id}/decision", YES)
    assert refused == (403, "Somebody else has to approve this step: you decided an earlier one.")
    assert city.room.book.request(id).state == "asked"


async def test_two_who_decide_at_once_cannot_both(city: City) -> None:
    case = await city.open_case()
    id = (await city.json(KIM, f"/cases/{case}/requests", LOCATION))["id"]
    rivals = [Caller(f"lee{n}", ("health-approver",), second_factor=True) for n in range(4)]
    answers = await asyncio.gather(*(city.ask(who, f"/requests/{id}/decision", YES) for who in rivals))
    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409]
    assert [step.state for step in city.room.book.request(id).steps] == ["approved", "waiting"]


@pytest.mark.parametrize(
    ("who", "status"),
    [
        (PARK, 403),  # the police, before their turn
        (CHOI, 404),  # the card association, which has no part in it
        (Caller("lee", ("health-approver",)), 403),  # without a second factor
        (Caller("client:lee", ("health-approver",), "machine"), 403),
        (CARRIER, 404),
        (PRIVACY, 403),
        (Caller("admin", ("admin",), second_factor=True), 403),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
async def test_nobody_else_approves(city: City, who: Caller, status: int) -> None:
    case = await city.open_case()
    id = (await city.json(KIM, f"/cases/{case}/requests", LOCATION))["id"]
    assert (await city.refused(who, f"/requests/{id}/decision", YES))[0] == status
    assert city.room.book.request(id).state == "asked"


# ---- who sees what


async def test_an_approver_sees_requests_and_no_evidence(city: City) -> None:
    case, id = await with_everything(city)
    for path in (
        f"/cases/{case}",
        f"/cases/{case}/results",
        "/cases",
        f"/cases/{case}/report.pdf",
        f"/cases/{case}/cameras.csv",
    ):
        for who in (LEE, PARK, PRIVACY):
            assert (await city.refused(who, path))[0] == 403, (path, who.name)
    shown = (await city.ask(PARK, f"/requests/{id}")).body
    assert msgspec.json.decode(shown)["id"] == id
    assert NAME.encode() not in shown
    assert PHONE.encode() not in shown
    assert (await city.refused(CHOI, f"/requests/{id}"))[0] == 404
    assert (await city.refused(CHOI, "/requests/nonsense"))[0] == 404


async def test_without_a_purpose_an_investigator_opens_nothing(city: City) -> None:
    case, _ = await with_everything(city)
    for path in ("/cases", f"/cases/{case}", f"/cases/{case}/results"):
        assert (await city.refused(KIM, path, purpose=""))[0] == 400, path
        assert (await city.refused(Caller("kim", ("investigator",)), path))[0] == 403, path
    assert (await city.refused(KIM, "/cases", rooms.NEW_CASE, purpose=""))[0] == 400
    assert (await city.refused(KIM, f"/cases/{case}/requests", LOCATION, purpose=""))[0] == 400
    plain = Caller("kim", ("investigator",))
    status, detail = await city.refused(plain, f"/cases/{case}")
    assert status == 403
    assert "second factor" in detail


async def test_a_provider_answers_its_own_kinds_only(city: City) -> None:
    case = await city.open_case()
    id = await city.approved(case, {**LOCATION, "kinds": ["location", "card"]}, by=(LEE, PARK, CHOI))
    cards = b"subject,time,merchant_id,kind\n" + f"{case},{IN[0]},m1,card\n".encode()
    assert (await city.refused(CARRIER, f"/requests/{id}/answers?kind=card", raw=cards))[0] == 403
    assert (await city.refused(CARDS, f"/requests/{id}/answers?kind=location", raw=phone_rows(case, *IN)))[0] == 403
    other = await city.approved(case, {**LOCATION, "kinds": ["card"]}, by=(LEE, CHOI))
    assert (await city.refused(CARRIER, f"/requests/{other}"))[0] == 404
    assert (await city.refused(CARRIER, f"/requests/{other}/answers?kind=card", raw=cards))[0] == 404
    assert (await city.refused(CARRIER, f"/cases/{case}"))[0] == 403
    assert (await city.refused(KIM, f"/requests/{id}/answers?kind=location", raw=phone_rows(case, *IN)))[0] == 403
    assert city.room.book.request(id).answers == []
    assert [one["id"] for one in (await city.json(CARRIER, "/requests"))["requests"]] == [id]


async def test_every_look_is_on_the_trail_and_told_of_the_case(city: City) -> None:
    case, id = await with_everything(city)
    await city.json(KIM, f"/cases/{case}", purpose="접촉자 확인")
    await city.json(PARK, f"/requests/{id}", purpose="승인 검토")
    await city.json(CARRIER, f"/requests/{id}")
    looks = (await city.json(PRIVACY, f"/cases/{case}/looks"))["looks"]
    told = {(look["who"], look["action"], look["purpose"]) for look in looks}
    assert ("kim", "vault.read", "접촉자 확인") in told
    assert ("park", "trace.requests", "승인 검토") in told
    assert ("client:carrier", "trace.identify", f"lawful request {id}") in told
    assert ("oh", "trace.requests", PURPOSE) in told, "who asks who looked is on it, too"
    assert {look["decision"] for look in looks} == {"allow"}
    assert (await city.refused(PARK, f"/cases/{case}/looks"))[0] == 404
    assert NAME.encode() not in b"".join(path.read_bytes() for path in logs(city))


# ---- expired, tampered


async def test_an_expired_approval_takes_no_answer_and_signs_nothing(city: City) -> None:
    case = await city.open_case()
    id = await city.approved(case)
    await asyncio.to_thread(lambda: city.room.book.change_request(id, "test", 0, "test", expires=1.0))
    assert (await city.refused(CARRIER, f"/requests/{id}/answers?kind=location", raw=phone_rows(case, *IN)))[0] == 404
    assert (await city.refused(KIM, f"/requests/{id}/approval"))[0] == 409, "whether its clock ran or not"
    assert await requests.tend(city.room, id) == 0
    assert (await city.json(KIM, f"/requests/{id}"))["state"] == "expired"
    assert (await city.refused(KIM, f"/requests/{id}/approval"))[0] == 409
    assert (await city.refused(CARRIER, f"/requests/{id}"))[0] == 404
    assert [entry.what for entry in city.trail() if entry.action == "trace.expired"] == [f"trace:request/{id}"]


async def test_a_request_that_nobody_decides_expires(city: City) -> None:
    case = await city.open_case()
    id = (await city.json(KIM, f"/cases/{case}/requests", LOCATION))["id"]
    days = (await requests.tend(city.room, id)) / 86_400
    assert days < 1
    await asyncio.to_thread(lambda: city.room.book.change_request(id, "test", 0, "test", asked_at=1.0))
    assert (await city.refused(LEE, f"/requests/{id}/decision", YES))[0] == 409, "though its clock has not run yet"
    assert await requests.tend(city.room, id) == 0
    assert (await city.refused(LEE, f"/requests/{id}/decision", YES))[0] == 409


async def test_a_trail_that_was_tampered_with_is_found(city: City) -> None:
    _, id = await with_everything(city)
    data, keys = city.folder / "data", city.folder / "keys"
    assert verify(data, keys).ok
    await city.json(PARK, f"/requests/{id}", purpose="호기심")
    lines = [path for path in logs(city) if b"\xed\x98\xb8\xea\xb8\xb0\xec\x8b\xac" in path.read_bytes()]
    assert len(lines) == 1
    lines[0].write_bytes(lines[0].read_bytes().replace("호기심".encode(), "조사용".encode()))
    report = verify(data, keys)
    assert not report.ok
    assert report.findings


# ---- destroyed


async def test_when_a_requests_date_comes_its_rows_leave_the_results_and_no_old_key_opens_them(city: City) -> None:
    case, id = await with_everything(city)
    before, data = city.room.book.case(case).results, city.room.book.request(id).data
    assert before
    assert data
    await asyncio.to_thread(lambda: city.room.book.change_request(id, "test", 0, "test", destroy_on=1.0))
    await requests.tend(city.room, id)
    results = await city.json(KIM, f"/cases/{case}/results")
    assert [row["id"] for row in results["evidence"]] == ["statement:1"]
    assert results["stays"][0]["evidence"] == ["statement:1"]
    assert results["contacts"] == [], "the contact rested on that row alone"
    for gone in (before, data):
        assert not city.locks.vaults.keys.versions("trace", gone)
    assert city.room.book.case(case).results != before


async def test_of_a_destroyed_case_nothing_is_recoverable_from_files_or_backups(tmp_path: Path) -> None:
    folder = tmp_path / "city"
    settings = Settings(data=folder / "data", keys=folder / "keys")
    async with rooms.city(folder) as city:
        case, id = await with_everything(city)
        other = await city.open_case(person={"name": "남궁민준", "phone": "010-1111-2222"})
        apart = [case, city.room.book.case(case).results or "", city.room.book.request(id).data or ""]
    (folder / "backups").mkdir()
    take(settings, folder / "backups" / "data")
    keys = Keys(folder / "keys")
    backup.backup_keys(keys, folder / "key-backups")
    keys.close()
    left = {subject: left_of(folder / "data", subject) for subject in apart}
    wrapped = [key for subject in apart for key in wrapped_keys(folder / "keys" / "keys.db", subject)]
    assert [len(left[subject]) > 0 for subject in apart] == [True] * 3
    assert len(wrapped) == 3
    before = every_key(folder)
    assert all(opens(before, _records(one)) == len(one.records) for one in left.values())
    assert files_with(folder, wrapped), "the search finds what is there"

    async with rooms.city(folder) as city:
        status, _ = await city.refused(KIM, f"/cases/{case}/destroy", {"reason": "종결"})
        assert status == 403, "who investigates does not destroy"
        await city.ask(PRIVACY, f"/cases/{case}/destroy", {"reason": "당사자 요청"})
        for path in (f"/cases/{case}", f"/cases/{case}/results"):
            assert (await city.refused(KIM, path))[0] == 404
        assert (await city.json(KIM, f"/requests/{id}"))["state"] == "destroyed"
        assert (await city.json(KIM, "/cases?q=010-7351-9264"))["cases"] == []
    nothing(folder, apart, left, wrapped)
    restore(settings, folder / "backups" / "data")
    nothing(folder, apart, left, wrapped)
    async with rooms.city(folder) as city:
        assert (await city.json(KIM, f"/cases/{other}"))["person"]["name"] == "남궁민준"
        assert (await city.refused(KIM, f"/cases/{case}"))[0] == 404
        await sweep_once(city.context)
        assert (await city.json(KIM, "/cases"))["counts"] == {"new": 1, "destroyed": 1}


async def test_a_destruction_that_was_interrupted_is_finished_by_the_sweep(city: City) -> None:
    case, id = await with_everything(city)
    apart = [case, city.room.book.case(case).results or "", city.room.book.request(id).data or ""]
    await asyncio.to_thread(city.room.book.destroy_case, case, "oh", datetime.now(UTC).timestamp())
    assert [bool(city.locks.vaults.keys.versions("trace", subject)) for subject in apart] == [True] * 3
    await sweep_once(city.context)
    assert [bool(city.locks.vaults.keys.versions("trace", subject)) for subject in apart] == [False] * 3


async def test_what_was_written_and_never_came_into_the_book_is_destroyed(city: City) -> None:
    case, _ = await with_everything(city)
    await asyncio.to_thread(city.room.book.destroy_case, case, "oh", datetime.now(UTC).timestamp())
    before = left_subjects(city)
    with pytest.raises(Problem, match="The case is destroyed"):  # it was while its investigation ran
        await findings.keep(city.room, case, {"contacts": []})
    (orphan,) = left_subjects(city) - before
    await asyncio.to_thread(city.room.book.doom, orphan, 0.0)  # its quarter of an hour is over
    await sweep_once(city.context)
    assert not city.locks.vaults.keys.versions("trace", orphan)
    assert city.room.book.doomed(datetime.now(UTC).timestamp() + 1e6) == []


def left_subjects(city: City) -> set[str]:
    return {*city.locks.vaults.room("trace").store.subjects("results", "", 1_000)}


def _records(left: Any) -> Any:
    """Return what is left without its files, whose opening is another test's."""
    import dataclasses

    return dataclasses.replace(left, blobs=[], tables=[])


def nothing(folder: Path, subjects: list[str], left: dict[str, Any], wrapped: list[bytes]) -> None:
    """Check that no file names the person or holds or opens anything of the case."""
    needles = [*spellings(NAME), *spellings(PHONE), *wrapped]
    assert files_with(folder, needles) == []
    keys = every_key(folder)
    assert keys
    for one in left.values():
        assert opens(keys, _records(one)) == 0
        assert opens_tables(keys, one) == 0
    vaults = [path for path in (folder / "data" / "vaults").rglob("*") if any(s in str(path) for s in subjects)]
    assert vaults == []


def opens_tables(keys: list[Any], left: Any) -> int:
    import base64
    import re

    wrapped = [base64.b64decode(one) for table in left.tables for one in re.findall(rb'"wrappedKEK":"([^"]+)"', table)]
    return sum(key.derive("lake").open(one, "lake") is not None for key in keys for one in wrapped)


def logs(city: City) -> list[Path]:
    return sorted((city.folder / "data" / "audit").rglob("*.log"))
