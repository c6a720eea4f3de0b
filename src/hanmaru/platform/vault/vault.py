"""The vaults of a hub, one per room, and the files behind each."""

import asyncio
import sqlite3
import threading
from collections.abc import Set
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from hanmaru.platform.audit.record import Audit
from hanmaru.platform.policy import Caller, Policy
from hanmaru.platform.problems import Problem
from hanmaru.platform.vault import destroy
from hanmaru.platform.vault.blind import BlindIndex, Index
from hanmaru.platform.vault.errors import VaultError, check
from hanmaru.platform.vault.files import Room
from hanmaru.platform.vault.keys import Keys
from hanmaru.platform.vault.store import Store

if TYPE_CHECKING:
    from hanmaru.platform.vault.desk import Desk

log = structlog.get_logger()


class Vaults:
    """The vaults of one data folder, whose keys lie in another."""

    def __init__(self, data: Path, keys: Path, audit: Audit, policy: Policy) -> None:
        """Name the folders. Where destructions were interrupted they are finished now, so this may block."""
        self.data, self.audit, self.policy = data, audit, policy
        self.keys_folder = keys
        self._keys: Keys | None = None
        self._rooms: dict[str, Vault] = {}
        self._opening = threading.Lock()
        if Keys.exist(keys):
            try:
                destroy.finish(self.data, self.keys)
            except (VaultError, OSError, sqlite3.Error) as error:  # the city's other services start all the same
                log.error("a destruction could not be finished", problem=str(error))

    @property
    def keys(self) -> Keys:
        """The keys, opened on first use; blocks then."""
        with self._opening:
            if self._keys is None:
                self._keys = Keys(self.keys_folder)
            return self._keys

    def room(self, name: str) -> "Vault":
        """Return a room's vault; the file is made when something is put there."""
        if name not in self._rooms:
            self._rooms[check("room", name)] = Vault(name, self)
        return self._rooms[name]

    def close(self) -> None:
        """Close the files and forget the keys in memory."""
        for vault in self._rooms.values():
            vault.close()
        self._rooms.clear()
        if self._keys:
            self._keys.close()
            self._keys = None


class Vault:
    """One room's vault. What is in it is reached through a `Desk`."""

    def __init__(self, name: str, vaults: Vaults) -> None:
        """Name the room; nothing is opened yet."""
        self.name, self.vaults = name, vaults
        self.files = Room(vaults.data, name)
        self._declared: tuple[Index, ...] = ()
        self._opening = threading.Lock()
        self._store: Store | None = None
        self._index: BlindIndex | None = None

    def declare(self, *indexes: Index) -> None:
        """Say by which fields records are looked up. Say it at every start; another declaration indexes all again."""
        with self._opening:
            if self._index:
                self._index.close()
            self._declared, self._index = indexes, None

    def at(self, caller: Caller, purpose: str, where: str = "", request: str = "") -> "Desk":
        """Return what a caller may do here for a purpose; ``where`` is their address, ``request`` the request's id.

        Raises Problem 400 when no purpose is stated.
        """
        if not purpose.strip() or len(purpose) > 200 or not purpose.isprintable():
            raise Problem(
                400,
                "State the purpose",
                "Personal data is given for a stated purpose only: send it as Hanmaru-Purpose, at most 200 printable"
                " characters.",
            )
        from hanmaru.platform.vault.desk import Desk

        return Desk(self, caller, purpose, where, request)

    async def reindex(self) -> None:
        """Make the blind index again from the records."""
        await asyncio.to_thread(self._reindex)

    @property
    def store(self) -> Store:
        """The records' file, opened on first use; blocks then."""
        with self._opening:
            if self._store is None:
                self._store = Store(self.files, self.vaults.keys)
            return self._store

    @property
    def index(self) -> BlindIndex | None:
        """The blind index, if there is one; blocks on first use."""
        store = self.store
        with self._opening:
            if self._index is None and (self._declared or self.files.index.exists()):
                self._index = BlindIndex(self.files.index, store, self._declared)
            return self._index

    def level_index(self) -> BlindIndex:
        """Return the blind index with all that was written in it; blocks. Raises VaultError when none is declared."""
        if not self._declared or not (index := self.index):
            raise VaultError(f"the vault {self.name!r} has no index")
        index.catch_up()
        return index

    def catch_up(self, kinds: Set[str]) -> None:
        """Index what was written of some kinds, if this process knows that any of them is indexed; blocks."""
        if any(index.path.split(".")[0] in kinds for index in self._declared):
            self.level_index()

    def close(self) -> None:
        """Close the files."""
        for file in (self._index, self._store):
            if file:
                file.close()

    def _reindex(self) -> None:
        if index := self.index:
            index.clear()
        if self._declared:
            self.level_index()
