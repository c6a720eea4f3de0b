"""A small receiving desk: for an agency without a system of its own, for demos and for tests.

It keeps each hand-over once by its key, answers with a reference, shows what came, and takes a person's ``accepted``,
``declined`` or ``finished``, which it tells the city until that answers, if it has a machine's key there.
"""

import asyncio
import base64
import hashlib
import hmac
import sqlite3
import threading
import time
from collections.abc import Mapping
from html import escape
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import aiohttp
import msgspec
import structlog
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from hanmaru.platform.disk import private

log = structlog.get_logger()

TOLERANCE_S: Final = 300
"""How far a hand-over's clock may be off, as the Standard Webhooks specification recommends to check."""
MOST_BYTES: Final = 256 << 10
MOST_FORM: Final = 4096
SHOWN: Final = 200
TELL_S: Final = 1.0
ELSEWHERE: Final = {"detail": "open the desk by its address, such as http://127.0.0.1:8400, or start it with --host"}
PAGE_HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
_SCHEMA = """
CREATE TABLE IF NOT EXISTS received(
  key TEXT PRIMARY KEY, at REAL NOT NULL, body BLOB NOT NULL, state TEXT NOT NULL, times INTEGER NOT NULL,
  told TEXT NOT NULL DEFAULT 'received') STRICT;
"""


class Desk:
    """What came, in one SQLite file."""

    def __init__(self, folder: Path, secret: str) -> None:
        """Open ``received.db`` in a folder; hand-overs are known by the secret."""
        path = folder / "received.db"
        private(path)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)
        self._secret, self._lock = secret.encode(), threading.Lock()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def known(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Return whether a request is signed with the secret, and lately."""
        key, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not at.isascii() or not at.isdigit() or len(at) > 12 or abs(time.time() - int(at)) > TOLERANCE_S:
            return False
        mac = hmac.new(self._secret, b"%b.%b.%b" % (key.encode(), at.encode(), body), hashlib.sha256).digest()
        wanted = f"v1,{base64.b64encode(mac).decode()}"
        return any(
            hmac.compare_digest(wanted.encode(), one.encode())
            for one in headers.get("webhook-signature", "").split(" ")
        )

    def take(self, key: str, body: bytes) -> str:
        """Keep a hand-over, once however often it comes; return its state."""
        with self._lock:
            return self._db.execute(
                "INSERT INTO received(key, at, body, state, times) VALUES(?,?,?,'received',1)"
                " ON CONFLICT(key) DO UPDATE SET times = times + 1 RETURNING state",
                (key, time.time(), body),
            ).fetchone()[0]

    def move(self, key: str, state: str) -> bool:
        """Note what a person says of a hand-over."""
        with self._lock:
            changed = self._db.execute("UPDATE received SET state = ? WHERE key = ?", (state, key))
            return changed.rowcount == 1

    def all(self) -> list[tuple[str, float, bytes, str, int]]:
        """Return what came, newest first: key, when, body, state, how often."""
        with self._lock:
            found = self._db.execute(
                "SELECT key, at, body, state, times FROM received ORDER BY at DESC LIMIT ?", (SHOWN,)
            )
            return found.fetchall()

    def untold(self) -> list[tuple[str, str]]:
        """Return what the city does not know yet: key and state."""
        with self._lock:
            found = self._db.execute("SELECT key, state FROM received WHERE state != told ORDER BY at LIMIT 100")
            return found.fetchall()

    def told(self, key: str, state: str) -> None:
        """Note that the city knows a state."""
        with self._lock:
            self._db.execute("UPDATE received SET told = ? WHERE key = ?", (state, key))


async def tell(desk: Desk, city: str, token: str) -> None:
    """Tell the city what people noted, until cancelled; what it does not answer is told again."""
    headers = {"Authorization": f"Bearer {token}"}
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
        while True:
            for key, state in await asyncio.to_thread(desk.untold):
                body = {"key": key, "state": state, "reference": reference_of(key)}
                try:
                    async with session.post(f"{city.rstrip('/')}/api/centre/v1/agencies/receipts", json=body) as answer:
                        if answer.status == 200:
                            await asyncio.to_thread(desk.told, key, state)
                            continue
                        why = f"answered {answer.status}"
                except (aiohttp.ClientError, TimeoutError) as error:
                    why = type(error).__name__
                log.warning("the city does not take a receipt; trying again", key=key, reason=why)
                break
            await asyncio.sleep(TELL_S)


def at_home(headers: Mapping[str, str], name: str) -> bool:
    """Return whether the desk was asked for by an address or by its own name, and by no page but its own.

    The desk has no login, so a page elsewhere must neither read it, by a name that it lets lead here, nor send its
    forms. An address cannot be made to lead elsewhere.
    """
    host, origin = headers.get("host", ""), headers.get("origin")
    try:
        bare = urlsplit(f"//{host}").hostname or ""
        own = bare in ("localhost", name.lower()) or bool(ip_address(bare))
    except ValueError:
        return False
    return own and origin in (None, f"http://{host}", f"https://{host}")


def application(desk: Desk, *, automatic: bool = True, name: str = "") -> Starlette:
    """Return the desk's web application. ``automatic`` answers with a receipt at once; otherwise a person accepts.

    ``name`` is the host name that people ask for it by, where it has one.
    """

    async def take(request: Request) -> Response:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MOST_BYTES:
                return JSONResponse({"detail": f"at most {MOST_BYTES} bytes"}, 413)
        if not desk.known(request.headers, body):
            return JSONResponse({"detail": "the signature is not of this agency's secret, or its time is off"}, 401)
        key = request.headers["webhook-id"]
        state = await run_in_threadpool(desk.take, key, body)
        reference = reference_of(key)
        if state == "declined":
            return JSONResponse({"state": "declined", "reference": reference})
        accepted = automatic or state in ("accepted", "finished")
        return JSONResponse({"state": "accepted" if accepted else "", "reference": reference if accepted else ""})

    async def listed(request: Request) -> Response:
        if not at_home(request.headers, name):
            return JSONResponse(ELSEWHERE, 403)
        found = await run_in_threadpool(desk.all)
        if "application/json" in request.headers.get("accept", ""):
            names = ("key", "at", "body", "state", "times")
            items = [dict(zip(names, row, strict=True)) | {"body": msgspec.json.decode(row[2])} for row in found]
            return JSONResponse({"items": items})
        return HTMLResponse(_page(found), headers=PAGE_HEADERS)

    async def moved(request: Request) -> Response:
        if not at_home(request.headers, name):
            return JSONResponse(ELSEWHERE, 403)
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MOST_FORM:
                return JSONResponse({"detail": f"at most {MOST_FORM} bytes"}, 413)
        form = parse_qs(body.decode("utf-8", "replace"))
        key, state = form.get("key", [""])[0], form.get("state", [""])[0]
        if state not in ("accepted", "declined", "finished") or not await run_in_threadpool(desk.move, key, state):
            return JSONResponse({"detail": "no such hand-over, or no such state"}, 404)
        return RedirectResponse("/", 303)

    return Starlette(routes=[Route("/hand-overs", take, methods=["POST"]), Route("/", listed),
                             Route("/state", moved, methods=["POST"])])  # fmt: skip


async def serve(desk: Desk, host: str, port: int, *, automatic: bool, city: str | None, key: str) -> None:
    """Serve the desk until it is stopped, telling ``city`` of receipts where one is given."""
    import uvicorn

    telling = asyncio.create_task(tell(desk, city, key)) if city else None
    try:
        config = uvicorn.Config(
            application(desk, automatic=automatic, name=host), host=host, port=port, log_level="warning"
        )
        await uvicorn.Server(config).serve()
    finally:
        if telling:
            telling.cancel()
            await asyncio.wait([telling])


def reference_of(key: str) -> str:
    """Return the reference that the desk gives a hand-over: always the same for the same key."""
    return hashlib.sha256(key.encode()).hexdigest()[:10].upper()


def _page(found: list[tuple[str, float, bytes, str, int]]) -> str:
    rows: list[str] = []
    for key, at, body, state, _ in found:
        document: dict[str, Any] = msgspec.json.decode(body)
        words: dict[str, str] = document.get("place") or {}
        title = document.get("title", {})
        told = escape(f"{title.get('ko', title.get('en', ''))} · {title.get('en', '')}")
        place = escape(words.get("ko", ""))
        buttons = "".join(
            f'<button name="state" value="{value}">{text}</button>'
            for value, text in (("accepted", "접수 Accept"), ("declined", "반려 Decline"), ("finished", "완료 Finish"))
        )
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
        rows.append(
            f"<tr><td>{when}<td>{escape(str(document.get('event', '')))}<td>{told}<td>{place}<td>{escape(state)}"
            f'<td><form method="post" action="/state"><input type="hidden" name="key" value="{escape(key)}">'
            f"{buttons}</form>"
        )
    return (
        '<!doctype html><html lang="ko"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        "<title>이관 접수 · Hand-overs</title><style>body{font:16px/1.5 sans-serif;margin:2rem}table{border-collapse:"
        "collapse}td,th{padding:.4rem .8rem;border-bottom:1px solid #bbb;text-align:left}</style>"
        "<h1>이관 접수 · Hand-overs</h1><table><tr><th>시각 Time<th>사건 Event<th>내용 What<th>위치 Where<th>상태 State"
        f"<th>처리 Do</tr>{''.join(rows)}</table></html>"
    )
