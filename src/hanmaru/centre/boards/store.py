"""The boards of the centre in one SQLite file. A change names the version that it changes, or nothing happens."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast
from uuid import uuid4

import apsw
import msgspec

from hanmaru.centre.boards.model import Draft, Tile
from hanmaru.centre.domain import CentreError
from hanmaru.platform.disk import private
from hanmaru.platform.problems import Problem

FILE = "boards.db"
BUSY_MS = 10_000
MOST_BOARDS = 500
MOST_OF_ONE = 50

_SCHEMA = """
CREATE TABLE IF NOT EXISTS board (
  id TEXT PRIMARY KEY, owner TEXT NOT NULL, shared INTEGER NOT NULL, title TEXT NOT NULL, version INTEGER NOT NULL,
  changed TEXT NOT NULL, by TEXT NOT NULL, tiles BLOB NOT NULL
) STRICT
"""
T = TypeVar("T")
_tiles = msgspec.json.Decoder(tuple[Tile, ...])


class Board(msgspec.Struct, frozen=True):
    """A board as it is kept: ``changed`` (RFC 3339, UTC) and ``by`` whom; ``version`` grows by one with each change."""

    id: str
    owner: str
    shared: bool
    title: str
    version: int
    changed: str
    by: str
    tiles: tuple[Tile, ...]


class StaleError(CentreError):
    """Somebody else changed the board meanwhile; ``current`` is as they left it."""

    def __init__(self, current: Board) -> None:
        """Say who did."""
        super().__init__(f"{current.by} changed this board meanwhile. Look at their version, then save again.")
        self.current = current


class _Db(Protocol):
    def execute(self, sql: str, values: Iterable[object] = (), /) -> Iterator[Any]: ...
    def set_busy_timeout(self, milliseconds: int, /) -> None: ...
    def close(self) -> None: ...


class Boards:
    """The file, opened for each call: boards are changed some times an hour. Every method blocks."""

    def __init__(self, folder: Path) -> None:
        """Keep boards in a folder; raises Problem 503, when used, for a file that is none of ours."""
        self._path = folder / FILE

    def seen_by(self, name: str) -> list[Board]:
        """Return somebody's own boards and everybody's shared ones, by title."""
        sql = "SELECT * FROM board WHERE owner = ? OR shared ORDER BY title, id LIMIT ?"

        def work(db: _Db) -> list[Board]:
            return [_board(row) for row in db.execute(sql, (name, MOST_BOARDS))]

        return self._do(work)

    def get(self, id: str) -> Board | None:
        """Return a board."""

        def work(db: _Db) -> Board | None:
            return _get(db, id)

        return self._do(work)

    def make(self, draft: Draft, owner: str) -> Board:
        """Keep a new board; raises CentreError when there are too many."""
        board = Board(uuid4().hex[:16], owner, draft.shared, draft.title, 1, _now(), owner, draft.tiles)

        def work(db: _Db) -> Board:
            ((everybodys, own),) = db.execute("SELECT count(*), count(*) FILTER (WHERE owner = ?) FROM board", (owner,))
            if everybodys >= MOST_BOARDS or own >= MOST_OF_ONE:
                raise CentreError(f"There are {own} boards of yours and {everybodys} in all: delete one first.")
            _put(db, board)
            return board

        return self._do(work)

    def change(self, id: str, draft: Draft, by: str) -> Board | None:
        """Change the version that the draft names; None when the board is gone, StaleError when it is another."""

        def work(db: _Db) -> Board | None:
            current = _get(db, id)
            if current is None:
                return None
            if current.version != draft.version:
                raise StaleError(current)
            board = Board(id, current.owner, draft.shared, draft.title, current.version + 1, _now(), by, draft.tiles)
            _put(db, board)
            return board

        return self._do(work)

    def delete(self, id: str) -> None:
        """Forget a board."""

        def work(db: _Db) -> None:
            db.execute("DELETE FROM board WHERE id = ?", (id,))

        self._do(work)

    def _do(self, work: Callable[[_Db], T]) -> T:
        try:
            private(self._path)
            db = cast("_Db", apsw.Connection(str(self._path)))
            try:
                db.set_busy_timeout(BUSY_MS)
                list(db.execute("PRAGMA journal_mode=WAL"))
                db.execute(_SCHEMA)
                db.execute("BEGIN IMMEDIATE")
                try:
                    found = work(db)
                except BaseException:
                    db.execute("ROLLBACK")
                    raise
                db.execute("COMMIT")
                return found
            finally:
                db.close()
        except (apsw.Error, msgspec.DecodeError) as error:
            raise Problem(503, "Boards not available", f"{FILE} cannot be used ({error}): restore it.") from None


def _board(row: tuple[Any, ...]) -> Board:
    id, owner, shared, title, version, changed, by, tiles = row
    return Board(id, owner, bool(shared), title, version, changed, by, _tiles.decode(tiles))


def _get(db: _Db, id: str) -> Board | None:
    return next((_board(row) for row in db.execute("SELECT * FROM board WHERE id = ?", (id,))), None)


def _put(db: _Db, board: Board) -> None:
    row = (*msgspec.structs.astuple(board)[:-1], msgspec.json.encode(board.tiles))
    db.execute("INSERT OR REPLACE INTO board VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
