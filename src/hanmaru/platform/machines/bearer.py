"""Callers by API key or access token: ``Authorization: Bearer …`` (RFC 6750) or ``X-API-Key: …``."""

import asyncio
import time
from collections import OrderedDict

import structlog
from starlette.types import Scope

from hanmaru.platform.audit.record import Audit, Record
from hanmaru.platform.machines.machines import KEY, TOKEN, Machines, WrongSecret
from hanmaru.platform.origin import address_of, network
from hanmaru.platform.policy import Caller
from hanmaru.platform.problems import Problem, sentence

log = structlog.get_logger()

USE_NOTED_S = 60
FAILURES = 40
FAILURE_WINDOW_S = 300
LONGEST = 200
"""No secret of ours is longer; a longer credential is not even hashed."""


class Failures:
    """Wrong secrets by address within `FAILURE_WINDOW_S`, for a bounded number of addresses.

    A right secret is never refused for others' wrong ones: 256 bits cannot be guessed, so the secrets need no limit; it
    keeps the audit trail from being filled.
    """

    def __init__(self, addresses: int = 10_000) -> None:
        """Remember so many addresses."""
        self._addresses = addresses
        self._times: OrderedDict[str, list[float]] = OrderedDict()

    def wait_s(self, address: str) -> int:
        """Count a failure and return 0, or the whole seconds that the address must wait since it had too many."""
        now, key = time.monotonic(), network(address)
        times = self._times.setdefault(key, [])
        if len(times) == FAILURES and now < times[0] + FAILURE_WINDOW_S:
            return int(times[0] + FAILURE_WINDOW_S - now) + 1
        times.append(now)
        del times[:-FAILURES]
        self._times.move_to_end(key)
        if len(self._times) > self._addresses:
            self._times.popitem(last=False)
        return 0


class Bearer:
    """The `hanmaru.platform.identity.identity.Authenticator` of machines."""

    def __init__(self, machines: Machines, audit: Audit | None = None) -> None:
        """Make it over the machines."""
        self._machines, self._audit = machines, audit
        self._failures = Failures()
        self._noted: dict[str, float] = {}
        self.writing: set[asyncio.Task[None]] = set()

    async def caller(self, scheme: str, credential: str, scope: Scope) -> Caller | None:
        """Return whose key or token it is; None for a bearer token that is none of ours.

        Raises Problem 401 for one that opens nothing and 429 after too many of those from one address.
        """
        if scheme != "x-api-key" and not (scheme == "bearer" and credential.startswith((KEY, TOKEN))):
            return None
        try:
            if len(credential) > LONGEST:
                raise WrongSecret("this is no key or token")
            if scheme == "x-api-key" or credential.startswith(KEY):
                machine = self._machines.by_key(credential)
                roles = machine.roles
            else:
                machine, roles = self._machines.by_token(credential)
        except WrongSecret as wrong:
            raise self._refused(wrong, scope) from None
        self._note_use(machine.id)
        return Caller(machine.caller_name, roles, "machine")

    def _refused(self, wrong: WrongSecret, scope: Scope) -> Problem:
        address = address_of(scope)
        if wait_s := self._failures.wait_s(address):
            return Problem(429, "Too many failed attempts", f"Try again in {wait_s} s.", retry_after_s=wait_s)
        if self._audit:
            claimed = {"claimed": wrong.machine.caller_name} if wrong.machine and not wrong.proven else {}
            self._audit.record(
                Record(
                    wrong.machine.caller_name if wrong.machine and wrong.proven else "",
                    "client.refuse",
                    f"{scope['method']} {scope['path']}",
                    "deny",
                    where=address,
                    request=scope.get("request_id", ""),
                    detail={"reason": wrong.reason, **claimed},
                )
            )
        return Problem(401, "Credentials refused", sentence(wrong))

    def _note_use(self, id: str) -> None:
        """Write down, aside, that a machine is used; at most once a minute and worker."""
        now = time.time()
        if now - self._noted.get(id, 0.0) < USE_NOTED_S:
            return
        self._noted[id] = now  # bounded by the number of machines
        task = asyncio.create_task(self._write(id, now))
        self.writing.add(task)
        task.add_done_callback(self.writing.discard)

    async def _write(self, id: str, at: float) -> None:
        try:
            await asyncio.to_thread(self._machines.note_use, id, at)
        except Exception:
            log.warning("use of a machine's key could not be noted", machine=id, exc_info=True)
