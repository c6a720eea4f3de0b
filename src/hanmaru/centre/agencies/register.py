"""The agencies that a city hands over to: who they are, where they take hand-overs, whose machine sends receipts.

What they share with the city to know its hand-overs by, the secret, lies in the room's vault and is not shown again.
"""

import re
import time
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from hanmaru.centre.domain import CentreError, Text
from hanmaru.centre.events import rows
from hanmaru.centre.events.book import Book
from hanmaru.centre.events.model import SYSTEM
from hanmaru.centre.procedures.model import AgencyKind
from hanmaru.platform.policy import Caller
from hanmaru.platform.vault import Vault

ROOM: Final = Caller(SYSTEM, kind="system")
PURPOSE: Final = "hand-over to agencies"
MOST_AGENCIES: Final = 500
_ID = re.compile(r"[a-z][a-z0-9-]{0,39}")
_COLUMNS = "id, name, kind, endpoint, machine, subject, secret, at, by"
_SELECT = f"SELECT {_COLUMNS} FROM agency"  # noqa: S608


class Draft(msgspec.Struct, forbid_unknown_fields=True):
    """An agency as a supervisor writes it: ``endpoint`` takes hand-overs, ``machine`` is the client id that sends
    receipts, ``secret`` (write-only, 32 to 200 characters) signs. Without ``secret`` the one before stays."""

    name: dict[str, str]
    kind: AgencyKind
    endpoint: str
    machine: str | None = None
    secret: str | None = None


class Agency(msgspec.Struct, frozen=True):
    """An agency as it is kept; ``secret`` is the version of its secret, ``subject`` where that lies in the vault."""

    id: str
    name: Text
    kind: AgencyKind
    endpoint: str
    machine: str | None
    subject: str
    secret: int
    at: float
    by: str


class Register:
    """The register, in one process."""

    def __init__(self, book: Book, vault: Vault) -> None:
        """Keep the register in the book's file, secrets in the vault."""
        self._book, self._vault = book, vault
        self._secrets: dict[tuple[str, int], str] = {}

    async def all(self) -> list[Agency]:
        """Return the agencies, by id."""
        return await self._book.read(lambda db: [_agency(row) for row in db.execute(f"{_SELECT} ORDER BY id")])

    async def put(self, id: str, draft: Draft, who: str, *, new: bool) -> Agency:
        """Keep an agency; a new secret takes the place of the one before. Raises Problem 409 and CentreError."""
        check(id, draft)
        before = next((one for one in await self.all() if one.id == id), None)
        if new and before is not None:
            raise CentreError(f"there is an agency {id!r} already: change that one, or choose another id")
        if draft.secret is None and before is None:
            raise CentreError("give secret, 32 to 200 characters that the agency knows, too")
        desk = self._vault.at(ROOM, PURPOSE)
        subject = before.subject if before else await desk.open_subject("agency")
        version = before.secret if before else 0
        if draft.secret is not None:
            version += 1
            await desk.put(subject, "secret", f"v{version}", {"secret": draft.secret})

        def work(db: rows.Db) -> Agency:
            if db.execute("SELECT count(*) FROM agency").fetchone()[0] >= MOST_AGENCIES:
                raise CentreError(f"a city has at most {MOST_AGENCIES} agencies")
            kept = Agency(id, draft.name, draft.kind, draft.endpoint, draft.machine, subject, version, time.time(), who)
            db.execute(
                f"INSERT OR REPLACE INTO agency({_COLUMNS}) VALUES(?,?,?,?,?,?,?,?,?)",
                (
                    *(id, msgspec.json.encode(draft.name), draft.kind, draft.endpoint, draft.machine),
                    *(subject, version, kept.at, who),
                ),
            )
            return kept

        return await self._book.write(work)

    async def drop(self, id: str) -> bool:
        """Strike an agency off and destroy its secret; what waits to be sent to it finds another of its kind."""
        found = next((one for one in await self.all() if one.id == id), None)
        if found is None:
            return False
        await self._book.write(lambda db: db.execute("DELETE FROM agency WHERE id = ?", (id,)))
        await self._vault.at(ROOM, PURPOSE).destroy(found.subject, "the agency was struck off the register")
        return True

    async def secret(self, agency: Agency) -> str:
        """Return what an agency's hand-overs are signed with."""
        at = (agency.subject, agency.secret)
        if at not in self._secrets:
            found = await self._vault.at(ROOM, PURPOSE).get(agency.subject, "secret", f"v{agency.secret}")
            if found is None:
                raise CentreError(f"the secret of {agency.id} is gone: set it again")
            if len(self._secrets) > MOST_AGENCIES:
                self._secrets.clear()
            self._secrets[at] = str(found["secret"])
        return self._secrets[at]


def check(id: str, draft: Draft) -> None:
    """Refuse an agency that cannot be one, by a CentreError."""
    if not _ID.fullmatch(id) or id == "receipts":
        raise CentreError("an agency's id is small letters, digits and hyphens, at most 40")
    if not draft.name.get("en", "").strip() or any(len(text) > 200 for text in draft.name.values()):
        raise CentreError("give the agency's name, at least in en")
    if draft.machine is not None and not 0 < len(draft.machine.strip()) <= 200:
        raise CentreError("machine is the client id of the agency's machine: leave it out where there is none")
    if draft.secret is not None and not 32 <= len(draft.secret) <= 200:
        raise CentreError("secret has 32 to 200 characters: make one with openssl rand -hex 32")
    try:
        parts = urlsplit(draft.endpoint)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise CentreError("endpoint is an address such as https://agency.example/hand-overs") from None
    loopback = parts.scheme == "http" and host in ("127.0.0.1", "::1", "localhost")
    if not host or parts.username or len(draft.endpoint) > 500 or not (parts.scheme == "https" or loopback):
        raise CentreError("endpoint is an address with https:// (http:// for this machine only), without a password")


def of_kind(db: rows.Db, kind: str) -> Agency | None:
    """Return the agency of a kind: the one that was registered first by id."""
    row = db.execute(f"{_SELECT} WHERE kind = ? ORDER BY id LIMIT 1", (kind,)).fetchone()
    return _agency(row) if row else None


def of_machine(db: rows.Db, machine: str) -> list[str]:
    """Return the ids of the agencies for which a machine sends receipts."""
    return [id for (id,) in db.execute("SELECT id FROM agency WHERE machine = ?", (machine,))]


def _agency(row: Sequence[Any]) -> Agency:
    id, name, *rest = row
    return Agency(id, msgspec.json.decode(name), *rest)
