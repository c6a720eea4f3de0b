"""City profiles: the facts that make a city, read from a TOML file and checked.

A profile is a file such as ``profiles/sejong.toml``. `load` takes the name of a built-in one or the path of your own.
"""

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec

from hanmaru.platform.problems import Problem

LonLat = tuple[float, float]
Twelve = tuple[float, float, float, float, float, float, float, float, float, float, float, float]
Nine = tuple[float, float, float, float, float, float, float, float, float]
Kind = Literal["dong", "eup", "myeon"]

AGE_BANDS = ((0, 10), (10, 20), (20, 30), (30, 40), (40, 50), (50, 60), (60, 70), (70, 80), (80, 100))
"""The half-open age bands that ``age_shares`` divide, in years."""


class ProfileError(Problem):
    """A profile that cannot be used; the detail names the file, the key and what to do."""

    def __init__(self, detail: str) -> None:
        """Refuse a profile."""
        super().__init__(400, "Bad city profile", detail)


class _Fact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Name(_Fact, frozen=True):
    """A name in the city's languages."""

    ko: str
    en: str


class Boundary(_Fact, frozen=True):
    """The city's limits: an outline to generate from, or a GeoJSON file with one feature per district.

    ``geojson`` is relative to the profile; ``geojson_name`` is the property that holds a district's Korean name.
    """

    area_km2: float
    outline: tuple[LonLat, ...] = ()
    geojson: str | None = None
    geojson_name: str = "name"


class People(_Fact, frozen=True):
    """How many people, and how they are made up."""

    total: int
    age_shares: dict[str, Nine]
    male_share: float = 0.5
    household_size: float = 2.3
    employed_share: float = 0.6
    out_commuter_share: float = 0.2


class Ring(_Fact, frozen=True):
    """A ring road with bus rapid transit: an ellipse of ``length_km``, ``aspect`` times as wide as high."""

    name: Name
    centre: LonLat
    length_km: float
    aspect: float = 1.0
    bus_stops: int = 24
    buses: int = 20


class Streets(_Fact, frozen=True):
    """How streets are generated."""

    streets_m: float = 170
    villages_per_1000: float = 5
    ring: Ring | None = None


class Line(_Fact, frozen=True):
    """A named line on the ground: a main road, a railway."""

    name: Name
    points: tuple[LonLat, ...]


class Strip(_Fact, frozen=True):
    """A named area about a line: a river, a lake, a park, a hill."""

    name: Name
    points: tuple[LonLat, ...]
    width_m: float
    kind: Literal["river", "lake", "green"] = "green"


class District(_Fact, frozen=True):
    """A dong, eup or myeon: where its middle is, how large, how many people and jobs; ``zone`` groups the dongs."""

    name: Name
    kind: Kind
    centre: LonLat
    area_km2: float
    population: int
    jobs: int
    zone: int | None = None


class Climate(_Fact, frozen=True):
    """Monthly normals, January to December. ``humidity`` is a fraction; ``wet_days`` have at least 0.1 mm."""

    temperature_c: Twelve
    high_c: Twelve
    low_c: Twelve
    precipitation_mm: Twelve
    wet_days: Twelve
    humidity: Twelve
    sea_level_hpa: Twelve
    wind_mps: Twelve
    elevation_m: float = 0


class Air(_Fact, frozen=True):
    """Monthly means of air quality, January to December."""

    pm25_ugm3: Twelve
    pm10_ugm3: Twelve
    no2_ppm: Twelve
    o3_ppm: Twelve


class _City(_Fact, frozen=True):
    id: str
    name: Name
    zone: str
    centre: LonLat
    seed: int
    languages: tuple[str, ...] = ("ko", "en")
    services: tuple[str, ...] = ()


class _File(
    _Fact,
    frozen=True,
    rename={"districts": "district", "corridors": "corridor", "rails": "rail", "waters": "water", "greens": "green"},
):
    city: _City
    boundary: Boundary
    population: People
    roads: Streets
    climate: Climate
    air: Air
    districts: tuple[District, ...]
    sensors: dict[str, int] = {}
    corridors: tuple[Line, ...] = ()
    rails: tuple[Line, ...] = ()
    waters: tuple[Strip, ...] = ()
    greens: tuple[Strip, ...] = ()


class Profile(_Fact, frozen=True):
    """A city's facts. ``zone`` is an IANA time zone, ``services`` what it enables (none: all installed)."""

    id: str
    name: Name
    zone: str
    languages: tuple[str, ...]
    centre: LonLat
    services: tuple[str, ...]
    seed: int
    boundary: Boundary
    population: People
    roads: Streets
    climate: Climate
    air: Air
    districts: tuple[District, ...]
    sensors: dict[str, int]
    corridors: tuple[Line, ...]
    rails: tuple[Line, ...]
    waters: tuple[Strip, ...]
    greens: tuple[Strip, ...]

    @property
    def tz(self) -> ZoneInfo:
        """The city's time zone."""
        return ZoneInfo(self.zone)

    def as_dict(self) -> dict[str, Any]:
        """Return the profile as plain data, as services get it; `from_dict` reads it back."""
        return msgspec.to_builtins(self)


def from_dict(data: Any) -> Profile:
    """Return the profile that `Profile.as_dict` made plain data of. Raises ProfileError."""
    try:
        return msgspec.convert(data, Profile)
    except msgspec.ValidationError as error:
        raise ProfileError(_explain("the profile", error)) from None


def from_context(city: Mapping[str, Any]) -> Profile:
    """Return the profile in what a service is told of its city, which has more in it. Raises ProfileError."""
    known = {name: value for name, value in city.items() if name in Profile.__struct_fields__}
    return from_dict(known | {"services": list(city.get("services") or ())})


def available() -> list[str]:
    """Return the names of the built-in profiles, sorted."""
    return sorted(f.name.removesuffix(".toml") for f in _folder().iterdir() if f.name.endswith(".toml"))


def source(name: str) -> str:
    """Return the text of a built-in profile's file. Raises ProfileError where there is none of that name."""
    file = _folder() / f"{name}.toml"
    if name not in available():
        raise ProfileError(
            f"no built-in city profile {name!r}; take one of {', '.join(available())}, or the path of a .toml file"
        )
    return file.read_text(encoding="utf-8")


def load(name_or_path: str | Path = "sejong") -> Profile:
    """Read a built-in profile by name, or a profile file by path (anything with a ``/`` or ending in ``.toml``).

    Raises ProfileError, which says which key is wrong and what to do.
    """
    text = str(name_or_path)
    if not (isinstance(name_or_path, Path) or text.endswith(".toml") or "/" in text):
        return parse(source(text), text)
    path = Path(name_or_path)
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"cannot read {path}: {error}") from None
    return parse(content, text, path.parent)


def parse(content: str, label: str, folder: Path | None = None) -> Profile:
    """Read a profile from TOML text; ``label`` names it in errors, ``folder`` is where its GeoJSON path starts."""
    try:
        raw = msgspec.convert(tomllib.loads(content), _File)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"{label}: not valid TOML: {error}") from None
    except msgspec.ValidationError as error:
        raise ProfileError(_explain(label, error)) from None
    _check(raw, label)
    boundary = raw.boundary
    if boundary.geojson is not None:
        boundary = msgspec.structs.replace(
            boundary, geojson=str((folder or Path()).joinpath(boundary.geojson).resolve())
        )
    rest = {f: getattr(raw, f) for f in raw.__struct_fields__ if f not in ("city", "boundary")}
    return Profile(**msgspec.structs.asdict(raw.city), boundary=boundary, **rest)


def _folder() -> Any:
    return files("hanmaru.city") / "profiles"


def _explain(label: str, error: msgspec.ValidationError) -> str:
    what, _, where = str(error).partition(" - at `$.")
    key = where.rstrip("`") or "the top level"
    return f"{label}: {what[0].lower()}{what[1:]} at {key}; correct that key (see docs/reference/city.md)"


def _check(raw: _File, label: str) -> None:
    """Refuse what has the right types and cannot be true."""

    def need(true: bool, key: str, advice: str) -> None:
        if not true:
            raise ProfileError(f"{label}: {key}: {advice}")

    try:
        ZoneInfo(raw.city.zone)
    except (ValueError, KeyError, OSError):
        need(False, "city.zone", f"{raw.city.zone!r} is no IANA time zone; write one such as Asia/Seoul")
    need(raw.city.id.isidentifier() and raw.city.id.islower(), "city.id", "use lower-case letters, digits and _ only")
    need(bool(raw.districts), "district", "name at least one [[district]]")
    need(raw.population.total > 0, "population.total", "must be positive")
    need(sum(d.population for d in raw.districts) > 0, "district.population", "at least one district needs people")
    need(
        raw.boundary.geojson is not None or len(raw.boundary.outline) >= 3,
        "boundary",
        "give an outline of at least three points, or geojson = a file",
    )
    names = [d.name.ko for d in raw.districts]
    need(len(set(names)) == len(names), "district.name.ko", "two districts have the same name; make names unique")
    for share in ("male_share", "employed_share", "out_commuter_share"):
        need(0 <= getattr(raw.population, share) <= 1, f"population.{share}", "must lie between 0 and 1")
    for kind in {d.kind for d in raw.districts}:
        shares = raw.population.age_shares.get(kind, ())
        need(
            len(shares) == len(AGE_BANDS) and min(shares) >= 0 and abs(sum(shares) - 1) < 0.01,
            f"population.age_shares.{kind}",
            f"nine shares (0-9, ..., 80+) that sum to 1 are needed because there is a district of kind {kind!r}",
        )
    for name, point in (
        ("city.centre", raw.city.centre),
        *((f"district {d.name.ko} centre", d.centre) for d in raw.districts),
    ):
        need(-180 <= point[0] <= 180 and -85 <= point[1] <= 85, name, "write [longitude, latitude] in degrees")
    for name, count in raw.sensors.items():
        need(count >= 0, f"sensors.{name}", "must not be negative")
