"""MQTT: messages become rows, and are acknowledged only once the hub has them on disk."""

import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import aiomqtt
import msgspec

from hanmaru.connectors.checkpoint import CheckpointFile
from hanmaru.connectors.ingest import Batch, Summary, render_now, take_row, write_batch
from hanmaru.connectors.quarantine import Quarantine
from hanmaru.connectors.readers import Damaged, Position, look_up
from hanmaru.connectors.rows import Row, RowMapper
from hanmaru.connectors.schemas import TypeRegistry
from hanmaru.connectors.sources import Mqtt, topic_filter
from hanmaru.connectors.status import Reporter
from hanmaru.connectors.writer import HubWriter
from hanmaru.hub.client import HubClient

_BATCH = 500


class AckingClient(aiomqtt.Client):
    """aiomqtt's client, except that a message of QoS 1 is acknowledged when `ack` is called and not on arrival."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """Take what aiomqtt's client takes."""
        super().__init__(*args, **options)
        self._client.manual_ack_set(True)

    def ack(self, message: aiomqtt.Message) -> None:
        """Tell the broker that a message need not be sent again."""
        self._client.ack(message.mid, message.qos)


async def subscribe(config: Mqtt, hub: HubClient, data_dir: Path, registry: TypeRegistry, report: Reporter) -> None:
    """Take messages until cancelled; raises aiomqtt.MqttError when the connection is lost.

    The session is kept by the broker under a fixed client id, so what is published while nobody listens is not lost.
    """
    mapping = config.mapping
    store = CheckpointFile(data_dir, f"mqtt://{config.host}:{config.port}/{config.name}", mapping.name, config.tenant)
    topics = [topic_filter(topic) for topic in config.topics]
    columns = mapping.columns()
    with store.locked():
        mapper = RowMapper(mapping, columns, registry.need(mapping.type, mapping.file, mapping.schema))
        size = store.quarantine.stat().st_size if store.quarantine.exists() else 0
        quarantine = Quarantine(store.quarantine, size)
        writer = HubWriter(hub, mapping.type, series=mapping.mode == "series")
        async with AckingClient(
            config.host,
            config.port,
            username=config.username,
            password=config.password,
            identifier=config.client_id or f"hanmaru-{config.name}",
            clean_session=False,
            tls_context=ssl.create_default_context() if config.tls else None,
        ) as client:
            await client.subscribe([(filter, config.qos) for filter, _ in topics])
            await report.success(state="waiting")
            while True:
                messages = await _gather(client)
                mapper.received = render_now()
                batch = Batch(Position(), 0.0)
                for message in messages:
                    for row in rows_of(message.topic.value, message.payload, topics, columns):
                        batch.rows += 1
                        take_row(row, None, mapper, batch)
                summary = Summary(config.name, mapping.name)
                await write_batch(batch, writer, quarantine, summary, rotating=True)
                for message in messages:
                    client.ack(message)
                await report.success(summary.rows, summary.values, summary.quarantined)


async def _gather(client: AckingClient) -> list[aiomqtt.Message]:
    """Wait for one message and take those that have arrived with it."""
    messages = [await anext(client.messages)]
    while len(client.messages) and len(messages) < _BATCH:
        messages.append(await anext(client.messages))
    return messages


def rows_of(
    topic: str, payload: object, topics: Sequence[tuple[str, dict[int, str]]], columns: Sequence[str]
) -> list[Row | Damaged]:
    """Return the rows of a message: one for a JSON object, one for each of an array of them.

    Anything else, such as a bare number, is the column ``payload``. ``topic`` is the whole topic, ``topic.<name>`` one
    of its levels.
    """
    data = bytes(payload) if isinstance(payload, bytes | bytearray) else str(payload).encode()
    levels = topic.split("/")
    fields: dict[str, object] = {"topic": topic}
    for filter, names in topics:
        if aiomqtt.Topic(topic).matches(filter):
            fields |= {f"topic.{name}": levels[i] for i, name in names.items()}
            break
    try:
        content: object = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        try:
            content = data.decode()
        except UnicodeDecodeError:
            return [
                Damaged("the payload is neither JSON nor UTF-8 text", {"topic": topic, "payload": repr(data[:500])})
            ]
    records = cast("list[object]", content) if isinstance(content, list) else [content]
    rows: list[Row | Damaged] = []
    for record in records:
        whole = cast("dict[str, object]", record) if isinstance(record, dict) else {"payload": record}
        merged = {**whole, **fields}
        rows.append([look_up(merged, column) for column in columns])
    return rows
