"""The register of cameras, grants, clips and counts: ``cctv.db`` in the room's folder. Blocks: call it from a thread.

No picture, no address and no password lies here: addresses are in the room's vault, recordings in sealed files.
"""

import math
import secrets
import threading
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import apsw
import msgspec

from hanmaru.centre.cctv.shapes import Clip, Counts, Custody, Grant, Settings
from hanmaru.centre.domain import CentreError
from hanmaru.platform.disk import private

FILE = "cctv.db"
MOST_CAMERAS = 5000
KEEP_COUNTS_DAYS = 30
WAIT_MS = 15_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS fact(name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS camera(id TEXT PRIMARY KEY, entity TEXT NOT NULL, settings TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS grant_(
  id TEXT PRIMARY KEY, camera TEXT NOT NULL, until TEXT NOT NULL, body TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS grant_camera ON grant_(camera, until);
CREATE TABLE IF NOT EXISTS day(
  camera TEXT NOT NULL, day TEXT NOT NULL, subject TEXT NOT NULL, PRIMARY KEY(camera, day)) STRICT;
CREATE TABLE IF NOT EXISTS segment(
  camera TEXT NOT NULL, start REAL NOT NULL, end REAL NOT NULL, day TEXT NOT NULL, file TEXT NOT NULL,
  bytes INTEGER NOT NULL, PRIMARY KEY(camera, start)) STRICT;
CREATE TABLE IF NOT EXISTS clip(seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, state TEXT NOT NULL,
  camera TEXT NOT NULL, event TEXT NOT NULL, body TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS clip_state ON clip(state);
CREATE TABLE IF NOT EXISTS custody(
  clip TEXT NOT NULL, seq INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY(clip, seq)) STRICT;
CREATE TABLE IF NOT EXISTS count(
  camera TEXT NOT NULL, place TEXT NOT NULL, kind TEXT NOT NULL, at TEXT NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY(camera, at, place, kind)) STRICT;
"""


class Segment(msgspec.Struct, frozen=True):
    """A sealed piece of recording: Unix seconds from and to, the day whose key sealed it, its file's name."""

    camera: str
    start: float
    end: float
    day: str
    file: str
    bytes: int


def now() -> str:
    """Return this instant, RFC 3339 in UTC, to the millisecond."""
    return stamp(datetime.now(UTC).timestamp())


def stamp(seconds: float) -> str:
    """Return Unix seconds as RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Register:
    """The file, shared by threads and processes."""

    def __init__(self, folder: Path) -> None:
        """Open ``cctv.db`` in a folder, making it on first use."""
        path = folder / FILE
        private(path)
        self._db: Any = apsw.Connection(str(path))
        self._db.set_busy_timeout(WAIT_MS)
        self._lock = threading.RLock()
        self._db.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;")
        self._db.execute(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def revision(self) -> int:
        """Return a number that grows with each change of cameras, grants or wanted clips."""
        return int(self.fact("revision") or 0)

    def fact(self, name: str) -> str | None:
        """Return a kept fact."""
        return self._one("SELECT value FROM fact WHERE name = ?", name)

    def once(self, name: str, value: str) -> str:
        """Keep a fact unless there is one; return the one that is kept."""
        with self._write():
            self._db.execute("INSERT OR IGNORE INTO fact VALUES(?, ?)", (name, value))
            return self.fact(name) or value

    def cameras(self) -> dict[str, tuple[str, Settings]]:
        """Return all cameras: id to (hub entity, settings)."""
        rows = self._all("SELECT id, entity, settings FROM camera ORDER BY id")
        return {id: (entity, msgspec.json.decode(text, type=Settings)) for id, entity, text in rows}

    def camera(self, id: str) -> tuple[str, Settings] | None:
        """Return a camera's hub entity and settings."""
        rows = self._all("SELECT entity, settings FROM camera WHERE id = ?", id)
        return (rows[0][0], msgspec.json.decode(rows[0][1], type=Settings)) if rows else None

    def put(self, id: str, settings: Settings, entity: str = "", *, new: bool = False) -> None:
        """Keep a camera's settings; raises CentreError for a new one whose id is taken, or one too many."""
        with self._write():
            there = self._one("SELECT entity FROM camera WHERE id = ?", id)
            if new and there is not None:
                raise CentreError(f"there is a camera {id} already: change that one, or choose another id")
            if there is None and self._one("SELECT count(*) FROM camera") >= MOST_CAMERAS:
                raise CentreError(f"the register has {MOST_CAMERAS} cameras, which is the most: remove one first")
            entity = entity or there or f"urn:ngsi-ld:Camera:{id}"
            text = msgspec.json.encode(settings).decode()
            self._db.execute("INSERT OR REPLACE INTO camera VALUES(?, ?, ?)", (id, entity, text))
            self._changed()

    def remove(self, id: str) -> bool:
        """Forget a camera's settings and counts; recordings go as retention says. False when there is none."""
        with self._write():
            self._db.execute("DELETE FROM camera WHERE id = ?", (id,))
            removed = self._db.changes() > 0
            self._db.execute("DELETE FROM count WHERE camera = ?", (id,))
            self._changed()
        return removed

    def give(self, grant: Grant) -> None:
        """Keep a grant; those that ended a day ago go."""
        with self._write():
            old = stamp((datetime.now(UTC) - timedelta(days=1)).timestamp())
            self._db.execute("DELETE FROM grant_ WHERE until < ?", (old,))
            row = (grant.grant, grant.camera, grant.until, msgspec.json.encode(grant).decode())
            self._db.execute("INSERT OR REPLACE INTO grant_ VALUES(?, ?, ?, ?)", row)
            self._changed()

    def grant(self, id: str) -> Grant | None:
        """Return a grant, ended or not."""
        text = self._one("SELECT body FROM grant_ WHERE id = ?", id)
        return msgspec.json.decode(text, type=Grant) if text else None

    def grants(self, camera: str) -> list[Grant]:
        """Return a camera's grants that are not over, newest last."""
        rows = self._all("SELECT body FROM grant_ WHERE camera = ? AND until > ? ORDER BY until", camera, now())
        return [grant for (text,) in rows if not (grant := msgspec.json.decode(text, type=Grant)).revoked]

    def allows(self, id: str, camera: str, who: str, session: str) -> Grant | None:
        """Return the grant if it lets this account, in this session, see this camera's faces now."""
        grant = self.grant(id)
        if grant is None or (grant.camera, grant.who, grant.session) != (camera, who, session):
            return None
        return grant if not grant.revoked and grant.until > now() else None

    def day(self, camera: str, day: str) -> str | None:
        """Return the pseudonym in the vault of a camera's day."""
        return self._one("SELECT subject FROM day WHERE camera = ? AND day = ?", camera, day)

    def begin_day(self, camera: str, day: str, subject: str) -> str:
        """Keep the pseudonym of a camera's day unless there is one; return the one that is kept."""
        with self._write():
            self._db.execute("INSERT OR IGNORE INTO day VALUES(?, ?, ?)", (camera, day, subject))
            return self.day(camera, day) or subject

    def days(self) -> list[tuple[str, str, str]]:
        """Return (camera, day, pseudonym) of all that is recorded."""
        return self._all("SELECT camera, day, subject FROM day ORDER BY day")

    def end_day(self, camera: str, day: str) -> None:
        """Forget a day whose key is destroyed."""
        with self._write():
            self._db.execute("DELETE FROM segment WHERE camera = ? AND day = ?", (camera, day))
            self._db.execute("DELETE FROM day WHERE camera = ? AND day = ?", (camera, day))

    def add_segment(self, segment: Segment) -> None:
        """Note a sealed segment."""
        with self._write():
            row = tuple(msgspec.structs.asdict(segment).values())
            self._db.execute("INSERT OR REPLACE INTO segment VALUES(?, ?, ?, ?, ?, ?)", row)

    def segments(self, camera: str, start: float, end: float) -> list[Segment]:
        """Return the segments of a camera that overlap a span of Unix seconds, in order."""
        sql = "SELECT * FROM segment WHERE camera = ? AND start < ? AND end > ? ORDER BY start"
        return [Segment(*row) for row in self._all(sql, camera, end, start)]

    def put_clip(self, clip: Clip) -> None:
        """Keep a clip as it stands."""
        with self._write():
            text = msgspec.json.encode(clip).decode()
            self._db.execute(
                "INSERT INTO clip(id, state, camera, event, body) VALUES(?, ?, ?, ?, ?)"
                " ON CONFLICT(id) DO UPDATE SET state = excluded.state, body = excluded.body",
                (clip.id, clip.state, clip.camera, clip.event, text),
            )
            self._changed()

    def clip(self, id: str) -> Clip | None:
        """Return a clip."""
        text = self._one("SELECT body FROM clip WHERE id = ?", id)
        return msgspec.json.decode(text, type=Clip) if text else None

    def remove_clip(self, id: str) -> None:
        """Forget a clip whose key is destroyed; its custody log stays."""
        with self._write():
            self._db.execute("DELETE FROM clip WHERE id = ?", (id,))

    def clips(
        self, *, state: str = "", camera: str = "", event: str = "", before: int | None = None, limit: int = 100
    ) -> tuple[list[Clip], int | None]:
        """Return clips, newest first, and the ``before`` of the next page."""
        rows = self._all(
            "SELECT seq, body FROM clip WHERE seq < ? AND (? = '' OR state = ?) AND (? = '' OR camera = ?)"
            " AND (? = '' OR event = ?) ORDER BY seq DESC LIMIT ?",
            *(before if before is not None else 2**62, state, state, camera, camera, event, event, limit),
        )
        clips = [msgspec.json.decode(text, type=Clip) for _, text in rows]
        return clips, rows[-1][0] if len(rows) == limit else None

    def custody(self, clip: str) -> list[Custody]:
        """Return a clip's custody log, oldest first."""
        rows = self._all("SELECT body FROM custody WHERE clip = ? ORDER BY seq", clip)
        return [msgspec.json.decode(text, type=Custody) for (text,) in rows]

    @contextmanager
    def custody_of(self, clip: str) -> Generator[tuple[int, str, list[Custody]]]:
        """Give the next number and the last signature of a clip's log; what is added to the list is kept."""
        with self._write():
            kept = self.custody(clip)
            added: list[Custody] = []
            yield len(kept) + 1, kept[-1].signature if kept else "", added
            for entry in added:
                row = (clip, entry.seq, msgspec.json.encode(entry).decode())
                self._db.execute("INSERT INTO custody VALUES(?, ?, ?)", row)

    def add_counts(self, counts: Iterable[Counts]) -> None:
        """Keep counts of a minute; those older than `KEEP_COUNTS_DAYS` go."""
        with self._write():
            for one in counts:
                text = msgspec.json.encode(one.values).decode()
                row = (one.camera, one.place, one.kind, one.at, text)
                self._db.execute("INSERT OR REPLACE INTO count VALUES(?, ?, ?, ?, ?)", row)
            old = stamp((datetime.now(UTC) - timedelta(days=KEEP_COUNTS_DAYS)).timestamp())
            self._db.execute("DELETE FROM count WHERE at < ?", (old,))

    def counts(self, camera: str, start: str, end: str, limit: int = 2000) -> list[Counts]:
        """Return counts of a camera, newest first."""
        sql = "SELECT * FROM count WHERE camera = ? AND at >= ? AND at < ? ORDER BY at DESC LIMIT ?"
        return [
            Counts(camera, place, kind, at, msgspec.json.decode(text))
            for camera, place, kind, at, text in self._all(sql, camera, start, end, limit)
        ]

    @contextmanager
    def _write(self) -> Generator[None]:
        with self._lock:
            if self._db.in_transaction:
                yield
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _changed(self) -> None:
        sql = "INSERT INTO fact VALUES('revision', '1') ON CONFLICT(name) DO UPDATE SET value = CAST(value + 1 AS TEXT)"
        self._db.execute(sql)

    def _all(self, sql: str, *values: Any) -> list[Any]:
        with self._lock:
            return list(self._db.execute(sql, values))

    def _one(self, sql: str, *values: Any) -> Any:
        rows = self._all(sql, *values)
        return rows[0][0] if rows else None


def new_id(prefix: str) -> str:
    """Return a new random id."""
    return f"{prefix}-{secrets.token_hex(8)}"


EARTH_M = 6_371_008.8
"""Mean radius (IUGG)."""


def bearing_and_distance(at: tuple[float, float], to: tuple[float, float]) -> tuple[float, float]:
    """Return the bearing (degrees clockwise from north) and great-circle distance (metres; haversine) at a place."""
    lon1, lat1, lon2, lat2 = (math.radians(value) for value in (*at, *to))
    d_lon = lon2 - lon1
    h = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin(d_lon / 2) ** 2
    y = math.sin(d_lon) * math.cos(lat2)
    x = math.cos(lat1) * math.sin(lat2) - math.sin(lat1) * math.cos(lat2) * math.cos(d_lon)
    return math.degrees(math.atan2(y, x)) % 360, 2 * EARTH_M * math.asin(min(1.0, math.sqrt(h)))


def nearest(
    cameras: Mapping[str, tuple[str, Settings]], place: tuple[float, float], limit: int
) -> Sequence[tuple[str, float, bool]]:
    """Return (id, distance in metres, whether it sees the place): first those that see it, each by distance."""
    found: list[tuple[str, float, bool]] = []
    for id, (_, camera) in cameras.items():
        bearing, distance_m = bearing_and_distance(camera.location.coordinates, place)
        off_deg = abs((bearing - camera.direction_deg + 180) % 360 - 180)
        sees = distance_m <= camera.range_m and (off_deg <= camera.fov_deg / 2 or distance_m < 1)
        found.append((id, round(distance_m, 1), sees))
    return sorted(found, key=lambda one: (not one[2], one[1]))[:limit]
