"""The kiosk in a real browser on a real hub: measured with devices, by keyboard, without a line, and wiped."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Generator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import APIRequestContext, Browser, Page, expect

from hanmaru.care import people
from hanmaru.care.service import service
from hanmaru.care.visits.api import SIMULATED
from tests.care import visiting
from tests.running import Running, running
from tests.screens.conftest import Screens
from tests.screens.kiosk_figures import CAMERA, FRONT, SIDE
from tests.screens.test_screen import AXE, WIDTHS, check

pytestmark = pytest.mark.asyncio(loop_scope="session")

CARDS = {"50-1": ("store", "follow-up"), "50-2": ("store",), "50-3": ("store",)}
"""Cards, and what their citizens have allowed before."""
expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory, web: None) -> Generator[Running]:
    """Run a hub with a kiosk at a place, a nurse, and citizens with cards."""
    data = tmp_path_factory.mktemp("kiosk")

    async def furnish() -> None:
        async with visiting.records_of(visiting.settle(data)) as records:
            await visiting.furnish(records)
            for card, allowed in CARDS.items():
                patient = await visiting.citizen(records, f"김 {card}", *allowed, born="1955-03-02", sex="female")
                await people.bind_card(records, card, patient)

    asyncio.run(furnish())
    (data / "services" / "care" / SIMULATED).touch()
    with running(data, "--no-demo", SERVICES="care", WEB_WORKERS="1", CITY="hanbit") as hub:
        yield hub


async def sign_in(http: APIRequestContext, hub: Running, who: str) -> None:
    body = {"name": who, "password": visiting.PASSWORD}
    answer = await http.post(f"{hub.url}/api/session", data=body, headers={"origin": hub.url})
    assert answer.ok, await answer.text()


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def nurse(browser: Browser, centre: Running) -> AsyncGenerator[APIRequestContext]:
    context = await browser.new_context()
    await sign_in(context.request, centre, "nari")
    yield context.request
    await context.close()


async def alerts(nurse: APIRequestContext, centre: Running) -> list[Any]:
    return (await (await nurse.get(f"{centre.url}/api/care/v1/alerts?state=open")).json())["alerts"]


class Kiosk:
    """Somebody before the kiosk."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.under = page.locator(".under")

    async def press(self, name: str) -> None:
        await self.under.get_by_role("button", name=name, exact=True).click()

    async def reads(self, title: str | re.Pattern[str], *, timeout_s: float = 20) -> None:
        await expect(self.under.get_by_role("heading", level=1)).to_have_text(title, timeout=timeout_s * 1000)

    async def card(self, number: str) -> None:
        """Hold a card to a reader, which types its number."""
        await self.press("Touch here to begin")
        await self.reads("Who is measuring?")
        await self.page.keyboard.type(number)
        await self.page.keyboard.press("Enter")

    async def answer(self, *answers: str) -> None:
        for each in answers:
            before = await self.under.get_by_role("heading", level=1).inner_text()
            await self.press(each)
            await expect(self.under.get_by_role("heading", level=1)).not_to_have_text(before)

    async def type(self, what: str, value: str) -> None:
        await self.reads(f"{what}: type the number")
        await self.under.get_by_label(what, exact=True).fill(value)
        await self.press("Next")

    async def skip_to(self, title: str) -> None:
        heading = self.under.get_by_role("heading", level=1)
        while (now := await heading.inner_text()) != title:
            await self.press("Skip this")
            await expect(heading).not_to_have_text(now)

    async def pressure(self) -> None:
        """Rest, measure, rest, measure again, with the cuff."""
        await self.press("Start")
        await self.press("I have sat quietly for five minutes")
        await self.reads("Once more, to be sure")
        await self.press("Measure once more")
        await self.page.clock.run_for(61_000)
        await self.press("I am ready")
        await self.reads("Blood pressure: done")


async def kiosk(screens: Screens, centre: Running, query: str = "", clock: bool = True, **options: Any) -> Kiosk:
    """Open the kiosk with simulated devices, and figures instead of a camera; with ``clock`` time can be moved on."""
    screen = await screens.viewer(centre.url, **{"width": 820, "height": 1180} | options)
    await screen.page.add_init_script(f"({CAMERA})({json.dumps({'front': FRONT, 'side': SIDE})})")
    await sign_in(screen.page.request, centre, "kiosk-1")
    if clock:  # which hides from the page what it has loaded
        await screen.page.clock.install()
    await screen.page.goto(f"{centre.url}/kiosk?devices=simulated{query}")
    return Kiosk(screen.page)


STORED = """async () => {
  const opening = indexedDB.open('hanmaru-kiosk');
  const database = await new Promise((done) => { opening.onsuccess = () => done(opening.result); });
  const all = (name) => new Promise((done) => {
    const r = database.transaction(name).objectStore(name).getAll(); r.onsuccess = () => done(r.result);
  });
  const visits = (await all('visits')).map((one) => new TextDecoder('latin1').decode(one.sealed));
  const [key] = await all('keys');
  const exported = await crypto.subtle.exportKey('raw', key).then(() => true, () => false);
  database.close();
  return { visits, exported, local: JSON.stringify(localStorage) + JSON.stringify(sessionStorage) };
}"""


KEPT = """async () => {
  const kept = async () => {
    if (!navigator.serviceWorker.controller || !document.querySelector('.kiosk-sheet')) return false;
    const loaded = performance.getEntriesByType('resource').map((entry) => new URL(entry.name).pathname);
    const needed = ['/kiosk', '/api/care/v1/kiosk', ...loaded.filter((path) => /^.(assets|services)/.test(path))];
    return (await Promise.all(needed.map((path) => caches.match(path, { ignoreVary: true })))).every(Boolean);
  };
  while (!(await kept())) await new Promise((next) => setTimeout(next, 50));
}"""
"""Waits until all that the page was opened with is kept for when there is no line."""


@pytest.mark.alone  # finding joints in photographs takes the processor
async def test_a_whole_visit_with_devices_and_a_camera(
    screens: Screens, centre: Running, nurse: APIRequestContext
) -> None:
    here = await kiosk(screens, centre, "&bp=186/112/88,184/114/86&weight=61.2")
    page, sent = here.page, list[tuple[str, str, bytes]]()
    page.on("request", lambda r: sent.append((r.method, r.url, r.post_data_buffer or b"")))
    await here.card("50-1")
    await here.reads("Welcome, 김○○")
    await expect(here.under.get_by_role("switch", name="Yes")).to_have_count(2)  # as they said before
    await check(page)
    await here.press("Next")
    await here.answer("No", "No", "No", "I do not know")

    await here.press("Start")  # the scale: gone once, with somebody else's weight in its memory
    await here.type("Height", "17")
    await here.reads("Height: 17 cm cannot be")
    await expect(here.under.get_by_role("button", name="Yes, that is right")).to_have_count(0)
    await check(page)
    await here.press("Type it again")
    await here.type("Height", "156.5")
    await here.reads("Height and weight: done")
    await expect(here.under.locator(".values")).to_contain_text("61.2")
    await here.press("Next")
    await here.pressure()
    await expect(here.under.locator(".values")).to_contain_text(re.compile("185.*113.*87"))  # the means of two
    await here.press("Next")
    await here.press("Start")
    await here.reads("Body composition: done")  # in two packets
    await expect(here.under.locator(".values")).to_contain_text(re.compile("24.1.*33.5"))
    await here.press("Next")

    await here.skip_to("Posture")
    before = len(sent)
    await page.evaluate("figure('front')")
    await here.press("Go to the camera")
    await here.press("Take it in 8 seconds")
    await page.clock.run_for(9_000)
    await here.reads("This is how you stand", timeout_s=90)
    await expect(here.under.locator(".values dt")).to_have_count(4)
    await page.evaluate("figure('side')")
    await here.press("Next")
    await here.press("Take it in 8 seconds")
    await page.clock.run_for(9_000)
    await here.reads("This is how you stand", timeout_s=90)
    await expect(here.under.locator(".values")).to_contain_text("Head and neck")
    await here.press("Next")

    await here.reads("Please talk to staff now")
    await expect(here.under).to_contain_text("A nurse has been told")
    await check(page)
    told = [each for each in await alerts(nurse, centre) if each["kind"] == "alert"]
    assert [each["patient"]["name"] for each in told] == ["김 50-1"]
    posts = [(url, body) for method, url, body in sent[before:] if method != "GET"]
    assert [url.partition("/v1")[2] for url, _ in posts] == ["/visits"], "nothing else leaves after the photographs"
    visit = json.loads(posts[0][1])
    assert set(visit["posture"]) == {"angles", "model"}
    assert {"cva_deg", "shoulder_tilt_deg"} <= visit["posture"]["angles"].keys()
    cuff = [one for one in visit["measurements"] if one["column"] == "sbp_mmhg"]
    assert [(one["value"], one["repeat"], one["how"]) for one in cuff] == [(186, 1, "device"), (184, 2, "device")]
    assert all(bytes.fromhex(one["raw"]) and one["device"]["model"] == "SIM-1" for one in cuff)

    await here.press("To my phone")
    await expect(here.under.get_by_role("img", name="QR code with your values")).to_be_visible()
    await here.press("Finish")
    await here.reads("Thank you. Goodbye!")
    await here.press("Done")
    await here.reads("How is your health today?")
    left = await page.evaluate(STORED)
    shown = await page.content()
    assert left["visits"] == []
    for secret in ("김", "50-1", "156.5", "61.2", "visit_key"):
        assert secret not in left["local"] + shown, secret


async def test_a_visit_without_a_line_is_kept_sealed_and_sent_later(screens: Screens, centre: Running) -> None:
    here = await kiosk(screens, centre, clock=False)
    page = here.page
    await page.evaluate(KEPT)
    await page.context.set_offline(True)
    await page.reload()  # the page itself opens without a line
    await here.card("50-2")
    await here.reads("What may we do with your values?")
    await here.under.get_by_role("switch").first.press("Space")
    await here.press("Next")
    await here.answer("No", "No", "No", "No")
    await here.press("Start")
    await here.type("Height", "158")
    await here.press("Next")
    await here.skip_to("Posture")
    await here.press("Skip this")
    await here.reads("Your values are safe")
    waiting = page.get_by_text("1 waiting to be sent")
    await expect(waiting).to_be_visible()
    left = await page.evaluate(STORED)
    assert len(left["visits"]) == 1
    assert not [word for word in ("158", "50-2", "height") if word in left["visits"][0]]
    assert not left["exported"], "the key never leaves the browser's own keeping"
    await here.press("Finish")
    await expect(here.under).to_contain_text("locked away here")
    await page.reload()  # what waits outlives it
    await expect(waiting).to_be_visible()

    async with page.expect_response(lambda r: r.url.endswith("/visits"), timeout=30_000) as answer:
        await page.context.set_offline(False)
    assert (await (await answer.value).json())["encounter"]
    await expect(waiting).to_have_count(0)
    assert (await page.evaluate(STORED))["visits"] == []


async def test_a_visit_by_keyboard_alone_and_by_nobody_in_particular(screens: Screens, centre: Running) -> None:
    here = await kiosk(screens, centre)
    page = here.page
    said = list[str]()
    page.on("request", lambda r: said.append(r.post_data or "") if r.url.endswith("/visits") else None)

    async def choose(name: str) -> None:
        """Go to a button with the tabulator and press it."""
        button = here.under.get_by_role("button", name=name, exact=True)
        await expect(button).to_be_enabled()
        for _ in range(40):
            if await button.evaluate("e => e === document.activeElement"):
                return await page.keyboard.press("Enter")
            await page.keyboard.press("Tab")
        raise AssertionError(f"the tabulator does not reach {name!r}")

    await here.reads("How is your health today?")
    await choose("Touch here to begin")
    await choose("Without saying who I am")
    await choose("Man")
    await expect(here.under.get_by_label("Age", exact=True)).to_be_focused()
    await page.keyboard.type("71")
    await page.keyboard.press("Enter")
    for title in ("Do you smoke?", "Do you take", "Has a doctor", "Do your parents"):
        await here.reads(re.compile(f"^{re.escape(title)}"))
        await choose("No")
    await choose("Start")
    await here.reads("Height: type the number")
    await expect(here.under.get_by_label("Height", exact=True)).to_be_focused()
    await page.keyboard.type("171")
    await page.keyboard.press("Enter")
    await here.reads("Height and weight: done")
    await choose("Next")
    while await here.under.get_by_role("heading", level=1).inner_text() != "Posture":
        title = await here.under.get_by_role("heading", level=1).inner_text()
        await choose("Skip this")
        await expect(here.under.get_by_role("heading", level=1)).not_to_have_text(title)
    await choose("Skip this")
    await expect(here.under.get_by_role("listitem").filter(has_text="Body mass index").first).to_be_visible()
    await expect(here.under).to_contain_text("Nothing of this is kept.")
    visit = json.loads(said[0])
    assert visit["person"] == {"sex": "male", "age_years": 71}
    assert not {"card", "pass", "visit_key"} & visit.keys()
    assert (await page.evaluate(STORED))["visits"] == []


async def test_nothing_is_lost_while_nobody_is_there_and_staff_come(
    screens: Screens, centre: Running, nurse: APIRequestContext
) -> None:
    here = await kiosk(screens, centre)
    page = here.page
    await here.card("nobody-has-it")
    await expect(here.under.get_by_role("status")).to_contain_text("We do not know this card")
    await page.keyboard.type("50-3")
    await page.keyboard.press("Enter")
    await here.reads("Welcome, 김○○")
    await page.clock.run_for(125_000)
    await expect(page.get_by_role("heading", name="Are you still there?")).to_be_visible()
    await expect(page.get_by_text("김○○")).to_be_hidden()
    await check(page)
    await page.get_by_role("button", name="Yes, go on").click()
    await here.reads("Welcome, 김○○")

    await page.get_by_role("button", name="Call staff").click()
    await expect(page.get_by_role("heading", name="Staff have been called")).to_be_visible()
    assert [each["place"]["id"] for each in await alerts(nurse, centre) if each["kind"] == "help"] == ["place-1"]
    await page.get_by_role("button", name="Back to measuring").click()
    await here.reads("Welcome, 김○○")
    await page.get_by_role("button", name="Start again").click()
    await check(page)
    await page.get_by_role("button", name="No, go on").click()
    await here.reads("Welcome, 김○○")
    await page.get_by_role("button", name="Start again").click()
    await page.get_by_role("button", name="Yes, delete and start again").click()
    await here.reads("How is your health today?")


async def test_the_kiosk_is_read_in_two_languages_at_every_width(screens: Screens, centre: Running) -> None:
    if not AXE.is_file():
        pytest.skip("axe-core is not there: run npm ci in web/")
    here = await kiosk(screens, centre, locale="ko-KR", color_scheme="dark")
    page = here.page

    async def look() -> None:
        for width, height in WIDTHS.values():
            await page.set_viewport_size({"width": width, "height": height})
            over = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert over <= 0, (width, await here.under.inner_text())
        await check(page)

    await here.reads("오늘 건강은 어떠세요?")
    await look()
    await here.press("여기를 눌러 시작하세요")
    await look()
    await here.press("이름 없이 측정하기")
    await look()
    await here.press("여성")
    await page.keyboard.type("68")
    await look()
    await page.keyboard.press("Enter")
    for _ in range(4):
        await here.press("잘 모르겠어요")
    await here.reads("키와 몸무게")
    await look()
    await page.get_by_role("button", name="English").click()
    await here.reads("Height and weight")
    await look()
    small = await page.evaluate(
        "[...document.querySelectorAll('.kiosk button')].map(e => e.getBoundingClientRect())"
        ".filter(r => r.width && (r.width < 60 || r.height < 60)).length"
    )
    assert small == 0, "a target that a hand can miss"


async def test_the_detector_has_a_fence_and_only_the_kiosk_a_camera(screens: Screens, centre: Running) -> None:
    screen = await screens.viewer(centre.url)
    ask = screen.page.request
    worker = await ask.get(f"{centre.url}/services/care/pose/worker.js")
    assert worker.headers["content-security-policy"] == service.fences["pose/worker.js"]
    for directive in ("default-src 'none'", "connect-src blob:", "script-src blob: 'wasm-unsafe-eval'"):
        assert directive in worker.headers["content-security-policy"]
    for path, camera in (("/kiosk", "camera=(self)"), ("/", "camera=()"), ("/app", "camera=()")):
        answer = await ask.get(centre.url + path)
        assert camera in answer.headers["permissions-policy"], path
        assert "unsafe" not in answer.headers["content-security-policy"], path

    await screen.page.goto(f"{centre.url}/kiosk")
    tried = await screen.page.evaluate(
        """async () => {
          const code = `
            const tries = {
              fetch: () => fetch('/healthz'), elsewhere: () => fetch('https://example.org/'),
              socket: () => new Promise((open, closed) => {
                Object.assign(new WebSocket('ws://' + location.host), { onopen: open, onerror: closed });
              }),
              script: async () => importScripts('/services/care/page.js'), eval: async () => Function('1')(),
            };
            Promise.all(Object.entries(tries).map(async ([name, run]) => {
              try { await run(); return name; } catch { return null; }
            })).then((done) => postMessage({ done: done.filter(Boolean) }));`;
          const worker = new Worker('/services/care/pose/worker.js');
          const files = { 'pose.js': new TextEncoder().encode(code) };
          return await new Promise((done) => {
            worker.onmessage = ({ data }) => data.done && done(data.done);
            worker.postMessage({ files });
          });
        }"""
    )
    assert tried == [], "code in the detector's place reaches out"
