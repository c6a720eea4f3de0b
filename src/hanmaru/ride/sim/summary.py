"""What a comparison found, as one document: the JSON that is printed and written, and what the report is made of."""

import csv
import io
import math
from dataclasses import dataclass
from typing import Any

import msgspec

from hanmaru.ride.sim.compare import Answer, Case, Results
from hanmaru.ride.sim.outcome import MEASURES
from hanmaru.ride.sim.scenario import Scenario
from hanmaru.ride.sim.stats import CONFIDENCE, Estimate

FORMAT = 1
SHOWN = (
    ("served", "served %", 100, 1),
    ("in_time", "in time %", 100, 1),
    ("wait_mean_s", "wait min", 1 / 60, 1),
    ("wait_p95_s", "95 % wait", 1 / 60, 1),
    ("detour", "detour", 1, 2),
    ("vehicle_km", "km", 1, 0),
    ("empty_km", "empty km", 1, 0),
    ("riders_per_van_hour", "riders/van-h", 1, 2),
    ("promises_kept", "kept %", 100, 1),
)
"""Columns of the table in a terminal: measure, heading, factor, decimals."""


@dataclass(frozen=True, slots=True)
class CaseFound:
    """A policy with a number of vans: how many seeds were run and each of `MEASURES`."""

    policy: str
    vans: int
    seeds: int
    measures: dict[str, Estimate]


@dataclass(frozen=True, slots=True)
class DifferenceFound:
    """By how much a case differs from another one, seed by seed."""

    policy: str
    vans: int
    base_policy: str
    base_vans: int
    measures: dict[str, Estimate]


@dataclass(frozen=True, slots=True)
class Summary:
    """The document. ``finished`` is false where the comparison was broken off; ``cases`` are what had been run."""

    format: int
    name: str
    confidence: float
    under_s: float
    finished: bool
    seconds: float
    seeds: list[int]
    cases: list[CaseFound]
    differences: list[DifferenceFound]
    answers: list[Answer]
    measures: dict[str, str]
    scenario: dict[str, Any]


def summary(
    scenario: Scenario, results: Results, answers: list[Answer], under_s: float, finished: bool, seconds: float
) -> Summary:
    """Return what was found so far."""
    cases = sorted((case for case, done in results.runs.items() if done), key=lambda c: (_rank(results, c), c.vans))
    told = msgspec.to_builtins(scenario)
    del told["folder"]
    return Summary(
        format=FORMAT,
        name=scenario.name,
        confidence=CONFIDENCE,
        under_s=under_s,
        finished=finished,
        seconds=round(seconds, 2),
        seeds=list(results.seeds),
        cases=[CaseFound(c.policy, c.vans, len(results.runs[c]), results.estimates(c)) for c in cases],
        differences=[
            DifferenceFound(a.policy, a.vans, b.policy, b.vans, results.differences(a, b)) for a, b in results.pairs()
        ],
        answers=answers,
        measures=MEASURES,
        scenario=told,
    )


def _rank(results: Results, case: Case) -> int:
    return list(dict.fromkeys(c.policy for c in results.runs)).index(case.policy)


def table(found: Summary) -> str:
    """Return the cases as a text for a terminal: means, ± half of the confidence interval."""
    rows = [["policy", "vans", *(heading for _, heading, _, _ in SHOWN)]]
    for case in found.cases:
        cells = [_cell(case.measures[name], factor, digits) for name, _, factor, digits in SHOWN]
        rows.append([case.policy, str(case.vans), *cells])
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    note = f"means of {len(found.seeds)} seeds ± half of the {found.confidence:.0%} confidence interval"
    broken = [] if found.finished else ["stopped before the end: what had been run is shown"]
    return "\n".join([*lines, note, *(sentence(answer, found) for answer in found.answers), *broken])


def _cell(value: Estimate, factor: float, digits: int) -> str:
    if math.isnan(value.mean):
        return "–"
    text = f"{value.mean * factor:,.{digits}f}"
    if math.isnan(value.low):
        return text
    return f"{text} ±{(value.high - value.low) / 2 * factor:,.{digits}f}"


def sentence(answer: Answer, found: Summary) -> str:
    """Return an answer in words."""
    goal = f"{answer.target.share * 100:.4g} % under {answer.target.wait_s / 60:.4g} minutes"
    if answer.vans is None:
        return (
            f"{answer.policy}: no number of vans reaches {goal}; limits, stops or hours are in the way, not the fleet"
        )
    text = f"{answer.policy}: {answer.vans} vans for {goal} (sure to {_sure(answer.certainty)}"
    return text + ("" if math.isnan(answer.fewer) else f"; with {answer.vans - 1} only to {_sure(answer.fewer)}") + ")"


def _sure(certainty: float) -> str:
    return (
        f"{certainty:.1%}"
        if 0.001 < certainty < 0.999
        else "more than 99.9%"
        if certainty >= 0.999
        else "less than 0.1%"
    )


def runs_csv(results: Results) -> str:
    """Return each run's measures as CSV: policy, vans, seed, then `MEASURES`."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["policy", "vans", "seed", *MEASURES])
    for case, done in results.runs.items():
        for seed, measured in done.items():
            values = ["" if math.isnan(v) else f"{v:.6g}" for v in (measured[name] for name in MEASURES)]
            rows.writerow([case.policy, case.vans, seed, *values])
    return out.getvalue()
