"""Speed limits: what a tag says, and what holds in a country where none says anything."""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from hanmaru.ride.domain import RideError

_NUMBER = re.compile(r"(\d+(?:\.\d+)?)\s*(km/h|kmh|kph|mph|knots)?")
_UNIT = {None: 1.0, "km/h": 1.0, "kmh": 1.0, "kph": 1.0, "mph": 1.609344, "knots": 1.852}
_ZONE = re.compile(r"([A-Z]{2})(?:-[A-Z]+)?:(?:zone:?)?([a-z_]+|\d+)")
_LEAST, _MOST = 5.0, 150.0


@cache
def countries() -> Mapping[str, Mapping[str, float]]:
    """Return the limits by country and road class, km/h, of ``limits.toml``, which names the laws."""
    return tomllib.loads((files("hanmaru.ride.roads") / "limits.toml").read_text(encoding="utf-8"))


def of_country(code: str) -> Mapping[str, float]:
    """Return a country's limits. Raises RideError for a country without."""
    if code not in countries():
        raise RideError(
            f"no speed limits for country {code!r}; take one of {', '.join(countries())}, the nearest will do where "
            "roads carry their own limits"
        )
    return countries()[code]


def parse(text: str, country: Mapping[str, float]) -> float | None:
    """Return the limit in km/h that a ``maxspeed`` value gives, or None where it gives none.

    As https://wiki.openstreetmap.org/wiki/Key:maxspeed has it: a number is km/h unless a unit follows; ``KR:urban``,
    ``DE:zone30`` and ``walk`` are known; of several values the lowest holds; ``none`` is the country's motorway limit.
    """
    found = [v for part in text.split(";") if (v := _one(part.strip(), country)) is not None]
    return min(found) if found else None


def _one(text: str, country: Mapping[str, float]) -> float | None:
    if text == "none":
        return country["motorway"]
    if text == "walk":
        return country["walk"]
    if zone := _ZONE.fullmatch(text):
        what = zone[2]
        if what.isdigit():
            return _bounded(float(what))
        return countries().get(zone[1], country).get(what)
    number = _NUMBER.fullmatch(text)
    return _bounded(float(number[1]) * _UNIT[number[2]]) if number else None


def _bounded(kmh: float) -> float | None:
    """Return a limit within 5 to 150 km/h; 0 and absurd ones are mistakes, and treated as not given."""
    return max(kmh, _LEAST) if 0 < kmh <= _MOST else None
