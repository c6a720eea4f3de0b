"""A citizen's own record, read from the room's records: what the report, trends and goals are made of."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from hanmaru.care.citizen import referrals, report, visit
from hanmaru.care.citizen.visit import Measured, Resource
from hanmaru.care.fhir import text
from hanmaru.care.fhir.records import Records
from hanmaru.care.fhir.values import Reader, Version
from hanmaru.platform.problems import Problem
from hanmaru.platform.services import Text

PAGE: Final = "500"
MOST_PAGES: Final = 20
"""Pages of one kind that are read: 10,000 measurements are more than a weekly visit for three years."""
MOST_VISITS: Final = 200
BEFORE: Final = "200"
"""Earlier grades that are looked at for what was said last time."""

Query = Sequence[tuple[str, str]]


class Mine:
    """One citizen's record, as this citizen may see it."""

    def __init__(self, records: Records, reader: Reader, zone: ZoneInfo) -> None:
        """Read as a patient; ``reader.id`` is the Patient's."""
        self.records, self.reader, self.zone = records, reader, zone
        self.patient = reader.id

    async def all(self, type: str | None, *query: tuple[str, str], pages: int = MOST_PAGES) -> list[dict[str, Any]]:
        """Return what a search finds, up to so many pages."""
        given: list[tuple[str, str]] = [*query, *([] if "_count" in dict(query) else [("_count", PAGE)])]
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        for _ in range(pages):
            page = await self.records.search(
                self.reader, type, given if cursor is None else [*given, ("_cursor", cursor)]
            )
            found += await asyncio.to_thread(_decoded, page.matches)
            cursor = page.next
            if cursor is None:
                break
        return found

    async def of(self, type: str, *query: tuple[str, str], pages: int = MOST_PAGES) -> list[dict[str, Any]]:
        """Return the citizen's resources of a type."""
        name = "subject" if type in ("Encounter", "Communication") else "patient"
        return await self.all(type, (name, f"Patient/{self.patient}"), *query, pages=pages)

    async def person(self) -> dict[str, Any]:
        """Return the Patient."""
        return text.decode((await self.records.read(self.reader, "Patient", self.patient)).text)

    async def visits(self) -> list[Resource]:
        """Return the visits, newest first."""
        query = (("_sort", "-date"), ("_count", str(MOST_VISITS)))
        found = await self.of("Encounter", *query, pages=1)
        return [one for one in found if visit.code(next(iter(one.get("type", ())), None), CATEGORY) == "screening"]

    async def report(self, encounter: str | None) -> report.Report | None:
        """Return a visit's report, the newest where none is named; None where there is no visit.

        Raises Problem 404 for a visit that is not the citizen's.
        """
        if encounter:
            found: Resource = text.decode((await self.records.read(self.reader, "Encounter", encounter)).text)
        elif visits := await self.visits():
            found = visits[0]
        else:
            return None
        newest = not encounter
        id = str(found["id"])
        due = (("code", f"{TASK}|follow-up"), ("status", ",".join(report.OPEN)))
        at = visit.instant(visit.part(found, "period").get("start")) or f"{self.today()}"
        observations, before, alerts, tasks, person, place = await asyncio.gather(
            self.of("Observation", ("encounter", f"Encounter/{id}")),
            self.of(
                "Observation",
                *(("category", f"{CATEGORY}|grade"), ("date", f"lt{at}"), ("_sort", "-date"), ("_count", BEFORE)),
                pages=1,
            ),
            self.of("Communication", ("encounter", f"Encounter/{id}"), ("category", f"{COMMUNICATION}|alert")),
            self.of("Task", *due, pages=1) if newest else _nothing(),
            self.person(),
            self.place(found),
        )
        return await asyncio.to_thread(
            report.assemble,
            found,
            observations,
            before,
            sex=str(person.get("gender", "")),
            place=place,
            zone=self.zone,
            others=[*alerts, *tasks],
            newest=newest,
        )

    async def levels(self) -> dict[str, str]:
        """Return the gravest level of each visit, by its reference."""
        found = await self.of("DiagnosticReport", ("category", f"{CATEGORY}|screening"), ("_sort", "-date"))
        return {
            visit.reference(one, "encounter"): level
            for one in found
            if (
                level := next((c for each in one.get("conclusionCode", ()) if (c := visit.code(each, visit.LEVEL))), "")
            )
        }

    async def values(self) -> list[Measured]:
        """Return everything that was measured of the citizen."""
        found = await self.of("Observation", ("category", f"{CATEGORY}|measurement"), ("_sort", "-date"))
        return await asyncio.to_thread(lambda: list(visit.measured(found)))

    async def judged_by(self, values: Iterable[Measured]) -> dict[str, float]:
        """Return what ranges depend on: sex, age, and the newest height and weight."""
        person = await self.person()
        known = {one.column: one.value for one in visit.taken(values) if one.column in ("height_cm", "weight_kg")}
        if person.get("gender") in ("male", "female"):
            known["sex"] = float(person["gender"] == "female")
        if (age := age_years(str(person.get("birthDate", "")), self.today())) is not None:
            known["age_years"] = float(age)
        return known

    async def referrals(self) -> list[referrals.Referral]:
        """Return where referrals stand."""
        asked = await self.of("ServiceRequest", pages=1)
        about = [
            self.of(type, (name, ",".join(f"ServiceRequest/{one['id']}" for one in asked)), pages=2)
            for type, name in (
                *(("Task", "focus"), ("Appointment", "based-on")),
                *(("DiagnosticReport", "based-on"), ("Observation", "based-on")),
            )
            if asked
        ]
        found = [*asked, *(one for each in await asyncio.gather(*about) for one in each)]
        named = {str(p.get("reference", "")) for one in asked for p in one.get("performer", ())}
        for one in found:
            named |= {visit.reference(each, "actor") for each in one.get("participant", ())}
        places = [one for one in named if one.startswith(("Organization/", "Location/"))]
        names = dict(zip(places, await asyncio.gather(*(self.named(one) for one in places)), strict=True))
        return await asyncio.to_thread(referrals.read, found, names)

    async def named(self, reference: str) -> Text:
        """Return an organisation's or place's name; nothing where it is not to be seen."""
        type, _, id = reference.partition("/")
        try:
            found = text.decode((await self.records.read(self.reader, type, id)).text)
        except Problem:
            return {"ko": "", "en": ""}
        return name_of(found)

    async def place(self, encounter: Resource) -> Text:
        """Return where a visit was."""
        places = [visit.reference(one, "location") for one in encounter.get("location", ())]
        return await self.named(places[0]) if places else {"ko": "", "en": ""}

    def today(self) -> date:
        """Return the day that it is in the city."""
        return datetime.now(UTC).astimezone(self.zone).date()


CATEGORY: Final = "urn:hanmaru:care:category"
TASK: Final = "urn:hanmaru:care:task"
COMMUNICATION: Final = "urn:hanmaru:care:communication"


def name_of(resource: Resource) -> Text:
    """Return a resource's name in both languages: translated, or its first alias in English."""
    named = visit.told(resource, "name")
    alias = next((str(one) for one in resource.get("alias", ())), "")
    return {**named, "en": named["en"] if named["en"] != named["ko"] or not alias else alias}


def age_years(birth_date: str, today: date) -> int | None:
    """Return the years since a day of birth (ISO 8601, a whole day); None where it is not known to the day."""
    try:
        born = date.fromisoformat(birth_date)
    except ValueError:
        return None
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def _decoded(versions: Iterable[Version]) -> list[dict[str, Any]]:
    return [text.decode(one.text) for one in versions if one.text]


async def _nothing() -> list[dict[str, Any]]:
    return []


def asked(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return who a Patient says that they are, in a citizen's form."""
    name = next((str(one.get("text", "")) for one in document.get("name", ())), "")
    phone = next((str(t.get("value", "")) for t in document.get("telecom", ()) if t.get("system") == "phone"), "")
    sex = str(document.get("gender", ""))
    return {
        "patient": document.get("id"),
        "name": name,
        "birth_date": str(document.get("birthDate", "")),
        "sex": sex if sex in ("male", "female") else "",
        "phone": phone,
    }
