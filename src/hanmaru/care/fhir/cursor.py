"""Where a page ended, sealed: opaque, bound to its search and reader, and without a value in clear in an address."""

import base64
import binascii
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

import msgspec

from hanmaru.care.fhir.parameters import wrong
from hanmaru.care.fhir.sorting import Value
from hanmaru.care.fhir.values import Reader
from hanmaru.platform.vault.crypto import Key

_PLACE: Final = "care|cursor|"


class Position(msgspec.Struct, frozen=True, array_like=True):
    """The last row of a page: its sort values and its key."""

    values: list[Value]
    key: int


_decoder = msgspec.msgpack.Decoder(Position)  # JSON has no infinity, where an open range begins


def fingerprint(reader: Reader, kind: str, query: Sequence[tuple[str, str]]) -> str:
    """Return what stands for a search: a cursor of another search or reader does not open."""
    asked = sorted((name, value) for name, value in query if name not in ("_cursor", "_count", "_format", "_pretty"))
    return blake2b(msgspec.json.encode([reader.kind, reader.id, kind, asked]), digest_size=16).hexdigest()


def encode(position: Position, of: str, secret: Key) -> str:
    """Return a position as a text for an address."""
    sealed = secret.seal(msgspec.msgpack.encode(position), _PLACE + of)
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def decode(text: str, of: str, secret: Key) -> Position:
    """Return the position that a text stands for. Raises Problem 400 where it is not of this search."""
    try:
        sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        sealed = b""
    plain = secret.open(sealed, _PLACE + of) if sealed else None
    if plain is None:
        raise wrong("This page is not of this search: begin again without _cursor.")
    return _decoder.decode(plain)
