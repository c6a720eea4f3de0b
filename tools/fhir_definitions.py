"""Makes the tables that the FHIR search index is driven by, out of a folder with R4 4.0.1's definitions.

``python tools/fhir_definitions.py FOLDER`` reads search-parameters.json, compartmentdefinition-patient.json,
profiles-resources.json and profiles-types.json (the specification's ``definitions.json.zip``; CC0) and writes
``src/hanmaru/care/fhir/definitions``: ``search.json`` (type → code → parameter), ``patient.json`` (the Patient
compartment: type → codes) and ``elements.json`` (element path → name → types; ``name[x]`` is a choice).
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parents[1] / "src" / "hanmaru" / "care" / "fhir" / "definitions"

CORRECTED = {
    "value.as(DateTime) | value.as(Period)": "value.as(dateTime) | value.as(Period)",  # there is no type DateTime
    "value.as(Quantity)": "value.as(Quantity) | value.as(SampledData)",  # as the parameters that it is made of
    "name | alias": "InsurancePlan.name | InsurancePlan.alias",  # the only one without its type
}
"""Errata of 4.0.1 that make an expression select nothing."""

SWAPPED = {"DocumentReference-relationship"}
"""Errata of 4.0.1: composites whose two components have each other's definition."""


def alternatives(expression: str) -> list[str]:
    """Split a union at its top level."""
    parts, depth, start = [], 0, 0
    for at, c in enumerate(expression):
        depth += (c == "(") - (c == ")")
        if c == "|" and not depth:
            parts.append(expression[start:at].strip())
            start = at + 1
    return [*parts, expression[start:].strip()]


def of_type(expression: str, type: str) -> str:
    """Return the alternatives that start at one resource type (or at what every resource is)."""
    starts = re.compile(rf"\(?(?:{type}|Resource|DomainResource)\b")
    return " | ".join(part for part in alternatives(expression) if starts.match(part))


def elements(folder: Path) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Return element path → name → types ("A|B"), and the names of the concrete resource types."""
    paths: dict[str, dict[str, str]] = {}
    resources: list[str] = []
    for name in ("profiles-types.json", "profiles-resources.json"):
        for entry in json.loads((folder / name).read_text())["entry"]:
            made = entry["resource"]
            if made["resourceType"] != "StructureDefinition" or made.get("derivation") == "constraint":
                continue
            if made["fhirVersion"] != "4.0.1":  # a later release's type in the same bundle
                continue
            if made["kind"] == "resource" and not made.get("abstract"):
                resources.append(made["type"])
            for element in made["snapshot"]["element"]:
                parent, _, child = element["path"].rpartition(".")
                if not parent or made["kind"] == "primitive-type":
                    continue
                if "contentReference" in element:
                    types = [element["contentReference"].removeprefix("#")]
                else:
                    types = [primitive(t) for t in element.get("type", [])]
                    if types in (["BackboneElement"], ["Element"]):
                        types = [element["path"]]
                paths.setdefault(parent, {})[child] = "|".join(dict.fromkeys(types))
    return paths, sorted(resources)


def primitive(type: dict[str, Any]) -> str:
    """Return a type's name; ids and urls of the snapshot are FHIRPath system types with FHIR's name beside them."""
    code = type["code"]
    if not code.startswith("http://hl7.org/fhirpath/"):
        return code
    return next((x["valueUrl"] for x in type.get("extension", []) if x["url"].endswith("fhir-type")), "string")


def leads_by_url(expression: str, paths: dict[str, dict[str, str]]) -> bool:
    """Say whether a path ends at canonicals (or at uris, as some of R4's references do)."""
    for part in alternatives(expression):
        steps = re.sub(r"[()]| as .*", "", re.sub(r"\.(where|as)\(.*?\)+", "", part)).split(".")
        types = [steps[0]]
        for step in steps[1:]:
            tables = [paths.get(type, {}) for type in types]
            types = [t for table in tables for t in (table.get(step) or table.get(f"{step}[x]", "")).split("|") if t]
        if {"canonical", "uri"} & set(types):
            return True
    return False


def search(
    folder: Path, paths: dict[str, dict[str, str]], resources: list[str]
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return type → code → {type, expression, targets?, components?}, common parameters in every type."""
    entries = [e["resource"] for e in json.loads((folder / "search-parameters.json").read_text())["entry"]]
    by_url = {e["url"]: e["code"] for e in entries}
    found: dict[str, dict[str, dict[str, Any]]] = {type: {} for type in resources}
    for entry in entries:
        if "expression" not in entry:
            continue
        expression = CORRECTED.get(entry["expression"], entry["expression"])
        bases = resources if {"Resource", "DomainResource"} & set(entry["base"]) else entry["base"]
        for type in bases:
            parameter: dict[str, Any] = {"type": entry["type"], "expression": of_type(expression, type)}
            if entry["type"] == "reference" and len(entry.get("target", [])) < len(resources) - 5:
                parameter["targets"] = sorted(set(entry.get("target", [])) - {"Resource"})
            if entry["type"] == "reference" and leads_by_url(parameter["expression"], paths):
                parameter["canonical"] = True
            if entry["type"] == "composite":
                codes = [by_url[c["definition"]] for c in entry["component"]]
                expressions = [CORRECTED.get(c["expression"], c["expression"]) for c in entry["component"]]
                if entry["id"] in SWAPPED:
                    codes.reverse()
                parameter["components"] = [list(pair) for pair in zip(codes, expressions, strict=True)]
            found[type][entry["code"]] = parameter
    for codes in found.values():
        for code, parameter in codes.items():
            parameter |= shared(code, parameter, codes)
    return {type: dict(sorted(codes.items())) for type, codes in found.items()}


def shared(code: str, parameter: dict[str, Any], codes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Say of which other parameters' rows a parameter's are, so that the index keeps them once.

    Those that lead to one type (``of`` subject, ``only`` Patient), and unions (combo-code ``of`` code and
    component-code).
    """
    others = {c: p for c, p in codes.items() if c != code and p["type"] == parameter["type"]}
    narrowed = re.fullmatch(r"(.+)\.where\(resolve\(\) is (\w+)\)", parameter["expression"])
    if narrowed:
        same = [c for c, p in others.items() if p["expression"] == narrowed[1]]
        return {"of": same[:1], "only": narrowed[2]} if same else {}
    wanted = set(alternatives(parameter["expression"]))
    paths = [path for _, path in parameter.get("components", ())]
    of = []
    for c, p in others.items():
        part = set(alternatives(p["expression"]))
        if part < wanted and paths == [path for _, path in p.get("components", ())] and "of" not in p:
            of.append(c)
    covered = [a for c in of for a in alternatives(codes[c]["expression"])]
    return {"of": of} if sorted(covered) == sorted(wanted) else {}


def write(name: str, table: Any) -> None:
    """Write a table, one line an entry, so that a change reads in a diff."""
    lines = ",\n".join(
        f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=False, separators=(',', ':'))}" for k, v in table.items()
    )
    (TARGET / name).write_text(f"{{\n{lines}\n}}\n")


def main(folder: Path) -> None:
    """Make the three tables."""
    TARGET.mkdir(exist_ok=True)
    paths, resources = elements(folder)
    write("elements.json", paths)
    write("search.json", search(folder, paths, resources))
    compartment = json.loads((folder / "compartmentdefinition-patient.json").read_text())
    write("patient.json", {r["code"]: r["param"] for r in compartment["resource"] if r.get("param")})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
