"""Second factors that are typed: one-time codes of an authenticator app (TOTP, RFC 6238) and recovery codes.

TOTP secrets are kept encrypted (AES-256-GCM) and recovery codes as keyed digests, under a key that lies outside the
accounts' file, so that the file alone gives neither.
"""

import hmac
import secrets
import sqlite3
import time
from collections.abc import Callable
from typing import Literal

import structlog

from hanmaru.platform.identity.accounts import Accounts

log = structlog.get_logger()

STEP_S = 30
WINDOW = 1
"""How many steps a clock may be off in either direction."""
RECOVERY_CODES = 10
ISSUER = "Hanmaru"
_ALPHABET = "abcdefghjkmnpqrstvwxyz0123456789"
"""32 letters and digits that are not taken for one another."""
_RECOVERY_LENGTH = 24
"""120 bits: from 112 on a fast digest keeps a code as safely as a slow one (OWASP ASVS 5.0, 6.5.2)."""
_NONCE = 12

Way = Literal["totp", "passkey", "recovery"]


class FactorError(Exception):
    """A factor that cannot be added, changed or accepted; the text says why."""


class Factors:
    """The typed factors of the accounts. All but `ways` and `left` wait for the disk: call them in a thread."""

    def __init__(self, accounts: Accounts, clock: Callable[[], float] = time.time) -> None:
        """Make it over the accounts."""
        self._file, self._clock = accounts.file, clock

    def ways(self, name: str) -> list[Way]:
        """Return the second factors that the account can show now."""
        rows = self._file.read(
            "SELECT totp IS NOT NULL, EXISTS(SELECT 1 FROM passkey WHERE name = ?1),"
            " EXISTS(SELECT 1 FROM recovery WHERE name = ?1) FROM account WHERE name = ?1",
            (name,),
        )
        ways: tuple[Way, ...] = ("totp", "passkey", "recovery")
        return [way for way, there in zip(ways, rows[0], strict=True) if there] if rows else []

    def left(self, name: str) -> int:
        """Return how many recovery codes are left."""
        return int(self._file.read("SELECT count(*) FROM recovery WHERE name = ?", (name,))[0][0])

    def offer_totp(self, name: str) -> str:
        """Return a new TOTP secret (160 bits in base32), which counts from `confirm_totp` on; an earlier offer ends.

        Raises FactorError when the account has one in use.
        """
        import pyotp

        secret = pyotp.random_base32()
        with self._file.write() as db:
            sealed = self._seal(name, secret)
            sql = "UPDATE account SET totp_offer = ? WHERE name = ? AND totp IS NULL"
            if not db.execute(sql, (sealed, name)).rowcount:
                raise FactorError("the account has an authenticator app; remove it before you add another")
        return secret

    def confirm_totp(self, name: str, code: str) -> list[str]:
        """Take the offered secret into use, given a code made with it.

        Return new recovery codes when this is the account's first factor, else none. Raises FactorError.
        """
        with self._file.write(changes=True) as db:
            rows = db.execute("SELECT totp_offer FROM account WHERE name = ?", (name,)).fetchall()
            secret = self._open(name, rows[0][0]) if rows and rows[0][0] else None
            if secret is None:
                raise FactorError("nothing was offered to confirm; begin again")
            step = self._step(secret, code)
            if step is None:
                raise FactorError("this is not the code that the app shows now; is the phone's clock right?")
            first = not has_factor(db, name)
            db.execute(
                "UPDATE account SET totp = totp_offer, totp_offer = NULL, totp_step = ? WHERE name = ?", (step, name)
            )
            return self.recovery_codes(db, name) if first else []

    def remove_totp(self, name: str) -> None:
        """Remove the app's secret; with the last factor go the recovery codes."""
        with self._file.write(changes=True) as db:
            db.execute("UPDATE account SET totp = NULL, totp_offer = NULL, totp_step = 0 WHERE name = ?", (name,))
            forget_recovery_without_factor(db, name)

    def new_recovery_codes(self, name: str) -> list[str]:
        """Return new recovery codes in place of the old ones; raises FactorError without a factor to recover."""
        with self._file.write(changes=True) as db:
            if not has_factor(db, name):
                raise FactorError("recovery codes stand in for a second factor; add one first")
            return self.recovery_codes(db, name)

    def accept(self, name: str, code: str) -> Literal["totp", "recovery"] | None:
        """Return which factor a code proves, None for none; no code is accepted twice."""
        typed = "".join(code.split()).replace("-", "").lower()
        if len(typed) == 6 and typed.isdecimal() and typed.isascii():
            return "totp" if self._accept_totp(name, typed) else None
        with self._file.write() as db:
            sql = "DELETE FROM recovery WHERE name = ? AND digest = ?"
            return "recovery" if db.execute(sql, (name, self._digest(name, typed))).rowcount else None

    def reset(self, name: str) -> None:
        """Remove every second factor of an account and end its sessions: for somebody who lost them all."""
        with self._file.write(changes=True) as db:
            db.execute("UPDATE account SET totp = NULL, totp_offer = NULL, totp_step = 0 WHERE name = ?", (name,))
            for table in ("passkey", "recovery", "session"):
                db.execute(f"DELETE FROM {table} WHERE name = ?", (name,))  # noqa: S608 - our own names

    def _accept_totp(self, name: str, code: str) -> bool:
        with self._file.write() as db:
            rows = db.execute("SELECT totp, totp_step FROM account WHERE name = ?", (name,)).fetchall()
            secret = self._open(name, rows[0][0]) if rows and rows[0][0] else None
            step = self._step(secret, code) if secret else None
            if step is None or step <= rows[0][1]:
                return False
            db.execute("UPDATE account SET totp_step = ? WHERE name = ?", (step, name))
            return True

    def _step(self, secret: str, code: str) -> int | None:
        """Return the time step whose code this is, within the window."""
        from pyotp.totp import TOTP

        totp, now = TOTP(secret, interval=STEP_S), int(self._clock()) // STEP_S
        typed = "".join(code.split()).encode(errors="replace")
        for step in range(now - WINDOW, now + WINDOW + 1):
            if hmac.compare_digest(totp.generate_otp(step).encode(), typed):
                return step
        return None

    def recovery_codes(self, db: sqlite3.Connection, name: str) -> list[str]:
        """Return new recovery codes in place of the old ones, within a transaction."""
        codes = ["".join(secrets.choice(_ALPHABET) for _ in range(_RECOVERY_LENGTH)) for _ in range(RECOVERY_CODES)]
        db.execute("DELETE FROM recovery WHERE name = ?", (name,))
        db.executemany("INSERT INTO recovery VALUES(?, ?)", [(self._digest(name, code), name) for code in codes])
        return ["-".join(code[n : n + 4] for n in range(0, len(code), 4)) for code in codes]

    def _digest(self, name: str, code: str) -> bytes:
        return hmac.digest(self._file.key("recovery"), f"{name}\0{code}".encode(errors="surrogatepass"), "sha256")

    def _seal(self, name: str, secret: str) -> bytes:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = secrets.token_bytes(_NONCE)
        return nonce + AESGCM(self._file.key("totp")).encrypt(nonce, secret.encode(), name.encode())

    def _open(self, name: str, sealed: bytes) -> str | None:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            opened = AESGCM(self._file.key("totp")).decrypt(sealed[:_NONCE], sealed[_NONCE:], name.encode())
        except InvalidTag:
            log.error("TOTP secret cannot be opened: identity.key is not the one that it was kept under", account=name)
            return None
        return opened.decode()


def has_factor(db: sqlite3.Connection, name: str) -> bool:
    """Return whether the account has a second factor, recovery codes not counting."""
    sql = "SELECT 1 FROM account WHERE name = ?1 AND totp IS NOT NULL UNION SELECT 1 FROM passkey WHERE name = ?1"
    return db.execute(sql, (name,)).fetchone() is not None


def forget_recovery_without_factor(db: sqlite3.Connection, name: str) -> None:
    """Remove the recovery codes of an account that has no factor left."""
    if not has_factor(db, name):
        db.execute("DELETE FROM recovery WHERE name = ?", (name,))


def totp_uri(name: str, secret: str, host: str) -> str:
    """Return the ``otpauth:`` address that authenticator apps read; ``host`` tells one hub's entry from another's."""
    from pyotp.totp import TOTP

    return TOTP(secret, interval=STEP_S).provisioning_uri(name=name, issuer_name=f"{ISSUER} {host}".strip())


def qr_svg(text: str) -> str:
    """Return a QR code as an SVG element of 6 pixels a module."""
    import io

    import segno

    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(out, kind="svg", scale=6, border=4, xmldecl=False, light="#fff")
    return out.getvalue().decode()
