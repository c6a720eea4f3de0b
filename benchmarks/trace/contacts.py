"""Contacts: recall at 50 reported people per true contact, calibration and speed, on a test city whose truth is known.

``python -m benchmarks.trace.contacts`` prints the figures; with ``fit``, the model's weights from the training seeds.
Training takes people of even numbers and cell layout A, scoring people of odd numbers, other weeks and seeds, and
layout B too.
"""

import json
import resource
import sys
import time
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np

from hanmaru.city import days as city_days
from hanmaru.trace import synth
from hanmaru.trace.domain import Bools, Floats, Ints, Points, Stays, Visits
from hanmaru.trace.engine import anchors as anchor
from hanmaru.trace.engine import company, copresence, exposure, hotspots, serving
from hanmaru.trace.engine.anchors import Anchors
from hanmaru.trace.engine.company import CONTACT_MINUTES, FEATURES, ROLES, Evidence
from hanmaru.trace.engine.exposure import PER_CONTACT, Model
from hanmaru.trace.synth.world import World

KINDS = ("cells", "cells + cards", "cells + cards + QR")
TRAINING = (
    (1, "2026-03-05", 6000, 2, 180),
    (2, "2026-04-01", 5000, 5, 150),
    (3, "2026-03-23", 10_000, 3, 150),
    (4, "2026-04-16", 8000, 4, 150),
    (5, "2026-02-23", 9000, 5, 150),
    (6, "2026-03-09", 6000, 7, 120),
    (7, "2026-05-04", 12_000, 2, 150),
)
"""Seeds, first days, people, days and cases: the model must hold for short periods and long ones, sparse and dense."""
EASY = 10
"""In fitting, one in so many stands for all pairs that share less than a hundredth of a place and are no contacts."""
BINS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
HELD_OUT = ((31, "A", "2026-06-18"), (32, "B", "2026-06-25"))
EDGES = (0.0, 0.001, 0.003, 0.01, 0.03, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9, 1.0)
LONG_S = 3 * 3600
"""Longer stays are at home or work here, which a payment or a check-in of a visitor does not name."""


@dataclass(frozen=True, eq=False, slots=True)
class Scene:
    """A world with index ``cases``; ``visits`` by kind of evidence, the ``index`` and ``subject`` (c,) of true contacts
    and which are ``observable``: both carry a phone, and were seen for half of their time together or more.
    """

    cases: Ints
    visits: dict[str, Visits]
    index: Ints
    subject: Ints
    observable: Bools
    seconds: float


def scene(seed: int, layout: str, start: str, people: int, days: int, cases: int, odd: bool) -> Scene:
    """Return a world's visits as phones, cards and check-ins show them, beside the truth."""
    world = synth.city(people=people, days=days, start=start, seed=seed, layout=layout)
    rng = np.random.default_rng(seed)
    pool = world.people[world.phones.owned[world.people] & (world.people % 2 == odd)]
    chosen = np.sort(rng.choice(pool, min(cases, len(pool)), replace=False))
    began = time.perf_counter()
    stays, points = _stays(world)
    seconds = time.perf_counter() - began
    cells = _visits(stays)
    visits = {KINDS[0]: cells}
    known = np.where(stays.end_s - stays.start_s > LONG_S, 0.9, 0.1)
    cards = _cards(world)
    visits[KINDS[1]] = _fused(stays, points, known, cards)
    visits[KINDS[2]] = _fused(stays, points, known, _joined(cards, _checkins(world)))
    index, subject, observable = _truth(world, chosen, cells)
    return Scene(chosen, visits, index, subject, observable, seconds)


def _stays(world: World) -> tuple[Stays, Points]:
    """Return everybody's stays from their phones' events, and the events."""
    found: list[Stays] = []
    events: list[Points] = []
    before = 0
    for people in np.array_split(world.people, max(1, len(world.people) // 2000)):
        seen = [world.events(day, people) for day in range(world.n_days)]
        columns = [
            np.concatenate([getattr(s, name) for s in seen])
            for name in ("subject", "time_s", "x_m", "y_m", "radius_m", "cell")
        ]
        order = np.lexsort((columns[1], columns[0]))
        subject, at, x, y, radius, cell = (column[order] for column in columns)
        points = Points(subject, at, x, y, radius)
        some = serving.find(points, cell.astype(np.int64))
        found.append(replace(some, first=some.first + before, last=some.last + before))
        events.append(points)
        before += len(points)
    return (
        Stays(*(np.concatenate([getattr(s, name) for s in found]) for name in Stays.__slots__)),
        Points(*(np.concatenate([getattr(p, name) for p in events]) for name in Points.__slots__)),
    )


def _visits(stays: Stays, place: Ints | None = None) -> Visits:
    none = np.full(len(stays), -1) if place is None else place
    return Visits(stays.subject, stays.start_s, stays.end_s, stays.x_m, stays.y_m, stays.radius_m, none)


def _cards(world: World) -> Anchors:
    """Return payments in person, as the record states them, at the address on file (transit taps left out)."""
    paid = [world.paid(day) for day in range(world.n_days)]
    subject, at, merchant, transit, channel = (
        np.concatenate([getattr(p, name) for p in paid])
        for name in ("subject", "time_s", "merchant", "transit", "channel")
    )
    shops = world.shops
    xy = world.city.land.plane.xy(shops.lonlat)
    kept = ~transit & (channel != 1)
    return _anchors(subject[kept], at[kept], xy[merchant[kept]], shops.place[merchant[kept]], 0.02, 2400, 300)


def _checkins(world: World) -> Anchors:
    seen = [world.checked_in(day) for day in range(world.n_days)]
    subject, at, place = (np.concatenate([getattr(s, n) for s in seen]) for n in ("subject", "time_s", "place"))
    return _anchors(subject, at, world.city.places.xy[place], place, 0.002, 120, 3000)


def _anchors(subject: Ints, at: Ints, xy: Floats, place: Ints, wrong: float, before_s: int, after_s: int) -> Anchors:
    n = len(subject)
    return Anchors(
        subject, at, at, xy[:, 0].copy(), xy[:, 1].copy(), np.full(n, 20.0), place, np.full(n, wrong), np.zeros(n),
        np.full(n, before_s), np.full(n, after_s), np.full(n, 300),
    )  # fmt: skip


def _joined(a: Anchors, b: Anchors) -> Anchors:
    return Anchors(*(np.concatenate((getattr(a, name), getattr(b, name))) for name in Anchors.__slots__))


def _fused(stays: Stays, points: Points, known: Floats, anchors: Anchors) -> Visits:
    """Return stays with the anchors that are likelier than not the subject's own."""
    there = np.isin(anchors.subject, stays.subject)
    anchors = anchors.take(np.flatnonzero(there))
    anchors = anchors.take(np.lexsort((anchors.start_s, anchors.subject)))
    held, late, _ = anchor.judge(anchors, points)
    sound = np.flatnonzero((held >= 0.5) & (late < 0.5))
    anchors, held = anchors.take(sound), held[sound]
    low, high = anchor.spans(anchors, points)
    fused = anchor.fuse(stays, anchors, held, low, high, known, np.full(len(anchors), LONG_S))
    order = np.lexsort((fused.stays.start_s, fused.stays.subject))
    visits = _visits(fused.stays, fused.place)
    return Visits(*(getattr(visits, name)[order] for name in Visits.__slots__))


def _truth(world: World, cases: Ints, visits: Visits) -> tuple[Ints, Ints, Bools]:
    """Return the true contacts (index, subject) of cases and which are observable."""
    met = world.encounters
    a, b = np.append(met.a, met.b), np.append(met.b, met.a)
    start, end = np.tile(met.start_s, 2), np.tile(met.end_s, 2)
    mine = np.isin(a, cases)
    a, b, start, end = a[mine], b[mine], start[mine], end[mine]
    key, pair = np.unique(a * 1_000_000 + b, return_inverse=True)
    total = np.bincount(pair, end - start)
    middle = (start + end) // 2
    seen = _covered(visits, a, middle) & _covered(visits, b, middle)
    observed = np.bincount(pair, (end - start) * seen)
    contact = total >= 60 * CONTACT_MINUTES
    return (key // 1_000_000)[contact], (key % 1_000_000)[contact], (observed >= total / 2)[contact]


def _covered(visits: Visits, subject: Ints, at: Ints) -> Bools:
    """Return whether each subject was on some visit at an instant."""
    key = (visits.subject << 34) + visits.start_s
    before = np.searchsorted(key, (subject << 34) + at, side="right") - 1
    return (before >= 0) & (visits.subject[before] == subject) & (visits.end_s[before] >= at)


def known(scene: Scene, evidence: Evidence) -> Bools:
    """Return which pairs of evidence are true contacts."""
    truth = scene.index * 1_000_000 + scene.subject
    return np.isin(evidence.index * 1_000_000 + evidence.subject, truth)


def evidence(scene: Scene, kind: str) -> Evidence:
    """Return the evidence of all of a scene's cases, without that of single meetings."""
    visits = scene.visits[kind]
    parts = [
        company.evidence(visits, copresence.meetings(visits, some))
        for some in np.array_split(scene.cases, max(1, len(scene.cases) // 20))
    ]
    before = np.cumsum([0] + [len(p.index) for p in parts])
    parts = [replace(p, pair=p.pair + b) for p, b in zip(parts, before[:-1].tolist(), strict=True)]
    names = ("index", "subject", "minutes", "expected_minutes", "pair", "role", "features")
    columns = {name: np.concatenate([getattr(p, name) for p in parts]) for name in names}
    none = np.zeros(0, np.int64)
    return Evidence(first=none, group=none, part=np.zeros(0), **columns)


def score(scene: Scene, kind: str, model: Model) -> dict[str, Any]:
    """Return recall and calibration of a scene with one kind of evidence."""
    found = evidence(scene, kind)
    true = known(scene, found)
    p = model.probability(found)
    pairs = scene.index * 1_000_000 + scene.subject
    seen = np.isin(found.index * 1_000_000 + found.subject, pairs[scene.observable])
    hits = observed = listed = 0
    recalls: dict[str, float] = {}
    for per in (10, 20, PER_CONTACT):
        hits = observed = listed = 0
        for case in scene.cases.tolist():
            rows = np.flatnonzero(found.index == case)
            room = int(per * np.count_nonzero(scene.index == case))
            top = rows[np.lexsort((found.subject[rows], -found.expected_minutes[rows], -p[rows]))][:room]
            hits, observed, listed = hits + int(true[top].sum()), observed + int(seen[top].sum()), listed + len(top)
        recalls[f"at_{per:.0f}_per_contact"] = round(observed / max(1, int(scene.observable.sum())), 3)
    bins: list[dict[str, float]] = []
    gap = 0.0
    for low, high in pairwise(EDGES):
        some = (p >= low) & (p < high if high < 1 else p <= high)
        if some.any():
            bins.append(
                {"from": low, "pairs": int(some.sum()), "said": float(p[some].mean()), "true": float(true[some].mean())}
            )
            gap += float(some.mean()) * abs(bins[-1]["said"] - bins[-1]["true"])
    return {
        "true_contacts": len(scene.index),
        "observable": int(scene.observable.sum()),
        "reported": listed,
        "recall_all": round(hits / max(1, len(scene.index)), 3),
        "recall_observable": recalls,
        "brier": round(float(((p - true) ** 2).mean()), 6),
        "brier_of_prevalence": round(float(true.mean() * (1 - true.mean())), 6),
        "ece": round(gap, 6),
        "ece_above_0.05": round(_gap(p[p > 0.05], true[p > 0.05]), 4),
        "expected_contacts": round(float(p.sum()), 1),
        "calibration": [{k: round(v, 4) for k, v in row.items()} for row in bins],
    }


def _gap(said: Floats, true: Bools) -> float:
    """Return the expected calibration error over tenths of the probabilities."""
    bins = np.minimum((said * 10).astype(np.int64), 9)
    return float(np.abs(np.bincount(bins, said - true)).sum() / max(1, len(said)))


def fit() -> Model:
    """Return the likeliest model of the training seeds, with phones alone and with all evidence; no weight below 0."""
    scenes: list[tuple[Evidence, Bools]] = []
    for seed, start, people, days, cases in TRAINING:
        trained = scene(seed, "A", start, people, days, cases, odd=False)
        scenes += [(found, known(trained, found)) for found in (evidence(trained, kind) for kind in KINDS[::2])]
    return _fitted(scenes)


def _fitted(scenes: list[tuple[Evidence, Bools]]) -> Model:
    model = _likeliest([_sample(*one) for one in scenes])
    said = np.concatenate([model.probability(found) for found, _ in scenes])
    return replace(model, curve=_curve(said, np.concatenate([true for _, true in scenes])))


def _curve(said: Floats, true: Bools) -> tuple[tuple[float, float], ...]:
    """Return the isotonic regression of truth on probabilities from 0.1, as the means of bins; the same below."""
    from scipy.optimize import isotonic_regression

    high = said >= BINS[0]
    bins = np.digitize(said[high], BINS) - 1
    count = np.bincount(bins)
    mean, share = (np.bincount(bins, values) / count for values in (said[high], true[high]))
    share = isotonic_regression(share, weights=count).x
    middle = [(round(a, 3), round(b, 3)) for a, b in zip(mean.tolist(), share.tolist(), strict=True)]
    return ((0.0, 0.0), (BINS[0], BINS[0]), *middle[:-1], (1.0, 0.999))


def _sample(found: Evidence, true: Bools) -> tuple[Ints, Bools, Floats, Floats]:
    """Return the pair of each place (g,), which pairs (p,) are contacts, for how many each stands, and columns."""
    near = np.bincount(found.pair, found.features[:, 0] > np.log(0.01), len(true)) > 0
    stands = np.where(true | near, 1.0, float(EASY))
    kept = (found.minutes >= CONTACT_MINUTES / 2) & (true | near | (np.arange(len(true)) % EASY == 0))
    places = kept[found.pair]
    one = np.column_stack((np.ones(places.sum()), found.features[places]))
    columns = (one[:, None, :] * (found.role[places][:, None] == np.arange(ROLES))[:, :, None]).reshape(len(one), -1)
    return (np.cumsum(kept) - 1)[found.pair[places]], true[kept], stands[kept], columns


def _likeliest(samples: list[tuple[Ints, Bools, Floats, Floats]]) -> Model:
    from scipy.optimize import minimize

    before = np.cumsum([0] + [len(true) for _, true, _, _ in samples])
    pair = np.concatenate([p + b for (p, *_), b in zip(samples, before[:-1].tolist(), strict=True)])
    true, stands, x = (np.concatenate([s[k] for s in samples]) for k in (1, 2, 3))
    spread = x.std(axis=0) + 1e-9
    z = x / spread
    free = np.arange(z.shape[1]) % (len(FEATURES) + 1) == 0
    ridge = np.where(free, 0.0, 0.5)

    def loss(b: Floats) -> tuple[float, Floats]:
        t = z @ b
        hazard = np.bincount(pair, np.logaddexp(0, t), len(true)) + 1e-9
        p = -np.expm1(-hazard)
        value = (stands * np.where(true, -np.log(p), hazard)).sum() + 0.5 * (ridge * b**2).sum()
        slope = (stands * np.where(true, 1 - 1 / p, 1.0))[pair] / (1 + np.exp(-t))
        return float(value), z.T @ slope + ridge * b

    bounds = [(None, None) if one else (0.0, None) for one in free.tolist()]
    best = minimize(loss, np.where(free, -5.0, 0.1), jac=True, method="L-BFGS-B", bounds=bounds).x / spread
    return Model(tuple(tuple(round(w, 3) for w in row) for row in best.reshape(ROLES, -1).tolist()))


def speed(quick: bool) -> dict[str, float]:
    """Return seconds for ten cases against everybody's visits of a day, and for hotspots of 60 cases among them."""
    world = synth.city(people=20_000 if quick else 400_000, days=1, start="2026-05-14", seed=11)
    days = city_days.make(world.city, date(2026, 5, 14), 1, world.people)
    rng = np.random.default_rng(3)
    xy = world.city.places.xy[days.place] + rng.normal(0, 65.0, (len(days), 2))
    none = np.full(len(days), -1)
    visits = Visits(days.person, days.start_s, days.end_s, xy[:, 0].copy(), xy[:, 1].copy(), none + 99.0, none)
    cases = rng.choice(world.people, 60, replace=False)
    exposure.contacts(visits, cases[:1])
    weight = np.zeros(len(world.city.population))
    weight[cases] = 1.0
    hotspots.find(visits, weight, draws=2)
    took: dict[str, list[float]] = {"contacts_of_10_cases_s": [], "hotspots_of_60_cases_s": []}
    for _ in range(3):
        began = time.perf_counter()
        exposure.contacts(visits, cases[:10])
        took["contacts_of_10_cases_s"].append(time.perf_counter() - began)
        began = time.perf_counter()
        hotspots.find(visits, weight)
        took["hotspots_of_60_cases_s"].append(time.perf_counter() - began)
    return {"visits": len(visits)} | {name: round(min(seconds), 3) for name, seconds in took.items()}


def run(quick: bool) -> dict[str, Any]:
    """Return the figures on held-out people, weeks and seeds, in layouts A and B; ``quick`` takes a small sample."""
    size = (3000, 2, 40) if quick else (8_000, 4, 200)
    out: dict[str, Any] = {"name": "contacts", "people": size[0], "days": size[1], "cases": size[2]}
    for seed, layout, start in HELD_OUT:
        held_out = scene(seed, layout, start, *size, odd=True)
        out[f"layout {layout}"] = {kind: score(held_out, kind, exposure.MODEL) for kind in KINDS}
    out["speed"] = speed(quick)
    out["peak_gb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)
    return out


if __name__ == "__main__":
    print(fit() if sys.argv[1:] == ["fit"] else json.dumps(run("quick" in sys.argv), indent=1))
