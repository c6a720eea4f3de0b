"""Risk models: the chance of a disease in the years ahead, each with whom it was made from and what it cannot tell."""

from typing import Final

from hanmaru.care.rules.risk import diabetes, framingham, pce, prevent, score2

RULES: Final = (*score2.RULES, *prevent.RULES, *framingham.RULES, *diabetes.RULES)
"""The models in the order of a report."""

COMPARED: Final = pce.RULES
"""Models for comparison only, which no report for a citizen draws on: they are not in the catalogue."""
