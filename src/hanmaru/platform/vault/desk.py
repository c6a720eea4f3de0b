"""What a caller may do in a vault, with policy and audit before anything is given."""

import asyncio
import base64
import os
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hanmaru.platform.audit.record import Record
from hanmaru.platform.policy import Caller, refusal
from hanmaru.platform.policy.cedar import Decision
from hanmaru.platform.problems import Problem
from hanmaru.platform.vault import destroy, find
from hanmaru.platform.vault.blind import How
from hanmaru.platform.vault.errors import VaultError, check
from hanmaru.platform.vault.find import Duplicate
from hanmaru.platform.vault.store import MOST_BATCH, Address, Document
from hanmaru.platform.vault.vault import Vault

Names = list[str]
"""Pseudonyms or ids."""

Documents = list[dict[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Desk:
    """What one caller may do in one room's vault for one purpose.

    Every call asks policy for ``vault.read``, ``write``, ``find`` or ``destroy`` on ``Vault::"<room>"`` and commits an
    audit record, granted or refused, before anything is given. Raises Problem 403 when policy refuses, and
    `VaultError`.
    """

    vault: Vault
    caller: Caller
    purpose: str
    where: str = ""
    request: str = ""

    async def open_subject(self, kind: str) -> str:
        """Make somebody or something with a key of its own (a case, a person, a data set); return the pseudonym."""
        return (await self.open_subjects(kind, 1))[0]

    async def open_subjects(self, kind: str, count: int) -> Names:
        """Make many subjects of a kind at once; return their pseudonyms."""
        _batch(count)
        made = [f"{check('kind', kind)}-{_random()}" for _ in range(count)]
        await self.ask("vault.write", kind, made)
        await asyncio.to_thread(lambda: self.vault.store.open_subjects(kind, made))
        return made

    async def subjects(self, kind: str, after: str = "", limit: int = 1_000) -> Names:
        """Return pseudonyms of a kind's subjects in order, those after one, at most ``limit``."""
        _batch(limit)
        await self.ask("vault.read", check("kind", kind))
        return await asyncio.to_thread(lambda: self.vault.store.subjects(kind, after, limit))

    async def put(self, subject: str, kind: str, id: str, document: Document) -> None:
        """Keep a document, over the one that is there."""
        await self.put_many([(subject, kind, id, document)])

    async def put_many(self, records: Sequence[tuple[str, str, str, Document]]) -> None:
        """Keep documents as (subject, kind, id, document), all or none."""
        items = [(_address(*address), document) for *address, document in records]
        await self.ask("vault.write", _what([address for address, _ in items]), [a.subject for a, _ in items])

        def work() -> None:
            self.vault.store.put(items)
            self.vault.catch_up({address.kind for address, _ in items})

        await asyncio.to_thread(work)

    async def get(self, subject: str, kind: str, id: str) -> dict[str, Any] | None:
        """Return a document, or None."""
        return (await self.get_many([(subject, kind, id)]))[0]

    async def get_many(self, addresses: Sequence[tuple[str, str, str]]) -> Documents:
        """Return documents by (subject, kind, id), None for each that is not there."""
        wanted = [_address(*address) for address in addresses]
        await self.ask("vault.read", _what(wanted), [address.subject for address in wanted])
        found = await asyncio.to_thread(lambda: self.vault.store.get(wanted))
        return [found.get(address) for address in wanted]

    async def put_blob(self, subject: str, kind: str, id: str, parts: AsyncIterable[bytes]) -> int:
        """Keep a file that comes in parts of any size, over the one that is there; return its size in bytes.

        Nothing is kept unless all parts come.
        """
        address = _address(subject, kind, id)
        await self.ask("vault.write", _what([address]), [subject])
        blob = await asyncio.to_thread(lambda: self.vault.store.begin_blob(address))
        try:
            async for part in parts:
                await asyncio.to_thread(blob.writer.add, part)
            await asyncio.to_thread(lambda: self.vault.store.end_blob(blob))
        except BaseException:
            blob.writer.abandon()
            raise
        return blob.writer.size

    async def get_blob(self, subject: str, kind: str, id: str) -> AsyncIterator[bytes] | None:
        """Return a file's bytes in parts, or None when there is none.

        Each part is verified before it is given; a file that was cut raises VaultError where it ends too early.
        """
        address = _address(subject, kind, id)
        await self.ask("vault.read", _what([address]), [subject])
        if not await asyncio.to_thread(lambda: self.vault.store.has_blob(address)):
            return None
        return _parts(self.vault.store.read_blob(address))

    async def find(self, field: str, value: object, phonetic: bool = False) -> Names:
        """Return whose records have a value in an indexed field, or with ``phonetic`` one that sounds like it."""
        how: How = "phonetic" if phonetic else "exact"
        return await self._find(
            f"{how}:{check('kind', field)}",
            lambda: find.find(self.vault.store, self.vault.level_index(), field, value, how),
        )

    async def duplicates(self, subject: str) -> list[Duplicate]:
        """Return who may be the same as a subject, likeliest first: two indexed fields agree, exactly or by sound.

        Where only one field is declared, one is enough.
        """
        check("subject", subject)
        found: list[Duplicate] = []

        def work() -> Names:
            found[:] = find.duplicates(self.vault.store, self.vault.level_index(), subject)
            return [subject, *(one.subject for one in found)]

        await self._find(f"duplicates:{subject}", work)
        return found

    async def destroy(self, subject: str, reason: str) -> None:
        """Destroy a subject's key and with it all that is kept of them; on return nothing opens it any more.

        Again is no error. ``reason`` is for the audit trail: at most 200 printable characters, without names.
        """
        check("subject", subject)
        if not reason.strip() or len(reason) > 200 or not reason.isprintable():
            raise Problem(400, "State the reason", "Say why it is destroyed, in at most 200 printable characters.")
        await self.ask("vault.destroy", subject, [subject], {"reason": reason})
        vaults = self.vault.vaults
        await asyncio.to_thread(lambda: destroy.destroy(vaults.data, vaults.keys, self.vault.name, subject))
        await self._commit("vault.destroy", subject, [subject], {"done": "true"})

    async def ask(
        self, action: str, what: str, subjects: Sequence[str] = (), detail: Mapping[str, str] | None = None
    ) -> None:
        """Ask policy and write the answer to the audit trail; raises Problem 403 when it refuses."""
        decision = self._decision(action)
        await self._commit(action, what, subjects, detail, decision.allowed)
        if not decision.allowed:
            raise refusal(self.caller, action, decision.because)

    async def list(self, subject: str, kind: str) -> Names:
        """Return the ids of a subject's records of a kind, in order."""
        await self.ask("vault.read", f"{check('subject', subject)}/{check('kind', kind)}", [subject])
        return await asyncio.to_thread(lambda: self.vault.store.ids(subject, kind))

    async def _find(self, what: str, work: Callable[[], Names]) -> Names:
        """Run a look-up whose result names the subjects that the audit trail is to name."""
        if not self._decision("vault.find").allowed:
            await self.ask("vault.find", what)
        found = await asyncio.to_thread(work)
        await self._commit("vault.find", what, found)
        return found

    def _decision(self, action: str) -> Decision:
        resource = f'Vault::"{self.vault.name}"'
        return self.vault.vaults.policy.decide(self.caller, action, resource, purpose=self.purpose)

    async def _commit(
        self,
        action: str,
        what: str,
        subjects: Sequence[str] = (),
        detail: Mapping[str, str] | None = None,
        allowed: bool = True,
    ) -> None:
        await self.vault.vaults.audit.commit(
            Record(
                who=self.caller.name,
                action=action,
                what=f"vault:{self.vault.name}/{what}",
                decision="allow" if allowed else "deny",
                purpose=self.purpose,
                subjects=tuple(dict.fromkeys(subjects)),
                where=self.where,
                request=self.request,
                detail=detail or {},
            )
        )


async def _parts(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
        yield chunk


def _address(subject: str, kind: str, id: str) -> Address:
    return Address(check("subject", subject), check("kind", kind), check("id", id))


def _what(addresses: Sequence[Address]) -> str:
    _batch(len(addresses))
    return "/".join(addresses[0]) if len(addresses) == 1 else f"{len(addresses)} records"


def _batch(count: int) -> None:
    if not 0 < count <= MOST_BATCH:
        raise VaultError(f"one call takes 1 to {MOST_BATCH:,}, not {count:,}")


def _random() -> str:
    return base64.b32encode(os.urandom(16)).decode().rstrip("=").lower()
