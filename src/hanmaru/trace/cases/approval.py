"""The signed approval: what a request was granted, as a JSON Web Signature that anybody with the public key can check.

Compact JWS (RFC 7515) with Ed25519 (RFC 9864). The private key lies in the room's vault and is made on first use; the
public one is at ``/api/trace/v1/authority.pem`` and in ``authority.pem`` in the room's folder.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from hanmaru.trace.cases.records import Area, Period
from hanmaru.trace.domain import TraceError

ALGORITHM = "Ed25519"
PUBLIC = "authority.pem"
MOST_BYTES = 64 * 1024


class Approval(msgspec.Struct, frozen=True):
    """What was granted: which kinds of data about whom, of which time and place, for which purpose, until when."""

    request: str
    case: str
    subjects: Sequence[str]
    period: Period
    kinds: Sequence[str]
    purpose: str
    approved_by: Sequence[str]
    expires: datetime
    area: Area | None = None


def sign(approval: Approval, private_jwk: dict[str, str]) -> str:
    """Return an approval as a compact JWS under a private key (an OKP key of Ed25519 as a JWK)."""
    from joserfc import jws
    from joserfc.jwk import OKPKey

    payload = msgspec.json.encode(approval)
    return jws.serialize_compact({"alg": ALGORITHM}, payload, OKPKey.import_key(dict(private_jwk)), [ALGORITHM])


def verify(text: str, public_key: bytes, now: datetime, case: str | None = None) -> Approval:
    """Return the approval that a compact JWS holds, once its signature and its time have been checked.

    ``public_key`` is PEM, ``now`` an instant with its zone; ``case`` is the case that it has to be for, if that is
    known. Raises TraceError for a signature that is not the key's (it was tampered with, or another authority signed
    it), one that has expired, and one for another case.
    """
    from joserfc import jws
    from joserfc.errors import JoseError
    from joserfc.jwk import OKPKey

    if len(text) > MOST_BYTES:
        raise TraceError("the approval is too long to be one; copy it again from the request")
    try:
        key = OKPKey.import_key(public_key)
    except (JoseError, ValueError, TypeError):
        raise TraceError(f"the public key cannot be read; fetch {PUBLIC} again from the authority") from None
    try:
        payload = jws.deserialize_compact(text.strip(), key, [ALGORITHM]).payload
        approval = msgspec.json.decode(payload, type=Approval)
    except (JoseError, ValueError, msgspec.MsgspecError):
        raise TraceError(
            "the approval's signature does not hold: it was changed, or another authority signed it; "
            "fetch it again from the request"
        ) from None
    if case is not None and approval.case != case:
        raise TraceError(f"the approval is for case {approval.case}, not {case}")
    if approval.expires <= now:
        raise TraceError(f"the approval expired at {approval.expires.isoformat()}; ask anew")
    return approval


def verify_file(path: Path, public_key: Path, now: datetime, case: str | None = None) -> Approval:
    """Return the approval in a file, as `verify` does; raises TraceError for a file that cannot be read, too."""
    try:
        text, key = path.read_text("ascii"), public_key.read_bytes()
    except (OSError, UnicodeDecodeError) as error:
        raise TraceError(f"{path.name} or {public_key.name} cannot be read: {error}") from None
    return verify(text, key, now, case)
