"""The example service as a stranger's package: built, installed beside the hub, fed, and looked at in a browser."""

import json
import os
import time
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.async_api import Page, expect

from tests.house.strangers import ROOT, Environment, build, environment, install
from tests.house.test_stranger import eventually, request
from tests.running import Running, running
from tests.screens.conftest import Screens, browser, chromium, screens, web
from tests.screens.test_screen import AXE, check

__all__ = ["browser", "chromium", "screens", "web"]

PACKAGE = ROOT / "examples" / "building-energy"
DATA = Path(os.environ.get("HANMARU_TEST_DATA", ROOT.parent / "shared" / "data"))
STEEL = DATA / "series" / "steel_energy_gwangyang_15min.csv"
HALL, METER = "urn:ngsi-ld:Building:hall", "urn:ngsi-ld:ACMeasurement:hall"
HOUR = 3600


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Generator[Environment]:
    """An environment with the package's wheel in it, which new processes see too."""
    made = environment(tmp_path_factory.mktemp("beside") / "environment")
    install(build(PACKAGE, tmp_path_factory.mktemp("dist")), made)
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(made.packages), before]))
    yield made
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


def test_nothing_of_the_hub_knows_of_it() -> None:
    named = [path for path in (ROOT / "src").rglob("*.py") if "building_energy" in path.read_text("utf-8")]
    assert named == []


def test_the_wheel_has_what_the_manifest_points_to(beside: Environment) -> None:
    installed = beside.packages / "hanmaru_building_energy"
    assert (installed / "static" / "savings.js").is_file()
    assert (installed / "policies" / "energy.cedar").is_file()
    assert (installed / "policies" / "energy.test.toml").is_file()


def test_its_own_tests_pass_where_it_is_installed(beside: Environment, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text((PACKAGE / "pyproject.toml").read_text())
    (tmp_path / "tests").symlink_to(PACKAGE / "tests")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HANMARU_TEST_DATA", str(DATA))
        printed = beside.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-s", "tests", cwd=tmp_path)
    assert " passed" in printed
    assert "failed" not in printed


def test_its_policies_hold_beside_the_hubs(beside: Environment, tmp_path: Path) -> None:
    assert "0 answered otherwise" in beside.hanmaru("policy", "check", cwd=tmp_path)
    asked = ("policy", "explain", "energy.manage", "--json", "--role")
    assert json.loads(beside.hanmaru(*asked, "energy-manager", cwd=tmp_path))["allowed"] is True


def hall(completed: datetime) -> dict[str, Any]:
    """A metered building."""
    at = {"type": "Property", "value": {"@type": "DateTime", "@value": completed.isoformat()}}
    return {
        "id": HALL,
        "type": "Building",
        "name": {"type": "LanguageProperty", "languageMap": {"en": "City hall", "ko": "시청"}},
        "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [127.289, 36.480]}},
        "refMeter": {"type": "Relationship", "object": METER},
        "measureStartedAt": at,
        "measureCompletedAt": at,
    }


def readings(weeks: int, saved_since: datetime, saved: float) -> list[dict[str, Any]]:
    """Hours of an office's meter up to now, which uses less since a measure."""
    now = int(time.time()) // HOUR * HOUR
    ends = now - HOUR * np.arange(weeks * 168)[::-1]
    begins = ends - HOUR + 9 * HOUR  # local
    open_ = (begins // 86400 % 7 + 3) % 7 < 5
    day = (begins // HOUR % 24 >= 8) & (begins // HOUR % 24 < 19)
    kwh = (60 + 90 * (open_ & day)) * np.random.default_rng(7).normal(1, 0.06, len(ends))
    kwh = np.where(ends > saved_since.timestamp(), kwh * (1 - saved), kwh)
    return [
        {"type": "Property", "value": round(v, 2), "observedAt": datetime.fromtimestamp(t, UTC).isoformat()}
        for t, v in zip(ends.tolist(), kwh.tolist(), strict=True)
    ]


def record(hub: Running, meter: str, points: list[dict[str, Any]]) -> None:
    """Send a meter's past over the standard interface."""
    for first in range(0, len(points), 2000):
        body = {"id": meter, "type": "ACMeasurement", "intervalActiveEnergy": points[first : first + 2000]}
        status, answer = request(hub, "POST", "/ngsi-ld/v1/temporal/entities", body)
        assert status in (201, 204), answer


def test_savings_are_estimated_shown_and_managed(beside: Environment, tmp_path: Path) -> None:
    since = datetime.now(UTC) - timedelta(weeks=8)
    with running(tmp_path, "--demo", SERVICES="centre,energy") as hub:
        record(hub, METER, readings(30, since, 0.2))
        assert request(hub, "POST", "/ngsi-ld/v1/entities", hall(since))[0] == 201
        path = f"/api/energy/v1/buildings/{HALL}"

        def found(account: str = "reader") -> dict[str, Any]:
            listed = request(hub, "GET", "/api/energy/v1/buildings", account=account)[1]
            return next((one for one in listed if one["id"] == HALL), {})

        eventually(lambda: found().get("savingsStatus") == "ok", 60)
        assert abs(found()["savingsPercent"] - 20) <= found()["savingsUncertainty"] < 5
        status, series = request(hub, "GET", f"{path}/series", account="reader")
        assert status == 200
        assert series["days"][-1]["saved"] == pytest.approx(found()["savedEnergy"], abs=0.2)

        measure = {"started": since.isoformat(), "completed": (since + timedelta(weeks=2)).isoformat()}
        assert request(hub, "PUT", f"{path}/measure", measure, account="reader")[0] == 403
        assert request(hub, "PUT", f"{path}/measure", {"started": "soon", "completed": "later"})[0] == 400
        assert request(hub, "PUT", f"{path}/measure", {**measure, "completed": "2020-01-01T00:00:00Z"})[0] == 400
        assert request(hub, "PUT", "/api/energy/v1/buildings/urn:ngsi-ld:Building:none/measure", measure)[0] == 404
        before = found()["baselineEnergy"]
        assert request(hub, "PUT", f"{path}/measure", measure, account="energy-manager")[0] == 204
        eventually(lambda: found()["baselineEnergy"] < 0.8 * before, 30)

        manifest = request(hub, "GET", "/api/shell/v1/manifest", account="reader")[1]
        assert "energy.buildings" in [layer["id"] for layer in manifest["layers"]]
        shown = request(hub, "GET", "/openapi.json")[1]["paths"]
        assert "/api/energy/v1/buildings/{id}/series" in shown
        # The demo city has buildings of the package's own, with readings from before the hub's.
        eventually(lambda: len(request(hub, "GET", "/api/energy/v1/buildings")[1]) >= 10, 60)
        assert not [line for line in hub.logs if line.get("level") == "error"]


@pytest.mark.skipif(not STEEL.is_file(), reason="the steel works' series is not there: set HANMARU_TEST_DATA")
def test_the_steel_works_file_comes_in_by_a_mapping_and_gets_no_number(beside: Environment, tmp_path: Path) -> None:
    mapping = PACKAGE / "import" / "steel_energy.toml"
    arguments = ("ingest", str(STEEL), "--mapping", str(mapping), "--json")
    came_in = json.loads(beside.hanmaru(*arguments, cwd=tmp_path))
    assert came_in["rows"] == 35_040
    assert came_in["quarantined"] == 0
    works = json.loads((PACKAGE / "import" / "steel_works.json").read_text("utf-8"))
    with running(tmp_path / "data", "--no-demo", AUTH="off", SERVICES="centre,energy") as hub:
        assert anonymous(hub, "POST", "/ngsi-ld/v1/entities", works)[0] == 201
        path = f"/api/energy/v1/buildings/{works['id']}/series"
        eventually(lambda: anonymous(hub, "GET", path)[0] == 200, 60)
        found = anonymous(hub, "GET", path)[1]
    assert found["status"] == "does-not-fit"
    assert found["cvRmse"] > 0.5
    assert found["savedKwh"] is None
    assert len(found["days"]) == 365


def anonymous(hub: Running, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Send a request to a hub without login."""
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    data = None if body is None else json.dumps(body).encode()
    try:
        with urlopen(Request(hub.url + path, data, {"Content-Type": "application/json"}, method=method)) as answer:
            raw, status = answer.read(), answer.status
    except HTTPError as error:
        with error:
            raw, status = error.read(), error.code
    return status, json.loads(raw) if raw else None


@pytest.fixture(scope="module")
def shown(beside: Environment, web: None, tmp_path_factory: pytest.TempPathFactory) -> Generator[Running]:
    """A hub without login, with one building whose savings are known."""
    since = datetime.now(UTC) - timedelta(weeks=8)
    with running(tmp_path_factory.mktemp("shown"), "--no-demo", AUTH="off", SERVICES="centre,energy") as hub:
        points = readings(30, since, 0.2)
        for first in range(0, len(points), 2000):
            body = {"id": METER, "type": "ACMeasurement", "intervalActiveEnergy": points[first : first + 2000]}
            assert anonymous(hub, "POST", "/ngsi-ld/v1/temporal/entities", body)[0] in (201, 204)
        assert anonymous(hub, "POST", "/ngsi-ld/v1/entities", hall(since))[0] == 201
        eventually(lambda: anonymous(hub, "GET", f"/api/energy/v1/buildings/{HALL}/series")[0] == 200, 60)
        yield hub


SPILLING = """
() => [...document.querySelectorAll('.building-energy *')]
  .filter((e) => e.clientWidth && e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX === 'visible')
  .filter((e) => e.tagName !== 'svg').map((e) => e.outerHTML.slice(0, 80))
"""
"""What is wider than its place, as a script."""

SIZES = {"desk": (1440, 900), "tablet": (820, 1180), "phone": (390, 844)}


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("locale", ["en-GB", "ko-KR"])
@pytest.mark.parametrize("size", SIZES)
async def test_the_layer_and_the_chart_are_on_the_screen(
    screens: Screens, shown: Running, size: str, locale: str
) -> None:
    korean = locale == "ko-KR"
    width, height = SIZES[size]
    scheme = "dark" if korean else "light"
    screen = await screens.viewer(shown.url, width=width, height=height, locale=locale, color_scheme=scheme)
    page = await screen.open(f"#entity={HALL}")
    if size == "phone":
        await page.get_by_role("button", name="패널 크게" if korean else "Make the panel larger").click()
    await expect(page.get_by_role("article", name="시청" if korean else "City hall")).to_be_visible()
    figures = page.locator(".building-energy figure")
    await expect(figures).to_have_count(2)
    await expect(page.locator(".verdict")).to_contain_text("절감량" if korean else "Saved")
    await expect(page.locator(".verdict")).to_have_attribute("data-status", "ok")
    for drawn in (".line.measured", ".line.baseline", "polygon.band.baseline", ".line.saved", "polygon.band.saved"):
        assert await page.locator(f".building-energy svg {drawn}").count() >= 1
    await reads_off_by_keyboard(page)
    await page.get_by_text("날짜별 표" if korean else "Days as a table").click()
    await expect(page.locator(".building-energy table tbody tr")).to_have_count(90)
    assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert await page.evaluate(SPILLING) == []
    if AXE.is_file():
        await check(page)
    if folder := os.environ.get("SCREENSHOTS"):
        await page.locator(".building-energy").scroll_into_view_if_needed()
        await page.screenshot(path=Path(folder) / f"energy-{size}-{locale}.png")
    if size == "phone":
        await page.get_by_role("tab", name="레이어" if korean else "Layers").click()
    row = page.get_by_role("listitem").filter(has_text="에너지 절감" if korean else "Energy savings")
    if size != "tablet":
        await expect(row.locator(".layer-count")).to_have_text("1")
    assert screen.complaints == []


async def reads_off_by_keyboard(page: Page) -> None:
    """Go from day to day with the arrow keys; what is said changes with them."""
    place = page.locator(".building-energy .place").first
    await place.focus()
    last = await place.get_attribute("aria-valuetext")
    await page.keyboard.press("ArrowLeft")
    assert await place.get_attribute("aria-valuetext") != last
    await page.keyboard.press("End")
    assert await place.get_attribute("aria-valuetext") == last
    await page.keyboard.press("Home")
    await expect(page.locator(".building-energy .told").first).to_contain_text("kWh")


@pytest.mark.asyncio(loop_scope="session")
async def test_the_chart_shows_as_many_days_as_asked_for(screens: Screens, shown: Running) -> None:
    screen = await screens.viewer(shown.url)
    page = await screen.open(f"#entity={HALL}")
    first = page.locator(".building-energy figure").first
    await expect(first).to_have_attribute("data-days", "90")
    await page.get_by_role("button", name="Last 30 days").click()
    await expect(first).to_have_attribute("data-days", "30")
    await expect(page.get_by_role("button", name="Last 30 days")).to_be_focused()
    await page.get_by_role("button", name="All", exact=True).click()
    assert int(await first.get_attribute("data-days") or 0) > 200
    await expect(first.locator("svg .measure")).to_have_count(1)
