"""What viewers are sent: changes coalesced per entity and encoded once, kept in a bounded ring. Pure.

A frame says how to come from the city at sequence number ``after`` (or any later one up to ``last``) to the city at
``last``: first forget the entities of ``gone``, then merge the attributes of ``set``; null drops an attribute.
Applying a frame twice, or to a city that is ahead of ``after``, ends in the same city once the viewer has caught up.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, cast

import msgspec

from hanmaru.hub.client import EntityChange

HIDDEN = frozenset({"id", "type", "createdAt", "modifiedAt", "@context"})
LARGE = 256
"""Bytes of JSON beyond which an object or list stays out of frames and snapshots; `location` is always in."""

_encode = msgspec.json.Encoder().encode


def compact(values: Mapping[str, Any], names: Iterable[str] | None = None) -> dict[str, Any]:
    """Return the attributes (all, or those of ``names``) that travel to every viewer: scalars, small objects, location.

    A typed value (``@type``, ``@value``: an instant) is given as the value alone; a name that has no
    value any more as null.
    """
    chosen: dict[str, Any] = {}
    for name in values if names is None else names:
        if name in HIDDEN:
            continue
        value = values.get(name)
        if isinstance(value, dict) and "@value" in value:
            value = cast(dict[str, Any], value)["@value"]
        if name != "location" and isinstance(value, dict | list) and len(_encode(value)) > LARGE:
            continue
        chosen[name] = value
    return chosen


class Frame(msgspec.Struct, frozen=True):
    """One window's changes: ``body`` is the server-sent event as it goes to every viewer."""

    after: int
    last: int
    body: bytes


class _Pending(msgspec.Struct):
    types: str
    at: str
    values: dict[str, Any]
    gone: bool = False
    present: bool = True


class Window:
    """Gathers changes until a frame is taken; an entity costs one entry however often it changed."""

    def __init__(self, after: int) -> None:
        """Begin behind sequence number ``after``."""
        self.after = self.last = after
        self._pending: dict[str, _Pending] = {}

    def add(self, changes: Iterable[EntityChange]) -> None:
        """Merge changes, in order."""
        for change in changes:
            self.last = change.seq
            pending = self._pending.get(change.id)
            if change.kind == "deleted":
                self._pending[change.id] = _Pending("", change.at, {}, gone=True, present=False)
                continue
            types = ",".join(change.types)
            if change.kind == "created" or pending is None:
                gone = change.kind == "created" and pending is not None
                names = None if change.kind == "created" else change.touched
                self._pending[change.id] = _Pending(types, change.at, compact(change.values, names), gone=gone)
            else:
                pending.types, pending.at, pending.present = types, change.at, True
                pending.values |= compact(change.values, change.touched)

    def take(self) -> Frame | None:
        """Return what was gathered as a frame and begin anew; None when nothing was."""
        if self.last == self.after:
            return None
        entries: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        for id, pending in self._pending.items():
            if pending.present:
                entries.setdefault(pending.types, []).append((id, {**pending.values, "modifiedAt": pending.at}))
        gone = [id for id, pending in self._pending.items() if pending.gone]
        data = _encode({"after": self.after, "seq": self.last, "gone": gone, "set": entries})
        frame = Frame(self.after, self.last, b"id: %d\nevent: frame\ndata: %b\n\n" % (self.last, data))
        self._pending, self.after = {}, self.last
        return frame


class Ring:
    """The newest frames, bounded in number and bytes; a viewer is a position in it and needs no queue of its own."""

    def __init__(self, after: int = 0, *, max_frames: int = 2000, max_bytes: int = 32 << 20) -> None:
        """Begin empty behind sequence number ``after``."""
        self._max_frames, self._max_bytes = max_frames, max_bytes
        self._frames: deque[Frame] = deque()
        self._bytes = 0
        self.start = 0
        self.last = after

    @property
    def end(self) -> int:
        """The position behind the newest frame."""
        return self.start + len(self._frames)

    def append(self, frame: Frame) -> None:
        """Keep a frame; the oldest go when there are too many."""
        self._frames.append(frame)
        self._bytes += len(frame.body)
        self.last = frame.last
        while len(self._frames) > self._max_frames or (self._bytes > self._max_bytes and len(self._frames) > 1):
            self._bytes -= len(self._frames.popleft().body)
            self.start += 1

    def clear(self, after: int) -> None:
        """Forget every frame and go on behind ``after``; all positions handed out before are too old now."""
        self.start, self.last, self._bytes = self.end + 1, after, 0
        self._frames.clear()

    def find(self, seq: int) -> int | None:
        """Return the position from which a viewer who is at ``seq`` goes on; None when the ring begins too late."""
        oldest = self._frames[0].after if self._frames else self.last
        if seq < oldest:
            return None
        for back, frame in enumerate(reversed(self._frames)):
            if frame.last <= seq:
                return self.end - back
        return self.start

    def since(self, position: int) -> Sequence[Frame] | None:
        """Return the frames from a position on; None when it has fallen out of the ring."""
        if position < self.start:
            return None
        return list(islice(self._frames, position - self.start, None))
