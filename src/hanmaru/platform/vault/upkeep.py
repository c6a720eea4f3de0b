"""What a hub does for its vaults once a day: key backups expire, and what could not be destroyed is."""

import asyncio
import sqlite3
from typing import Final

import structlog

from hanmaru.platform.vault import backup, destroy
from hanmaru.platform.vault.errors import VaultError
from hanmaru.platform.vault.keys import Keys
from hanmaru.platform.vault.vault import Vaults

log = structlog.get_logger()

EVERY_S: Final = 24 * 3600.0


async def upkeep(vaults: Vaults) -> None:
    """Look after the vaults now and once a day, until cancelled."""
    while True:
        await asyncio.to_thread(look_after, vaults)
        await asyncio.sleep(EVERY_S)


def look_after(vaults: Vaults) -> None:
    """Delete expired key backups in every folder within reach, and finish interrupted destructions; blocks."""
    if not Keys.exist(vaults.keys_folder):
        return
    try:
        for folder in backup.folders(vaults.keys):
            for path in backup.expire(folder):
                log.info("key backup expired", path=str(path))
        destroy.finish(vaults.data, vaults.keys)
    except (VaultError, OSError, sqlite3.Error) as error:
        log.error("the vaults' upkeep failed", problem=str(error))
