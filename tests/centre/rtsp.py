"""A small RTSP camera: the protocol of RFC 2326 with H.264 over RTP interleaved in TCP (RFC 6184), played in a loop."""

import base64
import re
import socket
import struct
import threading
import time
from contextlib import suppress
from pathlib import Path

import av

MOST = 1400
USER = base64.b64encode(b"viewer:s3cret").decode()


class Camera:
    """Serves one file; `stop` takes it off the network, `start` brings it back at the same port."""

    def __init__(self, path: Path, *, redirect: str = "", password: bool = False) -> None:
        self.redirect, self.password = redirect, password
        self.units: list[tuple[float, bytes]] = []
        with av.open(str(path)) as source:
            video = source.streams.video[0]
            self.size = video.width, video.height
            extra = bytes(video.codec_context.extradata or b"")
            self.sps, self.pps = parameter_sets(extra)
            for packet in source.demux(video):
                if packet.size and packet.pts is not None:
                    self.units.append((float(packet.pts * packet.time_base), bytes(packet)))
        self.span_s = self.units[-1][0] + 0.1
        self.port = 0
        self.served = 0
        self.frozen = threading.Event()
        self._open: list[socket.socket] = []
        self._listener: socket.socket | None = None

    @property
    def address(self) -> str:
        who = "viewer:s3cret@" if self.password else ""
        return f"rtsp://{who}127.0.0.1:{self.port}/stream"

    def start(self) -> "Camera":
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()
        return self

    def stop(self) -> None:
        for one in [self._listener, *self._open]:
            if one is not None:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
        self._open.clear()

    def freeze(self) -> None:
        """Stay connected and send nothing more, as a camera that hangs."""
        self.frozen.set()

    def _accept(self, listener: socket.socket) -> None:
        self.frozen.clear()
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        waiting = bytearray()
        with suppress(OSError):
            while part := connection.recv(4096):
                waiting += part
                while (end := waiting.find(b"\r\n\r\n")) >= 0:
                    head = waiting[:end].decode()
                    del waiting[: end + 4]
                    self._answer(connection, head)

    def _answer(self, connection: socket.socket, head: str) -> None:
        method, url = head.split(" ")[:2]
        cseq = re.search(r"CSeq: *(\d+)", head, re.I)
        lines, body = [f"CSeq: {cseq[1] if cseq else 0}"], ""
        status = "200 OK"
        if self.password and f"Authorization: Basic {USER}" not in head and method != "OPTIONS":
            status = "401 Unauthorized"
            lines.append('WWW-Authenticate: Basic realm="camera"')
        elif self.redirect and method == "DESCRIBE":
            status = "302 Moved Temporarily"
            lines.append(f"Location: {self.redirect}")
        elif method == "OPTIONS":
            lines.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN")
        elif method == "DESCRIBE":
            sets = ",".join(base64.b64encode(one).decode() for one in (self.sps, self.pps))
            body = (
                "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\nc=IN IP4 0.0.0.0\r\n"
                f"a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1;sprop-parameter-sets={sets}\r\n"
                "a=control:track1\r\n"
            )
            lines += ["Content-Type: application/sdp", f"Content-Base: {url}/", f"Content-Length: {len(body)}"]
        elif method == "SETUP":
            lines += ["Transport: RTP/AVP/TCP;unicast;interleaved=0-1", "Session: 1;timeout=60"]
        elif method == "PLAY":
            lines += ["Session: 1", "Range: npt=0.000-"]
        connection.sendall(("\r\n".join([f"RTSP/1.0 {status}", *lines]) + "\r\n\r\n" + body).encode())
        if method == "PLAY" and status.startswith("200"):
            threading.Thread(target=self._play, args=(connection,), daemon=True).start()

    def _play(self, connection: socket.socket) -> None:
        began, lap, number = time.monotonic(), 0.0, 0
        with suppress(OSError):
            while True:
                for at, unit in self.units:
                    time.sleep(max(0.0, began + lap + at - time.monotonic()))
                    if self.frozen.is_set():
                        return
                    for payload, last in packets(nal_units(unit)):
                        stamp = int((lap + at) * 90_000) & 0xFFFFFFFF
                        header = struct.pack("!BBHII", 0x80, 96 | (0x80 if last else 0), number & 0xFFFF, stamp, 7)
                        number += 1
                        rtp = header + payload
                        connection.sendall(b"$\0" + struct.pack("!H", len(rtp)) + rtp)
                    self.served += 1
                lap += self.span_s


def parameter_sets(avcc: bytes) -> tuple[bytes, bytes]:
    """Return SPS and PPS of an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1)."""
    length = int.from_bytes(avcc[6:8])
    sps, at = avcc[8 : 8 + length], 8 + length + 1
    length = int.from_bytes(avcc[at : at + 2])
    return sps, avcc[at + 2 : at + 2 + length]


def nal_units(packet: bytes) -> list[bytes]:
    """Return the NAL units of a packet with four-byte lengths."""
    units, at = list[bytes](), 0
    while at + 4 <= len(packet):
        length = int.from_bytes(packet[at : at + 4])
        units.append(packet[at + 4 : at + 4 + length])
        at += 4 + length
    return units


def packets(units: list[bytes]) -> list[tuple[bytes, bool]]:
    """Return RTP payloads: single NAL units, and FU-A for large ones (RFC 6184, 5.8); True marks the picture's last."""
    found: list[tuple[bytes, bool]] = []
    for n, unit in enumerate(units):
        final = n == len(units) - 1
        if len(unit) <= MOST:
            found.append((unit, final))
            continue
        indicator, kind, body = unit[0] & 0xE0 | 28, unit[0] & 0x1F, unit[1:]
        parts = [body[i : i + MOST] for i in range(0, len(body), MOST)]
        for i, part in enumerate(parts):
            edge = (0x80 if i == 0 else 0) | (0x40 if i == len(parts) - 1 else 0)
            found.append((bytes([indicator, edge | kind]) + part, final and i == len(parts) - 1))
    return found
