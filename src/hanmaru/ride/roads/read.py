"""Reads a road network from whatever a city has, and keeps the part that hangs together."""

from dataclasses import dataclass
from pathlib import Path

from hanmaru.ride.domain import RideError
from hanmaru.ride.roads.graph import RoadGraph, load
from hanmaru.ride.roads.turns import connected


@dataclass(frozen=True, eq=False, slots=True)
class Imported:
    """A network, what its source held, and what was dropped because a van could not come there or not leave."""

    graph: RoadGraph
    found: dict[str, int]
    dropped_edges: int
    dropped_km: float
    dropped_bans: int


def imported(source: str, *, country: str = "KR", turns: Path | None = None) -> Imported:
    """Read ``city:PROFILE`` (the simulated city), or a file by its ending.

    ``.pbf``, ``.osm``: OpenStreetMap; ``.geojson``, ``.json``, ``.csv``: links; ``.npz``: saved before.
    Raises RideError, which names the file and, for tables, the row.
    """
    path = Path(source)
    name = path.name.lower()
    if source.startswith("city:"):
        graph, found = _city(source.removeprefix("city:")), dict[str, int]()
    elif name.endswith((".pbf", ".osm", ".osm.gz", ".osm.bz2")):
        from hanmaru.ride.roads import osm

        graph, found = osm.read(path, country=country)
    elif name.endswith((".geojson", ".json", ".csv")):
        from hanmaru.ride.roads import links

        graph, found = links.read(path, country=country, turns=turns)
    elif name.endswith(".npz"):
        graph, found = load(path), dict[str, int]()
    else:
        raise RideError(
            f"{source}: unknown kind of file; give .osm.pbf, .geojson, .csv, .npz, or city:sejong, the simulated city"
        )
    keep = connected(graph)
    if not keep.any():
        raise RideError(f"{source}: no two roads lead to each other; are directions and turns as they should be?")
    kept = graph.keep(keep)
    return Imported(
        kept,
        found,
        int((~keep).sum()),
        round(float(graph.length_m[~keep].sum()) / 1000, 1),
        len(graph.banned_first) - len(kept.banned_first),
    )


def read(path: Path, *, country: str = "KR") -> RoadGraph:
    """Return the network of a file, the part of it that hangs together. Raises RideError."""
    return imported(str(path), country=country).graph


def _city(profile: str) -> RoadGraph:
    from hanmaru.city.build import build
    from hanmaru.city.profile import ProfileError
    from hanmaru.city.profile import load as load_profile
    from hanmaru.ride.roads.simulated import from_city

    try:
        return from_city(build(load_profile(profile)))
    except ProfileError as error:
        raise RideError(str(error.detail)) from None
