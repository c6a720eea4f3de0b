"""Every route of the NGSI-LD API, the most travelled first."""

from hanmaru.hub.api import batch, contexts, discovery, entities, temporal
from hanmaru.hub.local import Hub
from hanmaru.platform.policy import GuardedRoute


def routes(hub: Hub) -> list[GuardedRoute]:
    """Return the routes, with their full paths."""
    return [
        *entities.routes(hub),
        *batch.routes(hub),
        *temporal.routes(hub),
        *discovery.routes(hub),
        *contexts.routes(hub),
    ]
