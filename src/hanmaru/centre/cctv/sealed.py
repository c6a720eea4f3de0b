"""What of cameras is in the room's vault: addresses with their passwords, keys of recordings, the custody log's key."""

import asyncio
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from hanmaru.centre.cctv.register import Register
from hanmaru.platform import disk
from hanmaru.platform.audit.seal import public_pem
from hanmaru.platform.policy import Caller
from hanmaru.platform.vault import Desk, Vault
from hanmaru.platform.vault.crypto import Key

SYSTEM = Caller("system:centre", kind="system")
PURPOSE = "video surveillance"
PUBLIC = "custody.pem"


class Secrets:
    """The secrets of the cameras, in one process."""

    def __init__(self, vault: Vault, register: Register, folder: Path) -> None:
        """Make it over the room's vault; nothing is read yet."""
        self._vault, self._register, self._folder = vault, register, folder
        self._days: dict[tuple[str, str], Key] = {}
        self._signer: Ed25519PrivateKey | None = None
        self._making = asyncio.Lock()

    def desk(self, purpose: str = PURPOSE) -> Desk:
        """Return the room's own desk in the vault."""
        return self._vault.at(SYSTEM, purpose)

    async def _subject(self, fact: str) -> str:
        known = await asyncio.to_thread(self._register.fact, fact)
        if known is not None:
            return known
        made = await self.desk().open_subject("cctv")
        kept = await asyncio.to_thread(self._register.once, fact, made)
        if kept != made:  # another process was quicker
            await self.desk().destroy(made, "made twice at once")
        return kept

    async def put_address(self, camera: str, address: str) -> None:
        """Keep a camera's address."""
        await self.desk().put(await self._subject("addresses"), "source", camera, {"address": address})

    async def addresses(self, cameras: list[str]) -> dict[str, str]:
        """Return the addresses of cameras that have one."""
        if not cameras:
            return {}
        subject = await self._subject("addresses")
        found: dict[str, str] = {}
        for first in range(0, len(cameras), 1000):
            some = cameras[first : first + 1000]
            documents = await self.desk().get_many([(subject, "source", camera) for camera in some])
            found |= {camera: one["address"] for camera, one in zip(some, documents, strict=True) if one}
        return found

    async def day_key(self, camera: str, day: str, *, make: bool = False) -> Key | None:
        """Return the key of a camera's recordings of a day (in UTC); None where there is none and none is made.

        Raises VaultError 410 when it is destroyed.
        """
        if (camera, day) in self._days:
            return self._days[camera, day]
        async with self._making:
            subject = await asyncio.to_thread(self._register.day, camera, day)
            if subject is None and not make:
                return None
            desk = self.desk()
            if subject is None:
                made = await desk.open_subject("recording")
                await desk.put(made, "key", "day", {"key": Key.make("").secret.hex()})
                subject = await asyncio.to_thread(self._register.begin_day, camera, day, made)
                if subject != made:
                    await desk.destroy(made, "made twice at once")
            document = await desk.get(subject, "key", "day")
            assert document is not None  # it was put before the register knew the subject
            key = Key(f"{camera}/{day}", bytes.fromhex(document["key"]))
            self._days[camera, day] = key
            while len(self._days) > 256:
                self._days.pop(next(iter(self._days)))
            return key

    async def destroy_day(self, camera: str, day: str, subject: str) -> None:
        """Destroy the key of a camera's day: on return nothing opens its recordings."""
        self._days.pop((camera, day), None)
        await self.desk().destroy(subject, "retention of recordings is over")

    def forget(self) -> None:
        """Forget the keys in memory: what another process destroyed opens nothing here either."""
        self._days.clear()

    async def signer(self) -> Ed25519PrivateKey:
        """Return the key that signs custody logs, made on first use; ``custody.pem`` has its public half."""
        if self._signer is None:
            desk = self.desk("custody of evidence")
            known = await asyncio.to_thread(self._register.fact, "custody")
            if known is None:
                made = await desk.open_subject("cctv")
                key = Ed25519PrivateKey.generate().private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
                await desk.put(made, "key", "custody", {"key": key.hex()})
                known = await asyncio.to_thread(self._register.once, "custody", made)
                if known != made:  # another process was quicker
                    await desk.destroy(made, "made twice at once")
            document = await desk.get(known, "key", "custody")
            assert document is not None
            self._signer = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(document["key"]))
            pem = public_pem(self._signer.public_key())
            await asyncio.to_thread(disk.write_once, self._folder / PUBLIC, pem)
        return self._signer
