"""One view of a world, shared by all who look at it: who is in it, what changed, its frames. Pure."""

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from hanmaru.centre.live.geometry import MAX_ZOOM, Box, meet, tile_box, unproject

if TYPE_CHECKING:
    from hanmaru.centre.live.world import Entity, World

MOST_POINTS = 400
"""Points of a tile beyond which it is drawn as clusters; at the last zoom, where nothing comes apart, `MOST_LAST`."""
MOST_LAST = 2000
CALM = 0.8
"""A clustered tile comes apart below this part of the limit, so that one at the limit does not flicker."""
MOST_SHAPES = 2000
"""Lines and areas of a tile beyond which the others are left out."""
MOST_LISTED = 5000
SIDE = 8
"""Cells of a clustered tile in a row: 64 pixels each where a tile is 512."""
MOVED = 1 / 16
"""How far, in cells, a cluster's middle moves before that is told."""
EVERY = "*"
"""Stands for all attributes among those that are declared."""
RING = 16
"""Frames that a view keeps: 4 s at four a second."""

_encode = msgspec.json.Encoder().encode


def sse(name: str, data: Any) -> bytes:
    """Return a server-sent event."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _encode(data))


class Selection(Protocol):
    """Which entities a filter lets through."""

    def holds(self, entity: "Entity") -> bool:
        """Whether an entity is let through."""
        ...


_Features = dict[str, list[tuple[str, Any]]]
_Cluster = tuple[int, float, float, Mapping[str, int]]
_Names = frozenset[str] | None
"""Which attributes changed; None: all that there is."""


class Frame(msgspec.Struct, frozen=True):
    """One window's changes of a view as every viewer is sent it: from ``after`` (or any later) to ``seq``."""

    after: int
    seq: int
    body: bytes


class _Cell:
    """The points of one cell, counted."""

    __slots__ = ("counts", "ids", "single", "told", "x", "y")

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.ids: set[str] = set()
        self.x = self.y = 0.0  # sums of the points' positions
        self.told: tuple[dict[str, int], float, float] | None = None
        self.single: str | None = None


class _Member(msgspec.Struct, frozen=True):
    layer: str
    point: bool
    x: float
    y: float
    cell: int


class View:
    """A tile, a type or one entity of a world, with what was told of it last and the frames that told it."""

    def __init__(
        self,
        world: "World",
        *,
        tile: tuple[int, int, int] | None = None,
        type: str | None = None,
        id: str | None = None,
        layers: frozenset[str] | None = None,
        selection: Selection | None = None,
    ) -> None:
        """Look at one of the three; ``layers`` (ids; None: all) and ``selection`` limit it."""
        self.world, self.tile, self.type, self.id = world, tile, type, id
        self.layers, self.selection = layers, selection
        self.box: Box | None = tile_box(*tile) if tile is not None else None
        self.name = f"{tile[0]}/{tile[1]}/{tile[2]}" if tile is not None else f"type/{type}" if type else f"id/{id}"
        self.start = 0
        self.frames: deque[Frame] = deque()
        self._pending: dict[str, _Names] = {}
        self._members: dict[str, _Member] = {}
        self._cells: dict[int, _Cell] = {}
        self._counts: dict[str, int] = {}
        self._points = self._shapes = 0
        self._clustered = False
        self._whole: bytes | None = None
        self.seq = world.seq
        for entity in self._candidates():
            layer = self._layer(entity)
            if layer is not None:
                self._join(entity, layer)
        self._clustered = self._crowded()
        if self._clustered:
            self._recluster(set(self._cells), {})

    # -- membership -----------------------------------------------------------------------------------------------

    def _candidates(self) -> "Iterator[Entity]":
        world = self.world
        if self.tile is not None:
            return world.within(*self.tile)
        if self.id is not None:
            return iter([world.entities[self.id]] if self.id in world.entities else [])
        return islice(iter(world.by_type.get(self.type or "", {}).values()), MOST_LISTED)

    def _layer(self, entity: "Entity") -> str | None:
        """Return the layer by which an entity is in this view now; None when it is not."""
        if self.id is not None:
            return "" if entity.id == self.id else None
        if self.type is not None:
            return "" if self.type in entity.types else None
        if self.tile is None or entity.box is None or self.box is None:
            return None
        z, x, y = self.tile
        if entity.point:
            if (int(entity.box[0] * (1 << z)), int(entity.box[1] * (1 << z))) != (x, y):
                return None
        elif not meet(self.box, entity.box):
            return None
        if self.selection is not None and not self.selection.holds(entity):
            return None
        return self.world.layer_of(entity.types, self.layers)

    def _join(self, entity: "Entity", layer: str) -> _Member | None:
        if entity.point and entity.box is not None and self.box is not None:
            x, y = entity.box[0], entity.box[1]
            size = (self.box[2] - self.box[0]) / SIDE
            column = min(int((x - self.box[0]) / size), SIDE - 1)
            cell = min(int((y - self.box[1]) / size), SIDE - 1) * SIDE + column
            member = _Member(layer, True, x, y, cell)
            home = self._cells.setdefault(cell, _Cell())
            home.ids.add(entity.id)
            home.counts[layer] = home.counts.get(layer, 0) + 1
            home.x += x
            home.y += y
            self._points += 1
        else:
            if self._shapes >= (MOST_LISTED if self.tile is None else MOST_SHAPES):
                return None
            member = _Member(layer, False, 0, 0, -1)
            self._shapes += 1
        self._members[entity.id] = member
        self._counts[layer] = self._counts.get(layer, 0) + 1
        return member

    def _leave(self, id: str) -> _Member:
        member = self._members.pop(id)
        self._counts[member.layer] -= 1
        if not self._counts[member.layer]:
            del self._counts[member.layer]
        if member.point:
            self._points -= 1
            home = self._cells[member.cell]
            home.ids.discard(id)
            home.counts[member.layer] -= 1
            if not home.counts[member.layer]:
                del home.counts[member.layer]
            home.x -= member.x
            home.y -= member.y
            if not home.ids:
                home.x = home.y = 0.0  # no rounding is carried on
        else:
            self._shapes -= 1
        return member

    def _crowded(self) -> bool:
        if self.tile is None:
            return False
        limit = MOST_LAST if self.tile[0] >= MAX_ZOOM else MOST_POINTS
        return self._points > (limit * CALM if self._clustered else limit)

    def touch(self, id: str, names: Collection[str] | None) -> None:
        """Note that something of an entity changed; ``names`` None: all of it."""
        before = self._pending.get(id, frozenset())
        self._pending[id] = None if names is None or before is None else before.union(names)

    def reconsider(self) -> None:
        """Look again at who is in: the selection may let fewer through than before."""
        for id in self._members:
            self._pending.setdefault(id, frozenset())

    @property
    def dirty(self) -> bool:
        """Whether there is something to tell."""
        return bool(self._pending)

    # -- what is told ---------------------------------------------------------------------------------------------

    @property
    def end(self) -> int:
        """The position behind the newest frame."""
        return self.start + len(self.frames)

    def find(self, seq: int) -> int | None:
        """Return the position from which a viewer who is at ``seq`` goes on; None when it has to begin anew."""
        oldest = self.frames[0].after if self.frames else self.seq
        if not oldest <= seq <= self.seq:
            return None
        return next((self.start + n for n, frame in enumerate(self.frames) if frame.seq > seq), self.end)

    def since(self, position: int) -> list[Frame] | None:
        """Return the frames from a position on; None when it has fallen out of the ring."""
        return None if position < self.start else list(islice(self.frames, position - self.start, None))

    def content(self) -> dict[str, Any]:
        """Return the view whole, as the event ``tile`` has it: at its newest frame, or ahead of it."""
        features: _Features = {}
        clusters: list[_Cluster] = []
        for id, member in self._members.items():
            if not (self._clustered and member.point):
                self._describe(features, id, None)
        if self._clustered:
            for number, cell in self._cells.items():
                if cell.single is not None:
                    self._describe(features, cell.single, None)
                elif cell.told is not None:
                    clusters.append(_cluster(number, *cell.told))
        return {
            "tile": self.name,
            "seq": self.seq,
            "counts": self._counts,
            "clusters": clusters,
            "features": features,
        }

    def whole(self) -> bytes:
        """Return the event ``tile``, encoded once for all who ask until the next frame."""
        if self._whole is None:
            self._whole = sse("tile", self.content())
        return self._whole

    def take(self) -> Frame | None:
        """Put what is pending into a frame, keep it in the ring and return it; None when there is nothing to tell."""
        if not self._pending:
            return None
        after, self.seq, self._whole = self.seq, self.world.seq, None
        gone, fresh, told, dirty = self._bring_in()
        clustered, self._clustered = self._clustered, self._crowded()
        if self._clustered != clustered:
            for cell in self._cells.values():
                cell.told = cell.single = None
            if self._clustered:
                self._recluster(set(self._cells), {})
            return self._keep(Frame(after, self.seq, self.whole()))
        clusters: list[_Cluster] = []
        if clustered:
            shapes = {id for id in fresh | told.keys() if not self._members[id].point}
            points = {id: None if id in fresh else told[id] for id in (fresh | told.keys()) - shapes}
            clusters, singles, left = self._recluster(dirty, points)
            gone = {**dict.fromkeys(left, True), **{id: point for id, point in gone.items() if not point}}
            fresh = (fresh & shapes) | {id for id, names in singles.items() if names is None}
            told = {id: told[id] for id in told if id in shapes or singles.get(id) is not None}
        features: _Features = {}
        for id in fresh:
            self._describe(features, id, None)
        for id, names in told.items():
            self._describe(features, id, names)
        gone |= dict.fromkeys(fresh, True)
        if not (gone or features or clusters):
            self.seq = after
            return None
        data = {
            "tile": self.name,
            "after": after,
            "seq": self.seq,
            "counts": self._counts,
            "clusters": clusters,
            "gone": list(gone),
            "set": features,
        }
        return self._keep(Frame(after, self.seq, sse("frame", data)))

    def _keep(self, frame: Frame) -> Frame:
        self.frames.append(frame)
        if len(self.frames) > RING:
            self.frames.popleft()
            self.start += 1
        return frame

    def _bring_in(self) -> tuple[dict[str, bool], set[str], dict[str, frozenset[str]], set[int]]:
        """Bring members up to date with what is pending.

        Returns who left (and whether as a point), who is new or new in all, what others were told, and which cells
        that concerns.
        """
        pending, self._pending = self._pending, {}
        gone: dict[str, bool] = {}
        fresh: set[str] = set()
        told: dict[str, frozenset[str]] = {}
        dirty: set[int] = set()
        for id, names in pending.items():
            entity = self.world.entities.get(id)
            layer = None if entity is None else self._layer(entity)
            before = self._leave(id) if id in self._members else None
            now = None if entity is None or layer is None else self._join(entity, layer)
            dirty |= {member.cell for member in (before, now) if member is not None and member.point}
            if now is None:
                if before is not None:
                    gone[id] = before.point
            elif before is None or names is None or before.point != now.point:
                fresh.add(id)
            elif names:
                told[id] = names
        return gone, fresh, told, dirty

    def _recluster(
        self, dirty: set[int], changed: Mapping[str, _Names]
    ) -> tuple[list[_Cluster], dict[str, _Names], list[str]]:
        """Return what is to be told of the cells: their clusters, points alone in one, points that no longer are."""
        clusters: list[_Cluster] = []
        singles: dict[str, _Names] = {}
        left: list[str] = []
        size = 1 / (SIDE << self.tile[0]) if self.tile is not None else 1.0
        for number in dirty:
            cell = self._cells[number]
            count = len(cell.ids)
            single = next(iter(cell.ids)) if count == 1 else None
            if cell.single is not None and cell.single != single:
                left.append(cell.single)
            if single is not None and (single != cell.single or single in changed):
                singles[single] = changed.get(single) if single == cell.single else None
            cell.single = single
            if count > 1:
                now = dict(cell.counts), cell.x / count, cell.y / count
                was = cell.told
                still = was is not None and max(abs(now[1] - was[1]), abs(now[2] - was[2])) < MOVED * size
                if was is None or not still or was[0] != now[0]:
                    cell.told = now
                    clusters.append(_cluster(number, *now))
            elif cell.told is not None:
                cell.told = None
                clusters.append((number, 0.0, 0.0, {}))
            if not count:
                del self._cells[number]
        return clusters, singles, left

    def _describe(self, features: _Features, id: str, names: _Names) -> None:
        """Add what a viewer is told of an entity to the features; None names: all."""
        entity = self.world.entities.get(id)
        if entity is None:
            return  # it went after this frame: the next one says so
        values = entity.values
        if names is not None:
            travel = self.world.travels(entity.types) if self.id is None else None
            chosen = names if travel is None or EVERY in travel else names & travel
            values = {**{name: values.get(name) for name in chosen}, "modifiedAt": entity.at}
        features.setdefault(",".join(entity.types), []).append((id, values))


def _cluster(number: int, counts: Mapping[str, int], x: float, y: float) -> _Cluster:
    lon, lat = unproject(x, y)
    return number, round(lon, 6), round(lat, 6), counts
