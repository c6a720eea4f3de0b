"""What a service promises and what it weighs: the engine's one set of numbers."""

from msgspec import Struct

from hanmaru.ride.domain import RideError


class Weights(Struct, frozen=True, kw_only=True):
    """What a second is worth: of driving, of a rider's wait at the stop, of a rider's time aboard. Every layer lowers
    the weighted sum, in driven seconds; parties count with all their riders. Aboard weighs no more than waiting, so
    that being picked up later is never better.

    Apart from constants it is ``drive * seconds driven + sum(riders * ((wait - ride) * pick-up + ride * drop-off))``.
    """

    drive: float = 1.0
    wait: float = 1.0
    ride: float = 0.3

    def __post_init__(self) -> None:
        """Refuse weights under which the cheapest would be to come late."""
        if not 0 <= self.ride <= self.wait or self.drive < 0:
            raise RideError("weights need 0 <= ride <= wait and 0 <= drive")


class Tariff(Struct, frozen=True, kw_only=True):
    """A fare anyone can check: base + per km of the direct way, companions at a share, less for offers that pool.

    Money in minor units; shares in per cent. ``step``: fares are rounded to multiples of it (KRW 100).
    """

    currency: str = "KRW"
    base: int = 1800
    per_km: int = 100
    companion_percent: int = 50
    pooled_percent: int = 20
    step: int = 100


class Config(Struct, frozen=True, kw_only=True):
    """Limits of the service, in seconds unless the name says otherwise.

    Wait, ride and detour have limits of their own: a rider waits at most ``max_wait_s`` at the stop beyond the time
    that was asked for, and is aboard at most ``min(max_ride_s, detour_factor * direct + detour_s)``.
    """

    max_wait_s: int = 900
    max_ride_s: int = 3600
    detour_factor: float = 1.5
    detour_s: int = 600
    boarding_s: int = 20
    alighting_s: int = 10
    wheelchair_s: int = 60
    """What boarding and alighting take longer for each wheelchair."""
    offer_ttl_s: int = 60
    margin_s: int = 40
    """What boarding is taken to last longer while offers are made: the van drives on while the rider thinks, and
    what was just possible then no longer is.
    """
    window_s: int = 300
    """Width of the pick-up window in a plain offer; offers that pool have all that ``max_wait_s`` leaves."""
    arrival_slack_s: int = 300
    """How much later than planned a plain offer's arrival promise is; offers that pool promise the latest allowed."""
    grace_s: int = 60
    """A promise is at risk as soon as the schedule is late for it, and broken once it is late by more than this."""
    no_show_s: int = 180
    """How long a van waits for a rider, after its arrival and the window's start, until the driver may report one."""
    horizon_s: int = 7 * 86_400
    """How far ahead a ride can be booked."""
    forget_s: int = 3600
    """Finished requests leave the arrays after this."""
    offers: int = 4
    weights: Weights = Weights()
    tariff: Tariff = Tariff()

    def ride_limit_s(self, direct_s: int) -> int:
        """Return how long a rider may be aboard whose direct ride takes ``direct_s``; never less than the direct
        ride.
        """
        return max(direct_s, min(self.max_ride_s, int(self.detour_factor * direct_s) + self.detour_s))
