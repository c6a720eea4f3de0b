"""Line charts with confidence intervals as SVG: small, readable in print and without colours."""

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

from hanmaru.ride.sim.stats import Estimate

WIDTH, HEIGHT = 420, 260
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 14, 42
COLOURS = ("#1f5fa8", "#c2410c", "#2f7d4f", "#7c3aed")
"""4.5:1 or more on white (WCAG 2.2, 1.4.3)."""
DASHES = ("", "7 4", "2 3", "9 3 2 3")
TICKS = 5


def lines(
    title: str,
    across: str,
    series: Mapping[str, Sequence[tuple[float, Estimate]]],
    *,
    factor: float = 1.0,
    goal: float | None = None,
    most: float | None = None,
) -> str:
    """Return a chart: for each name, points at x with their interval; ``goal`` a level to be marked.

    Values are multiplied by ``factor``; the axis starts at 0 and ends at ``most`` or above what is shown.
    """
    points = [(x, e) for line in series.values() for x, e in line if not math.isnan(e.mean)]
    if not points:
        return ""
    xs = sorted({x for x, _ in points})
    top = max(factor * (e.mean if math.isnan(e.high) else max(e.high, e.mean)) for _, e in points)
    step = _step(max(top, goal or 0.0, 1e-9) if most is None else most)
    high = most if most is not None else step * math.ceil(max(top, goal or 0.0, 1e-9) / step)

    def at_x(x: float) -> float:
        inner = WIDTH - LEFT - RIGHT
        return LEFT + inner / 2 if len(xs) == 1 else LEFT + 16 + (x - xs[0]) / (xs[-1] - xs[0]) * (inner - 32)

    def at_y(y: float) -> float:
        return HEIGHT - BOTTOM - min(max(y, 0.0), high) / high * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title, quote=True)}"'
        ' xmlns="http://www.w3.org/2000/svg">'
    ]
    for k in range(math.floor(high / step + 1e-9) + 1):
        y = at_y(k * step)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{k * step:,.10g}</text>')
    for x in _some(xs):
        parts.append(f'<text x="{at_x(x):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{x:g}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(across)}</text>')
    if goal is not None:
        y = at_y(goal)
        parts.append(f'<line class="goal" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
    for k, line in enumerate(series.values()):
        parts.extend(_line(k, [(at_x(x), e) for x, e in line if not math.isnan(e.mean)], factor, at_y))
    return "".join([*parts, "</svg>"])


def _line(k: int, line: Sequence[tuple[float, Estimate]], factor: float, at_y: Callable[[float], float]) -> list[str]:
    colour, dash = COLOURS[k % len(COLOURS)], DASHES[k % len(DASHES)]
    shift = 3.0 * k  # so that intervals of policies do not hide each other
    points = [(x + shift, e) for x, e in line]
    path = " ".join(f"{x:.1f},{at_y(factor * e.mean):.1f}" for x, e in points)
    parts = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>']
    for x, e in points:
        if not math.isnan(e.low):
            low, high = at_y(factor * e.low), at_y(factor * e.high)
            parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}" stroke="{colour}"/>')
            for y in (low, high):
                parts.append(f'<line x1="{x - 4:.1f}" x2="{x + 4:.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="{colour}"/>')
        parts.append(f'<circle cx="{x:.1f}" cy="{at_y(factor * e.mean):.1f}" r="3.5" fill="{colour}"/>')
    return parts


def legend(names: Sequence[str]) -> str:
    """Return what tells the lines of several charts apart."""
    items = (
        '<span><svg viewBox="0 0 34 10" aria-hidden="true"><line x1="0" x2="34" y1="5" y2="5" stroke-width="2"'
        f' stroke="{COLOURS[k % 4]}" stroke-dasharray="{DASHES[k % 4]}"/></svg> {escape(name)}</span>'
        for k, name in enumerate(names)
    )
    return f'<p class="legend">{"".join(items)}</p>'


def _step(top: float) -> float:
    """Return a round step (1, 2 or 5 times a power of ten) that divides up to ``top`` into about `TICKS` parts."""
    rough = top / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * m for m in (1, 2, 5, 10) if power * m >= rough * 0.999)


def _some(xs: Sequence[float]) -> Sequence[float]:
    """Return at most ten of the values, evenly."""
    every = math.ceil(len(xs) / 10)
    return xs[::every]
