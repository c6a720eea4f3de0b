"""Administration of people's accounts: make, lock, change roles, remove, and set-up links for who forgot a password.

An administrator never knows a password. Nobody changes their own roles, and one administrator always remains. Roles
that open personal data or the trail are a privacy officer's to give, and so are set-up links of who has them.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hanmaru.platform.bodies import answer, instant, read
from hanmaru.platform.identity.accounts import Account, AccountError, setup_link
from hanmaru.platform.identity.identity import Identity, Known
from hanmaru.platform.identity.signin import refused
from hanmaru.platform.policy import GuardedRoute, caller_of, guard, guard_roles
from hanmaru.platform.problems import Problem, not_found

MANAGE = "accounts.manage"

T = TypeVar("T")


class NewAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What adding an account sends."""

    name: str
    roles: list[str]


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What changing an account sends: what is left out stays."""

    roles: list[str] | None = None
    locked: bool | None = None


def routes(identity: Identity) -> list[BaseRoute]:
    """Return the routes of everybody's accounts."""

    async def accounts(request: Request) -> Response:
        """List the accounts: their roles, whether they are locked and have a second factor, and their last sign-in."""
        known = identity.with_login()

        def documents() -> list[dict[str, Any]]:
            last = dict(known.accounts.file.read("SELECT name, last_sign_in FROM account"))
            return [_document(known, account, last.get(account.name)) for account in known.accounts.all()]

        return answer(await asyncio.to_thread(documents))

    async def add(request: Request) -> Response:
        """Add an account; return the one-time link, good for a day, by which its person chooses a password."""
        known = identity.with_login()
        given = await read(request, NewAccount, '{"name": …, "roles": […]}')
        guard_roles(request, (), given.roles)
        token = await _do(known.accounts.invite, given.name, given.roles)
        account = known.accounts.find(given.name)
        assert account
        roles = " ".join(account.roles)
        identity.note(request.scope, "account.add", caller_of(request), account=account.name, roles=roles)
        link = _link(identity, request, token)
        return answer({"name": account.name, "roles": account.roles, "setup_link": link}, 201)

    async def change(request: Request) -> Response:
        """Lock or unlock an account, or give it other roles; either ends its sessions."""
        known, account = _named(identity, request)
        _not_oneself(request, account)
        given = await read(request, Change, '{"roles": […], "locked": …}')
        if given.roles is not None:
            guard_roles(request, account.roles, given.roles)
        if given.locked is not None:
            guard(request, "accounts.lock")
        by = caller_of(request)
        if given.roles is not None:
            if account.provider:
                raise Problem(409, "Kept elsewhere", "The OpenID Connect provider gives this account its roles.")
            roles = " ".join(given.roles)
            await _do(known.accounts.set_roles, account.name, given.roles)
            identity.note(request.scope, "account.roles", by, account=account.name, roles=roles)
        if given.locked is not None:
            await _do(known.accounts.set_locked, account.name, given.locked)
            await asyncio.to_thread(known.attempts.lift, account.name)
            action = "account.lock" if given.locked else "account.unlock"
            identity.note(request.scope, action, by, account=account.name)
        return Response(status_code=204)

    async def remove(request: Request) -> Response:
        """Remove an account with its sessions and factors."""
        known, account = _named(identity, request)
        _not_oneself(request, account)
        await _do(known.accounts.remove, account.name)
        identity.note(request.scope, "account.remove", caller_of(request), account=account.name)
        return Response(status_code=204)

    async def new_link(request: Request) -> Response:
        """Return a one-time link, good for a day, by which the account's person chooses a new password."""
        known, account = _named(identity, request)
        guard_roles(request, account.roles, ())  # whoever has the link can be that person
        token = await _do(known.accounts.setup_token, account.name)
        identity.note(request.scope, "account.setup-link", caller_of(request), account=account.name)
        return answer({"setup_link": _link(identity, request, token)}, 201)

    one = "/api/accounts/{name:path}"
    return [
        GuardedRoute("/api/accounts", accounts, permission="accounts.read"),
        GuardedRoute("/api/accounts", add, permission=MANAGE, methods=["POST"]),
        GuardedRoute(f"{one}/setup-link", new_link, permission=MANAGE, methods=["POST"]),
        GuardedRoute(one, change, permission="accounts.read", methods=["PATCH"]),
        GuardedRoute(one, remove, permission=MANAGE, methods=["DELETE"]),
    ]


def _link(identity: Identity, request: Request, token: str) -> str:
    return setup_link(identity.public_url or f"{request.url.scheme}://{request.headers.get('host', '')}", token)


def _document(known: Known, account: Account, last_sign_in: float | None) -> dict[str, Any]:
    return {
        "name": account.name,
        "title": account.title,
        "roles": account.roles,
        "kind": "person",
        "provider": account.provider,
        "locked": account.locked or known.attempts.locked_s(account.name) > 0,
        "second_factor": account.second_factor,
        "last_sign_in": instant(last_sign_in),
    }


def _named(identity: Identity, request: Request) -> tuple[Known, Account]:
    known = identity.with_login()
    account = known.accounts.find(request.path_params["name"])
    if account is None:
        raise not_found("There is no such account.")
    return known, account


def _not_oneself(request: Request, account: Account) -> None:
    caller = caller_of(request)
    if caller.kind == "person" and caller.name == account.name:
        raise Problem(409, "Your own account", "Nobody locks or removes themselves or changes their own roles.")


async def _do(change: Callable[..., T], *values: Any) -> T:
    try:
        return await asyncio.to_thread(change, *values)
    except AccountError as error:
        raise Problem(409, "Not possible", refused(error).detail) from None
