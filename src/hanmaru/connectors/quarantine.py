"""Quarantine: the rows that could not become entities, as JSON lines with row number and reason; bounded."""

import os
from pathlib import Path
from typing import Any

import msgspec

LIMIT_BYTES = 16 << 20
"""Of a source's quarantine file; rows beyond it are counted, no longer kept."""
_RAW_LIMIT = 4000


def entry(row: int | None, reason: str, raw: object, column: str | None = None) -> dict[str, Any]:
    """Return one line's content; a raw row of over 4,000 characters is cut."""
    found: dict[str, Any] = {"row": row} if row is not None else {}
    if column is not None:
        found["column"] = column
    return found | {"reason": reason, "raw": raw}


class Quarantine:
    """Appends to one source's file; ``size`` is its length, kept in the checkpoint so that a rerun repeats no line."""

    def __init__(self, path: Path, size: int = 0, count: int = 0, limit: int = LIMIT_BYTES) -> None:
        """Continue at ``size`` bytes, dropping what lies behind them."""
        self.path, self.size, self.count, self._limit = path, size, count, limit
        if path.exists() and path.stat().st_size != size:
            os.truncate(path, min(size, path.stat().st_size))
            self.size = path.stat().st_size

    def add(self, entries: list[dict[str, Any]]) -> None:
        """Append entries and put them on disk; beyond the limit only count them."""
        self.count += len(entries)
        lines = b"".join(_line(e) for e in entries) if self.size < self._limit else b""
        if not lines:
            return
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # raw rows may hold what nobody else should see
        with self.path.open("ab") as out:
            out.write(lines)
            out.flush()
            os.fsync(out.fileno())
        self.size += len(lines)

    def add_rotating(self, entries: list[dict[str, Any]]) -> None:
        """Append entries of a source without an end: a full file is kept as ``.old`` and a new one begun."""
        if entries and self.size >= self._limit:
            self.path.replace(self.path.with_suffix(".old.jsonl"))
            self.size = 0
        self.add(entries)


def _line(found: dict[str, Any]) -> bytes:
    try:
        line = msgspec.json.encode(found, enc_hook=repr)
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError):
        line = b""
    if not line or len(line) > _RAW_LIMIT + 1000:
        cut = ascii(found["raw"])[:_RAW_LIMIT]
        line = msgspec.json.encode({**found, "reason": ascii(found["reason"])[:400], "raw": cut})
    return line + b"\n"
