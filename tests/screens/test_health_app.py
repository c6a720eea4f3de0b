"""A citizen's health in a real browser: the report, its drawings' words, switches, the pass, reading without a line."""

import asyncio
import json
import re
from collections.abc import Generator
from typing import Any

import pytest
from playwright.async_api import Page, expect

from hanmaru.config import Settings
from hanmaru.platform.identity.accounts import Accounts
from tests.care.lives import life
from tests.care.visiting import furnish, records_of
from tests.running import Running, running
from tests.screens.conftest import Screens
from tests.screens.test_ride import PASSWORD, page_of, sign_in
from tests.screens.test_screen import WIDTHS, check

pytestmark = pytest.mark.asyncio(loop_scope="session")

expect.set_options(timeout=15_000)
PEOPLE = {"hana": "citizen", "duri": "citizen", "sena": "citizen", "kiosk-1": "kiosk"}
PHONE = {"width": 390, "height": 844}
KEPT = """async () => {
  if (!(await indexedDB.databases()).some(({ name }) => name === 'hanmaru-health')) return null;
  const answer = (asked) => new Promise((done) => { asked.onsuccess = () => done(asked.result); });
  const db = await answer(indexedDB.open('hanmaru-health'));
  const store = db.transaction('kept').objectStore('kept');
  const [all, keys] = [await answer(store.getAll()), await answer(store.getAllKeys())];
  db.close();
  const plain = (one) => one.body ? new TextDecoder('latin1').decode(one.body) : one;
  const told = (one) => one instanceof CryptoKey ? one.extractable : plain(one);
  return keys.map((key, n) => [key, told(all[n])]);
}"""
"""What the browser keeps by key: a sealed answer as text, whether the key can be taken out, the owner's name."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, web: None) -> Generator[Running]:
    data = tmp_path_factory.mktemp("health")
    accounts = Accounts(data, data / "keys")
    for name, role in PEOPLE.items():
        accounts.add(name, PASSWORD, role)
    accounts.close()

    async def seed() -> None:
        async with records_of(Settings(data=data, city="hanbit", services=("centre", "care"))) as records:
            await furnish(records)
            await life(records, "hana", "김하나")
            await life(records, "duri", "박두리", urgent=True)

    asyncio.run(seed())
    with running(data, "--no-demo", SERVICES="centre,care", WEB_WORKERS="1") as hub:
        yield hub


async def opened(screens: Screens, hub: Running, who: str = "hana", path: str = "", **options: Any) -> Page:
    return await page_of(screens, hub, who, f"/app/health{path}", **{**PHONE, **options})


async def fits(page: Page) -> None:
    """Look at the page at every width: nothing is wider than its place, and what is pressed is large enough."""
    before = page.viewport_size
    assert before
    for width, height in WIDTHS.values():
        await page.set_viewport_size({"width": width, "height": height})
        over = await page.evaluate(
            "[document.documentElement, ...document.querySelectorAll('#room-main, .health-main, .health-part')]"
            ".map(e => e.scrollWidth - e.clientWidth)"
        )
        assert max(over) <= 0, (width, over)
    await page.set_viewport_size(before)
    small = await page.evaluate(
        "[...document.querySelectorAll('.health a, .health button, summary, .health select, label.consent-switch')]"
        ".map(e => [e.textContent.slice(0, 30), e.getBoundingClientRect()])"
        ".filter(([, r]) => r.width && r.height < 43.5)"
        ".map(([text, r]) => `${text} ${r.height}`)"
    )
    assert small == []


async def in_both_languages(page: Page) -> None:
    """Run axe over the page as it opens in each language."""
    for language in ("ko", "en"):
        await page.evaluate("tag => localStorage.setItem('hanmaru.language', tag)", language)
        await page.reload()
        await expect(page.locator(".health-main h1")).to_be_visible()
        await expect(page.locator(f"html[lang={language}]")).to_be_attached()
        await check(page)


@pytest.mark.parametrize("locale", ["ko-KR", "en-GB"])
async def test_the_report_is_read_in_words_and_every_drawing_has_its_table(
    screens: Screens, hub: Running, locale: str
) -> None:
    page = await opened(screens, hub, locale=locale)
    korean = locale == "ko-KR"
    await expect(page.get_by_role("heading", level=1)).to_have_text("건강 측정 결과" if korean else "Your check-up")
    summary = page.locator(".summary")
    await expect(summary).to_contain_text("혈압" if korean else "Blood pressure")
    scales = page.locator("figure.scale")
    assert await scales.count() >= 6
    for n in range(await scales.count()):
        assert await scales.nth(n).locator("table tr").count() >= 3
        assert await scales.nth(n).locator(".pointer").count() == 1
    systolic = scales.first
    await expect(systolic.locator("figcaption")).to_contain_text(
        "좋은 범위: 120 mmHg 미만" if korean else "below 120 mmHg"
    )
    await systolic.locator("summary").click()
    await expect(systolic.locator("tr[data-here]")).to_contain_text("142")
    why = page.locator("details.why").first
    await why.locator("summary").click()
    await expect(why).to_contain_text("Korean Society of Hypertension")
    await check(page)
    await fits(page)
    assert screens.opened[-1].complaints == []


async def test_what_needs_a_doctor_today_is_above_everything(screens: Screens, hub: Running) -> None:
    page = await opened(screens, hub, "duri", locale="en-GB")
    urgent = page.get_by_role("region", name="Please read this first")
    await expect(urgent).to_contain_text("186/112")
    await expect(urgent).to_contain_text("The health centre has been told")
    await expect(urgent.get_by_role("link", name="Call 119")).to_have_attribute("href", "tel:119")
    place = await urgent.bounding_box()
    assert place
    assert place["y"] + place["height"] < PHONE["height"] - 60
    await in_both_languages(page)


@pytest.mark.parametrize("locale", ["ko-KR", "en-GB"])
async def test_trends_and_earlier_visits(screens: Screens, hub: Running, locale: str) -> None:
    page = await opened(screens, hub, path="/trends", locale=locale)
    await expect(page.locator(".trend").first).to_be_visible()
    assert await page.locator(".trend").count() == await page.locator(".health-part table").count()
    await page.get_by_role("combobox").select_option("weight_kg")
    await expect(page.locator(".trend")).to_have_count(1)
    await page.locator("summary").click()
    assert [await row.inner_text() for row in await page.locator("td:nth-child(2)").all()] == [
        "64.1 kg",
        "66 kg",
        "68.2 kg",
    ]
    await check(page)
    await fits(page)
    await page.goto(hub.url + "/app/health/visits")
    await page.locator(".visit-list a").last.click()
    await expect(page.locator(".finding-value").first).to_contain_text("151/93")
    await check(page)


async def test_a_goal_is_set_by_keyboard_and_shows_the_way(screens: Screens, hub: Running) -> None:
    page = await opened(screens, hub, path="/goals", locale="en-GB")
    set_one = page.get_by_role("button", name="Set a goal")
    await set_one.focus()
    await page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("What for").select_option("waist_cm")
    await expect(dialog.get_by_label("Target (cm)")).to_have_value("85")
    await check(page)
    await dialog.get_by_label("Target (cm)").focus()
    await page.keyboard.press("Control+a")
    await page.keyboard.type("80")
    await page.keyboard.press("Enter")
    await expect(dialog).to_be_hidden()
    await expect(page.get_by_role("heading", name="Waist")).to_be_visible()
    await expect(page.get_by_role("progressbar", name="Waist")).to_be_visible()
    await in_both_languages(page)
    await fits(page)
    await page.get_by_role("button", name="Drop this goal: Waist").click()
    await expect(page.get_by_text("No goal yet.")).to_be_visible()


@pytest.mark.parametrize("locale", ["ko-KR", "en-GB"])
async def test_a_consent_is_switched_and_says_what_happens(screens: Screens, hub: Running, locale: str) -> None:
    page = await opened(screens, hub, path="/data", locale=locale)
    name = re.compile("간호사의 사후관리" if locale == "ko-KR" else "Follow-up by the nurse")
    switch = page.get_by_role("switch", name=name)
    await expect(switch).to_be_checked()
    await check(page)
    await fits(page)
    await switch.focus()
    await page.keyboard.press("Space")
    await expect(switch).not_to_be_checked()
    row = page.locator(".consents li").filter(has_text=name)
    await expect(row).to_contain_text("지금 꺼져 있습니다" if locale == "ko-KR" else "Off now")
    await page.reload()
    await expect(switch).not_to_be_checked()
    await page.locator(".consents li").filter(has_text=name).locator(".switch").click()
    await expect(switch).to_be_checked()


async def test_the_pass_is_large_and_is_renewed_before_it_ends(screens: Screens, hub: Running) -> None:
    page = await opened(screens, hub, path="/pass", locale="ko-KR")
    code = page.get_by_role("img", name="김하나")
    await expect(code).to_be_visible()
    place = await code.bounding_box()
    assert place
    assert place["width"] >= 330
    drawn = await code.locator("path").get_attribute("d")
    await expect(page.get_by_role("timer")).to_contain_text("초 뒤 새 코드로")
    await in_both_languages(page)
    await page.clock.install()
    await page.goto(hub.url + "/app/health/pass")
    await expect(code).to_be_visible()
    await page.clock.fast_forward(165_000)
    await expect(code.locator("path")).not_to_have_attribute("d", drawn or "")


async def test_somebody_new_says_who_they_are(screens: Screens, hub: Running) -> None:
    page = await opened(screens, hub, "sena", locale="en-GB")
    await expect(page.get_by_role("heading", name="Welcome")).to_be_visible()
    await in_both_languages(page)
    await page.get_by_role("button", name="Begin").click()
    await expect(page.get_by_text("Please fill in").or_(page.locator("[data-invalid]").first).first).to_be_visible()
    await page.get_by_label("Name").fill("세나")
    await page.get_by_label("Date of birth").fill("1990-02-03")
    await page.get_by_label("Sex").select_option("female")
    await page.get_by_role("button", name="Begin").click()
    await expect(page.get_by_role("heading", name="No visit yet")).to_be_visible()
    await check(page)


async def test_the_last_report_is_read_without_a_line_sealed_and_gone_at_sign_out(
    screens: Screens, hub: Running
) -> None:
    page = await opened(screens, hub, locale="en-GB")
    await expect(page.locator(".summary")).to_be_visible()
    await page.evaluate("navigator.serviceWorker.ready")
    await page.wait_for_function(f"async () => ((await ({KEPT})()) ?? []).some(([key]) => key === '/report')")
    kept = dict(await page.evaluate(KEPT))
    assert kept["key"] is False, "the key can be taken out"
    assert kept["owner"] == "hana"
    sealed = kept["/report"]
    assert len(sealed) > 1000
    assert "142/88" not in sealed
    assert "bp.ksh" not in sealed
    cached = await page.evaluate(
        "async () => (await Promise.all((await caches.keys()).map(async (n) => (await (await caches.open(n)).keys())"
        ".map(({ url }) => url)))).flat()"
    )
    assert not [url for url in cached if "/api/care" in url]
    await page.wait_for_function(
        "async () => Boolean(await caches.match('/app/health')) && Boolean(await caches.match('/api/session'))"
    )
    await page.context.set_offline(True)
    await page.reload()
    await expect(page.locator(".summary")).to_contain_text("Blood pressure")
    await expect(page.locator(".offline-note").first).to_contain_text("saved on this device")
    await expect(page.get_by_role("button", name="Save as PDF")).to_have_count(0)
    await page.context.set_offline(False)
    await page.evaluate("dispatchEvent(new Event('online'))")
    await expect(page.locator(".offline-note").first).to_be_empty()
    await page.get_by_role("button", name="Language, appearance, account").click()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_label("Password")).to_be_visible()
    assert await page.evaluate(KEPT) is None


async def test_whoever_signs_in_next_on_the_device_finds_nothing_of_the_last(screens: Screens, hub: Running) -> None:
    page = await opened(screens, hub, locale="en-GB")
    await expect(page.locator(".summary")).to_be_visible()
    await page.wait_for_function(f"async () => ((await ({KEPT})()) ?? []).some(([key]) => key === '/report')")
    before = dict(await page.evaluate(KEPT))
    await sign_in(page.request, hub, "duri")
    await page.reload()
    await expect(page.get_by_role("region", name="Please read this first")).to_be_visible()
    await page.wait_for_function(f"async () => (await ({KEPT})()).some(([key]) => key === '/report')")
    kept = dict(await page.evaluate(KEPT))
    assert kept["owner"] == "duri"
    assert kept["/report"] != before["/report"]


async def test_it_is_read_at_twice_the_size_and_without_motion(screens: Screens, hub: Running) -> None:
    page = await opened(screens, hub, width=320, height=640, reduced_motion="reduce", locale="ko-KR")
    await expect(page.locator(".summary")).to_be_visible()
    await page.evaluate("document.documentElement.style.fontSize = '200%'")
    over = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert over <= 0
    lost = await page.evaluate(
        "[...document.querySelectorAll('.health-main *')].filter(e => e.scrollWidth - e.clientWidth > 1 &&"
        " getComputedStyle(e).overflowX === 'hidden' && !e.closest('.visually-hidden')).map(e => e.className)"
    )
    assert lost == []
    moving = await page.evaluate("document.getAnimations().length")
    assert moving == 0


async def test_the_page_can_be_installed(screens: Screens, hub: Running) -> None:
    page = await opened(screens, hub)
    link = page.locator("link[rel=manifest][href*=care]")
    await expect(link).to_have_count(1)
    address = await link.get_attribute("href")
    manifest = json.loads(await (await page.request.get(f"{hub.url}{address}")).text())
    assert manifest["start_url"].startswith(manifest["scope"])
    assert manifest["display"] == "standalone"
