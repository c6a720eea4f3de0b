"""The feeds, held against an independent validator and against each other."""

import csv
import io
import zipfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import gtfs_guru
import pytest
from google.transit import gtfs_realtime_pb2 as pb

from hanmaru.ride.feeds import flex, realtime

STOPS = [flex.FlexStop(f"s{n}", f"한솔동 {n}", 127.25 + n / 1000, 36.47, n % 2 == 0) for n in range(5)]
SERVICE = flex.FlexService(
    id="ride",
    agency={"ko": "세종시", "en": "Sejong"},
    name={"ko": "수요응답 버스", "en": "On-demand bus"},
    url="https://ride.example.kr/app",
    timezone="Asia/Seoul",
    language="ko",
    opens_s=6 * 3600,
    closes_s=24 * 3600,
    first=date(2026, 11, 1),
    last=date(2026, 11, 1) + timedelta(days=90),
    detour_factor=1.5,
    detour_s=600,
)
NOON_S = int(datetime(2026, 11, 2, 3, tzinfo=UTC).timestamp())


def van(aboard: int, riders: int) -> realtime.Van:
    """A van of ten seats on its way to two stops."""
    tour = [realtime.Call("s1", NOON_S + 60, NOON_S + 90), realtime.Call("s3", NOON_S + 300, NOON_S + 330)]
    return realtime.Van(
        "van-1", "세종 70자 1001", 127.25, 36.47, -90.0, NOON_S, 10, aboard, 1, NOON_S - 600, tour, riders
    )


def table(archive: bytes, name: str) -> list[dict[str, str]]:
    """The rows of one of the feed's files."""
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        return list(csv.DictReader(io.StringIO(files.read(f"{name}.txt").decode())))


def test_the_validator_finds_nothing_wrong_with_the_flex_feed(tmp_path: Path) -> None:
    path = tmp_path / "flex.zip"
    path.write_bytes(flex.feed(SERVICE, STOPS, "1"))
    result = gtfs_guru.validate(str(path), country_code="KR", date="2026-11-02")
    found = [(n.code, n.file, n.field, str(n.get("fieldValue"))) for n in result.errors() + result.warnings()]
    # Hangul has no case that could be mixed
    assert [n for n in found if n[0] != "mixed_case_recommended_field" or n[3].upper() != n[3].lower()] == []


def test_the_validator_would_find_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "flex.zip"
    with zipfile.ZipFile(io.BytesIO(flex.feed(SERVICE, STOPS, "1"))) as good, zipfile.ZipFile(path, "w") as bad:
        for name in good.namelist():
            text = good.read(name).decode()
            bad.writestr(name, text.replace("06:00:00", "") if name == "stop_times.txt" else text)
    assert gtfs_guru.validate(str(path), country_code="KR", date="2026-11-02").error_count


def test_every_stop_can_be_called_from_and_to_and_an_unchanged_service_is_an_unchanged_file() -> None:
    archive = flex.feed(SERVICE, STOPS, "1")
    assert {row["stop_id"] for row in table(archive, "location_group_stops")} == {s.id for s in STOPS}
    assert [row["wheelchair_boarding"] for row in table(archive, "stops")] == ["1", "2", "1", "2", "1"]
    up, down = table(archive, "stop_times")
    assert (up["pickup_type"], up["drop_off_type"], down["pickup_type"], down["drop_off_type"]) == ("2", "1", "1", "2")
    assert down["end_pickup_drop_off_window"] == "24:00:00"
    assert {row["translation"] for row in table(archive, "translations")} == {"Sejong", "On-demand bus"}
    assert archive == flex.feed(SERVICE, STOPS, "1")


def test_a_feed_without_stops_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one stop"):
        flex.feed(SERVICE, [], "1")


def test_positions_say_where_and_how_full() -> None:
    message = pb.FeedMessage.FromString(realtime.vehicle_positions([van(10, 3)], "ride", "Asia/Seoul", NOON_S))
    assert message.IsInitialized()
    vehicle = message.entity[0].vehicle
    assert vehicle.position.bearing == 270
    assert vehicle.occupancy_status == pb.VehiclePosition.FULL
    assert (vehicle.trip.start_date, vehicle.trip.start_time) == ("20261102", "11:50:00")


@pytest.mark.parametrize(
    ("aboard", "level"),
    [(0, "MANY_SEATS_AVAILABLE"), (4, "MANY_SEATS_AVAILABLE"), (5, "FEW_SEATS_AVAILABLE"), (10, "FULL")],
)
def test_levels_of_occupancy(aboard: int, level: str) -> None:
    assert pb.VehiclePosition.OccupancyStatus.Name(realtime.occupancy(van(aboard, 2))) == level


def test_a_tour_names_stops_of_the_flex_feed_and_boards_by_booking_only() -> None:
    message = pb.FeedMessage.FromString(realtime.trip_updates([van(1, 2)], "ride", "Asia/Seoul", NOON_S))
    update = message.entity[0].trip_update
    assert {u.stop_id for u in update.stop_time_update} <= {s.id for s in STOPS}
    assert update.trip.route_id in {row["route_id"] for row in table(flex.feed(SERVICE, STOPS, "1"), "routes")}
    times = [t for u in update.stop_time_update for t in (u.arrival.time, u.departure.time)]
    assert times == sorted(times)
    assert {u.stop_time_properties.pickup_type for u in update.stop_time_update} == {
        realtime.DROP_OFF_PICKUP_BY_BOOKING
    }


def test_a_tour_of_one_person_is_nobodys_business() -> None:
    message = pb.FeedMessage.FromString(realtime.trip_updates([van(1, 1)], "ride", "Asia/Seoul", NOON_S))
    assert not message.entity
