"""Hand-over between two rooms, with real policy, audit trail, vaults, and an engine that is killed on the way."""

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.applications import Starlette

from hanmaru.edge import on_problem
from hanmaru.platform.audit.lines import Entry, chains, segments
from hanmaru.platform.handover import Asked, Handover, Request
from hanmaru.platform.handover.api import routes
from hanmaru.platform.handover.carry import digest
from hanmaru.platform.policy import Door
from hanmaru.platform.policy.cedar import Caller
from hanmaru.platform.problems import Problem
from hanmaru.platform.vault import VaultError
from tests.asgi import ask
from tests.platform.handover_engine import opened

PURPOSE = "investigation of a cluster"
LEE = Caller("lee", ("investigator",), second_factor=True)
PARK = Caller("park", ("ride-officer",), second_factor=True)
CHOI = Caller("choi", ("dispatcher",), second_factor=True)
SECRET = "Hong Gildong, 010-1234-5678"


@pytest.fixture
async def handover(tmp_path: Path) -> AsyncIterator[Handover]:
    async with opened(tmp_path) as handover:
        yield handover


@pytest.fixture
async def ride(handover: Handover) -> str:
    """Put two rides of a passenger into the ride room's vault; return the passenger's pseudonym."""
    desk = handover.vaults.room("ride").at(CHOI, "dispatch")
    passenger = await desk.open_subject("passenger")
    await desk.put(passenger, "trip", "t1", {"who": SECRET, "from": "A"})
    await desk.put(passenger, "trip", "t2", {"who": SECRET, "from": "B"})
    await desk.put(passenger, "payment", "p1", {"card": "4111"})
    return passenger


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Start engines; those that are left are killed at the end."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        script = Path(__file__).with_name("handover_engine.py")
        environment = {**os.environ, "PYTHONPATH": str(script.parents[2])}
        with (tmp_path / "engine.log").open("ab") as log:
            started.append(subprocess.Popen([sys.executable, str(script), str(tmp_path)], stderr=log, env=environment))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def asked(passenger: str, /, **changes: Any) -> Asked:
    """Return a request by the tracers for the passenger's rides, of a day."""
    until = datetime.now(UTC) + timedelta(days=1)
    first = Asked("ride", "trace", passenger, PURPOSE, "Infectious Disease Act, 76-2", until, kinds=["trip"])
    return msgspec.structs.replace(first, **changes)


async def becomes(handover: Handover, id: str, state: str, *, within_s: float = 30) -> Request:
    """Wait for a request to have a state."""
    end = time.monotonic() + within_s
    while (request := await handover.get(id)).state != state:
        assert time.monotonic() < end, request
        await asyncio.sleep(0.05)
    return request


async def delivered(handover: Handover, passenger: str, **changes: Any) -> Request:
    """Ask, have it approved, and carry it out in this process."""
    request = await handover.request(LEE, asked(passenger, **changes))
    await handover.approve(PARK, request.id, "the cluster is confirmed")
    await handover.deliver(request.id)
    return await handover.get(request.id)


def audited(folder: Path) -> list[Entry]:
    """Read the whole trail."""
    lines = [
        line.split(b" ", 1)[1]
        for chain in chains(folder / "data" / "audit")
        for segment in segments(folder / "data" / "audit" / chain)
        for line in segment.read_bytes().splitlines()
    ]
    return sorted((msgspec.json.decode(line, type=Entry) for line in lines), key=lambda entry: entry.at)


def everything(folder: Path) -> bytes:
    """Return what lies in all files of a folder."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def test_the_whole_way_asked_approved_carried_read_and_audited_on_both_sides(
    handover: Handover, ride: str, engine: Callable[[], Any], tmp_path: Path
) -> None:
    engine()
    request = await handover.request(LEE, asked(ride), where="192.0.2.7")
    assert (request.state, request.requested_by) == ("requested", "lee")
    with pytest.raises(Problem, match="This hand-over is requested"):
        await handover.read(LEE, request.id, PURPOSE)
    await handover.approve(PARK, request.id, "the cluster is confirmed")
    done = await becomes(handover, request.id, "delivered")
    assert [(event.state, event.who, event.reason) for event in done.timeline] == [
        ("requested", "lee", ""),
        ("approved", "park", "the cluster is confirmed"),
        ("delivered", "system:handover", ""),
    ]

    trace = handover.room("trace")
    (received,) = await trace.received()
    provenance, *records = await trace.read(LEE, received.id, PURPOSE)
    assert [(record["kind"], record["id"], record["document"]["from"]) for record in records] == [
        ("trip", "t1", "A"),
        ("trip", "t2", "B"),
    ]
    said = provenance["document"]
    assert (said["from"], said["handover"], said["purpose"]) == ("ride", request.id, PURPOSE)
    assert [one.sha256 for one in done.receipt] == [digest(said["salt"], record["document"]) for record in records]
    assert done.copy != ride, "the copy has a pseudonym, and so a key, of its own"

    trail = [entry for entry in audited(tmp_path) if entry.action.startswith("handover.")]
    told = {(entry.action, entry.what.split("/")[0], entry.subjects, entry.who) for entry in trail}
    assert ("handover.request", "vault:trace", (ride,), "lee") in told
    assert ("handover.approve", "vault:ride", (ride,), "park") in told
    assert ("handover.approve", "vault:trace", (ride,), "park") in told
    assert ("handover.delivered", "vault:ride", (ride,), "system:handover") in told
    assert ("handover.delivered", "vault:trace", (done.copy,), "system:handover") in told
    assert ("handover.read", "vault:trace", (done.copy,), "lee") in told
    assert {entry.purpose for entry in trail} == {PURPOSE}
    assert b"Gildong" not in everything(tmp_path)


async def test_a_clip_goes_over_in_parts_and_with_the_rest_when_revoked(handover: Handover, ride: str) -> None:
    clip = os.urandom(700_000)

    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(clip), 100_000):
            yield clip[start : start + 100_000]

    await handover.vaults.room("ride").at(CHOI, "dispatch").put_blob(ride, "clip", "cctv7", parts())
    request = await delivered(handover, ride, kinds=[], blobs=[("clip", "cctv7"), ("clip", "missing")])
    trace = handover.room("trace")
    got = b"".join([part async for part in await trace.read_blob(LEE, request.id, "clip", "cctv7", PURPOSE)])
    assert got == clip
    (provenance,) = await trace.read(LEE, request.id, PURPOSE)
    (receipt,) = request.receipt
    assert receipt.sha256 == hashlib.sha256(provenance["document"]["salt"].encode() + clip).hexdigest()
    for kind, id, purpose, status in [("clip", "missing", PURPOSE, 404), ("clip", "cctv7", "curiosity", 403)]:
        with pytest.raises(Problem) as refused:
            await trace.read_blob(LEE, request.id, kind, id, purpose)
        assert refused.value.status == status
    await handover.revoke(PARK, request.id, "the cluster was none")
    await has_no_key(handover, request)


async def test_nobody_approves_their_own_request(handover: Handover, ride: str) -> None:
    both = Caller("lee", ("investigator", "ride-officer"), second_factor=True)
    request = await handover.request(both, asked(ride))
    with pytest.raises(Problem, match="Somebody else has to approve"):
        await handover.approve(both, request.id, "I need it")
    with pytest.raises(Problem, match="A person has to decide"):
        await handover.approve(Caller("robot", ("ride-officer",), "machine"), request.id, "automatic")
    with pytest.raises(Problem, match="No role of 'choi' permits"):
        await handover.approve(CHOI, request.id, "why not")
    with pytest.raises(Problem, match="second factor"):
        await handover.approve(Caller("park", ("ride-officer",)), request.id, "in a hurry")
    assert (await handover.get(request.id)).state == "requested"
    await handover.refuse(PARK, request.id, "no cluster is known")
    with pytest.raises(Problem, match="The hand-over is refused"):
        await handover.approve(PARK, request.id, "after all")


async def test_another_purpose_is_refused_when_asking_and_when_reading(handover: Handover, ride: str) -> None:
    with pytest.raises(Problem, match=r"No role of 'lee' permits 'handover\.request'"):
        await handover.request(LEE, asked(ride, purpose="curiosity"))
    request = await delivered(handover, ride)
    with pytest.raises(Problem, match="for the purpose that was approved only"):
        await handover.read(LEE, request.id, "curiosity")
    with pytest.raises(Problem, match=r"No role of 'choi' permits 'vault\.read'"):
        await handover.read(CHOI, request.id, PURPOSE)
    annex = handover.vaults.room("trace-received")
    with pytest.raises(
        Problem, match=r"No role of 'lee' permits 'vault\.read'"
    ):  # and there is no way round by the vault itself
        await annex.at(LEE, PURPOSE).get(str(request.copy), "trip", "t1")
    with pytest.raises(Problem, match="no such hand-over"):
        await handover.room("care").read(LEE, request.id, PURPOSE)


async def test_what_cannot_be_asked_for_is_refused_clearly(handover: Handover, ride: str) -> None:
    late = datetime.now(UTC) + timedelta(days=31)
    for wrong in (
        {"until": late},
        {"until": datetime.now(UTC) - timedelta(seconds=1)},
        {"until": datetime(2027, 1, 1)},
        {"kinds": []},
        {"records": [("trip", "../t1")]},
        {"records": [("trip", f"t{n}") for n in range(501)]},
        {"giving": "trace"},
        {"giving": "trace-received"},
        {"giving": "Ride"},
        {"subject": "Hong Gildong"},
        {"purpose": " "},
        {"legal_basis": "x" * 201},
    ):
        with pytest.raises(Problem) as refused:
            await handover.request(LEE, asked(ride, **wrong))
        assert refused.value.status == 400, wrong
        assert "Gildong" not in refused.value.detail


async def test_an_expired_copy_has_no_key(
    handover: Handover, ride: str, engine: Callable[[], Any], tmp_path: Path
) -> None:
    engine()
    request = await handover.request(LEE, asked(ride, until=datetime.now(UTC) + timedelta(seconds=6)))
    await handover.approve(PARK, request.id, "the cluster is confirmed")
    held = await becomes(handover, request.id, "delivered", within_s=6)
    over = await becomes(handover, request.id, "expired")
    assert over.timeline[-1].who == "system:handover"
    assert handover.vaults.keys.versions("ride", ride), "the giving room keeps its own"
    await has_no_key(handover, held)


async def has_no_key(handover: Handover, request: Request) -> None:
    """Show that nothing opens a copy any more, whoever asks."""
    assert request.copy
    end = time.monotonic() + 10
    while handover.vaults.keys.versions("trace-received", request.copy):
        assert time.monotonic() < end
        await asyncio.sleep(0.05)
    with pytest.raises(Problem) as gone:
        await handover.read(LEE, request.id, PURPOSE)
    assert gone.value.status == 410
    with pytest.raises(VaultError):
        handover.vaults.room("trace-received").store.ids(request.copy, "trip")


@pytest.mark.parametrize("moment", ["die-before-put", "die-after-put"])
async def test_a_kill_between_approval_and_delivery_delivers_once(
    handover: Handover, ride: str, engine: Callable[[], subprocess.Popen[bytes]], tmp_path: Path, moment: str
) -> None:
    (tmp_path / moment).touch()
    first = engine()
    request = await handover.request(LEE, asked(ride))
    await handover.approve(PARK, request.id, "the cluster is confirmed")
    assert await asyncio.to_thread(first.wait, 30) == -signal.SIGKILL
    assert (await handover.get(request.id)).state == "approved"
    engine()
    done = await becomes(handover, request.id, "delivered")
    assert len(await handover.read(LEE, request.id, PURPOSE)) == 3
    assert [event.state for event in done.timeline] == ["requested", "approved", "delivered"]
    annex = handover.vaults.room("trace-received").store
    assert annex.subjects(f"handover_{request.id}", "", 10) == [done.copy]


async def test_the_giver_takes_back_at_any_time(handover: Handover, ride: str) -> None:
    request = await delivered(handover, ride)
    with pytest.raises(Problem, match="No role of 'lee'"):
        await handover.revoke(LEE, request.id, "not mine to take")
    taken = await handover.revoke(PARK, request.id, "the cluster was none")
    assert taken.state == "revoked"
    await has_no_key(handover, request)
    with pytest.raises(Problem, match="The hand-over is revoked"):
        await handover.revoke(PARK, request.id, "again")

    early = await handover.request(LEE, asked(ride))
    await handover.approve(PARK, early.id, "the cluster is confirmed")
    await handover.revoke(PARK, early.id, "too quick")
    assert await handover.deliver(early.id) == 0
    assert (await handover.get(early.id)).copy is None


async def test_a_copy_goes_with_its_source_unless_the_law_keeps_it(handover: Handover, ride: str) -> None:
    bound = await delivered(handover, ride)
    kept = await delivered(handover, ride, keep_after_source=True, records=[("payment", "p1")], kinds=[])
    await handover.vaults.room("ride").at(PARK, "the passenger asked").destroy(ride, "asked to be forgotten")
    assert await handover.sweep() == 1
    assert (await handover.get(bound.id)).timeline[-1].reason == "the source was destroyed"
    await has_no_key(handover, bound)
    assert (await handover.read(LEE, kept.id, PURPOSE))[1]["document"] == {"card": "4111"}

    late = await handover.request(LEE, asked(ride, keep_after_source=True))
    await handover.approve(PARK, late.id, "the cluster is confirmed")
    await handover.deliver(late.id)
    assert (await handover.get(late.id)).state == "failed"


async def test_a_destruction_that_was_interrupted_is_finished(handover: Handover, ride: str) -> None:
    request = await delivered(handover, ride)
    await asyncio.to_thread(handover.book.move, request.id, ["delivered"], "revoked", "park", "and here it crashed")
    assert handover.vaults.keys.versions("trace-received", str(request.copy))
    assert await handover.sweep() == 0
    await has_no_key(handover, request)
    assert not handover.book.undestroyed()


async def test_the_page_asks_lists_and_decides(handover: Handover, ride: str) -> None:
    app = Starlette(routes=routes(handover), exception_handlers={Problem: on_problem})
    app.state.door = Door(handover.policy, handover.audit)

    async def sent(caller: Caller, path: str, content: Any = None) -> Any:
        async def as_caller(scope: Any, receive: Any, send: Any) -> None:
            scope["caller"] = Caller(caller.name, (*caller.roles, "auditor"), second_factor=True)
            await app(scope, receive, send)

        method = "GET" if content is None else "POST"
        body = content if isinstance(content, bytes) else msgspec.json.encode(content)
        return await ask(as_caller, "/api/handover/v1/requests" + path, method=method, body=body)

    until = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    content = {
        "from": "ride",
        "to": "trace",
        "subject": ride,
        "kinds": ["trip"],
        "purpose": PURPOSE,
        "legal_basis": "감염병예방법 제76조의2",
        "until": until,
    }
    made = await sent(LEE, "", content)
    assert made.status == 201
    id = made.json()["id"]
    listed = (await sent(PARK, "?state=requested")).json()
    assert [(one["id"], one["from"], one["to"], one["legal_basis"]) for one in listed["requests"]] == [
        (id, "ride", "trace", "감염병예방법 제76조의2")
    ]
    assert (await sent(LEE, f"/{id}/approve", {"reason": "mine"})).status == 403
    assert (await sent(PARK, f"/{id}/approve", {"reason": "confirmed"})).json()["state"] == "approved"
    assert (await sent(PARK, f"/{id}/refuse", {"reason": "late"})).status == 409
    assert (await sent(PARK, f"/{id}/revoke", {"reason": "done"})).json()["state"] == "revoked"
    shown = (await sent(PARK, f"/{id}")).json()
    assert [event["state"] for event in shown["timeline"]] == ["requested", "approved", "revoked"]
    for path, wrong in [
        ("", b"{"),
        ("", b"\xff"),
        ("", {**content, "until": "tomorrow"}),
        ("", {**content, "extra": 1}),
        ("", b"[" * 50_000),
        (f"/{id}/revoke", {"reason": ""}),
        (f"/{id}/revoke", {"reason": "x\u0000"}),
        (f"/{id}/revoke", {}),
    ]:
        assert (await sent(LEE, path, wrong)).status == 400, wrong
    assert (await sent(PARK, "/none")).status == 404
    assert (await sent(PARK, "/%00%ff/revoke", {"reason": "x"})).status == 404
    for query in ("?state=asleep", "?before=x", "?before=" + "9" * 50):
        assert (await sent(PARK, query)).status == 400
