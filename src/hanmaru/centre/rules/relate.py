"""Joins and sequences: what relates entities to others, in space and time. Pure.

A side of a join is active while it holds and for less than ``within_s`` after. A join holds of the left entity while it
is active and another entity is active on the right within ``radius_m``. A sequence keeps, for each of its first steps,
the start of the newest chain that has come to it: the newest is the one with most time left, so no other is needed.
One reading serves one step. A chain has to be complete in less than ``within_s``.
"""

from typing import TYPE_CHECKING

from hanmaru.centre.rules.plan import JoinPlan, Part, RulePlan, SequencePlan
from hanmaru.centre.rules.shapes import Grid, Point
from hanmaru.centre.rules.state import Thing

if TYPE_CHECKING:
    from hanmaru.centre.rules.engine import Engine

MOST_OTHERS = 7


class Relations:
    """The active sides of joins and the begun chains of sequences, by place; made anew from things."""

    def __init__(self, engine: "Engine") -> None:
        """Relate the things of an engine."""
        self._engine = engine
        self._grids: dict[str, Grid] = {}
        self._completed: dict[tuple[str, str], set[str]] = {}

    def clear(self) -> None:
        """Forget all places."""
        self._grids.clear()
        self._completed.clear()

    def _grid(self, key: str, radius_m: float) -> Grid:
        return self._grids.setdefault(key, Grid(radius_m))

    def restore(self, thing: Thing) -> None:
        """Put an entity where it belongs, and set its timers."""
        for plan in self._engine.plan.related:
            for join in plan.joins:
                for side in (join.left, join.right):
                    if side.key in thing.true or side.key in thing.ended:
                        self._place(join, side, thing)
                        if side.key in thing.ended:
                            due_s = thing.ended[side.key] + join.join.within_s
                            self._engine.timers.arm(due_s, "ended", thing.id, side.key)
            for sequence in plan.sequences:
                if sequence.key in thing.steps and thing.place is not None:
                    self._grid(sequence.key, max(1.0, sequence.sequence.radius_m)).put(thing.id, thing.place)
                if (by := thing.completed.get(sequence.key)) is not None:
                    self._completed.setdefault((sequence.key, by), set()).add(thing.id)

    def _place(self, join: JoinPlan, side: Part, thing: Thing) -> None:
        if thing.place is not None:
            self._grid(side.key, join.join.radius_m).put(thing.id, thing.place)

    def moved(self, thing: Thing, place: Point | None) -> None:
        """Have an entity's neighbours, old and new, looked at; its ``place`` is still the old one."""
        for plan in self._engine.plan.related:
            for join in plan.joins:
                for side in (join.left, join.right):
                    if not (side.key in thing.true or side.key in thing.ended):
                        continue
                    grid = self._grid(side.key, join.join.radius_m)
                    if side is join.right:
                        self._touch_near(plan, join, thing.place)
                        self._touch_near(plan, join, place)
                    if place is None:
                        grid.drop(thing.id)
                    else:
                        grid.put(thing.id, place)
            for sequence in plan.sequences:
                if sequence.key in thing.steps:
                    grid = self._grid(sequence.key, max(1.0, sequence.sequence.radius_m))
                    if place is None:
                        grid.drop(thing.id)
                    else:
                        grid.put(thing.id, place)

    def _touch_near(self, plan: RulePlan, join: JoinPlan, place: Point | None) -> None:
        if place is not None and (lefts := self._grids.get(join.left.key)) is not None:
            for id in sorted(lefts.near(place)):
                self._engine.touch(plan.rule.id, id)

    def update(self, plan: RulePlan, thing: Thing) -> None:
        """Look anew at an entity's sides and steps, and at the relations of which it is the subject."""
        for join in plan.joins:
            for side in (join.left, join.right):
                if side.type in thing.types:
                    self._side(plan, join, side, thing)
            if join.left.type in thing.types:
                self._set(thing, join.key, self._holds(join, thing))
        for sequence in plan.sequences:
            for i in reversed(range(len(sequence.steps))):
                if sequence.steps[i].type in thing.types:
                    self._step(plan, sequence, i, thing)

    def _set(self, thing: Thing, key: str, holds: bool) -> None:
        if holds != (key in thing.true):
            (thing.true.add if holds else thing.true.discard)(key)
            self._engine.mark(thing)

    def _side(self, plan: RulePlan, join: JoinPlan, side: Part, thing: Thing) -> None:
        holds, held = side.holds(thing.true.__contains__), side.key in thing.true
        if holds == held:
            return
        self._set(thing, side.key, holds)
        if holds:
            thing.ended.pop(side.key, None)
            self._place(join, side, thing)
        elif join.join.within_s > 0:
            thing.ended[side.key] = self._engine.clock_s
            self._engine.timers.arm(self._engine.clock_s + join.join.within_s, "ended", thing.id, side.key)
        else:
            self._grid(side.key, join.join.radius_m).drop(thing.id)
        if side is join.right:
            self._touch_near(plan, join, thing.place)

    def _holds(self, join: JoinPlan, thing: Thing) -> bool:
        if thing.place is None or not (join.left.key in thing.true or join.left.key in thing.ended):
            return False
        rights = self._grids.get(join.right.key)
        return rights is not None and any(id != thing.id for id in rights.near(thing.place))

    def due(self, thing: Thing, key: str) -> None:
        """Let a side that ended long enough ago cease."""
        for plan in self._engine.plan.related:
            for join in plan.joins:
                for side in (join.left, join.right):
                    if side.key == key and key in thing.ended:
                        due_s = thing.ended[key] + join.join.within_s
                        if due_s > self._engine.clock_s:
                            self._engine.timers.arm(due_s, "ended", thing.id, key)
                            continue
                        del thing.ended[key]
                        self._engine.mark(thing)
                        self._grid(key, join.join.radius_m).drop(thing.id)
                        if side is join.right:
                            self._touch_near(plan, join, thing.place)
                        self._engine.touch(plan.rule.id, thing.id)

    def _step(self, plan: RulePlan, sequence: SequencePlan, i: int, thing: Thing) -> None:
        part, now_s, last = sequence.steps[i], self._engine.clock_s, len(sequence.steps) - 1
        holds = part.holds(thing.true.__contains__)
        if holds == (part.key in thing.true):
            return
        self._set(thing, part.key, holds)
        if not holds:
            if i == last:
                for id in sorted(self._completed.pop((sequence.key, thing.id), ())):
                    if (anchor := self._engine.things.get(id)) is not None:
                        anchor.completed.pop(sequence.key, None)
                        self._set(anchor, sequence.key, False)
                        self._engine.mark(anchor)
                        self._engine.touch(plan.rule.id, id)
            return
        if i == 0:
            steps = thing.steps.setdefault(sequence.key, [None] * last)
            steps[0] = now_s
            if thing.place is not None:
                self._grid(sequence.key, max(1.0, sequence.sequence.radius_m)).put(thing.id, thing.place)
            self._engine.mark(thing)
            return
        for anchor in self._anchors(sequence, thing):
            steps = anchor.steps[sequence.key]
            began_s = steps[i - 1]
            if began_s is None or now_s - began_s >= sequence.sequence.within_s:
                continue
            self._engine.mark(anchor)
            if i < last:
                steps[i] = began_s
            elif sequence.key not in anchor.true:
                self._set(anchor, sequence.key, True)
                anchor.completed[sequence.key] = thing.id
                self._completed.setdefault((sequence.key, thing.id), set()).add(anchor.id)
                self._engine.touch(plan.rule.id, anchor.id)

    def _anchors(self, sequence: SequencePlan, thing: Thing) -> list[Thing]:
        """Return the entities whose chains a step of this entity may continue; forget chains that are too old."""
        if sequence.sequence.same == "entity":
            return [thing] if sequence.key in thing.steps else []
        grid, now_s = self._grids.get(sequence.key), self._engine.clock_s
        if grid is None or thing.place is None:
            return []
        found: list[Thing] = []
        for id in sorted(grid.near(thing.place)):
            anchor = self._engine.things[id]
            newest_s = max((at for at in anchor.steps[sequence.key] if at is not None), default=float("-inf"))
            if now_s - newest_s >= sequence.sequence.within_s:
                del anchor.steps[sequence.key]
                grid.drop(id)
                self._engine.mark(anchor)
            else:
                found.append(anchor)
        return found

    def others(self, plan: RulePlan, thing: Thing) -> list[str]:
        """Return the entities that a subject is related to, the nearest names first."""
        ids: list[str] = []
        for join in plan.joins:
            rights = self._grids.get(join.right.key)
            if join.key in thing.true and rights is not None and thing.place is not None:
                ids += [id for id in sorted(rights.near(thing.place)) if id != thing.id][:MOST_OTHERS]
        for sequence in plan.sequences:
            by = thing.completed.get(sequence.key)
            if by is not None and by != thing.id:
                ids.append(by)
        return list(dict.fromkeys(ids))

    def forgotten(self, thing: Thing) -> None:
        """Take a deleted entity out of all relations."""
        for plan in self._engine.plan.related:
            for join in plan.joins:
                for side in (join.left, join.right):
                    if (grid := self._grids.get(side.key)) is not None and (
                        side.key in thing.true or side.key in thing.ended
                    ):
                        grid.drop(thing.id)
                        if side is join.right:
                            self._touch_near(plan, join, thing.place)
            for sequence in plan.sequences:
                if (grid := self._grids.get(sequence.key)) is not None:
                    grid.drop(thing.id)
                for id in sorted(self._completed.pop((sequence.key, thing.id), ())):
                    if (anchor := self._engine.things.get(id)) is not None and anchor is not thing:
                        anchor.completed.pop(sequence.key, None)
                        self._set(anchor, sequence.key, False)
                        self._engine.touch(plan.rule.id, id)
                if (by := thing.completed.get(sequence.key)) is not None:
                    self._completed.get((sequence.key, by), set()).discard(thing.id)
