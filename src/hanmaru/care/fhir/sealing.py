"""The keys that bodies are sealed with: one for each person, kept in the room's vault.

A person's key is random, and a record of the person's own subject in the vault; so a rotation of the vault's keys
seals 32 bytes again and not a life's measurements, and destroying the subject leaves all that was sealed, here and in
every backup, to nobody. Keys that were opened are kept in memory, at most `MOST_KEPT`.
"""

import asyncio
import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from hanmaru.care.domain import SYSTEM_NAME
from hanmaru.platform.policy import Caller
from hanmaru.platform.problems import Problem
from hanmaru.platform.vault import Desk, Vault, VaultError, ledger
from hanmaru.platform.vault.crypto import KEY_BYTES, Key

SYSTEM: Final = Caller(SYSTEM_NAME, kind="system")
PURPOSE: Final = "care"
MOST_KEPT: Final = 200_000
"""Keys that are kept in memory, as their 32 bytes each: a `Key` ready for use takes 2.7 KB and is made in 1 µs."""

BATCH: Final = 500
SPARES: Final = 16
"""Keys that are ready for people who come: making one waits for the disk several times."""

ROOM_KEYS: Final = ("shared", "index", "tags")


class Person(NamedTuple):
    """A subject of the vault and its key."""

    subject: str
    key: Key


class KeysWanted(Problem):
    """Raised in a transaction that needs keys that are not in memory: open them and run it again."""

    def __init__(self, subjects: Sequence[str] = (), spares: int = 0) -> None:
        """Say whose, and how many new ones."""
        super().__init__(503, "Not ready", "The keys of these records are being opened. Try again in a second.")
        self.subjects, self.spares = subjects, spares


class Keyring:
    """The keys in memory of one process, and their way to the vault. For use from threads but for what is async."""

    def __init__(self, vault: Vault) -> None:
        """Begin with no key in memory."""
        self._vault = vault
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._spares: deque[Person] = deque()
        self._making: asyncio.Task[None] | None = None
        self.room: dict[str, Key] = {}

    def desk(self) -> Desk:
        """Return the room's own desk in the vault."""
        return self._vault.at(SYSTEM, PURPOSE)

    async def make_room(self) -> str:
        """Make the room's own keys and return their subject."""
        desk = self.desk()
        subject = await desk.open_subject("room")
        await desk.put_many([(subject, "key", name, {"key": secrets.token_hex(KEY_BYTES)}) for name in ROOM_KEYS])
        return subject

    async def open_room(self, subject: str) -> None:
        """Open the room's own keys into ``room``, by name."""
        documents = await self.desk().get_many([(subject, "key", name) for name in ROOM_KEYS])
        for name, document in zip(ROOM_KEYS, documents, strict=True):
            if document is None:
                raise VaultError(f"the key {name!r} of the room care is missing; restore the vault from a backup", 500)
            self.room[name] = Key(f"care/{name}", bytes.fromhex(document["key"]))

    def key(self, subject: str | None) -> Key:
        """Return a subject's key, the room's shared one for None; raises KeysWanted where it is not in memory."""
        if subject is None:
            return self.room["shared"]
        try:
            return Key(f"care/{subject}", self._kept[subject])
        except KeyError:
            raise KeysWanted([subject]) from None

    def tag(self, kind: str, name: str) -> bytes:
        """Return a keyed digest of a name: the same for the same name, telling nothing without the vault."""
        return hmac.digest(self.room["tags"].secret, f"{kind}|{name}".encode(), hashlib.sha256)

    def held(self, subject: str) -> bool:
        """Return whether a subject's key is in memory."""
        return subject in self._kept

    def destroyed(self) -> list[tuple[str, str]]:
        """Return the rooms and subjects that the vault's ledger says are destroyed."""
        return [*ledger.read([self._vault.vaults.keys_folder / ledger.FILE])]

    async def open(self, subjects: Iterable[str]) -> None:
        """Open keys into memory; one that is destroyed is left out."""
        wanted = sorted({*subjects} - self._kept.keys())
        for begin in range(0, len(wanted), BATCH):
            part = wanted[begin : begin + BATCH]
            try:
                documents = await self.desk().get_many([(each, "key", "self") for each in part])
            except VaultError as error:
                if error.status not in (404, 410):
                    raise
                if len(part) == 1:
                    continue
                for each in part:  # one of them was destroyed: find the others
                    await self.open([each])
                continue
            for subject, document in zip(part, documents, strict=True):
                if document is not None:
                    self._keep(Person(subject, _key(subject, document["key"])))

    def forget(self, subject: str) -> None:
        """Drop a key from memory."""
        with self._lock:
            self._kept.pop(subject, None)

    def take(self) -> Person:
        """Return a key for somebody new; raises KeysWanted where none is ready."""
        try:
            person = self._spares.popleft()
        except IndexError:
            raise KeysWanted(spares=1) from None
        self._keep(person)
        return person

    def give_back(self, person: Person) -> None:
        """Return a key that was taken and is nobody's."""
        self.forget(person.subject)
        self._spares.append(person)

    async def ready(self, count: int = 1) -> None:
        """Make keys until so many are ready, and a few more."""
        while len(self._spares) < count:
            await self._make(max(count - len(self._spares), SPARES))

    def top_up(self) -> None:
        """See to it that keys are ready, without waiting; call it on the loop."""
        if len(self._spares) < SPARES // 2 and (self._making is None or self._making.done()):
            self._making = asyncio.create_task(self._make(SPARES))

    async def close(self) -> None:
        """Wait for what is being made."""
        if self._making:
            await asyncio.gather(self._making, return_exceptions=True)

    async def _make(self, count: int) -> None:
        desk = self.desk()
        made: list[Person] = []
        for subject in await desk.open_subjects("person", min(count, BATCH)):
            made.append(Person(subject, _key(subject, secrets.token_hex(KEY_BYTES))))
        await desk.put_many([(each.subject, "key", "self", {"key": each.key.secret.hex()}) for each in made])
        self._spares.extend(made)

    def _keep(self, person: Person) -> None:
        with self._lock:
            self._kept[person.subject] = person.key.secret
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)


def _key(subject: str, text: str) -> Key:
    return Key(f"care/{subject}", bytes.fromhex(text))


def place(type: str, id: str, version: int) -> str:
    """Return what a body is authenticated together with."""
    return f"care|{type}|{id}|{version}"


def seal(plain: bytes, keys: Sequence[Key], at: str) -> bytes:
    """Seal a body under each key in turn: whoever destroys one of them destroys it."""
    for key in keys:
        plain = key.seal(plain, at)
    return plain


def unseal(sealed: bytes, keys: Sequence[Key], at: str) -> bytes:
    """Return a body; raises VaultError 500 when it is not what was sealed there."""
    for key in reversed(keys):
        opened = key.open(sealed, at)
        if opened is None:
            raise VaultError(f"{at} was changed or moved since it was written; restore it from a backup", 500)
        sealed = opened
    return sealed
