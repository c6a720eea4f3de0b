"""Chance that depends on its keys alone, so that runs of one seed share it whatever happens in them."""

import math
from statistics import NormalDist

from hanmaru.city.kernels import draw, kernel, stream

ROAD, BOARDING, ALIGHTING = range(3)
"""What is uncertain."""
_NORMAL = NormalDist()


def factor(deviation: float, seed: int, what: int, a: int, b: int) -> float:
    """Return a log-normal factor of mean 1 and a deviation, the same for the same keys."""
    if deviation == 0:
        return 1.0
    sigma = math.sqrt(math.log1p(deviation**2))
    return math.exp(sigma * _NORMAL.inv_cdf(_uniform(seed, what, a, b)) - sigma**2 / 2)


@kernel
def _uniform(seed: int, what: int, a: int, b: int) -> float:
    return draw(stream(seed, what, a, b), 0)
