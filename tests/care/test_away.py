"""The long one: a receiver away for ten minutes, while referrals come and the city is killed, loses none of them."""

import asyncio
import json
import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from hanmaru.care.hospital.delivery import Limits
from tests.care.house import house, put
from tests.care.receiving import Receiver, receiving
from tests.care.test_deliveries import HOSPITAL, ID_ONLY, delivering, patient, settled, standing, subscription, task

AWAY_S = 600.0
EVERY_S = 1.0
KILLS = 3


async def city(folder: Path, url: str, person: str) -> None:
    """Deliver, and write a referral each second; print each once it is acknowledged."""
    async with house(folder, f"city-{os.getpid()}") as records, delivering(records, folder, Limits()):
        await put(records, "Subscription", "s1", subscription(url, **ID_ONLY), HOSPITAL)
        while True:
            id = f"t{time.time_ns()}"
            await put(records, "Task", id, task(person))
            print(id, flush=True)
            await asyncio.sleep(EVERY_S)


@pytest.mark.soak
async def test_ten_minutes_away_and_three_kills_lose_no_notification(tmp_path: Path) -> None:
    receiver = Receiver()
    async with receiving(receiver):
        pass  # it has a port now, and is away
    async with house(tmp_path) as records:
        kim = await patient(records, "kim")
    acknowledged: list[str] = []
    for _ in range(KILLS):
        command = [sys.executable, __file__, str(tmp_path), receiver.url, kim]
        found = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=found)
        assert process.stdout
        end = time.monotonic() + AWAY_S / KILLS
        while time.monotonic() < end:
            line = await asyncio.wait_for(process.stdout.readline(), 60)
            assert line, "the city ended by itself"
            if re.fullmatch(rb"t\d+\n", line):  # not a line of the log
                acknowledged.append(line.decode().strip())
        process.send_signal(signal.SIGKILL)
        await process.wait()
    async with receiving(receiver), house(tmp_path) as records, delivering(records, tmp_path, Limits()) as ledger:
        await receiver.take(len(acknowledged), within_s=180)
        await standing(ledger, "s1", lambda one: one.failures == 0 and one.sent >= len(acknowledged))
        await settled(records, "s1", "active")
    told = [json.loads(one.body)["entry"][1]["response"]["location"].split("/")[1] for one in receiver.came]
    assert set(acknowledged) <= set(told)
    assert told == sorted(told, key=lambda id: int(id[1:]))
    assert len(acknowledged) > AWAY_S / EVERY_S / 3


if __name__ == "__main__":
    asyncio.run(city(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
