"""Every route of the NGSI-LD API, the most travelled first."""

import re

from hanmaru.hub.api import batch, contexts, discovery, entities, subscriptions, temporal
from hanmaru.hub.local import Hub
from hanmaru.platform.policy import GuardedRoute


def routes(hub: Hub) -> list[GuardedRoute]:
    """Return the routes, with their full paths; some clients end a collection's path with a slash, which is welcome."""
    every = [
        *entities.routes(hub),
        *batch.routes(hub),
        *temporal.routes(hub),
        *subscriptions.routes(hub),
        *discovery.routes(hub),
        *contexts.routes(hub),
    ]
    for route in every:
        if not route.param_convertors:
            route.path_regex = re.compile(f"^{re.escape(route.path)}/?$")
    return every
