"""Signing in through a real OpenID Connect provider, and what becomes of log-ins that are not what they should be."""

import asyncio
import json
import re
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hanmaru.edge import Edge, on_problem
from hanmaru.platform.audit.record import Record
from hanmaru.platform.egress import Egress
from hanmaru.platform.identity.accounts import Accounts
from hanmaru.platform.identity.identity import Identified, Identity
from hanmaru.platform.oidc import login as oidc_login
from hanmaru.platform.oidc import provider as oidc
from hanmaru.platform.oidc.login import Logins, local_path
from hanmaru.platform.oidc.provider import Client, OidcError, Provider, account_name, check_claims
from hanmaru.platform.policy import GuardedRoute, caller_of
from hanmaru.platform.problems import Problem
from tests.asgi import Answer, ask
from tests.platform.providing import CLIENT_ID, CLIENT_SECRET, RealProvider, install, providing, visit

HTML = {"accept": "text/html,*/*;q=0.8"}
CALLBACK = "http://localhost/login/oidc/callback"
ROLES = {"/hub/admins": "admin", "/hub/analysts": "reader"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("oidc-provider"))


@pytest.fixture(scope="module")
def running(server: Path) -> Generator[RealProvider]:
    with providing(server) as real:
        yield real


@pytest.fixture
def real(running: RealProvider) -> RealProvider:
    return running.behave()


class House:
    """A hub whose people sign in at a provider, with an audit trail in memory; a browser's cookies are the caller's."""

    def __init__(self, folder: Path, client: Client, egress: Egress | None = None) -> None:
        async def who(request: Request) -> Response:
            caller = caller_of(request)
            return JSONResponse({"name": caller.name, "roles": caller.roles, "second_factor": caller.second_factor})

        self.records: list[Record] = []
        self.accounts, self.logins = Accounts(folder), Logins(folder)
        self.identity = identity = Identity(self.accounts, audit=self)
        self.provider = Provider(client, egress or Egress())
        self.app = Starlette(
            routes=[
                GuardedRoute("/who", who, permission="read"),
                *oidc_login.routes(self.provider, self.logins, identity),
            ],
            middleware=[
                Middleware(Edge, body_bytes=100_000, request_s=30, slow_request_s=30),
                Middleware(Identified, identity),
            ],
            exception_handlers={Problem: on_problem},
        )

    def record(self, record: Record) -> None:
        self.records.append(record)

    async def commit(self, record: Record) -> None:
        self.records.append(record)

    def close(self) -> None:
        self.accounts.close()
        self.logins.close()

    async def begin(self, next: str = "/") -> tuple[str, str]:
        """Set out; return the provider's address and the cookie that was given."""
        answer = await ask(self.app, f"/login/oidc?next={quote(next, safe='')}", headers=HTML)
        assert answer.status == 302
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert "Max-Age=600" in cookie
        return answer.headers["location"], cookie.partition(";")[0]

    async def come_back(self, address: str, cookie: str) -> Answer:
        """Follow the provider's redirect."""
        return await ask(self.app, address.removeprefix("http://localhost"), headers={**HTML, "cookie": cookie})

    async def sign_in(self, person: str, next: str = "/") -> Answer:
        address, cookie = await self.begin(next)
        return await self.come_back(await visit(address, person, until=CALLBACK), cookie)


@pytest.fixture
def make(real: RealProvider, tmp_path: Path) -> Iterator[Callable[..., House]]:
    made: list[House] = []

    def house(*, egress: Egress | None = None, **changes: Any) -> House:
        scope = "openid profile email groups"
        client = replace(Client(real.issuer, CLIENT_ID, CLIENT_SECRET, scope=scope, roles=ROLES), **changes)
        made.append(House(tmp_path, client, egress))
        return made[-1]

    yield house
    for one in made:
        one.close()


@pytest.fixture
def house(make: Callable[..., House]) -> House:
    return make()


def session(answer: Answer) -> dict[str, str]:
    assert "hanmaru_session=" in answer.headers["set-cookie"]
    assert "SameSite=strict" in answer.headers["set-cookie"]
    return {"cookie": answer.headers["set-cookie"].partition(";")[0]}


async def refused(house: House, answer: Answer, status: int, says: str) -> None:
    """Check that an answer is a page that says why, that there is no session, and that audit knows."""
    assert answer.status == status, answer.body
    assert answer.headers["content-type"].startswith("text/html")
    assert says in answer.body.decode()
    assert "hanmaru_session" not in answer.headers.get("set-cookie", "")
    assert [record.action for record in house.records] == ["session.refuse"]
    assert house.records[0].decision == "deny"


async def test_somebody_signs_in_and_gets_the_roles_of_their_groups(house: House) -> None:
    answer = await house.sign_in("mina", "/?layer=air#map")
    assert answer.status == 200
    assert 'content="0;url=/?layer=air#map"' in answer.body.decode()
    assert answer.headers["referrer-policy"] == "no-referrer"
    me = (await ask(house.app, "/who", headers=session(answer))).json()
    assert me == {"name": "oidc:mina", "roles": ["admin"], "second_factor": False}
    account = house.accounts.find("oidc:mina")
    assert account
    assert (account.title, account.provider, account.hash) == ("mina", True, None)
    assert [(record.action, record.who) for record in house.records] == [("session.start", "oidc:mina")]


async def test_roles_are_taken_anew_at_each_log_in(make: Callable[..., House]) -> None:
    before, after = make(), make(roles={"staff": "reader"})
    session(await before.sign_in("mina"))
    me = await ask(after.app, "/who", headers=session(await after.sign_in("mina")))
    assert me.json()["roles"] == ["reader"]


@pytest.mark.parametrize("person", ["sora", "nobody"])
async def test_who_has_no_role_gets_a_page_that_says_so(house: House, person: str) -> None:
    await refused(house, await house.sign_in(person), 403, "none of your groups has a role in this hub")
    assert house.records[0].detail["subject"] == f"oidc:{person}"


async def test_a_second_factor_is_what_the_provider_says(house: House, real: RealProvider) -> None:
    real.behave(claims={"amr": ["pwd", "mfa"]})
    me = await ask(house.app, "/who", headers=session(await house.sign_in("jun")))
    assert me.json() == {"name": "oidc:jun", "roles": ["reader"], "second_factor": True}


async def test_keys_are_asked_for_again_with_the_metadata(
    house: House, real: RealProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    session(await house.sign_in("mina"))
    real.behave(rotate=True)
    house.provider._keys_missed = time.monotonic()  # a miss does not ask again now
    monkeypatch.setattr(house.provider, "_metadata_until", 0.0)
    session(await house.sign_in("mina"))


async def test_groups_may_come_in_the_id_token_too(house: House, real: RealProvider) -> None:
    real.behave(claims={"groups": ["/hub/admins"]})
    me = await ask(house.app, "/who", headers=session(await house.sign_in("sora")))
    assert me.json()["roles"] == ["admin"]


FORGERIES: dict[str, tuple[dict[str, Any], str]] = {
    "another log-in's nonce": ({"claims": {"nonce": "another"}}, "belongs to another log-in"),
    "no nonce": ({"claims": {"nonce": None}}, "belongs to another log-in"),
    "another application's": ({"claims": {"aud": "another"}}, "meant for another application"),
    "several applications' without azp": ({"claims": {"aud": ["hanmaru", "x"]}}, "meant for another application"),
    "another azp": ({"claims": {"azp": "another"}}, "meant for another application"),
    "expired": ({"claims": {"exp": int(time.time()) - 100}}, "has expired"),
    "no end": ({"claims": {"exp": None}}, "when it ends"),
    "from the future": ({"claims": {"iat": int(time.time()) + 4000}}, "from the future"),
    "another issuer's": ({"claims": {"iss": "https://elsewhere.example"}}, "another issuer"),
    "nobody": ({"claims": {"sub": ""}}, "names nobody"),
    "no signature": ({"alg": "none"}, "signed in a way that is not accepted"),
    "signed with the client's secret": ({"alg": "HS256"}, "signed in a way that is not accepted"),
    "signed with another key": ({"sign": "other"}, "signature does not hold"),
    "a key nobody has": ({"header": {"kid": "unknown"}}, "a key that the provider does not have"),
    "no answer": ({"answer": "[]"}, "no ID token"),
    "an answer that is none": ({"answer": '{"id_token": "a.b.c"}'}, "signature does not hold"),
}


@pytest.mark.parametrize("name", FORGERIES)
async def test_a_forged_id_token_lets_nobody_in(house: House, real: RealProvider, name: str) -> None:
    how, says = FORGERIES[name]
    real.behave(**how)
    await refused(house, await house.sign_in("mina"), 403, says)


async def test_clocks_may_differ_by_a_minute(house: House, real: RealProvider) -> None:
    real.behave(claims={"exp": int(time.time()) - 30, "iat": int(time.time()) + 30})
    session(await house.sign_in("mina"))


async def test_new_keys_are_taken_up_at_most_once_a_minute(house: House, real: RealProvider) -> None:
    session(await house.sign_in("mina"))
    session(await (house.sign_in("jun") if real.behave(rotate=True) else house.sign_in("")))
    real.behave(rotate=True)
    house.records.clear()
    await refused(house, await house.sign_in("mina"), 403, "a key that the provider does not have")


async def test_an_unknown_missing_or_changed_state_is_refused(house: House) -> None:
    address, cookie = await house.begin()
    back = await visit(address, "mina", until=CALLBACK)
    query = parse_qs(urlsplit(back).query)
    for change in ({"state": "x"}, {"state": ""}, {"state": [query["state"][0], "twice"]}):
        changed = f"{CALLBACK}?{urlencode({**query, **change}, doseq=True)}"
        assert (await house.come_back(changed, cookie)).status == 400
    assert {record.action for record in house.records} == {"session.refuse"}


async def test_a_log_in_is_good_once(house: House) -> None:
    address, cookie = await house.begin()
    back = await visit(address, "mina", until=CALLBACK)
    session(await house.come_back(back, cookie))
    house.records.clear()
    await refused(house, await house.come_back(back, cookie), 400, "was used already")


async def test_a_log_in_is_good_in_the_browser_that_began_it(house: House) -> None:
    address, _ = await house.begin()
    _, others = await house.begin()
    back = await visit(address, "mina", until=CALLBACK)
    await refused(house, await house.come_back(back, others), 400, "began in another browser")
    assert (await house.come_back(back, "a=b")).status == 400


async def test_another_sites_page_signs_nobody_in_unasked(house: House) -> None:
    page = await ask(house.app, "/login/oidc?next=/%3Fa%3D%22b", headers={**HTML, "sec-fetch-site": "cross-site"})
    assert page.status == 200
    assert "set-cookie" not in page.headers
    assert '<a href="/login/oidc?next=%2F%3Fa%3D%22b">Sign in</a>' in page.body.decode()
    ours = await ask(house.app, "/login/oidc", headers={**HTML, "sec-fetch-site": "same-origin"})
    typed = await ask(house.app, "/login/oidc", headers={**HTML, "sec-fetch-site": "none"})
    assert (ours.status, typed.status) == (302, 302)


async def test_over_https_the_log_ins_cookie_can_come_from_no_other_host(house: House) -> None:
    house.identity.public_url = "https://localhost"
    address, cookie = await house.begin()
    assert cookie.startswith("__Host-hanmaru_oidc=")
    state = parse_qs(urlsplit(address).query)["state"][0]
    back = f"{CALLBACK}?" + urlencode({"state": state, "iss": house.provider.client.issuer, "error": "access_denied"})
    planted = await house.come_back(back, cookie.removeprefix("__Host-"))
    assert planted.status == 400
    denied = await house.come_back(back, cookie)
    assert denied.status == 403
    assert {"Secure", "Path=/", "Max-Age=0"} <= set(denied.headers["set-cookie"].split("; "))


async def test_a_log_in_is_good_for_ten_minutes(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    address, cookie = await house.begin()
    back = await visit(address, "mina", until=CALLBACK)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + oidc_login.LOGIN_S + 1)
    await refused(house, await house.come_back(back, cookie), 400, "longer than ten minutes")


async def test_a_code_of_another_log_in_is_worth_nothing(house: House) -> None:
    """Somebody who stole a code cannot use it in a log-in of their own: PKCE."""
    stolen = parse_qs(urlsplit(await visit((await house.begin())[0], "mina", until=CALLBACK)).query)["code"][0]
    address, cookie = await house.begin()
    query = parse_qs(urlsplit(await visit(address, "jun", until=CALLBACK)).query)
    answer = await house.come_back(f"{CALLBACK}?{urlencode({**query, 'code': stolen}, doseq=True)}", cookie)
    await refused(house, answer, 403, "invalid_grant")


@pytest.mark.parametrize("iss", ["https://elsewhere.example", None])
async def test_an_answer_of_another_provider_is_a_mix_up(house: House, iss: str | None) -> None:
    address, cookie = await house.begin()
    query: dict[str, Any] = parse_qs(urlsplit(await visit(address, "mina", until=CALLBACK)).query)
    query["iss"] = iss
    changed = {name: value for name, value in query.items() if value}
    answer = await house.come_back(f"{CALLBACK}?{urlencode(changed, doseq=True)}", cookie)
    await refused(house, answer, 403, "another provider" if iss else "does not say whose it is")


async def test_who_refuses_at_the_provider_gets_a_page(house: House) -> None:
    address, cookie = await house.begin("/next")
    back = await visit(address, "mina", until=CALLBACK, refuse=True)
    answer = await house.come_back(back, cookie)
    await refused(house, answer, 403, "access_denied")
    assert 'href="/login/oidc?next=%2Fnext"' in answer.body.decode()


async def test_a_page_speaks_korean_to_who_reads_it(house: House) -> None:
    headers = {**HTML, "accept-language": "ko-KR,ko;q=0.9"}
    answer = await ask(house.app, "/login/oidc/callback?state=x", headers=headers)
    assert "알 수 없는 로그인 요청입니다" in answer.body.decode()
    assert '<html lang="ko">' in answer.body.decode()


async def test_a_built_in_account_is_never_taken_over(house: House) -> None:
    house.accounts.add("mina", "a long enough passphrase", "admin")
    me = await ask(house.app, "/who", headers=session(await house.sign_in("mina")))
    assert me.json()["name"] == "oidc:mina"
    found = house.accounts.find("mina")
    assert found
    assert not found.provider


async def test_a_locked_account_stays_out(house: House) -> None:
    house.accounts.add("boss", "a long enough passphrase", "admin")
    session(await house.sign_in("mina"))
    house.accounts.set_locked("oidc:mina", True)
    house.records.clear()
    await refused(house, await house.sign_in("mina"), 403, "locked this account")


async def test_a_provider_that_is_away_is_503_and_asked_again_soon(
    make: Callable[..., House], real: RealProvider
) -> None:
    house = make()
    real.behave(down=True)
    answer = await ask(house.app, "/login/oidc", headers=HTML)
    assert answer.status == 503
    assert answer.headers["retry-after"] == "5"
    assert "cannot be reached" in answer.body.decode()
    assert (await ask(house.app, "/login/oidc")).json()["title"] == "The sign-in provider cannot be reached"
    nowhere = make(issuer="http://127.0.0.1:9")
    assert (await ask(nowhere.app, "/login/oidc", headers=HTML)).status == 503


async def test_a_provider_that_goes_away_meanwhile_is_503(house: House, real: RealProvider) -> None:
    address, cookie = await house.begin()
    back = await visit(address, "mina", until=CALLBACK)
    real.behave(down=True)
    await refused(house, await house.come_back(back, cookie), 503, "cannot be reached")


async def test_metadata_of_another_issuer_is_not_believed(make: Callable[..., House], real: RealProvider) -> None:
    elsewhere = make(issuer=real.issuer.replace("127.0.0.1", "localhost"))
    answer = await ask(elsewhere.app, "/login/oidc", headers=HTML)
    assert answer.status == 503
    assert elsewhere.records[0].detail["reason"].endswith("names another issuer")


async def test_the_provider_is_asked_where_egress_permits(make: Callable[..., House]) -> None:
    assert (await ask(make(egress=Egress(["public"])).app, "/login/oidc", headers=HTML)).status == 503


@asynccontextmanager
async def hostile(answer: Callable[[web.Request], web.StreamResponse]) -> AsyncGenerator[str]:
    """Serve as an issuer that answers what it likes."""

    async def serve(request: web.Request) -> web.StreamResponse:
        return answer(request)

    runner = web.ServerRunner(web.Server(serve))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: web.Response(body=b"x" * (oidc.MOST_BYTES + 1)),
        lambda _: web.Response(body=b"[" * 10_000),
        lambda _: web.json_response({"issuer": 5}),
        lambda _: web.Response(status=302, headers={"location": "http://169.254.169.254/"}),
        lambda request: web.json_response(
            {
                "issuer": f"http://{request.host}",
                "authorization_endpoint": "http://elsewhere.example/auth",
                "token_endpoint": f"http://{request.host}/token",
                "jwks_uri": f"http://{request.host}/keys",
            }
        ),
    ],
    ids=["endless", "deep", "wrong types", "redirect", "without TLS"],
)
async def test_a_hostile_issuer_is_503(make: Callable[..., House], answer: Any) -> None:
    async with hostile(answer) as issuer:
        assert (await ask(make(issuer=issuer).app, "/login/oidc", headers=HTML)).status == 503


def test_log_ins_are_bounded_and_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oidc_login, "MOST_LOGINS", 3)
    logins = Logins(tmp_path)
    begun = [logins.begin(CALLBACK, "/") for _ in range(4)]
    assert (tmp_path / oidc_login.FILE).stat().st_mode & 0o077 == 0
    content = b"".join(path.read_bytes() for path in tmp_path.glob(f"{oidc_login.FILE}*"))
    assert begun[3].state.encode() not in content
    assert begun[3].binding.encode() not in content
    assert [logins.take(one.state, one.binding) is None for one in begun] == [True, False, False, False]
    logins.close()


ELSEWHERE = [
    "//elsewhere.example", "https://elsewhere.example", "/\\elsewhere.example", "\\\\elsewhere.example", "elsewhere",
    "",
    "javascript:alert(1)", "/\t/elsewhere.example", "/\n/elsewhere.example", "/%0a\r\n", "/x" * 2000, "/login/oidc",
    "/login/oidc/callback?state=x", "/ x", "///elsewhere.example", "\x00/", "http:elsewhere.example",
]  # fmt: skip


@pytest.mark.parametrize("path", ELSEWHERE)
def test_no_path_leads_elsewhere(path: str) -> None:
    assert local_path(path) == "/"


@given(st.one_of(st.text(), st.text(alphabet="/\\:.@?#ab \t\n\"'<>%").map(lambda rest: "/" + rest)))
def test_any_next_is_a_local_path(path: str) -> None:
    found = local_path(path)
    assert re.match(r"/(?![/\\])", found)
    assert not re.search(r"[\s\\\x00-\x1f]", found)


@given(st.text(min_size=1, max_size=300))
def test_an_account_name_is_short_printable_and_never_a_built_in_ones(subject: str) -> None:
    name = account_name(subject)
    assert name.startswith("oidc:")
    assert len(name) <= 64
    assert name.isascii()
    assert name.isprintable()


KEY = ECKey.generate_key("P-256", {"kid": "one", "alg": "ES256", "use": "sig"})
RSA = RSAKey.generate_key(2048, {"kid": "two"})
NOW = 1_790_000_000
GOOD = {"iss": "https://id.example", "aud": "hanmaru", "sub": "x", "nonce": "n", "exp": NOW + 60, "iat": NOW}


def test_a_good_token_is_good() -> None:
    check_claims(GOOD, "https://id.example", "hanmaru", "n", NOW)
    check_claims({**GOOD, "aud": ["hanmaru", "x"], "azp": "hanmaru"}, "https://id.example", "hanmaru", "n", NOW)


def test_the_key_is_the_one_named_or_the_only_one_that_fits() -> None:
    encrypting = ECKey.generate_key("P-256", {"kid": "three", "use": "enc"})
    keys = KeySet([KEY, RSA, encrypting])
    assert oidc.choose(keys, "one", "ES256") is KEY
    assert oidc.choose(keys, None, "ES256") is KEY
    assert oidc.choose(keys, None, "RS256") is RSA
    assert oidc.choose(keys, "one", "RS256") is None
    assert oidc.choose(keys, "three", "ES256") is None
    assert oidc.choose(KeySet([KEY, ECKey.generate_key("P-256", {"kid": "four"})]), None, "ES256") is None


anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.sampled_from(list(GOOD.values()))),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*GOOD, "azp", "nbf"]), anything, min_size=1))
def test_fuzzed_claims_are_refused_or_good(changes: dict[str, Any]) -> None:
    claims = {**GOOD, **changes}
    try:
        check_claims(claims, "https://id.example", "hanmaru", "n", NOW)
    except OidcError as error:
        assert error.kind == "refused"  # noqa: PT017 - some are good
    else:
        assert claims["iss"] == GOOD["iss"]
        assert claims["nonce"] == "n"
        assert claims["aud"] == "hanmaru" or "hanmaru" in claims["aud"]
        assert claims["exp"] > NOW - oidc.CLOCK_SKEW_S


class Prepared(Provider):
    """A provider whose metadata and keys are known already."""

    def __init__(self) -> None:
        super().__init__(Client("https://id.example", "hanmaru"))
        self._keys = KeySet([KEY, RSA])
        self._keys_missed = time.monotonic()

    async def metadata(self) -> oidc.Metadata:
        return oidc.Metadata(
            "https://id.example", "https://id.example/a", "https://id.example/t", "https://id.example/k"
        )


def encoded(value: Any) -> str:
    import base64

    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


SIGNED = jwt.encode({"alg": "ES256", "kid": "one"}, {**GOOD, "exp": 2**33, "iat": 1}, KEY)
places = st.integers(0, len(SIGNED) - 1)


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.text(),
        st.tuples(places, st.characters()).map(
            lambda change: SIGNED[: change[0]] + change[1] + SIGNED[change[0] + 1 :]
        ),
        st.tuples(anything, anything, st.text(max_size=80)).map(lambda p: f"{encoded(p[0])}.{encoded(p[1])}.{p[2]}"),
        st.dictionaries(
            st.sampled_from(["alg", "kid", "jwk", "jku", "crit", "b64", "zip", "typ", "x5c"]), anything
        ).map(lambda header: f"{encoded({'alg': 'ES256', **header})}.{SIGNED.partition('.')[2]}"),
    )
)
def test_fuzzed_id_tokens_are_refused(token: str) -> None:
    async def verified() -> bool:
        try:
            await Prepared().verified(token, "n")
        except OidcError as error:
            return error.kind != "refused"
        return True

    assert asyncio.run(verified()) is same_token(token)


def same_token(token: str) -> bool:
    """Whether a changed token still is the signed one: unused bits of a base64 letter change nothing."""
    from joserfc.util import urlsafe_b64decode

    if not token.isascii():
        return False
    try:
        parts = [urlsafe_b64decode(part.encode()) for part in token.split(".")]
    except ValueError:
        return False
    head, body = token.split(".")[:2] if len(parts) == 3 else ("", "")
    return [head, body] == SIGNED.split(".")[:2] and parts[2] == urlsafe_b64decode(SIGNED.split(".")[2].encode())


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Starlette, Logins]]:
    folder = tmp_path_factory.mktemp("house")
    accounts, logins = Accounts(folder), Logins(folder)
    identity = Identity(accounts)
    app = Starlette(
        routes=oidc_login.routes(Prepared(), logins, identity),
        middleware=[
            Middleware(Edge, body_bytes=1000, request_s=30, slow_request_s=30),
            Middleware(Identified, identity),
        ],
        exception_handlers={Problem: on_problem},
    )
    yield app, logins
    accounts.close()
    logins.close()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    query=st.one_of(
        st.text(st.characters(max_codepoint=126)),
        st.lists(st.tuples(st.sampled_from(["state", "code", "iss", "error", "next"]), st.text())).map(
            lambda pairs: urlencode(pairs, errors="replace")
        ),
    ),
    cookie=st.text(st.characters(max_codepoint=255)),
    own=st.booleans(),
)
def test_fuzzed_callbacks_are_4xx(fuzzed: tuple[Starlette, Logins], query: str, cookie: str, own: bool) -> None:
    app, logins = fuzzed
    if own:  # a browser that did begin a log-in, but comes back with nonsense
        login = logins.begin(CALLBACK, "/")
        query = f"state={login.state}&iss=https%3A%2F%2Felsewhere.example&{query}"
        cookie = f"{oidc_login.COOKIE}={login.binding}"
    headers = {**HTML, "cookie": cookie.encode("latin-1", "replace").decode("latin-1")}
    answer = asyncio.run(
        ask(app, f"/login/oidc/callback?{query}", headers={k: v for k, v in headers.items() if v.isascii()})
    )
    assert 400 <= answer.status < 500
    assert "hanmaru_session" not in answer.headers.get("set-cookie", "")
