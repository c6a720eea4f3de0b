"""The city as files for other tools: its map as GeoJSON, its tables as Parquet."""

from pathlib import Path

import pyarrow as pa  # pyright: ignore[reportMissingTypeStubs]
import pyarrow.parquet as pq  # pyright: ignore[reportMissingTypeStubs]

from hanmaru.city import basemap
from hanmaru.city.build import City
from hanmaru.city.noise import Ints
from hanmaru.city.places import KINDS
from hanmaru.city.streets import CLASSES


def write(city: City, folder: Path, *, people: bool = False) -> list[Path]:
    """Write the map's layers, ``nodes``, ``edges``, ``places`` and, where asked, ``people``; return the files.

    Positions are WGS 84 lon, lat; lengths metres; speeds m/s; ``district`` is the Korean name.
    """
    out = basemap.write(city, folder)
    r, p = city.roads, city.places
    districts = [d.name.ko for d in city.profile.districts]
    tables: dict[str, dict[str, object]] = {
        "nodes": {"lon": r.lonlat[:, 0], "lat": r.lonlat[:, 1], "district": _names(districts, r.district)},
        "edges": {
            "source": r.source,
            "target": r.target,
            "length_m": r.length_m,
            "speed_mps": r.speed_mps,
            "class": _names(CLASSES, r.road_class),
            "brt": r.brt,
        },
        "places": {
            "kind": _names(KINDS, p.kind),
            "lon": p.lonlat[:, 0],
            "lat": p.lonlat[:, 1],
            "capacity": p.capacity,
            "district": _names(districts, p.district),
            "node": p.node,
        },
    }
    if people:
        n = city.population
        tables["people"] = {
            "age": n.age,
            "male": n.male,
            "district": _names(districts, n.district),
            "household": n.household,
            "home": n.home,
            "work": n.work,
        }
    for name, columns in tables.items():
        path = folder / f"{name}.parquet"
        pq.write_table(pa.table(columns), path, compression="zstd")  # pyright: ignore
        out.append(path)
    return out


def _names(names: tuple[str, ...] | list[str], index: Ints) -> object:
    """Return names by index as a dictionary-encoded column."""
    return pa.DictionaryArray.from_arrays(pa.array(index, pa.int32()), pa.array(list(names)))  # pyright: ignore
