"""The commands that other packages define: each is loaded, with all it needs, when it is used."""

from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from hanmaru.config import Settings
    from hanmaru.platform.audit.trail import Trail
    from hanmaru.platform.identity.cli import Office
    from hanmaru.platform.machines.cli import Gate


def finish_restore(settings: "Settings") -> None:
    """Carry out a restore that was decided and then interrupted."""
    if (settings.data / "run" / "restore.json").exists():
        from hanmaru.backup.swap import finish
        from hanmaru.platform import logs

        logs.set_up("restore", level="warning")
        finish(settings)


def _settings(data: Path | None) -> "Settings":
    from hanmaru.config import load

    settings = load(data=data)
    finish_restore(settings)
    return settings


def _folders(data: Path | None) -> tuple[Path, Path]:
    settings = _settings(data)
    return settings.data, settings.keys_folder


def _trail(settings: "Settings") -> "Trail":
    from hanmaru.platform.audit.trail import Trail

    return Trail(settings.data, settings.keys_folder, "cli")


def _user() -> typer.Typer:
    from hanmaru.platform.identity.cli import accounts_app

    return accounts_app(_office)


@contextmanager
def _office(data: Path | None) -> "Generator[Office]":
    from hanmaru.banner import address, open_accounts
    from hanmaru.composition import services_of
    from hanmaru.locks import make_policy
    from hanmaru.platform.identity.cli import Office

    settings = _settings(data)
    with (
        _trail(settings) as audit,
        closing(open_accounts(settings)) as accounts,
    ):
        yield Office(
            accounts,
            audit,
            lambda: make_policy(settings, services_of(settings)).roles,
            settings.public_url or address(settings, settings.port),
        )


def _client() -> typer.Typer:
    from hanmaru.platform.machines.cli import clients_app

    return clients_app(_gate)


@contextmanager
def _gate(data: Path | None) -> "Generator[Gate]":
    from hanmaru.composition import services_of
    from hanmaru.locks import make_policy
    from hanmaru.platform.machines.cli import Gate
    from hanmaru.platform.machines.machines import Machines

    settings = _settings(data)
    with (
        _trail(settings) as audit,
        closing(Machines(settings.data)) as machines,
    ):
        yield Gate(machines, audit, lambda: make_policy(settings, services_of(settings)).roles)


def _city() -> typer.Typer:
    from hanmaru.city.cli import app

    return app


def _ingest() -> Callable[..., None]:
    from hanmaru.composition import opened, schemas, services_of
    from hanmaru.connectors.cli import ingest_command
    from hanmaru.connectors.schemas import TypeRegistry

    settings = _settings(None)

    def types() -> TypeRegistry:
        return TypeRegistry(schemas(services_of(settings)))

    return ingest_command(partial(opened, settings), types)


def _connect() -> Callable[..., None]:
    from hanmaru.composition import opened, schemas, services_of
    from hanmaru.connectors.cli import connect_command

    settings = _settings(None)
    return connect_command(partial(opened, settings), lambda: schemas(services_of(settings)))


def _policy() -> typer.Typer:
    from hanmaru.composition import services_of
    from hanmaru.hub.terms import CORE_TERMS
    from hanmaru.locks import policy_folders
    from hanmaru.platform.policy.cli import make_app

    settings = _settings(None)
    services = services_of(settings)
    return make_app(
        lambda: policy_folders(settings, services),
        lambda: [name for service in services for name in service.permissions],
        CORE_TERMS.expand,
    )


def _audit() -> typer.Typer:
    from hanmaru.platform.audit.cli import audit_app

    return audit_app(_folders)


def _vault() -> typer.Typer:
    from hanmaru.platform.vault.cli import vault_app

    return vault_app(_folders)


def _jobs() -> typer.Typer:
    from hanmaru.composition import services_of
    from hanmaru.locks import make_jobs
    from hanmaru.platform.jobs.cli import jobs_app
    from hanmaru.platform.jobs.client import Jobs

    def open(data: Path | None) -> Jobs:
        settings = _settings(data)
        return make_jobs(settings, services_of(settings))

    return jobs_app(open, lambda data: _trail(_settings(data)))


def _backup() -> Callable[..., None]:
    from hanmaru.backup.cli import backup_command

    return backup_command


def _restore() -> Callable[..., None]:
    from hanmaru.backup.cli import restore_command

    return restore_command


def _service() -> typer.Typer:
    from hanmaru.scaffold.cli import app

    return app


Commands = dict[str, tuple[str, Callable[[], typer.Typer | Callable[..., None]]]]

COMMANDS: Commands = {
    "user": ("Manage the accounts that may sign in.", _user),
    "client": ("Manage the machines that may come in: OAuth 2 clients and API keys.", _client),
    "backup": ("Back up the data folder, also while the hub runs.", _backup),
    "restore": ("Put a backup in the place of the data, also while the hub runs.", _restore),
    "city": ("Make and inspect the city that the demo runs.", _city),
    "ingest": ("Bring a file into the hub.", _ingest),
    "policy": ("Check the policies, and say why they decide as they do.", _policy),
    "audit": ("Verify, search and export the audit trail.", _audit),
    "vault": ("See the vaults, rotate and back up their keys.", _vault),
    "jobs": ("See the durable workflows, and stop them.", _jobs),
    "service": ("Begin a service of your own, and see which are installed.", _service),
    "connect": ("Run the configured connectors without the rest of the hub.", _connect),
}
"""What the commands are called, as (help, how to load it)."""
