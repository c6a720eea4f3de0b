"""Disease profiles and their windows, the country's rules, and cases on the board."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmaru.trace.cases import country, profiles
from hanmaru.trace.cases.profiles import Window, windows
from hanmaru.trace.domain import TraceError
from tests.trace import rooms
from tests.trace.rooms import KIM, LOCATION, NEW_CASE, PHONE, City

SEOUL = ZoneInfo("Asia/Seoul")
DISEASES = profiles.load()


@pytest.fixture
async def city(tmp_path: Path) -> AsyncIterator[City]:
    async with rooms.city(tmp_path) as city:
        yield city


def seoul(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SEOUL)


@pytest.mark.parametrize(
    ("disease", "exposure", "infectious"),
    [
        ("covid-19", ("2026-11-06", "2026-11-20"), ("2026-11-18", "2026-12-01")),
        ("mers", ("2026-11-06", "2026-11-19"), ("2026-11-20", "2026-12-05")),
        ("measles", ("2026-10-30", "2026-11-14"), ("2026-11-16", "2026-11-25")),
    ],
)
def test_windows_are_whole_days_of_the_city_around_the_day_of_onset(
    disease: str, exposure: tuple[str, str], infectious: tuple[str, str]
) -> None:
    found = windows(DISEASES[disease], date(2026, 11, 20), SEOUL)
    assert found.exposure == Window(seoul(exposure[0]), seoul(exposure[1]))
    assert found.infectious == Window(seoul(infectious[0]), seoul(infectious[1]))


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.sampled_from(["Asia/Seoul", "Europe/Berlin", "Asia/Kathmandu"]))
def test_every_window_begins_and_ends_at_midnight_and_moves_with_the_onset(onset: date, zone: str) -> None:
    here = ZoneInfo(zone)
    for profile in DISEASES.values():
        found = windows(profile, onset, here)
        for window in (found.exposure, found.infectious):
            assert window.start < window.end
            local = [instant.astimezone(here) for instant in (window.start, window.end)]
            assert all((instant.hour, instant.minute) == (0, 0) for instant in local)
            assert window.start.tzinfo is UTC
        later = windows(profile, onset + timedelta(days=1), here)
        assert later.exposure.start.astimezone(here).date() == found.exposure.start.astimezone(here).date() + timedelta(
            1
        )
        # who infects was infected before: nobody is exposed after the last day on which they may infect
        assert found.exposure.end <= found.infectious.end


def test_every_figure_says_where_it_comes_from() -> None:
    for profile in DISEASES.values():
        facts = (profile.incubation, profile.serial_interval, profile.infectious, profile.exposure, profile.contact)
        assert all(len(fact.source) > 30 for fact in facts), profile.id
        assert profile.incubation.median_days < profile.incubation.p95_days
        assert {*profile.name} >= {"ko", "en"}


def test_a_city_adds_a_disease_by_a_file_and_is_told_what_is_wrong_with_it(tmp_path: Path) -> None:
    text = (profiles.BUILT_IN / "mers.toml").read_text("utf-8")
    (tmp_path / "sars.toml").write_text(text.replace("MERS", "SARS"), "utf-8")
    assert "SARS" in profiles.load(tmp_path)["sars"].name["en"]
    for wrong, said in [
        (text.replace("median_days = 5.2", "median_days = -1"), r"sars\.toml: .*median_days"),
        (text.replace("to_days = 14", "to_days = 1"), "exposure window would be empty"),
        (text.replace("[incubation]", "[incubaton]"), "incubaton"),
        ("=", "sars.toml"),
    ]:
        (tmp_path / "sars.toml").write_text(wrong, "utf-8")
        with pytest.raises(TraceError, match=said):
            profiles.load(tmp_path)


def test_a_city_writes_its_own_law_and_is_told_what_is_wrong_with_it(tmp_path: Path) -> None:
    text, path = country.BUILT_IN.read_text("utf-8"), tmp_path / "country.toml"
    assert country.load(path).name["en"] == "Republic of Korea"
    path.write_text(text.replace("Republic of Korea", "Utopia"), "utf-8")
    assert country.load(path).name["en"] == "Utopia"
    for wrong, said in [
        (text.replace('steps = ["agency", "police"]', "steps = []"), "names one or more of agency"),
        (text.replace('steps = ["agency", "police"]', 'steps = ["mayor"]'), "names one or more of agency"),
        (text.replace('table = "phone"', 'table = "diary"'), "is one of phone"),
        (text.replace("valid_days = 14", "valid_days = 0"), "valid_days"),
    ]:
        path.write_text(wrong, "utf-8")
        with pytest.raises(TraceError, match=said):
            country.load(path)


def test_several_kinds_need_each_approval_once() -> None:
    rules = country.load()
    assert [step.role for step in rules.steps_of(["location", "card", "checkin"])] == [
        "health-approver",
        "police-approver",
        "card-approver",
    ]


async def test_a_case_is_opened_shown_changed_and_found_by_name_and_number(city: City) -> None:
    case = await city.json(KIM, "/cases", NEW_CASE)
    assert (case["status"], case["onset"], case["confirmed"]) == ("new", "2026-11-20", "2026-11-22")
    assert case["label"].endswith("-0001")
    assert case["exposure_window"] == {"start": "2026-11-05T15:00:00+00:00", "end": "2026-11-19T15:00:00+00:00"}
    assert case["infectious_window"]["start"] == "2026-11-17T15:00:00+00:00"
    other = await city.open_case(person={"name": "남궁민준", "phone": "010-1111-2222"})

    changed = {"onset": "2026-11-18", "notes": "가족 2명", "status": "following"}
    shown = await city.json(KIM, f"/cases/{case['id']}", changed, method="PATCH")
    assert (shown["onset"], shown["notes"], shown["status"]) == ("2026-11-18", "가족 2명", "following")
    assert shown["symptoms"] == NEW_CASE["symptoms"]
    assert shown["person"]["name"] == rooms.NAME

    for q, found in [(PHONE, case["id"]), ("+82 10 7351 9264", case["id"]), ("남궁민준", other), ("-0002", other)]:
        listed = await city.json(KIM, f"/cases?q={quote(q)}")
        assert [one["id"] for one in listed["cases"]] == [found], q
    assert (await city.json(KIM, "/cases?status=new"))["counts"] == {"new": 1, "following": 1}


async def test_the_same_person_twice_is_noticed(city: City) -> None:
    first = await city.open_case()
    again = await city.json(KIM, "/cases", {**NEW_CASE, "person": {"name": "선우 하윤슬", "phone": "+82-10-7351-9264"}})
    assert again["duplicates"] == [{"case": first, "exact": ["name", "phone"], "sounds": []}]


async def test_without_symptoms_the_windows_go_by_the_sample(city: City) -> None:
    case = await city.json(KIM, "/cases", {**NEW_CASE, "onset": None, "symptoms": []})
    assert case["infectious_window"]["start"] == "2026-11-18T15:00:00+00:00"


async def test_the_board_comes_in_pages_and_opens_one_document_of_each_case(city: City) -> None:
    ids = [await city.open_case() for _ in range(5)]
    first = await city.json(KIM, "/cases?limit=3")
    rest = await city.json(KIM, f"/cases?limit=3&before={first['next']}")
    assert [one["id"] for one in (*first["cases"], *rest["cases"])] == ids[::-1]
    assert rest["next"] is None
    look = [entry for entry in city.trail() if entry.action == "vault.read"][-1]
    assert (look.who, look.what, {*look.subjects}) == ("kim", "vault:trace/2 records", {*ids[:2]})


async def test_a_contact_becomes_a_case_that_is_linked_to_the_first(city: City) -> None:
    case = await city.open_case()
    named = {"person": {"name": "남궁민준", "phone": "010-1111-2222"}, "exposed": "2026-11-19"}
    contact = (await city.json(KIM, f"/cases/{case}/contacts", named))["id"]
    await city.json(KIM, f"/cases/{case}/contacts/{contact}/decision", {"verdict": "accepted", "reason": "동거인"})
    shown = await city.json(KIM, f"/cases/{case}")
    assert shown["contacts"] == {"total": 1, "undecided": 0, "accepted": 1}
    await city.json(KIM, f"/cases/{case}/contacts/{contact}/decision", {"verdict": "undecided"})
    taken_back = await city.json(KIM, f"/cases/{case}")
    assert taken_back["contacts"] == {"total": 1, "undecided": 1, "accepted": 0}
    assert taken_back["named_contacts"][0]["decision"] is None
    assert shown["named_contacts"][0]["decision"]["by"] == "kim"
    made = await city.json(KIM, f"/cases/{case}/contacts/{contact}/convert", {})
    assert (made["person"]["name"], made["disease"]) == ("남궁민준", "covid-19")
    assert made["linked_to"] == {"case": case, "contact": contact}


async def test_a_closed_case_takes_no_more_and_is_destroyed_at_its_date(city: City) -> None:
    from hanmaru.trace.cases import cases

    case = await city.open_case()
    closed = await city.json(KIM, f"/cases/{case}/close", {"outcome": "격리 해제"})
    left = datetime.fromisoformat(closed["destroy_on"]) - datetime.now(UTC)
    assert timedelta(days=29.9) < left < timedelta(days=30)
    for path, body, method in [
        ("requests", LOCATION, "POST"),
        ("", {"notes": "x"}, "PATCH"),
        ("close", {"outcome": "x"}, "POST"),
    ]:
        status, _ = await city.refused(KIM, f"/cases/{case}/{path}".rstrip("/"), body, method=method)
        assert status == 409
    assert await cases.tend(city.room, case) > 29 * 86_400
    await asyncio.to_thread(
        lambda: city.room.book.change_case(case, "test", 0, "", destroy_on=datetime.now(UTC).timestamp() - 1)
    )
    assert await cases.tend(city.room, case) == 0
    assert (await city.refused(KIM, f"/cases/{case}"))[0] == 404
    assert not city.locks.vaults.keys.versions("trace", case)
    assert (await city.json(KIM, "/cases"))["counts"] == {"destroyed": 1}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"disease": "plague"}, "There is no profile 'plague'"),
        ({"person": {"name": ""}}, "length"),
        ({"onset": "yesterday"}, "date"),
        ({"nationality": "x"}, "nationality"),
        ({"symptoms": [{"code": "fever"}] * 51}, "length"),
    ],
)
async def test_a_case_that_cannot_be_read_is_refused_and_says_why(
    city: City, change: dict[str, object], said: str
) -> None:
    status, detail = await city.refused(KIM, "/cases", {**NEW_CASE, **change})
    assert status == 400
    assert said in detail


async def test_diseases_and_the_law_are_shown(city: City) -> None:
    diseases = {one["id"]: one for one in await city.json(KIM, "/diseases")}
    assert diseases["measles"]["exposure"]["to_days"] == 21
    law = await city.json(KIM, "/country")
    location = law["kinds"]["location"]
    assert "76-2" in location["law"]["en"]
    assert [step["role"] for step in location["steps"]] == ["health-approver", "police-approver"]
    assert law["kinds"]["cell-presence"]["needs_area"]
