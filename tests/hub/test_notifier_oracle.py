"""Random changes and random subscriptions: what receivers get is what a naive reading of the rules says."""

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hanmaru.hub import expand
from hanmaru.hub.local import Hub, open_hub
from hanmaru.hub.model import DEFAULT_VOCAB
from hanmaru.hub.notifier import CONSUMER
from hanmaru.hub.subscriptions import TRIGGERS
from hanmaru.hub.terms import CORE_TERMS
from hanmaru.hub.times import now
from hanmaru.hub.writes import Decision, Write
from hanmaru.platform.access import Access, Grant
from tests.hub.notifying import EVERYTHING, Receiver, eventually, notifying, receiving, subscribe

TYPES, ATTRIBUTES = ("Room", "Hall"), ("a", "b", "c")
State = dict[str, Any]
"""An entity in simplified form."""


@dataclass(frozen=True)
class Step:
    """A write: its operation, its entity and the attributes it sets (or the one it deletes)."""

    operation: str
    n: int
    type: str
    values: dict[str, int]
    attribute: str


@dataclass(frozen=True)
class Wish:
    """A subscription's conditions in plain words."""

    type: str
    id: str | None
    watched: tuple[str, ...]
    triggers: tuple[str, ...]
    condition: tuple[str, str, int] | None
    hidden: str | None


steps = st.builds(
    Step,
    st.sampled_from(["upsert", "upsert", "append", "update", "replace", "delete_attribute", "delete"]),
    st.integers(0, 3),
    st.sampled_from(TYPES),
    st.dictionaries(st.sampled_from(ATTRIBUTES), st.integers(0, 9), min_size=1),
    st.sampled_from(ATTRIBUTES),
)
wishes = st.builds(
    Wish,
    st.sampled_from([*TYPES, "Room,Hall", "*"]),
    st.none() | st.integers(0, 3).map("urn:x:{}".format),
    st.lists(st.sampled_from(ATTRIBUTES), max_size=2, unique=True).map(tuple),
    st.lists(st.sampled_from(TRIGGERS), max_size=3, unique=True).map(tuple),
    st.none() | st.tuples(st.sampled_from(ATTRIBUTES), st.sampled_from(["<", "==", ">="]), st.integers(0, 9)),
    st.none() | st.sampled_from(ATTRIBUTES),
)
COMPARE: dict[str, Callable[[int, int], bool]] = {
    "<": lambda a, b: a < b,
    "==": lambda a, b: a == b,
    ">=": lambda a, b: a >= b,
}


def told(wish: Wish, before: State | None, after: State | None, touched: set[str]) -> State | None:
    """Return what a subscriber is told of an entity that was ``before`` and is ``after``, by the rules read naively."""
    state = after or before
    assert state is not None
    shown = {k: v for k, v in state.items() if k != wish.hidden}
    types = TYPES if wish.type == "*" else wish.type.split(",")
    if state["type"] not in types or (wish.id and wish.id != state["id"]):
        return None
    if wish.condition:
        name, operator, value = wish.condition
        if name not in shown or not COMPARE[operator](shown[name], value):
            return None
    attributes = set(ATTRIBUTES) - {wish.hidden}
    watched = attributes & set(wish.watched) if wish.watched else attributes
    had, has = set(before or ()) & set(ATTRIBUTES), set(after or ()) & set(ATTRIBUTES)
    happened: set[str] = set()
    if before and after is None:
        if not wish.watched or watched & had:
            happened.add("entityDeleted")
    else:
        if before is None and (not wish.watched or watched & has):
            happened.add("entityCreated")
        happened |= {"attributeCreated"} if watched & (has - had) else set()
        happened |= {"attributeUpdated"} if watched & touched & had & has else set()
        happened |= {"attributeDeleted"} if watched & (had - has) else set()
    wanted = set(wish.triggers or ("attributeCreated", "attributeUpdated"))
    if "entityUpdated" in wanted:
        wanted |= {"attributeCreated", "attributeUpdated", "attributeDeleted"}
    if not wanted & happened:
        return None
    if after is None:
        return {"id": state["id"], "type": state["type"]}
    if "attributeDeleted" in wanted and before:
        shown |= dict.fromkeys((had - has) & attributes, "urn:ngsi-ld:null")
    return shown


def apply(step: Step, before: State | None) -> tuple[State | None, set[str]]:
    """Return the state after a write that is accepted, and the attributes that it set."""
    id = {"id": f"urn:x:{step.n}", "type": step.type}
    touched = set(step.values)
    if before is None:
        return {**id, **step.values}, touched
    match step.operation:
        case "delete":
            return None, set()
        case "delete_attribute":
            return {k: v for k, v in before.items() if k != step.attribute}, set()
        case "replace":
            return {**id, **step.values}, touched
        case _:
            return {**before, **step.values}, touched


def write_of(step: Step, before: State | None) -> Write:
    type = step.type if before is None or step.operation == "replace" else before["type"]
    content = expand.entity({"id": f"urn:x:{step.n}", "type": type, **step.values}, CORE_TERMS, now())
    attribute = DEFAULT_VOCAB + step.attribute
    return Write(step.operation, content.id, now(), content, attribute=attribute)  # type: ignore[arg-type]


async def play(hub: Hub, played: list[Step], wishes: list[Wish]) -> None:
    expected: list[list[State]] = [[] for _ in wishes]
    states: dict[int, State | None] = {}
    async with receiving(Receiver()) as receiver:
        for number, wish in enumerate(wishes):
            visible = frozenset(DEFAULT_VOCAB + a for a in ATTRIBUTES if a != wish.hidden)
            members: dict[str, Any] = {
                "entities": [{"type": wish.type, **({"id": wish.id} if wish.id else {})}],
                **({"watchedAttributes": list(wish.watched)} if wish.watched else {}),
                **({"notificationTrigger": list(wish.triggers)} if wish.triggers else {}),
                **({"q": "{}{}{}".format(*wish.condition)} if wish.condition else {}),
                "notification": {"format": "keyValues"},
            }
            access = Access(grants=(Grant(attributes=visible if wish.hidden else None),), write=True)
            await subscribe(hub, receiver.url(f"/{number}"), access=access, **members)
        async with notifying(hub):
            for step in played:
                before = states.get(step.n)
                (outcome,) = await hub.store.write(EVERYTHING, [write_of(step, before)])
                if not isinstance(outcome, Decision) or outcome.change is None:
                    continue
                after, touched = apply(step, before)
                states[step.n] = after
                for number, wish in enumerate(wishes):
                    if (note := told(wish, before, after, touched)) is not None:
                        expected[number].append(note)

            async def quiet() -> bool:
                return await hub.store.cursor(CONSUMER) == await hub.store.head() and not await hub.store.waiting()

            await eventually(quiet)
    for number, notes in enumerate(expected):
        got = [entity for note in receiver.at(f"/{number}") for entity in note.body["data"]]
        assert [{k: v for k, v in entity.items() if k != "deletedAt"} for entity in got] == notes, wishes[number]


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(steps, min_size=1, max_size=40), st.lists(wishes, min_size=1, max_size=12))
def test_receivers_get_what_the_rules_say(played: list[Step], wishes: list[Wish]) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with open_hub(f"sqlite:///{folder}/hub.db") as hub:
                await play(hub, played, wishes)

    asyncio.run(run())
