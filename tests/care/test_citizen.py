"""A citizen's own health: the report in words and scales, trends, goals, consents, and that nobody else sees it."""

import json
import re
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from hanmaru.care.citizen import consents, goals, pdf, referrals, report, scale, trends
from hanmaru.care.citizen import visit as visit_of
from hanmaru.care.citizen.goals import Wish
from hanmaru.care.citizen.mine import age_years
from hanmaru.care.citizen.visit import Measured
from hanmaru.care.domain import CareError
from hanmaru.care.fhir.values import Change, Reader
from hanmaru.care.hospital.schedule import follow_ups
from hanmaru.care.rules.catalogue import RULES, explain
from hanmaru.care.visits.kiosks import ROOM
from hanmaru.care.visits.measures import Reading
from hanmaru.care.visits.shapes import Visit
from hanmaru.platform import typeset
from hanmaru.platform.identity.accounts import Accounts
from hanmaru.platform.services import Text
from tests.care.house import ids, status
from tests.care.lives import life
from tests.care.visiting import PASSWORD, House, centre
from tests.trace.test_report import text_of

SEOUL = ZoneInfo("Asia/Seoul")
PLACE: Text = {"ko": "솔숲동 건강측정실", "en": "Solsup Health Corner"}
MAN = {"age_years": 54.0, "sex": 0.0, "height_cm": 172.0, "weight_kg": 79.2, "waist_cm": 92.0}
AT_US = int(datetime(2026, 5, 1, 0, 30, tzinfo=UTC).timestamp() * 1e6)
DAY_US = 86_400_000_000


def resources(person: Mapping[str, float], at_us: int = AT_US, id: str = "v1") -> list[dict[str, Any]]:
    """Return a visit's Observations, as the kiosk's part writes them."""
    visit = Visit(id, "p1", "Location/place-1", "Device/kiosk-1", at_us, at_us)
    readings = [
        Reading(name, value, at_us, "manual") for name, value in person.items() if name not in ("age_years", "sex")
    ]
    found = [resource for resource, _ in visit.measurements(readings)]
    return [*found, *(visit.grade(one, []) for one in explain(person))]


def assembled(
    person: Mapping[str, float], *others: dict[str, Any], before: list[dict[str, Any]] | None = None
) -> report.Report:
    visit = Visit("v1", "p1", "Location/place-1", "Device/kiosk-1", AT_US, AT_US)
    made = resources(person)
    sex = "female" if person["sex"] else "male"
    return report.assemble(
        visit.encounter_of(AT_US), made, before or [], sex=sex, place=PLACE, zone=SEOUL, others=others
    )


def item(found: report.Report, rule: str) -> report.Item:
    return next(one for group in found.groups for one in group.items if one.rule == rule)


# ---- the report


def test_a_raised_pressure_is_said_calmly_with_where_it_lies_and_what_to_do() -> None:
    found = assembled({**MAN, "sbp_mmhg": 142, "dbp_mmhg": 88})
    pressure = item(found, "bp.ksh-2022")
    assert (pressure.shown, pressure.level) == ("142/88", "act")
    assert "고혈압 1기" in pressure.text["ko"]
    assert "diagnose" in pressure.cannot["en"]
    systolic, diastolic = pressure.scales
    assert [one.low for one in systolic.segments] == [None, 120, 130, 140, 160]
    assert [one.level for one in systolic.segments] == ["good", "watch", "watch", "act", "act"]
    assert systolic.level(142) == "act"
    assert diastolic.level(88) == "watch"
    assert found.summary.level == "act"
    assert "Blood pressure" in found.summary.text["en"]
    assert not found.urgent
    assert (found.next[0].start, found.next[0].when, found.next[0].set) == ("2026-05-15", "2026-05-31", False)
    assert found.next[0].what["en"] == "See a doctor"
    beside = item(found, "bp.esh-2023")
    assert beside.beside
    assert beside.scales == ()


def test_what_needs_a_doctor_today_comes_first_and_says_whether_somebody_knows() -> None:
    visit = Visit("v1", "p1", "Location/place-1", "Device/kiosk-1", AT_US, AT_US)
    alert = visit.alert({"ko": "혈압 186/112", "en": "Blood pressure 186/112"}, [])
    person = {**MAN, "sbp_mmhg": 186, "dbp_mmhg": 112}
    found = assembled(person, alert)
    assert [one.rule for one in found.urgent] == ["bp.urgent"]
    assert "119" in found.urgent[0].text["ko"]
    assert found.summary.level == "urgent"
    assert found.next[0].level == "urgent"
    assert (found.alerted, found.seen) == (True, None)
    assert not assembled(person).alerted
    assert assembled(person, {**alert, "received": "2026-05-01T00:50:00Z"}).seen == "2026-05-01T00:50:00Z"


def test_what_is_fine_is_said_to_be_fine_and_what_is_not_so_is_not_said() -> None:
    found = assembled({**MAN, "weight_kg": 66.0, "waist_cm": 80.0, "sbp_mmhg": 112, "dbp_mmhg": 72})
    assert found.summary.level == "good"
    said = {one.rule for group in found.groups for one in group.items}
    assert "bp.urgent" not in said
    assert "bp.low" not in said
    assert [one.level for one in found.next] == ["good"]


def test_a_visit_without_a_grade_is_said_to_have_none() -> None:
    found = assembled({"age_years": 54.0, "sex": 0.0})
    assert not found.groups
    assert "no result" in found.summary.text["en"]


def test_a_finding_is_set_beside_the_last_one() -> None:
    older = resources({**MAN, "sbp_mmhg": 150, "dbp_mmhg": 95}, AT_US - 90 * DAY_US, "v0")
    oldest = resources({**MAN, "sbp_mmhg": 160, "dbp_mmhg": 99}, AT_US - 400 * DAY_US, "v00")
    found = assembled({**MAN, "sbp_mmhg": 142, "dbp_mmhg": 88}, before=[*oldest, *older])
    previous = item(found, "bp.ksh-2022").previous
    assert previous
    assert (previous.shown, previous.at[:7]) == ("150/95", "2026-01")


def test_what_a_nurse_has_set_replaces_the_rule_of_thumb() -> None:
    visit = Visit("v1", "p1", "Location/place-1", "Device/kiosk-1", AT_US, AT_US)
    told = explain({**MAN, "sbp_mmhg": 142, "dbp_mmhg": 88})
    due = next(one for one in follow_ups(told) if one.group == "blood-pressure")
    task = visit.follow_up(due, date(2026, 5, 6), "Observation/x")
    found = assembled({**MAN, "sbp_mmhg": 142, "dbp_mmhg": 88}, task)
    assert [(one.start, one.when, one.set) for one in found.next] == [("2026-05-20", "2026-06-05", True)]
    assert found.next[0].about["en"] == "Blood pressure"
    ended = assembled({**MAN, "sbp_mmhg": 142, "dbp_mmhg": 88}, {**task, "status": "completed"})
    assert not ended.next[0].set


def test_a_rule_of_another_version_keeps_its_words_and_draws_nothing() -> None:
    made = resources({**MAN, "sbp_mmhg": 142, "dbp_mmhg": 88})
    for one in made:
        for coding in one["code"]["coding"]:
            if coding.get("code") == "bp.ksh-2022":
                coding["version"] = "0"
    visit = Visit("v1", "p1", "Location/place-1", "Device/kiosk-1", AT_US, AT_US)
    found = report.assemble(visit.encounter_of(AT_US), made, [], sex="male", place=PLACE, zone=SEOUL)
    old = item(found, "bp.ksh-2022")
    assert "고혈압 1기" in old.text["ko"]
    assert (old.version, old.scales) == ("0", ())


def test_every_group_of_the_catalogue_has_a_title_in_both_languages() -> None:
    titles = report.words()["groups"]
    assert {rule.group for rule in RULES.values()} <= titles.keys()
    assert all({"ko", "en"} <= title.keys() for title in titles.values())


# ---- scales

DRAWN = [(rule, one.column) for rule in RULES.values() for one in scale.drawn(rule, {**MAN, "age_years": 70.0})]


@given(st.sampled_from(DRAWN), st.floats(0, 1), st.sampled_from([0.0, 1.0]), st.integers(20, 90))
def test_a_scale_never_disagrees_with_its_rule(drawn: tuple[Any, str], share: float, sex: float, age: int) -> None:
    rule, column = drawn
    low, high, step = scale.AXES[column]
    value = round(round((low + share * (high - low)) / step) * step, 6)
    person = {"age_years": float(age), "sex": sex, "height_cm": 170.0, **scale.CALM.get(column, {}), column: value}
    found = scale.scale(rule, person, column)
    told = {one.rule: one for one in explain(person)}
    if found is not None:
        stretch = next((one for one in found.segments if one.has(value)), None)
        if rule.id in told:
            assert stretch
            assert stretch.band == told[rule.id].band


def test_the_drawing_reaches_from_edge_to_edge_and_past_the_value() -> None:
    found = scale.scale(RULES["bp.ksh-2022"], {"sbp_mmhg": 210.0}, "sbp_mmhg")
    assert found
    assert found.low < 120
    assert found.high > 210
    assert found.healthy == (None, 120)


# ---- trends and goals


def value(column: str, amount: float, day: str, encounter: str = "") -> Measured:
    return Measured(column, amount, f"{day}T00:30:00Z", encounter or day, False, False)


def test_a_trend_has_a_point_for_each_visit_and_the_healthy_range() -> None:
    twice = [value("sbp_mmhg", amount, "2026-05-01") for amount in (150, 140)]
    found = trends.series([*twice, value("sbp_mmhg", 118, "2026-06-01"), value("weight_kg", 70, "2026-05-01")], MAN)
    weight, pressure = found
    assert [point.value for point in pressure.points] == [145, 118]
    assert [point.level for point in pressure.points] == ["act", "good"]
    assert (pressure.low, pressure.high) == (None, 120)
    assert weight.column == "weight_kg"
    assert (weight.low, weight.high) == (None, None)
    since = datetime(2026, 5, 15, tzinfo=UTC)
    assert [len(one.points) for one in trends.series([*twice, value("sbp_mmhg", 118, "2026-06-01")], MAN, since)] == [1]


def test_of_repeated_grips_the_stronger_counts() -> None:
    found = trends.series([value("grip_right_kg", 30, "2026-05-01"), value("grip_right_kg", 26, "2026-05-01")], MAN)
    assert [point.value for point in found[0].points] == [30]


def test_a_goal_shows_how_far_one_has_come() -> None:
    (made,) = goals.changes("p1", [], [Wish("weight_kg", 70.0, "at_most", "2026-12-01")], date(2026, 5, 1))
    path = [value("weight_kg", 80, "2026-04-30"), value("weight_kg", 76, "2026-06-01")]
    (found,) = goals.read([{**made, "id": "g1"}], path)
    assert (found.start, found.now, found.progress, found.reached) == (80, 76, 0.4, False)
    assert (found.due, found.direction) == ("2026-12-01", "at_most")
    (reached,) = goals.read([made], [*path, value("weight_kg", 69.5, "2026-07-01")])
    assert (reached.progress, reached.reached) == (1, True)
    (nothing,) = goals.read([made], [])
    assert nothing.progress is None


def test_a_goal_that_is_no_longer_wished_is_cancelled_and_one_that_is_keeps_its_beginning() -> None:
    (made,) = goals.changes("p1", [], [Wish("weight_kg", 70.0, "at_most")], date(2026, 5, 1))
    held = [{**made, "id": "g1"}]
    assert goals.changes("p1", held, [Wish("weight_kg", 70.0, "at_most")], date(2026, 6, 1)) == []
    (lower,) = goals.changes("p1", held, [Wish("weight_kg", 68.0, "at_most")], date(2026, 6, 1))
    assert (lower["id"], lower["startDate"]) == ("g1", "2026-05-01")
    (ended,) = goals.changes("p1", held, [], date(2026, 6, 1))
    assert ended["lifecycleStatus"] == "cancelled"
    with pytest.raises(CareError, match="no goals for"):
        goals.changes("p1", [], [Wish("sex", 1, "at_most")], date(2026, 5, 1))
    with pytest.raises(CareError, match="one goal for each"):
        goals.changes("p1", [], [Wish("weight_kg", n, "at_most") for n in (60, 70)], date(2026, 5, 1))


@given(st.floats(30, 200), st.floats(30, 200), st.floats(30, 200), st.sampled_from(["at_most", "at_least"]))
def test_progress_is_a_share_and_whole_exactly_when_the_goal_is_reached(
    start: float, now: float, target: float, direction: goals.Direction
) -> None:
    share = goals.progress(start, now, target, direction)
    assert share is not None
    assert 0 <= share <= 1
    if goals.reached(now, target, direction):
        assert share == 1


def test_a_first_step_leads_towards_the_healthy_range() -> None:
    assert goals.suggested("sbp_mmhg", MAN, 150) == (142.5, "at_most")
    assert goals.suggested("sbp_mmhg", MAN, 122) == (120, "at_most")
    assert goals.suggested("sbp_mmhg", MAN, 110) is None
    assert goals.suggested("weight_kg", MAN, 90) is None


def test_an_age_is_in_whole_years() -> None:
    assert age_years("1962-03-01", date(2026, 2, 28)) == 63
    assert age_years("1962-03-01", date(2026, 3, 1)) == 64
    assert age_years("1962", date(2026, 3, 1)) is None


# ---- consents and referrals


def test_of_several_consents_what_was_said_last_counts() -> None:
    first = {**consents.consent("p1", "follow-up", consents.CENTRE, True, "2026-05-01T00:00:00Z"), "id": "c1"}
    later = {**consents.consent("p1", "follow-up", consents.CENTRE, False, "2026-05-02T00:00:00Z"), "id": "c2"}
    found = consents.read([later, first, {"resourceType": "Consent", "status": "active"}])
    assert [(one.given, one.id) for one in found.values()] == [(False, "c2")]
    with pytest.raises(KeyError):
        consents.consent("p1", "everything", consents.CENTRE, True, "2026-05-01T00:00:00Z")


def test_every_consent_says_what_it_is_for_and_what_happens_without_it() -> None:
    for words in consents.words().values():
        for text in (words.title, words.text, words.off):
            assert {"ko", "en"} <= text.keys()
            assert all(text.values())


def test_a_referral_stands_where_the_hospital_says_that_it_stands() -> None:
    asked = {
        "resourceType": "ServiceRequest",
        "id": "r1",
        "status": "active",
        "authoredOn": "2026-05-02",
        "performer": [{"reference": "Organization/h1"}],
        "reasonCode": [{"text": "혈압 확인"}],
    }
    about = {"reference": "ServiceRequest/r1"}
    task: dict[str, Any] = {"resourceType": "Task", "status": "accepted", "focus": about}
    meeting = {
        "resourceType": "Appointment",
        "status": "booked",
        "start": "2026-05-10T01:00:00Z",
        "basedOn": [about],
        "participant": [{"actor": {"reference": "Organization/h1"}}],
    }
    names: dict[str, Text] = {"Organization/h1": {"ko": "한빛병원", "en": "Hanbit Hospital"}}
    (drafted,) = referrals.read([asked], names)
    assert drafted.state == "draft"
    (found,) = referrals.read([meeting, task, asked], names)
    assert found.to["en"] == "Hanbit Hospital"
    assert found.state == "accepted"
    assert found.appointment
    assert (found.appointment.at, found.appointment.place["ko"]) == ("2026-05-10T01:00:00Z", "한빛병원")
    (revoked,) = referrals.read([{**asked, "status": "revoked"}, task], names)
    assert revoked.state == "cancelled"


# ---- what others write


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-05-01T09:30:00+09:00", "2026-05-01T00:30:00Z"),
        ("2026-05-01T00:30:00.120Z", "2026-05-01T00:30:00.120000Z"),
        ("2026-05-01", "2026-05-01T00:00:00Z"),
        ("2026-05", "2026-05-01T00:00:00Z"),
        ("2026", "2026-01-01T00:00:00Z"),
        ("2026-05-01T09:30:00", ""),
        ("0001-01-01T00:00:00+14:00", ""),
        ("soon", ""),
        (None, ""),
    ],
)
def test_a_time_is_read_however_the_standard_lets_it_be_written(written: str | None, meant: str) -> None:
    assert visit_of.instant(written) == meant


codes = st.sampled_from([*list(RULES)[:4], "sbp_mmhg", "value", "weight_kg", "urgent", "x"])
systems = st.sampled_from([f"urn:hanmaru:care:{name}" for name in ("column", "rule", "band", "level", "consent")])
concepts = st.fixed_dictionaries(
    {},
    optional={
        "coding": st.lists(
            st.fixed_dictionaries({}, optional={"system": systems, "code": codes, "version": codes}), max_size=3
        ),
        "text": codes,
    },
)
amounts = st.fixed_dictionaries({}, optional={"value": st.integers(-5, 300), "unit": codes})
times = st.sampled_from(["2026", "2026-05-01", "2026-05-01T09:30:00+09:00", "x", ""])
parts: dict[str, Any] = {"code": concepts, "valueQuantity": amounts, "valueCodeableConcept": concepts}
NOTHING: dict[str, Any] = {}
strange: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"resourceType": st.just("Observation")},
    optional={
        **parts,
        "effectiveDateTime": times,
        "category": st.lists(concepts, max_size=2),
        "interpretation": st.lists(concepts, max_size=2),
        "component": st.lists(st.fixed_dictionaries({}, optional=parts), max_size=3),
        "provision": st.just(NOTHING),
        "dateTime": times,
    },
)


@given(st.lists(strange, max_size=6), times)
def test_strange_resources_make_a_report_that_says_less(found: list[dict[str, Any]], at: str) -> None:
    encounter = {"resourceType": "Encounter", "id": "v1", "period": {"start": at}}
    made = report.assemble(encounter, found, found, sex="male", place=PLACE, zone=SEOUL, others=found)
    assert set(made.summary.text) == {"ko", "en"}
    values = list(visit_of.measured(found))
    trends.series(values, MAN, datetime(2026, 1, 1, tzinfo=UTC))
    goals.read(found, values)
    consents.read(found)
    referrals.read(found, {})


# ---- the PDF


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        (
            "ko",
            [
                "건강 측정 결과",
                "김하나",
                "142/88 mmHg",
                "고혈압 1기",
                "좋은 범위 120 미만",
                "이 결과로 알 수 없는 것",
                "119",
            ],
        ),
        ("en", ["Your health check-up", "142/88 mmHg", "Healthy range: below 120", "What this cannot tell", "119"]),
    ],
)
def test_the_report_is_printed_in_both_languages(lang: pdf.Language, words: list[str]) -> None:
    if not (typeset.FONTS / "Pretendard-Regular.otf").is_file():
        pytest.skip("the fonts are not built: run python tools/build_web.py")
    made = pdf.render(assembled({**MAN, "sbp_mmhg": 142, "dbp_mmhg": 88}), "김하나", lang, "Asia/Seoul")
    assert b"pdfuaid" in made
    flat = re.sub(r"\s+", " ", text_of(made))
    for word in words:
        assert word in flat, (word, flat)
    fonts = set(re.findall(rb"/FontName ?/(?:[A-Z]{6}\+)?([A-Za-z-]+)", made))
    assert fonts
    assert all(name.startswith((b"Pretendard", b"NotoSansCJK")) for name in fonts), fonts


def test_every_word_of_the_printed_report_is_there_in_both_languages() -> None:
    assert pdf.words()["ko"].keys() == pdf.words()["en"].keys()


# ---- over HTTP: "minji" is a citizen, "nari" a nurse of the health centre


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[House]:
    folder = tmp_path_factory.mktemp("citizen")
    accounts = Accounts(folder)
    accounts.add("suho", PASSWORD, "citizen")
    accounts.close()
    async with centre(folder) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hana(house: House) -> str:
    """Return a Patient with three visits, the last of them urgent, whose account is minji's."""
    return await life(house.records, "minji", "김하나", "store", "follow-up", urgent=True)


def loop(test: Any) -> Any:
    return pytest.mark.asyncio(loop_scope="module")(test)


@loop
async def test_a_report_is_read_from_the_record(house: House, hana: str) -> None:
    visits = (await house.get("minji", "/me/visits"))["visits"]
    assert [one["level"] for one in visits] == ["urgent", "act", "act"]
    found = (await house.get("minji", "/me/report"))["report"]
    assert found["encounter"] == visits[0]["encounter"]
    assert found["summary"]["level"] == "urgent"
    assert found["alerted"]
    assert found["place"] == {"ko": "솔숲동 건강측정실", "en": "Solsup Health Corner"}
    pressure = next(i for g in found["groups"] for i in g["items"] if i["rule"] == "bp.ksh-2022")
    assert (pressure["shown"], pressure["previous"]["shown"]) == ("186/112", "146/90")
    assert any(one["set"] for one in found["next"])
    older = (await house.get("minji", f"/me/report?encounter={visits[2]['encounter']}"))["report"]
    assert older["summary"]["level"] == "act"
    assert not older["urgent"]


@loop
async def test_trends_go_over_all_visits_or_the_last_months(house: House, hana: str) -> None:
    (weight,) = (await house.get("minji", "/me/trends?column=weight_kg"))["series"]
    assert [point["value"] for point in weight["points"]] == [68.2, 66.0, 64.1]
    (weight,) = (await house.get("minji", "/me/trends?column=weight_kg&months=8"))["series"]
    assert [point["value"] for point in weight["points"]] == [66.0, 64.1]
    for wrong in ("column=height", "months=0", "months=-1", "months=x"):
        assert (await house.say("minji", "GET", f"/me/trends?{wrong}")).status == 400


@loop
async def test_goals_are_set_followed_and_dropped(house: House, hana: str) -> None:
    wish = {"column": "weight_kg", "target": 60.0, "direction": "at_most", "due": "2027-03-01"}
    put = await house.say("minji", "PUT", "/me/goals", {"goals": [wish]})
    assert put.status == 200, put.body
    (goal,) = (await house.get("minji", "/me/goals"))["goals"]
    assert (goal["target"], goal["now"], goal["due"], goal["reached"]) == (60.0, 64.1, "2027-03-01", False)
    choices = {one["column"]: one for one in (await house.get("minji", "/me/goals"))["choices"]}
    assert choices["waist_cm"]["target"] == 85
    for wrong in ({**wish, "column": "sex"}, {**wish, "due": "2027-02-30"}, {**wish, "target": 1e9}):
        assert (await house.say("minji", "PUT", "/me/goals", {"goals": [wrong]})).status == 400
    assert (await house.say("minji", "PUT", "/me/goals", {"goals": []})).json()["goals"] == []


@loop
async def test_a_withdrawn_consent_hides_the_record_with_its_answer(house: House, hana: str) -> None:
    id = "follow-up:Organization/health-centre"
    nurse = Reader("nari", "organisation", "health-centre", "treatment")
    assert (await house.records.read(nurse, "Patient", hana)).id == hana
    shown = (await house.say("minji", "PUT", "/me/consents", {"id": id, "given": False})).json()["consents"]
    assert not next(one for one in shown if one["id"] == id)["given"]
    assert await status(house.records.read(nurse, "Patient", hana)) == 404
    assert await ids(house.records, nurse, "Observation", ("patient", hana)) == []
    shown = (await house.say("minji", "PUT", "/me/consents", {"id": id, "given": True})).json()["consents"]
    assert next(one for one in shown if one["id"] == id)["since"]
    assert (await house.records.read(nurse, "Patient", hana)).id == hana
    for wrong in (
        "everything:Organization/health-centre",
        "follow-up:Organization/other",
        "hospital:Organization/none",
    ):
        assert (await house.say("minji", "PUT", "/me/consents", {"id": wrong, "given": True})).status == 404


@loop
async def test_who_looked_is_told_in_plain_words_and_looking_at_oneself_is_no_look(house: House, hana: str) -> None:
    await house.get("minji", "/me/report")
    await house.records.looks(hana)  # writes down what this process has seen
    before = len((await house.get("minji", "/me/looks"))["looks"])
    nurse = Reader("nari", "organisation", "health-centre", "follow-up")
    assert await ids(house.records, nurse, "Observation", ("patient", hana), ("_count", "1"))
    await house.records.looks(hana)
    looks = (await house.get("minji", "/me/looks"))["looks"]
    assert len(looks) == before + 1
    assert looks[0]["who"] == "nari"
    assert looks[0]["organisation"] == {"ko": "건강센터", "en": "Health centre"}
    assert looks[0]["purpose"]["en"] == "Follow-up"
    assert "Measurements" in looks[0]["what"]["en"]


@loop
async def test_a_pass_opens_a_visit_at_the_kiosk(house: House, hana: str) -> None:
    made = (await house.say("minji", "POST", "/me/pass")).json()
    assert made["seconds"] == 180
    assert {len(row) for row in made["rows"]} == {len(made["rows"])}
    assert "하나" not in made["text"]
    shown = await house.say("kiosk-1", "POST", "/kiosk/identify", {"pass": made["text"]})
    assert shown.json()["name_hint"] == "김○○"


@loop
async def test_the_pdf_and_the_export_have_all_of_it(house: House, hana: str) -> None:
    printed = await house.say("minji", "GET", "/me/report.pdf?lang=en")
    if printed.status == 503:
        pytest.skip("the fonts are not built: run python tools/build_web.py")
    assert b"%PDF" in printed.body[:8]
    assert "186/112" in text_of(printed.body)
    assert (await house.say("minji", "GET", "/me/report.pdf?lang=fr")).status == 400
    bundle = json.loads((await house.say("minji", "GET", "/me/export")).body)
    kinds = {entry["resource"]["resourceType"] for entry in bundle["entry"]}
    assert {"Patient", "Encounter", "Observation", "DiagnosticReport", "Consent", "Communication"} <= kinds
    told = await house.get("minji", "/me/destruction")
    assert told["records"] == len(bundle["entry"])
    assert told["visits"] == 3


@loop
async def test_nobody_else_sees_any_of_it(house: House, hana: str) -> None:
    encounter = (await house.get("minji", "/me/visits"))["visits"][0]["encounter"]
    other = {"name": "박두리", "birth_date": "1970-05-05", "sex": "male"}
    assert (await house.get("suho", "/me"))["patient"] is None
    assert (await house.say("suho", "GET", "/me/report")).status == 409
    assert (await house.say("suho", "POST", "/me", other)).status == 201
    assert (await house.get("suho", "/me"))["name"] == "박두리"
    assert (await house.get("suho", "/me/report"))["report"] is None
    assert (await house.say("suho", "GET", f"/me/report?encounter={encounter}")).status == 404
    assert (await house.say("suho", "GET", f"/me/report.pdf?encounter={encounter}")).status == 404
    for path, empty in (("visits", "visits"), ("trends", "series"), ("goals", "goals"), ("looks", "looks")):
        assert (await house.get("suho", f"/me/{path}"))[empty] == []
    exported = json.loads((await house.say("suho", "GET", "/me/export")).body)
    assert [entry["resource"]["name"][0]["text"] for entry in exported["entry"]] == ["박두리"]
    for who in ("nari", "kiosk-1", "boss"):
        assert (await house.say(who, "GET", "/me")).status == 403


@loop
async def test_who_one_is_may_be_put_right_and_must_be_possible(house: House) -> None:
    facts = {"name": "박두리", "birth_date": "1970-05-06", "sex": "male", "phone": "010-1234-5678"}
    assert (await house.say("suho", "POST", "/me", facts)).json()["birth_date"] == "1970-05-06"
    wrong = (
        {"birth_date": "2999-01-01"},
        {"birth_date": "1970-02-30"},
        {"name": " "},
        {"sex": "x"},
        {"phone": "tel;x"},
    )
    for one in wrong:
        assert (await house.say("suho", "POST", "/me", {**facts, **one})).status == 400, one
    assert (await house.get("suho", "/me"))["birth_date"] == "1970-05-06"


@loop
async def test_everything_is_destroyed_only_after_two_looks(house: House) -> None:
    told = await house.get("suho", "/me/destruction")
    assert {"ko", "en"} <= told["remains"][0].keys()
    patient = (await house.get("suho", "/me"))["patient"]
    for wrong in ({"name": "박둘", "records": told["records"]}, {"name": "박두리", "records": told["records"] + 1}):
        assert (await house.say("suho", "DELETE", "/me", wrong)).status == 409
    assert (await house.get("suho", "/me"))["patient"] == patient
    gone = await house.say("suho", "DELETE", "/me", {"name": "박두리", "records": told["records"]})
    assert gone.status == 200, gone.body
    assert (await house.get("suho", "/me"))["patient"] is None
    assert await status(house.records.read(ROOM, "Patient", patient)) in (404, 410)


@loop
async def test_a_referral_under_way_is_told(house: House, hana: str) -> None:
    hospital = {"resourceType": "Organization", "name": "한빛병원", "alias": ["Hanbit Hospital"]}
    await house.records.commit(ROOM, [Change("PUT", "Organization", "h1", hospital)])
    assert (await house.get("minji", "/me/referrals"))["referrals"] == []
    subject, to = {"reference": f"Patient/{hana}"}, {"reference": "Organization/h1"}
    about: dict[str, Any] = {"reference": "ServiceRequest/r1"}
    asked: dict[str, Any] = {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "subject": subject,
        "authoredOn": "2026-11-20T00:00:00Z",
        "performer": [to],
        "reasonCode": [{"text": "혈압 확인"}],
    }
    task = {
        "resourceType": "Task",
        "status": "accepted",
        "intent": "order",
        "focus": about,
        "for": subject,
        "owner": to,
    }
    taken_part = [{"actor": subject, "status": "accepted"}]
    meeting: dict[str, Any] = {
        "resourceType": "Appointment",
        "status": "booked",
        "basedOn": [about],
        "participant": taken_part,
    }
    meeting |= {"start": "2026-12-01T01:00:00Z", "end": "2026-12-01T01:20:00Z"}
    result: dict[str, Any] = {
        "resourceType": "DiagnosticReport",
        "status": "final",
        "basedOn": [about],
        "subject": subject,
    }
    result |= {"code": {"text": "진료 결과"}, "issued": "2026-12-01T02:00:00Z", "conclusion": "약을 시작합니다."}
    made = (("r1", asked), ("t1", task), ("a1", meeting), ("d1", result))
    changes = [Change("PUT", str(one["resourceType"]), id, one) for id, one in made]
    await house.records.commit(ROOM, changes)
    (found,) = (await house.get("minji", "/me/referrals"))["referrals"]
    assert found["to"] == {"ko": "한빛병원", "en": "Hanbit Hospital"}
    assert (found["state"], found["reason"]["ko"]) == ("accepted", "혈압 확인")
    assert (found["appointment"]["at"], found["appointment"]["place"]["ko"]) == ("2026-12-01T01:00:00Z", "한빛병원")
    assert [one["text"]["ko"] for one in found["results"]] == ["약을 시작합니다."]
    offered = (await house.get("minji", "/me/consents"))["consents"]
    share = next(one for one in offered if one["id"] == "hospital:Organization/h1")
    assert (share["title"]["en"], share["given"]) == ("Share with Hanbit Hospital", False)
    there = Reader("client:h1", "organisation", "h1", "treatment")
    assert await status(house.records.read(there, "Patient", hana)) == 404
    for allowed, seen in ((True, 200), (False, 404)):
        switched = await house.say("minji", "PUT", "/me/consents", {"id": share["id"], "given": allowed})
        assert switched.status == 200
        assert await status(house.records.read(there, "Patient", hana)) == seen
