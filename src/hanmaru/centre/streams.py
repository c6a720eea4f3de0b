"""Streams that hold something scarce: how many one person may have, and when they are over."""

from collections import Counter
from collections.abc import AsyncIterable, Callable
from typing import Any

from starlette.responses import StreamingResponse

from hanmaru.platform.problems import Problem


class Places:
    """How many streams of a kind each person may watch at a time in this process, so that nobody takes them all."""

    def __init__(self, most: int) -> None:
        """Begin with nobody watching."""
        self._most, self._taken = most, Counter[str]()

    def take(self, who: str) -> Callable[[], None]:
        """Take a place; call what is returned once to give it back. Raises Problem 429 where all are taken."""
        if self._taken[who] >= self._most:
            detail = f"You watch {self._most} of these at a time already: close one first."
            raise Problem(429, "Too many streams", detail, retry_after_s=10)
        self._taken[who] += 1

        def give_back() -> None:
            self._taken[who] -= 1
            if not self._taken[who]:
                del self._taken[who]

        return give_back


class Stream(StreamingResponse):
    """A stream that says when it is over, also where its viewer went before it began."""

    def __init__(self, parts: AsyncIterable[bytes], media_type: str, over: Callable[[], None]) -> None:
        """Send the parts, uncached and unbuffered."""
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(parts, media_type=media_type, headers=headers)
        self._over = over

    async def __call__(self, *arguments: Any) -> None:
        """Send it."""
        try:
            await super().__call__(*arguments)
        finally:
            self._over()
