"""The signed approval: who has the public key knows what was approved, and nobody else can say it was."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import OKPKey

from hanmaru.trace.cases.approval import Approval, sign, verify, verify_file
from hanmaru.trace.cases.records import Period
from hanmaru.trace.domain import TraceError
from tests.trace import rooms
from tests.trace.rooms import CARRIER, CHOI, KIM, LEE

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
KEY, OTHER = (OKPKey.generate_key("Ed25519", private=True) for _ in range(2))
PUBLIC = KEY.as_pem(private=False)
GIVEN = Approval(
    request="r1",
    case="case-1",
    subjects=["case-1"],
    period=Period(NOW - timedelta(days=14), NOW),
    kinds=["location"],
    purpose="동선 확인",
    approved_by=["lee", "park"],
    expires=NOW + timedelta(days=14),
)
TEXT = sign(GIVEN, KEY.as_dict(private=True))


def test_what_was_signed_is_what_is_read() -> None:
    assert verify(TEXT, PUBLIC, NOW, "case-1") == GIVEN
    assert json.loads(base64.urlsafe_b64decode(TEXT.split(".")[0] + "==")) == {"alg": "Ed25519"}


def test_expired_for_another_case_or_by_another_authority_it_is_refused() -> None:
    for text, key, at, case, said in [
        (TEXT, PUBLIC, GIVEN.expires, "case-1", "expired at"),
        (TEXT, PUBLIC, NOW, "case-2", "for case case-1, not case-2"),
        (TEXT, OTHER.as_pem(private=False), NOW, "case-1", "signature does not hold"),
        (TEXT, b"-----BEGIN PUBLIC KEY-----", NOW, "case-1", "public key cannot be read"),
        ("x" * 100_000, PUBLIC, NOW, "case-1", "too long"),
    ]:
        with pytest.raises(TraceError, match=said):
            verify(text, key, at, case)


def test_a_payload_that_was_widened_is_refused() -> None:
    head, _, signature = TEXT.split(".")
    wider = msgspec.structs.replace(GIVEN, kinds=["location", "card"], expires=NOW + timedelta(days=999))
    payload = base64.urlsafe_b64encode(msgspec.json.encode(wider)).decode().rstrip("=")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    for text in (f"{head}.{payload}.{signature}", f"{none}.{payload}.", f"{none}.{payload}.{signature}"):
        with pytest.raises(TraceError, match="signature does not hold"):
            verify(text, PUBLIC, NOW, "case-1")


@given(st.integers(0, len(TEXT) - 2), st.sampled_from("ABCxyz019-_."))
def test_no_sign_of_it_can_be_changed(at: int, sign_: str) -> None:
    changed = TEXT[:at] + sign_ + TEXT[at + 1 :]
    if changed == TEXT:
        return
    with pytest.raises(TraceError, match="signature does not hold"):
        verify(changed, PUBLIC, NOW, "case-1")


@given(
    st.one_of(st.text(max_size=200), st.from_regex(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*", fullmatch=True))
)
def test_whatever_else_is_there_is_a_readable_error(text: str) -> None:
    with pytest.raises(TraceError):
        verify(text, PUBLIC, NOW)


async def test_the_rooms_key_signs_and_is_published(tmp_path: Path) -> None:
    async with rooms.city(tmp_path) as city:
        case = await city.open_case()
        asked = (await city.json(KIM, f"/cases/{case}/requests", rooms.LOCATION))["id"]
        status, detail = await city.refused(KIM, f"/requests/{asked}/approval")
        assert (status, detail) == (409, "The request is asked; there is no approval in force.")
        id = await city.approved(case)
        answer = await city.ask(KIM, f"/requests/{id}/approval")
        assert answer.headers["content-type"] == "application/jwt"
        pem = (await city.ask(KIM, "/authority.pem")).body
        approval = verify(answer.body.decode(), pem, datetime.now(UTC), case)
        assert (approval.request, approval.subjects, approval.kinds) == (id, [case], ["location"])
        assert approval.approved_by == ["lee", "park"]
        assert timedelta(days=13) < approval.expires - datetime.now(UTC) <= timedelta(days=14)
        assert (await city.ask(CARRIER, f"/requests/{id}/approval")).body == answer.body
        assert (await city.refused(LEE, f"/requests/{id}/approval"))[0] == 403
        assert (await city.refused(CHOI, f"/requests/{id}/approval"))[0] == 404

        (tmp_path / "approval.jwt").write_bytes(answer.body + b"\n")
        published = city.room.folder / "authority.pem"
        assert verify_file(tmp_path / "approval.jwt", published, datetime.now(UTC), case) == approval
        with pytest.raises(TraceError, match=r"absent\.jwt"):
            verify_file(tmp_path / "absent.jwt", published, datetime.now(UTC))
    async with rooms.city(tmp_path, "again") as city:
        assert (await city.ask(KIM, "/authority.pem")).body == pem
        assert (await city.ask(KIM, f"/requests/{id}/approval")).body == answer.body
    assert files_with(tmp_path, b'"kty"') == [], "the private key lies in the vault only"


def files_with(folder: Path, text: bytes) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text in path.read_bytes()]
