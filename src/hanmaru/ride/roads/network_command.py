"""``hanmaru ride network``: import roads, say what came of it, keep it in a file that loads quickly."""

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from hanmaru.platform.console import say
from hanmaru.ride.domain import Floats, RideError
from hanmaru.ride.roads import stops
from hanmaru.ride.roads.matrix import Network
from hanmaru.ride.roads.read import Imported, imported


def run(
    source: str,
    out: Path | None,
    turns: Path | None,
    country: str,
    stops_out: Path | None,
    own_stops: Path | None,
    max_walk_m: float,
    as_json: bool,
) -> None:
    """Import, report and save. Raises RideError for what the user can correct."""
    if not 50 <= max_walk_m <= 3000:
        raise RideError(f"--max-walk {max_walk_m:g}: take a walk from 50 to 3000 m")
    for path in (out, stops_out):
        if path is not None and not path.resolve().parent.is_dir():
            raise RideError(f"{path}: there is no folder {path.resolve().parent}; make it first")
    if out is not None and out.suffix != ".npz":
        raise RideError(f"--out {out}: name a file that ends in .npz")
    began = time.perf_counter()
    with _step("reading roads"):
        found = imported(source, country=country, turns=turns)
    seconds = {"import": time.perf_counter() - began}
    result = _facts(found)
    began = time.perf_counter()
    with _step("preparing travel times"):
        network = Network(found.graph)
    seconds["prepare"] = time.perf_counter() - began
    if own_stops is not None:
        own, left_out = stops.read(own_stops, network)
        result |= {"own_stops": len(own), "own_stops_left_out": left_out[:20]}
    if stops_out is not None:
        began = time.perf_counter()
        with _step("choosing stops"):
            chosen = stops.choose(network, *_people(source, network), max_walk_m=max_walk_m)
            chosen.save(stops_out)
        seconds["stops"] = time.perf_counter() - began
        result |= {"stops": len(chosen), "accessible_stops": int(chosen.accessible.sum())}
    if out is not None:
        found.graph.save(out)
    result["seconds"] = {k: round(v, 2) for k, v in seconds.items()}
    say(result, _text(result), as_json)


def _facts(found: Imported) -> dict[str, object]:
    graph = found.graph
    return {
        "name": graph.name,
        "digest": graph.digest,
        "nodes": len(graph.lonlat),
        "edges": len(graph.source),
        "km": round(float(graph.length_m.sum()) / 1000, 1),
        "forbidden_turns": len(graph.banned_first) - 1,
        "footpaths": len(graph.walks),
        "found": found.found,
        "dropped": {"edges": found.dropped_edges, "km": found.dropped_km, "forbidden turns": found.dropped_bans},
    }


def _people(source: str, network: Network) -> tuple[Floats, Floats]:
    """Return who is to have a stop: homes and their people in the simulated city, every 50 m of street elsewhere."""
    if not source.startswith("city:"):
        return stops.streets(network)
    from hanmaru.city.build import build
    from hanmaru.city.profile import load

    city = build(load(source.removeprefix("city:")))
    home, people = np.unique(city.population.home, return_counts=True)
    return city.places.lonlat[home], people.astype(np.float64)


def _text(result: dict[str, object]) -> str:
    lines: list[str] = []
    for key, value in result.items():
        if isinstance(value, dict):
            value = ", ".join(f"{k} {v}" for k, v in value.items())  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        elif isinstance(value, list):
            value = ", ".join(value) or "none"  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        lines.append(f"{key.replace('_', ' '):20} {value}")
    return "\n".join(lines)


@contextmanager
def _step(what: str) -> Generator[None]:
    """Show on standard error what takes its time, where somebody looks at it."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield
