"""What a request carries to say who sends it: HTTP Basic credentials, or the cookie with a session's token.

By HTTPS the cookie has a name under which no other host could set it.
"""

import binascii
from base64 import b64decode
from http.cookies import CookieError, SimpleCookie

from starlette.responses import Response

from hanmaru.platform.identity.sessions import SESSION_S

COOKIE, SECURE_COOKIE = "hanmaru_session", "__Host-hanmaru"


def basic(credential: str | bytes) -> tuple[str, str] | None:
    """Return the name and password that follow ``Basic`` in an ``Authorization`` header (RFC 7617), or None."""
    try:
        name, colon, password = b64decode(credential.strip(), validate=True).decode().partition(":")
    except (ValueError, binascii.Error):
        return None
    return (name, password) if colon else None


def session_token(cookie: bytes, *, secure: bool) -> str | None:
    """Return the session token in a ``Cookie`` header, or None; ``secure``: the request came by HTTPS."""
    if b"hanmaru" not in cookie:
        return None
    try:
        morsel = SimpleCookie(cookie.decode("latin-1")).get(_name(secure))
    except CookieError:
        return None
    return morsel.value if morsel else None


def put_session(response: Response, token: str, *, secure: bool) -> None:
    """Give the browser a session's token, for as long as a session may last."""
    response.set_cookie(
        _name(secure), token, max_age=SESSION_S, path="/", httponly=True, samesite="strict", secure=secure
    )


def forget_session(response: Response, *, secure: bool) -> None:
    """Have the browser forget its session's token."""
    response.delete_cookie(_name(secure), httponly=True, samesite="strict", secure=secure)


def _name(secure: bool) -> str:
    return SECURE_COOKIE if secure else COOKIE
