"""Running connectors: each is supervised by itself, so that a dead source never delays the others."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import aiomqtt
import structlog

from hanmaru.connectors.errors import ConnectorError
from hanmaru.connectors.http import UnavailableError, poll
from hanmaru.connectors.mqtt import subscribe
from hanmaru.connectors.schemas import Schema, TypeRegistry
from hanmaru.connectors.sources import Connector, FileWatch, HttpPoll, Mqtt
from hanmaru.connectors.status import Reporter, Status
from hanmaru.connectors.watch import watch
from hanmaru.hub.client import HubClient
from hanmaru.platform.access import Access
from hanmaru.platform.problems import Problem

log = structlog.get_logger()


async def run_connectors(
    hub: HubClient, configs: Sequence[Connector], data_dir: Path, types: Mapping[str, Schema | None] | None = None
) -> None:
    """Run connectors until cancelled; ``types`` are the services' own entity types.

    ``hub`` must be allowed to write; a connector with a ``tenant`` writes there. Raises `MappingError` at once for a
    mapping whose entity type is not known.
    """
    registry = TypeRegistry(types)
    for config in configs:
        registry.need(config.mapping.type, config.mapping.file, config.mapping.schema)
    async with asyncio.TaskGroup() as group:
        for config in configs:
            client = hub.acting(Access(tenant=config.tenant, write=True)) if config.tenant else hub
            group.create_task(_supervise(config, client, data_dir, registry), name=f"connector-{config.name}")


async def _supervise(config: Connector, hub: HubClient, data_dir: Path, registry: TypeRegistry) -> None:
    """Run one connector; whatever ends it, wait (longer each time it fails again) and start it again."""
    path = data_dir / "connectors" / "status" / f"{config.name}.json"
    report = Reporter(Status(config.name, config.kind, config.mapping.name), hub, path)
    await report.publish(force=True)
    while True:
        asked: float | None = None
        try:
            await _run(config, hub, data_dir, registry, report)
        except (ConnectorError, aiomqtt.MqttError, Problem, OSError) as error:
            asked = error.retry_after_s if isinstance(error, UnavailableError) else None
            await report.failure(str(error) or type(error).__name__)
            log.warning("connector.failed", connector=config.name, kind=config.kind, error=str(error))
        except Exception as error:
            await report.failure(f"{type(error).__name__}: {error}")
            log.exception("connector.crashed", connector=config.name, kind=config.kind)
        await asyncio.sleep(pause_s(config, report.failures, asked))


async def _run(config: Connector, hub: HubClient, data_dir: Path, registry: TypeRegistry, report: Reporter) -> None:
    if isinstance(config, FileWatch):
        await watch(config, hub, data_dir, registry, report)
    elif isinstance(config, HttpPoll):
        await poll(config, hub, data_dir, registry, report)
    elif isinstance(config, Mqtt):
        await subscribe(config, hub, data_dir, registry, report)


def pause_s(config: Connector, failures: int, asked: float | None = None) -> float:
    """Return how long to wait after the n-th failure in a row: doubling up to ``backoff_max_s``, spread by a quarter.

    What the source asked for (Retry-After) counts when it is longer, also up to that maximum.
    """
    growing = config.backoff_s * 2 ** min(max(failures - 1, 0), 30)
    chosen = min(max(growing, asked or 0.0), config.backoff_max_s)
    return chosen * random.uniform(0.75, 1.0) if asked is None else chosen  # noqa: S311 - spreads load, no secret
