"""What a write does to an entity: pure decisions that every store applies inside its own transaction.

A store reads the current entity, has its caller's write decided, and persists the decision: new state, history and
outbox row together.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, cast

from msgspec.structs import replace

from hanmaru.hub.model import CORE, NULL, Attribute, Change, Entity
from hanmaru.hub.query import Node, in_types
from hanmaru.platform.problems import already_exists, bad_request, not_found

Operation = Literal[
    "create",  # refuse an existing entity
    "replace",  # put the entity, whatever was there (must exist when ``must_exist``)
    "upsert",  # create, or append to what is there
    "append",  # POST attrs
    "update",  # PATCH attrs: append what is new, delete what is null
    "merge",  # PATCH entity: RFC 7396 in spirit
    "patch_attribute",  # PATCH attrs/{attr}: members of one instance
    "replace_attribute",  # PUT attrs/{attr}
    "delete_attribute",
    "delete",
]

ALL_INSTANCES = "*"
SCOPE = CORE + "scope"


def may_create(write: "Write") -> bool:
    """Whether a write can bring an entity, and so a tenant, into being."""
    return write.operation in ("create", "upsert") or (write.operation == "replace" and not write.must_exist)


@dataclass(frozen=True, slots=True)
class Write:
    """One write as asked for: what to do, to which entity (of which types), with which content (entity or fragment)."""

    operation: Operation
    id: str
    now: str
    content: Entity | None = None
    overwrite: bool = True
    attribute: str | None = None
    dataset: str | None = None
    must_exist: bool = False
    types: Node | None = None
    patch: Callable[[Attribute], Attribute | None] | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be persisted: the change for the outbox and the attribute instances for history.

    ``change`` is None when the write changes nothing. ``skipped`` are expanded attribute names that were left alone,
    with the reason; ``existed`` says whether there was an entity before.
    """

    existed: bool
    change: Change | None
    history: tuple[tuple[str, Attribute], ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()


def decide(write: Write, current: Entity | None) -> Decision:
    """Return what a write does to the current entity (None: there is none); raise a 404 or 409 problem."""
    if write.operation == "create":
        if current is not None:
            raise already_exists(f"The entity {write.id} already exists. Use PATCH, or entityOperations/upsert.")
        return _create(write)
    if current is not None and write.types is not None and not in_types(write.types, current):
        raise not_found(f"There is no entity {write.id} of such a type.")
    if current is None:
        if may_create(write):
            return _create(write)
        raise not_found(f"There is no entity {write.id}.")
    return _DECIDE[write.operation](write, current)


def _content(write: Write) -> Entity:
    assert write.content is not None
    return write.content


def _create(write: Write) -> Decision:
    entity = _content(write)
    if not entity.types:
        raise bad_request(f"The entity {write.id} has no type")
    change = Change("created", entity, tuple(entity.attrs), at=write.now)
    return Decision(False, change, tuple((n, a) for n, instances in entity.attrs.items() for a in instances))


def _replace(write: Write, current: Entity) -> Decision:
    content = _content(write)
    history: list[tuple[str, Attribute]] = []
    attrs: dict[str, tuple[Attribute, ...]] = {}
    for name, instances in content.attrs.items():
        attrs[name] = tuple(_keep_created(instance, current.attrs.get(name, ())) for instance in instances)
        history.extend((name, instance) for instance in attrs[name])
    removed = tuple(name for name in current.attrs if name not in attrs)
    history.extend(_deleted(removed, current, write.now))
    types = content.types or current.types
    entity = Entity(write.id, types, attrs, content.scopes, current.created_at, write.now)
    return Decision(True, _change(current, entity, tuple(attrs), removed, write.now), tuple(history))


def _append(write: Write, current: Entity) -> Decision:
    content = _content(write)
    attrs = dict(current.attrs)
    history: list[tuple[str, Attribute]] = []
    touched: list[str] = []
    skipped: list[tuple[str, str]] = []
    for name, instances in content.attrs.items():
        before = current.attrs.get(name, ())
        known = {instance.dataset_id for instance in before}
        fresh = instances if write.overwrite else tuple(i for i in instances if i.dataset_id not in known)
        if not fresh:
            skipped.append((name, "The attribute exists and overwriting was not asked for"))
            continue
        attrs[name], written = _put_instances(before, fresh)
        history.extend((name, instance) for instance in written)
        touched.append(name)
    if content.scopes and not write.overwrite:
        content = replace(content, scopes=tuple(dict.fromkeys((*current.scopes, *content.scopes))))
    return _updated(write, current, attrs, content, touched, (), history, skipped)


def _update(write: Write, current: Entity) -> Decision:
    content = _content(write)
    attrs = dict(current.attrs)
    history: list[tuple[str, Attribute]] = []
    touched: list[str] = []
    removed: list[str] = []
    for name, instances in content.attrs.items():
        before = current.attrs.get(name, ())
        gone = {i.dataset_id for i in instances if i.value == NULL}
        after, written = _put_instances(before, tuple(i for i in instances if i.value != NULL))
        after = tuple(i for i in after if i.dataset_id not in gone)
        history.extend((name, instance) for instance in written)
        history.extend((name, _tombstone(i, write.now)) for i in before if i.dataset_id in gone)
        if after:
            attrs[name] = after
        elif before:
            del attrs[name]
        if written:
            touched.append(name)
        if any(instance.dataset_id in gone for instance in before):
            removed.append(name)
    skipped: list[tuple[str, str]] = []
    if content.scopes and not current.scopes:
        content = replace(content, scopes=())
        skipped.append((SCOPE, "The entity has no scope to replace; append it with POST"))
    return _updated(write, current, attrs, content, touched, removed, history, skipped)


def _merge(write: Write, current: Entity) -> Decision:
    content = _content(write)
    attrs = dict(current.attrs)
    history: list[tuple[str, Attribute]] = []
    touched: list[str] = []
    removed: list[str] = []
    for name, instances in content.attrs.items():
        before = current.attrs.get(name, ())
        after, written, gone = _merge_instances(before, instances, write.now)
        history.extend((name, instance) for instance in (*written, *gone))
        if after:
            attrs[name] = after
        elif before:
            del attrs[name]
        if written:
            touched.append(name)
        if gone:
            removed.append(name)
    return _updated(write, current, attrs, content, touched, removed, history, ())


def _merge_instances(
    before: tuple[Attribute, ...], incoming: tuple[Attribute, ...], now: str
) -> tuple[tuple[Attribute, ...], list[Attribute], list[Attribute]]:
    """Return the instances after the merge, the ones to record, and tombstones of the ones it deleted."""
    after = {instance.dataset_id: instance for instance in before}
    written: list[Attribute] = []
    gone: list[Attribute] = []
    for instance in incoming:
        old = after.get(instance.dataset_id)
        if instance.value == NULL:
            if old is not None:
                gone.append(_tombstone(after.pop(instance.dataset_id), now))
            continue
        after[instance.dataset_id] = new = merge_attribute(old, instance, now)
        written.append(new)
    return _ordered(after.values()), written, gone


def merge_attribute(old: Attribute | None, new: Attribute, now: str) -> Attribute:
    """Merge one attribute instance into another: objects by member, ``urn:ngsi-ld:null`` deletes."""
    if old is None or old.kind != new.kind:
        return replace(
            new,
            value=_without_nulls(new.value),
            attrs={n: i for n, i in new.attrs.items() if i[0].value != NULL},
            created_at=old.created_at if old else new.created_at,
        )
    attrs = dict(old.attrs)
    for name, instances in new.attrs.items():
        merged, _, _ = _merge_instances(old.attrs.get(name, ()), instances, now)
        if merged:
            attrs[name] = merged
        else:
            attrs.pop(name, None)
    return replace(
        old,
        value=_merge_value(old.value, new.value) if new.kind != "GeoProperty" else new.value,
        observed_at=None if new.observed_at == NULL else new.observed_at or old.observed_at,
        unit_code=None if new.unit_code == NULL else new.unit_code or old.unit_code,
        object_type=new.object_type or old.object_type,
        modified_at=now,
        attrs=attrs,
    )


def _merge_value(old: Any, new: Any) -> Any:
    if not isinstance(old, dict) or not isinstance(new, dict):
        return _without_nulls(new)
    merged = cast("dict[str, Any]", old).copy()
    for key, value in cast("dict[str, Any]", new).items():
        if value == NULL:
            merged.pop(key, None)
        else:
            merged[key] = _merge_value(merged[key], value) if key in merged else _without_nulls(value)
    return merged


def _without_nulls(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    members = cast("dict[str, Any]", value)
    return {key: _without_nulls(item) for key, item in members.items() if item != NULL}


def _patch_attribute(write: Write, current: Entity) -> Decision:
    """Change one instance by the function in ``patch``, which returns None to delete it."""
    assert write.attribute is not None
    assert write.patch is not None
    old = _instance(current, write.attribute, write.dataset)
    new = write.patch(old)
    if new is None:
        return _delete_attribute(write, current)
    new = replace(new, dataset_id=old.dataset_id, created_at=old.created_at, modified_at=write.now)
    return _one_instance(write, current, new)


def _replace_attribute(write: Write, current: Entity) -> Decision:
    assert write.attribute is not None
    new = _content(write).attrs[write.attribute][0]
    old = _instance(current, write.attribute, new.dataset_id)
    return _one_instance(write, current, replace(new, created_at=old.created_at))


def _one_instance(write: Write, current: Entity, new: Attribute) -> Decision:
    assert write.attribute is not None
    after, _ = _put_instances(current.attrs[write.attribute], (new,))
    attrs = current.attrs | {write.attribute: after}
    return _updated(write, current, attrs, None, [write.attribute], (), [(write.attribute, new)], ())


def _delete_attribute(write: Write, current: Entity) -> Decision:
    name = write.attribute
    assert name is not None
    if name == SCOPE and current.scopes:
        entity = replace(current, scopes=(), modified_at=write.now)
        return Decision(True, _change(current, entity, (SCOPE,), (), write.now))
    before = current.attrs.get(name, ())
    gone = before if write.dataset == ALL_INSTANCES else tuple(i for i in before if i.dataset_id == write.dataset)
    if not gone:
        raise not_found(f"The entity {write.id} has no such attribute or instance.")
    kept = tuple(i for i in before if i not in gone)
    attrs = {n: i for n, i in current.attrs.items() if n != name} if not kept else current.attrs | {name: kept}
    history = [(name, _tombstone(instance, write.now)) for instance in gone]
    return _updated(write, current, attrs, None, (), [name], history, ())


def _delete(write: Write, current: Entity) -> Decision:
    entity = replace(current, deleted_at=write.now)
    change = Change("deleted", entity, (), tuple(current.attrs), write.now)
    return Decision(True, change, tuple(_deleted(current.attrs, current, write.now)))


def _updated(
    write: Write,
    current: Entity,
    attrs: dict[str, tuple[Attribute, ...]],
    content: Entity | None,
    touched: Iterable[str],
    removed: Iterable[str],
    history: Iterable[tuple[str, Attribute]],
    skipped: Iterable[tuple[str, str]],
) -> Decision:
    touched, removed, skipped = tuple(touched), tuple(removed), tuple(skipped)
    types, scopes = current.types, current.scopes
    if content is not None:
        types = tuple(dict.fromkeys((*current.types, *content.types)))
        if content.scopes:
            scopes = content.scopes
            if scopes != current.scopes:
                touched = (*touched, SCOPE)
    if not touched and not removed and types == current.types:
        return Decision(True, None, (), skipped)
    entity = Entity(write.id, types, attrs, scopes, current.created_at, write.now)
    return Decision(True, _change(current, entity, touched, removed, write.now), tuple(history), skipped)


def _change(before: Entity, after: Entity, touched: tuple[str, ...], removed: tuple[str, ...], now: str) -> Change:
    appeared = tuple(name for name in touched if name not in before.attrs and name in after.attrs)
    gone = {name: _missing(before.attrs[name], after.attrs.get(name, ())) for name in removed}
    return Change("updated", after, touched, removed, now, appeared=appeared, gone=gone)


def _missing(before: tuple[Attribute, ...], after: tuple[Attribute, ...]) -> tuple[Attribute, ...]:
    kept = {instance.dataset_id for instance in after}
    return tuple(instance for instance in before if instance.dataset_id not in kept)


def _put_instances(
    before: tuple[Attribute, ...], fresh: tuple[Attribute, ...]
) -> tuple[tuple[Attribute, ...], tuple[Attribute, ...]]:
    """Return the instances after ``fresh`` replaced theirs, and ``fresh`` with the instants of creation kept."""
    written = tuple(_keep_created(instance, before) for instance in fresh)
    after = {instance.dataset_id: instance for instance in (*before, *written)}
    return _ordered(after.values()), written


def _ordered(instances: Iterable[Attribute]) -> tuple[Attribute, ...]:
    return tuple(sorted(instances, key=lambda instance: instance.dataset_id or ""))


def _keep_created(instance: Attribute, before: tuple[Attribute, ...]) -> Attribute:
    for old in before:
        if old.dataset_id == instance.dataset_id:
            return replace(instance, created_at=old.created_at)
    return instance


def _instance(entity: Entity, name: str, dataset: str | None) -> Attribute:
    for instance in entity.attrs.get(name, ()):
        if instance.dataset_id == dataset:
            return instance
    raise not_found(f"The entity {entity.id} has no such attribute or instance.")


def _tombstone(instance: Attribute, now: str) -> Attribute:
    return replace(instance, value=NULL, attrs={}, observed_at=None, unit_code=None, deleted_at=now, modified_at=now)


def _deleted(names: Iterable[str], entity: Entity, now: str) -> Iterable[tuple[str, Attribute]]:
    return ((name, _tombstone(instance, now)) for name in names for instance in entity.attrs[name])


_DECIDE: dict[Operation, Callable[[Write, Entity], Decision]] = {
    "replace": _replace,
    "upsert": _append,
    "append": _append,
    "update": _update,
    "merge": _merge,
    "patch_attribute": _patch_attribute,
    "replace_attribute": _replace_attribute,
    "delete_attribute": _delete_attribute,
    "delete": _delete,
}
