"""The city's entities in memory, cut into views that all viewers share. Pure.

A world is loaded once and then follows changes. A `View` (a tile, a type, one entity) keeps who is in it and what has
changed since its last frame, so that a change costs as much as there are views that it touches, and a frame is encoded
once for all viewers.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, cast

import msgspec

from hanmaru.centre.live.geometry import Box, box_of, meet, tile_box
from hanmaru.centre.live.views import EVERY, View

HIDDEN = frozenset({"id", "type", "createdAt", "modifiedAt", "@context"})
LARGE = 256
"""Bytes of JSON beyond which an object or list stays out of what travels; `location` is always in."""
ALWAYS = frozenset({"location", "name", "title", "dateObserved", "dateIssued"})
"""Attributes that travel although no layer declares them: a place, a name, an instant."""
MOST_ENTITIES = 200_000
GRID_ZOOM = 14
MOST_CELLS = 256
"""Grid cells beyond which a shape is looked at for every tile instead of being put in each."""
NEWEST = 4

_encode = msgspec.json.Encoder().encode


class Declared(msgspec.Struct, frozen=True):
    """What the installed services say is shown.

    ``layers`` are (id, type), bottom to top; ``attrs`` the attributes by type that layers and panels show, ``means``
    those of which the city's mean is shown; ``newest`` the types of which the newest entities are listed.
    """

    layers: tuple[tuple[str, str], ...]
    attrs: Mapping[str, frozenset[str]]
    means: Mapping[str, frozenset[str]] = {}
    newest: tuple[str, ...] = ()

    @property
    def types(self) -> tuple[str, ...]:
        """The types that the world holds: those that something is declared of."""
        return tuple(dict.fromkeys([*(type for _, type in self.layers), *self.attrs, *self.means, *self.newest]))


class Changed(Protocol):
    """What a world has to know of a change; `hanmaru.hub.client.EntityChange` is one."""

    @property
    def seq(self) -> int:
        """The change's sequence number."""
        ...

    @property
    def at(self) -> str:
        """When the hub accepted it, RFC 3339."""
        ...

    @property
    def kind(self) -> str:
        """``created``, ``updated`` or ``deleted``."""
        ...

    @property
    def id(self) -> str:
        """The entity's id."""
        ...

    @property
    def types(self) -> Sequence[str]:
        """The entity's types."""
        ...

    @property
    def touched(self) -> Sequence[str]:
        """The names of the attributes that changed."""
        ...

    @property
    def values(self) -> Mapping[str, Any]:
        """The entity after it, as simplified key-values."""
        ...


class Entity(msgspec.Struct, frozen=True):
    """An entity as viewers know it: ``box`` is where it lies, ``point`` whether that is one position."""

    id: str
    types: tuple[str, ...]
    values: Mapping[str, Any]
    box: Box | None
    point: bool

    @property
    def at(self) -> str:
        """When the hub last changed it."""
        return str(self.values.get("modifiedAt") or "")


def compact(values: Mapping[str, Any], names: Collection[str] | None = None) -> dict[str, Any]:
    """Return the attributes (all, or those of ``names``) that travel to viewers: scalars, small objects, location.

    A typed value (``@type``, ``@value``: an instant) is given as the value alone.
    """
    chosen: dict[str, Any] = {}
    for name, value in values.items():
        if name in HIDDEN or (names is not None and name not in names and EVERY not in names):
            continue
        if isinstance(value, dict) and "@value" in value:
            value = cast(dict[str, Any], value)["@value"]
        if name != "location" and isinstance(value, dict | list) and len(_encode(value)) > LARGE:
            continue
        chosen[name] = value
    return chosen


class World:
    """Entities by id and place. ``seq`` is the sequence number that it is at."""

    def __init__(self, declared: Declared, *, most: int = MOST_ENTITIES) -> None:
        """Begin empty; entities beyond ``most`` are left out, which ``truncated`` tells."""
        self.declared = declared
        self.layer_types = dict(declared.layers)
        self.seq = 0
        self.truncated = False
        self.entities: dict[str, Entity] = {}
        self.by_type: dict[str, dict[str, Entity]] = {type: {} for type in declared.types}
        self.views: dict[int, dict[tuple[int, int], list[View]]] = {}
        self.watched: dict[str, list[View]] = {}
        self.listed: dict[str, list[View]] = {}
        self._most = most
        self._attrs: dict[tuple[str, ...], frozenset[str] | None] = {}
        self._grid: dict[tuple[int, int], dict[str, Entity]] = {}
        self._large: dict[str, Entity] = {}
        self._sums: dict[tuple[str, str], list[float]] = {}

    # -- what happens ---------------------------------------------------------------------------------------------

    def load(self, entities: Iterable[Mapping[str, Any]], seq: int = 0) -> None:
        """Take entities (simplified key-values with ``id``, ``type``, ``modifiedAt``) that are at ``seq`` or ahead."""
        for entity in entities:
            kind = entity.get("type")
            types = tuple(cast(list[str], kind)) if isinstance(kind, list | tuple) else (str(kind),)
            self._put(str(entity["id"]), types, entity, str(entity.get("modifiedAt") or ""), None)
        self.seq = max(self.seq, seq)

    def apply(self, changes: Iterable[Changed]) -> None:
        """Follow changes, in order."""
        for change in changes:
            self.seq = max(self.seq, change.seq)
            if change.kind == "deleted":
                self.remove(change.id)
            else:
                whole = change.kind == "created"
                self._put(change.id, tuple(change.types), change.values, change.at, None if whole else change.touched)

    def remove(self, id: str) -> None:
        """Forget an entity; one that is not there is no error."""
        was = self.entities.pop(id, None)
        if was is not None:
            self._place(was, add=False)
            self._tell(was, None, None)

    def travels(self, types: tuple[str, ...]) -> frozenset[str] | None:
        """Return which attributes of entities of these types travel; None where nothing is declared of any of them."""
        if types not in self._attrs:
            known = [type for type in types if type in self.by_type]
            names = frozenset[str]().union(*(self.declared.attrs.get(type, frozenset()) for type in known))
            means = frozenset[str]().union(*(self.declared.means.get(type, frozenset()) for type in known))
            if len(self._attrs) > 10_000:
                self._attrs.clear()
            self._attrs[types] = (names | means | ALWAYS) if known else None
        return self._attrs[types]

    def _put(
        self, id: str, types: tuple[str, ...], values: Mapping[str, Any], at: str, touched: Collection[str] | None
    ) -> None:
        was = self.entities.get(id)
        names = None if id in self.watched else self.travels(types)
        if names is None and id not in self.watched:
            if was is not None:
                self.remove(id)
            return
        if was is None and len(self.entities) >= self._most:
            self.truncated = True
            return
        chosen = compact(values, names)
        chosen["modifiedAt"] = at
        if was is not None and was.types == types and was.values.get("location") == chosen.get("location"):
            now = Entity(id, types, chosen, was.box, was.point)
        else:
            location = chosen.get("location")
            now = Entity(id, types, chosen, box_of(location), bool(location) and location.get("type") == "Point")
        if was is not None:
            self._place(was, add=False)
        self.entities[id] = now
        self._place(now, add=True)
        self._tell(was, now, None if was is None or was.types != types else touched)

    def _place(self, entity: Entity, *, add: bool) -> None:
        """Put an entity in the indexes, or take it out."""
        for type in entity.types:
            members = self.by_type.get(type)
            if members is not None:
                if add:
                    members[entity.id] = entity
                else:
                    members.pop(entity.id, None)
                for name in self.declared.means.get(type, ()):
                    value = entity.values.get(name)
                    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
                        total = self._sums.setdefault((type, name), [0.0, 0])
                        total[0] += value if add else -value
                        total[1] += 1 if add else -1
        if entity.box is None:
            return
        cells = list(_cells(entity.box, 1 << GRID_ZOOM))
        homes = [self._large] if len(cells) > MOST_CELLS else [self._grid.setdefault(cell, {}) for cell in cells]
        for home in homes:
            if add:
                home[entity.id] = entity
            else:
                home.pop(entity.id, None)
        if not add:
            for cell in cells[: MOST_CELLS + 1]:
                if cell in self._grid and not self._grid[cell]:
                    del self._grid[cell]

    def _tell(self, was: Entity | None, now: Entity | None, touched: Collection[str] | None) -> None:
        """Tell the views that an entity was or is in; ``touched`` None: all of it is new."""
        some = now or was
        if some is None:
            return
        moved = was is None or now is None or was.box != now.box
        for view in self.watched.get(some.id, ()):
            view.touch(some.id, touched)
        for type in {*(was.types if was else ()), *(now.types if now else ())}:
            for view in self.listed.get(type, ()):
                view.touch(some.id, touched)
        for z, tiles in self.views.items():
            for entity in (was, now) if moved else (now,):
                if entity is None or entity.box is None:
                    continue
                if entity.point:
                    for view in tiles.get((int(entity.box[0] * (1 << z)), int(entity.box[1] * (1 << z))), ()):
                        view.touch(entity.id, touched)
                else:
                    for views in tiles.values():
                        for view in views:
                            if view.box is not None and meet(view.box, entity.box):
                                view.touch(entity.id, touched)

    # -- what is seen ---------------------------------------------------------------------------------------------

    def attach(self, view: View) -> None:
        """Begin to tell a view what changes."""
        self._of(view).append(view)

    def detach(self, view: View) -> None:
        """Cease to tell a view."""
        home = self._of(view)
        if view in home:
            home.remove(view)
        if view.tile is not None and not home:
            z, x, y = view.tile
            del self.views[z][x, y]
            if not self.views[z]:
                del self.views[z]
        elif view.id is not None and not home:
            del self.watched[view.id]
            entity = self.entities.get(view.id)
            if entity is not None and self.travels(entity.types) is None:
                self.remove(view.id)
        elif view.type is not None and not home:
            del self.listed[view.type]

    def _of(self, view: View) -> list[View]:
        if view.tile is not None:
            z, x, y = view.tile
            return self.views.setdefault(z, {}).setdefault((x, y), [])
        if view.id is not None:
            return self.watched.setdefault(view.id, [])
        return self.listed.setdefault(view.type or "", [])

    def within(self, z: int, x: int, y: int) -> Iterator[Entity]:
        """Yield the entities of which a part lies in a tile, each once; a point lies in one tile of a zoom only."""
        box = tile_box(z, x, y)
        seen: set[str] = set()
        homes: list[Mapping[str, Entity]] = [self._large]
        cells = 1 << 2 * max(0, GRID_ZOOM - z)
        if cells > len(self._grid):
            homes += [members for cell, members in self._grid.items() if meet(box, tile_box(GRID_ZOOM, *cell))]
        else:
            inner = (box[0], box[1], box[2] - 1e-12, box[3] - 1e-12)
            homes += [self._grid[cell] for cell in _cells(inner, 1 << GRID_ZOOM) if cell in self._grid]
        for members in homes:
            for entity in members.values():
                if entity.box is None or entity.id in seen:
                    continue
                if entity.point:
                    inside = (int(entity.box[0] * (1 << z)), int(entity.box[1] * (1 << z))) == (x, y)
                else:
                    inside = meet(box, entity.box)
                    seen.add(entity.id)
                if inside:
                    yield entity

    def layer_of(self, types: Sequence[str], layers: Collection[str] | None) -> str | None:
        """Return the id of the layer that draws entities of these types: the topmost of ``layers`` (None: of all)."""
        for id, type in reversed(self.declared.layers):
            if type in types and (layers is None or id in layers):
                return id
        return None

    def tile(self, z: int, x: int, y: int, layers: Collection[str] | None = None) -> dict[str, Any]:
        """Return a tile whole, as the stream's event of that name has it."""
        return View(self, tile=(z, x, y), layers=None if layers is None else frozenset(layers)).content()

    def city(self) -> dict[str, Any]:
        """Return what the panels of the city show, as the stream's event ``city`` has it."""
        means: dict[str, dict[str, list[float]]] = {}
        for (type, name), (total, count) in self._sums.items():
            if count:
                means.setdefault(type, {})[name] = [total / count, count]
        newest: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
        for type in self.declared.newest:
            members = self.by_type[type].values()
            first = sorted(members, key=lambda entity: (_when(entity), entity.id), reverse=True)[:NEWEST]
            newest[type] = [(entity.id, entity.values) for entity in first]
        counts = {type: len(members) for type, members in self.by_type.items()}
        return {"seq": self.seq, "counts": counts, "means": means, "newest": newest}


def _when(entity: Entity) -> str:
    values = entity.values
    return str(values.get("dateObserved") or values.get("dateIssued") or values.get("modifiedAt") or "")


def _cells(box: Box, n: int) -> Iterator[tuple[int, int]]:
    """Yield the cells of an n by n grid that a box meets."""
    for y in range(int(box[1] * n), int(box[3] * n) + 1):
        for x in range(int(box[0] * n), int(box[2] * n) + 1):
            yield x, y
