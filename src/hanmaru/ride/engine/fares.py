"""What a ride costs: a tariff that fits on the vehicle's door."""

from hanmaru.ride.engine.config import Tariff


def fare(tariff: Tariff, direct_m: int, riders: int, pooled: bool) -> int:
    """Return the fare in minor units for a party whose direct way is ``direct_m`` long.

    The first rider pays base and distance in full, companions their share of it; an offer that leaves the service more
    room to pool is reduced. The way that the van takes in the end is nobody's concern.
    """
    single = tariff.base + tariff.per_km * direct_m / 1000
    party = single * (1 + (riders - 1) * tariff.companion_percent / 100)
    share = 1 - tariff.pooled_percent / 100 if pooled else 1
    return round(party * share / tariff.step) * tariff.step
