"""The situation and after-action reports: what the hub and the record of events hold, told on a page and as PDF."""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Mount

from hanmaru.centre.domain import CentreError
from hanmaru.centre.events import api as events_api
from hanmaru.centre.reports import api, area, drawn, figures
from hanmaru.centre.reports.figures import Period
from hanmaru.centre.reports.words import words
from hanmaru.edge import on_problem
from hanmaru.hub.client import HubClient
from hanmaru.platform.problems import Problem
from hanmaru.platform.services import Attr
from tests.centre.desk import Room, room
from tests.trace.test_report import text_of

BOX = "127.2,36.4,127.3,36.5"
BASE = {
    "boundary": {
        "features": [
            {
                "properties": {"name_ko": "한빛시", "name_en": "Hanbit"},
                "geometry": {
                    "type": "Polygon",
                    "coordinates": [[[127.1, 36.3], [127.4, 36.3], [127.4, 36.6], [127.1, 36.6], [127.1, 36.3]]],
                },
            }
        ]
    }
}


@pytest.fixture(autouse=True)
def now() -> None:
    """Let the time that a test counts from be its own beginning, not that of the whole run."""
    global NOW
    NOW = datetime.now(UTC).replace(microsecond=0)


def at(hours: float) -> str:
    return (NOW + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_the_same_hours_of_days_before_never_overlap() -> None:
    for hours in (0.5, 8, 24, 25, 24 * 7):
        period = Period(NOW - timedelta(hours=hours), NOW)
        before = period.before()
        assert before.end <= period.start
        assert before.length == period.length
        assert (period.start - before.start) % timedelta(days=1) == timedelta()


@given(
    st.lists(
        st.lists(st.tuples(st.floats(-50, 50), st.floats(-100, 3_700)), max_size=30),
        max_size=5,
    )
)
def test_a_trend_lies_between_the_least_and_the_most_within_the_period(sensors: list[list[figures.Reading]]) -> None:
    start = datetime.fromtimestamp(0, UTC)
    found = figures.trend(sensors, Period(start, start + timedelta(hours=1)), parts=6)
    inside = [[value for value, when in readings if 0 <= when < 3600] for readings in sensors]
    values = [value for readings in inside for value in readings]
    assert (found is None) == (not values)
    if found is not None:
        assert (found.low, found.high, found.readings) == (min(values), max(values), len(values))
        assert found.sensors == sum(bool(readings) for readings in inside)
        for mean in (found.mean, *(part for part in found.parts if part is not None)):
            assert found.low - 1e-6 <= mean <= found.high + 1e-6


def test_each_sensor_counts_alike_however_often_it_reports() -> None:
    start = datetime.fromtimestamp(0, UTC)
    period = Period(start, start + timedelta(hours=1))
    found = figures.trend([[(0.0, 5.0)] * 100, [(10.0, 5.0)]], period, parts=1)
    assert found is not None
    assert (found.mean, found.parts) == (5.0, (5.0,))


def test_states_are_words_truths_and_steps_not_names() -> None:
    plain, stepped = Attr("powerState", {"en": "Power"}), Attr("pm25", {"en": "PM"}, steps=((0, "#0"), (16, "#1")))
    assert figures.states(["on", "off", "on", None], plain) == [("on", 2), ("off", 1)]
    assert figures.states([True, False], plain) == [("true", 1), ("false", 1)]
    assert figures.states([3, 15.9, 16, 99], stepped) == [("0..16", 2), ("16..", 2)]
    assert figures.states(list("abcdefghi"), plain) == []
    assert figures.states(["70바 1022"], Attr("vehiclePlateIdentifier", {"en": "Plate"})) == []


def test_an_area_is_a_box_a_polygon_or_the_city() -> None:
    box = area.area_of(BOX, {})
    assert 98 < box.km2 < 101  # 0.1° of each: about 8.95 km by 11.1 km
    assert box.holding([{"type": "Point", "coordinates": [127.25, 36.45]}, None]) == [True, False]
    city = area.area_of("", BASE)
    assert city.name == {"en": "Hanbit", "ko": "한빛시"}
    for wrong in ("1,2,3", "127.3,36.4,127.2,36.5", '{"type":"Point","coordinates":[1,2]}', "{", "dong:9"):
        with pytest.raises(CentreError, match=r"area|quarter"):
            area.area_of(wrong, BASE)
    bow = {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}
    with pytest.raises(CentreError, match="crosses itself"):
        area.area_of(msgspec.json.encode(bow).decode(), BASE)


@given(st.text(max_size=60))
def test_no_text_of_an_area_breaks_anything(text: str) -> None:
    with suppress(CentreError):
        assert area.area_of(text, BASE).km2 > 0


def test_a_chart_has_gaps_where_nothing_was_told() -> None:
    assert drawn.chart([1, 2, None, 3], []).count("<path") == 3
    assert drawn.chart([], []).count("<path") == 1


def test_both_languages_have_the_same_words() -> None:
    def keys(table: Any, path: str = "") -> set[str]:
        return {
            found
            for key, value in table.items()
            for found in (keys(value, f"{path}{key}.") if isinstance(value, dict) else {path + key})
        }

    assert keys(words()["ko"]) == keys(words()["en"])
    used = "".join(p.read_text() for p in Path(api.__file__).parent.glob("*.typ"))
    assert set(re.findall(r"\bw\.(\w+)", used)) <= keys(words()["en"])


@pytest.fixture
async def site(tmp_path: Path) -> AsyncGenerator[Room]:
    (tmp_path / "basemap").mkdir()
    (tmp_path / "basemap" / "boundary.geojson").write_bytes(msgspec.json.encode(BASE["boundary"]))
    async with room(tmp_path) as made:
        routes = [*api.routes(made.context), *events_api.routes(made.context)]
        door = made.app.state.door
        made.app = Starlette(routes=[Mount("/c", routes=routes)], exception_handlers={Problem: on_problem})
        made.app.state.door = door
        yield made


def point(lon: float, lat: float) -> dict[str, Any]:
    return {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [lon, lat]}}


def named(en: str, ko: str) -> dict[str, Any]:
    return {"type": "LanguageProperty", "languageMap": {"en": en, "ko": ko}}


def air(name: str, lon: float, values: dict[float, float]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A station with its history by hours from now; the newest is its present state."""
    id = f"urn:ngsi-ld:AirQualityObserved:test:{name}"
    last = max(values)
    fixed = {"id": id, "type": "AirQualityObserved", "name": named(name, name), "location": point(lon, 36.45)}
    readings = [{"type": "Property", "value": value, "observedAt": at(hours)} for hours, value in values.items()]
    now = {"type": "Property", "value": values[last], "observedAt": at(last)}
    past = {"id": id, "type": "AirQualityObserved", "pm25": readings}
    return {**fixed, "pm25": now}, past


async def fill(hub: HubClient) -> None:
    """Two stations in the area, one of them silent since three hours ago, one outside; a light; two alerts."""
    hours = [-h / 2 for h in range(60)]
    stations = [
        air("near", 127.25, {h: 40.0 if h >= -12 else 10.0 for h in hours}),
        air("quiet", 127.26, {h: 20.0 for h in hours if h < -3}),
        air("far", 127.9, dict.fromkeys(hours, 500.0)),
    ]
    light = {"id": "urn:ngsi-ld:Streetlight:test:1", "type": "Streetlight", "location": point(127.25, 36.45)}
    await hub.upsert([*(now for now, _ in stations), {**light, "powerState": {"type": "Property", "value": "on"}}])
    await hub.record([past for _, past in stations])
    for n, (hour, lon) in enumerate(((-2, 127.25), (-40, 127.25), (-2, 127.9))):
        issued = {"type": "Property", "value": at(hour), "observedAt": at(hour)}
        alert = {"id": f"urn:ngsi-ld:Alert:test:{n}", "type": "Alert", "name": named(f"Alert {n}", f"알림 {n}")}
        place = {**point(lon, 36.45), "observedAt": at(hour)}
        await hub.upsert([{**alert, "location": place, "dateIssued": issued, "severity": {**issued, "value": "high"}}])


async def test_a_situation_is_told_as_a_page_and_on_paper(site: Room) -> None:
    await fill(site.context.hub)
    event = await site.raised(
        title="물이 찼다", location={"type": "Point", "coordinates": [127.25, 36.45]}, category="flood"
    )
    await site.raised(location={"type": "Point", "coordinates": [127.9, 36.45]})
    await site.ask("POST", f"/events/{event['id']}/close", {"reason": "pumped dry"})
    asked = f"start={at(-12)}&end={at(0.01)}&area={BOX}"
    answer = await site.ask("GET", f"/reports/situation?{asked}")
    assert answer.status == 200, answer.body
    found = answer.json()
    layers = {layer["id"]: layer for layer in found["layers"]}
    assert layers["centre.air"]["count"] == 2
    assert layers["centre.air"]["silent"] == 1
    assert layers["centre.light"]["states"][0]["values"] == [{"value": "on", "count": 1, "colour": None}]
    assert [one["name"]["en"] for one in found["silent"]] == ["quiet"]
    (pm25,) = found["figures"]
    assert (pm25["attr"], pm25["sensors"], pm25["low"], pm25["high"]) == ("pm25", 2, 20, 40)
    assert pm25["mean"] == pytest.approx(30), "each sensor counts alike, the far one not at all"
    assert pm25["trend"][0] == pytest.approx(30)
    assert pm25["trend"][-1] == pytest.approx(40), "the silent one is in no reading of the last hour"
    assert pm25["before"]["mean"] == pytest.approx(15)
    assert [one["title"]["en"] for one in found["alerts"]] == ["Alert 0"]
    assert [(one["number"], one["state"]) for one in found["events"]] == [(event["number"], "closed")]

    paper = await site.ask("GET", f"/reports/situation.pdf?{asked}&lang=ko")
    assert paper.status == 200, paper.body
    assert b"pdfuaid:part" in paper.body
    assert b"/StructTreeRoot" in paper.body
    text = text_of(paper.body)
    for said in ("상황 보고서", "높음", event["number"], "물이 찼다", "pumped dry", "알림 0", "quiet", "켜짐"):
        assert said in text, said
    assert "Alert 1" not in text


async def test_the_past_is_told_as_it_was(site: Room) -> None:
    await fill(site.context.hub)
    asked = f"start={at(-20)}&end={at(-14)}&area={BOX}"
    found = (await site.ask("GET", f"/reports/situation?{asked}")).json()
    (layer,) = [layer for layer in found["layers"] if layer["id"] == "centre.air"]
    (state,) = layer["states"]
    assert {one["value"]: one["count"] for one in state["values"]} == {"0..16": 1, "16..36": 1}
    assert found["silent"] == []
    assert found["figures"][0]["mean"] == pytest.approx(15)


async def test_the_whole_city_has_what_has_no_place(site: Room) -> None:
    event = await site.raised(location=None)
    found = (await site.ask("GET", "/reports/situation")).json()
    assert found["area"]["name"]["en"] == "Hanbit"
    assert [one["id"] for one in found["events"]] == [event["id"]]
    assert (await site.ask("GET", f"/reports/situation?area={BOX}")).json()["events"] == []


async def test_what_cannot_be_reported_is_refused_in_a_line(site: Room) -> None:
    for query in ("start=x", "start=2026-01-01", f"start={at(1)}&end={at(2)}", f"start={at(-1)}&end={at(-2)}",
                  "start=0001-01-01T00:00:00Z", "area=1,2", "area=%7B", "area=dong:0"):  # fmt: skip
        answer = await site.ask("GET", f"/reports/situation?{query}")
        assert answer.status == 400, query
        assert "\n" not in answer.json()["detail"]
    assert (await site.ask("GET", "/reports/situation.pdf?lang=fr")).status == 400
    assert (await site.ask("GET", "/events/none/report.pdf")).status == 404
    assert (await site.ask("GET", "/reports/situation", role="agency")).status == 403


async def test_more_than_two_at_once_are_asked_to_come_again(site: Room) -> None:
    await fill(site.context.hub)
    answers = await asyncio.gather(*(site.ask("GET", f"/reports/situation?area={BOX}") for _ in range(4)))
    assert sorted(answer.status for answer in answers) == [200, 200, 503, 503]
    assert {answer.headers.get("retry-after") for answer in answers} == {None, "5"}
    assert (await site.ask("GET", f"/reports/situation?area={BOX}")).status == 200


async def test_an_after_action_report_tells_who_did_what_when(site: Room) -> None:
    event = await site.raised(procedure="disaster-response", title="물 #panic() $x$")
    id = event["id"]
    await site.ask("POST", f"/events/{id}/take", {}, who="Kim")
    await site.step(id, "confirm", do="choose", option="real")
    await site.ask("POST", f"/events/{id}/note", {"text": "Two cars"}, who="Kim")
    await site.ask("POST", f"/events/{id}/close", {"reason": "all out"}, role="supervisor", who="Lee")
    for lang, said in (
        ("ko", ("사후 보고서", "Kim", "종결", "재난")),
        ("en", ("After-action", "closed", "Two cars", "Lee")),
    ):
        answer = await site.ask("GET", f"/events/{id}/report.pdf?lang={lang}")
        assert answer.status == 200, answer.body
        assert b"pdfuaid:part" in answer.body
        text = text_of(answer.body)
        for word in (*said, event["number"], "panic()", "all out"):
            assert word in text, (lang, word)
