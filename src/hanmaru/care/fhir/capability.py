"""What this server can, made from the tables that it works by (R4, capabilitystatement.html)."""

from functools import cache
from importlib.metadata import version
from typing import Any, Final

from hanmaru.care.fhir import definitions
from hanmaru.care.fhir.validate import TYPES

_PARTS: Final = frozenset({"Parameters", "Bundle"})
INTERACTIONS: Final = ("read", "vread", "update", "delete", "history-instance", "history-type", "create", "search-type")
WHOLE: Final = ("transaction", "batch", "search-system", "history-system")
_OPERATIONS: Final = "http://hl7.org/fhir/OperationDefinition/"
_BASE: Final = "http://hl7.org/fhir/SearchParameter/Resource-"
_COMMON: Final = (
    ("_id", "token"),
    ("_lastUpdated", "date"),
    ("_tag", "token"),
    ("_profile", "uri"),
    ("_security", "token"),
)
DATE: Final = "2026-11-23"
"""When what the statement says last changed."""


def statement(base: str, token_url: str) -> dict[str, Any]:
    """Return the CapabilityStatement of the server at an address; ``token_url`` is where machines get tokens."""
    return {
        "resourceType": "CapabilityStatement",
        "id": "hanmaru-care",
        "url": f"{base}/metadata",
        "name": "HanmaruCare",
        "title": "Hanmaru Care, FHIR R4",
        "status": "active",
        "date": DATE,
        "kind": "instance",
        "software": {"name": "Hanmaru", "version": version("hanmaru")},
        "implementation": {"description": "Health screening and follow-up of a city", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "rest": [
            {
                "mode": "server",
                "documentation": (
                    "All types of R4 are kept, with the standard's search parameters. Whose records a caller sees is"
                    " decided by the patients' consents, in every interaction; what may not be seen is answered as what"
                    " is not there. JSON only. A Bundle has at most 2000 entries, a page at most 1000."
                ),
                "security": {
                    "cors": False,
                    "service": [{"coding": [_service("OAuth")]}, {"coding": [_service("Basic")]}],
                    "description": f"Machines: OAuth 2 client credentials, {token_url}. People: session or HTTP Basic.",
                },
                "resource": _resources(),
                "interaction": [{"code": code} for code in WHOLE],
                "searchParam": [{"name": name, "definition": _BASE + name[1:], "type": type} for name, type in _COMMON],
                "operation": [{"name": "validate", "definition": f"{_OPERATIONS}Resource-validate"}],
            }
        ],
    }


def _service(code: str) -> dict[str, str]:
    return {"system": "http://terminology.hl7.org/CodeSystem/restful-security-service", "code": code}


@cache
def _resources() -> list[dict[str, Any]]:
    return [_resource(type) for type in sorted(TYPES - {"Parameters"})]


def _resource(type: str) -> dict[str, Any]:
    own = definitions.parameters().get(type, {})
    searched = [{"name": code, "type": one.type} for code, one in sorted(own.items()) if one.type != "special"]
    references = sorted(code for code, one in own.items() if one.type == "reference")
    operations = [{"name": "validate", "definition": f"{_OPERATIONS}Resource-validate"}]
    if type == "Patient":
        operations.append({"name": "everything", "definition": f"{_OPERATIONS}Patient-everything"})
    said: dict[str, Any] = {
        "type": type,
        "profile": f"http://hl7.org/fhir/StructureDefinition/{type}",
        "interaction": [{"code": code} for code in INTERACTIONS],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": True,
        "conditionalRead": "full-support",
        "conditionalUpdate": True,
        "conditionalDelete": "single",
        "referencePolicy": ["literal", "logical", "local"],
        "searchInclude": ["*", *(f"{type}:{code}" for code in references)],
        "searchRevInclude": _leading_to(type),
        "searchParam": searched,
        "operation": operations,
    }
    return {name: value for name, value in said.items() if value or value is False}


@cache
def _reverse() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for source, codes in definitions.parameters().items():
        for code, one in codes.items():
            if one.type == "reference":
                for target in one.targets:
                    found.setdefault(target, []).append(f"{source}:{code}")
    return {type: sorted(every) for type, every in found.items()}


def _leading_to(type: str) -> list[str]:
    return _reverse().get(type, [])
