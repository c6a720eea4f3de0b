"""What is R4 and what is not: the standard's examples, real devices' data, and what the library leaves out."""

import json
import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import fhirpathpy
import pytest
from fhirpathpy.models import models

from hanmaru.care.fhir import text, validate
from hanmaru.care.fhir.invariants import RULES
from hanmaru.platform.problems import Problem

DATA = Path(os.environ.get("HANMARU_TEST_DATA", "../shared/data")).resolve() / "fhir"
EXAMPLES = DATA / "r4" / "examples"
OBSERVATION: dict[str, Any] = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'

here = pytest.mark.skipif(not EXAMPLES.is_dir(), reason=f"no FHIR examples at {DATA}")


def wrong(resource: dict[str, Any]) -> list[tuple[str, str]]:
    """Return code and path of what is wrong."""
    return [(issue.code, issue.path) for issue in validate.errors(validate.check(resource))]


def examples() -> list[Path]:
    return sorted(EXAMPLES.glob("*.json"))


@here
@pytest.mark.parametrize("path", examples(), ids=lambda path: path.stem)
def test_the_standards_examples_are_valid_and_the_wrong_one_is_not(path: Path) -> None:
    found = validate.errors(validate.check(path.read_bytes()))
    if path.name == "bundle-questionnaire.json":
        assert found[0].path == "Questionnaire.item[0].item[0].linkId"
        assert found[0].message == "required element missing"
    else:
        assert found == []


@here
@pytest.mark.parametrize("folder", ["phd/input/examples", "twltc", "synthea"])
def test_what_devices_and_others_send_is_valid(folder: str) -> None:
    paths = sorted((DATA / folder).glob("*.json"))
    assert paths
    for path in paths:
        assert validate.errors(validate.check(path.read_bytes())) == [], path.name


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"status": "finished"}, ("code-invalid", "Observation.status")),
        ({"valueQuantity": {"value": 1, "comparator": "!"}}, ("code-invalid", "Observation.valueQuantity.comparator")),
        ({"subject": {"reference": "Medication/1"}}, ("code-invalid", "Observation.subject")),
        ({"subject": {"reference": "Medication?code=x"}}, ("code-invalid", "Observation.subject")),
        ({"subject": {"reference": "http://other.example/Medication/1"}}, ("code-invalid", "Observation.subject")),
        ({"subject": {"reference": "Person/1/_history/2"}}, ("code-invalid", "Observation.subject")),
        ({"subject": {"type": "Medication", "display": "x"}}, ("code-invalid", "Observation.subject")),
        ({"focus": [{"reference": "Nothing/1"}]}, ("code-invalid", "Observation.focus[0]")),
        ({"subject": {"reference": "#p"}}, ("invariant", "Observation.subject")),
        ({"effectiveDateTime": "2026-02-30"}, ("value", "Observation.effectiveDateTime")),
        ({"issued": "2026-04-31T00:00:00Z"}, ("value", "Observation.issued")),
        ({"id": "a b"}, ("value", "Observation.id")),
        ({"id": "x" * 65}, ("value", "Observation.id")),
        ({"code": {}}, ("invariant", "Observation.code")),
        ({"category": [{"id": "a"}]}, ("invariant", "Observation.category[0]")),
        ({"effectivePeriod": {"start": "2026-02", "end": "2026-01-31"}}, ("invariant", "Observation.effectivePeriod")),
        ({"valueString": "a", "dataAbsentReason": {"text": "b"}}, ("invariant", "Observation")),
        ({"text": {"status": "generated", "div": "<p>x</p>"}}, ("invariant", "Observation.text.div")),
        ({"extension": [{"url": "u"}]}, ("invariant", "Observation.extension[0]")),
        ({"_status": {"extension": [{"url": "u"}]}}, ("invariant", "Observation._status.extension[0]")),
        (
            {"contained": [{"resourceType": "Patient", "gender": "m"}]},
            ("code-invalid", "Observation.contained[0].gender"),
        ),
        ({"foo": 1}, ("structure", "Observation.foo")),
        ({"issued": "yesterday"}, ("value", "Observation.issued")),
    ],
)
def test_what_is_wrong_is_told_where_it_is(change: dict[str, Any], expected: tuple[str, str]) -> None:
    assert expected in wrong(OBSERVATION | change)


@pytest.mark.parametrize(
    "change",
    [
        {"subject": {"reference": "Patient/1"}},
        {"subject": {"reference": "urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7"}},
        {"subject": {"reference": "Patient?identifier=a"}},
        {"subject": {"reference": "#p"}, "contained": [{"resourceType": "Patient", "id": "p"}]},
        {"effectiveDateTime": "2028-02-29"},
        {"effectivePeriod": {"start": "2026-01-31T23:00:00-09:00", "end": "2026-02-01T20:00:00+09:00"}},
        {"text": {"status": "generated", "div": f"<div {XHTML}>37&nbsp;&deg;C &lt; 40 <b>!</b></div>"}},
    ],
)
def test_what_looks_odd_and_is_right_is_taken(change: dict[str, Any]) -> None:
    assert wrong(OBSERVATION | change) == []


@pytest.mark.parametrize(
    "inner",
    [
        "<script>x</script>",
        '<a href="javascript:x()">x</a>',
        '<b onclick="x()">x</b>',
        "<iframe/>",
        "<b>",
        "&nothing;",
    ],
)
def test_a_narrative_runs_nothing(inner: str) -> None:
    assert validate.unsafe(f"<div {XHTML}>{inner}</div>")


def test_a_consents_scope_is_no_required_binding_and_an_allergys_status_is() -> None:
    system = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"
    allergy: dict[str, Any] = {"resourceType": "AllergyIntolerance", "patient": {"reference": "Patient/1"}}
    good = {"coding": [{"system": "urn:own", "code": "1"}, {"system": system, "code": "active"}]}
    assert wrong(allergy | {"clinicalStatus": good}) == []
    bad = {"coding": [{"system": "urn:own", "code": "active"}]}
    assert wrong(allergy | {"clinicalStatus": bad}) == [("code-invalid", "AllergyIntolerance.clinicalStatus")]


def test_wrong_references_between_types_the_room_does_not_use_are_warnings() -> None:
    metric = {
        "resourceType": "DeviceMetric",
        "type": {"text": "x"},
        "category": "measurement",
        "parent": {"reference": "Patient/1"},
    }
    assert [issue.severity for issue in validate.check(metric)] == ["warning"]


def test_no_value_is_quoted_that_may_be_about_a_person() -> None:
    secret = "Kim-Yeong-Hui"
    patient = {
        "resourceType": "Patient",
        "birthDate": secret,
        "gender": secret,
        "id": f"{secret} {secret}",
        "telecom": [{"system": secret, "value": secret}],
        "identifier": [{"system": f"not {secret}", "value": " "}],
        "contact": [{"period": {"start": secret}}],
        "link": [{"other": {"reference": f"Observation/{secret}"}, "type": secret}],
    }
    found = validate.check(patient)
    assert len(found) >= 7
    assert secret not in str(found)
    assert secret not in str(validate.refusal(found).document())


@pytest.mark.parametrize("source", [b"", b"{", b"[]", b"1", b'{"a":1,"a":2}', b'{"x":' * 200 + b"1" + b"}" * 200])
def test_what_is_no_json_object_is_refused(source: bytes) -> None:
    with pytest.raises(Problem) as caught:
        validate.check(source)
    assert caught.value.status == 400


def test_structure_is_a_400_and_rules_are_a_422() -> None:
    assert validate.refusal(validate.check(OBSERVATION | {"foo": 1})).status == 400
    assert validate.refusal(validate.check(OBSERVATION | {"status": "x"})).status == 422


# ---- the invariants, against another implementation of FHIRPath

EXPRESSIONS = {
    "att-1": "data.empty() or contentType.exists()",
    "cpt-2": "value.empty() or system.exists()",
    "ext-1": "extension.exists() != value.exists()",
    "qty-3": "code.empty() or system.exists()",
    "obs-3": "low.exists() or high.exists() or text.exists()",
    "obs-6": "dataAbsentReason.empty() or value.empty()",
    "obs-7": "value.empty() or component.code.where(coding.intersect(%resource.code.coding).exists()).empty()",
    "org-1": "(identifier.count() + name.count()) > 0",
    "pat-1": "name.exists() or telecom.exists() or address.exists() or organization.exists()",
    "app-2": "start.exists() = end.exists()",
    "app-3": "(start.exists() and end.exists()) or (status in ('proposed' | 'cancelled' | 'waitlist'))",
    "cpl-3": "detail.empty() or reference.empty()",
    "ppc-1": "policy.exists() or policyRule.exists()",
    "gol-1": "(detail.exists() and measure.exists()) or detail.exists().not()",
    "que-1": "(type='group' implies item.empty().not()) and (type='display' implies item.empty())",
    "que-3": "type!='display' or code.empty()",
    "que-10": "(type in ('boolean' | 'decimal' | 'integer' | 'string' | 'text' | 'url' | 'open-choice'))"
    " or maxLength.empty()",
    "qrs-1": "(answer.exists() and item.exists()).not()",
    "tim-1": "duration.empty() or durationUnit.exists()",
    "tim-2": "period.empty() or periodUnit.exists()",
    "bdl-5": "resource.exists() or request.exists() or response.exists()",
    "grp-1": "member.empty() or (actual = true)",
    "inv-1": "(part.exists() and value.empty() and resource.empty()) or"
    " (part.empty() and (value.exists() xor resource.exists()))",
}
"""As the StructureDefinitions have them; Task's inv-1 is another of the same key."""

SEEDS: dict[str, list[dict[str, Any]]] = {
    "Attachment": [{"data": "AA=="}, {"contentType": "a/b", "data": "AA=="}, {}],
    "ContactPoint": [{"value": "1"}, {"system": "phone", "value": "1"}, {"use": "home"}],
    "Extension": [
        {"url": "u"},
        {"url": "u", "valueCode": "a"},
        {"url": "u", "extension": [{"url": "v"}]},
        {"url": "u", "valueCode": "a", "extension": [{"url": "v", "valueCode": "b"}]},
    ],
    "Quantity": [{"code": "m"}, {"code": "m", "system": "s"}, {"value": 1}],
    "Observation.referenceRange": [{"text": "x"}, {"low": {"value": 1}}, {"appliesTo": [{"text": "x"}]}],
    "Observation": [
        {"valueString": "a", "dataAbsentReason": {"text": "x"}},
        {"dataAbsentReason": {"text": "x"}},
        {"code": {"coding": [{"code": "a"}]}, "valueString": "x", "component": [{"code": {"coding": [{"code": "a"}]}}]},
        {"code": {"coding": [{"code": "a"}]}, "valueString": "x", "component": [{"code": {"coding": [{"code": "b"}]}}]},
        {"code": {"coding": [{"code": "a"}]}, "component": [{"code": {"coding": [{"code": "a"}]}}]},
    ],
    "Organization": [{"name": "x"}, {"active": True}, {"identifier": [{"value": "x"}]}],
    "Patient.contact": [{"name": {"text": "x"}}, {"gender": "male"}],
    "Appointment": [
        {"start": "2026-01-01T00:00:00Z"},
        {"status": "booked"},
        {"status": "proposed"},
        {"status": "booked", "start": "2026-01-01T00:00:00Z", "end": "2026-01-01T01:00:00Z"},
    ],
    "CarePlan.activity": [{"detail": {"status": "unknown"}, "reference": {"reference": "Task/1"}}, {"detail": {}}],
    "Consent": [{"policy": [{"uri": "u"}]}, {"policyRule": {"text": "x"}}, {"status": "active"}],
    "Goal.target": [{"detailString": "x"}, {"detailString": "x", "measure": {"text": "y"}}, {"measure": {"text": "y"}}],
    "Questionnaire.item": [
        {"type": "group"},
        {"type": "group", "item": [{"linkId": "1"}]},
        {"type": "display", "item": [{"linkId": "1"}]},
        {"type": "display", "code": [{"code": "a"}]},
        {"type": "choice", "maxLength": 3},
        {"type": "text", "maxLength": 3},
    ],
    "QuestionnaireResponse.item": [{"answer": [{"valueCode": "a"}], "item": [{"linkId": "1"}]}, {"linkId": "1"}],
    "Timing.repeat": [{"duration": 1}, {"period": 1}, {"duration": 1, "durationUnit": "h", "period": 2}],
    "Bundle.entry": [{"resource": {"resourceType": "Basic"}}, {"fullUrl": "urn:x"}],
    "Group": [{"member": [{"entity": {"display": "x"}}], "actual": False}, {"actual": False}, {"actual": True}],
    "Parameters.parameter": [
        {"name": "a"},
        {"name": "a", "valueCode": "b"},
        {"name": "a", "part": [{"name": "b", "valueCode": "c"}]},
        {"name": "a", "valueCode": "b", "resource": {"resourceType": "Basic"}},
    ],
}


def cases() -> Iterator[tuple[str, str]]:
    for type, rules in RULES.items():
        for rule in rules:
            if rule.key in EXPRESSIONS and type in SEEDS:
                yield type, rule.key


@pytest.mark.parametrize(("type", "key"), list(cases()))
def test_invariants_are_what_the_standard_says(type: str, key: str) -> None:
    rule = next(rule for rule in RULES[type] if rule.key == key)
    outcomes: set[bool] = set()
    for seed in SEEDS[type]:
        model: Any = models["r4"]
        # choices are found by their type, which a data type's own name tells
        root: Any = {"resourceType": type, **seed} if "." not in type else seed
        expression = EXPRESSIONS[key]
        if "." in type or type in ("Attachment", "ContactPoint", "Extension", "Quantity"):
            expression = expression.replace("value.", "CHOICE.").replace("detail.", "DETAIL.")
            for word, stem in (("CHOICE", "value"), ("DETAIL", "detail")):
                named = next((name for name in seed if name.startswith(stem)), stem)
                expression = expression.replace(word, named)
        expected = fhirpathpy.evaluate(root, expression, {"resource": root}, model) == [True]
        assert rule.holds(seed, seed) == expected, seed
        outcomes.add(expected)
    assert outcomes == {True, False} or key in ("tim-1", "tim-2")


@here
def test_decimals_keep_their_digits() -> None:
    source = (EXAMPLES / "observation-decimal.json").read_bytes()
    again = json.loads(text.encode(text.decode(source)), parse_float=str)
    assert again == json.loads(source, parse_float=str)
    assert text.decode(b'{"a":1.10}') == {"a": Decimal("1.10")}
