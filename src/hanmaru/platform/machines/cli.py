"""``hanmaru client``: machines from the command line, hub up or not, for whoever may write the data folder."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from hanmaru.platform.audit.record import Audit, Record, at_command_line
from hanmaru.platform.console import Data, Json, say
from hanmaru.platform.machines.api import document, issued_document
from hanmaru.platform.machines.machines import DAYS, OVERLAP_H, Issued, Machine, MachineError, Machines

Name = Annotated[str, typer.Argument(help="The machine's name or id.")]


@dataclass(frozen=True, slots=True)
class Gate:
    """What the commands work on: the machines, the audit trail, and the roles there are."""

    machines: Machines
    audit: Audit
    roles: Callable[[], Iterable[str]]

    def find(self, name: str) -> Machine:
        """Return the machine of this name or id; raises MachineError."""
        for machine, _ in self.machines.all():
            if name in (machine.name, machine.id):
                return machine
        raise MachineError(f"there is no machine {name!r}")

    def note(self, action: str, machine: Machine) -> None:
        """Write down who of this machine's users changed what."""
        detail = {"kind": machine.kind, "roles": " ".join(machine.roles)}
        self.audit.record(Record(at_command_line(), action, machine.caller_name, detail=detail))


def clients_app(open: Callable[[Path | None], AbstractContextManager[Gate]]) -> typer.Typer:
    """Return the commands over the gate that ``open`` gives for a data folder."""
    app = typer.Typer(no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})

    @app.command()
    def add(  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        name: Annotated[str, typer.Argument(help="What to call the machine.")],
        role: Annotated[
            list[str] | None, typer.Option(help="What it may do; may be repeated.  [default: reader]")
        ] = None,
        key: Annotated[bool, typer.Option("--key", help="Make an API key in place of an OAuth 2 client.")] = False,
        days: Annotated[int, typer.Option(help="How long its secret is good.")] = DAYS,
        data: Data = None,
        json_: Json = False,
    ) -> None:
        """Add a machine and print its secret, which is shown this once.

        Example: hanmaru client add "weather feed" --role writer --key
        """
        roles = role or ["reader"]
        with open(data) as gate:
            there = sorted(gate.roles())
            for unknown in set(roles) - set(there):
                raise typer.BadParameter(f"{unknown!r} is no role; the roles are {', '.join(there)}")
            issued = gate.machines.add(name, "key" if key else "oauth", roles, days)
            gate.note("client.add", issued.machine)
        say(issued_document(issued), _shown(issued), json_)

    @app.command()
    def rotate(  # pyright: ignore[reportUnusedFunction]
        name: Name,
        overlap_h: Annotated[
            float, typer.Option("--overlap-h", help="For how many hours the old secret stays good.")
        ] = OVERLAP_H,
        data: Data = None,
        json_: Json = False,
    ) -> None:
        """Give a machine a new secret, shown this once; the old one stays good for up to 24 hours.

        Example: hanmaru client rotate "weather feed" --overlap-h 0
        """
        with open(data) as gate:
            issued = gate.machines.rotate(gate.find(name).id, overlap_h)
            gate.note("client.rotate", issued.machine)
        say(issued_document(issued), _shown(issued), json_)

    @app.command()
    def remove(name: Name, data: Data = None, json_: Json = False) -> None:  # pyright: ignore[reportUnusedFunction]
        """Remove a machine; its secret and tokens are refused at once.

        Example: hanmaru client remove "weather feed"
        """
        with open(data) as gate:
            machine = gate.machines.remove(gate.find(name).id)
            gate.note("client.remove", machine)
        say(document(machine), f"removed {machine.name}", json_)

    @app.command("list")
    def list_(data: Data = None, json_: Json = False) -> None:  # pyright: ignore[reportUnusedFunction]
        """List the machines, without their secrets.

        Example: hanmaru client list --json
        """
        with open(data) as gate:
            found = [document(*row) for row in gate.machines.all()]
        lines = [
            f"{m['id']}  {m['kind']:5}  {m['name']}  {' '.join(m['roles'])}  until {m['expires'][:10]}" for m in found
        ]
        say(found, "\n".join(lines), json_)

    return app


def _shown(issued: Issued) -> str:
    if issued.machine.kind == "key":
        return issued.secret
    return f"client_id {issued.machine.id}\nclient_secret {issued.secret}"
