"""What a procedure is: steps with roles, timers and ways to go, written as TOML; and how far a run of it has come.

Steps are followed in order: each opens when the one before is settled, or those that ``after`` names. A decision's
options lead further steps: one with ``only = ["decision:option", …]`` is left out when another option was chosen. So a
procedure has no loops, and every run of it ends. Pure.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from hanmaru.centre.domain import Text

Kind: TypeAlias = Literal["task", "checklist", "message", "handover", "decision", "wait"]
StepState: TypeAlias = Literal["waiting", "open", "done", "skipped", "overdue", "failed"]
Role: TypeAlias = Literal["operator", "supervisor", "cctv-officer"]
AgencyKind: TypeAlias = Literal["police", "fire", "disaster", "medical", "construction"]
Include: TypeAlias = Literal["location", "values", "entities", "cameras"]
Do: TypeAlias = Literal["done", "skip", "tick", "untick", "choose", "send"]

Standing: TypeAlias = Literal["queued", "sent", "accepted", "declined", "refused", "finished"]

SETTLED: frozenset[StepState] = frozenset({"done", "skipped"})
ACTIVE: frozenset[StepState] = frozenset({"open", "overdue", "failed"})


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An item to tick or an option to choose."""

    id: str
    text: Text


class Rung(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom to tell when nobody has acted for ``after_s``: a role, ``all``, or ``agency:<kind>``, which is handed over
    to."""

    after_s: float
    to: str


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A step of a procedure. ``due_s`` counts from when the step opens; so does ``wait_s``, the length of a ``wait``.

    ``auto`` sends a message or hands over as soon as the step opens. Only a supervisor may skip a ``required`` one.
    ``basis`` is the lawful ground of a hand-over, which goes with it; ``include`` what of the event is handed over.
    """

    id: str
    kind: Kind
    title: Text
    help: Text = {}
    role: Role = "operator"
    due_s: float | None = None
    required: bool = False
    after: tuple[str, ...] | None = None
    only: tuple[str, ...] = ()
    items: tuple[Choice, ...] = ()
    options: tuple[Choice, ...] = ()
    to: str = ""
    text: Text = {}
    agency: AgencyKind | None = None
    include: tuple[Include, ...] = ("location",)
    basis: Text = {}
    auto: bool = False
    wait_s: float | None = None


class Procedure(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A standard operating procedure. Alarms of one category within ``fold_m`` and ``fold_s`` are one event."""

    id: str
    name: Text
    steps: tuple[Step, ...]
    description: Text = {}
    categories: tuple[str, ...] = ()
    fold_m: float = 0.0
    fold_s: float = 0.0
    escalation: tuple[Rung, ...] = ()
    sources: tuple[str, ...] = ()


class Tick(msgspec.Struct, frozen=True):
    """An item that somebody has ticked."""

    by: str
    at: float


class Receipt(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a hand-over stands: ``queued``, ``sent`` (arrived, not yet answered for), ``accepted``, ``declined``,
    ``refused`` (the endpoint will not have it), ``finished``. ``key`` is the idempotency key."""

    key: str
    agency: str
    state: Standing
    at: float
    attempts: int = 0
    reference: str = ""
    text: str = ""


class StepRun(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far a step has come. Times in seconds since 1970; ``level`` counts the rungs climbed since it was due."""

    state: StepState = "waiting"
    opened: float | None = None
    due: float | None = None
    done_at: float | None = None
    done_by: str | None = None
    reason: str = ""
    ticked: Mapping[str, Tick] = {}
    chosen: str | None = None
    receipt: Receipt | None = None
    sends: int = 0
    level: int = 0


class Run(msgspec.Struct, frozen=True):
    """A procedure as an event follows it. It keeps the procedure as it was when it began: later edits are for others.

    ``steps`` has a `StepRun` for each step, by id.
    """

    id: str
    event: str
    procedure: Procedure
    started: float
    steps: Mapping[str, StepRun]
    state: Literal["running", "finished", "ended"] = "running"
    ended: float | None = None

    def step(self, id: str) -> tuple[Step, StepRun] | None:
        """Return a step and how far it has come; None for one that is not there."""
        return next(((step, self.steps[id]) for step in self.procedure.steps if step.id == id), None)


class Deed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody does with a step: the body of ``POST /events/{id}/procedure/steps/{step}``."""

    do: Do
    item: Annotated[str, Meta(max_length=64)] = ""
    option: Annotated[str, Meta(max_length=64)] = ""
    reason: Annotated[str, Meta(max_length=2000)] = ""
    text: Annotated[str, Meta(max_length=2000)] = ""


class Order(msgspec.Struct, frozen=True):
    """Something to be sent because of a step or a rung: a message to people, or a hand-over to an agency of a kind."""

    kind: Literal["message", "handover"]
    to: str
    text: Text
    step: str = ""
    include: tuple[Include, ...] = ("location",)
    basis: Text = {}
    key: str = ""


Json: TypeAlias = dict[str, Any]
