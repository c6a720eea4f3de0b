"""Where pictures come from: an RTSP camera over TCP, or a file that is played in real time, again and again."""

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hanmaru.centre.cctv.relay import Relay, resolve
from hanmaru.centre.cctv.shapes import Source
from hanmaru.centre.domain import CentreError
from hanmaru.platform.egress import Egress

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet

FOLDER = "video"
"""The folder, in the room's, that file sources lie in."""
OPEN_S, READ_S = 4.0, 2.5
"""How long opening and a packet may take: with `READ_S` and a second for telling, loss is shown within five."""
FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,avi"
"""Containers that files may have: none that names other files or addresses, as play lists do."""
MOST_PIXELS = 3840 * 2160


def file_path(folder: Path, name: str) -> Path:
    """Return the path of a file source; raises CentreError for a name that leads out of the folder, or to nothing."""
    root = (folder / FOLDER).resolve()
    if not name or name.startswith(("/", "~")) or "\0" in name or "\\" in name or ":" in name:
        raise CentreError(f"a file source is a name within the folder {FOLDER} of the centre's data")
    path = (root / name).resolve()
    if not path.is_relative_to(root) or path == root:
        raise CentreError(f"a file source is a name within the folder {FOLDER} of the centre's data")
    if not path.is_file():
        raise CentreError(f"there is no such file in the folder {FOLDER} of the centre's data: put it there first")
    return path


def check_address(source: Source, folder: Path, egress: Egress) -> None:
    """Refuse, by CentreError, a source that could not be read; blocks. The text quotes no address."""
    if source.kind == "file":
        file_path(folder, source.address or "")
        return
    host, port, _ = _parts(source.address or "")
    resolve(host, port, egress)


def _parts(address: str) -> tuple[str, int, str]:
    """Return host, port and what comes after them of an RTSP address."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port or 554
    except ValueError:
        parts, host, port = urlsplit(""), None, 554
    if parts.scheme != "rtsp" or not host or not address.isascii() or not address.isprintable() or " " in address:
        raise CentreError("an RTSP address is rtsp://user:password@host:554/path, in ASCII without spaces")
    return host, port, parts._replace(scheme="", netloc="").geturl()


class Opened:
    """An opened source: `packets` of its first video stream, in real time. Blocks: it is a thread's."""

    def __init__(self, source: Source, folder: Path, egress: Egress) -> None:
        """Open it; raises CentreError that says what is wrong."""
        import av
        from av.error import FFmpegError

        self._relay: Relay | None = None
        self._loops = source.kind == "file"
        self.skipped = True
        """Whether packets were left out, so that decoding goes on at the next key picture only."""
        self.container: InputContainer | None = None
        try:
            if self._loops:
                options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
                self.container = av.open(str(file_path(folder, source.address or "")), options=options)
            else:
                self.container = self._rtsp(source.address or "", egress)
            self.stream = self.container.streams.video[0]
        except (FFmpegError, IndexError, OSError) as error:
            redirected = self._relay is not None and self._relay.redirected
            self.close()
            if redirected:
                raise CentreError("the camera sends to another address, which is not followed: use that one") from None
            if isinstance(error, IndexError):
                raise CentreError("the source has no video") from None
            if "401" in str(error) or "Unauthorized" in str(error):
                raise CentreError("the camera refuses the user name and password") from None
            raise CentreError("the source gives no video that can be read") from None
        except CentreError:
            self.close()
            raise
        context = self.stream.codec_context
        context.thread_count = 1
        if context.width * context.height > MOST_PIXELS:
            self.close()
            raise CentreError("the picture is larger than 3840x2160: set the camera to a smaller one")

    def _rtsp(self, address: str, egress: Egress) -> "InputContainer":
        import av

        host, port, path = _parts(address)
        user = urlsplit(address).netloc.rpartition("@")[0]
        self._relay = Relay(host, port, egress)
        options = {
            "rtsp_transport": "tcp",
            "protocol_whitelist": "rtsp,tcp",
            "fflags": "nobuffer",
            "flags": "low_delay",
            "analyzeduration": "300000",
            "probesize": "500000",
        }
        through = f"rtsp://{user + '@' if user else ''}127.0.0.1:{self._relay.port}{path}"
        return av.open(through, options=options, timeout=(OPEN_S, READ_S))

    def packets(self) -> "Iterator[tuple[Packet[Any], float]]":
        """Yield packets with the instant (Unix seconds) that they came; ends where the source does.

        A file begins again when it is over. Raises CentreError when packets stay out.
        """
        from av.error import FFmpegError

        assert self.container is not None
        try:
            while True:
                began, first, last = time.time(), None, 0.0
                for packet in self.container.demux(self.stream):
                    if packet.size == 0:
                        continue
                    if self._loops and packet.dts is not None:
                        at = float(packet.dts * packet.time_base)
                        first = at if first is None else first
                        last = at - first
                        if (ahead := began + last - time.time()) > 0:
                            time.sleep(min(ahead, READ_S))
                    yield packet, time.time()
                if not self._loops or first is None:
                    return
                self.container.seek(0)
        except (FFmpegError, OSError):
            raise CentreError("no more pictures come from the camera") from None

    def close(self) -> None:
        """Close it."""
        if self.container is not None:
            with suppress(Exception):
                self.container.close()
            self.container = None
        if self._relay is not None:
            self._relay.close()
