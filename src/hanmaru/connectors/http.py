"""Polling a URL: only what changed is taken, known by ETag, Last-Modified or else the body's hash."""

import asyncio
import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import aiohttp

from hanmaru.connectors.checkpoint import Checkpoint, CheckpointFile
from hanmaru.connectors.errors import ConnectorError
from hanmaru.connectors.ingest import Summary, batches, opened, render_now, write_batch
from hanmaru.connectors.mapping import Format, Mapping
from hanmaru.connectors.quarantine import Quarantine
from hanmaru.connectors.readers import open_reader
from hanmaru.connectors.rows import RowMapper
from hanmaru.connectors.schemas import TypeRegistry
from hanmaru.connectors.sources import HttpPoll
from hanmaru.connectors.status import Reporter
from hanmaru.connectors.writer import HubWriter
from hanmaru.hub.client import HubClient

_TYPES: dict[str, Format] = {
    "text/csv": "csv",
    "application/geo+json": "geojson",
    "application/x-ndjson": "jsonl",
    "application/jsonl": "jsonl",
    "application/json": "json",
    "application/vnd.apache.parquet": "parquet",
}


class UnavailableError(ConnectorError):
    """The source did not answer as it should; ``retry_after_s`` is what it asked to wait, if it did."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        """Say what happened."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


async def poll(config: HttpPoll, hub: HubClient, data_dir: Path, registry: TypeRegistry, report: Reporter) -> None:
    """Poll until cancelled. Raises `UnavailableError` when the source fails; the supervisor waits and starts again."""
    store = CheckpointFile(data_dir, config.url, config.mapping.name, config.tenant)
    with store.locked():
        timeout = aiohttp.ClientTimeout(total=config.timeout_s)
        async with aiohttp.ClientSession(timeout=timeout, headers=dict(config.headers)) as session:
            while True:
                done = await poll_once(config, session, store, hub, registry)
                await report.success(done.rows, done.values, done.quarantined)
                await asyncio.sleep(config.interval_s)


async def poll_once(
    config: HttpPoll, session: aiohttp.ClientSession, store: CheckpointFile, hub: HubClient, registry: TypeRegistry
) -> Summary:
    """Ask once, take what is new, save the checkpoint."""
    kept = await asyncio.to_thread(store.load)
    if kept is None or kept.digest != config.mapping.digest:
        kept = Checkpoint(source=config.name, digest=config.mapping.digest)
    summary = Summary(config.name, config.mapping.name)
    spool = store.path.with_suffix(".body")
    headers = {k: v for k, v in (("If-None-Match", kept.etag), ("If-Modified-Since", kept.modified)) if v}
    where = shown_url(config.url)
    try:
        try:
            # Not followed: the configured headers, a key perhaps, are for the address that was configured.
            async with session.get(config.url, headers=headers, allow_redirects=False) as answer:
                if answer.status == 304:
                    return summary
                if "Location" in answer.headers and 300 <= answer.status < 400:
                    to = shown_url(urljoin(config.url, answer.headers["Location"]))
                    raise UnavailableError(f"{where} answered {answer.status}: it is at {to}; configure that address")
                if answer.status != 200:
                    raise UnavailableError(f"{where} answered {answer.status} {answer.reason}", _retry_after(answer))
                hash_ = await _download(answer, spool, config.max_bytes, where)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise UnavailableError(f"{where}: {str(error) or type(error).__name__}") from None
        quarantine = Quarantine(store.quarantine, kept.quarantine_bytes, kept.quarantined)
        if hash_ != kept.body:
            mapping = _with_format(config.mapping, answer.content_type, urlsplit(config.url).path)
            await _take(mapping, spool, hub, registry, quarantine, summary)
    finally:
        spool.unlink(missing_ok=True)
    checkpoint = Checkpoint(
        source=config.name,
        digest=config.mapping.digest,
        quarantine_bytes=quarantine.size,
        quarantined=quarantine.count,
        rows=kept.rows + summary.rows,
        values=kept.values + summary.values,
        etag=answer.headers.get("ETag", ""),
        modified=answer.headers.get("Last-Modified", ""),
        body=hash_,
    )
    await asyncio.to_thread(store.save, checkpoint)
    return summary


async def _download(answer: aiohttp.ClientResponse, spool: Path, max_bytes: int, where: str) -> str:
    """Write the body to a file, so that its size never matters for memory, and return its hash."""
    digest, size = hashlib.sha256(), 0
    with spool.open("wb") as out:
        async for chunk in answer.content.iter_chunked(1 << 16):
            size += len(chunk)
            if size > max_bytes:
                raise UnavailableError(
                    f"{where} answered more than {max_bytes:,} bytes; raise max_bytes if that is right"
                )
            digest.update(chunk)
            out.write(chunk)
    return digest.hexdigest()


async def _take(
    mapping: Mapping, body: Path, hub: HubClient, registry: TypeRegistry, quarantine: Quarantine, summary: Summary
) -> None:
    reader = await opened(lambda: open_reader(body, mapping), lambda reader: reader.close())
    try:
        type_ = registry.need(mapping.type, mapping.file, mapping.schema)
        mapper = RowMapper(mapping, reader.columns, type_, render_now())
        writer = HubWriter(hub, mapping.type, series=mapping.mode == "series")
        source = batches(reader, mapper)
        while (batch := await asyncio.to_thread(next, source, None)) is not None:
            await write_batch(batch, writer, quarantine, summary)
    finally:
        reader.close()


def _with_format(mapping: Mapping, content_type: str, path: str) -> Mapping:
    if mapping.source.format:
        return mapping
    ending = {"csv": "csv", "geojson": "geojson", "jsonl": "jsonl", "ndjson": "jsonl", "parquet": "parquet"}
    found: Format | None = _TYPES.get(content_type)
    by_name = ending.get(path.rpartition(".")[2].lower())
    return replace(mapping, source=replace(mapping.source, format=by_name or found or "json"))


def _retry_after(answer: aiohttp.ClientResponse) -> float | None:
    text = answer.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()) if text else None
    except (ValueError, TypeError):
        return None


def shown_url(url: str) -> str:
    """Return a URL as logs and status may show it: without its query and user information, where keys are put."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"
