"""The report's map as SVG: the course over the city's own boundary, water and roads, with a scale bar."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hanmaru.platform.drawing import METRES_PER_DEGREE, WIDTH, Basemap, Frame, base, circle, path, scale, sheet


def draw(results: Mapping[str, Any], basemap: Basemap | None = None) -> str:
    """Return a case's stays, moves and hotspots as SVG. A city's ``basemap`` is GeoJSON by layer."""
    stays: list[Mapping[str, Any]] = list(results.get("stays", ()))
    hotspots: list[Mapping[str, Any]] = list(results.get("hotspots", ()))
    moves: list[Mapping[str, Any]] = list(results.get("moves", ()))
    places = [(float(one["lon"]), float(one["lat"]), float(one.get("radius_m") or 0)) for one in [*stays, *hotspots]]
    if not places:
        return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} 40"></svg>'
    frame = Frame(places)
    parts = [*base(frame, basemap or {})]
    for spot in hotspots:
        parts.append(circle(frame, spot, 'fill="#b3261e" fill-opacity="0.14" stroke="#b3261e" stroke-width="1.4"', 6))
    for move in moves:
        parts.append(path(frame, move["path"], 'fill="none" stroke="#3567b0" stroke-width="1.6" stroke-opacity="0.75"'))
    where = _visited(stays)
    for stay in where:
        style = 'fill="#0b5d53" fill-opacity="0.10" stroke="#0b5d53" stroke-opacity="0.5" stroke-width="0.8"'
        parts.append(circle(frame, stay, style, 3))
    for number, stay in enumerate(where, 1):
        x, y = frame.at(stay["lon"], stay["lat"])
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="8" fill="#0b5d53" stroke="#fff" stroke-width="1.4"/>')
        style = 'font-family="Pretendard" font-size="9" font-weight="700" fill="#fff" text-anchor="middle"'
        parts.append(f'<text x="{x:.1f}" y="{y + 3.2:.1f}" {style}>{number}</text>')
    parts += scale(frame)
    return sheet(parts)


def _visited(stays: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the places of stays, each once in the order of first visits: a month at home is one mark."""
    found: list[dict[str, Any]] = []
    for stay in stays:
        for one in found:
            metres = math.hypot(
                (stay["lat"] - one["lat"]) * METRES_PER_DEGREE,
                (stay["lon"] - one["lon"]) * METRES_PER_DEGREE * math.cos(math.radians(one["lat"])),
            )
            if metres <= max(40.0, min(stay["radius_m"], one["radius_m"]) / 2):
                break
        else:
            found.append({key: stay[key] for key in ("lat", "lon", "radius_m")})
    return found[:60]
