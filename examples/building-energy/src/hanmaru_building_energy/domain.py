"""The service's nouns: a metered series, how well a baseline fits, what was saved. Immutable; arrays are read only."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

Status = Literal["ok", "too-little-data", "does-not-fit", "nothing-after"]
"""Whether there is an estimate; without one, why: too few weeks to learn from, a model that does not describe them, or
nothing metered since the measure."""


@dataclass(frozen=True, eq=False)
class Series:
    """Values on a regular grid: ``values[i]`` (n,) is that of [``start_s`` + i ``step_s``, + ``step_s``), Unix seconds.

    NaN where nothing is known. Energy in kWh, temperature in °C (the interval's mean).
    """

    start_s: int
    step_s: int
    values: Floats

    @property
    def end_s(self) -> int:
        """The instant at which the last interval ends."""
        return self.start_s + self.step_s * len(self.values)

    @property
    def times_s(self) -> Ints:
        """The instants (n,) at which the intervals begin."""
        return self.start_s + self.step_s * np.arange(len(self.values), dtype=np.int64)

    def between(self, start_s: float, end_s: float) -> "Series":
        """Return the intervals that lie wholly in [start, end)."""
        first = min(len(self.values), max(0, int(np.ceil((start_s - self.start_s) / self.step_s))))
        last = max(first, min(len(self.values), int((end_s - self.start_s) // self.step_s)))
        return Series(self.start_s + first * self.step_s, self.step_s, self.values[first:last])


@dataclass(frozen=True)
class Quality:
    """How well a baseline describes its own period, as fractions.

    ``cv_rmse`` of hourly totals (ASHRAE Guideline 14); ``nmbe`` of the period's last quarter as predicted by a fit on
    the three before it (in its own period a fit with an intercept has none); ``weeks`` of readings that there were.
    """

    cv_rmse: float
    nmbe: float
    weeks: float


@dataclass(frozen=True)
class Estimate:
    """What was saved in the reporting period; energies in kWh, None where ``status`` is not ``ok``.

    ``savings_kwh`` ± ``uncertainty_kwh`` is an interval at the confidence ``level`` from a block bootstrap;
    ``ashrae_kwh`` is what the formula of ASHRAE Guideline 14 gives instead. ``covered`` is the fraction of the
    reporting period's intervals that were metered and could be predicted: the sums are over those alone.
    ``parameter_kwh`` and ``noise_kwh`` divide the uncertainty into what the baseline's coefficients and what the
    period's own ups and downs add.
    """

    status: Status
    quality: Quality
    level: float
    covered: float = 0.0
    baseline_kwh: float | None = None
    measured_kwh: float | None = None
    savings_kwh: float | None = None
    uncertainty_kwh: float | None = None
    ashrae_kwh: float | None = None
    parameter_kwh: float = 0.0
    noise_kwh: float = 0.0

    @property
    def percent(self) -> float | None:
        """Savings as a percentage of the baseline."""
        return (
            100 * self.savings_kwh / self.baseline_kwh if self.savings_kwh is not None and self.baseline_kwh else None
        )

    @property
    def percent_uncertainty(self) -> float | None:
        """The uncertainty as a percentage of the baseline."""
        if self.uncertainty_kwh is None or not self.baseline_kwh:
            return None
        return 100 * self.uncertainty_kwh / self.baseline_kwh
