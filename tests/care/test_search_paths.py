"""Every search parameter of R4 compiles, and finds in the official examples what another FHIRPath finds."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hanmaru.care.domain import CareError
from hanmaru.care.fhir import extract, paths
from hanmaru.care.fhir.definitions import compartment, elements, parameters, types
from hanmaru.care.fhir.rows import MAKERS, local

EXAMPLES = Path(os.environ.get("HANMARU_TEST_DATA", "../shared/data")) / "fhir" / "r4" / "examples"


def examples() -> Iterator[dict[str, Any]]:
    if not EXAMPLES.is_dir():
        pytest.skip(f"R4's official examples are not at {EXAMPLES}")
    for path in sorted(EXAMPLES.glob("*.json")):
        resource = json.loads(path.read_text())
        if resource.get("resourceType") in parameters():
            yield resource


def test_every_parameter_of_every_type_compiles_and_can_be_indexed() -> None:
    assert len(types()) == 146
    found = 0
    for kind, codes in parameters().items():
        for parameter in codes.values():
            legs = paths.compile(parameter.expression, kind)
            assert legs, (kind, parameter.code)
            found += 1
            if parameter.type != "composite":
                if (kind, parameter.code) != ("Consent", "source-reference"):  # an Attachment among them
                    assert any(leg.type in MAKERS[parameter.type] for leg in legs), (kind, parameter.code)
                continue
            for i, (_, path) in enumerate(parameter.components):
                made = [leg.type for base in legs for leg in paths.compile(path, base.type)]
                assert set(made) & MAKERS[extract.component_type(kind, parameter, i)].keys(), (kind, parameter.code)
    assert found > 2000


def theirs(expression: str, kind: str) -> str:
    """Word a parameter for a FHIRPath that takes ``as`` for one element only and knows no abstract types."""
    expression = re.sub(r"\b(?:Resource|DomainResource)\.", f"{kind}.", expression)
    expression = re.sub(r"\(([\w.]+) as (\w+)\)", r"\1.ofType(\2)", expression)
    return re.sub(r"\.as\((\w+)\)", r".ofType(\1)", expression)


def test_the_official_examples_are_read_as_another_fhirpath_reads_them() -> None:
    import fhirpathpy
    from fhirpathpy.models import models

    def told(values: list[Any]) -> list[str]:
        plain = [json.loads(json.dumps(v, default=float)) for v in values]
        return sorted({re.sub(r'"(-?[\d.]+(E[+-]?\d+)?)"', r"\1", json.dumps(v, sort_keys=True)) for v in plain})

    compared = 0
    for resource in examples():
        kind = resource["resourceType"]
        if resource.get("id") == "decimal":  # numbers beyond what a float keeps
            continue
        for parameter in parameters()[kind].values():
            if "resolve()" in parameter.expression:  # needs a server there; here it looks at the reference
                continue
            other = fhirpathpy.evaluate(resource, theirs(parameter.expression, kind), {}, models["r4"])
            ours = [v for leg in paths.compile(parameter.expression, kind) for v in leg.get(resource, resource)]
            assert told(ours) == told(other), (kind, resource.get("id"), parameter.code)
            compared += bool(ours)
    assert compared > 500


def test_every_example_is_extracted_and_belongs_to_its_patients() -> None:
    for resource in examples():
        rows = extract.rows(resource)
        assert set(rows.patients) == extract.patients(resource)
        if resource["resourceType"] in compartment():
            told = json.dumps(resource)
            assert all(f"Patient/{id}" in told or resource.get("id") == id for id in rows.patients)


def test_a_reference_is_told_by_its_text_before_its_type() -> None:
    here = paths.compile("Observation.subject.where(resolve() is Patient)", "Observation")

    def found(subject: dict[str, Any]) -> bool:
        resource = {"resourceType": "Observation", "subject": subject}
        return any(leg.get(resource, resource) for leg in here)

    assert found({"reference": "Patient/1"})
    assert found({"reference": "https://elsewhere/fhir/Patient/1/_history/3"})
    assert found({"type": "Patient", "identifier": {"value": "1"}})
    assert not found({"reference": "Group/1", "type": "Patient"})
    assert not found({"reference": "#contained"})


def test_conditions_and_literals() -> None:
    patient = {"resourceType": "Patient", "deceasedBoolean": False, "telecom": [{"system": "phone", "value": "1"}]}
    dead = paths.compile(parameters()["Patient"]["deceased"].expression, "Patient")
    assert [leg.get(patient, patient) for leg in dead] == [[False]]
    patient = {"resourceType": "Patient", "deceasedDateTime": "2020"}
    assert [leg.get(patient, patient) for leg in dead] == [[True]]


@pytest.mark.parametrize(
    "path",
    ["Patient.", "Patient.nonsense", "Patient.name[", "Patient.name.where(", "a'", "Patient.name.descendants()", ""],
)
def test_a_path_that_is_not_understood_says_where(path: str) -> None:
    with pytest.raises(CareError, match="path"):
        paths.compile(path, "Patient")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Patient/1", (types()["Patient"], "1", "")),
        ("Patient/1/_history/2", (types()["Patient"], "1", "2")),
        ("https://elsewhere/fhir/Patient/1", (0, "https://elsewhere/fhir/Patient/1", "")),
        ("urn:uuid:6", (0, "urn:uuid:6", "")),
    ],
)
def test_references_are_taken_apart(text: str, parts: tuple[int, str, str]) -> None:
    assert local(text) == parts
    assert local("#inside") is None


def test_odd_content_is_left_out_never_an_error() -> None:
    odd: list[Any] = [None, 5, "x", True, [], {}, [None], [[]], {"value": []}, {"coding": 5}, {"start": {}}, {"low": 3}]
    for kind in ("Observation", "Patient", "Location", "Encounter", "RiskAssessment", "Group", "ServiceRequest"):
        for value in odd:
            names = (n.replace("[x]", "Quantity") for n in elements()[kind])
            resource = dict.fromkeys(names, value) | {"resourceType": kind, "id": "1"}
            extract.rows(resource)
            assert extract.patients(resource) <= {"1"}
