"""Who is overdue and why: the follow-ups that are due, a person's together, the gravest and longest overdue first."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

from hanmaru.care.citizen.visit import LEVEL, code, part, reference, told
from hanmaru.care.fhir import text
from hanmaru.care.fhir.records import HEALTH_CENTRE, Reader, Records
from hanmaru.care.nurse.alerts import Json, People, today
from hanmaru.care.visits.shapes import FOLLOW_UP, LEVELS, TASK, WHAT
from hanmaru.platform.problems import Problem

MOST: Final = 500
"""Most follow-ups that one list is made of; those due first."""
SOON_DAYS: Final = 7
MOST_DAYS: Final = 400

STEPS: Final[Mapping[str, Mapping[str, str]]] = {
    "see-today": {"ko": "오늘 전화해서 진료를 받았는지 확인하세요.", "en": "Call today: has a doctor been seen?"},
    "see-doctor": {"ko": "전화해서 진료를 받도록 안내하세요.", "en": "Call: a doctor should be seen."},
    "measure-again": {"ko": "다시 재러 오도록 안내하세요.", "en": "Invite to measure again."},
    "blood-test": {"ko": "혈액검사를 받도록 안내하세요.", "en": "Invite to a blood test."},
    "check-up": {"ko": "다음 점검 날짜를 잡으세요.", "en": "Arrange the next check-up."},
    "talk-again": {"ko": "약속한 대로 다시 연락하세요.", "en": "Talk again, as agreed."},
}
"""What to do next, by what is due (`hanmaru.care.hospital.schedule`)."""


async def due(records: Records, reader: Reader, reason: str = "", name: str = "", within_days: int = SOON_DAYS) -> Json:
    """Return whose follow-ups have begun to be due, or will so many days from now, as far as the reader may see them.

    ``reason`` is a follow-up's code; ``name`` is in the citizen's name. ``more`` says that there are more than fit.
    """
    now = today(records)
    query = [
        ("code", f"{TASK}|follow-up"),
        ("status", "requested"),
        ("owner", f"Organization/{HEALTH_CENTRE}"),
        ("period", f"lt{(now + timedelta(days=within_days + 1)).isoformat()}"),
        ("_sort", "period"),
        ("_count", str(MOST)),
    ]
    if name:
        query.append(("patient:Patient.name:contains", name))
    found = await records.search(reader, "Task", query)
    people, visits = People(records, reader), Visits(records, reader)
    items: dict[str, Json] = {}
    for task in (text.decode(each.text) for each in found.matches):
        why = follow_up(task, now)
        if reason and why["code"] != reason:
            continue
        patient = await people.of(task, "for")
        if patient is None:
            continue
        item = items.setdefault(
            patient["id"], {"patient": patient["id"], **_named(patient), "why": [], "phone": patient["phone"]}
        )
        item["why"].append(why)
        item["last_visit"] = max(filter(None, (item.get("last_visit"), await visits.at(task))), default=None)
    for item in items.values():
        item["why"].sort(key=_pressing)
        first = item["why"][0]
        item["due"] = min(why["due"] for why in item["why"])
        item["overdue_days"] = max(why["overdue_days"] for why in item["why"])
        item["level"], item["next_step"] = first["level"], STEPS.get(first["what"], STEPS["talk-again"])
    ordered = sorted(items.values(), key=lambda item: (-LEVELS.index(item["level"]), -item["overdue_days"]))
    return {"items": ordered, "reasons": _reasons(ordered), "more": found.next is not None}


def follow_up(task: Mapping[str, Any], now: date) -> Json:
    """Return a follow-up as the desk shows it: why, what, from and until when, and how many days ago that was.

    ``overdue_days`` are negative while there is time.
    """
    concept, period = part(task, "reasonCode"), part(task, "executionPeriod")
    start = str(period.get("start", now.isoformat()))[:10]
    end = str(period.get("end", start))[:10]
    return {
        "task": task["id"],
        "code": code(concept, FOLLOW_UP),
        "what": code(concept, WHAT),
        "text": told(concept),
        "level": code(concept, LEVEL) or "watch",
        "from": start,
        "due": end,
        "overdue_days": (now - date.fromisoformat(end)).days,
    }


def _pressing(why: Mapping[str, Any]) -> tuple[int, str]:
    return -LEVELS.index(why["level"]), why["due"]


def _named(patient: Mapping[str, Any]) -> Json:
    return {"name": patient["name"], "age": patient["age_years"], "sex": patient["sex"]}


def _reasons(items: Sequence[Mapping[str, Any]]) -> list[Json]:
    """Return how many people are due for each reason, the most frequent first."""
    counted: dict[str, int] = {}
    for item in items:
        for reason in {why["code"] for why in item["why"]}:
            counted[reason] = counted.get(reason, 0) + 1
    return [{"code": reason, "people": n} for reason, n in sorted(counted.items(), key=lambda each: -each[1])]


class Visits:
    """When visits were, each read once in one answer."""

    def __init__(self, records: Records, reader: Reader) -> None:
        """Begin with none."""
        self._records, self._reader = records, reader
        self._known: dict[str, str | None] = {}

    async def at(self, resource: Mapping[str, Any]) -> str | None:
        """Return when the visit was that a resource came of."""
        id = reference(resource, "encounter").removeprefix("Encounter/")
        if id and id not in self._known:
            try:
                found = text.decode((await self._records.read(self._reader, "Encounter", id)).text)
                self._known[id] = part(found, "period").get("start")
            except Problem:
                self._known[id] = None
        return self._known.get(id)
