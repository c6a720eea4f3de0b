"""The room's nouns that its parts share. Pure."""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import msgspec

Text: TypeAlias = Mapping[str, str]
"""A text by language tag; ``en`` is always there."""

Severity: TypeAlias = Literal["informational", "low", "medium", "high", "critical"]
"""As the smart data model Alert has them, from least to most."""
SEVERITIES: tuple[Severity, ...] = ("informational", "low", "medium", "high", "critical")


class CentreError(Exception):
    """Why something cannot be done, in a line that says what to do."""


class Detection(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rule began (``raise``) or ceased (``clear``) to hold for what ``key`` names.

    ``seq`` grows without gaps in the order of detection; ``at`` is the instant of the reading that decided, RFC 3339 in
    UTC; ``location`` GeoJSON; ``values`` what the rule looked at, by name; ``procedure`` the one that the rule starts.
    """

    seq: int
    rule: str
    key: str
    kind: Literal["raise", "clear"]
    at: str
    severity: Severity
    category: str
    title: Text
    entities: tuple[str, ...] = ()
    location: Mapping[str, Any] | None = None
    values: Mapping[str, Any] = {}
    procedure: str | None = None
