"""What reports draw, as SVG: an area with its marks on the city's own map, and a small chart of a trend."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from hanmaru.platform import drawing

CHART: Final = (120, 30)
ALERTING: Final = "#b3261e"

Json = Mapping[str, Any]


def area_map(geometry: Json, marks: Sequence[Json], events: Sequence[Json], basemap: Json) -> str:
    """Return an area's outline, its ``marks`` (lon, lat, colour) and ``events`` (lon, lat), numbered from 1."""
    rings = list(_rings(geometry))
    frame = drawing.Frame([(lon, lat, 0.0) for ring in rings for lon, lat in ring], margin=0.04)
    parts = list(drawing.base(frame, basemap))
    for mark in marks:
        x, y = frame.at(mark["lon"], mark["lat"])
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.2" fill="{mark["colour"]}" fill-opacity="0.85"/>')
    for ring in rings:
        parts.append(drawing.path(frame, ring, 'fill="none" stroke="#1f4e8c" stroke-width="2.2"', close=True))
    return drawing.sheet([*parts, *_numbered(frame, events), *drawing.scale(frame)])


def place_map(lon: float, lat: float, basemap: Json) -> str:
    """Return where something is, in its surroundings of about a kilometre."""
    frame = drawing.Frame([(lon, lat, 500.0)])
    x, y = frame.at(lon, lat)
    ring = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="16" fill="{ALERTING}" fill-opacity="0.18"/>'
    mark = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="7" fill="{ALERTING}" stroke="#fff" stroke-width="2"/>'
    return drawing.sheet([*drawing.base(frame, basemap), ring, mark, *drawing.scale(frame)])


def chart(trend: Sequence[float | None], before: Sequence[float | None]) -> str:
    """Return a trend as a line, the one before dotted behind it; gaps where nothing was told."""
    width, height = CHART
    values = [value for value in (*trend, *before) if value is not None]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    span = (high - low) or 1.0

    def line(points: Sequence[float | None], style: str) -> Iterator[str]:
        step = width / max(1, len(points) - 1)
        run: list[str] = []
        for n, value in enumerate([*points, None]):
            if value is not None:
                run.append(f"{n * step:.1f},{height - 3 - (value - low) / span * (height - 6):.1f}")
            elif run:
                ends = run if len(run) > 1 else [run[0], run[0]]
                yield f'<path d="M{"L".join(ends)}" fill="none" stroke-linecap="round" {style}/>'
                run = []

    parts = [
        f'<path d="M0,{height - 0.5}H{width}" stroke="#d5dae0" stroke-width="1"/>',
        *line(before, 'stroke="#7a8794" stroke-width="1" stroke-dasharray="1.5 2"'),
        *line(trend, 'stroke="#1f4e8c" stroke-width="1.5"'),
    ]
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">{"".join(parts)}</svg>'


def point_of(location: Json | None) -> tuple[float, float] | None:
    """Return where something is: a point itself, of another geometry its first position; None where it has none."""
    value: Any = (location or {}).get("coordinates")
    while value and isinstance(value[0], list | tuple):
        value = value[0]
    return (float(value[0]), float(value[1])) if value else None


def _numbered(frame: drawing.Frame, events: Sequence[Json]) -> Iterator[str]:
    for number, event in enumerate(events, 1):
        x, y = frame.at(event["lon"], event["lat"])
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="8" fill="{ALERTING}" stroke="#fff" stroke-width="1.4"/>'
        style = 'font-family="Pretendard" font-size="9" font-weight="700" fill="#fff" text-anchor="middle"'
        yield f'<text x="{x:.1f}" y="{y + 3.2:.1f}" {style}>{number}</text>'


def _rings(geometry: Json) -> Iterator[list[tuple[float, float]]]:
    polygons = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
    for polygon in polygons:
        for ring in polygon:
            yield [(float(point[0]), float(point[1])) for point in ring]
