"""The FHIR face over HTTP, on a whole hub: one start for all."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.care.fhir_client import Client
from tests.running import COMMAND, environment, running

DATA = Path(os.environ.get("HANMARU_TEST_DATA", "../shared/data")).resolve() / "fhir"
PATIENT = {"resourceType": "Patient", "name": [{"family": "Kim"}], "gender": "female"}


@pytest.fixture(scope="module")
def fhir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with running(tmp_path_factory.mktemp("fhir"), AUTH="off", SERVICES="care", LIMITS__REQUESTS_PER_S="0") as hub:
        client = Client(hub.url)
        yield client
        client.close()
        assert [line for line in hub.logs if line.get("level") in ("error", "critical")] == []


def bundle(type: str, *entries: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": type, "entry": list(entries)}


def entry(method: str, url: str, resource: Any = None, full_url: str = "", **request: str) -> dict[str, Any]:
    said: dict[str, Any] = {"request": {"method": method, "url": url, **request}}
    if resource is not None:
        said["resource"] = resource
    return {**said, "fullUrl": full_url} if full_url else said


def identified(value: str) -> dict[str, Any]:
    return {**PATIENT, "identifier": [{"system": "urn:test", "value": value}]}


def observed(subject: str, value: float = 37.5) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8310-5"}]},
        "subject": {"reference": subject},
        "valueQuantity": {"value": value, "unit": "Cel", "system": "http://unitsofmeasure.org", "code": "Cel"},
    }


# ---- one resource


def test_a_resource_lives_from_its_creation_to_its_deletion(fhir: Client) -> None:
    made = fhir.post("/Patient", PATIENT)
    assert made.status == 201
    id = made.json()["id"]
    assert made.headers["location"] == f"{fhir.url}/Patient/{id}/_history/1"
    assert made.headers["etag"] == 'W/"1"'
    read = fhir.get(f"/Patient/{id}")
    assert (read.status, read.body) == (200, made.body)
    assert read.headers["content-type"] == "application/fhir+json"
    assert read.headers["last-modified"]

    changed = fhir.put(f"/Patient/{id}", {**PATIENT, "id": id, "gender": "male"}, if_match='W/"1"')
    assert (changed.status, changed.headers["etag"]) == (200, 'W/"2"')
    again = fhir.put(f"/Patient/{id}", {**PATIENT, "id": id, "gender": "male"})
    assert again.headers["etag"] == 'W/"2"', "nothing changed, so there is no new version"
    assert fhir.put(f"/Patient/{id}", {**PATIENT, "id": id}, if_match='W/"1"').status == 412

    assert fhir.get(f"/Patient/{id}/_history/1").json()["gender"] == "female"
    assert fhir.get(f"/Patient/{id}/_history/9").status == 404

    assert fhir.ask("DELETE", f"/Patient/{id}").status == 204
    assert fhir.get(f"/Patient/{id}").status == 410
    history = fhir.get(f"/Patient/{id}/_history").json()
    assert [each["request"]["method"] for each in history["entry"]] == ["DELETE", "PUT", "POST"]
    assert [each["response"]["status"] for each in history["entry"]] == ["204 No Content", "200 OK", "201 Created"]
    assert fhir.put(f"/Patient/{id}", {**PATIENT, "id": id}).status == 200, "what was deleted may come back"


def test_an_update_may_create_under_the_clients_own_id(fhir: Client) -> None:
    id = f"own-{uuid4().hex[:8]}"
    assert fhir.put(f"/Patient/{id}", {**PATIENT, "id": id}, if_none_match="*").status == 201
    assert fhir.put(f"/Patient/{id}", {**PATIENT, "id": id}, if_none_match="*").status == 412
    assert fhir.put(f"/Patient/{id}", {**PATIENT, "id": "another"}).status == 400
    assert fhir.put(f"/Patient/{id}", PATIENT).status == 400
    assert "1 to 64" in fhir.put("/Patient/a_b", {**PATIENT, "id": "a_b"}).issues()


def test_what_a_reader_has_is_not_sent_again(fhir: Client) -> None:
    made = fhir.made(PATIENT)
    at = f"/Patient/{made['id']}"
    read = fhir.get(at)
    assert fhir.get(at, if_none_match=read.headers["etag"]).status == 304
    assert fhir.get(at, if_modified_since=read.headers["last-modified"]).status == 304
    assert fhir.get(at, if_none_match='W/"7"').status == 200
    assert fhir.ask("HEAD", at).body == b""


def test_prefer_says_what_comes_back(fhir: Client) -> None:
    assert fhir.post("/Patient", PATIENT, prefer="return=minimal").body == b""
    assert fhir.post("/Patient", PATIENT, prefer="return=representation").json()["resourceType"] == "Patient"
    assert fhir.post("/Patient", PATIENT, prefer="return=OperationOutcome").issues() == "Done."


def test_conditions_make_changes_safe_to_repeat(fhir: Client) -> None:
    value = uuid4().hex
    search = f"identifier=urn:test|{value}"
    first = fhir.post("/Patient", identified(value), if_none_exist=search)
    second = fhir.post("/Patient", identified(value), if_none_exist=search)
    assert (first.status, second.status) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    updated = fhir.put(f"/Patient?{search}", {**identified(value), "gender": "other"})
    assert updated.status == 200
    assert updated.json()["id"] == first.json()["id"]
    new = uuid4().hex
    assert fhir.put(f"/Patient?identifier=urn:test|{new}", identified(new)).status == 201
    fhir.made(identified(value))
    assert fhir.put(f"/Patient?{search}", identified(value)).status == 412
    assert fhir.post("/Patient", identified(value), if_none_exist=search).status == 412
    assert fhir.ask("DELETE", f"/Patient?{search}").status == 412
    assert fhir.ask("DELETE", f"/Patient?identifier=urn:test|{new}").status == 204
    assert fhir.ask("DELETE", f"/Patient?identifier=urn:test|{new}").status == 204
    assert fhir.ask("DELETE", "/Patient").status == 400
    assert fhir.ask("DELETE", "/Patient?_count=1").status == 400


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/Patient/nobody", 404),
        ("/Nothing/1", 404),
        ("/Nothing", 404),
        ("/Patient/1/2/3/4", 404),
        ("/Patient?nothing=1", 400),
        ("/Patient?birthdate=soon", 400),
        ("/Patient/nobody/_history", 404),
        ("/Patient/nobody/_history/x", 404),
        ("/Patient/nobody/$everything", 404),
        ("/Patient/a_b", 400),
        ("/_history?_since=then", 400),
        ("/_history?_count=0", 400),
    ],
)
def test_what_cannot_be_answered_is_said_as_an_outcome(fhir: Client, path: str, status: int) -> None:
    answer = fhir.get(path)
    assert answer.status == status
    assert answer.issues()
    assert answer.headers["content-type"] == "application/fhir+json"


def test_xml_is_refused_in_words(fhir: Client) -> None:
    assert fhir.get("/metadata", accept="application/fhir+xml").status == 406
    assert fhir.get("/Patient?_format=xml").status == 406
    assert "XML" in fhir.post("/Patient", b"<Patient/>", content_type="application/fhir+xml").issues()
    assert fhir.get("/Patient?_format=json&_count=1").status == 200
    assert fhir.get("/metadata", accept="text/html,application/xhtml+xml").status == 200


def test_what_is_not_r4_is_refused_with_its_place(fhir: Client) -> None:
    assert fhir.post("/Patient", b"{").status == 400
    assert fhir.post("/Patient", {"resourceType": "Observation"}).status == 400
    wrong = fhir.post("/Patient", {**PATIENT, "gender": "f"})
    assert wrong.status == 422
    assert wrong.json()["issue"][0]["expression"] == ["Patient.gender"]
    assert fhir.post("/Patient", {**PATIENT, "nam": 1}).status == 400


def test_validating_keeps_nothing(fhir: Client) -> None:
    before = fhir.get("/Patient?_summary=count").json()["total"]
    assert fhir.post("/Patient/$validate", PATIENT).issues() == "This is valid R4."
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": {**PATIENT, "a": 1}}]}
    answer = fhir.post("/$validate", parameters)
    assert (answer.status, answer.issues()) == (200, "Patient.a: unknown element")
    assert fhir.get("/Patient?_summary=count").json()["total"] == before


def test_references_to_this_server_are_kept_relative(fhir: Client) -> None:
    patient = fhir.made(PATIENT)["id"]
    made = fhir.made(observed(f"{fhir.url}/Patient/{patient}"))
    assert made["subject"]["reference"] == f"Patient/{patient}"
    assert fhir.get(f"/Observation?patient={patient}&_total=accurate").json()["total"] == 1


# ---- searches


def test_a_search_is_walked_through_page_by_page(fhir: Client) -> None:
    patient = fhir.made(PATIENT)["id"]
    made = {fhir.made(observed(f"Patient/{patient}", 36 + n / 10))["id"] for n in range(7)}
    found: list[str] = []
    path = f"/Observation?subject=Patient/{patient}&_count=3&_sort=-_lastUpdated&_include=Observation:subject"
    pages = 0
    while path:
        page = fhir.get(path).json()
        pages += 1
        found += [each["resource"]["id"] for each in page["entry"] if each["search"]["mode"] == "match"]
        assert [e["resource"]["id"] for e in page["entry"] if e["search"]["mode"] == "include"] == [patient]
        following = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
        path = following.removeprefix(fhir.url)
    assert pages == 3
    assert len(found) == 7
    assert set(found) == made


def test_a_form_finds_what_an_address_finds(fhir: Client) -> None:
    value = uuid4().hex
    id = fhir.made(identified(value))["id"]
    body = f"identifier=urn:test%7C{value}".encode()
    form = "application/x-www-form-urlencoded"
    for path in ("/Patient/_search", "/_search?_type=Patient"):
        found = fhir.post(path, body, content_type=form).json()
        assert [each["resource"]["id"] for each in found["entry"]] == [id], path
    assert fhir.post("/Patient/_search", body, content_type="application/json").status == 415


def test_parts_of_resources_are_marked_as_such(fhir: Client) -> None:
    patient = fhir.made(PATIENT)["id"]
    id = fhir.made(observed(f"Patient/{patient}"))["id"]
    part = fhir.get(f"/Observation?_id={id}&_elements=valueQuantity").json()["entry"][0]["resource"]
    assert part.keys() == {"resourceType", "id", "meta", "status", "code", "valueQuantity"}
    assert part["meta"]["tag"][0]["code"] == "SUBSETTED"
    assert "SUBSETTED" in str(fhir.get(f"/Observation/{id}?_summary=true").json())
    assert fhir.get(f"/Observation?_id={id}&_summary=sometimes").status == 400


def test_what_is_not_understood_may_be_left_out(fhir: Client) -> None:
    answer = fhir.get("/Patient?nothing=1&_count=1", prefer="handling=lenient").json()
    assert answer["entry"][-1]["search"] == {"mode": "outcome"}
    assert "nothing" in answer["entry"][-1]["resource"]["issue"][0]["diagnostics"]


def test_everything_of_a_patient_comes_in_pages(fhir: Client) -> None:
    patient, other = fhir.made(PATIENT)["id"], fhir.made(PATIENT)["id"]
    doctor = fhir.made({"resourceType": "Practitioner", "name": [{"family": "Lee"}]})["id"]
    mine = {
        fhir.made({**observed(f"Patient/{patient}", n), "performer": [{"reference": f"Practitioner/{doctor}"}]})["id"]
        for n in range(5)
    }
    fhir.made(observed(f"Patient/{other}"))
    found: set[str] = set()
    path = f"/Patient/{patient}/$everything?_count=2"
    while path:
        page = fhir.get(path).json()
        found |= {each["resource"]["id"] for each in page["entry"]}
        path = next((x["url"] for x in page["link"] if x["relation"] == "next"), "").removeprefix(fhir.url)
    assert found == {patient, doctor, *mine}
    only = fhir.get(f"/Patient/{patient}/$everything?_type=Observation").json()
    assert {each["resource"]["id"] for each in only["entry"]} == mine
    assert "entry" not in fhir.get(f"/Patient/{patient}/$everything?_since=2999-01-01").json()
    asked = {"resourceType": "Parameters", "parameter": [{"name": "_type", "valueCode": "Patient"}]}
    posted = fhir.post(f"/Patient/{patient}/$everything", asked).json()
    assert [each["resource"]["id"] for each in posted["entry"]] == [patient]
    assert {e["resource"]["id"] for e in fhir.get(f"/Patient/{patient}/Observation").json()["entry"]} == mine


def test_histories_of_a_type_and_of_all_are_walked_through(fhir: Client) -> None:
    ids = [fhir.made({"resourceType": "Basic", "code": {"text": str(n)}})["id"] for n in range(5)]
    found: list[str] = []
    path = "/Basic/_history?_count=2"
    while path:
        page = fhir.get(path).json()
        assert page["type"] == "history"
        found += [each["resource"]["id"] for each in page["entry"]]
        path = next((x["url"] for x in page["link"] if x["relation"] == "next"), "").removeprefix(fhir.url)
    assert found == ids[::-1]
    assert fhir.get("/_history?_count=1").json()["entry"][0]["resource"]["id"] == ids[-1]
    assert "entry" not in fhir.get("/_history?_since=2999-01-01T00:00:00Z").json()


# ---- Bundles


def test_a_transaction_is_done_in_the_standards_order(fhir: Client) -> None:
    old = fhir.made(PATIENT)["id"]
    kept = fhir.made(PATIENT)["id"]
    urn = f"urn:uuid:{uuid4()}"
    answer = fhir.post(
        "",
        bundle(
            "transaction",
            entry("GET", f"Patient/{kept}"),
            entry("PUT", f"Patient/{kept}", {**PATIENT, "id": kept, "gender": "other"}),
            entry("POST", "Observation", observed(urn)),
            entry("POST", "Patient", PATIENT, urn),
            entry("DELETE", f"Patient/{old}"),
        ),
    ).json()
    assert answer["type"] == "transaction-response"
    said = [each["response"]["status"] for each in answer["entry"]]
    assert said == ["200 OK", "200 OK", "201 Created", "201 Created", "204 No Content"]
    assert answer["entry"][0]["resource"]["gender"] == "other", "what is read is read at the end"
    observation = answer["entry"][2]["response"]["location"].partition("/_history")[0]
    patient = answer["entry"][3]["response"]["location"].partition("/_history")[0]
    assert fhir.get(f"/{observation}").json()["subject"]["reference"] == patient
    assert fhir.get(f"/Patient/{old}").status == 410


def test_a_transaction_is_all_or_nothing(fhir: Client) -> None:
    value = uuid4().hex
    made = entry("POST", "Patient", identified(value))
    for bad, status in (
        (entry("PUT", "Patient/x1", {**PATIENT, "id": "x1"}, ifMatch='W/"4"'), 412),
        (entry("DELETE", "Patient/nobody"), 404),
        (entry("POST", "Patient", {**PATIENT, "gender": "f"}), 422),
        (entry("POST", "Observation", observed("Patient?identifier=nobody")), 412),
        (entry("PATCH", "Patient/x", {**PATIENT}), 405),
        (entry("POST", "Nothing", PATIENT), 404),
        (entry("GET", "Patient/1/$everything"), 405),
    ):
        answer = fhir.post("", bundle("transaction", made, bad))
        assert answer.status == status, (bad, answer.body)
        assert answer.issues()
        assert fhir.get(f"/Patient?identifier={value}&_summary=count").json()["total"] == 0


def test_two_entries_about_one_resource_are_refused(fhir: Client) -> None:
    id = fhir.made(PATIENT)["id"]
    put = entry("PUT", f"Patient/{id}", {**PATIENT, "id": id})
    answer = fhir.post("", bundle("transaction", put, entry("DELETE", f"Patient/{id}")))
    assert answer.status == 400
    assert "same resource" in answer.issues()


def test_a_transactions_conditions_are_resolved(fhir: Client) -> None:
    value = uuid4().hex
    condition = f"identifier=urn:test|{value}"
    urn = f"urn:uuid:{uuid4()}"
    visit = bundle(
        "transaction",
        entry("POST", "Patient", identified(value), urn, ifNoneExist=condition),
        entry("POST", "Observation", observed(urn)),
    )
    first, second = fhir.post("", visit).json(), fhir.post("", visit).json()
    assert [each["entry"][0]["response"]["status"] for each in (first, second)] == ["201 Created", "200 OK"]
    patient = first["entry"][0]["response"]["location"].split("/")[1]
    assert fhir.get(f"/Observation?patient={patient}&_summary=count").json()["total"] == 2
    by_search = bundle("transaction", entry("POST", "Observation", observed(f"Patient?{condition}")))
    assert fhir.post("", by_search).status == 200
    assert fhir.get(f"/Observation?patient={patient}&_summary=count").json()["total"] == 3
    updated = bundle(
        "transaction",
        entry("PUT", f"Patient?{condition}", {**identified(value), "gender": "other"}, urn),
        entry("POST", "Observation", observed(urn)),
    )
    assert fhir.post("", updated).json()["entry"][0]["response"]["location"] == f"Patient/{patient}/_history/2"
    assert fhir.get(f"/Observation?patient={patient}&_summary=count").json()["total"] == 4


def test_only_what_is_a_reference_or_an_address_is_rewritten(fhir: Client) -> None:
    urn = f"urn:uuid:{uuid4()}"
    document = {
        "resourceType": "DocumentReference",
        "status": "current",
        "subject": {"reference": urn},
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": urn}],
        "description": urn,
        "content": [{"attachment": {"url": urn}}],
        "text": {
            "status": "generated",
            "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{urn}">{urn}</a></div>',
        },
    }
    answer = fhir.post(
        "",
        bundle("transaction", entry("POST", "DocumentReference", document), entry("POST", "Patient", PATIENT, urn)),
        prefer="return=representation",
    ).json()
    kept = answer["entry"][0]["resource"]
    patient = f"Patient/{answer['entry'][1]['resource']['id']}"
    assert kept["subject"]["reference"] == patient
    assert kept["content"][0]["attachment"]["url"] == patient
    assert kept["identifier"][0]["value"] == kept["description"] == urn
    assert f'<a href="{patient}">{urn}</a>' in kept["text"]["div"]


def test_references_are_resolved_against_the_entrys_own_address(fhir: Client) -> None:
    other = "http://other.example/fhir"
    answer = fhir.post(
        "",
        bundle(
            "transaction",
            entry("POST", "Observation", observed("Patient/7"), f"{other}/Observation/1"),
            entry("POST", "Patient", PATIENT, f"{other}/Patient/7"),
        ),
        prefer="return=representation",
    ).json()
    subject = answer["entry"][0]["resource"]["subject"]["reference"]
    assert subject == f"Patient/{answer['entry'][1]['resource']['id']}"


def test_the_same_key_does_a_transaction_once(fhir: Client) -> None:
    urn = f"urn:uuid:{uuid4()}"
    visit = bundle("transaction", entry("POST", "Patient", PATIENT, urn), entry("POST", "Observation", observed(urn)))
    key = uuid4().hex
    first, second = fhir.post("", visit, idempotency_key=key), fhir.post("", visit, idempotency_key=key)
    assert first.status == second.status == 200
    locations = [[e["response"]["location"] for e in each.json()["entry"]] for each in (first, second)]
    assert locations[0] == locations[1]
    other = bundle("transaction", entry("POST", "Patient", {**PATIENT, "gender": "other"}, urn))
    assert fhir.post("", other, idempotency_key=key).status == 422


def test_a_batchs_entries_stand_for_themselves(fhir: Client) -> None:
    id = fhir.made(PATIENT)["id"]
    answer = fhir.post(
        "",
        bundle(
            "batch",
            entry("POST", "Patient", {**PATIENT, "gender": "f"}),
            entry("POST", "Patient", PATIENT),
            entry("GET", f"Patient/{id}"),
            entry("GET", f"Patient/{id}", ifNoneMatch='W/"1"'),
            entry("GET", "Patient/nobody"),
            entry("GET", f"Patient?_id={id}"),
            entry("GET", f"Patient/{id}/_history"),
            entry("DELETE", "Patient/nobody"),
            entry("PUT", "Patient/another", {**PATIENT, "id": "one"}),
        ),
    ).json()
    said = [int(each["response"]["status"][:3]) for each in answer["entry"]]
    assert said == [422, 201, 200, 304, 404, 200, 200, 404, 400]
    assert answer["entry"][0]["response"]["outcome"]["issue"][0]["code"] == "code-invalid"
    assert answer["entry"][2]["resource"]["id"] == id
    assert answer["entry"][5]["resource"]["type"] == "searchset"


def test_what_is_no_bundle_to_process_is_refused(fhir: Client) -> None:
    assert fhir.post("", PATIENT).status == 400
    assert fhir.post("", bundle("collection")).status == 400
    assert fhir.post("", {"resourceType": "Bundle", "type": "batch", "entry": 3}).status == 400
    assert fhir.post("", {"resourceType": "Bundle", "type": "transaction"}).json()["type"] == "transaction-response"
    many = bundle("batch", *[entry("GET", "Patient/x")] * 2001)
    assert fhir.post("", many).status == 413


# ---- what it says of itself


def test_the_capability_statement_says_what_is_there(fhir: Client) -> None:
    statement = fhir.get("/metadata").json()
    assert (statement["fhirVersion"], statement["kind"]) == ("4.0.1", "instance")
    assert fhir.post("/$validate", statement).issues() == "This is valid R4."
    resources = {each["type"]: each for each in statement["rest"][0]["resource"]}
    assert len(resources) == 145
    for parameter in resources["Observation"]["searchParam"]:
        answer = fhir.get(f"/Observation?{parameter['name']}:missing=true&_count=1")
        assert answer.status in (200, 400), parameter
        assert "Unknown" not in str(answer.body)
    smart = fhir.get("/.well-known/smart-configuration").json()
    assert smart["token_endpoint"].endswith("/oauth2/token")


# ---- real data

examples = sorted((DATA / "r4" / "examples").glob("*.json"))
here = pytest.mark.skipif(not examples, reason=f"no FHIR examples at {DATA}")


def exact(body: bytes) -> Any:
    """Return JSON with every number as it is written."""
    return json.loads(body, parse_float=Decimal, parse_int=Decimal)


def bare(resource: Any) -> Any:
    """Return a resource without what a server gives it."""
    meta = {name: v for name, v in resource.get("meta", {}).items() if name not in ("versionId", "lastUpdated")}
    rest = {name: value for name, value in resource.items() if name not in ("id", "meta")}
    return {**rest, "meta": meta} if meta else rest


@here
def test_the_standards_examples_come_back_as_they_went(fhir: Client) -> None:
    for path in examples:
        source = exact(path.read_bytes())
        type, id = source["resourceType"], str(source.get("id", "example")).replace("_", "-")
        if type in ("Parameters",) or path.name == "bundle-questionnaire.json":
            continue
        url = f"/{type}/{id}" if re.fullmatch(r"[A-Za-z0-9.-]{1,64}", id) else f"/{type}"
        raw = path.read_bytes()
        answer = fhir.put(url, raw) if "id" in source else fhir.post(f"/{type}", raw)
        assert answer.status in (200, 201), (path.name, answer.body[:300])
        kept = exact(fhir.get(answer.headers["location"].removeprefix(fhir.url)).body)
        assert bare(kept) == bare(source), path.name
    wrong = fhir.post("/Questionnaire", (DATA / "r4" / "examples" / "bundle-questionnaire.json").read_bytes())
    assert wrong.status == 400
    assert "Questionnaire.item[0].item[0].linkId: required element missing" in wrong.issues()


@here
def test_decimals_come_back_digit_by_digit(fhir: Client) -> None:
    raw = (DATA / "r4" / "examples" / "observation-decimal.json").read_bytes()
    id = fhir.post("/Observation", raw).json()["id"]
    kept = json.loads(fhir.get(f"/Observation/{id}").body, parse_float=str)
    assert bare(kept) == bare(json.loads(raw, parse_float=str))


@here
@pytest.mark.parametrize("folder", ["phd/input/examples", "twltc"])
def test_what_devices_send_is_kept_as_it_came(fhir: Client, folder: str) -> None:
    for path in sorted((DATA / folder).glob("*.json")):
        source = exact(path.read_bytes())
        if source["resourceType"] == "Bundle" and source["type"] in ("transaction", "batch"):
            answer = fhir.post("", path.read_bytes())
            assert answer.status == 200, (path.name, answer.body[:300])
            assert all(e["response"]["status"].startswith("20") for e in answer.json()["entry"]), path.name
            continue
        answer = (
            fhir.put(f"/{source['resourceType']}/{source['id']}", path.read_bytes())
            if "id" in source
            else (fhir.post(f"/{source['resourceType']}", path.read_bytes()))
        )
        assert answer.status in (200, 201), (path.name, answer.body[:300])
        assert bare(exact(answer.body)) == bare(source), path.name


@here
def test_synthetic_patients_load_as_transactions_and_read_back_equal(fhir: Client) -> None:
    paths = sorted((DATA / "synthea").glob("*.json"))
    assert paths
    for path in paths:
        source = exact(path.read_bytes())
        answer = fhir.post("", path.read_bytes())
        assert answer.status == 200, answer.body[:300]
        locations = [each["response"]["location"].partition("/_history")[0] for each in answer.json()["entry"]]
        ids = dict(zip((each["fullUrl"] for each in source["entry"]), locations, strict=True))
        whole = json.dumps(source, default=str)
        for urn, location in ids.items():
            whole = whole.replace(f'"{urn}"', f'"{location}"')
        for each, at in zip(json.loads(whole)["entry"], locations, strict=True):
            kept = json.loads(json.dumps(exact(fhir.get(f"/{at}").body), default=str))
            assert bare(kept) == bare(each["resource"]), (path.name, at)


# ---- anything at all

words = st.sampled_from(
    [
        "Patient",
        "Observation",
        "Bundle",
        "_history",
        "_search",
        "$validate",
        "$everything",
        "1",
        "x y",
        "é",
        "metadata",
        "",
    ]
)
names = st.sampled_from(
    "_id _count _sort _include _revinclude _elements _summary _total _cursor _since _type _has subject patient code "
    "date value-quantity name:contains subject:Patient.name _lastUpdated _compartment _format identifier:not".split()
)
values = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["*", "ge2020", "ap1|u|c", "Observation:subject", "-date,code", "0", "99999999999", "a|b", "\\,"]),
)
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
json_values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner)
)
fields = st.sampled_from(
    "resourceType id meta type entry request resource method url fullUrl status code subject reference identifier text "
    "div contained extension valueQuantity ifNoneExist ifMatch".split()
)
shaped = st.dictionaries(
    fields,
    st.recursive(
        leaves | words | st.sampled_from(["POST", "GET", "transaction", "batch", "urn:uuid:1", "Patient?_id=1"]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(fields, inner, max_size=4),
        max_leaves=12,
    ),
    max_size=6,
)
fuzzed = settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="/$_-", errors="replace")


@fuzzed
@given(st.lists(words, max_size=4), st.lists(st.tuples(names, values), max_size=3), st.sampled_from(["GET", "DELETE"]))
def test_no_address_is_a_fault(fhir: Client, parts: list[str], query: list[tuple[str, str]], method: str) -> None:
    path = "".join(f"/{quoted(part)}" for part in parts)
    path += "?" + "&".join(f"{name}={quoted(value)}" for name, value in query)
    answer = fhir.ask(method, path)
    assert answer.status < 500, (path, answer.body)
    if answer.status >= 400:
        assert answer.issues()


@fuzzed
@given(
    st.sampled_from(
        ["", "/Patient", "/Observation", "/Patient/1", "/$validate", "/Patient/$validate", "/Patient?_id=1"]
    ),
    json_values | shaped,
    st.sampled_from(["POST", "PUT"]),
    st.booleans(),
)
def test_no_body_is_a_fault(fhir: Client, path: str, body: Any, method: str, seeded: bool) -> None:
    if seeded and isinstance(body, dict):
        body = {"resourceType": "Bundle" if path == "" else "Patient", "type": "batch", **body}
    answer = fhir.ask(method, path, json.dumps(body).encode("utf-8", "surrogatepass"))
    assert answer.status < 500, (path, body, answer.body)
    if answer.status >= 400:
        assert answer.issues()


entries = st.lists(
    st.fixed_dictionaries(
        {
            "request": st.fixed_dictionaries(
                {
                    "method": st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH"]),
                    "url": st.builds("/".join, st.lists(words, min_size=1, max_size=3)) | values,
                },
                optional={"ifMatch": values, "ifNoneMatch": values, "ifNoneExist": values},
            )
        },
        optional={"resource": st.just(PATIENT) | shaped, "fullUrl": values},
    ),
    max_size=4,
)


@fuzzed
@given(st.sampled_from(["batch", "transaction"]), entries)
def test_no_bundle_is_a_fault(fhir: Client, type: str, entries: list[dict[str, Any]]) -> None:
    answer = fhir.post("", bundle(type, *entries))
    assert answer.status < 500, (entries, answer.body)
    for each in answer.json().get("entry", ()) if answer.status == 200 else ():
        assert not each["response"]["status"].startswith("5"), each


# ---- importing


@here
def test_files_are_imported_once_and_refusals_told(fhir: Client, tmp_path: Path) -> None:
    patients = sorted((DATA / "synthea").glob("*.json"))[:1]
    lines = [{"resourceType": "Basic", "id": f"line-{n}", "code": {"text": str(n)}} for n in range(3)]
    (tmp_path / "some.ndjson").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "list.json").write_text(json.dumps(bundle("collection", {"resource": {**lines[0], "id": "line-9"}})))
    (tmp_path / "no-id.json").write_text(json.dumps({"resourceType": "Basic", "code": {"text": "no id"}}))
    (tmp_path / "half.json").write_text('{"resourceType": "Basic", ')
    wrong = DATA / "r4" / "examples" / "bundle-questionnaire.json"
    good = [*patients, tmp_path / "some.ndjson", tmp_path / "list.json", tmp_path / "no-id.json"]

    def imported(*files: Path) -> tuple[int, list[dict[str, Any]], str]:
        command = [COMMAND, "care", "import", *map(str, files), "--url", fhir.url, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
        return done.returncode, json.loads(done.stdout), done.stderr

    status, reports, _ = imported(*good)
    assert status == 0
    assert [report["done"] for report in reports][1:] == [3, 1, 1]
    before = fhir.get("/_history?_count=1").json()["entry"][0]["resource"]["meta"]["lastUpdated"]
    assert imported(*good)[0] == 0, "once more"
    assert fhir.get("/_history?_count=1").json()["entry"][0]["resource"]["meta"]["lastUpdated"] == before
    status, reports, said = imported(wrong, tmp_path / "half.json", tmp_path / "nowhere.json", good[2])
    assert status == 1
    assert "3 of 4 entries were refused" in said
    assert [report["done"] for report in reports] == [0, 0, 0, 1]
    assert "linkId: required element missing" in reports[0]["reasons"][0]
    assert "half.json" in reports[1]["reasons"][0]
    assert "cannot be read" in reports[2]["reasons"][0]
