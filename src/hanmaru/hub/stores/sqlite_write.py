"""The writing side of the SQLite store: persist decisions inside the committer's transaction."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hanmaru.hub.geometry import bounds, to_wkb
from hanmaru.hub.index import rows
from hanmaru.hub.model import Attribute, Change, Entity, decode_entity, encode
from hanmaru.hub.permitted import decided, may_record
from hanmaru.hub.stores.sqlite_db import Database
from hanmaru.hub.stores.sqlite_read import tenant_number
from hanmaru.hub.times import micros
from hanmaru.hub.writes import Decision, Write, may_create
from hanmaru.platform.access import Access
from hanmaru.platform.problems import Problem

Attributes = Mapping[str, tuple[Attribute, ...]]


class Writer:
    """Persists writes; lives in the committer's thread and remembers the numbers of names."""

    def __init__(self) -> None:
        """Start with no names known."""
        self._terms: dict[tuple[int, str], int] = {}
        self._tenants: dict[str, int] = {}

    def forget(self) -> None:
        """Drop what may have been remembered inside a transaction that was rolled back."""
        self._terms.clear()
        self._tenants.clear()

    def tenant(self, db: Database, name: str) -> int:
        """Return a tenant's number; a tenant comes into being here."""
        found = self._tenants.get(name)
        if found is None:
            db.execute("INSERT OR IGNORE INTO tenant (name) VALUES (?)", (name,))
            found = self._tenants[name] = _one(db, "SELECT id FROM tenant WHERE name=?", (name,))
        return found

    def term(self, db: Database, tenant: int, text: str) -> int:
        """Return a name's number."""
        found = self._terms.get((tenant, text))
        if found is None:
            db.execute("INSERT OR IGNORE INTO term (tenant, text) VALUES (?,?)", (tenant, text))
            found = _one(db, "SELECT id FROM term WHERE tenant=? AND text=?", (tenant, text))
            if len(self._terms) > 200_000:
                self._terms.clear()
            self._terms[tenant, text] = found
        return found

    def write_all(self, db: Database, access: Access, writes: Sequence[Write]) -> list[Decision | Problem]:
        """Apply writes in order, each by itself."""
        create = any(may_create(write) for write in writes)
        tenant = (self.tenant if create else tenant_number)(db, access.tenant)
        outcomes: list[Decision | Problem] = []
        for write in writes:
            try:
                outcomes.append(self._write(db, access, tenant, write))
            except Problem as problem:
                outcomes.append(problem)
        return outcomes

    def _write(self, db: Database, access: Access, tenant: int, write: Write) -> Decision:
        row = db.execute("SELECT key, live, doc FROM entity WHERE tenant=? AND id=?", (tenant, write.id)).fetchone()
        key: int | None = row[0] if row else None
        current, former = _states(row)
        decision = decided(access, write, current, former)
        change = decision.change
        if change is None:
            return decision
        if key is None or current is None:
            key = self._insert(db, tenant, key, change.entity)
        elif change.kind == "deleted":
            self._delete(db, tenant, key, change)
        else:
            self._update(db, tenant, key, current, change)
        self._count(db, tenant, current, None if change.kind == "deleted" else change.entity)
        db.execute("INSERT INTO outbox (tenant, doc) VALUES (?,?)", (tenant, encode(change)))
        self._history(db, tenant, key, decision.history, db.last_insert_rowid())
        return decision

    def _insert(self, db: Database, tenant: int, key: int | None, entity: Entity) -> int:
        if key is None:
            db.execute(
                "INSERT INTO entity (tenant, id, live, doc) VALUES (?,?,1,?)", (tenant, entity.id, encode(entity))
            )
            key = db.last_insert_rowid()
        else:
            before = decode_entity(db.execute("SELECT doc FROM entity WHERE key=?", (key,)).fetchall()[0][0])
            self._drop_types(db, tenant, key, before.types, 0)
            db.execute("DELETE FROM entity_scope WHERE entity=?", (key,))
            db.execute("UPDATE entity SET live=1, doc=? WHERE key=?", (encode(entity), key))
        self._types(db, tenant, key, entity.types, 1)
        self._scopes(db, key, entity.scopes)
        self._reindex(db, tenant, key, entity.attrs, {}, entity.attrs)
        return key

    def _update(self, db: Database, tenant: int, key: int, before: Entity, change: Change) -> None:
        entity = change.entity
        db.execute("UPDATE entity SET doc=? WHERE key=?", (encode(entity), key))
        if entity.types != before.types:
            self._drop_types(db, tenant, key, before.types, 1)
            self._types(db, tenant, key, entity.types, 1)
        if entity.scopes != before.scopes:
            db.execute("DELETE FROM entity_scope WHERE entity=?", (key,))
            self._scopes(db, key, entity.scopes)
        self._reindex(db, tenant, key, dict.fromkeys((*change.touched, *change.removed)), before.attrs, entity.attrs)

    def _delete(self, db: Database, tenant: int, key: int, change: Change) -> None:
        entity = change.entity
        kept = encode(Entity(entity.id, entity.types, {}, entity.scopes, entity.created_at, change.at, change.at))
        db.execute("UPDATE entity SET live=0, doc=? WHERE key=?", (kept, key))
        self._drop_types(db, tenant, key, entity.types, 1)
        self._types(db, tenant, key, entity.types, 0)
        self._reindex(db, tenant, key, entity.attrs, entity.attrs, {})

    def _types(self, db: Database, tenant: int, key: int, types: Iterable[str], live: int) -> None:
        for name in types:
            sql = "INSERT OR IGNORE INTO entity_type (type, live, entity) VALUES (?,?,?)"
            db.execute(sql, (self.term(db, tenant, name), live, key))

    def _drop_types(self, db: Database, tenant: int, key: int, types: Iterable[str], live: int) -> None:
        for name in types:
            sql = "DELETE FROM entity_type WHERE type=? AND live=? AND entity=?"
            db.execute(sql, (self.term(db, tenant, name), live, key))

    def _count(self, db: Database, tenant: int, before: Entity | None, after: Entity | None) -> None:
        """Keep the number of entities by type, attribute and kind."""
        old, new = _kinds(before), _kinds(after)
        if old != new:
            for changed, step in ((new - old, 1), (old - new, -1)):
                db.executemany(
                    "INSERT INTO type_attr VALUES (?,?,?,?) "
                    "ON CONFLICT DO UPDATE SET entities=entities+excluded.entities",
                    [(self.term(db, tenant, t), self.term(db, tenant, a), kind, step) for t, a, kind in changed],
                )

    def _scopes(self, db: Database, key: int, scopes: Iterable[str]) -> None:
        for scope in scopes:
            db.execute("INSERT OR IGNORE INTO entity_scope (entity, scope) VALUES (?,?)", (key, scope))

    def _reindex(
        self, db: Database, tenant: int, key: int, names: Iterable[str], before: Attributes, after: Attributes
    ) -> None:
        """Bring the value index and the geometries of some attributes from one state to another.

        A value that stayed gets its new instants only, which leaves the index by path alone.
        """
        changed: list[tuple[Any, ...]] = []
        stayed: list[tuple[Any, ...]] = []
        for name in names:
            attr = self.term(db, tenant, name)
            old, new = before.get(name, ()), after.get(name, ())
            was, made = rows(name, old), rows(name, new)
            for n, row in enumerate(made):
                if n < len(was) and was[n][:3] == row[:3]:
                    stayed.append((*row[3:], key, attr, n))
                else:
                    changed.append((key, attr, n, self.term(db, tenant, row.path), *row[1:]))
            if len(was) > len(made):
                db.execute("DELETE FROM value WHERE entity=? AND attr=? AND n>=?", (key, attr, len(made)))
            if (shapes := _shapes(new)) != (gone := _shapes(old)):
                if gone:
                    self._drop_shapes(db, key, attr)
                for shape in shapes:
                    self._put_shape(db, key, attr, to_wkb(shape))
        db.executemany("INSERT OR REPLACE INTO value VALUES (?,?,?,?,?,?,?,?,?)", changed)
        db.executemany("UPDATE value SET observed=?, created=?, modified=? WHERE entity=? AND attr=? AND n=?", stayed)

    def _put_shape(self, db: Database, key: int, attr: int, wkb: bytes) -> None:
        db.execute("INSERT INTO geo (entity, attr, wkb) VALUES (?,?,?)", (key, attr, wkb))
        west, south, east, north = bounds(wkb)
        db.execute("INSERT INTO geo_box VALUES (?,?,?,?,?)", (db.last_insert_rowid(), west, east, south, north))

    def _drop_shapes(self, db: Database, key: int, attr: int) -> None:
        for (id,) in db.execute("DELETE FROM geo WHERE entity=? AND attr=? RETURNING id", (key, attr)).fetchall():
            db.execute("DELETE FROM geo_box WHERE id=?", (id,))

    def _history(self, db: Database, tenant: int, key: int, history: Iterable[tuple[str, Attribute]], seq: int) -> None:
        db.executemany(
            "INSERT OR REPLACE INTO instance VALUES (?,?,?,?,?,?,?,?)",
            [self._instance(db, tenant, key, name, instance, seq) for name, instance in history],
        )

    def _instance(
        self, db: Database, tenant: int, key: int, name: str, instance: Attribute, seq: int
    ) -> tuple[Any, ...]:
        modified = micros(instance.modified_at or "")
        at = micros(instance.observed_at) if instance.observed_at else modified
        observed = 1 if instance.observed_at else 0
        attr = self.term(db, tenant, name)
        return key, attr, at, instance.dataset_id or "", seq, observed, modified, encode(instance)

    def record(self, db: Database, access: Access, entities: Sequence[Entity]) -> list[Problem | None]:
        """Append instances to history; an entity that never was gets a key of its own, but no current state."""
        tenant = self.tenant(db, access.tenant)
        outcomes: list[Problem | None] = []
        for entity in entities:
            sql = "SELECT key, live, doc FROM entity WHERE tenant=? AND id=?"
            row = db.execute(sql, (tenant, entity.id)).fetchone()
            if not may_record(access, entity, *_states(row)):
                outcomes.append(Problem(403, "Not permitted", f"You may not write the history of {entity.id}."))
                continue
            if row is None:
                kept = encode(Entity(entity.id, entity.types, {}, entity.scopes, entity.created_at, entity.modified_at))
                db.execute("INSERT INTO entity (tenant, id, live, doc) VALUES (?,?,0,?)", (tenant, entity.id, kept))
                key = db.last_insert_rowid()
                self._types(db, tenant, key, entity.types, 0)
            else:
                key = row[0]
            self._history(db, tenant, key, ((n, i) for n, instances in entity.attrs.items() for i in instances), 0)
            outcomes.append(None)
        return outcomes


def _states(row: tuple[Any, ...] | None) -> tuple[Entity | None, Entity | None]:
    """Return the current entity of a row with ``live`` and ``doc`` last, and the one that is no more."""
    if row is None:
        return None, None
    entity = decode_entity(row[-1])
    return (entity, None) if row[-2] else (None, entity)


def _shapes(instances: tuple[Attribute, ...]) -> list[Any]:
    return [instance.value for instance in instances if instance.kind == "GeoProperty"]


def _kinds(entity: Entity | None) -> set[tuple[str, str, str]]:
    if entity is None:
        return set()
    return {(t, name, i.kind) for name, instances in entity.attrs.items() for i in instances for t in entity.types}


def _one(db: Database, sql: str, params: Sequence[Any]) -> int:
    row = db.execute(sql, params).fetchone()
    assert row is not None
    return row[0]
