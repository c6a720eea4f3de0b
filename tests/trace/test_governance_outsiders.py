"""What comes from outside, in files, tokens and names, and must not do what it was made for."""

import base64
import hmac
import io
import json
import os
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from joserfc import jws
from joserfc.jwk import OKPKey

from hanmaru.platform.policy import Caller, Policy
from hanmaru.platform.problems import Problem
from hanmaru.platform.services import Service
from hanmaru.trace.cases import bounded, inbox
from hanmaru.trace.cases.approval import Approval, verify
from hanmaru.trace.cases.records import Area, Period
from hanmaru.trace.domain import TraceError
from hanmaru.trace.report import pdf
from hanmaru.trace.service import service
from tests.trace import rooms
from tests.trace.rooms import CARRIER, KIM, LOCATION, City, phone_rows
from tests.trace.test_report import text_of

IN = ("2026-11-10T08:00:00+09:00", "2026-11-10T08:05:00+09:00")
WANTED = ("subject", "time", "lat", "lon")


@pytest.fixture
async def city(tmp_path: Path) -> AsyncIterator[City]:
    async with rooms.city(tmp_path) as city:
        yield city


# ---- tables


def parquet(**columns: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, compression="zstd")
    return sink.getvalue()


def repeated(value: Any, count: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), count), pa.array([value]))


def bombs() -> dict[str, bytes]:
    """Return files of kilobytes that unpacked would be gigabytes."""
    return {
        "rows": parquet(subject=repeated("a", bounded.MOST_ROWS + 1)),
        "dictionary": parquet(subject=repeated("a" * 900, 2_000_000)),
        "text": parquet(subject=["a" * 50_000_000]),
        "lines": b"subject,time\n" + b"\n" * (bounded.MOST_ROWS + 1),
    }


@pytest.mark.parametrize("name", ["rows", "dictionary", "text", "lines"])
def test_a_small_file_that_unpacks_to_gigabytes_is_refused_unread(name: str) -> None:
    body = bombs()[name]
    assert len(body) < 10_000_000
    with pytest.raises(Problem) as refused:
        bounded.require_bounded(body, WANTED)
    assert refused.value.status == 413


@pytest.mark.parametrize(
    "body",
    [
        parquet(subject=[["a"]], time=["b"]),
        parquet(subject=[{"a": 1}], time=["b"]),
        parquet(subject=["a"], time=["2026-11-10T08:00:00Z"])[:-60] + b"\0" * 56 + b"PAR1",
        b"PAR1" + b"\xff" * 200 + b"PAR1",
    ],
    ids=["list", "struct", "spoiled", "noise"],
)
async def test_a_parquet_file_that_is_no_plain_table_is_refused_in_words(city: City, body: bytes) -> None:
    case = await city.open_case()
    id = await city.approved(case)
    status, detail = await city.refused(CARRIER, f"/requests/{id}/answers?kind=location", raw=body)
    assert (status, "Traceback" in detail) == (400, False)
    assert city.room.book.request(id).answers == []


def test_an_answer_as_carriers_send_it_is_within_bounds() -> None:
    times = pa.array([1_762_700_000] * 300_000, pa.timestamp("s", "UTC"))
    table = {"subject": ["case-1"] * 300_000, "time": times, "lat": [36.48] * 300_000, "extra": [[1]] * 300_000}
    bounded.require_bounded(parquet(**table), WANTED)
    bounded.require_bounded(phone_rows("case-1", *IN), WANTED)


def test_rows_that_cannot_be_read_are_counted_and_not_kept() -> None:
    errors = bounded.Counted()
    for _ in range(3):
        errors.append(TraceError("선우하윤슬"))
    assert (errors.count_, [*errors]) == (3, [])


async def test_what_a_carrier_calls_somebody_whom_nobody_named_is_an_id(city: City) -> None:
    case = await city.open_case()
    area = {"lat": 36.48, "lon": 127.26, "radius_m": 500}
    id = await city.approved(case, {**LOCATION, "kinds": ["cell-presence"], "area": area})
    names = ("p-1", "=HYPERLINK(1)", "<img src=x>", "@SUM(1)", "\u202etxt", "김민준", "a" * 200)
    body = "subject,time,lat,lon\n" + "".join(f"{name},{IN[0]},36.48,127.26\n" for name in names)
    taken = await city.json(CARRIER, f"/requests/{id}/answers?kind=phone", raw=body.encode())
    assert (taken["accepted"], taken["refused"]) == (1, {"unreadable": len(names) - 1})


# ---- names


async def test_a_name_that_turns_the_writing_around_is_refused(city: City) -> None:
    for name in ("\u202egnp.exe", "김\u2066민준", "김\x07", "a\nb"):
        assert (await city.refused(KIM, "/cases", {**rooms.NEW_CASE, "person": {"name": name}}))[0] == 400, repr(name)


def test_a_report_sets_names_as_they_are_written() -> None:
    name = '#read("/etc/hostname") *bold* $x$ <script>alert(1)</script> \\ ] #panic("x") &amp;'
    stay = {"start": IN[0], "end": IN[1], "lat": 36.48, "lon": 127.26, "radius_m": 50.0, "confidence": 0.9}
    place = {"id": name, "name": name, "kind": name, "lat": 36.48, "lon": 127.26, "probability": 0.9}
    case = {
        "id": "case-1", "label": name, "disease": name, "person": {"name": name}, "onset": "2026-11-20",
        "requests": [{"kinds": [name], "state": name, "purpose": name, "because": name}],
    }  # fmt: skip
    results = {
        "period": {"start": rooms.PERIOD["start"], "end": rooms.PERIOD["end"]},
        "stays": [{**stay, "places": [place], "evidence": []}],
        "evidence": [{"kind": name, "used": True}],
        "refused": {name: 1},
    }
    said = re.sub(r"\s", "", text_of(pdf.render(case, results, "en", False)))
    assert said.count(re.sub(r"\s", "", name)) >= 4


# ---- the file drop


async def test_a_link_in_the_file_drop_is_not_followed(city: City, tmp_path: Path) -> None:
    case = await city.open_case()
    id = await city.approved(case)
    await inbox.look(city.room)
    folder, secret = city.room.inbox / id, tmp_path / "elsewhere.csv"
    secret.write_bytes(phone_rows(case, *IN))
    (folder / "phone-a.csv").symlink_to(secret)
    (folder / "phone-b.csv").symlink_to(tmp_path / "nothing")
    os.link(secret, folder / "phone-c.csv")
    os.mkfifo(folder / "phone-d.csv")
    (folder / ".phone-e.csv").write_bytes(phone_rows(case, *IN))
    (city.room.inbox / "other").symlink_to(tmp_path, target_is_directory=True)
    await inbox.look(city.room, settled_s=0)
    assert city.room.book.request(id).answers == []
    assert secret.read_bytes() == phone_rows(case, *IN)
    told = [json.loads(line) for line in (folder / "refused.jsonl").read_bytes().splitlines()]
    assert [one["file"] for one in told] == ["phone-a.csv", "phone-b.csv", "phone-c.csv"]
    assert sorted(path.name for path in folder.glob("*.csv")) == [".phone-e.csv", "phone-d.csv"]


async def test_one_file_that_fails_stops_no_other(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    case = await city.open_case()
    id = await city.approved(case)
    await inbox.look(city.room)
    for name in ("phone-a.csv", "phone-b.csv"):
        (city.room.inbox / id / name).write_bytes(phone_rows(case, *IN) + name.encode() + b",,,,\n")
    take = inbox.intake.take_dropped

    async def fails_once(room: Any, id: str, named: str, body: bytes, name: str) -> Any:
        if name == "phone-a.csv":
            raise RuntimeError("선우하윤슬")
        return await take(room, id, named, body, name)

    monkeypatch.setattr(inbox.intake, "take_dropped", fails_once)
    assert await inbox.look(city.room, settled_s=0) == 2
    assert len(city.room.book.request(id).answers) == 1


async def test_what_still_lies_in_the_drop_goes_with_the_request(city: City) -> None:
    case = await city.open_case()
    id = await city.approved(case)
    await inbox.look(city.room)
    (city.room.inbox / id / "phone.txt").write_bytes(phone_rows(case, *IN))
    await city.json(KIM, f"/requests/{id}/withdraw", {})
    assert not (city.room.inbox / id).exists()


# ---- tokens

KEY = OKPKey.generate_key("Ed25519", private=True)
PUBLIC = KEY.as_pem(private=False)
NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
GIVEN = Approval(
    "r1", "case-1", ["case-1"], Period(NOW - timedelta(days=14), NOW), ["location"], "동선", ["lee"],
    NOW + timedelta(days=1), Area(36.48, 127.26, 500.0),
)  # fmt: skip
PAYLOAD = msgspec.json.encode(GIVEN)


NONE, HS256, CRITICAL = b'{"alg":"none"}', b'{"alg":"HS256"}', b'{"alg":"Ed25519","crit":["x"],"x":1}'


def part(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def forged() -> dict[str, str]:
    """Return tokens that a careless verifier takes."""
    other = OKPKey.generate_key("Ed25519", private=True)
    inside = {"alg": "Ed25519", "jwk": other.as_dict(private=False), "kid": "../../dev/null"}
    hs256 = f"{part(HS256)}.{part(PAYLOAD)}"
    good = jws.serialize_compact({"alg": "Ed25519"}, PAYLOAD, KEY, ["Ed25519"])
    head, _, signature = good.split(".")
    nowhere = msgspec.json.encode(msgspec.structs.replace(GIVEN, area=None))
    return {
        "none": f"{part(NONE)}.{part(PAYLOAD)}.",
        "public key as a secret": f"{hs256}.{part(hmac.digest(PUBLIC, hs256.encode(), 'sha256'))}",
        "another's key, brought along": jws.serialize_compact(inside, PAYLOAD, other, ["Ed25519"]),
        "area left out": f"{head}.{part(nowhere)}.{signature}",
        "signature left out": f"{head}.{part(PAYLOAD)}.",
        "unknown critical header": f"{part(CRITICAL)}.{part(PAYLOAD)}.{signature}",
    }


@pytest.mark.filterwarnings("ignore:.*:joserfc.errors.SecurityWarning")
@pytest.mark.parametrize(
    "how",
    [
        "none",
        "public key as a secret",
        "another's key, brought along",
        "area left out",
        "signature left out",
        "unknown critical header",
    ],
)
def test_a_forged_approval_is_refused(how: str) -> None:
    good = jws.serialize_compact({"alg": "Ed25519"}, PAYLOAD, KEY, ["Ed25519"])
    assert verify(good, PUBLIC, NOW, "case-1") == GIVEN
    with pytest.raises(TraceError, match="signature does not hold"):
        verify(forged()[how], PUBLIC, NOW, "case-1")


# ---- roles


def test_administrators_hand_out_no_role_that_approves_or_is_told_whom_it_is_about() -> None:
    assert service.policies
    policy = Policy([service.policies], actions=list(service.permissions), entrusted=service.entrusted)
    assert {*service.roles} <= policy.entrusted
    assert {"reader", "writer", "admin"} & policy.entrusted == set()
    without = Policy([service.policies], actions=list(service.permissions))
    assert "police-approver" not in without.entrusted, "what the manifest says is what makes the difference"
    admin = Caller("boss", ("admin",), second_factor=True)
    assert not policy.allows(admin, "accounts.entrust")


def test_a_service_takes_nothing_but_its_own_roles_from_administrators() -> None:
    with pytest.raises(ValueError, match=r"entrusted names write"):
        Service(name="bikes", title={"en": "Bikes"}, entrusted=["write"])
