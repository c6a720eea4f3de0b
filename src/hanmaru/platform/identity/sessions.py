"""Sessions, kept on the server: a random token in a cookie, its digest in the accounts' file.

A session ends when it is ended, after `SESSION_S` however busy it is, after an idle time, and when its account is
locked or given other roles. Each worker remembers sessions until the file's counter moves.
"""

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from hanmaru.platform.identity.accounts import Account, Accounts
from hanmaru.platform.identity.database import digest

SESSION_S = 12 * 3600
IDLE_S = 60 * 60
SEEN_EVERY_S = 60
MOST_OF_ONE = 50
MOST_REMEMBERED = 10_000
LONGEST_AGENT = 200

_COLUMNS = "digest, id, name, second_factor, started, seen, expires, address, agent"


@dataclass(frozen=True, slots=True)
class Session:
    """A session; times are seconds since 1970."""

    digest: bytes
    id: str
    account: Account
    second_factor: bool
    started: float
    seen: float
    expires: float
    address: str
    agent: str


class Sessions:
    """The sessions of the accounts. `start`, `touch`, `end` and `end_all` wait for the disk: call them in a thread."""

    def __init__(self, accounts: Accounts, idle_s: float = IDLE_S, clock: Callable[[], float] = time.time) -> None:
        """Make it over the accounts; a session unused for ``idle_s`` seconds has ended."""
        self._accounts, self._file, self._idle_s, self._clock = accounts, accounts.file, idle_s, clock
        self._generation = -1
        self._known: OrderedDict[bytes, Session] = OrderedDict()

    def start(
        self,
        name: str,
        *,
        second_factor: bool,
        address: str = "",
        agent: str = "",
        instead_of: str = "",
        renews: Session | None = None,
    ) -> str:
        """Start a session and return its token; it takes the place of the one whose token is ``instead_of``.

        One that ``renews`` another for the same person began and ends when that one did.
        Ended sessions are forgotten, and the longest unused of an account that has more than `MOST_OF_ONE`.
        """
        token, now = secrets.token_urlsafe(32), self._clock()
        started, expires = (renews.started, renews.expires) if renews else (now, now + SESSION_S)
        row = (digest(token), secrets.token_urlsafe(9), name, second_factor, started, now, expires)
        with self._file.write(changes=bool(instead_of)) as db:
            db.execute("DELETE FROM session WHERE expires < ? OR seen < ?", (now, now - self._idle_s))
            if instead_of:
                db.execute("DELETE FROM session WHERE digest = ?", (digest(instead_of),))
            db.execute(
                f"INSERT INTO session({_COLUMNS}) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*row, address, agent[:LONGEST_AGENT]),
            )
            db.execute(
                "DELETE FROM session WHERE digest IN"
                " (SELECT digest FROM session WHERE name = ? ORDER BY seen DESC LIMIT -1 OFFSET ?)",
                (name, MOST_OF_ONE),
            )
        return token

    def find(self, token: str) -> Session | None:
        """Return a token's session, or None when it is unknown or has ended."""
        generation = self._file.generation()
        if generation != self._generation:
            self._known.clear()
            self._generation = generation
        key = digest(token)
        session = self._known.get(key)
        if session is None or not self._alive(session):
            session = self._read(key)
            if session is None:
                self._known.pop(key, None)
                return None
            self._known[key] = session
            while len(self._known) > MOST_REMEMBERED:
                self._known.popitem(last=False)
        return session

    def due(self, session: Session) -> bool:
        """Whether the session's use is worth noting again; from now on, it is taken as noted here."""
        now = self._clock()
        if now - session.seen < min(SEEN_EVERY_S, self._idle_s / 4):
            return False
        self._known[session.digest] = replace(session, seen=now)
        return True

    def touch(self, session: Session) -> None:
        """Note in the file that the session is in use."""
        with self._file.write() as db:
            db.execute("UPDATE session SET seen = ? WHERE digest = ?", (self._clock(), session.digest))

    def end(self, token: str) -> None:
        """End a session; an unknown token is ignored."""
        with self._file.write(changes=True) as db:
            db.execute("DELETE FROM session WHERE digest = ?", (digest(token),))

    def end_one(self, name: str, id: str) -> bool:
        """End one of an account's sessions by its id; return whether there was one."""
        with self._file.write(changes=True) as db:
            return db.execute("DELETE FROM session WHERE name = ? AND id = ?", (name, id)).rowcount > 0

    def end_all(self, name: str, *, but: bytes = b"") -> None:
        """End an account's sessions but the one with a digest."""
        with self._file.write(changes=True) as db:
            db.execute("DELETE FROM session WHERE name = ? AND digest != ?", (name, but))

    def of(self, account: Account) -> list[Session]:
        """Return an account's sessions, the last used first."""
        sql = f"SELECT {_COLUMNS} FROM session WHERE name = ? ORDER BY seen DESC"  # noqa: S608 - our own text
        found = [_session(row, account) for row in self._file.read(sql, (account.name,))]
        return [session for session in found if self._alive(session)]

    def _read(self, key: bytes) -> Session | None:
        # The columns are our own; values are bound.
        rows = self._file.read(f"SELECT {_COLUMNS} FROM session WHERE digest = ?", (key,))  # noqa: S608
        account = self._accounts.find(rows[0][2]) if rows else None
        session = _session(rows[0], account) if account and not account.locked else None
        return session if session and self._alive(session) else None

    def _alive(self, session: Session) -> bool:
        now = self._clock()
        return session.expires > now and session.seen > now - self._idle_s


def _session(row: tuple[object, ...], account: Account) -> Session:
    key, id, _, second_factor, started, seen, expires, address, agent = row
    return Session(key, id, account, bool(second_factor), started, seen, expires, address, agent)  # type: ignore[arg-type]
