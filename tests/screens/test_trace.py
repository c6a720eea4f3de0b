"""The trace room in a real browser: its pages, a case from its first record to the report, and a course to look at."""

import asyncio
import json
import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Locator, Page, Route, expect

from tests.running import Running, running
from tests.screens import trace_shapes as shapes
from tests.screens.conftest import Screens
from tests.screens.test_screen import WIDTHS, check

pytestmark = pytest.mark.asyncio(loop_scope="session")

API = "/api/trace/v1"
DECIDED = 400_000
"""Milliseconds for an investigation, the compiling of its kernels included."""


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory, web: None) -> Generator[Running]:
    """A demo, where no second factor is asked for, with the room alone."""
    data = tmp_path_factory.mktemp("trace")
    with running(data, "--demo", SERVICES="centre,trace", WEB_WORKERS="1") as hub:
        yield hub


async def page_of(screens: Screens, hub: Running, who: str, path: str, purpose: str = "", **options: Any) -> Page:
    """Return the page of somebody who has signed in, and has stated the purpose where one is given."""
    screen = await screens.viewer(hub.url, **options)
    signed = await screen.page.request.post(
        f"{hub.url}/api/session", data={"name": who, "password": hub.passwords()[who]}, headers={"origin": hub.url}
    )
    assert signed.ok
    await shaped(screen.page)
    await screen.page.goto(hub.url + path)
    if purpose:
        await state(screen.page, purpose)
    return screen.page


async def state(page: Page, purpose: str) -> None:
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("textbox").fill(purpose)
    await dialog.locator("button[type=submit]").click()
    await expect(dialog).to_have_count(0)


async def shaped(page: Page) -> None:
    """Answer for a case named ``shape`` with made-up results, which no test has the time to work out."""
    found, chain = shapes.results(), shapes.chain()
    case: dict[str, Any] = {
        "id": "shape", "label": "2026-0001", "disease": "covid-19", "status": "investigating", "onset": "2026-11-20",
        "confirmed": "2026-11-22", "opened_at": found["made_at"], "opened_by": "investigator", "destroy_on": None,
        "waiting": [], "contacts": {"total": 60, "undecided": 60, "accepted": 0}, "person": {"name": "김한별"},
        "investigation": {"state": "done", "progress": 1.0, "stage": "done", "at": found["made_at"]}, "symptoms": [],
        "lab": None, "notes": "", "exposure_window": None, "infectious_window": found["period"], "requests": [],
        "named_contacts": [], "log": [],
    }  # fmt: skip

    async def decide(route: Route) -> None:
        contact = next(one for one in found["contacts"] if f"/{one['id']}/" in route.request.url)
        said: dict[str, str] = json.loads(route.request.post_data or "{}")
        verdict = {"by": "investigator", "at": found["made_at"], **said}
        contact["decision"] = None if said["verdict"] == "undecided" else verdict
        await route.fulfill(json=contact["decision"])

    answers: dict[str, Any] = {
        "/cases/shape": case,
        "/cases/shape/investigation": case["investigation"],
        "/cases/shape/results": found,
        "/cases/shape/looks": {"looks": []},
        "/chain?disease=covid-19": chain,
    }
    for path, document in answers.items():
        await page.route(re.compile(re.escape(API + path) + "$"), fulfilling(document))
    await page.route(re.compile(f"{API}/hotspots"), fulfilling({"hotspots": found["hotspots"]}))
    await page.route(re.compile(f"{API}/cases/shape/contacts/.*/decision$"), decide)


def fulfilling(document: Any) -> Any:
    async def fulfil(route: Route) -> None:
        await route.fulfill(json=document)

    return fulfil


def rows(page: Page) -> Locator:
    return page.get_by_role("listbox", name=re.compile("Evidence")).get_by_role("option")


async def slid(page: Page) -> str:
    return await page.get_by_role("slider", name="Time").get_attribute("aria-valuetext") or ""


# ---- pages of a room


async def test_the_menu_offers_the_pages_that_ones_roles_open(screens: Screens, trace: Running) -> None:
    offered: dict[str, list[str]] = {}
    for who in ("investigator", "police-approver", "reader"):
        page = await page_of(screens, trace, who, "/account")
        await page.get_by_role("button", name="Language, appearance, account").click()
        await expect(page.get_by_text(f"Signed in as {who}")).to_be_visible()
        pages = page.get_by_role("navigation", name="Pages").get_by_role("link")
        if who != "reader":
            await expect(pages.first).to_be_visible()
        offered[who] = await pages.all_inner_texts()
    assert offered == {
        "investigator": ["Cases", "Requests", "Chain", "Hotspots"],
        "police-approver": ["Requests"],
        "reader": [],
    }


async def test_a_page_tells_who_may_not_open_it(screens: Screens, trace: Running) -> None:
    page = await page_of(screens, trace, "reader", "/trace/cases/anything")
    await expect(page.get_by_text("Your roles do not open this page.")).to_be_visible()
    await page.goto(f"{trace.url}/trace-no-more")
    await expect(page.get_by_text("Not Found")).to_be_visible()


# ---- a case, on the room's own routes


@pytest.mark.timeout(600)
async def test_a_case_goes_from_its_record_to_a_report(screens: Screens, trace: Running) -> None:
    page = await page_of(screens, trace, "investigator", "/trace", "Contact tracing")
    await expect(page.get_by_role("heading", name="Cases")).to_be_visible()
    await page.get_by_role("link", name="New case").click()
    await page.get_by_role("button", name="Open the case").click()
    await expect(page.get_by_text("Please fill this in.").first).to_be_visible()
    await page.get_by_label("Onset").fill("2026-11-20")
    await page.get_by_label("Name").fill("김한별")
    await page.get_by_label("Telephone").fill("call me")
    await page.get_by_role("button", name="Open the case").click()
    await expect(page.get_by_text("Write a telephone number")).to_be_visible()
    await page.get_by_label("Telephone").fill("010-1234-5678")
    await page.get_by_role("checkbox", name=re.compile("^fever")).check()
    await check(page)
    await page.get_by_role("button", name="Open the case").click()
    await expect(page.get_by_role("heading", name=re.compile("김한별"))).to_be_visible()
    assert "/requests" in page.url
    case = page.url.split("/")[-2]

    # A statement is evidence by itself; a request has to be approved by somebody else.
    await page.get_by_role("button", name="New request").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Why it is needed").fill("To find who was near.")
    await dialog.get_by_role("button", name="Send the request").click()
    await expect(dialog.get_by_role("alert")).to_have_text("Choose at least one kind of data.")
    await dialog.get_by_role("checkbox", name=re.compile("Phone locations")).check()
    await dialog.get_by_role("button", name="Send the request").click()
    await expect(dialog).to_have_count(0)
    card = page.get_by_role("listitem").filter(has_text="Phone locations").first
    await expect(card).to_contain_text("Waits for the national agency")
    await expect(card.get_by_role("button", name="Approve")).to_have_count(0)
    await check(page)

    agency = await page_of(screens, trace, "health-approver", "/trace/requests", locale="ko-KR")
    await expect(agency.get_by_role("tab", name="내 승인 대기")).to_have_attribute("aria-selected", "true")
    await expect(agency.get_by_text("To find who was near.")).to_be_visible()
    await expect(agency.get_by_text("김한별")).to_have_count(0)  # who it is, no approver is told
    await agency.get_by_role("button", name="승인").click()
    await agency.get_by_role("dialog").get_by_role("button", name="승인").click()
    await expect(agency.get_by_text("승인할 요청이 없습니다.")).to_be_visible()
    await agency.get_by_role("tab", name="전체 요청").click()
    await expect(agency.get_by_text(re.compile("승인: health-approver")).first).to_be_visible()  # the demo's, too

    await page.get_by_role("tab", name="Record").click()
    for start, end, lat, what in (("09:00", "11:00", "36.481", "gym"), ("12:00", "14:00", "36.486", "diner")):
        await page.get_by_role("button", name="Enter a statement").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("From").fill(f"2026-11-19T{start}")
        await dialog.get_by_label("To", exact=True).fill(f"2026-11-19T{end}")
        await dialog.get_by_label("Latitude").fill(lat)
        await dialog.get_by_label("Longitude").fill("127.289")
        await dialog.get_by_label("In their words").fill(what)
        await dialog.get_by_role("button", name="Save").click()
        await expect(dialog).to_have_count(0)
    await page.get_by_role("button", name="Investigate").click()
    await expect(page.get_by_role("region", name="Course on the map and in time")).to_be_visible(timeout=DECIDED)
    await page.get_by_role("tab", name="Evidence").click()
    await expect(rows(page)).to_have_count(2)
    await expect(rows(page).first).to_contain_text("gym")

    await page.get_by_role("tab", name="Report").click()
    async with page.expect_download() as saved:
        await page.get_by_role("button", name="Save the PDF").click()
    pdf = await asyncio.to_thread(Path(await (await saved.value).path()).read_bytes)
    assert pdf.startswith(b"%PDF-")
    await page.get_by_role("tab", name="Who looked").click()
    looks = page.get_by_role("group", name="Who looked")
    await expect(looks.get_by_text("Contact tracing").first).to_be_visible()

    # Somebody else's look begins with the question what for; so does another tab's.
    again = await page_of(screens, trace, "investigator", f"/trace/cases/{case}")
    await expect(again.get_by_role("dialog", name="What do you look for?")).to_be_visible()
    await expect(again.get_by_text("김한별")).to_have_count(0)
    await state(again, "Quality check")
    await expect(again.get_by_text("Purpose: Quality check")).to_be_visible()
    await expect(again.get_by_role("heading", name=re.compile("김한별"))).to_be_visible()


async def test_a_new_case_like_another_gives_a_hint(screens: Screens, trace: Running) -> None:
    page = await page_of(screens, trace, "investigator", "/trace", "Contact tracing")
    new = {"disease": "mers", "person": {"name": "이도담"}, "onset": "2026-11-18"}
    headers = {"origin": trace.url, "hanmaru-purpose": "Contact tracing"}
    made = await page.request.post(f"{trace.url}{API}/cases", data=new, headers=headers)
    assert made.status == 201
    await page.get_by_role("link", name="New case").click()
    await page.get_by_label("Onset").fill("2026-11-18")
    await expect(page.get_by_text("Perhaps it is there already")).to_have_count(0)
    await page.get_by_label("Disease").select_option("mers")
    hint = page.get_by_role("status").filter(has_text="Perhaps it is there already")
    await expect(hint.get_by_role("link", name=(await made.json())["label"])).to_be_visible()
    await page.goto(f"{trace.url}/trace")
    await state(page, "Contact tracing")
    await page.get_by_label("Disease").select_option("mers")
    await expect(page.get_by_role("heading", level=3)).to_have_count(1)
    await page.get_by_role("searchbox").fill("nobody of this name")
    await expect(page.get_by_role("heading", level=3)).to_have_count(0)


# ---- a course of 20,000 rows


async def test_map_time_and_evidence_move_in_step(screens: Screens, trace: Running) -> None:
    page = await page_of(screens, trace, "investigator", "/trace/cases/shape/evidence", "Contact tracing")
    course = page.locator(".case-map .map")
    await expect(course).to_have_attribute("data-ready", "", timeout=60_000)
    assert await rows(page).count() < 60, "only the rows in sight are in the page"
    await expect(rows(page).first).to_have_attribute("aria-setsize", "20000")

    # From the table, by keyboard: time and map go along.
    before, there = await slid(page), await course.get_attribute("data-at")
    await page.get_by_role("listbox").focus()
    await page.keyboard.press("End")
    await expect(page.locator("[aria-posinset='20000']")).to_have_attribute("aria-selected", "true")
    assert await slid(page) != before
    assert (await slid(page)).startswith("2026-11-22 22:")
    await page.keyboard.press("Home")
    await expect(rows(page).first).to_have_attribute("aria-selected", "true")

    # From time: the marked row and the map's place go along.
    slider = page.get_by_role("slider", name="Time")
    await slider.focus()
    for _ in range(10):
        await page.keyboard.press("PageUp")
    assert (await slid(page)).startswith("2026-11-10 10:")
    await expect(page.locator(".row[data-now]")).to_contain_text(re.compile(r"11-10 (09:5|10:0)"))
    await expect(course).not_to_have_attribute("data-at", there or "")
    await page.keyboard.press("ArrowRight")
    assert (await slid(page)).startswith("2026-11-10 10:0")

    # A day alone, and kinds.
    await page.get_by_label("Shown days").select_option(index=3)
    await expect(rows(page).first).to_contain_text("11-12 00:0")
    await page.get_by_role("button", name=re.compile("^Phone")).click()
    await expect(rows(page)).to_have_count(6)
    await page.get_by_role("button", name="The day after").click()
    await expect(rows(page).first).to_contain_text("11-13")

    # From the map: what is clicked on is where time goes.
    await page.get_by_role("button", name="Play").click()
    await expect(page.get_by_role("button", name="Pause")).to_be_visible()
    await page.get_by_role("button", name="Pause").click()


async def test_a_row_that_is_not_used_says_why(screens: Screens, trace: Running) -> None:
    page = await page_of(screens, trace, "investigator", "/trace/cases/shape/evidence", "Contact tracing")
    await page.get_by_role("button", name=re.compile("^Phone")).click()
    late = rows(page).filter(has_text="posted late").first
    await expect(late).to_contain_text("not used: Posted later than it was paid.")


async def test_a_contact_shows_its_rows_and_is_decided_and_undone(screens: Screens, trace: Running) -> None:
    page = await page_of(screens, trace, "investigator", "/trace/cases/shape/contacts", "Contact tracing")
    first = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="P1000"))
    await expect(first).to_contain_text("97%")
    await first.get_by_role("button", name="Accept").click()
    await page.get_by_role("dialog").get_by_role("button", name="Accept").click()
    await expect(page.get_by_role("dialog").get_by_text("Please fill this in.")).to_be_visible()
    await page.get_by_role("dialog").get_by_label("Reason").fill("Named in the interview")
    await page.get_by_role("dialog").get_by_role("button", name="Accept").click()
    await expect(first).to_have_count(0)
    await page.locator("select[name=shown]").select_option("accepted")
    await expect(first).to_contain_text("Named in the interview")
    await first.get_by_role("button", name="Undo").click()
    await expect(first).to_have_count(0)
    await page.locator("select[name=shown]").select_option("undecided")
    await first.get_by_role("button", name="show the rows (2)").click()
    await expect(page.get_by_role("tab", name="Evidence")).to_have_attribute("aria-selected", "true")
    await page.get_by_label("Only the rows behind it (2)").check()
    await expect(rows(page)).to_have_count(2)


async def test_the_chain_is_walked_by_keyboard_and_told_as_a_table(screens: Screens, trace: Running) -> None:
    page = await page_of(screens, trace, "investigator", "/trace/chain", "Contact tracing")
    node = page.get_by_role("button", name=re.compile("^2026-001, onset"))
    await node.focus()
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_role("button", name=re.compile("^2026-002, onset"))).to_be_focused()
    sources = page.get_by_role("region", name="Who may have infected 2026-002")
    await expect(sources.get_by_role("listitem").first).to_contain_text("2026-001")
    await expect(sources.get_by_role("listitem").first).to_contain_text("88%")
    await page.get_by_role("radio", name="Table").click()
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="2026-002"))
    await expect(row.first).to_contain_text("2026-001")
    await page.get_by_role("region", name="Clusters").get_by_role("button", name="2026-005").click()
    await expect(page.get_by_role("button", name=re.compile("^2026-005, onset"))).to_have_attribute(
        "aria-pressed", "true"
    )


async def test_every_personal_read_states_its_purpose(screens: Screens, trace: Running) -> None:
    page = await page_of(screens, trace, "investigator", "/trace")
    unstated: list[str] = []
    page.on(
        "request",
        lambda r: unstated.append(r.url) if f"{API}/cases" in r.url and "hanmaru-purpose" not in r.headers else None,
    )
    await expect(page.get_by_role("dialog", name="What do you look for?")).to_be_visible()
    await page.get_by_role("button", name="Contact tracing").click()
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_text("Purpose: Contact tracing")).to_be_visible()
    await page.goto(f"{trace.url}/trace/cases/shape/contacts")
    await state(page, "접촉자 추적")
    await expect(page.get_by_role("heading", name=re.compile("김한별"))).to_be_visible()
    assert unstated == []


PAGES = {
    "/trace": "Cases",
    "/trace/cases/shape/evidence": "2026-0001",
    "/trace/cases/shape/contacts": "2026-0001",
    "/trace/cases/shape/cameras": "2026-0001",
    "/trace/cases/shape/record": "2026-0001",
    "/trace/requests": "Requests for data",
    "/trace/chain": "Chain of infection",
    "/trace/hotspots": "Hotspots",
}


@pytest.mark.parametrize(("width", "scheme"), [("desk", "light"), ("tablet", "dark"), ("phone", "light")])
async def test_axe_finds_no_violation_at_any_width(screens: Screens, trace: Running, width: str, scheme: str) -> None:
    size = WIDTHS[width]
    page = await page_of(screens, trace, "investigator", "/trace", width=size[0], height=size[1], color_scheme=scheme)
    await expect(page.get_by_role("dialog", name="What do you look for?")).to_be_visible()
    await check(page)
    for path, title in PAGES.items():
        await page.goto(trace.url + path)
        if path != "/trace/requests":
            await state(page, "Contact tracing")
        await expect(page.get_by_role("heading", level=1, name=re.compile(title))).to_be_visible()
        await check(page)
        overflow = await page.evaluate(
            "[document.documentElement, document.querySelector('#room-main')].map(e => e.scrollWidth - e.clientWidth)"
        )
        assert max(overflow) <= 0, path
