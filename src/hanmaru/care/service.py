"""The room's manifest."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.routing import Mount

from hanmaru.care.api import routes
from hanmaru.hub.client import HubClient
from hanmaru.platform.services import Attr, Context, EntityType, Layer, Page, Service, Task, Text

if TYPE_CHECKING:
    import typer


def commands() -> "typer.Typer":
    """Return ``hanmaru care``."""
    from hanmaru.care.cli import app

    return app


def faces(context: Context[HubClient]) -> list[Mount]:
    """Return the FHIR face, ``/fhir/R4``."""
    from hanmaru.care.fhir.api import faces

    return faces(context)


async def hospitals(context: Context[HubClient]) -> None:
    """Tell subscribed hospitals, keep referrals, remind citizens."""
    from hanmaru.care.hospital.process import run

    await run(context)


def has_partner(context: Context[HubClient]) -> bool:
    """Whether this Hanmaru is a city's hospital."""
    return (context.data_dir / "partner.toml").exists()


async def partner(context: Context[HubClient]) -> None:
    """Be a city's hospital: take its referrals."""
    from hanmaru.care.hospital.inbox import run

    await run(context)


async def alerts(context: Context[HubClient]) -> None:
    """Escalate alerts that nobody acknowledges."""
    from hanmaru.care.nurse.alerts import escalate

    await escalate(context)


async def places(context: Context[HubClient]) -> None:
    """Keep the hub's measuring places as they are."""
    from hanmaru.care.entities import publish

    await publish(context)


async def demo(context: Context[HubClient]) -> None:
    """Have people of a demo city measured."""
    if context.city.get("demo"):
        from hanmaru.care.demo.run import run

        await run(context)


PERMISSIONS: Mapping[str, Text] = {
    "care.me": {"en": "See one's own health", "ko": "본인 건강정보 조회"},
    "care.measure": {"en": "Measure at a kiosk", "ko": "키오스크 측정"},
    "care.nurse": {"en": "Follow citizens up", "ko": "사후관리"},
    "care.treat": {"en": "Refer and sign off", "ko": "진료 의뢰와 확인"},
    "care.fhir": {"en": "Exchange health records", "ko": "진료정보 교류"},
    "care.manage": {"en": "Manage kiosks and hospitals", "ko": "키오스크와 병원 관리"},
}

ROLES: Mapping[str, Text] = {
    "citizen": {"en": "Citizen", "ko": "시민"},
    "kiosk": {"en": "Kiosk (machine)", "ko": "키오스크 (기계)"},
    "nurse": {"en": "Nurse", "ko": "간호사"},
    "physician": {"en": "Physician", "ko": "의사"},
    "hospital": {"en": "Hospital (machine)", "ko": "병원 (기계)"},
    "care-manager": {"en": "Health centre manager", "ko": "건강센터 관리자"},
}

PLACES: Text = {"en": "Measuring places", "ko": "건강 측정 장소"}
PLACE = (
    Attr("measuredToday", {"en": "Measured today, in fives", "ko": "오늘 측정 (5명 단위)"}, "", 0),
    Attr("kiosksInService", {"en": "Kiosks in service", "ko": "운영 중인 키오스크"}, "", 0),
    Attr("openingHours", {"en": "Open", "ko": "운영 시간"}),
)

PAGES = [
    Page("kiosk", {"en": "Measure", "ko": "측정"}, "/kiosk", "page.js", "care.measure", camera=True),
    Page("desk", {"en": "Follow-up", "ko": "사후관리"}, "/care", "page.js", "care.nurse"),
    Page("manage", {"en": "Health centre", "ko": "건강센터 관리"}, "/care/manage", "page.js", "care.manage"),
    Page("health", {"en": "My health", "ko": "내 건강"}, "/app/health", "page.js", "care.me"),
]

POSE_FENCE = (
    "default-src 'none'; script-src blob: 'wasm-unsafe-eval'; connect-src blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""Of the worker that looks for joints in a photograph: it gets its code, its model and the photograph from the page,
compiles WebAssembly, and reaches nothing outside itself."""

service: Service[HubClient] = Service(
    name="care",
    title={"en": "Health screening", "ko": "건강 측정"},
    routes=routes,
    faces=faces,
    entity_types=[EntityType("HealthScreeningPlace", PLACES)],
    layers=[Layer("places", PLACES, "HealthScreeningPlace", PLACE, "#2b8a3e", None, "pin", visible=False)],
    tasks=[
        Task("alerts", alerts),
        Task("places", places),
        Task("hospitals", hospitals),
        Task("partner", partner, wanted=has_partner),
        Task("demo", demo),
    ],
    permissions=PERMISSIONS,
    roles=ROLES,
    entrusted=["care.nurse", "care.treat", "care.fhir", "care.manage"],
    policies=Path(__file__).with_name("policies"),
    commands=commands,
    pages=PAGES,
    static=Path(__file__).parents[1] / "web" / "services" / "care",
    fences={"pose/worker.js": POSE_FENCE},
)
