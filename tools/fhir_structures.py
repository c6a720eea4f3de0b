"""Make src/hanmaru/care/fhir/definitions/structure.json from the R4 (4.0.1) definitions in a folder.

What validation needs beside cardinality and types, and nothing else: which elements hold further elements, which codes
a required binding leaves, which resource types a reference may lead to, and which elements hold times and addresses.
The FHIR specification is in the public domain (CC0). Example: python tools/fhir_structures.py definitions/fhir/r4
"""

import json
import sys
from pathlib import Path
from typing import Any

import fhirkit

OUT = Path(__file__).parents[1] / "src/hanmaru/care/fhir/definitions/structure.json"
BASE = "http://hl7.org/fhir/StructureDefinition/"
TIMES = {"date": "date", "dateTime": "date", "instant": "date"}
ADDRESSES = {"uri", "url", "oid", "uuid"}
ANY = "*"
MOST_CODES = 1500


class Values:
    """The value sets that can be listed."""

    def __init__(self, folder: Path) -> None:
        self.sets: dict[str, Any] = {}
        self.systems: dict[str, Any] = {}
        for name in ("valuesets.json", "v3-codesystems.json"):
            for entry in json.loads((folder / name).read_text())["entry"]:
                resource = entry["resource"]
                into = self.sets if resource["resourceType"] == "ValueSet" else self.systems
                into.setdefault(resource["url"], resource)

    def listed(self, url: str) -> dict[str, list[str]] | None:
        """Return a value set's codes by system, or None for one that is not a list."""
        found = self.sets.get(url.partition("|")[0])
        if found is None or "compose" not in found or "exclude" in found["compose"]:
            return None
        codes: dict[str, set[str]] = {}
        for include in found["compose"]["include"]:
            if "filter" in include or not (part := self._include(include)):
                return None
            for system, some in part.items():
                codes.setdefault(system, set()).update(some)
        return {system: sorted(some) for system, some in sorted(codes.items())}

    def _include(self, include: Any) -> dict[str, list[str]] | None:
        if "valueSet" in include:
            return self.listed(include["valueSet"][0]) if len(include["valueSet"]) == 1 else None
        if "concept" in include:
            return {include["system"]: [concept["code"] for concept in include["concept"]]}
        system = self.systems.get(include["system"])
        if system is None or system.get("content") != "complete" or not system.get("concept"):
            return None
        return {include["system"]: list(_codes(system["concept"]))}


def _codes(concepts: Any) -> Any:
    for concept in concepts:
        yield concept["code"]
        yield from _codes(concept.get("concept", ()))


def structures(folder: Path) -> dict[str, Any]:
    """Return the tables."""
    values = Values(folder)
    types: dict[str, dict[str, Any]] = {}
    parts: dict[str, dict[str, list[str]]] = {}
    codes: dict[str, dict[str, list[str]]] = {}
    known = set(fhirkit.RESOURCE_TYPES)
    for name in ("profiles-types.json", "profiles-resources.json"):
        for entry in json.loads((folder / name).read_text())["entry"]:
            one = entry["resource"]
            if one["resourceType"] != "StructureDefinition" or one.get("derivation") == "constraint":
                continue
            if one["kind"] == "complex-type" or one["name"] in known:
                for element in one["snapshot"]["element"][1:]:
                    _element(element, types, codes, values)
                if one["kind"] == "resource" and one["name"] in known:
                    parts[one["name"]] = _parts(one["snapshot"]["element"][1:])
    return {"types": {key: value for key, value in sorted(types.items()) if value}, "codes": codes, "parts": parts}


def _parts(elements: Any) -> dict[str, list[str]]:
    """Return the names of the elements that a resource must have (m) and that are its summary (s)."""
    names: list[tuple[Any, str]] = []
    for element in elements:
        root, _, name = element["path"].partition(".")
        if root and "." not in name:
            names += [(element, each) for each in _names(element, name)]
    return {
        "m": sorted({name for element, name in names if element["min"] > 0}),
        "s": sorted({name for element, name in names if element.get("isSummary")}),
    }


def _names(element: Any, name: str) -> list[str]:
    """Return the names that a choice has in JSON, or the one name of what is none."""
    if not name.endswith("[x]"):
        return [name]
    return [name[:-3] + type["code"][0].upper() + type["code"][1:] for type in element["type"]]


def _element(element: Any, types: dict[str, Any], codes: dict[str, Any], values: Values) -> None:
    parent, _, name = element["path"].rpartition(".")
    if "contentReference" in element:
        types.setdefault(parent, {})[name] = {"t": element["contentReference"][1:]}
        return
    for type in element.get("type", ()):
        code: str = type["code"]
        key = name.replace("[x]", code[0].upper() + code[1:]) if name.endswith("[x]") else name
        fact: dict[str, Any] = {}
        if code in ("BackboneElement", "Element"):
            fact["t"] = element["path"]
        elif code == "Resource":
            fact["t"] = ANY
        elif code in TIMES:
            fact["k"] = TIMES[code]
        elif code in ADDRESSES:
            fact["k"] = "uri"
        elif code[0].isupper():
            fact["t"] = code
        if code == "Reference":
            targets = [profile.removeprefix(BASE) for profile in type.get("targetProfile", ())]
            if targets and "Resource" not in targets:
                fact["r"] = sorted(targets)
        binding = element.get("binding", {})
        if binding.get("strength") == "required" and code in ("code", "Coding", "CodeableConcept", "Quantity"):
            url = binding["valueSet"].partition("|")[0]
            listed = values.listed(url)
            if listed and sum(map(len, listed.values())) <= MOST_CODES:
                codes[url] = listed
                fact["b"] = url
        if fact:
            types.setdefault(parent, {})[key] = fact


if __name__ == "__main__":
    OUT.parent.mkdir(exist_ok=True)
    tables = structures(Path(sys.argv[1]))
    OUT.write_text(json.dumps(tables, separators=(",", ":"), sort_keys=True) + "\n")
    print(OUT.stat().st_size, len(tables["types"]), len(tables["codes"]))
