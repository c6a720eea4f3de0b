"""Fixtures for every test."""

from worlds import steel

__all__ = ["steel"]
