"""A folder for each of some reported cases: what an investigator would have of it, as `trace investigate` reads it."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeStubs=false
# PyArrow brings no types.

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hanmaru.trace.domain import Bools, Ints
from hanmaru.trace.synth import files, name, presence, records, statements
from hanmaru.trace.synth.checkins import Checkins, Fixes
from hanmaru.trace.synth.payments import Payments
from hanmaru.trace.synth.phones import Events
from hanmaru.trace.synth.records import Columns
from hanmaru.trace.synth.reported import Case
from hanmaru.trace.synth.world import World

BEFORE_ONSET_S = 14 * 86400
"""A case's period: from 14 days before onset (WHO, 10 May 2020) to the confirmation, as far as the world reaches."""
MOST_OTHERS = 2_000
"""People present whose records are handed over: those present longest."""
_NEARBY_M = 2_000.0


@dataclass(slots=True)
class Cases:
    """The cases that get folders, and what is found out about who was around while a world's phones are made."""

    world: World
    cases: Sequence[Case]
    reference: Mapping[str, Columns]
    counts: npt.NDArray[np.uint16]

    @classmethod
    def of(cls, world: World, cases: Sequence[Case], reference: Mapping[str, Columns]) -> "Cases":
        """Begin with nobody found; ``reference`` are the tables that `records.reference` makes."""
        return cls(world, cases, reference, np.zeros((len(world.people), len(cases)), np.uint16))

    @property
    def people(self) -> Ints:
        """The cases' people, in the cases' order."""
        return np.array([c.person for c in self.cases], np.int64)

    def requests(self, day: int) -> presence.Requests:
        """Return what the cases ask carriers for on a day."""
        w = self.world
        start = w.midnight(day)
        seen = w.events(day, np.unique(self.people))
        homes = w.city.places.xy[w.city.population.home[self.people]]
        made = presence.requests(w.network, seen, self.people, homes, start)
        first, last = np.array([self.period(c) for c in self.cases], np.int64).reshape(-1, 2).T
        open_ = (first < start + 86400) & (last > start)
        bits = sum(1 << k for k in np.flatnonzero(open_).tolist())
        return presence.Requests(start, made.mask & np.uint64(bits))

    def period(self, case: Case) -> tuple[int, int]:
        """Return the period that is investigated: within the world's."""
        begin, end = self.world.midnight(0), self.world.midnight(self.world.n_days)
        last = min(end, case.confirmed_s)
        return max(begin, min(case.onset_s - BEFORE_ONSET_S, last - 3600)), last

    def write(self, out: Path) -> int:
        """Write the folders; return how many rows of other people's phones they have."""
        found = [self._others(k) for k in range(len(self.cases))]
        family = self.world.city.population.household
        wanted = np.unique(np.concatenate([self.people, *found]))
        near = np.flatnonzero(np.isin(family, family[wanted]))
        paid = [self.world.paid(day, near) for day in range(self.world.n_days)]
        seen = [self.world.checked_in(day) for day in range(self.world.n_days)]
        fixed = [self.world.fixes(day) for day in range(self.world.n_days)]
        rows = 0
        for case, others in zip(self.cases, found, strict=True):
            rows += self._folder(out / case.id, case, others, paid, seen, fixed)
        return rows

    def _others(self, k: int) -> Ints:
        """Return the people whose records a case's requests bring: those at home with it, and those present."""
        w, person = self.world, self.cases[k].person
        family = w.city.population.household
        home = w.people[(family[w.people] == family[person]) & (w.people != person)]
        slots = self.counts[:, k].astype(np.int64)
        slots[np.searchsorted(w.people, person)] = 0
        present = np.argsort(-slots, kind="stable")[:MOST_OTHERS]
        present = w.people[present[slots[present] >= presence.AT_LEAST]]
        return np.union1d(home, present)

    def _folder(
        self,
        out: Path,
        case: Case,
        others: Ints,
        paid: Sequence[Payments],
        seen: Sequence[Checkins],
        fixed: Sequence[Fixes],
    ) -> int:
        w = self.world
        start, end = self.period(case)
        out.mkdir(parents=True)
        (out / "case.toml").write_text(_toml(w, case, start, end), encoding="utf-8")
        cell_ids, shop_ids = pa.array(w.network.ids), pa.array(records.merchant_id(np.arange(len(w.shops))))
        spot_ids = records.place_ids(w)
        own = np.array([case.person])
        days = [d for d in range(w.n_days) if w.midnight(d) < end and w.midnight(d + 1) > start]
        used: list[Ints] = []
        bought: list[Ints] = []
        scanned: list[Ints] = []
        rows = 0
        for who, folder in ((own, out), (others, out / "others")):
            named = [own]
            with files.Out(folder / "phone.parquet") as file:
                for day in days:
                    events = w.events(day, who)
                    events = _some(events, (events.time_s >= start) & (events.time_s < end))
                    used.append(np.unique(events.cell).astype(np.int64))
                    named.append(np.unique(events.subject))
                    file.add(records.phone(w, events, cell_ids))
                rows = file.rows
            who = np.intersect1d(who, np.concatenate(named))  # whom no phone record names is not asked about
            spent = _joined([_during(p, who, start, end) for p in paid])
            bought.append(spent.merchant)
            files.csv(folder / "cards.csv", records.cards(spent, shop_ids))
            arrived = _joined([_during(s, who, start, end) for s in seen])
            scanned.append(arrived.place)
            files.csv(folder / "checkins.csv", records.checkins(arrived, spot_ids))
            fixes = _joined([_during(f, who, start, end) for f in fixed])
            if len(fixes.subject):
                files.csv(folder / "gps.csv", records.gps(w, fixes))
        told = statements.make(w.city, w.days, case.person, start, end, w.seed)
        files.csv(out / "statements.csv", records.statements(w, told, spot_ids, self.reference["places"]["name"]))
        self._reference(out, case, *(np.unique(np.concatenate(c)) for c in (used, bought, scanned)))
        return rows

    def _reference(self, out: Path, case: Case, cells: Ints, merchants: Ints, scanned: Ints) -> None:
        """Write where things are: cells, merchants and codes that occur, places and cameras around the case."""
        w = self.world
        spots = w.days.place[slice(*np.searchsorted(w.days.person, (case.person, case.person + 1)))]
        around = w.city.places.xy[np.unique(spots)]

        def near(xy: npt.NDArray[np.float64]) -> Bools:
            close = np.zeros(len(xy), np.bool_)
            for at in around:
                close |= np.hypot(*(xy - at).T) < _NEARBY_M
            return close

        files.csv(out / "cells.csv", files.rows(self.reference["cells"], cells))
        files.csv(out / "merchants.csv", files.rows(self.reference["merchants"], merchants))
        inside = np.flatnonzero(near(w.city.places.xy)[w.inside] | np.isin(w.inside, scanned))
        files.csv(out / "places.csv", files.rows(self.reference["places"], inside))
        files.csv(out / "cameras.csv", files.rows(self.reference["cameras"], np.flatnonzero(near(w.cameras.xy))))


T = TypeVar("T", Events, Payments, Checkins, Fixes)
S = TypeVar("S", Payments, Checkins, Fixes)


def _some(table: T, which: Bools) -> T:
    return type(table)(*(getattr(table, f)[which] for f in type(table).__dataclass_fields__))


def _during(table: S, who: Ints, start: int, end: int) -> S:
    return _some(table, np.isin(table.subject, who) & (table.time_s >= start) & (table.time_s < end))


def _joined(tables: Sequence[S]) -> S:
    kind = type(tables[0])
    return kind(*(np.concatenate([getattr(t, f) for t in tables]) for f in kind.__dataclass_fields__))


def _toml(w: World, case: Case, start: int, end: int) -> str:
    home = w.city.population.home[case.person]
    lon, lat = w.city.places.lonlat[home].tolist()
    lines = [
        f'id = "{case.id}"',
        f'disease = "{case.disease}"',
        f'subject = "{name(case.person)}"',
        f"onset = {_iso(case.onset_s)}",
        f"confirmed = {_iso(case.confirmed_s)}",
        f"symptoms = {json.dumps(case.symptoms)}",
        f'timezone = "{w.city.profile.zone}"',
        f"period = {{ start = {_iso(start)}, end = {_iso(end)} }}",
        f"home = {{ lat = {lat:.6f}, lon = {lon:.6f} }}",
    ]
    work = int(w.city.population.work[case.person])
    if work >= 0 and work in w.inside:
        lon, lat = w.city.places.lonlat[work].tolist()
        lines.append(f"work = {{ lat = {lat:.6f}, lon = {lon:.6f} }}")
    return "\n".join(lines) + "\n"


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
