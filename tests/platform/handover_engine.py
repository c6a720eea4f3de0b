"""An engine that carries hand-overs out: ``python handover_engine.py FOLDER`` runs until it is killed.

With a file ``die-before-put`` in the folder it kills itself once, in the middle of a delivery.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from hanmaru.platform import logs
from hanmaru.platform.audit.trail import Trail
from hanmaru.platform.handover import ROOM, WORKFLOWS, Handover
from hanmaru.platform.jobs import declared
from hanmaru.platform.jobs.client import Jobs
from hanmaru.platform.jobs.database import url_of
from hanmaru.platform.policy.cedar import Policy
from hanmaru.platform.vault import Vaults

POLICY = """
@id("investigators-ask")
permit (principal in Role::"investigator", action in [Action::"handover.request", Action::"vault.read"],
  resource == Vault::"trace")
when { context.purpose == "investigation of a cluster" };

@id("rides-own-room")
permit (principal in Role::"dispatcher", action in [Action::"vault.read", Action::"vault.write"],
  resource == Vault::"ride");

@id("ride-decides")
permit (principal in Role::"ride-officer", action == Action::"handover.approve", resource == Vault::"ride");

@id("officers-destroy")
permit (principal in Role::"ride-officer", action == Action::"vault.destroy", resource == Vault::"ride");
"""


def url(folder: Path) -> str:
    """Return where the test's jobs are kept."""
    return url_of(folder / "data", "sqlite")


@asynccontextmanager
async def opened(folder: Path, chain: str = "test") -> AsyncGenerator[Handover]:
    """Open hand-over in a folder as a worker does: real policy, trail, vaults and jobs."""
    data, keys, policies = folder / "data", folder / "keys", folder / "policies"
    policies.mkdir(exist_ok=True)
    if not (policies / "rooms.cedar").exists():
        (policies / "rooms.cedar").write_text(POLICY)
    policy = Policy([policies])
    with Trail(data, keys, chain) as audit:
        vaults = await asyncio.to_thread(Vaults, data, keys, audit, policy)
        jobs = Jobs(url(folder), declared([(ROOM, WORKFLOWS, ())]))
        handover = Handover(data, vaults, audit, policy, jobs)
        try:
            yield handover
        finally:
            handover.close()
            jobs.close()
            vaults.close()


async def main(folder: Path) -> None:
    """Run the engine."""
    from hanmaru.platform.jobs.engine import run_jobs
    from hanmaru.platform.vault.desk import Desk

    put_many = Desk.put_many

    async def put_or_die(self: Desk, records: object) -> None:
        if (folder / "die-before-put").exists():
            (folder / "die-before-put").unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        await put_many(self, records)  # type: ignore[arg-type]
        if (folder / "die-after-put").exists():
            (folder / "die-after-put").unlink()
            os.kill(os.getpid(), signal.SIGKILL)

    Desk.put_many = put_or_die  # type: ignore[method-assign, assignment]
    async with opened(folder, "engine") as handover:
        await run_jobs(url(folder), handover.jobs, lambda _room: handover)


if __name__ == "__main__":
    logs.set_up("engine", format="json")
    asyncio.run(main(Path(sys.argv[1])))
