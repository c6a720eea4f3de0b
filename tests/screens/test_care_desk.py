"""The nurse's desk in a real browser: an alert comes, is taken by keyboard; who is due is talked to and referred."""

import asyncio
import re
import threading
import time
from collections.abc import AsyncGenerator, Generator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import APIRequestContext, Browser, Page, expect

from hanmaru.care.citizen.consents import consent
from hanmaru.care.fhir.records import Change
from hanmaru.care.visits.kiosks import ROOM
from hanmaru.care.visits.shapes import spoken
from hanmaru.config import Settings
from hanmaru.platform.bodies import instant
from hanmaru.platform.identity.accounts import Accounts
from tests.care.lives import life
from tests.care.visiting import citizen, furnish, posted, records_of
from tests.running import Running, running
from tests.screens.conftest import Screens
from tests.screens.test_ride import PASSWORD, page_of, sign_in
from tests.screens.test_screen import WIDTHS, check

pytestmark = pytest.mark.asyncio(loop_scope="session")

expect.set_options(timeout=15_000)
PEOPLE = {"nari": "physician", "boss": "care-manager", "kiosk-1": "kiosk", "hana": "citizen", "duri": "citizen"}


async def seed(settings: Settings) -> None:
    """Register citizens, a year of one's visits, and a hospital that one lets see the record."""
    async with records_of(settings) as records:
        await furnish(records)
        hana = await life(records, "hana", "김하나")
        await citizen(records, "이두리", "store", "follow-up")
        name = spoken({"ko": "한빛병원", "en": "Hanbit Hospital"}, "name")
        hospital = {"resourceType": "Organization", "id": "hanbit-hospital", "active": True, **name}
        at = instant(time.time()) or ""
        allowed = [consent(hana, "hospital", "Organization/hanbit-hospital", True, at)]
        await records.commit(ROOM, [Change("PUT", "Organization", "hanbit-hospital", hospital)])
        await records.commit(ROOM, [Change("POST", "Consent", None, each) for each in allowed])


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory, web: None) -> Generator[Running]:
    data = tmp_path_factory.mktemp("desk")
    accounts = Accounts(data, data / "keys")
    for name, role in PEOPLE.items():
        accounts.add(name, PASSWORD, role)
    accounts.close()
    settings = Settings(data=data, city="hanbit", services=("centre", "care"))
    seeding = threading.Thread(target=lambda: asyncio.run(seed(settings)))
    seeding.start()
    seeding.join()
    with running(data, "--no-demo", SERVICES="centre,care", WEB_WORKERS="1") as hub:
        yield hub


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def kiosk(browser: Browser, centre: Running) -> AsyncGenerator[APIRequestContext]:
    context = await browser.new_context()
    await sign_in(context.request, centre, "kiosk-1")
    yield context.request
    await context.close()


async def measured(kiosk: APIRequestContext, hub: Running, card: str, systolic: float, diastolic: float) -> None:
    body = posted(systolic, diastolic, card=card)
    answer = await kiosk.post(f"{hub.url}/api/care/v1/visits", data=body, headers={"origin": hub.url})
    assert answer.status == 201, await answer.text()


async def fits(page: Page) -> None:
    """Look at the page at every width: nothing is wider than its place."""
    before = page.viewport_size
    assert before
    for width, height in WIDTHS.values():
        await page.set_viewport_size({"width": width, "height": height})
        over = await page.evaluate(
            "[document.documentElement, ...document.querySelectorAll('#room-main, .desk, .desk-part, .desk-alerts')]"
            ".map(e => e.scrollWidth - e.clientWidth)"
        )
        assert max(over) <= 0, (width, over)
    await page.set_viewport_size(before)


WORDS: dict[str, dict[str, Any]] = {
    "ko-KR": {"alerts": "처리할 알림", "list": "사후관리 대상", "referrals": "진료 의뢰", "trends": "변화"},
    "en-GB": {"alerts": "Open alerts", "list": "Due for follow-up", "referrals": "Referrals", "trends": "Trends"},
}


@pytest.mark.parametrize("locale", list(WORDS))
async def test_an_alert_comes_by_itself_and_is_taken_by_keyboard(
    screens: Screens, centre: Running, kiosk: APIRequestContext, locale: str
) -> None:
    words = WORDS[locale]
    page = await page_of(screens, centre, "nari", "/care", locale=locale)
    alerts = page.get_by_role("region", name=re.compile(words["alerts"]))
    await expect(alerts.locator(".desk-quiet")).to_be_visible()
    await measured(kiosk, centre, "이두리", 192, 112)
    card = alerts.get_by_role("listitem").filter(has_text="이두리")
    await expect(card).to_contain_text("192")
    await expect(page).to_have_title(re.compile(r"^\(1\)"))
    await check(page)
    await fits(page)
    await page.keyboard.press("Alt+a")
    await page.keyboard.type("전화함, 병원으로 안내")
    await page.keyboard.press("Enter")
    await expect(card).to_have_count(0)
    await expect(alerts.locator(".desk-quiet")).to_be_visible()
    await expect(alerts).to_be_focused()
    assert screens.opened[-1].complaints == []


@pytest.mark.parametrize("locale", list(WORDS))
async def test_a_person_is_summed_up_with_drawn_trends(screens: Screens, centre: Running, locale: str) -> None:
    words = WORDS[locale]
    page = await page_of(screens, centre, "nari", "/care", locale=locale)
    due = page.get_by_role("region", name=re.compile(words["list"]))
    await due.get_by_role("combobox").last.select_option("90")
    await due.get_by_role("searchbox").fill("하나")
    await due.get_by_role("link", name="김하나").click()
    person = page.get_by_role("region", name="김하나")
    await expect(person.get_by_role("heading", name="김하나")).to_be_focused()
    await expect(person.get_by_role("heading", name=words["trends"])).to_be_visible()
    await expect(person.locator(".desk-trends svg .way").first).to_be_visible()
    await check(page)
    await fits(page)
    assert screens.opened[-1].complaints == []


async def test_talking_ends_what_was_due_and_a_referral_shows_where_it_stands(
    screens: Screens, centre: Running
) -> None:
    page = await page_of(screens, centre, "nari", "/care", locale="en-GB")
    due = page.get_by_role("region", name=re.compile("Due for follow-up"))
    await due.get_by_role("combobox").last.select_option("90")
    await due.get_by_role("link", name="김하나").click()
    person = page.get_by_role("region", name="김하나")
    await person.get_by_role("button", name="Refer: 김하나").click()
    await page.get_by_role("dialog").get_by_label("Reason").fill("Blood pressure above 140 three times")
    await page.get_by_role("dialog").get_by_role("button", name="Refer").click()
    await expect(person.get_by_role("list", name="Stands at: Requested")).to_be_visible()
    await person.get_by_role("button", name="Refer: 김하나").click()
    await page.get_by_role("dialog").get_by_label("Reason").fill("Twice by mistake")
    await page.get_by_role("dialog").get_by_role("button", name="Refer").click()
    await expect(page.get_by_role("dialog")).to_contain_text("is under way: wait for it or cancel it")
    await page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    await person.get_by_role("button", name="Note a contact").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("What was said").fill("Will see a doctor on Monday")
    await check(page)
    for box in await dialog.get_by_role("checkbox").all():
        await box.check()
    await dialog.get_by_role("button", name="Keep").click()
    await expect(person.get_by_text("Will see a doctor on Monday")).to_be_visible()
    await expect(person.get_by_text("Nothing is due.")).to_be_visible()
    await expect(due.get_by_role("link", name="김하나")).to_have_count(0)
    await page.get_by_role("link", name="Referrals").click()
    referrals = page.get_by_role("region", name="Referrals")
    await expect(referrals.get_by_text("Hanbit Hospital")).to_be_visible()
    await check(page)
    await referrals.get_by_role("button", name="Cancel the referral").click()
    await page.get_by_label("Why").fill("Went elsewhere")
    await page.get_by_role("dialog").get_by_role("button", name="Cancel the referral").click()
    await expect(referrals.get_by_text("No referrals.")).to_be_visible()
    assert [text for text in screens.opened[-1].complaints if "409" not in text] == []


@pytest.mark.parametrize("locale", list(WORDS))
async def test_a_manager_adds_a_place_and_sees_nobodys_record(screens: Screens, centre: Running, locale: str) -> None:
    korean = locale == "ko-KR"
    page = await page_of(screens, centre, "boss", "/care/manage", locale=locale)
    await expect(page.get_by_text("Hanbit Hospital" if not korean else "한빛병원").first).to_be_visible()
    await page.get_by_role("button", name="장소 추가" if korean else "New place").click()
    dialog = page.get_by_role("dialog")
    fields = {"en": "Pine Corner", "ko": "소나무 측정실", "lon": "128.11", "lat": "37.12", "id": f"pine-{locale}"}
    for name, value in fields.items():
        await dialog.locator(f"input[name={name}]").fill(value)
    await check(page)
    await dialog.locator("button[type=submit]").click()
    await expect(page.get_by_role("row").filter(has_text=fields["ko" if korean else "en"]).first).to_be_visible()
    await check(page)
    await fits(page)
    assert screens.opened[-1].complaints == []
