"""The vans now, as GTFS-Realtime 2.0 messages: positions and tours.

A van's tour is a trip that no schedule has: ``NEW``, with its stops in order and boarding by booking only. A tour
that serves fewer than `MIN_RIDERS` people is left out, since it would tell where one person goes. How full a van is
is said in levels only, an empty one as one with many seats, since a change would tell where one person got on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from google.transit import gtfs_realtime_pb2 as pb

MIN_RIDERS = 2
LEVELS = ((0.5, pb.VehiclePosition.MANY_SEATS_AVAILABLE), (1.0, pb.VehiclePosition.FEW_SEATS_AVAILABLE))
"""Share of seats taken below which a level holds; the reference leaves the limits to who publishes."""

DROP_OFF_PICKUP_BY_BOOKING = pb.TripUpdate.StopTimeUpdate.StopTimeProperties.PHONE_AGENCY


@dataclass(frozen=True, slots=True)
class Call:
    """A stop of a tour, with when the van gets there and leaves (Unix seconds)."""

    stop: str
    arrive_s: int
    leave_s: int


@dataclass(frozen=True, slots=True)
class Van:
    """A van in service: its position at ``seen_s``, who is aboard, and the tour before it.

    ``bearing`` is in degrees from north, None where it stands; ``riders`` counts the bookings that the tour serves.
    """

    id: str
    plate: str
    lon: float
    lat: float
    bearing: float | None
    seen_s: int
    seats: int
    aboard: int
    wheelchairs: int
    began_s: int
    tour: Sequence[Call]
    riders: int


def vehicle_positions(vans: Sequence[Van], route: str, timezone: str, now_s: int) -> bytes:
    """Return a feed message with where each van is and how full."""
    message = _message(now_s)
    for van in vans:
        vehicle = message.entity.add(id=van.id).vehicle
        _trip(vehicle.trip, van, route, timezone)
        _vehicle(vehicle.vehicle, van)
        vehicle.position.latitude, vehicle.position.longitude = van.lat, van.lon
        if van.bearing is not None:
            vehicle.position.bearing = van.bearing % 360
        vehicle.timestamp = van.seen_s
        vehicle.occupancy_status = occupancy(van)
    return message.SerializeToString()


def trip_updates(vans: Sequence[Van], route: str, timezone: str, now_s: int) -> bytes:
    """Return a feed message with the tour of each van that serves at least `MIN_RIDERS` bookings."""
    message = _message(now_s)
    for van in vans:
        if not van.tour or van.riders < MIN_RIDERS:
            continue
        update = message.entity.add(id=van.id).trip_update
        _trip(update.trip, van, route, timezone)
        _vehicle(update.vehicle, van)
        update.timestamp = van.seen_s
        for n, call in enumerate(van.tour, 1):
            at = update.stop_time_update.add(stop_sequence=n, stop_id=call.stop)
            at.arrival.time, at.departure.time = call.arrive_s, call.leave_s
            at.stop_time_properties.pickup_type = DROP_OFF_PICKUP_BY_BOOKING
            at.stop_time_properties.drop_off_type = DROP_OFF_PICKUP_BY_BOOKING
    return message.SerializeToString()


def occupancy(van: Van) -> "pb.VehiclePosition.OccupancyStatus":
    """Return the level of a van's occupancy: many or few seats, full."""
    return next((level for share, level in LEVELS if van.aboard < share * van.seats), pb.VehiclePosition.FULL)


def _message(now_s: int) -> pb.FeedMessage:
    message = pb.FeedMessage()
    message.header.gtfs_realtime_version = "2.0"
    message.header.incrementality = pb.FeedHeader.FULL_DATASET
    message.header.timestamp = now_s
    return message


def _trip(trip: pb.TripDescriptor, van: Van, route: str, timezone: str) -> None:
    began = datetime.fromtimestamp(van.began_s, ZoneInfo(timezone))
    trip.trip_id = f"{van.id}-{van.began_s}"
    trip.route_id = route
    trip.start_date, trip.start_time = f"{began:%Y%m%d}", f"{began:%H:%M:%S}"
    trip.schedule_relationship = pb.TripDescriptor.NEW


def _vehicle(vehicle: pb.VehicleDescriptor, van: Van) -> None:
    vehicle.id, vehicle.label, vehicle.license_plate = van.id, van.plate, van.plate
    accessible = pb.VehicleDescriptor.WheelchairAccessible
    vehicle.wheelchair_accessible = (
        accessible.WHEELCHAIR_ACCESSIBLE if van.wheelchairs else accessible.WHEELCHAIR_INACCESSIBLE
    )
