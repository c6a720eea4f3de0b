"""What one line of the audit trail says, and what writes it."""

from collections.abc import Mapping
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
