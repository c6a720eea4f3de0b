"""What a citizen allows, as FHIR Consents: one for each purpose and whom it is given to, the newest version in force.

The words are in ``consents.toml``. The codes of what is allowed (``store``, ``follow-up``, ``hospital``, ``reminders``,
``research``) are the Consent's category in `SYSTEM`; `follow-up` and `hospital` open the record to an organisation.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from hanmaru.care.citizen.visit import instant
from hanmaru.platform.services import Text

SYSTEM: Final = "urn:hanmaru:care:consent"
CENTRE: Final = "Organization/health-centre"
TERMS: Final = "http://terminology.hl7.org/CodeSystem/"

Resource = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Words:
    """What may be allowed, in words: what it is for, and what happens once it is switched off."""

    title: Text
    text: Text
    off: Text
    reason: str
    """The purpose's code in HL7's v3-ActReason."""


@dataclass(frozen=True, slots=True)
class Given:
    """What somebody has said about one purpose and one organisation, and when; ``id`` is the Consent's."""

    category: str
    organisation: str
    given: bool
    since: str
    id: str
    version: int


@cache
def words() -> Mapping[str, Words]:
    """Return the words by category, in the order in which they are asked."""
    document = tomllib.loads(Path(__file__).with_name("consents.toml").read_text("utf-8"))
    return {category: Words(**one) for category, one in document.items()}


def consent(
    patient: str, category: str, organisation: str, given: bool, at: str, id: str | None = None
) -> dict[str, Any]:
    """Return a patient's Consent for a purpose to an organisation (``Organization/…``), given or withdrawn ``at``.

    Raises KeyError for a category that there are no words for: nobody agrees to what was never said.
    """
    reason = words()[category].reason

    def concept(system: str, code: str) -> dict[str, Any]:
        return {"coding": [{"system": system, "code": code}]}

    resource: dict[str, Any] = {
        "resourceType": "Consent",
        "status": "active" if given else "inactive",
        "scope": concept(f"{TERMS}consentscope", "patient-privacy"),
        "category": [concept(SYSTEM, category)],
        "patient": {"reference": f"Patient/{patient}"},
        "dateTime": at,
        "performer": [{"reference": f"Patient/{patient}"}],
        "organization": [{"reference": CENTRE}],
        "policyRule": concept(f"{TERMS}v3-ActCode", "OPTIN" if given else "OPTOUT"),
        "provision": {
            "type": "permit",
            "actor": [
                {"role": concept(f"{TERMS}v3-ParticipationType", "IRCP"), "reference": {"reference": organisation}}
            ],
            "purpose": [{"system": f"{TERMS}v3-ActReason", "code": reason}],
        },
    }
    return resource if id is None else {**resource, "id": id}


def read(consents: Iterable[Resource]) -> dict[tuple[str, str], Given]:
    """Return what was said, by category and organisation; of several Consents the one that was said last counts."""
    found: dict[tuple[str, str], Given] = {}
    for one in consents:
        given = _given(one)
        if given is not None:
            key = given.category, given.organisation
            if key not in found or (found[key].since, found[key].id) < (given.since, given.id):
                found[key] = given
    return found


def version(resource: Resource) -> int | None:
    """Return which version of a Consent this is; None where it does not say."""
    number = str(resource.get("meta", {}).get("versionId", ""))
    return int(number) if number.isdecimal() else None


def _given(resource: Resource) -> Given | None:
    codes = [
        str(c.get("code", ""))
        for concept in resource.get("category", ())
        for c in concept.get("coding", ())
        if c.get("system") == SYSTEM
    ]
    actors = [a.get("reference", {}).get("reference", "") for a in resource.get("provision", {}).get("actor", ())]
    if len(codes) != 1 or codes[0] not in words():
        return None
    meta = resource.get("meta", {})
    return Given(
        category=codes[0],
        organisation=actors[0] if actors else CENTRE,
        given=resource.get("status") == "active",
        since=instant(resource.get("dateTime") or meta.get("lastUpdated")),
        id=str(resource.get("id", "")),
        version=version(resource) or 0,
    )
