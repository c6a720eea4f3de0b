"""From the internal form to the standard's representations: normalised, concise, simplified, temporal and GeoJSON."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from hanmaru.hub.model import NULL, VALUE_MEMBER, Attribute, Entity, Kind
from hanmaru.hub.stores.base import TemporalEntity
from hanmaru.hub.terms import TermMap
from hanmaru.platform.i18n import preferred

_NULLS: dict[Kind, Any] = {"LanguageProperty": {"@none": NULL}, "ListProperty": [NULL], "ListRelationship": [NULL]}

Form = Literal["normalized", "concise", "simplified"]
JsonObject = dict[str, Any]

_VALUES_MEMBER = {
    "Property": "values",
    "GeoProperty": "values",
    "Relationship": "objects",
    "LanguageProperty": "languageMaps",
    "VocabProperty": "vocabs",
    "JsonProperty": "jsons",
    "ListProperty": "valueLists",
    "ListRelationship": "objectLists",
}


@dataclass(frozen=True, slots=True)
class View:
    """How entities are to be shown: the form, with or without system times, which attributes, in which language.

    ``pick`` and ``omit`` hold expanded names; ``id``, ``type`` and ``scope`` may be among them.
    """

    form: Form = "normalized"
    sys_attrs: bool = False
    pick: frozenset[str] | None = None
    omit: frozenset[str] = frozenset()
    lang: str | None = None
    datasets: frozenset[str | None] | None = None

    def shows(self, name: str) -> bool:
        """Whether an attribute (or id, type, scope) is to be shown."""
        return name not in self.omit and (self.pick is None or name in self.pick)


NORMALIZED = View()


def entity(entity: Entity, terms: TermMap, view: View = NORMALIZED) -> JsonObject:
    """Return an entity as JSON, without @context."""
    compact = terms.compact
    shown: JsonObject = {}
    if view.shows("id"):
        shown["id"] = entity.id
    if view.shows("type"):
        shown["type"] = _one_or_many([compact(name) for name in entity.types])
    if entity.scopes and view.shows("scope"):
        shown["scope"] = _one_or_many(list(entity.scopes))
    if view.sys_attrs:
        _times(shown, entity)
    everything = view.pick is None and not view.omit
    for name, instances in entity.attrs.items():
        if everything or view.shows(name):
            if view.datasets is not None:
                instances = tuple(i for i in instances if i.dataset_id in view.datasets)
                if not instances:
                    continue
            shown[compact(name)] = _instances(instances, terms, view)
    return shown


def _instances(instances: Sequence[Attribute], terms: TermMap, view: View) -> Any:
    if len(instances) == 1:
        return attribute(instances[0], terms, view)
    if view.form == "simplified":
        return {"dataset": {i.dataset_id or "@none": attribute(i, terms, view) for i in instances}}
    return [attribute(instance, terms, view) for instance in instances]


def attribute(attribute: Attribute, terms: TermMap, view: View = NORMALIZED) -> Any:
    """Return one attribute instance as JSON."""
    kind, value = attribute.kind, attribute.value
    member = VALUE_MEMBER[kind]
    language = None
    if value == NULL:
        value = _NULLS.get(kind, NULL)
    if kind == "LanguageProperty" and view.lang is not None:
        kind, member, (language, value) = "Property", "value", _translate(value, view.lang)
    elif kind == "VocabProperty":
        value = _each(value, terms.compact)
    if view.form == "simplified":
        return {member: value} if kind in ("LanguageProperty", "VocabProperty", "JsonProperty") else value
    if kind == "ListRelationship":
        value = [{"object": target} for target in value]
    bare = view.form == "concise"
    shown: JsonObject = {} if bare else {"type": kind}
    shown[member] = value
    if attribute.object_type:
        shown["objectType"] = _one_or_many([terms.compact(name) for name in attribute.object_type])
    if language is not None:
        shown["lang"] = language
    if attribute.unit_code is not None:
        shown["unitCode"] = attribute.unit_code
    if attribute.observed_at is not None:
        shown["observedAt"] = attribute.observed_at
    if attribute.dataset_id is not None:
        shown["datasetId"] = attribute.dataset_id
    if attribute.instance_id is not None:
        shown["instanceId"] = attribute.instance_id
    if view.sys_attrs:
        _times(shown, attribute)
    for name, instances in attribute.attrs.items():
        shown[terms.compact(name)] = _instances(instances, terms, view)
    if bare and len(shown) == 1 and kind in ("Property", "GeoProperty") and _stands_alone(value, kind):
        return value
    return shown


def _stands_alone(value: Any, kind: str) -> bool:
    return kind == "GeoProperty" or not isinstance(value, dict | list)


def _times(shown: JsonObject, of: Entity | Attribute | TemporalEntity) -> None:
    for member, instant in (("createdAt", of.created_at), ("modifiedAt", of.modified_at), ("deletedAt", of.deleted_at)):
        if instant is not None:
            shown[member] = instant


def _translate(languages: dict[str, Any], wanted: str) -> tuple[str, Any]:
    """Return the tag and text that serve an Accept-Language value best, else any."""
    tag = preferred(wanted, languages, fallback=next(iter(languages)))
    return tag, languages[tag]


def _each(value: Any, change: Callable[[str], str]) -> Any:
    return [change(item) for item in cast("list[str]", value)] if isinstance(value, list) else change(value)


def _one_or_many(names: list[str]) -> str | list[str]:
    return names[0] if len(names) == 1 else names


def feature(of: Entity, terms: TermMap, view: View, geometry: str) -> JsonObject:
    """Return an entity as a GeoJSON Feature whose geometry is the GeoProperty ``geometry`` (null without it)."""
    properties = entity(of, terms, view)
    shapes = of.attrs.get(geometry, ())
    return {
        "id": properties.pop("id", of.id),
        "type": "Feature",
        "geometry": shapes[0].value if shapes and shapes[0].kind == "GeoProperty" else None,
        "properties": properties,
    }


def temporal(of: TemporalEntity, terms: TermMap, view: View, *, values: bool, time: str = "observedAt") -> JsonObject:
    """Return history as JSON: lists of instances, or with ``values`` lists of [value, ``time``] pairs."""
    shown: JsonObject = {}
    if view.shows("id"):
        shown["id"] = of.id
    if view.shows("type"):
        shown["type"] = _one_or_many([terms.compact(name) for name in of.types])
    if of.scopes and view.shows("scope"):
        shown["scope"] = _one_or_many(list(of.scopes))
    if view.sys_attrs:
        _times(shown, of)
    for name, instances in of.attrs.items():
        if view.datasets is not None:
            instances = tuple(i for i in instances if i.dataset_id in view.datasets)
        if instances and view.shows(name):
            if values:
                shown[terms.compact(name)] = _temporal_values(instances, terms, time)
            else:
                shown[terms.compact(name)] = [_dated(instance, terms, view, time) for instance in instances]
    return shown


def _dated(instance: Attribute, terms: TermMap, view: View, time: str) -> JsonObject:
    shown = attribute(instance, terms, view)
    if time != "observedAt" and not view.sys_attrs:
        shown[time] = _instant(instance, time)
    if instance.deleted_at is not None:
        shown["deletedAt"] = instance.deleted_at
    return shown


_BARE = View(form="simplified")


def _temporal_values(instances: Sequence[Attribute], terms: TermMap, time: str) -> Any:
    by_dataset: dict[str | None, list[Attribute]] = {}
    for instance in instances:
        by_dataset.setdefault(instance.dataset_id, []).append(instance)
    shown: list[JsonObject] = []
    for dataset, group in by_dataset.items():
        kind = group[0].kind
        pairs = [[attribute(i, terms, _BARE), _instant(i, time)] for i in group]
        item: JsonObject = {"type": kind, _VALUES_MEMBER[kind]: pairs}
        if group[0].unit_code is not None:
            item["unitCode"] = group[0].unit_code
        if dataset is not None:
            item["datasetId"] = dataset
        shown.append(item)
    return shown[0] if len(shown) == 1 else shown


def _instant(instance: Attribute, time: str) -> str | None:
    match time:
        case "createdAt":
            return instance.created_at
        case "modifiedAt":
            return instance.modified_at
        case "deletedAt":
            return instance.deleted_at
        case _:
            return instance.observed_at
