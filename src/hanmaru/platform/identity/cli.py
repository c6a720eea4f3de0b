"""``hanmaru user``: the accounts from the command line, hub up or not, for whoever may write the data folder."""

import getpass
import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from hanmaru.platform.audit.record import Audit, Record, at_command_line
from hanmaru.platform.console import Data, Json, say
from hanmaru.platform.identity.accounts import AccountError, Accounts, setup_link
from hanmaru.platform.identity.factors import Factors

Name = Annotated[str, typer.Argument(help="The account's name.")]
FromStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]


@dataclass(frozen=True, slots=True)
class Office:
    """What the commands work on: accounts, the audit trail, the roles there are, and where browsers find the hub."""

    accounts: Accounts
    audit: Audit
    roles: Callable[[], Iterable[str]]
    address: str

    def note(self, action: str, name: str, **detail: str) -> None:
        """Write down who of this machine's users changed an account."""
        self.audit.record(Record(at_command_line(), action, f"account:{name}", detail=detail))


def accounts_app(open: Callable[[Path | None], AbstractContextManager[Office]]) -> typer.Typer:
    """Return the commands over the office that ``open`` gives for a data folder."""
    app = typer.Typer(no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})

    @app.command()
    def add(  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        name: Name,
        role: Annotated[
            list[str] | None, typer.Option(help="What it may do; may be repeated.  [default: reader]")
        ] = None,
        password_stdin: FromStdin = False,
        data: Data = None,
        json_: Json = False,
    ) -> None:
        """Add an account, asking for its password.

        Example: hanmaru user add kim --role reader
        """
        roles = role or ["reader"]
        with open(data) as office:
            there = sorted(office.roles())
            for unknown in set(roles) - set(there):
                raise typer.BadParameter(f"{unknown!r} is no role; the roles are {', '.join(there)}")
            office.accounts.usable(name)
            office.accounts.add(name, _password(password_stdin), *roles)
            office.note("account.add", name, roles=" ".join(roles))
        say({"name": name, "roles": roles}, f"added {name} as {' '.join(roles)}", json_)

    @app.command()
    def password(  # pyright: ignore[reportUnusedFunction]
        name: Name, password_stdin: FromStdin = False, data: Data = None, json_: Json = False
    ) -> None:
        """Change an account's password and end its sessions.

        Example: hanmaru user password kim
        """
        with open(data) as office:
            office.accounts.set_password(name, _password(password_stdin))
            office.note("account.password", name)
        say({"name": name}, f"changed the password of {name}", json_)

    @app.command("setup-link")
    def link(  # pyright: ignore[reportUnusedFunction]
        name: Name, data: Data = None, json_: Json = False
    ) -> None:
        """Print a link, good once and for a day, by which the account's person chooses a password.

        Example: hanmaru user setup-link kim
        """
        with open(data) as office:
            made = setup_link(office.address, office.accounts.setup_token(name))
            office.note("account.setup-link", name)
        say({"name": name, "setup_link": made}, made, json_)

    @app.command("reset-factors")
    def reset_factors(  # pyright: ignore[reportUnusedFunction]
        name: Name, data: Data = None, json_: Json = False
    ) -> None:
        """Remove an account's second factors and recovery codes, and end its sessions: for who lost them all.

        Example: hanmaru user reset-factors kim
        """
        with open(data) as office:
            account = office.accounts.find(name)
            if account is None:
                raise AccountError(f"there is no account {name!r}")
            Factors(office.accounts).reset(account.name)
            office.note("account.reset-factors", name)
        say({"name": name}, f"removed the second factors of {name}", json_)

    @app.command()
    def remove(name: Name, data: Data = None, json_: Json = False) -> None:  # pyright: ignore[reportUnusedFunction]
        """Remove an account and end its sessions.

        Example: hanmaru user remove kim
        """
        with open(data) as office:
            office.accounts.remove(name)
            office.note("account.remove", name)
        say({"name": name}, f"removed {name}", json_)

    @app.command("list")
    def list_(data: Data = None, json_: Json = False) -> None:  # pyright: ignore[reportUnusedFunction]
        """List the accounts.

        Example: hanmaru user list --json
        """
        with open(data) as office:
            found = [{"name": account.name, "roles": account.roles} for account in office.accounts.all()]
        say(found, "\n".join(f"{a['name']}  {' '.join(a['roles'])}" for a in found), json_)

    return app


def _password(from_stdin: bool) -> str:
    if from_stdin or not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise typer.BadParameter("the two passwords differ")
    return password
