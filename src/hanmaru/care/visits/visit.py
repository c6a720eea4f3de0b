"""A visit: taken from the kiosk, checked, graded, and stored whole or not at all.

The visit's id is the kiosk's, and the id of its Encounter: of the same visit sent twice, to whichever worker, one is
stored, and both are answered alike. Nothing is stored without the citizen's consent.
"""

import asyncio
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from hanmaru.care import people
from hanmaru.care.citizen import consents
from hanmaru.care.citizen.consents import CENTRE
from hanmaru.care.citizen.visit import Grade as Told
from hanmaru.care.citizen.visit import code, grades, reference
from hanmaru.care.fhir import text
from hanmaru.care.fhir.records import Change, Records, new_id
from hanmaru.care.hospital.schedule import follow_ups
from hanmaru.care.rules import plausibility
from hanmaru.care.rules.catalogue import RULES, Graded, explain
from hanmaru.care.rules.columns import COLUMNS, Columns
from hanmaru.care.visits import passes, shapes
from hanmaru.care.visits.kiosks import ASKED, ROOM, kiosk_of
from hanmaru.care.visits.measures import Measurement, Posture, Reading, Trouble, combined, readings
from hanmaru.care.visits.shapes import CATEGORY, LEVELS, RISK, Resource
from hanmaru.platform.problems import Problem, invalid_request
from hanmaru.platform.services import Text

MOST_READINGS: Final = 100
TRIES: Final = 5
UUID: Final = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"


class Person(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who somebody is who does not say who: what grading needs, and no more."""

    sex: Literal["male", "female"]
    age_years: Annotated[float, Meta(ge=0, le=130)]


class Posted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"pass_": "pass"}):
    """A visit as the kiosk sends it. At most one of ``visit_key``, ``pass``, ``card`` and ``person``."""

    id: Annotated[str, Meta(pattern=UUID)]
    at: Annotated[str, Meta(max_length=40)]
    measurements: Annotated[list[Measurement], Meta(max_length=MOST_READINGS)]
    kiosk: Annotated[str, Meta(max_length=64)] = ""
    visit_key: Annotated[str, Meta(max_length=passes.MOST)] | None = None
    pass_: Annotated[str, Meta(max_length=passes.MOST)] | None = None
    card: Annotated[str, Meta(max_length=64)] | None = None
    person: Person | None = None
    consents: dict[Literal["store", "follow-up", "reminders"], bool] = {}
    answers: Annotated[dict[str, bool | float | None], Meta(max_length=40)] = {}
    posture: Posture | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What grading needs of a citizen."""

    sex: str | None
    age_years: float | None
    name: str = ""


def instant_us(given: str) -> int:
    """Return an instant (ISO 8601 with its offset) as µs since 1970; raises Problem 400."""
    try:
        found = datetime.fromisoformat(given)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None or not 2000 <= found.year < 2200:
        raise invalid_request("A time is an instant such as 2026-05-01T08:30:00Z.")
    return int(found.timestamp() * 1_000_000)


async def identified(records: Records, posted: Posted, at_s: float) -> str | None:
    """Return whose visit it is, None for nobody's; raises Problem 404 in plain words."""
    given = [each for each in (posted.visit_key, posted.pass_, posted.card, posted.person) if each is not None]
    if len(given) > 1:
        raise invalid_request("Send at most one of visit_key, pass, card and person.")
    if posted.visit_key is not None:
        return passes.patient_of(records, "visit", posted.visit_key, at_s)
    if posted.pass_ is not None:
        return passes.patient_of(records, "pass", posted.pass_, at_s)
    return None if posted.card is None else card_holder(records, posted.card)


def card_holder(records: Records, card: str) -> str:
    """Return whose card it is; raises Problem 404 in plain words."""
    if (patient := people.card(records, card)) is None:
        raise Problem(
            404, "Not known", "This card is not registered. Use the code in the app, or ask a member of staff."
        )
    return patient


async def facts_of(records: Records, patient: str, at_us: int) -> Facts:
    """Return what grading needs of a citizen at a time."""
    found = text.decode((await records.read(ROOM, "Patient", patient)).text)
    sex = found.get("gender")
    names: list[Mapping[str, Any]] = found.get("name") or [{}]
    name = str(names[0].get("text") or names[0].get("family") or "")
    day = datetime.fromtimestamp(at_us / 1e6, records.zone).date()
    return Facts(sex if sex in ("male", "female") else None, age(str(found.get("birthDate", "")), day), name)


def age(born: str, on: date) -> float | None:
    """Return full years of age on a day; None where the year of birth is not known."""
    parts = [int(each) for each in born.split("-")] if re.fullmatch(r"\d{4}(-\d\d(-\d\d)?)?", born) else []
    if not parts:
        return None
    year, month, day = (*parts, 1, 1)[:3] if len(parts) < 3 else parts
    return float(on.year - year - ((on.month, on.day) < (month, day)))


async def take(
    records: Records, account: str, posted: Posted, now_us: int | None = None
) -> tuple[dict[str, Any], bool]:
    """Take a visit; return what the kiosk shows, and whether it was stored now. ``now_us`` is the clock's unless given.

    Raises Problem 400, 403 (no kiosk), 404 (nobody's code), 409 (another visit's id), 422 with ``problems``.
    """
    kiosk = await kiosk_of(records, account)
    at_us, now_us = instant_us(posted.at), now_us or time.time_ns() // 1000
    if not -passes.SKEW_S * 1e6 <= now_us - at_us <= passes.LATE_S * 1e6:
        raise invalid_request("This visit is too long ago, or the kiosk's clock is wrong.")
    if any(abs(instant_us(each.at) - at_us) > passes.VISIT_S * 1e6 for each in posted.measurements):
        raise invalid_request("A measurement is not of this visit's time.")
    patient = await identified(records, posted, at_us / 1e6)
    if patient is not None and (before := await _before(records, posted.id, patient)) is not None:
        return before, False
    found, troubles = await asyncio.to_thread(readings, posted.measurements, posted.posture, at_us, instant_us)
    answers, odd = _answers(posted.answers)
    if troubles or odd:
        problems = [msgspec.to_builtins(each) for each in (*troubles, *odd)]
        raise Problem(422, "Measure again", "Some values cannot be kept. Nothing was stored.", problems=problems)
    facts = await _facts(records, posted, patient, at_us)
    person = {**answers, **combined(found), "sex": facts.sex, "age_years": facts.age_years}
    graded = await asyncio.to_thread(explain, person)
    said = _answer(graded)
    if patient is None:
        return said, False
    place, device = reference(kiosk, "location"), f"Device/{kiosk['id']}"
    base = shapes.Visit(posted.id, patient, place, device, at_us, now_us)
    for attempt in range(TRIES):
        allowed, changes = await _consents(records, patient, posted.consents, now_us)
        made = _Made(base)
        if allowed["store"]:
            made.add_all(found, answers, graded)
            if allowed["follow-up"]:
                made.follow(graded, datetime.fromtimestamp(at_us / 1e6, records.zone).date())
                changes += await _due_before(records, patient, now_us)
            made.finish(graded, changes)
        elif changes:
            made.said(changes)
        try:
            if made.changes or changes:
                await records.commit(ROOM, [*made.changes, *changes])
        except Problem as problem:
            if problem.status == 409 and (before := await _before(records, posted.id, patient)) is not None:
                return before, False
            if problem.status != 412 or attempt == TRIES - 1:  # 412: another visit of theirs was stored meanwhile
                raise
        else:
            if not allowed["store"]:
                return said, False
            alerts = _alerts(graded, made.alerted)
            return said | {"encounter": posted.id, "report": made.id("report"), "alerts": alerts}, True
    raise AssertionError("the last attempt returns or raises")


class _Made:
    """The changes of one visit; ids follow from the visit's, so that the same visit has the same."""

    def __init__(self, visit: shapes.Visit) -> None:
        self.visit, self.alerted = visit, False
        self.changes: list[Change] = []
        self._targets: list[str] = []
        self._columns: dict[str, list[str]] = {}
        self._results: list[str] = []
        self._grades: dict[str, str] = {}
        self._end_us = visit.at_us

    def id(self, name: str) -> str:
        return _id(self.visit.id, name)

    def add(self, name: str, resource: Resource) -> str:
        """Add a resource that this visit makes; return its reference."""
        id = self.visit.id if name == "encounter" else self.id(name)
        self.changes.append(Change("POST", resource["resourceType"], id, {**resource, "id": id}))
        self._targets.append(f"{resource['resourceType']}/{id}")
        return self._targets[-1]

    def add_all(self, found: Sequence[Reading], answers: Mapping[str, float], graded: Sequence[Graded]) -> None:
        """Add what was measured, answered and graded."""
        self._end_us = max((self.visit.at_us, *(each.at_us for each in found)))
        self.add("encounter", self.visit.encounter_of(self._end_us))
        devices = {shapes.device_id(each.device): each.device for each in found if each.device}
        self.changes += [Change("PUT", "Device", id, shapes.device(each)) for id, each in devices.items()]
        for n, (resource, columns) in enumerate(self.visit.measurements(found)):
            self._results.append(self.add(f"measurement-{n}", resource))
            for column in columns:
                self._columns.setdefault(column, []).append(self._results[-1])
        if answers:
            self.add("answers", self.visit.answers(answers))
        for one in graded:
            basis = list(dict.fromkeys(r for name in one.inputs for r in self._measured(name)))
            self._grades[one.rule] = self.add(f"grade-{one.rule}", self.visit.grade(one, basis))
            if one.group == RISK:
                self.add(f"risk-{one.rule}", self.visit.risk(one, basis))
        self._results += self._grades.values()

    def _measured(self, column: str) -> list[str]:
        """Return the Observations that a column comes from."""
        made_of = {"bmi": ("weight_kg", "height_cm")}.get(column, ()) if column not in self._columns else (column,)
        return [each for name in made_of or (column,) for each in self._columns.get(name, ())]

    def follow(self, graded: Sequence[Graded], day: date) -> None:
        """Add what the nurse is told at once, and what is due later."""
        if urgent := [one for one in graded if one.level == "urgent"]:
            self.alerted = True
            self.add("alert", self.visit.alert(_told_nurse(urgent[0]), [self._grades[one.rule] for one in urgent]))
        for due in follow_ups(graded):
            self.add(f"follow-up-{due.group}", self.visit.follow_up(due, day, self._grades[due.rule]))

    def finish(self, graded: Sequence[Graded], others: Sequence[Change]) -> None:
        """Add the report, and who made all of it and ``others``."""
        self.add("report", self.visit.report(self._results, shapes.gravest(graded)))
        self.said(others)

    def said(self, others: Sequence[Change]) -> None:
        """Add who made all of it and ``others``, such as what the citizen said about consents."""
        targets = [*self._targets, *(f"{each.type}/{each.id}" for each in others)]
        self.changes.append(Change("POST", "Provenance", new_id(), self.visit.provenance(targets, self._end_us)))


def _id(visit: str, name: str) -> str:
    return str(uuid.uuid5(uuid.UUID(visit), name))


def _answers(given: Mapping[str, bool | float | None]) -> tuple[dict[str, float], list[Trouble]]:
    """Return answers by column, and what is wrong with them."""
    found: dict[str, float] = {}
    troubles: list[Trouble] = []
    for name, value in given.items():
        column = COLUMNS.get(name)
        if column is None or name in ("sex", "age_years"):
            text = {"ko": "알 수 없는 질문입니다.", "en": "This is nothing that is asked here."}
            troubles.append(Trouble(name[:64], "unknown-column", text))
        elif value is not None:
            found[name] = float(value)
    flags = plausibility.flags(Columns({name: [value] for name, value in found.items()}, 1)) if found else {}
    for name, flag in flags.items():
        if flag[0] == plausibility.IMPOSSIBLE:
            said = {"ko": f"{COLUMNS[name].ko}: 다시 답해 주세요.", "en": f"{COLUMNS[name].en}: please answer again."}
            troubles.append(Trouble(name, "impossible", said))
    return found, troubles


async def _facts(records: Records, posted: Posted, patient: str | None, at_us: int) -> Facts:
    if patient is not None:
        return await facts_of(records, patient, at_us)
    return Facts(posted.person.sex, posted.person.age_years) if posted.person else Facts(None, None)


async def consents_of(records: Records, patient: str) -> dict[tuple[str, str], consents.Given]:
    """Return what a citizen has said, by category and organisation."""
    found = await records.search(ROOM, "Consent", [("patient", f"Patient/{patient}"), ("_count", "200")])
    return consents.read(text.decode(each.text) for each in found.matches)


async def _consents(
    records: Records, patient: str, said: Mapping[Any, bool], now_us: int
) -> tuple[dict[str, bool], list[Change]]:
    """Return what is allowed from this visit on, and the Consents that change."""
    before = await consents_of(records, patient)
    allowed: dict[str, bool] = {}
    changes: list[Change] = []
    for category in ASKED:
        given = before.get((category, CENTRE))
        allowed[category] = said.get(category, given.given if given else False)
        if category in said and said[category] != (given.given if given else False):
            id = given.id if given else new_id()
            made = consents.consent(patient, category, CENTRE, said[category], shapes.moment(now_us), id)
            changes.append(Change("PUT" if given else "POST", "Consent", id, made, given.version if given else None))
    return allowed, changes


async def _due_before(records: Records, patient: str, now_us: int) -> list[Change]:
    """Return the changes that end what was due before: the citizen came."""
    query = [("patient", f"Patient/{patient}"), ("code", f"{shapes.TASK}|follow-up"), ("status", "requested")]
    found = await records.search(ROOM, "Task", [*query, ("_count", "100")])
    tasks = [text.decode(each.text) for each in found.matches]
    ended = {"status": "completed", "lastModified": shapes.moment(now_us)}
    return [Change("PUT", "Task", each["id"], {**each, **ended}, int(each["meta"]["versionId"])) for each in tasks]


async def _before(records: Records, visit: str, patient: str) -> dict[str, Any] | None:
    """Return the answer of a visit that is stored, from what is stored; raises Problem 409 for somebody else's id."""
    try:
        encounter = text.decode((await records.read(ROOM, "Encounter", visit)).text)
    except Problem as problem:
        if problem.status != 404:
            raise
        return None
    kinds = {code(each, CATEGORY) for each in encounter.get("type", ())}
    if reference(encounter, "subject") != f"Patient/{patient}" or "screening" not in kinds:
        raise Problem(409, "Another visit", "This id is of another visit. Give the visit a new one.")
    report = text.decode((await records.read(ROOM, "DiagnosticReport", _id(visit, "report"))).text)
    results = [str(each["reference"]).removeprefix("Observation/") for each in report["result"]]
    found = [text.decode((await records.read(ROOM, "Observation", each)).text) for each in results]
    graded = [_graded(each) for each in grades(found)]
    try:
        alerted = bool(await records.read(ROOM, "Communication", _id(visit, "alert")))
    except Problem:
        alerted = False
    stored = {"encounter": visit, "report": report["id"], "alerts": _alerts(graded, alerted), "already": True}
    return _answer(graded) | stored


def _graded(told: Told) -> Graded:
    """Return a stored grade as it was told."""
    rule = RULES.get(told.rule)
    return Graded(
        *(
            told.rule,
            told.version,
            rule.group if rule else "",
            told.title,
            told.value,
            told.unit or (rule.unit if rule else ""),
            told.band,
        ),
        told.level,  # pyright: ignore[reportArgumentType] - the room wrote it
        *(told.text, _both(told.cannot, rule.cannot if rule else None), told.source, bool(rule and rule.beside)),
        told.inputs,
    )


def _both(korean: str, known: Text | None) -> Text:
    return known if known and known["ko"] == korean else {"ko": korean, "en": korean}


def _answer(graded: Sequence[Graded]) -> dict[str, Any]:
    return {
        "encounter": None,
        "report": None,
        "grades": [msgspec.to_builtins(one) for one in graded],
        "level": max((one.level for one in graded), key=LEVELS.index, default="info"),
        "alerts": _alerts(graded, told=False),
        "already": False,
    }


def _alerts(graded: Sequence[Graded], told: bool) -> list[dict[str, Any]]:
    """Return what the citizen must read at once; ``nurse_told`` says whether somebody else was told, too."""
    return [
        {"rule": one.rule, "level": one.level, "text": one.title, "what_to_do": one.text, "nurse_told": told}
        for one in graded
        if one.level == "urgent"
    ]


def _told_nurse(one: Graded) -> Text:
    """Return what a nurse reads of a grade: the values, not the advice."""
    shown = [(COLUMNS[name], value) for name, value in one.inputs.items() if name in COLUMNS]
    ko = ", ".join(f"{column.ko} {value:g} {column.unit}" for column, value in shown)
    en = ", ".join(f"{column.en} {value:g} {column.unit}" for column, value in shown)
    return {"ko": f"{one.title['ko']}: {ko}", "en": f"{one.title['en']}: {en}"}
