"""The journey into the past in a real browser: look back, see the city of then, play on, jump to an event, return."""

import re
from collections.abc import Generator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from hanmaru.centre.replay.api import MOST_OF_ONE
from hanmaru.platform.identity.accounts import Accounts
from tests.running import Running, running
from tests.screens.conftest import CENTRE, Screens, station
from tests.screens.test_screen import WIDTHS, check

pytestmark = pytest.mark.asyncio(loop_scope="session")

STATION = "urn:ngsi-ld:AirQualityObserved:test:7"
PASSWORD = "minutes of another day"
NOW = datetime.now(UTC)


def ago(minutes: float) -> str:
    return (NOW - timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


def reading(value: Any, minutes: float, kind: str = "Property") -> dict[str, Any]:
    return {"type": kind, "value": value, "observedAt": ago(minutes)}


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory, web: None) -> Generator[Running]:
    data = tmp_path_factory.mktemp("replay")
    accounts = Accounts(data, data / "keys")
    for name, role in (("kim", "operator"), ("gateway", "writer")):
        accounts.add(name, PASSWORD, role)
    accounts.close()
    with running(data, "--no-demo", SERVICES="centre", WEB_WORKERS="1") as hub:
        yield hub


async def signed(http: Any, hub: Running, who: str) -> None:
    body, headers = {"name": who, "password": PASSWORD}, {"origin": hub.url}
    answer = await http.post(f"{hub.url}/api/session", data=body, headers=headers)
    assert answer.ok, await answer.text()


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def city(browser: Browser, centre: Running) -> Running:
    """Hold a station, read every minute for three hours, and an alert that was issued and is recorded only."""
    place = {"type": "Point", "coordinates": list(CENTRE)}
    alert = {
        "id": "urn:ngsi-ld:Alert:test:old",
        "type": "Alert",
        "name": [reading("Flooded underpass", 90)],
        "severity": [reading("high", 90)],
        "category": [reading("weather", 90)],
        "dateIssued": [reading(ago(90), 90)],
        "location": [reading(place, 90, "GeoProperty")],
    }
    history = {"id": STATION, "type": "AirQualityObserved", "pm25": [reading(n % 60, n) for n in range(1, 181)]}
    context = await browser.new_context()
    await signed(context.request, centre, "gateway")
    sent = [("entities", station(7, 80)), ("temporal/entities", alert), ("temporal/entities", history)]
    for path, document in sent:
        answer = await context.request.post(
            f"{centre.url}/ngsi-ld/v1/{path}", data=document, headers={"origin": centre.url}
        )
        assert answer.status in (201, 204), await answer.text()
    await context.close()
    return centre


async def looking(screens: Screens, city: Running, button: str, fragment: str = "", **options: Any) -> Page:
    """Open the map as an operator and press the button for the past."""
    screen = await screens.viewer(city.url, **options)
    await signed(screen.page.request, city, "kim")
    page = await screen.open(fragment)
    await page.get_by_role("button", name=button).click()
    return page


@pytest_asyncio.fixture(loop_scope="session")
async def page(screens: Screens, city: Running) -> Page:
    return await looking(screens, city, "Look back", f"#entity={STATION}")


def shown(page: Page) -> Locator:
    return page.locator(".details .tile[data-attr=pm25] b")


async def go_to(page: Page, minutes: float) -> None:
    """Type an instant, in the city's zone, into the field."""
    city = (NOW - timedelta(minutes=minutes)).astimezone()
    zoned = await page.evaluate(
        "([at, zone]) => new Date(at).toLocaleString('sv', { timeZone: zone }).slice(0, 16).replace(' ', 'T')",
        [city.isoformat(), "Asia/Seoul"],
    )
    field = page.get_by_label("Date and time shown")
    await field.fill(zoned)
    await field.press("Enter")


async def test_the_city_goes_back_plays_and_returns(page: Page) -> None:
    bar = page.get_by_role("region", name="Time")
    await expect(bar.get_by_text("Live", exact=True)).to_be_visible()
    await go_to(page, 100)
    await expect(bar.get_by_text("Past", exact=True)).to_be_visible()
    await expect(shown(page)).to_have_text(re.compile("^(40|41)$"))  # readings count down: 100 % 60
    await expect(page.get_by_role("status").filter(has_text="You are looking at the past")).to_be_attached()

    slider = bar.get_by_role("slider", name="Time shown")
    await slider.focus()
    before = int(await slider.input_value())
    for _ in range(5):
        await slider.press("ArrowRight")
    await expect(slider).to_have_value(str(before + 5))
    await expect(slider).to_have_attribute("aria-valuetext", re.compile(", past$"))
    await expect(shown(page)).to_have_text(re.compile("^(35|36)$"))

    await bar.get_by_role("radio", name="60 times as fast").click()
    await bar.get_by_role("button", name="Play", exact=True).click()
    await expect(shown(page)).to_have_text(re.compile("^(31|30|29)$"))
    await bar.get_by_role("button", name="Pause").click()
    await expect(bar.get_by_role("button", name="Play", exact=True)).to_be_visible()

    await bar.get_by_role("button", name="Back to live").click()
    await expect(page.get_by_role("button", name="Look back")).to_be_visible()
    await expect(shown(page)).to_have_text("80")


async def test_an_event_is_jumped_to_and_is_there_then(page: Page) -> None:
    bar = page.get_by_role("region", name="Time")
    events = bar.get_by_role("combobox", name="Go to an event")
    await expect(events.locator("option", has_text="Flooded underpass")).to_be_attached()
    await bar.get_by_role("button", name="Event before").click()
    await expect(bar.get_by_text("Past", exact=True)).to_be_visible()
    await expect(page.get_by_text("Flooded underpass").first).to_be_attached()
    await go_to(page, 95)
    await expect(shown(page)).to_have_text(re.compile("^(35|36)$"))


async def test_a_replay_without_a_place_says_so_and_goes_on_when_there_is_one(screens: Screens, city: Running) -> None:
    screen = await screens.viewer(city.url)
    await signed(screen.page.request, city, "kim")
    page = await screen.open()
    cookies = {one["name"]: one["value"] for one in await page.context.cookies() if "name" in one and "value" in one}
    past = {"at": ago(60), "speed": "1", "types": "AirQualityObserved"}
    async with aiohttp.ClientSession(cookies=cookies) as http, AsyncExitStack() as watching:
        for _ in range(MOST_OF_ONE):
            stream = http.get(f"{city.url}/api/centre/v1/replay/stream", params=past)
            assert (await watching.enter_async_context(stream)).status == 200
        await page.get_by_role("button", name="Look back").click()
        await go_to(page, 100)
        said = page.get_by_role("status").filter(has_text="You are watching as many replays as one person may.")
        await expect(said).to_be_visible()
        await watching.aclose()
        await expect(said).to_have_count(0)


@pytest.mark.parametrize("device", WIDTHS)
async def test_the_slider_is_accessible_at_every_width(screens: Screens, city: Running, device: str) -> None:
    width, height = WIDTHS[device]
    page = await looking(screens, city, "과거 보기", width=width, height=height, locale="ko-KR")
    await page.get_by_role("slider", name="표시 시각").press("PageDown")
    await expect(page.locator(".time-bar[data-past]")).to_be_visible()
    await check(page)
