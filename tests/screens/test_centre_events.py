"""An operator's journeys in a real browser: from an alarm to a closed event with a receipt, and a report on paper."""

import re
import socket
import subprocess
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.async_api import Page, expect

from hanmaru.platform.identity.accounts import Accounts
from tests.centre.test_reports import BASE
from tests.running import COMMAND, Running, running
from tests.screens.conftest import Screens, station
from tests.screens.test_screen import AXE, WIDTHS, check
from tests.trace.test_report import text_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

PASSWORD = "lamps over the crossing"
API = "/api/centre/v1"
HERE = {"type": "Point", "coordinates": [127.289, 36.48]}


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory, web: None) -> Generator[Running]:
    data = tmp_path_factory.mktemp("events")
    (data / "services" / "centre" / "basemap").mkdir(parents=True)
    boundary = data / "services" / "centre" / "basemap" / "boundary.geojson"
    boundary.write_bytes(msgspec.json.encode(BASE["boundary"]))
    accounts = Accounts(data, data / "keys")
    for name, role in (("kim", "operator"), ("park", "supervisor"), ("gateway", "writer")):
        accounts.add(name, PASSWORD, role)
    accounts.close()
    with running(data, "--no-demo", SERVICES="centre", WEB_WORKERS="1") as hub:
        yield hub


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Generator[dict[str, str]]:
    """Run the receiving desk of an agency, as one without a system runs it; return its endpoint and secret."""
    folder = tmp_path_factory.mktemp("agency")
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    process = subprocess.Popen(
        [COMMAND, "centre", "agency", str(folder), "--port", str(port)], stdout=subprocess.DEVNULL
    )
    ends = time.monotonic() + 20
    while not answers(port):
        assert process.poll() is None
        assert time.monotonic() < ends
        time.sleep(0.05)
    yield {"endpoint": f"http://127.0.0.1:{port}/hand-overs", "secret": (folder / "secret").read_text()}
    process.terminate()
    process.wait(10)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def signed(http: Any, hub: Running, who: str) -> None:
    answer = await http.post(
        f"{hub.url}/api/session", data={"name": who, "password": PASSWORD}, headers={"origin": hub.url}
    )
    assert answer.ok, await answer.text()


async def page_of(screens: Screens, hub: Running, who: str, path: str, **options: Any) -> Page:
    screen = await screens.viewer(hub.url, **options)
    await signed(screen.page.request, hub, who)
    await screen.page.goto(hub.url + path)
    return screen.page


async def post(page: Page, hub: Running, path: str, body: Any) -> Any:
    answer = await page.request.post(f"{hub.url}{API}{path}", data=body, headers={"origin": hub.url})
    assert answer.ok, await answer.text()
    return await answer.json()


async def test_from_an_alarm_to_a_closed_event_with_a_receipt(
    screens: Screens, centre: Running, desk: dict[str, str]
) -> None:
    boss = await page_of(screens, centre, "park", "/events")
    agency = {"id": "dsr", "name": {"en": "Disaster office", "ko": "재난안전상황실"}, "kind": "disaster", **desk}
    await post(boss, centre, "/agencies", agency)
    page = await page_of(screens, centre, "kim", "/events")
    await expect(page.get_by_text("There is no such event.")).to_be_visible()

    alarm = {"category": "flood", "severity": "critical", "title": "Water in the underpass", "location": HERE}
    await post(boss, centre, "/events", {**alarm, "procedure": "disaster-response"})
    await expect(page.get_by_role("alert").filter(has_text="New critical event")).to_have_count(1)
    await page.get_by_role("link", name="Water in the underpass").click()
    await page.get_by_role("button", name="Take", exact=True).click()
    await expect(page.get_by_text("With kim")).to_be_visible()

    step = page.locator(".step")
    first = step.filter(has_text="Is it real?")
    await expect(first.get_by_role("timer")).to_contain_text(re.compile(r"\d:\d\d left"))
    await first.get_by_role("button", name="It is real").click()
    receipt = page.get_by_label("Receipt")
    await expect(receipt).to_contain_text("Accepted")
    close_off = step.filter(has_text="Close off and warn")
    for box in await close_off.get_by_role("checkbox").all():
        await box.click()
        await expect(box).to_be_checked()
    await close_off.get_by_role("button", name="Done: Close off and warn").click()
    await expect(close_off).to_have_attribute("data-state", "done")

    await boss.get_by_role("link", name="Water in the underpass").click()
    over = boss.locator(".step[aria-current]")
    await over.get_by_role("button", name=re.compile("^Done")).click()
    await expect(page.get_by_text("Finished", exact=False).first).to_be_visible()
    await page.get_by_role("button", name="Close", exact=True).click()
    await page.get_by_role("textbox", name="Outcome").fill("pumped dry by noon")
    await page.get_by_role("dialog").get_by_role("button", name="Close", exact=True).click()
    await expect(page.locator(".event-head .chip").first).to_have_text("Closed")
    await expect(page.locator(".event-timeline")).to_contain_text("pumped dry by noon")

    paper = await page.get_by_role("link", name="After-action report").get_attribute("href")
    answer = await page.request.get(centre.url + (paper or ""))
    assert answer.ok
    body = await answer.body()
    assert b"pdfuaid:part" in body
    text = text_of(body)
    for said in ("Water in the underpass", "Disaster office", "accepted", "kim", "park", "pumped dry by noon"):
        assert said in text, said


async def test_an_event_is_raised_by_hand_with_a_typed_place(screens: Screens, centre: Running) -> None:
    page = await page_of(screens, centre, "kim", "/events/new")
    await page.get_by_role("textbox", name="What happened").fill("Smoke over the roof")
    await page.get_by_label("Category").select_option("fire")
    place = page.get_by_role("textbox", name="Place")
    await place.fill("here")
    await expect(page.get_by_role("button", name="Raise an event")).to_be_disabled()
    await place.fill("36.4801, 127.2893")
    await page.get_by_role("button", name="Raise an event").click()
    await expect(page.get_by_role("heading", name="Smoke over the roof")).to_be_visible()
    await page.get_by_role("button", name="Note").click()
    await page.get_by_role("textbox", name="Note").fill("Two calls so far")
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator(".event-timeline")).to_contain_text("Two calls so far")


async def test_the_desk_is_worked_by_keys_and_keeps_quiet_when_told(screens: Screens, centre: Running) -> None:
    page = await page_of(screens, centre, "kim", "/events")
    for n in (1, 2):
        await post(page, centre, "/events", {"category": "traffic", "severity": "low", "title": f"Jam {n}"})
    await expect(page.get_by_role("link", name="Jam 2")).to_be_visible()
    links = page.locator(".event-link")
    await links.first.focus()
    await page.keyboard.press("End")
    await expect(links.last).to_be_focused()
    await page.keyboard.press("ArrowUp")
    await expect(links.nth(-2)).to_be_focused()
    quiet = page.get_by_role("button", name="Silence the sound")
    await quiet.press("Enter")
    await page.reload()
    await expect(quiet).to_have_attribute("aria-pressed", "true")
    await page.get_by_label("Severity").select_option("critical")
    await expect(page.get_by_role("link", name="Jam 2")).to_have_count(0)


async def test_a_report_is_looked_at_and_printed(screens: Screens, centre: Running, tmp_path: Path) -> None:
    gateway = await screens.viewer(centre.url)
    await signed(gateway.page.request, centre, "gateway")
    sent = [station(n, 10.0 * n) for n in (1, 2)]
    path = f"{centre.url}/ngsi-ld/v1/entityOperations/upsert?options=update"
    assert (await gateway.page.request.post(path, data=sent, headers={"origin": centre.url})).ok
    page = await page_of(screens, centre, "kim", "/report", accept_downloads=True)
    await post(page, centre, "/events", {"category": "fire", "severity": "high", "title": "Smoke", "location": HERE})
    await page.get_by_label("Area").select_option("drawn")
    await expect(page.get_by_role("button", name="Show")).to_be_disabled()
    corners = "\n".join(f"{lat}, {lon}" for lat, lon in ((36.4, 127.2), (36.4, 127.4), (36.55, 127.4), (36.55, 127.2)))
    await page.locator("textarea").fill(corners)
    await page.get_by_role("button", name="Show").click()
    await expect(page.get_by_role("status").filter(has_text="The report is shown below")).to_have_count(1)
    await expect(page.get_by_role("row").filter(has_text="PM2.5").first).to_contain_text("15")
    async with page.expect_download() as download:
        await page.get_by_role("button", name="PDF in Korean").click()
    saved = tmp_path / "report.pdf"
    await (await download.value).save_as(saved)
    body = saved.read_bytes()
    assert b"pdfuaid:part" in body
    text = text_of(body)
    for said in ("상황 보고서", "초미세먼지", "Smoke"):
        assert said in text, said


@pytest.mark.parametrize(("width", "scheme"), [("desk", "dark"), ("tablet", "light"), ("phone", "dark")])
async def test_axe_finds_no_violation(screens: Screens, centre: Running, width: str, scheme: str) -> None:
    if not AXE.is_file():
        pytest.skip("axe-core is not there: run npm ci in web/")
    size, korean = WIDTHS[width], width == "phone"
    given = {"width": size[0], "height": size[1], "color_scheme": scheme, "locale": "ko-KR" if korean else "en-GB"}
    page = await page_of(screens, centre, "park", "/events", **given)
    made = {"category": "flood", "severity": "high", "title": f"Water {width}", "location": HERE}
    event = await post(page, centre, "/events", {**made, "procedure": "disaster-response"})
    await expect(page.get_by_role("link", name=made["title"])).to_be_visible()
    await check(page)
    pages = {f"/events/{event['id']}": ".step", "/events/new": ".raise-form", "/report": ".report-form"}
    for path, shown in pages.items():
        await page.goto(centre.url + path)
        await expect(page.locator(shown).first).to_be_visible()
        if path == "/report":
            await page.get_by_role("button", name="보기" if korean else "Show").click()
            await expect(page.locator(".report-facts")).to_be_visible()
        wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, (path, wide)
        await check(page)
