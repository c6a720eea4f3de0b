"""The rules' engine against plain definitions, and stopped anywhere."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hanmaru.centre.rules.engine import Engine
from hanmaru.centre.rules.model import Rule, convert
from hanmaru.centre.rules.state import Firing, Reading

QUICK = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
PLACES = [(127.0, 37.0), (127.001, 37.0), (127.05, 37.0)]
"""The first two 89 m apart, the third 4 km off."""
RING = [[126.9995, 36.9], [127.002, 36.9], [127.002, 37.1], [126.9995, 37.1], [126.9995, 36.9]]
FENCE = {"type": "Polygon", "coordinates": [RING]}


def rule(when: dict[str, Any], id: str = "r", **others: Any) -> Rule:
    return convert({"id": id, "name": {"en": "R"}, "when": when, **others})


def high(type: str = "A", attr: str = "x", op: str = ">", value: Any = 5, **others: Any) -> dict[str, Any]:
    return {"kind": "threshold", "type": type, "attr": attr, "op": op, "value": value, **others}


def says(at_s: float, id: str, observed_s: float | None = None, deleted: bool = False, **values: Any) -> Reading:
    """A change of an entity, whose type is the first letter of its id; ``at`` n is a place."""
    if (place := values.pop("at", None)) is not None:
        values["location"] = {"type": "Point", "coordinates": list(PLACES[place])}
    return Reading(at_s, id, [id[0].upper()], list(values), values, observed_s, deleted)


def told(engine: Engine, *readings: Reading) -> list[tuple[float, str, str]]:
    return [(one.at_s, one.kind, one.key) for reading in readings for one in engine.feed(reading)]


def test_hysteresis_for_s_and_clear_s() -> None:
    engine = Engine([rule(high(hysteresis=2), for_s=10, clear_s=20)])
    assert told(engine, says(0, "a1", x=6), says(5, "a1", x=4)) == [], "4 is within the hysteresis of 5"
    assert told(engine, says(12, "a1", x=4)) == [(10, "raise", "r:a1")], "told of the instant at which it was due"
    assert told(engine, says(15, "a1", x=3), says(20, "a1", x=6), says(30, "a1", x=1)) == []
    assert [(one.at_s, one.kind) for one in engine.advance(60)] == [(50, "clear")]


def test_readings_that_came_at_once_show_by_themselves_that_it_held_long_enough() -> None:
    engine = Engine([rule(high(), for_s=60)])
    at_once = [says(1000, "a1", 900, x=6), says(1000, "a1", 930, x=7), says(1000, "a1", 960, x=8)]
    assert told(engine, *at_once) == [(1000, "raise", "r:a1")]


def test_a_late_reading_counts_in_windows_and_changes_nothing_else() -> None:
    mean = {"kind": "window", "type": "A", "attr": "x", "agg": "mean", "over_s": 60, "op": ">", "value": 5}
    engine = Engine([rule(high(), "now"), rule(mean, "mean")])
    assert told(engine, says(100, "a1", 100, x=1)) == []
    assert told(engine, says(101, "a1", 70, x=20)) == [(101, "raise", "mean:a1")]
    assert told(engine, says(101, "a1", 10, x=-1000)) == [], "too late for the window"


def test_silence_and_its_end() -> None:
    engine = Engine([rule({"kind": "absence", "type": "A", "for_s": 60})])
    told(engine, says(0, "a1", x=1), says(50, "a1", x=1))
    assert [(f.at_s, f.kind) for f in engine.advance(500)] == [(110, "raise")]
    assert told(engine, says(501, "a1", y=1)) == [(501, "clear", "r:a1")]
    assert [(f.at_s, f.kind) for f in engine.advance(600)] == [(561, "raise")], "silent again"


def test_after_a_stop_of_the_hub_silence_and_what_has_to_hold_count_anew() -> None:
    engine = Engine([rule({"kind": "absence", "type": "A", "for_s": 60}, "silent"), rule(high(), "long", for_s=30)])
    told(engine, says(0, "a1", x=1), says(50, "a2", x=6))
    engine.listen(1000)
    assert told(engine, says(1000, "a1", x=1)) == []
    assert [(f.at_s, f.key) for f in engine.advance(1100)] == [
        (1030, "long:a2"),
        (1060, "silent:a1"),
        (1060, "silent:a2"),
    ]


def test_a_window_empties_by_itself() -> None:
    count = {"kind": "window", "type": "A", "attr": "x", "agg": "count", "over_s": 60, "op": ">=", "value": 3}
    engine = Engine([rule(count)])
    assert told(engine, *(says(at, "a1", x=1) for at in (0, 1, 2))) == [(2, "raise", "r:a1")]
    (cleared,) = engine.advance(1000)
    assert cleared.kind == "clear"
    assert 60 <= cleared.at_s < 62


def test_a_change_without_an_end_holds_for_an_instant() -> None:
    engine = Engine([rule({"kind": "all", "of": [{"kind": "change", "type": "A", "attr": "n"}, high(value=0)]})])
    assert told(engine, says(0, "a1", n=1, x=1)) == [(0, "raise", "r:a1"), (0, "clear", "r:a1")]
    assert told(engine, says(1, "a1", n=1), says(2, "a1", n=2)) == [(2, "raise", "r:a1"), (2, "clear", "r:a1")]


def test_fences() -> None:
    fence = {"kind": "geofence", "type": "A", "polygon": FENCE}
    rules = [rule(fence | {"on": on}, on) for on in ("enter", "leave")] + [
        rule(fence | {"on": "dwell", "dwell_s": 30}, "dwell")
    ]
    engine = Engine(rules)
    assert told(engine, says(0, "a1", at=2)) == []
    assert told(engine, says(1, "a1", at=0)) == [(1, "raise", "enter:a1")]
    assert told(engine, says(40, "a1", at=1)) == [(31, "raise", "dwell:a1")]
    left = told(engine, says(41, "a1", at=2))
    assert left == [(41, "clear", "dwell:a1"), (41, "clear", "enter:a1"), (41, "raise", "leave:a1")]


def test_heavy_rain_and_water_in_an_underpass_near_by_some_time_apart() -> None:
    join = {"kind": "join", "left": high("U"), "right": high("R"), "radius_m": 500, "within_s": 60}
    engine = Engine([rule(join)])
    assert told(engine, says(0, "r1", at=0, x=9), says(1, "r2", at=2, x=9), says(10, "r1", x=0)) == []
    assert told(engine, says(20, "u1", at=1, x=9), says(20, "u3", at=1, x=1)) == [(20, "raise", "r:u1")]
    assert [(one.at_s, one.kind) for one in engine.advance(100)] == [(70, "clear")]
    raised = engine.feed(says(101, "u1", at=2))
    assert [(one.kind, one.entities) for one in raised] == [("raise", ("u1", "r2"))], "it moved to where it rains"


def test_flapping_is_damped() -> None:
    engine = Engine([rule(high(), flap={"most": 2, "in_s": 100})])
    flaps = [says(at, "a1", x=9 if at % 2 else 0) for at in range(1, 60)]
    kinds = [kind for _, kind, _ in told(engine, *flaps)]
    assert kinds == ["raise", "clear", "raise", "clear", "raise"], "the third stays"
    assert [(one.at_s, one.kind) for one in engine.advance(500)] == [], "59 was the last and it holds"
    told(engine, says(501, "a1", x=0))
    assert [(one.at_s, one.kind) for one in engine.advance(900)] == [(601, "clear")]


def test_rules_that_change_while_it_runs() -> None:
    engine = Engine([rule(high(), "a"), rule(high(), "b")])
    told(engine, says(0, "a1", x=9), says(0, "a2", x=3))
    other = [rule(high(), "a", severity="low"), rule(high(value=2), "b"), rule(high(value=8), "c")]
    fired = sorted((one.kind, one.key) for one in engine.change_rules(other, 1))
    assert fired == [("clear", "b:a1"), ("raise", "b:a1"), ("raise", "b:a2"), ("raise", "c:a1")]
    assert told(engine, says(2, "a1", deleted=True)) == [(2, "clear", k) for k in ("a:a1", "b:a1", "c:a1")]


# ---------------------------------------------------------------------- against plain definitions

values = st.integers(0, 10)
stream = st.lists(st.tuples(st.integers(0, 40), st.sampled_from(["a1", "a2", "b1", "b2"]), values), max_size=40)


def timed(steps: list[tuple[int, str, int]]) -> list[Reading]:
    at, out = 0.0, []
    for wait, id, x in steps:
        at += wait
        out.append(says(at, id, x=x, at=int(id[1]) - 1 if id[0] == "a" else 0))
    return out


def held(engine: Engine, readings: list[Reading], key: str) -> list[bool]:
    """Whether a key is raised after each reading."""
    raised, out = False, []
    for reading in readings:
        for one in engine.feed(reading):
            if one.key == key:
                assert raised == (one.kind == "clear"), "raised once, cleared once"
                raised = one.kind == "raise"
        out.append(raised)
    return out


@given(stream, st.sampled_from([">", ">=", "<", "<=", "==", "!="]), values, st.integers(0, 3))
@QUICK
def test_thresholds_sorted_are_as_thresholds_plain(steps: Any, op: str, value: int, hysteresis: int) -> None:
    readings = timed(steps)
    back = hysteresis if op in (">", ">=", "<", "<=") else 0
    plain, state = [], False
    compare = {">": int.__gt__, ">=": int.__ge__, "<": int.__lt__, "<=": int.__le__, "==": int.__eq__, "!=": int.__ne__}
    for reading in readings:
        if reading.id == "a1":
            bound = value if not state else value - back if op in (">", ">=") else value + back
            state = compare[op](reading.values["x"], bound)
        plain.append(state)
    others = [rule(high(value=n), f"o{n}") for n in range(10)]
    tested = rule(high(op=op, value=value, hysteresis=back))
    assert held(Engine([*others, tested]), readings, "r:a1") == plain


@given(stream, st.integers(1, 60), st.integers(0, 60))
@QUICK
def test_for_and_clear_are_as_looking_back_says(steps: Any, for_s: int, clear_s: int) -> None:
    readings, raised, plain = timed(steps), False, []
    mine: list[tuple[float, bool]] = []

    def at(now: float) -> None:
        nonlocal raised
        since, state = mine[-1]
        for moment, holds in reversed(mine):
            if holds != state:
                break
            since = moment
        if state and not raised and now - since >= for_s:
            raised = True
        if not state and raised and now - since >= clear_s:
            raised = False

    for reading in readings:
        if mine:
            at(reading.at_s)
        if reading.id == "a1":
            mine.append((reading.at_s, reading.values["x"] > 5))
            at(reading.at_s)
        plain.append(raised)
    assert held(Engine([rule(high(), for_s=for_s, clear_s=clear_s)]), readings, "r:a1") == plain


@given(stream, st.sampled_from([0, 20, 60]))
@QUICK
def test_joins_are_as_all_pairs_say(steps: Any, within_s: int) -> None:
    readings = timed(steps)
    spans: dict[str, list[list[float]]] = {}
    plain = []
    for reading in readings:
        mine = spans.setdefault(reading.id, [])
        holding = bool(mine) and mine[-1][1] == float("inf")
        if reading.values["x"] > 5 and not holding:
            mine.append([reading.at_s, float("inf")])
        elif reading.values["x"] <= 5 and holding:
            mine[-1][1] = reading.at_s
        now = reading.at_s
        active = {id: any(end == float("inf") or now - end < within_s for _, end in of) for id, of in spans.items()}
        plain.append(active.get("a1", False) and (active.get("b1", False) or active.get("b2", False)))
    join = {"kind": "join", "left": high("A"), "right": high("B"), "radius_m": 500, "within_s": within_s}
    assert held(Engine([rule(join)]), readings, "r:a1") == plain


@given(stream, st.integers(1, 80))
@QUICK
def test_sequences_are_as_every_chain_says(steps: Any, within_s: int) -> None:
    readings, was, rises, raised, plain = timed(steps), {}, [], False, []
    for n, reading in enumerate(readings):
        holds = reading.values["x"] > 5
        if holds and not was.get(reading.id):
            rises.append((n, reading.at_s, reading.id))
            if reading.id[0] == "b" and not raised:
                begun = [at for m, at, id in rises if id == "a1" and m < n and reading.at_s - at < within_s]
                raised, by = bool(begun), reading.id
        if not holds and raised and reading.id == by:
            raised = False
        was[reading.id] = holds
        plain.append(raised)
    sequence = {
        "kind": "sequence",
        "steps": [high("A"), high("B")],
        "within_s": within_s,
        "same": "area",
        "radius_m": 500,
    }
    assert held(Engine([rule(sequence)]), readings, "r:a1") == plain


EVERYTHING = [
    rule(high(hysteresis=1), "threshold", for_s=30, clear_s=10),
    rule(high(), "flap", flap={"most": 2, "in_s": 60}),
    rule({"kind": "absence", "type": "A", "for_s": 45}, "absence"),
    rule({"kind": "change", "type": "A", "attr": "x", "from": 3, "to": 7}, "change"),
    rule({"kind": "rate", "type": "A", "attr": "x", "per_s": 60, "op": ">=", "value": 4}, "rate"),
    rule({"kind": "window", "type": "B", "attr": "x", "agg": "mean", "over_s": 90, "op": ">", "value": 5}, "window"),
    rule({"kind": "join", "left": high("A"), "right": high("B"), "radius_m": 500, "within_s": 40}, "join"),
    rule({"kind": "sequence", "steps": [high("A"), high("B")], "within_s": 50, "same": "area", "radius_m": 500}, "seq"),
    rule({"kind": "all", "of": [high("A"), {"kind": "not", "of": [high("B", value=3)]}]}, "city", group="rule"),
    rule({"kind": "geofence", "type": "A", "polygon": FENCE, "on": "dwell", "dwell_s": 30}, "dwell"),
    rule({"kind": "anomaly", "type": "A", "attr": "x"}, "anomaly"),
]


mixed = st.tuples(
    st.integers(0, 40),
    st.sampled_from(["a1", "a2", "b1"]),
    values,
    st.integers(0, 2),
    st.integers(-50, 0),
    st.booleans(),
)


@given(st.lists(mixed, max_size=40), st.sets(st.integers(0, 40), max_size=6))
@QUICK
def test_stopped_anywhere_is_as_never_stopped(steps: Any, stops: set[int]) -> None:
    at, readings = 0.0, []
    for n, (wait, id, x, place, late, gone) in enumerate(steps):
        at += wait
        readings.append(says(at, id, at + late, deleted=gone and n % 5 == 0, x=x, at=place))
    through, stopped = Engine(EVERYTHING), Engine(EVERYTHING)
    rows: dict[str, bytes] = {}
    expected: list[Firing] = []
    found: list[Firing] = []
    for n, reading in enumerate(readings):
        expected += through.feed(reading)
        found += stopped.feed(reading)
        for key, row in stopped.take().items():
            if row is None:
                rows.pop(key, None)
            else:
                rows[key] = row
        if n in stops:
            stopped = Engine.restored(EVERYTHING, sorted(rows.items()), stopped.clock_s, stopped.listening_s)
    expected += through.advance(at + 1000)
    found += stopped.advance(at + 1000)
    assert found == expected


def test_state_is_bounded_however_much_comes() -> None:
    engine = Engine(EVERYTHING)
    for n in range(3000):
        engine.feed(says(n * 0.5, f"a{n % 2 + 1}", x=n % 11, at=n % 3))
        engine.feed(says(n * 0.5, "b1", x=n % 7, at=0))
    assert sum(len(row or b"") for row in engine.take().values()) < 60_000
    assert len(engine.timers) < 60


def test_odd_values_break_nothing() -> None:
    engine = Engine(EVERYTHING)
    odd = [10**400, -(10**30), 1e308, True, None, "x" * 10_000, [1], {"a": 1}, "", 2**63]
    for n, value in enumerate(odd * 3):
        engine.feed(Reading(n, "a1", ["A"], ["x", "location"], {"x": value, "location": {"type": "Point"}}))
        engine.feed(Reading(n, "b1", ["B"], ["x"], {"x": value, "name": {"languageMap": {"en": value}}}))
    Engine.restored(
        EVERYTHING,
        [(key, row) for key, row in sorted(engine.take().items()) if row],
        engine.clock_s,
        engine.listening_s,
    )
