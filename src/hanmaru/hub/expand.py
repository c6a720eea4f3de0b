"""From a request's JSON to the internal form: normalised, concise and simplified input, names expanded by look-up.

Rules are those of ETSI GS CIM 009, clauses 4.5 (representations) and 5.5.4 (validation).
"""

import re
from collections.abc import Container
from typing import Any, cast

from hanmaru.hub.geometry import check_geometry
from hanmaru.hub.model import NULL, VALUE_MEMBER, Attribute, Entity, Kind
from hanmaru.hub.terms import TermMap
from hanmaru.hub.times import canonical
from hanmaru.platform.problems import bad_request

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[^\s\x00-\x1f<>\"{}|\\^`]+").fullmatch
_SCOPE = re.compile(r"/?[^\s\x00-\x1f/#+]+(?:/[^\s\x00-\x1f/#+]+)*").fullmatch
_KIND_OF_MEMBER: dict[str, Kind] = {
    "object": "Relationship",
    "languageMap": "LanguageProperty",
    "vocab": "VocabProperty",
    "json": "JsonProperty",
    "valueList": "ListProperty",
    "objectList": "ListRelationship",
}
_ATTRIBUTE_MEMBERS = frozenset(
    """type unitCode datasetId observedAt createdAt modifiedAt deletedAt instanceId objectType entity entityList lang
    previousValue previousObject previousLanguageMap previousVocab previousJson previousValueList previousObjectList
    @context expandValues valueType ngsildproof""".split()
)
_ENTITY_MEMBERS = frozenset({"id", "@id", "type", "@type", "scope", "@context", "createdAt", "modifiedAt", "deletedAt"})
_GEOMETRY_TYPES = frozenset({"Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon"})
MAX_DEPTH = 8


def check_uri(value: object, member: str) -> str:
    """Return a URI; raise a 400 problem that names the member when it is none."""
    if not isinstance(value, str) or not _URI(value) or not value.isprintable():
        raise bad_request(f"{member} must be a URI such as urn:ngsi-ld:Device:1, not {value!r}")
    return value


def entity(document: object, terms: TermMap, now: str, *, history: bool = False) -> Entity:
    """Return a whole entity; ``history`` accepts lists of instances that share a ``datasetId``.

    Raises a 400 problem that says which member is wrong.
    """
    members = _object(document, "The entity")
    id = check_uri(members.get("id", members.get("@id")), "id")
    if "type" not in members and "@type" not in members:
        raise bad_request(f"The entity {id} has no type")
    return Entity(
        id=id,
        types=types(members.get("type", members.get("@type")), terms),
        attrs=attributes(members, terms, now, history=history),
        scopes=scopes(members["scope"]) if "scope" in members else (),
        created_at=now,
        modified_at=now,
    )


def fragment(document: object, terms: TermMap, now: str, *, nulls: bool = False) -> Entity:
    """Return an entity fragment: attributes and perhaps types and scopes; id and type may be absent.

    ``nulls`` keeps attributes whose value is ``urn:ngsi-ld:null``, which a merge deletes.
    """
    members = _object(document, "The entity fragment")
    id = members.get("id", members.get("@id", ""))
    if id != "":
        check_uri(id, "id")
    kinds = members.get("type", members.get("@type"))
    return Entity(
        id=id,
        types=types(kinds, terms) if kinds is not None else (),
        attrs=attributes(members, terms, now, nulls=nulls),
        scopes=scopes(members["scope"]) if "scope" in members else (),
        modified_at=now,
    )


def types(value: object, terms: TermMap) -> tuple[str, ...]:
    """Return expanded entity types in the order given, each once."""
    names = cast("list[object]", value) if isinstance(value, list) else [value]
    if not names or not all(isinstance(name, str) and name for name in names):
        raise bad_request("type must be a name or a non-empty list of names")
    return tuple(dict.fromkeys(terms.expand(name) for name in cast("list[str]", names)))


def scopes(value: object) -> tuple[str, ...]:
    """Return scopes, each with its leading slash."""
    names = cast("list[object]", value) if isinstance(value, list) else [value]
    if NULL in names or not all(isinstance(name, str) and _SCOPE(name) for name in names):
        raise bad_request("scope must be a path such as /Sejong/Naseong, or a list of such paths")
    return tuple(dict.fromkeys("/" + name.lstrip("/") for name in cast("list[str]", names)))


def attributes(
    members: dict[str, Any], terms: TermMap, now: str, *, nulls: bool = False, history: bool = False
) -> dict[str, tuple[Attribute, ...]]:
    """Return the attributes among an entity's members, by expanded name."""
    found: dict[str, tuple[Attribute, ...]] = {}
    expand = terms.expand
    for name, value in members.items():
        if name not in _ENTITY_MEMBERS:
            iri = expand(name)
            if iri in found:
                raise bad_request(f"The attribute {name} is given twice under different names")
            found[iri] = instances(name, value, terms, now, nulls=nulls, history=history)
    return found


def instances(
    name: str, value: object, terms: TermMap, now: str, *, nulls: bool = False, history: bool = False, depth: int = 0
) -> tuple[Attribute, ...]:
    """Return an attribute's instances, the default one first; each ``datasetId`` once unless ``history``."""
    if not _is_multi(value):
        return (attribute(name, value, terms, now, nulls=nulls, depth=depth),)
    made = [attribute(name, item, terms, now, nulls=nulls, depth=depth) for item in cast("list[object]", value)]
    if not history and len({instance.dataset_id for instance in made}) != len(made):
        raise bad_request(f"The attribute {name} has two instances with the same datasetId")
    return tuple(made if history else sorted(made, key=lambda instance: instance.dataset_id or ""))


def _is_multi(value: object) -> bool:
    if not isinstance(value, list) or not value:
        return False
    items = cast("list[object]", value)
    return all(isinstance(item, dict) and _declares(cast("dict[str, Any]", item)) for item in items)


def _declares(item: dict[str, Any]) -> bool:
    return _is(item.get("type"), VALUE_MEMBER) or "value" in item or not _KIND_OF_MEMBER.keys().isdisjoint(item)


def attribute(name: str, value: object, terms: TermMap, now: str, *, nulls: bool = False, depth: int = 0) -> Attribute:
    """Return one attribute instance from its normalised, concise or simplified form."""
    if depth > MAX_DEPTH:
        raise bad_request(f"The attribute {name} is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        kind = _kind(name, members)
        if kind is not None:
            return _full(name, kind, members, terms, now, nulls, depth)
        if _is_geometry(members):
            return Attribute("GeoProperty", check_geometry(members, name), created_at=now, modified_at=now)
    if value is None:
        raise bad_request(f"The attribute {name} is null; to delete it use DELETE, or {NULL!r} in a merge")
    if value == NULL and not nulls:
        raise bad_request(f"The attribute {name} is {NULL!r}, which only a merge or an update understands")
    return Attribute("Property", value, created_at=now, modified_at=now)


def _is_geometry(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    members = cast("dict[str, Any]", value)
    return _is(members.get("type"), _GEOMETRY_TYPES) and "coordinates" in members


def _is(value: object, known: Container[str]) -> bool:
    return isinstance(value, str) and value in known


def _kind(name: str, members: dict[str, Any]) -> Kind | None:
    declared = members.get("type")
    if isinstance(declared, str) and declared in VALUE_MEMBER:
        return cast("Kind", declared)
    for member, kind in _KIND_OF_MEMBER.items():
        if member in members:
            return kind
    if "value" in members:
        if declared is not None:
            known = ", ".join(VALUE_MEMBER)
            raise bad_request(f"The attribute {name} has the unknown type {declared!r}; use one of {known}")
        return "GeoProperty" if _is_geometry(members["value"]) else "Property"
    return None


def _full(
    name: str, kind: Kind, members: dict[str, Any], terms: TermMap, now: str, nulls: bool, depth: int
) -> Attribute:
    value_member = VALUE_MEMBER[kind]
    if value_member not in members:
        raise bad_request(f"The {kind} {name} has no {value_member}")
    value = _value(name, kind, members[value_member], terms, nulls)
    observed_at = unit_code = dataset_id = object_type = None
    inner: dict[str, tuple[Attribute, ...]] = {}
    for member, item in members.items():
        if member == value_member or member == "type":
            continue
        if member == "observedAt":
            observed_at = canonical(item, f"observedAt of {name}")
        elif member == "unitCode":
            if not isinstance(item, str):
                raise bad_request(f"unitCode of {name} must be a string, such as the UN/CEFACT code CEL")
            unit_code = item
        elif member == "datasetId":
            dataset_id = None if item == "@none" else check_uri(item, f"datasetId of {name}")
        elif member == "objectType":
            object_type = types(item, terms)
        elif member not in _ATTRIBUTE_MEMBERS:
            inner[terms.expand(member)] = instances(member, item, terms, now, nulls=nulls, depth=depth + 1)
    return Attribute(
        kind, value, observed_at, unit_code, dataset_id, object_type, created_at=now, modified_at=now, attrs=inner
    )


def _value(name: str, kind: Kind, value: Any, terms: TermMap, nulls: bool) -> Any:
    if value is None:
        raise bad_request(f"The value of {name} is null; to delete it use DELETE, or {NULL!r} in a merge")
    if is_null(value):
        if nulls:
            return NULL
        raise bad_request(f"The value of {name} is {NULL!r}, which only a merge or an update understands")
    match kind:
        case "GeoProperty":
            return check_geometry(value, name)
        case "Relationship":
            if isinstance(value, list):
                return [check_uri(item, f"object of {name}") for item in cast("list[object]", value)]
            return check_uri(value, f"object of {name}")
        case "LanguageProperty":
            return _language_map(name, value)
        case "VocabProperty":
            return _vocabulary(name, value, terms)
        case "ListProperty" if not isinstance(value, list):
            raise bad_request(f"valueList of {name} must be a list")
        case "ListRelationship":
            if not isinstance(value, list):
                raise bad_request(f"objectList of {name} must be a list")
            return [_target(name, item) for item in cast("list[object]", value)]
        case _:
            return cast("object", value)


def is_null(value: object) -> bool:
    """Whether a value is the NGSI-LD Null, which deletes; a languageMap and a list have their own forms of it."""
    return value in (NULL, {"@none": NULL}, [NULL])


def _target(name: str, item: object) -> str:
    return check_uri(
        cast("dict[str, object]", item).get("object") if isinstance(item, dict) else item, f"objectList of {name}"
    )


def _language_map(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        raise bad_request(f"languageMap of {name} must be an object of texts by language tag")
    texts_by_tag = cast("dict[str, Any]", value)
    for tag, text in texts_by_tag.items():
        texts = cast("list[Any]", text) if isinstance(text, list) else [text]
        if not all(isinstance(item, str) for item in texts):
            raise bad_request(f"languageMap of {name}: the text for {tag} must be a string or a list of strings")
    return texts_by_tag


def _vocabulary(name: str, value: Any, terms: TermMap) -> Any:
    if isinstance(value, str):
        return terms.expand(value)
    if isinstance(value, list) and value and all(isinstance(item, str) for item in cast("list[object]", value)):
        return [terms.expand(item) for item in cast("list[str]", value)]
    raise bad_request(f"vocab of {name} must be a term or a list of terms")


def _object(document: object, what: str) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise bad_request(f"{what} must be a JSON object")
    return cast("dict[str, Any]", document)
