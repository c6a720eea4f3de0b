"""The room's manifest."""

from pathlib import Path
from typing import TYPE_CHECKING

from hanmaru.hub.client import HubClient
from hanmaru.platform.services import Page, Service

if TYPE_CHECKING:
    import typer


def commands() -> "typer.Typer":
    """Return ``hanmaru trace``."""
    from hanmaru.trace.cli import app

    return app


PAGES = (
    Page("cases", {"en": "Cases", "ko": "사례"}, "/trace", "page.js", "read"),
    Page("requests", {"en": "Requests", "ko": "자료 요청"}, "/trace/requests", "page.js", "read"),
    Page("chain", {"en": "Chain", "ko": "전파 경로"}, "/trace/chain", "page.js", "read"),
    Page("hotspots", {"en": "Hotspots", "ko": "위험 장소"}, "/trace/hotspots", "page.js", "read"),
)

service: Service[HubClient] = Service(
    name="trace",
    title={"en": "Epidemiological investigation", "ko": "역학조사"},
    commands=commands,
    pages=PAGES,
    static=Path(__file__).parents[1] / "web" / "services" / "trace",
)
