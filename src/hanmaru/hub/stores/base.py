"""The store interface. One contract test suite runs against every implementation.

Every call takes the caller's `Access` (or, where it only concerns the hub's own bookkeeping, none) and compiles it into
its query: nothing is fetched first and filtered after, so that pages and counts are right for every caller.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from hanmaru.hub.model import Attribute, Change, Entity
from hanmaru.hub.past import PastPage, SpanPage
from hanmaru.hub.query import EntityQuery, TemporalQuery
from hanmaru.hub.writes import Decision, Write
from hanmaru.platform.access import Access
from hanmaru.platform.problems import CORE_ERRORS, Problem
from hanmaru.platform.telemetry import metrics


@dataclass(frozen=True, slots=True)
class Page:
    """Entities of one page in order of creation; ``count`` of all matches when it was asked for."""

    entities: Sequence[Entity]
    count: int | None = None


@dataclass(frozen=True, slots=True)
class TypeInfo:
    """An entity type with the number of visible entities and the attributes (kinds by name) that they have."""

    name: str
    count: int
    attributes: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])


@dataclass(frozen=True, slots=True)
class TemporalEntity:
    """History of one entity: instances by attribute, oldest first; ``more`` says that the limit cut some off.

    ``span`` holds the oldest and newest instant returned, in microseconds since 1970.
    """

    id: str
    types: tuple[str, ...]
    scopes: tuple[str, ...]
    attrs: dict[str, Sequence[Attribute]]
    created_at: str | None = None
    modified_at: str | None = None
    deleted_at: str | None = None
    more: bool = False


@dataclass(frozen=True, slots=True)
class TemporalPage:
    """Histories of one page of entities."""

    entities: Sequence[TemporalEntity]
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A small record of the hub's own: a subscription, a context, a registration."""

    id: str
    doc: bytes


@dataclass(frozen=True, slots=True)
class Delivery:
    """A notification that is due: kept until it is delivered or given up. ``due`` in microseconds since 1970."""

    tenant: str
    subscription: str
    doc: bytes
    due: int
    attempts: int = 0
    id: int = 0


class Store(Protocol):
    """A database of the hub. Methods raise `Problem`: 404 for a tenant that is not there, 503 when overloaded."""

    async def open(self) -> None:
        """Open or create the database; one process may call it once."""
        ...

    async def close(self) -> None:
        """Finish what was accepted and close."""
        ...

    async def write(self, access: Access, writes: Sequence[Write]) -> list[Decision | Problem]:
        """Apply writes in order, each by itself; what returns as a decision is on disk.

        New state, history and outbox row of one write commit together or not at all.
        """
        ...

    async def retrieve(self, access: Access, id: str) -> Entity | None:
        """Return an entity with its visible attributes, None when there is none to see."""
        ...

    async def query(self, access: Access, query: EntityQuery) -> Page:
        """Return one page of the visible entities that match."""
        ...

    async def types(self, access: Access, only: str | None = None) -> list[TypeInfo]:
        """Return the visible types, by name; ``only`` limits to one."""
        ...

    async def record(self, access: Access, entities: Sequence[Entity]) -> list[Problem | None]:
        """Append instances to history without touching current state; the same instance again changes nothing."""
        ...

    async def history(self, access: Access, id: str, query: TemporalQuery) -> TemporalEntity | None:
        """Return one entity's history, also of a deleted one."""
        ...

    async def query_history(self, access: Access, query: EntityQuery, temporal: TemporalQuery) -> TemporalPage:
        """Return histories of one page of the entities that match now or, for deleted ones, by id and type."""
        ...

    async def as_of(
        self, access: Access, query: EntityQuery, at: int, attrs: Sequence[str] = (), after: int = -1
    ) -> PastPage:
        """Return what of the next ``query.limit`` entities was there at an instant (microseconds since 1970).

        `hanmaru.hub.past` says what that means. ``q``, ``geo`` and ``attrs`` of the query are decided by what was then;
        ``attrs`` are the attributes wanted (none: every one); ``after`` is the page's ``next`` before.
        """
        ...

    async def between(
        self,
        access: Access,
        query: EntityQuery,
        start: int,
        end: int,
        attrs: Sequence[str] = (),
        after: int = -1,
        rows: int = 50_000,
    ) -> SpanPage:
        """Return what changed of the next ``query.limit`` entities later than ``start`` and up to ``end``.

        Applied in order to what `as_of` says of ``start`` it ends in what it says of the page's ``until``, which is
        earlier than ``end`` where there are more than ``rows`` instances.
        """
        ...

    async def delete_history(
        self, access: Access, id: str, attribute: str | None = None, instance: str = "", dataset: str | None = None
    ) -> bool:
        """Delete an entity's history, or one attribute's, or one instance's; whether there was any.

        ``dataset`` limits it to the instances of one ``datasetId``, empty for those without.
        """
        ...

    async def forget(self, before: int) -> int:
        """Forget instances older than ``before`` (microseconds since 1970), but the newest of each; return how many."""
        ...

    async def tenants(self) -> list[str]:
        """Return the names of the tenants."""
        ...

    async def head(self) -> int:
        """Return the sequence number of the newest change, 0 before the first."""
        ...

    async def changes(self, after: int, limit: int = 500, tenant: str | None = None) -> list[Change]:
        """Return changes later than ``after``, in order; 410 problem when some of them are gone already."""
        ...

    async def trim(self, before: int) -> None:
        """Forget changes up to sequence number ``before``."""
        ...

    async def get_document(self, kind: str, tenant: str, id: str) -> bytes | None:
        """Return a document."""
        ...

    async def put_document(self, kind: str, tenant: str, id: str, doc: bytes, *, create: bool = False) -> bool:
        """Put a document; with ``create`` only where there is none. Whether it was put."""
        ...

    async def delete_document(self, kind: str, tenant: str, id: str) -> bool:
        """Delete a document; whether there was one."""
        ...

    async def documents(self, kind: str, tenant: str | None) -> list[tuple[str, Document]]:
        """Return every document of a kind with its tenant, by id; of all tenants when ``tenant`` is None."""
        ...

    async def document_version(self, kind: str) -> int:
        """Return a number that grows whenever a document of the kind is put or deleted."""
        ...

    async def cursor(self, consumer: str) -> int | None:
        """Return how far a consumer of the outbox has come, None before its first step."""
        ...

    async def advance(self, consumer: str, seq: int, deliveries: Sequence[Delivery] = ()) -> Sequence[int]:
        """Move a consumer's cursor and keep the deliveries that follow from what it read, together or not at all.

        Return the deliveries' ids, which grow.
        """
        ...

    async def waiting(self) -> list[tuple[str, str, int]]:
        """Return tenant, subscription and number of deliveries for each subscription that has any."""
        ...

    async def deliveries(self, tenant: str, subscription: str, after: int = 0, limit: int = 100) -> list[Delivery]:
        """Return a subscription's deliveries with ids later than ``after``, in order."""
        ...

    async def settle(self, done: Sequence[int] = (), retry: Sequence[Delivery] = ()) -> None:
        """Forget deliveries that are done; put back those to try again with their new due time and attempts."""
        ...


def count_commits(outcomes: Sequence[Decision | Problem]) -> None:
    """Count what was accepted, by kind, in the metrics."""
    kinds = Counter(o.change.kind for o in outcomes if isinstance(o, Decision) and o.change is not None)
    for kind, number in kinds.items():
        metrics().commits.labels(kind).inc(number)


def no_tenant(name: str) -> Problem:
    """Say that a tenant does not exist."""
    detail = f"There is no tenant {name!r}. A tenant comes into being with its first entity or subscription."
    return Problem(404, "Tenant not found", detail, type=CORE_ERRORS + "NonexistentTenant")


def outbox_gone(after: int) -> Problem:
    """Say that changes were forgotten before they were read."""
    return Problem(
        410, "Changes are gone", f"Changes after {after} are no longer kept. Read the present state instead."
    )
