"""Large encrypted things, such as a clip: one file each, sealed in chunks that are read and written one by one.

A file is 8 bytes that name the format, a salt of 32 bytes, and chunks of `CHUNK` bytes, each followed by its 16-byte
tag; the last may be shorter. The salt and the place of the blob give the file a key of its own (HKDF-SHA-256), and a
chunk's nonce is its number and whether it is the last: a file that was cut, extended or reordered, or stands in
another's place, does not open. This is the construction of Hoang, Reyhanitabar, Rogaway and Vizar, "Online
Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance" (2015), as Tink's AES-GCM-HKDF streaming has it.
"""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag

from hanmaru.platform.disk import sync_folder
from hanmaru.platform.vault.crypto import Key
from hanmaru.platform.vault.errors import VaultError, altered

CHUNK: Final = 256 * 1024
MOST_BYTES: Final = 4 * 2**30
"""Largest blob."""

_MAGIC: Final = b"hanmaru1"
_SALT_BYTES: Final = 32
_TAG_BYTES: Final = 16


class Writer:
    """Writes one blob: `add` its bytes, then `finish`; a file that was not finished does not open."""

    def __init__(self, folder: Path, key: Key, place: str) -> None:
        """Begin a file of a random name, readable by its owner only."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        salt = os.urandom(_SALT_BYTES)
        self.path, self.size = folder / secrets.token_hex(16), 0
        self._key, self._number, self._waiting = key.derive(place, salt), 0, bytearray()
        self._file = os.fdopen(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")
        self._file.write(_MAGIC + salt)

    def add(self, part: bytes) -> None:
        """Take the next bytes; raises VaultError 413 when the blob is larger than `MOST_BYTES`."""
        self.size += len(part)
        if self.size > MOST_BYTES:
            raise VaultError(f"a file in the vault has at most {MOST_BYTES:,} bytes", 413)
        self._waiting += part
        while len(self._waiting) > CHUNK:  # one is always kept back: the last is marked as such
            self._seal(CHUNK, last=False)

    def finish(self) -> None:
        """Write the last chunk; on return the file is on disk."""
        self._seal(CHUNK, last=True)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        sync_folder(self.path.parent)

    def abandon(self) -> None:
        """Remove the file."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def _seal(self, size: int, *, last: bool) -> None:
        chunk = bytes(self._waiting[:size])
        del self._waiting[:size]
        self._file.write(self._key.aead.encrypt(_nonce(self._number, last), chunk, None))
        self._number += 1


def read(path: Path, key: Key, place: str, what: str) -> Iterator[bytes]:
    """Yield a blob's bytes in chunks, each verified.

    Raises VaultError where the file is not what was written; what came before is genuine, but the blob is not whole.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise VaultError(f"the file of {what} is missing; restore it from a backup", 500, "Damaged") from None
    with file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise altered(what)
        own = key.derive(place, file.read(_SALT_BYTES))
        for number, (chunk, last) in enumerate(_chunks(file)):
            try:
                yield own.aead.decrypt(_nonce(number, last), chunk, None)
            except (InvalidTag, ValueError):
                raise altered(what) from None


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    chunk = file.read(CHUNK + _TAG_BYTES)
    while True:
        following = file.read(CHUNK + _TAG_BYTES)
        yield chunk, not following
        if not following:
            return
        chunk = following


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11) + bytes([last])
