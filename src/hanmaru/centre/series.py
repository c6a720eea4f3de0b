"""Histories made small enough to draw: numbers over time, thinned so that peaks survive. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from hanmaru.hub.client import JsonObject

Point = tuple[Any, str]
"""A value and its instant (ISO 8601, UTC)."""


def thin(points: Sequence[Point], limit: int) -> list[Point]:
    """Return at most ``limit`` of the points (oldest first): of each of limit/2 equal runs its lowest and its highest.

    What is not a number is dropped when there is anything to thin.
    """
    if len(points) <= limit:
        return list(points)
    numbers = [point for point in points if isinstance(point[0], int | float) and not isinstance(point[0], bool)]
    if len(numbers) <= limit:
        return numbers
    runs = max(1, limit // 2)
    kept: list[Point] = []
    for run in range(runs):
        part = range(run * len(numbers) // runs, (run + 1) * len(numbers) // runs)
        low = min(part, key=lambda i: numbers[i][0])
        high = max(part, key=lambda i: numbers[i][0])
        kept += [numbers[i] for i in sorted({low, high})]
    return kept


def series(history: Mapping[str, Any], limit: int) -> dict[str, list[Point]]:
    """Return each attribute's points from a history in temporal values, oldest first.

    Takes the default instance where there are several, and both shapes that the standard allows for an attribute: one
    object, or a list of objects by ``datasetId``.
    """
    found: dict[str, list[Point]] = {}
    for name, content in history.items():
        instances = cast(list[Any], content) if isinstance(content, list) else [content]
        objects = [cast(JsonObject, instance) for instance in instances if isinstance(instance, dict)]
        chosen = next((instance for instance in objects if "datasetId" not in instance), None)
        if chosen is not None and isinstance(chosen.get("values"), list):
            points = [(value, instant) for value, instant in chosen["values"] if instant]
            found[name] = thin(sorted(points, key=lambda point: point[1]), limit)
    return found
