"""A lawful request from asking to destruction, and each way it may go wrong."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hanmaru.platform.vault import lake
from tests.trace import rooms
from tests.trace.rooms import CARRIER, KIM, LEE, LOCATION, PARK, City, engine, phone_rows, until

IN = ("2026-11-10T08:00:00+09:00", "2026-11-10T08:05:00+09:00")


@pytest.fixture
async def city(tmp_path: Path) -> AsyncIterator[City]:
    async with rooms.city(tmp_path) as city:
        yield city


def quick(**days: float) -> str:
    """Return Korea's rules with other times."""
    from hanmaru.trace.cases.country import BUILT_IN

    text = BUILT_IN.read_text("utf-8")
    lines = [
        next((f"{name} = {value!r}" for name, value in days.items() if line.startswith(f"{name} =")), line)
        for line in text.splitlines()
    ]
    return "\n".join(lines)


async def test_the_whole_way_asked_approved_by_others_answered_stored_and_destroyed_at_its_date(tmp_path: Path) -> None:
    second = 1 / 86_400
    async with rooms.city(tmp_path, rules=quick(retention_days=4 * second)) as city, engine(city):
        case = await city.open_case()
        id = (await city.json(KIM, f"/cases/{case}/requests", LOCATION))["id"]
        (waiting,) = (await city.json(KIM, "/cases"))["cases"][0]["waiting"]
        assert (waiting["request"], waiting["role"], waiting["overdue"]) == (id, "health-approver", False)
        for who in (LEE, PARK):
            (mine,) = (await city.json(who, "/requests?mine=approve"))["requests"]
            assert (mine["id"], mine["because"]) == (id, LOCATION["because"])
            shown = await city.json(who, f"/requests/{id}/decision", {"verdict": "approve", "reason": "확진"})
        assert shown["state"] == "approved"

        asked = await city.json(CARRIER, f"/requests/{id}")
        assert asked["people"] == [
            {"subject": case, "name": rooms.NAME, "birth_date": "1990-02-03", "phone": rooms.PHONE}
        ]
        taken = await city.json(CARRIER, f"/requests/{id}/answers?kind=phone", raw=phone_rows(case, *IN))
        assert taken == {"kind": "location", "rows": 2, "accepted": 2, "refused": {}}
        row = city.room.book.request(id)
        assert row.data
        (name,) = await lake.names(city.room.own_desk("test"), row.data)
        kept = await lake.read_table(city.room.own_desk("test"), row.data, name)
        assert kept["subject"].to_pylist() == [case, case]

        await until(lambda: city.room.book.request(id).state == "destroyed")
        await until(lambda: city.room.book.request(id).data is None)
        assert not (tmp_path / "data/vaults/trace/lake" / row.data).exists()
        assert not city.locks.vaults.keys.versions("trace", row.data)
        states = [line["what"] for line in (await city.json(KIM, f"/cases/{case}"))["log"]]
        assert states == [
            "opened",
            "request.asked",
            "investigating",
            "request.approved",
            "request.approved",
            "request.answered",
            "request.destroyed",
            "request.data-destroyed",
        ]
