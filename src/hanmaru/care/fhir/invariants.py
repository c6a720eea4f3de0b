"""Rules that R4 sets between the elements of one type, by the standard's keys (https://hl7.org/fhir/R4/).

Transcribed from the ``constraint`` of the StructureDefinitions (severity error) for the data types and for the resource
types that the room works with; each is a function of the element and of the resource that it is in.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, cast

Element = Mapping[str, Any]
Holds = Callable[[Element, Element], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    """One constraint: its key, what it asks in words, and whether it holds."""

    key: str
    says: str
    holds: Holds


def _any(element: Element, *names: str) -> bool:
    return any(name in element for name in names)


def _has(element: Element, name: str) -> bool:
    """Return whether a choice such as ``value[x]`` is there, of any type."""
    return any(key.startswith(name) and key[len(name) : len(name) + 1].isupper() for key in element)


def _each(value: object) -> Iterator[Element]:
    if isinstance(value, list):
        yield from (cast("Element", one) for one in cast("list[object]", value) if isinstance(one, dict))


def _codings(concept: object) -> set[tuple[str, str]]:
    found = cast("Element", concept).get("coding") if isinstance(concept, dict) else None
    return {(str(one.get("system", "")), str(one.get("code", ""))) for one in _each(found)}


def _coded(concept: object, *codes: str) -> bool:
    return any(code in codes for _, code in _codings(concept))


def in_order(start: object, end: object) -> bool:
    """Return False where two times are surely in the wrong order: compared as far as both are precise."""
    if not isinstance(start, str) or not isinstance(end, str):
        return True
    if "T" in start and "T" in end:
        try:
            return datetime.fromisoformat(start) <= datetime.fromisoformat(end)
        except (ValueError, TypeError):
            return True
    shared = min(len(start.partition("T")[0]), len(end.partition("T")[0]))
    return start[:shared] <= end[:shared]


def _not_above(low: object, high: object) -> bool:
    """Return False where both are quantities of one unit and the first is the greater."""
    if not isinstance(low, dict) or not isinstance(high, dict):
        return True
    one, other = cast("Element", low), cast("Element", high)
    first, second = one.get("value"), other.get("value")
    if any(one.get(name) != other.get(name) for name in ("system", "code", "unit")):
        return True
    return not (isinstance(first, int | Decimal) and isinstance(second, int | Decimal)) or first <= second


def _ratio(one: Element, _: Element) -> bool:
    return ("numerator" in one) == ("denominator" in one) and _any(one, "numerator", "extension")


def _observed(one: Element, _: Element) -> bool:
    own = _codings(one.get("code"))
    return not _has(one, "value") or not any(own & _codings(part.get("code")) for part in _each(one.get("component")))


def _contained(one: Element, _: Element) -> bool:
    return not any("contained" in inner for inner in _each(one.get("contained")))


def _versionless(one: Element, _: Element) -> bool:
    return not any(
        _any(cast("Element", inner.get("meta") or {}), "versionId", "lastUpdated")
        for inner in _each(one.get("contained"))
    )


def _unlabelled(one: Element, _: Element) -> bool:
    return not any("security" in cast("Element", inner.get("meta") or {}) for inner in _each(one.get("contained")))


def _link_ids(items: object) -> Iterator[str]:
    for item in _each(items):
        if "linkId" in item:
            yield str(item["linkId"])
        yield from _link_ids(item.get("item"))


def _distinct(items: object) -> bool:
    found = list(_link_ids(items))
    return len(set(found)) == len(found)


def _kind(bundle: Element, *kinds: str) -> bool:
    return bundle.get("type") in kinds


def _full_urls(bundle: Element, _: Element) -> bool:
    found = [
        (
            one["fullUrl"],
            str(cast("Element", cast("Element", one.get("resource") or {}).get("meta") or {}).get("versionId")),
        )
        for one in _each(bundle.get("entry"))
        if "fullUrl" in one
    ]
    return _kind(bundle, "history") or len(set(found)) == len(found)


def _first(bundle: Element, kind: str, type: str) -> bool:
    entries = list(_each(bundle.get("entry")))
    if not _kind(bundle, kind):
        return True
    first = cast("Element", entries[0].get("resource") or {}) if entries else None
    return first is not None and first.get("resourceType") == type


def _parameter(one: Element, _: Element) -> bool:
    return ("part" in one) + ("resource" in one) + _has(one, "value") == 1


def _percent(value: object) -> bool:
    if not isinstance(value, dict):
        return True
    one = cast("Element", value)
    return one.get("code") == "%" and one.get("system") == "http://unitsofmeasure.org"


_ASKED: Final = {"choice", "open-choice", "decimal", "integer", "date", "dateTime", "time", "string", "quantity"}
_WORDS: Final = {"boolean", "decimal", "integer", "string", "text", "url", "open-choice"}
_BEGUN: Final = ("batch", "transaction", "history")
_ANSWERED: Final = ("batch-response", "transaction-response", "history")
_ABATED: Final = ("resolved", "remission", "inactive")

RESOURCE: Final = (
    Rule("dom-2", "a contained resource contains no other", _contained),
    Rule("dom-4", "a contained resource has no versionId and no lastUpdated", _versionless),
    Rule("dom-5", "a contained resource has no security label", _unlabelled),
)
"""What holds for every resource."""

_QUANTITY: Final = (Rule("qty-3", "a unit's code needs its system", lambda o, _: "code" not in o or "system" in o),)

RULES: Final[Mapping[str, tuple[Rule, ...]]] = {
    "Age": _QUANTITY,
    "Count": _QUANTITY,
    "Distance": _QUANTITY,
    "Duration": _QUANTITY,
    "Quantity": _QUANTITY,
    "Attachment": (Rule("att-1", "data needs a contentType", lambda o, _: "data" not in o or "contentType" in o),),
    "ContactPoint": (Rule("cpt-2", "a value needs a system", lambda o, _: "value" not in o or "system" in o),),
    "Extension": (
        Rule("ext-1", "either extensions or a value, not both", lambda o, _: ("extension" in o) != _has(o, "value")),
    ),
    "Expression": (Rule("exp-1", "an expression or a reference", lambda o, _: _any(o, "expression", "reference")),),
    "Period": (Rule("per-1", "the start is not after the end", lambda o, _: in_order(o.get("start"), o.get("end"))),),
    "Range": (Rule("rng-2", "low is not above high", lambda o, _: _not_above(o.get("low"), o.get("high"))),),
    "Ratio": (Rule("rat-1", "numerator and denominator, or neither", _ratio),),
    "Timing.repeat": (
        Rule("tim-1", "a duration needs its unit", lambda o, _: "duration" not in o or "durationUnit" in o),
        Rule("tim-2", "a period needs its unit", lambda o, _: "period" not in o or "periodUnit" in o),
        Rule("tim-4", "a duration is not negative", lambda o, _: o.get("duration", 0) >= 0),
        Rule("tim-5", "a period is not negative", lambda o, _: o.get("period", 0) >= 0),
        Rule("tim-6", "periodMax needs period", lambda o, _: "periodMax" not in o or "period" in o),
        Rule("tim-7", "durationMax needs duration", lambda o, _: "durationMax" not in o or "duration" in o),
        Rule("tim-8", "countMax needs count", lambda o, _: "countMax" not in o or "count" in o),
        Rule("tim-10", "timeOfDay or when, not both", lambda o, _: not ("timeOfDay" in o and "when" in o)),
    ),
    "Appointment": (
        Rule("app-2", "start and end, or neither", lambda o, _: ("start" in o) == ("end" in o)),
        Rule(
            "app-3",
            "only what is proposed, cancelled or waitlisted has no time",
            lambda o, _: ("start" in o and "end" in o) or o.get("status") in ("proposed", "cancelled", "waitlist"),
        ),
        Rule(
            "app-4",
            "only what was cancelled or missed has a cancelationReason",
            lambda o, _: "cancelationReason" not in o or o.get("status") in ("noshow", "cancelled"),
        ),
    ),
    "Appointment.participant": (Rule("app-1", "a type or an actor", lambda o, _: _any(o, "type", "actor")),),
    "AppointmentResponse": (
        Rule("apr-1", "participantType or actor", lambda o, _: _any(o, "participantType", "actor")),
    ),
    "AllergyIntolerance": (
        Rule(
            "ait-1",
            "clinicalStatus, unless entered in error",
            lambda o, _: "clinicalStatus" in o or _coded(o.get("verificationStatus"), "entered-in-error"),
        ),
        Rule(
            "ait-2",
            "no clinicalStatus when entered in error",
            lambda o, _: "clinicalStatus" not in o or not _coded(o.get("verificationStatus"), "entered-in-error"),
        ),
    ),
    "Bundle": (
        Rule(
            "bdl-1",
            "total only in a searchset or history",
            lambda o, _: "total" not in o or _kind(o, "searchset", "history"),
        ),
        Rule(
            "bdl-2",
            "entry.search only in a searchset",
            lambda o, _: _kind(o, "searchset") or not any("search" in e for e in _each(o.get("entry"))),
        ),
        Rule(
            "bdl-3",
            "entry.request in a batch, transaction or history, and only there",
            lambda o, _: all(("request" in e) == _kind(o, *_BEGUN) for e in _each(o.get("entry"))),
        ),
        Rule(
            "bdl-4",
            "entry.response in a response or history, and only there",
            lambda o, _: all(("response" in e) == _kind(o, *_ANSWERED) for e in _each(o.get("entry"))),
        ),
        Rule("bdl-7", "a fullUrl is there once", _full_urls),
        Rule(
            "bdl-9",
            "a document has an identifier with system and value",
            lambda o, _: (
                not _kind(o, "document") or {"system", "value"} <= cast("Element", o.get("identifier", {})).keys()
            ),
        ),
        Rule("bdl-10", "a document has a date", lambda o, _: not _kind(o, "document") or "timestamp" in o),
        Rule("bdl-11", "a document begins with a Composition", lambda o, _: _first(o, "document", "Composition")),
        Rule("bdl-12", "a message begins with a MessageHeader", lambda o, _: _first(o, "message", "MessageHeader")),
    ),
    "Bundle.entry": (
        Rule("bdl-5", "a resource, a request or a response", lambda o, _: _any(o, "resource", "request", "response")),
        Rule("bdl-8", "fullUrl names no version", lambda o, _: "/_history/" not in str(o.get("fullUrl", ""))),
    ),
    "CarePlan.activity": (
        Rule("cpl-3", "a reference or a detail, not both", lambda o, _: not ("detail" in o and "reference" in o)),
    ),
    "Condition": (
        Rule(
            "con-4",
            "what has abated is inactive, resolved or in remission",
            lambda o, _: not _has(o, "abatement") or _coded(o.get("clinicalStatus"), *_ABATED),
        ),
        Rule(
            "con-5",
            "no clinicalStatus when entered in error",
            lambda o, _: "clinicalStatus" not in o or not _coded(o.get("verificationStatus"), "entered-in-error"),
        ),
    ),
    "Condition.stage": (Rule("con-1", "a summary or an assessment", lambda o, _: _any(o, "summary", "assessment")),),
    "Condition.evidence": (Rule("con-2", "a code or a detail", lambda o, _: _any(o, "code", "detail")),),
    "Consent": (Rule("ppc-1", "a policy or a policyRule", lambda o, _: _any(o, "policy", "policyRule")),),
    "Goal.target": (Rule("gol-1", "a detail needs a measure", lambda o, _: not _has(o, "detail") or "measure" in o),),
    "Group": (
        Rule("grp-1", "only an actual group has members", lambda o, _: "member" not in o or o.get("actual") is True),
    ),
    "List": (
        Rule("lst-1", "emptyReason only when empty", lambda o, _: not ("emptyReason" in o and "entry" in o)),
        Rule(
            "lst-2",
            "deleted only where the mode is changes",
            lambda o, _: o.get("mode") == "changes" or not any("deleted" in e for e in _each(o.get("entry"))),
        ),
    ),
    "Observation": (
        Rule(
            "obs-6",
            "dataAbsentReason only without a value",
            lambda o, _: "dataAbsentReason" not in o or not _has(o, "value"),
        ),
        Rule("obs-7", "no value beside a component of the same code", _observed),
    ),
    "Observation.referenceRange": (
        Rule("obs-3", "a low, a high or a text", lambda o, _: _any(o, "low", "high", "text")),
    ),
    "Organization": (
        Rule("org-1", "a name or an identifier", lambda o, _: _any(o, "name", "identifier")),
        Rule(
            "org-2",
            "no home address",
            lambda o, _: not any(one.get("use") == "home" for one in _each(o.get("address"))),
        ),
        Rule(
            "org-3",
            "no home telephone",
            lambda o, _: not any(one.get("use") == "home" for one in _each(o.get("telecom"))),
        ),
    ),
    "Parameters.parameter": (Rule("inv-1", "exactly one of value, resource and part", _parameter),),
    "Patient.contact": (
        Rule(
            "pat-1",
            "a name, telecom, address or organization",
            lambda o, _: _any(o, "name", "telecom", "address", "organization"),
        ),
    ),
    "Questionnaire": (Rule("que-2", "a linkId is there once", lambda o, _: _distinct(o.get("item"))),),
    "Questionnaire.item": (
        Rule(
            "que-1",
            "a group has items, a display has none",
            lambda o, _: ("item" in o or o.get("type") != "group") and ("item" not in o or o.get("type") != "display"),
        ),
        Rule("que-3", "a display has no code", lambda o, _: o.get("type") != "display" or "code" not in o),
        Rule(
            "que-4",
            "answerOption or answerValueSet, not both",
            lambda o, _: not ("answerOption" in o and "answerValueSet" in o),
        ),
        Rule(
            "que-5",
            "only a question that is answered by choice has options",
            lambda o, _: o.get("type") in _ASKED or not _any(o, "answerOption", "answerValueSet"),
        ),
        Rule(
            "que-6",
            "a display is neither required nor repeated",
            lambda o, _: o.get("type") != "display" or not _any(o, "required", "repeats"),
        ),
        Rule(
            "que-8",
            "a group or display has no initial value",
            lambda o, _: o.get("type") not in ("group", "display") or "initial" not in o,
        ),
        Rule("que-9", "a display is not read-only", lambda o, _: o.get("type") != "display" or "readOnly" not in o),
        Rule(
            "que-10",
            "maxLength only where words are answered",
            lambda o, _: "maxLength" not in o or o.get("type") in _WORDS,
        ),
        Rule("que-11", "answerOption or initial, not both", lambda o, _: not ("answerOption" in o and "initial" in o)),
        Rule(
            "que-13",
            "several initial values only where it repeats",
            lambda o, _: o.get("repeats") is True or len(list(_each(o.get("initial")))) <= 1,
        ),
    ),
    "Questionnaire.item.enableWhen": (
        Rule(
            "que-7",
            "exists is answered by a boolean",
            lambda o, _: o.get("operator") != "exists" or "answerBoolean" in o,
        ),
    ),
    "QuestionnaireResponse.item": (
        Rule(
            "qrs-1",
            "items are in the item or in its answer, not both",
            lambda o, _: not ("answer" in o and "item" in o),
        ),
    ),
    "RiskAssessment.prediction": (
        Rule("ras-2", "a probability is at most 100", lambda o, _: o.get("probabilityDecimal", 0) <= 100),
        Rule(
            "ras-1",
            "a range of probabilities is in percent",
            lambda o, _: all(_percent(o.get("probabilityRange", {}).get(name)) for name in ("low", "high")),
        ),
    ),
    "ServiceRequest": (Rule("prr-1", "orderDetail needs a code", lambda o, _: "orderDetail" not in o or "code" in o),),
    "Task": (
        Rule(
            "inv-1",
            "lastModified is not before authoredOn",
            lambda o, _: in_order(o.get("authoredOn"), o.get("lastModified")),
        ),
    ),
}
"""By type, or by path for the parts of a resource."""
