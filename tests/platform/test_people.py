"""What people do with their accounts over HTTP, and what administrators do with everybody's."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyotp
import pytest
from starlette.applications import Starlette

from hanmaru.platform.audit.trail import Trail
from hanmaru.platform.identity.accounts import Accounts
from hanmaru.platform.identity.credentials import COOKIE
from hanmaru.platform.identity.identity import Identity
from hanmaru.platform.policy import Caller
from tests.asgi import ask
from tests.platform.authenticator import Authenticator
from tests.platform.people import KIM, LEE, Browser, app_of, noted, people, trail
from tests.platform.test_identity import basic

NEW = "a wholly different one"


@pytest.fixture
def accounts(tmp_path: Path) -> Accounts:
    return people(tmp_path)


@pytest.fixture
def who(tmp_path: Path, accounts: Accounts) -> Iterator[Identity]:
    with Trail(tmp_path, tmp_path / "keys", "test") as audit:
        yield Identity(accounts, audit=audit)


@pytest.fixture
def app(who: Identity) -> Starlette:
    return app_of(who)


async def signed_in(app: Starlette, name: str, password: str) -> Browser:
    browser = Browser(app)
    assert (await browser.sign_in(name, password)).status == 201
    return browser


def app_code(secret: str, steps: int = 0) -> str:
    return pyotp.TOTP(secret).at(int(time.time()) + 30 * steps)


async def with_app(browser: Browser) -> tuple[str, list[str]]:
    """Add an authenticator app; return its secret and the recovery codes."""
    offered = (await browser.ask("POST", "/api/account/totp")).json()
    confirmed = await browser.ask("PUT", "/api/account/totp", {"code": app_code(offered["secret"], -1)})
    assert confirmed.status == 200
    return offered["secret"], confirmed.json()["recovery_codes"]


async def test_the_sign_in_page_learns_the_ways_in(who: Identity) -> None:
    document = (await Browser(app_of(who)).ask("GET", "/api/session")).json()
    assert document["ways"] == {"password": True, "passkey": True, "oidc": None}
    who.oidc_title = "City account"
    document = (await Browser(app_of(who)).ask("GET", "/api/session")).json()
    assert document["ways"]["oidc"] == {"title": "City account"}


async def test_with_an_app_a_password_is_not_enough(app: Starlette, tmp_path: Path) -> None:
    kim = await signed_in(app, "kim", KIM)
    assert (await kim.ask("GET", "/api/session")).json()["second_factor"] is False
    secret, codes = await with_app(kim)
    assert (await kim.ask("GET", "/api/session")).json()["second_factor"] is True  # it has just been shown
    again = Browser(app)
    needed = await again.sign_in("kim", KIM)
    assert needed.status == 401
    assert needed.json()["second_factor"] == ["totp", "recovery"]
    wrong = await again.sign_in("kim", KIM, "000000")
    assert (wrong.status, wrong.json()["title"]) == (401, "Wrong code")
    assert "second_factor" not in (await again.sign_in("kim", "wrong password", app_code(secret))).json()
    assert not again.cookie
    right = await again.sign_in("kim", KIM, app_code(secret))
    assert right.json() == {"name": "kim", "roles": ["reader"], "login": True, "second_factor": True}
    assert (await Browser(app).sign_in("kim", KIM, app_code(secret))).status == 401  # a code that somebody looked at
    assert (await Browser(app).sign_in("kim", KIM, codes[0])).status == 201
    assert (await Browser(app).sign_in("kim", KIM, codes[0])).status == 401
    shown = (await kim.ask("GET", "/api/account")).json()
    assert (shown["totp"], shown["recovery_codes_left"]) == (True, 9)
    basic_refused = await ask(app, "/things", headers=basic("kim", KIM))
    assert basic_refused.status == 401
    assert "API key" in basic_refused.json()["detail"]
    reasons = [r["detail"].get("reason") for r in noted(tmp_path) if r["action"] == "session.refuse"]
    assert {"second factor not shown", "wrong code", "wrong name or password"} <= set(reasons)
    ways = [r["detail"]["way"] for r in noted(tmp_path) if r["action"] == "session.start" and r["who"] == "kim"]
    assert ways == ["password", "changed account", "password", "password"]
    for text in (KIM, secret, codes[0], "wrong password"):
        assert text.encode() not in trail(tmp_path)


async def test_codes_are_not_to_be_guessed(app: Starlette) -> None:
    kim = await signed_in(app, "kim", KIM)
    secret, _ = await with_app(kim)
    guesser = Browser(app, client="192.0.2.9")
    statuses = [(await guesser.sign_in("kim", KIM, f"{n:06}")).status for n in range(9)]
    assert statuses == [401] * 8 + [429]
    assert (await guesser.sign_in("kim", KIM, app_code(secret))).status == 429
    assert (await Browser(app).sign_in("kim", KIM, app_code(secret))).status == 201


async def test_a_passkey_is_added_and_signs_in_alone(app: Starlette) -> None:
    lee, other, device = await signed_in(app, "lee", LEE), await signed_in(app, "lee", LEE), Authenticator()
    options = (await lee.ask("POST", "/api/account/passkeys/options")).json()
    sent = {"title": "Phone", "credential": device.create(options)}
    added = await lee.ask("POST", "/api/account/passkeys", sent)
    assert added.status == 201
    assert (await other.ask("GET", "/api/account")).status == 401  # begun before there was a factor to show
    assert len(added.json()["recovery_codes"]) == 10
    assert (await lee.ask("POST", "/api/account/passkeys", sent)).status == 400
    offered = (await lee.ask("POST", "/api/account/totp")).json()
    second = await lee.ask("PUT", "/api/account/totp", {"code": app_code(offered["secret"])})
    assert second.json() == {}  # the codes that came with the first factor stay good
    assert (await lee.ask("DELETE", "/api/account/totp", {"password": LEE})).status == 204
    browser = Browser(app)
    needed = await browser.sign_in("lee", LEE)
    assert needed.json()["second_factor"] == ["passkey", "recovery"]
    options = (await browser.ask("POST", "/api/session/passkey/options", {})).json()
    answer = device.get(options)
    assert (await browser.ask("POST", "/api/session/passkey", answer)).status == 201
    assert (await browser.ask("GET", "/api/session")).json()["second_factor"] is True
    assert (await Browser(app).ask("POST", "/api/session/passkey", answer)).status == 401
    shown = (await browser.ask("GET", "/api/account")).json()
    (passkey,) = shown["passkeys"]
    assert (passkey["title"], passkey["id"]) == ("Phone", added.json()["id"])
    assert passkey["last_used"].endswith("Z")
    assert (await browser.ask("DELETE", f"/api/account/passkeys/{passkey['id']}")).status == 204
    assert (await browser.ask("DELETE", f"/api/account/passkeys/{passkey['id']}")).status == 404
    assert (await Browser(app).sign_in("lee", LEE)).status == 201


async def test_factors_are_changed_by_who_has_shown_one(app: Starlette, who: Identity) -> None:
    lee = await signed_in(app, "lee", LEE)
    options = (await lee.ask("POST", "/api/account/passkeys/options")).json()
    added = await lee.ask(
        "POST", "/api/account/passkeys", {"title": "Key", "credential": Authenticator().create(options)}
    )
    id = added.json()["id"]
    token = who.with_login().sessions.start("lee", second_factor=False)
    without = Browser(app, f"{COOKIE}={token}")
    for method, path, body in (
        ("POST", "/totp", None),
        ("POST", "/passkeys/options", None),
        ("DELETE", f"/passkeys/{id}", None),
        ("POST", "/recovery-codes", {"password": LEE}),
    ):
        assert (await without.ask(method, f"/api/account{path}", body)).status == 403, path
    assert (await without.ask("GET", "/api/account")).status == 200
    assert (await lee.ask("POST", "/api/account/recovery-codes", {"password": LEE})).status == 200


async def test_passkeys_need_a_hosts_name(app: Starlette) -> None:
    for host in ("127.0.0.1:8000", "[::1]:8000", "[", ""):
        answer = await ask(app, "/api/session/passkey/options", method="POST", host=host)
        assert answer.status == 409, host
    named = await ask(app, "/api/session/passkey/options", method="POST", host="hub.example:8443")
    assert named.json()["rpId"] == "hub.example"


async def test_a_changed_password_ends_the_other_sessions_and_renews_this_one(app: Starlette) -> None:
    here, there = await signed_in(app, "kim", KIM), await signed_in(app, "kim", KIM)
    before = here.cookie
    wrong = await here.ask("PUT", "/api/account/password", {"old": "not this one", "new": NEW})
    assert wrong.status == 403
    weak = await here.ask("PUT", "/api/account/password", {"old": KIM, "new": "Password1234!"})
    assert weak.status == 400
    assert "guessed" in weak.json()["detail"]
    assert (await here.ask("PUT", "/api/account/password", {"old": KIM, "new": NEW})).status == 204
    assert here.cookie != before
    assert (await here.ask("GET", "/things")).status == 204
    assert (await there.ask("GET", "/things")).status == 401
    assert (await Browser(app, before).ask("GET", "/things")).status == 401
    assert (await Browser(app).sign_in("kim", NEW)).status == 201


async def test_the_app_is_removed_by_password(app: Starlette) -> None:
    kim = await signed_in(app, "kim", KIM)
    _, codes = await with_app(kim)
    assert (await kim.ask("POST", "/api/account/totp")).status == 400
    fresh = await kim.ask("POST", "/api/account/recovery-codes", {"password": KIM})
    assert set(fresh.json()["recovery_codes"]).isdisjoint(codes)
    assert (await kim.ask("DELETE", "/api/account/totp", {"password": "not this one"})).status == 403
    assert (await kim.ask("DELETE", "/api/account/totp", {"password": KIM})).status == 204
    assert (await Browser(app).sign_in("kim", KIM)).status == 201


async def test_sessions_are_listed_and_ended_one_by_one(app: Starlette) -> None:
    here, there, lees = [await signed_in(app, *one) for one in (("kim", KIM), ("kim", KIM), ("lee", LEE))]
    sessions = (await here.ask("GET", "/api/account")).json()["sessions"]
    assert [session["current"] for session in sessions].count(True) == 1
    other = next(session for session in sessions if not session["current"])
    assert (other["address"], other["agent"]) == ("127.0.0.1", "Test/1")
    assert (await lees.ask("DELETE", f"/api/account/sessions/{other['id']}")).status == 404
    assert (await here.ask("DELETE", f"/api/account/sessions/{other['id']}")).status == 204
    assert (await there.ask("GET", "/things")).status == 401
    assert (await here.ask("GET", "/things")).status == 204


async def test_over_https_the_cookie_can_come_from_no_other_host(accounts: Accounts) -> None:
    app = app_of(Identity(accounts, public_url="https://localhost"))
    kim = Browser(app)
    answer = await kim.sign_in("kim", KIM)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-hanmaru=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=strict"} <= {part.strip() for part in cookie.split(";")}
    assert (await kim.ask("GET", "/things")).status == 204
    planted = Browser(app, kim.cookie.replace("__Host-hanmaru", "hanmaru_session"))
    assert (await planted.ask("GET", "/things")).status == 401


async def test_signing_in_gives_a_new_token_and_ends_the_one_before(app: Starlette) -> None:
    browser = await signed_in(app, "kim", KIM)
    before = browser.cookie
    assert (await browser.sign_in("lee", LEE)).status == 201
    assert browser.cookie != before
    assert (await Browser(app, before).ask("GET", "/things")).status == 401


async def test_nobody_has_an_account_without_signing_in(app: Starlette) -> None:
    for method, path in (("GET", "/api/account"), ("POST", "/api/account/totp"), ("DELETE", "/api/account/sessions/x")):
        assert (await Browser(app).ask(method, path)).status == 401, path


# What administrators do


@pytest.fixture
async def lee(app: Starlette) -> Browser:
    """An administrator who has shown a second factor."""
    browser = await signed_in(app, "lee", LEE)
    await with_app(browser)
    return browser


async def test_accounts_are_managed_with_a_second_factor_only(app: Starlette) -> None:
    for name, password in (("kim", KIM), ("lee", LEE)):
        browser = await signed_in(app, name, password)
        refused = await browser.ask("POST", "/api/accounts", {"name": "park", "roles": ["reader"]})
        assert refused.status == 403, name
    assert "second factor" in refused.json()["detail"]
    assert (await browser.ask("GET", "/api/accounts")).status == 200
    assert (await (await signed_in(app, "kim", KIM)).ask("GET", "/api/accounts")).status == 403


async def test_an_administrator_invites_and_never_knows_the_password(
    app: Starlette, lee: Browser, tmp_path: Path
) -> None:
    made = await lee.ask("POST", "/api/accounts", {"name": "park", "roles": ["reader", "writer"]})
    assert made.status == 201
    base, _, token = made.json()["setup_link"].partition("#")
    assert base == "http://localhost/setup"
    park = Browser(app)
    assert (await park.sign_in("park", "")).status == 401
    weak = await park.ask("POST", "/api/setup", {"token": token, "password": "short"})
    assert weak.status == 400
    done = await park.ask("POST", "/api/setup", {"token": token, "password": NEW})
    assert done.json() == {"name": "park", "roles": ["reader", "writer"], "login": True, "second_factor": False}
    assert (await park.ask("GET", "/things")).status == 204
    assert (await park.ask("POST", "/api/setup", {"token": token, "password": NEW})).status == 401
    listed = {account["name"]: account for account in (await lee.ask("GET", "/api/accounts")).json()}
    assert listed["park"]["last_sign_in"].endswith("Z")
    expected = {
        "name": "lee",
        "title": "",
        "roles": ["admin"],
        "kind": "person",
        "locked": False,
        "second_factor": True,
    }
    assert listed["lee"] == listed["lee"] | expected
    assert token.encode() not in trail(tmp_path)
    added = next(record for record in noted(tmp_path) if record["action"] == "account.add")
    assert (added["who"], added["detail"]["account"]) == ("lee", "park")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "kim", "roles": ["reader"]}, 409),
        ({"name": "a:b", "roles": ["reader"]}, 409),
        ({"name": "park", "roles": ["king"]}, 400),
        ({"name": "park"}, 400),
        ({"name": "park", "roles": ["reader"], "password": "chosen for them"}, 400),
    ],
)
async def test_accounts_that_cannot_be_are_refused(lee: Browser, body: Any, status: int) -> None:
    assert (await lee.ask("POST", "/api/accounts", body)).status == status


async def test_roles_and_locks_count_at_once(app: Starlette, lee: Browser) -> None:
    kim = await signed_in(app, "kim", KIM)
    assert (await lee.ask("PATCH", "/api/accounts/kim", {"roles": ["writer"]})).status == 204
    assert (await kim.ask("GET", "/things")).status == 401  # other rights, another session
    await kim.sign_in("kim", KIM)
    assert (await kim.ask("POST", "/things")).status == 204
    assert (await lee.ask("PATCH", "/api/accounts/kim", {"locked": True})).status == 204
    assert (await kim.ask("GET", "/things")).status == 401
    refused = await kim.sign_in("kim", KIM)
    assert (refused.status, refused.json()["title"]) == (403, "Account locked")
    assert (await ask(app, "/things", headers=basic("kim", KIM))).status == 403
    assert (await lee.ask("PATCH", "/api/accounts/kim", {"locked": False})).status == 204
    assert (await kim.sign_in("kim", KIM)).status == 201
    assert (await lee.ask("DELETE", "/api/accounts/kim")).status == 204
    assert (await kim.ask("GET", "/things")).status == 401
    assert (await lee.ask("DELETE", "/api/accounts/kim")).status == 404


async def test_nobody_changes_their_own_rights_and_one_administrator_stays(
    app: Starlette, lee: Browser, accounts: Accounts
) -> None:
    for method, body in (("PATCH", {"roles": ["admin", "privacy"]}), ("PATCH", {"locked": True}), ("DELETE", None)):
        assert (await lee.ask(method, "/api/accounts/lee", body)).status == 409, (method, body)
    accounts.add("park", NEW, "security")
    park = await signed_in(app, "park", NEW)
    last = await park.ask("PATCH", "/api/accounts/lee", {"locked": True})
    assert last.status == 409
    assert "last administrator" in last.json()["detail"]
    assert (await park.ask("PATCH", "/api/accounts/kim", {"locked": True})).status == 204
    assert (await park.ask("PATCH", "/api/accounts/kim", {"roles": ["admin"]})).status == 403
    assert (await park.ask("GET", "/api/accounts")).status == 200


async def test_who_opens_personal_data_or_reads_the_trail_is_for_a_privacy_officer_to_say(
    app: Starlette, lee: Browser, accounts: Accounts
) -> None:
    accounts.add("park", NEW, "privacy")
    for role in ("privacy", "auditor", "security"):
        refused = await lee.ask("POST", "/api/accounts", {"name": "choi", "roles": [role]})
        assert refused.status == 403
        assert "privacy officer" in refused.json()["detail"]
        assert (await lee.ask("PATCH", "/api/accounts/kim", {"roles": ["reader", role]})).status == 403
    assert (await lee.ask("PATCH", "/api/accounts/park", {"roles": ["reader"]})).status == 403
    assert (await lee.ask("POST", "/api/accounts/park/setup-link")).status == 403
    park = await signed_in(app, "park", NEW)
    assert (await park.ask("PATCH", "/api/accounts/kim", {"roles": ["reader", "auditor"]})).status == 403
    await with_app(park)
    assert (await park.ask("PATCH", "/api/accounts/kim", {"roles": ["reader", "auditor"]})).status == 204
    assert (await park.ask("PATCH", "/api/accounts/kim", {"roles": ["admin", "auditor"]})).status == 403
    assert (await park.ask("PATCH", "/api/accounts/kim", {"locked": True})).status == 403
    assert (await park.ask("POST", "/api/accounts", {"name": "choi", "roles": ["auditor"]})).status == 403


async def test_a_security_officer_lifts_a_lock_that_guessing_brought(
    app: Starlette, lee: Browser, who: Identity
) -> None:
    assert who.known
    for n in range(30):
        who.known.attempts.failed("kim", f"198.51.100.{n}")
    stranger = Browser(app, client="203.0.113.5")
    assert (await stranger.sign_in("kim", KIM)).status == 429
    listed = {account["name"]: account["locked"] for account in (await lee.ask("GET", "/api/accounts")).json()}
    assert listed == {"kim": True, "lee": False}
    assert (await lee.ask("PATCH", "/api/accounts/kim", {"locked": False})).status == 204
    assert (await stranger.sign_in("kim", KIM)).status == 201


async def test_a_link_for_a_forgotten_password_leaves_the_second_factor(app: Starlette, lee: Browser) -> None:
    kim = await signed_in(app, "kim", KIM)
    secret, _ = await with_app(kim)
    link = (await lee.ask("POST", "/api/accounts/kim/setup-link")).json()["setup_link"]
    stranger = Browser(app)
    done = await stranger.ask("POST", "/api/setup", {"token": link.partition("#")[2], "password": NEW})
    assert done.status == 201
    assert not stranger.cookie
    assert (await kim.ask("GET", "/things")).status == 401
    assert (await stranger.sign_in("kim", NEW)).status == 401
    assert (await stranger.sign_in("kim", NEW, app_code(secret))).status == 201


async def test_the_first_link_makes_the_first_administrator(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path / "new")
    token = accounts.setup_token(None, ["admin"])
    first = Browser(app_of(Identity(accounts)))
    taken = await first.ask("POST", "/api/setup", {"token": token, "name": "", "password": NEW})
    assert taken.status == 400
    done = await first.ask("POST", "/api/setup", {"token": token, "name": "lee", "password": NEW})
    assert done.json()["roles"] == ["admin"]
    assert (await first.ask("POST", "/things")).status == 204


async def test_the_first_link_is_void_once_there_is_an_administrator(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path / "new")
    token = accounts.setup_token(None, ["admin"])
    stranger = Browser(app_of(Identity(accounts)))
    accounts.add("kim", NEW, "reader")
    assert accounts.setup(token)
    accounts.add("lee", NEW, "admin")  # such as from the command line, while the link lies in a log
    late = await stranger.ask("POST", "/api/setup", {"token": token, "name": "mallory", "password": NEW})
    assert late.status == 401
    assert accounts.find("mallory") is None


# What other ways of signing in rely on


class Keys:
    """Knows one API key."""

    async def caller(self, scheme: str, credential: str, scope: Any) -> Caller | None:
        return Caller("sensor", ("writer",), "machine") if (scheme, credential) == ("x-api-key", "right") else None


async def test_machines_come_in_by_their_own_credentials_and_have_no_account(accounts: Accounts) -> None:
    app = app_of(Identity(accounts, authenticators=[Keys()]))
    assert (await ask(app, "/things", method="POST", headers={"x-api-key": "right"})).status == 204
    assert (await ask(app, "/things", headers={"x-api-key": "wrong"})).status == 401
    assert (await ask(app, "/things", headers={"authorization": "Bearer right"})).status == 401
    assert (await ask(app, "/api/account", headers={"x-api-key": "right"})).status in (403, 404)


async def test_a_provider_brings_roles_and_keeps_the_factors(who: Identity, accounts: Accounts) -> None:
    from starlette.requests import Request
    from starlette.responses import Response

    scope = {"type": "http", "method": "GET", "path": "/", "scheme": "http", "headers": [(b"host", b"localhost")]}
    put = await who.begin_session("park@city", Request(scope), second_factor=True, roles=("reader",))
    response = Response()
    put(response)
    park = Browser(app_of(who), response.headers["set-cookie"].partition(";")[0])
    assert (await park.ask("GET", "/api/session")).json()["second_factor"] is True
    assert (await park.ask("GET", "/api/account")).json()["provider"] is True
    assert (await park.ask("POST", "/api/account/totp")).status == 409
    assert (await park.ask("PUT", "/api/account/password", {"old": "", "new": NEW})).status in (400, 403)
    await who.begin_session("park@city", Request(scope), second_factor=True, roles=("writer",))
    assert (await park.ask("GET", "/things")).status == 401  # other roles, another session
    with pytest.raises(Exception, match="built-in"):
        await who.begin_session("kim", Request(scope), second_factor=True, roles=("admin",))
    accounts.set_locked("park@city", True)
    with pytest.raises(Exception, match="locked"):
        await who.begin_session("park@city", Request(scope), second_factor=True, roles=("writer",))
