"""The service as a GTFS-Flex feed: any virtual stop to any other, within hours, booked on call.

GTFS Schedule with Flex (part of the reference since March 2024): one location group holds all stops; a trip picks up in
the group and drops off in it, both by booking (``pickup_type``, ``drop_off_type`` 2). Fares by distance cannot be said
in GTFS, so none are.
"""

import csv
import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

Row = Sequence[str | int | float]

ROUTE_BUS = 3
"""Bus. Its extended type for demand-responsive ones, 715, is outside the reference, and validators warn of it."""


@dataclass(frozen=True, slots=True)
class FlexStop:
    """A virtual stop: where it is in degrees, and whether a wheelchair can board there."""

    id: str
    name: str
    lon: float
    lat: float
    accessible: bool


@dataclass(frozen=True, slots=True)
class FlexService:
    """What riders may expect of the service.

    ``name``, ``agency`` by language, ``language`` first; ``url`` is where rides are called. ``opens_s``, ``closes_s``
    are seconds of the city's day (up to 24 h and over), ``first``, ``last`` the dates that the feed speaks of. A ride
    takes at most ``detour_factor`` times the direct drive and ``detour_s`` seconds more.
    """

    id: str
    agency: Mapping[str, str]
    name: Mapping[str, str]
    url: str
    timezone: str
    language: str
    opens_s: int
    closes_s: int
    first: date
    last: date
    detour_factor: float
    detour_s: int


def feed(service: FlexService, stops: Sequence[FlexStop], version: str) -> bytes:
    """Return the feed as a zip file's bytes: the same for the same arguments.

    Raises ValueError without a stop: a location group may not be empty.
    """
    if not stops:
        raise ValueError("a GTFS-Flex feed needs at least one stop")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, header, rows in _tables(service, stops, version):
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\r\n")
            writer.writerow(header)
            writer.writerows(rows)
            # a fixed time, so that an unchanged service is an unchanged file
            archive.writestr(zipfile.ZipInfo(f"{name}.txt", (1980, 1, 1, 0, 0, 0)), text.getvalue())
    return out.getvalue()


def _tables(
    service: FlexService, stops: Sequence[FlexStop], version: str
) -> Iterable[tuple[str, Sequence[str], Iterable[Row]]]:
    at, language = service.id, service.language
    agency, name = service.agency[language], service.name[language]
    first, last = f"{service.first:%Y%m%d}", f"{service.last:%Y%m%d}"
    window = (clock(service.opens_s), clock(service.closes_s))
    yield (
        "agency",
        ("agency_id", "agency_name", "agency_url", "agency_timezone", "agency_lang"),
        [(at, agency, service.url, service.timezone, language)],
    )
    yield (
        "stops",
        ("stop_id", "stop_name", "stop_lat", "stop_lon", "wheelchair_boarding"),
        [(s.id, s.name, f"{s.lat:.6f}", f"{s.lon:.6f}", 1 if s.accessible else 2) for s in stops],
    )
    yield (
        "routes",
        ("route_id", "agency_id", "route_long_name", "route_type"),
        [(at, at, name, ROUTE_BUS)],
    )
    days = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    yield "calendar", ("service_id", *days, "start_date", "end_date"), [("daily", *[1] * 7, first, last)]
    yield (
        "trips",
        ("route_id", "service_id", "trip_id", "safe_duration_factor", "safe_duration_offset"),
        [(at, "daily", at, service.detour_factor, service.detour_s)],
    )
    yield (
        "booking_rules",
        ("booking_rule_id", "booking_type", "info_url", "booking_url"),
        [("on-call", 0, service.url, service.url)],
    )
    yield "location_groups", ("location_group_id", "location_group_name"), [("stops", name)]
    yield "location_group_stops", ("location_group_id", "stop_id"), [("stops", s.id) for s in stops]
    yield (
        "stop_times",
        (
            *("trip_id", "arrival_time", "departure_time", "stop_id", "location_group_id", "stop_sequence"),
            *("start_pickup_drop_off_window", "end_pickup_drop_off_window", "pickup_type", "drop_off_type"),
            *("pickup_booking_rule_id", "drop_off_booking_rule_id"),
        ),
        [
            (at, "", "", "", "stops", 1, *window, 2, 1, "on-call", ""),
            (at, "", "", "", "stops", 2, *window, 1, 2, "", "on-call"),
        ],
    )
    yield (
        "translations",
        ("table_name", "field_name", "language", "translation", "record_id"),
        [
            row
            for table, field, text in (
                ("agency", "agency_name", service.agency),
                ("routes", "route_long_name", service.name),
            )
            for tag, said in text.items()
            if tag != language
            for row in [(table, field, tag, said, at)]
        ],
    )
    yield (
        "feed_info",
        (
            *("feed_publisher_name", "feed_publisher_url", "feed_lang"),
            *("feed_start_date", "feed_end_date", "feed_version", "feed_contact_url"),
        ),
        [(agency, service.url, language, first, last, version, service.url)],
    )


def clock(second: int) -> str:
    """Return a second of the service day as GTFS writes it: 90,000 is ``25:00:00``."""
    return f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
