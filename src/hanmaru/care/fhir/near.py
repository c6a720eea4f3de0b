"""``Location?near=latitude|longitude|distance|units``: what lies within a distance, on the sphere."""

from typing import Final

from hanmaru.care.fhir.conditions import Sql
from hanmaru.care.fhir.parameters import split, wrong
from hanmaru.care.fhir.quantities import number_of, unit

EARTH_M: Final = 6_371_008.8
"""Mean radius (IUGG)."""
DEFAULT_KM: Final = 5.0
"""R4 leaves the distance to the server where none is given."""


def near(text: str, longitude: str, latitude: str) -> Sql:
    """Return the condition that two columns (degrees) lie within a distance, by the haversine formula.

    Raises Problem 400.
    """
    parts = split(text, "|")
    lat, lon, distance = (number_of(part) for part in [*parts, "", "", ""][:3])
    distance = DEFAULT_KM if len(parts) == 2 else distance
    length = unit(parts[3]) if len(parts) == 4 and parts[3] else unit("km")
    if lat is None or lon is None or distance is None or len(parts) > 4 or length is None or not _degrees(lat, lon):
        raise wrong("near is written latitude|longitude|distance|unit, as in 36.48|127.29|2|km.")
    if length.dimensions != (("m", 1),):
        raise wrong("The unit of near is one of length, such as km or m.")
    text = (
        f"{2 * EARTH_M} * asin(min(1, sqrt(pow(sin(radians({latitude} - ?) / 2), 2)"
        f" + cos(radians(?)) * cos(radians({latitude})) * pow(sin(radians({longitude} - ?) / 2), 2)))) <= ?"
    )
    return Sql(text, (lat, lat, lon, distance * float(length.factor)))


def _degrees(latitude: float, longitude: float) -> bool:
    return abs(latitude) <= 90 and abs(longitude) <= 180
