"""A whole hub, killed in the middle of a procedure and of a hand-over: nothing is lost, nothing arrives twice."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hanmaru.centre.agencies.desk import tell
from hanmaru.platform.identity.accounts import Accounts
from hanmaru.platform.machines.machines import Machines
from tests.centre.desk import SECRET, agency, until
from tests.running import Running, running

PASSWORD = "seven cameras over the river"
EVENTS = 3


class Operator:
    """Somebody on shift, who tries again until the hub answers."""

    def __init__(self, hub: Running, http: aiohttp.ClientSession, name: str) -> None:
        self.url, self.http = f"{hub.url}/api/centre/v1", http
        self.headers = {"authorization": aiohttp.encode_basic_auth(name, PASSWORD)}

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        ends = time.monotonic() + 30
        while True:
            try:
                async with self.http.request(method, self.url + path, json=body, headers=self.headers) as answer:
                    if answer.status != 503 or time.monotonic() > ends:
                        return answer.status, await answer.json(content_type=None)
            except aiohttp.ClientError:
                assert time.monotonic() < ends
            await asyncio.sleep(0.05)


async def scenario(hub: Running, folder: Path) -> None:
    async with aiohttp.ClientSession() as http, agency(folder) as (endpoint, desk):
        kim, park = Operator(hub, http, "kim"), Operator(hub, http, "park")
        body = {"id": "them", "name": {"en": "They"}, "kind": "disaster", "endpoint": endpoint, "secret": SECRET}
        assert (await park.ask("POST", "/agencies", body))[0] == 201
        raised = {"category": "flood", "severity": "high", "title": "Water", "procedure": "disaster-response"}
        ids: list[str] = []
        for n in range(EVENTS):
            status, event = await kim.ask("POST", "/events", raised)
            assert status == 201, event
            ids.append(event["id"])
            step = f"/events/{event['id']}/procedure/steps"
            assert (await kim.ask("POST", f"{step}/confirm", {"do": "choose", "option": "real"}))[0] == 200
            if n % 2:
                for worker in hub.workers():  # all: whoever answers, and whoever sends
                    os.kill(worker.pid, signal.SIGKILL)
            assert (await kim.ask("POST", f"{step}/close-off", {"do": "tick", "item": "barrier"}))[0] == 200
        ends = time.monotonic() + 60
        for id in ids:
            while (await kim.ask("GET", f"/events/{id}/procedure"))[1]["steps"][1]["state"] != "done":
                assert time.monotonic() < ends
                await asyncio.sleep(0.1)
        keys = [key for key, *_ in desk.all()]
        assert len(keys) == len({*keys}) == EVENTS
        for id in ids:
            _, event = await kim.ask("GET", f"/events/{id}")
            whats = [entry["what"] for entry in event["timeline"]]
            assert whats.count("agency.accepted") == 1
            assert whats.count("item.ticked") == 1
            assert whats.count("step.done") == 2  # decided, and told the shift
        assert (await kim.ask("GET", "/events"))[1]["items"][0]["number"].endswith(f"{EVENTS:04d}")


async def alarmed(hub: Running) -> None:
    """Have a reading fire a rule whose event starts a procedure; kill all; the alarm is there once."""
    async with aiohttp.ClientSession() as http:
        kim, park, sensor = (Operator(hub, http, name) for name in ("kim", "park", "sensor"))
        when = {"kind": "threshold", "type": "UnderpassWater", "attr": "level", "op": ">", "value": 0.5}
        words = {"name": {"en": "Underpass"}, "title": {"en": "Water in {name}"}, "category": "underpass"}
        rule = {"id": "underpass", **words, "severity": "critical", "when": when, "procedure": "disaster-response"}
        status, answer = await park.ask("POST", "/rules", rule)
        assert status == 201, answer
        sensor.url = hub.url
        entity: dict[str, Any] = {"id": "urn:ngsi-ld:UnderpassWater:1", "type": "UnderpassWater"}

        async def seen() -> Any:
            entity["level"] = {"type": "Property", "value": 0.9}
            await sensor.ask("POST", "/ngsi-ld/v1/entityOperations/upsert", [entity])
            return (await kim.ask("GET", "/events?category=underpass"))[1]["items"]

        (event,) = await until(seen, 30)
        assert (event["severity"], event["procedure"]["id"]) == ("critical", "disaster-response")
        for worker in hub.workers():
            os.kill(worker.pid, signal.SIGKILL)
        assert (await kim.ask("POST", f"/events/{event['id']}/take", {}))[0] == 200
        (again,) = (await kim.ask("GET", "/events?category=underpass"))[1]["items"]
        assert (again["state"], again["count"]) == ("taken", 1)


async def by_hand(hub: Running, folder: Path, key: str) -> None:
    """Take a hand-over at a desk where a person accepts, and have the desk tell the city."""
    async with aiohttp.ClientSession() as http, agency(folder, automatic=False) as (endpoint, desk):
        kim, park = Operator(hub, http, "kim"), Operator(hub, http, "park")
        body = {"name": {"en": "They"}, "kind": "disaster", "endpoint": endpoint, "machine": "their-machine"}
        assert (await park.ask("PUT", "/agencies/them", body))[0] == 200
        raised = {"category": "flood", "severity": "high", "title": "Water", "procedure": "disaster-response"}
        _, event = await kim.ask("POST", "/events", raised)
        step = f"/events/{event['id']}/procedure"
        await kim.ask("POST", f"{step}/steps/confirm", {"do": "choose", "option": "real"})

        async def told(state: str) -> Any:
            receipt = (await kim.ask("GET", step))[1]["steps"][1]["receipt"]
            return receipt if receipt and receipt["state"] == state else None

        sent = await until(lambda: told("sent"), 20)
        telling = asyncio.create_task(tell(desk, hub.url, key))
        assert desk.move(sent["key"], "accepted")
        await until(lambda: told("accepted"), 20)
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
        assert desk.untold() == []


@pytest.mark.alone
def test_a_hub_killed_mid_procedure_and_mid_hand_over_loses_nothing_and_sends_nothing_twice(tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()
    accounts = Accounts(tmp_path / "hub")
    accounts.add("kim", PASSWORD, "operator")
    accounts.add("park", PASSWORD, "supervisor")
    accounts.add("sensor", PASSWORD, "writer")
    accounts.close()
    machines = Machines(tmp_path / "hub")
    machine = machines.add("their-machine", "key", ["agency"])
    machines.close()
    with running(tmp_path / "hub", SERVICES="centre", CITY="hanbit") as hub:
        asyncio.run(scenario(hub, tmp_path))
        asyncio.run(alarmed(hub))
        asyncio.run(by_hand(hub, tmp_path / "by-hand", machine.secret))
