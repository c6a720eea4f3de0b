"""What one line of the audit trail says, and what writes it."""

import os
import pwd
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal, Protocol

import msgspec

Outcome = Literal["allow", "deny"]


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who did what, for which purpose, to whose data, from where, with which decision.

    ``who`` is an account's or machine client's name, ``system:<job>`` or ``cli:<user>``; ``action`` what policy was
    asked for, such as ``write`` or ``vault.read``; ``what`` the resource: ``PATCH /ngsi-ld/v1/entities/urn:…`` or
    ``vault:trace/case/01J…``. ``subjects`` are pseudonyms, never names. ``where`` is a client's address, ``request``
    the request's id; ``detail`` holds a few more facts as short texts, never content. The trail adds the time.
    """

    who: str
    action: str
    what: str
    decision: Outcome = "allow"
    purpose: str = ""
    subjects: tuple[str, ...] = ()
    where: str = ""
    request: str = ""
    detail: Mapping[str, str] = {}


class Audit(Protocol):
    """Somewhere to write records to: `hanmaru.platform.audit.trail.Trail`."""

    def record(self, record: Record) -> None:
        """Append a record; on return it survives ``kill -9``, and within a second a power failure.

        Raises OSError when it cannot be written: what is not audited must not happen.
        """
        ...

    async def commit(self, record: Record) -> None:
        """Append a record; on return it is on disk. For looks at personal data: call it before giving the data."""
        ...


def at_command_line() -> str:
    """Return who runs a command, as records name them: ``cli:<user>``."""
    return f"cli:{os_user()}"


def os_user() -> str:
    """Return which of this machine's users runs this process.

    As the kernel knows them: what ``USER`` and ``LOGNAME`` say is the caller's to choose. Who became another user since
    the log-in is named, too, where the kernel keeps that (Linux's loginuid).
    """
    uid = os.getuid()
    with suppress(OSError, ValueError):
        login = int(Path("/proc/self/loginuid").read_text("ascii"))
        if login not in (uid, 2**32 - 1):
            return f"{_user(login)} as {_user(uid)}"
    return _user(uid)


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
