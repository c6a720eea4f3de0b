"""Writing the test city: records as providers would hand them over, and the truth beside them."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeStubs=false
# PyArrow brings no types.

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from hanmaru.trace.domain import Ints, TraceError
from hanmaru.trace.synth import files, presence, records, truth
from hanmaru.trace.synth.casedirs import Cases
from hanmaru.trace.synth.reported import reported
from hanmaru.trace.synth.world import World

CHUNK = 8_000
"""People whose events of a day are in memory at once: some 200 MB for each of the `WORKERS`."""
WORKERS = 2


@dataclass(slots=True)
class Told:
    """What was written: rows by kind."""

    counts: dict[str, int] = field(default_factory=dict[str, int])

    def add(self, what: str, rows: int) -> None:
        """Count some rows."""
        self.counts[what] = self.counts.get(what, 0) + rows


Progress = Callable[[str, float], None]
"""Called with what is being written and which share of all is done."""


def folder(out: Path) -> None:
    """Make an output folder. Raises TraceError unless it is new or empty."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise TraceError(f"{out} is not empty; choose a new folder")
    except OSError as error:
        raise TraceError(f"{out} cannot be written: {error.strerror}") from None


def world(world: World, out: Path, most_cases: int, told: Told, progress: Progress) -> None:
    """Write a world into an empty folder, with a folder each for up to ``most_cases`` cases whose phones are known."""
    facts = {
        "version": 1,
        "profile": world.city.profile.id,
        "seed": world.seed,
        "layout": world.layout,
        "first_day": world.first_day.isoformat(),
        "days": world.n_days,
        "timezone": world.city.profile.zone,
        "people": len(world.people),
        "phones": int(world.phones.owned[world.people].sum()),
    }
    progress("places and cells", 0.0)
    reference = records.reference(world)
    for name, table in reference.items():
        files.csv(out / f"{name}.csv", table)
    progress("truth", 0.01)
    _truth(world, out / "truth", told)
    shops = pa.array(records.merchant_id(np.arange(len(world.shops))))
    spots = records.place_ids(world)
    known = reported(world)
    told.add("cases", files.csv(out / "cases.csv", records.cases(world, known)))
    phoned = [c for c in known if world.phones.owned[c.person]]
    latest = phoned[max(0, len(phoned) - most_cases) :]  # most of their time is in the world
    chosen = Cases.of(world, latest, reference)
    with ExitStack() as stack:
        cards, seen, fixes, paid, offline = (
            stack.enter_context(files.Out(out / f"{name}.parquet"))
            for name in ("cards", "checkins", "gps", "truth/payments", "truth/offline")
        )
        for day in range(world.n_days):
            spent = world.paid(day)
            cards.add(records.cards(spent, shops))
            paid.add(truth.payments(spent, shops))
            seen.add(records.checkins(world.checked_in(day), spots))
            fixes.add(records.gps(world, world.fixes(day)))
            offline.add(truth.offline(world, world.midnight(day)))
            stamp = (world.first_day + timedelta(day)).isoformat()
            _phones(world, out / f"phone/day={stamp}", day, chosen, told, progress)
        for name, file in (("cards", cards), ("checkins", seen), ("gps", fixes)):
            told.add(name, file.rows)
    progress("cases", 0.95)
    told.add("others", chosen.write(out / "cases"))
    told.add("case folders", len(chosen.cases))
    (out / "city.toml").write_text("".join(f"{k} = {_toml(v)}\n" for k, v in facts.items()), encoding="utf-8")


def _truth(world: World, out: Path, told: Told) -> None:
    told.add("people", files.write(out / "people.parquet", truth.people(world)))
    told.add("visits", files.write(out / "visits.parquet", truth.visits(world)))
    told.add("moves", files.write(out / "moves.parquet", truth.moves(world)))
    told.add("encounters", files.write(out / "encounters.parquet", truth.encounters(world)))
    told.add("infections", files.write(out / "infections.parquet", truth.infections(world)))
    told.add("passes", files.write(out / "passes.parquet", truth.passes(world.passes)))


def _phones(world: World, out: Path, day: int, cases: Cases, told: Told, progress: Progress) -> None:
    """Write a day's phone events: a file for each `CHUNK` people, so that all are sorted by subject, time."""
    ids = pa.array(world.network.ids)
    chunks = [world.people[i : i + CHUNK] for i in range(0, len(world.people), CHUNK)]

    asked = cases.requests(day)

    def one(number: int, who: Ints) -> int:
        seen = world.events(day, who)
        presence.count(asked, seen, world.people, cases.counts)
        return files.write(out / f"part-{number:04d}.parquet", records.phone(world, seen, ids))

    with ThreadPoolExecutor(WORKERS) as pool:
        for k, rows in enumerate(pool.map(one, range(len(chunks)), chunks)):
            told.add("phone", rows)
            progress(f"phones, day {day + 1}", 0.1 + 0.85 * (day + (k + 1) / len(chunks)) / world.n_days)


def _toml(value: str | int) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
