"""Whose records a caller sees, and what a Consent gives."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from starlette.requests import Request

from hanmaru.care import access, people
from hanmaru.care.fhir.grants import FOR_EVER, grants
from hanmaru.care.fhir.records import Reader, Records
from hanmaru.platform.identity.identity import OWNER
from hanmaru.platform.policy import Caller
from hanmaru.platform.problems import Problem
from tests.care.house import ZONE, consent, house, person, put

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def records(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Records]:
    async with house(tmp_path_factory.mktemp("care")) as opened:
        await people.bind(opened, "hong", await person(opened, "p1"))
        await put(opened, "Organization", "north", {"name": "North"})
        await people.bind_party(opened, "client:north", "north")
        yield opened


def request(caller: Caller, purpose: str = "") -> Request:
    headers = [(b"hanmaru-purpose", purpose.encode())] if purpose else []
    return Request({"type": "http", "caller": caller, "headers": headers, "client": ("192.0.2.7", 1)})


@pytest.mark.parametrize(
    ("caller", "purpose", "reader"),
    [
        (Caller("hong", ("citizen",)), "", Reader("hong", "patient", "p1", "", "192.0.2.7")),
        (Caller("kim", ("nurse",)), "", Reader("kim", "organisation", "health-centre", "treatment", "192.0.2.7")),
        (Caller("lee", ("physician",)), "상담", Reader("lee", "organisation", "health-centre", "상담", "192.0.2.7")),
        (
            Caller("client:north", ("hospital",), "machine"),
            "",
            Reader("client:north", "organisation", "north", "treatment", "192.0.2.7"),
        ),
        (OWNER, "", Reader("owner", "all", "", "", "192.0.2.7")),
    ],
)
async def test_callers_become_readers(records: Records, caller: Caller, purpose: str, reader: Reader) -> None:
    assert await access.reader(records, request(caller, purpose)) == reader


@pytest.mark.parametrize(
    "caller",
    [
        Caller("stranger", ("citizen",)),
        Caller("client:south", ("hospital",), "machine"),
        Caller("boss", ("care-manager",)),
        Caller("owner", ("admin",), "person", True),  # an account of that name is not the start without log-in
        Caller("", kind="anonymous"),
    ],
)
async def test_everybody_else_is_refused(records: Records, caller: Caller) -> None:
    with pytest.raises(Problem) as refused:
        await access.reader(records, request(caller))
    assert refused.value.status == 403


def us(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * 1_000_000  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("period", "since", "until"),
    [
        (None, 0, FOR_EVER),
        ({"start": "2026-11-20"}, us(2026, 11, 19, 15), FOR_EVER),  # days are the city's
        ({"end": "2026-11-20"}, 0, us(2026, 11, 20, 15) - 1),
        ({"end": "2026-11"}, 0, us(2026, 11, 30, 15) - 1),
        ({"end": "2026-12"}, 0, us(2026, 12, 31, 15) - 1),
        ({"start": "2026", "end": "2026"}, us(2025, 12, 31, 15), us(2026, 12, 31, 15) - 1),
        ({"end": "2026-11-20T09:00:00+09:00"}, 0, us(2026, 11, 20, 0, 0, 1) - 1),
        ({"end": "2026-11-20T00:00:00Z"}, 0, us(2026, 11, 20, 0, 0, 1) - 1),
    ],
)
async def test_a_consent_gives_while_its_period_holds(period: dict[str, str] | None, since: int, until: int) -> None:
    said = consent("p", "north")
    if period:
        said["provision"]["period"] = period
    assert grants(said, ZONE) == [("north", since, until)]


@pytest.mark.parametrize(
    "more",
    [
        {"status": "inactive"},
        {"status": "proposed"},
        {"category": []},
        {"category": [{"coding": [{"system": "urn:other", "code": "hospital"}]}]},
        {"category": [{"coding": [{"system": "urn:hanmaru:care:consent", "code": "research"}]}]},
        {"provision": {"type": "deny", "actor": [{"reference": {"reference": "Organization/north"}}]}},
        {"provision": {"type": "permit", "actor": [{"reference": {"reference": "Practitioner/north"}}]}},
        {"provision": {"type": "permit", "actor": [{"reference": {"reference": "https://else/Organization/north"}}]}},
        {"provision": {"type": "permit", "actor": "Organization/north"}},
        {"provision": {"type": "permit"}},
        {"provision": []},
    ],
)
async def test_what_is_no_permission_gives_nothing(more: dict[str, Any]) -> None:
    assert grants({**consent("p", "north"), **more}, ZONE) == []


@pytest.mark.parametrize(
    "period", [{"end": "soon"}, {"start": "2026-13-01"}, {"end": "2026-11-20T09:00:00"}, {"end": 3}]
)
async def test_a_period_that_cannot_be_read_gives_nothing(period: dict[str, Any]) -> None:
    said = consent("p", "north")
    said["provision"]["period"] = period
    assert grants(said, ZONE) == []


async def test_exceptions_that_are_not_understood_give_nothing() -> None:
    said = consent("p", "north")
    said["provision"]["provision"] = [{"type": "deny"}]
    assert grants(said, ZONE) == []
