"""The first start, over real processes: a link makes the first account, and every worker knows it."""

import json
import re
import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from hanmaru.banner import announce, demo_made, first_token, open_accounts
from hanmaru.config import ConfigError, Settings, load
from hanmaru.platform.identity.accounts import ROLES
from hanmaru.platform.identity.attempts import FREE
from tests.running import running

PASSWORD = "a wholly different one"


def told(capsys: pytest.CaptureFixture[str], settings: Settings) -> str:
    """Return what a start prints."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        announce(settings, [listening], demo_made(settings), first_token(settings))
    return capsys.readouterr().out


def test_the_first_start_prints_a_link_and_later_ones_do_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(data=tmp_path, public_url="https://hub.city.example/")
    links = [re.findall(r"https://hub\.city\.example/setup#(\S+)", told(capsys, settings)) for _ in range(2)]
    assert [len(found) for found in links] == [1, 1]
    accounts = open_accounts(settings)
    assert accounts.set_up(links[0][0], "lee", PASSWORD) is None  # the second start ended the first one's link
    made = accounts.set_up(links[1][0], "lee", PASSWORD)
    assert made
    assert made.roles == ("admin",)
    accounts.close()
    assert "/setup#" not in told(capsys, settings)


def test_the_demo_prints_an_account_for_each_role(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = told(capsys, Settings(data=tmp_path, demo=True))
    shown = dict(re.findall(r"demo account    데모 계정 +(\S+) / (\S+)$", printed, re.MULTILINE))
    assert set(ROLES) <= set(shown)
    assert "/setup#" not in printed
    accounts = open_accounts(Settings(data=tmp_path))
    assert accounts.verify(accounts.find("auditor"), shown["auditor"])
    accounts.close()


@pytest.mark.parametrize(
    "url", ["hub.city.example", "ftp://hub.city.example", "https://hub.city.example/city", "https:"]
)
def test_a_public_url_is_an_origin(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("HANMARU_PUBLIC_URL", url)
    with pytest.raises(ConfigError, match="public_url"):
        load()


def ask(url: str, method: str = "GET", body: Any = None, **headers: str) -> tuple[int, Any, str]:
    """Return status, document and cookie of a request on a connection of its own, so that any worker may answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"connection": "close", **headers}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as got:
            cookie = got.headers.get("set-cookie", "").partition(";")[0]
            return got.status, json.loads(got.read() or b"null"), cookie
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read()), ""


def test_accounts_sessions_and_limits_hold_over_workers(tmp_path: Path) -> None:
    accounts = open_accounts(Settings(data=tmp_path))
    with running(tmp_path, "--web-workers", "2") as hub:
        token = accounts.setup_token(None, ["admin"])  # in the place of the one that the start printed
        status, made, cookie = ask(
            f"{hub.url}/api/setup", "POST", {"token": token, "name": "lee", "password": PASSWORD}
        )
        assert (status, made["roles"]) == (201, ["admin"])
        for _ in range(8):
            assert ask(f"{hub.url}/api/account", cookie=cookie)[1]["name"] == "lee"
        wrong = {"name": "lee", "password": "not this one"}
        statuses = [ask(f"{hub.url}/api/session", "POST", wrong)[0] for _ in range(FREE + 1)]
        assert statuses == [401] * FREE + [429]
        right = ask(f"{hub.url}/api/session", "POST", {"name": "lee", "password": PASSWORD})
        assert right[0] == 429
        assert ask(f"{hub.url}/api/account", cookie=cookie)[0] == 200  # who is in stays in
    with running(tmp_path) as hub:
        assert ask(f"{hub.url}/api/session", "POST", {"name": "lee", "password": PASSWORD})[0] == 429
        assert ask(f"{hub.url}/api/account", cookie=cookie)[0] == 200
        accounts.set_password("lee", "and yet another one")
        for _ in range(4):
            assert ask(f"{hub.url}/api/account", cookie=cookie)[0] == 401
    accounts.close()
