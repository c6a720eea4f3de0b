"""Signing in at a real OpenID Connect provider, in a real browser, from the first screen and back to it."""

import json
import socket
from collections.abc import Generator

import pytest
from playwright.async_api import Page, expect

from tests.platform.providing import CLIENT_ID, CLIENT_SECRET, install, providing
from tests.running import Running, running
from tests.screens.conftest import Screens

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROLES = {"/hub/admins": "admin", "/hub/analysts": "reader"}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, web: None) -> Generator[Running]:
    server, port = install(tmp_path_factory.mktemp("oidc-provider")), free_port()
    with providing(server) as provider:
        provider.behave(redirect_uris=[f"http://127.0.0.1:{port}/login/oidc/callback"])
        settings = {
            "OIDC__ISSUER": provider.issuer,
            "OIDC__CLIENT_ID": CLIENT_ID,
            "OIDC__CLIENT_SECRET": CLIENT_SECRET,
            "OIDC__TITLE": "City single sign-on",
            "OIDC__SCOPE": "openid profile email groups",
            "OIDC__ROLES": json.dumps(ROLES),
        }
        with running(tmp_path_factory.mktemp("data"), "--no-demo", port=port, WEB_WORKERS="2", **settings) as hub:
            yield hub


async def sign_in_there(page: Page, name: str) -> None:
    """Fill in the provider's own pages."""
    await page.locator('input[name="login"]').fill(name)
    await page.locator('input[name="password"]').fill("any")
    await page.get_by_role("button", name="Sign-in").click()
    await page.get_by_role("button", name="Continue").click()


async def test_from_the_first_screen_to_the_provider_and_back_signed_in(hub: Running, screens: Screens) -> None:
    screen = await screens.viewer(hub.url)
    page = screen.page
    await page.goto(hub.url)
    await page.get_by_role("link", name="City single sign-on").click()
    await sign_in_there(page, "jun")
    await expect(page.get_by_text("City now")).to_be_visible()
    assert page.url == f"{hub.url}/"
    me = await page.evaluate("fetch('/api/session').then((answer) => answer.json())")
    assert me["name"] == "oidc:jun"
    assert me["roles"] == ["reader"]
    cookies = {cookie["name"]: cookie for cookie in await page.context.cookies()}
    assert cookies["hanmaru_session"]["sameSite"] == "Strict"
    assert cookies["hanmaru_session"]["httpOnly"]
    assert "hanmaru_oidc" not in cookies


async def test_the_way_back_carries_the_strict_cookie(hub: Running, screens: Screens) -> None:
    """A page that asks for a session opens right after the log-in: no request of the provider's making led there."""
    page = (await screens.viewer(hub.url)).page
    await page.goto(f"{hub.url}/login/oidc?next=/metrics")
    await sign_in_there(page, "mina")
    await page.wait_for_url(f"{hub.url}/metrics")
    await expect(page.locator("body")).to_contain_text("hanmaru_")


async def test_who_has_no_role_and_who_refuses_get_pages(hub: Running, screens: Screens) -> None:
    page = (await screens.viewer(hub.url, locale="ko-KR")).page
    await page.goto(f"{hub.url}/login/oidc")
    await sign_in_there(page, "sora")
    await expect(page.get_by_role("heading")).to_have_text("이 허브에 역할이 없습니다")
    await page.get_by_role("link", name="다시 로그인").click()
    await page.wait_for_url(lambda url: "/login/oidc/callback" in url)  # the provider remembers who is there
    await expect(page.get_by_role("heading")).to_have_text("이 허브에 역할이 없습니다")

    other = (await screens.viewer(hub.url)).page
    await other.goto(f"{hub.url}/login/oidc")
    await other.get_by_role("link", name="Cancel").click()
    await expect(other.get_by_role("heading")).to_have_text("The provider refused the sign-in")


async def test_the_provider_and_its_people_leave_no_secret_in_log_or_trail(hub: Running) -> None:
    trail = b"".join(path.read_bytes() for path in (hub.data / "audit").rglob("*") if path.is_file())
    assert b"session.start" in trail
    assert b"oidc:jun" in trail
    for text in (CLIENT_SECRET.encode(), b"code=", b"state=", b"id_token"):
        assert text not in trail
        assert text not in json.dumps(hub.logs).encode()
