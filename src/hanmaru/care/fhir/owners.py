"""Whose a resource is: the patients in whose compartment it lies, or whoever wrote it, or everyone.

The standard's compartments (CompartmentDefinition/patient, R4) leave holes: a Task for a patient, a Provenance of a
patient's Observation, a Bundle that holds somebody's record are in none. What names nobody by the definition belongs to
the patients that it refers to anywhere; failing that to the patients of the resources that it refers to; failing that
to everyone only if its type describes no person, and to its author otherwise.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from hanmaru.care.fhir.database import Database
from hanmaru.care.fhir.schema import SEVERAL

PUBLIC: Final = frozenset(
    """ActivityDefinition CapabilityStatement ChargeItemDefinition CodeSystem CompartmentDefinition ConceptMap Device
    DeviceDefinition EffectEvidenceSynthesis Endpoint EventDefinition Evidence EvidenceVariable ExampleScenario
    GraphDefinition HealthcareService ImplementationGuide InsurancePlan Library Location Measure Medication
    MedicationKnowledge MedicinalProduct MedicinalProductAuthorization MedicinalProductContraindication
    MedicinalProductIndication MedicinalProductIngredient MedicinalProductInteraction MedicinalProductManufactured
    MedicinalProductPackaged MedicinalProductPharmaceutical MedicinalProductUndesirableEffect MessageDefinition
    NamingSystem ObservationDefinition OperationDefinition Organization OrganizationAffiliation PlanDefinition
    Practitioner PractitionerRole Questionnaire ResearchDefinition ResearchElementDefinition ResearchStudy
    RiskEvidenceSynthesis Schedule SearchParameter Slot SpecimenDefinition StructureDefinition StructureMap Substance
    SubstanceNucleicAcid SubstancePolymer SubstanceProtein SubstanceReferenceInformation SubstanceSourceMaterial
    SubstanceSpecification TerminologyCapabilities TestReport TestScript ValueSet VerificationResult""".split()
)
"""R4's types that describe no person who is measured or treated: without a patient in them everyone may see them."""

_LOCAL: Final = re.compile(r"([A-Z][A-Za-z]{1,63})/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?")
MOST_REFERENCES: Final = 1_000
"""Most references of one resource that are followed to find whose it is."""


def references(resource: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Return what a resource refers to here, as (type, id)."""
    found: set[tuple[str, str]] = set()
    for text in _texts(resource):
        if local := _LOCAL.fullmatch(text):
            found.add((local[1], local[2]))
    return found


def _texts(value: object) -> Iterator[str]:
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            document = cast("dict[str, object]", each)
            if isinstance(reference := document.get("reference"), str):
                yield reference
            waiting.extend(document.values())
        elif isinstance(each, list):
            waiting.extend(cast("list[object]", each))


def named(resource: Mapping[str, Any], by_definition: frozenset[str]) -> frozenset[str]:
    """Return the ids of the Patients that a resource names itself; ``by_definition`` come first."""
    return by_definition or frozenset(id for type, id in references(resource) if type == "Patient")


def public(type: str, resource: Mapping[str, Any]) -> bool:
    """Return whether a resource that belongs to nobody may be seen by everyone, with all that it contains."""
    inside: Any = resource.get("contained", [])
    return type in PUBLIC and isinstance(inside, list) and all(map(_public_inside, cast("list[Any]", inside)))


def _public_inside(contained: Any) -> bool:
    return isinstance(contained, dict) and cast("dict[str, Any]", contained).get("resourceType") in PUBLIC


def inherited(db: Database, resource: Mapping[str, Any]) -> set[int]:
    """Return the patients (owners' keys) of the resources that one refers to."""
    found: set[int] = set()
    for type, id in sorted(references(resource))[:MOST_REFERENCES]:
        row = db.execute("SELECT owner, seq FROM resource WHERE type = ? AND id = ?", (type, id)).fetchone()
        if row and row[0] == SEVERAL:
            found.update(key for (key,) in db.execute("SELECT owner FROM owners WHERE seq = ?", (row[1],)))
        elif row and db.execute("SELECT 1 FROM owner WHERE key = ? AND kind = 'patient'", (row[0],)).fetchone():
            found.add(row[0])
    return found
