"""``hanmaru ride solve`` and ``check``: the literature's problems, solved and checked."""

import dataclasses
import time
from pathlib import Path

import numpy as np
import typer

from hanmaru.platform.console import say
from hanmaru.ride.check import Report, check, read_routes
from hanmaru.ride.engine.problem import Problem, Progress, Solution, Spent
from hanmaru.ride.instances import Format, read

FEW, WARM_UP = 3, 20_000
"""Requests and iterations of a search that loads, or the first time compiles, all kernels before the clock starts."""


def solve(path: Path, form: Format | None, seconds: float, seed: int, out: Path | None, as_json: bool) -> None:
    """Solve an instance and print what was found; ``out`` gets the routes in SINTEF's format too.

    ``seconds`` bounds the search on the clock, from the instance read to the best solution; reading and compiling (a
    dozen seconds the first time on a machine, under one later) come before. Raises RideError for a file that is no
    instance, and where no vehicle can serve somebody.
    """
    if not 0 < seconds <= 86_400:
        raise typer.BadParameter("--seconds is a number above 0, and at most 86400")
    problem = read(path, form)
    _search(_few(problem), iterations(WARM_UP), 1, lambda _: None)
    began = time.perf_counter()
    solution = _search(problem, clock(seconds), seed, lambda _: None)
    took = time.perf_counter() - began
    report = check(problem, solution.routes)
    if out is not None:
        lines = [f"Route {k} : {' '.join(map(str, route))}" for k, route in enumerate(solution.routes, 1)]
        out.write_text("\n".join([f"Instance name : {problem.name}", "Solution", *lines]) + "\n")
    result = {
        "vehicles": report.vehicles,
        "cost": report.cost,
        "feasible": report.feasible,
        "routes": solution.routes,
        "seconds": round(took, 3),
    }
    say(result, _table(problem, solution, report, took), as_json)


def check_file(path: Path, solution: Path, form: Format | None, as_json: bool) -> None:
    """Print what a file's solution comes to and every rule that it breaks; exit with 1 if it breaks one."""
    problem = read(path, form)
    report = check(problem, read_routes(solution))
    said = "keeps every rule" if report.feasible else f"breaks rules {len(report.violations)} times"
    summary = f"{problem.name}: {report.vehicles} vehicles, {report.cost:.2f}; {said}"
    say(report, "\n".join([summary, *report.violations]), as_json)
    if not report.feasible:
        raise typer.Exit(1)


def clock(seconds: float) -> Spent:
    """Return a budget of seconds on the clock that starts now."""
    began = time.perf_counter()
    return lambda _: (time.perf_counter() - began) / seconds


def iterations(count: int) -> Spent:
    """Return a budget of iterations."""
    done = 0

    def spent(more: int) -> float:
        nonlocal done
        done += more
        return done / count

    return spent


def _search(problem: Problem, spent: Spent, seed: int, progress: Progress) -> Solution:
    if problem.fleet_first:
        from hanmaru.ride.engine.pdptw.solve import solve
    else:
        from hanmaru.ride.engine.darp import solve
    return solve(problem, spent, seed, progress)


def _few(problem: Problem) -> Problem:
    """Return a problem of the first few requests only."""
    pickup, delivery = problem.pickup[:FEW], problem.delivery[:FEW]
    places = np.concatenate([[0], pickup, delivery])
    return dataclasses.replace(
        problem,
        pickup=np.arange(1, len(pickup) + 1, dtype=np.int32),
        delivery=np.arange(len(pickup) + 1, len(places), dtype=np.int32),
        open=problem.open[places],
        close=problem.close[places],
        service=problem.service[places],
        load=problem.load[places],
        travel=np.ascontiguousarray(problem.travel[np.ix_(places, places)]),
    )


def _table(problem: Problem, solution: Solution, report: Report, took: float) -> str:
    """Return a solution as a text for people: a line a vehicle, then the totals."""
    lines = [f"{number:4}  {' '.join(map(str, route))}" for number, route in enumerate(solution.routes, 1)]
    requests = len(problem.pickup)
    totals = f"{problem.name}: {requests} requests, {report.vehicles} vehicles, cost {report.cost:.2f}, {took:.1f} s"
    return "\n".join([*lines, totals, *report.violations])
