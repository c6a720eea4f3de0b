"""The one way a room, a connector or the city talks to the hub.

Entities travel as plain JSON objects in NGSI-LD's own representations, with short names of the core @context (or of
the ``context`` a call names). A client acts with one `Access`; `acting` gives another for a request's caller.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from hanmaru.platform.access import Access

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one entity of a batch was refused: its id, a machine-readable title and what to do about it."""

    id: str
    title: str
    detail: str


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of a batch: ids created, ids updated or deleted, and the refused ones with their reasons."""

    created: Sequence[str] = ()
    updated: Sequence[str] = ()
    failures: Sequence[Failure] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """A query on current state; members mean what ETSI GS CIM 009 6.4.3.2 says of the parameters of that name.

    ``near`` is (lon, lat, max distance in metres); ``within`` a GeoJSON polygon.
    """

    type: str | None = None
    ids: Sequence[str] = ()
    id_pattern: str | None = None
    attrs: Sequence[str] = ()
    q: str | None = None
    near: tuple[float, float, float] | None = None
    within: Mapping[str, Any] | None = None
    limit: int = 1000
    offset: int = 0


@dataclass(frozen=True, slots=True)
class EntityChange:
    """One accepted change, in short names: what kind, which attributes, and the entity as simplified key-values."""

    seq: int
    at: str
    kind: Literal["created", "updated", "deleted"]
    id: str
    types: Sequence[str]
    touched: Sequence[str]
    values: JsonObject = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Span:
    """What changed in a span of time, in order: all that there is up to ``until`` (where the next span begins).

    A change has ``at`` the instant of the reading, no sequence number (0), and the entity as it then was.
    """

    changes: Sequence[EntityChange]
    until: datetime


class HubClient(Protocol):
    """The hub, as its users see it. Every method raises `hanmaru.platform.problems.Problem` on refusal."""

    def acting(self, access: Access) -> "HubClient":
        """Return the same hub seen by another caller."""
        ...

    async def retrieve(self, id: str, *, simplified: bool = False, sys_attrs: bool = False) -> JsonObject | None:
        """Return an entity, or None where there is none to see."""
        ...

    async def query(self, query: Query, *, simplified: bool = False, sys_attrs: bool = False) -> list[JsonObject]:
        """Return the entities of one page, in a stable order."""
        ...

    async def count(self, query: Query) -> int:
        """Return how many entities match, whatever the page."""
        ...

    async def types(self) -> list[JsonObject]:
        """Return ``{"typeName", "entityCount", "attributeNames"}`` for each visible type, by name."""
        ...

    async def upsert(self, entities: Sequence[JsonObject], *, replace: bool = False) -> BatchResult:
        """Create or update (``replace``: replace) entities; each is accepted or refused by itself.

        On return all that was accepted is on disk.
        """
        ...

    async def delete(self, ids: Sequence[str]) -> BatchResult:
        """Delete entities."""
        ...

    async def record(self, entities: Sequence[JsonObject]) -> BatchResult:
        """Append attribute instances (lists, as the temporal representation has them) to history.

        Current state stays as it is.
        """
        ...

    async def history(
        self,
        id: str,
        *,
        attrs: Sequence[str] = (),
        start: datetime | None = None,
        end: datetime | None = None,
        last_n: int | None = None,
        temporal_values: bool = False,
    ) -> JsonObject | None:
        """Return an entity's history (temporal representation) in the half-open span [start, end), oldest first.

        At most 10,000 instances of an attribute come in one answer: go on with ``start`` after the last.

        ``temporal_values`` gives ``{"values": [[value, time], …]}`` per attribute.
        """
        ...

    def as_of(self, query: Query, at: datetime, *, attrs: Sequence[str] = ()) -> AsyncIterator[Sequence[JsonObject]]:
        """Yield the entities as they were at an instant, simplified, with ``modifiedAt`` their newest instant.

        An attribute has the newest of its instances up to then, by ``observedAt`` or, where it has none, by
        ``modifiedAt``; what came later or was deleted before is absent. ``attrs`` are the attributes wanted (none:
        every one), ``query.limit`` is the number of entities looked at for one batch, ``query.offset`` is not used.
        """
        ...

    async def between(
        self, query: Query, start: datetime, end: datetime, *, attrs: Sequence[str] = (), most: int = 20_000
    ) -> Span:
        """Return what changed later than ``start`` and up to ``end``, or earlier when there are more than ``most``.

        Applied to what `as_of` says of ``start``, it ends in what it says of ``until``.
        """
        ...

    async def head(self) -> int:
        """Return the sequence number of the newest accepted change (0: none)."""
        ...

    def changes(self, after: int) -> AsyncIterator[Sequence[EntityChange]]:
        """Yield changes later than ``after`` in order, in batches, waiting for new ones; ends only when cancelled.

        Raises ``Problem`` with status 410 when ``after`` is older than what the hub still keeps.
        """
        ...
