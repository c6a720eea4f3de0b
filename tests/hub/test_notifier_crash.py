"""Kill -9 of a process that writes and notifies: every acknowledged write is notified at least once, in order."""

import asyncio
import itertools
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from hanmaru.hub.local import open_hub
from tests.hub.notifying import Receiver, receiving, subscribe

ROUNDS, WRITERS = 3, 4


@asynccontextmanager
async def process(url: str, begin: int, writers: int) -> AsyncGenerator[Process]:
    """Run `write_and_notify` and kill it at the end."""
    arguments = ["-m", "tests.hub.write_and_notify", url, str(begin), str(writers)]
    root = Path(__file__).parents[2]
    running = await asyncio.create_subprocess_exec(sys.executable, *arguments, cwd=root, stdout=PIPE)
    try:
        yield running
    finally:
        with suppress(ProcessLookupError):
            running.kill()
        await running.wait()


async def test_no_due_notification_is_lost(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/hub.db"
    acknowledged: set[tuple[str, int]] = set()
    answers = itertools.cycle([200, 200, 200, 503])

    async def moody() -> int:
        return next(answers)

    async with receiving(Receiver({"/": moody})) as receiver:
        async with open_hub(url) as hub:
            await subscribe(hub, receiver.url(), notification={"format": "keyValues"})
        for turn in range(ROUNDS):
            async with process(url, turn * 1_000_000, WRITERS) as running:
                assert running.stdout is not None
                seen = len(receiver.got)
                lines = [await running.stdout.readline() for _ in range(150)]  # it is in the middle of both
                await receiver.until(lambda seen=seen: len(receiver.got) > seen)
                running.kill()
                printed = b"".join(lines) + await running.stdout.read()
            for line in printed.decode().split("\n")[:-1]:  # what follows the last line's end was cut off
                writer, n = line.split()
                acknowledged.add((f"urn:ngsi-ld:Room:{writer}", int(n)))
        assert len(acknowledged) >= ROUNDS * 150

        def told() -> set[tuple[str, int]]:
            return {(entity["id"], entity["n"]) for note in receiver.got for entity in note.body["data"]}

        async with process(url, 0, 0):
            await receiver.until(lambda: acknowledged <= told(), within_s=30)
        for writer in range(WRITERS):
            first = dict.fromkeys(
                e["n"] for note in receiver.got for e in note.body["data"] if e["id"] == f"urn:ngsi-ld:Room:{writer}"
            )
            assert list(first) == sorted(first)
