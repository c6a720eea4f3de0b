"""What the records are asked with and answer with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

Method = Literal["POST", "PUT", "DELETE"]
Kind = Literal["all", "patient", "organisation"]


@dataclass(frozen=True, slots=True)
class Reader:
    """Who asks, whose records they may see, and what for.

    ``who`` is the caller's name. ``kind`` says whose: of ``all`` (the room itself, and a start without log-in), of one
    ``patient`` (``id`` is the Patient's), or of those who let an ``organisation`` see theirs (``id`` is the
    Organization's). ``purpose`` is what they state, ``where`` their address.
    """

    who: str
    kind: Kind
    id: str = ""
    purpose: str = ""
    where: str = ""


class Version(NamedTuple):
    """One version of a resource.

    ``at`` is in µs since 1970 (UTC), ``version`` counts from 1, ``text`` is the JSON with ``id`` and ``meta``, empty
    for a deletion. ``fresh``: this call made it; not so where nothing had to change.
    """

    type: str
    id: str
    version: int
    at: int
    method: Method
    text: bytes
    fresh: bool = False


class Page(NamedTuple):
    """Versions, newest first, and where the next page begins."""

    versions: list[Version]
    next: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a transaction.

    ``if_match``: only over this version. ``if_none_exist``: a POST only where this search finds nothing. ``search``: a
    PUT or DELETE of what this search finds, which is one resource at most.
    """

    method: Method
    type: str
    id: str | None = None
    resource: dict[str, Any] | None = None
    if_match: int | None = None
    if_none_exist: str | None = None
    search: str | None = None


class ChangeRow(NamedTuple):
    """One row of the change log: every version in the order of its commit. ``patients`` are whose it is."""

    seq: int
    type: str
    id: str
    version: int
    method: Method
    patients: tuple[str, ...]
    at: int


class Look(NamedTuple):
    """Somebody's looks at a patient's record within an hour.

    ``at``: the last, in µs since 1970; ``what``: the types that they saw, and how many of each.
    """

    at: int
    who: str
    organisation: str
    what: str
    purpose: str


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found, in its order.

    ``total`` where it was asked for; ``next`` is the value of ``_cursor`` for the next page; ``ignored`` are the
    parameters that were left out as unknown, where the search was not strict.
    """

    matches: Sequence[Version]
    included: Sequence[Version] = ()
    total: int | None = None
    next: str | None = None
    ignored: Sequence[str] = ()
