"""Whatever people do in whatever order: an event's states, and a procedure's, stay what they may be. Property tests."""

from typing import Any, get_args

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmaru.centre.domain import SEVERITIES, CentreError
from hanmaru.centre.events import folding
from hanmaru.centre.events.book import timed
from hanmaru.centre.events.model import STATES, VERBS, Act, Event, change
from hanmaru.centre.procedures import engine
from hanmaru.centre.procedures.book import parse, ready
from hanmaru.centre.procedures.model import SETTLED, Choice, Deed, Kind, Procedure, Receipt, Run, Rung, Step
from tests.centre.desk import detection

WORDS = st.sampled_from(["", "because"])
ACTS = st.builds(
    Act, reason=WORDS, text=WORDS, severity=st.none() | st.sampled_from(SEVERITIES), into=st.sampled_from(["", "other"])
)


@given(st.lists(st.tuples(st.sampled_from(VERBS), ACTS, st.sampled_from(["kim", "lee"])), max_size=30))
def test_an_event_is_whatever_its_last_allowed_change_made_it(deeds: list[Any]) -> None:
    event, told = folding.begun(detection(1), "e", "2026-0001", None, 0.0, 0.0)
    entries = [told]
    for at, (verb, act, who) in enumerate(deeds, 1):
        before = event
        try:
            event, entry = change(event, verb, act, who, float(at))
        except CentreError:
            continue
        entries.append(entry)
        assert event.state in STATES
        assert (event.state == "taken") <= (event.owner is not None)
        assert (event.state == "open") <= (event.owner is None)
        assert (event.state == "closed") == (event.closed is not None)
        assert before.state != "closed" or verb in ("note", "reopen")
        assert before.merged_into is None or event == before
        assert timed(event, None).due is None or event.state == "open"
        assert {"en", "ko"} <= entry.text.keys()
        assert entry.who == who
    assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)
    assert msgspec.json.decode(msgspec.json.encode(event), type=Event) == event


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 3), st.floats(0, 900)), max_size=60))
def test_folds_are_counted_and_an_event_is_cleared_when_nothing_holds(alarms: list[tuple[bool, int, float]]) -> None:
    event, _ = folding.begun(detection(1, key="r/1"), "e", "2026-0001", None, 0.0, 0.0)
    at, raised = 0.0, 1
    for begins, key, after_s in alarms:
        at += after_s
        if begins:
            event, _ = folding.folded(event, detection(2, key=f"r/{key}"), at)
            raised += 1
        else:
            event, _ = folding.cleared(event, f"r/{key}", at)
    assert event.count == raised
    assert (event.cleared is not None) <= (not any(event.keys.values()))
    assert event.state == "open"  # high: it waits for a person


@st.composite
def procedures(draw: st.DrawFn) -> Procedure:
    steps: list[Step] = []
    decisions: list[tuple[str, frozenset[str]]] = []
    for n in range(draw(st.integers(1, 7))):
        kind: Kind = draw(st.sampled_from(get_args(Kind)))
        two = (Choice("a", {"en": "A"}), Choice("b", {"en": "B"}))
        only = ()
        if decisions and draw(st.booleans()):
            only = (f"{draw(st.sampled_from(decisions))[0]}:a",)
        earlier = tuple(step.id for step in steps)
        after = None if not draw(st.booleans()) else earlier
        steps.append(
            Step(
                f"s{n}",
                kind,
                {"en": f"S{n}"},
                due_s=draw(st.none() | st.floats(1, 100)),
                required=draw(st.booleans()),
                after=earlier if only else after,
                only=only,
                items=two if kind == "checklist" else (),
                options=two if kind == "decision" else (),
                to="all",
                agency="fire" if kind == "handover" else None,
                auto=kind in ("message", "handover") and draw(st.booleans()),
                wait_s=draw(st.floats(1, 100)) if kind == "wait" else None,
            )
        )
        if kind == "decision":
            decisions.append((f"s{n}", frozenset()))
    return Procedure("p", {"en": "P"}, tuple(steps), escalation=(Rung(5, "supervisor"), Rung(20, "agency:fire")))


DEEDS = st.builds(
    Deed,
    do=st.sampled_from(["done", "skip", "tick", "untick", "choose", "send"]),
    item=st.sampled_from(["", "a", "b"]),
    option=st.sampled_from(["a", "b", "c"]),
    reason=WORDS,
)
MOVES = st.tuples(
    st.integers(0, 6), DEEDS, st.booleans(), st.floats(0, 60), st.sampled_from(["", "accepted", "declined"])
)


@settings(max_examples=80)
@given(procedures(), st.lists(MOVES, max_size=40))
def test_a_run_goes_forward_only_and_always_ends(procedure: Procedure, moves: list[Any]) -> None:
    keys: list[str] = []
    progress = engine.start(procedure, "run", "event", "kim", 0.0)
    keys += [order.key for order in progress.orders]
    now = 0.0
    for n, deed, may_skip, after_s, answer in moves:
        now += after_s
        before = progress.run
        progress = engine.tick(progress.run, now)
        keys += [order.key for order in progress.orders]
        if answer and (at := progress.run.steps.get(f"s{n}")) and at.receipt:
            progress = engine.receive(progress.run, f"s{n}", Receipt(at.receipt.key, "a", answer, now), now)
            keys += [order.key for order in progress.orders]
        try:
            progress = engine.act(progress.run, f"s{n}", deed, "kim", now, may_skip=may_skip)
        except CentreError:
            continue
        keys += [order.key for order in progress.orders]
        check(before, progress.run, now)
    assert len(keys) == len({*keys})  # nothing is sent twice
    for _ in range(20):  # a supervisor who leaves everything out comes to the end
        active = [id for id, at in progress.run.steps.items() if at.state not in (*SETTLED, "waiting")]
        if not active:
            break
        progress = engine.act(progress.run, active[0], Deed("skip", reason="end"), "park", now, may_skip=True)
    assert progress.run.state == "finished"
    assert engine.due(progress.run) is None
    assert msgspec.json.decode(msgspec.json.encode(progress.run), type=Run) == progress.run


def check(before: Run, after: Run, now: float) -> None:
    for id, at in after.steps.items():
        if before.steps[id].state in SETTLED:
            assert at.state == before.steps[id].state
        step, _ = after.step(id) or (None, None)
        assert step
        assert (at.state == "waiting") == (at.opened is None and at.state not in SETTLED)
        assert at.state != "done" or step.kind != "checklist" or len(at.ticked) == len(step.items)
    assert (after.state == "finished") == all(at.state in SETTLED for at in after.steps.values())
    due = engine.due(after)
    assert due is None or after.state == "running"


def test_time_that_has_passed_climbs_each_rung_once() -> None:
    procedure = parse(ready()["disaster-response"][1])
    progress = engine.start(procedure, "run", "event", "kim", 0.0)
    climbed: list[str] = []
    now = 0.0
    while (due := engine.due(progress.run)) is not None:
        now = due
        progress = engine.tick(progress.run, now)
        climbed += [order.to for order in progress.orders]
    assert climbed == ["supervisor", "disaster"]
    assert now == 120 + 180


def test_due_is_the_instant_at_which_something_changes() -> None:
    event, _ = folding.begun(detection(1, severity="critical"), "e", "2026-0001", None, 0.0, 0.0)
    levels: list[float] = []
    while (due := timed(event, None).due) is not None:
        assert folding.unattended(event, None, due - 0.001)[0] == event
        event, _, orders = folding.unattended(event, None, due)
        levels += [due] * len(orders)
    assert levels == [60, 180]
