"""The routes by which people come in and go: who one is, signing in and out, and the one-time set-up link."""

import asyncio
from typing import Any, cast

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hanmaru.platform.bodies import answer, read
from hanmaru.platform.identity.accounts import Account, AccountError, DemoAccount
from hanmaru.platform.identity.credentials import forget_session
from hanmaru.platform.identity.identity import OWNER, Identity
from hanmaru.platform.identity.passwords import PasswordError
from hanmaru.platform.origin import LOOPBACK_NAMES, address_of, host_of, passed_on
from hanmaru.platform.policy import ANYONE, GuardedRoute, caller_of
from hanmaru.platform.problems import Problem, sentence


class Credentials(msgspec.Struct, frozen=True):
    """What signing in sends; ``code`` is an authenticator app's or a recovery code."""

    name: str
    password: str
    code: str | None = None


class NewPassword(msgspec.Struct, frozen=True):
    """What a set-up page sends; ``name`` where the link is for a new account."""

    token: str
    password: str
    name: str = ""


def routes(identity: Identity) -> list[BaseRoute]:
    """Return the routes that tell who one is, sign in and sign out."""

    async def who(request: Request) -> Response:
        """Tell who is signed in.

        401 where nobody is, with the ``ways`` to sign in; on a demo, to a client on the same machine, with
        ``demo_accounts`` to sign in with.
        """
        caller = caller_of(request)
        if caller is not ANYONE:
            shown = {"name": caller.name, "roles": caller.roles, "login": identity.known is not None}
            return answer({**shown, "second_factor": caller.second_factor})
        problem = Problem(401, "Sign in first", "Send a name and password to POST /api/session.")
        oidc = {"title": identity.oidc_title} if identity.oidc_title else None
        problem.extra["ways"] = {"password": True, "passkey": True, "oidc": oidc}
        if identity.demo and _at_home(request):
            problem.extra["demo_accounts"] = [_shown(account) for account in identity.demo]
        raise problem

    async def start(request: Request) -> Response:
        """Sign in with a name and password and get a session cookie.

        401 with ``second_factor``, the ways it can be shown, where a ``code`` is needed.
        """
        if identity.known is None:
            shown = {"name": OWNER.name, "roles": OWNER.roles, "login": False}
            return answer({**shown, "second_factor": OWNER.second_factor})
        given = await read(request, Credentials, '{"name": …, "password": …}')
        account = await identity.sign_in(given.name, given.password, request.scope)
        second_factor = await identity.show_second_factor(account, given.code, request.scope)
        return await _signed_in(identity, account, request, second_factor=second_factor, way="password")

    async def passkey_options(request: Request) -> Response:
        """Return the options to call ``navigator.credentials.get`` with."""
        passkeys = identity.with_login().passkeys
        return answer(await asyncio.to_thread(passkeys.request_options, identity.party(request)))

    async def passkey(request: Request) -> Response:
        """Sign in with the passkey's answer, as JSON, and get a session cookie."""
        credential = await read(request, dict[str, Any], "the credential as JSON")
        account = await identity.sign_in_with_passkey(credential, request)
        return await _signed_in(identity, account, request, second_factor=True, way="passkey")

    async def end(request: Request) -> Response:
        """Sign out: end the session on the server and forget the cookie."""
        session = request.scope.get("session")
        token = identity.token(request.scope)
        if session is not None and token and identity.known:
            identity.note(request.scope, "session.end", session.account)
            await asyncio.to_thread(identity.known.sessions.end, token)
        response = Response(status_code=204)
        forget_session(response, secure=identity.https(request.scope))
        return response

    async def set_up(request: Request) -> Response:
        """Choose a password by a one-time set-up link and get a session cookie.

        An account with a second factor gets none: sign in with the new password and the factor.
        """
        known = identity.with_login()
        given = await read(request, NewPassword, '{"token": …, "name": …, "password": …}')
        try:
            account = await asyncio.to_thread(known.accounts.set_up, given.token, given.name, given.password)
        except (AccountError, PasswordError) as error:
            raise refused(error) from None
        if account is None:
            identity.note_refusal(request.scope, "set-up link refused", None)
            raise Problem(401, "Link not valid", "This set-up link was used or has expired. Ask for a new one.")
        identity.note(request.scope, "account.password", account, way="set-up link")
        if account.second_factor or account.locked:
            return answer({"name": account.name, "roles": account.roles, "login": True, "second_factor": False}, 201)
        return await _signed_in(identity, account, request, second_factor=False, way="set-up link")

    return [
        GuardedRoute("/api/session", who, permission="public"),
        GuardedRoute("/api/session", start, permission="public", methods=["POST"]),
        GuardedRoute("/api/session/passkey/options", passkey_options, permission="public", methods=["POST"]),
        GuardedRoute("/api/session/passkey", passkey, permission="public", methods=["POST"]),
        GuardedRoute("/api/session", end, permission="public", methods=["DELETE"]),
        GuardedRoute("/api/setup", set_up, permission="public", methods=["POST"]),
    ]


def refused(error: Exception) -> Problem:
    """Return the 400 problem of a change that the accounts do not take."""
    return Problem(400, "Not accepted", sentence(error))


async def _signed_in(
    identity: Identity, account: Account, request: Request, *, second_factor: bool, way: str
) -> Response:
    put_cookie = await identity.start_session(account, request, second_factor=second_factor, way=way)
    shown = {"name": account.name, "roles": account.roles, "login": True, "second_factor": second_factor}
    response = answer(shown, 201)
    put_cookie(response)
    return response


def _shown(account: DemoAccount) -> dict[str, str]:
    return {"name": account.name, "password": account.password, "role": account.role}


def _at_home(request: Request) -> bool:
    headers = cast("dict[bytes, bytes]", dict(request.scope["headers"]))
    here = address_of(request.scope) in LOOPBACK_NAMES and host_of(headers) in LOOPBACK_NAMES
    return here and not passed_on(headers)
