"""The chain of custody of evidence clips: every touch is an entry, chained to the one before and signed."""

import asyncio
from collections.abc import Sequence

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hanmaru.centre.cctv.register import Register, now
from hanmaru.centre.cctv.sealed import Secrets
from hanmaru.centre.cctv.shapes import Custody
from hanmaru.centre.domain import CentreError
from hanmaru.platform.audit.seal import genuine


def message(clip: str, entry: Custody) -> bytes:
    """Return what an entry's signature is over."""
    facts = [clip, entry.seq, entry.at, entry.who, entry.what, entry.sha256, entry.detail, entry.previous]
    return msgspec.json.encode(facts)


async def touch(
    register: Register, secrets: Secrets, clip: str, who: str, what: str, sha256: str = "", detail: str = ""
) -> Custody:
    """Add an entry to a clip's log; on return it is on disk. Call it before anything of the clip is given."""
    signer = await secrets.signer()
    return await asyncio.to_thread(_add, register, signer, clip, (who, what, sha256, detail))


def _add(register: Register, signer: Ed25519PrivateKey, clip: str, facts: tuple[str, str, str, str]) -> Custody:
    who, what, sha256, detail = facts
    with register.custody_of(clip) as (seq, previous, added):
        bare = Custody(seq, now(), who, what, sha256, detail, previous, "")
        added.append(entry := msgspec.structs.replace(bare, signature=signer.sign(message(clip, bare)).hex()))
    return entry


def check(clip: str, log: Sequence[Custody], key: Ed25519PublicKey) -> None:
    """Check a clip's whole log; raises CentreError that names the first entry that does not hold.

    An entry that was changed, left out, added or moved does not hold. That the newest ones were cut off, the audit
    trail shows, which has every touch as well.
    """
    previous = ""
    for number, entry in enumerate(log, 1):
        bare = msgspec.structs.replace(entry, signature="")
        chained = (entry.seq, entry.previous) == (number, previous)
        if not chained or not genuine(key, message(clip, bare), entry.signature):
            raise CentreError(
                f"entry {number} of the custody log of {clip} was changed: compare it with the audit trail"
            )
        previous = entry.signature
