"""Anomalies: faults put into real series, found by the room's detector and by plain 3-sigma rules in the same run.

Each series is run once per kind of fault (`faults.inject`, fixed seed). An alarm is a run of flagged readings with less
than 6 h between them; it is right where it touches a fault or the `GRACE_S` after it, else wrong. A fault is found
where a reading in it, or in the grace, is flagged. ``3-sigma``: mean and standard deviation of all readings so far;
``3-sigma 24 h``: of the last 24 hours. All learn and judge reading by reading, and nothing counts in the first two
weeks (three days of traffic, of which there is a week). The real series carry real oddities that nobody labelled
(holidays, storms, days without bikes); they count as wrong for everybody.

Settings were chosen on ``chosen on``; ``others`` were looked at afterwards.
"""

import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from math import sqrt
from typing import Any

from benchmarks.centre import faults
from benchmarks.centre.faults import DAY_S, KINDS, Series
from hanmaru.centre.rules.anomaly import Detector

GRACE_S, APART_S = 3 * 3600, 6 * 3600
Judge = Callable[[float, float], str | None]


def ours() -> Judge:
    """Return the room's detector as it comes."""
    update = Detector().update

    def judge(at_s: float, value: float) -> str | None:
        verdict = update(at_s, value)
        return verdict.kind if verdict else None

    return judge


def sigma() -> Judge:
    """Return the 3-sigma rule over all readings so far (Welford's sums)."""
    n, mean, squares = 0, 0.0, 0.0

    def judge(at_s: float, value: float) -> str | None:
        nonlocal n, mean, squares
        odd = n > 1 and abs(value - mean) > 3 * sqrt(squares / n)
        n += 1
        delta = value - mean
        mean += delta / n
        squares += delta * (value - mean)
        return "3-sigma" if odd else None

    return judge


def rolling() -> Judge:
    """Return the 3-sigma rule over the 24 hours before a reading."""
    kept: deque[tuple[float, float]] = deque()
    total = squares = 0.0

    def judge(at_s: float, value: float) -> str | None:
        nonlocal total, squares
        while kept and kept[0][0] < at_s - DAY_S:
            _, old = kept.popleft()
            total -= old
            squares -= old * old
        n = len(kept)
        mean = total / n if n else 0.0
        odd = n > 10 and abs(value - mean) > 3 * sqrt(max(0.0, squares / n - mean * mean)) + 1e-9
        kept.append((at_s, value))
        total += value
        squares += value * value
        return "3-sigma" if odd else None

    return judge


RULES: dict[str, Callable[[], Judge]] = {"ours": ours, "3-sigma": sigma, "3-sigma 24 h": rolling}


class Tally:
    """Faults found and missed, alarms right and wrong, and of the found ones how many by their name."""

    def __init__(self) -> None:
        self.faults = self.found = self.named = self.right = self.wrong = 0
        self.days = 0.0

    def add(self, times: list[float], flags: list[str | None], labels: list[faults.Fault], from_s: float) -> None:
        """Count one run."""
        spans = [(times[f.start], times[f.end - 1] + GRACE_S) for f in labels]
        self.faults += len(labels)
        alarms: list[list[float]] = []
        for at, flag in zip(times, flags, strict=True):
            if flag and at >= from_s:
                if alarms and at - alarms[-1][1] < APART_S:
                    alarms[-1][1] = at
                else:
                    alarms.append([at, at])
        for fault, (_, end) in zip(labels, spans, strict=True):
            within = {flag for at, flag in zip(times[fault.start :], flags[fault.start :], strict=True) if at <= end}
            within.discard(None)
            self.found += bool(within)
            self.named += fault.kind in within
        for first, last in alarms:
            hit = any(first <= end and last >= start for start, end in spans)
            self.right += hit
            self.wrong += not hit
        self.days += (times[-1] - from_s) / DAY_S

    def figures(self) -> dict[str, float]:
        """Return precision (of alarms), recall (of faults), their F1, named (of found), wrong alarms a week."""
        precision = self.right / (self.right + self.wrong) if self.right + self.wrong else 0.0
        recall = self.found / self.faults if self.faults else 0.0
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        figures = {"precision": precision, "recall": recall, "f1": f1, "named": self.named / max(1, self.found)}
        return {k: round(v, 3) for k, v in figures.items()} | {"wrong_a_week": round(7 * self.wrong / self.days, 2)}


def chosen_on(quick: bool) -> dict[str, list[Series]]:
    """Return the series that settings were chosen on."""
    return {
        "bikes": faults.bikes(),
        "steel usage": faults.steel(1),
        "steel lagging reactive": faults.steel(2),
        "city PM10 2018": faults.city_air(3, "2018"),
        "traffic A": faults.traffic(40 if quick else 20)[::2],
    }


def others(quick: bool) -> dict[str, list[Series]]:
    """Return the series that nothing was chosen on."""
    return {
        "steel leading reactive": faults.steel(3),
        "humidity": faults.bikes(4),
        "wind": faults.bikes(5),
        "city O3 2020": faults.city_air(4, "2020"),
        "city NO2 2021": faults.city_air(5, "2021"),
        "city CO 2019": faults.city_air(6, "2019"),
        "traffic B": faults.traffic(30 if quick else 12)[1::2],
    }


def measure(
    group: dict[str, list[Series]],
    rules: Mapping[str, Callable[[], Judge]] = RULES,
    kinds: Sequence[str] = KINDS,
) -> dict[str, Any]:
    """Return the figures of each rule by kind of fault and by series, and the microseconds a reading takes."""
    by_kind: dict[str, dict[str, Tally]] = {r: defaultdict(Tally) for r in rules}
    by_series: dict[str, dict[str, Tally]] = {r: defaultdict(Tally) for r in rules}
    spent = dict.fromkeys(rules, 0.0)
    readings = 0
    for name, series in group.items():
        for one in series:
            week = len(one.times) and one.times[-1] - one.times[0] < 8 * DAY_S
            quiet_s, count = (3 * DAY_S, 2) if week else (14 * DAY_S, 20)
            for kind in kinds:
                values, labels = faults.inject(one, kind, count, quiet_s, "hanmaru")
                readings += len(values)
                for rule, make in rules.items():
                    judge = make()
                    began = time.process_time()
                    flags = [judge(at, value) for at, value in zip(one.times, values, strict=True)]
                    spent[rule] += time.process_time() - began
                    for tally in (by_kind[rule][kind], by_kind[rule]["all"], by_series[rule][name]):
                        tally.add(one.times, flags, labels, one.times[0] + quiet_s)
    return {
        "by kind": {k: {r: by_kind[r][k].figures() for r in rules} for k in (*kinds, "all")},
        "by series": {n: {r: by_series[r][n].figures() for r in rules} for n in group},
        "us_a_reading": {r: round(1e6 * spent[r] / readings, 2) for r in rules},
    }


def run(quick: bool) -> dict[str, Any]:
    """Measure both groups."""
    return {
        "chosen on": measure(chosen_on(quick)),
        "others": measure(others(quick)),
        "state_bytes": _state_bytes(),
    }


def _state_bytes() -> int:
    detector = Detector()
    one = faults.bikes()[0]
    for at, value in zip(one.times, one.values, strict=True):
        detector.update(at, value)
    return len(detector.state())
