"""Replay over HTTP: who may, what is refused, how many at a time, what the slider gets."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from hanmaru.centre import service
from hanmaru.centre.replay import api as replay_api
from hanmaru.hub.local import open_hub
from hanmaru.platform.access import Access
from hanmaru.platform.policy import Door, Policy
from tests.centre.test_api import Site
from tests.locks import locked


def ago(**span: float) -> str:
    return (datetime.now(UTC) - timedelta(**span)).isoformat(timespec="seconds")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncGenerator[Site]:
    async with open_hub(f"sqlite:///{tmp_path / 'hub.db'}") as hub:
        with locked(tmp_path / "locks") as locks:
            client = hub.client(Access(write=True))
            issued: dict[str, Any] = {"type": "Property", "value": "high", "observedAt": ago(hours=2)}
            await client.record([{"id": "urn:x:1", "type": "Alert", "severity": [issued]}])
            made = Site(client, tmp_path, locks.of("centre"))
            policies = service.service.policies
            assert policies
            made.app.state.door = Door(Policy([policies], actions=service.PERMISSIONS))
            yield made


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("", "at has to be a date and time"),
        ("at=yesterday", "at has to be a date and time"),
        ("at=2026-11-23T06:00:00", "with its zone"),
        ("at={long_ago}", "last 30 days"),
        ("at={to_come}", "last 30 days"),
        ("at={lately}&speed=61", "speed has to be"),
        ("at={lately}&speed=nan", "speed has to be"),
        ("at={lately}&tiles=99/0/0", "tiles has to be"),
    ],
)
async def test_what_is_no_instant_or_speed_is_refused(site: Site, query: str, says: str) -> None:
    instants = {"long_ago": ago(days=40), "to_come": ago(hours=-2), "lately": ago(hours=1)}
    query = query.format_map({name: quote(at) for name, at in instants.items()})
    answer = await site.get(f"/replay/stream?{query}", ("operator",))
    assert answer.status == 400
    assert says in answer.json()["detail"]


async def test_only_who_watches_the_city_may_look_back(site: Site) -> None:
    for path in ("/replay/span", f"/replay/stream?at={quote(ago(hours=1))}"):
        assert (await site.get(path)).status == 403
    assert (await site.get("/replay/span", ("operator",))).status == 200


async def test_the_slider_gets_events_and_where_history_begins(site: Site) -> None:
    span = (await site.get("/replay/span", ("operator",))).json()
    assert [(event["id"], event["severity"]) for event in span["events"]] == [("urn:x:1", "high")]
    assert datetime.fromisoformat(span["end"]) - datetime.fromisoformat(span["begin"]) == timedelta(days=30)


async def test_one_replay_too_many_is_asked_to_wait(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_api, "MOST_SESSIONS", 0)
    answer = await site.get(f"/replay/stream?at={quote(ago(hours=1))}", ("operator",))
    assert (answer.status, answer.headers["retry-after"]) == (503, "10")
