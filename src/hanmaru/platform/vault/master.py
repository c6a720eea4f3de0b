"""The master key: 256 bits in one small file, which wraps every other key.

The file is one line, ``hanmaru-master-key <id> <base64>``. While it is being exchanged the new one lies beside it with
``.next`` appended, and both are read.
"""

import base64
import os
import secrets
from pathlib import Path
from typing import Final

from hanmaru.platform.disk import sync_folder, write_once
from hanmaru.platform.vault.crypto import KEY_BYTES, Key
from hanmaru.platform.vault.errors import VaultError

FILE: Final = "master.key"
_MAGIC: Final = "hanmaru-master-key"


class MasterFile:
    """Where the master key lies."""

    def __init__(self, path: Path) -> None:
        """Name the file; nothing is read yet."""
        self.path = path
        self.next_path = path.with_name(path.name + ".next")

    def load(self, *, make: bool) -> Key:
        """Return the key; ``make`` makes it when there is no file.

        Raises VaultError for a missing or unreadable file: a new key would open nothing.
        """
        if not self.path.exists():
            if not make:
                raise VaultError(f"the master key {self.path} is missing; bring it back from where it is kept", 500)
            _make(self.path)
        return _read(self.path)

    def next(self, *, make: bool = False) -> Key | None:
        """Return the key that is to take over, or None; ``make`` makes it when there is none."""
        if make:
            _make(self.next_path)
        return _read(self.next_path) if self.next_path.exists() else None

    def take_over(self) -> None:
        """Put the next key in the place of the present one, whose bytes are overwritten."""
        with self.path.open("r+b") as old:
            self.next_path.replace(self.path)
            sync_folder(self.path.parent)
            old.write(b"\0" * os.fstat(old.fileno()).st_size)
            old.flush()
            os.fsync(old.fileno())


def _make(path: Path) -> None:
    """Write a new key, unless another process was first."""
    write_once(
        path, f"{_MAGIC} {secrets.token_hex(8)} {base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}\n".encode()
    )


def _read(path: Path) -> Key:
    try:
        magic, id, encoded = path.read_text("ascii").split()
        secret = base64.b64decode(encoded, validate=True)
    except ValueError:
        raise VaultError(f"{path} is not a master key file", 500) from None
    if magic != _MAGIC or len(secret) != KEY_BYTES:
        raise VaultError(f"{path} is not a master key file", 500)
    return Key(id, secret)
