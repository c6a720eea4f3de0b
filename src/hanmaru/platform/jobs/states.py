"""A workflow and its steps as they are shown, and by which names DBOS keeps them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from hanmaru.platform.jobs.manifest import Text

Status = Literal["queued", "running", "waiting", "done", "failed", "cancelled", "given up", "uninstalled"]
"""``given up``: its process died on it too often. ``uninstalled``: no installed service has its code."""

STORED: Mapping[str, Status] = {
    "ENQUEUED": "queued",
    "DELAYED": "queued",
    "PENDING": "running",
    "SUCCESS": "done",
    "ERROR": "failed",
    "CANCELLED": "cancelled",
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": "given up",
}
LIVE = frozenset({"ENQUEUED", "DELAYED", "PENDING"})
UNTIL = "hanmaru.until"
INTERNAL: Mapping[str, str | None] = {
    UNTIL: None,
    "DBOS.recv": "wait_for",
    "DBOS.sleep": "sleep",
    "DBOS.updateWorkflowAttributes": None,
}
WAITING = "waiting_for"
PUBLISHED = "published:"


class Waiting(msgspec.Struct, frozen=True):
    """What a workflow waits for, and until when."""

    topic: str
    until: datetime


class Step(msgspec.Struct, frozen=True):
    """One step that has ended: its outcome is kept and it will not run again."""

    name: str
    started: datetime | None
    ended: datetime | None
    outcome: Literal["done", "failed"]


class Workflows(msgspec.Struct, frozen=True):
    """A page of workflows, newest first; ``next`` is the ``before`` of the following page."""

    workflows: Sequence["State"]
    next: str | None


class State(msgspec.Struct, frozen=True):
    """A workflow as it stands; ``error`` says why it failed."""

    id: str
    name: str
    title: Text
    status: Status
    created: datetime
    updated: datetime
    waiting_for: Waiting | None
    published: Mapping[str, Any]
    error: str | None = None
