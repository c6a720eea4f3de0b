"""Quantities made comparable: UCUM units in terms of base units, exactly, so that 120 mm[Hg] finds 16 kPa's neighbours.

Atoms and prefixes: The Unified Code for Units of Measure, ucum-essence 2.0.1, the units that clinical records use.
Moles, international and arbitrary units stay dimensions of their own, so that none is taken for a bare number.
"""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final, NamedTuple

from hanmaru.care.fhir.strings import digest

UCUM: Final = "http://unitsofmeasure.org"

_PREFIXES: Final[Mapping[str, int]] = {
    **{"Y": 24, "Z": 21, "E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1},
    **{"d": -1, "c": -2, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15, "a": -18},
}

_METRIC: Final[Mapping[str, tuple[str, str]]] = {
    **dict.fromkeys(("m", "s", "g", "rad", "K", "C", "cd", "mol", "U", "[iU]", "eq", "osm", "bit"), ("1", "")),
    **{"[IU]": ("1", "[iU]"), "l": ("1", "dm3"), "L": ("1", "dm3"), "t": ("1e3", "kg"), "Hz": ("1", "/s")},
    **{"N": ("1", "kg.m/s2"), "Pa": ("1", "kg/m/s2"), "bar": ("1e5", "Pa"), "J": ("1", "kg.m2/s2")},
    **{"W": ("1", "kg.m2/s3"), "A": ("1", "C/s"), "V": ("1", "J/C"), "Ohm": ("1", "V.s/C"), "S": ("1", "C/V/s")},
    **{"m[Hg]": ("133.3220", "kPa"), "m[H2O]": ("9.80665", "kPa"), "cal": ("4.184", "J"), "dyn": ("1", "g.cm/s2")},
    **{"kat": ("1", "mol/s"), "Gy": ("1", "J/kg"), "Sv": ("1", "J/kg"), "Bq": ("1", "/s"), "lm": ("1", "cd")},
    **{"g%": ("1", "g/dl"), "By": ("8", "bit"), "ar": ("100", "m2"), "eV": ("1.60217733e-19", "J")},
}
"""Atoms that take prefixes: how many of which unit; "" for a dimension of its own. ``eq`` and ``osm`` too: what
they count differs from substance to substance."""

_OTHER: Final[Mapping[str, tuple[str, str]]] = {
    **dict.fromkeys(("[pH]", "[arb'U]", "[CFU]", "[HPF]", "[LPF]", "[EU]", "[PFU]"), ("1", "")),
    **{"10*": ("10", "1"), "10^": ("10", "1"), "%": ("0.01", "1"), "[ppth]": ("1e-3", "1"), "[ppm]": ("1e-6", "1")},
    **{"[ppb]": ("1e-9", "1"), "min": ("60", "s"), "h": ("3600", "s"), "d": ("86400", "s"), "wk": ("7", "d")},
    **{"a": ("365.25", "d"), "mo": ("30.4375", "d"), "[in_i]": ("2.54", "cm"), "[ft_i]": ("12", "[in_i]")},
    **{"[yd_i]": ("3", "[ft_i]"), "[mi_i]": ("5280", "[ft_i]"), "[gr]": ("64.79891", "mg")},
    **{"[lb_av]": ("7000", "[gr]"), "[oz_av]": ("437.5", "[gr]"), "[stone_av]": ("14", "[lb_av]")},
    **{"[foz_us]": ("29.5735295625", "ml"), "[pt_us]": ("473.176473", "ml"), "[cup_us]": ("236.5882365", "ml")},
    **{"[tsp_us]": ("4.92892159375", "ml"), "[tbs_us]": ("14.78676478125", "ml"), "[drp]": ("0.05", "ml")},
    **{"[Cal]": ("4.184", "kJ"), "[MET]": ("3.5", "mL/min/kg"), "atm": ("101325", "Pa"), "deg": ("1", "")},
    **{"[in_i'Hg]": ("3.3863788", "kPa"), "[lbf_av]": ("4.4482216152605", "N"), "[diop]": ("1", "/m")},
    **{"[psi]": ("6894.757293168361", "Pa"), "[car_m]": ("0.2", "g"), "Ao": ("0.1", "nm"), "gf": ("9.80665e-3", "N")},
}

_OFFSET: Final[Mapping[str, tuple[Fraction, Fraction]]] = {
    "Cel": (Fraction(1), Fraction("273.15")),
    "[degF]": (Fraction(5, 9), Fraction("459.67") * Fraction(5, 9)),
}
"""Temperatures: kelvin = value x factor + offset."""

_TERM: Final = re.compile(
    r"([./]?)(?:\(([^()]*)\)|((?:\[[^\]]*\]|10[*^]|[A-Za-z%'])+|[0-9]+)?([+-]?[0-9]+)?)(\{[^}]*\})?"
)


class Unit(NamedTuple):
    """A unit in base units: value x factor + offset, of the dimensions (base, exponent), sorted."""

    factor: Fraction
    offset: Fraction
    dimensions: tuple[tuple[str, int], ...]


@lru_cache(maxsize=2048)
def unit(code: str) -> Unit | None:
    """Return a UCUM code in base units, or None where it is not understood."""
    if code in _OFFSET:
        return Unit(*_OFFSET[code], (("K", 1),))
    if len(code) > 60:
        return None
    found = _term(code, 0)
    if found is None:
        return None
    factor, dimensions = found
    return Unit(factor, Fraction(0), tuple(sorted((base, n) for base, n in dimensions.items() if n)))


def _term(code: str, depth: int) -> tuple[Fraction, dict[str, int]] | None:
    at, factor, dimensions = 0, Fraction(1), dict[str, int]()
    while at < len(code):
        match = _TERM.match(code, at)
        if match is None or match.end() == at:
            return None
        sign, inner, atom, exponent, annotation = match.groups()
        if not (inner or atom or exponent or annotation) or depth > 8 or len(exponent or "") > 3:
            return None
        if inner is not None:
            part = _term(inner, depth + 1)
        elif atom is None or atom.isdigit():
            text = (atom or "") + (exponent or "")
            part, exponent = (Fraction(int(text or "1")), dict[str, int]()), None
        else:
            part = _atom(atom, depth)
        power = int(exponent or 1) * (-1 if sign == "/" else 1)
        if part is None or part[0] == 0 or abs(power) > 40:
            return None
        factor *= part[0] ** power
        for base, n in part[1].items():
            dimensions[base] = dimensions.get(base, 0) + n * power
        at = match.end()
    return factor, dimensions


def _atom(text: str, depth: int) -> tuple[Fraction, dict[str, int]] | None:
    found, scale = _METRIC.get(text) or _OTHER.get(text), 0
    if found is None:
        for prefix, power in _PREFIXES.items():
            if text.startswith(prefix) and text[len(prefix) :] in _METRIC:
                text, scale = text[len(prefix) :], power
                found = _METRIC[text]
                break
        else:
            return None
    many, of = found
    inner = (Fraction(1), {text: 1}) if not of else _term(of, depth + 1)
    if inner is None:
        return None
    return Fraction(many) * Fraction(10) ** scale * inner[0], inner[1]


def number_of(value: Any) -> float | None:
    """Return a number of a resource (or a numeral) as the index keeps it, None where it is none."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str) and not _NUMERAL.fullmatch(value):
        return None
    try:
        made = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return made if made == made else None


_NUMERAL: Final = re.compile(r"[+-]?[0-9]{1,400}(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,4})?")


MOST_DIGITS: Final = 400
"""Most digits that are computed with exactly: the time that takes grows with their square."""


def exact(value: Any) -> Fraction | None:
    """Return a number exactly, None where it is none or too large or small to be computed with."""
    if isinstance(value, str) and not _NUMERAL.fullmatch(value):
        return None
    try:
        made = Decimal(repr(value) if isinstance(value, float) else value)
    except (InvalidOperation, TypeError, ValueError):
        return None
    if not made.is_finite() or abs(made.adjusted()) >= 300 or len(made.as_tuple().digits) > MOST_DIGITS:
        return None
    return Fraction(made)


@lru_cache(maxsize=4096)
def family(system: str, code: str) -> tuple[int, Unit | None]:
    """Return what quantities of a unit may be compared with, as a digest, and how to convert them."""
    known = unit(code) if system == UCUM else None
    if known is None:
        return digest(f"{system}|{code}"), None
    return digest("ucum:" + ".".join(f"{base}{n}" for base, n in known.dimensions)), known


def canonical(system: str, code: str, values: tuple[Any, ...]) -> tuple[int, list[float | None]]:
    """Return the family of a unit and values in its base units (None stays None)."""
    kind, known = family(system, code)
    return kind, [None if v is None else converted(v, known) for v in values]


def converted(value: Any, known: Unit | None) -> float | None:
    """Return a value in base units, correctly rounded, so that equal amounts are equal in any unit."""
    if known is None or (fraction := exact(value)) is None:
        return number_of(value)
    try:
        return float(fraction * known.factor + known.offset)
    except OverflowError:
        return number_of(value)
