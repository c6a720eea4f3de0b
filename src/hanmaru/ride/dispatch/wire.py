"""What goes over the dispatcher's socket: frames of MessagePack, many calls at a time on one connection."""

import asyncio
import os
import struct
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

MOST_BYTES = 32 * 2**20
"""Largest frame: a fleet of thousands with its plans takes a tenth of it."""
SOCKET = "dispatcher.sock"


class Call(msgspec.Struct, frozen=True, array_like=True):
    """A question: its number on this connection, what is asked for, and with what."""

    id: int
    method: str
    params: dict[str, Any]


class Reply(msgspec.Struct, frozen=True, array_like=True):
    """An answer: to which call, the HTTP status it makes, and its body, JSON or a problem's members."""

    id: int
    status: int
    body: bytes


class News(msgspec.Struct, frozen=True, array_like=True):
    """What changed, told to everybody: riders whose trips did, vans whose plan did. ``id`` is 0: no call has it."""

    id: int
    seq: int
    riders: list[str]
    vans: list[str]


_encoder = msgspec.msgpack.Encoder()


def frame(message: msgspec.Struct) -> bytes:
    """Return a message as it goes over the wire."""
    body = _encoder.encode(message)
    return struct.pack(">I", len(body)) + body


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """Return the next frame's body; raises ConnectionError at the connection's end and for a frame that is too long."""
    try:
        (length,) = struct.unpack(">I", await reader.readexactly(4))
        if length > MOST_BYTES:
            raise ConnectionError(f"a frame of {length} bytes")
        return await reader.readexactly(length)
    except asyncio.IncompleteReadError:
        raise ConnectionError("the connection ended") from None


def address(folder: Path) -> str:
    """Return the path of a folder's socket; through an open folder where it is longer than a socket's may be (108)."""
    path = str(folder / SOCKET)
    return path if len(path.encode()) < 100 else f"/proc/self/fd/{_opened(folder)}/{SOCKET}"


@cache
def _opened(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
