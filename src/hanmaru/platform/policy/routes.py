"""What a screen may know of policy: what the caller may do, and which roles there are."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from hanmaru.platform.bodies import answer
from hanmaru.platform.policy import ANYONE, Caller, GuardedRoute, caller_of, policy_of
from hanmaru.platform.services import Service, Text

ROLES: Mapping[str, Text] = {
    "admin": {"en": "Administrator", "ko": "관리자"},
    "writer": {"en": "Writer (sensors, gateways)", "ko": "데이터 입력(센서, 게이트웨이)"},
    "reader": {"en": "Reader", "ko": "열람자"},
    "security": {"en": "Security officer", "ko": "보안 담당자"},
    "privacy": {"en": "Privacy officer", "ko": "개인정보 보호 담당자"},
    "auditor": {"en": "Auditor", "ko": "감사관"},
}
"""The built-in roles; services bring their own."""


def routes(services: Sequence[Service[Any]]) -> list[GuardedRoute]:
    """Return the routes."""
    titles = {**ROLES, **{name: text for service in services for name, text in service.roles.items()}}

    async def mine(request: Request) -> Response:
        """Return the actions that policy permits the caller, on the city or on some room's vault.

        A purpose that such an action will ask for is taken as given. ``with_second_factor`` are the further ones that
        only want a second factor; ``rooms`` are the rooms with what is permitted on the vault of each.
        """
        policy, caller = policy_of(request), caller_of(request)
        asked = sorted(policy.actions)

        def permitted(who: Caller, resource: str) -> list[str]:
            return [action for action in asked if policy.allows(who, action, resource, "stated later")]

        def anywhere(who: Caller) -> set[str]:
            return {action for resource in ("", *map(_vault, services)) for action in permitted(who, resource)}

        now = anywhere(caller)
        rooms = [
            {"name": service.name, "title": service.title, "actions": permitted(caller, _vault(service))}
            for service in services
            if caller is not ANYONE
        ]
        further = anywhere(replace(caller, second_factor=True)) - now if caller.kind == "person" else set[str]()
        return answer({"actions": sorted(now), "with_second_factor": sorted(further), "rooms": rooms})

    async def roles(request: Request) -> Response:
        """Return the roles that policies speak of, with their titles."""
        known = sorted(policy_of(request).roles, key=lambda name: (name not in ROLES, name))
        return answer({"roles": [{"name": name, "title": titles.get(name, {"en": name})} for name in known]})

    return [
        GuardedRoute("/api/policy/v1/mine", mine, permission="public"),
        GuardedRoute("/api/policy/v1/roles", roles, permission="account"),
    ]


def _vault(service: Service[Any]) -> str:
    return f'Vault::"{service.name}"'
