"""A demo city's agencies, with a real receiving desk on this machine, and a first alarm for its operators."""

import asyncio
import contextlib
import secrets
import socket
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from hanmaru.centre.agencies.register import AgencyKind, Draft, Register
from hanmaru.centre.domain import Text
from hanmaru.centre.events.opening import book
from hanmaru.hub.client import HubClient, JsonObject
from hanmaru.platform.disk import write_once
from hanmaru.platform.services import Context

log = structlog.get_logger()

AGENCIES: tuple[tuple[str, AgencyKind, Text], ...] = (
    ("police", "police", {"en": "Police control room (demo)", "ko": "경찰 112 상황실 (데모)"}),
    ("fire", "fire", {"en": "Fire control room (demo)", "ko": "소방 119 상황실 (데모)"}),
    ("disaster", "disaster", {"en": "Disaster headquarters (demo)", "ko": "재난안전대책본부 (데모)"}),
    ("construction", "construction", {"en": "Construction authority (demo)", "ko": "건설 감독관청 (데모)"}),
)
FIRST_ALARM_S = 30
"""How long after the first start the construction site calls: the rules are there by then."""


async def run(context: Context[HubClient]) -> None:
    """Keep the desk running and the agencies registered until cancelled; raise the first alarm once."""
    folder = context.data_dir / "demo-agency"
    folder.mkdir(parents=True, exist_ok=True)
    secret = folder / "secret"
    write_once(secret, secrets.token_hex(32).encode())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    main = "from hanmaru.cli import main; main()"
    desk = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", main, "centre", "agency", str(folder), "--port", str(port)),
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        await _register(context, f"http://127.0.0.1:{port}/hand-overs", secret.read_text("ascii").strip())
        log.info("demo agencies are ready", agencies=len(AGENCIES), desk=f"http://127.0.0.1:{port}/")
        told = folder / "alarm"
        if not told.exists():
            await asyncio.sleep(FIRST_ALARM_S)
            await context.hub.upsert([alarm(context, datetime.now(UTC))])
            told.touch()
        await desk.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            desk.terminate()
        await desk.wait()


async def _register(context: Context[HubClient], endpoint: str, secret: str) -> None:
    open_ = await asyncio.to_thread(book, context)
    try:
        register = Register(open_, context.trust.vault)
        for id, kind, name in AGENCIES:
            draft = Draft(name=dict(name), kind=kind, endpoint=endpoint, secret=secret)
            await register.put(id, draft, "system:demo", new=False)
    finally:
        await open_.close()


def site(city: Mapping[str, Any]) -> tuple[float, float]:
    """Return where the building site lies that calls, WGS 84 longitude and latitude."""
    lon, lat = city["centre"]
    return lon + 0.004, lat + 0.006


def alarm(context: Context[HubClient], now: datetime) -> JsonObject:
    """Return what a construction site's own system would write: somebody pressed its alarm."""
    name = {"en": "Alarm pressed at a building site", "ko": "건설현장 비상벨 호출"}
    return {
        "id": f"urn:ngsi-ld:Alert:{context.city['id']}:building-site",
        "type": "Alert",
        "name": {"type": "LanguageProperty", "languageMap": name},
        "category": {"type": "Property", "value": "construction"},
        "subCategory": {"type": "Property", "value": "safety"},
        "severity": {"type": "Property", "value": "high"},
        "dateIssued": {"type": "Property", "value": now.isoformat(timespec="seconds").replace("+00:00", "Z")},
        "validTo": {
            "type": "Property",
            "value": (now + timedelta(hours=2)).isoformat(timespec="seconds").replace("+00:00", "Z"),
        },
        "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [*site(context.city)]}},
    }
