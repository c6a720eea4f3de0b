"""The ride room in a real browser on a real dispatcher: a rider calls, a driver drives, a dispatcher decides."""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Generator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from playwright.async_api import APIRequestContext, Browser, Page, expect

from hanmaru.platform.identity.accounts import Accounts
from tests.running import Running, running
from tests.screens import ride_town
from tests.screens.conftest import Screens
from tests.screens.test_screen import WIDTHS, check

pytestmark = pytest.mark.asyncio(loop_scope="session")

API = "/api/ride/v1"
PASSWORD = "wooden van by the river"
expect.set_options(timeout=15_000)
READY_S = 150
"""For a dispatcher's kernels to be compiled, where nothing has been compiled before."""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, web: None) -> Generator[Running]:
    data = tmp_path_factory.mktemp("ride")
    ride_town.write(data / "services" / "ride")
    accounts = Accounts(data, data / "keys")
    for name in ("rider", "driver", "dispatcher"):
        accounts.add(name, PASSWORD, name)
    accounts.close()
    with running(data, "--no-demo", SERVICES="centre,ride", WEB_WORKERS="1") as hub:
        yield hub


class Person:
    """Somebody who is signed in, without a screen."""

    def __init__(self, http: APIRequestContext, url: str) -> None:
        self._http, self._url = http, url

    async def get(self, path: str) -> Any:
        return await (await self._http.get(f"{self._url}{API}{path}")).json()

    async def post(self, path: str, **body: Any) -> Any:
        answer = await self._http.post(f"{self._url}{API}{path}", data=body, headers={"origin": self._url})
        assert answer.ok, await answer.text()
        return await answer.json()

    async def did(self, kind: str, **what: Any) -> Any:
        """Say what the driver did; what it led to."""
        action = {"id": str(uuid4()), "at": datetime.now(UTC).isoformat(), "kind": kind, **what}
        return await self.post("/driver/actions", actions=[action])

    async def book(self, start: str, goal: str) -> Any:
        """Call a ride and take the first offer."""
        places = {"from": {**ride_town.place(start), "label": start}, "to": {**ride_town.place(goal), "label": goal}}
        trip = await self.post("/requests", **places, seats=1, wheelchairs=0, when="now")
        assert trip["state"] == "offered", trip
        return await self.post(f"/requests/{trip['id']}/accept", offer=trip["offers"][0]["id"])


async def sign_in(http: APIRequestContext, hub: Running, who: str) -> None:
    answer = await http.post(
        f"{hub.url}/api/session", data={"name": who, "password": PASSWORD}, headers={"origin": hub.url}
    )
    assert answer.ok, await answer.text()


async def page_of(screens: Screens, hub: Running, who: str, path: str, **options: Any) -> Page:
    screen = await screens.viewer(hub.url, **options)
    await sign_in(screen.page.request, hub, who)
    await screen.page.goto(hub.url + path)
    return screen.page


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def signed(browser: Browser, town: Running) -> AsyncGenerator[dict[str, Person]]:
    """Return somebody of each role, once a dispatcher answers."""
    contexts = {who: await browser.new_context() for who in ("rider", "driver", "dispatcher")}
    for who, context in contexts.items():
        await sign_in(context.request, town, who)
    found = {who: Person(context.request, town.url) for who, context in contexts.items()}
    end = time.monotonic() + READY_S
    while "name" not in await found["rider"].get("/service"):
        assert time.monotonic() < end, "no dispatcher came up"
        await asyncio.sleep(0.3)
    yield found
    for context in contexts.values():
        await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def people(signed: dict[str, Person]) -> AsyncGenerator[dict[str, Person]]:
    """Return a rider and a driver with the first van at the market, and nothing going on."""
    rider, driver = signed["rider"], signed["driver"]
    await driver.did("arrived", stop="s0")
    yield signed
    for trip in (await rider.get("/requests?active=1"))["trips"]:
        if trip["state"] == "aboard":
            await driver.did("alighted", request=trip["id"])
        else:
            await rider.post(f"/requests/{trip['id']}/cancel")
    if (await driver.get("/driver"))["van"]["status"] == "broken":
        await driver.did("back")


async def fits(page: Page) -> None:
    """Look at the page at every width: nothing is wider than its place."""
    before = page.viewport_size
    assert before
    for width, height in WIDTHS.values():
        await page.set_viewport_size({"width": width, "height": height})
        over = await page.evaluate(
            "[document.documentElement, ...document.querySelectorAll('#room-main, .rider-panel, .driver-main')]"
            ".map(e => e.scrollWidth - e.clientWidth)"
        )
        assert max(over) <= 0, (width, over)
    await page.set_viewport_size(before)


async def choose(page: Page, end: str, text: str) -> None:
    """Search a place by keyboard alone."""
    box = page.get_by_role("combobox", name=end, exact=True)
    await box.focus()
    await page.keyboard.type(text)
    await expect(page.get_by_role("option", name=re.compile(text))).to_be_visible()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(box).to_have_value(text)


# ---- the rider


async def test_a_rider_calls_sees_the_van_come_and_cancels(
    screens: Screens, town: Running, people: dict[str, Person]
) -> None:
    page = await page_of(screens, town, "rider", "/app/ride", width=390, height=844)
    await expect(page.get_by_role("heading", name="Where to?")).to_be_visible()
    await check(page)
    await page.get_by_role("button", name="Find rides").click()
    await expect(page.get_by_role("alert").filter(has_text="Say where you start.")).to_be_visible()
    await choose(page, "From", "Market")
    await choose(page, "To", "Hospital")
    await page.get_by_role("button", name="Find rides").click()

    offers = page.get_by_role("list", name="Offers").get_by_role("listitem")
    await expect(offers.first).to_contain_text("Hospital")
    await expect(page.get_by_role("timer")).to_have_text(re.compile(r"Held for you for [01]:\d\d"))
    await check(page)
    await offers.first.get_by_role("button", name=re.compile("^Take this ride")).click()

    trip = (await people["rider"].get("/requests?active=1"))["trips"][0]
    await expect(page.locator(".code")).to_have_text(trip["code"])
    await expect(page.locator(".van-line")).to_contain_text("70바 1001")
    await check(page)
    await fits(page)
    west, south = ride_town.crossing(1, 0)
    await people["driver"].did("position", lon=west, lat=south)
    await expect(page.locator(".rider")).to_have_attribute("data-van", re.compile(f"^{west}"))

    await page.reload()  # what is under way is there again
    await expect(page.locator(".code")).to_have_text(trip["code"])
    await page.context.set_offline(True)
    await expect(page.get_by_text("No connection. Shown as of")).to_be_visible()
    await page.context.set_offline(False)
    await expect(page.get_by_text("No connection")).to_have_count(0)

    await page.get_by_role("button", name="Cancel this ride").click()
    await page.get_by_role("alertdialog").get_by_role("button", name="Yes, cancel").click()
    await expect(page.get_by_role("heading", name="This ride was cancelled")).to_be_visible()
    assert (await people["rider"].get(f"/requests/{trip['id']}"))["state"] == "cancelled"
    await page.get_by_role("button", name="New ride").click()
    await page.get_by_role("link", name="Rides so far").click()
    await expect(page.get_by_role("listitem").filter(has_text="Market → Hospital")).to_contain_text("Cancelled")
    await check(page)


async def test_a_place_is_picked_with_the_pin(screens: Screens, town: Running, people: dict[str, Person]) -> None:
    lon, lat = ride_town.crossing(3, 3)
    page = await page_of(
        screens, town, "rider", "/app/ride", width=390, height=844, locale="ko-KR",
        permissions=["geolocation"], geolocation={"longitude": lon, "latitude": lat},
    )  # fmt: skip
    await page.get_by_role("button", name="현재 위치에서 출발").click()
    await expect(page.get_by_role("combobox", name="출발지")).to_have_value("현재 위치")
    await expect(page.locator(".map[data-ready]")).to_be_attached()
    await page.get_by_role("button", name="지도에서 출발지 선택").click()  # begins where the place is
    await expect(page.get_by_text("City hall 근처")).to_be_visible()
    await check(page)
    await page.get_by_role("button", name="여기서 출발").click()
    await expect(page.get_by_role("combobox", name="출발지")).to_have_value("City hall 근처")


async def test_a_broken_promise_is_explained(screens: Screens, town: Running, people: dict[str, Person]) -> None:
    trip = await people["rider"].book("Market", "School")
    page = await page_of(screens, town, "rider", "/app/ride", width=390, height=844)
    await expect(page.locator(".code")).to_have_text(trip["code"])
    await people["driver"].did("breakdown")
    said = page.get_by_role("alert").filter(has_text="We cannot keep our promise.")
    await expect(said).to_contain_text("broken down")
    await expect(said).to_contain_text("This is the new promise.")
    await expect(page.locator(".legs")).to_contain_text("Market")
    await check(page)


# ---- the driver


async def test_a_driver_works_through_a_tunnel(screens: Screens, town: Running, people: dict[str, Person]) -> None:
    rider = people["rider"]
    trip = await rider.book("Market", "Hospital")
    page = await page_of(screens, town, "driver", "/driver", width=820, height=1180)
    stop = page.get_by_role("region", name="Market")
    await expect(stop).to_contain_text(trip["code"])
    await check(page)
    await fits(page)
    await page.wait_for_function("caches.open('hanmaru-code').then(c => c.match('/driver')).then(Boolean)")

    await page.context.set_offline(True)
    await stop.get_by_role("button", name=re.compile("^Boarded")).click()
    await expect(page.get_by_text("Waiting to be sent: 1")).to_be_visible()
    await expect(page.get_by_role("region", name="Hospital")).to_be_visible()
    await page.reload()  # the plan and what waits outlive it
    await expect(page.get_by_text("Waiting to be sent: 1")).to_be_visible()
    await page.get_by_role("region", name="Hospital").get_by_role("button", name="Arrived").click()
    await expect(page.get_by_text("Waiting to be sent: 2")).to_be_visible()
    assert (await rider.get(f"/requests/{trip['id']}"))["state"] != "aboard"

    await page.context.set_offline(False)
    await expect(page.get_by_text("Waiting to be sent")).to_have_count(0)
    await expect(page.get_by_text("No connection")).to_have_count(0)
    assert (await rider.get(f"/requests/{trip['id']}"))["state"] == "aboard"
    await page.get_by_role("button", name=re.compile("^Got off")).click()
    await expect(page.get_by_role("heading", name="No stop now")).to_be_visible()
    await expect(page.get_by_text("Waiting to be sent")).to_have_count(0)
    assert (await rider.get(f"/requests/{trip['id']}"))["state"] == "done"


async def test_a_driver_is_told_what_was_taken_away_meanwhile(
    screens: Screens, town: Running, people: dict[str, Person]
) -> None:
    trip = await people["rider"].book("Market", "Hospital")
    page = await page_of(screens, town, "driver", "/driver", width=390, height=844)
    boarded = page.get_by_role("button", name=re.compile("^Boarded"))
    await expect(boarded).to_be_visible()
    await page.context.set_offline(True)
    await boarded.click()
    await expect(page.get_by_text("Waiting to be sent: 1")).to_be_visible()
    await people["rider"].post(f"/requests/{trip['id']}/cancel")
    await page.context.set_offline(False)
    conflict = page.get_by_role("alert").filter(has_text="boarded")
    await expect(conflict).to_contain_text("was not taken")
    await check(page)
    await conflict.get_by_role("button", name="Understood").click()
    await expect(conflict).to_have_count(0)


async def test_a_driver_reports_a_breakdown_and_goes_on(
    screens: Screens, town: Running, people: dict[str, Person]
) -> None:
    page = await page_of(screens, town, "driver", "/driver", width=1180, height=820, color_scheme="dark")
    await page.get_by_role("button", name="Breakdown").click()
    await page.get_by_role("alertdialog").get_by_role("button", name="Yes, it cannot go on").click()
    await expect(page.get_by_role("heading", name="Out of action")).to_be_visible()
    await check(page)
    await page.get_by_role("button", name="The van can go on").click()
    await expect(page.get_by_role("heading", name="No stop now")).to_be_visible()
    await page.get_by_role("button", name="Light colours, for the day").click()
    await expect(page.locator("html")).to_have_attribute("data-theme", "light")


# ---- the dispatcher


async def test_a_dispatcher_sees_a_promise_at_risk_and_decides(
    screens: Screens, town: Running, people: dict[str, Person]
) -> None:
    await people["driver"].did("arrived", stop="s6")
    page = await page_of(screens, town, "dispatcher", "/ride", width=1440, height=900)
    risks = page.get_by_role("region", name="Promises at risk")
    await expect(risks.get_by_text("All promises can be kept.")).to_be_visible()
    trip = await people["rider"].book("Park", "Stadium")
    short = trip["id"][-8:]
    lon, lat = ride_town.crossing(0, 6)
    await people["driver"].did("position", lon=lon, lat=lat)
    risk = risks.get_by_role("listitem").filter(has_text=short)
    await fits(page)
    await expect(risk).to_contain_text(re.compile(r"\d+ min late · Pick-up promised \d\d:\d\d, expected \d\d:\d\d"))
    await check(page)

    await risk.get_by_role("button", name="Show 70바 1001").click()
    van = page.get_by_role("region", name="Van 70바 1001")
    await expect(van.get_by_role("listitem").first).to_contain_text("Park pick-up")
    await risk.get_by_role("button", name=f"Assign: {short}").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Reason, for the record").fill("Nearer than it looks")
    await dialog.get_by_label("Van").select_option("van-3")
    await check(page)
    await dialog.get_by_role("button", name="Assign").click()
    await expect(dialog).to_have_count(0)
    await expect(van.get_by_text("Park pick-up")).to_have_count(0)
    taken = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="70바 1003"))
    await expect(taken).to_contain_text("Park")

    await page.get_by_role("tab", name="Rides").click()
    ride = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=re.compile(short)))
    await expect(ride.last).to_contain_text("Park → Stadium")
    await expect(ride.last.get_by_role("button", name="Show 70바 1003")).to_be_visible()
    await check(page)
    await page.get_by_role("tab", name="Decisions").click()
    await expect(page.get_by_role("list", name="Decisions")).to_contain_text("Nearer than it looks")
    await check(page)
    await page.get_by_role("tab", name="Figures").click()
    await expect(page.locator(".chart").first).to_be_visible()
    await check(page)


async def test_a_dispatcher_works_by_keyboard(screens: Screens, town: Running, people: dict[str, Person]) -> None:
    page = await page_of(screens, town, "dispatcher", "/ride", width=820, height=1180, color_scheme="dark")
    rows = page.get_by_role("rowheader").get_by_role("button")
    await rows.first.focus()
    await page.keyboard.press("End")
    await expect(rows.last).to_be_focused()
    await page.keyboard.press("ArrowUp")
    await expect(rows.nth(1)).to_be_focused()
    await page.keyboard.press("Enter")
    van = page.get_by_role("region", name="Van 70바 1002")
    await van.get_by_role("button", name="Out of service").press("Enter")
    await page.keyboard.type("Flat tyre")
    await page.keyboard.press("Enter")
    await expect(van).to_contain_text("Back in service")
    await van.get_by_role("button", name="Back in service").press("Enter")
    await page.keyboard.type("Mended")
    await page.keyboard.press("Enter")
    await expect(van.get_by_role("button", name="Hold")).to_be_visible()
    await check(page)


async def test_each_page_is_for_its_own(screens: Screens, town: Running, people: dict[str, Person]) -> None:
    page = await page_of(screens, town, "rider", "/driver")
    await expect(page.get_by_text("Your roles do not open this page.")).to_be_visible()
    for path in ("/driver", "/fleet", "/trips"):
        assert (await page.request.get(f"{town.url}{API}{path}")).status == 403
