"""The room's manifest."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hanmaru.hub.client import HubClient
from hanmaru.platform.services import Page, Service, Text

if TYPE_CHECKING:
    import typer


def commands() -> "typer.Typer":
    """Return ``hanmaru ride``."""
    from hanmaru.ride.cli import app

    return app


PAGES = (
    Page("rider", {"en": "Ride", "ko": "호출"}, "/app", "page.js", "ride.ride"),
    Page("driver", {"en": "Drive", "ko": "운행"}, "/driver", "page.js", "ride.drive"),
    Page("dispatch", {"en": "Dispatch", "ko": "관제"}, "/ride", "page.js", "ride.read"),
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

service: Service[HubClient] = Service(
    name="ride",
    title={"en": "Demand-responsive transit", "ko": "수요응답형 교통"},
    permissions=PERMISSIONS,
    roles=ROLES,
    policies=Path(__file__).with_name("policies"),
    commands=commands,
    pages=PAGES,
    static=Path(__file__).parents[1] / "web" / "services" / "ride",
)
