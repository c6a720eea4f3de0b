"""What a city says of its service: ``service.toml`` in the room's folder, with its hours, area, limits, fares, vans."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from hanmaru.ride.domain import RideError
from hanmaru.ride.engine.config import Config, Tariff, Weights

FILE = "service.toml"

LonLat = tuple[Annotated[float, Meta(ge=-180, le=180)], Annotated[float, Meta(ge=-90, le=90)]]
Time = Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$")]
Count = Annotated[int, Meta(ge=0)]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Rest(_Table, frozen=True):
    """A driver's rest of ``minutes``, begun between two times of day."""

    begin: tuple[Time, Time]
    minutes: Annotated[int, Meta(ge=1, le=600)]


class Vans(_Table, frozen=True):
    """One van, or ``count`` alike; ``{n}`` in their texts is their number.

    ``driver`` is the account that drives it; ``depot`` where it begins and ends, the middle of the area if not given;
    ``shift`` and ``rests`` are times of day, the service's hours if not given.
    """

    id: Annotated[str, Meta(pattern=r"^[a-z0-9{}:-]{1,40}$")]
    plate: Annotated[str, Meta(min_length=1, max_length=40)]
    seats: Annotated[int, Meta(ge=1, le=100)]
    wheelchairs: Annotated[int, Meta(ge=0, le=20)] = 0
    driver: str = ""
    depot: LonLat | None = None
    shift: tuple[Time, Time] | None = None
    rests: Sequence[Rest] = ()
    count: Annotated[int, Meta(ge=1, le=10_000)] = 1


class Limits(_Table, frozen=True):
    """What one booking, and one rider, may have; how long trips are kept."""

    max_walk_m: Annotated[int, Meta(ge=50, le=5000)] = 500
    walk_kmh: Annotated[float, Meta(gt=0, le=10)] = 4.0
    max_seats: Annotated[int, Meta(ge=1, le=100)] = 6
    max_wheelchairs: Count = 2
    max_open: Annotated[int, Meta(ge=1)] = 5
    """Trips that a rider may have that are not over."""
    book_ahead_days: Annotated[int, Meta(ge=0, le=30)] = 2
    keep_days: Annotated[int, Meta(ge=1, le=3660)] = 90
    """Days after which a trip that is over, and who took it, is deleted."""


class Layers(_Table, frozen=True):
    """What goes on beside the answers: how often all vans are assigned anew, and how long the improvement runs."""

    assign_every_s: Annotated[float, Meta(ge=0)] = 15
    improve_s: Annotated[float, Meta(ge=0)] = 5
    rebalance_every_s: Annotated[float, Meta(ge=0)] = 60


class Settings(_Table, frozen=True, kw_only=True):
    """The file.

    ``roads``: ``"city"`` for the simulated city's, or a file of OpenStreetMap (``.osm.pbf``), links (``.csv``,
    ``.geojson``) or one that ``hanmaru ride network`` wrote (``.npz``), relative to this one. ``country`` says which
    speed limits hold where a file is silent. ``area`` is a ring of lon, lat, the whole
    network where it is empty; ``stops`` how many virtual stops are made, or the path of a file.
    """

    name: Mapping[str, str]
    hours: tuple[Time, Time] = ("06:00", "24:00")
    roads: str = "city"
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$")] = "KR"
    area: Sequence[LonLat] = ()
    stops: Annotated[int, Meta(ge=2, le=20_000)] | str = 300
    limits: Limits = Limits()
    promise: Config = Config()
    layers: Layers = Layers()
    vans: Annotated[Sequence[Vans], Meta(min_length=1)]

    def fleet(self) -> list[Vans]:
        """Return every van by itself; raises RideError where two have one id or one driver."""
        every = [
            msgspec.structs.replace(
                rule,
                id=_numbered(rule.id, n),
                plate=_numbered(rule.plate, n),
                driver=_numbered(rule.driver, n),
                count=1,
            )
            for rule in self.vans
            for n in range(1, rule.count + 1)
        ]
        for what in ("id", "driver"):
            names = [getattr(van, what) for van in every if getattr(van, what)]
            if len(names) > len(set(names)):
                twice = next(name for name in names if names.count(name) > 1)
                raise RideError(f"{FILE}: two vans have the {what} {twice!r}; with count, write {{n}} in it")
        return every


def load(folder: Path) -> Settings:
    """Return the settings in a room's folder; raises RideError that names what to change."""
    path = folder / FILE
    try:
        content = tomllib.loads(path.read_text("utf-8"))
        _refuse_unknown(path, content.get("promise", {}), Config, "promise")
        settings = msgspec.convert(content, Settings)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise RideError(f"{path}: {error}") from None
    if not {"en", "ko"} <= settings.name.keys():
        raise RideError(f'{path}: name needs a text in "en" and in "ko"')
    if 0 < len(settings.area) < 3:
        raise RideError(f"{path}: area is a ring of at least three points, or left out")
    if settings.limits.keep_days <= settings.limits.book_ahead_days:
        raise RideError(f"{path}: keep_days has to be more than book_ahead_days, or a trip would go before it is made")
    _refuse_senseless(path, settings.promise)
    settings.fleet()
    return settings


def seconds(time: str) -> int:
    """Return a time of day, ``HH:MM``, as seconds since midnight."""
    return int(time[:2]) * 3600 + int(time[3:]) * 60


def _numbered(text: str, n: int) -> str:
    if re.search(r"[{}]", _NUMBER.sub("", text)):
        raise RideError(f"{FILE}: {text!r} may hold {{n}} or {{n:02}} and no other braces")
    return text.format(n=n)


_NUMBER = re.compile(r"\{n(:0[1-9])?\}")


def _refuse_senseless(path: Path, promise: Config) -> None:
    """Name a number of the engine's settings that cannot be meant."""
    for table, name in ((promise, "promise"), (promise.tariff, "promise.tariff"), (promise.weights, "promise.weights")):
        for key in table.__struct_fields__:
            value = getattr(table, key)
            if isinstance(value, int | float) and not 0 <= value < 2**31:
                raise RideError(f"{path}: {name}.{key} is {value}; it is a number from 0 up")
    for name, value in (
        ("offers", promise.offers),
        ("tariff.step", promise.tariff.step),
        ("offer_ttl_s", promise.offer_ttl_s),
    ):
        if value < 1:
            raise RideError(f"{path}: promise.{name} is at least 1")


def _refuse_unknown(path: Path, table: object, type: type[msgspec.Struct], name: str) -> None:
    """Name a key that the engine's own settings do not have: a misspelt limit must not be the default in silence."""
    if not isinstance(table, dict):
        return
    inner = {"weights": Weights, "tariff": Tariff}
    for key, value in table.items():  # pyright: ignore[reportUnknownVariableType] - what TOML holds
        if key not in type.__struct_fields__:
            raise RideError(f"{path}: {name} has no {key!r}; it has {', '.join(type.__struct_fields__)}")
        if key in inner:
            _refuse_unknown(path, value, inner[key], f"{name}.{key}")  # pyright: ignore[reportUnknownArgumentType]


def write_default(
    folder: Path,
    name: Mapping[str, str],
    area: Sequence[tuple[float, float]],
    depots: Sequence[tuple[float, float]],
) -> None:
    """Write the settings of a small service in a city, unless there are some.

    ``area`` is where it drives, ``depots`` (3) where its vans begin.
    """
    path = folder / FILE
    if path.exists():
        return
    ring = ", ".join(f"[{lon:.5f}, {lat:.5f}]" for lon, lat in area)
    where = [list(depot) for depot in depots]
    text = _DEFAULT.format(en=_quoted(name["en"]), ko=_quoted(name["ko"]), area=ring, depots=where)
    part = path.with_suffix(".part")
    part.write_text(text, "utf-8")
    part.replace(path)


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()  # a JSON string is a TOML one


_DEFAULT = """\
# The demand-responsive service of this city. Change what you like; it holds from the next start on.

name = {{ en = {en}, ko = {ko} }}
hours = ["00:00", "24:00"]   # a demo is looked at at any hour; a service may drive from "06:00" to "24:00"
roads = "city"      # the simulated city's, or the path of an .osm.pbf, .csv, .geojson or .npz file
stops = 300         # how many virtual stops are made, or the path of a file with your own
area = [{area}]

[limits]            # of a booking and a rider
max_walk_m = 500
max_seats = 6
max_wheelchairs = 2
book_ahead_days = 2
keep_days = 90      # after which a trip that is over is deleted

[promise]           # seconds, unless the name says otherwise; every one of them is in the reference
max_wait_s = 900
max_ride_s = 2400
detour_factor = 1.5
detour_s = 480

[promise.tariff]    # in the currency's smallest unit
currency = "KRW"
base = 1800
per_km = 100
companion_percent = 50
pooled_percent = 20
step = 100

[[vans]]            # the first one is the demo driver's
id = "van-1"
plate = "70바 1001"
seats = 11
wheelchairs = 2
driver = "driver"
depot = {depots[0]}
rests = [{{ begin = ["13:00", "15:00"], minutes = 30 }}]

[[vans]]
id = "van-1{{n}}"
plate = "70바 101{{n}}"
seats = 11
wheelchairs = 2
driver = "driver-1{{n}}"
depot = {depots[1]}
count = 3
rests = [{{ begin = ["11:00", "14:00"], minutes = 30 }}]

[[vans]]
id = "van-2{{n}}"
plate = "70바 102{{n}}"
seats = 11
driver = "driver-2{{n}}"
depot = {depots[2]}
count = 8
rests = [{{ begin = ["13:30", "16:30"], minutes = 30 }}]
"""
