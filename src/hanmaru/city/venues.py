"""Where people go beside home and work: what each shop is, and which venues somebody there would choose.

The city's shops have no kinds of their own; each is given a stable one here, so that the places stay as they are.
"""

from dataclasses import dataclass

import numpy as np

from hanmaru.city import places as place
from hanmaru.city.build import City
from hanmaru.city.noise import Ints, channel, uniform

USES = ("retail", "restaurant", "cafe", "bar", "gym", "church", "academy", "clinic", "park")
RETAIL, RESTAURANT, CAFE, BAR, GYM, CHURCH, ACADEMY, CLINIC, PARK = range(len(USES))
_SHOP_SHARES = (0.40, 0.27, 0.11, 0.06, 0.03, 0.02, 0.11)
"""Of shops, what part is what (the first seven uses): assumed, near the mix of Korean neighbourhood shops."""
CHOICES = 300
_CELL_M = 500.0


@dataclass(frozen=True, eq=False, slots=True)
class Venues:
    """``use`` (p,) what each place is to visitors, an index into `USES` or -1; ``cell`` (p,) the 500 m square it is in;
    ``near`` (cells, uses, CHOICES) the places of each use from the most to the least attractive as seen from there, of
    which the first ``count`` (uses,) are filled.
    """

    use: Ints
    cell: Ints
    near: Ints
    count: Ints


def make(city: City) -> Venues:
    """Return a city's venues. What attracts is nearness and size: distance over the square root of the capacity."""
    places = city.places
    use = np.full(len(places.kind), -1)
    shops = places.of(place.SHOP)
    shuffled = shops[np.argsort(uniform(city.profile.seed, channel("venues"), shops), kind="stable")]
    share = place.shares(np.array(_SHOP_SHARES), len(shops))
    use[shuffled] = np.repeat(np.arange(len(share)), share)
    use[places.of(place.CLINIC)] = CLINIC
    use[places.of(place.PARK)] = PARK
    square = np.floor(places.xy / _CELL_M).astype(np.int64)
    cells, cell = np.unique(square, axis=0, return_inverse=True)
    middle = (cells + 0.5) * _CELL_M
    near = np.full((len(cells), len(USES), CHOICES), -1)
    count = np.zeros(len(USES), np.int64)
    for u in range(len(USES)):
        mine = np.flatnonzero(use == u)
        if not len(mine):
            continue  # a village without: nobody goes
        count[u] = k = min(CHOICES, len(mine))
        metres = np.hypot(*(middle[:, None] - places.xy[mine]).transpose(2, 0, 1))
        pull = (metres + 150.0) / np.sqrt(places.capacity[mine])
        best = np.argpartition(pull, k - 1, axis=1)[:, :k]
        order = np.argsort(np.take_along_axis(pull, best, axis=1), axis=1, kind="stable")
        near[:, u, :k] = mine[np.take_along_axis(best, order, axis=1)]
    return Venues(use, cell.reshape(-1), near, count)
