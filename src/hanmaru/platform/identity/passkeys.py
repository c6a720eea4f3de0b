"""Passkeys (WebAuthn level 3): keys that an authenticator holds and uses only after it has recognised its person.

That recognition is required, so a passkey is two factors and signs in alone. Challenges are signed here instead of
kept, which costs a stranger's request nothing; a used one is remembered until it would have expired. The library that
reads what browsers send is imported where used.
"""

import hashlib
import hmac
import json
import secrets
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from hanmaru.platform.identity.accounts import Account, Accounts
from hanmaru.platform.identity.factors import FactorError, Factors, forget_recovery_without_factor, has_factor

CHALLENGE_S = 300
MOST_PASSKEYS = 20
LONGEST_TITLE = 80
_MAC = 16


@dataclass(frozen=True, slots=True)
class Party:
    """Whom a browser thinks it talks to: the host's name that passkeys are bound to, and the page's origin."""

    id: str
    origin: str


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey as its person sees it; times are seconds since 1970."""

    id: str
    title: str
    created: float
    last_used: float | None


class Passkeys:
    """The passkeys of the accounts. `add`, `accept` and `remove` wait for the disk: call them in a thread."""

    def __init__(self, accounts: Accounts, factors: Factors, clock: Callable[[], float] = time.time) -> None:
        """Make it over the accounts."""
        self._file, self._factors, self._clock = accounts.file, factors, clock

    def of(self, name: str) -> list[Passkey]:
        """Return an account's passkeys, the oldest first."""
        rows = self._file.read(
            "SELECT id, title, created, last_used FROM passkey WHERE name = ? ORDER BY created", (name,)
        )
        return [Passkey(_encode(id), title, created, used) for id, title, created, used in rows]

    def creation_options(self, account: Account, party: Party) -> dict[str, Any]:
        """Return what ``navigator.credentials.create`` is called with, as JSON."""
        from webauthn import generate_registration_options
        from webauthn.helpers import options_to_json_dict
        from webauthn.helpers.structs import (
            AuthenticatorSelectionCriteria,
            PublicKeyCredentialDescriptor,
            ResidentKeyRequirement,
            UserVerificationRequirement,
        )

        rows = self._file.read("SELECT handle FROM account WHERE name = ?", (account.name,))
        options = generate_registration_options(
            rp_id=party.id,
            rp_name="Hanmaru",
            user_id=rows[0][0] if rows else None,
            user_name=account.name,
            challenge=self._challenge(f"create {account.name}"),
            timeout=CHALLENGE_S * 1000,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(_decode(key.id)) for key in self.of(account.name)],
        )
        return options_to_json_dict(options)

    def request_options(self, party: Party) -> dict[str, Any]:
        """Return what ``navigator.credentials.get`` is called with, as JSON: any passkey of ours, whoever's."""
        from webauthn import generate_authentication_options
        from webauthn.helpers import options_to_json_dict
        from webauthn.helpers.structs import UserVerificationRequirement

        options = generate_authentication_options(
            rp_id=party.id,
            challenge=self._challenge("get"),
            timeout=CHALLENGE_S * 1000,
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return options_to_json_dict(options)

    def add(self, account: Account, title: str, credential: Mapping[str, Any], party: Party) -> tuple[str, list[str]]:
        """Add the passkey that a browser made, a RegistrationResponseJSON; return its id.

        With it come new recovery codes when it is the account's first factor, else none. Raises FactorError.
        """
        from webauthn import verify_registration_response

        title = title.strip()
        if not title or len(title) > LONGEST_TITLE or not title.isprintable():
            raise FactorError(f"a passkey's title is printable text of at most {LONGEST_TITLE} characters")
        challenge = self._spend(credential, f"create {account.name}")
        try:
            made = verify_registration_response(
                credential=dict(credential),
                expected_challenge=challenge,
                expected_rp_id=party.id,
                expected_origin=party.origin,
                require_user_verification=True,
            )
        except Exception as error:  # whatever the library makes of a stranger's bytes
            raise FactorError(f"the passkey cannot be accepted: {_reason(error)}") from None
        key = made.credential_public_key
        with self._file.write(changes=True) as db:
            first = not has_factor(db, account.name)
            (count,) = db.execute("SELECT count(*) FROM passkey WHERE name = ?", (account.name,)).fetchone()
            if count >= MOST_PASSKEYS:
                raise FactorError(f"an account has at most {MOST_PASSKEYS} passkeys; remove one first")
            added = db.execute(
                "INSERT INTO passkey VALUES(?, ?, ?, ?, ?, ?, ?, NULL) ON CONFLICT DO NOTHING",
                (made.credential_id, account.name, title, key, made.sign_count, party.id, self._clock()),
            )
            if not added.rowcount:
                raise FactorError("this passkey is registered already")
            codes = self._factors.recovery_codes(db, account.name) if first else []
        return _encode(made.credential_id), codes

    def accept(self, credential: Mapping[str, Any], party: Party) -> str:
        """Return the name of the account whose passkey signed, an AuthenticationResponseJSON; raises FactorError."""
        from webauthn import verify_authentication_response

        challenge = self._spend(credential, "get")
        id = _decode(credential.get("id"))
        rows = self._file.read(
            "SELECT p.name, p.key, p.count, a.handle FROM passkey p JOIN account a ON a.name = p.name"
            " WHERE p.id = ? AND p.party = ?",
            (id, party.id),
        )
        if not rows:
            raise FactorError("this passkey is not known here")
        name, key, count, handle = rows[0]
        given = _members(credential.get("response")).get("userHandle")
        if given is not None and not hmac.compare_digest(_decode(given), handle):
            raise FactorError("this passkey belongs to another account")
        try:
            made = verify_authentication_response(
                credential=dict(credential),
                expected_challenge=challenge,
                expected_rp_id=party.id,
                expected_origin=party.origin,
                credential_public_key=key,
                credential_current_sign_count=count,
                require_user_verification=True,
            )
        except Exception as error:  # whatever the library makes of a stranger's bytes
            raise FactorError(f"the passkey cannot be accepted: {_reason(error)}") from None
        with self._file.write() as db:
            used = db.execute(
                "UPDATE passkey SET count = ?1, last_used = ?2 WHERE id = ?3 AND (count < ?1 OR ?1 = 0 AND count = 0)",
                (made.new_sign_count, self._clock(), id),
            )
            if not used.rowcount:  # another worker accepted it, or it was removed, between reading and here
                raise FactorError("the passkey cannot be accepted: its counter went back")
        return str(name)

    def remove(self, name: str, id: str) -> bool:
        """Remove a passkey and, with the last factor, the recovery codes; return whether there was one."""
        with self._file.write(changes=True) as db:
            removed = db.execute("DELETE FROM passkey WHERE name = ? AND id = ?", (name, _decode(id))).rowcount > 0
            forget_recovery_without_factor(db, name)
        return removed

    def _challenge(self, use: str) -> bytes:
        body = int(self._clock() + CHALLENGE_S).to_bytes(8, "big") + secrets.token_bytes(16)
        return body + self._mac(use, body)

    def _mac(self, use: str, body: bytes) -> bytes:
        return hmac.digest(self._file.key("challenge"), use.encode() + b"\0" + body, "sha256")[:_MAC]

    def _spend(self, credential: Mapping[str, Any], use: str) -> bytes:
        """Return the challenge that a credential answers, which is good this once; raises FactorError."""
        try:
            client_data = json.loads(_decode(_members(credential.get("response")).get("clientDataJSON")))
            challenge = _decode(_members(client_data).get("challenge"))
        except (ValueError, RecursionError):
            raise FactorError("this is no passkey's answer") from None
        body, mac = challenge[:-_MAC], challenge[-_MAC:]
        now = self._clock()
        if not hmac.compare_digest(mac, self._mac(use, body)) or int.from_bytes(body[:8], "big") < now:
            raise FactorError("this answers no question that was asked here in the last minutes; try again")
        digest = hashlib.sha256(challenge).digest()
        with self._file.write() as db:
            db.execute("DELETE FROM spent WHERE expires < ?", (now,))
            row = (digest, now + CHALLENGE_S)
            if not db.execute("INSERT INTO spent VALUES(?, ?) ON CONFLICT DO NOTHING", row).rowcount:
                raise FactorError("this was used before; try again")
        return challenge


def _members(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _decode(value: object) -> bytes:
    if not isinstance(value, str):
        return b""
    try:
        return urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except ValueError:
        return b""


def _encode(value: bytes) -> str:
    from webauthn.helpers import bytes_to_base64url

    return bytes_to_base64url(value)


def _reason(error: Exception) -> str:
    """Return what the library says, which may be about bytes that a stranger chose: short and on one line."""
    return " ".join(str(error).split())[:200] or type(error).__name__
