"""What people keep in order themselves: their password, second factors, recovery codes and sessions."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hanmaru.platform.bodies import answer, instant, read
from hanmaru.platform.identity.accounts import Account, AccountError
from hanmaru.platform.identity.factors import FactorError, qr_svg, totp_uri
from hanmaru.platform.identity.identity import Identity, Known
from hanmaru.platform.identity.passwords import PasswordError
from hanmaru.platform.identity.sessions import Session
from hanmaru.platform.identity.signin import refused
from hanmaru.platform.origin import host_of
from hanmaru.platform.policy import ANYONE, GuardedRoute, caller_of
from hanmaru.platform.problems import Problem, not_found

T = TypeVar("T")


class ChangedPassword(msgspec.Struct, frozen=True):
    """What changing one's password sends."""

    old: str
    new: str


class Confirmed(msgspec.Struct, frozen=True):
    """A change that is confirmed by the password."""

    password: str


class Code(msgspec.Struct, frozen=True):
    """The code that an authenticator app shows."""

    code: str


class NewPasskey(msgspec.Struct, frozen=True):
    """What adding a passkey sends: a title to know it by, and what the browser made."""

    title: str
    credential: dict[str, Any]


def routes(identity: Identity) -> list[BaseRoute]:
    """Return the routes of one's own account."""

    async def account(request: Request) -> Response:
        """Show one's own account: its roles, second factors and sessions."""
        known, me = _me(identity, request)
        current = _session(request)

        def document() -> dict[str, Any]:
            return {
                "name": me.name,
                "title": me.title,
                "roles": me.roles,
                "provider": me.provider,
                "totp": "totp" in known.factors.ways(me.name),
                "passkeys": [
                    {"id": p.id, "title": p.title, "created": instant(p.created), "last_used": instant(p.last_used)}
                    for p in known.passkeys.of(me.name)
                ],
                "recovery_codes_left": known.factors.left(me.name),
                "sessions": [
                    _session_document(session, current is not None and session.digest == current.digest)
                    for session in known.sessions.of(me)
                ],
            }

        return answer(await asyncio.to_thread(document))

    async def password(request: Request) -> Response:
        """Change one's password, which ends one's other sessions."""
        known, me = _me(identity, request)
        given = await read(request, ChangedPassword, '{"old": …, "new": …}')
        await _confirm(identity, me, given.old, request)
        await _do(known.accounts.set_password, me.name, given.new, keep=_digest(request))
        return await _changed(identity, request, me, "account.password", Response(status_code=204))

    async def offer_totp(request: Request) -> Response:
        """Return a secret for an authenticator app, as text, address and QR code; it counts once confirmed."""
        known, me = _built_in(identity, request)
        secret = await _do(known.factors.offer_totp, me.name)
        uri = totp_uri(me.name, secret, host_of(dict(request.scope["headers"])))
        return answer({"secret": secret, "uri": uri, "qr": await asyncio.to_thread(qr_svg, uri)})

    async def confirm_totp(request: Request) -> Response:
        """Confirm the authenticator app by a code of it; return new recovery codes with one's first factor."""
        known, me = _built_in(identity, request)
        given = await read(request, Code, '{"code": …}')
        codes = await _do(known.factors.confirm_totp, me.name, given.code)
        await asyncio.to_thread(known.sessions.end_all, me.name, but=_digest(request))
        return await _changed(identity, request, me, "account.totp.add", answer(_with_codes(codes)), shown=True)

    async def remove_totp(request: Request) -> Response:
        """Remove the authenticator app, confirmed by one's password; this ends one's other sessions."""
        known, me = _built_in(identity, request)
        given = await read(request, Confirmed, '{"password": …}')
        await _confirm(identity, me, given.password, request)
        await _do(known.factors.remove_totp, me.name)
        await asyncio.to_thread(known.sessions.end_all, me.name, but=_digest(request))
        return await _changed(identity, request, me, "account.totp.remove", Response(status_code=204))

    async def passkey_options(request: Request) -> Response:
        """Return the options to call ``navigator.credentials.create`` with."""
        known, me = _built_in(identity, request)
        return answer(await asyncio.to_thread(known.passkeys.creation_options, me, identity.party(request)))

    async def add_passkey(request: Request) -> Response:
        """Add the passkey that the browser made; return its id, and new recovery codes with one's first factor.

        This ends one's other sessions.
        """
        known, me = _built_in(identity, request)
        given = await read(request, NewPasskey, '{"title": …, "credential": …}')
        party = identity.party(request)
        id, codes = await _do(known.passkeys.add, me, given.title, given.credential, party)
        await asyncio.to_thread(known.sessions.end_all, me.name, but=_digest(request))
        response = answer({"id": id, "title": given.title.strip(), **_with_codes(codes)}, 201)
        return await _changed(identity, request, me, "account.passkey.add", response, shown=True)

    async def remove_passkey(request: Request) -> Response:
        """Remove a passkey; this ends one's other sessions."""
        known, me = _built_in(identity, request)
        if not await _do(known.passkeys.remove, me.name, request.path_params["id"]):
            raise not_found("There is no such passkey.")
        await asyncio.to_thread(known.sessions.end_all, me.name, but=_digest(request))
        return await _changed(identity, request, me, "account.passkey.remove", Response(status_code=204))

    async def recovery_codes(request: Request) -> Response:
        """Return new recovery codes in place of the old ones, confirmed by one's password."""
        known, me = _built_in(identity, request)
        given = await read(request, Confirmed, '{"password": …}')
        await _confirm(identity, me, given.password, request)
        codes = await _do(known.factors.new_recovery_codes, me.name)
        identity.note(request.scope, "account.recovery-codes", me)
        return answer({"recovery_codes": codes})

    async def end_session(request: Request) -> Response:
        """End one of one's sessions."""
        known, me = _me(identity, request)
        if not await _do(known.sessions.end_one, me.name, request.path_params["id"]):
            raise not_found("There is no such session.")
        identity.note(request.scope, "session.end", me)
        return Response(status_code=204)

    def route(path: str, method: str, endpoint: Callable[[Request], Any]) -> GuardedRoute:
        return GuardedRoute(f"/api/account{path}", endpoint, permission="account", methods=[method])

    return [
        route("", "GET", account),
        route("/password", "PUT", password),
        route("/totp", "POST", offer_totp),
        route("/totp", "PUT", confirm_totp),
        route("/totp", "DELETE", remove_totp),
        route("/passkeys/options", "POST", passkey_options),
        route("/passkeys", "POST", add_passkey),
        route("/passkeys/{id}", "DELETE", remove_passkey),
        route("/recovery-codes", "POST", recovery_codes),
        route("/sessions/{id}", "DELETE", end_session),
    ]


def _me(identity: Identity, request: Request) -> tuple[Known, Account]:
    known, caller = identity.with_login(), caller_of(request)
    if caller is ANYONE:
        raise Problem(401, "Sign in first", "Send HTTP Basic credentials or sign in at /.")
    account = known.accounts.find(caller.name) if caller.kind == "person" else None
    if account is None:
        raise not_found("You have no account here.")
    return known, account


def _built_in(identity: Identity, request: Request) -> tuple[Known, Account]:
    """Return whose factors may be changed: who has one must have shown it, else a password would undo it."""
    known, account = _me(identity, request)
    if account.provider:
        raise Problem(409, "Kept elsewhere", "Your OpenID Connect provider keeps your second factors.")
    if account.second_factor and not caller_of(request).second_factor:
        raise Problem(403, "Second factor needed", "Sign in with your second factor to change your factors.")
    return known, account


def _session(request: Request) -> Session | None:
    return request.scope.get("session")


def _digest(request: Request) -> bytes:
    session = _session(request)
    return session.digest if session else b""


async def _confirm(identity: Identity, me: Account, password: str, request: Request) -> None:
    """Raise Problem 403 for a wrong password: 401 would tell the browser that the session has ended."""
    try:
        await identity.sign_in(me.name, password, request.scope)
    except Problem as problem:
        if problem.status == 401:
            raise Problem(403, "Wrong password", "This is not your password.") from None
        raise


async def _do(change: Callable[..., T], *values: Any, **named: Any) -> T:
    """Make a change in a thread; its refusal is a 400 problem."""
    try:
        return await asyncio.to_thread(change, *values, **named)
    except (AccountError, FactorError, PasswordError) as error:
        raise refused(error) from None


async def _changed(
    identity: Identity, request: Request, me: Account, action: str, response: Response, *, shown: bool = False
) -> Response:
    """Note a change, and give the session that made it another token; ``shown``: it has shown a second factor now."""
    identity.note(request.scope, action, me)
    session = _session(request)
    if session is not None:
        second_factor = session.second_factor or shown
        put = await identity.start_session(
            me, request, second_factor=second_factor, way="changed account", renews=session
        )
        put(response)
    return response


def _with_codes(codes: list[str]) -> dict[str, list[str]]:
    """Return recovery codes as they are answered: only where there are new ones to write down."""
    return {"recovery_codes": codes} if codes else {}


def _session_document(session: Session, current: bool) -> dict[str, Any]:
    return {
        "id": session.id,
        "started": instant(session.started),
        "seen": instant(session.seen),
        "address": session.address,
        "agent": session.agent,
        "current": current,
    }
