"""Who asks: credentials, cookies, forged requests, and the limits on guessing."""

import asyncio
import time
from base64 import b64encode
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from hanmaru.edge import Edge, on_problem
from hanmaru.platform.identity.accounts import ROLES, Accounts, demo_accounts
from hanmaru.platform.identity.api import routes
from hanmaru.platform.identity.attempts import FREE
from hanmaru.platform.identity.identity import Identified, Identity
from hanmaru.platform.identity.sessions import Sessions
from hanmaru.platform.policy import GuardedRoute
from hanmaru.platform.problems import Problem
from tests.asgi import Answer, ask


def basic(name: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + b64encode(f"{name}:{password}".encode()).decode()}


def make(who: Identity) -> Starlette:
    async def things(request: Request) -> Response:
        return Response(status_code=204)

    return Starlette(
        routes=[
            *routes(who),
            GuardedRoute("/things", things, permission="read"),
            GuardedRoute("/things", things, permission="write", methods=["POST"]),
        ],
        middleware=[
            Middleware(Edge, body_bytes=1000, request_s=10, slow_request_s=5),
            Middleware(Identified, who),
        ],
        exception_handlers={Problem: on_problem},
    )


@pytest.fixture
def accounts(tmp_path: Path) -> Accounts:
    made = Accounts(tmp_path)
    made.add("kim", "reads things", "reader")
    made.add("lee", "writes things", "admin")
    return made


@pytest.fixture
def app(accounts: Accounts) -> Starlette:
    return make(Identity(accounts))


async def test_no_credentials_is_401_and_says_how_to_sign_in(app: Starlette) -> None:
    answer = await ask(app, "/things")
    assert answer.status == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"].startswith("Basic ")
    from_a_browser = await ask(app, "/things", headers={"sec-fetch-site": "same-origin"})
    assert "www-authenticate" not in from_a_browser.headers


async def test_a_reader_reads_and_an_admin_writes(app: Starlette) -> None:
    kim, lee = basic("kim", "reads things"), basic("lee", "writes things")
    assert (await ask(app, "/things", headers=kim)).status == 204
    assert (await ask(app, "/things", method="POST", headers=kim)).status == 403
    assert (await ask(app, "/things", method="POST", headers=lee)).status == 204


@pytest.mark.parametrize(
    "header", ["Basic ???", "Basic " + b64encode(b"nocolon").decode(), "Bearer x", "Basic", "Basic \xff"]
)
async def test_credentials_that_are_none_are_401(app: Starlette, header: str) -> None:
    assert (await ask(app, "/things", headers={"authorization": header})).status == 401


async def test_a_credential_once_verified_costs_microseconds(app: Starlette) -> None:
    kim = basic("kim", "reads things")
    await ask(app, "/things", headers=kim)
    started = time.perf_counter()
    for _ in range(200):
        await ask(app, "/things", headers=kim)
    assert time.perf_counter() - started < 200 * 0.002  # one argon2 verification alone takes some 0.05 s


async def test_a_changed_password_counts_at_once_though_the_old_one_was_remembered(
    app: Starlette, accounts: Accounts, tmp_path: Path
) -> None:
    kim = basic("kim", "reads things")
    assert (await ask(app, "/things", headers=kim)).status == 204
    Accounts(tmp_path).set_password("kim", "another password")
    assert (await ask(app, "/things", headers=kim)).status == 401
    assert (await ask(app, "/things", headers=basic("kim", "another password"))).status == 204


async def test_guessing_is_limited_by_address_and_name(app: Starlette) -> None:
    for _ in range(FREE):
        assert (await ask(app, "/things", headers=basic("kim", "guess"))).status == 401
    refused = await ask(app, "/things", headers=basic("kim", "reads things"))
    assert refused.status == 429
    assert int(refused.headers["retry-after"]) > 0
    assert (await ask(app, "/things", headers=basic("kim", "reads things"))).status == 429  # asking again is no way out
    elsewhere = await ask(app, "/things", headers=basic("kim", "reads things"), client="192.0.2.7")
    assert elsewhere.status == 204


async def sign_in(app: Starlette, name: str, password: str) -> Answer:
    body = f'{{"name":"{name}","password":"{password}"}}'.encode()
    return await ask(app, "/api/session", method="POST", body=body)


async def test_a_browser_signs_in_reads_and_signs_out(app: Starlette) -> None:
    assert (await ask(app, "/api/session")).status == 401
    signed_in = await sign_in(app, "lee", "writes things")
    assert signed_in.status == 201
    assert signed_in.json() == {"name": "lee", "roles": ["admin"], "login": True, "second_factor": False}
    set_cookie = signed_in.headers["set-cookie"]
    assert "HttpOnly" in set_cookie
    assert "SameSite=strict" in set_cookie
    cookie = {"cookie": set_cookie.partition(";")[0]}
    assert (await ask(app, "/api/session", headers=cookie)).json()["name"] == "lee"
    assert (await ask(app, "/things", headers=cookie)).status == 204
    ours = {**cookie, "sec-fetch-site": "same-origin"}
    assert (await ask(app, "/api/session", method="DELETE", headers=ours)).status == 204
    assert (await ask(app, "/things", headers=cookie)).status == 401


async def test_writes_by_cookie_come_from_our_own_pages_only(app: Starlette) -> None:
    cookie = {"cookie": (await sign_in(app, "lee", "writes things")).headers["set-cookie"].partition(";")[0]}
    allowed = [{"sec-fetch-site": "same-origin"}, {"origin": "http://localhost"}]
    refused = [{}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "http://evil.example"}]
    for headers in allowed:
        assert (await ask(app, "/things", method="POST", headers=cookie | headers)).status == 204, headers
    for headers in refused:
        assert (await ask(app, "/things", method="POST", headers=cookie | headers)).status == 403, headers


async def test_another_sites_page_cannot_write_with_a_remembered_basic_credential(app: Starlette) -> None:
    forged = basic("lee", "writes things") | {"origin": "http://evil.example"}
    assert (await ask(app, "/things", method="POST", headers=forged)).status == 403


async def test_signing_in_wrongly_is_refused_readably(app: Starlette) -> None:
    assert (await sign_in(app, "lee", "guess")).status == 401
    unreadable = await ask(app, "/api/session", method="POST", body=b"{")
    assert unreadable.status == 400
    assert "JSON" in unreadable.json()["detail"]


async def test_demo_accounts_are_offered_on_this_machine_only(tmp_path: Path) -> None:
    demo = tuple(demo_accounts(tmp_path))
    app = make(Identity(Accounts(tmp_path), demo))
    at_home = await ask(app, "/api/session")
    assert [a["name"] for a in at_home.json()["demo_accounts"]] == list(ROLES)
    offered = at_home.json()["demo_accounts"][2]
    assert (await sign_in(app, offered["name"], offered["password"])).status == 201
    assert "demo_accounts" not in (await ask(app, "/api/session", client="192.0.2.7")).json()
    assert "demo_accounts" not in (await ask(app, "/api/session", host="rebound.example")).json()
    assert "demo_accounts" not in (await ask(app, "/api/session", headers={"x-forwarded-for": "192.0.2.7"})).json()


async def test_with_login_off_everybody_on_this_machine_is_the_owner_and_no_other_site_is() -> None:
    app = make(Identity(None))
    assert (await ask(app, "/things", method="POST")).status == 204
    assert (await ask(app, "/api/session")).json()["login"] is False
    assert (await ask(app, "/things", host="rebound.example")).status == 403
    assert (await ask(app, "/things", method="POST", headers={"origin": "http://evil.example"})).status == 403
    for header in ("x-forwarded-for", "forwarded", "via"):  # a proxy on this machine that names it in Host
        assert (await ask(app, "/things", headers={header: "192.0.2.7"})).status == 403


async def test_guessing_at_once_is_limited_as_guessing_in_turn(app: Starlette) -> None:
    answers = await asyncio.gather(*(sign_in(app, "kim", f"guess {n}") for n in range(30)))
    statuses = [answer.status for answer in answers]
    assert set(statuses) == {401, 429}
    assert FREE <= statuses.count(401) <= FREE + 1  # two are verified at a time


async def test_a_session_in_use_is_noted_for_the_other_workers(accounts: Accounts, tmp_path: Path) -> None:
    now = time.time()

    def clock() -> float:
        return now

    who = Identity(accounts)
    assert who.known
    who.known.sessions = Sessions(accounts, 3600, clock)
    app = make(who)
    cookie = {"cookie": (await sign_in(app, "kim", "reads things")).headers["set-cookie"].partition(";")[0]}
    elsewhere, kim = Sessions(Accounts(tmp_path), 3600, clock), accounts.find("kim")
    assert kim
    for _ in range(3):
        now += 1800
        assert (await ask(app, "/things", headers=cookie)).status == 204
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))  # noting happens aside
        assert [session.seen for session in elsewhere.of(kim)] == [now]
    now += 3601
    assert (await ask(app, "/things", headers=cookie)).status == 401
    assert elsewhere.of(kim) == []
