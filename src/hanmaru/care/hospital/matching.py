"""Whether a version of a resource fulfils criteria: asked of that version, by the same search as everybody's.

A subscription that was away has to be told of what fulfilled its criteria then, not of what fulfils them now. So each
version is put, alone, into an index in memory, and the search runs over that.
"""

import threading
from collections.abc import Mapping
from datetime import tzinfo
from typing import Any, Final, cast

import apsw

from hanmaru.care.fhir import extract, index, query
from hanmaru.care.fhir.database import Database
from hanmaru.care.fhir.schema import SCHEMA
from hanmaru.care.fhir.values import Reader
from hanmaru.care.hospital.subscriptions import Watch

_KEY: Final = 1
_ROOM: Final = Reader("system:care", "all")


class Matcher:
    """An index of one resource; for several threads."""

    def __init__(self, zone: tzinfo) -> None:
        """Make the tables in memory; ``zone`` is the city's, for dates without one."""
        self._zone = zone
        self._lock = threading.Lock()
        self._db = cast("Database", apsw.Connection(":memory:"))
        self._db.execute(SCHEMA)
        self._db.execute("ATTACH DATABASE ':memory:' AS ix")
        index.prepare(self._db)

    def matches(self, watch: Watch, resource: Mapping[str, Any], at: int) -> bool:
        """Return whether a resource, as written at ``at`` (µs), fulfils a subscription's criteria. Blocks, about 1
        ms."""
        type, id = resource["resourceType"], resource["id"]
        with self._lock:
            index.replace(self._db, _KEY, type, id, at, extract.rows(dict(resource), self._zone))
            try:
                return bool(query.keys(self._db, _ROOM, watch.type, watch.query, at, 1, self._zone))
            finally:
                index.remove(self._db, _KEY)
