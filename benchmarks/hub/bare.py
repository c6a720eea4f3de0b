"""The raw ceiling: a bare ASGI endpoint that stores and fetches the same bytes in SQLite, and does nothing else.

Same server (uvicorn, uvloop, httptools), same durability (WAL, ``synchronous=FULL``, grouped commits): what lies
between this and the hub is what the broker's semantics cost. Run as ``python -m benchmarks.hub.bare PORT FILE``.
"""

import asyncio
import sys
import threading
from typing import Any

import apsw
import msgspec
import uvicorn

PAGE = 20


class Bare:
    """``POST /`` stores a JSON object or a list of them by id; ``GET /?id=`` fetches one, ``GET /`` a page of 20."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.waiting: list[tuple[list[tuple[str, bytes]], asyncio.Future[None]]] = []
        self.wake = threading.Condition()
        self.reader = self.connect()
        self.reader.execute("CREATE TABLE IF NOT EXISTS doc (id TEXT PRIMARY KEY, body BLOB) WITHOUT ROWID")
        threading.Thread(target=self.commit, daemon=True).start()

    def connect(self) -> apsw.Connection:
        connection = apsw.Connection(self.path)
        connection.set_busy_timeout(10_000)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA wal_autocheckpoint=8000")
        return connection

    def commit(self) -> None:
        writer = self.connect()
        while True:
            with self.wake:
                while not self.waiting:
                    self.wake.wait()
                group, self.waiting = self.waiting, []
            with writer:
                writer.executemany(
                    "INSERT OR REPLACE INTO doc VALUES (?,?)", [row for rows, _ in group for row in rows]
                )
            self.loop.call_soon_threadsafe(self.settle, group)

    @staticmethod
    def settle(group: list[tuple[list[tuple[str, bytes]], "asyncio.Future[None]"]]) -> None:
        for _, future in group:
            future.set_result(None)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body, status = b"", 200
        if scope["method"] == "POST":
            self.loop = asyncio.get_running_loop()
            raw = b""
            while True:
                message = await receive()
                raw += message.get("body", b"")
                if not message.get("more_body"):
                    break
            decoded = msgspec.json.decode(raw)
            items = decoded if isinstance(decoded, list) else [decoded]
            rows = [(item["id"], msgspec.json.encode(item)) for item in items]
            future = self.loop.create_future()
            with self.wake:
                self.waiting.append((rows, future))
                self.wake.notify()
            await future
            status = 201
        elif scope["query_string"]:
            id = scope["query_string"][3:].decode()
            body = self.reader.execute("SELECT body FROM doc WHERE id=?", (id,)).fetchall()[0][0]
        else:
            rows = self.reader.execute("SELECT body FROM doc LIMIT ?", (PAGE,)).fetchall()
            body = b"[" + b",".join(row[0] for row in rows) + b"]"
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    uvicorn.run(
        Bare(sys.argv[2]),
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        log_level="error",
        access_log=False,
    )
