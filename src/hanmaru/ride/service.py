"""The room's manifest."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hanmaru.hub.client import HubClient
from hanmaru.platform.services import Attr, Context, EntityType, Layer, Page, Service, Task, Text
from hanmaru.ride.api import routes

if TYPE_CHECKING:
    import typer


def commands() -> "typer.Typer":
    """Return ``hanmaru ride``."""
    from hanmaru.ride.cli import app

    return app


PAGES = (
    Page("rider", {"en": "Ride", "ko": "호출"}, "/app/ride", "page.js", "ride.ride"),
    Page("driver", {"en": "Drive", "ko": "운행"}, "/driver", "page.js", "ride.drive"),
    Page("dispatch", {"en": "Dispatch", "ko": "관제"}, "/ride", "page.js", "ride.read"),
)

FULL = ((0, "#1b7f6b"), (50, "#c77700"), (100, "#b3261e"))
VAN = (
    Attr("serviceStatus", {"en": "Service", "ko": "운행 상태"}),
    Attr("speed", {"en": "Speed", "ko": "속도"}, "km/h", 0),
    Attr("occupancy", {"en": "Occupancy", "ko": "탑승률"}, "%", 0, 100, FULL),
    Attr("vehiclePlateIdentifier", {"en": "Plate", "ko": "차량 번호"}),
)
STOPS: Text = {"en": "Virtual stops", "ko": "가상 정류장"}
VANS: Text = {"en": "Call buses", "ko": "호출 버스"}
ENTITY_TYPES = (
    EntityType("DemandResponsiveVehicle", VANS),
    EntityType("VirtualStop", STOPS),
    EntityType("DemandResponsiveService", {"en": "Call bus service", "ko": "호출 버스 서비스"}),
)
LAYERS = (
    Layer("stops", STOPS, "VirtualStop", (), "#0b7285", None, "pin", visible=False),
    Layer("vans", VANS, "DemandResponsiveVehicle", VAN, "#0b7285", "occupancy", "bus", visible=False),
)

PERMISSIONS: Mapping[str, Text] = {
    "ride.ride": {"en": "Call a ride", "ko": "호출"},
    "ride.drive": {"en": "Drive a van", "ko": "운행"},
    "ride.read": {"en": "See the service", "ko": "운행 현황 조회"},
    "ride.dispatch": {"en": "Dispatch vans", "ko": "배차"},
}

ROLES: Mapping[str, Text] = {
    "rider": {"en": "Rider", "ko": "승객"},
    "driver": {"en": "Driver", "ko": "운전기사"},
    "dispatcher": {"en": "Dispatcher", "ko": "배차 담당자"},
    "transit-authority": {"en": "Transit authority", "ko": "교통 당국"},
}


def wanted(context: Context[HubClient]) -> bool:
    """Whether this city has a service: a demo makes one, others write its settings."""
    return bool(context.city.get("demo")) or (context.data_dir / "service.toml").exists()


async def entities(context: Context[HubClient]) -> None:
    """Keep the hub's entities as the service is."""
    from hanmaru.ride.entities import publish

    await publish(context)


async def riders(context: Context[HubClient]) -> None:
    """Destroy what is known of people who have long stopped riding, once an hour."""
    from hanmaru.ride.upkeep import sweep

    await sweep(context)


async def dispatch(context: Context[HubClient]) -> None:
    """Be one of the dispatcher's two processes."""
    from hanmaru.ride.dispatch.process import run

    await run(context)


async def demo(context: Context[HubClient]) -> None:
    """Have people of a demo city call and drive."""
    if context.city.get("demo"):
        from hanmaru.ride.demo import run

        await run(context)


service: Service[HubClient] = Service(
    name="ride",
    title={"en": "Demand-responsive transit", "ko": "수요응답형 교통"},
    entity_types=ENTITY_TYPES,
    layers=LAYERS,
    routes=routes,
    tasks=[
        Task("dispatcher", dispatch, apart=True, wanted=wanted),
        Task("dispatcher-2", dispatch, apart=True, wanted=wanted),
        Task("entities", entities, wanted=wanted),
        Task("riders", riders, wanted=wanted),
        Task("demo", demo),
    ],
    permissions=PERMISSIONS,
    roles=ROLES,
    policies=Path(__file__).with_name("policies"),
    commands=commands,
    pages=PAGES,
    static=Path(__file__).parents[1] / "web" / "services" / "ride",
)
