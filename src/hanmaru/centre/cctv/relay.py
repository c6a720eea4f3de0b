"""A relay between FFmpeg and an RTSP camera: it connects to permitted addresses only, and lets no camera send us on.

FFmpeg resolves names itself and follows ``RTSP/1.0 302`` wherever it points to; both would reach addresses that the
operator's rules forbid. So FFmpeg is given a port on the loopback address, behind which this connects to an address
that was checked at that moment, and ends where the camera answers with a redirection (RFC 2326, 11.3) or with anything
that is neither an RTSP message nor an interleaved packet (10.12).
"""

import socket
import threading
from contextlib import suppress

from hanmaru.centre.domain import CentreError
from hanmaru.platform.egress import Egress

TIMEOUT_S = 4.0
MOST_HEAD = 64 * 1024
PART = 64 * 1024


class Guard:
    """Reads along what a camera sends; `see` is False from where it may not go on."""

    def __init__(self) -> None:
        """Begin at a message's first byte."""
        self._skip = 0
        self._head = bytearray()

    def see(self, part: bytes) -> bool:
        """Take the next bytes; return whether they may be passed on."""
        at = 0
        while at < len(part):
            if self._skip:
                step = min(self._skip, len(part) - at)
                self._skip -= step
                at += step
                continue
            self._head.append(part[at])
            at += 1
            if self._head[0] == 0x24:  # "$", channel, length: an interleaved packet
                if len(self._head) == 4:
                    self._skip = int.from_bytes(self._head[2:4])
                    self._head.clear()
            elif self._head.endswith(b"\r\n\r\n"):
                if not self._message(bytes(self._head)):
                    return False
                self._head.clear()
            elif self._head[0] in b"\r\n":
                self._head.clear()  # between messages
            elif len(self._head) > MOST_HEAD:
                return False
        return True

    def _message(self, head: bytes) -> bool:
        first, *lines = head.split(b"\r\n")
        words = first.split(b" ")
        if words[0].startswith(b"RTSP/"):
            if len(words) < 2 or words[1].startswith(b"3"):
                return False
        elif len(words) != 3 or words[0] not in (b"OPTIONS", b"GET_PARAMETER", b"SET_PARAMETER", b"ANNOUNCE"):
            return False  # REDIRECT among them
        for line in lines:
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-length":
                if not value.strip().isdigit() or int(value) > 2**20:
                    return False
                self._skip = int(value)
        return True


def resolve(host: str, port: int, egress: Egress) -> tuple[str, int]:
    """Return a permitted address of a host; raises CentreError where there is none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise CentreError("the camera's host name is not known: check the address") from None
    for *_, address in found:
        if egress.permits(str(address[0])):
            return str(address[0]), port
    raise CentreError("the setting egress.allow does not permit the camera's address: ask who runs the hub")


class Relay:
    """One camera's relay; `port` is where FFmpeg connects to, once."""

    def __init__(self, host: str, port: int, egress: Egress) -> None:
        """Connect to the camera and listen; raises CentreError where that cannot be."""
        address = resolve(host, port, egress)
        try:
            self._camera = socket.create_connection(address, TIMEOUT_S)
        except OSError as error:
            raise CentreError(f"the camera cannot be reached: {error.strerror or 'it did not answer'}") from None
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1)
        self._listener.settimeout(TIMEOUT_S)
        self._reader: socket.socket | None = None
        self.port: int = self._listener.getsockname()[1]
        self.redirected = False
        threading.Thread(target=self._run, name="rtsp relay", daemon=True).start()

    def close(self) -> None:
        """End both connections."""
        for one in (self._listener, self._camera, self._reader):
            if one is not None:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()

    def _run(self) -> None:
        try:
            reader, _ = self._listener.accept()
        except OSError:
            return self.close()
        self._reader = reader
        self._listener.close()
        self._camera.settimeout(TIMEOUT_S)
        threading.Thread(target=self._upstream, args=(reader,), name="rtsp relay", daemon=True).start()
        guard = Guard()
        with suppress(OSError):
            while part := self._camera.recv(PART):
                if not guard.see(part):
                    self.redirected = True
                    break
                reader.sendall(part)
        self.close()

    def _upstream(self, reader: socket.socket) -> None:
        with suppress(OSError):
            while part := reader.recv(PART):
                self._camera.sendall(part)
        self.close()
