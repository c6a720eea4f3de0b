"""Whatever a caller tries to write: what it may not see stays as it is, and it comes to see nothing more."""

import itertools
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hanmaru.hub.model import Entity
from hanmaru.hub.query import TemporalQuery
from hanmaru.hub.stores.base import Store
from hanmaru.hub.writes import Decision, Write
from hanmaru.platform.access import Access, Grant
from tests.hub.store_contract.building import delete, do, name, put, tick, uri, write
from tests.hub.store_contract.test_oracle import entities, matched, unions

_tenants = itertools.count()
ids = st.sampled_from([f"{n:02}" for n in range(5)])
members = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from([["A"], ["B"], ["A", "C"]]),
        "scope": st.sampled_from([["/x"], ["/q", "/x/y"]]),
        "n": st.integers(0, 3),
        "m": st.integers(0, 3),
        "location": st.sampled_from(
            [{"type": "Point", "coordinates": at} for at in ([-3.0, 0.0], [0.5, 0.5], [3.0, 3.0])]
        ),
    },
)
writes = st.one_of(
    st.builds(
        lambda how, id, content: write(how, id, **content),
        st.sampled_from(["create", "replace", "upsert"]),
        ids,
        members,
    ),
    st.builds(
        lambda how, id, content: write(how, id, **content), st.sampled_from(["append", "update", "merge"]), ids, members
    ),
    ids.map(delete),
    st.builds(
        lambda id, of: Write("delete_attribute", uri(id), tick(), attribute=name(of)),
        ids,
        st.sampled_from(["n", "m", "location"]),
    ),
)


def parts(e: Entity | None, union: tuple[Grant, ...]) -> tuple[bool, set[str], set[str]]:
    """Return whether an entity is seen, and its attributes that are seen and that are not."""
    some = matched(e, union) if e else []
    seen = {n for n in (e.attrs if e else ()) if any(g.attributes is None or n in g.attributes for g in some)}
    return bool(some), seen, set(e.attrs if e else ()) - seen


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(made=entities(), union=unions, tries=st.lists(writes, min_size=1, max_size=5))
async def test_no_write_reaches_what_is_hidden(
    store: Store, made: list[Entity], union: tuple[Grant, ...], tries: list[Write]
) -> None:
    tenant = f"w{next(_tenants)}"
    every, access = Access(tenant, write=True), Access(tenant, union, write=True)
    await store.put_document("tenant", tenant, "is there", b"")
    await do(store, *map(put, made), access=every)
    for attempt in tries:
        attempt = replace(attempt, now=tick())
        before = await store.retrieve(every, attempt.id)
        (outcome,) = await store.write(access, [attempt])
        after = await store.retrieve(every, attempt.id)
        was_seen, shown, hidden = parts(before, union)
        is_seen, _, hidden_then = parts(after, union)
        if not isinstance(outcome, Decision):
            assert after == before
            continue
        assert before is None or was_seen
        if attempt.operation == "delete":
            assert after is None
            assert not hidden
            continue
        assert is_seen
        assert hidden_then == hidden
        assert before is None or after is None or all(after.attrs[n] == before.attrs[n] for n in hidden)
        history = await store.history(access, attempt.id, TemporalQuery(property="modifiedAt"))
        assert history is not None
        assert before is None or set(history.attrs) <= shown | set(attempt.content.attrs if attempt.content else ()) | (
            {attempt.attribute} if attempt.attribute else set()
        ) | _ever_shown(union, before)


def _ever_shown(union: tuple[Grant, ...], e: Entity) -> set[str]:
    """Return every attribute that the grants show that matched the entity before."""
    some = matched(e, union)
    if any(g.attributes is None for g in some):
        return {name(n) for n in ("n", "s", "m", "location", "deep")}
    return {n for g in some for n in g.attributes or ()}
