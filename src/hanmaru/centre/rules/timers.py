"""What is due when: a heap with one entry for each thing that is waited for. Pure."""

import heapq
from collections.abc import Iterator

Due = tuple[float, str, str, str]


class Timers:
    """Timers by kind and two names; arming one again before it is due keeps the earlier: who is called looks again."""

    def __init__(self) -> None:
        """Wait for nothing."""
        self._heap: list[Due] = []
        self._armed: dict[tuple[str, str, str], float] = {}

    def __len__(self) -> int:
        """Return how many are waited for."""
        return len(self._armed)

    def arm(self, due_s: float, kind: str, a: str, b: str) -> None:
        """Call ``kind`` for a and b at ``due_s``, unless it is to be called earlier."""
        key = kind, a, b
        if (armed := self._armed.get(key)) is None or due_s < armed:
            self._armed[key] = due_s
            heapq.heappush(self._heap, (due_s, kind, a, b))

    def until(self, now_s: float) -> Iterator[Due]:
        """Yield what is due by ``now_s``, the earliest first, also what is armed meanwhile."""
        while self._heap and self._heap[0][0] <= now_s:
            due_s, kind, a, b = heapq.heappop(self._heap)
            if self._armed.get((kind, a, b)) == due_s:
                del self._armed[kind, a, b]
                yield due_s, kind, a, b
