"""The office in a real browser: coming in by link, code and passkey, and what each role keeps in order there."""

import asyncio
import json
import re
import time
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyotp
import pytest
from playwright.async_api import Locator, Page, expect

from hanmaru.platform.identity.accounts import Accounts
from tests.running import Running, running
from tests.screens.conftest import Screens, install
from tests.screens.test_screen import AXE, check

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROOMS = Path(__file__).with_name("rooms")
PASSWORD = "seven lamps beside the old ferry"
PAGES = {
    "admin": ["Your account", "Accounts", "Machines", "Work in progress"],
    "writer": ["Your account"],
    "security": ["Your account", "Accounts", "Audit trail", "Work in progress"],
    "privacy": ["Your account", "Accounts", "Audit trail", "Work in progress", "Hand-over"],
    "investigator": ["Your account", "Work in progress", "Hand-over"],
}
"""What the menu offers each role."""


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, web: None) -> Generator[Running]:
    """A demo, where no second factor is asked for, with two rooms that hand data over."""
    site = tmp_path_factory.mktemp("rooms")
    install(ROOMS, site)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(site))
        with running(
            tmp_path_factory.mktemp("data"), "--demo", SERVICES="centre,cameras,cases", WEB_WORKERS="1"
        ) as hub:
            yield hub


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, web: None) -> Generator[Running]:
    """A hub that has never been started before, under a name that passkeys can be bound to."""
    with running(tmp_path_factory.mktemp("first"), "--no-demo", SERVICES="centre", WEB_WORKERS="1") as hub:
        hub.url = hub.url.replace("127.0.0.1", "localhost")
        yield hub


def add(hub: Running, name: str, *roles: str) -> None:
    """Add an account as ``hanmaru user add`` does beside a running hub."""
    accounts = Accounts(hub.data, hub.data / "keys")
    accounts.add(name, PASSWORD, *roles)
    accounts.close()


async def signed_in(screens: Screens, hub: Running, name: str, path: str, password: str = "", **options: Any) -> Page:
    """Return a page of somebody who has signed in."""
    page = (await screens.viewer(hub.url, **options)).page
    await ask(page, hub, "POST", "/api/session", {"name": name, "password": password or hub.passwords()[name]})
    await page.goto(hub.url + path)
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    return page


async def ask(page: Page, hub: Running, method: str, path: str, body: object = None) -> Any:
    """Ask the hub with the page's session and return what it answers."""
    answer = await page.request.fetch(hub.url + path, method=method, data=body, headers={"origin": hub.url})
    assert answer.ok, await answer.text()
    return json.loads(await answer.text() or "null")


def row(page: Page, text: str) -> Locator:
    return page.get_by_role("row").filter(has_text=text)


async def confirm(page: Page, button: str, **values: str) -> None:
    """Fill in the open dialog's fields by their labels, send it and wait until it has gone."""
    dialog = page.locator("[role=dialog], [role=alertdialog]")
    for label, value in values.items():
        await dialog.get_by_label(label.replace("_", " ")).fill(value)
    await dialog.get_by_role("button", name=button, exact=True).click()
    await expect(dialog).to_have_count(0)


async def tab_to(page: Page, wanted: Locator) -> None:
    """Press the tabulator until something has the focus, as who has no mouse does."""
    for _ in range(40):
        if await wanted.evaluate("element => element === document.activeElement"):
            return
        await page.keyboard.press("Tab")
    await expect(wanted).to_be_focused()


async def sign_out(page: Page) -> None:
    await page.get_by_role("button", name="Language, appearance, account").click()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("textbox", name="Name")).to_be_focused()


# ---- coming in


async def test_the_first_start_prints_a_link_that_makes_the_administrator(screens: Screens, first: Running) -> None:
    link = first.setup_link().replace("127.0.0.1", "localhost")
    page = (await screens.viewer(first.url)).page
    await page.goto(link)
    await expect(page.get_by_role("heading", name="Set up your account")).to_be_visible()
    await check(page)
    await page.get_by_label("Name").fill("mina")
    await page.get_by_label("New password").fill("too short")
    await page.get_by_label("The password again").fill("another")
    await page.get_by_role("button", name="Set up and sign in").click()
    await expect(page.get_by_text("The two passwords differ.")).to_be_visible()
    await page.get_by_label("The password again").fill("too short")
    await page.get_by_role("button", name="Set up and sign in").click()
    await expect(page.get_by_role("alert")).to_have_text("Choose a password of at least 12 characters.")
    for label in ("New password", "The password again"):
        await page.get_by_label(label).fill(PASSWORD)
    await page.get_by_role("button", name="Set up and sign in").click()
    await expect(page.get_by_role("heading", name="Your account", exact=True)).to_be_visible()
    await expect(page.get_by_text("with a password only")).to_be_visible()

    # An administrator's work asks for a second factor here, and the page says where to add one.
    await page.get_by_role("link", name="Machines").click()
    await expect(page.get_by_text("it asks for a second factor")).to_be_visible()
    await check(page)
    await page.get_by_role("link", name="Add a second factor").click()
    await expect(page.get_by_text("Some of your work asks for a second factor")).to_be_visible()

    again = (await screens.viewer(first.url)).page
    await again.goto(link)
    for label in ("New password", "The password again"):
        await again.get_by_label(label).fill(PASSWORD)
    await again.get_by_role("button", name="Set up and sign in").click()
    await expect(again.get_by_role("alert")).to_have_text("This link was used or has expired. Ask for a new one.")


async def test_an_authenticator_app_is_set_up_and_signs_in_by_keyboard_alone(screens: Screens, first: Running) -> None:
    add(first, "lee", "admin")
    page = await signed_in(screens, first, "lee", "/account", PASSWORD)
    await page.get_by_role("button", name="Set up the app").click()
    secret = await page.locator(".totp-secret").inner_text()
    app = pyotp.TOTP(secret)
    await check(page)
    await page.get_by_label("Code").fill("000000")
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_role("alert")).to_contain_text("This is not the code that the app shows now.")
    if (left := 30 - time.time() % 30) < 10:  # or the code before this one becomes the one before that
        await asyncio.sleep(left)
    await page.get_by_label("Code").fill(app.at(int(time.time()) - 30))
    await page.get_by_role("button", name="Continue").click()
    await expect(page.locator(".codes code")).to_have_count(10)
    codes = await page.locator(".codes code").all_inner_texts()
    await check(page)
    await page.get_by_role("button", name="Done").click()
    await expect(page.get_by_text("with a second factor")).to_be_visible()
    await expect(page.get_by_text("10 left")).to_be_visible()
    await page.get_by_role("link", name="Machines").click()
    await expect(page.get_by_role("button", name="Add a machine")).to_be_visible()

    await sign_out(page)
    await page.keyboard.type("lee")
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Second factor")).to_be_focused()
    await expect(page.get_by_role("alert")).to_have_count(0)
    await page.keyboard.type("123456")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("This code is wrong, or was used before.")
    await tab_to(page, page.get_by_label("Second factor"))
    await page.keyboard.press("ControlOrMeta+a")
    await page.keyboard.type(app.now())
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Machines", level=1)).to_be_visible()

    # A dialog by keyboard: it keeps the focus while it is open and gives it back.
    await tab_to(page, page.get_by_role("link", name="Your account"))
    await page.keyboard.press("Enter")
    change = page.get_by_role("button", name="Change the password")
    await expect(change).to_be_visible()
    await tab_to(page, change)
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Present password")).to_be_focused()
    await page.keyboard.type("not my password")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Please fill this in.")).to_be_visible()
    await tab_to(page, page.get_by_label("New password"))
    await page.keyboard.type("nine boats under a paper moon")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_have_text("This is not your password.")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(change).to_be_focused()

    await sign_out(page)
    await page.get_by_label("Name").fill("lee")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await page.get_by_label("Second factor").fill(codes[0])
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("9 left")).to_be_visible()


async def test_a_passkey_is_added_and_signs_in_without_a_password(screens: Screens, first: Running) -> None:
    add(first, "park", "reader")
    page = await signed_in(screens, first, "park", "/account", PASSWORD)
    tools = await page.context.new_cdp_session(page)
    await tools.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    options |= {"isUserVerified": True, "automaticPresenceSimulation": True}
    await tools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    await page.get_by_role("button", name="Add a passkey").click()
    await page.get_by_label("Name of the device").fill("office laptop")
    await page.get_by_role("button", name="Continue").click()
    await expect(page.locator(".codes code")).to_have_count(10)
    await page.get_by_role("button", name="Done").click()
    await expect(row(page, "office laptop")).to_be_visible()

    await sign_out(page)
    await page.get_by_role("button", name="Sign in with a passkey").click()
    await expect(page.get_by_text("with a second factor")).to_be_visible()
    await row(page, "office laptop").get_by_role("button", name="Remove").click()
    await confirm(page, "Remove")
    await expect(row(page, "office laptop")).to_have_count(0)
    await expect(page.get_by_role("region", name="Second factor")).to_be_focused()


# ---- what each role finds


async def test_a_menu_has_what_ones_roles_may(screens: Screens, office: Running) -> None:
    for role, pages in PAGES.items():
        page = await signed_in(screens, office, role, "/account")
        await expect(page.get_by_role("navigation").get_by_role("link")).to_have_text(pages)
    page = await signed_in(screens, office, "writer", "/manage/audit")
    await expect(page.get_by_text("Your roles do not open this page.")).to_be_visible()
    await page.goto(f"{office.url}/manage/nothing")
    await expect(page.get_by_text("There is no such page.")).to_be_visible()


async def test_accounts_are_added_given_roles_locked_and_removed(screens: Screens, office: Running) -> None:
    page = await signed_in(screens, office, "admin", "/manage/accounts")
    opener = page.get_by_role("button", name="Add an account")
    await opener.click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name").fill("admin")
    await dialog.get_by_label("Auditor").check()
    await dialog.get_by_role("button", name="Add an account").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("privacy officer")
    await dialog.get_by_label("Auditor").uncheck()
    await dialog.get_by_label("Writer").check()
    await dialog.get_by_role("button", name="Add an account").click()
    await expect(dialog.get_by_role("alert")).to_have_text("There is already one named “admin”.")
    await check(page)
    await dialog.get_by_label("Name").fill("choi")
    await dialog.get_by_role("button", name="Add an account").click()
    link = await dialog.locator(".secret code").inner_text()
    assert "/setup#" in link
    await dialog.get_by_role("button", name="Done").click()
    await expect(opener).to_be_focused()
    choi = row(page, "choi")
    await expect(choi).to_contain_text("Writer")
    assert link not in await page.content(), "a link is shown once"

    await choi.get_by_role("button", name="Roles").click()
    await page.get_by_role("dialog").get_by_label("Reader", exact=True).check()
    await confirm(page, "Save")
    await expect(choi).to_contain_text("Reader")
    officer = await signed_in(screens, office, "privacy", "/manage/accounts")
    await row(officer, "choi").get_by_role("button", name="Roles").click()
    await officer.get_by_role("dialog").get_by_label("Auditor").check()
    await confirm(officer, "Save")
    await expect(row(officer, "choi")).to_contain_text("Auditor")
    await choi.get_by_role("button", name="Lock").click()
    await confirm(page, "Lock")
    await expect(choi).to_contain_text("Locked")
    await choi.get_by_role("button", name="Unlock").click()
    await confirm(page, "Unlock")
    await expect(choi).not_to_contain_text("Locked")

    other = (await screens.viewer(office.url)).page
    await other.goto(link)
    for label in ("New password", "The password again"):
        await other.get_by_label(label).fill(PASSWORD)
    await other.get_by_role("button", name="Set up and sign in").click()
    await expect(other.get_by_role("heading", name="Your account", exact=True)).to_be_visible()

    await choi.get_by_role("button", name="Remove").click()
    await confirm(page, "Remove")
    await expect(choi).to_have_count(0)
    await expect(page.get_by_role("region", name="People")).to_be_focused()
    await other.get_by_role("link", name="Audit trail").click()
    await expect(other.get_by_role("textbox", name="Name")).to_be_visible()


async def test_a_machine_gets_a_key_that_works_until_it_is_removed(screens: Screens, office: Running) -> None:
    page = await signed_in(screens, office, "admin", "/manage/clients")

    async def types(key: str) -> int:
        answer = await page.request.get(f"{office.url}/ngsi-ld/v1/types", headers={"x-api-key": key, "cookie": ""})
        return answer.status

    async def shown() -> str:
        secret = await page.get_by_role("dialog").locator(".secret code").inner_text()
        await page.get_by_role("button", name="Done").click()
        return secret

    await page.get_by_role("button", name="Add a machine").click()
    await page.get_by_label("Name").fill("weather feed")
    await page.get_by_role("dialog").get_by_role("button", name="Add a machine").click()
    await expect(page.get_by_role("alert")).to_have_text("Choose at least one role.")
    await page.get_by_label("Reader", exact=True).check()
    await check(page)
    await page.get_by_role("dialog").get_by_role("button", name="Add a machine").click()
    key = await shown()
    assert await types(key) == 200
    feed = row(page, "weather feed")
    await feed.get_by_role("button", name="New secret").click()
    await page.get_by_role("dialog").get_by_role("button", name="New secret").click()
    new = await shown()
    assert new != key
    assert (await types(key), await types(new)) == (200, 200), "the old one goes on for a day"
    await feed.get_by_role("button", name="Remove").click()
    await confirm(page, "Remove")
    await expect(page.get_by_text("No machines yet")).to_be_visible()
    assert (await types(key), await types(new)) == (401, 401)


async def test_the_audit_page_searches_pages_and_verifies(screens: Screens, office: Running) -> None:
    denied = await signed_in(screens, office, "writer", "/account")
    refused = await denied.request.get(f"{office.url}/api/audit/v1/status")
    assert refused.status == 403
    page = await signed_in(screens, office, "auditor", "/manage/audit")
    for _ in range(60):
        await ask(page, office, "GET", "/api/audit/v1/actions")
    records = page.get_by_role("table")

    await page.get_by_label("Who", exact=True).fill("writer")
    await page.get_by_label("Action", exact=True).fill("audit.read")
    await page.get_by_role("button", name="Search").click()
    await expect(records.get_by_role("row")).to_have_count(2)
    await expect(records).to_contain_text("Denied")
    await page.get_by_label("Who", exact=True).fill("auditor")
    await page.get_by_role("button", name="Search").click()
    await expect(records.get_by_role("row")).to_have_count(51)
    newest = await records.get_by_role("row").nth(1).inner_text()
    await page.get_by_role("button", name="Older").click()
    await expect(page.get_by_role("button", name="Newer")).to_be_enabled()
    await expect(records.get_by_role("row").nth(1)).not_to_have_text(newest)
    await page.get_by_role("button", name="Newer").click()
    await expect(page.get_by_role("button", name="Newer")).to_be_disabled()

    # Times are the city's, whatever the browser's zone is.
    await page.get_by_label("From").fill("yesterday")
    await page.get_by_role("button", name="Search").click()
    await expect(page.get_by_text("Write it as 2026-11-23 or 2026-11-23 09:00.")).to_be_visible()
    seoul = datetime.now(UTC) + timedelta(hours=9)
    await page.get_by_label("From").fill((seoul - timedelta(hours=1)).strftime("%Y-%m-%d %H:%M"))
    await page.get_by_label("To").fill((seoul + timedelta(hours=1)).strftime("%Y-%m-%d %H:%M"))
    await page.get_by_role("button", name="Search").click()
    await expect(records.get_by_role("row")).to_have_count(51)
    await page.get_by_label("From").fill((seoul + timedelta(minutes=30)).strftime("%Y-%m-%d %H:%M"))
    await page.get_by_role("button", name="Search").click()
    await expect(page.get_by_text("Nothing found")).to_be_visible()

    # The bar may be gone before anybody looks: what it was is kept.
    await page.evaluate(
        """() => new MutationObserver(() => {
          if (document.querySelector('[role=progressbar]')) window.progressed = true;
        }).observe(document.body, { subtree: true, childList: true })"""
    )
    await page.get_by_role("button", name="Check now").click()
    await expect(page.get_by_text("Whole", exact=True)).to_be_visible()
    assert await page.evaluate("window.progressed")


async def test_a_workflow_that_waits_for_an_approval_is_shown_and_cancelled(screens: Screens, office: Running) -> None:
    investigator = await signed_in(screens, office, "investigator", "/manage/jobs")
    await ask(investigator, office, "POST", "/api/cases/v1/permits/case-117")
    await expect(row(investigator, "Permit for an investigation")).to_contain_text("an approval", timeout=30_000)
    await expect(investigator.get_by_role("button", name="Cancel")).to_have_count(0)

    page = await signed_in(screens, office, "admin", "/manage/jobs")
    job = row(page, "cases.case-117")
    await expect(job).to_contain_text("Waiting")
    steps = job.get_by_role("button", name="Steps")
    await steps.click()
    details = page.get_by_role("region", name="Steps: Permit for an investigation")
    await expect(details).to_be_focused()
    await expect(details.get_by_role("row").filter(has_text="register")).to_contain_text("Done")
    await expect(details.get_by_role("definition").filter(has_text="case-117")).to_be_visible()
    await check(page)
    await page.get_by_role("button", name="Close").click()
    await expect(steps).to_be_focused()
    await job.get_by_role("button", name="Cancel").click()
    await confirm(page, "Cancel this work")
    await expect(job).to_contain_text("Cancelled")
    await expect(job.get_by_role("button", name="Cancel")).to_have_count(0)
    await page.get_by_label("Show").select_option(label="Waiting")
    await expect(page.get_by_text("No workflows in this state")).to_be_visible()


async def test_data_is_asked_for_approved_refused_and_taken_back(screens: Screens, office: Running) -> None:
    operator = await signed_in(screens, office, "operator", "/account")
    subject = (await ask(operator, office, "POST", "/api/cameras/v1/clips"))["subject"]
    asking = await signed_in(screens, office, "investigator", "/manage/handover")
    for purpose in ("the route of case 117", "curiosity"):
        await asking.get_by_role("button", name="Ask for data").click()
        dialog = asking.get_by_role("dialog")
        await dialog.get_by_label("Whose data").fill("Hong Gildong")
        await dialog.get_by_label("Kinds of records").fill("clip")
        await dialog.get_by_label("Purpose").fill(purpose)
        await dialog.get_by_label("Legal basis").fill("Infectious Disease Act, 76-2")
        await dialog.get_by_role("button", name="Send the request").click()
        await expect(dialog.get_by_role("alert")).to_contain_text("This is not a pseudonym.")
        await check(asking)
        await dialog.get_by_label("Whose data").fill(subject)
        await dialog.get_by_role("button", name="Send the request").click()
        await expect(row(asking, purpose)).to_contain_text("Waits for approval")
    await expect(row(asking, "curiosity")).to_contain_text("Cameras → Case investigation")
    await expect(asking.get_by_role("button", name="Approve")).to_have_count(0)

    page = await signed_in(screens, office, "privacy", "/manage/handover")
    route, curiosity = row(page, "the route of case 117"), row(page, "curiosity")
    await expect(route).to_contain_text("clip")
    await curiosity.get_by_role("button", name="Refuse").click()
    await confirm(page, "Refuse", Reason="no lawful purpose")
    await expect(curiosity).to_contain_text("Refused")
    await route.get_by_role("button", name="Approve").click()
    await confirm(page, "Approve", Reason="the case is confirmed")
    await expect(route).to_contain_text("Delivered", timeout=30_000)
    await route.get_by_role("button", name="Revoke").click()
    await confirm(page, "Revoke", Reason="the case was withdrawn")
    await expect(route).to_contain_text("Revoked")
    await route.get_by_role("button", name="Course").click()
    course = page.get_by_role("dialog").get_by_role("listitem")
    await expect(course).to_contain_text(["Waits for approval", "the case is confirmed", "Delivered", "withdrawn"])
    await check(page)


# ---- how it looks

LOOKS = [
    ("admin", "/account"),
    ("admin", "/manage/accounts"),
    ("admin", "/manage/clients"),
    ("auditor", "/manage/audit"),
    ("admin", "/manage/jobs"),
    ("privacy", "/manage/handover"),
]


@pytest.mark.parametrize("language", ["en-GB", "ko-KR"])
async def test_axe_finds_nothing_and_a_phone_holds_it(screens: Screens, office: Running, language: str) -> None:
    if not AXE.is_file():
        pytest.skip("axe-core is not there: run npm ci in web/")
    pages: dict[str, Page] = {}
    for role, path in LOOKS:
        page = pages.get(role) or await signed_in(screens, office, role, path, locale=language)
        pages[role] = page
        if not page.url.endswith(path):
            await page.goto(office.url + path)
        await page.locator(".office-section").first.wait_for()
        for scheme, width in (("light", 1280), ("dark", 390)):
            await page.emulate_media(color_scheme=scheme)
            await page.set_viewport_size({"width": width, "height": 844})
            await expect(page.locator("html")).to_have_attribute("data-theme", scheme)
            await check(page)
        for element in (".office-main", "html"):
            wider = await page.evaluate(f"(e => e.scrollWidth - e.clientWidth)(document.querySelector('{element}'))")
            assert wider <= 0, (path, element)


async def test_a_refusal_is_told_in_korean(screens: Screens, office: Running) -> None:
    page = await signed_in(screens, office, "admin", "/manage/accounts", locale="ko-KR")
    await page.get_by_role("button", name="계정 추가").click()
    await page.get_by_role("dialog").get_by_label("이름").fill("reader")
    await page.get_by_role("dialog").get_by_role("button", name="계정 추가").click()
    await expect(page.get_by_role("alert")).to_have_text("‘reader’ 이름이 이미 있습니다.")
    await page.context.clear_cookies()
    await page.get_by_role("dialog").get_by_role("button", name="계정 추가").click()
    await expect(page.get_by_label("비밀번호")).to_be_visible()
    await page.get_by_label("이름").fill("reader")
    await page.get_by_label("비밀번호").fill("wrong")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_have_text("이름과 비밀번호가 맞는 계정이 없습니다.")
    assert re.search("/manage/accounts$", page.url)
