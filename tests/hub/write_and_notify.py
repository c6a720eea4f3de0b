"""A process that writes and notifies until it is killed: each line that it prints is an acknowledged write.

Arguments: the database's URL, the number to begin with, how many writers (0: notify only).
"""

import asyncio
import sys

from hanmaru.hub import notifier
from hanmaru.hub.local import Hub, open_hub
from tests.hub.notifying import EVERYTHING, QUICK, room


async def write(hub: Hub, writer: int, begin: int) -> None:
    client = hub.client(EVERYTHING)
    n = begin
    while True:
        result = await client.upsert([room(writer, n=n)])
        assert not result.failures
        sys.stdout.write(f"{writer} {n}\n")
        sys.stdout.flush()
        n += 1


async def main(url: str, begin: int, writers: int) -> None:
    async with open_hub(url) as hub, asyncio.TaskGroup() as tasks:
        tasks.create_task(notifier.run(hub, limits=QUICK))
        for writer in range(writers):
            tasks.create_task(write(hub, writer, begin))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
