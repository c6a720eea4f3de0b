"""Every route of the NGSI-LD API, the most travelled first."""

import re

from hanmaru.hub.api import batch, contexts, discovery, entities, subscriptions, temporal
from hanmaru.hub.local import Hub
from hanmaru.platform.policy import GuardedRoute


def routes(hub: Hub, may_manage: subscriptions.MayManage | None = None) -> list[GuardedRoute]:
    """Return the routes, with their full paths. ``may_manage`` says who may see and pause others' subscriptions.

    The standard writes ``entities/{entityId}/attrs/``, clients write both: a final slash after a fixed name is welcome.
    The name of an attribute is never empty, so that such a path is not taken for that of an attribute.
    """
    every = [
        *entities.routes(hub),
        *batch.routes(hub),
        *temporal.routes(hub),
        *subscriptions.routes(hub, may_manage),
        *discovery.routes(hub),
        *contexts.routes(hub),
    ]
    for route in every:
        pattern = route.path_regex.pattern.replace("(?P<attr>.*)", "(?P<attr>.+)")
        if not route.path.endswith("}"):
            pattern = pattern.removesuffix("$") + "/?$"
        route.path_regex = re.compile(pattern)
    return every
