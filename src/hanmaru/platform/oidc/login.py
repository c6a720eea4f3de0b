"""Signing in through an OpenID Connect provider: the two routes a browser passes, and what is kept between them.

What a log-in needs to know when the browser comes back is kept here, not in the browser, for ten minutes and one use;
a cookie that only this browser has says that it is the one that set out. The way back is a page and not a redirect:
a chain of redirects that began at the provider is a cross-site request to its end, and would not carry the session's
SameSite=Strict cookie.
"""

import asyncio
import hashlib
import secrets
import sqlite3
import threading
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute

from hanmaru.platform.disk import private
from hanmaru.platform.i18n import pick, preferred
from hanmaru.platform.identity.identity import Identity
from hanmaru.platform.oidc.provider import OidcError, Person, Provider
from hanmaru.platform.origin import same_origin
from hanmaru.platform.policy import GuardedRoute
from hanmaru.platform.problems import Problem

FILE = "oidc.db"
START, CALLBACK = "/login/oidc", "/login/oidc/callback"
COOKIE, SECURE_COOKIE = "hanmaru_oidc", "__Host-hanmaru_oidc"
"""What ties a log-in to its browser; the latter by HTTPS, where no other host can set it."""
PATHS = {COOKIE: START, SECURE_COOKIE: "/"}
LOGIN_S = 600
MOST_LOGINS = 10_000
LONGEST = 2000
RETRY_AFTER_S = 5

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:4rem auto;padding:0 1rem;color-scheme:light dark}"
)
_PAGE_HEADERS = {
    "content-security-policy": f"default-src 'none'; "
    f"style-src 'sha256-{b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
}
_TEXTS: Mapping[str, Mapping[str, str]] = {
    "welcome": {"en": "Signed in", "ko": "로그인했습니다"},
    "go on": {"en": "Go on", "ko": "계속"},
    "asked": {"en": "Sign in to this hub?", "ko": "이 허브에 로그인하시겠습니까?"},
    "sign in": {"en": "Sign in", "ko": "로그인"},
    "again": {"en": "Sign in again", "ko": "다시 로그인"},
    "home": {"en": "Other ways to sign in", "ko": "다른 방법으로 로그인"},
    "unknown": {"en": "This log-in is not known here", "ko": "알 수 없는 로그인 요청입니다"},
    "unknown why": {
        "en": "It took longer than ten minutes, was used already, or began in another browser.",
        "ko": "10분이 지났거나 이미 사용되었거나 다른 브라우저에서 시작된 로그인입니다.",
    },
    "refused": {"en": "Sign-in failed", "ko": "로그인하지 못했습니다"},
    "away": {"en": "The sign-in provider cannot be reached", "ko": "로그인 제공자에 연결할 수 없습니다"},
    "away why": {
        "en": "Try again in a moment, or sign in with an account of this hub.",
        "ko": "잠시 후 다시 시도하거나 이 허브의 계정으로 로그인하십시오.",
    },
    "denied": {"en": "The provider refused the sign-in", "ko": "로그인 제공자가 로그인을 거절했습니다"},
    "no role": {"en": "No role here", "ko": "이 허브에 역할이 없습니다"},
    "no role why": {
        "en": "You signed in at the provider, but none of your groups has a role in this hub. Ask an administrator.",
        "ko": "로그인 제공자에는 로그인했지만 소속 그룹에 이 허브의 역할이 없습니다. 관리자에게 문의하십시오.",
    },
}


@dataclass(frozen=True, slots=True)
class Login:
    """A log-in that has begun; ``binding`` is the browser's, ``next`` the path to go to after it."""

    state: str
    nonce: str
    verifier: str
    binding: str
    redirect_uri: str
    next: str


class Logins:
    """Log-ins under way, in one small SQLite file that every worker reads; each is given back once, in time.

    `begin` and `take` wait for the disk: call them in a thread.
    """

    def __init__(self, folder: Path) -> None:
        """Open the file, making it (readable by its owner only) on first use."""
        path = folder / FILE
        private(path)
        self._db = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
        # A log-in lost with the power is begun again, so that nothing waits for the disk.
        self._db.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
            "CREATE TABLE IF NOT EXISTS login(state BLOB PRIMARY KEY, binding BLOB NOT NULL, nonce TEXT NOT NULL,"
            " verifier TEXT NOT NULL, redirect_uri TEXT NOT NULL, next TEXT NOT NULL, expires REAL NOT NULL)"
            " WITHOUT ROWID, STRICT;"
        )
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def begin(self, redirect_uri: str, next: str) -> Login:
        """Return a new log-in, of which the newest `MOST_LOGINS` are kept."""
        state, nonce, verifier, binding = (secrets.token_urlsafe(32) for _ in range(4))
        now = time.time()
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            with self._db:
                self._db.execute("DELETE FROM login WHERE expires < ?", (now,))
                self._db.execute(
                    "INSERT INTO login VALUES(?, ?, ?, ?, ?, ?, ?)",
                    (_digest(state), _digest(binding), nonce, verifier, redirect_uri, next, now + LOGIN_S),
                )
                self._db.execute(
                    "DELETE FROM login WHERE state IN"
                    " (SELECT state FROM login ORDER BY expires DESC LIMIT -1 OFFSET ?)",
                    (MOST_LOGINS,),
                )
        return Login(state, nonce, verifier, binding, redirect_uri, next)

    def take(self, state: str, binding: str) -> Login | None:
        """Return the log-in of this state and forget it; None for an unknown or late one, or another browser's."""
        with self._lock:
            rows = self._db.execute(
                "DELETE FROM login WHERE state = ? RETURNING binding, nonce, verifier, redirect_uri, next, expires",
                (_digest(state),),
            ).fetchall()
        if not rows or rows[0][0] != _digest(binding) or rows[0][5] < time.time():
            return None
        _, nonce, verifier, redirect_uri, next, _ = rows[0]
        return Login(state, nonce, verifier, binding, redirect_uri, next)


class LoginDesk:
    """The two routes."""

    def __init__(self, provider: Provider, logins: Logins, identity: Identity) -> None:
        """Make it."""
        self._provider, self._logins, self._identity = provider, logins, identity

    async def start(self, request: Request) -> Response:
        """Begin to sign in through the OpenID Connect provider: go there, to come back to the path ``next``.

        Another site's page only gets to a page that asks: nobody is signed in without wanting it.
        """
        if same_origin(dict(request.scope["headers"])) is False:
            place = f"{START}?next={quote(local_path(request.query_params.get('next', '/')), safe='')}"
            body = f'<p><a href="{escape(place)}">{escape(_text(request, "sign in"))}</a></p>'
            return _page(request, 200, _text(request, "asked"), body)
        base = (self._identity.public_url or f"{request.url.scheme}://{request.url.netloc}").rstrip("/")
        login = await asyncio.to_thread(
            self._logins.begin, base + CALLBACK, local_path(request.query_params.get("next", "/"))
        )
        try:
            address = await self._provider.address(login.redirect_uri, login.state, login.nonce, login.verifier)
        except OidcError as error:
            return self._failed(request, error, login.next)
        response = RedirectResponse(address, 302, {"cache-control": "no-store"})
        secure = self._identity.https(request.scope)
        name = SECURE_COOKIE if secure else COOKIE
        response.set_cookie(
            name, login.binding, max_age=LOGIN_S, path=PATHS[name], httponly=True, samesite="lax", secure=secure
        )
        return response

    async def callback(self, request: Request) -> Response:
        """Come back from the OpenID Connect provider: start a session and go on to where the log-in began."""
        given = request.query_params
        cookie = SECURE_COOKIE if self._identity.https(request.scope) else COOKIE
        state, binding = given.get("state", ""), request.cookies.get(cookie, "")
        login = await asyncio.to_thread(self._logins.take, state, binding) if state and binding else None
        if login is None or any(len(given.getlist(name)) > 1 for name in ("state", "code", "error", "iss")):
            self._refused(request, "the log-in is not known")
            return refusal(request, 400, "unknown", again="/" if login is None else login.next)
        try:
            await self._provider.check_issuer(given.get("iss"))
            if "error" in given or not given.get("code"):
                return self._denied(request, given.get("error", ""), login.next)
            person = await self._provider.person(given["code"], login.verifier, login.nonce, login.redirect_uri)
        except OidcError as error:
            return self._failed(request, error, login.next)
        if not person.roles:
            self._identity.note(
                request.scope,
                "session.refuse",
                None,
                allowed=False,
                reason="no group has a role",
                subject=person.account,
            )
            return refusal(request, 403, "no role", again=login.next)
        return await self._welcome(request, person, login.next)

    async def _welcome(self, request: Request, person: Person, next: str) -> Response:
        try:
            put = await self._identity.begin_session(
                person.account, request, second_factor=person.second_factor, roles=person.roles, title=person.shown
            )
        except Problem as problem:
            return refusal(request, problem.status, "refused", problem.detail, again=next)
        place = escape(next)
        body = f'<p><a href="{place}">{escape(_text(request, "go on"))}</a></p>'
        response = _page(
            request, 200, _text(request, "welcome"), body, f'<meta http-equiv="refresh" content="0;url={place}">'
        )
        put(response)
        return response

    def _denied(self, request: Request, error: str, next: str) -> Response:
        name = "".join(c for c in error[:64] if c.isalnum() or c == "_")
        self._refused(request, f"the provider answered {name or 'without a code'}")
        if name in ("server_error", "temporarily_unavailable"):
            return refusal(request, 503, "away", again=next)
        return refusal(request, 403, "denied", name, again=next)

    def _failed(self, request: Request, error: OidcError, next: str) -> Response:
        self._refused(request, error.reason)
        if error.kind == "away":
            return refusal(request, 503, "away", again=next)
        return refusal(request, 403, "refused", error.reason, again=next)

    def _refused(self, request: Request, reason: str) -> None:
        self._identity.note_refusal(request.scope, f"OpenID Connect: {reason}", None)


def routes(provider: Provider, logins: Logins, identity: Identity) -> list[BaseRoute]:
    """Return the routes that sign people in through the provider; ``identity`` audits them."""
    desk = LoginDesk(provider, logins, identity)
    return [
        GuardedRoute(START, desk.start, permission="public", name="oidc_start"),
        GuardedRoute(CALLBACK, desk.callback, permission="public", name="oidc_callback"),
    ]


def local_path(next: str) -> str:
    """Return a path of this hub to go to: the given one, or ``/`` for anything that leads, or might lead, elsewhere.

    >>> local_path("/?layer=air#map"), local_path("//elsewhere.example"), local_path("https://elsewhere.example/")
    ('/?layer=air#map', '/', '/')
    """
    if not next.startswith("/") or next.startswith("//") or "\\" in next or len(next) > LONGEST:
        return "/"
    if not next.isprintable() or " " in next:
        return "/"
    try:
        parts = urlsplit(next)
    except ValueError:
        return "/"
    return "/" if parts.scheme or parts.netloc or parts.path.startswith(START) else next


def refusal(request: Request, status: int, text: str, detail: str = "", *, again: str) -> Response:
    """Return a page that says why not and offers to sign in again; raise it as a problem for who asks for no page."""
    title = _text(request, text)
    why = detail or (_text(request, f"{text} why") if f"{text} why" in _TEXTS else "")
    problem = Problem(status, title, why)
    if status == 503:
        problem.extra["retry_after_s"] = RETRY_AFTER_S
    if "text/html" not in request.headers.get("accept", ""):
        raise problem
    body = (
        f'<p>{escape(why)}</p><p><a href="{START}?next={quote(again, safe="")}">{escape(_text(request, "again"))}</a>'
        f' · <a href="/">{escape(_text(request, "home"))}</a></p>'
    )
    response = _page(request, status, title, body)
    if status == 503:
        response.headers["retry-after"] = str(RETRY_AFTER_S)
    return response


def _text(request: Request, name: str) -> str:
    return pick(_TEXTS[name], preferred(request.headers.get("accept-language", ""), ("en", "ko")))


def _page(request: Request, status: int, title: str, body: str, head: str = "") -> Response:
    language = preferred(request.headers.get("accept-language", ""), ("en", "ko"))
    page = (
        f'<!doctype html><html lang="{language}"><meta charset="utf-8"><title>{escape(title)}</title>{head}'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<main><h1>{escape(title)}</h1>{body}</main></html>"
    )
    response = HTMLResponse(page, status, _PAGE_HEADERS)
    for name, path in PATHS.items():
        if name in request.cookies:
            response.delete_cookie(name, path=path, httponly=True, samesite="lax", secure=name == SECURE_COOKIE)
    return response


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()
