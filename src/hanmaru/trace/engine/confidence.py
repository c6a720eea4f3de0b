"""How sure a stay is: the probability that it is one, from what the kernel of `stays` says of it."""

import numpy as np

from hanmaru.trace.domain import Floats

START, END, X, Y, VARIANCE, FIRST, LAST, ATOMS, BEFORE, AFTER, APART, PAUSE, MISFIT, SIGMA, WIDTH = range(15)
"""Columns of what the kernel finds: times, centre and its variance, range of points, how many atoms; seconds without
points before and after; deviations from the nearest neighbouring place; longest pause; mean misfit and deviation."""


def features(kept: Floats) -> Floats:
    """Return what a stay's confidence rests on, (s, f), from what the kernel found, (s, WIDTH)."""
    long_s = np.maximum(kept[:, END] - kept[:, START], 1.0)
    vague = (kept[:, BEFORE] + kept[:, AFTER]) / long_s
    return np.column_stack(
        [
            np.ones(len(kept)),
            np.log(long_s / 900.0),
            np.log(kept[:, ATOMS]),
            np.log1p(vague),
            np.log1p(kept[:, APART]),
            kept[:, PAUSE] / long_s,
            np.log(kept[:, MISFIT] + 0.1),
            np.log(kept[:, SIGMA] / 100.0),
        ]
    )


WEIGHTS = np.array([-0.823, -0.451, 0.905, -1.078, 0.701, 0.972, -0.471, -0.54])
"""Logistic weights of `features`: what `python -m benchmarks.trace.stays fit` gives, on seeds that are not scored."""


def confidence(kept: Floats) -> Floats:
    """Return the probability that a true stay overlaps each found one by half of their union, (s,)."""
    return 1.0 / (1.0 + np.exp(-(features(kept) * WEIGHTS).sum(axis=1)))  # not @: its rounding depends on s
