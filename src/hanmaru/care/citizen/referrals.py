"""Where referrals to hospitals stand, as the hospital's answers say: request, task, appointment, result. Pure."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from hanmaru.care.citizen.visit import Resource, part, reference, told
from hanmaru.platform.services import Text


@dataclass(frozen=True, slots=True)
class Meeting:
    """An appointment at a hospital."""

    at: str
    place: Text
    state: str
    word: Text


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came back from a hospital."""

    at: str
    title: Text
    text: Text


@dataclass(frozen=True, slots=True)
class Referral:
    """A referral, its state in a code and in words, the appointment that counts and what came back."""

    id: str
    at: str
    to: Text
    reason: Text
    state: str
    word: Text
    appointment: Meeting | None
    results: tuple[Outcome, ...]


_NOWHERE: Final[Text] = {"ko": "", "en": ""}


@cache
def words() -> Mapping[str, Mapping[str, Text]]:
    """Return codes of the record in a citizen's words, by what they are codes of."""
    return tomllib.loads(Path(__file__).with_name("told.toml").read_text("utf-8"))


def said(group: str, code: str) -> Text:
    """Return a code in words; the code itself where there are none."""
    return words()[group].get(code, {"ko": code, "en": code})


def read(resources: Iterable[Resource], names: Mapping[str, Text]) -> list[Referral]:
    """Return a citizen's referrals, newest first.

    ``resources`` are their ServiceRequests, Tasks, Appointments and results in any order; ``names`` are organisations'
    and places' by reference.
    """
    found: dict[str, list[Resource]] = {}
    requests: list[Resource] = []
    for one in resources:
        if one.get("resourceType") == "ServiceRequest":
            requests.append(one)
        for about in (one.get("focus"), *(one.get("basedOn") or ())):
            if about and "reference" in about:
                found.setdefault(str(about["reference"]), []).append(one)
    made = [_referral(one, found.get(f"ServiceRequest/{one.get('id')}", []), names) for one in requests]
    return sorted(made, key=lambda one: one.at, reverse=True)


def _referral(request: Resource, about: Iterable[Resource], names: Mapping[str, Text]) -> Referral:
    kinds: dict[str, list[Resource]] = {}
    for one in about:
        kinds.setdefault(str(one.get("resourceType")), []).append(one)
    tasks = sorted(kinds.get("Task", []), key=_changed)
    state = str(tasks[-1].get("status", "requested")) if tasks else "draft"
    state = "cancelled" if request.get("status") == "revoked" else state
    to = next((str(p.get("reference", "")) for p in request.get("performer", ())), "")
    reason = next(iter(request.get("reasonCode", ())), None) or request.get("code")
    meetings = sorted(kinds.get("Appointment", []), key=_changed)
    results = [*kinds.get("DiagnosticReport", []), *kinds.get("Observation", [])]
    return Referral(
        id=str(request.get("id", "")),
        at=str(request.get("authoredOn", "")),
        to=names.get(to, {"ko": to, "en": to}),
        reason=_text(reason),
        state=state,
        word=said("referrals", state),
        appointment=_meeting(meetings[-1], names, names.get(to, _NOWHERE)) if meetings else None,
        results=tuple(sorted((_outcome(one) for one in results), key=lambda one: one.at)),
    )


def _meeting(resource: Resource, names: Mapping[str, Text], hospital: Text) -> Meeting:
    actors = [reference(one, "actor") for one in resource.get("participant", ())]
    place = next((names[actor] for actor in actors if actor.startswith("Location/") and actor in names), None)
    organisation = next((names[actor] for actor in actors if actor in names), None)
    state = str(resource.get("status", ""))
    where = place or organisation or hospital
    return Meeting(str(resource.get("start", "")), where, state, said("appointments", state))


def _outcome(resource: Resource) -> Outcome:
    at = resource.get("effectiveDateTime") or resource.get("issued") or ""
    conclusion = told(resource, "conclusion") if resource.get("conclusion") else None
    amount = part(resource, "valueQuantity")
    measured = f"{amount.get('value', '')} {amount.get('unit', '')}".strip()
    stated = _text(resource.get("valueCodeableConcept")) if resource.get("valueCodeableConcept") else None
    return Outcome(str(at), _text(resource.get("code")), conclusion or stated or {"ko": measured, "en": measured})


def _text(concept: Resource | None) -> Text:
    given = told(concept)
    shown = next((str(c["display"]) for c in (concept or {}).get("coding", ()) if c.get("display")), "")
    return given if given["ko"] else {"ko": shown, "en": shown}


def _changed(resource: Resource) -> str:
    return str(part(resource, "meta").get("lastUpdated", ""))
