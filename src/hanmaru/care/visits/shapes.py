"""A visit as FHIR resources; ``docs/reference/care-fhir.md`` has each shape. Pure: values in, resources out.

`hanmaru.care.citizen.visit` reads what is written here.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from hanmaru.care.citizen.consents import CENTRE, TERMS
from hanmaru.care.citizen.visit import BAND, COLUMN, LEVEL, RULE, TRANSLATION
from hanmaru.care.hospital.schedule import FollowUp
from hanmaru.care.rules.catalogue import Graded
from hanmaru.care.rules.columns import COLUMNS, LOINC
from hanmaru.care.visits.measures import DeviceInfo, Reading
from hanmaru.platform.services import Text

CATEGORY: Final = "urn:hanmaru:care:category"
HOW: Final = "urn:hanmaru:care:how"
COMMUNICATION: Final = "urn:hanmaru:care:communication"
TASK: Final = "urn:hanmaru:care:task"
FOLLOW_UP: Final = "urn:hanmaru:care:follow-up"
WHAT: Final = "urn:hanmaru:care:what"
DEVICE: Final = "urn:hanmaru:care:device"
ACCOUNT: Final = "urn:hanmaru:care:account"
QUESTIONS: Final = "urn:hanmaru:care:questionnaire:screening"
EXTENSION: Final = "urn:hanmaru:care:"
UCUM: Final = "http://unitsofmeasure.org"
RISK: Final = "risk"
"""The group of rules that are models of a risk: each is a RiskAssessment, too."""

VITAL: Final = frozenset({"height_cm", "weight_kg", "bmi", "sbp_mmhg", "dbp_mmhg", "pulse_bpm"})
LABORATORY: Final = frozenset(
    {
        *("total_cholesterol_mg_dl", "hdl_mg_dl", "ldl_mg_dl", "triglycerides_mg_dl", "glucose_mg_dl", "hba1c_pct"),
        *("egfr", "uacr_mg_g", "creatinine_mg_dl"),
    }
)
BODY: Final = frozenset(
    {
        *("waist_cm", "hip_cm", "body_fat_pct", "skeletal_muscle_kg", "asm_kg", "water_kg", "ecw_tbw"),
        "visceral_fat_level",
    }
)
LEVELS: Final = ("info", "good", "watch", "act", "urgent")
"""From what asks for least to what asks for most."""

Resource = dict[str, Any]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def moment(at_us: int) -> str:
    """Return µs since 1970 as a FHIR instant, to the millisecond where there are any."""
    return (_EPOCH + timedelta(microseconds=at_us)).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def reference(to: str) -> Resource:
    """Return a reference to ``Type/id``."""
    return {"reference": to}


def spoken(said: Text, element: str = "text") -> Resource:
    """Return an element with a text in Korean and its English translation."""
    parts = [{"url": "lang", "valueCode": "en"}, {"url": "content", "valueString": said["en"]}]
    return {element: said["ko"], f"_{element}": {"extension": [{"url": TRANSLATION, "extension": parts}]}}


def concept(system: str, code: str, said: Text | None = None) -> Resource:
    """Return a concept of one code."""
    return {"coding": [{"system": system, "code": code}], **(spoken(said) if said else {})}


def quantity(value: float, unit: str, ucum: str) -> Resource:
    """Return an amount."""
    return {"value": int(value) if value == int(value) else value, "unit": unit or "1", "system": UCUM, "code": ucum}


def device_id(device: DeviceInfo) -> str:
    """Return the id of a measuring device: by its address, else its serial number, else its name and model."""
    return f"device-{_digest(_identity(device))}"


def kiosk_id(account: str) -> str:
    """Return the id of the Device that is a kiosk, by its account's name."""
    return f"kiosk-{_digest(account)}"


def device(given: DeviceInfo) -> Resource:
    """Return a measuring device; it belongs to the house."""
    named = [{"name": given.name, "type": "user-friendly-name"}]
    named += [{"name": given.model, "type": "model-name"}] if given.model else []
    return {
        "resourceType": "Device",
        "id": device_id(given),
        "identifier": [{"system": DEVICE, "value": _identity(given)}],
        "status": "active",
        "deviceName": named,
        **({"serialNumber": given.serial} if given.serial else {}),
        "owner": reference(CENTRE),
    }


class Visit:
    """A visit whose resources are made: whose it is, where and when, and by which kiosk."""

    def __init__(self, id: str, patient: str, place: str, kiosk: str, at_us: int, now_us: int) -> None:
        """Say what all resources of the visit share; ``place`` and ``kiosk`` are references."""
        self.id, self.place, self.kiosk, self.at_us, self.now_us = id, place, kiosk, at_us, now_us
        self.subject, self.encounter = reference(f"Patient/{patient}"), reference(f"Encounter/{id}")

    def encounter_of(self, end_us: int) -> Resource:
        """Return the Encounter."""
        return {
            "resourceType": "Encounter",
            "id": self.id,
            "status": "finished",
            "class": {"system": f"{TERMS}v3-ActCode", "code": "AMB"},
            "type": [concept(CATEGORY, "screening")],
            "subject": self.subject,
            "period": {"start": moment(self.at_us), "end": moment(max(self.at_us, end_us))},
            "location": [{"location": reference(self.place)}],
            "serviceProvider": reference(CENTRE),
        }

    def measurements(self, readings: Iterable[Reading]) -> list[tuple[Resource, tuple[str, ...]]]:
        """Return an Observation per reading with its columns; both pressures of one reading are one."""
        made: list[tuple[Resource, tuple[str, ...]]] = []
        pressures: dict[int, list[Reading]] = {}
        for reading in readings:
            if reading.column in ("sbp_mmhg", "dbp_mmhg"):
                pressures.setdefault(reading.repeat, []).append(reading)
            else:
                code = _code(reading.column)
                made.append((self._measurement(reading, code, _amount(reading)), (reading.column,)))
        for parts in pressures.values():
            panel = {
                "coding": [{"system": LOINC, "code": "85354-9"}],
                **spoken({"ko": "혈압", "en": "Blood pressure"}),
            }
            components = [{"code": _code(part.column), **_amount(part)} for part in parts]
            made.append((self._measurement(parts[0], panel, {"component": components}), tuple(p.column for p in parts)))
        return made

    def _measurement(self, reading: Reading, code: Resource, value: Resource) -> Resource:
        extensions: list[Resource] = []
        if reading.raw:
            extensions.append({"url": f"{EXTENSION}raw", "valueString": reading.raw})
        if reading.sent:
            amount, unit = reading.sent
            extensions.append({"url": f"{EXTENSION}sent", "valueQuantity": {"value": amount, "unit": unit}})
        if reading.repeat > 1:
            extensions.append({"url": f"{EXTENSION}repeat", "valuePositiveInt": reading.repeat})
        if reading.unlikely:
            extensions.append({"url": f"{EXTENSION}flag", "valueCode": "unlikely"})
        return {
            "resourceType": "Observation",
            "status": "final",
            **({"extension": extensions} if extensions else {}),
            **self._of(reading.at_us, _category(reading.column), "measurement"),
            "code": code,
            **value,
            "method": concept(HOW, reading.how),
            **({"device": reference(f"Device/{device_id(reading.device)}")} if reading.device else {}),
            **({"note": [{"text": reading.model}]} if reading.model else {}),
        }

    def grade(self, graded: Graded, derived_from: Sequence[str]) -> Resource:
        """Return the Observation of what a rule said."""
        column = concept(COLUMN, "value")
        shown = [] if graded.value is None else [{"code": column, "valueQuantity": _valued(graded)}]
        return {
            "resourceType": "Observation",
            "status": "final",
            "extension": _said(graded),
            **self._of(self.at_us, "survey", "grade"),
            "code": _rule(graded),
            "valueCodeableConcept": concept(BAND, graded.band, graded.text),
            "interpretation": [concept(LEVEL, graded.level)],
            "component": [*shown, *(_input(name, value) for name, value in graded.inputs.items())],
            "derivedFrom": [reference(each) for each in derived_from],
        }

    def risk(self, graded: Graded, basis: Sequence[str]) -> Resource:
        """Return the RiskAssessment of a model."""
        codes = [{"system": BAND, "code": graded.band}, {"system": LEVEL, "code": graded.level}]
        share = {"probabilityDecimal": graded.value} if graded.unit == "%" and graded.value is not None else {}
        return {
            "resourceType": "RiskAssessment",
            "status": "final",
            "extension": _said(graded),
            "code": _rule(graded),
            "subject": self.subject,
            "encounter": self.encounter,
            "occurrenceDateTime": moment(self.at_us),
            "performer": reference(self.kiosk),
            "basis": [reference(each) for each in basis],
            "prediction": [
                {
                    "outcome": spoken(graded.title),
                    **share,
                    "qualitativeRisk": {"coding": codes, **spoken(graded.text)},
                }
            ],
        }

    def answers(self, given: Mapping[str, float]) -> Resource:
        """Return the QuestionnaireResponse."""

        def answer(column: str, value: float) -> Resource:
            return {"valueBoolean": value == 1} if COLUMNS[column].kind == "flag" else {"valueDecimal": value}

        return {
            "resourceType": "QuestionnaireResponse",
            "questionnaire": QUESTIONS,
            "status": "completed",
            "subject": self.subject,
            "encounter": self.encounter,
            "authored": moment(self.at_us),
            "item": [
                {"linkId": column, **spoken(title(column)), "answer": [answer(column, value)]}
                for column, value in given.items()
            ],
        }

    def report(self, results: Sequence[str], level: str) -> Resource:
        """Return the DiagnosticReport; ``level`` is the gravest of its grades."""
        return {
            "resourceType": "DiagnosticReport",
            "status": "final",
            "category": [concept(CATEGORY, "screening")],
            "code": concept(CATEGORY, "screening", {"ko": "건강 측정 결과", "en": "Health screening results"}),
            "subject": self.subject,
            "encounter": self.encounter,
            "effectiveDateTime": moment(self.at_us),
            "issued": moment(self.now_us),
            "performer": [reference(CENTRE)],
            "result": [reference(each) for each in results],
            "conclusionCode": [concept(LEVEL, level)],
        }

    def alert(self, said: Text, about: Sequence[str]) -> Resource:
        """Return the Communication that somebody at the health centre must acknowledge."""
        return {
            "resourceType": "Communication",
            "status": "in-progress",
            "priority": "urgent",
            "category": [concept(COMMUNICATION, "alert")],
            "subject": self.subject,
            "encounter": self.encounter,
            "about": [reference(each) for each in about],
            "sent": moment(self.now_us),
            "recipient": [reference(CENTRE)],
            "sender": reference(self.kiosk),
            "payload": [spoken(said, "contentString")],
        }

    def follow_up(self, due: FollowUp, day: date, focus: str) -> Resource:
        """Return the Task of what is due after a visit on a day of the city; ``focus`` is the grade that says so."""
        codes = [{"system": FOLLOW_UP, "code": f"check-{due.group}"}, {"system": WHAT, "code": due.what}]
        reason = {"coding": [*codes, {"system": LEVEL, "code": due.level}], **spoken(due.text)}
        days = day + timedelta(days=due.days), day + timedelta(days=due.by)
        of = {"focus": reference(focus), "encounter": self.encounter}
        return {**task(reason, days, self.subject["reference"], self.now_us), **of}

    def provenance(self, targets: Sequence[str], end_us: int) -> Resource:
        """Return who made all of it, when, and of what."""
        visit = {"identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{self.id}"}}
        participant = f"{TERMS}provenance-participant-type"
        return {
            "resourceType": "Provenance",
            "target": [reference(each) for each in targets],
            "occurredPeriod": {"start": moment(self.at_us), "end": moment(max(self.at_us, end_us))},
            "recorded": moment(self.now_us),
            "agent": [
                {"type": concept(participant, "assembler"), "who": reference(self.kiosk)},
                {"type": concept(participant, "performer"), "who": reference(CENTRE)},
            ],
            "entity": [{"role": "source", "what": visit}],
        }

    def _of(self, at_us: int, standard: str, own: str) -> Resource:
        codes = [
            {"system": f"{TERMS}observation-category", "code": standard},
            {"system": CATEGORY, "code": own},
        ]
        return {
            "category": [{"coding": codes}],
            "subject": self.subject,
            "encounter": self.encounter,
            "effectiveDateTime": moment(at_us),
            "issued": moment(self.now_us),
            "performer": [reference(CENTRE)],
        }


def task(reason: Resource, days: tuple[date, date], patient: str, now_us: int) -> Resource:
    """Return the Task of something that is due for a patient (``Patient/…``) from a day of the city until another."""
    return {
        "resourceType": "Task",
        "status": "requested",
        "intent": "plan",
        "code": concept(TASK, "follow-up"),
        "for": reference(patient),
        "executionPeriod": {"start": days[0].isoformat(), "end": days[1].isoformat()},
        "authoredOn": moment(now_us),
        "owner": reference(CENTRE),
        "reasonCode": reason,
    }


def title(column: str) -> Text:
    """Return a column's name."""
    return {"ko": COLUMNS[column].ko, "en": COLUMNS[column].en}


def gravest(grades: Iterable[Graded]) -> str:
    """Return the gravest level of grades; ``info`` where there is none."""
    return max((one.level for one in grades), key=LEVELS.index, default="info")


def _category(column: str) -> str:
    if column in VITAL:
        return "vital-signs"
    return "laboratory" if column in LABORATORY else "exam" if column in BODY or column.endswith("_deg") else "activity"


def _code(column: str) -> Resource:
    known = COLUMNS[column]
    standard = [{"system": LOINC, "code": known.loinc}] if known.loinc else []
    return {"coding": [*standard, {"system": COLUMN, "code": column}], **spoken(title(column))}


def _amount(reading: Reading) -> Resource:
    known = COLUMNS[reading.column]
    return {"valueQuantity": quantity(reading.value, known.unit, known.ucum)}


def _input(name: str, value: float) -> Resource:
    known = COLUMNS.get(name)
    unit, ucum = (known.unit, known.ucum) if known else ("", "1")
    return {"code": concept(COLUMN, name), "valueQuantity": quantity(value, unit, ucum)}


def _valued(graded: Graded) -> Resource:
    assert graded.value is not None
    known = next((c for c in COLUMNS.values() if c.unit == graded.unit), None)
    amount = quantity(graded.value, graded.unit, known.ucum if known else "1")
    if known is None and graded.unit:
        del amount["system"], amount["code"]
    return amount


def _rule(graded: Graded) -> Resource:
    coding = {"system": RULE, "version": graded.version, "code": graded.rule}
    return {"coding": [coding], **spoken(graded.title)}


def _said(graded: Graded) -> list[Resource]:
    return [
        {"url": f"{EXTENSION}source", "valueString": graded.source},
        {"url": f"{EXTENSION}cannot", **spoken(graded.cannot, "valueString")},
    ]


def _identity(device: DeviceInfo) -> str:
    return device.address or device.serial or f"{device.name} {device.model}".strip()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]
