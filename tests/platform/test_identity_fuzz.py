"""Whatever is sent where credentials belong: a clear refusal, never an error of ours, never access."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette

from hanmaru.platform.identity.credentials import COOKIE, SECURE_COOKIE
from hanmaru.platform.identity.identity import Identity
from tests.asgi import Answer, ask
from tests.platform.authenticator import Authenticator, decode, encode
from tests.platform.people import KIM, Browser, app_of, people

REFUSED = {400, 401, 403, 413, 429}
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
MANY = settings(FEW, max_examples=150)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


class House:
    """An application and the loop that it runs in, for a whole module of examples."""

    def __init__(self, app: Starlette, runner: asyncio.Runner) -> None:
        self.app, self.runner = app, runner
        self.device = Authenticator(counts=False)
        self.runner.run(self._register())

    async def _register(self) -> None:
        kim = Browser(self.app)
        await kim.sign_in("kim", KIM)
        options = (await kim.ask("POST", "/api/account/passkeys/options")).json()
        sent = {"title": "Phone", "credential": self.device.create(options)}
        assert (await kim.ask("POST", "/api/account/passkeys", sent)).status == 201

    def ask(self, path: str, **more: Any) -> Answer:
        return self.runner.run(ask(self.app, path, **more))

    def options(self) -> dict[str, Any]:
        return self.ask("/api/session/passkey/options", method="POST").json()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with asyncio.Runner() as runner:
        yield House(app_of(Identity(people(Path(tmp_path_factory.mktemp("accounts"))))), runner)


def refused(answer: Answer) -> None:
    assert answer.status in REFUSED, (answer.status, answer.body)
    assert "set-cookie" not in answer.headers
    assert answer.json()["title"]


tokens = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=60)


@MANY
@given(cookie=tokens | tokens.map(lambda t: f"{COOKIE}={t}") | tokens.map(lambda t: f'{SECURE_COOKIE}="{t}; a=b;;'))
def test_cookies(house: House, cookie: str) -> None:
    for method in ("GET", "POST"):
        refused(house.ask("/things", method=method, headers={"cookie": cookie, "sec-fetch-site": "same-origin"}))


basic = st.binary(max_size=60).map(lambda raw: "Basic " + b64encode(raw).decode())


@FEW
@given(
    header=tokens | basic | st.builds(lambda s, t: f"{s} {t}", st.sampled_from(["Basic", "Bearer", "Digest"]), tokens)
)
def test_authorization_headers(house: House, header: str) -> None:
    assume(header.strip())
    refused(house.ask("/things", headers={"authorization": header}))
    refused(house.ask("/things", headers={"x-api-key": header}))


names = st.sampled_from(["kim", "lee", "", "\x00", "é", "x" * 5000]) | st.text(max_size=20)


@FEW
@given(
    body=JSON | st.fixed_dictionaries({"name": names, "password": st.text(max_size=200), "code": st.text(max_size=30)})
)
def test_signing_in_with_any_document(house: House, body: Any) -> None:
    refused(house.ask("/api/session", method="POST", body=json.dumps(body).encode()))


@MANY
@given(body=st.binary(max_size=300) | st.integers(1, 30_000).map(lambda n: b"[" * n) | st.just(b"x" * 70_000))
def test_signing_in_with_any_bytes(house: House, body: bytes) -> None:
    for path in ("/api/session", "/api/session/passkey", "/api/setup"):
        refused(house.ask(path, method="POST", body=body))


@FEW
@given(code=st.text(max_size=40) | st.from_regex(r"[0-9]{6}", fullmatch=True))
def test_second_factors(house: House, code: str) -> None:
    sent = {"name": "kim", "password": KIM, "code": code}
    refused(house.ask("/api/session", method="POST", body=json.dumps(sent).encode(), client="192.0.2.8"))


@MANY
@given(body=JSON)
def test_passkeys_that_are_none(house: House, body: Any) -> None:
    refused(house.ask("/api/session/passkey", method="POST", body=json.dumps(body).encode()))


def paths(value: Any, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict):
        for key, member in value.items():
            yield (*prefix, key)
            yield from paths(member, (*prefix, key))


RESPONSE = ("clientDataJSON", "authenticatorData", "signature", "userHandle")
members = st.sampled_from([("id",), ("rawId",), ("type",), ("response",), *(("response", name) for name in RESPONSE)])


@MANY
@given(
    where=members,
    how=st.sampled_from(["flip", "remove", "replace"]),
    at=st.integers(0, 999),
    by=st.integers(1, 255),
    other=JSON,
)
def test_passkeys_with_one_member_changed(
    house: House, where: tuple[str, ...], how: str, at: int, by: int, other: Any
) -> None:
    """Every byte of a real answer counts, and every member but the user handle, which may be left out."""
    assume(where != ("response", "userHandle") or how == "flip" or (other is not None and how == "replace"))
    real = house.device.get(house.options())
    inner = real["response"] if len(where) == 2 else real
    before = inner[where[-1]]
    if how == "flip" and isinstance(before, str) and where != ("type",):
        raw = bytearray(decode(before))
        raw[at % len(raw)] ^= by
        inner[where[-1]] = encode(bytes(raw))
    elif how == "remove":
        del inner[where[-1]]
    else:
        inner[where[-1]] = other
    refused(house.ask("/api/session/passkey", method="POST", body=json.dumps(real).encode()))


def test_the_answer_that_was_changed_above_signs_in_unchanged(house: House) -> None:
    answer = house.device.get(house.options())
    assert house.ask("/api/session/passkey", method="POST", body=json.dumps(answer).encode()).status == 201


changes = st.lists(st.tuples(st.integers(0, 999), st.integers(0, 255)), min_size=1, max_size=4)


@FEW
@given(attestation=st.sampled_from(["none", "packed"]), changes=changes)
def test_new_passkeys_with_changed_bytes(house: House, attestation: str, changes: list[tuple[int, int]]) -> None:
    async def attempt() -> Answer:
        browser = Browser(house.app)
        options = (await browser.ask("POST", "/api/session/passkey/options", {})).json()
        assert (await browser.ask("POST", "/api/session/passkey", house.device.get(options))).status == 201
        options = (await browser.ask("POST", "/api/account/passkeys/options")).json()
        made = Authenticator().create(options, attestation)
        raw = bytearray(decode(made["response"]["attestationObject"]))
        for at, byte in changes:
            raw[at % len(raw)] = byte
        made["response"]["attestationObject"] = encode(bytes(raw))
        return await browser.ask("POST", "/api/account/passkeys", {"title": "x", "credential": made})

    assert house.runner.run(attempt()).status in (201, 400)


@MANY
@given(body=JSON | st.fixed_dictionaries({"token": st.text(max_size=60), "name": names, "password": st.just(KIM)}))
def test_setup_tokens(house: House, body: Any) -> None:
    refused(house.ask("/api/setup", method="POST", body=json.dumps(body).encode()))


@MANY
@given(host=tokens, origin=tokens)
def test_hosts_and_origins(house: House, host: str, origin: str) -> None:
    answer = house.ask("/api/session", method="POST", body=b"{}", headers={"host": host, "origin": origin})
    refused(answer)
    options = house.ask("/api/session/passkey/options", method="POST", headers={"host": host})
    assert options.status in (200, 409)
