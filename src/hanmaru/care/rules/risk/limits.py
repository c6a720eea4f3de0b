"""Within what each risk model was made: outside of its limits a model says nothing rather than something wrong."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from hanmaru.care.rules.columns import Columns
from hanmaru.care.rules.core import Bools, Floats

Limits = Mapping[str, tuple[float, float]]
"""For each column the smallest and the largest value that a model takes, both included."""

MG_DL_PER_MMOL_L: Final = 38.67
"""Cholesterol: 1 mmol/L is 38.67 mg/dL (molar mass 386.65 g/mol)."""


def told(columns: Columns, flags: Sequence[str], limits: Limits) -> Bools:
    """Return for whom a model speaks: sex and ``flags`` known, every limited column known and within; ``(n,)``.

    An age limit counts completed years: 69 is kept until the seventieth birthday.
    """
    able = (columns["sex"] == 0) | (columns["sex"] == 1)
    for name in flags:
        able &= ~np.isnan(columns[name])
    for name, (low, high) in limits.items():
        values = np.floor(columns[name]) if name == "age_years" else columns[name]
        able &= (values >= low) & (values <= high)
    return able


def spread(able: Bools, values: Floats) -> Floats:
    """Return ``values`` at the places of ``able``, NaN elsewhere; ``(n,)``."""
    whole = np.full(len(able), np.nan)
    whole[able] = values
    return whole
