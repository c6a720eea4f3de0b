"""The door of every route: which permission it asks for, and what the request's caller may see.

Every route is a `GuardedRoute` and names the permission it asks for, an action of the Cedar policies, or says
``public`` on purpose. A test walks every route and fails on one that does not. ``read`` and ``write`` are permitted
when policy lets the caller read or write some view of the hub; how much of it, `access_of` says. Denials are audited,
and so is whatever is permitted, but reads of the hub only where the settings ask for it.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from hanmaru.platform.access import DEFAULT_TENANT, Access
from hanmaru.platform.audit.record import Audit, Record
from hanmaru.platform.origin import address_of
from hanmaru.platform.policy.cedar import HERE, Caller, Policy
from hanmaru.platform.problems import Problem, bad_request

ANYONE = Caller("", kind="anonymous")
QUIET = frozenset({"read", "account", "metrics.read", "jobs.read", "audit.verify"})
"""Permissions whose use by GET changes nothing and shows nothing personal: audited only where reads are."""
MOST_PURPOSE = 200
MOST_TENANT = 128

Endpoint = Callable[[Request], Awaitable[Response]]


def caller_of(request: Request) -> Caller:
    """Return who asks; identity middleware put it into the scope."""
    return request.scope.get("caller", ANYONE)


@dataclass(frozen=True, slots=True)
class Door:
    """What an application asks before it answers: its policy, and the trail that it writes to, if it keeps one.

    It is ``app.state.door``. An application without one is guarded by the built-in policies.
    """

    policy: Policy
    audit: Audit | None = None
    audit_reads: bool = False


def door_of(request: Request) -> Door:
    """Return the application's door."""
    return request.app.state._state.get("door") or _built_in()  # its attributes are several times slower


def policy_of(request: Request) -> Policy:
    """Return the application's policy."""
    return door_of(request).policy


def audit_of(request: Request) -> Audit | None:
    """Return the application's audit trail; None for one that keeps none."""
    return door_of(request).audit


@cache
def _built_in() -> Door:
    return Door(Policy())


def purpose_of(request: Request) -> str:
    """Return the purpose that the request states in ``Hanmaru-Purpose``; raise a 400 problem for an unreadable one."""
    given = _header(request, b"hanmaru-purpose")
    if not given:
        return ""
    try:
        purpose = given.decode().strip()
    except UnicodeDecodeError:
        raise bad_request("Hanmaru-Purpose must be text in UTF-8.") from None
    if len(purpose) > MOST_PURPOSE or not purpose.isprintable():
        raise bad_request(f"Hanmaru-Purpose must be printable text of at most {MOST_PURPOSE} characters.")
    return purpose


def tenant_of(request: Request) -> str:
    """Return the tenant that the request names; raise a 400 problem for what is no tenant's name.

    What is decided is remembered by tenant, so nobody may make up names without end.
    """
    tenant = _header(request, b"ngsild-tenant").decode("latin-1")
    if tenant and not (len(tenant) <= MOST_TENANT and tenant.replace("-", "").replace("_", "").isalnum()):
        detail = f"NGSILD-Tenant must be letters, digits, hyphens and underscores, at most {MOST_TENANT}."
        raise bad_request(detail)
    return tenant


def _header(request: Request, name: bytes) -> bytes:
    """Return a header's value; several times quicker than ``request.headers``, which decodes them all."""
    for key, value in request.scope["headers"]:
        if key == name:
            return value
    return b""


def access_of(request: Request, tenant: str = DEFAULT_TENANT) -> Access:
    """Return what the caller may see of a tenant, or change where the request's route asks to ``write``."""
    scope = request.scope
    known: Access | None = scope.get("access")
    if known is not None and known.tenant == tenant:
        return known
    asked = "write" if scope.get("permission") == "write" else "read"
    return policy_of(request).access(caller_of(request), asked, tenant)


def record_of(request: Request, action: str, *, allowed: bool = True, **facts: Any) -> Record:
    """Return the audit record of what the caller does by a request; ``facts`` are further members of `Record`."""
    scope = request.scope
    return Record(
        caller_of(request).name,
        action,
        f"{scope['method']} {scope['path']}",
        "allow" if allowed else "deny",
        purpose=purpose_of(request),
        where=address_of(scope),
        request=scope.get("request_id", ""),
        **facts,
    )


def guard(request: Request, permission: str) -> Caller:
    """Return the caller when policy permits and audit has it; raise a 401 or 403 problem when policy does not."""
    caller = caller_of(request)
    if permission == "public":
        return caller
    tenant = tenant_of(request)
    door = door_of(request)
    policy, audit = door.policy, door.audit
    if permission == "read" or permission == "write":
        access = request.scope["access"] = policy.access(caller, permission, tenant)
        allowed, because = bool(access.grants), ()
    else:
        decision = policy.decide(caller, permission, HERE, tenant=tenant, purpose=purpose_of(request))
        allowed, because = decision.allowed, decision.because
    if allowed:
        loud = permission not in QUIET or request.method not in ("GET", "HEAD")
        if audit is not None and (loud or door.audit_reads):
            audit.record(record_of(request, permission))
        return caller
    if caller is ANYONE:
        raise Problem(401, "Sign in first", "Send HTTP Basic credentials or a key, or sign in at /.")
    if audit is not None:
        audit.record(record_of(request, permission, allowed=False, detail={"because": ", ".join(because)}))
    raise refusal(caller, permission, because)


def guard_roles(request: Request, before: Iterable[str], after: Iterable[str]) -> None:
    """Ask policy whether the caller may change somebody's roles; raise a 400, 401 or 403 problem when not.

    Ordinary roles are for ``accounts.manage``. Those that open personal data or read the trail (`Policy.entrusted`) are
    for ``accounts.entrust``, which no administrator has: nobody makes themselves their own overseer.
    """
    policy = policy_of(request)
    changed = set(before) ^ set(after)
    if unknown := sorted(set(after) - policy.roles):
        raise Problem(400, "Unknown role", f"No policy speaks of {', '.join(map(repr, unknown))}.")
    if changed - policy.entrusted:
        guard(request, "accounts.manage")
    if changed & policy.entrusted:
        guard(request, "accounts.entrust")


def refusal(caller: Caller, action: str, because: Sequence[str] = ()) -> Problem:
    """Return the 403 problem of a denied action, with what the caller can do about it.

    ``needs`` tells a screen what is wanting: ``second_factor`` or ``purpose``.
    """
    extra: dict[str, str] = {}
    if action == "accounts.entrust" and "entrusting-is-for-people" not in because:
        detail = "Roles that open personal data or the audit trail are given and taken by a privacy officer, signed in"
        detail += " with a second factor, or by the hub's own command line."
    elif "sensitive-work-asks-for-a-second-factor" in because:
        extra = {"needs": "second_factor"}
        detail = f"{action!r} asks for a second factor: add one to your account, sign in with it and try again."
    elif "personal-data-asks-for-a-purpose" in because:
        extra = {"needs": "purpose"}
        detail = f"{action!r} opens personal data: say what for in the header Hanmaru-Purpose."
    elif because:
        detail = f"{action!r} is forbidden by {', '.join(because)}."
    else:
        detail = f"No role of {caller.name!r} permits {action!r}; ask an administrator."
    return Problem(403, "Not permitted", detail, **extra)


class GuardedRoute(Route):
    """A route that asks for a permission before its endpoint runs; ``public`` says on purpose that it asks for none."""

    def __init__(
        self,
        path: str,
        endpoint: Endpoint,
        *,
        permission: str,
        methods: Sequence[str] = ("GET",),
        name: str | None = None,
        spec: Mapping[str, Any] | None = None,
    ) -> None:
        """Make the route; ``permission`` is what `guard` will ask for.

        ``spec`` adds members to the OpenAPI operation that the endpoint's docstring begins, such as ``parameters``.
        """

        async def guarded(request: Request) -> Response:
            guard(request, permission)
            request.scope["permission"] = permission
            return await endpoint(request)

        guarded.__doc__ = endpoint.__doc__
        super().__init__(path, guarded, methods=list(methods), name=name or getattr(endpoint, "__name__", path))
        self.permission = permission
        self.spec: Mapping[str, Any] = spec or {}


def walk(routes: Iterable[BaseRoute], prefix: str = "") -> Iterator[tuple[str, BaseRoute]]:
    """Yield every route with its full path template, going down into mounts that have routes of their own."""
    for route in routes:
        path = prefix + getattr(route, "path", "")
        if isinstance(route, Mount) and route.routes:
            yield from walk(route.routes, path)
        else:
            yield path, route
