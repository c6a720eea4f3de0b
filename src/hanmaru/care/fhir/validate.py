"""Whether a resource is R4: what a library says of its structure, and what that library leaves out.

`fhirkit` (a generated reader of all R4 types) finds JSON that is none, unknown elements, missing and repeated ones,
wrong types, texts that are not of a primitive's form, choices given twice, empty strings and lists. It does not look at
codes of required bindings, at what references lead to, at ids, at days that no calendar has, at empty objects, at
narrative, or at any invariant: these are found here, in one walk along the standard's own tables
(``definitions/structure.json``). An `Issue` quotes nothing but codes and types: what is refused may be about a person.
"""

import re
from calendar import monthrange
from collections.abc import Iterator, Mapping
from html.entities import html5
from typing import Any, Final, Literal, NamedTuple, cast
from xml.parsers import expat

import fhirkit

from hanmaru.care.fhir import text
from hanmaru.care.fhir.invariants import RESOURCE, RULES, Rule
from hanmaru.care.fhir.structure import Fact, tables
from hanmaru.platform.problems import Problem

Json = Mapping[str, Any]

STRICT: Final = frozenset(
    "Appointment CarePlan Communication Consent Device DiagnosticReport Encounter Goal Location Observation "
    "Organization Patient Practitioner Provenance Questionnaire QuestionnaireResponse RiskAssessment "
    "ServiceRequest Subscription Task".split()
)
"""The types that the room works with: a reference to a wrong type is an error here, and a warning elsewhere.

Three of the standard's own examples have such references (DeviceMetric.parent, DeviceUseStatement.reasonReference,
MedicationRequest.dispenseRequest.performer), and validators differ about them.
"""

MOST_ISSUES: Final = 100
"""Most issues told of one text."""
TYPES: Final = frozenset(fhirkit.RESOURCE_TYPES)
"""R4's resource types."""

_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_TARGET: Final = re.compile(r"(?:.*/)?([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?")
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"(?= is not a valid)')

Code = Literal["structure", "required", "value", "code-invalid", "invariant", "invalid"]


class Issue(NamedTuple):
    """One thing that is wrong: how bad, R4's code for it, the FHIRPath of the element, and words."""

    severity: Literal["error", "warning", "information"]
    code: Code
    path: str
    message: str


def check(source: bytes | str | Json, resource: Json | None = None, *, most: int = MOST_ISSUES) -> list[Issue]:
    """Return what is wrong with a resource, given as JSON text or as the object; ``resource`` is the text already read.

    The first ``most`` are told.

    Raises Problem 400 where the text is no JSON object.
    """
    if isinstance(source, Mapping):
        source, resource = text.encode(source), source
    elif resource is None:
        resource = text.decode(source)
    issues = [*_structure(source if isinstance(source, str) else source.decode("utf-8", "replace"))]
    if str(resource.get("resourceType")) in TYPES:
        issues += _Walk(resource).issues
    return issues[:most]


def errors(issues: list[Issue]) -> list[Issue]:
    """Return those that forbid keeping the resource."""
    return [issue for issue in issues if issue.severity == "error"]


def refusal(issues: list[Issue]) -> Problem:
    """Return the problem for a resource that is not taken.

    400 where it is not R4 at all, 422 where only its codes, references or invariants are wrong (R4, http.html#create).
    """
    status = 422 if all(issue.code in ("code-invalid", "invariant") for issue in issues) else 400
    detail = "; ".join(f"{issue.path}: {issue.message}" for issue in issues[:5])
    if len(issues) > 5:
        detail += f"; and {len(issues) - 5} more"
    return Problem(
        status, "Not a valid R4 resource", detail, issues=[outcome_issue(issue) for issue in issues[:MOST_ISSUES]]
    )


def outcome_issue(issue: Issue) -> dict[str, Any]:
    """Return an issue as OperationOutcome has it."""
    said = {"severity": issue.severity, "code": issue.code, "diagnostics": f"{issue.path}: {issue.message}"}
    return {**said, "expression": [issue.path]} if issue.path else said


def addresses(resource: Json) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield where a resource has literal references and addresses (uri, url, oid, uuid), as object and name.

    These, and only these, a transaction rewrites (R4, http.html#trules). Not: profiles, systems of codes and
    identifiers, extensions' names, which are of type uri as well but name no entry.
    """
    walk = _Walk(resource, found=[])
    assert walk.found is not None
    yield from walk.found


def narratives(resource: Json) -> Iterator[dict[str, Any]]:
    """Yield the Narrative objects of a resource and of those it contains."""
    for one in (resource, *cast("list[Json]", resource.get("contained") or ())):
        if isinstance(one, dict) and isinstance(one.get("text"), dict):
            yield cast("dict[str, Any]", one["text"])


def given(body: dict[str, Any]) -> dict[str, Any]:
    """Return the resource that ``$validate`` is asked about: the body, or the ``resource`` of a Parameters."""
    if body.get("resourceType") != "Parameters":
        return body
    for one in cast("list[Any]", body.get("parameter") or []):
        if isinstance(one, dict) and cast("Json", one).get("name") == "resource":
            inner = cast("Json", one).get("resource")
            if isinstance(inner, dict):
                return cast("dict[str, Any]", inner)
    return body


def _structure(source: str) -> Iterator[Issue]:
    try:
        found = fhirkit.validate(source)
    except fhirkit.ParseError as error:
        raise text.refused(str(error)) from None
    except RecursionError:
        raise text.refused("it is nested too deep") from None
    for one in found:
        message = _QUOTED.sub("this", one.message)
        code: Code = "structure"
        if message == "required element missing":
            code = "required"
        elif "is not a valid" in message:
            code = "value"
        yield Issue("error" if one.severity == "error" else "warning", code, one.path, message)


class _Walk:
    """One walk through a resource."""

    def __init__(self, resource: Json, found: list[tuple[dict[str, Any], str]] | None = None) -> None:
        self.issues: list[Issue] = []
        self.found = found
        self.tables = tables()
        self.contained: dict[str, str] = {}
        self.root: Json = resource
        self.resource(resource, str(resource["resourceType"]))

    def tell(self, code: Code, path: str, message: str, *, strict: bool = True) -> None:
        self.issues.append(Issue("error" if strict else "warning", code, path, message))

    def misled(self, path: str, type: str, targets: frozenset[str]) -> None:
        strict = self.root.get("resourceType") in STRICT
        self.tell("code-invalid", path, f"may not lead to {type}, only to {_listed(targets)}", strict=strict)

    def resource(self, resource: Json, path: str, *, inside: bool = False) -> None:
        """Walk through a resource; one that is ``inside`` another shares its contained ones."""
        type = str(resource.get("resourceType"))
        if type not in self.tables:
            return
        outer = self.root, self.contained
        if not inside:
            listed = cast("list[Any]", resource.get("contained")) if isinstance(resource.get("contained"), list) else []
            self.root = resource
            self.contained = {
                str(one.get("id")): str(one.get("resourceType"))
                for one in (cast("Json", one) for one in listed if isinstance(one, dict))
            }
        if "id" in resource and not (isinstance(resource["id"], str) and _ID.fullmatch(resource["id"])):
            self.tell("value", f"{path}.id", "an id is 1 to 64 letters, digits, hyphens and dots")
        self.element(resource, type, path)
        if not inside and "contained" in resource:
            self.rules(RESOURCE, resource, path)
        self.root, self.contained = outer

    def rules(self, rules: tuple[Rule, ...], element: Json, path: str) -> None:
        for rule in rules:
            try:
                holds = rule.holds(element, self.root)
            except (TypeError, AttributeError):
                continue  # a wrong type inside, which structure tells
            if not holds:
                self.tell("invariant", path, f"{rule.key}: {rule.says}")

    def element(self, element: Json, type: str, path: str) -> None:
        """Walk through an element of a type, or of a resource's part that is named by its path."""
        facts = self.tables.get(type, {})
        for name, value in element.items():
            fact = facts.get(name)
            if fact is None:
                if name[:1] == "_":
                    self.primitive(value, f"{path}.{name}")
            elif isinstance(value, list):
                for index, one in enumerate(cast("list[Any]", value)):
                    self.value(element, name, one, fact, f"{path}.{name}[{index}]")
            else:
                self.value(element, name, value, fact, f"{path}.{name}")
        if type in RULES:
            self.rules(RULES[type], element, path)
        if type == "Narrative" and isinstance(element.get("div"), str):
            self.narrative(element["div"], f"{path}.div")

    def value(self, holder: Json, name: str, value: Any, fact: Fact, path: str) -> None:
        if isinstance(value, dict):
            one = cast("Json", value)
            if not one or (len(one) == 1 and "id" in one and fact.type != "*"):
                self.tell("invariant", path, "ele-1: an element has a value or children")
            elif fact.type == "*":
                self.resource(one, path, inside=name == "contained")
            elif fact.type:
                self.element(one, fact.type, path)
            if fact.type == "Reference":
                self.reference(cast("dict[str, Any]", one), fact.targets, path)
            elif fact.codes is not None:
                self.coded(one, fact.codes, path)
        elif isinstance(value, str):
            if fact.codes is not None:
                if not fact.type and value not in fact.every:
                    self.tell("code-invalid", path, f"is none of {_listed(fact.every)}")
            elif fact.kind == "date":
                if not _real(value):
                    self.tell("value", path, "no calendar has this day")
            elif fact.kind == "uri" and self.found is not None and name not in ("system", "implicitRules"):
                self.found.append((cast("dict[str, Any]", holder), name))

    def primitive(self, value: Any, path: str) -> None:
        """Walk through what accompanies a primitive: its extensions."""
        for one in cast("list[Any]", value) if isinstance(value, list) else [value]:
            if isinstance(one, dict):
                self.element(cast("Json", one), "Element", path)

    def reference(self, one: dict[str, Any], targets: frozenset[str] | None, path: str) -> None:
        given = one.get("reference")
        said = one.get("type")
        if isinstance(said, str) and targets and said in TYPES and said not in targets:
            self.misled(path, said, targets)
        if not isinstance(given, str):
            return
        if self.found is not None:
            self.found.append((one, "reference"))
        if given.startswith("#"):
            if given == "#":
                return
            type = self.contained.get(given[1:])
            if type is None:
                self.tell("invariant", path, "ref-1: a local reference leads to a contained resource")
                return
        elif given.startswith("urn:"):
            return
        elif "?" in given:
            type = given.partition("?")[0]
        elif matched := _TARGET.fullmatch(given):
            type = matched[1]
        else:
            return
        if type in TYPES:
            if targets and type not in targets:
                self.misled(path, type, targets)
        elif "://" not in given:
            self.tell("code-invalid", path, "leads to no R4 resource type")

    def coded(self, one: Json, codes: Mapping[str, frozenset[str]], path: str) -> None:
        """Check a Coding or CodeableConcept of a required binding."""
        codings = cast("list[Json]", one.get("coding") or []) if "coding" in one or "text" in one else [one]
        if not any(
            isinstance(coding, dict) and coding.get("code") in codes.get(str(coding.get("system")), ())
            for coding in codings
        ):
            allowed = frozenset(code for some in codes.values() for code in some)
            self.tell("code-invalid", path, f"has no code of {', '.join(codes)} that is one of {_listed(allowed)}")

    def narrative(self, div: str, path: str) -> None:
        if why := unsafe(div):
            self.tell("invariant", path, f"txt-1: {why}")


def _listed(words: frozenset[str]) -> str:
    most = 12
    shown = ", ".join(sorted(words)[:most])
    return shown if len(words) <= most else f"{shown} and {len(words) - most} more"


def _real(value: str) -> bool:
    """Return whether a day is one: a form that is wrong is told elsewhere."""
    if len(value) < 10 or not (value[8:10] > "28"):
        return True
    try:
        return int(value[8:10]) <= monthrange(int(value[:4]), int(value[5:7]))[1]
    except ValueError:
        return True


_TAGS: Final = frozenset(
    "a abbr acronym area b bdo big blockquote br caption center cite code col colgroup dd del dfn div dl dt em "
    "font h1 h2 h3 h4 h5 h6 hr i img ins kbd li map ol p pre q s samp small span strike strong sub sup table "
    "tbody td tfoot th thead tr tt u ul var".split()
)
_ATTRIBUTES: Final = frozenset(
    "abbr accesskey align alt axis bgcolor border cellhalign cellpadding cellspacing cellvalign char charoff "
    "charset cite class color colspan compact coords dir face frame headers height href hreflang hspace id ismap "
    "lang longdesc name nowrap rel rev rowspan rules scope shape size span src start style summary tabindex title "
    "type usemap valign value vspace width xml:lang xml:space xmlns".split()
)
_LINKS: Final = ("href", "src", "longdesc", "cite")
_ENTITY: Final = re.compile(r"&([A-Za-z][A-Za-z0-9]*;)")
_XML: Final = {"amp;", "lt;", "gt;", "quot;", "apos;"}


def unsafe(div: str) -> str:
    """Return why a narrative is none, or nothing: it is basic HTML in a div, and runs nothing (R4, narrative.html)."""
    found: list[str] = []
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        if depth == 0 and (tag != "div" or attributes.get("xmlns") != "http://www.w3.org/1999/xhtml"):
            found.append("narrative is one div of XHTML")
        depth += 1
        if tag not in _TAGS:
            found.append("narrative has basic HTML only")
        for name, value in attributes.items():
            if name not in _ATTRIBUTES:
                found.append("narrative has basic attributes only")
            elif name in _LINKS and re.match(r"\s*(javascript|vbscript|data:text)", value, re.IGNORECASE):
                found.append("narrative runs nothing")

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1

    def named(match: re.Match[str]) -> str:
        return match[0] if match[1] in _XML else html5.get(match[1], match[0])

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.StartDoctypeDeclHandler = lambda _name, _system, _public, _inside: found.append("narrative has no DTD")
    try:
        parser.Parse(_ENTITY.sub(named, div) if "&" in div else div, True)
    except (expat.ExpatError, UnicodeEncodeError):
        return "narrative is well-formed XHTML"
    return found[0] if found else ""
