"""What a screen learns of policy: what one may do, what only wants a second factor, and in which rooms."""

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from hanmaru.edge import on_problem
from hanmaru.platform.policy import ANYONE, Caller, Door, Policy
from hanmaru.platform.policy.routes import routes
from hanmaru.platform.problems import Problem
from hanmaru.platform.services import Service
from tests.asgi import ask

RIDES = """
@id("dispatchers-own-room")
permit (principal in Role::"dispatcher", action in [Action::"vault.read", Action::"handover.request"],
  resource == Vault::"ride");
"""


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    (tmp_path / "rides.cedar").write_text(RIDES)
    return Policy([tmp_path])


class As:
    """Middleware by which somebody asks."""

    def __init__(self, app: ASGIApp, caller: Caller) -> None:
        self.app, self.caller = app, caller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["caller"] = self.caller
        await self.app(scope, receive, send)


async def mine(policy: Policy, caller: Caller) -> dict[str, list[str]]:
    services: list[Service[None]] = [Service(name, {"en": name.title()}) for name in ("ride", "trace")]
    app = Starlette(
        routes=routes(services), middleware=[Middleware(As, caller)], exception_handlers={Problem: on_problem}
    )
    app.state.door = Door(policy)
    document = (await ask(app, "/api/policy/v1/mine")).json()
    rooms = {room["name"]: room["actions"] for room in document["rooms"]}
    return {**rooms, "now": document["actions"], "later": document["with_second_factor"]}


async def test_what_wants_a_second_factor_is_told_apart(policy: Policy) -> None:
    told = await mine(policy, Caller("kim", ("admin",)))
    assert "accounts.read" in told["now"]
    assert told["later"] == ["accounts.manage"]
    told = await mine(policy, Caller("kim", ("admin",), second_factor=True))
    assert "accounts.manage" in told["now"]
    assert told["later"] == []


async def test_each_room_says_what_is_permitted_in_its_vault(policy: Policy) -> None:
    told = await mine(policy, Caller("lee", ("dispatcher",), second_factor=True))
    assert {"vault.read", "handover.request"} <= set(told["ride"])
    assert not {"vault.read", "handover.request"} & set(told["trace"])
    assert {"vault.read", "handover.request"} <= set(told["now"])


async def test_who_has_not_signed_in_learns_of_no_rooms(policy: Policy) -> None:
    assert await mine(policy, ANYONE) == {"now": [], "later": []}
