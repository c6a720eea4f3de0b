"""Where a request comes from: the client's address and network, the host it names, and the page that sent it."""

from collections.abc import Collection
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from starlette.types import Scope

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
PASSED_ON = (b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip", b"via")
"""What proxies add: where one is there, a loopback address and name say nothing of who asks."""


def address_of(scope: Scope) -> str:
    """Return the client's address, empty where it has none."""
    return scope["client"][0] if scope.get("client") else ""


@lru_cache(maxsize=4096)
def network(address: str) -> str:
    """Return what counts as one client: an IPv4 address as it is, an IPv6 address as its /64, other text unchanged."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(IPv6Address(int(parsed) >> 64 << 64)) + "/64"


def passed_on(headers: Collection[bytes]) -> bool:
    """Return whether a proxy says that it passed a request on."""
    return any(name in headers for name in PASSED_ON)


def host_of(headers: dict[bytes, bytes]) -> str:
    """Return the host name that a request names, without port; empty for one that cannot be read."""
    return host_name("//" + headers.get(b"host", b"").decode("latin-1"))


def host_name(url: str) -> str:
    """Return a URL's host name, without port; empty for one that cannot be read."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def same_origin(headers: dict[bytes, bytes]) -> bool | None:
    """Return whether a browser says that a page of ours sent the request; None when nothing says so or otherwise."""
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        return site in (b"same-origin", b"none")
    origin = headers.get(b"origin")
    if origin is None:
        return None
    try:
        return urlsplit(origin).netloc == headers.get(b"host")
    except ValueError:
        return False
