"""Compiled loops: Numba's `njit` with the types of what it compiles kept for the reader and the type checker."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba  # pyright: ignore[reportMissingTypeStubs]
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""What splitmix64 adds in each step."""


def kernel(function: F) -> F:
    """Compile a function of numbers and arrays on its first call; the machine code is kept beside the source."""
    return cast(F, numba.njit(cache=True, nogil=True)(function))  # pyright: ignore[reportUnknownMemberType]


@kernel
def mixed(state: np.uint64, key: int) -> np.uint64:
    """Return a state with one more key hashed into it: a step of splitmix64 (Steele, Lea & Flood 2014)."""
    state = (state ^ np.uint64(key)) + GOLDEN
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


@kernel
def unit(state: np.uint64) -> float:
    """Return a state as a number in (0, 1)."""
    return (float(state >> np.uint64(11)) + 0.5) * 2.0**-53


@kernel
def stream(seed: int, who: int, owner: int, day: int) -> np.uint64:
    """Return where the random numbers start that an owner has on a day; ``who`` says what the owner is.

    As in `noise.uniform`, a number depends on its keys alone.
    """
    return mixed(mixed(mixed(np.uint64(seed), who), owner), day)


@kernel
def draw(start: np.uint64, what: int) -> float:
    """Return the number in (0, 1) for a purpose from a stream."""
    return unit(mixed(start, what))
