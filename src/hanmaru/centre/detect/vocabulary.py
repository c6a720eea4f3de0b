"""What rules can be about: the types that the hub has, their attributes, and how layers name them."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from hanmaru.centre.detect.words import seconds
from hanmaru.hub.client import HubClient, Query
from hanmaru.platform.services import Attr, installed

SAMPLE = 5
MOST_TYPES = 200
Kind = Literal["number", "text", "flag", "time", "place"]

CATEGORIES: Mapping[str, Mapping[str, str]] = {
    "flood": {"en": "Flood", "ko": "침수"},
    "weather": {"en": "Weather", "ko": "기상"},
    "environment": {"en": "Environment", "ko": "환경"},
    "traffic": {"en": "Traffic", "ko": "교통"},
    "crowd": {"en": "Crowd", "ko": "인파"},
    "security": {"en": "Security", "ko": "방범"},
    "fire": {"en": "Fire", "ko": "화재"},
    "medical": {"en": "Medical", "ko": "의료"},
    "construction": {"en": "Construction site", "ko": "건설현장"},
    "cctv": {"en": "Cameras", "ko": "CCTV"},
    "device": {"en": "Devices", "ko": "장비"},
    "other": {"en": "Other", "ko": "기타"},
}


def kind_of(values: Sequence[Any]) -> Kind | None:
    """Return what sort of values an attribute has; None for what rules cannot look at."""
    for value in values:
        if isinstance(value, bool):
            return "flag"
        if isinstance(value, int | float):
            return "number"
        if isinstance(value, str):
            return "text" if seconds(value) is None else "time"
        if isinstance(value, Mapping) and "coordinates" in value:
            return "place"
    return None


async def vocabulary(hub: HubClient, services: Any) -> dict[str, Any]:
    """Return types with attributes, and categories, as `hanmaru.centre.detect.api` says."""
    layers = {layer.type: layer for service in installed(services) for layer in service.layers}
    types: list[dict[str, Any]] = []
    for info in (await hub.types())[:MOST_TYPES]:
        name = info["typeName"]
        layer = layers.get(name)
        known: dict[str, Attr] = {attr.name: attr for attr in (layer.attrs if layer else ())}
        sample = await hub.query(Query(type=name, limit=SAMPLE), simplified=True)
        attrs: list[dict[str, Any]] = []
        for attr in sorted(info["attributeNames"], key=lambda one: (one not in known, one)):
            kind = kind_of([entity[attr] for entity in sample if attr in entity])
            if kind is not None:
                said = known.get(attr)
                attrs.append(
                    {
                        "name": attr,
                        "label": said.label if said else {"en": attr},
                        "unit": said.unit if said else "",
                        "kind": kind,
                        "scale": said.scale if said else 1,
                    }
                )
        title = layer.title if layer else {"en": name}
        types.append({"type": name, "title": title, "count": info["entityCount"], "attrs": attrs})
    categories = [{"id": id, "title": title} for id, title in CATEGORIES.items()]
    return {"types": types, "categories": categories}
