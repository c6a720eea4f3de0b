"""A citizen with years of visits, as the kiosk would have sent them."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from hanmaru.care import people
from hanmaru.care.fhir.records import Records
from hanmaru.care.rules.columns import COLUMNS
from hanmaru.care.visits import visit
from hanmaru.care.visits.measures import Measurement
from tests.care.visiting import citizen

HANA = {"height_cm": 158.4, "pulse_bpm": 71, "grip_left_kg": 19.5, "grip_right_kg": 21.0, "chair_stand_reps": 17}
ANSWERS: dict[str, bool | float | None] = {
    "smoker": False,
    "bp_treated": False,
    "diabetes": False,
    "physical_activity": True,
}


def posted(at: datetime, card: str, values: Mapping[str, float], **consents: bool) -> visit.Posted:
    """Return a visit of the holder of a card, at a time."""
    when = at.isoformat()
    measured = [Measurement(column, value, COLUMNS[column].unit, when, "manual") for column, value in values.items()]
    said: Any = consents
    return visit.Posted(str(uuid.uuid4()), when, measured, card=card, consents=said, answers=ANSWERS)


async def visited(records: Records, card: str, days_ago: float, values: Mapping[str, float]) -> str:
    """Have the holder of a card measured so many days ago; return the visit's id."""
    at = datetime.now(UTC) - timedelta(days=days_ago)
    now_us = int((at + timedelta(minutes=5)).timestamp() * 1e6)
    told, stored = await visit.take(records, "kiosk-1", posted(at, card, values), now_us)
    assert stored, told
    return told["encounter"]


async def life(records: Records, account: str, name: str, *allowed: str, urgent: bool = False) -> str:
    """Register a woman of 64 under an account, with three visits in a year; return the Patient's id."""
    patient = await citizen(records, name, *(allowed or ("store", "follow-up")), born="1962-03-01", sex="female")
    await people.bind(records, account, patient)
    for days, weight, systolic, diastolic, waist, fat in (
        (370, 68.2, 151, 93, 91.0, 38.1),
        (180, 66.0, 146, 90, 88.5, 36.9),
    ):
        values = {**HANA, "weight_kg": weight, "sbp_mmhg": systolic, "dbp_mmhg": diastolic}
        await visited(records, name, days, {**values, "waist_cm": waist, "body_fat_pct": fat})
    last = {"sbp_mmhg": 186, "dbp_mmhg": 112} if urgent else {"sbp_mmhg": 142, "dbp_mmhg": 88}
    await visited(records, name, 0.01, {**HANA, "weight_kg": 64.1, "waist_cm": 86.0, "body_fat_pct": 35.2, **last})
    return patient
