"""Cameras in a real browser on a real camera process: find one, see it move, a wall, faces for a purpose, lines."""

import re
from collections.abc import AsyncGenerator, Generator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from hanmaru.platform.identity.accounts import Accounts
from tests.running import Running, running
from tests.screens.conftest import CENTRE, Screens
from tests.screens.test_screen import WIDTHS, check

pytestmark = pytest.mark.asyncio(loop_scope="session")

PASSWORD = "sixteen eyes on one wall"
API = "/api/centre/v1/cameras"
CAMERAS = 4


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory, web: None) -> Generator[Running]:
    pytest.importorskip("cv2", reason="the extra for cameras is not installed")
    from hanmaru.centre.cctv.demo import draw
    from hanmaru.centre.cctv.sources import FOLDER

    data = tmp_path_factory.mktemp("cctv")
    videos = data / "services" / "centre" / FOLDER
    videos.mkdir(parents=True)
    draw(videos / "street.mp4", 0, seconds=4, size=(320, 180))
    accounts = Accounts(data, data / "keys")
    for name, role in (("kim", "operator"), ("park", "supervisor"), ("choi", "cctv-officer")):
        accounts.add(name, PASSWORD, role)
    accounts.close()
    with running(data, "--no-demo", SERVICES="centre", WEB_WORKERS="1") as hub:
        yield hub


async def signed(http: Any, hub: Running, who: str) -> None:
    body, headers = {"name": who, "password": PASSWORD}, {"origin": hub.url}
    answer = await http.post(f"{hub.url}/api/session", data=body, headers=headers)
    assert answer.ok, await answer.text()


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def street(browser: Browser, centre: Running) -> AsyncGenerator[Running]:
    """Register cameras that look at a drawn street, along a road to the east."""
    context = await browser.new_context()
    await signed(context.request, centre, "park")
    for number in range(1, CAMERAS + 1):
        camera = {
            "id": f"cam-{number}",
            "name": {"en": f"Market Camera {number}", "ko": f"시장 카메라 {number}"},
            "location": {"type": "Point", "coordinates": [CENTRE[0] + 0.002 * number, CENTRE[1]]},
            "direction_deg": 90,
            "fov_deg": 70,
            "source": {"kind": "file", "address": "street.mp4"},
            "analyse": False,
        }
        answer = await context.request.post(centre.url + API, data=camera, headers={"origin": centre.url})
        assert answer.status == 201, await answer.text()
    yield centre
    await context.close()


async def page_of(screens: Screens, hub: Running, who: str, path: str, **options: Any) -> Page:
    screen = await screens.viewer(hub.url, **options)
    await signed(screen.page.request, hub, who)
    await screen.page.goto(hub.url + path)
    return screen.page


def picture(page: Page, id: str) -> Locator:
    return page.locator(f".cam-picture[data-camera={id}]")


async def moves(page: Page, id: str) -> None:
    """Wait until ever new pictures of a camera were drawn, and what is drawn is no empty canvas."""
    await expect(picture(page, id)).to_have_attribute("data-state", "live", timeout=60_000)
    await expect(picture(page, id).locator("canvas")).to_have_attribute("data-frames", re.compile(r"^([4-9]|\d\d+)$"))
    colours = (
        await picture(page, id)
        .locator("canvas")
        .evaluate("c => new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size")
    )
    assert colours > 10


async def test_a_camera_is_found_and_seen_to_move(screens: Screens, street: Running) -> None:
    page = await page_of(screens, street, "kim", "/cctv")
    await expect(page.locator(".cam-map .map[data-ready]")).to_be_attached(timeout=60_000)
    await page.get_by_role("searchbox", name="Name or place").fill("camera 3")
    await expect(page.locator(".cam-list li")).to_have_count(1)
    await page.get_by_role("button", name="Market Camera 3").press("Enter")
    await moves(page, "cam-3")
    await page.get_by_role("button", name="Others near by").click()
    await expect(page.locator(".cam-list li").first).to_contain_text("Market Camera 3")
    await expect(page.locator(".cam-list li")).to_have_count(CAMERAS)
    await check(page)
    for width, height in WIDTHS.values():
        await page.set_viewport_size({"width": width, "height": height})
        over = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert over <= 0, width


async def test_a_wall_is_watched_by_keyboard_over_one_line(screens: Screens, street: Running) -> None:
    page = await page_of(screens, street, "kim", "/cctv", color_scheme="dark")
    lines: list[str] = []
    page.on("request", lambda request: lines.append(request.url) if "/stream" in request.url else None)
    await page.get_by_role("button", name=f"{CAMERAS} on the wall").click()
    for number in range(1, CAMERAS + 1):
        await moves(page, f"cam-{number}")
    assert len(lines) == 1, "all cameras of a wall come in one response"
    await check(page)
    await page.get_by_role("button", name="Enlarge: Market Camera 1").focus()
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_role("button", name="Enlarge: Market Camera 2")).to_be_focused()
    await page.keyboard.press("Enter")
    await moves(page, "cam-2")
    await expect(page.locator(".cam-picture")).to_have_count(1)
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("button", name="Enlarge: Market Camera 2")).to_be_focused()
    await page.keyboard.press("Delete")
    await expect(page.locator(".cam-picture")).to_have_count(CAMERAS - 1)
    await page.reload()
    await expect(page.locator(".cam-picture")).to_have_count(CAMERAS - 1)


async def test_a_line_is_drawn_by_keyboard_and_kept(screens: Screens, street: Running) -> None:
    page = await page_of(screens, street, "park", "/cctv/cam-1/edit")
    await page.get_by_role("button", name="Add a line").click()
    start = page.get_by_role("button", name=re.compile("^Line 1: start"))
    await start.focus()
    for _ in range(3):
        await page.keyboard.press("ArrowLeft")
    await page.keyboard.press("Shift+ArrowUp")
    await expect(start).to_have_accessible_name("Line 1: start, 17 % across, 55 % down")
    await check(page)
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("heading", name="Market Camera 1")).to_be_visible()
    kept = (await (await page.request.get(f"{street.url}{API}/cam-1")).json())["lines"]
    assert [line["from"] for line in kept] == [[0.17, 0.55]]


async def test_faces_are_shown_for_a_purpose_and_no_longer(screens: Screens, street: Running) -> None:
    page = await page_of(screens, street, "choi", "/cctv/cam-2", locale="ko-KR")
    await moves(page, "cam-2")
    await page.get_by_role("button", name="얼굴 확인").click()
    await page.get_by_label("목적").select_option("rescue")
    await page.get_by_role("textbox", name="사유").fill("쓰러진 사람 확인")
    await page.get_by_role("button", name="얼굴 표시").click()
    await expect(page.get_by_role("timer")).to_have_text(re.compile(r"(10:00|9:\d\d)"))
    await expect(picture(page, "cam-2").locator(".cam-clear")).to_be_visible()
    await check(page)
    await page.get_by_role("button", name="지금 종료").click()
    await expect(page.get_by_role("timer")).to_have_count(0)
    await expect(picture(page, "cam-2").locator(".cam-clear")).to_have_count(0)
    await moves(page, "cam-2")
