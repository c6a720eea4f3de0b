"""From firings to detections: titles with names and values, instants as text; from changes to readings."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hanmaru.centre.domain import Detection, Text
from hanmaru.centre.rules.model import Rule
from hanmaru.centre.rules.state import Firing, Reading
from hanmaru.hub.client import EntityChange, JsonObject

OWN = "urn:ngsi-ld:Alert:centre-"
"""How the ids of the centre's own events begin: rules do not look at what rules made."""


def seconds(text: object) -> float | None:
    """Return an instant as seconds since 1970; None for what is none."""
    if not isinstance(text, str):
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant.timestamp() if instant.tzinfo is not None else None


def stamp(at_s: float) -> str:
    """Return seconds since 1970 as text, to the millisecond."""
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def reading(change: EntityChange) -> Reading | None:
    """Return what a change says; ``dateObserved`` is when it was observed. None for the centre's own events."""
    if change.id.startswith(OWN):
        return None
    observed_s = seconds(change.values.get("dateObserved")) if "dateObserved" in change.touched else None
    deleted = change.kind == "deleted"
    at_s = seconds(change.at) or 0.0
    return Reading(at_s, change.id, change.types, change.touched, change.values, observed_s, deleted)


def present(entity: JsonObject) -> Reading | None:
    """Return an entity as it is (simplified, with ``modifiedAt``)."""
    if entity["id"].startswith(OWN):
        return None
    given: Any = entity["type"]
    types: list[str] = [given] if isinstance(given, str) else given
    at_s = seconds(entity.get("modifiedAt")) or 0.0
    return Reading(at_s, entity["id"], types, (), entity, seconds(entity.get("dateObserved")))


def detection(rule: Rule, firing: Firing) -> Detection:
    """Return what is told of a firing; it is numbered when it is kept."""
    return Detection(
        0,
        firing.rule,
        firing.key,
        firing.kind,
        stamp(firing.at_s),
        rule.severity,
        rule.category,
        title(rule, firing),
        firing.entities,
        firing.location,
        firing.values,
        rule.procedure,
    )


def title(rule: Rule, firing: Firing) -> Text:
    """Return a rule's title with the subject's name and the first value put in."""
    subject = firing.entities[0] if firing.entities else ""
    value = shown(next((v for k, v in firing.values.items() if k != "flapping"), ""))
    texts = {**rule.name, **rule.title}
    return {
        language: text.replace("{name}", named(firing.name, language) or subject).replace("{value}", value)
        for language, text in texts.items()
    }


def named(name: object, language: str) -> str:
    """Return a name in a language, or in any."""
    if isinstance(name, Mapping):
        texts: Mapping[str, Any] = name  # pyright: ignore[reportUnknownVariableType]
        return str(texts.get(language) or texts.get("en") or next(iter(texts.values()), ""))
    return name if isinstance(name, str) else ""


def shown(value: object) -> str:
    """Return a value as it is read, numbers with at most two decimals."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
