"""HTTP/1.1 of uvicorn, with bounds on what comes before a request is understood: its head's size, fields and time.

uvicorn's httptools protocol waits for ever for the rest of a request and takes a head of any size; here a client gets
431 for the one, and is cut off for the other.
"""

import time
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEADERS = 100


def _answer(status: int, title: str, detail: str) -> bytes:
    body = msgspec.json.encode({"type": "about:blank", "title": title, "status": status, "detail": detail})
    head = (
        f"HTTP/1.1 {status} {title}\r\ncontent-type: application/problem+json\r\ncontent-length: {len(body)}\r\n"
        "x-content-type-options: nosniff\r\nreferrer-policy: same-origin\r\ncache-control: no-store\r\n"
        "content-security-policy: default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
        "connection: close\r\n\r\n"
    )
    return head.encode() + body


_TOO_LARGE = _answer(
    431,
    "Request Header Fields Too Large",
    f"A request line and headers have at most limits.head_bytes bytes and {MOST_HEADERS} headers.",
)
_STRICT = b"\r\nstrict-transport-security: max-age=31536000; includeSubDomains\r\n\r\n"
_NOT_HTTP = _answer(400, "Bad Request", "This is not an HTTP/1.1 request.")


class BoundedProtocol(HttpToolsProtocol):
    """One connection. `bounded` gives the class its limits; `sweep` cuts off the connections that are too slow."""

    head_bytes = 32 * 2**10
    head_s = 10.0
    request_s = 60.0
    _came = _chunk = 0
    """Bytes of the head that came before this chunk, and of this chunk."""
    _since: float | None = None
    """When the request now being read began to come, or the connection itself; None between requests."""
    _in_head = True

    def connection_made(self, transport: Any) -> None:
        """Wait for a request."""
        self._since = time.monotonic()
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Read on, unless the head is too large."""
        self._chunk = len(data)
        if self._in_head:
            self._came += self._chunk
        super().data_received(data)
        if self._in_head and self._came > self.head_bytes:
            self._refuse(_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Begin to read a request."""
        self._in_head, self._since = True, time.monotonic()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Measure a head that may be too large, then answer."""
        if self.transport.is_closing():
            return
        may_be_large = max(self._came, self._chunk) > self.head_bytes
        if len(self.headers) > MOST_HEADERS or (may_be_large and self._size() > self.head_bytes):
            self._refuse(_TOO_LARGE)
            return
        if any(name == b"transfer-encoding" and value.strip().lower() != b"chunked" for name, value in self.headers):
            self._refuse(_NOT_HTTP)  # the parser would read on to the connection's end (RFC 9112, section 6.3)
            return
        self._in_head, self._came = False, 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body, unless the request was refused."""
        if not self._in_head:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        if not self._in_head:
            super().on_message_complete()
            self._since, self._in_head = None, True

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP."""
        self._refuse(_NOT_HTTP)

    def too_slow(self, now: float) -> bool:
        """Whether the client has taken longer than it may."""
        most_s = self.head_s if self._in_head else self.request_s + self.head_s
        return self._since is not None and now - self._since > most_s

    def _size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _refuse(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            if self.cycle is None or self.cycle.response_complete:  # pyright: ignore[reportUnnecessaryComparison]
                self.transport.write(answer.replace(b"\r\n\r\n", _STRICT, 1) if self.scheme == "https" else answer)
            self.transport.close()


def bounded(head_bytes: int, head_s: float, request_s: float) -> type[BoundedProtocol]:
    """Return the protocol with limits: the size and time (s) of a head, the time (s) of a whole request."""
    limits = {"head_bytes": head_bytes, "head_s": head_s, "request_s": request_s}
    return type("BoundedProtocol", (BoundedProtocol,), limits)


def sweep(connections: set[Any]) -> None:
    """Cut off every connection that is too slow."""
    now = time.monotonic()
    for connection in list(connections):
        if isinstance(connection, BoundedProtocol) and connection.too_slow(now):
            connection.transport.abort()
