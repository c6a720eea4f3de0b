"""The entity types' JSON Schemas: the ones shipped here, services' own, and a mapping's own, ready to check rows with.

Schemas describe the simplified representation (ETSI GS CIM 009, 4.5.4), one file per type under ``types/``. Names and
units follow the Smart Data Models; ``types/common.json`` holds what every type shares.
"""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import jsonschema_rs
import msgspec

from hanmaru.connectors.errors import MappingError, nearest
from hanmaru.connectors.values import Kind

Schema = Mapping[str, Any]
_KINDS: dict[str, Kind] = {
    "number": "number",
    "integer": "integer",
    "boolean": "boolean",
    "array": "list",
    "object": "json",
}


class EntityType:
    """One type's schema, compiled; `problem` says what is wrong with an entity in the simplified representation."""

    def __init__(self, name: str, common: Schema, schema: Schema) -> None:
        """Compile; ValueError (from jsonschema-rs) where the schema is none."""
        self.name = name
        own: Schema = schema.get("properties", {})
        self.properties: dict[str, Any] = {**common["properties"], **own}
        identified = {"$id": f"urn:hanmaru:type:{name}", **schema}
        whole = {"allOf": [common, identified, {"properties": {"type": {"const": name}}}]}
        self._validator = jsonschema_rs.validator_for(cast("dict[str, Any]", msgspec.to_builtins(whole)))
        self.valid = self._validator.is_valid

    def problem(self, entity: dict[str, Any]) -> str | None:
        """Return why an entity does not fit, or None when it does."""
        for error in self._validator.iter_errors(entity):
            place = ".".join(str(part) for part in error.instance_path)
            return f"{place}: {error.message}" if place else error.message
        return None

    def kind(self, attribute: str) -> Kind | None:
        """Return how a text becomes this attribute's value, or None where the schema does not say."""
        member = self.properties.get(attribute)
        if not isinstance(member, dict):
            return None
        found = cast("dict[str, Any]", member)
        if found.get("format") == "date-time":
            return "time"
        type_ = found.get("type")
        return _KINDS.get(type_, "text") if isinstance(type_, str) else None


class TypeRegistry:
    """The entity types that mappings may use."""

    def __init__(self, extra: Mapping[str, Schema | None] | None = None) -> None:
        """Take the shipped types and ``extra`` ones by name (a service manifest's ``EntityType.schema``)."""
        folder = files("hanmaru.connectors") / "types"
        documents = {
            entry.name.removesuffix(".json"): cast("dict[str, Any]", msgspec.json.decode(entry.read_bytes()))
            for entry in folder.iterdir()
            if entry.name.endswith(".json")
        }
        self._common = documents.pop("common")
        self._schemas: dict[str, Schema] = documents | {n: s for n, s in (extra or {}).items() if s is not None}
        self._types: dict[str, EntityType] = {}

    def names(self) -> list[str]:
        """Return the known types."""
        return sorted(self._schemas)

    def find(self, name: str) -> EntityType | None:
        """Return a type by name."""
        if name not in self._types and name in self._schemas:
            self._types[name] = EntityType(name, self._common, self._schemas[name])
        return self._types.get(name)

    def need(self, name: str, file: str, schema: str | None = None) -> EntityType:
        """Return the type that the mapping ``file`` names; ``schema`` is the mapping's own schema, a path beside it."""
        if schema is not None:
            path = Path(file).parent / schema
            try:
                return EntityType(name, self._common, cast("dict[str, Any]", msgspec.json.decode(path.read_bytes())))
            except (OSError, ValueError) as error:
                raise MappingError(file, "entity.schema", f"{path} is not a JSON Schema: {error}") from None
        found = self.find(name)
        if found is None:
            hint = nearest(name, self._schemas) or f"; known are {', '.join(self.names())}"
            remedy = f'there is no entity type {name!r}{hint}; for a type of your own give schema = "my-type.json"'
            raise MappingError(file, "entity.type", remedy)
        return found
