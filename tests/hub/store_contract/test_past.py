"""The hub as it was: at any instant what the writes up to it had made, and between two what led from one to another."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hanmaru.hub import expand
from hanmaru.hub.model import Attribute, Entity
from hanmaru.hub.past import Step
from hanmaru.hub.query import EntityQuery
from hanmaru.hub.stores.base import Store
from hanmaru.hub.terms import CORE_TERMS
from hanmaru.hub.times import micros
from hanmaru.hub.writes import Decision, Operation, Write
from hanmaru.platform.access import Access, Grant
from tests.hub.store_contract.building import T0, area, ask, box, do, geo, local, name, names, point, prop, sees, uri
from tests.hub.store_contract.building import at as instant

_tenants = itertools.count()
ALL = Access(write=True)


def made(operation: Operation, id: str, second: float, **members: Any) -> Write:
    """Make a write at so many seconds after midnight."""
    now = instant(second)
    if operation == "delete":
        return Write(operation, uri(id), now)
    if operation == "delete_attribute":
        return Write(operation, uri(id), now, attribute=name(members["attribute"]), dataset=members.get("dataset"))
    document = {"id": uri(id), "type": members.pop("type", "Device"), **members}
    return Write(operation, uri(id), now, expand.entity(document, CORE_TERMS, now))


async def then(
    store: Store, second: float, access: Access = ALL, attrs: Sequence[str] = (), **query: Any
) -> dict[str, dict[str, Any]]:
    """Return what was there at an instant: by entity, by attribute, the value (or values)."""
    return values(await past(store, second, access, attrs, ask(**query)))


async def past(store: Store, second: float, access: Access, attrs: Sequence[str], query: EntityQuery) -> list[Entity]:
    found: list[Entity] = []
    after: int | None = -1
    while after is not None:
        page = await store.as_of(access, query, T0 + int(second * 1e6), CORE_TERMS.expand_all(attrs), after)
        found += page.entities
        after = page.next
    return found


def values(entities: Sequence[Entity]) -> dict[str, dict[str, Any]]:
    return {local(e): {CORE_TERMS.compact(a): _one(i) for a, i in e.attrs.items()} for e in entities}


def _one(instances: Sequence[Attribute]) -> Any:
    return instances[0].value if len(instances) == 1 else [instance.value for instance in instances]


async def steps(store: Store, start: float, end: float, access: Access = ALL, **query: Any) -> list[Step]:
    limit = query.pop("rows", 50_000)
    asked = ask(**query)
    page = await store.between(access, asked, T0 + int(start * 1e6), T0 + int(end * 1e6), rows=limit)
    assert page.next is None
    return list(page.steps)


async def test_an_instant_shows_the_newest_reading_up_to_it(store: Store) -> None:
    await do(
        store,
        made("create", "a", 1, n=prop(1, 10), label="one"),
        made("append", "a", 21, n=prop(2, 20)),
        made("append", "a", 31, label="two"),
    )
    assert await then(store, 0) == {}
    assert await then(store, 1) == {"a": {"label": "one"}}
    assert await then(store, 10) == {"a": {"label": "one", "n": 1}}
    assert await then(store, 19.999999) == {"a": {"label": "one", "n": 1}}
    assert await then(store, 20) == {"a": {"label": "one", "n": 2}}
    assert await then(store, 40) == {"a": {"label": "two", "n": 2}}
    assert await then(store, 40, attrs=["n"]) == {"a": {"n": 2}}
    assert await then(store, 40, attrs=["nothing"]) == {}


async def test_what_was_deleted_later_is_there_and_what_was_deleted_before_is_not(store: Store) -> None:
    await do(
        store,
        made("create", "a", 1, n=1, m=1),
        made("create", "b", 2, n=2),
        made("delete_attribute", "a", 10, attribute="m"),
        made("delete", "a", 20),
        made("create", "a", 30, n=3),
    )
    assert await then(store, 5) == {"a": {"n": 1, "m": 1}, "b": {"n": 2}}
    assert await then(store, 15, type="Device") == {"a": {"n": 1}, "b": {"n": 2}}
    assert await then(store, 25, type="Device") == {"b": {"n": 2}}
    assert await then(store, 35) == {"a": {"n": 3}, "b": {"n": 2}}


async def test_each_dataset_has_its_own_newest(store: Store) -> None:
    await do(
        store,
        made("create", "a", 1, n=[prop(1, 10), prop(5, 5, datasetId="urn:x:d"), prop(7, 7, datasetId="urn:x:e")]),
        made("append", "a", 21, n=prop(2, 20)),
        made("append", "a", 31, n=prop(6, 30, datasetId="urn:x:d")),
        made("delete_attribute", "a", 40, attribute="n", dataset="urn:x:e"),
    )
    assert await then(store, 6) == {"a": {"n": 5}}
    assert await then(store, 25) == {"a": {"n": [2, 5, 7]}}
    assert await then(store, 35) == {"a": {"n": [2, 6, 7]}}
    assert await then(store, 45) == {"a": {"n": [2, 6]}}


async def test_recorded_history_is_past_too(store: Store) -> None:
    document = {"id": uri("a"), "type": "Device", "n": [prop(1, 10), prop(2, 20)]}
    await store.record(ALL, [expand.entity(document, CORE_TERMS, instant(100), history=True)])
    assert await then(store, 15) == {"a": {"n": 1}}
    assert await then(store, 25, type="Device") == {"a": {"n": 2}}
    assert await then(store, 25, type="Lamp") == {}


async def test_conditions_are_decided_by_what_was_then(store: Store) -> None:
    await do(
        store,
        made("create", "a", 1, n=1, location=point(1, 1)),
        made("append", "a", 10, n=5, location=point(50, 50)),
        made("create", "b", 11, m=1),
    )
    here = geo("within", box(0, 0, 10, 10))
    assert [list(await then(store, t, geo=here)) for t in (5, 15)] == [["a"], []]
    assert [list(await then(store, t, q="n>3", attrs=["location"])) for t in (5, 15)] == [[], ["a"]]
    assert await then(store, 15, q="n>3", attrs=["location"]) == {"a": {"location": point(50, 50)}}
    assert list(await then(store, 15, type="Device", attrs=["m"])) == ["b"]
    assert list(await then(store, 15, ids=["b", "c"])) == ["b"]


async def test_what_is_hidden_was_never_there(store: Store) -> None:
    await do(
        store,
        made("create", "a", 1, n=1, secret="x", location=point(1, 1)),
        made("create", "b", 1, type="Lamp", n=2),
        made("append", "a", 10, location=point(50, 50)),
        made("append", "a", 20, n=3),
        made("delete", "a", 30),
    )
    assert await then(store, 5, sees(types=names("Lamp"))) == {"b": {"n": 2}}
    assert await then(store, 5, sees(attributes=names("n"))) == {"a": {"n": 1}, "b": {"n": 2}}
    assert await then(store, 5, sees(attributes=names("n")), attrs=["secret"]) == {}
    assert await then(store, 5, sees(attributes=names("n")), q='secret=="x"') == {}
    assert await then(store, 5, sees(scopes=("/x",))) == {}
    assert await then(store, 5, Access(grants=())) == {}
    inside = sees(area=area(0, 0, 10, 10), attributes=names("n"))
    assert await then(store, 5, inside) == {"a": {"n": 1}}
    assert await then(store, 15, inside) == {}
    assert [(s.at - T0, s.after is None) for s in await steps(store, 2, 40, inside)] == [(10_000_000, True)]
    assert await steps(store, 2, 40, sees(types=names("Lamp"))) == []
    both = Access(grants=(*inside.grants, Grant(types=names("Device"), attributes=names("secret"))))
    assert await then(store, 15, both) == {"a": {"secret": "x"}}
    assert [s.touched for s in await steps(store, 2, 15, both)] == []


async def test_a_page_looks_at_so_many_entities(store: Store) -> None:
    await do(store, *(made("create", f"{n}", n, n=n, type="Device" if n % 2 else "Lamp") for n in range(7)))
    query = ask(type="Device,Lamp", limit=3)
    first = await store.as_of(ALL, query, T0 + 1_000_000)
    assert list(values(first.entities)) == ["0", "1"]
    assert first.next is not None
    assert list(values(await past(store, 99, ALL, (), query))) == [f"{n}" for n in range(7)]
    assert list(values(await past(store, 99, ALL, (), ask(limit=2)))) == [f"{n}" for n in range(7)]
    assert list(values(await past(store, 99, ALL, (), ask(type="Lamp", limit=2)))) == ["0", "2", "4", "6"]


async def test_a_span_with_too_many_instances_ends_earlier(store: Store) -> None:
    await do(store, *(made("create", f"{n}", 1, n=prop(n, 1)) for n in range(3)))
    await do(store, *(made("append", f"{n}", t, n=prop(t, t)) for t in (10, 20) for n in range(3)))
    page = await store.between(ALL, ask(), T0, T0 + 60_000_000, rows=7)
    assert (page.until - T0, len(page.steps)) == (19_999_999, 6)
    page = await store.between(ALL, ask(), T0, T0 + 60_000_000, rows=2)  # an instant comes whole
    assert (page.until - T0, len(page.steps)) == (1_000_000, 3)
    page = await store.between(ALL, ask(), T0 + 10_000_000, T0 + 60_000_000, rows=3)
    assert (page.until - T0, [s.at - T0 for s in page.steps]) == (60_000_000, [20_000_000] * 3)


seconds = st.integers(0, 30)
reading = st.one_of(st.none(), seconds)
datasets = st.sampled_from([None, None, "urn:x:d"])
places = st.sampled_from([point(1, 1), point(3, 3), point(7, 7)])
ids = st.sampled_from(["a", "b", "c", "d"])
Deed = tuple[Operation | Literal["record"], str, dict[str, Any]]
kinds: list[Operation | Literal["record"]] = [
    "upsert",
    "upsert",
    "upsert",
    "replace",
    "delete",
    "delete_attribute",
    "record",
]


@st.composite
def deeds(draw: st.DrawFn) -> list[Deed]:
    """Draw what happens, second by second."""
    found: list[Deed] = []
    for _ in range(draw(st.integers(1, 25))):
        kind = draw(st.sampled_from(kinds))
        members: dict[str, Any] = {"attribute": draw(st.sampled_from(["n", "s"])), "dataset": draw(datasets)}
        if kind not in ("delete", "delete_attribute"):
            members = {"n": prop(draw(st.integers(0, 5)), draw(reading))}
            if draw(st.booleans()):
                members["s"] = prop(draw(st.sampled_from("xyz")), draw(reading))
            if draw(st.booleans()):
                members["location"] = draw(places)
            if (dataset := draw(datasets)) is not None:
                members["n"]["datasetId"] = dataset
        found.append((kind, draw(ids), members))
    return found


class Kept:
    """History in memory, word by word: every instance with its instant and its order."""

    def __init__(self) -> None:
        self.types: dict[str, tuple[str, ...]] = {}
        self.rows: list[tuple[int, int, str, str, Attribute]] = []

    def add(self, id: str, types: tuple[str, ...], seq: int, instances: Sequence[tuple[str, Attribute]]) -> None:
        self.types[id] = types
        for attribute, i in instances:
            self.rows.append((micros(i.observed_at or i.modified_at or ""), seq, id, attribute, i))

    def state(self, at: int) -> list[Entity]:
        """Return the entities as of an instant, unfiltered, in the order they came."""
        newest: dict[tuple[str, str, str], tuple[int, int, Attribute]] = {}
        for when, seq, id, attribute, i in self.rows:
            key = (id, attribute, i.dataset_id or "")
            if when <= at and ((old := newest.get(key)) is None or (when, seq) >= old[:2]):
                newest[key] = (when, seq, i)
        found: list[Entity] = []
        for id, types in self.types.items():
            attrs: dict[str, list[Attribute]] = {}
            for (of, attribute, _), (_, _, i) in sorted(newest.items()):
                if of == id and not i.deleted_at:
                    attrs.setdefault(attribute, []).append(i)
            if attrs:
                found.append(Entity(id, types, {a: tuple(some) for a, some in attrs.items()}))
        return found


def seen(entities: Sequence[Entity], inside: bool, shown: frozenset[str] | None) -> dict[str, dict[str, Any]]:
    """Return what a caller sees: where it has to be within 0..5 degrees, and which attributes."""
    found: dict[str, dict[str, Any]] = {}
    for entity in entities:
        places = [i.value["coordinates"][0] for i in entity.attrs.get(name("location"), ())]
        attrs = {a: [i.value for i in some] for a, some in entity.attrs.items() if shown is None or a in shown}
        if attrs and (not inside or any(lon <= 5 for lon in places)):
            found[entity.id] = attrs
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    deeds=deeds(),
    spans=st.lists(st.tuples(seconds, seconds), min_size=1, max_size=3),
    inside=st.booleans(),
    shown=st.sampled_from([None, names("n"), names("n", "location"), names("s")]),
    limit=st.sampled_from([1, 3, 1000]),
    typed=st.booleans(),
)
async def test_past_and_memory_agree(
    store: Store,
    deeds: list[Deed],
    spans: list[tuple[int, int]],
    inside: bool,
    shown: frozenset[str] | None,
    limit: int,
    typed: bool,
) -> None:
    tenant = f"past{next(_tenants)}"
    kept, writer = Kept(), Access(tenant, write=True)
    await store.put_document("tenant", tenant, "is there", b"")  # also without entities
    for second, (kind, id, members) in enumerate(deeds):
        if kind == "record":
            listed = {a: [v] for a, v in members.items() if "observedAt" in v}
            if not listed:
                continue
            document = {"id": uri(id), "type": "Device", **listed}
            entity = expand.entity(document, CORE_TERMS, instant(second), history=True)
            assert await store.record(writer, [entity]) == [None]
            kept.add(uri(id), entity.types, 0, [(a, i) for a, some in entity.attrs.items() for i in some])
            continue
        (outcome,) = await store.write(writer, [made(kind, id, second, **members)])
        if isinstance(outcome, Decision):
            kept.add(uri(id), (name("Device"),), second + 1, outcome.history)
    if not kept.types:
        return
    grant = Grant(area=area(0, 0, 5, 5) if inside else None, attributes=shown)
    access = Access(tenant, (grant,))
    query = ask(type="Device" if typed else None, limit=limit)
    for start, end in ((min(span), max(span)) for span in spans):
        was, became = kept.state(T0 + start * 1_000_000), kept.state(T0 + end * 1_000_000)
        first = await past(store, start, access, (), query)
        assert _plain(first) == seen(was, inside, shown)
        assert _plain(await past(store, end, access, (), query)) == seen(became, inside, shown)
        assert await _replayed(store, access, query, first, (start, end)) == seen(became, inside, shown)


async def _replayed(
    store: Store, access: Access, query: EntityQuery, first: Sequence[Entity], span: tuple[int, int]
) -> Mapping[str, Any]:
    """Return what a state becomes by the steps of a span, read in small pages."""
    now = _plain(first)
    start, end = (T0 + second * 1_000_000 for second in span)
    while start < end:
        pages: list[Step] = []
        after: int | None = -1
        until = end
        while after is not None:
            page = await store.between(access, query, start, until, (), after, 5)
            pages += page.steps
            after, until = page.next, min(until, page.until)
        for step in sorted((s for s in pages if s.at <= until), key=lambda s: s.at):
            assert _plain([step.before] if step.before else []) == {k: v for k, v in now.items() if k == step.id}
            now.pop(step.id, None)
            if step.after:
                now |= _plain([step.after])
        start = until
    return now


def _plain(entities: Sequence[Entity]) -> dict[str, dict[str, Any]]:
    return {e.id: {a: [i.value for i in some] for a, some in e.attrs.items()} for e in entities}
