"""What goes over the room's Unix socket, and to viewers: messages of pictures and states.

A message is a length (4 bytes, big-endian, of what follows it), a kind (1 byte: 1 picture, 2 state), the length of a
JSON header (2 bytes), the header, and for a picture a JPEG. A viewer's first message to the camera process is one line
of JSON, `Watch`; the process answers with messages until either side ends. The line ``{"states": true}``
is answered by one line of JSON: states by camera.

Header of a picture: ``camera``, ``at`` (RFC 3339, when it arrived), ``seq``, ``width``, ``height``, ``state``,
``veil`` (``faces`` blurred, ``whole`` picture made coarse, ``none`` under a grant) and ``tracks``
(``[{"id", "kind", "box": [x1, y1, x2, y2]}]``, shares of the frame). Header of a state: ``camera``, ``state``,
``since``, ``notice``.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from hanmaru.centre.cctv.shapes import Live
from hanmaru.centre.domain import CentreError

SOCKET = "cctv.sock"
PICTURE, STATE = 1, 2
HEIGHTS = (180, 360)
MOST_CAMERAS = 32
MOST_LINE = 16 * 1024
CONNECT_S = 2.0

_encode = msgspec.json.Encoder().encode


class Watch(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a viewer wants to see: cameras, height in pixels, pictures a second at most, grants by camera.

    ``clear`` has for a camera the grant, account and session that let its faces be seen: the camera process looks it
    up itself.
    """

    ids: Sequence[str] = ()
    height: int = 180
    fps: float = 10.0
    clear: Mapping[str, tuple[str, str, str]] = {}
    states: bool = False


def message(kind: int, header: Mapping[str, Any], body: bytes = b"") -> bytes:
    """Return one message."""
    head = _encode(header)
    return b"".join(((3 + len(head) + len(body)).to_bytes(4), kind.to_bytes(1), len(head).to_bytes(2), head, body))


async def open_socket(folder: Path, watch: Watch) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Ask the camera process; raises CentreError when none answers."""
    try:
        connecting = asyncio.open_unix_connection(address(folder), limit=256 * 1024)
        reader, writer = await asyncio.wait_for(connecting, CONNECT_S)
    except (OSError, TimeoutError):
        raise CentreError("the camera process does not answer: it starts again by itself; look again soon") from None
    writer.write(_encode(watch) + b"\n")
    return reader, writer


async def states(folder: Path) -> dict[str, Live]:
    """Return the state of every camera that the camera process knows; raises CentreError when none answers."""
    reader, writer = await open_socket(folder, Watch(states=True))
    try:
        line = await asyncio.wait_for(reader.read(-1), CONNECT_S)
        return msgspec.json.decode(line, type=dict[str, Live])
    except (OSError, TimeoutError, msgspec.DecodeError):
        raise CentreError("the camera process does not answer: it starts again by itself; look again soon") from None
    finally:
        writer.close()


def address(folder: Path) -> str:
    """Return the path of a folder's socket; through an open folder where it is longer than a socket's may be (108)."""
    path = str(folder / SOCKET)
    return path if len(path.encode()) < 100 else f"/proc/self/fd/{_opened(folder)}/{SOCKET}"


@cache
def _opened(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
