"""Means with confidence intervals over seeds, and the rule by which a fleet is said to be enough.

Runs with the same seed share their randomness (riders, travel times, who does not come), so that what two policies or
fleets differ by is judged by paired differences, whose variance is lower (common random numbers; Law 2015, Simulation
Modeling and Analysis, 5th ed., sections 10.2 and 11.2).
"""

# pyright: reportMissingTypeStubs=false

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over n seeds with its confidence interval ``[low, high]``; a single seed has none (NaN)."""

    mean: float
    low: float
    high: float
    n: int


def estimate(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """Return the mean of independent runs and its interval: mean ± t(n-1) · s / √n (Student 1908).

    NaN values (a run that had nothing to measure) are left out.
    """
    known = np.array([v for v in values if not math.isnan(v)])
    n = len(known)
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    mean = float(known.mean())
    if n == 1:
        return Estimate(mean, math.nan, math.nan, 1)
    half = float(stdtrit(n - 1, 0.5 + confidence / 2)) * float(known.std(ddof=1)) / math.sqrt(n)
    return Estimate(mean, mean - half, mean + half, n)


def difference(values: Sequence[float], base: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """Return by how much runs differ from the base's runs of the same seeds, pair by pair."""
    return estimate([a - b for a, b in zip(values, base, strict=True)], confidence)


def certainty(values: Sequence[float], target: float) -> float:
    """Return how sure the runs make that their mean is at least ``target``: 1 - p of the one-sided t test.

    Runs that are all alike make sure or rule out; a single run says nothing (NaN).
    """
    n = len(values)
    if n < 2:
        return math.nan
    mean, spread = float(np.mean(values)), float(np.std(values, ddof=1))
    if spread == 0:
        return 1.0 if mean >= target else 0.0
    return float(stdtr(n - 1, (mean - target) / spread * math.sqrt(n)))
