"""A stranger's service, as anybody could write it: a layer, a panel of its own, a route."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from hanmaru.hub.client import HubClient
from hanmaru.platform.policy import GuardedRoute
from hanmaru.platform.services import Attr, Context, EntityType, Layer, Panel, Service


def routes(ctx: Context[HubClient]) -> list[BaseRoute]:
    """Return the service's one route."""

    async def keeper(request: Request) -> Response:
        return JSONResponse({"keeper": "Kim"})

    return [GuardedRoute("/keeper", keeper, permission="read")]


WEIGHT = Attr("weight", {"en": "Weight", "ko": "무게"}, "kg", 1, steps=((0, "#b0562a"), (30, "#2a9d5c")))

service: Service[HubClient] = Service(
    name="bees",
    title={"en": "City bees", "ko": "도시 양봉"},
    entity_types=[EntityType("Beehive", {"en": "Beehive", "ko": "벌통"})],
    routes=routes,
    layers=[Layer("hives", {"en": "Beehives", "ko": "벌통"}, "Beehive", [WEIGHT], "#b7791f", "weight", "home")],
    panels=[
        Panel("hive", {"en": "Hive", "ko": "벌통 상태"}, "module", "entity", ["Beehive"], module="panel.js"),
        Panel("all", {"en": "All hives", "ko": "모든 벌통"}, "module", "city", module="panel.js"),
    ],
    static=Path(__file__).parent / "static",
)
