"""Which permission a route asks for, and what a role may see.

Every route is a `GuardedRoute` and names the permission it asks for, or says ``public`` on purpose.
A test walks every route and fails on one that does not.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from hanmaru.platform.access import Access
from hanmaru.platform.problems import Problem

Permission = Literal["public", "read", "write", "admin"]
Role = Literal["admin", "reader"]

GRANTS: dict[Role, frozenset[Permission]] = {
    "admin": frozenset({"public", "read", "write", "admin"}),
    "reader": frozenset({"public", "read"}),
}

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: an account's name and roles, as identity established them."""

    name: str
    roles: tuple[Role, ...]

    def may(self, permission: Permission) -> bool:
        """Whether one of the roles grants the permission."""
        return any(permission in GRANTS[role] for role in self.roles)


ANYONE = Caller("", ())


def access_of(caller: Caller, tenant: str) -> Access:
    """Return what the caller may see and change in a tenant."""
    return Access(tenant=tenant, write=caller.may("write"))


def caller_of(request: Request) -> Caller:
    """Return who asks; identity middleware put it into the scope."""
    return request.scope.get("caller", ANYONE)


def guard(request: Request, permission: Permission) -> Caller:
    """Return the caller when policy permits; raise a 401 or 403 problem when not."""
    caller = caller_of(request)
    if permission == "public" or caller.may(permission):
        return caller
    if caller is ANYONE:
        raise Problem(401, "Sign in first", "Send HTTP Basic credentials or sign in at /.")
    raise Problem(403, "Not permitted", f"The account {caller.name!r} has no role that grants {permission!r}.")


class GuardedRoute(Route):
    """A route that asks for a permission before its endpoint runs; ``public`` says on purpose that it asks for none."""

    def __init__(
        self,
        path: str,
        endpoint: Endpoint,
        *,
        permission: Permission,
        methods: Sequence[str] = ("GET",),
        name: str | None = None,
        spec: Mapping[str, Any] | None = None,
    ) -> None:
        """Make the route; ``permission`` is what `guard` will ask for.

        ``spec`` adds members to the OpenAPI operation that the endpoint's docstring begins, such as ``parameters``.
        """

        async def guarded(request: Request) -> Response:
            guard(request, permission)
            return await endpoint(request)

        guarded.__doc__ = endpoint.__doc__
        super().__init__(path, guarded, methods=list(methods), name=name or getattr(endpoint, "__name__", path))
        self.permission: Permission = permission
        self.spec: Mapping[str, Any] = spec or {}


def walk(routes: Iterable[BaseRoute], prefix: str = "") -> Iterator[tuple[str, BaseRoute]]:
    """Yield every route with its full path template, going down into mounts that have routes of their own."""
    for route in routes:
        path = prefix + getattr(route, "path", "")
        if isinstance(route, Mount) and route.routes:
            yield from walk(route.routes, path)
        else:
            yield path, route
