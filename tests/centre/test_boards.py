"""Boards on a real hub: kept, shared, changed by two, and answering only what who asks may see."""

import asyncio
import json
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Mount

from hanmaru.centre import service
from hanmaru.centre.boards import api, figures
from hanmaru.centre.boards.model import Ask, Draft
from hanmaru.centre.boards.ready import BOARDS
from hanmaru.edge import on_problem
from hanmaru.hub.local import open_hub
from hanmaru.platform.access import Access, Area, Grant
from hanmaru.platform.policy import Caller, Door, Policy
from hanmaru.platform.problems import Problem
from hanmaru.platform.services import Context
from tests.asgi import Answer, ask
from tests.locks import locked

TYPE = "AirQualityObserved"
SQUARE = {"type": "Polygon", "coordinates": [[[127, 36], [127.5, 36], [127.5, 37], [127, 37], [127, 36]]]}


def station(number: int, pm25: float, *, lon: float = 127.2, at: datetime | None = None) -> dict[str, Any]:
    when = (at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "id": f"urn:ngsi-ld:{TYPE}:test:{number}",
        "type": TYPE,
        "name": {"type": "Property", "value": f"Station {number}"},
        "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [lon, 36.5]}},
        "pm25": {"type": "Property", "value": pm25, "observedAt": when},
    }


class Site:
    def __init__(self, hub: Any, context: Any) -> None:
        self.hub, self.context = hub, context
        routes = [Mount("/c", routes=list(api.routes(context)))]
        self.app = Starlette(routes=routes, exception_handlers={Problem: on_problem})
        policies = service.service.policies
        assert policies
        self.app.state.door = Door(Policy([policies], actions=service.PERMISSIONS))

    async def __call__(
        self, method: str, path: str, body: Any = None, *, who: str = "kim", role: str = "operator"
    ) -> Answer:
        async def as_caller(scope: Any, receive: Any, send: Any) -> None:
            await self.app({**scope, "caller": Caller(who, (role,))}, receive, send)

        content = b"" if body is None else msgspec.json.encode(body)
        return await ask(as_caller, "/c/boards" + path, method=method, body=content)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncGenerator[Site]:
    async with open_hub(f"sqlite:///{tmp_path / 'hub.db'}") as hub:
        with locked(tmp_path / "locks") as locks:
            client = hub.client(Access(write=True))
            context = Context(client, tmp_path, {"languages": ["ko", "en"]}, locks.of("centre"))
            yield Site(client, context)
            await context.closing.aclose()


def draft(version: int = 0, *, shared: bool = True, title: str = "Mine", x: int = 0) -> dict[str, Any]:
    tile = {"id": "a", "kind": "text", "x": x, "y": 0, "w": 3, "h": 2, "text": "Watch the river."}
    return {"title": title, "shared": shared, "version": version, "tiles": [tile]}


async def test_the_ready_boards_are_there_and_stay(site: Site) -> None:
    listed = (await site("GET", "")).json()["items"]
    assert [board["id"] for board in listed] == list(BOARDS)
    for id in BOARDS:
        assert (await site("GET", f"/{id}")).json()["tiles"]
        assert (await site("PUT", f"/{id}", draft())).status == 403


@pytest.mark.parametrize("id", BOARDS)
def test_a_ready_board_is_one_that_could_be_kept(id: str) -> None:
    title, tiles = BOARDS[id]
    sent = {"title": title["en"], "tiles": msgspec.to_builtins(tiles)}
    assert msgspec.convert(sent, Draft).tiles == tiles
    declared = {(layer.type, attr.name) for layer in service.LAYERS for attr in layer.attrs}
    types = {layer.type for layer in service.LAYERS}
    for asked in (tile.ask for tile in tiles if tile.ask):
        assert (asked.type, asked.attr) in declared if asked.attr else asked.type in types


async def test_the_second_of_two_editors_is_told_and_loses_nothing(site: Site) -> None:
    made = (await site("POST", "", draft())).json()
    first = await site("PUT", f"/{made['id']}", draft(1, title="Kim's"))
    assert (first.status, first.json()["version"]) == (200, 2)
    second = await site("PUT", f"/{made['id']}", draft(1, title="Lee's"), who="lee")
    assert second.status == 409
    assert (second.json()["current"]["title"], second.json()["current"]["by"]) == ("Kim's", "kim")
    again = await site("PUT", f"/{made['id']}", draft(2, title="Lee's"), who="lee")
    assert (again.json()["title"], again.json()["owner"], again.json()["by"]) == ("Lee's", "kim", "lee")


async def test_only_its_owner_or_a_supervisor_takes_a_board_away(site: Site) -> None:
    id = (await site("POST", "", draft())).json()["id"]
    assert (await site("DELETE", f"/{id}", who="lee")).status == 403
    assert (await site("PUT", f"/{id}", draft(1, shared=False), who="lee")).status == 403
    assert (await site("PUT", f"/{id}", draft(1), who="choi", role="cctv-officer")).status == 403
    assert (await site("DELETE", f"/{id}", who="park", role="supervisor")).status == 204
    own = (await site("POST", "", draft(shared=False))).json()["id"]
    for method in ("GET", "DELETE"):
        assert (await site(method, f"/{own}", who="park", role="supervisor")).status == 404
    assert (await site("GET", f"/{own}")).status == 200
    assert (await site("GET", "", role="reader")).status == 403


async def test_what_is_no_board_is_refused_in_a_line(site: Site) -> None:
    tile = draft()["tiles"][0]
    wrong: list[Any] = [
        {**draft(), "title": ""},
        draft(x=10),
        {**draft(), "tiles": [tile, {**tile, "id": "b", "x": 2}]},
        {**draft(), "tiles": [tile, {**tile, "x": 6}]},
        {**draft(), "tiles": [{**tile, "kind": "value"}]},
        {**draft(), "tiles": [{**tile, "kind": "value", "ask": {"want": "value", "type": TYPE}}]},
        {**draft(), "tiles": [{**tile, "id": str(n)} for n in range(41)]},
    ]
    for body in wrong:
        answer = await site("POST", "", body)
        assert answer.status == 400, body
        assert answer.json()["detail"]
    assert (await site("GET", "/value?type=" + TYPE)).status == 400
    assert (await site("GET", "/series?type=T&attr=a&hours=x")).status == 400
    assert (await site("GET", "/value?type=T&attr=a&area=1,2")).status == 400


async def test_tiles_are_answered_from_the_hub(site: Site) -> None:
    now = datetime.now(UTC)
    for hours, values in ((3, (10, 30)), (1, (20, 60))):
        await site.hub.upsert([station(n, pm25, at=now - timedelta(hours=hours)) for n, pm25 in enumerate(values)])
    ask = {"type": TYPE, "attr": "pm25"}
    asks = [
        {**ask, "want": "value"},
        {**ask, "want": "value", "agg": "max", "q": "pm25<50"},
        {"type": TYPE, "want": "value", "agg": "count"},
        {**ask, "want": "series", "hours": 6},
        {**ask, "want": "list", "order": "low"},
        {**ask, "want": "value", "q": "((("},
        {**ask, "want": "value", "area": {"at": [0, 0], "radius_m": 1000}},
    ]
    mean, most, count, series, low, wrong, nowhere = (await site("POST", "/data", {"asks": asks})).json()["items"]
    assert (mean["value"], most["value"], count["value"]) == (40, 20, 2)
    assert [value for _, value in series["points"]] == [20, 40]
    assert [(item["name"], item["value"]) for item in low["items"]] == [("Station 0", 20), ("Station 1", 60)]
    assert wrong["problem"]
    assert (nowhere["value"], nowhere["count"]) == (None, 0)


async def test_nobodys_answer_is_anothers_who_sees_less(site: Site) -> None:
    await site.hub.upsert([station(0, 10, lon=127.2), station(1, 90, lon=128.0)])
    found = figures.Figures(site.hub)
    ask = Ask("value", TYPE, "pm25")
    all_of_it, part = Access(), Access(grants=(Grant(area=Area(json.dumps(SQUARE))),))
    assert (await found.answer(all_of_it, ask))["value"] == 50
    assert (await found.answer(part, ask))["value"] == 10
    assert (await found.answer(part, Ask("series", TYPE, "pm25", hours=6)))["of"] == 1
    await found.close()


async def test_many_who_look_cost_one_look(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    await site.hub.upsert([station(0, 10)])
    found = figures.Figures(site.hub)
    looks: list[str] = []
    plain = figures._value  # pyright: ignore[reportPrivateUsage]

    async def counted(hub: Any, ask: Ask, kept: Any) -> Any:
        looks.append(ask.type)
        return await plain(hub, ask, kept)

    monkeypatch.setattr(figures, "_value", counted)
    answers = await asyncio.gather(*(found.answer(Access(), Ask("value", TYPE, "pm25")) for _ in range(50)))
    assert {answer["value"] for answer in answers} == {10}
    assert len(looks) == 1
    for n in range(figures.MOST_KEPT + 20):
        await found.answer(Access(), Ask("value", TYPE, "pm25", hours=1 + n % 700, agg="max" if n % 2 else "min"))
    assert len(found._kept) <= figures.MOST_KEPT  # pyright: ignore[reportPrivateUsage]
    await found.close()


async def test_a_series_goes_on_from_where_it_was_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC)
    await site.hub.upsert([station(0, 10, at=now - timedelta(hours=2))])
    found, ask = figures.Figures(site.hub), Ask("series", TYPE, "pm25", hours=6)
    monkeypatch.setattr(figures, "FRESH_S", 0.0)
    monkeypatch.setattr(figures, "SHARE", 0.0)
    assert [v for _, v in (await found.answer(Access(), ask))["points"]] == [10]
    await site.hub.upsert([station(0, 30, at=now)])
    assert [v for _, v in (await found.answer(Access(), ask))["points"]] == [10, 30]
    await found.close()


readings = st.dictionaries(st.sampled_from("abc"), st.tuples(st.floats(0, 100), st.integers(1, 5)), min_size=1)


@given(st.dictionaries(st.integers(0, 20), readings, max_size=10))
def test_what_is_drawn_lies_between_the_extremes(bins: figures.Bins) -> None:
    low, mean, high = (dict(figures.drawn(bins, agg, 0, 20)) for agg in ("min", "mean", "max"))
    assert low.keys() == mean.keys() == high.keys() == bins.keys()
    for step in bins:
        assert low[step] - 1e-9 <= mean[step] <= high[step] + 1e-9


def test_a_sum_holds_what_an_entity_said_last() -> None:
    bins: figures.Bins = {1: {"a": (6, 2), "b": (4, 1)}, 2: {"a": (5, 1)}}
    assert figures.drawn(bins, "sum", 1, 2) == [(1, 7), (2, 9)]
    assert figures.drawn(bins, "sum", 2, 2, share=0.5) == [(2, 18)]
