"""AES-256-GCM as the vault uses it: one sealed text, bound to the place it belongs to.

A sealed text is ``nonce (12 bytes, random) | ciphertext | tag (16 bytes)``. The place is authenticated with it, so a
text moved to another place does not open. With random nonces at most 2^32 texts may be sealed under one key (NIST
SP 800-38D, section 8.3); a data key belongs to one subject, and rotation begins a new one.
"""

import os
import secrets
from typing import Final, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12


class Key:
    """A 256-bit key in memory: its id may be shown; its bytes are in no repr, pickle or copy."""

    __slots__ = ("aead", "id", "secret")

    def __init__(self, id: str, secret: bytes) -> None:
        """Hold a key of 32 bytes."""
        self.id, self.secret = id, secret
        self.aead = AESGCM(secret)

    @classmethod
    def make(cls, id: str) -> "Key":
        """Return a new random key."""
        return cls(id, secrets.token_bytes(KEY_BYTES))

    def seal(self, plain: bytes, place: str) -> bytes:
        """Return the sealed text of some bytes, bound to a place."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self.aead.encrypt(nonce, plain, place.encode())

    def open(self, sealed: bytes, place: str) -> bytes | None:
        """Return the bytes of a sealed text, or None when it is not of this key and place."""
        try:
            return self.aead.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place.encode())
        except (InvalidTag, ValueError, TypeError):
            return None

    def derive(self, use: str, salt: bytes | None = None) -> "Key":
        """Return a key for one use only (HKDF-SHA-256, RFC 5869)."""
        return Key(f"{self.id}#{use}", HKDF(SHA256(), KEY_BYTES, salt, use.encode()).derive(self.secret))

    def __repr__(self) -> str:
        """Return the id."""
        return f"Key({self.id!r})"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled, and so to be kept by a workflow."""
        raise TypeError("a key is not to be pickled or copied")


def place(*parts: str | int) -> str:
    """Return where something belongs as one text; the parts are checked names, which hold no ``|``."""
    return "|".join(str(part) for part in parts)
