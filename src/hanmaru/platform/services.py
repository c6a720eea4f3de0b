"""The plug-in manifest: what a service declares, and how installed services are found.

A service is a Python package with an entry point in the group ``hanmaru.services`` that names a `Service`. Built-in
rooms use exactly this mechanism.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import structlog
from starlette.routing import BaseRoute, Mount

from hanmaru.platform.egress import EVERYWHERE, Egress
from hanmaru.platform.jobs.manifest import Schedule, Workflow
from hanmaru.platform.trust import Trust

if TYPE_CHECKING:
    import typer

log = structlog.get_logger()

H = TypeVar("H")
"""The hub client's type: `hanmaru.hub.client.HubClient`, which this package may not import."""

Text = Mapping[str, str]
"""A text by language tag; ``en`` is always there and is what a missing language falls back to."""

ENTRY_POINT_GROUP = "hanmaru.services"


_PATH = re.compile(r"(?!/(?:api|assets|services|ngsi-ld|manage)(?:/|$))(?:/[a-z][a-z0-9-]*)+")


@dataclass(frozen=True, slots=True)
class Context(Generic[H]):
    """What a service is given at run time: the hub, a folder of its own, the city's profile as plain data.

    ``trust`` holds policy, audit, the vault for the service's personal data, and its durable jobs. ``egress`` says to
    which addresses the service may send requests that others' texts ask it for.

    What a service pushes onto ``closing`` is closed before the hub is: the place to end what its routes have started.
    """

    hub: H
    data_dir: Path
    city: Mapping[str, Any]
    trust: Trust
    closing: AsyncExitStack = field(default_factory=AsyncExitStack)
    egress: Egress = EVERYWHERE


@dataclass(frozen=True, slots=True)
class EntityType:
    """An entity type that the service reads or writes; ``schema`` is a JSON Schema of its simplified representation."""

    name: str
    title: Text
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Attr:
    """How one attribute is shown: its label, unit and, for a value worth colouring, ascending (from, colour) steps.

    ``scale`` takes the entity's value to the shown unit (100 shows a fraction as %); a step's colour holds from its
    limit on, in the shown unit.
    """

    name: str
    label: Text
    unit: str = ""
    decimals: int | None = None
    scale: float = 1
    steps: Sequence[tuple[float, str]] = ()


@dataclass(frozen=True, slots=True)
class Layer:
    """A map layer: entities of one type at their ``location``, clustered, coloured by ``colour_by`` where given."""

    id: str
    title: Text
    type: str
    attrs: Sequence[Attr] = ()
    colour: str = "#3366cc"
    colour_by: str | None = None
    icon: str = "circle"
    visible: bool = True


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel of the shell.

    ``kind`` ``values`` shows an entity's attributes now (for the city, their means), ``chart`` their history over
    ``hours``, ``table`` the entities of a type; ``module`` loads the ES module ``module`` (a path under the
    service's ``static`` folder), which exports ``mount(element, shell)`` and may return a function that takes it down.
    ``types`` limits an entity panel to entities of those types; ``place`` says where the shell puts it.
    """

    id: str
    title: Text
    kind: Literal["values", "chart", "table", "module"]
    place: Literal["entity", "city"] = "entity"
    types: Sequence[str] = ()
    attrs: Sequence[Attr] = ()
    hours: float = 24
    module: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the shell at ``path``, for who has ``permission``, drawn by an ES module.

    ``module`` is a path under the service's ``static`` folder; it exports ``mount(element, shell)`` and may return a
    function that takes the page down. Addresses under ``path`` are the page's own, except for those of a page with a
    longer path. What the hub itself answers at an address comes first. ``camera`` lets the page use the device's
    camera, which no other page may, when it is opened by its address. Raises ValueError for a ``path`` that is not
    small words after slashes.
    """

    id: str
    title: Text
    path: str
    module: str
    permission: str = "read"
    camera: bool = False

    def __post_init__(self) -> None:
        """Refuse a path that would take more than addresses of its own."""
        if not _PATH.fullmatch(self.path):
            raise ValueError(f"A page's path matches {_PATH.pattern}, and {self.path!r} does not.")


@dataclass(frozen=True, slots=True)
class Task(Generic[H]):
    """Background work that an engine worker runs for as long as the hub is up; it must end when cancelled.

    With ``apart`` it has a process of its own, which the supervisor keeps running: for work that must not wait for
    other work, nor other work for it. ``wanted`` says, once at each start, whether this city has such work at all.
    """

    name: str
    run: Callable[[Context[H]], Awaitable[None]]
    apart: bool = False
    wanted: Callable[[Context[H]], bool] | None = None


@dataclass(frozen=True, slots=True)
class Service(Generic[H]):
    """A room's manifest. ``routes`` are mounted at ``/api/<name>/v1``; ``static`` at ``/services/<name>``.

    ``faces`` are mounted at addresses that a standard fixes, such as ``/fhir/R4``, each with its routes and errors.

    ``fences`` are the content security policies of files of ``static`` that run as workers, by path: others may load
    and run nothing.

    ``permissions`` are the actions that its routes ask policy for, such as ``bikes.repair``; ``policies`` is a folder
    of Cedar files that say which roles have them; ``roles`` names the roles that it brings. ``entrusted`` are those of
    its permissions that make a role one of trust, which administrators cannot give away: that open personal data, or
    approve its opening. ``commands`` loads what ``hanmaru <name>`` offers. Raises ValueError where ``entrusted`` names
    what is no permission of the service's own.
    """

    name: str
    title: Text
    entity_types: Sequence[EntityType] = ()
    routes: Callable[[Context[H]], Sequence[BaseRoute]] | None = None
    faces: Callable[[Context[H]], Sequence[Mount]] | None = None
    tasks: Sequence[Task[H]] = ()
    workflows: Sequence[Workflow] = ()
    schedules: Sequence[Schedule] = ()
    layers: Sequence[Layer] = ()
    panels: Sequence[Panel] = ()
    pages: Sequence[Page] = ()
    static: Path | None = None
    fences: Mapping[str, str] = field(default_factory=dict[str, str])
    permissions: Mapping[str, Text] = field(default_factory=dict[str, Text])
    roles: Mapping[str, Text] = field(default_factory=dict[str, Text])
    entrusted: Sequence[str] = ()
    policies: Path | None = None
    commands: "Callable[[], typer.Typer] | None" = None

    def __post_init__(self) -> None:
        """Refuse to take roles of others from administrators."""
        if foreign := sorted({*self.entrusted} - self.permissions.keys()):
            raise ValueError(f"entrusted names {', '.join(foreign)}, which the service's permissions do not.")


_NAME = re.compile(r"(?!handover$)(?!.*-received$)[a-z][a-z0-9_-]{0,31}")
"""A service's name: it names folders and a vault, too. The hub itself works as ``handover`` and in ``…-received``."""


def installed(enabled: Sequence[str] | None = None) -> list[Service[Any]]:
    """Load the installed services, by name; ``enabled`` limits them to the ones it names.

    One that cannot be loaded is logged and left out: a stranger's mistake does not stop the city. So is one whose name
    is not its entry point's or belongs to a room that is there: a name opens the room's vault, jobs and hand-overs.
    """
    services: list[Service[Any]] = []
    for entry_point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=_ours_first):
        if enabled is not None and entry_point.name not in enabled:
            continue
        try:
            service = entry_point.load()
        except Exception:
            log.exception("service could not be loaded", service=entry_point.name, entry_point=entry_point.value)
            continue
        if not isinstance(service, Service):
            log.error("entry point names no Service", service=entry_point.name, entry_point=entry_point.value)
        elif why := _misnamed(service.name, entry_point.name, services):
            log.error("service left out", service=service.name, entry_point=entry_point.value, reason=why)
        else:
            services.append(service)  # pyright: ignore[reportUnknownArgumentType] - checked where it is used
    return services


def _ours_first(entry_point: EntryPoint) -> tuple[str, bool]:
    return entry_point.name, getattr(getattr(entry_point, "dist", None), "name", "") != "hanmaru"


def _misnamed(name: object, entry_point: str, services: Sequence[Service[Any]]) -> str:
    """Return why a service may not have its name; nothing when it may."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return f"a service's name matches {_NAME.pattern}"
    if name != entry_point:
        return f"its entry point is named {entry_point!r}"
    return "another package has a service of this name" if any(name == other.name for other in services) else ""
