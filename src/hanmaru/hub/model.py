"""The broker's one internal form of an entity: expanded names, canonical UTC times, no JSON-LD left to resolve.

These values are what the stores keep (as JSON, by msgspec), what the outbox carries and what representations are made
from. Times are ISO 8601 strings in UTC with a final ``Z`` as ``times.canonical`` makes them.
"""

from typing import Any, Literal

import msgspec

Json = Any
"""A JSON value: msgspec decodes it, nothing here looks inside."""

Kind = Literal[
    "Property",
    "GeoProperty",
    "Relationship",
    "LanguageProperty",
    "VocabProperty",
    "JsonProperty",
    "ListProperty",
    "ListRelationship",
]

VALUE_MEMBER: dict[str, str] = {
    "Property": "value",
    "GeoProperty": "value",
    "Relationship": "object",
    "LanguageProperty": "languageMap",
    "VocabProperty": "vocab",
    "JsonProperty": "json",
    "ListProperty": "valueList",
    "ListRelationship": "objectList",
}
"""The member that holds an attribute's value, by its kind (ETSI GS CIM 009, 4.5)."""

CORE = "https://uri.etsi.org/ngsi-ld/"
DEFAULT_VOCAB = CORE + "default-context/"
LOCATION = CORE + "location"
NULL = "urn:ngsi-ld:null"


_SHORT = {
    "kind": "k",
    "value": "v",
    "observed_at": "o",
    "unit_code": "u",
    "dataset_id": "d",
    "object_type": "t",
    "created_at": "c",
    "modified_at": "m",
    "deleted_at": "x",
    "instance_id": "i",
    "attrs": "a",
}
"""Members' names in the stores: an instance is written for every change, so every byte counts."""


class Attribute(msgspec.Struct, frozen=True, omit_defaults=True, rename=_SHORT):
    """One instance of an attribute; ``attrs`` are its own properties and relationships, by expanded name."""

    kind: Kind
    value: Json
    observed_at: str | None = None
    unit_code: str | None = None
    dataset_id: str | None = None
    object_type: tuple[str, ...] | None = None
    created_at: str | None = None
    modified_at: str | None = None
    deleted_at: str | None = None
    instance_id: str | None = None
    attrs: dict[str, tuple["Attribute", ...]] = {}


class Entity(msgspec.Struct, frozen=True, omit_defaults=True):
    """An entity: its attributes by expanded name, each as its instances by ``datasetId`` (the default one first)."""

    id: str
    types: tuple[str, ...]
    attrs: dict[str, tuple[Attribute, ...]] = {}
    scopes: tuple[str, ...] = ()
    created_at: str | None = None
    modified_at: str | None = None
    deleted_at: str | None = None


ChangeKind = Literal["created", "updated", "deleted"]


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """One accepted change, as the outbox keeps it.

    ``entity`` is the entity as it was left, ``touched`` the attributes that were set, ``removed`` those of
    which all instances or, while others stay, some were deleted.
    After a deletion it is the last state. Of an update, ``appeared`` are the touched attributes that were not there
    before and ``gone`` the removed instances as they were. ``seq`` grows with every change of the whole store.
    """

    kind: ChangeKind
    entity: Entity
    touched: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    at: str = ""
    tenant: str = ""
    seq: int = 0
    appeared: tuple[str, ...] = ()
    gone: dict[str, tuple[Attribute, ...]] = {}


encode = msgspec.json.Encoder().encode
decode_entity = msgspec.json.Decoder(Entity).decode
decode_attribute = msgspec.json.Decoder(Attribute).decode
decode_change = msgspec.json.Decoder(Change).decode
