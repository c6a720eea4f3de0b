"""Real locks for tests of a room: the built-in policies, a trail, vaults and jobs in a folder."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hanmaru.platform.audit.trail import Trail
from hanmaru.platform.handover import Handover
from hanmaru.platform.jobs import declared
from hanmaru.platform.jobs.client import Jobs
from hanmaru.platform.jobs.database import url_of
from hanmaru.platform.policy.cedar import Policy
from hanmaru.platform.trust import Locks
from hanmaru.platform.vault import Vaults


@contextmanager
def locked(folder: Path, policies: Sequence[Path] = ()) -> Generator[Locks]:
    """Give locks whose files lie in a folder for as long as the block lasts."""
    data, keys, policy = folder / "data", folder / "keys", Policy(policies)
    with Trail(data, keys, "test") as trail:
        vaults, jobs = Vaults(data, keys, trail, policy), Jobs(url_of(data, "sqlite"), declared([]))
        handover = Handover(data, vaults, trail, policy, jobs)
        try:
            yield Locks(policy, trail, vaults, jobs, handover)
        finally:
            handover.close()
            jobs.close()
            vaults.close()
