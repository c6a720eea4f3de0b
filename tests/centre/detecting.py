"""A process that detects until it is killed. Arguments: the folder of hub.db and of the room."""

import asyncio
import sys
from pathlib import Path

from hanmaru.centre.detect.follow import Follower
from hanmaru.centre.detect.store import State
from hanmaru.hub.local import open_hub
from hanmaru.platform.access import Access


async def main(hub: str, room: str) -> None:
    async with open_hub(f"sqlite:///{hub}") as opened:
        await Follower(opened.client(Access(write=True)), State(Path(room))).run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
