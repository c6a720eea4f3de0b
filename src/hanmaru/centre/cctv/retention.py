"""The end of recordings and clips: their keys are destroyed when the time that the rule gives them is over."""

import asyncio
import functools
import shutil
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import structlog

from hanmaru.centre.cctv import custody
from hanmaru.centre.cctv.recorder import FOLDER
from hanmaru.centre.cctv.register import now
from hanmaru.centre.cctv.sealed import SYSTEM

if TYPE_CHECKING:
    from hanmaru.centre.cctv.process import Process

log = structlog.get_logger()

EVERY_S = 3600.0
OTHERWISE_DAYS = 30
"""For recordings of a camera that is not in the register any more."""


async def sweep(process: "Process") -> None:
    """Destroy what is over, at once and every hour."""
    while True:
        try:
            await once(process, datetime.now(UTC))
        except Exception:
            log.exception("retention could not be carried out; it is tried again")
        await asyncio.sleep(EVERY_S)


async def once(process: "Process", at: datetime) -> int:
    """Destroy the keys of days and clips that are over at an instant; return how many.

    A day's key goes when its last picture is older than the camera's ``retention_days``.
    """
    register, secrets, destroyed = process.register, process.secrets, 0
    cameras = await asyncio.to_thread(register.cameras)
    for camera, day, subject in await asyncio.to_thread(register.days):
        days = cameras[camera][1].retention_days if camera in cameras else OTHERWISE_DAYS
        if date.fromisoformat(day) + timedelta(days=days + 1) > at.date():
            continue
        await secrets.destroy_day(camera, day, subject)
        folder = process.ctx.data_dir / FOLDER / camera / day
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        await asyncio.to_thread(register.end_day, camera, day)
        destroyed += 1
    before: int | None = None
    while True:
        page = functools.partial(register.clips, before=before, limit=500)
        clips, before = await asyncio.to_thread(page)
        for clip in clips:
            if clip.until is None or clip.subject is None or datetime.fromisoformat(clip.until) > at:
                continue
            await custody.touch(register, secrets, clip.id, SYSTEM.name, "destroyed: retention is over")
            await secrets.desk().destroy(clip.subject, "retention of evidence is over")
            over = msgspec.structs.replace(clip, state="failed", problem=f"Its retention was over on {now()[:10]}.")
            await asyncio.to_thread(register.put_clip, msgspec.structs.replace(over, subject=None, until=None))
            destroyed += 1
        if before is None:
            return destroyed
