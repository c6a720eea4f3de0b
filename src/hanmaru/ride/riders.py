"""Who riders are: in the room's vault, a key for each person. Everything else in the room knows them by a pseudonym.

``riders.db`` leads from an account to its pseudonym by a keyed digest of the account's name, whose key lies in the
vault: without it the file tells nothing, and what is destroyed there is nobody's any more.
"""

import asyncio
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

from hanmaru.platform.audit.record import Audit, Record
from hanmaru.platform.policy import Caller
from hanmaru.platform.vault import Desk, Vault
from hanmaru.platform.vault.database import Database

SYSTEM = Caller("system:ride", kind="system")
PURPOSE = "ride"
MOST_KNOWN = 20_000
KNOWN_S = 60.0
"""For how long a pseudonym is known by heart: another process may destroy it, and that somebody rides is noted."""
DAY_S = 86_400

_SCHEMA = """
CREATE TABLE IF NOT EXISTS rider(tag BLOB PRIMARY KEY, subject TEXT NOT NULL UNIQUE, used_s INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS rider_used ON rider(used_s);
CREATE TABLE IF NOT EXISTS fact(name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
"""


class Riders:
    """The riders of a city, in one process."""

    def __init__(self, folder: Path, vault: Vault, audit: Audit) -> None:
        """Open ``riders.db`` in the room's folder, making it on first use; blocks."""
        self._db = Database(folder / "riders.db", _SCHEMA)
        self._vault, self._audit = vault, audit
        self._known: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._key: bytes | None = None
        self._opening = asyncio.Lock()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def desk(self, purpose: str = PURPOSE) -> Desk:
        """Return the room's own desk in the vault."""
        return self._vault.at(SYSTEM, purpose)

    async def pseudonym(self, account: str) -> str:
        """Return an account's pseudonym; whoever has none becomes a rider."""
        known = self._known.get(account)
        if known is not None and time.monotonic() < known[1]:
            return known[0]
        async with self._opening:
            subject = await self._find(account) or await self._open(account)
        self._known[account] = subject, time.monotonic() + KNOWN_S
        self._known.move_to_end(account)
        while len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        return subject

    async def person(self, subject: str, purpose: str = PURPOSE) -> dict[str, str]:
        """Return what is known of a person: account, name, phone."""
        return await self.desk(purpose).get(subject, "person", "self") or {}

    async def look_up(self, caller: Caller, subject: str, purpose: str, where: str, what: str) -> dict[str, str]:
        """Return a person to somebody who said what for; the audit trail has it first. Raises Problem 400, 403."""
        desk = self.desk(purpose)
        record = Record(caller.name, "ride.person", what, purpose=purpose, subjects=(subject,), where=where)
        await self._audit.commit(record)
        return await desk.get(subject, "person", "self") or {}

    async def tell(self, account: str, facts: Mapping[str, str]) -> dict[str, str]:
        """Keep what a rider says of themselves, over what was there."""
        subject = await self.pseudonym(account)
        person = {"account": account, **facts}
        await self.desk().put(subject, "person", "self", person)
        return person

    async def destroy(self, account: str, reason: str) -> str:
        """Destroy what is known of a person; return the pseudonym that is nobody's from then on."""
        subject = await self.pseudonym(account)
        await self._destroy(subject, reason)
        self._known.pop(account, None)
        return subject

    async def sweep(self, before_s: float) -> list[str]:
        """Destroy whoever has not used the service since an instant; return their pseudonyms."""

        def old() -> list[str]:
            with self._db.read() as db:
                return [s for (s,) in db.execute("SELECT subject FROM rider WHERE used_s < ? LIMIT 1000", (before_s,))]

        gone = await asyncio.to_thread(old)
        for subject in gone:
            await self._destroy(subject, "not used for as long as trips are kept")
        return gone

    async def _destroy(self, subject: str, reason: str) -> None:
        await self.desk().destroy(subject, reason)

        def forget() -> None:
            with self._db.write() as db:
                db.execute("DELETE FROM rider WHERE subject = ?", (subject,))

        await asyncio.to_thread(forget)

    async def _tag(self, account: str) -> bytes:
        if self._key is None:
            self._key = await self._load_key()
        return hmac.digest(self._key, account.encode(), hashlib.sha256)

    async def _load_key(self) -> bytes:
        def kept() -> str | None:
            with self._db.read() as db:
                row = db.execute("SELECT value FROM fact WHERE name = 'key'").fetchone()
            return row[0] if row else None

        desk = self.desk()
        subject = await asyncio.to_thread(kept)
        if subject is None:
            made = await desk.open_subject("key")
            await desk.put(made, "key", "tags", {"key": secrets.token_hex(32)})

            def keep() -> None:
                with self._db.write() as db:
                    db.execute("INSERT OR IGNORE INTO fact VALUES('key', ?)", (made,))

            await asyncio.to_thread(keep)
            subject = await asyncio.to_thread(kept) or made
        document = await desk.get(subject, "key", "tags")
        assert document is not None
        return bytes.fromhex(document["key"])

    async def _find(self, account: str) -> str | None:
        tag, now_s = await self._tag(account), int(time.time())

        def find() -> str | None:
            with self._db.write() as db:
                row = db.execute("SELECT subject, used_s FROM rider WHERE tag = ?", (tag,)).fetchone()
                if row and row[1] < now_s - DAY_S:
                    db.execute("UPDATE rider SET used_s = ? WHERE tag = ?", (now_s, tag))
            return row[0] if row else None

        return await asyncio.to_thread(find)

    async def _open(self, account: str) -> str:
        tag, desk = await self._tag(account), self.desk()
        subject = await desk.open_subject("rider")
        await desk.put(subject, "person", "self", {"account": account})

        def keep() -> str:
            with self._db.write() as db:
                db.execute("INSERT OR IGNORE INTO rider VALUES(?, ?, ?)", (tag, subject, int(time.time())))
                return db.execute("SELECT subject FROM rider WHERE tag = ?", (tag,)).fetchone()[0]

        kept = await asyncio.to_thread(keep)
        if kept != subject:  # another worker was first
            await desk.destroy(subject, "made twice at once")
        return kept
