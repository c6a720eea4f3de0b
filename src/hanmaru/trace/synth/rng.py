"""Random numbers inside kernels: a splitmix64 stream (Steele, Lea & Flood 2014) for each key.

A stream belongs to what it describes, such as one phone on one day, so that a person's records never depend on who
else is simulated, in which order or in how many parts. A state is an array of one uint64.
"""

import math

import numpy as np
import numpy.typing as npt
from numba import njit

State = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_30, _27, _31, _11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)


@njit(cache=True, nogil=True)
def mixed(state: np.uint64, key: int) -> np.uint64:
    """Return a state with one more key hashed into it."""
    state = (state ^ np.uint64(key)) + _GOLDEN
    state = (state ^ (state >> _30)) * _MIX_1
    state = (state ^ (state >> _27)) * _MIX_2
    return state ^ (state >> _31)


@njit(cache=True, nogil=True)
def uniform(state: State) -> float:
    """Return the next number of a stream in (0, 1)."""
    state[0] = state[0] + _GOLDEN
    z = state[0]
    z = (z ^ (z >> _30)) * _MIX_1
    z = (z ^ (z >> _27)) * _MIX_2
    z = z ^ (z >> _31)
    return (float(z >> _11) + 0.5) * 1.1102230246251565e-16


@njit(cache=True, nogil=True)
def normal(state: State) -> float:
    """Return the next standard normal number of a stream (Box-Muller)."""
    radius = math.sqrt(-2.0 * math.log(uniform(state)))
    return radius * math.cos(2.0 * math.pi * uniform(state))


@njit(cache=True, nogil=True)
def normal_at(seed: int, a: int, b: int, c: int) -> float:
    """Return the standard normal number of three keys."""
    state = np.empty(1, np.uint64)
    state[0] = mixed(mixed(mixed(np.uint64(seed), a), b), c)
    return normal(state)
