"""OpenStreetMap's turn restrictions as banned sequences of edges."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hanmaru.ride.roads.graph import Edge

_MOST = 64
"""Edges of a way between that are followed: longer ones are mistakes."""


@dataclass(frozen=True, slots=True)
class Restriction:
    """A restriction relation: its kind (``no_left_turn``), ways from and to, and a node or ways between."""

    id: int
    kind: str
    origins: tuple[int, ...]
    node: int | None
    ways: tuple[int, ...]
    goals: tuple[int, ...]


def bans(
    edges: Sequence[Edge], restrictions: Sequence[Restriction], number: dict[int, int]
) -> tuple[list[tuple[int, ...]], int]:
    """Return the banned sequences (indices of ``edges``), and how many restrictions touch none of them.

    ``number`` gives nodes their dense indices. An ``only_`` forbids every other way on from the same approach.
    """
    out_of: dict[int, list[int]] = defaultdict(list)
    of_way: dict[int, list[int]] = defaultdict(list)
    for i, edge in enumerate(edges):
        out_of[edge.source].append(i)
        of_way[edge.way].append(i)
    found: list[tuple[int, ...]] = []
    unusable = 0
    for r in restrictions:
        only = r.kind.startswith("only_")
        before = len(found)
        for approach in _approaches(edges, of_way, r, number):
            last = edges[approach[-1]]
            goals = {e for way in r.goals for e in of_way[way] if edges[e].source == last.target}
            if r.kind == "no_u_turn" and not r.ways:
                goals = {e for e in goals if edges[e].target == last.source or edges[e].way != last.way}
            if only and goals:
                goals = set(out_of[last.target]) - goals
            elif not only and not r.kind.startswith("no_"):
                goals = set[int]()
            found.extend((*approach, goal) for goal in sorted(goals))
        unusable += len(found) == before
    return found, unusable


def _approaches(
    edges: Sequence[Edge], of_way: dict[int, list[int]], r: Restriction, number: dict[int, int]
) -> Iterator[tuple[int, ...]]:
    """Yield the sequences of edges up to where a restriction forbids something."""
    origins = [e for way in r.origins for e in of_way[way]]
    if not r.ways:
        via = number.get(r.node, -1) if r.node is not None else -1
        yield from ((e,) for e in origins if edges[e].target == via)
        return
    for origin in origins:
        yield from _along(edges, of_way, (origin,), r.ways)


def _along(
    edges: Sequence[Edge], of_way: dict[int, list[int]], so_far: tuple[int, ...], ways: tuple[int, ...]
) -> Iterator[tuple[int, ...]]:
    """Yield the ways on from the end of ``so_far`` over all of the ways between, in order, without turning back."""
    if len(so_far) > _MOST:
        return
    last = edges[so_far[-1]]
    for e in of_way[ways[0]]:
        ahead = edges[e]
        back = ahead.target == last.source and ahead.way == last.way
        if ahead.source == last.target and e not in so_far and not back:
            on = (*so_far, e)
            yield from _along(edges, of_way, on, ways[1:]) if len(ways) > 1 else iter((on,))
            yield from _along(edges, of_way, on, ways)
