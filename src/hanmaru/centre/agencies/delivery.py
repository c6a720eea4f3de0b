"""Hand-overs on their way: each is sent, signed, until the agency answers, and what it answers is the receipt.

What is to be sent lies in ``events.db`` since the step that asked for it; what is sent is frozen there before the first
attempt, so that each attempt, also after ``kill -9``, sends the same bytes with the same key. Signed as the Standard
Webhooks specification has it: HMAC-SHA256 of ``<webhook-id>.<webhook-timestamp>.<body>``.
"""

import asyncio
import base64
import hashlib
import hmac
import time
from typing import Any, Final

import aiohttp
import msgspec
import structlog

from hanmaru.centre.agencies.register import Agency, Register, of_kind
from hanmaru.centre.domain import CentreError
from hanmaru.centre.events import rows, shapes
from hanmaru.centre.events.book import Book
from hanmaru.centre.events.folding import point_of
from hanmaru.centre.events.model import Event
from hanmaru.centre.procedures.model import Order, Receipt, Standing
from hanmaru.hub.client import HubClient, Query
from hanmaru.platform.egress import Egress
from hanmaru.platform.problems import Problem
from hanmaru.platform.sender import MAX_ANSWER, reason_of, verdict

log = structlog.get_logger()

TIMEOUT_S: Final = 10.0
LEASE_S: Final = 30.0
"""For how long a hand-over is one sender's: longer than an attempt can take."""
BACKOFF_S: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
"""Waits between attempts; the last one from then on. An emergency does not wait longer."""
AT_ONCE: Final = 16
CAMERAS: Final = 4
NEAR_M: Final = 500.0
"""How many cameras how near to an event are named in a hand-over that includes cameras."""


class Answer(msgspec.Struct):
    """What an agency answers, at once or later by ``POST /agencies/receipts``."""

    state: str = ""
    reference: str = ""
    text: str = ""


class Delivery:
    """What sends hand-overs, in one process."""

    def __init__(self, book: Book, register: Register, hub: HubClient, egress: Egress) -> None:
        """Send what the book keeps; ``egress`` says to which addresses that may be."""
        self._book, self._register, self._hub = book, register, hub
        self._session = aiohttp.ClientSession(
            connector=egress.connector(limit=AT_ONCE), cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
        )
        self._going: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """End what is on its way; it is sent again at the next start."""
        for task in self._going:
            task.cancel()
        await asyncio.gather(*self._going, return_exceptions=True)
        await self._session.close()

    async def send_due(self) -> None:
        """Begin to send what is due, at most `AT_ONCE` at a time."""
        if (free := AT_ONCE - len(self._going)) <= 0:
            return

        def claim(db: rows.Db) -> list[str]:
            now = time.time()
            found = db.execute("SELECT key FROM handover WHERE due <= ? ORDER BY due LIMIT ?", (now, free)).fetchall()
            for (key,) in found:
                db.execute("UPDATE handover SET due = ? WHERE key = ?", (now + LEASE_S, key))
            return [key for (key,) in found]

        if not await self._book.read(
            lambda db: db.execute("SELECT 1 FROM handover WHERE due <= ? LIMIT 1", (time.time(),)).fetchone()
        ):
            return
        for key in await self._book.write(claim):
            task = asyncio.create_task(self._send(key))
            self._going.add(task)
            task.add_done_callback(self._going.discard)

    async def _send(self, key: str) -> None:
        try:
            await self._attempt(key)
        except Exception as error:  # the lease ends, and it is tried again
            log.warning("a hand-over could not be tried", key=key, reason=type(error).__name__)

    async def _attempt(self, key: str) -> None:
        found = await self._book.read(lambda db: _found(db, key))
        if found is None:
            return
        event, order, agency, body, attempts = found
        if agency is None:
            text = f"no agency of the kind {order.to} is registered: a supervisor adds one under agencies"
            await self._book.receipt(Receipt(key, order.to, "refused", time.time(), attempts, "", text), None)
            return
        attempts += 1
        if body is None:
            body = await self._frozen(key, event, order, agency)
        else:
            await self._book.write(
                lambda db: db.execute("UPDATE handover SET agency = ? WHERE key = ?", (agency.id, key))
            )
        state, answer, wait_s = await self._post(key, agency, body, attempts)
        receipt = Receipt(key, agency.id, state, time.time(), attempts, answer.reference, answer.text)
        await self._book.receipt(receipt, time.time() + wait_s if state == "queued" else None)

    async def _frozen(self, key: str, event: Event, order: Order, agency: Agency) -> bytes:
        """Return what is sent, kept before it is sent the first time."""
        cameras = await self._cameras(event) if "cameras" in order.include else None
        body = msgspec.json.encode(document(key, event, order, cameras))

        def work(db: rows.Db) -> bytes:
            db.execute(
                "UPDATE handover SET body = ?, agency = ? WHERE key = ? AND body IS NULL", (body, agency.id, key)
            )
            return db.execute("SELECT body FROM handover WHERE key = ?", (key,)).fetchone()[0]

        return await self._book.write(work)

    async def _cameras(self, event: Event) -> list[dict[str, Any]]:
        """Return the cameras near an event: what and where they are, never a picture."""
        if (point := point_of(event.location)) is None:
            return []
        query = Query(type="Camera", near=(*point, NEAR_M), limit=CAMERAS)
        return [
            {name: one.get(name) for name in ("id", "name", "location")}
            | {"view": f"/cctv?camera={one['id']}&event={event.id}"}
            for one in await self._hub.query(query, simplified=True)
        ]

    async def _post(self, key: str, agency: Agency, body: bytes, attempts: int) -> tuple[Standing, Answer, float]:
        wait_s = BACKOFF_S[min(attempts, len(BACKOFF_S)) - 1]
        try:
            secret = await self._register.secret(agency)
            headers = {"Content-Type": "application/json", "User-Agent": "Hanmaru", **signed(secret, key, body)}
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
            async with self._session.post(
                agency.endpoint, data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                raw = await response.content.read(MAX_ANSWER)
                outcome = verdict(response.status, response.headers.get("Retry-After", ""))
                status = response.status
        except (CentreError, Problem) as error:
            return "queued", Answer(text=str(error)[:300]), BACKOFF_S[-1]
        except Exception as error:
            return "queued", Answer(text=reason_of(error, agency.endpoint, TIMEOUT_S)), wait_s
        if outcome.verdict == "failed":
            return "queued", Answer(text=outcome.reason), max(wait_s, min(outcome.wait_s, 300.0))
        if outcome.verdict == "refused":
            return "refused", Answer(text=outcome.reason), 0.0
        answer = _answer(raw)
        if answer.state == "accepted" or answer.state == "declined":
            return answer.state, answer, 0.0
        return ("sent" if status == 202 or not answer.reference else "accepted"), answer, 0.0


def _answer(raw: bytes) -> Answer:
    try:
        found = msgspec.json.decode(raw, type=Answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Answer()
    return Answer(found.state, plain(found.reference, 100), plain(found.text, 500))


def plain(text: str, most: int) -> str:
    """Return another's text without what does not print, at most so long."""
    return "".join(c for c in text if c.isprintable())[:most]


def document(key: str, event: Event, order: Order, cameras: list[dict[str, Any]] | None) -> dict[str, Any]:
    """Return what an agency is sent: the event without anybody's name, and what the step includes."""
    sent: dict[str, Any] = {
        "key": key,
        "event": event.number,
        "category": event.category,
        "severity": event.severity,
        "title": dict(event.title),
        "opened": shapes.instant(event.opened),
        "message": dict(order.text),
    }
    if "location" in order.include:
        sent |= {"location": event.location, "place": event.place}
    if "values" in order.include:
        sent["values"] = dict(event.values)
    if "entities" in order.include:
        sent["entities"] = list(event.entities)
    if cameras is not None:
        sent |= {"cameras": cameras, "basis": dict(order.basis)}
    return sent


def signed(secret: str, key: str, body: bytes, at: int | None = None) -> dict[str, str]:
    """Return the headers that say what this is and that it is the city's (Standard Webhooks, ``v1``)."""
    at = int(time.time()) if at is None else at
    mac = hmac.new(secret.encode(), b"%b.%d.%b" % (key.encode(), at, body), hashlib.sha256).digest()
    return {
        "Webhook-Id": key,
        "Webhook-Timestamp": str(at),
        "Webhook-Signature": f"v1,{base64.b64encode(mac).decode()}",
        "Idempotency-Key": key,
    }


_orders = msgspec.json.Decoder(Order)


def _found(db: rows.Db, key: str) -> tuple[Event, Order, Agency | None, bytes | None, int] | None:
    row = db.execute("SELECT event, spec, body, attempts, state FROM handover WHERE key = ?", (key,)).fetchone()
    if row is None or row[4] != "queued":
        return None
    order = _orders.decode(row[1])
    return rows.event(db, row[0]), order, of_kind(db, order.to), row[2], row[3]
