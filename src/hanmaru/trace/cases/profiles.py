"""Disease profiles: what is known of a disease's times, from the literature, and the windows that follow from them."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from hanmaru.trace.domain import TraceError

BUILT_IN = Path(__file__).with_name("profiles")

Days = Annotated[float, msgspec.Meta(ge=0, le=365)]
Text = dict[str, str]
T = TypeVar("T")


class _Fact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Incubation(_Fact, frozen=True):
    """Days from infection to onset, log-normal: the median and the 95th percentile."""

    median_days: Days
    p95_days: Days
    source: str


class Interval(_Fact, frozen=True):
    """Days between two onsets (serial) or two infections (generation) of a pair: mean and standard deviation."""

    mean_days: Days
    source: str
    sd_days: Days | None = None


class Infectious(_Fact, frozen=True):
    """Whole days before and after the day of onset on which a case may infect others."""

    before_onset_days: Annotated[int, msgspec.Meta(ge=0, le=365)]
    after_onset_days: Annotated[int, msgspec.Meta(ge=0, le=365)]
    source: str


class Exposure(_Fact, frozen=True):
    """Whole days before the day of onset on which a case may have been infected: from the latest to the earliest."""

    from_days: Annotated[int, msgspec.Meta(ge=0, le=365)]
    to_days: Annotated[int, msgspec.Meta(ge=0, le=365)]
    source: str


class Closeness(_Fact, frozen=True):
    """What counts as a contact."""

    distance_m: float
    minutes: float
    text: Text
    source: str


class SymptomName(_Fact, frozen=True):
    """A symptom of the case definition."""

    code: str
    name: Text


class Profile(_Fact, frozen=True):
    """A disease, as its file has it; ``id`` is the file's name."""

    name: Text
    incubation: Incubation
    serial_interval: Interval
    infectious: Infectious
    exposure: Exposure
    contact: Closeness
    symptoms: list[SymptomName]
    law: Text = {}
    generation_interval: Interval | None = None
    id: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time, from ``start`` up to but not including ``end``, both with their zone."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Windows:
    """When a case may have been infected, and when it may have infected others."""

    exposure: Window
    infectious: Window


def windows(profile: Profile, onset: date, zone: ZoneInfo) -> Windows:
    """Return the windows of a case by the day of its onset: whole days of ``zone``, as instants in UTC.

    >>> covid = load()["covid-19"]
    >>> found = windows(covid, date(2026, 11, 20), ZoneInfo("Asia/Seoul"))
    >>> found.infectious.start.isoformat(), found.exposure.start.isoformat()
    ('2026-11-17T15:00:00+00:00', '2026-11-05T15:00:00+00:00')
    """

    def days(first: int, last: int) -> Window:
        midnights = (datetime.combine(onset + timedelta(days=n), time(), zone) for n in (first, last + 1))
        return Window(*(midnight.astimezone(UTC) for midnight in midnights))

    exposure, infectious = profile.exposure, profile.infectious
    return Windows(
        days(-exposure.to_days, -exposure.from_days),
        days(-infectious.before_onset_days, infectious.after_onset_days),
    )


def load(folder: Path | None = None) -> Mapping[str, Profile]:
    """Return the profiles by id: the built-in ones and a city's own, which take the place of those of the same name.

    Raises TraceError that names the file and what to change.
    """
    found: dict[str, Profile] = {}
    for path in [*sorted(BUILT_IN.glob("*.toml")), *(sorted(folder.glob("*.toml")) if folder else ())]:
        profile = msgspec.structs.replace(read_toml(path, Profile), id=path.stem)
        if profile.exposure.from_days > profile.exposure.to_days:
            raise TraceError(f"{path}: exposure.from_days is more than to_days; the exposure window would be empty")
        found[path.stem] = profile
    return found


def read_toml(path: Path, type: type[T]) -> T:
    """Return a TOML file as a type; raises TraceError that names the file and what to change."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), type)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise TraceError(f"{path}: {error}") from None
