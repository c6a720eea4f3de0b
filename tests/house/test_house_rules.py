"""What a service cannot do by mistake, and what changes of the rules leave behind."""

import os
import pwd
from importlib.metadata import EntryPoint
from pathlib import Path

import msgspec
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from hanmaru.app import create_app
from hanmaru.config import Settings
from hanmaru.platform import services
from hanmaru.platform.audit.record import os_user
from hanmaru.platform.policy import cedar
from hanmaru.platform.policy.door import GuardedRoute
from hanmaru.platform.services import Service
from tests.asgi import ask, started


async def endpoint(request: Request) -> Response:
    return Response(b"here")


GUARDED = GuardedRoute("/guarded", endpoint, permission="public")


@pytest.mark.parametrize(
    "unguarded", [Route("/open", endpoint), Mount("/below", routes=[Route("/open", endpoint)]), Mount("/app", endpoint)]
)
async def test_a_service_with_an_unguarded_route_has_none(
    unguarded: Route | Mount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {
        "bikes": Service("bikes", {"en": "Bikes"}, routes=lambda _: [GUARDED, unguarded]),
        "boats": Service("boats", {"en": "Boats"}, routes=lambda _: [GUARDED]),
    }
    monkeypatch.setattr(EntryPoint, "load", lambda point: made[point.name])
    points = [EntryPoint(name, name, services.ENTRY_POINT_GROUP) for name in made]
    monkeypatch.setattr(services, "entry_points", lambda group: points)
    app = create_app(Settings(data=tmp_path, services=tuple(made), auth="off"))
    async with started(app):
        assert (await ask(app, "/api/boats/v1/guarded")).status == 200
        for path in ("guarded", "open", "below/open", "app"):
            assert (await ask(app, f"/api/bikes/v1/{path}")).status == 404


async def test_a_face_takes_no_address_of_the_hubs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {
        "bikes": Service("bikes", {"en": "Bikes"}, faces=lambda _: [Mount("/manage", routes=[GUARDED])]),
        "boats": Service("boats", {"en": "Boats"}, faces=lambda _: [Mount("/boats/v2", routes=[GUARDED])]),
    }
    monkeypatch.setattr(EntryPoint, "load", lambda point: made[point.name])
    points = [EntryPoint(name, name, services.ENTRY_POINT_GROUP) for name in made]
    monkeypatch.setattr(services, "entry_points", lambda group: points)
    app = create_app(Settings(data=tmp_path, services=tuple(made), auth="off"))
    async with started(app):
        assert (await ask(app, "/boats/v2/guarded")).body == b"here"
        assert (await ask(app, "/manage/guarded")).body != b"here"


async def test_the_trail_shows_which_rules_were_in_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cedar, "LOOK_AGAIN_S", 0.0)
    data, policies = tmp_path / "data", tmp_path / "policies"
    policies.mkdir()

    def told() -> list[dict[str, str]]:
        lines = [line for path in sorted((data / "audit").rglob("*.log")) for line in path.read_bytes().splitlines()]
        records = [msgspec.json.decode(line[65:]) for line in lines]
        return [record["detail"] for record in records if record["action"] == "policy.in-force"]

    app = create_app(Settings(data=data, policies=policies, services=()))
    async with started(app):
        assert [rules["auth"] for rules in told()] == ["on"]
        everything = '@id("oops") permit (principal, action == Action::"read", resource == View::"everything");'
        (policies / "city.cedar").write_text(everything)
        assert (await ask(app, "/ngsi-ld/v1/types")).status == 200
        (policies / "city.cedar").write_text("nonsense")  # stays as it was
        assert (await ask(app, "/ngsi-ld/v1/types")).status == 200
        (policies / "city.cedar").unlink()
        assert (await ask(app, "/ngsi-ld/v1/types")).status == 401
    before, opened, after = told()
    assert before == after
    assert opened["sha256"] != before["sha256"]


def test_nobody_names_somebody_else_as_who_ran_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME", "SUDO_USER"):
        monkeypatch.setenv(name, "somebody-else")
    assert "somebody-else" not in os_user()
    assert pwd.getpwuid(os.getuid()).pw_name in os_user()
