"""What the room works with: its book, its rules, its vault; opened once in a process for each folder."""

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from hanmaru.hub.client import HubClient
from hanmaru.platform.audit.record import Record
from hanmaru.platform.policy import Caller, refusal
from hanmaru.platform.policy.cedar import HERE
from hanmaru.platform.services import Context
from hanmaru.platform.vault import Desk, Index
from hanmaru.trace.cases import country, profiles
from hanmaru.trace.cases.book import Book
from hanmaru.trace.cases.country import Country
from hanmaru.trace.cases.profiles import Profile, Windows

SYSTEM = Caller("system:trace", kind="system")
INDEXES = (
    Index("name", "person.name", ("exact", "phonetic")),
    Index("phone", "person.phone"),
    Index("name", "contact.person.name", ("exact", "phonetic")),
    Index("phone", "contact.person.phone"),
)


@dataclass(frozen=True, slots=True)
class Room:
    """The room of one city. ``zone`` is the city's, in which days are counted."""

    context: Context[HubClient]
    book: Book
    profiles: Mapping[str, Profile]
    country: Country
    zone: ZoneInfo

    @property
    def folder(self) -> Path:
        """The room's folder."""
        return self.context.data_dir

    @property
    def inbox(self) -> Path:
        """Where providers' files are dropped: a folder for each request."""
        return self.context.data_dir / "inbox"

    def desk(self, caller: Caller, purpose: str, where: str = "", request: str = "") -> Desk:
        """Return what a caller may do in the vault for a purpose; raises Problem 400 without one."""
        return self.context.trust.vault.at(caller, purpose, where, request)

    def own_desk(self, purpose: str) -> Desk:
        """Return the room's own desk, for what policy was asked about in the caller's name before."""
        return self.desk(SYSTEM, purpose)

    def windows(self, disease: str, onset: date) -> Windows:
        """Return the windows of a case of a disease."""
        return profiles.windows(self.profiles[disease], onset, self.zone)

    async def require(
        self, caller: Caller, permission: str, what: str, subjects: Sequence[str] = (), purpose: str = "",
        where: str = "", detail: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """Ask policy for a permission in a caller's name; audit the answer. Raises Problem 403 when it refuses."""
        decision = self.context.trust.policy.decide(caller, permission, HERE, purpose=purpose)
        await self.tell(caller.name, permission, what, subjects, purpose, where, decision.allowed, detail)
        if not decision.allowed:
            raise refusal(caller, permission, decision.because)

    async def tell(
        self, who: str, action: str, what: str, subjects: Sequence[str] = (), purpose: str = "", where: str = "",
        allowed: bool = True, detail: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """Commit a record to the audit trail."""
        outcome = "allow" if allowed else "deny"
        record = Record(who, action, f"trace:{what}", outcome, purpose, tuple(subjects), where, "", detail or {})
        await self.context.trust.audit.commit(record)


_rooms: dict[Path, Room] = {}
_opening = threading.Lock()


def room_of(context: Context[HubClient]) -> Room:
    """Return the room of a context, opening its files on first use; they are closed with the context.

    Raises TraceError for a profile or country file that cannot be used.
    """
    with _opening:
        known = _rooms.get(context.data_dir)
        if known is not None and known.context is context:
            return known
        own = context.data_dir
        made = Room(
            context,
            Book(own),
            profiles.load(own / "diseases"),
            country.load(own / "country.toml"),
            ZoneInfo(str(context.city["zone"])),
        )
        context.trust.vault.declare(*INDEXES)
        _rooms[own] = made

    def close() -> None:
        with _opening:
            if _rooms.get(own) is made:
                del _rooms[own]
        made.book.close()

    context.closing.callback(close)
    return made


async def room(context: Context[HubClient]) -> Room:
    """Return the room of a context without blocking the event loop."""
    return await asyncio.to_thread(room_of, context)


def now() -> float:
    """Return the time, as Unix seconds."""
    return time.time()


def instant(seconds: float) -> datetime:
    """Return Unix seconds as an instant in UTC."""
    return datetime.fromtimestamp(seconds, UTC)
