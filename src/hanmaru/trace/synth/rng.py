"""Random numbers inside kernels: a splitmix64 stream (Steele, Lea & Flood 2014) for each key.

A stream belongs to what it describes, such as one phone on one day, so that a person's records never depend on who
else is simulated, in which order or in how many parts. A state is an array of one uint64.
"""

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from hanmaru.city.kernels import GOLDEN, mixed, stream, unit

State = npt.NDArray[np.uint64]


@njit(cache=True, nogil=True)
def uniform(state: State) -> float:
    """Return the next number of a stream in (0, 1)."""
    number = unit(mixed(state[0], 0))
    state[0] += GOLDEN
    return number


@njit(cache=True, nogil=True)
def normal(state: State) -> float:
    """Return the next standard normal number of a stream (Box-Muller)."""
    radius = math.sqrt(-2.0 * math.log(uniform(state)))
    return radius * math.cos(2.0 * math.pi * uniform(state))


@njit(cache=True, nogil=True)
def normal_at(seed: int, a: int, b: int, c: int) -> float:
    """Return the standard normal number of three keys."""
    state = np.empty(1, np.uint64)
    state[0] = stream(seed, a, b, c)
    return normal(state)
