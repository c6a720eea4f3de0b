"""The room's signing key: made on first use, kept in the vault, its public half published."""

import asyncio
from pathlib import Path
from typing import cast

from hanmaru.platform import disk
from hanmaru.trace.cases.approval import ALGORITHM, PUBLIC
from hanmaru.trace.cases.room import Room

KIND = "authority"
PURPOSE = "signing of approvals"


async def private_jwk(room: Room) -> dict[str, str]:
    """Return the private key, making it if there is none."""
    from joserfc.jwk import OKPKey

    desk = room.own_desk(PURPOSE)
    subject = await asyncio.to_thread(room.book.known, KIND)
    if subject is None:
        made = await desk.open_subject(KIND)
        key = OKPKey.generate_key(ALGORITHM, private=True)
        await desk.put(made, KIND, KIND, key.as_dict(private=True))
        subject = await asyncio.to_thread(room.book.once, KIND, made)
        if subject != made:  # another process was quicker
            await desk.destroy(made, "another key was made at the same time")
    document = await desk.get(subject, KIND, KIND)
    assert document is not None
    return cast("dict[str, str]", document)


async def public_pem(room: Room) -> bytes:
    """Return the public key as PEM; it is also written to ``authority.pem`` in the room's folder."""
    from joserfc.jwk import OKPKey

    path: Path = room.folder / PUBLIC
    if known := await asyncio.to_thread(lambda: path.read_bytes() if path.exists() else b""):
        return known
    pem: bytes = OKPKey.import_key(dict(await private_jwk(room))).as_pem(private=False)
    await asyncio.to_thread(disk.replace, path, pem)
    return pem
