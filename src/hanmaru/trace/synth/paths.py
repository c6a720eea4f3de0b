"""The way people take between two visits: the quickest path on the city's roads."""

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy.sparse import csr_matrix  # pyright: ignore[reportMissingTypeStubs]
from scipy.sparse.csgraph import dijkstra  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

from hanmaru.city.build import City
from hanmaru.city.days import Days
from hanmaru.city.noise import channel, uniform
from hanmaru.trace.domain import Bools, Floats, Ints
from hanmaru.trace.synth.spots import Spots

Nodes = npt.NDArray[np.int16]

LONGEST = 1000
"""Nodes that a path may have."""


@dataclass(frozen=True, eq=False, slots=True)
class Ways:
    """``xy`` (n, 2) of the road nodes; ``row`` (n,) of each goal or -1; ``towards`` (g, n) the next node on the way to
    each goal, itself at the goal, negative where there is none.
    """

    xy: Floats
    row: Ints
    towards: Nodes


def make(city: City, goals: Ints) -> Ways:
    """Return the quickest ways from everywhere to some nodes, at the roads' speed limits (0.6 ms a goal)."""
    r = city.roads
    n = len(r.xy)
    goals = np.unique(goals)
    towards = np.empty((len(goals), n), np.int16)
    # Backwards from the goal, the node before is the node after. Sparse graphs lose arcs of no length.
    graph = csr_matrix((np.maximum(r.length_m / r.speed_mps, 1e-3), (r.target, r.source)), shape=(n, n))
    for i in range(0, len(goals), 256):
        found = cast(Ints, dijkstra(graph, indices=goals[i : i + 256], return_predecessors=True)[1])
        towards[i : i + 256] = np.where(found < 0, -1, found)
    towards[np.arange(len(goals)), goals] = goals
    row = np.full(n, -1)
    row[goals] = np.arange(len(goals))
    return Ways(r.xy, row, towards)


@njit(cache=True, nogil=True)
def walk(
    nodes: Floats, row: Ints, towards: Nodes, source: int, goal: int, ends: Floats, line: Floats, along: Floats
) -> int:
    """Fill ``line`` (LONGEST, 2) and ``along`` (LONGEST,), metres from the start, with the path from ``ends[0]`` by the
    roads to ``ends[1]``; return how many points it has.
    """
    line[0] = ends[0]
    along[0] = 0.0
    k = 1
    here = source
    if row[goal] >= 0:
        while k < LONGEST - 1 and here >= 0:
            line[k] = nodes[here]
            along[k] = along[k - 1] + np.hypot(line[k, 0] - line[k - 1, 0], line[k, 1] - line[k - 1, 1])
            k += 1
            if here == goal:
                break
            here = towards[row[goal], here]
    line[k] = ends[1]
    along[k] = along[k - 1] + np.hypot(line[k, 0] - line[k - 1, 0], line[k, 1] - line[k - 1, 1])
    return k + 1


@dataclass(frozen=True, eq=False, slots=True)
class Moves:
    """t moves, sorted by person, start: ``person`` (t,) from ``origin`` to ``goal``, places, ``start_s`` to ``end_s``;
    ``from_spot``, ``to_spot`` (t,) the spots they are at; ``mode`` an index into `MODES`.
    """

    person: Ints
    origin: Ints
    goal: Ints
    start_s: Ints
    end_s: Ints
    from_spot: Ints
    to_spot: Ints
    mode: Ints

    def __len__(self) -> int:
        """Return how many moves there are."""
        return len(self.person)


MODES = ("walk", "transit", "car")
WALK, TRANSIT, CAR = range(3)
WALKED_M = 900.0
"""Straight-line distance up to which everybody walks."""


def moves(city: City, spots: Spots, days: Days, seed: int) -> Moves:
    """Return how people get from visit to visit.

    Who goes by bus does so nearly always: 45 % of those of 13 to 18, 30 % to 24, 20 % from 65, else 9 % (public
    transport is some 10 % of Sejong's trips in Korea's transport surveys, more of the young and old).
    """
    v = np.flatnonzero((days.person[1:] == days.person[:-1]) & (days.place[1:] != days.place[:-1]))
    who, start = days.person[v], days.end_s[v]
    from_spot = spots.of(city.profile.seed, who, days.place[v])
    to_spot = spots.of(city.profile.seed, who, days.place[v + 1])
    gap = spots.xy[to_spot] - spots.xy[from_spot]
    metres = np.hypot(gap[:, 0], gap[:, 1])
    age = city.population.age[who]
    rider = uniform(seed, channel("move/rider"), who) < np.select(
        [age < 13, age < 19, age < 25, age >= 65], [0.05, 0.45, 0.30, 0.20], 0.09
    )
    bus = uniform(seed, channel("move/mode"), who, start) < np.where(rider, 0.9, 0.02)
    mode = np.where(metres < WALKED_M, WALK, np.where(bus, TRANSIT, CAR))
    return Moves(who, days.place[v], days.place[v + 1], start, days.start_s[v + 1], from_spot, to_spot, mode)


def select(moves: Moves, which: Ints | Bools) -> Moves:
    """Return some of the moves."""
    return Moves(*(getattr(moves, f)[which] for f in Moves.__dataclass_fields__))


def at_share(ways: Ways, spots: Spots, moves: Moves, share: Floats) -> Floats:
    """Return where people are (t, 2) when they have come a share (t,) of each move's way."""
    out = np.empty((len(moves), 2))
    _at_share(ways.xy, ways.row, ways.towards, spots.xy, spots.node, moves.from_spot, moves.to_spot, share, out)
    return out


@njit(cache=True, nogil=True)
def _at_share(
    nodes: Floats,
    row: Ints,
    towards: Nodes,
    xy: Floats,
    node: Ints,
    origin: Ints,
    goal: Ints,
    share: Floats,
    out: Floats,
) -> None:
    line, along, ends = np.empty((LONGEST, 2)), np.empty(LONGEST), np.empty((2, 2))
    for i in range(len(origin)):
        ends[0], ends[1] = xy[origin[i]], xy[goal[i]]
        n = walk(nodes, row, towards, int(node[origin[i]]), int(node[goal[i]]), ends, line, along)
        gone, k = share[i] * along[n - 1], 0
        while k + 2 < n and along[k + 1] < gone:
            k += 1
        f = (gone - along[k]) / max(1e-6, along[k + 1] - along[k])
        out[i] = line[k] + (line[k + 1] - line[k]) * min(1.0, max(0.0, f))
