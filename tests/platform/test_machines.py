"""Machines: API keys and access tokens, shown once, refused everywhere at once, and cheap to verify."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
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
from hanmaru.platform.machines import bearer, machines
from hanmaru.platform.machines.bearer import FAILURES, Bearer, Failures
from hanmaru.platform.machines.machines import DAY_S, Issued, MachineError, Machines, WrongSecret
from hanmaru.platform.policy import GuardedRoute, caller_of
from hanmaru.platform.problems import Problem
from tests.asgi import Answer, ask


class Kept:
    """An audit trail in memory."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def record(self, record: Record) -> None:
        self.records.append(record)

    async def commit(self, record: Record) -> None:
        self.records.append(record)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Machines]:
    made = Machines(tmp_path)
    yield made
    made.close()


@pytest.fixture
def trail() -> Kept:
    return Kept()


@pytest.fixture
def machine_bearer(room: Machines, trail: Kept) -> Bearer:
    return Bearer(room, trail)


@pytest.fixture
def app(tmp_path: Path, machine_bearer: Bearer) -> Iterator[Starlette]:
    async def who(request: Request) -> Response:
        caller = caller_of(request)
        return JSONResponse({"name": caller.name, "roles": caller.roles, "kind": caller.kind})

    accounts = Accounts(tmp_path)
    yield Starlette(
        routes=[
            GuardedRoute("/who", who, permission="read"),
            GuardedRoute("/who", who, permission="write", methods=["POST"]),
        ],
        middleware=[
            Middleware(Edge, body_bytes=10_000, request_s=10, slow_request_s=5),
            Middleware(Identified, Identity(accounts, authenticators=[machine_bearer])),
        ],
        exception_handlers={Problem: on_problem},
    )
    accounts.close()


async def by_key(app: Starlette, key: str, method: str = "GET") -> Answer:
    return await ask(app, "/who", method=method, headers={"x-api-key": key})


async def test_a_key_opens_what_its_roles_open_by_either_header(app: Starlette, room: Machines) -> None:
    key = room.add("weather feed", "key", ["reader"]).secret
    assert (await by_key(app, key)).json() == {"name": "client:weather feed", "roles": ["reader"], "kind": "machine"}
    assert (await ask(app, "/who", headers={"authorization": f"Bearer {key}"})).status == 200
    assert (await by_key(app, key, "POST")).status == 403


async def test_an_access_token_opens_what_it_was_narrowed_to(app: Starlette, room: Machines) -> None:
    machine = room.add("etl", "oauth", ["reader", "writer"]).machine
    wide, narrow = room.issue_token(machine, ["reader", "writer"]), room.issue_token(machine, ["reader"])
    for token, status in ((wide, 200), (narrow, 403)):
        headers = {"authorization": f"Bearer {token}"}
        assert (await ask(app, "/who", headers=headers)).status == 200
        assert (await ask(app, "/who", headers=headers, method="POST")).status == status


def test_no_secret_is_in_the_file_and_only_its_owner_reads_it(room: Machines, tmp_path: Path) -> None:
    issued = room.add("etl", "oauth", ["reader"])
    key = room.add("feed", "key", ["reader"]).secret
    token = room.issue_token(issued.machine, ["reader"])
    assert len(key.rpartition("_")[2]) <= 43
    content = b"".join(path.read_bytes() for path in tmp_path.glob(f"{machines.FILE}*"))
    for secret in (issued.secret, key, token):
        assert secret[-43:].encode() not in content
    assert (tmp_path / machines.FILE).stat().st_mode & 0o077 == 0


async def test_removal_counts_at_once_in_another_worker(app: Starlette, room: Machines, tmp_path: Path) -> None:
    key, etl = room.add("feed", "key", ["reader"]), room.add("etl", "oauth", ["reader"])
    token = {"authorization": f"Bearer {room.issue_token(etl.machine, ['reader'])}"}
    assert (await by_key(app, key.secret)).status == (await ask(app, "/who", headers=token)).status == 200
    elsewhere = Machines(tmp_path)
    elsewhere.remove(key.machine.id)
    elsewhere.remove(etl.machine.id)
    elsewhere.close()
    assert (await by_key(app, key.secret)).status == (await ask(app, "/who", headers=token)).status == 401


async def test_a_revoked_token_is_refused_at_once_and_only_its_own_machine_revokes_it(
    app: Starlette, room: Machines, tmp_path: Path
) -> None:
    mine, other = room.add("mine", "oauth", ["reader"]).machine, room.add("other", "oauth", ["reader"]).machine
    token = room.issue_token(mine, ["reader"])
    headers = {"authorization": f"Bearer {token}"}
    elsewhere = Machines(tmp_path)
    assert not elsewhere.revoke_token(token, other)
    assert (await ask(app, "/who", headers=headers)).status == 200
    assert elsewhere.revoke_token(token, mine)
    assert elsewhere.revoke_token("hmt_unknown", mine)
    elsewhere.close()
    assert (await ask(app, "/who", headers=headers)).status == 401


def test_rotation_keeps_the_old_secret_for_a_while(room: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    old = room.add("feed", "key", ["reader"], days=10)
    new = room.rotate(old.machine.id, overlap_h=1)
    assert room.by_key(old.secret).name == room.by_key(new.secret).name == "feed"
    later = time.time() + 3601
    monkeypatch.setattr(time, "time", lambda: later)
    assert room.by_key(new.secret)
    with pytest.raises(WrongSecret, match="expired"):
        room.by_key(old.secret)


def test_rotation_without_overlap_ends_the_old_secret_and_the_tokens(room: Machines) -> None:
    old = room.add("etl", "oauth", ["reader"])
    token = room.issue_token(old.machine, ["reader"])
    assert room.by_token(token)
    new = room.rotate(old.machine.id, overlap_h=0)
    assert room.check(old.machine.id, new.secret, "oauth")
    with pytest.raises(WrongSecret, match="expired"):
        room.check(old.machine.id, old.secret, "oauth")
    with pytest.raises(WrongSecret):
        room.by_token(token)
    with pytest.raises(MachineError, match="0 to 24 hours"):
        room.rotate(old.machine.id, overlap_h=25)


def test_secrets_and_tokens_expire(room: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    key, etl = room.add("feed", "key", ["reader"], days=1), room.add("etl", "oauth", ["reader"])
    token = room.issue_token(etl.machine, ["reader"])
    assert room.by_key(key.secret)
    assert room.by_token(token)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + machines.TOKEN_S + 1)
    with pytest.raises(WrongSecret, match="expired"):
        room.by_token(token)
    assert room.by_key(key.secret)
    monkeypatch.setattr(time, "time", lambda: now + DAY_S + 1)
    with pytest.raises(WrongSecret, match="expired"):
        room.by_key(key.secret)


def test_of_a_machines_tokens_the_newest_are_good(room: Machines) -> None:
    machine, other = room.add("etl", "oauth", ["reader"]).machine, room.add("other", "oauth", ["reader"]).machine
    others = room.issue_token(other, ["reader"])
    tokens = [room.issue_token(machine, ["reader"])]
    assert room.by_token(tokens[0])
    tokens += [room.issue_token(machine, ["reader"]) for _ in range(machines.MOST_TOKENS)]
    with pytest.raises(WrongSecret):
        room.by_token(tokens[0])
    for token in (*tokens[1:], others):
        assert room.by_token(token)


@pytest.mark.parametrize(
    ("name", "roles", "days", "says"),
    [
        ("a:b", ["reader"], 1, "without a colon"),
        ("", ["reader"], 1, "printable"),
        ("x" * 101, ["reader"], 1, "100 characters"),
        ("x", [], 1, "at least one role"),
        ("x", ["two words"], 1, "letters"),
        ("x", ["reader"], 0, "1 to 1825 days"),
        ("x", ["reader"], 1826, "1 to 1825 days"),
        ("taken", ["reader"], 1, "already a machine 'taken'"),
    ],
)
def test_what_cannot_be_added_says_why(room: Machines, name: str, roles: list[str], days: int, says: str) -> None:
    room.add("taken", "key", ["reader"])
    with pytest.raises(MachineError, match=says):
        room.add(name, "key", roles, days)


def test_a_client_secret_is_no_key_and_a_key_no_client_secret(room: Machines) -> None:
    key, etl = room.add("feed", "key", ["reader"]), room.add("etl", "oauth", ["reader"])
    with pytest.raises(WrongSecret):
        room.check(key.machine.id, key.secret, "oauth")
    with pytest.raises(WrongSecret):
        room.by_key(f"hmk_{etl.machine.id}_{etl.secret.removeprefix('hms_')}")


async def test_use_is_noted_once_a_minute(app: Starlette, room: Machines, machine_bearer: Bearer) -> None:
    issued = room.add("feed", "key", ["reader"])
    assert room.all()[0][1] is None
    began = time.time()
    await by_key(app, issued.secret)
    await asyncio.gather(*machine_bearer.writing)
    noted = room.all()[0][1]
    assert noted
    assert began <= noted <= time.time()
    await by_key(app, issued.secret)
    assert room.all()[0][1] == noted


def test_noting_use_does_not_make_workers_read_again(room: Machines, tmp_path: Path) -> None:
    issued = room.add("feed", "key", ["reader"])
    known = room.find(issued.machine.id)
    room.note_use(issued.machine.id, time.time())
    assert room.find(issued.machine.id) is known
    room.note_use("removed meanwhile", time.time())
    with sqlite3.connect(tmp_path / machines.FILE) as db:
        assert db.execute("SELECT count(*) FROM used").fetchone() == (1,)
    db.close()


def test_verifying_costs_microseconds(room: Machines) -> None:
    key, etl = room.add("feed", "key", ["reader"]), room.add("etl", "oauth", ["reader"])
    token = room.issue_token(etl.machine, ["reader"])
    room.by_token(token)
    started = time.perf_counter()
    for _ in range(1000):
        room.by_key(key.secret)
        room.by_token(token)
    assert (time.perf_counter() - started) / 2000 < 200e-6


async def test_wrong_secrets_are_audited_and_too_many_are_429_but_a_right_one_still_opens(
    app: Starlette, room: Machines, trail: Kept
) -> None:
    issued = room.add("feed", "key", ["reader"])
    wrong = f"hmk_{issued.machine.id}_guess"
    for _ in range(FAILURES):
        assert (await by_key(app, wrong)).status == 401
    assert (await by_key(app, wrong)).status == 429
    assert (await by_key(app, issued.secret)).status == 200
    assert (await ask(app, "/who", headers={"x-api-key": wrong}, client="192.0.2.1")).status == 401
    denied = [record for record in trail.records if record.action == "client.refuse"]
    assert len(denied) == FAILURES + 1  # what was refused unseen does not fill the trail
    assert denied[0].who == ""
    assert denied[0].decision == "deny"
    assert denied[0].detail == {"reason": "no machine has this secret", "claimed": "client:feed"}
    assert "guess" not in str(trail.records)


async def test_an_expired_key_is_audited_under_its_name(
    app: Starlette, room: Machines, trail: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = room.add("feed", "key", ["reader"], days=1)
    late = time.time() + DAY_S + 1
    monkeypatch.setattr(time, "time", lambda: late)
    answer = await by_key(app, issued.secret)
    assert answer.status == 401
    assert answer.json()["detail"] == "This secret has expired."
    by_bearer = await ask(app, "/who", headers={"authorization": f"Bearer {issued.secret}"})
    assert (
        by_bearer.headers["www-authenticate"] == 'Bearer realm="Hanmaru", error="invalid_token"'
    )  # RFC 6750, section 3
    assert trail.records[-1].who == "client:feed"


def test_failures_are_remembered_for_a_bounded_number_of_addresses_and_ipv6_networks() -> None:
    failures = Failures(addresses=2)
    for address in ["192.0.2.1"] * (FAILURES + 1) + ["2001:db8::1"] * FAILURES + ["2001:db8::2"]:
        wait_s = failures.wait_s(address)
    assert wait_s > 0
    assert failures.wait_s("192.0.2.1") > 0
    failures.wait_s("192.0.2.2")
    assert failures.wait_s("192.0.2.1") == 0  # forgotten for a newer one


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Machines, Issued, str]]:
    room = Machines(tmp_path_factory.mktemp("machines"))
    issued = room.add("feed", "key", ["reader"])
    yield room, issued, room.issue_token(room.add("etl", "oauth", ["reader"]).machine, ["reader"])
    room.close()


def nearly(secret: str) -> st.SearchStrategy[str]:
    """Texts like a secret: cut, lengthened, one character changed, in another case."""
    places = st.integers(0, len(secret) - 1)
    return st.one_of(
        places.map(lambda n: secret[:n]),
        st.text(min_size=1).map(lambda more: secret + more),
        st.tuples(places, st.characters()).map(
            lambda change: secret[: change[0]] + change[1] + secret[change[0] + 1 :]
        ),
        st.just(secret.upper()),
    )


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_fuzzed_credentials_are_refused_never_let_in(real: tuple[Machines, Issued, str], data: st.DataObject) -> None:
    room, issued, token = real
    text = data.draw(st.one_of(st.text(max_size=300), nearly(issued.secret), nearly(token)))
    scheme = data.draw(st.sampled_from(["bearer", "x-api-key", "digest", ""]))
    scope = {"type": "http", "method": "GET", "path": "/", "client": ("192.0.2.9", 1)}
    if text in (issued.secret, token):
        return
    try:
        outcome = asyncio.run(bearer.Bearer(room).caller(scheme, text, scope))
    except Problem as problem:
        outcome = problem.status
    assert outcome in (None, 401)
