"""The ``hanmaru policy`` commands: check the policies, and say why they decide as they do."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from hanmaru.platform.console import Json
from hanmaru.platform.policy import cases
from hanmaru.platform.policy.cedar import HERE, Caller, Policy, PolicyError


def make_app(
    folders: Callable[[], list[Path]], actions: Callable[[], list[str]], expand: Callable[[str], str]
) -> typer.Typer:
    """Return the commands over the configured policy folders and the services' permissions."""
    app = typer.Typer(no_args_is_help=True)

    @app.command()
    def check(  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        folder: Annotated[Path | None, typer.Argument(help="A further folder, such as one not yet in force.")] = None,
        json_: Json = False,
    ) -> None:
        """Read and check all policies and run the cases beside them.

        Example: hanmaru policy check ./policies
        """
        if folder is not None and not folder.is_dir():
            raise PolicyError(f"{folder} is no folder")
        every = [*folders(), *([folder] if folder else [])]
        outcome = cases.run(every, actions=actions(), expand=expand)
        if json_:
            print(json.dumps({"asked": outcome.asked, "wrong": outcome.wrong, "untested": outcome.untested}))
        else:
            for wrong in outcome.wrong:
                print(wrong)
            for name in outcome.untested:
                print(f"no case decides by the policy {name!r}", file=sys.stderr)
            print(f"{outcome.asked} questions asked, {len(outcome.wrong)} answered otherwise than the cases expect")
        if outcome.wrong:
            raise typer.Exit(1)

    @app.command()
    def explain(  # pyright: ignore[reportUnusedFunction]
        action: Annotated[str, typer.Argument(help="Such as read, audit.read, vault.read.")],
        resource: Annotated[str, typer.Argument(help='Such as View::"everything" or Vault::"trace".')] = HERE,
        role: Annotated[list[str] | None, typer.Option(help="A role of who asks; may be repeated.")] = None,
        kind: Annotated[str, typer.Option(help="person, machine or system.")] = "person",
        second_factor: Annotated[bool, typer.Option(help="Signed in with a second factor.")] = False,
        tenant: Annotated[str, typer.Option(help="The tenant.")] = "",
        purpose: Annotated[str, typer.Option(help="The stated purpose.")] = "",
        json_: Json = False,
    ) -> None:
        """Say whether policy permits something, and which policies make it so.

        Example: hanmaru policy explain vault.read 'Vault::"trace"' --role investigator --purpose "case 12"
        """
        if kind not in ("person", "machine", "system"):
            raise typer.BadParameter("a kind is person, machine or system")
        policy = Policy(folders(), actions=actions(), expand=expand)
        if action not in policy.actions:
            raise PolicyError(f"there is no action {action!r}; the actions are {', '.join(sorted(policy.actions))}")
        caller = Caller("somebody", tuple(role or ()), kind, second_factor)
        try:
            decision = policy.decide(caller, action, resource, tenant=tenant, purpose=purpose)
        except ValueError as error:
            raise PolicyError(str(error)) from None
        if json_:
            print(json.dumps({"allowed": decision.allowed, "because": decision.because}))
        else:
            why = ", ".join(decision.because) or "no policy permits it"
            print(f"{'allowed' if decision.allowed else 'denied'}: {why}")
        if not decision.allowed:
            raise typer.Exit(1)

    return app
