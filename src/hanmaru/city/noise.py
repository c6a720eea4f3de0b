"""Reproducible randomness: counter-based noise that is a pure function of seed, key and time, and named generators.

A sensor's reading at an instant must not depend on which readings were asked for before, or in which process. So
noise is hashed (splitmix64, Steele, Lea & Flood 2014) instead of drawn from a running generator.
"""

import zlib

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def generator(seed: int, label: str) -> np.random.Generator:
    """Return the generator that belongs to one purpose, so that building one thing never shifts another."""
    return np.random.Generator(np.random.PCG64([seed, zlib.crc32(label.encode())]))


def channel(label: str) -> int:
    """Return the noise channel of a label."""
    return zlib.crc32(label.encode())


def _hash(seed: int, keys: tuple[npt.ArrayLike, ...]) -> npt.NDArray[np.uint64]:
    state = np.full(1, seed & 0xFFFFFFFFFFFFFFFF, np.uint64)
    for key in (*keys, 0):
        state = state ^ np.atleast_1d(np.asarray(key, np.int64)).view(np.uint64)
        state = state + _GOLDEN
        state = (state ^ (state >> np.uint64(30))) * _MIX_1
        state = (state ^ (state >> np.uint64(27))) * _MIX_2
        state = state ^ (state >> np.uint64(31))
    return state


def uniform(seed: int, *keys: npt.ArrayLike) -> Floats:
    """Return numbers in (0, 1), one for each element of the broadcast integer keys."""
    return ((_hash(seed, keys) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def gaussian(seed: int, *keys: npt.ArrayLike) -> Floats:
    """Return standard normal numbers, one for each element of the broadcast integer keys (Box-Muller)."""
    radius = np.sqrt(-2.0 * np.log(uniform(seed, *keys, 1)))
    return radius * np.cos(2.0 * np.pi * uniform(seed, *keys, 2))


def _spline(f: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the four cubic B-spline weights at fraction ``f``, scaled so that their squares sum to one."""
    a, b = (1 - f) ** 3, 3 * f**3 - 6 * f**2 + 4
    c, d = -3 * f**3 + 3 * f**2 + 3 * f + 1, f**3
    norm = np.sqrt(a * a + b * b + c * c + d * d)
    return a / norm, b / norm, c / norm, d / norm


def smooth(seed: int, key: npt.ArrayLike, t: npt.ArrayLike, scale_s: float) -> Floats:
    """Return a smooth stationary process at times ``t`` (s): standard normal at every instant.

    Its correlation fades over about two ``scale_s``. Keys give independent processes; they broadcast with ``t``.
    """
    position = np.atleast_1d(np.asarray(t, np.float64)) / scale_s
    knot = np.floor(position)
    weights = _spline(position - knot)
    first = knot.astype(np.int64) - 1
    total = weights[0] * gaussian(seed, key, first)
    for i in (1, 2, 3):
        total = total + weights[i] * gaussian(seed, key, first + i)
    return total


class Field:
    """A smooth random displacement of the plane: (x, y) metres to (dx, dy) metres, of one wavelength and size."""

    def __init__(self, rng: np.random.Generator, extent_m: float, wavelength_m: float, size_m: float) -> None:
        """Make a field that covers the square within ``extent_m`` of the origin."""
        self._half = int(np.ceil(extent_m / wavelength_m)) + 3
        self._wavelength, self._size = wavelength_m, size_m
        self._knots = rng.standard_normal((2, 2 * self._half + 1, 2 * self._half + 1))

    def __call__(self, xy: Floats) -> Floats:
        """Return the displacements of points (n, 2) as (n, 2)."""
        position = np.clip(xy / self._wavelength + self._half, 1, 2 * self._half - 2)
        knot = np.floor(position).astype(np.int64)
        wx, wy = _spline(position[:, 0] - knot[:, 0]), _spline(position[:, 1] - knot[:, 1])
        out = np.zeros_like(xy)
        for i in range(4):
            for j in range(4):
                out += (wx[i] * wy[j] * self._knots[:, knot[:, 0] + i - 1, knot[:, 1] + j - 1]).T
        return out * self._size


def listed(values: Ints) -> list[int]:
    """Return whole numbers as a list of Python's own."""
    return values.tolist()
