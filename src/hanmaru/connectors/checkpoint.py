"""Checkpoints: how far each source was taken into the hub, durable, saved only after the hub acknowledged."""

import fcntl
import gzip
import hashlib
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from hanmaru.connectors.errors import ConnectorError
from hanmaru.connectors.readers import Position
from hanmaru.platform.disk import replace

HEAD_BYTES = 65_536


class Checkpoint(msgspec.Struct, frozen=True, omit_defaults=True):
    """The state of one source under one mapping.

    ``head`` fingerprints the first ``head_bytes`` of what was read, so that a changed file is noticed while a grown
    one is continued. ``quarantine_bytes`` is the length of the quarantine file that belongs to this state. ``etag``,
    ``modified`` and ``body`` (a hash) are those of the HTTP answer last taken over.
    """

    source: str = ""
    digest: str = ""
    position: Position = Position()
    head: str = ""
    head_bytes: int = 0
    size: int = 0
    quarantine_bytes: int = 0
    quarantined: int = 0
    rows: int = 0
    values: int = 0
    etag: str = ""
    modified: str = ""
    body: str = ""


_decode = msgspec.json.Decoder(Checkpoint).decode


class CheckpointFile:
    """One checkpoint, a small JSON file that is replaced atomically."""

    def __init__(self, data_dir: Path, source: str, mapping: str, tenant: str = "") -> None:
        """Name the file after the source, the mapping and the tenant, in ``data_dir``/connectors/checkpoints."""
        key = hashlib.sha256(f"{tenant}\0{source}".encode()).hexdigest()[:12]
        self.key = f"{mapping}-{key}"
        self.path = data_dir / "connectors" / "checkpoints" / f"{self.key}.json"
        self.quarantine = data_dir / "connectors" / "quarantine" / f"{self.key}.jsonl"

    def load(self) -> Checkpoint | None:
        """Return the checkpoint, or None where there is none that can be read."""
        try:
            return _decode(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError):
            return None

    def save(self, checkpoint: Checkpoint) -> None:
        """Put the checkpoint on disk."""
        replace(self.path, msgspec.json.encode(checkpoint))

    @contextmanager
    def locked(self) -> Generator[None]:
        """Hold the source for this process; ConnectorError when another one is at it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise ConnectorError(
                    f"{self.key}: another process is ingesting this source; wait for it or stop it"
                ) from None
            yield


def head_of(path: Path, size: int) -> str:
    """Return the fingerprint of a file's first ``size`` bytes (decompressed), empty when it cannot be read."""
    try:
        with cast(BinaryIO, gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb")) as stream:
            head = stream.read(size)
    except (OSError, EOFError, zlib.error):
        return ""
    return hashlib.sha256(head).hexdigest()


def resume_from(old: Checkpoint | None, path: Path, digest: str, growable: bool) -> tuple[Position | None, str]:
    """Return where to go on (None: at the beginning), and why at the beginning in words (empty: nothing to say)."""
    if old is None:
        return None, ""
    if old.digest != digest:
        return None, "the mapping changed since the last run; reading from the beginning"
    same = head_of(path, old.head_bytes) == old.head
    if not same or (not growable and path.stat().st_size != old.size):
        return None, "the file changed since the last run; reading from the beginning"
    return old.position, ""
