"""Ten stops on a line, a minute and 500 m apart, and vans that stand where they are put: examples one can follow."""

import numpy as np

from hanmaru.ride.domain import Travel
from hanmaru.ride.engine import commands as c
from hanmaru.ride.engine import events as e
from hanmaru.ride.engine.config import Config
from hanmaru.ride.engine.dispatcher import Dispatcher
from hanmaru.ride.engine.state import Fleet

T0 = 1_800_000_000
STOPS = 10
CONFIG = Config(margin_s=0)


def line(*stops: int, seats: int = 4, wheelchairs: int = 0, config: Config = CONFIG, hours: float = 8) -> Dispatcher:
    """A van at each of ``stops``."""
    places = np.concatenate((np.arange(STOPS), stops))
    steps = np.abs(places[:, None] - np.arange(STOPS)[None])
    vans = len(stops)
    fleet = Fleet(
        seats=(seats,) * vans,
        wheelchairs=(wheelchairs,) * vans,
        depot=(0,) * vans,
        stop=stops,
        shift_from_s=(T0,) * vans,
        shift_to_s=(T0 + int(hours * 3600),) * vans,
    )
    return Dispatcher(config, fleet, Travel((60 * steps).astype(np.int32), (500 * steps).astype(np.int32)))


def request(id: str, start: int, goal: int, **more: int) -> c.Request:
    return c.Request(id=id, origins=(c.Spot(start),), destinations=(c.Spot(goal),), **more)


def offered(dispatcher: Dispatcher, wanted: c.Request, now_s: int = T0) -> tuple[e.Offer, ...]:
    made = dispatcher.handle(wanted, now_s)[-1]
    assert isinstance(made, e.Offered)
    return made.offers


def booked(dispatcher: Dispatcher, wanted: c.Request, now_s: int = T0) -> e.Offer:
    """Take the last offer: the one that leaves most room."""
    offer = offered(dispatcher, wanted, now_s)[-1]
    assert isinstance(dispatcher.handle(c.Accept(wanted.id, offer.id), now_s)[-1], e.Accepted)
    return offer


def named(dispatcher: Dispatcher, van: int) -> list[str]:
    """A van's plan in words: ``+a`` picks a up, ``-a`` drops a off."""
    ids = dispatcher.state.requests.ids
    return [("+" if action > 0 else "-") + ids[abs(action) - 1] for action in dispatcher.state.vans.actions(van)]


def kinds(batch: list[e.AnyEvent]) -> list[str]:
    return [type(event).__name__ for event in batch]
