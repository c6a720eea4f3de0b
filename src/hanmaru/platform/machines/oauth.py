"""Access tokens for machines: OAuth 2 client credentials, and what a client needs to find and end them.

RFC 6749 section 4.4 (client credentials), section 2.3.1 (how a client authenticates) and section 5 (answers), RFC 7009
(revocation), RFC 8414 (metadata). Tokens are opaque, so that ending one counts at once. ``scope`` names roles.
"""

import asyncio
from urllib.parse import parse_qsl, unquote_plus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hanmaru.platform.audit.record import Audit, Record
from hanmaru.platform.bodies import answer
from hanmaru.platform.identity.credentials import basic
from hanmaru.platform.machines.bearer import LONGEST, Failures
from hanmaru.platform.machines.machines import TOKEN_S, Machine, Machines, WrongSecret
from hanmaru.platform.origin import address_of
from hanmaru.platform.policy import GuardedRoute

TOKEN_PATH, REVOKE_PATH = "/oauth2/token", "/oauth2/revoke"
OWN_CREDENTIALS = frozenset({TOKEN_PATH, REVOKE_PATH})
"""Where HTTP Basic credentials are a client's: identity leaves them to these endpoints."""
MOST_BYTES = 8192
MOST_FIELDS = 20


class OAuthError(Exception):
    """An error answer of RFC 6749, section 5.2."""

    def __init__(self, error: str, description: str, status: int = 400, retry_after_s: int = 0) -> None:
        """Make an error of one of the RFC's names."""
        super().__init__(description)
        self.error, self.description, self.status, self.retry_after_s = error, description, status, retry_after_s

    def response(self) -> Response:
        """Return it as it is sent."""
        headers = {"retry-after": str(self.retry_after_s)} if self.retry_after_s else {}
        if self.status == 401:
            headers["www-authenticate"] = 'Basic realm="Hanmaru", charset="UTF-8"'
        return answer({"error": self.error, "error_description": self.description}, self.status, headers)


class TokenDesk:
    """Gives machines access tokens."""

    def __init__(self, machines: Machines, audit: Audit | None = None, public_url: str | None = None) -> None:
        """Make it over the machines; ``public_url`` is this hub's address where requests do not tell it."""
        self._machines, self._audit, self._public_url = machines, audit, public_url
        self._failures = Failures()

    async def token(self, request: Request) -> Response:
        """Give a machine an access token for its client id and secret (OAuth 2, grant type client_credentials)."""
        try:
            form = await _form(request)
            machine = self._client(request, form)
            roles = _roles(machine, form)
        except OAuthError as error:
            return error.response()
        token = await asyncio.to_thread(self._machines.issue_token, machine, roles)
        self._record(request, "token.issue", machine.caller_name, scope=" ".join(roles))
        given = {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_S, "scope": " ".join(roles)}
        return answer(given)

    async def revoke(self, request: Request) -> Response:
        """End one of the machine's access tokens; one that nobody has is as good as ended."""
        try:
            form = await _form(request)
            machine = self._client(request, form)
            token = form.get("token", "")
            if not token:
                raise OAuthError("invalid_request", "send the token to revoke as token=…")
        except OAuthError as error:
            return error.response()
        if not await asyncio.to_thread(self._machines.revoke_token, token, machine):
            return OAuthError("unauthorized_client", "this token was given to another client").response()
        self._record(request, "token.revoke", machine.caller_name)
        return Response(status_code=200)

    async def metadata(self, request: Request) -> Response:
        """Tell where tokens are given and how (RFC 8414)."""
        base = (self._public_url or f"{request.url.scheme}://{request.url.netloc}").rstrip("/")
        methods = ["client_secret_basic", "client_secret_post"]
        return answer(
            {
                "issuer": base,
                "token_endpoint": base + TOKEN_PATH,
                "token_endpoint_auth_methods_supported": methods,
                "revocation_endpoint": base + REVOKE_PATH,
                "revocation_endpoint_auth_methods_supported": methods,
                "grant_types_supported": ["client_credentials"],
                "response_types_supported": [],
                "service_documentation": base + "/docs",
            }
        )

    def _client(self, request: Request, form: dict[str, str]) -> Machine:
        """Return the client that a request proves to come from; raises OAuthError."""
        id, secret = _credentials(request, form)
        try:
            if len(id) > LONGEST or len(secret) > LONGEST:
                raise WrongSecret("no machine has this secret")
            return self._machines.check(id, secret, "oauth")
        except WrongSecret as wrong:
            address = address_of(request.scope)
            if wait_s := self._failures.wait_s(address):
                description = f"too many failed attempts; try again in {wait_s} s"
                raise OAuthError("invalid_client", description, 429, wait_s) from None
            name = wrong.machine.caller_name if wrong.machine else ""
            who, claimed = (name, {}) if wrong.proven else ("", {"claimed": name} if name else {})
            self._record(request, "token.refuse", who, reason=wrong.reason, **claimed)
            raise OAuthError("invalid_client", wrong.reason, 401) from None

    def _record(self, request: Request, action: str, who: str, **detail: str) -> None:
        if self._audit:
            self._audit.record(
                Record(
                    who,
                    action,
                    f"{request.method} {request.url.path}",
                    "deny" if action == "token.refuse" else "allow",
                    where=address_of(request.scope),
                    request=request.scope.get("request_id", ""),
                    detail=detail,
                )
            )


def routes(machines: Machines, audit: Audit | None = None, public_url: str | None = None) -> list[BaseRoute]:
    """Return the routes by which machines get and end access tokens."""
    desk = TokenDesk(machines, audit, public_url)
    return [
        GuardedRoute(TOKEN_PATH, desk.token, permission="public", methods=["POST"]),
        GuardedRoute(REVOKE_PATH, desk.revoke, permission="public", methods=["POST"]),
        GuardedRoute("/.well-known/oauth-authorization-server", desk.metadata, permission="public"),
    ]


async def _form(request: Request) -> dict[str, str]:
    """Return the form fields that a request sends; raises OAuthError."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise OAuthError("invalid_request", "send the parameters as application/x-www-form-urlencoded")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise OAuthError("invalid_request", f"a request has at most {MOST_BYTES} bytes", 413)
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:
        raise OAuthError("invalid_request", "the parameters cannot be read") from None
    form = dict(fields)
    if len(form) != len(fields):
        raise OAuthError("invalid_request", "a parameter is there twice")
    return form


def _credentials(request: Request, form: dict[str, str]) -> tuple[str, str]:
    authorization = request.headers.get("authorization")
    if authorization is None:
        if not form.get("client_id") or not form.get("client_secret"):
            raise OAuthError("invalid_client", "send client_id and client_secret, by HTTP Basic or as parameters", 401)
        return form["client_id"], form["client_secret"]
    if "client_secret" in form:
        raise OAuthError("invalid_request", "send the client's secret once: by HTTP Basic or as a parameter")
    scheme, _, value = authorization.partition(" ")
    given = basic(value) if scheme.lower() == "basic" else None
    if given is None:
        raise OAuthError("invalid_client", "send HTTP Basic credentials: base64 of client_id:client_secret", 401)
    return unquote_plus(given[0]), unquote_plus(given[1])


def _roles(machine: Machine, form: dict[str, str]) -> tuple[str, ...]:
    """Return the roles that a token request asks for, all of the machine's where it names none; raises OAuthError."""
    if "grant_type" not in form:
        raise OAuthError("invalid_request", "grant_type is missing")
    if form["grant_type"] != "client_credentials":
        raise OAuthError("unsupported_grant_type", "the grant type here is client_credentials")
    asked = form.get("scope", "").split()
    if unknown := [role for role in asked if role not in machine.roles]:
        raise OAuthError(
            "invalid_scope", f"this client has the roles {' '.join(machine.roles)}, not {_ascii(unknown[0])}"
        )
    return tuple(role for role in machine.roles if role in asked) if asked else machine.roles


def _ascii(text: str) -> str:
    """Return a text with only the characters that RFC 6749 allows in a description."""
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "?" for c in text[:64])
