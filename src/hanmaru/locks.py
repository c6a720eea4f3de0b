"""What guards the house: policy, vaults, jobs and hand-over as the settings say, and who comes in by which gate."""

from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.routing import BaseRoute

from hanmaru.config import Settings
from hanmaru.platform.access import Access
from hanmaru.platform.audit.record import Audit, Record
from hanmaru.platform.policy.cedar import Caller, Policy, require_apart
from hanmaru.platform.services import Service
from hanmaru.platform.trust import Locks

if TYPE_CHECKING:
    from hanmaru.hub.owners import Rights
    from hanmaru.platform.identity.identity import Identity
    from hanmaru.platform.jobs.client import Jobs


@contextmanager
def open_gates(settings: Settings, who: "Identity", audit: Audit) -> Generator[list[BaseRoute]]:
    """Let machines in by key or token, and people through the OpenID Connect provider, for as long as the block lasts.

    Gives the routes for it; ``who`` learns whom it will know by them.
    """
    from hanmaru.platform.machines import api, oauth
    from hanmaru.platform.machines.bearer import Bearer
    from hanmaru.platform.machines.machines import Machines

    with ExitStack() as stack:
        machines = stack.enter_context(closing(Machines(settings.data)))
        who.authenticators, who.own_credentials = [Bearer(machines, audit)], oauth.OWN_CREDENTIALS
        routes = [*oauth.routes(machines, audit, settings.public_url)]
        if settings.auth == "on":  # while it is off, nobody knows to whom a key would be given that stays good after
            routes += api.routes(machines)
        if settings.oidc.issuer is not None and settings.auth == "on":
            from hanmaru.platform.egress import Egress
            from hanmaru.platform.oidc import login, provider

            client = provider.Client(**settings.oidc.model_dump())
            logins = stack.enter_context(closing(login.Logins(settings.data)))
            routes += login.routes(provider.Provider(client, Egress(settings.egress.allow)), logins, who)
            who.oidc_title = client.title
        yield routes


@contextmanager
def open_locks(settings: Settings, services: Sequence[Service[Any]], audit: Audit) -> Generator[Locks]:
    """Give policy, vaults and jobs for as long as the block lasts."""
    from hanmaru.platform.handover import Handover
    from hanmaru.platform.vault import Vaults

    policy = make_policy(settings, services)

    def tell() -> None:
        """Note which rules are in force: whoever may write the files gives rights, and the trail shows when."""
        facts = {"sha256": policy.digest, "demo": str(settings.demo).lower(), "auth": settings.auth}
        audit.record(Record("system:policy", "policy.in-force", "policies", detail=facts))

    tell()
    policy.told = tell
    vaults = Vaults(settings.data, settings.keys_folder, audit, policy)
    jobs = make_jobs(settings, services)
    handover = Handover(settings.data, vaults, audit, policy, jobs, settings.handover_days)
    try:
        yield Locks(policy, audit, vaults, jobs, handover)
    finally:
        handover.close()
        jobs.close()
        vaults.close()


def make_policy(settings: Settings, services: Sequence[Service[Any]]) -> Policy:
    """Return the policy of the built-in files, the services' and the city's; raises PolicyError."""
    from hanmaru.hub.terms import CORE_TERMS

    actions = [name for service in services for name in service.permissions]
    entrusted = [name for service in services for name in service.entrusted]
    folders = policy_folders(settings, services)
    return Policy(folders, actions=actions, entrusted=entrusted, demo=settings.demo, expand=CORE_TERMS.expand)


def policy_folders(settings: Settings, services: Sequence[Service[Any]]) -> list[Path]:
    """Return the folders of policies beside the built-in one, the strongest last; raises PolicyError."""
    folders = [service.policies for service in services if service.policies is not None]
    require_apart(folders)
    return [*folders, *([settings.policies] if settings.policies is not None else [])]


def make_jobs(settings: Settings, services: Sequence[Service[Any]]) -> "Jobs":
    """Return the durable workflows of the services; nothing is opened before their first use."""
    from hanmaru.platform import handover
    from hanmaru.platform.jobs import declared
    from hanmaru.platform.jobs.client import Jobs
    from hanmaru.platform.jobs.database import url_of

    rooms = [(service.name, service.workflows, service.schedules) for service in services]
    own = (handover.ROOM, handover.WORKFLOWS, ())
    return Jobs(url_of(settings.data, settings.store_url), declared([own, *rooms]))


@contextmanager
def rights_of(settings: Settings, policy: Policy) -> Generator["Rights"]:
    """Give what says what an account or machine, by the name that requests carry, may read of a tenant now."""
    from hanmaru.banner import open_accounts
    from hanmaru.platform.machines.machines import Machines

    with closing(open_accounts(settings)) as accounts, closing(Machines(settings.data)) as machines:

        def rights(owner: str, tenant: str) -> Access | None:
            if account := accounts.find(owner):
                caller = None if account.locked else Caller(account.name, account.roles)
            else:
                roles = machines.roles_of(owner)
                caller = None if roles is None else Caller(owner, roles, "machine")
            access = policy.access(caller, "read", tenant) if caller else None
            return access if access and access.grants else None

        yield rights
