"""1,000 rules over a stream: the engine alone beside others, and from the hub's write to the committed detection.

The rules: thresholds, windows, rates, silence, joins and sequences over 20 types of 100 sensors each. The peers run the
400 threshold rules among them alone, on the same readings and without state, so do less: `rule-engine` (PyPI; compiled
expressions, each rule of a type evaluated for each reading) where it can be imported, and plain comparisons.
"""

import asyncio
import importlib
import random
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from hanmaru.centre.detect.follow import Follower
from hanmaru.centre.detect.store import State
from hanmaru.centre.detect.words import seconds
from hanmaru.centre.rules.engine import Engine
from hanmaru.centre.rules.model import Rule, Threshold, convert
from hanmaru.centre.rules.state import Reading
from hanmaru.hub.local import open_hub
from hanmaru.platform.access import Access

TYPES, SENSORS, ATTRS = 20, 100, ("a", "b", "c")
RATE = 2000


def made(count: int = 1000) -> list[Rule]:
    """Return rules: of ten, four thresholds (one held for a time), two windows, a rate, silence, a join, a sequence."""
    chance = random.Random(7)

    def threshold(type: str, low: float = 85) -> dict[str, Any]:
        value = chance.uniform(low, 99.9)
        return {
            "kind": "threshold",
            "type": type,
            "attr": chance.choice(ATTRS),
            "op": ">",
            "value": value,
            "hysteresis": 5,
        }

    rules: list[Rule] = []
    for n in range(count):
        type, other = f"Type{n // 10 % TYPES}", f"Type{(n // 10 + 1) % TYPES}"
        attr, more = chance.choice(ATTRS), {}
        match n % 10:
            case 0 | 1 | 2:
                when = threshold(type)
            case 3:
                when, more = threshold(type), {"for_s": 30, "clear_s": 10, "flap": {"most": 3, "in_s": 600}}
            case 4 | 5:
                agg, value = chance.choice((("mean", 75), ("max", 99.95), ("min", 60)))
                span = chance.choice((60, 300, 600))
                when = {
                    "kind": "window",
                    "type": type,
                    "attr": attr,
                    "agg": agg,
                    "over_s": span,
                    "op": ">",
                    "value": value,
                }
            case 6:
                when = {"kind": "rate", "type": type, "attr": attr, "per_s": 60, "op": ">", "value": 95}
            case 7:
                when = {"kind": "absence", "type": type, "for_s": chance.uniform(600, 3600)}
            case 8:
                when = {"kind": "join", "left": threshold(type, 97), "right": threshold(other, 97), "radius_m": 300}
            case _:
                steps = [threshold(type, 97), threshold(other, 97)]
                when = {"kind": "sequence", "steps": steps, "within_s": 60, "same": "area", "radius_m": 300}
        rules.append(convert({"id": f"r{n}", "name": {"en": f"Rule {n}"}, "when": when, **more}))
    return rules


def readings(count: int) -> list[Reading]:
    """Return readings of all sensors at `RATE` a second: values that wander between 0 and 100."""
    chance = random.Random(8)
    level = {(s, a): chance.uniform(0, 100) for s in range(TYPES * SENSORS) for a in ATTRS}
    place = [(127 + chance.random() * 0.1, 37 + chance.random() * 0.1) for _ in range(TYPES * SENSORS)]
    out: list[Reading] = []
    for n in range(count):
        sensor = chance.randrange(TYPES * SENSORS)
        values: dict[str, Any] = {}
        for attr in ATTRS:
            values[attr] = level[sensor, attr] = min(100.0, max(0.0, level[sensor, attr] + chance.gauss(0, 4)))
        touched = tuple(values)
        values["location"] = {"type": "Point", "coordinates": list(place[sensor])}
        type = f"Type{sensor % TYPES}"
        out.append(Reading(1.7e9 + n / RATE, f"urn:ngsi-ld:{type}:{sensor}", (type,), touched, values))
    return out


def alone(rules: list[Rule], stream: list[Reading]) -> dict[str, Any]:
    """Run the engine, with the rows that it would keep, in CPU seconds."""
    engine = Engine(rules)
    fired = rows = 0
    warm = len(stream) // 4
    for reading in stream[:warm]:
        engine.feed(reading)
    engine.take()
    began = time.process_time()
    for n, reading in enumerate(stream[warm:]):
        fired += len(engine.feed(reading))
        if n % 200 == 199:
            rows += len(engine.take())
    spent = time.process_time() - began
    return {"readings per CPU second": round((len(stream) - warm) / spent), "firings": fired, "rows kept": rows}


def plain(rules: list[Rule], stream: list[Reading]) -> dict[str, Any]:
    """Compare each reading with each threshold of its type."""
    by_type: dict[str, list[Threshold]] = {}
    for rule in rules:
        if isinstance(rule.when, Threshold):
            by_type.setdefault(rule.when.type, []).append(rule.when)
    began, hits = time.process_time(), 0
    for reading in stream:
        for when in by_type.get(reading.types[0], ()):
            value = reading.values.get(when.attr)
            if value is not None and value > when.value:
                hits += 1
    spent = time.process_time() - began
    return {
        "readings per CPU second": round(len(stream) / spent),
        "rules": sum(map(len, by_type.values())),
        "hits": hits,
    }


def peer(rules: list[Rule], stream: list[Reading]) -> dict[str, Any] | str:
    """Evaluate the same thresholds by rule-engine."""
    try:
        rule_engine: Any = importlib.import_module("rule_engine")
    except ImportError:
        return "rule-engine is not installed: pip install rule-engine"
    by_type: dict[str, list[Any]] = {}
    for rule in rules:
        if isinstance(when := rule.when, Threshold):
            by_type.setdefault(when.type, []).append(rule_engine.Rule(f"{when.attr} > {when.value}"))
    began, hits = time.process_time(), 0
    for reading in stream:
        for one in by_type.get(reading.types[0], ()):
            hits += one.matches(reading.values)
    spent = time.process_time() - began
    return {
        "version": rule_engine.__version__,
        "readings per CPU second": round(len(stream) / spent),
        "rules": sum(map(len, by_type.values())),
        "hits": hits,
    }


async def through(rules: list[Rule], length_s: float) -> dict[str, Any]:
    """Write `RATE` changes a second into a real hub; time from acceptance to the committed detection.

    Writer, hub and detection share one process here, and so its one core.
    """
    with tempfile.TemporaryDirectory() as folder:
        state = State(Path(folder))
        for rule in rules:
            state.put(rule, "bench")
        committed: list[tuple[float, float]] = []
        keep = state.commit

        def commit(detections: Any, *arguments: Any) -> None:
            keep(detections, *arguments)
            now = time.time()
            committed.extend((seconds(one.at) or 0.0, now) for one in detections)

        state.commit = commit  # type: ignore[method-assign] - the real one, with the time taken
        async with open_hub(f"sqlite:///{folder}/hub.db") as opened:
            hub = opened.client(Access(write=True))
            task = asyncio.create_task(Follower(hub, state).run())
            while len(state.applied()) < len(rules):  # noqa: ASYNC110 - a file says so
                await asyncio.sleep(0.05)
            stream = readings(int(RATE * length_s))
            committed.clear()
            began, cpu, most = time.monotonic(), time.process_time(), 0
            step = RATE // 20
            for first in range(0, len(stream), step):
                await asyncio.sleep(max(0.0, began + first / RATE - time.monotonic()))
                batch = [
                    {
                        "id": one.id,
                        "type": one.types[0],
                        "location": {"type": "GeoProperty", "value": one.values["location"]},
                        **{attr: {"type": "Property", "value": one.values[attr]} for attr in ATTRS},
                    }
                    for one in stream[first : first + step]
                ]
                await hub.upsert(batch)
                if first % (step * 20) == 0:
                    most = max(most, await hub.head() - (state.fact("cursor") or 0))
            wrote = time.monotonic() - began
            head = await hub.head()
            while (state.fact("cursor") or 0) < head:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            behind = time.monotonic() - began - wrote
            spent = time.process_time() - cpu
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            state.close()
    late = sorted(now - at for at, now in committed)
    return {
        "changes per second written": round(len(stream) / wrote),
        "detections": len(late),
        "latency p50 ms": round(late[len(late) // 2] * 1000),
        "latency p99 ms": round(late[len(late) * 99 // 100] * 1000),
        "longest ms": round(late[-1] * 1000),
        "most changes behind": most,
        "behind at the end, ms": round(behind * 1000),
        "CPU seconds per second, hub and writer included": round(spent / wrote, 2),
    }


def run(quick: bool) -> dict[str, Any]:
    """Measure; detections that a timer raises are late by the grace of the clock, which is counted, too."""
    rules, stream = made(), readings(20_000 if quick else 80_000)
    return {
        "engine alone, 1,000 rules": alone(rules, stream),
        "engine alone, 400 thresholds": alone([rule for rule in rules if isinstance(rule.when, Threshold)], stream),
        "rule-engine, 400 thresholds": peer(rules, stream[: 2000 if quick else 10_000]),
        "plain comparisons, 400 thresholds": plain(rules, stream),
        "through the hub, 1,000 rules": asyncio.run(through(rules, 5 if quick else 20)),
    }
