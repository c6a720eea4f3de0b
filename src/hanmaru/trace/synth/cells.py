"""Three carriers' cells: where masts stand, and the sectors on them.

Masts are as far apart as published for Korea: 50-200 m in a city's centre, 200-300 m in a provincial town, 500-1,000 m
outside; which of these a spot is follows from how many people live and work around it. The two layouts are frozen: A
to develop and calibrate with, B held out to score with.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numba import njit
from scipy.ndimage import gaussian_filter  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

from hanmaru.city import places as place
from hanmaru.city.build import City
from hanmaru.city.noise import generator
from hanmaru.city.plane import contains
from hanmaru.trace.domain import Floats, Ints

LayoutName = Literal["A", "B"]
LAYOUTS: dict[str, int] = {"A": 4101, "B": 7703}
"""The frozen seeds of the cell layouts."""

CARRIERS = ("C1", "C2", "C3")
SHARES = (0.45, 0.31, 0.24)
"""Subscribers by carrier, virtual operators counted with their host (MSIT, wireless subscribers, rounded)."""

CENTRE_PER_KM2, TOWN_PER_KM2, DENSEST_PER_KM2 = 12_000.0, 1_200.0, 26_000.0
"""People and jobs per km2 (smoothed over 200 m) from which a spot counts as centre and as town."""

BEAM_DEG = 65.0
"""Half-power width of a sector (3GPP TR 36.814, table A.2.1.1-2)."""

OMNI_M = 120.0
"""Masts closer together than this are small cells, which have no sectors."""

RADIUS_BY_SPACING = 0.60
"""A cell's nominal radius by the distance between masts: a hexagon's corner is at 0.58 of it."""

_SQUARE_M = 50.0
_AROUND_M = 4500.0
_PACKING = 0.96  # spots packed at random at least r apart have their nearest 1.04 r away on average (measured here)


@dataclass(frozen=True, eq=False, slots=True)
class _Density:
    low: Floats
    values: Floats

    def at(self, xy: Floats) -> Floats:
        cell = np.clip(((xy - self.low) // _SQUARE_M).astype(np.int64), 0, np.array(self.values.shape) - 1)
        return self.values[cell[:, 0], cell[:, 1]]


@dataclass(frozen=True, eq=False)
class Network:
    """m masts and c cells. ``mast_xy`` (m, 2), ``mast_carrier``, ``spacing_m``, ``first`` (m + 1,): a mast's cells are
    ``first[i]:first[i + 1]``. ``mast`` (c,), ``azimuth_deg`` (c,) clockwise from north, NaN for cells all round.
    """

    layout: str
    seed: int
    mast_xy: Floats
    mast_carrier: Ints
    spacing_m: Floats
    first: Ints
    mast: Ints
    azimuth_deg: Floats

    def __len__(self) -> int:
        """Return how many cells there are."""
        return len(self.mast)

    @cached_property
    def xy(self) -> Floats:
        """Where each cell's mast stands (c, 2)."""
        return self.mast_xy[self.mast]

    @cached_property
    def carrier(self) -> Ints:
        """Each cell's carrier (c,), an index into `CARRIERS`."""
        return self.mast_carrier[self.mast]

    @cached_property
    def radius_m(self) -> Floats:
        """Each cell's nominal radius (c,)."""
        return np.round(self.spacing_m[self.mast] * RADIUS_BY_SPACING)

    @cached_property
    def anchor(self) -> Floats:
        """The middle of the ground that each cell covers (c, 2): its mast, or half a radius before a sector's."""
        turn = np.radians(np.nan_to_num(self.azimuth_deg))
        ahead = np.where(np.isnan(self.azimuth_deg), 0.0, 0.5 * self.spacing_m[self.mast] * RADIUS_BY_SPACING)
        return self.xy + np.stack((np.sin(turn), np.cos(turn)), axis=1) * ahead[:, None]

    @cached_property
    def ids(self) -> list[str]:
        """Each cell's identifier, such as ``C1-00042-2``: carrier, mast, sector."""
        sector = np.arange(len(self)) - self.first[self.mast] + 1
        rows = zip(self.carrier.tolist(), self.mast.tolist(), sector.tolist(), strict=True)
        return [f"{CARRIERS[c]}-{m:05d}-{s}" for c, m, s in rows]


def make(city: City, layout: str = "A") -> Network:
    """Return the carriers' cells of a city in one of the `LAYOUTS`."""
    seed = LAYOUTS[layout]
    density = _density(city)
    masts: list[Floats] = []
    spacings: list[Floats] = []
    for name in CARRIERS:
        rng = generator(seed, "cells/" + name)
        tries = _tries(city, rng)
        spacing = spacing_m(density.at(tries))
        kept = _packed(tries, spacing * _PACKING)
        masts.append(tries[kept])
        spacings.append(spacing[kept])
    spacing = np.concatenate(spacings)
    rng = generator(seed, "cells/azimuth")
    sectors = np.where(spacing < OMNI_M, 1, 3)
    first = np.append(0, np.cumsum(sectors))
    mast = np.repeat(np.arange(len(spacing)), sectors)
    turn = rng.uniform(0, 120, len(spacing))[mast] + 120.0 * (np.arange(len(mast)) - first[mast])
    azimuth = np.where(sectors[mast] == 1, np.nan, np.round(turn + rng.normal(0, 8, len(mast))) % 360)
    carrier = np.repeat(np.arange(len(CARRIERS)), [len(m) for m in masts])
    return Network(layout, seed, np.concatenate(masts), carrier, spacing, first, mast, azimuth)


def spacing_m(per_km2: Floats) -> Floats:
    """Return the distance between a carrier's masts where so many people live and work on a km2."""
    log = np.log(np.maximum(per_km2, 1.0))
    centre, town, top = (math.log(v) for v in (CENTRE_PER_KM2, TOWN_PER_KM2, DENSEST_PER_KM2))
    dense = np.interp(log, (town, centre, top), (300.0, 200.0, 50.0))
    return np.where(log < town, np.interp(log, (math.log(20.0), town), (1000.0, 500.0)), dense)


def _density(city: City) -> _Density:
    """Return people and jobs per km2 around each square of 50 m, smoothed with 200 m."""
    p = city.places
    here = p.kind != place.ELSEWHERE
    low = p.xy.min(axis=0) - _AROUND_M - 500
    bins = [np.arange(low[i], p.xy[:, i].max() + _AROUND_M + 500, _SQUARE_M) for i in (0, 1)]
    counted = np.isin(p.kind, (place.APARTMENT, place.HOUSE, *place.WORKPLACES)) & here
    people = np.histogram2d(p.xy[counted, 0], p.xy[counted, 1], bins, weights=p.capacity[counted])[0]
    smooth = np.asarray(gaussian_filter(people, 200.0 / _SQUARE_M), np.float64)
    return _Density(low, smooth * (1000.0 / _SQUARE_M) ** 2)


def _tries(city: City, rng: np.random.Generator) -> Floats:
    """Return spots where a mast might stand, in random order: near places, and anywhere up to 4 km out of town."""
    p = city.places
    ground = city.land.boundary.buffer(_AROUND_M - 500)
    left, bottom, right, top = ground.bounds
    wide = np.stack((rng.uniform(left, right, 40_000), rng.uniform(bottom, top, 40_000)), axis=1)
    near = np.repeat(p.xy[p.kind != place.ELSEWHERE], 6, axis=0)
    near = near + rng.normal(0, 60, near.shape)
    spots = np.concatenate((wide, near))
    return rng.permutation(spots[contains(ground, spots)])


@njit(cache=True)
def _packed(xy: Floats, apart: Floats) -> Ints:
    """Return which spots stand, taken in order, each kept where no kept one is nearer than it bears (dart throwing)."""
    bucket = 250.0
    low_x, low_y = xy[:, 0].min(), xy[:, 1].min()
    nx, ny = int((xy[:, 0].max() - low_x) / bucket) + 1, int((xy[:, 1].max() - low_y) / bucket) + 1
    head = np.full((nx, ny), -1)
    after = np.full(len(xy), -1)
    kept = np.empty(len(xy), np.int64)
    n = 0
    for i in range(len(xy)):
        bx, by = int((xy[i, 0] - low_x) / bucket), int((xy[i, 1] - low_y) / bucket)
        reach = int(apart[i] / bucket) + 1
        free = True
        for cx in range(max(0, bx - reach), min(nx, bx + reach + 1)):
            for cy in range(max(0, by - reach), min(ny, by + reach + 1)):
                j = head[cx, cy]
                while j >= 0 and free:
                    dx, dy = xy[i, 0] - xy[j, 0], xy[i, 1] - xy[j, 1]
                    limit = min(apart[i], apart[j])
                    free = dx * dx + dy * dy >= limit * limit
                    j = after[j]
            if not free:
                break
        if free:
            after[i] = head[bx, by]
            head[bx, by] = i
            kept[n] = i
            n += 1
    return kept[:n]
