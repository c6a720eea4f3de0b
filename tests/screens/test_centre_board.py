"""Boards in a real browser: look, arrange by keyboard and mouse, keep, and two who edit the same."""

import re
from collections.abc import AsyncGenerator, Generator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from hanmaru.platform.identity.accounts import Accounts
from tests.running import Running, running
from tests.screens.conftest import Screens, station
from tests.screens.test_screen import WIDTHS, check

pytestmark = pytest.mark.asyncio(loop_scope="session")

PASSWORD = "wooden boards on the wall"
API = "/api/centre/v1/boards"


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory, web: None) -> Generator[Running]:
    data = tmp_path_factory.mktemp("boards")
    accounts = Accounts(data, data / "keys")
    for name, role in (("kim", "operator"), ("lee", "operator"), ("gateway", "writer")):
        accounts.add(name, PASSWORD, role)
    accounts.close()
    with running(data, "--no-demo", SERVICES="centre", WEB_WORKERS="1") as hub:
        yield hub


async def signed(http: Any, hub: Running, who: str) -> None:
    body, headers = {"name": who, "password": PASSWORD}, {"origin": hub.url}
    answer = await http.post(f"{hub.url}/api/session", data=body, headers=headers)
    assert answer.ok, await answer.text()


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def gateway(browser: Browser, centre: Running) -> AsyncGenerator[Any]:
    """Return how a sensor's gateway writes, once there are readings of two hours."""
    context = await browser.new_context()
    await signed(context.request, centre, "gateway")

    async def write(*entities: dict[str, Any]) -> None:
        path = f"{centre.url}/ngsi-ld/v1/entityOperations/upsert?options=update"
        answer = await context.request.post(path, data=list(entities), headers={"origin": centre.url})
        assert answer.status in (201, 204), await answer.text()

    for minutes in (150, 80, 1):
        await write(*(station(n, 10 * n + minutes / 10, minutes_ago=minutes) for n in range(1, 4)))
    yield write
    await context.close()


async def page_of(screens: Screens, hub: Running, who: str, path: str, **options: Any) -> Page:
    screen = await screens.viewer(hub.url, **options)
    await signed(screen.page.request, hub, who)
    await screen.page.goto(hub.url + path)
    return screen.page


async def make(page: Page, hub: Running, title: str, *, shared: bool = False) -> str:
    """Keep a board of two tiles and return its id."""
    ask = {"want": "value", "type": "AirQualityObserved", "attr": "pm25", "hours": 6}
    tiles = [
        {"id": "a", "kind": "value", "x": 0, "y": 0, "w": 3, "h": 2, "title": "Dust", "ask": ask},
        {"id": "b", "kind": "text", "x": 3, "y": 0, "w": 3, "h": 2, "title": "Note", "text": "Watch the river."},
    ]
    body = {"title": title, "shared": shared, "tiles": tiles}
    answer = await page.request.post(hub.url + API, data=body, headers={"origin": hub.url})
    assert answer.ok, await answer.text()
    return (await answer.json())["id"]


def tile(page: Page, id: str) -> Locator:
    return page.locator(f"[data-tile={id}]")


async def test_a_ready_board_shows_the_city_and_follows_it(screens: Screens, centre: Running, gateway: Any) -> None:
    page = await page_of(screens, centre, "kim", "/board/ready-air")
    value = page.get_by_role("region", name="Fine dust PM2.5", exact=True)
    await expect(value.locator("b")).to_have_text("20")
    await expect(value.locator(".board-trend")).to_contain_text(re.compile("Down by 8|About as"))
    await expect(page.locator("[data-tile=pm25-day] .board-chart")).to_have_attribute("data-points", re.compile("[23]"))
    await expect(page.locator("[data-tile=worst] li").first).to_contain_text("Station 3")
    await check(page)
    await gateway(*(station(n, 90) for n in range(1, 4)))
    await expect(value.locator("b")).to_have_text("90")
    await gateway(*(station(n, 10 * n) for n in range(1, 4)))
    for width, height in WIDTHS.values():
        await page.set_viewport_size({"width": width, "height": height})
        over = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert over <= 0, width
    await page.get_by_role("button", name="Full screen").click()
    await expect(page.locator(".board-shown[data-wall]")).to_be_visible()
    await page.get_by_role("button", name="Leave full screen").click()
    await expect(page.locator(".board-shown[data-wall]")).to_have_count(0)


async def test_a_board_is_arranged_by_keyboard_alone(screens: Screens, centre: Running, gateway: Any) -> None:
    page = await page_of(screens, centre, "kim", "/board")
    id = await make(page, centre, "By keyboard")
    await page.goto(f"{centre.url}/board/{id}")
    await page.get_by_role("button", name="Arrange").press("Enter")
    await page.get_by_role("button", name="Move: Dust", exact=True).focus()
    await page.keyboard.press("ArrowDown")
    said = page.locator(".board-page > [role=status]")
    await expect(said).to_have_text("Dust: column 1, row 2, 3 wide, 2 high")
    await page.keyboard.press("ArrowRight")
    await expect(said).to_have_text("Dust: column 2, row 2, 3 wide, 2 high")
    await expect(page.get_by_role("button", name="Move: Dust", exact=True)).to_be_focused()
    await page.get_by_role("button", name="Size: Dust").focus()
    await page.keyboard.press("ArrowRight")
    await expect(said).to_have_text("Dust: column 2, row 2, 4 wide, 2 high")
    await page.keyboard.press("Control+z")
    await expect(said).to_have_text("Undone")
    await page.get_by_role("button", name="Add a tile").press("Enter")
    await page.get_by_label("Shows").select_option("list")
    await page.get_by_label("Title").last.fill("Worst")
    await check(page)
    await page.get_by_role("button", name="Apply").press("Enter")
    await expect(page.get_by_role("region", name="Worst").get_by_role("listitem")).to_have_count(3)
    await page.get_by_role("button", name="Save").press("Enter")
    await expect(said).to_have_text("Board saved")
    kept = (await (await page.request.get(f"{centre.url}{API}/{id}")).json())["tiles"]
    places = {one["title"]: (one["x"], one["y"], one["w"], one["h"]) for one in kept}
    assert places["Dust"] == (1, 1, 3, 2)
    assert places["Note"] == (3, 3, 3, 2), "what was in the way makes way downwards"
    assert "Worst" in places


async def test_a_tile_is_dragged_and_removed_by_mouse(screens: Screens, centre: Running, gateway: Any) -> None:
    page = await page_of(screens, centre, "kim", "/board")
    id = await make(page, centre, "By mouse")
    await page.goto(f"{centre.url}/board/{id}")
    await page.get_by_role("button", name="Arrange").click()
    before = await tile(page, "a").bounding_box()
    assert before
    await page.get_by_role("button", name="Move: Dust", exact=True).hover()
    await page.mouse.down()
    await page.mouse.move(before["x"] + before["width"] * 2.5, before["y"] + 30, steps=5)
    await page.mouse.up()
    after = await tile(page, "a").bounding_box()
    assert after
    assert after["x"] > before["x"] + before["width"] / 2
    await page.get_by_role("button", name="Remove: Note").click()
    await expect(tile(page, "b")).to_have_count(0)
    await page.get_by_role("button", name="Undo").click()
    await expect(tile(page, "b")).to_have_count(1)


async def test_the_second_of_two_editors_is_asked(screens: Screens, centre: Running, gateway: Any) -> None:
    kim = await page_of(screens, centre, "kim", "/board", locale="ko-KR")
    id = await make(kim, centre, "Ours", shared=True)
    lee = await page_of(screens, centre, "lee", f"/board/{id}")
    await kim.goto(f"{centre.url}/board/{id}")
    await kim.get_by_role("button", name="배치 편집").click()
    await lee.get_by_role("button", name="Arrange").click()
    await kim.get_by_role("textbox", name="제목").fill("Kim's")
    await kim.get_by_role("button", name="저장").click()
    await expect(kim.get_by_role("heading", name="Kim's")).to_be_visible()
    await lee.get_by_role("textbox", name="Title").fill("Lee's")
    await lee.get_by_role("button", name="Save", exact=True).click()
    asked = lee.get_by_role("alertdialog", name="Changed by two")
    await expect(asked).to_contain_text("kim has changed this board")
    await asked.get_by_role("button", name="Keep mine as a copy").click()
    await expect(lee.get_by_role("heading", name="Lee's")).to_be_visible()
    titles = [one["title"] for one in (await (await lee.request.get(centre.url + API)).json())["items"]]
    assert {"Kim's", "Lee's"} <= {title for title in titles if isinstance(title, str)}
