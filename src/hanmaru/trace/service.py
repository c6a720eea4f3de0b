"""The room's manifest."""

from typing import TYPE_CHECKING

from hanmaru.hub.client import HubClient
from hanmaru.platform.services import Service

if TYPE_CHECKING:
    import typer


def commands() -> "typer.Typer":
    """Return ``hanmaru trace``."""
    from hanmaru.trace.cli import app

    return app


service: Service[HubClient] = Service(
    name="trace",
    title={"en": "Epidemiological investigation", "ko": "역학조사"},
    commands=commands,
)
