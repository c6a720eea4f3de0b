"""Notifications to hospitals, from the change log to a receiver that is really there, away, or refuses."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmaru.care.domain import CareError
from hanmaru.care.fhir import text
from hanmaru.care.fhir.records import ALL, Reader, Records
from hanmaru.care.hospital.delivery import Deliveries, Limits
from hanmaru.care.hospital.ledger import Ledger, Standing
from hanmaru.care.hospital.subscriptions import CONTENT_EXTENSION, parsed
from hanmaru.platform.egress import EVERYWHERE, Egress
from hanmaru.platform.sender import Sender
from tests.care.house import consent, house, person, put
from tests.care.receiving import Receiver, receiving

HOSPITAL = Reader("client:hospital", "organisation", "hospital-1")
QUICK = Limits(timeout_s=2, backoff_s=0.02, backoff_max_s=0.1)


def subscription(endpoint: str, criteria: str = "Task?owner=Organization/hospital-1", **more: Any) -> dict[str, Any]:
    channel = {"type": "rest-hook", "endpoint": endpoint, **more}
    reason = "New referrals"
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": reason,
        "criteria": criteria,
        "channel": channel,
    }


ID_ONLY = {
    "payload": "application/fhir+json",
    "_payload": {"extension": [{"url": CONTENT_EXTENSION, "valueCode": "id-only"}]},
}


def task(patient: str, owner: str = "hospital-1", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "for": {"reference": f"Patient/{patient}"},
        "owner": {"reference": f"Organization/{owner}"},
        **more,
    }


@asynccontextmanager
async def delivering(
    records: Records, folder: Path, limits: Limits = QUICK, egress: Egress = EVERYWHERE
) -> AsyncGenerator[Ledger]:
    """Deliver for as long as the block lasts."""
    ledger = Ledger(folder)
    sender = Sender(per_endpoint=4, ssl=None, egress=egress)
    running = asyncio.create_task(Deliveries(records, ledger, sender, limits).run())
    try:
        yield ledger
        assert not running.done(), running.exception()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await sender.close()
        ledger.close()


async def settled(records: Records, id: str, status: str) -> dict[str, Any]:
    """Wait until a subscription says so."""
    async with asyncio.timeout(10):
        async for _ in records.ticks():
            found = text.decode((await records.read(ALL, "Subscription", id)).text)
            if found["status"] == status:
                return found
    raise AssertionError


async def standing(ledger: Ledger, id: str, condition: Any) -> Standing:
    async with asyncio.timeout(10):
        while True:
            found = await asyncio.to_thread(ledger.get, id)
            if found is not None and condition(found):
                return found
            await asyncio.sleep(0.01)


async def patient(records: Records, name: str) -> str:
    """Make somebody who lets the hospital see the record."""
    await put(records, "Organization", "hospital-1", {"resourceType": "Organization", "name": "병원"})
    made = await person(records, name)
    await put(records, "Consent", f"consent-{made}", consent(made, "hospital-1"))
    return made


async def test_a_subscribed_hospital_is_told_of_each_referral_in_order(tmp_path: Path) -> None:
    async with house(tmp_path) as records, receiving() as receiver, delivering(records, tmp_path):
        kim = await patient(records, "kim")
        await put(records, "Subscription", "s1", subscription(receiver.url, **ID_ONLY, header=["X-Ward: 7"]), HOSPITAL)
        await settled(records, "s1", "active")
        for number in range(5):
            await put(records, "Task", f"t{number}", task(kim))
        await put(records, "Task", "elsewhere", task(kim, "hospital-2"))
        await put(records, "Task", "t5", task(kim))
        came = await receiver.take(6)
        bodies = [json.loads(one.body) for one in came]
    assert [one.method for one in came] == ["POST"] * 6
    assert {one.headers["X-Ward"] for one in came} == {"7"}
    assert [body["entry"][1]["request"]["url"] for body in bodies] == ["Task"] * 6
    assert [body["entry"][1]["response"]["location"] for body in bodies] == [f"Task/t{n}/_history/1" for n in range(6)]
    assert all("resource" not in body["entry"][1] for body in bodies)
    assert [one.headers["Hanmaru-Event-Number"] for one in came] == ["1", "2", "3", "4", "5", "6"]
    assert len({one.headers["Hanmaru-Notification-Id"] for one in came}) == 6


async def test_what_came_while_the_receiver_and_the_city_were_away_is_delivered(tmp_path: Path) -> None:
    receiver = Receiver()
    async with house(tmp_path) as records:
        kim = await patient(records, "kim")
        async with receiving(receiver), delivering(records, tmp_path) as ledger:
            await put(records, "Subscription", "s1", subscription(receiver.url, **ID_ONLY), HOSPITAL)
            await settled(records, "s1", "active")
            await put(records, "Task", "t0", task(kim))
            await standing(ledger, "s1", lambda one: one.sent == 1)
        async with delivering(records, tmp_path) as ledger:  # nobody listens
            for number in range(1, 6):
                await put(records, "Task", f"t{number}", task(kim))
            failing = await standing(ledger, "s1", lambda one: one.failures >= 4)
            shown = await settled(records, "s1", "error")
            assert "cannot connect" in shown["error"]
            assert failing.failing_since is not None
        for number in range(6, 9):  # nobody delivers
            await put(records, "Task", f"t{number}", task(kim))
        await put(records, "Task", "t1", task(kim, status="received"))
        receiver.status = 503
        async with receiving(receiver), delivering(records, tmp_path) as ledger:
            await receiver.tries(3)
            assert len(receiver.came) == 1
            receiver.status = 200
            came = await receiver.take(10)
            await settled(records, "s1", "active")
            well = await standing(ledger, "s1", lambda one: one.sent == 10)
    assert (well.failures, well.error) == (0, "")
    told = [json.loads(one.body)["entry"][1]["response"]["location"] for one in came]
    assert told == [*(f"Task/t{number}/_history/1" for number in range(9)), "Task/t1/_history/2"]


async def test_what_matched_then_is_told_though_it_matches_no_more(tmp_path: Path) -> None:
    receiver = Receiver()
    async with house(tmp_path) as records:
        kim = await patient(records, "kim")
        async with receiving(receiver), delivering(records, tmp_path):
            criteria = "Task?owner=Organization/hospital-1&status=requested"
            await put(records, "Subscription", "s1", subscription(receiver.url, criteria, **ID_ONLY), HOSPITAL)
            await settled(records, "s1", "active")
        await put(records, "Task", "t0", task(kim))
        await put(records, "Task", "t0", task(kim, status="received"))
        await put(records, "Task", "t1", task(kim))
        async with receiving(receiver), delivering(records, tmp_path):
            came = await receiver.take(2)
    told = [json.loads(one.body)["entry"][1]["response"]["location"] for one in came]
    assert told == ["Task/t0/_history/1", "Task/t1/_history/1"]


async def test_a_consent_withdrawn_counts_when_it_is_sent(tmp_path: Path) -> None:
    receiver = Receiver(status=503)
    async with house(tmp_path) as records, receiving(receiver), delivering(records, tmp_path) as ledger:
        kim, lee = await patient(records, "kim"), await patient(records, "lee")
        await put(records, "Subscription", "s1", subscription(receiver.url, **ID_ONLY), HOSPITAL)
        await settled(records, "s1", "active")
        await put(records, "Task", "kims", task(kim))
        await put(records, "Task", "lees", task(lee))
        await receiver.tries(2)
        await put(records, "Consent", f"consent-{kim}", consent(kim, "hospital-1", status="inactive"))
        receiver.status = 200
        [came] = await receiver.take(1)
        held = await standing(ledger, "s1", lambda one: one.sent == 1)
    assert b"lees" in came.body
    assert held.withheld == 1


@pytest.mark.parametrize(
    ("channel", "method", "path"),
    [({}, "POST", "/inbox"), ({"payload": "application/fhir+json"}, "PUT", "/inbox/Task/t0")],
)
async def test_the_standards_own_notifications(tmp_path: Path, channel: dict[str, Any], method: str, path: str) -> None:
    async with house(tmp_path) as records, receiving() as receiver, delivering(records, tmp_path):
        kim = await patient(records, "kim")
        await put(records, "Subscription", "s1", subscription(receiver.url, **channel), HOSPITAL)
        await settled(records, "s1", "active")
        await put(records, "Task", "t0", task(kim))
        [came] = await receiver.take(1)
        kept = (await records.read(ALL, "Task", "t0")).text
    assert (came.method, came.path) == (method, path)
    assert came.body == (kept if channel else b"")


async def test_full_resources_come_in_a_bundle_where_that_is_asked_for(tmp_path: Path) -> None:
    full = {
        "payload": "application/fhir+json",
        "_payload": {"extension": [{"url": CONTENT_EXTENSION, "valueCode": "full-resource"}]},
    }
    async with house(tmp_path) as records, receiving() as receiver, delivering(records, tmp_path):
        kim = await patient(records, "kim")
        await put(records, "Subscription", "s1", subscription(receiver.url, **full), HOSPITAL)
        await settled(records, "s1", "active")
        await put(records, "Task", "t0", task(kim))
        [came] = await receiver.take(1)
    assert json.loads(came.body)["entry"][1]["resource"]["for"]["reference"] == f"Patient/{kim}"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"criteria": "Task?patient.name=kim"}, "what a resource itself says"),
        ({"criteria": "Task?colour=red"}, "criteria"),
        ({"criteria": "Nothing?x=1"}, "no resource type"),
        ({"criteria": ""}, "has to be a search"),
        ({"channel": {"type": "websocket", "endpoint": "https://a.example/"}}, "rest-hook"),
        ({"channel": {"type": "rest-hook", "endpoint": "ftp://a.example/"}}, "https://"),
        ({"channel": {"type": "rest-hook", "endpoint": "https://me:pw@a.example/"}}, "no name, password"),
        (
            {"channel": {"type": "rest-hook", "endpoint": "http://a.example/", "payload": "application/fhir+json"}},
            "https",
        ),
        ({"channel": {"type": "rest-hook", "endpoint": "https://a.example/", "payload": "text/plain"}}, "payload"),
        ({"channel": {"type": "rest-hook", "endpoint": "https://a.example/", "header": ["Host: b.example"]}}, "Host"),
        ({"channel": {"type": "rest-hook", "endpoint": "https://a.example/", "header": ["A: b\r\nC: d"]}}, "printable"),
        ({"channel": {"type": "rest-hook", "endpoint": "https://a.example/", "header": ["A"]}}, "Name: value"),
        ({"end": "2026-01-01"}, "end has to be an instant"),
    ],
)
def test_what_cannot_be_served_is_refused_with_a_reason(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(CareError, match=re.escape(reason)):
        parsed({**subscription("https://a.example/"), "id": "s1", **change})


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=6,
)
NAMES = ("type", "endpoint", "payload", "_payload", "header")


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["criteria", "channel", "end"]), ANYTHING),
    st.dictionaries(st.sampled_from(NAMES), ANYTHING),
)
def test_anything_is_understood_or_refused_with_a_reason(fields: dict[str, Any], channel: dict[str, Any]) -> None:
    good = subscription("https://a.example/")
    wanted = {**good, "id": "s1", "channel": {**good["channel"], **channel}, **fields}
    with suppress(CareError):
        assert parsed(wanted).endpoint.startswith(("https://", "http://"))


async def test_a_subscription_that_is_not_understood_says_why_and_starts_when_put_right(tmp_path: Path) -> None:
    async with house(tmp_path) as records, receiving() as receiver, delivering(records, tmp_path):
        kim = await patient(records, "kim")
        await put(records, "Subscription", "s1", subscription(receiver.url, "Task?owner.name=x"), HOSPITAL)
        shown = await settled(records, "s1", "error")
        assert "owner" in shown["error"]
        await put(records, "Subscription", "s1", subscription(receiver.url), HOSPITAL)
        await settled(records, "s1", "active")
        await put(records, "Task", "t0", task(kim))
        await receiver.take(1)
        await put(records, "Subscription", "s1", {**subscription(receiver.url), "status": "off"}, HOSPITAL)
        await put(records, "Task", "t1", task(kim))
        await put(records, "Subscription", "s2", subscription(receiver.url), HOSPITAL)
        await settled(records, "s2", "active")
        await put(records, "Task", "t2", task(kim))
        came = await receiver.take(2)
        ended = subscription(receiver.url) | {"end": "2026-01-01T00:00:00Z"}
        await put(records, "Subscription", "s3", ended, HOSPITAL)
        await settled(records, "s3", "off")
    assert len(came) == 2


async def test_addresses_that_the_city_does_not_allow_are_not_reached(tmp_path: Path) -> None:
    public = Egress(["public"])
    async with house(tmp_path) as records, receiving() as receiver, delivering(records, tmp_path, egress=public):
        kim = await patient(records, "kim")
        await put(records, "Subscription", "s1", subscription(receiver.url), HOSPITAL)
        await settled(records, "s1", "active")
        await put(records, "Task", "t0", task(kim))
        shown = await settled(records, "s1", "error")
        assert receiver.tried == 0
    assert "egress.allow" in shown["error"] or "does not permit" in shown["error"]
