"""What somebody who means harm would try on the centre, and what comes of it."""

import asyncio
import stat
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from hanmaru.centre.agencies.desk import Desk, application
from hanmaru.centre.boards.figures import MOST_KEPT, Figures
from hanmaru.centre.boards.model import Ask
from hanmaru.centre.boards.store import FILE, Boards
from hanmaru.centre.cctv import api as cctv
from hanmaru.centre.cctv.register import Register, new_id, now
from hanmaru.centre.cctv.shapes import Clip
from hanmaru.centre.domain import CentreError
from hanmaru.centre.live.filters import parse_filter
from hanmaru.centre.reports.area import area_of
from hanmaru.centre.streams import Places
from hanmaru.edge import on_problem
from hanmaru.hub.local import open_hub
from hanmaru.platform.access import Access
from hanmaru.platform.problems import Problem
from tests.asgi import ask
from tests.centre.desk import HERE, SECRET, Room, room

FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.mark.anyio
async def test_no_other_page_reads_the_desk_or_sends_its_forms(tmp_path: Path) -> None:
    desk = Desk(tmp_path, SECRET)
    try:
        desk.take("k1", b'{"title": {"en": "<script>alert(1)</script>", "ko": ""}}')
        app, form = application(desk), b"key=k1&state=finished"
        for headers in ({"origin": "https://evil.example"}, {"origin": "null"}, {"origin": "http://127.0.0.1:9"}):
            refused = await ask(app, "/state", method="POST", headers=FORM | headers, body=form, host="127.0.0.1:8400")
            assert refused.status == 403
        for path, method in (("/", "GET"), ("/state", "POST")):  # a name made to lead here (DNS rebinding)
            assert (await ask(app, path, method=method, body=form, host="evil.example:8400")).status == 403
        assert desk.all()[0][3] == "received"
        page = await ask(app, "/", host="127.0.0.1:8400")
        assert page.status == 200
        assert b"<script" not in page.body
        assert b"&lt;script&gt;" in page.body
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        assert (await ask(app, "/state", method="POST", body=b"x" * 5000, host="127.0.0.1:8400")).status == 413
        own = FORM | {"origin": "http://127.0.0.1:8400"}
        assert (await ask(app, "/state", method="POST", headers=own, body=form, host="127.0.0.1:8400")).status == 303
        assert desk.all()[0][3] == "finished"
        assert (await ask(application(desk, name="desk.fire"), "/", host="desk.fire:8400")).status == 200
    finally:
        desk.close()


@pytest.mark.anyio
async def test_a_person_answers_for_no_agency(tmp_path: Path) -> None:
    async with room(tmp_path) as site:
        agency = {"name": {"en": "Police"}, "kind": "police", "endpoint": "http://127.0.0.1:9/", "secret": SECRET}
        nobody = await site.ask("PUT", "/agencies/police", agency | {"machine": ""}, role="supervisor")
        assert nobody.status == 400  # an empty name would be everybody's who has none


@asynccontextmanager
async def cameras(folder: Path) -> AsyncGenerator[Room]:
    """The room's HTTP of cameras, without a camera process."""
    async with room(folder) as site:
        routes = list(cctv.routes(site.context))
        app = Starlette(routes=[Mount("/c", routes=routes)], exception_handlers={Problem: on_problem})
        app.state.door = site.app.state.door
        yield Room(site.context, app)


@pytest.mark.anyio
async def test_a_grant_shows_no_face_to_another_or_to_who_is_an_officer_no_more(tmp_path: Path) -> None:
    async with cameras(tmp_path) as site:
        for id in ("gate", "yard"):
            made = await site.ask(
                "POST", "/cameras", {"id": id, "name": {"en": id}, "location": HERE}, role="supervisor"
            )
            assert made.status == 201, made.body
        why = {"purpose": "a child is missing", "reason": "seen near the gate", "event": "", "minutes": 5}
        given = await site.ask("POST", "/cameras/gate/unblur", why, role="cctv-officer", who="kim")
        assert given.status == 201, given.body
        grant = given.json()["grant"]
        for camera, who, role in (
            ("gate", "kim", "operator"),  # the office was taken away since
            ("gate", "lee", "cctv-officer"),
            ("yard", "kim", "cctv-officer"),
        ):
            refused = await site.ask("GET", f"/cameras/stream?ids={camera}&grant={grant}", role=role, who=who)
            assert refused.status == 403, refused.body
        path = f"/cameras/stream?ids=gate&grant={grant}"
        allowed = await site.ask("GET", path, role="cctv-officer", who="kim")
        assert allowed.status == 503, allowed.body  # it may, only that no camera process runs here
        ended = await site.ask("DELETE", f"/cameras/gate/unblur/{grant}", role="supervisor")
        assert ended.status == 204
        assert (await site.ask("GET", path, role="cctv-officer", who="kim")).status == 403


@pytest.mark.anyio
async def test_nobody_makes_the_camera_process_forget_older_clips_by_asking_for_many(tmp_path: Path) -> None:
    async with cameras(tmp_path) as site:
        body = {"id": "gate", "name": {"en": "gate"}, "location": HERE}
        assert (await site.ask("POST", "/cameras", body, role="supervisor")).status == 201
        register, at = Register(tmp_path), now()
        for _ in range(cctv.MOST_WAITING):
            register.put_clip(
                Clip(id=new_id("clip"), camera="gate", event="", reason="x", who="kim", asked_start=at, asked_end=at,
                     at=at, state="wanted")
            )  # fmt: skip
        register.close()
        hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        wanted = {"camera": "gate", "start": hour.isoformat(), "end": hour.replace(second=30).isoformat()}
        refused = await site.ask("POST", "/clips", wanted | {"reason": "a theft", "event": ""})
        assert refused.status == 503, refused.body
        assert int(refused.headers["retry-after"]) > 0


def test_nobody_takes_every_stream() -> None:
    places = Places(2)
    give_back = places.take("kim")
    places.take("kim")
    with pytest.raises(Problem, match="close one first"):
        places.take("kim")
    places.take("lee")
    give_back()
    places.take("kim")


@pytest.mark.anyio
async def test_nobody_makes_the_boards_wait_behind_ever_more_questions(tmp_path: Path) -> None:
    async with open_hub(f"sqlite:///{tmp_path / 'hub.db'}") as hub:
        figures = Figures(hub.client(Access()))
        asks = [Ask("value", "Thing", agg="count", q=f"size>{n}") for n in range(MOST_KEPT + 20)]
        found = await asyncio.gather(*(figures.answer(Access(), ask) for ask in asks), return_exceptions=True)
        refused = [one for one in found if isinstance(one, Problem)]
        assert [one.status for one in refused] == [503] * 20
        assert (await figures.answer(Access(), asks[-1]))["count"] == 0
        await figures.close()


def test_a_deep_area_is_refused_in_words() -> None:
    for deep in ('{"a":' * 5000 + "1" + "}" * 5000, '{"type":"Polygon","coordinates":' + "[" * 5000 + "]" * 5000 + "}"):
        with pytest.raises(CentreError):
            parse_filter('{"area":' + deep + "}")
        with pytest.raises(CentreError):
            area_of(deep, {})


def test_boards_are_read_by_nobody_else_on_the_machine(tmp_path: Path) -> None:
    Boards(tmp_path).seen_by("kim")
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


@pytest.mark.anyio
async def test_what_an_operator_writes_reaches_screens_and_the_hub_plain(tmp_path: Path) -> None:
    async with room(tmp_path) as site:
        raised = await site.raised(title="Fire \u202egnp.exe\x00\x1b[2J")
        assert raised["title"]["ko"] == "Fire gnp.exe[2J"
        body = {"category": "security", "severity": "high", "title": "A call"}
        for more in (
            {"location": {"type": "Point", "coordinates": [True, False]}},
            {"location": {"type": "Point", "coordinates": [1e308, 0]}},
            {"title": {"a" * (n % 8 + 1) + "b" * (n // 8): "x" for n in range(11)}},
            {"title": {"한국어": "x"}},
            {"title": "\u202e\x00"},
            {"category": "../x"},
        ):
            refused = await site.ask("POST", "/events", body | more)
            assert refused.status == 400, (more, refused.body)
        long = "x" * 3000
        for path, deed in (
            ("release", {"reason": "x", "to": long}),
            ("merge", {"into": long}),
            ("note", {"text": long}),
            ("procedure/steps/ask", {"do": "done", "text": long}),
        ):
            refused = await site.ask("POST", f"/events/{raised['id']}/{path}", deed)
            assert refused.status in (400, 409), (path, refused.body)
            assert len(refused.body) < 1000
        kept = await site.ask("GET", f"/events/{raised['id']}")
        assert len(kept.body) < 2000
        deep = b'{"category":"fire","severity":"low","title":"x","location":' + b'{"a":' * 20000
        assert (await site.ask("POST", "/events", deep)).status == 400
