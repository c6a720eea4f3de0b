"""Compiled loops: Numba's `njit` with the types of what it compiles kept for the reader and the type checker."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba  # pyright: ignore[reportMissingTypeStubs]
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile a function of numbers and arrays on its first call; the machine code is kept beside the source."""
    return cast(F, numba.njit(cache=True, nogil=True)(function))  # pyright: ignore[reportUnknownMemberType]


@kernel
def stream(seed: int, who: int, owner: int, day: int) -> np.uint64:
    """Return where the random numbers start that an owner has on a day; ``who`` says what the owner is.

    As `noise.uniform`, a chain of splitmix64 (Steele, Lea & Flood 2014), so that a number depends on its keys alone.
    """
    state = np.uint64(seed)
    for key in (who, owner, day):
        state = (state ^ np.uint64(key)) + np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state = state ^ (state >> np.uint64(31))
    return state


@kernel
def draw(start: np.uint64, what: int) -> float:
    """Return the number in (0, 1) for a purpose from a stream."""
    state = (start ^ np.uint64(what)) + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    state = state ^ (state >> np.uint64(31))
    return (float(state >> np.uint64(11)) + 0.5) * 2.0**-53
