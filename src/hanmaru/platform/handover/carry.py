"""The copying itself: from the giving room's vault to the receiving room's, once, whatever is killed in between."""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from hanmaru.platform.handover.requests import MOST_RECORDS, Receipt, Request
from hanmaru.platform.policy import Caller
from hanmaru.platform.problems import Problem
from hanmaru.platform.vault.errors import VaultError

if TYPE_CHECKING:
    from hanmaru.platform.handover.handover import Handover

SYSTEM = Caller("system:handover", kind="system")
PROVENANCE = "handover"
"""Kind and id of the record that says where a copy comes from."""


async def copy(handover: "Handover", request: Request) -> None:
    """Copy what an approved request asks for; raises VaultError 404 or 410 where there is nothing to copy."""
    source = handover.vaults.room(request.giving).at(SYSTEM, request.purpose)
    addresses = [(request.subject, kind, id) for kind, id in request.records]
    for kind in request.kinds:
        addresses += [(request.subject, kind, id) for id in await source.list(request.subject, kind)]
    addresses = list(dict.fromkeys(addresses))
    if len(addresses) > MOST_RECORDS:
        raise VaultError(f"a hand-over takes at most {MOST_RECORDS} records", 404)
    documents = await source.get_many(addresses) if addresses else []
    found = [(kind, id, doc) for (_, kind, id), doc in zip(addresses, documents, strict=True) if doc is not None]
    files = [(kind, id) for kind, id in request.blobs if await source.get_blob(request.subject, kind, id)]
    if not found and not files:
        raise VaultError("there is nothing to hand over", 404)
    annex = handover.annex(request)
    # The subject's kind names the request, so that a second try finds what the first one made.
    kind_of_copy = f"handover_{request.id}"
    made = await annex.subjects(kind_of_copy)
    copy = made[0] if made else await annex.open_subject(kind_of_copy)
    try:
        # Before anything is in it: whoever revokes from here on destroys it.
        await asyncio.to_thread(handover.book.move, request.id, ["approved"], "approved", SYSTEM.name, copy=copy)
        salt = secrets.token_hex(16)
        receipt = [Receipt(kind, id, digest(salt, document)) for kind, id, document in found]
        provenance = {
            "from": request.giving,
            "handover": request.id,
            "purpose": request.purpose,
            "legal_basis": request.legal_basis,
            "until": request.until.isoformat(),
            "salt": salt,
        }
        records = [(copy, PROVENANCE, PROVENANCE, provenance), *((copy, *one) for one in found)]
        await annex.put_many(records)
        for kind, id in files:
            if (parts := await source.get_blob(request.subject, kind, id)) is None:
                continue
            hashed = hashlib.sha256(salt.encode())
            await annex.put_blob(copy, kind, id, _through(hashed.update, parts))
            receipt.append(Receipt(kind, id, hashed.hexdigest(), "blob"))
        await handover.tell(msgspec.structs.replace(request, copy=copy), "handover.delivered", SYSTEM.name)
        text = msgspec.json.encode(receipt).decode()
        await asyncio.to_thread(
            handover.book.move, request.id, ["approved"], "delivered", SYSTEM.name, copy=copy, receipt=text
        )
    except Problem as error:
        if error.status == 409:  # it was revoked meanwhile
            await annex.destroy(copy, "the hand-over was revoked")
            return
        raise


async def _through(see: Callable[[bytes], None], parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for part in parts:
        see(part)
        yield part


def digest(salt: str, document: Mapping[str, Any]) -> str:
    """Return a receipt's hash. The salt lies with the copy: nobody else can guess at what was handed over."""
    return hashlib.sha256(salt.encode() + msgspec.json.encode(document, order="deterministic")).hexdigest()
