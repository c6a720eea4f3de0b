"""Rules in a real browser: write one, try it over the past, keep it, change it, delete it."""

import re
from collections.abc import AsyncGenerator, Generator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from hanmaru.platform.identity.accounts import Accounts
from tests.running import Running, running
from tests.screens.conftest import Screens, station
from tests.screens.test_screen import WIDTHS, check

pytestmark = pytest.mark.asyncio(loop_scope="session")

PASSWORD = "wooden rules by the wall"
API = "/api/centre/v1/rules"
AREA = "36.47, 127.27\n36.47, 127.33\n36.50, 127.33\n36.50, 127.27"


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory, web: None) -> Generator[Running]:
    data = tmp_path_factory.mktemp("rules")
    accounts = Accounts(data, data / "keys")
    for name, role in (("han", "supervisor"), ("gateway", "writer")):
        accounts.add(name, PASSWORD, role)
    accounts.close()
    with running(data, "--no-demo", SERVICES="centre", WEB_WORKERS="1") as hub:
        yield hub


async def signed(http: Any, hub: Running, who: str) -> None:
    body, headers = {"name": who, "password": PASSWORD}, {"origin": hub.url}
    answer = await http.post(f"{hub.url}/api/session", data=body, headers=headers)
    assert answer.ok, await answer.text()


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def dusty(browser: Browser, centre: Running) -> AsyncGenerator[None]:
    """Let the first of three stations have read too much dust twice in the last five hours."""
    context = await browser.new_context()
    await signed(context.request, centre, "gateway")
    path = f"{centre.url}/ngsi-ld/v1/entityOperations/upsert?options=update"
    for minutes, dust in ((300, 20), (240, 90), (180, 20), (120, 95), (60, 20)):
        readings = [station(n, dust if n == 1 else 20, minutes_ago=minutes) for n in range(1, 4)]
        for one in readings:  # the stations were there all the time
            one["location"]["observedAt"] = one["name"]["observedAt"] = one["pm25"]["observedAt"]
        answer = await context.request.post(path, data=readings, headers={"origin": centre.url})
        assert answer.status in (201, 204), await answer.text()
    yield
    await context.close()


async def page_of(screens: Screens, hub: Running, path: str, **options: Any) -> Page:
    screen = await screens.viewer(hub.url, **options)
    await signed(screen.page.request, hub, "han")
    await screen.page.goto(hub.url + path)
    return screen.page


async def fits(page: Page) -> None:
    """Look at the page at every width: nothing is wider than its place, and axe finds nothing."""
    for width, height in WIDTHS.values():
        await page.set_viewport_size({"width": width, "height": height})
        over = await page.evaluate(
            "[document.documentElement, document.querySelector('#room-main')].map(e => e.scrollWidth - e.clientWidth)"
        )
        assert max(over) <= 0, (width, over)
        await check(page)


async def write(page: Page, name: str, value: str) -> None:
    """Fill the form for dust above a value."""
    await page.get_by_label("Name (English)").fill(name)
    await page.get_by_role("combobox", name="Of", exact=True).select_option("AirQualityObserved")
    await page.get_by_role("combobox", name="Value of").select_option("pm25")
    await page.get_by_label(re.compile("^Value \\(")).fill(value)


async def test_a_rule_is_written_tried_and_kept(screens: Screens, centre: Running, dusty: None) -> None:
    page = await page_of(screens, centre, "/rules")
    await page.get_by_role("link", name="New rule").click()
    await write(page, "Dusty air", "75")
    summary = page.get_by_role("complementary", name="In plain words")
    await expect(summary).to_contain_text("PM2.5 of Air quality is above 75")
    await expect(page.get_by_label("Identifier")).to_have_value("dusty-air")
    await page.get_by_label("In an area").check()
    await page.get_by_label(re.compile("^Corners of the area")).fill(AREA)
    await expect(summary).to_contain_text("Only inside the drawn area")
    await page.get_by_role("combobox", name="Over", exact=True).select_option("day")
    await page.get_by_role("button", name="Try").click()
    await expect(page.get_by_text("Would have fired 2 times in the last day: these.")).to_be_visible()
    rows = page.get_by_role("list", name="When it would have fired").get_by_role("button")
    await expect(rows).to_have_count(2)
    await expect(rows.first).to_contain_text("Station 1")
    await expect(rows.first).to_contain_text("90")
    await rows.first.click()
    await expect(rows.first).to_have_attribute("aria-pressed", "true")
    await expect(page.get_by_role("img", name=re.compile("^2 firings between"))).to_be_visible()
    await fits(page)
    await page.get_by_role("button", name="Save the new rule").click()
    await expect(page).to_have_url(re.compile("/rules/dusty-air$"))
    kept = await (await page.request.get(f"{centre.url}{API}/dusty-air")).json()
    assert kept["when"] == {"kind": "threshold", "type": "AirQualityObserved", "attr": "pm25", "op": ">", "value": 75}
    assert len(kept["where"]["polygon"]["coordinates"][0]) == 5
    assert (kept["changed_by"], kept["version"], kept["enabled"]) == ("han", 1, True)


async def test_what_is_wrong_is_said_at_its_field(screens: Screens, centre: Running, dusty: None) -> None:
    page = await page_of(screens, centre, "/rules/new")
    await write(page, "Odd", "")
    await page.get_by_role("button", name="Save the new rule").click()
    value = page.get_by_label(re.compile("^Value \\("))
    await expect(value).to_be_focused()
    await expect(value).to_have_accessible_description("Give a number.")
    await value.fill("75")
    held = page.get_by_role("spinbutton", name="Must hold for")
    await held.fill("20000")  # minutes: more than seven days, which only the server knows
    await page.get_by_role("button", name="Save the new rule").click()
    await expect(held).to_be_focused()
    await expect(held).to_have_accessible_description("This time is too short or longer than 7 days.")


async def test_conditions_nest_and_read_as_a_sentence(screens: Screens, centre: Running, dusty: None) -> None:
    page = await page_of(screens, centre, "/rules/new")
    await write(page, "Dust or silence", "75")
    await page.get_by_role("button", name="Or …").click()
    second = page.get_by_role("group", name=re.compile("^Condition 2:"))
    await second.get_by_role("combobox", name="Condition 2", exact=True).select_option("absence")
    await page.get_by_role("button", name="Add a condition").click()
    third = page.get_by_role("group", name=re.compile("^Condition 3:"))
    await third.get_by_role("combobox", name="Condition 3", exact=True).select_option("anomaly")
    said = page.get_by_role("complementary", name="In plain words")
    await expect(said).to_contain_text(
        "is above 75 µg/m³ or nothing is heard of Air quality for 10 min or PM2.5 of Air quality is unusual"
    )
    await third.get_by_role("button", name=re.compile("^Remove Condition 3")).click()
    await page.get_by_role("button", name="Save the new rule").click()
    await expect(page).to_have_url(re.compile("/rules/dust-or-silence$"))
    kept = await (await page.request.get(f"{centre.url}{API}/dust-or-silence")).json()
    assert [one["kind"] for one in kept["when"]["of"]] == ["threshold", "absence"]


async def test_a_rule_is_turned_off_changed_and_deleted_in_korean(screens: Screens, centre: Running) -> None:
    page = await page_of(screens, centre, "/rules", locale="ko-KR")
    rule = {
        "id": "to-change",
        "name": {"en": "To change", "ko": "바꿀 규칙"},
        "when": {"kind": "absence", "type": "AirQualityObserved", "for_s": 600},
    }
    answer = await page.request.post(centre.url + API, data=rule, headers={"origin": centre.url})
    assert answer.status == 201, await answer.text()
    await page.reload()
    await expect(page.get_by_role("row", name=re.compile("바꿀 규칙"))).to_contain_text("켜짐")
    await fits(page)
    await page.set_viewport_size({"width": 1280, "height": 800})
    await page.get_by_role("link", name="바꿀 규칙").click()
    await page.get_by_role("button", name="끄기").click()
    await expect(page.get_by_text("꺼짐")).to_be_visible()
    await page.get_by_role("combobox", name="심각도").select_option("high")
    await page.get_by_role("button", name="저장").click()
    await expect(page.get_by_text(re.compile("버전 3,"))).to_be_visible()
    await expect(page.get_by_text("저장했습니다.")).to_be_visible()
    await page.get_by_role("button", name="변경 이력").click()
    await expect(page.get_by_role("dialog").get_by_role("listitem")).to_have_count(3)
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name=re.compile("^삭제")).click()
    await page.get_by_role("alertdialog").get_by_role("button", name="삭제").click()
    await expect(page).to_have_url(re.compile("/rules$"))
    assert (await page.request.get(f"{centre.url}{API}/to-change")).status == 404
