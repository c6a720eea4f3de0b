"""Who asks: passwords with second factors, passkeys, session cookies, and the middleware that tells them apart.

The middleware puts a `policy.Caller` into ``scope["caller"]`` and, where a cookie brought it, the session into
``scope["session"]``. A password once verified is remembered by a keyed digest, so that the next request with it costs
microseconds, not an argon2 verification. A browser's unsafe request from another site is refused whatever credentials
it carries.
"""

import asyncio
import hashlib
import secrets
import time
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlsplit

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from hanmaru.platform.audit.record import Audit, Record
from hanmaru.platform.identity.accounts import Account, AccountError, Accounts, DemoAccount
from hanmaru.platform.identity.attempts import Attempts
from hanmaru.platform.identity.credentials import basic, put_session, session_token
from hanmaru.platform.identity.factors import FactorError, Factors
from hanmaru.platform.identity.passkeys import Party, Passkeys
from hanmaru.platform.identity.sessions import IDLE_S, Session, Sessions
from hanmaru.platform.origin import LOOPBACK_NAMES, address_of, host_name, host_of, passed_on, same_origin
from hanmaru.platform.policy import ANYONE, Caller
from hanmaru.platform.problems import Problem, sentence

log = structlog.get_logger()

REMEMBER_S = 300
MOST_REMEMBERED = 4096
MOST_VERIFYING = 100
REFUSALS_NOTED_S = 60
SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
OWNER = Caller("owner", ("admin",), "person", True)
"""Who everybody is while login is off, which a loopback host alone allows."""


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
        audit: Audit | None = None,
        public_url: str | None = None,
        idle_s: float = IDLE_S,
        own_credentials: Collection[str] = (),
    ) -> None:
        """Make it over the accounts, None meaning that login is off; offer ``demo`` accounts to loopback clients.

        ``authenticators`` are tried in order for a credential that is not HTTP Basic; ``oidc_title`` names the OpenID
        Connect provider that the sign-in page offers; ``public_url`` is where browsers find this hub, by default where
        each request says it went to; a session unused for ``idle_s`` seconds ends; ``own_credentials`` are paths whose
        endpoints read the ``Authorization`` header themselves.
        """
        self.accounts, self.demo = accounts, demo
        self.authenticators, self.oidc_title = authenticators, oidc_title
        self.audit, self.public_url = audit, public_url
        self.known = Known(accounts, idle_s) if accounts else None
        self.own_credentials = own_credentials
        self._key = secrets.token_bytes(32)
        self._verified: OrderedDict[bytes, tuple[Account, float]] = OrderedDict()
        self._verifying: dict[bytes, asyncio.Task[Account]] = {}
        self._turn, self._code_turn = asyncio.Semaphore(2), asyncio.Lock()
        self._noted: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._touching: set[asyncio.Task[None]] = set()

    def with_login(self) -> "Known":
        """Return what is known of people; raise Problem 409 while login is off."""
        if self.known is None:
            raise Problem(409, "Login is off", "There are no accounts while the hub runs with HANMARU_AUTH=off.")
        return self.known

    async def sign_in(self, name: str, password: str, scope: Scope, *, by_basic: bool = False) -> Account:
        """Return the account whose name and password these are, its second factor not yet shown.

        ``by_basic``: by HTTP Basic, where nothing follows that could be noted as signing in.
        Raises Problem 401 for wrong ones, 403 for a locked account, 429 after too many failures and 503 while too many
        passwords wait to be verified.
        """
        known, name = self.with_login(), unicodedata.normalize("NFC", name)
        digest = hashlib.blake2b(f"{name}\0{password}".encode(errors="surrogatepass"), key=self._key).digest()
        account = known.accounts.find(name)
        remembered = self._verified.get(digest)
        if remembered and remembered[0] == account and remembered[1] > time.monotonic():
            return remembered[0]
        task = self._verifying.get(digest)
        if task is None:
            if len(self._verifying) >= MOST_VERIFYING:
                raise Problem(503, "Busy", "Too many people are signing in. Try again soon.", retry_after_s=2)
            task = self._verifying[digest] = asyncio.create_task(self._verify(known, name, account, password, scope))
            task.add_done_callback(
                lambda done: (self._verifying.pop(digest, None), done.cancelled() or done.exception())
            )
        verified = await asyncio.shield(task)
        if by_basic and not verified.second_factor:
            self.note(scope, "session.start", verified, way="HTTP Basic", second_factor="no")
        self._verified[digest] = (verified, time.monotonic() + REMEMBER_S)
        self._verified.move_to_end(digest)
        while len(self._verified) > MOST_REMEMBERED:
            self._verified.popitem(last=False)
        return verified

    async def _verify(self, known: "Known", name: str, account: Account | None, password: str, scope: Scope) -> Account:
        address = address_of(scope)

        def attempt() -> tuple[float, bool]:
            wait_s = known.attempts.wait_s(name, address)
            if wait_s:
                return wait_s, False
            verified = known.accounts.verify(account, password)
            if not verified:
                known.attempts.failed(name, address)
            elif account and not account.second_factor and not account.locked:
                known.attempts.succeeded(name, address)
            return 0, verified

        async with self._turn:
            wait_s, verified = await asyncio.to_thread(attempt)
        if wait_s:
            raise self._too_many(scope, name, account, wait_s)
        if account is None or not verified:
            self.note(scope, "session.refuse", account, allowed=False, reason="wrong name or password")
            raise Problem(401, "Wrong name or password", "No account has this name and password.")
        if account.locked:
            self.note(scope, "session.refuse", account, allowed=False, reason="locked")
            raise Problem(403, "Account locked", "An administrator or security officer locked this account.")
        return account

    async def show_second_factor(self, account: Account, code: str | None, scope: Scope) -> bool:
        """Return whether the account has a second factor, which then was shown.

        Raises Problem 401 with ``second_factor``, the ways that it can be, for no code or a wrong one, and 429 after
        too many of those.
        """
        if not account.second_factor:
            return False
        known, address = self.with_login(), address_of(scope)
        ways = known.factors.ways(account.name)
        if not code:
            self.note(scope, "session.refuse", account, allowed=False, reason="second factor not shown")
            detail = "Send the code of your authenticator app or a recovery code, or sign in with a passkey."
            raise Problem(401, "Second factor needed", detail, second_factor=ways)

        def attempt() -> tuple[float, str | None]:
            wait_s = known.attempts.wait_s(account.name, address)
            if wait_s:
                return wait_s, None
            way = known.factors.accept(account.name, code)
            if way is None:
                known.attempts.failed(account.name, address)
            return 0, way

        async with self._code_turn:  # one at a time, so that no code is tried before the one before it is counted
            wait_s, way = await asyncio.to_thread(attempt)
        if wait_s:
            raise self._too_many(scope, account.name, account, wait_s)
        if way is None:
            self.note(scope, "session.refuse", account, allowed=False, reason="wrong code")
            raise Problem(401, "Wrong code", "This code is wrong, or was used before.", second_factor=ways)
        return True

    async def sign_in_with_passkey(self, credential: Mapping[str, Any], request: Request) -> Account:
        """Return the account whose passkey signed; raises Problem 401 for none of ours and 403 for a locked account."""
        known = self.with_login()
        try:
            name = await asyncio.to_thread(known.passkeys.accept, credential, self.party(request))
        except FactorError as error:
            self.note_refusal(request.scope, "passkey refused", None)
            raise Problem(401, "Passkey refused", sentence(error)) from None
        account = known.accounts.find(name)
        if account is None or account.locked:
            self.note(request.scope, "session.refuse", account, allowed=False, reason="locked")
            raise Problem(403, "Account locked", "An administrator or security officer locked this account.")
        return account

    async def begin_session(
        self,
        account_name: str,
        request: Request,
        *,
        second_factor: bool,
        roles: tuple[str, ...] | None = None,
        title: str = "",
    ) -> Callable[[Response], None]:
        """Start a session for somebody whose identity is established; return what puts its cookie onto a response.

        ``roles``, where given, are the provider's word at this log-in: they become the account's, which is made,
        without a password, when it is not there, and ``title`` is what people know it by. The cookie is
        SameSite=Strict: a redirect that another site began does not carry it, so answer with a page. Raises Problem 403
        when the account is locked, 409 when ``roles`` are given for a built-in account's name or are none, and 404 when
        they are not given and there is no account.
        """
        known = self.with_login()
        try:
            if roles is not None:
                account = await asyncio.to_thread(known.accounts.provided, account_name, roles, title)
            else:
                account = known.accounts.find(account_name)
        except AccountError as error:
            raise Problem(409, "Cannot sign in", f"{error}.") from None
        if account is None:
            raise Problem(404, "No such account", f"There is no account {account_name!r}.")
        if account.locked:
            self.note(request.scope, "session.refuse", account, allowed=False, reason="locked")
            raise Problem(403, "Account locked", "An administrator or security officer locked this account.")
        return await self.start_session(account, request, second_factor=second_factor, way="OpenID Connect")

    async def start_session(
        self, account: Account, request: Request, *, second_factor: bool, way: str, renews: Session | None = None
    ) -> Callable[[Response], None]:
        """Start a session in place of the one that the request carries; return what puts its cookie onto a response.

        One that ``renews`` another is that one by another token, and ends when it would have.
        """
        known, scope = self.with_login(), request.scope
        self.note(scope, "session.start", account, way=way, second_factor="yes" if second_factor else "no")
        before = self.token(scope) or ""
        agent = request.headers.get("user-agent", "")

        def start() -> str:
            known.accounts.signed_in(account.name)
            known.attempts.succeeded(account.name, address_of(scope))
            return known.sessions.start(
                account.name,
                second_factor=second_factor,
                address=address_of(scope),
                agent=agent,
                instead_of=before,
                renews=renews,
            )

        token = await asyncio.to_thread(start)
        return partial(put_session, token=token, secure=self.https(scope))

    async def still(self, caller: Caller, scope: Scope, headers: dict[bytes, bytes]) -> bool:
        """Return whether who sent a request would be the same caller now: what goes on for long asks again."""
        try:
            return await self.caller(scope, headers, used=False) == caller
        except Problem:
            return False

    async def caller(self, scope: Scope, headers: dict[bytes, bytes], *, used: bool = True) -> Caller:
        """Return who sends a request; raises Problem 401 for credentials that are wrong, 403 for a forged request.

        ``used``: a session that brought it is in use by that.
        """
        unsafe = scope["method"] not in SAFE
        if unsafe and same_origin(headers) is False:
            raise Problem(403, "Cross-site request refused", "A browser sent this from another site's page.")
        if self.known is None:
            if host_of(headers) not in LOOPBACK_NAMES or passed_on(headers):
                detail = "With login off, only requests to a loopback name that no proxy passed on are answered."
                raise Problem(403, "Unknown host", detail)
            return OWNER
        authorization, api_key = headers.get(b"authorization"), headers.get(b"x-api-key")
        if scope["path"] in self.own_credentials:
            return ANYONE
        if api_key is not None:
            return await self._elsewhere("x-api-key", api_key, scope)
        if authorization is not None:
            scheme, _, credential = authorization.partition(b" ")
            if scheme.lower() != b"basic":
                return await self._elsewhere(scheme.decode("latin-1").lower(), credential.strip(), scope)
            return await self._basic(credential, scope)
        token = self.token(scope, headers)
        session = self.known.sessions.find(token) if token else None
        if session is None:
            return ANYONE
        if unsafe and same_origin(headers) is None:
            raise Problem(403, "Origin missing", "A request with a session cookie must say where it comes from.")
        if used and self.known.sessions.due(session):
            task = asyncio.create_task(self._touch(session))
            self._touching.add(task)
            task.add_done_callback(self._touching.discard)
        scope["session"] = session
        return Caller(session.account.name, session.account.roles, "person", session.second_factor)

    async def _basic(self, credential: bytes, scope: Scope) -> Caller:
        given = basic(credential)
        if given is None:
            detail = "Send HTTP Basic credentials: base64 of name:password."
            raise Problem(401, "Credentials not understood", detail)
        account = await self.sign_in(*given, scope, by_basic=True)
        if account.second_factor:
            detail = "This account has a second factor, which HTTP Basic cannot show: use an API key, or sign in at /."
            raise Problem(401, "Second factor needed", detail)
        return Caller(account.name, account.roles)

    async def _elsewhere(self, scheme: str, credential: bytes, scope: Scope) -> Caller:
        text = credential.decode("latin-1")
        for authenticator in self.authenticators:
            caller = await authenticator.caller(scheme, text, scope)
            if caller is not None:
                return caller
        raise Problem(401, "Credentials not understood", "Nothing here knows credentials of this kind.")

    async def _touch(self, session: Session) -> None:
        try:
            await asyncio.to_thread(self.with_login().sessions.touch, session)
        except Exception:
            log.warning("use of a session could not be noted", exc_info=True)

    def https(self, scope: Scope) -> bool:
        """Return whether the browser speaks HTTPS to us, as far as the request or ``public_url`` tells."""
        public = urlsplit(self.public_url or "")
        host = host_of(dict(scope["headers"]))
        return scope["scheme"] == "https" or (public.scheme == "https" and public.hostname == host)

    def token(self, scope: Scope, headers: dict[bytes, bytes] | None = None) -> str | None:
        """Return the session token that a request carries: by HTTPS only the cookie that no other host could set."""
        cookie = (headers or dict(scope["headers"])).get(b"cookie")
        return session_token(cookie, secure=self.https(scope)) if cookie else None

    def party(self, request: Request) -> Party:
        """Return whom the browser thinks it talks to; raise Problem 409 for a host that passkeys cannot be bound to."""
        origin = self.public_url or f"{request.url.scheme}://{request.headers.get('host', '')}"
        host = host_name(origin)
        if not host or ":" in host or host.replace(".", "").isdecimal():
            detail = "Passkeys are bound to a host's name: open this page by its name, not by an address of digits."
            raise Problem(409, "No passkeys here", detail)
        return Party(host, origin)

    def note(
        self, scope: Scope, action: str, who: Account | Caller | None, *, allowed: bool = True, **detail: str
    ) -> None:
        """Write an audit record about a sign-in or a change to an account.

        A name that no account has is not written down: what is typed in the wrong field may be a password.
        """
        if self.audit:
            self.audit.record(
                Record(
                    who.name if who else "",
                    action,
                    f"{scope['method']} {scope['path']}",
                    "allow" if allowed else "deny",
                    where=address_of(scope),
                    request=scope.get("request_id", ""),
                    detail=detail,
                )
            )

    def note_refusal(self, scope: Scope, reason: str, who: Account | None) -> None:
        """Write an audit record about a refusal that costs its sender nothing: once a minute for each of them."""
        now, key = time.monotonic(), (address_of(scope), f"{reason} {who.name if who else ''}")
        if now - self._noted.get(key, -REFUSALS_NOTED_S) < REFUSALS_NOTED_S:
            return
        self._noted[key] = now
        self._noted.move_to_end(key)
        while len(self._noted) > MOST_REMEMBERED:
            self._noted.popitem(last=False)
        self.note(scope, "session.refuse", who, allowed=False, reason=reason)

    def _too_many(self, scope: Scope, name: str, account: Account | None, wait_s: float) -> Problem:
        self.note_refusal(scope, "too many failed attempts", account)
        wait = int(wait_s) + 1
        return Problem(429, "Too many failed attempts", f"Try again in {wait} s.", retry_after_s=wait)


class Known:
    """What is known of people: their accounts, sessions, factors and failures."""

    def __init__(self, accounts: Accounts, idle_s: float = IDLE_S) -> None:
        """Make it over the accounts."""
        self.accounts = accounts
        self.sessions = Sessions(accounts, idle_s)
        self.factors = Factors(accounts)
        self.passkeys = Passkeys(accounts, self.factors)
        self.attempts = Attempts(accounts.file)


class Identified:
    """Middleware that puts the caller into ``scope["caller"]``, and what asks again into ``scope["still"]``."""

    def __init__(self, app: ASGIApp, identity: Identity) -> None:
        """Wrap an application."""
        self.app, self.identity = app, identity

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Establish who asks, then pass on; problems are raised to the edge."""
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            caller = scope["caller"] = await self.identity.caller(scope, headers)
            scope["still"] = partial(self.identity.still, caller, scope, headers)
        elif scope["type"] == "websocket":
            scope["caller"] = ANYONE
        await self.app(scope, receive, send)
