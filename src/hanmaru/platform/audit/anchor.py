"""Anchors: signed statements of every chain's head, kept where nobody who runs the hub can change them.

Somebody who has both the data and the keys can write a new history and sign it. What they cannot do is make it contain
the heads of an anchor that left the building before.
"""

import os
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hanmaru.platform.audit.lines import now_text
from hanmaru.platform.audit.seal import Head, TrailError, genuine, private_key, read_head


class Exported(msgspec.Struct, frozen=True):
    """Which export an anchor lies beside: the file's SHA-256, its records, and what it was limited to."""

    sha256: str
    records: int
    format: str
    only: dict[str, str]


class Anchor(msgspec.Struct, frozen=True, omit_defaults=True):
    """The heads of all chains as they were sealed when it was made."""

    made: str
    heads: tuple[Head, ...]
    export: Exported | None = None

    def message(self) -> bytes:
        """Return what is signed."""
        return b"hanmaru audit anchor\n" + msgspec.json.encode(self)


class SignedAnchor(msgspec.Struct, frozen=True):
    """An anchor with its Ed25519 signature in hexadecimal digits."""

    anchor: Anchor
    signature: str

    def encode(self) -> bytes:
        """Return the bytes of its file."""
        return msgspec.json.encode(self) + b"\n"


def sealed_heads(keys: Path, key: Ed25519PublicKey) -> list[Head]:
    """Return the sealed heads of all chains. Raises TrailError for one that was changed."""
    folder = keys / "audit" / "heads"
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return [head for name in names if (head := read_head(keys, name, key))]


def make_anchor(keys: Path, export: Exported | None = None) -> SignedAnchor:
    """Sign the sealed heads as they are now. Raises TrailError where there is no trail or its key is damaged."""
    key = private_key(keys)
    anchor = Anchor(now_text(), tuple(sealed_heads(keys, key.public_key())), export)
    return SignedAnchor(anchor, key.sign(anchor.message()).hex())


def read_anchor(path: Path, key: Ed25519PublicKey) -> Anchor:
    """Return the anchor in a file. Raises TrailError when it cannot be read or this trail's key did not sign it."""
    try:
        written = path.read_bytes()
        signed = msgspec.json.decode(written, type=SignedAnchor)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TrailError(f"{path} is not an anchor of an audit trail: {error}") from None
    if signed.encode() != written or not genuine(key, signed.anchor.message(), signed.signature):
        raise TrailError(f"{path} was changed, or another trail's key signed it")
    return signed.anchor


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
