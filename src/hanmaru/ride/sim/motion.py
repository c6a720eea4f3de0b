"""Where each van is: it drives the quickest way node by node and can be turned round at the next node it comes to."""

import math

import numpy as np
import numpy.typing as npt

from hanmaru.city.kernels import kernel
from hanmaru.ride.domain import Floats, Rows, Travel
from hanmaru.ride.sim.world import Singles, World, whole

NOWHERE = -1


class Motion:
    """V vans on a world. Arrays (V,): ``node`` where a van is or will be at ``at_s``, ``target`` the stop it drives to
    or `NOWHERE`, ``pace`` how much longer than planned its drive takes, ``aboard`` how many ride in it,
    ``driven_m`` and ``empty_m`` how far it has been, in all and with nobody aboard.
    """

    def __init__(self, world: World, travel: Travel, stops: npt.ArrayLike, at_s: npt.ArrayLike) -> None:
        """Put the vans at stops; `moved` writes their rows of ``travel``, those after the stops."""
        self.world, self.travel = world, travel
        self.node = world.stop[np.asarray(stops, np.int32)].copy()
        vans = len(self.node)
        self.at_s = np.array(at_s, np.float64)
        self.target = np.full(vans, NOWHERE, np.int32)
        self.pace = np.ones(vans)
        self.aboard = np.zeros(vans, np.int32)
        self.driven_m, self.empty_m = np.zeros(vans), np.zeros(vans)
        self._told = self.node.copy()
        self._stop_at = np.full(len(world.time_s), NOWHERE, np.int32)
        self._stop_at[world.stop] = np.arange(len(world.stop))

    def drive(self, van: int, stop: int, now_s: float, pace: float) -> float:
        """Send a van to a stop and return when it will be there; from the next node on if it is under way.

        ``pace`` is how much longer than planned the drive takes. Where no way leads there, the van never arrives: inf.
        """
        self.at_s[van] = max(self.at_s[van], now_s)
        self.target[van], self.pace[van] = stop, pace
        return float(self.at_s[van] + self.world.time_s[self.node[van], stop] * pace)

    def halt(self, van: int) -> None:
        """Let a van stand where it is, or at the next node it comes to."""
        self.target[van] = NOWHERE

    def arrive(self, van: int) -> None:
        """Bring a van to its target."""
        self._advance(van, van + 1, math.inf)
        self._told[van] = self.node[van]
        self.halt(van)

    def place(self, van: int, stop: int, now_s: float) -> None:
        """Put a van at a stop: a broken one comes back."""
        self.node[van] = self._told[van] = self.world.stop[stop]
        self.at_s[van] = now_s
        self.halt(van)

    def moved(self, now_s: float) -> tuple[list[int], list[int], list[int]]:
        """Drive all vans on; return those with another next node, their rows of the travel times, when they are there.

        A node that is a stop has the stop's row. For the others the vans' own rows are written.
        """
        self._advance(0, len(self.node), now_s)
        vans = np.flatnonzero(self.node != self._told)
        if not len(vans):
            return [], [], []
        stops = len(self.world.stop)
        node = self.node[vans]
        rows = self._stop_at[node]
        self._write(vans[rows == NOWHERE])
        self._told[vans] = node
        rows = np.where(rows == NOWHERE, stops + vans, rows)
        return vans.tolist(), rows.tolist(), np.ceil(self.at_s[vans]).astype(np.int64).tolist()

    def retime(self, world: World, travel: Travel) -> None:
        """Go on with other travel times of the same nodes; vans under way have to be sent to their stops again."""
        self.world, self.travel = world, travel
        self._write(np.arange(len(self.node)))

    def _write(self, vans: npt.NDArray[np.int64]) -> None:
        """Write vans' own rows of the travel times."""
        rows, node = len(self.world.stop) + vans, self.node[vans]
        self.travel.time_s[rows] = whole(self.world.time_s[node])
        self.travel.length_m[rows] = whole(self.world.length_m[node])

    def to(self, van: int, stop: int) -> float:
        """Return how long a van takes to a stop as planned, from the next node it comes to; seconds."""
        return float(self.world.time_s[self.node[van], stop])

    def way_m(self, van: int, stop: int) -> float:
        """Return how far it is to a stop; metres."""
        return float(self.world.length_m[self.node[van], stop])

    def _advance(self, first: int, last: int, now_s: float) -> None:
        world = self.world
        _advance(
            first,
            last,
            now_s,
            (self.node, self.target, world.stop, self.aboard),
            (self.at_s, self.pace, self.driven_m, self.empty_m),
            world.step,
            world.time_s,
            world.length_m,
        )


@kernel
def _advance(
    first: int,
    last: int,
    now_s: float,
    whereabouts: tuple[Rows, Rows, Rows, Rows],
    counts: tuple[Floats, Floats, Floats, Floats],
    step: Rows,
    time_s: Singles,
    length_m: Singles,
) -> None:
    """Move vans on, node by node, until each is at a node at ``now_s`` or later, or at its target."""
    node, target, stop, aboard = whereabouts
    at_s, pace, driven_m, empty_m = counts
    for van in range(first, last):
        goal = target[van]
        if goal < 0:
            continue
        here = node[van]
        while at_s[van] < now_s and here != stop[goal]:
            after = step[here, goal]
            if after < 0:
                break
            metres = np.float64(length_m[here, goal]) - np.float64(length_m[after, goal])
            at_s[van] += (np.float64(time_s[here, goal]) - np.float64(time_s[after, goal])) * pace[van]
            driven_m[van] += metres
            if aboard[van] == 0:
                empty_m[van] += metres
            here = after
        node[van] = here
