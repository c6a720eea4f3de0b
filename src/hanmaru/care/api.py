"""The room's HTTP interface, mounted at ``/api/care/v1``: thin routes, each part's in its own module."""

from collections.abc import Sequence

from starlette.routing import BaseRoute

from hanmaru.hub.client import HubClient
from hanmaru.platform.services import Context


def routes(context: Context[HubClient]) -> Sequence[BaseRoute]:
    """Return the room's routes."""
    from hanmaru.care import manage
    from hanmaru.care.citizen import api as citizen
    from hanmaru.care.hospital import api as hospital
    from hanmaru.care.hospital import partner_api as partner
    from hanmaru.care.nurse import api as nurse
    from hanmaru.care.visits import api as visits

    return [
        *visits.routes(context),
        *citizen.routes(context),
        *nurse.routes(context),
        *manage.routes(context),
        *hospital.routes(context),
        *partner.routes(context),
    ]
