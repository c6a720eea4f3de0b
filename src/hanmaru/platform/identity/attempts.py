"""Failed sign-ins, counted in the accounts' file, so that the limits hold over workers and restarts.

Guessing costs ever more time: by name from one address, by address, and by name from wherever. The last would let a
stranger lock somebody out, so it ends by itself and spares addresses from which the account has signed in
before. Names and addresses are kept as keyed digests: what is typed in the wrong field may be a password.
"""

import hashlib
import time
from collections.abc import Callable

from hanmaru.platform.identity.database import AccountsFile
from hanmaru.platform.origin import network

FREE = 8
"""Failures of one name from one address before its next must wait."""
FREE_OF_ADDRESS = 40
FREE_OF_NAME = 25
"""Failures of one name from anywhere before it is locked; NIST SP 800-63B allows no more than 100."""
FIRST_WAIT_S, LONGEST_WAIT_S = 30, 900
FORGET_S = 3600
KNOWN_S = 90 * 86_400
MOST = 20_000


class Attempts:
    """The failures. `failed` and `succeeded` wait for the disk: call them in a thread."""

    def __init__(self, file: AccountsFile, clock: Callable[[], float] = time.time) -> None:
        """Make it over the accounts' file."""
        self._file, self._clock = file, clock
        self._key = file.key("attempts")

    def wait_s(self, name: str, address: str) -> float:
        """Return the seconds until this name may try again from this address; 0 when it may now."""
        waits = [
            self._wait(self._digest(name, address), FREE, doubling=True),
            self._wait(self._digest("", address), FREE_OF_ADDRESS, doubling=True),
        ]
        if not self._file.read("SELECT 1 FROM known WHERE key = ?", (self._digest(name, address),)):
            waits.append(self._wait(self._digest(name), FREE_OF_NAME))
        return max(waits)

    def locked_s(self, name: str) -> float:
        """Return for how many seconds the name is locked for addresses it has not signed in from."""
        return self._wait(self._digest(name), FREE_OF_NAME)

    def failed(self, name: str, address: str) -> None:
        """Count a failure; an empty name counts the address alone."""
        now = self._clock()
        keys = [(self._digest("", address), FORGET_S)]
        if name:
            keys += [(self._digest(name, address), FORGET_S), (self._digest(name), LONGEST_WAIT_S)]
        with self._file.write() as db:
            for key, forget_s in keys:
                db.execute(
                    "INSERT INTO failure VALUES(?1, 1, ?2) ON CONFLICT(key) DO UPDATE SET"
                    " count = CASE WHEN last <= ?2 - ?3 THEN 1 ELSE count + 1 END, last = ?2",
                    (key, now, forget_s),
                )
            db.execute(
                "DELETE FROM failure WHERE last < ? OR key IN (SELECT key FROM failure ORDER BY last DESC"
                " LIMIT -1 OFFSET ?)",
                (now - FORGET_S, MOST),
            )

    def succeeded(self, name: str, address: str) -> None:
        """Forget the name's failures from this address, and know the address from now on."""
        now, key = self._clock(), self._digest(name, address)
        failures = self._file.read("SELECT 1 FROM failure WHERE key = ?", (key,))
        known = self._file.read("SELECT 1 FROM known WHERE key = ? AND seen > ?", (key, now - 86_400))
        if known and not failures:
            return
        with self._file.write() as db:
            db.execute("DELETE FROM failure WHERE key = ?", (key,))
            db.execute("DELETE FROM known WHERE seen < ?", (now - KNOWN_S,))
            db.execute("INSERT OR REPLACE INTO known VALUES(?, ?, ?)", (key, name, now))

    def lift(self, name: str) -> None:
        """Forget that the name is locked."""
        with self._file.write() as db:
            db.execute("DELETE FROM failure WHERE key = ?", (self._digest(name),))

    def _wait(self, key: bytes, free: int, *, doubling: bool = False) -> float:
        rows = self._file.read("SELECT count, last FROM failure WHERE key = ?", (key,))
        count, last = rows[0] if rows else (0, 0.0)
        if count < free:
            return 0.0
        wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(count - free, 10)) if doubling else LONGEST_WAIT_S
        return max(0.0, last + wait_s - self._clock())

    def _digest(self, name: str, address: str | None = None) -> bytes:
        where = "anywhere" if address is None else network(address)
        text = f"{name}\0{where}".encode(errors="surrogatepass")
        return hashlib.blake2b(text, key=self._key, digest_size=16).digest()
