"""An OpenID Connect provider as its client sees it: discovery, keys, the code's exchange, and who somebody is.

OpenID Connect Core 1.0, section 3.1 (authorization code flow) and 3.1.3.7 (what an ID token must be); RFC 7636 (PKCE);
Discovery 1.0. Signatures are joserfc's; algorithms are those with a key pair, so that neither ``none`` nor the client's
secret ever proves anything. Requests go where `hanmaru.platform.egress` permits.
"""

import asyncio
import hashlib
import hmac
import re
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Literal, cast
from urllib.parse import quote_plus, urlencode, urlsplit

import msgspec

from hanmaru.platform.egress import EVERYWHERE, Egress

if TYPE_CHECKING:
    from joserfc.jwk import Key, KeySet

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
CLOCK_SKEW_S = 60
FETCH_S = 10
MOST_BYTES = 256 << 10
METADATA_S = 3600
LOOK_AGAIN_S = 5
"""How long a provider that did not answer is not asked again."""
KEYS_AGAIN_S = 60
MOST_GROUPS = 1000
_PLAIN_SUBJECT = re.compile(r"(?!sha256-)[!-~]{1,59}")


Kind = Literal["away", "refused"]


class OidcError(Exception):
    """A log-in that does not come about: ``away``, the provider cannot now; ``refused``, it must not be."""

    def __init__(self, kind: Kind, reason: str) -> None:
        """Say why, in words that may be shown and logged: no tokens, no codes."""
        super().__init__(reason)
        self.kind: Kind = kind
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Client:
    """This hub as the provider knows it, and what the provider's words mean here.

    ``roles`` maps a value of the claim ``roles_claim`` to a role. ``second_factor_amr`` and ``second_factor_acr`` are
    the values of ``amr`` and ``acr`` that say that a second factor was asked for.
    """

    issuer: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    title: str = "OpenID Connect"
    scope: str = "openid profile email"
    roles_claim: str = "groups"
    roles: Mapping[str, str] = field(default_factory=dict[str, str])
    second_factor_amr: Sequence[str] = ("mfa",)
    second_factor_acr: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Person:
    """Who signed in: ``account`` is a name no built-in account can have, ``shown`` one that people know."""

    account: str
    shown: str
    roles: tuple[str, ...]
    second_factor: bool


class Metadata(msgspec.Struct, frozen=True):
    """What a provider says of itself (Discovery 1.0, section 3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    id_token_signing_alg_values_supported: tuple[str, ...] = ()
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class Answer(msgspec.Struct, frozen=True):
    """What the token endpoint answers."""

    id_token: str
    access_token: str = ""


class Provider:
    """One provider; one of these for each web worker."""

    def __init__(self, client: Client, egress: Egress = EVERYWHERE) -> None:
        """Make it; nothing is asked for before somebody signs in."""
        self.client = client
        self._egress = egress
        self._turn = asyncio.Lock()
        self._metadata: Metadata | None = None
        self._metadata_until = 0.0
        self._failed: tuple[float, OidcError] | None = None
        self._keys: KeySet | None = None
        self._keys_missed = -KEYS_AGAIN_S

    async def address(self, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Return where to send a browser to sign in; raises OidcError."""
        metadata = await self.metadata()
        challenge = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self.client.client_id,
                "redirect_uri": redirect_uri,
                "scope": self.client.scope,
                "state": state,
                "nonce": nonce,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
            }
        )
        return metadata.authorization_endpoint + ("&" if "?" in metadata.authorization_endpoint else "?") + query

    async def check_issuer(self, given: str | None) -> None:
        """Refuse an answer that another provider sent (RFC 9207: the mix-up attack); raises OidcError."""
        metadata = await self.metadata()
        if given is None and metadata.authorization_response_iss_parameter_supported:
            raise OidcError("refused", "the provider's answer does not say whose it is")
        if given is not None and given != self.client.issuer:
            raise OidcError("refused", "the answer is another provider's")

    async def person(self, code: str, verifier: str, nonce: str, redirect_uri: str) -> Person:
        """Exchange an authorization code and return who signed in; raises OidcError."""
        answer = await self._redeem(code, verifier, redirect_uri)
        claims = await self.verified(answer.id_token, nonce)
        metadata = await self.metadata()
        if metadata.userinfo_endpoint and answer.access_token and find(claims, self.client.roles_claim) is None:
            more = await self._userinfo(metadata.userinfo_endpoint, answer.access_token, claims["sub"])
            # How somebody signed in is the signed token's to say.
            claims = {name: value for name, value in more.items() if name not in ("amr", "acr")} | claims
        return self._person(claims)

    async def metadata(self) -> Metadata:
        """Return what the provider says of itself, asked for at most once an hour; raises OidcError."""
        async with self._turn:
            now = time.monotonic()
            if self._metadata and now < self._metadata_until:
                return self._metadata
            if self._failed and now < self._failed[0]:
                raise OidcError(self._failed[1].kind, self._failed[1].reason)
            try:
                self._metadata = await self._discover()
            except OidcError as error:
                self._failed = (time.monotonic() + LOOK_AGAIN_S, error)
                raise
            self._metadata_until, self._failed = time.monotonic() + METADATA_S, None
            self._keys = None  # asked for again, too, so that a key that was withdrawn is not believed for ever
            return self._metadata

    async def _discover(self) -> Metadata:
        raw = await self._fetch("GET", self.client.issuer.rstrip("/") + "/.well-known/openid-configuration")
        try:
            metadata = msgspec.json.decode(raw, type=Metadata)
        except (msgspec.MsgspecError, ValueError):
            raise OidcError("away", "the provider's metadata cannot be read") from None
        if metadata.issuer != self.client.issuer:
            raise OidcError("away", "the provider's metadata names another issuer")
        endpoints = (metadata.authorization_endpoint, metadata.token_endpoint, metadata.jwks_uri)
        for endpoint in (*endpoints, metadata.userinfo_endpoint or metadata.token_endpoint):
            if not _safe(endpoint):
                raise OidcError("away", "the provider's metadata names an address without https")
        return metadata

    async def _redeem(self, code: str, verifier: str, redirect_uri: str) -> Answer:
        metadata, client = await self.metadata(), self.client
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
            "client_id": client.client_id,
        }
        headers = {"accept": "application/json"}
        if client.client_secret and "client_secret_basic" in metadata.token_endpoint_auth_methods_supported:
            pair = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"  # RFC 6749, section 2.3.1
            headers["authorization"] = "Basic " + b64encode(pair.encode()).decode()
        elif client.client_secret:
            form["client_secret"] = client.client_secret
        raw = await self._fetch("POST", metadata.token_endpoint, data=form, headers=headers)
        try:
            return msgspec.json.decode(raw, type=Answer)
        except (msgspec.MsgspecError, ValueError):
            raise OidcError("refused", "the provider's answer holds no ID token") from None

    async def _userinfo(self, endpoint: str, access_token: str, subject: str) -> dict[str, Any]:
        raw = await self._fetch("GET", endpoint, headers={"authorization": f"Bearer {access_token}"})
        try:
            claims = msgspec.json.decode(raw, type=dict[str, Any])
        except (msgspec.MsgspecError, ValueError):
            raise OidcError("refused", "the provider's user info cannot be read") from None
        if claims.get("sub") != subject:  # Core 1.0, section 5.3.2
            raise OidcError("refused", "the provider's user info is about somebody else")
        return claims

    async def verified(self, token: str, nonce: str) -> dict[str, Any]:
        """Return the claims of an ID token that this provider signed for this log-in; raises OidcError."""
        from joserfc import jwt
        from joserfc.errors import JoseError

        metadata = await self.metadata()
        offered = metadata.id_token_signing_alg_values_supported
        algorithms = [name for name in ALGORITHMS if not offered or name in offered]
        try:
            header = unverified_header(token)
            if header.get("alg") not in algorithms:
                raise OidcError("refused", "the ID token is signed in a way that is not accepted")
            key = await self._key(header.get("kid"), header["alg"])
            claims = jwt.decode(token, key, algorithms=algorithms).claims
        except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise OidcError("refused", "the ID token's signature does not hold") from None
        check_claims(claims, self.client.issuer, self.client.client_id, nonce, time.time())
        return claims

    async def _key(self, kid: object, algorithm: str) -> "Key":
        """Return the provider's key; unknown ones make it ask for the keys again, at most once a minute."""
        if self._keys is None:
            self._keys = await self._fetch_keys()
        key = choose(self._keys, kid, algorithm)
        if key is None and time.monotonic() - self._keys_missed >= KEYS_AGAIN_S:
            self._keys_missed = time.monotonic()
            self._keys = await self._fetch_keys()
            key = choose(self._keys, kid, algorithm)
        if key is None:
            raise OidcError("refused", "the ID token is signed with a key that the provider does not have")
        return key

    async def _fetch_keys(self) -> "KeySet":
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        raw = await self._fetch("GET", (await self.metadata()).jwks_uri)
        try:
            return KeySet.import_key_set(msgspec.json.decode(raw, type=dict[str, Any]))  # pyright: ignore[reportArgumentType] - it checks itself
        except (msgspec.MsgspecError, JoseError, ValueError, TypeError, KeyError, AttributeError):
            raise OidcError("away", "the provider's keys cannot be read") from None

    async def _fetch(self, method: str, url: str, **options: Any) -> bytes:
        """Return the body of a 200 answer; raises OidcError: ``refused`` for a 4xx to a POST, ``away`` for the rest."""
        import aiohttp

        try:
            async with (
                aiohttp.ClientSession(
                    connector=self._egress.connector(), timeout=aiohttp.ClientTimeout(total=FETCH_S)
                ) as session,
                session.request(method, url, allow_redirects=False, **options) as response,
            ):
                raw = bytearray()
                async for part in response.content.iter_any():
                    raw += part
                    if len(raw) > MOST_BYTES:
                        raise OidcError("away", "the provider's answer is too long")
                status = response.status
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise OidcError("away", f"the provider cannot be reached ({type(error).__name__})") from None
        if status == 200:
            return bytes(raw)
        if method == "POST" and 400 <= status < 500 and status != 429:
            raise OidcError("refused", f"the provider does not accept the log-in ({_error_name(bytes(raw)) or status})")
        raise OidcError("away", f"the provider answered {status}")

    def _person(self, claims: Mapping[str, Any]) -> Person:
        client, subject = self.client, cast("str", claims["sub"])
        named = [claims.get(name) for name in ("preferred_username", "email")]
        shown = next((name for name in named if isinstance(name, str) and name.isprintable() and name.strip()), subject)
        values = texts(find(claims, client.roles_claim))
        roles = tuple(dict.fromkeys(client.roles[value] for value in values if value in client.roles))
        second = bool(set(texts(claims.get("amr"))) & set(client.second_factor_amr)) or (
            claims.get("acr") in client.second_factor_acr
        )
        return Person(account_name(subject), shown[:64], roles, second)


def account_name(subject: str) -> str:
    """Return the account's name for a provider's subject: with a colon, which no built-in account's name has.

    >>> account_name("8f3e-mina")
    'oidc:8f3e-mina'
    """
    if not _PLAIN_SUBJECT.fullmatch(subject):
        subject = "sha256-" + hashlib.sha256(subject.encode(errors="surrogatepass")).hexdigest()[:48]
    return f"oidc:{subject}"


def unverified_header(token: str) -> dict[str, Any]:
    """Return a compact JWS's header; raises JoseError and ValueError for what is none."""
    from joserfc.jws import extract_compact

    return extract_compact(token.encode()).headers()


def choose(keys: "KeySet", kid: object, algorithm: str) -> "Key | None":
    """Return the key with this id that may verify this algorithm; without an id, the only one that may."""
    from joserfc.errors import JoseError
    from joserfc.jws import JWSRegistry

    def fits(key: "Key") -> bool:
        if key.get("use", "sig") != "sig" or key.get("alg", algorithm) != algorithm:
            return False
        try:
            JWSRegistry.algorithms[algorithm].check_key(key)
        except JoseError:
            return False
        return True

    fitting = [key for key in keys if fits(key) and (kid is None or key.kid == kid)]
    return fitting[0] if len(fitting) == 1 else None


def check_claims(claims: Mapping[str, Any], issuer: str, client_id: str, nonce: str, now: float) -> None:
    """Refuse an ID token that is not this provider's for this client and log-in, now; raises OidcError.

    Core 1.0, section 3.1.3.7; clocks may differ by `CLOCK_SKEW_S`.
    """
    audience, azp, subject = claims.get("aud"), claims.get("azp"), claims.get("sub")
    meant_for = texts(audience)
    times = [claims.get(name, now) for name in ("exp", "iat", "nbf")]
    if claims.get("iss") != issuer:
        raise OidcError("refused", "the ID token is another issuer's")
    if client_id not in meant_for or (len(meant_for) > 1 and azp is None) or azp not in (None, client_id):
        raise OidcError("refused", "the ID token is meant for another application")
    if not isinstance(subject, str) or not 1 <= len(subject) <= 255:
        raise OidcError("refused", "the ID token names nobody")
    if not isinstance(claims.get("nonce"), str) or not hmac.compare_digest(
        str(claims["nonce"]).encode(errors="surrogatepass"), nonce.encode()
    ):
        raise OidcError("refused", "the ID token belongs to another log-in")
    if "exp" not in claims or "iat" not in claims or not all(_is_time(t) for t in times):
        raise OidcError("refused", "the ID token does not say when it was made and when it ends")
    expires, issued, not_before = times
    if expires <= now - CLOCK_SKEW_S:
        raise OidcError("refused", "the ID token has expired")
    if issued > now + CLOCK_SKEW_S or not_before > now + CLOCK_SKEW_S:
        raise OidcError("refused", "the ID token is from the future; compare the clocks")


def find(claims: Mapping[str, Any], name: str) -> Any:
    """Return a claim by its name, which may be a path into objects by dots (``realm_access.roles``); None if absent."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = cast("dict[str, Any]", found).get(part) if isinstance(found, dict) or found is claims else None
    return found


def texts(value: Any) -> list[str]:
    """Return the texts of a claim that is one or a list of them."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        return []
    return [item for item in cast("list[Any]", value)[:MOST_GROUPS] if isinstance(item, str)]


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12


def _safe(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme == "https":
        return bool(parts.hostname)
    try:
        return parts.scheme == "http" and (
            parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback
        )
    except ValueError:
        return False


def _error_name(raw: bytes) -> str:
    try:
        name = msgspec.json.decode(raw, type=dict[str, Any]).get("error")
    except (msgspec.MsgspecError, ValueError):
        return ""
    return name if isinstance(name, str) and re.fullmatch(r"[a-z_]{1,40}", name) else ""
