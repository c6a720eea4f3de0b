"""The room's HTTP interface, mounted at ``/api/trace/v1``: thin routes over `hanmaru.trace.cases`."""

from collections.abc import Sequence

from starlette.routing import BaseRoute

from hanmaru.hub.client import HubClient
from hanmaru.platform.services import Context


def routes(context: Context[HubClient]) -> Sequence[BaseRoute]:
    """Return the room's routes."""
    from hanmaru.trace.api import cases, findings, requests
    from hanmaru.trace.cases.room import room_of

    room = room_of(context)
    return [*cases.routes(room), *findings.routes(room), *requests.routes(room)]
