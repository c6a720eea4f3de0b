"""Where the hub itself may send requests: the addresses that a client's text can make it ask for.

An @context by URL, a subscription's endpoint and what a log-in provider's metadata names are other people's words. The
check is made on the address of each connection, at the moment its socket is made: not on a name, which may resolve
differently a moment later (DNS rebinding), and not on a URL, which may redirect.
"""

import errno
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import aiohttp

Kind = Literal["loopback", "private", "public", "never"]
KINDS = ("loopback", "private", "public")

PRIVATE = tuple(
    ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
"""RFC 1918, RFC 6598 (shared by carriers) and RFC 4193."""
METADATA = frozenset({ip_address("fd00:ec2::254"), ip_address("100.100.100.200")})
"""Where clouds tell a machine its secrets, apart from 169.254.169.254, which is link-local like most of them."""
NAT64 = IPv6Network("64:ff9b::/96")
"""RFC 6052: the last 32 bits are the IPv4 address that is reached."""


class EgressError(Exception):
    """A rule that cannot be understood; the text says what may be written."""


class Egress:
    """What addresses may be reached. One without arguments lets everything but link-local and the like be reached."""

    def __init__(self, allow: Sequence[str] = KINDS) -> None:
        """Allow kinds of addresses (``loopback``, ``private``, ``public``) and networks (``10.20.0.0/16``).

        Link-local (cloud metadata), multicast, unspecified and reserved addresses are never allowed. Raises EgressError
        for a rule that is neither a kind nor a network.
        """
        self._kinds = frozenset(allow) & frozenset(KINDS)
        try:
            self._networks = tuple(ip_network(rule) for rule in allow if rule not in KINDS)
        except ValueError as error:
            raise EgressError(f"give {', '.join(KINDS)} or networks such as 10.0.0.0/8: {error}") from None

    def permits(self, address: str) -> bool:
        """Return whether a connection to this IP address may be made; text that is none may not."""
        try:
            ip = _reached(ip_address(address.partition("%")[0]))
        except ValueError:
            return False
        kind = kind_of(ip)
        return kind != "never" and (kind in self._kinds or any(ip in network for network in self._networks))

    def connector(self, **options: Any) -> "aiohttp.TCPConnector":
        """Return an aiohttp connector that connects to permitted addresses only; ``options`` are its own.

        A refused one is an ``aiohttp.ClientConnectorError`` whose ``os_error`` says so.
        """
        import aiohttp

        return aiohttp.TCPConnector(socket_factory=self._socket, **options)

    def _socket(self, info: tuple[Any, Any, int, str, tuple[Any, ...]]) -> socket.socket:
        family, kind, protocol, _, address = info
        if not self.permits(str(address[0])):
            raise PermissionError(errno.EACCES, f"the setting egress.allow does not permit the address {address[0]}")
        return socket.socket(family, kind, protocol)


EVERYWHERE = Egress()
"""The rule where none is set."""


def kind_of(ip: IPv4Address | IPv6Address) -> Kind:
    """Return what kind of address this is; ``never`` for those that no rule allows."""
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip in METADATA:
        return "never"
    if ip.is_loopback:
        return "loopback"
    if any(ip in network for network in PRIVATE):
        return "private"
    return "public" if ip.is_global else "never"


def _reached(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 one stands for, else the address itself."""
    if isinstance(ip, IPv4Address):
        return ip
    if ip in NAT64 or 1 < int(ip) < 2**32:  # the latter: the deprecated ::a.b.c.d of RFC 4291
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip
