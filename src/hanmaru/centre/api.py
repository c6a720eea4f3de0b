"""HTTP of the centre: what its parts answer."""

from collections.abc import Sequence

from starlette.routing import BaseRoute

from hanmaru.centre.boards import api as boards
from hanmaru.centre.cctv import api as cctv
from hanmaru.centre.detect import api as detect
from hanmaru.centre.events import api as events
from hanmaru.centre.live import api as live
from hanmaru.centre.replay import api as replay
from hanmaru.centre.reports import api as reports
from hanmaru.hub.client import HubClient
from hanmaru.platform.services import Context


def routes(ctx: Context[HubClient]) -> Sequence[BaseRoute]:
    """Return the routes of every part."""
    return [
        *live.routes(ctx),
        *replay.routes(ctx),
        *boards.routes(ctx),
        *cctv.routes(ctx),
        *detect.routes(ctx),
        *events.routes(ctx),
        *reports.routes(ctx),
    ]
