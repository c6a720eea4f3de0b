"""What a room is given to handle what is not everybody's: policy, audit, its vault, its jobs, and hand-over."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hanmaru.platform.audit.record import Audit
from hanmaru.platform.policy import Policy

if TYPE_CHECKING:
    from hanmaru.platform.handover import Handover, RoomHandover
    from hanmaru.platform.jobs.client import Jobs, RoomJobs
    from hanmaru.platform.vault import Vault, Vaults


@dataclass(frozen=True, slots=True)
class Trust:
    """One room's share."""

    policy: Policy
    audit: Audit
    vault: "Vault"
    jobs: "RoomJobs"
    handover: "RoomHandover"


@dataclass(frozen=True, slots=True)
class Locks:
    """The whole house's, of which `of` gives a room its own."""

    policy: Policy
    audit: Audit
    vaults: "Vaults"
    jobs: "Jobs"
    handover: "Handover"

    def of(self, room: str) -> Trust:
        """Return a room's share."""
        rooms = self.vaults.room(room), self.jobs.room(room), self.handover.room(room)
        return Trust(self.policy, self.audit, *rooms)
