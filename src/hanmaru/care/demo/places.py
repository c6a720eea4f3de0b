"""The nine measuring places of the demo city: one in each of its most populous districts. Pure."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from hanmaru.city.build import City
from hanmaru.city.places import CLINIC, GOVERNMENT, populations
from hanmaru.platform.services import Text

PLACES: Final = 9


@dataclass(frozen=True, slots=True)
class Place:
    """A measuring place; ``id`` is its Location's."""

    id: str
    name: Text
    lon: float
    lat: float


def measuring_places(city: City) -> list[Place]:
    """Return where kiosks stand: in a public building of each district, or beside a clinic where there is none."""
    found: list[Place] = []
    order = np.argsort(-populations(city.profile), kind="stable")[:PLACES]
    for district in map(int, order):
        here = np.flatnonzero(city.places.district == district)
        kinds = city.places.kind[here]
        fit = [*here[kinds == GOVERNMENT], *here[kinds == CLINIC], *here]
        lon, lat = city.places.lonlat[fit[0]].tolist()
        name = city.profile.districts[district].name
        text = {"ko": f"{name.ko} 건강측정실", "en": f"{name.en} Health Corner"}
        found.append(Place(f"place-{len(found) + 1}", text, round(lon, 6), round(lat, 6)))
    return found
