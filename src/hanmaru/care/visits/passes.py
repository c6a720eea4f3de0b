"""Passes that citizens show, and the keys of visits: short texts that only the room can make and read.

Both are sealed, not just signed: what a camera or a kiosk reads of them tells nothing about a person. A pass is short
lived. A visit's key outlasts the visit by days, since a kiosk that is offline sends the visit when it can; it opens
nothing but that visit.
"""

import base64
import binascii
import time
from typing import Final, Literal

import msgspec

from hanmaru.care.fhir.records import Records
from hanmaru.platform.problems import Problem
from hanmaru.platform.vault.crypto import Key

PASS_S: Final = 180
"""How long a pass may be shown."""
VISIT_S: Final = 12 * 3600
"""How long after it was identified a visit may begin."""
LATE_S: Final = 14 * 86_400
"""How long after a visit a kiosk that was offline may send it."""
SKEW_S: Final = 120
"""How far a kiosk's clock may be off."""
MOST: Final = 400

Kind = Literal["pass", "visit"]


class _Held(msgspec.Struct, array_like=True, frozen=True):
    """What is sealed: the Patient's id, when it was made and until when it may be shown, in Unix seconds."""

    patient: str
    made_s: int
    until_s: int


def issue(records: Records, patient: str) -> tuple[str, int]:
    """Return a pass for a citizen, as a text that fits a small QR code, and when it ends (Unix seconds)."""
    return _make(records, "pass", patient, PASS_S)


def visit_key(records: Records, patient: str) -> str:
    """Return the key of a visit that begins now."""
    return _make(records, "visit", patient, VISIT_S)[0]


def patient_of(records: Records, kind: Kind, text: str, at_s: float) -> str:
    """Return whose a pass or a visit's key is that was used at a time; raises Problem 404 in plain words."""
    held = _open(records, kind, text)
    if held is None or not held.made_s - SKEW_S <= at_s <= held.until_s + SKEW_S:
        raise Problem(404, "Not known", "This code is not valid any more. Open a new one in the app and try again.")
    if not -SKEW_S <= time.time() - at_s <= LATE_S:
        raise Problem(404, "Not known", "This visit is too long ago, or the kiosk's clock is wrong.")
    return held.patient


def _key(records: Records) -> Key:
    return records.keyring.room["shared"].derive("passes")


def _make(records: Records, kind: Kind, patient: str, lasts_s: int) -> tuple[str, int]:
    now = int(time.time())
    sealed = _key(records).seal(msgspec.msgpack.encode(_Held(patient, now, now + lasts_s)), f"care|{kind}")
    return base64.urlsafe_b64encode(sealed).decode().rstrip("="), now + lasts_s


def _open(records: Records, kind: Kind, text: str) -> _Held | None:
    if len(text) > MOST:
        return None
    try:
        sealed = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    plain = _key(records).open(sealed, f"care|{kind}")
    return None if plain is None else msgspec.msgpack.decode(plain, type=_Held)
