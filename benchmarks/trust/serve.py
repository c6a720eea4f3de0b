"""One web worker of the hub, with its locks or without: ``python -m benchmarks.trust.serve on|off PORT FOLDER``.

``off`` takes policy and audit out of the way of every request; identity, limits and everything else stay as they are.
"""

import socket
import sys
from pathlib import Path

from hanmaru import worker
from hanmaru.config import Limits, Settings
from hanmaru.hub.api import request as hub_request
from hanmaru.platform.access import Access
from hanmaru.platform.identity.accounts import Accounts
from hanmaru.platform.policy import door

PASSWORD = "seven horses over the river"


def take_off() -> None:
    """Let everybody do everything, unasked and unwritten."""
    door.guard = lambda request, permission: door.caller_of(request)
    everything = Access(write=True)
    hub_request.access_of = lambda request, tenant="": everything


def main() -> None:
    """Serve until terminated."""
    mode, port, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    if mode == "off":
        take_off()
    no_limits = Limits(requests_per_s=0, anonymous_per_s=0)
    settings = Settings(data=folder, port=port, audit_reads=True, limits=no_limits)
    accounts = Accounts(folder)
    if not accounts.find("bench"):
        accounts.add("bench", PASSWORD, "writer")
    accounts.close()
    worker.serve(settings, "web-1", [socket.create_server(("127.0.0.1", port))], lambda: None)


if __name__ == "__main__":
    main()
