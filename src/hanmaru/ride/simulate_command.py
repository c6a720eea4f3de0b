"""``hanmaru ride simulate``: policies and fleets over whole days of service, side by side."""

import re
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import typer

from hanmaru.platform.console import say
from hanmaru.ride.domain import RideError
from hanmaru.ride.sim import policies, report, scenario, summary, town
from hanmaru.ride.sim.compare import Answer, Case, Measured, Results, Target, smallest
from hanmaru.ride.sim.loop import Behaviour, simulate
from hanmaru.ride.sim.outcome import measures
from hanmaru.ride.sim.scenario import MOST_SEEDS, MOST_VANS, Scenario

UNDER_MIN = 12.0
_TARGET = re.compile(r"\s*([\d.]+)\s*(%?)\s*(?:(?:under|within|in)\s+([\d.]+)\s*(?:min|minutes)?)?\s*", re.ASCII)


def run(
    source: Path | None,
    city: bool,
    vans: str | None,
    policy: str | None,
    seeds: int | None,
    target: str | None,
    under: float | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Simulate, print what was found and write it to a folder. Raises RideError and BadParameter for
    what the user can correct.
    """
    began = time.perf_counter()
    if (source is None) == (not city):
        raise typer.BadParameter("give a scenario's file, or --city for the simulated city's first living zone")
    setting = scenario.load(source) if source else Scenario()
    compared = setting.compare
    fleets = _numbers(vans) if vans else list(compared.vans)
    names = [scenario.policy(name.strip()) for name in policy.split(",")] if policy else list(compared.policies)
    count = compared.seeds if seeds is None else seeds
    if not 1 <= count <= MOST_SEEDS:
        raise typer.BadParameter(f"--seeds {count}: 1 to {MOST_SEEDS}")
    goal = _target(target, under) if target else None
    under_s = goal.wait_s if goal else 60 * (UNDER_MIN if under is None else under)
    folder = _folder(out)
    results = Results(_simulator(town.build(setting), under_s), range(1, count + 1))
    answers: list[Answer] = []
    finished = True
    with _progress() as tell:
        try:
            if goal is None or vans:
                results.run([Case(name, number) for name in names for number in fleets], tell)
            if goal is not None:
                answers.extend(smallest(results, name, goal, sorted(fleets)[len(fleets) // 2], tell) for name in names)
        except KeyboardInterrupt:
            finished = False
    found = summary.summary(setting, results, answers, under_s, finished, time.perf_counter() - began)
    if folder and found.cases:
        report.write(folder, found, summary.runs_csv(results))
    say(found, summary.table(found), as_json)
    if not finished:
        raise typer.Exit(130)


def _simulator(place: town.Town, under_s: float) -> Callable[[str, int, int], Measured]:
    """Return what runs one day. A seed's riders are drawn once."""
    setting = place.scenario
    demand: dict[int, town.Demand] = {}

    def once(policy: str, vans: int, seed: int) -> Measured:
        if seed not in demand:
            demand[seed] = place.demand(seed)
        fleet, shifts = place.fleet(vans)
        behaviour = Behaviour(setting.riders, setting.disturbance, shifts)
        layers = policies.layers(scenario.policy(policy), setting.layers, place.config, place.world, demand[seed])
        riders, traffic = demand[seed], place.traffic
        outcome = simulate(place.world, fleet, place.config, riders, behaviour, layers, seed, traffic=traffic)
        return measures(outcome, under_s)

    return once


def _numbers(text: str) -> list[int]:
    """Return numbers of vans such as 8,10,12 or 8-12."""
    numbers: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,5})\s*(?:-\s*(\d{1,5})\s*)?", part, re.ASCII)
        if match is None:
            raise typer.BadParameter(f"--vans {text}: numbers such as 8,10,12 or 8-12 are wanted")
        first, last = int(match[1]), int(match[2] or match[1])
        if not 1 <= first <= last <= MOST_VANS:
            raise typer.BadParameter(f"--vans {text}: 1 to {MOST_VANS} vans, the smaller number first")
        numbers.extend(range(first, last + 1))
    return sorted(set(numbers))


def _target(text: str, under: float | None) -> Target:
    """Return a target such as ``95%`` or ``95% under 12 min``."""
    match = _TARGET.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        share = float(match[1]) / (100 if match[2] or float(match[1]) > 1 else 1)
        minutes = float(match[3]) if match[3] else UNDER_MIN if under is None else under
    except ValueError:
        raise typer.BadParameter(f"--target {text}: a share such as 95%, or '95% under 12 min', is wanted") from None
    if not 0 < share <= 1:
        raise typer.BadParameter(f"--target {text}: a share lies between 0 and 100 %")
    if not 0 < minutes <= 1440:
        raise typer.BadParameter(f"--under {minutes:g}: minutes of a day are wanted")
    return Target(share, 60 * minutes)


def _folder(out: Path | None) -> Path | None:
    """Return the folder to write to, made before hours are spent on what could not be written."""
    if out is None:
        return None
    if out.exists() and not out.is_dir():
        raise RideError(f"--out {out} is a file; name a folder")
    out.mkdir(parents=True, exist_ok=True)
    return out


@contextmanager
def _progress() -> Generator[Callable[[Case, int], None]]:
    """Show on standard error what is being run, where somebody looks at it."""
    if not sys.stderr.isatty():
        yield lambda case, seed: None
        return
    from rich.console import Console

    with Console(stderr=True).status("") as status:

        def tell(case: Case, seed: int) -> None:
            status.update(f"{case.policy}, {case.vans} vans, seed {seed}")

        yield tell
