"""What the book says of cases and requests: values. Times are Unix seconds, people and cases pseudonyms."""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from hanmaru.platform.problems import Problem
from hanmaru.trace.cases.country import StepRule

Status = Literal["new", "investigating", "following", "closed", "destroyed"]
State = Literal["asked", "approved", "answering", "answered", "refused", "withdrawn", "expired", "destroyed"]
OPEN: tuple[State, ...] = ("approved", "answering", "answered")
"""States in which answers may come."""
HELD: tuple[State, ...] = ("answering", "answered", "withdrawn", "expired")
"""States in which there may be data that is to be destroyed at its date."""


class CaseRow(msgspec.Struct, frozen=True):
    """A case as the book has it; times are Unix seconds. ``results`` is the pseudonym that the results lie under."""

    seq: int
    id: str
    label: str
    disease: str
    status: Status
    opened_at: float
    opened_by: str
    closed_at: float | None
    destroy_on: float | None
    results: str | None
    run: int
    run_state: str | None
    run_stage: str | None
    run_progress: float | None
    run_at: float | None
    total: int
    accepted: int
    undecided: int


class StepRow(msgspec.Struct, frozen=True):
    """An approval of a request: waiting, approved or refused."""

    n: int
    rule: StepRule
    state: Literal["waiting", "approved", "refused"]
    since: float | None
    due: float | None
    who: str | None
    at: float | None
    reason: str | None
    escalated_to: str | None


class AnswerRow(msgspec.Struct, frozen=True):
    """What came of one answer: how many rows, how many were kept, why the others were not."""

    id: str
    kind: str
    provider: str
    at: float
    rows: int
    accepted: int
    refused: Mapping[str, int]


class RequestRow(msgspec.Struct, frozen=True):
    """A request as the book has it; times are Unix seconds. ``data`` is the pseudonym that its answers lie under."""

    seq: int
    id: str
    case: str
    kinds: Sequence[str]
    state: State
    asked_by: str
    asked_at: float
    approved_at: float | None
    expires: float | None
    destroy_on: float | None
    notify_days: float
    retention_days: float
    valid_days: float
    notify_due: float | None
    notified_at: float | None
    notified_by: str | None
    notify_escalated_to: str | None
    data: str | None
    reason: str | None
    steps: Sequence[StepRow] = ()
    answers: Sequence[AnswerRow] = ()

    @property
    def ends(self) -> float:
        """When the request, or its approval once it has one, is no longer in force."""
        return self.expires if self.expires is not None else self.asked_at + self.valid_days * 86_400

    def takes_answers(self, at: float) -> bool:
        """Return whether answers may come at a time: it is approved and in force, whether its clock ran or not."""
        return self.state in OPEN and at < self.ends

    def usable(self, at: float) -> bool:
        """Return whether something new may be worked out at a time from what came; the approval must be in force."""
        return self.data is not None and self.takes_answers(at) and at < (self.destroy_on or 0)

    @property
    def step(self) -> StepRow | None:
        """The step that is waited for, if any."""
        waiting = (step for step in self.steps if step.state == "waiting")
        return next(waiting, None) if self.state == "asked" else None


class Event(msgspec.Struct, frozen=True):
    """A line of a case's log."""

    at: float
    who: str
    what: str
    request: str | None


def require_other(request: RequestRow, who: str) -> None:
    """Raise Problem 403 for who asked for a request or decided an earlier step of it."""
    if who == request.asked_by:
        raise Problem(403, "Not permitted", "Somebody else has to approve your request.")
    if any(step.who == who for step in request.steps):
        raise Problem(403, "Not permitted", "Somebody else has to approve this step: you decided an earlier one.")
