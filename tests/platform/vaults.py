"""Vaults for tests: an audit trail kept in memory and policies that say yes, or yes to some."""

from dataclasses import dataclass, field
from pathlib import Path

from hanmaru.platform.audit.record import Record
from hanmaru.platform.policy import Caller
from hanmaru.platform.policy.cedar import Decision
from hanmaru.platform.vault import Vaults


@dataclass
class Kept:
    """An audit trail in memory, whose disk may be full."""

    records: list[Record] = field(default_factory=list)
    broken: bool = False

    def record(self, record: Record) -> None:
        """Append a record."""
        if self.broken:
            raise OSError("disk full")
        self.records.append(record)

    async def commit(self, record: Record) -> None:
        """Append a record."""
        self.record(record)


class Only:
    """A policy that permits some actions."""

    def __init__(self, *actions: str) -> None:
        """Name the actions."""
        self.actions = actions

    def decide(
        self, caller: Caller, action: str, resource: str = "", *, tenant: str = "", purpose: str = ""
    ) -> Decision:
        """Return whether the action is one of them."""
        return Decision(action in self.actions)


ALLOW = Only("vault.read", "vault.write", "vault.find", "vault.destroy")


def opened(folder: Path) -> Vaults:
    """Return the vaults of a test's folder."""
    return Vaults(folder / "data", folder / "keys", Kept(), ALLOW)
