"""One attempt to deliver a notification over HTTP, and what to make of its outcome."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ssl import SSLContext
from typing import Literal
from urllib.parse import urlsplit

import aiohttp

from hanmaru.platform.egress import EVERYWHERE, Egress

TRY_AGAIN = frozenset({408, 429})
MAX_ANSWER = 64 << 10
MAX_OPEN = 256


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an attempt: ``failed`` is worth trying again, not before ``wait_s``; ``refused`` is not.

    ``outdated`` was not attempted, as it was no longer to be sent when its turn came.
    """

    verdict: Literal["delivered", "failed", "refused", "outdated"]
    reason: str = ""
    wait_s: float = 0.0


class Sender:
    """An HTTP client with few connections to each endpoint, kept alive; a slow endpoint occupies only its own."""

    def __init__(self, *, per_endpoint: int, ssl: SSLContext | None, egress: Egress = EVERYWHERE) -> None:
        """Bound concurrent requests to each address; ``ssl`` replaces the system's certificate authorities.

        An address that ``egress`` does not permit is a failed attempt.
        """
        self._per_endpoint = per_endpoint
        self._slots: dict[str, tuple[asyncio.Semaphore, int]] = {}
        self._open = asyncio.Semaphore(MAX_OPEN)
        connector = egress.connector(limit=0, keepalive_timeout=30, ssl=ssl or True)
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "Hanmaru"},
            auto_decompress=False,
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def send(
        self,
        uri: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout_s: float,
        due: Callable[[], bool] | None = None,
        *,
        method: Literal["POST", "PUT"] = "POST",
    ) -> Outcome:
        """Send a notification; redirects are not followed and an answer's body is thrown away.

        ``due`` is asked when its turn has come, which may be long after the call.
        """
        async with self._slot(uri), self._open:
            if due is not None and not due():
                return Outcome("outdated")
            try:
                return await self._send(method, uri, headers, body, timeout_s)
            except aiohttp.ServerDisconnectedError:
                pass  # most likely a kept-alive connection that the receiver closed while it was idle
            except Exception as error:
                return Outcome("failed", reason_of(error, uri, timeout_s))
            try:
                return await self._send(method, uri, headers, body, timeout_s)
            except Exception as error:
                return Outcome("failed", reason_of(error, uri, timeout_s))

    async def _send(self, method: str, uri: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> Outcome:
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        async with self._session.request(
            method, uri, data=body, headers=headers, timeout=timeout, allow_redirects=False
        ) as response:
            length = 0
            async for part in response.content.iter_any():  # read to its end, the connection can be used again
                if (length := length + len(part)) > MAX_ANSWER:
                    response.close()
                    break
            return verdict(response.status, response.headers.get("Retry-After", ""))

    @asynccontextmanager
    async def _slot(self, uri: str) -> AsyncGenerator[None]:
        slot, users = self._slots.get(uri) or (asyncio.Semaphore(self._per_endpoint), 0)
        self._slots[uri] = slot, users + 1
        try:
            async with slot:
                yield
        finally:
            slot, users = self._slots.pop(uri)
            if users > 1:
                self._slots[uri] = slot, users - 1


def verdict(status: int, retry_after: str = "") -> Outcome:
    """Return what an HTTP status means for a notification: 4xx gives up at once except 408 and 429."""
    if 200 <= status < 300:
        return Outcome("delivered")
    if status >= 500 or status in TRY_AGAIN:
        wait_s = float(retry_after) if retry_after.isdigit() else 0.0
        return Outcome("failed", f"the endpoint answered {status}", min(wait_s, 3_600.0))
    if 300 <= status < 400:
        return Outcome("refused", f"the endpoint answered {status}; redirects are not followed")
    return Outcome("refused", f"the endpoint answered {status}")


def reason_of(error: Exception, uri: str, timeout_s: float) -> str:
    """Return for people why an attempt failed."""
    host = urlsplit(uri).netloc
    match error:
        case TimeoutError():
            return f"no answer from {host} within {timeout_s:g} s"
        case aiohttp.ClientConnectorCertificateError():
            return f"the certificate of {host} is not trusted: {error.certificate_error}"
        case aiohttp.ClientSSLError():
            return f"no TLS connection to {host}: {error}"
        case aiohttp.ClientConnectorError():
            return f"cannot connect to {host}: {error.os_error.strerror or error.os_error}"
        case _:
            return f"{host}: {error or type(error).__name__}"
