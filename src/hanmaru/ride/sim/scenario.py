"""What is to be simulated: a TOML file, checked when it is read, or the simulated city with nothing but defaults."""

import tomllib
from datetime import date, time
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from hanmaru.ride.domain import RideError

PolicyName = Literal["insertion", "assignment", "search", "rebalancing", "full"]
POLICIES: tuple[PolicyName, ...] = get_args(PolicyName)
LonLat = tuple[Annotated[float, msgspec.Meta(ge=-180, le=180)], Annotated[float, msgspec.Meta(ge=-90, le=90)]]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Positive = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=86_400)]
Places = Annotated[int, msgspec.Meta(ge=0, le=100)]
MOST_VANS = 2000
MOST_SEEDS = 1000
Vans = Annotated[int, msgspec.Meta(ge=1, le=MOST_VANS)]


def seconds_of(clock: str) -> int:
    """Return the seconds since midnight of a time such as 06:00 or 24:00; ValueError for none."""
    if clock == "24:00":
        return 86_400
    try:
        at = time.fromisoformat(clock)
    except ValueError:
        raise ValueError(f"{clock!r} is no time of day such as 06:00") from None
    return at.hour * 3600 + at.minute * 60 + at.second


def span_of(text: str) -> tuple[int, int]:
    """Return a span such as 12:00-12:30 in seconds since midnight; ValueError for none."""
    begin, _, end = text.partition("-")
    span = seconds_of(begin.strip()), seconds_of(end.strip())
    if span[0] >= span[1]:
        raise ValueError(f"{text!r} ends before it begins")
    return span


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Area(_Table, frozen=True):
    """Where the service runs: a simulated city, its living zone or districts; a file of ``roads`` that `ride network`
    reads or writes; or a folder with a ``network`` as FleetPy's.

    Virtual stops are laid so that everybody has one within ``stops_m`` on foot; riders walk up to ``max_walk_m``. In a
    network every node that trips use is a stop.
    """

    city: str = "sejong"
    zone: int | None = None
    districts: tuple[str, ...] = ()
    network: str | None = None
    roads: str | None = None
    stops_m: Positive = 300
    max_walk_m: Positive = 500


class Hours(_Table, frozen=True):
    """The day and when the service runs, in the city's zone, or in ``zone`` on roads; 24:00 is midnight."""

    day: date = date(2026, 5, 6)
    zone: str = "Asia/Seoul"
    begin: str = "06:00"
    end: str = "24:00"

    def __post_init__(self) -> None:
        """Refuse hours that are none."""
        if not 0 <= seconds_of(self.begin) < seconds_of(self.end):
            raise ValueError(f"hours from {self.begin} to {self.end} are no span of a day")
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{self.zone!r} is no time zone such as Asia/Seoul") from None


class Demand(_Table, frozen=True):
    """Who travels: ``share`` of the city's trips, or the trips in a file."""

    share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.01
    ahead: Share = 0.0
    ahead_s: Seconds = 3600
    wheelchairs: Share = 0.01
    file: str | None = None


class Van(_Table, frozen=True):
    """A kind of van; ``share`` of the fleet are of it. ``breaks`` are spans such as ``"12:00-12:30"``."""

    seats: Places = 11
    wheelchairs: Places = 1
    share: Positive = 1.0
    begin: str | None = None
    end: str | None = None
    breaks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a van that carries nobody, and times that are none."""
        if self.seats + self.wheelchairs == 0:
            raise ValueError("a van with no seats and no wheelchair places carries nobody")
        if seconds_of(self.begin or "00:00") >= seconds_of(self.end or "24:00"):
            raise ValueError(f"a shift from {self.begin} to {self.end} is no span of a day")
        for text in self.breaks:
            span_of(text)


class Riders(_Table, frozen=True):
    """What riders do: refuse offers beyond limits, cancel, do not come.

    ``patience_s`` is the longest wait, and ``detour`` the longest time aboard by the direct one, that a rider takes
    (None: any); of several offers that will do, the one with the least generalised time.
    """

    patience_s: Seconds | None = None
    detour: Positive | None = None
    cancel: Share = 0.0
    no_show: Share = 0.0


class Disturbance(_Table, frozen=True):
    """What goes otherwise than planned.

    ``travel`` is the deviation of driving times as a share of them (log-normal, mean 1); ``boarding`` that of boarding
    times; ``breakdowns`` come so often in 1,000 hours of a van on duty and last ``repair_s``.
    """

    travel: Share = 0.0
    boarding: Share = 0.0
    breakdowns: Annotated[float, msgspec.Meta(ge=0, le=1e6)] = 0.0
    repair_s: Annotated[int, msgspec.Meta(ge=60, le=864_000)] = 7200


class Layers(_Table, frozen=True):
    """How often the layers behind insertion run, where a policy has them."""

    assignment_every_s: Annotated[int, msgspec.Meta(ge=1, le=3600)] = 20
    search_every_s: Annotated[int, msgspec.Meta(ge=1, le=3600)] = 60
    rebalancing_every_s: Annotated[int, msgspec.Meta(ge=1, le=3600)] = 60


class Compare(_Table, frozen=True):
    """What is compared: fleets of so many vans under policies, each with so many seeds."""

    vans: Annotated[tuple[Vans, ...], msgspec.Meta(min_length=1)] = (8, 10, 12)
    policies: Annotated[tuple[PolicyName, ...], msgspec.Meta(min_length=1)] = ("insertion",)
    seeds: Annotated[int, msgspec.Meta(ge=1, le=MOST_SEEDS)] = 5


class Scenario(_Table, frozen=True):
    """Everything that a simulation depends on but the seed.

    ``service`` are the dispatcher's limits and times by the names that its configuration has; ``folder`` is where
    files that are named here lie.
    """

    name: str = ""
    area: Area = Area(zone=1)
    hours: Hours = Hours()
    demand: Demand = Demand()
    van: Annotated[tuple[Van, ...], msgspec.Meta(min_length=1)] = (Van(),)
    depots: tuple[LonLat, ...] = ()
    service: dict[str, Any] = {}
    riders: Riders = Riders()
    disturbance: Disturbance = Disturbance()
    layers: Layers = Layers()
    compare: Compare = Compare()
    folder: str = "."


def load(path: Path) -> Scenario:
    """Read a scenario. Raises RideError naming the file, the key and what is wrong with it."""
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise RideError(f"{path}: there is no such file; --city simulates the city without one") from None
    except OSError as error:
        raise RideError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise RideError(f"{path.name} is not UTF-8; save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise RideError(f"{path.name} is no TOML: {error}") from None
    try:
        return msgspec.structs.replace(msgspec.convert(values, Scenario), folder=str(path.parent))
    except msgspec.ValidationError as error:
        raise RideError(f"{path.name}: {error}".replace("Object contains unknown field", "there is no key")) from None


def kinds(vans: tuple[Van, ...], number: int) -> list[Van]:
    """Return the kind of each of a number of vans: the kind whose share is most behind, so larger fleets only add."""
    total = sum(van.share for van in vans)
    count = [0] * len(vans)
    dealt: list[Van] = []
    for n in range(1, number + 1):
        behind = [van.share / total * n - count[k] for k, van in enumerate(vans)]
        k = behind.index(max(behind))
        count[k] += 1
        dealt.append(vans[k])
    return dealt


def policy(name: str) -> PolicyName:
    """Return a policy by its name; RideError where there is none."""
    if name not in POLICIES:
        raise RideError(f"{name!r} is no policy; there are {', '.join(POLICIES)}")
    return name
