"""Who asks: HTTP Basic for machines, a session cookie for browsers, and the middleware that tells them apart.

The middleware puts a `policy.Caller` into ``scope["caller"]``. A credential once verified is remembered by a keyed
digest, so that the next request with it costs microseconds, not an argon2 verification. Failed attempts are limited by
client address and name. A browser's unsafe request from another site is refused whatever credentials it carries.
"""

import asyncio
import binascii
import hashlib
import secrets
import time
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Protocol
from urllib.parse import urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from hanmaru.platform.accounts import SESSION_S, Account, Accounts, DemoAccount
from hanmaru.platform.policy import ANYONE, Caller, GuardedRoute, caller_of
from hanmaru.platform.problems import Problem

COOKIE = "hanmaru_session"
REMEMBER_S = 300
MOST_REMEMBERED = 4096
FAILURES = 8
FAILURES_PER_ADDRESS = 40
FAILURE_WINDOW_S = 300
SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
OWNER = Caller("owner", ("admin",))
"""Who everybody is while login is off, which a loopback host alone allows."""


class Attempts:
    """Failed sign-ins by key within a sliding window, for a bounded number of keys."""

    def __init__(self, most: int, window_s: float = FAILURE_WINDOW_S, keys: int = 10_000) -> None:
        """Allow ``most`` failures of one key in ``window_s`` seconds."""
        self._most, self._window_s, self._keys = most, window_s, keys
        self._failures: OrderedDict[object, list[float]] = OrderedDict()

    def wait_s(self, key: object) -> float:
        """Return the seconds until the key may try again; 0 when it may now."""
        times = self._failures.get(key, [])
        return max(0.0, times[-self._most] + self._window_s - time.monotonic()) if len(times) >= self._most else 0.0

    def failed(self, key: object) -> None:
        """Count a failure."""
        times = self._failures.setdefault(key, [])
        times.append(time.monotonic())
        del times[: -self._most]
        self._failures.move_to_end(key)
        while len(self._failures) > self._keys:
            self._failures.popitem(last=False)


class Authenticator(Protocol):
    """Knows callers by another credential than an account's password: API keys, access tokens."""

    async def caller(self, scheme: str, credential: str, scope: Scope) -> Caller | None:
        """Return whose credential it is, or None when it is not of this authenticator's kind.

        ``scheme`` is the ``Authorization`` header's in lower case (``bearer``), or ``x-api-key`` for that header's
        value; ``credential`` is what follows it, untrusted. Raises Problem 401 for one of its own kind that is wrong,
        expired or withdrawn.
        """
        ...


class Identity:
    """Establishes callers from credentials; one for each web worker."""

    def __init__(
        self,
        accounts: Accounts | None,
        demo: tuple[DemoAccount, ...] = (),
        *,
        authenticators: Sequence[Authenticator] = (),
        oidc_title: str | None = None,
    ) -> None:
        """Make it over the accounts, None meaning that login is off; offer ``demo`` accounts to loopback clients.

        ``authenticators`` are tried in order for a credential that is not HTTP Basic; ``oidc_title`` names the OpenID
        Connect provider that the sign-in page offers.
        """
        self.accounts, self.demo = accounts, demo
        self.authenticators, self.oidc_title = authenticators, oidc_title
        self._key = secrets.token_bytes(32)
        self._verified: OrderedDict[bytes, tuple[Account, float]] = OrderedDict()
        self._verifying: dict[bytes, asyncio.Task[Account | None]] = {}
        self._turn = asyncio.Semaphore(2)
        self._by_name, self._by_address = Attempts(FAILURES), Attempts(FAILURES_PER_ADDRESS)

    async def sign_in(self, name: str, password: str, address: str) -> Account:
        """Return the account whose name and password these are.

        Raises Problem 401 for wrong ones and 429 after too many failures.
        """
        assert self.accounts
        digest = hashlib.blake2b(f"{name}:{password}".encode(), key=self._key).digest()
        account = self.accounts.find(name)
        known = self._verified.get(digest)
        if known and known[0] is account and known[1] > time.monotonic():
            return known[0]
        wait_s = max(self._by_name.wait_s((address, name)), self._by_address.wait_s(address))
        if wait_s:
            raise Problem(
                429, "Too many failed attempts", f"Try again in {wait_s:.0f} s.", retry_after_s=int(wait_s) + 1
            )
        task = self._verifying.get(digest)
        if task is None:
            task = self._verifying[digest] = asyncio.create_task(self._verify(account, password))
            task.add_done_callback(lambda _: self._verifying.pop(digest, None))
        verified = await asyncio.shield(task)
        if verified is None:
            self._by_name.failed((address, name))
            self._by_address.failed(address)
            raise Problem(401, "Wrong name or password", "No account has this name and password.")
        self._verified[digest] = (verified, time.monotonic() + REMEMBER_S)
        self._verified.move_to_end(digest)
        while len(self._verified) > MOST_REMEMBERED:
            self._verified.popitem(last=False)
        return verified

    async def _verify(self, account: Account | None, password: str) -> Account | None:
        assert self.accounts
        async with self._turn:
            return account if await asyncio.to_thread(self.accounts.verify, account, password) else None

    async def caller(self, scope: Scope, headers: dict[bytes, bytes]) -> Caller:
        """Return who sends a request; raises Problem 401 for credentials that are wrong, 403 for a forged request."""
        unsafe = scope["method"] not in SAFE
        if unsafe and same_origin(headers) is False:
            raise Problem(403, "Cross-site request refused", "A browser sent this from another site's page.")
        if self.accounts is None:
            if host_of(headers) not in LOOPBACK_NAMES:
                raise Problem(403, "Unknown host", "With login off, only requests to a loopback name are answered.")
            return OWNER
        authorization, api_key = headers.get(b"authorization"), headers.get(b"x-api-key")
        if api_key is not None:
            return await self._elsewhere("x-api-key", api_key, scope)
        if authorization is not None:
            scheme, _, credential = authorization.partition(b" ")
            if scheme.lower() != b"basic":
                return await self._elsewhere(scheme.decode("latin-1").lower(), credential.strip(), scope)
            name, password = _basic(authorization)
            return (await self.sign_in(name, password, _address(scope))).caller
        cookie = headers.get(b"cookie")
        token = _token(cookie) if cookie and COOKIE.encode() in cookie else None
        account = self.accounts.session(token) if token else None
        if account is None:
            return ANYONE
        if unsafe and same_origin(headers) is None:
            raise Problem(403, "Origin missing", "A request with a session cookie must say where it comes from.")
        return account.caller

    async def _elsewhere(self, scheme: str, credential: bytes, scope: Scope) -> Caller:
        text = credential.decode("latin-1")
        for authenticator in self.authenticators:
            caller = await authenticator.caller(scheme, text, scope)
            if caller is not None:
                return caller
        raise Problem(401, "Credentials not understood", "Nothing here knows credentials of this kind.")

    async def begin_session(
        self, account_name: str, request: Request, *, second_factor: bool, roles: tuple[str, ...] | None = None
    ) -> Callable[[Response], None]:
        """Start a session for somebody whose identity is established; return what puts its cookie onto a response.

        ``roles``, where given, are the provider's word at this log-in: they become the account's, which is made,
        without a password, when it is not there. Raises Problem 403 when the account is locked, 409 when ``roles``
        are given for a built-in account's name, and 404 when they are not and there is no account.
        """
        raise NotImplementedError


class Identified:
    """Middleware that puts the caller into ``scope["caller"]``."""

    def __init__(self, app: ASGIApp, identity: Identity) -> None:
        """Wrap an application."""
        self.app, self.identity = app, identity

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Establish who asks, then pass on; problems are raised to the edge."""
        if scope["type"] == "http":
            scope["caller"] = await self.identity.caller(scope, dict(scope["headers"]))
        elif scope["type"] == "websocket":
            scope["caller"] = ANYONE
        await self.app(scope, receive, send)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What signing in sends."""

    name: str
    password: str


LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def host_of(headers: dict[bytes, bytes]) -> str:
    """Return the host name that a request names, without port."""
    return urlsplit("//" + headers.get(b"host", b"").decode("latin-1")).hostname or ""


def same_origin(headers: dict[bytes, bytes]) -> bool | None:
    """Return whether a browser says that a page of ours sent the request; None when nothing says so or otherwise."""
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        return site in (b"same-origin", b"none")
    origin = headers.get(b"origin")
    if origin is None:
        return None
    return urlsplit(origin).netloc == headers.get(b"host")


def routes(identity: Identity, *, secure: bool = False) -> list[BaseRoute]:
    """Return the routes that tell who one is, sign in and sign out."""

    async def who(request: Request) -> Response:
        """Tell who is signed in.

        401 where nobody is; on a demo, to a client on the same machine, with ``demo_accounts`` to sign in with.
        """
        caller = caller_of(request)
        if caller is not ANYONE:
            return _json({"name": caller.name, "roles": caller.roles, "login": identity.accounts is not None})
        offer = identity.demo and _at_home(request)
        problem = Problem(401, "Sign in first", "Send a name and password to POST /api/session.")
        if offer:
            problem.extra["demo_accounts"] = identity.demo
        raise problem

    async def start(request: Request) -> Response:
        """Sign in with a name and password and get a session cookie."""
        if identity.accounts is None:
            return _json({"name": OWNER.name, "roles": OWNER.roles, "login": False})
        try:
            credentials = msgspec.json.decode(await request.body(), type=Credentials)
        except msgspec.DecodeError as error:
            raise Problem(400, "Invalid request", f'Send {{"name": …, "password": …}} as JSON: {error}') from None
        account = await identity.sign_in(credentials.name, credentials.password, _address(request.scope))
        response = _json({"name": account.name, "roles": account.caller.roles, "login": True}, 201)
        token = identity.accounts.start_session(account.name)
        https = secure or request.url.scheme == "https"
        response.set_cookie(COOKIE, token, max_age=SESSION_S, httponly=True, samesite="strict", secure=https)
        return response

    async def end(request: Request) -> Response:
        """Sign out: end the session on the server and forget the cookie."""
        token = request.cookies.get(COOKIE)
        if token and identity.accounts:
            identity.accounts.end_session(token)
        response = Response(status_code=204)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return response

    return [
        GuardedRoute("/api/session", who, permission="public"),
        GuardedRoute("/api/session", start, permission="public", methods=["POST"]),
        GuardedRoute("/api/session", end, permission="public", methods=["DELETE"]),
    ]


def _json(content: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, {"cache-control": "no-store"}, "application/json")


def _address(scope: Scope) -> str:
    return scope["client"][0] if scope.get("client") else ""


def _at_home(request: Request) -> bool:
    headers = dict(request.scope["headers"])
    return _address(request.scope) in LOOPBACK_NAMES and host_of(headers) in LOOPBACK_NAMES


def _basic(authorization: bytes) -> tuple[str, str]:
    scheme, _, value = authorization.partition(b" ")
    try:
        if scheme.lower() != b"basic":
            raise ValueError
        name, colon, password = b64decode(value.strip(), validate=True).decode().partition(":")
        if not colon:
            raise ValueError
    except (ValueError, binascii.Error):
        raise Problem(
            401, "Credentials not understood", "Send HTTP Basic credentials: base64 of name:password."
        ) from None
    return name, password


def _token(cookie: bytes) -> str | None:
    try:
        morsel = SimpleCookie(cookie.decode("latin-1")).get(COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel else None
