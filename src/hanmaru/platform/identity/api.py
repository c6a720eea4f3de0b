"""Every route about people: signing in, one's own account, and everybody's."""

from starlette.routing import BaseRoute

from hanmaru.platform.identity import administration, own_account, signin
from hanmaru.platform.identity.identity import Identity


def routes(identity: Identity) -> list[BaseRoute]:
    """Return the routes."""
    return [*signin.routes(identity), *own_account.routes(identity), *administration.routes(identity)]
