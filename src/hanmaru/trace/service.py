"""The room's manifest."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hanmaru.hub.client import HubClient
from hanmaru.platform.services import Attr, EntityType, Layer, Page, Service, Task, Text
from hanmaru.trace.api import routes
from hanmaru.trace.cases.work import WORKFLOWS, demo, inbox, sweep

if TYPE_CHECKING:
    import typer


def commands() -> "typer.Typer":
    """Return ``hanmaru trace``."""
    from hanmaru.trace.cli import app

    return app


PAGES = (
    Page("cases", {"en": "Cases", "ko": "사례"}, "/trace", "page.js", "trace.read"),
    Page("requests", {"en": "Requests", "ko": "자료 요청"}, "/trace/requests", "page.js", "trace.requests"),
    Page("chain", {"en": "Chain", "ko": "전파 경로"}, "/trace/chain", "page.js", "trace.read"),
    Page("hotspots", {"en": "Hotspots", "ko": "위험 장소"}, "/trace/hotspots", "page.js", "trace.read"),
)

PERMISSIONS: Mapping[str, Text] = {
    "trace.requests": {"en": "See lawful requests", "ko": "정보 제공 요청 조회"},
    "trace.read": {"en": "See cases", "ko": "사례 조회"},
    "trace.investigate": {"en": "Investigate cases", "ko": "역학조사"},
    "trace.approve.location": {"en": "Approve requests for locations", "ko": "위치정보 요청 승인"},
    "trace.approve.card": {"en": "Approve requests for card payments", "ko": "카드 내역 요청 승인"},
    "trace.approve.health": {"en": "Approve requests for the national agency", "ko": "질병관리청 승인"},
    "trace.answer": {"en": "Answer requests", "ko": "요청 자료 제출"},
    "trace.destroy": {"en": "Destroy cases", "ko": "사례 파기"},
}

ENTRUSTED = ("trace.approve.location", "trace.approve.card", "trace.approve.health", "trace.answer", "trace.destroy")
"""Who approves, and who is told whom a request is about: no administrator makes themselves that."""

HOTSPOTS: Text = {"en": "Infection hotspots", "ko": "감염 위험 장소"}
HOTSPOT = (
    Attr("peopleCount", {"en": "People", "ko": "인원"}, "", 0, steps=((0, "#c77700"), (20, "#b3261e"))),
    Attr("disease", {"en": "Disease", "ko": "감염병"}),
    Attr("validFrom", {"en": "From", "ko": "시작일"}),
    Attr("validTo", {"en": "To", "ko": "종료일"}),
)

ROLES: Mapping[str, Text] = {
    "investigator": {"en": "Epidemiological investigator", "ko": "역학조사관"},
    "health-approver": {"en": "National agency, approves", "ko": "질병관리청 승인자"},
    "health-director": {"en": "Director of disease control", "ko": "방역관"},
    "police-approver": {"en": "Police, approves locations", "ko": "경찰 승인자 (위치정보)"},
    "card-approver": {"en": "Card association, approves", "ko": "여신금융협회 승인자"},
    "telecom-provider": {"en": "Telecommunication carrier (machine)", "ko": "이동통신사 (기계)"},
    "card-provider": {"en": "Card company (machine)", "ko": "카드사 (기계)"},
    "venue-provider": {"en": "Check-in register (machine)", "ko": "출입명부 (기계)"},
    "camera-provider": {"en": "Camera centre (machine)", "ko": "CCTV 관제센터 (기계)"},
}

service: Service[HubClient] = Service(
    name="trace",
    title={"en": "Epidemiological investigation", "ko": "역학조사"},
    entity_types=[EntityType("EpidemicHotspot", HOTSPOTS)],
    layers=[Layer("hotspots", HOTSPOTS, "EpidemicHotspot", HOTSPOT, "#b3261e", "peopleCount", "people", visible=False)],
    routes=routes,
    tasks=[Task("inbox", inbox), Task("sweep", sweep), Task("demo", demo)],
    workflows=WORKFLOWS,
    permissions=PERMISSIONS,
    roles=ROLES,
    entrusted=ENTRUSTED,
    policies=Path(__file__).with_name("policies"),
    commands=commands,
    pages=PAGES,
    static=Path(__file__).parents[1] / "web" / "services" / "trace",
)
