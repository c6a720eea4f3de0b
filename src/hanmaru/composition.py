"""What a worker runs: the hub opened as the settings say, the city as plain data, and the engine's background work."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.routing import BaseRoute

from hanmaru.config import Settings, config_file
from hanmaru.hub.client import HubClient
from hanmaru.locks import open_locks, rights_of
from hanmaru.platform.access import Access
from hanmaru.platform.audit.trail import Trail
from hanmaru.platform.egress import Egress
from hanmaru.platform.policy import caller_of, policy_of
from hanmaru.platform.services import Context, Service, installed
from hanmaru.platform.trust import Locks
from hanmaru.prepare import map_folder

if TYPE_CHECKING:
    from starlette.requests import Request

    from hanmaru.connectors.sources import Connector
    from hanmaru.hub.owners import Rights


@dataclass(frozen=True, slots=True)
class OpenHub:
    """An open hub: a client that sees and changes everything, its HTTP routes, its own background work.

    `keep_to` makes its subscriptions show what their owners may see at the time.
    """

    client: HubClient
    routes: Callable[[], Sequence[BaseRoute]]
    jobs: Sequence["Job"]
    keep_to: Callable[["Rights"], None]


@dataclass(frozen=True, slots=True)
class Job:
    """A piece of background work: runs until cancelled, or returns when there is nothing left to do."""

    name: str
    run: Callable[[], Awaitable[None]]


@asynccontextmanager
async def open_hub(settings: Settings) -> AsyncGenerator[OpenHub]:
    """Open the store and give the hub for as long as it is open."""
    from hanmaru.hub import local, notifier, retention
    from hanmaru.hub.api.routes import routes
    from hanmaru.hub.contexts import Contexts
    from hanmaru.hub.lanes import Limits

    settings.data.mkdir(parents=True, exist_ok=True)
    async with local.open_hub(settings.store_url) as hub:
        limits = settings.contexts
        egress = Egress(settings.egress.allow)
        hub.contexts = Contexts(hub.store, max_bytes=limits.max_bytes, timeout_s=limits.timeout_s, egress=egress)
        jobs = [Job("notifier", partial(notifier.run, hub, limits=Limits(egress=egress)))]
        if settings.kept_days is not None:
            jobs.append(Job("retention", partial(retention.run, hub, settings.kept_days * 86_400)))

        def keep_to(rights: "Rights") -> None:
            hub.rights = rights

        yield OpenHub(hub.client(Access(write=True)), lambda: routes(hub, may_manage), jobs, keep_to)


def may_manage(request: "Request", owner: str) -> bool:
    """Whether the request's caller may see and pause the subscriptions of others."""
    return policy_of(request).allows(caller_of(request), "subscriptions.manage")


def city_document(settings: Settings) -> Mapping[str, Any]:
    """Return the city's profile as plain data: what services and the shell know of the city.

    ``services`` names those that are enabled: the settings' where given, else the profile's where it names any, else
    all that are installed. Raises `hanmaru.city.profile.ProfileError` for a profile that cannot be used.
    """
    from hanmaru.city.profile import load

    profile = load(settings.city).as_dict()
    enabled = settings.services if settings.services is not None else profile["services"] or None
    services = None if enabled is None else list(enabled)
    return {**profile, "services": services, "basemap_path": str(map_folder(settings)), "demo": settings.demo}


def services_of(settings: Settings) -> list[Service[Any]]:
    """Return the enabled services that are installed."""
    return installed(city_document(settings)["services"])


def engine_jobs(settings: Settings, hub: OpenHub, closing: AsyncExitStack) -> tuple[list[Job], list[str]]:
    """Return the background work of the engine worker, and the names of what is to have a process of its own.

    ``closing`` is closed after it and before the hub.
    """
    from hanmaru.platform.audit.index import keep_index
    from hanmaru.platform.handover import ROOM
    from hanmaru.platform.jobs.database import url_of
    from hanmaru.platform.jobs.engine import run_jobs
    from hanmaru.platform.vault.upkeep import upkeep

    city = city_document(settings)
    services = installed(city["services"])
    audit = closing.enter_context(Trail(settings.data, settings.keys_folder, "engine"))
    locks = closing.enter_context(open_locks(settings, services, audit))
    if settings.auth == "on":
        hub.keep_to(closing.enter_context(rights_of(settings, locks.policy)))
    jobs = [
        *hub.jobs,
        Job("audit index", partial(keep_index, settings.data)),
        Job("vaults' upkeep", partial(upkeep, locks.vaults)),
        Job("hand-over", locks.handover.tend),
    ]
    if connectors := connectors_of(settings):
        from hanmaru.connectors.run import run_connectors

        run = partial(run_connectors, hub.client, connectors, settings.data, schemas(services))
        jobs.append(Job("connectors", run))
    if settings.demo:
        from hanmaru.city.demo import run_demo
        from hanmaru.city.profile import load

        folder = settings.data / "city"
        folder.mkdir(exist_ok=True)
        jobs.append(Job("demo city", partial(run_demo, hub.client, load(settings.city), folder)))
    contexts = {
        service.name: service_context(settings, service, hub.client, city, locks, closing) for service in services
    }
    apart: list[str] = []
    for service in services:
        for task in service.tasks:
            context = contexts[service.name]
            if task.wanted is not None and not task.wanted(context):
                continue
            if task.apart:
                apart.append(f"{service.name}-{task.name}")
            else:
                jobs.append(Job(f"{service.name}: {task.name}", partial(task.run, context)))
    url = url_of(settings.data, settings.store_url)
    of_room = {ROOM: locks.handover, **contexts}.__getitem__
    jobs.append(Job("workflows", partial(run_jobs, url, locks.jobs, of_room, city["zone"])))
    return jobs, apart


def job_apart(settings: Settings, hub: OpenHub, closing: AsyncExitStack, name: str) -> Job:
    """Return the background work of a process of its own, by the name that `engine_jobs` gave it."""
    city = city_document(settings)
    services = installed(city["services"])
    audit = closing.enter_context(Trail(settings.data, settings.keys_folder, name))
    locks = closing.enter_context(open_locks(settings, services, audit))
    service, task = next((s, t) for s in services for t in s.tasks if t.apart and f"{s.name}-{t.name}" == name)
    context = service_context(settings, service, hub.client, city, locks, closing)
    return Job(f"{service.name}: {task.name}", partial(task.run, context))


def connectors_of(settings: Settings) -> "Sequence[Connector]":
    """Return the configured connectors; raises `hanmaru.connectors.errors.MappingError` for one that cannot run."""
    if not settings.connectors:
        return []
    from hanmaru.connectors.sources import parse_connectors

    return parse_connectors(settings.connectors, str(config_file()), config_file().parent)


def schemas(services: Sequence[Service[Any]]) -> dict[str, Mapping[str, Any] | None]:
    """Return the JSON Schemas of the services' own entity types, by name."""
    return {kind.name: kind.schema for service in services for kind in service.entity_types}


@asynccontextmanager
async def opened(settings: Settings, tenant: str) -> AsyncGenerator[tuple[HubClient, Path]]:
    """Open the hub for a command: a client that may write to a tenant, and the data folder."""
    async with open_hub(settings) as hub:
        yield hub.client.acting(Access(tenant=tenant, write=True)), settings.data


def service_context(
    settings: Settings,
    service: Service[Any],
    hub: HubClient,
    city: Mapping[str, Any],
    locks: Locks,
    closing: AsyncExitStack,
) -> Context[HubClient]:
    """Return what a service is given, with a folder of its own that exists."""
    folder = settings.data / "services" / service.name
    folder.mkdir(parents=True, exist_ok=True)
    egress = Egress(settings.egress.allow)
    return Context(hub, folder, city, locks.of(service.name), closing, egress)
