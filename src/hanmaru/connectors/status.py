"""How each connector fares: a small JSON file and a ``DataSource`` entity in the hub, for the operator."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import structlog

from hanmaru.connectors.ingest import render_now
from hanmaru.hub.client import HubClient
from hanmaru.platform.disk import replace

log = structlog.get_logger()

State = Literal["starting", "working", "waiting", "failing"]
_EVERY_S = 60.0
_FILE_EVERY_S = 1.0


class Status(msgspec.Struct):
    """What is known of one connector; counts are since the process started. Times are UTC."""

    name: str
    kind: str
    mapping: str
    status: State = "starting"
    last_success: str | None = None
    last_error: str | None = None
    last_error_at: str | None = None
    rows: int = 0
    values: int = 0
    quarantined: int = 0


@dataclass
class Reporter:
    """Keeps one connector's `Status` and publishes it."""

    status: Status
    hub: HubClient
    path: Path
    failures: int = 0
    _published: float = 0.0
    _written: float = 0.0
    _state: str = ""

    async def success(self, rows: int = 0, values: int = 0, quarantined: int = 0, *, state: State = "working") -> None:
        """Note that the source answered and its data is on disk."""
        self.failures = 0
        s = self.status
        s.status, s.last_success = state, render_now()
        s.rows, s.values, s.quarantined = s.rows + rows, s.values + values, s.quarantined + quarantined
        await self.publish()

    async def failure(self, error: str) -> None:
        """Note that the source could not be read."""
        self.failures += 1
        s = self.status
        s.status, s.last_error, s.last_error_at = "failing", error[:500], render_now()
        await self.publish()

    async def publish(self, *, force: bool = False) -> None:
        """Write the file (once a second) and the entity (once a minute), both at once when the state changed.

        A hub that fails is only logged.
        """
        now = time.monotonic()
        changed = force or self._state != self.status.status
        try:
            if changed or now - self._written >= _FILE_EVERY_S:
                self._written = now
                await asyncio.to_thread(replace, self.path, msgspec.json.encode(self.status))
            if not changed and now - self._published < _EVERY_S:
                return
            self._state, self._published = self.status.status, now
            result = await self.hub.upsert([self.entity()])
            for failure in result.failures:
                log.warning("connector.status_refused", connector=self.status.name, reason=failure.detail)
        except Exception as error:
            log.warning("connector.status_unwritten", connector=self.status.name, error=str(error))

    def entity(self) -> dict[str, Any]:
        """Return the ``DataSource`` entity."""
        s, now = self.status, render_now()
        observed = {"status": s.status, "rows": s.rows, "values": s.values, "quarantined": s.quarantined}
        observed |= {"lastSuccess": s.last_success} if s.last_success else {}
        observed |= {"lastError": s.last_error} if s.last_error else {}
        fixed = {"name": s.name, "kind": s.kind, "mapping": s.mapping}
        return {
            "id": f"urn:ngsi-ld:DataSource:{s.name}",
            "type": "DataSource",
            **{k: {"type": "Property", "value": v} for k, v in fixed.items()},
            **{k: {"type": "Property", "value": v, "observedAt": now} for k, v in observed.items()},
        }


def read_statuses(data_dir: Path) -> list[Status]:
    """Return the status of every connector that ever ran on a data folder, by name."""
    folder = data_dir / "connectors" / "status"
    found: list[Status] = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(msgspec.json.decode(path.read_bytes(), type=Status))
        except (OSError, msgspec.MsgspecError):
            continue
    return found
