"""Bundles over records: what races, and what a stranger learns."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hanmaru.care.fhir import bundle, everything, operations, targets
from hanmaru.care.fhir.records import ALL, Reader, new_id
from hanmaru.platform.problems import Problem
from tests.care.house import consent, house, ids, observation, person, put

CLINIC = Reader("client:clinic", "organisation", "clinic", "treatment")
NAME = "Hong-Gil-Dong"


def entry(method: str, url: str, resource: Any = None, full_url: str = "", **request: str) -> dict[str, Any]:
    said: dict[str, Any] = {"request": {"method": method, "url": url, **request}}
    if resource is not None:
        said["resource"] = resource
    return {**said, "fullUrl": full_url} if full_url else said


def sent(type: str, *entries: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": type, "entry": list(entries)}


async def test_of_transactions_that_race_for_one_condition_one_creates(tmp_path: Path) -> None:
    async with house(tmp_path) as records:
        urn = "urn:uuid:6f1b7f3c-94cf-4f34-a6d3-2f3b0c5f2f10"
        patient = {"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": "1"}]}
        visit = sent(
            "transaction",
            entry("POST", "Patient", patient, urn, ifNoneExist="identifier=urn:x|1"),
            entry("POST", "Observation", {**observation("x"), "subject": {"reference": urn}}),
        )
        await asyncio.gather(*(bundle.process(records, ALL, visit) for _ in range(6)))
        (only,) = await ids(records, ALL, "Patient", ("identifier", "urn:x|1"))
        assert len(await ids(records, ALL, "Observation", ("patient", only))) == 6
        assert visit["entry"][1]["resource"]["subject"]["reference"] == urn, "what was given stays as it was"


async def test_a_stranger_is_told_what_is_told_of_nobody(tmp_path: Path) -> None:
    async with house(tmp_path) as records:
        await put(records, "Organization", "clinic", {"resourceType": "Organization", "name": "Clinic"})
        patient, nobody = await person(records, name=NAME), new_id()
        seen = new_id()
        await put(records, "Observation", seen, observation(patient, note=[{"text": NAME}]))

        async def answered(patient: str, observation_id: str) -> list[Any]:
            """Return what a stranger is answered, with the id that they asked by left out."""
            asked = sent(
                "batch",
                entry("GET", f"Patient/{patient}"),
                entry("GET", f"Patient/{patient}/_history"),
                entry("GET", f"Patient/{patient}/_history/1"),
                entry("GET", f"Observation/{observation_id}"),
                entry("GET", f"Observation?patient={patient}&_total=accurate"),
                entry("GET", f"Observation?_id={observation_id}&_include=Observation:subject&_total=accurate"),
                entry("GET", f"Patient?_id={patient}&_has:Observation:patient:code=8480-6&_total=accurate"),
                entry("GET", f"?_compartment=Patient/{patient}&_total=accurate"),
                entry("DELETE", f"Observation?_id={observation_id}"),
                entry("DELETE", f"Observation/{observation_id}"),
            )
            told = msgspec.json.encode(await bundle.process(records, CLINIC, asked)).decode()
            answers: list[Any] = [told.replace(patient, "P").replace(observation_id, "O")]
            conditional = {**observation("x"), "subject": {"reference": f"Patient?_id={patient}"}}
            for work in (
                bundle.process(records, CLINIC, sent("transaction", entry("POST", "Observation", conditional))),
                everything.found(records, CLINIC, patient),
                operations.write(
                    records,
                    CLINIC,
                    targets.target("DELETE", f"Observation/{observation_id}"),
                    None,
                    operations.NO_TERMS,
                ),
            ):
                try:
                    answers.append(await work)
                except Problem as problem:
                    said = f"{problem.status} {problem.document()}"
                    answers.append(said.replace(patient, "P").replace(observation_id, "O"))
            return answers

        stranger = await answered(patient, seen)
        assert stranger == await answered(nobody, new_id())
        assert NAME not in str(stranger)

        await put(records, "Consent", new_id(), {"resourceType": "Consent", **consent(patient, "clinic")})
        assert NAME in str(await answered(patient, seen)), "and with a consent they see it"


async def test_a_resource_that_is_not_r4_is_kept_nowhere(tmp_path: Path) -> None:
    async with house(tmp_path) as records:
        wrong = {"resourceType": "Patient", "gender": NAME}
        with pytest.raises(Problem) as caught:
            await bundle.process(records, ALL, sent("transaction", entry("POST", "Patient", wrong)))
        assert caught.value.extra["issues"][0]["expression"] == ["Bundle.entry[0].resource.gender"]
        assert NAME not in str(caught.value.document())
        assert (await records.search(ALL, "Patient", ())).matches == []
