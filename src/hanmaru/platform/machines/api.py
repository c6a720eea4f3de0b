"""Administration of machines over HTTP: list, add, rotate and remove OAuth 2 clients and API keys."""

import asyncio
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hanmaru.platform.bodies import answer, instant, read
from hanmaru.platform.machines.machines import DAYS, OVERLAP_H, Issued, Kind, Machine, MachineError, Machines
from hanmaru.platform.policy import GuardedRoute, audit_of, guard_roles, record_of
from hanmaru.platform.problems import Problem, not_found, sentence

PERMISSION = "accounts.manage"


class NewClient(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What adding a machine sends; ``days`` is how long a secret of it is good."""

    name: str
    kind: Kind
    roles: Annotated[list[str], msgspec.Meta(min_length=1)]
    days: int = DAYS


class Rotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a rotation may send: for how many hours the old secret stays good."""

    overlap_h: float = OVERLAP_H


def document(machine: Machine, last_used: float | None = None) -> dict[str, Any]:
    """Return a machine as the HTTP interface and the command line show it; times in UTC."""
    return {
        "id": machine.id,
        "name": machine.name,
        "kind": machine.kind,
        "roles": machine.roles,
        "created": instant(machine.created),
        "expires": instant(machine.expires),
        "last_used": instant(last_used),
    }


def issued_document(issued: Issued) -> dict[str, Any]:
    """Return a machine with its ``secret``, this once: the API key, or the secret of the OAuth 2 client ``id``."""
    return {**document(issued.machine), "secret": issued.secret}


def routes(machines: Machines) -> list[BaseRoute]:
    """Return the routes that administer machines."""

    async def show(request: Request) -> Response:
        """List the machines: OAuth 2 clients and API keys, without their secrets."""
        return answer([document(*row) for row in await asyncio.to_thread(machines.all)])

    async def add(request: Request) -> Response:
        """Add a machine and return its secret, which is shown this once."""
        new = await read(request, NewClient, '{"name": …, "kind": …, "roles": […]}')
        guard_roles(request, (), new.roles)
        try:
            issued = await asyncio.to_thread(machines.add, new.name, new.kind, new.roles, new.days)
        except MachineError as error:
            raise _refused(error) from None
        _record(request, "client.add", issued.machine)
        return answer(issued_document(issued), 201)

    async def rotate(request: Request) -> Response:
        """Give a machine a new secret, shown this once; the old one stays good for up to 24 hours."""
        sent = await request.body()
        rotation = await read(request, Rotation, '{"overlap_h": …}') if sent else Rotation()
        guard_roles(request, _known(machines, request).roles, ())  # whoever has the secret can be that machine
        try:
            issued = await asyncio.to_thread(machines.rotate, request.path_params["id"], rotation.overlap_h)
        except MachineError as error:
            raise _refused(error) from None
        _record(request, "client.rotate", issued.machine)
        return answer(issued_document(issued))

    async def remove(request: Request) -> Response:
        """Remove a machine; its secret and tokens are refused from now on."""
        machine = _known(machines, request)
        try:
            await asyncio.to_thread(machines.remove, machine.id)
        except MachineError as error:  # somebody else was faster
            raise not_found(sentence(error)) from None
        _record(request, "client.remove", machine)
        return Response(status_code=204)

    return [
        GuardedRoute("/api/clients", show, permission=PERMISSION),
        GuardedRoute("/api/clients", add, permission=PERMISSION, methods=["POST"], name="add_client"),
        GuardedRoute("/api/clients/{id}", remove, permission=PERMISSION, methods=["DELETE"], name="remove_client"),
        GuardedRoute("/api/clients/{id}/rotate", rotate, permission=PERMISSION, methods=["POST"], name="rotate_client"),
    ]


def _known(machines: Machines, request: Request) -> Machine:
    id = request.path_params["id"]
    machine = machines.find(id)
    if machine is None:
        raise not_found(f"There is no machine {id!r}.")
    return machine


def _refused(error: MachineError) -> Problem:
    return Problem(400, "Cannot be done", sentence(error))


def _record(request: Request, action: str, machine: Machine) -> None:
    if audit := audit_of(request):
        facts = {"client": machine.caller_name, "kind": machine.kind, "roles": " ".join(machine.roles)}
        audit.record(record_of(request, action, detail=facts))
