"""How much each case weighs as another's infector: settings shared, and onsets that fit (the model is `links`')."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportAttributeAccessIssue=false
# SciPy and Numba bring no types.

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numba
import numpy as np

from hanmaru.trace.domain import Bools, Floats, Ints
from hanmaru.trace.engine.onsets import NEGLIGIBLE, STEP_S, Course, timing

SHARES: Mapping[str, float] = {
    "contact": 1.0,
    "household": 0.30,
    "group": 0.37,
    "visit": 0.30,
    "near": 0.22,
    "area": 0.20,
    "community": 0.06,
}
"""Each kind's share of infections where a case has partners of that kind; renormalised over the kinds it has.

"household" and "group" are what Ferguson et al. 2006 (Nature 442:448) assume of influenza: 30 % at home, 37 % in class
or at work, the rest in the community (cited, not compared with the paper again). The other shares are round figures of
our own and sum to more than that rest: near home, in one's area and anywhere 0.48; a visit shared counts as a home
does, a named contact as much as home, class and work and visits together.
"""
SCALES = ((0.5, 0.4), (2.0, 0.4), (8.0, 0.2))
"""Reach of the neighbourhood, in median distances to the nearest other address, and the share of each reach: our
choice, for streets, quarters and beyond."""
LEAK = 0.1
"""Part of infections outside a stated exposure window or after isolation: our choice."""
MOST = 300
"""Infectors kept for each case, the likeliest."""
ALWAYS = 1 << 60


@dataclass(frozen=True, eq=False, slots=True)
class Grouping:
    """A column whose equal values form groups: its ``kind`` (of `SHARES`) and ``code`` (n,), -1 for no value."""

    name: str
    kind: str
    code: Ints


@dataclass(frozen=True, eq=False, slots=True)
class Encounters:
    """e known meetings of cases ``a`` and ``b`` (e,), in either order: by name (``kind`` "contact") or at a place.

    ``time_s`` (e,) when it was, ``-ALWAYS`` where unknown; ``weight`` (e,) is relative to a case's other meetings.
    """

    kind: str
    a: Ints
    b: Ints
    time_s: Ints
    weight: Floats


@dataclass(frozen=True, eq=False, slots=True)
class Cases:
    """n cases. ``onset_s`` (n,) Unix seconds, of the report where ``reported`` (n,) because the onset is not known.

    Infection lies between ``exposed_from_s`` and ``exposed_to_s`` (n,), ``isolated_s`` (n,) ends transmission;
    ``-ALWAYS`` and ``ALWAYS`` are no bound. ``x_m``, ``y_m`` (n,) in any unit of length, NaN where unknown.
    """

    onset_s: Ints
    reported: Bools
    exposed_from_s: Ints
    exposed_to_s: Ints
    isolated_s: Ints
    groups: tuple[Grouping, ...]
    x_m: Floats
    y_m: Floats
    encounters: tuple[Encounters, ...] = ()

    def __len__(self) -> int:
        """Return how many cases there are."""
        return len(self.onset_s)


@dataclass(frozen=True, eq=False, slots=True)
class Settings:
    """What the kernel needs: groups (g, n) with sizes (g, n), reaches (k,) with normalisers (k, n), meetings by case.

    ``share`` (g + k + encounters + 1,) in that order, the community last.
    """

    names: list[tuple[str, str]]
    share: Floats
    code: Ints
    others: Floats
    reach: Floats
    crowd: Floats
    met_first: Ints
    met: Ints
    met_kind: Ints
    met_time_s: Ints
    met_weight: Floats


def settings_of(cases: Cases) -> Settings:
    """Return the settings of cases; time grows with the square of those that have a position."""
    n = len(cases)
    names: list[tuple[str, str]] = []
    share: list[float] = []
    for grouping in cases.groups:
        alike = sum(other.kind == grouping.kind for other in cases.groups)
        names.append((grouping.kind, grouping.name))
        share.append(SHARES[grouping.kind] / alike)
    code = np.stack([g.code for g in cases.groups]) if cases.groups else np.zeros((0, n), dtype=np.int64)
    others = np.ones(code.shape)
    for row, codes in zip(others, code, strict=True):
        known = codes >= 0
        row[known] = np.maximum(np.bincount(codes[known])[codes[known]] - 1, 1)
    unit = _spacing(cases)
    reach = np.array([factor * unit for factor, _ in SCALES]) if unit else np.zeros(0)
    crowd = _crowds(np.ascontiguousarray(cases.x_m), np.ascontiguousarray(cases.y_m), reach)
    names += [("near", "")] * len(reach)
    share += [SHARES["near"] * part for _, part in SCALES[: len(reach)]]
    met, kind, time_s, owner = ([np.zeros(0, dtype=np.int64)] for _ in range(4))
    weight = [np.zeros(0)]
    for k, e in enumerate(cases.encounters):
        names.append((e.kind, ""))
        share.append(SHARES[e.kind])
        mine = np.concatenate([e.a, e.b])
        heavy = np.concatenate([e.weight, e.weight])
        owner.append(mine)
        met.append(np.concatenate([e.b, e.a]))
        time_s.append(np.concatenate([e.time_s, e.time_s]))
        kind.append(np.full(len(mine), k))
        weight.append(heavy / np.bincount(mine, heavy, n)[mine])
    owners = np.concatenate(owner)
    order = np.argsort(owners, kind="stable")
    return Settings(
        names=[*names, ("community", "")],
        share=np.array([*share, SHARES["community"]]),
        code=code,
        others=others,
        reach=reach,
        crowd=crowd,
        met_first=np.searchsorted(owners[order], np.arange(n + 1)),
        met=np.concatenate(met)[order],
        met_kind=np.concatenate(kind)[order],
        met_time_s=np.concatenate(time_s)[order],
        met_weight=np.concatenate(weight)[order],
    )


def _spacing(cases: Cases) -> float:
    """Return the median distance from an address to the nearest other one, 0 where there are not two."""
    from scipy.spatial import cKDTree

    known = np.isfinite(cases.x_m) & np.isfinite(cases.y_m)
    places = np.unique(np.stack([cases.x_m[known], cases.y_m[known]], axis=1), axis=0)
    if len(places) < 2:
        return 0.0
    nearest, _ = cKDTree(places).query(places, k=2)
    return float(np.median(np.asarray(nearest)[:, 1]))


@numba.njit(cache=True, nogil=True)
def _crowds(x: Floats, y: Floats, reach: Floats) -> Floats:
    """Return (k, n) the sum over the other cases of exp(-distance / reach)."""
    n = len(x)
    crowd = np.zeros((len(reach), n))
    for i in range(n):
        for j in range(i):
            away = math.hypot(x[i] - x[j], y[i] - y[j])
            for k in range(len(reach)):
                if away < 30 * reach[k]:
                    near = math.exp(-away / reach[k])
                    crowd[k, i] += near
                    crowd[k, j] += near
    return crowd


@numba.njit(cache=True, nogil=True)
def _steps(interval_s: int) -> int:
    return (interval_s + STEP_S // 2) // STEP_S


@numba.njit(cache=True, nogil=True)
def _case(i: int, data: Any, tables: Any, candidates: Ints, parts: Floats, density: Floats) -> None:
    """Fill ``parts`` (settings, c) and ``density`` (c,) of the intervals for one infectee and its c candidates."""
    onset, reported, since, until, isolated, code, others, reach, crowd, x, y, first, met, kind, when, heavy = data
    cut, incubation, incubation_from, transmission, transmission_from, interval_from, infectious_days = tables
    groups, reaches, community = len(code), len(reach), len(parts) - 1
    a = 1 if reported[i] else 0
    parts[:] = 0.0
    density[:] = 0.0
    for c, j in enumerate(candidates):
        b = 1 if reported[j] else 0
        at = _steps(onset[i] - onset[j]) - interval_from
        if i == j or at < 0 or at >= cut.shape[2]:
            continue
        last = min(_steps(min(until[i], isolated[j]) - onset[j]) - transmission_from, cut.shape[3] - 1)
        before = min(_steps(since[i] - onset[j]) - transmission_from - 1, cut.shape[3] - 1)
        inside = cut[a, b, at, last] if last >= 0 else 0.0
        if before >= 0:
            inside = max(inside - cut[a, b, at, before], 0.0)
        f = LEAK * cut[a, b, at, -1] + (1 - LEAK) * inside
        density[c] = f
        for s in range(groups):
            if code[s, i] >= 0 and code[s, i] == code[s, j]:
                parts[s, c] = f / others[s, i]
        if reaches and not (math.isnan(x[i]) or math.isnan(x[j])):
            away = math.hypot(x[i] - x[j], y[i] - y[j])
            for s in range(reaches):
                if away < 30 * reach[s] and crowd[s, i] > 0:
                    parts[groups + s, c] = f * math.exp(-away / reach[s]) / crowd[s, i]
        parts[community, c] = f / (len(onset) - 1)
    if first[i] == first[i + 1]:
        return
    slot = np.full(len(onset), -1)
    slot[candidates] = np.arange(len(candidates))
    for m in range(first[i], first[i + 1]):
        j = met[m]
        c = slot[j]
        if c < 0:
            continue
        s = groups + reaches + kind[m]
        if when[m] == -ALWAYS:
            parts[s, c] += heavy[m] * density[c]
            continue
        b = 1 if reported[j] else 0
        u, v = _steps(when[m] - onset[j]) - transmission_from, _steps(onset[i] - when[m]) - incubation_from
        if 0 <= u < transmission.shape[1] and 0 <= v < incubation.shape[1]:
            parts[s, c] += heavy[m] * infectious_days * transmission[b, u] * incubation[a, v]


@numba.njit(cache=True, nogil=True)
def _shared(parts: Floats, share: Floats) -> None:
    """Weigh ``parts`` (settings, c) by the settings' shares among those that have a candidate; the community has."""
    available = share[-1]
    for s in range(len(share) - 1):
        if parts[s].sum() > 0:
            available += share[s]
    for s in range(len(share)):
        parts[s] *= share[s] / available


@numba.njit(cache=True, nogil=True)
def _all(order: Ints, low: Ints, high: Ints, least: float, most: int, share: Floats, data: Any, tables: Any) -> Any:
    """Return infectee, infector, weight (p,) of the likeliest ``most`` candidates, and the weight (n,) left out."""
    n = len(order)
    size, widest = 0, 1
    for i in range(n):
        size += min(high[i] - low[i], most)
        widest = max(widest, high[i] - low[i])
    infectee, infector = np.empty(size, dtype=np.int32), np.empty(size, dtype=np.int32)
    weight, rest = np.empty(size), np.zeros(n)
    parts, density = np.empty((len(share), widest)), np.empty(widest)
    p = 0
    for i in range(n):
        candidates = order[low[i] : high[i]]
        count = len(candidates)
        mine = parts[:, :count]
        _case(i, data, tables, candidates, mine, density[:count])
        _shared(mine, share)
        drawn = mine.sum(axis=0)
        keep = np.arange(count)
        if count > most:
            ranked = np.argsort(-drawn)
            keep = np.sort(ranked[:most])
            rest[i] = drawn[ranked[most:]].sum()
        for c in keep:
            if density[c] > least and drawn[c] > 0:
                infectee[p], infector[p], weight[p] = i, candidates[c], drawn[c]
                p += 1
    return infectee[:p], infector[:p], weight[:p], rest


def _arguments(cases: Cases, course: Course, settings: Settings) -> tuple[Any, Any]:
    table = timing(course)
    arrays = (
        cases.onset_s,
        cases.reported,
        cases.exposed_from_s,
        cases.exposed_to_s,
        cases.isolated_s,
        settings.code,
        settings.others,
        settings.reach,
        settings.crowd,
        cases.x_m,
        cases.y_m,
        settings.met_first,
        settings.met,
        settings.met_kind,
        settings.met_time_s,
        settings.met_weight,
    )
    tables = (
        table.until,
        table.incubation,
        table.incubation_from,
        table.transmission,
        table.transmission_from,
        table.interval_from,
        table.infectious_days,
    )
    return tuple(np.ascontiguousarray(array) for array in arrays), tables  # other layouts would be compiled again


def candidates(cases: Cases, course: Course, settings: Settings) -> tuple[Ints, Ints, Floats, Floats]:
    """Return infectee, infector and weight (p,) of the likeliest `MOST` infectors, and the weight (n,) of the others.

    Weights are densities per day of the infectee's onset.
    """
    table = timing(course)
    density = table.until[..., -1]
    least = NEGLIGIBLE * float(density[0, 0].max())
    plausible = np.nonzero((density > least).any(axis=(0, 1)))[0] + table.interval_from
    order = np.argsort(cases.onset_s, kind="stable")
    dates = cases.onset_s[order]
    low = np.searchsorted(dates, cases.onset_s - (plausible[-1] + 1) * STEP_S, "left")
    high = np.searchsorted(dates, cases.onset_s - (plausible[0] - 1) * STEP_S, "right")
    data, tables = _arguments(cases, course, settings)
    return cast(Any, _all)(order, low, high, LEAK * least, MOST, settings.share, data, tables)


def one(cases: Cases, course: Course, settings: Settings, infectee: int, infector: int) -> tuple[Floats, float]:
    """Return a pair's weight by setting (s,), before shares are renormalised, and the density of its interval."""
    data, tables = _arguments(cases, course, settings)
    parts, density = np.empty((len(settings.share), 2))[:, :1], np.empty(1)
    cast(Any, _case)(infectee, data, tables, np.array([infector]), parts, density)
    return parts[:, 0] * settings.share, float(density[0])
