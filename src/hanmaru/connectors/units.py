"""Units by their UN/CEFACT Recommendation 20 common codes, and conversion between units of one dimension."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple


class Unit(NamedTuple):
    """A unit: common code (empty where Recommendation 20 has none); base value = x * factor + offset."""

    code: str
    symbol: str
    dimension: str
    factor: float = 1.0
    offset: float = 0.0


_UNITS = (
    Unit("C62", "1", "ratio"),
    Unit("P1", "%", "ratio", 0.01),
    Unit("59", "ppm", "ratio", 1e-6),
    Unit("61", "ppb", "ratio", 1e-9),
    Unit("KEL", "K", "temperature"),
    Unit("CEL", "°C", "temperature", 1, 273.15),
    Unit("FAH", "°F", "temperature", 5 / 9, 459.67 * 5 / 9),
    Unit("MTS", "m/s", "speed"),
    Unit("KMH", "km/h", "speed", 1 / 3.6),
    Unit("HM", "mph", "speed", 0.44704),
    Unit("KNT", "kn", "speed", 1852 / 3600),
    Unit("MTR", "m", "length"),
    Unit("MMT", "mm", "length", 1e-3),
    Unit("CMT", "cm", "length", 1e-2),
    Unit("KMT", "km", "length", 1e3),
    Unit("FOT", "ft", "length", 0.3048),
    Unit("INH", "in", "length", 0.0254),
    Unit("SMI", "mi", "length", 1609.344),
    Unit("MTK", "m²", "area"),
    Unit("HAR", "ha", "area", 1e4),
    Unit("KMK", "km²", "area", 1e6),
    Unit("MTQ", "m³", "volume"),
    Unit("LTR", "L", "volume", 1e-3),
    Unit("MQH", "m³/h", "flow"),
    Unit("MQS", "m³/s", "flow", 3600),
    Unit("GQ", "µg/m³", "concentration", 1e-9),
    Unit("GP", "mg/m³", "concentration", 1e-6),
    Unit("PAL", "Pa", "pressure"),
    Unit("A97", "hPa", "pressure", 100),
    Unit("MBR", "mbar", "pressure", 100),
    Unit("KPA", "kPa", "pressure", 1e3),
    Unit("BAR", "bar", "pressure", 1e5),
    Unit("JOU", "J", "energy"),
    Unit("KJO", "kJ", "energy", 1e3),
    Unit("3B", "MJ", "energy", 1e6),
    Unit("GV", "GJ", "energy", 1e9),
    Unit("WHR", "Wh", "energy", 3600),
    Unit("KWH", "kWh", "energy", 3.6e6),
    Unit("MWH", "MWh", "energy", 3.6e9),
    Unit("WTT", "W", "power"),
    Unit("KWT", "kW", "power", 1e3),
    Unit("MAW", "MW", "power", 1e6),
    Unit("K3", "kvarh", "reactive energy"),
    Unit("KVR", "kvar", "reactive power"),
    Unit("KVA", "kVA", "apparent power"),
    Unit("D54", "W/m²", "irradiance"),
    Unit("", "MJ/m²/h", "irradiance", 1e6 / 3600),
    Unit("MC", "µg", "mass", 1e-9),
    Unit("MGM", "mg", "mass", 1e-6),
    Unit("GRM", "g", "mass", 1e-3),
    Unit("KGM", "kg", "mass"),
    Unit("TNE", "t", "mass", 1e3),
    Unit("C26", "ms", "time", 1e-3),
    Unit("SEC", "s", "time"),
    Unit("MIN", "min", "time", 60),
    Unit("HUR", "h", "time", 3600),
    Unit("DAY", "d", "time", 86400),
    Unit("DD", "°", "angle", 0.017453292519943295),
    Unit("C81", "rad", "angle"),
    Unit("VLT", "V", "voltage"),
    Unit("KVT", "kV", "voltage", 1e3),
    Unit("AMP", "A", "current"),
    Unit("HTZ", "Hz", "frequency"),
    Unit("LUX", "lx", "illuminance"),
    Unit("2N", "dB", "level"),
    Unit("H67", "mm/h", "rain rate"),
)
_BY_NAME = {name: u for u in _UNITS for name in (u.code, u.symbol) if name}
_PLAIN = str.maketrans({"²": "2", "³": "3", "㎍": "µg", "㎥": "m3", "μ": "µ", "℃": "°C", " ": None})
_BY_PLAIN = {name.translate(_PLAIN).replace("µ", "u").lower(): u for name, u in _BY_NAME.items()}


@dataclass(frozen=True, slots=True)
class UnitError(Exception):
    """A unit that is unknown or cannot be converted; ``remedy`` says what to write."""

    remedy: str


def find(name: str) -> Unit | None:
    """Return a unit by common code (``KMH``) or symbol (``km/h``, ``ug/m3``), or None when it is not in the table."""
    return _BY_NAME.get(name) or _BY_PLAIN.get(name.translate(_PLAIN).replace("µ", "u").lower())


def names() -> list[str]:
    """Return every code and symbol in the table."""
    return list(_BY_NAME)


def converter(source: str, target: str) -> Callable[[float], float]:
    """Return the function that converts a number from one unit to another, to 12 significant digits.

    Raises `UnitError` for an unknown unit or units of different dimensions.
    """
    a, b = find(source), find(target)
    for name, unit in ((source, a), (target, b)):
        if unit is None:
            raise UnitError(f"there is no unit {name!r} in the table of docs/reference/mapping.md")
    assert a is not None
    assert b is not None
    if a.dimension != b.dimension:
        raise UnitError(f"{a.symbol} ({a.dimension}) cannot become {b.symbol} ({b.dimension})")
    factor, offset = a.factor / b.factor, (a.offset - b.offset) / b.factor
    return lambda x: float(f"{x * factor + offset:.12g}")
