"""Whole investigations: from encrypted tables in a vault's lake to route, contacts, hotspots; and how true places are.

The large job has the shape of Itaewon's of May 2020: 1,316 phones for 13 days, 3.9 million points. ``true`` scores
places and routes on layout B, which nothing is fitted on.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from benchmarks.vault.__main__ import Everything, Nowhere
from hanmaru.platform.policy import Caller
from hanmaru.platform.vault import Vaults, lake
from hanmaru.trace import synth, tables
from hanmaru.trace.evidence import work
from hanmaru.trace.evidence.inputs import EVIDENCE, REFERENCE, Case, CaseInputs
from hanmaru.trace.evidence.investigate import investigate
from hanmaru.trace.synth import records, truth
from hanmaru.trace.synth.world import World
from hanmaru.trace.tables import Columns

PHONES, DAYS = 1316, 13
SOURCES = {"cells alone": ("phone",), "+ cards": ("phone", "cards"), "+ QR": ("phone", "cards", "checkins")}


def run(quick: bool) -> dict[str, Any]:
    """Return seconds of a case and of the large job by stage, and the truth of places and routes."""
    large = synth.city(people=330 if quick else 1450, days=3 if quick else DAYS, seed=5, layout="A")
    return {
        "large job": asyncio.run(job(large, 300 if quick else PHONES)),
        "one case": asyncio.run(job(synth.city(people=330, days=3, seed=5, layout="A"), 200)),
        "first start, s": first(),
        "true": true(synth.city(people=250, days=3, seed=9, layout="B"), 8 if quick else 40),
    }


def typed(columns: Any, wanted: Columns) -> pa.Table:
    """Return a table of the test city as readers of files return it."""
    table = pa.table(dict(columns))
    names = [name for name in wanted if name in table.column_names]
    cast = table.select(names).cast(pa.schema([(name, tables.TYPES[wanted[name].kind]) for name in names]))
    for name, column in wanted.items():
        if name not in names:
            cast = cast.append_column(name, pa.nulls(len(cast), tables.TYPES[column.kind]))
    return cast


def reference(world: World) -> dict[str, pa.Table]:
    """Return the tables of where things are."""
    made = {
        "cells": records.cells,
        "places": records.places,
        "merchants": records.merchants,
        "cameras": records.cameras,
    }
    return {name: typed(make(world), REFERENCE[name]) for name, make in made.items()}


def evidence(world: World, people: np.ndarray, names: tuple[str, ...]) -> dict[str, pa.Table]:
    """Return what providers have of some people, by table."""
    out: dict[str, list[pa.Table]] = {name: [] for name in names}
    cells, shops = pa.array(world.network.ids), pa.array(records.merchant_id(np.arange(len(world.shops))))
    ids = {synth.name(p) for p in people.tolist()}
    for day in range(world.n_days):
        made = {"phone": lambda day=day: records.phone(world, world.events(day, people), cells)}
        made["cards"] = lambda day=day: records.cards(world.paid(day), shops)
        made["checkins"] = lambda day=day: records.checkins(world.checked_in(day), truth.place_ids(world))
        for name in names:
            table = typed(made[name](), EVIDENCE[name])
            mine = pa.compute.is_in(table["subject"], value_set=pa.array(sorted(ids)))
            out[name].append(table.filter(mine))
    return {name: pa.concat_tables(parts).combine_chunks() for name, parts in out.items()}


def case(world: World, person: int) -> Case:
    """Return a person as a case, over the world's days."""
    own = {}
    for kind, place in (("home", world.city.population.home[person]), ("work", world.city.population.work[person])):
        if place >= 0 and (kind == "home" or place in world.inside):
            lon, lat = world.city.places.lonlat[place].tolist()
            own[kind] = (lat, lon)
    return Case("benchmark", synth.name(person), world.midnight(0), world.midnight(world.n_days), own)


async def job(world: World, phones: int) -> dict[str, Any]:
    """Write phones' records into a vault, then investigate one of them among the others: read, decrypt, compute."""
    owners = world.people[world.phones.owned[world.people]][:phones]
    index, others = owners[len(owners) // 2 : len(owners) // 2 + 1], np.delete(owners, len(owners) // 2)
    fixed = reference(world)
    with tempfile.TemporaryDirectory() as folder:
        vaults = Vaults(Path(folder) / "data", Path(folder) / "keys", Nowhere(), Everything())
        desk = vaults.room("bench").at(Caller("bench"), "benchmark")
        subject = await desk.open_subject("answer")
        rows = 0
        for label, who in (("own", index), ("others", others)):
            for name, table in evidence(world, who, SOURCES["+ QR"]).items():
                await lake.write_table(desk, subject, f"{label}-{name}", table)
                rows += len(table) if name == "phone" else 0
        times: list[dict[str, float]] = []
        for _ in range(2):
            began = time.perf_counter()
            marks: list[tuple[str, float]] = []
            read = {name: await lake.read_table(desk, subject, name) for name in await lake.names(desk, subject)}
            marks.append(("read and decrypt", time.perf_counter()))
            own = {name.removeprefix("own-"): t for name, t in read.items() if name.startswith("own-")}
            them = {name.removeprefix("others-"): t for name, t in read.items() if name.startswith("others-")}
            inputs = CaseInputs(case(world, int(index[0])), fixed, own, them, test_data=True)
            found = investigate(inputs, lambda stage, share, to=marks: to.append((stage, time.perf_counter())))
            ended = time.perf_counter()
            stages = [("read and decrypt", marks[0][1] - began)]
            ends = [at for _, at in marks[2:]] + [ended]
            stages += [(name, end - at) for (name, at), end in zip(marks[1:], ends, strict=True)]
            times.append({**{name: round(s, 2) for name, s in stages}, "total": round(ended - began, 2)})
        vaults.close()
    best = min(times, key=lambda each: each["total"])
    return {
        "phones": len(owners),
        "days": world.n_days,
        "points": rows,
        "contacts": found["counts"]["contacts"],
        "s": best,
        "s in the first run": times[0]["total"],
        "budget, s": 60 if phones > 1000 else 5,
    }


def first() -> dict[str, float]:
    """Return the seconds that importing takes and a small case in a new process, kernels compiled before."""
    code = (
        "import time; a = time.perf_counter()\n"
        "from hanmaru.trace.evidence.investigate import investigate\n"
        "from tests.trace import small_town\n"
        "b = time.perf_counter(); investigate(small_town.inputs()); print(b - a, time.perf_counter() - b)"
    )
    root = Path(__file__).parents[2]
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True,
            text=True, check=True,
        )  # fmt: skip
    imported, ran = (float(value) for value in done.stdout.split())
    return {"import": round(imported, 2), "investigate": round(ran, 2)}


def true(world: World, cases: int) -> dict[str, Any]:
    """Return how often a true visit's likeliest place is right, and how often a radius holds the true position."""
    owners = world.people[world.phones.owned[world.people]]
    some = np.sort(np.random.default_rng(3).choice(owners, min(cases, len(owners)), replace=False))
    fixed, records_of = reference(world), evidence(world, some, SOURCES["+ QR"])
    seen = [world.events(day, some) for day in range(world.n_days)]
    out: dict[str, Any] = {"people": len(some), "days": world.n_days, "layout": world.layout}
    for label, names in SOURCES.items():
        right, whole = Counter[str](), Counter[str]()
        held: dict[str, list[np.ndarray]] = {"stay": [], "move": []}
        errors: dict[str, list[np.ndarray]] = {"stay": [], "move": []}
        for person in some.tolist():
            id_ = synth.name(person)
            own = {name: records_of[name].filter(pa.compute.equal(records_of[name]["subject"], id_)) for name in names}
            found = work.work_out(CaseInputs(case(world, person), fixed, own))
            score_places(world, person, found, right, whole)
            for day in seen:
                score_route(world, found, day, day.subject == person, held, errors)
        out[label] = {
            "likeliest place right": {kind: round(right[kind] / n, 3) for kind, n in sorted(whole.items())},
            "of visits": dict(sorted(whole.items())),
        }
        for kind in held:
            off, inside = np.concatenate(errors[kind]), np.concatenate(held[kind])
            q50, q68, q95 = (round(float(v)) for v in np.quantile(off, (0.5, 0.68, 0.95)))
            out[label][f"{kind} error, m"] = {"50 %": q50, "68 %": q68, "95 %": q95}
            out[label][f"{kind} radius holds"] = round(float(inside.mean()), 3)
    return out


def score_places(world: World, person: int, found: work.Found, right: Counter[str], whole: Counter[str]) -> None:
    """Count true visits of 15 minutes or more whose stay, the one that overlaps most, has the right likeliest place."""
    days, population = world.days, world.city.population
    ids = truth.place_ids(world).to_pylist()
    visits, mine = found.visits, found.mine
    homes = {int(population.home[person]): "home", int(population.work[person]): "work"}
    for i in np.flatnonzero((days.person == person) & (days.end_s - days.start_s >= 900)).tolist():
        place = int(days.place[i])
        kind = homes.get(place, "elsewhere")
        if place not in world.inside:
            continue
        whole[kind] += 1
        over = np.minimum(visits.end_s[mine], days.end_s[i]) - np.maximum(visits.start_s[mine], days.start_s[i])
        if not len(over) or over.max() <= 0:
            continue
        top = int(found.placed.place[int(np.argmax(over)), 0])
        right[kind] += top >= 0 and found.register.places[top].id in (ids[place], kind)


def score_route(
    world: World, found: work.Found, seen: Any, which: np.ndarray, held: dict[str, list[np.ndarray]],
    errors: dict[str, list[np.ndarray]],
) -> None:  # fmt: skip
    """Compare stays and moves with where the person truly was at the instants of phone events."""
    t = seen.time_s[which]
    lonlat = world.city.land.plane.lonlat(np.stack((seen.true_x_m[which], seen.true_y_m[which]), axis=1))
    x, y = found.plane.xy(lonlat[:, 0], lonlat[:, 1])
    visits, mine, moves = found.visits, found.mine, found.moves
    if not len(mine):
        return
    at = np.searchsorted(visits.start_s[mine], t, side="right") - 1
    inside = (at >= 0) & (t <= visits.end_s[mine[np.maximum(at, 0)]])
    stay = mine[np.maximum(at, 0)]
    off = np.hypot(visits.x_m[stay] - x, visits.y_m[stay] - y)
    errors["stay"].append(off[inside])
    held["stay"].append(off[inside] <= visits.radius_m[stay][inside])
    moving = ~inside & (at >= 0) & (at + 1 < len(mine))
    if len(moves) and moving.any():
        px, py, pr = (np.interp(t, moves.time_s, v) for v in (moves.x_m, moves.y_m, moves.radius_m))
        off = np.hypot(px - x, py - y)[moving]
        errors["move"].append(off)
        held["move"].append(off <= pr[moving])
