"""The room's HTTP interface, mounted at ``/api/ride/v1``: thin routes over calls to the dispatcher's process."""

from collections.abc import Sequence

from starlette.routing import BaseRoute

from hanmaru.hub.client import HubClient
from hanmaru.platform.services import Context


def routes(context: Context[HubClient]) -> Sequence[BaseRoute]:
    """Return the room's routes."""
    from hanmaru.ride.api import desk, driver, feeds, rider
    from hanmaru.ride.api.room import Room

    room = Room(context)
    context.closing.push_async_callback(room.close)
    return [*rider.routes(room), *driver.routes(room), *desk.routes(room), *feeds.routes(room)]
