"""From a detection to a procedure that is closed, with a hand-over to an agency, over HTTP."""

import asyncio
from pathlib import Path
from typing import Any

from hanmaru.centre.events.opening import book
from hanmaru.centre.events.process import run
from tests.centre.desk import SECRET, agency, detection, room, until


async def test_an_alarm_becomes_an_event_whose_procedure_ends_in_a_receipt(tmp_path: Path) -> None:
    async with room(tmp_path) as site, agency(tmp_path) as (endpoint, desk):
        made = {"id": "dsr", "name": {"en": "Disaster office"}, "kind": "disaster", "endpoint": endpoint,
                "secret": SECRET}  # fmt: skip
        answer = await site.ask("POST", "/agencies", made, role="supervisor")
        assert answer.status == 201
        assert SECRET.encode() not in answer.body
        open_ = book(site.context)
        await open_.follow([detection(1, procedure="disaster-response")])
        await open_.close()
        working = asyncio.create_task(run(site.context))
        try:
            (event,) = (await site.ask("GET", "/events?state=open")).json()["items"]
            id = event["id"]
            assert (event["severity"], event["procedure"]["id"]) == ("high", "disaster-response")
            assert (await site.ask("POST", f"/events/{id}/take", {})).json()["owner"] == "operator"
            assert (await site.step(id, "confirm", do="choose", option="real")).status == 200

            async def handed() -> Any:
                steps = (await site.ask("GET", f"/events/{id}/procedure")).json()["steps"]
                return {step["id"]: step for step in steps} if steps[1]["state"] == "done" else None

            steps = await until(handed)
            assert steps["tell"]["receipt"]["state"] == "accepted"
            assert len(desk.all()) == 1
            for item in ("barrier", "signs", "people"):
                await site.step(id, "close-off", do="tick", item=item)
            assert (await site.step(id, "close-off", do="done")).status == 200
            assert (await site.step(id, "over", do="done")).status == 403
            answer = await site.step(id, "over", role="supervisor", do="done")
            assert answer.json()["state"] == "finished"
            closed = (await site.ask("POST", f"/events/{id}/close", {"reason": "water is gone"})).json()
            assert closed["state"] == "closed"
            whats = [entry["what"] for entry in closed["timeline"]]
            assert whats[0] == "raised"
            assert whats[-1] == "closed"
            assert "agency.accepted" in whats
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
