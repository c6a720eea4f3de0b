"""Access tokens by client credentials, what errors look like, ending a token, and administering machines."""

import asyncio
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from authlib.integrations.httpx_client import AsyncOAuth2Client
from httpx2 import ASGITransport
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hanmaru.edge import Edge, on_problem
from hanmaru.platform.audit.record import Record
from hanmaru.platform.identity.accounts import Accounts
from hanmaru.platform.identity.identity import Identified, Identity
from hanmaru.platform.machines import api as clients
from hanmaru.platform.machines import oauth
from hanmaru.platform.machines.bearer import FAILURES, Bearer
from hanmaru.platform.machines.machines import TOKEN_S, Issued, Machines
from hanmaru.platform.policy import Door, GuardedRoute, Policy, caller_of
from hanmaru.platform.problems import Problem
from tests.asgi import Answer, ask

FORM = {"content-type": "application/x-www-form-urlencoded"}


class House:
    """A hub's doors for machines, with an audit trail in memory."""

    def __init__(self, folder: Path) -> None:
        async def who(request: Request) -> Response:
            caller = caller_of(request)
            return JSONResponse({"name": caller.name, "roles": caller.roles})

        self.records: list[Record] = []
        self.machines, self.accounts = Machines(folder), Accounts(folder)
        identity = Identity(
            self.accounts,
            authenticators=[Bearer(self.machines, self)],
            own_credentials=oauth.OWN_CREDENTIALS,
        )
        self.app = Starlette(
            routes=[
                GuardedRoute("/who", who, permission="read"),
                *oauth.routes(self.machines, self),
                *clients.routes(self.machines),
            ],
            middleware=[
                Middleware(Edge, body_bytes=100_000, request_s=10, slow_request_s=5),
                Middleware(Identified, identity),
            ],
            exception_handlers={Problem: on_problem},
        )
        self.app.state.door = Door(Policy(), self)
        self.client = self.machines.add("etl", "oauth", ["reader", "writer"])

    def record(self, record: Record) -> None:
        self.records.append(record)

    async def commit(self, record: Record) -> None:
        self.records.append(record)

    def actions(self) -> list[tuple[str, str]]:
        return [(record.action, record.decision) for record in self.records]

    async def post(
        self, form: dict[str, str] | bytes, issued: Issued | None = None, path: str = oauth.TOKEN_PATH, **headers: str
    ) -> Answer:
        basic = {}
        if issued:
            basic["authorization"] = "Basic " + b64encode(f"{issued.machine.id}:{issued.secret}".encode()).decode()
        body = form if isinstance(form, bytes) else urlencode(form).encode()
        return await ask(self.app, path, method="POST", headers={**FORM, **basic, **headers}, body=body)

    async def token(self, **form: str) -> str:
        return (await self.post({"grant_type": "client_credentials", **form}, self.client)).json()["access_token"]

    async def who(self, token: str) -> Answer:
        return await ask(self.app, "/who", headers={"authorization": f"Bearer {token}"})

    async def manage(self, path: str, key: str, method: str = "GET", content: Any = None) -> Answer:
        body = b"" if content is None else msgspec.json.encode(content)
        return await ask(self.app, path, method=method, headers={"x-api-key": key}, body=body)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.machines.close()
    made.accounts.close()


async def test_a_client_gets_a_token_and_uses_it(house: House) -> None:
    answer = await house.post({"grant_type": "client_credentials"}, house.client)
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body == {
        "access_token": body["access_token"],
        "token_type": "Bearer",
        "expires_in": TOKEN_S,
        "scope": "reader writer",
    }
    assert (await house.who(body["access_token"])).json() == {"name": "client:etl", "roles": ["reader", "writer"]}
    assert house.records[0] == Record(
        "client:etl",
        "token.issue",
        "POST /oauth2/token",
        where="127.0.0.1",
        request=house.records[0].request,
        detail={"scope": "reader writer"},
    )


async def test_a_stock_client_library_gets_tokens_and_uses_and_revokes_them(house: House) -> None:
    for method in ("client_secret_basic", "client_secret_post"):
        async with AsyncOAuth2Client(
            house.client.machine.id,
            house.client.secret,
            token_endpoint_auth_method=method,
            revocation_endpoint_auth_method=method,
            transport=ASGITransport(house.app),
            base_url="http://localhost",
        ) as client:
            token = await client.fetch_token(
                "http://localhost/oauth2/token", grant_type="client_credentials", scope="reader"
            )
            assert token["scope"] == "reader"
            assert (await client.get("/who")).json() == {"name": "client:etl", "roles": ["reader"]}
            assert (
                await client.revoke_token("http://localhost/oauth2/revoke", token=token["access_token"])
            ).status_code == 200
            assert (await client.get("/who")).status_code == 401


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials", "scope": "reader admin"}, "invalid_scope"),
        ({"grant_type": "client_credentials", "scope": 'a"\\\x00한'}, "invalid_scope"),
        ({"grant_type": "client_credentials", "client_secret": "twice"}, "invalid_request"),
    ],
)
async def test_errors_are_those_of_the_standard(house: House, form: dict[str, str], error: str) -> None:
    answer = await house.post(form, house.client)
    assert (answer.status, answer.json()["error"]) == (400, error)
    assert answer.headers["cache-control"] == "no-store"
    description = answer.json()["error_description"]
    assert all(" " <= c <= "~" and c not in '"\\' for c in description)  # RFC 6749, section 5.2


async def test_a_client_that_does_not_prove_itself_gets_401_and_is_audited(house: House) -> None:
    good = {"grant_type": "client_credentials"}
    guess = Issued(house.client.machine, "hms_guess")
    for answer in (
        await house.post(good),
        await house.post(good, guess),
        await house.post({**good, "client_id": house.client.machine.id, "client_secret": "hms_guess"}),
        await house.post(good, authorization="Basic ???"),
        await house.post(good, authorization="Bearer hmt_x"),
        await house.post(good, authorization="Basic " + b64encode(b"nocolon").decode()),
    ):
        assert (answer.status, answer.json()["error"]) == (401, "invalid_client")
        assert answer.headers["www-authenticate"].startswith("Basic ")
    assert house.actions() == [("token.refuse", "deny")] * 2
    assert house.records[0].detail == {"reason": "no machine has this secret", "claimed": "client:etl"}


async def test_failed_attempts_are_limited(house: House) -> None:
    guess = Issued(house.client.machine, "hms_guess")
    for _ in range(FAILURES):
        assert (await house.post({"grant_type": "client_credentials"}, guess)).status == 401
    answer = await house.post({"grant_type": "client_credentials"}, guess)
    assert (answer.status, answer.json()["error"]) == (429, "invalid_client")
    assert int(answer.headers["retry-after"]) > 0
    assert len(house.records) == FAILURES
    assert await house.token()  # nobody is locked out by others' guesses


async def test_a_token_request_is_a_short_form_without_repetition(house: House) -> None:
    for body, status in (
        (b"grant_type=client_credentials&grant_type=client_credentials", 400),
        (b"a=" + b"x" * 9000, 413),
        (b"&".join(b"%d=" % n for n in range(30)), 400),
        (b"grant_type=%ff", 400),
        (b"\xff", 400),
    ):
        answer = await house.post(body, house.client)
        assert (answer.status, answer.json()["error"]) == (status, "invalid_request")
    json = await house.post(b"{}", house.client, **{"content-type": "application/json"})
    assert (json.status, json.json()["error"]) == (400, "invalid_request")


async def test_only_its_own_client_revokes_a_token(house: House) -> None:
    token, other = await house.token(), house.machines.add("other", "oauth", ["reader"])
    refused = await house.post({"token": token}, other, oauth.REVOKE_PATH)
    assert (refused.status, refused.json()["error"]) == (400, "unauthorized_client")
    assert (await house.who(token)).status == 200
    assert (await house.post({"token": token}, house.client, oauth.REVOKE_PATH)).status == 200
    assert (await house.who(token)).status == 401
    assert (await house.post({"token": "unknown"}, house.client, oauth.REVOKE_PATH)).status == 200
    assert (await house.post({}, house.client, oauth.REVOKE_PATH)).status == 400
    assert (await house.post({"token": token}, None, oauth.REVOKE_PATH)).status == 401


async def test_metadata_tells_where_and_how(house: House) -> None:
    found = (await ask(house.app, "/.well-known/oauth-authorization-server", host="hub.city.example")).json()
    assert found["issuer"] == "http://hub.city.example"
    assert found["token_endpoint"] == "http://hub.city.example/oauth2/token"
    assert found["grant_types_supported"] == ["client_credentials"]


async def test_an_administrator_adds_lists_rotates_and_removes_machines(house: House) -> None:
    boss = house.machines.add("boss", "key", ["admin"]).secret
    answer = await house.manage(
        "/api/clients", boss, "POST", {"name": "feed", "kind": "key", "roles": ["reader"], "days": 30}
    )
    assert answer.status == 201
    made = answer.json()
    assert (await ask(house.app, "/who", headers={"x-api-key": made["secret"]})).status == 200
    listed = (await house.manage("/api/clients", boss)).json()
    assert [one["name"] for one in listed] == ["boss", "etl", "feed"]
    feed = listed[2]
    assert feed["kind"] == "key"
    assert feed["roles"] == ["reader"]
    assert feed["created"] < feed["expires"]
    assert not any("secret" in one for one in listed)
    new = (await house.manage(f"/api/clients/{made['id']}/rotate", boss, "POST", {"overlap_h": 0})).json()
    assert (await ask(house.app, "/who", headers={"x-api-key": made["secret"]})).status == 401
    assert (await ask(house.app, "/who", headers={"x-api-key": new["secret"]})).status == 200
    assert (await house.manage(f"/api/clients/{made['id']}", boss, "DELETE")).status == 204
    assert (await ask(house.app, "/who", headers={"x-api-key": new["secret"]})).status == 401
    assert (await house.manage(f"/api/clients/{made['id']}", boss, "DELETE")).status == 404
    done = {record.action: record for record in house.records}
    for action in ("client.add", "client.rotate", "client.remove"):
        assert done[action].who == "client:boss"
        assert done[action].detail["client"] == "client:feed"
    assert new["secret"] not in str(house.records)


async def test_only_who_manages_accounts_manages_machines(house: House) -> None:
    reader = house.machines.add("reader", "key", ["reader", "writer", "auditor"]).secret
    id = house.client.machine.id
    for method, path in (("GET", ""), ("POST", ""), ("DELETE", f"/{id}"), ("POST", f"/{id}/rotate")):
        assert (await house.manage(f"/api/clients{path}", reader, method, {})).status == 403
        assert (await ask(house.app, f"/api/clients{path}", method=method)).status == 401


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({}, "name"),
        ({"name": "x", "kind": "key", "roles": []}, "roles"),
        ({"name": "x", "kind": "key", "roles": ["emperor"]}, "emperor"),
        ({"name": "x", "kind": "magic", "roles": ["reader"]}, "kind"),
        ({"name": "x:y", "kind": "key", "roles": ["reader"]}, "colon"),
        ({"name": "etl", "kind": "key", "roles": ["reader"]}, "already"),
        ({"name": "x", "kind": "key", "roles": ["reader"], "days": 10**9}, "days"),
        ({"name": "x", "kind": "key", "roles": ["reader"], "more": 1}, "more"),
    ],
)
async def test_what_cannot_be_added_is_400_and_says_why(house: House, content: dict[str, Any], says: str) -> None:
    boss = house.machines.add("boss", "key", ["admin"]).secret
    answer = await house.manage("/api/clients", boss, "POST", content)
    assert answer.status == 400
    assert says in answer.json()["detail"]


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = House(tmp_path_factory.mktemp("house"))
    yield made
    made.machines.close()
    made.accounts.close()


words = st.one_of(
    st.sampled_from(["client_credentials", "grant_type", "scope", "client_id", "client_secret"]), st.text()
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from([oauth.TOKEN_PATH, oauth.REVOKE_PATH]),
    body=st.one_of(st.binary(), st.dictionaries(words, words).map(lambda d: urlencode(d, errors="replace").encode())),
    authorization=st.one_of(
        st.none(),
        st.text(st.characters(max_codepoint=126)),
        st.binary().map(lambda raw: "Basic " + b64encode(raw).decode()),
    ),
)
def test_fuzzed_token_requests_are_4xx(fuzzed: House, path: str, body: bytes, authorization: str | None) -> None:
    headers = FORM if authorization is None else {**FORM, "authorization": authorization}
    answer = asyncio.run(ask(fuzzed.app, path, method="POST", headers=headers, body=body))
    assert 400 <= answer.status < 500
    assert answer.json()["error"].startswith(("invalid_", "unsupported_"))
