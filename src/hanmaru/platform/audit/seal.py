"""What an intruder in the data folder cannot forge: signed statements of how far a chain had come, and their key.

The private key (Ed25519, ``<keys>/audit/signing.key``) and the newest statement of each chain, its sealed head
(``<keys>/audit/heads/<chain>``), lie in the folder of keys. The public key is copied beside the trail
(``<data>/audit/public.pem``), so that an auditor can check signatures anywhere.
"""

import time
from contextlib import suppress
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from hanmaru.platform.disk import write_once

HEAD_BYTES = 512
"""A sealed head's size on disk, one sector, padded with spaces: overwriting it in place leaves the old or the new."""

AGAIN_S = 0.02


class TrailError(OSError):
    """Why the audit trail cannot be written or read, and what to do."""


class Head(msgspec.Struct, frozen=True):
    """That the record ``seq`` of a chain had this hash at this time."""

    chain: str
    seq: int
    hash: str
    at: str

    def message(self) -> bytes:
        """Return what is signed."""
        return f"hanmaru audit head\n{self.chain}\n{self.seq}\n{self.hash}\n{self.at}".encode()


class SealedHead(msgspec.Struct, frozen=True):
    """A signed head; ``signature`` is Ed25519 in hexadecimal digits over `Head.message`."""

    head: Head
    signature: str

    def encode(self) -> bytes:
        """Return the bytes of its file."""
        return msgspec.json.encode(self).ljust(HEAD_BYTES - 1) + b"\n"


def signed(key: Ed25519PrivateKey, head: Head) -> SealedHead:
    """Return the head with its signature."""
    return SealedHead(head, key.sign(head.message()).hex())


def genuine(key: Ed25519PublicKey, message: bytes, signature: str) -> bool:
    """Return whether the key's owner signed the message; the signature's digits must be lower case."""
    try:
        key.verify(bytes.fromhex(signature), message)
    except (InvalidSignature, ValueError):
        return False
    return len(signature) == 128 and signature == signature.lower()


def signing_key(keys: Path, folder: Path) -> Ed25519PrivateKey:
    """Return the trail's private key; at first use make it, and put the public one into the trail's ``folder``.

    Raises TrailError for a key that cannot be read or is not the one that signed this trail.
    """
    path, public = keys / "audit" / "signing.key", folder / "public.pem"
    if not path.exists():
        if public.exists() and not path.exists():
            raise TrailError(
                f"the audit trail in {folder} was signed by a key that is not at {path}: "
                "restore the keys, or move the trail to where it is kept for good"
            )
        made = Ed25519PrivateKey.generate()
        write_once(path, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    key = private_key(keys)
    write_once(public, public_pem(key.public_key()))
    if public.read_bytes() != public_pem(key.public_key()):
        raise TrailError(f"{public} is not the public key of {path}: restore the one that belongs to the other")
    return key


def private_key(keys: Path) -> Ed25519PrivateKey:
    """Return the private key from the folder of keys. Raises TrailError where it is missing or damaged."""
    path = keys / "audit" / "signing.key"
    try:
        written = path.read_bytes()
        key = load_pem_private_key(written, None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise TrailError(f"cannot read the audit trail's key {path}: {error}") from None
    if (
        not isinstance(key, Ed25519PrivateKey)
        or key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) != written
    ):
        raise TrailError(f"{path} is not the Ed25519 key that was written there")
    return key


def public_pem(key: Ed25519PublicKey) -> bytes:
    """Return a public key as PEM."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def public_key(pem: bytes) -> Ed25519PublicKey:
    """Return the key of a PEM text. Raises TrailError when it is none."""
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise TrailError(f"the public key cannot be read: {error}") from None
    if not isinstance(key, Ed25519PublicKey) or public_pem(key) != pem:
        raise TrailError("the public key is not an Ed25519 key as PEM")
    return key


def head_path(keys: Path, chain: str) -> Path:
    """Return where a chain's sealed head lies."""
    return keys / "audit" / "heads" / chain


def read_head(keys: Path, chain: str, key: Ed25519PublicKey) -> Head | None:
    """Return a chain's sealed head, None when there is none. Raises TrailError when it is not what was written."""
    path = head_path(keys, chain)
    for last_try in (False, False, True):
        try:
            written = path.read_bytes()
        except FileNotFoundError:
            return None
        if not written:
            return None  # its chain has not begun
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            sealed = msgspec.json.decode(written, type=SealedHead)
            if (
                sealed.encode() == written
                and sealed.head.chain == chain
                and genuine(key, sealed.head.message(), sealed.signature)
            ):
                return sealed.head
        if not last_try:
            time.sleep(AGAIN_S)  # it may be written just now
    raise TrailError(f"{path} was changed: it is not a head that this trail's key signed")
