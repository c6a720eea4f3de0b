"""Maps in documents, as SVG: a city's own boundary, water, green and roads around some places, with a scale bar."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, cast
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 700, 470
MARGIN: Final = 0.12
"""Share of the places' extent that is left free on each side."""
LEAST_M: Final = 1_200.0
"""Shortest side that is shown: a course within one building would be a map of nothing."""
MOST_LINES: Final = 4_000
METRES_PER_DEGREE: Final = 111_320.0
"""Of latitude, on the sphere: the map is a drawing, no survey."""

Basemap = Mapping[str, Any]
LonLat = tuple[float, float]
MAIN = {"motorway": 4.0, "trunk": 3.6, "primary": 3.2, "secondary": 2.4, "tertiary": 1.7}


class Frame:
    """Turns degrees into the drawing's units, for a rectangle around some places."""

    def __init__(self, places: Sequence[tuple[float, float, float]], *, margin: float = MARGIN) -> None:
        """Frame places, each (lon, lat, radius in metres)."""
        self.lat = sum(lat for _, lat, _ in places) / len(places)
        self.lon = sum(lon for lon, _, _ in places) / len(places)
        xs = [x for lon, _, r in places for x in (self._x(lon) - r, self._x(lon) + r)]
        ys = [y for _, lat, r in places for y in (self._y(lat) - r, self._y(lat) + r)]
        wide, high = max(max(xs) - min(xs), LEAST_M), max(max(ys) - min(ys), LEAST_M)
        self.units_per_m = min(WIDTH / wide, HEIGHT / high) * (1 - 2 * margin)
        self._mid = ((max(xs) + min(xs)) / 2, (max(ys) + min(ys)) / 2)

    def _x(self, lon: float) -> float:
        return (lon - self.lon) * METRES_PER_DEGREE * math.cos(math.radians(self.lat))

    def _y(self, lat: float) -> float:
        return (lat - self.lat) * METRES_PER_DEGREE

    def at(self, lon: float, lat: float) -> tuple[float, float]:
        """Return where a place is in the drawing."""
        x = WIDTH / 2 + (self._x(lon) - self._mid[0]) * self.units_per_m
        return x, HEIGHT / 2 - (self._y(lat) - self._mid[1]) * self.units_per_m

    def shows(self, line: Sequence[LonLat]) -> bool:
        """Return whether a line's rectangle meets the drawing's."""
        corners = [self.at(lon, lat) for lon, lat in line]
        xs, ys = [x for x, _ in corners], [y for _, y in corners]
        return max(xs) >= 0 and min(xs) <= WIDTH and max(ys) >= 0 and min(ys) <= HEIGHT


def sheet(parts: Iterable[str]) -> str:
    """Return marks as one drawing, clipped to a frame."""
    frame_rect = f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{HEIGHT - 1}" fill="none" stroke="#c3cad1"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">'
    clip = f'<clipPath id="f"><rect width="{WIDTH}" height="{HEIGHT}"/></clipPath>'
    return f'{head}{clip}<g clip-path="url(#f)">{"".join(parts)}</g>{frame_rect}</svg>'


def base(frame: Frame, basemap: Basemap) -> Iterator[str]:
    """Yield the ground, and what a city's ``basemap`` (GeoJSON by layer) has in the frame, at most ``MOST_LINES``."""
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#f6f5f1"/>'
    drawn = 0
    for name, fill in (("green", "#dae8d0"), ("water", "#bcd7e8")):
        for ring in lines(basemap.get(name)):
            if drawn < MOST_LINES and frame.shows(ring) and ring[0] == ring[-1]:
                drawn += 1
                yield path(frame, ring, f'fill="{fill}"', close=True)
    for line, kind in _roads(basemap.get("roads")):
        if drawn < MOST_LINES and kind in MAIN and frame.shows(line):
            drawn += 1
            yield path(frame, line, f'fill="none" stroke="#d9d6cd" stroke-width="{MAIN[kind]}" stroke-linejoin="round"')
    for ring in lines(basemap.get("boundary")):
        if frame.shows(ring):
            yield path(frame, ring, 'fill="none" stroke="#8e9aa6" stroke-width="1.2"')


def _roads(layer: Basemap | None) -> Iterator[tuple[list[LonLat], str]]:
    features: Sequence[Any] = layer.get("features", ()) if layer else ()
    for feature in features:
        for line in lines({"features": [feature]}):
            properties: Any = feature.get("properties") or {}
            yield line, str(properties.get("class", ""))


def lines(layer: Basemap | None) -> Iterator[list[LonLat]]:
    """Yield every line and ring of a GeoJSON layer."""

    def walk(value: Any) -> Iterator[list[LonLat]]:
        items = cast("list[Any]", value) if isinstance(value, list) else []
        if items and isinstance(items[0], list) and isinstance(items[0][0], (int, float)):
            yield [(float(point[0]), float(point[1])) for point in items]
        else:
            for inner in items:
                yield from walk(inner)

    features: Sequence[Any] = layer.get("features", ()) if layer else ()
    for feature in features:
        geometry: Any = feature.get("geometry") or {}
        if geometry.get("type") != "Point":
            yield from walk(geometry.get("coordinates"))


def path(frame: Frame, line: Iterable[Sequence[float]], style: str, close: bool = False) -> str:
    """Return a line of (lon, lat) with SVG attributes."""
    points = "L".join("{:.1f},{:.1f}".format(*frame.at(point[0], point[1])) for point in line)
    return f'<path d="M{points}{"Z" if close else ""}" {style}/>'


def circle(frame: Frame, one: Mapping[str, Any], style: str, least: float) -> str:
    """Return a circle of ``radius_m`` around ``lon``, ``lat``, at least ``least`` units."""
    x, y = frame.at(one["lon"], one["lat"])
    radius = max(least, float(one["radius_m"]) * frame.units_per_m)
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" {style}/>'


def scale(frame: Frame) -> list[str]:
    """Return a bar of 1, 2 or 5 times a power of ten metres, about a fifth of the width."""
    about = WIDTH / 5 / frame.units_per_m
    power = 10 ** math.floor(math.log10(about))
    metres = max(step * power for step in (1, 2, 5) if step * power <= about)
    label = f"{metres / 1000:g} km" if metres >= 1000 else f"{metres:g} m"
    width = metres * frame.units_per_m
    x, y = 16, HEIGHT - 16
    style = 'font-family="Pretendard" font-size="10" fill="#16202b"'
    return [
        f'<path d="M{x},{y - 6}V{y}H{x + width:.1f}V{y - 6}" fill="none" stroke="#16202b" stroke-width="1.4"/>',
        f'<text x="{x + 4}" y="{y - 6}" {style}>{escape(label)}</text>',
    ]
