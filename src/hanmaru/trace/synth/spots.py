"""What a phone hears at each spot: the cells that may serve it there, with how often each does.

A spot is a place (indoors and out), a place out of town, or a square of 100 m with a road in it. Signal follows 3GPP's
urban macro model in form: path loss with exponent 3.5, a sector's parabolic pattern, log-normal shadows of 6 dB that
belong to the spot and the mast (TR 38.901, table 7.4.1-1: UMa, NLOS), powers planned to the distance between masts.
Fading from one moment to the next is Gumbel noise of 2.5 dB, so that a cell's share is a softmax of its mean signal.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from hanmaru.city import places as place
from hanmaru.city.build import City
from hanmaru.city.noise import channel, gaussian, uniform
from hanmaru.trace.domain import Bools, Floats, Ints
from hanmaru.trace.synth import near
from hanmaru.trace.synth.cells import BEAM_DEG, CARRIERS, Network
from hanmaru.trace.synth.rng import normal_at

Small = npt.NDArray[np.int32]
Singles = npt.NDArray[np.float32]

HEARD, FURTHER = 6, 8
SQUARE_M = 100.0
OUTSIDE = 400
"""Places out of town behind each way out of the city."""

DEAD_SHARE, DEAD_LOSS = 0.01, 0.9
"""The share of squares of 100 m where a carrier has next to no signal, and of the events that are lost there."""

_EXPONENT, _SHADOW_DB, _FADING_DB = 3.5, 6.0, 2.5
_BACK_DB = 25.0
_MASTS = 24


@dataclass(frozen=True, eq=False, slots=True)
class Spots:
    """s spots: the city's places first, then `OUTSIDE` places out of town for each way out, then squares.

    ``xy`` (s, 2) metres, ``node`` (s,) the road node it is reached from (-1 for squares). For each carrier k:
    ``cell`` (k, s, HEARD) the likeliest cells, ``below`` (k, s, HEARD) their cumulative shares, ``further`` (k, s,
    FURTHER) cells that share load, ``dead`` (k, s). ``square`` (w, h) the spot of a square of the plane or -1, from
    ``low`` (2,). ``ways_out`` (g,) are the places that are ways out.
    """

    xy: Floats
    node: Ints
    cell: Small
    below: Singles
    further: Small
    dead: Bools
    square: Small
    low: Floats
    ways_out: Ints

    @property
    def outside(self) -> Ints:
        """The spots out of town, `OUTSIDE` for each way out."""
        first = len(self.node) - int(np.count_nonzero(self.square >= 0)) - len(self.ways_out) * OUTSIDE
        return np.arange(first, first + len(self.ways_out) * OUTSIDE)

    def of(self, seed: int, person: Ints, places: Ints) -> Ints:
        """Return the spots of people at places: the place, or who is out of town somewhere of their own there."""
        out = places.copy()
        away = np.isin(places, self.ways_out)
        which = np.searchsorted(self.ways_out, places[away])
        own = (uniform(seed, channel("outside"), person[away]) * OUTSIDE).astype(np.int64)
        out[away] = self.outside[0] + which * OUTSIDE + own
        return out


def make(city: City, network: Network) -> Spots:
    """Return what phones hear in a city with a network; about 2 s for the whole of Sejong."""
    p = city.places
    ways_out = p.of(place.ELSEWHERE)
    away, away_node = _outside(city, ways_out)
    square, low, middles = _squares(city)
    square = np.where(square >= 0, square + len(p.kind) + len(away), -1).astype(np.int32)
    xy = np.concatenate((p.xy, away, middles))
    node = np.concatenate((p.node, away_node, np.full(len(middles), -1)))
    k, s = len(CARRIERS), len(xy)
    cell, below = np.empty((k, s, HEARD), np.int32), np.empty((k, s, HEARD), np.float32)
    further, dead = np.empty((k, s, FURTHER), np.int32), np.empty((k, s), np.bool_)
    squares = np.floor(xy / SQUARE_M).astype(np.int64)
    for c in range(k):
        masts = np.flatnonzero(network.mast_carrier == c)
        close = masts[near.nearest(network.mast_xy[masts], xy, _MASTS)].astype(np.int32)
        azimuth = np.radians(network.azimuth_deg)
        _hear(
            xy, close, network.mast_xy, network.spacing_m, network.first, azimuth, network.seed, cell[c], below[c],
            further[c],
        )  # fmt: skip
        dead[c] = uniform(network.seed, channel("dead"), c, squares[:, 0], squares[:, 1]) < DEAD_SHARE
    return Spots(xy, node, cell, below, further, dead, square, low, ways_out)


def _outside(city: City, ways_out: Ints) -> tuple[Floats, Ints]:
    """Return places out of town: scattered within some 3 km behind each way out, where who works elsewhere is."""
    seed, number = city.profile.seed, np.arange(len(ways_out) * OUTSIDE)
    gate = city.places.xy[ways_out][number // OUTSIDE]
    middle = city.places.xy.mean(axis=0)
    outward = gate - middle
    outward /= np.hypot(outward[:, 0], outward[:, 1])[:, None]
    ahead = 500 + 2500 * uniform(seed, channel("outside/ahead"), number)
    aside = 800 * gaussian(seed, channel("outside/aside"), number)
    across = np.stack((outward[:, 1], -outward[:, 0]), axis=1)
    return gate + outward * ahead[:, None] + across * aside[:, None], city.places.node[ways_out][number // OUTSIDE]


def _squares(city: City) -> tuple[Ints, Floats, Floats]:
    """Return the squares that have a road in them or beside them, numbered, the grid's corner, and their middles."""
    r = city.roads
    a, b = r.xy[r.source], r.xy[r.target]
    steps = np.linspace(0, 1, 40)
    low = np.floor(r.xy.min(axis=0) / SQUARE_M - 2) * SQUARE_M
    size = ((r.xy.max(axis=0) - low) / SQUARE_M).astype(np.int64) + 3
    on = np.zeros(size, np.bool_)
    for f in steps.tolist():
        at = ((a + (b - a) * f - low) / SQUARE_M).astype(np.int64)
        on[at[:, 0], at[:, 1]] = True
    wide = on.copy()
    wide[1:] |= on[:-1]
    wide[:-1] |= on[1:]
    wide[:, 1:] |= on[:, :-1]
    wide[:, :-1] |= on[:, 1:]
    number = np.where(wide, np.cumsum(wide).reshape(wide.shape) - 1, -1)
    return number, low, low + (np.argwhere(wide) + 0.5) * SQUARE_M


@njit(cache=True, parallel=True)
def _hear(
    xy: Floats,
    near: Small,
    mast_xy: Floats,
    spacing: Floats,
    first: Ints,
    azimuth: Floats,
    seed: int,
    cell: Small,
    below: Singles,
    further: Small,
) -> None:
    """Fill ``cell``, ``below`` and ``further`` from the masts near each spot, nearest first."""
    beta = _FADING_DB * math.sqrt(6.0) / math.pi
    for i in prange(len(xy)):
        best = np.full(HEARD, -1e9)
        far = 0
        for j in range(near.shape[1]):
            m = near[i, j]
            dx, dy = xy[i, 0] - mast_xy[m, 0], xy[i, 1] - mast_xy[m, 1]
            ratio = spacing[m] / max(20.0, math.hypot(dx, dy))
            signal = 10 * _EXPONENT * math.log10(ratio) + _SHADOW_DB * normal_at(seed, i, m, 1)
            towards = math.atan2(dx, dy)
            most, gain = first[m], -1e9
            for c in range(first[m], first[m + 1]):
                loss = 0.0
                if not math.isnan(azimuth[c]):
                    off = (towards - azimuth[c] + math.pi) % (2 * math.pi) - math.pi
                    loss = min(12.0 * (math.degrees(off) / BEAM_DEG) ** 2, _BACK_DB)
                if -loss > gain:
                    most, gain = c, -loss
                level = signal - loss
                k = HEARD
                while k > 0 and level > best[k - 1]:
                    k -= 1
                if k < HEARD:
                    for q in range(HEARD - 1, k, -1):
                        best[q] = best[q - 1]
                        cell[i, q] = cell[i, q - 1]
                    best[k] = level
                    cell[i, k] = c
            if j >= near.shape[1] - 2 * FURTHER and (near.shape[1] - j) % 2 == 0:
                further[i, far] = most
                far += 1
        total = 0.0
        for k in range(HEARD):
            total += math.exp((best[k] - best[0]) / beta)
            below[i, k] = total
        for k in range(HEARD):
            below[i, k] /= total
