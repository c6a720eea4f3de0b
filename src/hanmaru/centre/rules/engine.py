"""Readings in, firings out: the rules' engine. Pure: the same readings give the same firings, wherever it was stopped.

**Two clocks.** What passes (``for_s``, silence, the end of a window) passes on the hub's clock: the instants at which
it accepted changes, and `advance`. What a reading says is placed by when it was observed. So a reading that is older
than the newest of its attribute is late: it counts in windows and rates that still reach so far back, and changes
nothing else. An attribute's windows end at its newest observation and the time since that came, so that a steady delay
of transmission does not matter. An observation more than `AHEAD_S` in the future is taken as of its acceptance.

Before a reading is looked at, all that was due before it happens, at the instant at which it was due. Rows of state
that changed are given by `take`; `Engine.restored` goes on from them as if there had been no stop.
"""

from collections.abc import Iterable, Mapping

import msgspec

from hanmaru.centre.rules import model as m
from hanmaru.centre.rules.anomaly import Config, Detector
from hanmaru.centre.rules.panes import Series
from hanmaru.centre.rules.plan import AttrPlan, Plan, RulePlan, SeriesPlan, TypePlan, alike, number
from hanmaru.centre.rules.relate import Relations
from hanmaru.centre.rules.shapes import point_of
from hanmaru.centre.rules.state import SEPARATOR, Cell, Firing, Reading, Thing
from hanmaru.centre.rules.timers import Timers

AHEAD_S = 300.0
"""How far a sensor's clock may be ahead."""
MOST_ENTITIES = 50
LARGEST_INT, LARGEST = 2**53, 1e300
"""Whole numbers beyond are looked at as floating ones; numbers beyond `LARGEST` are not looked at."""
LONG_TEXT = 500

_pack = msgspec.msgpack.Encoder().encode
_thing = msgspec.msgpack.Decoder(Thing).decode
_cell = msgspec.msgpack.Decoder(Cell).decode


class Engine:
    """The rules over the stream."""

    def __init__(self, rules: Iterable[m.Rule] = ()) -> None:
        """Know no entity yet."""
        self.plan = Plan(rules)
        self.clock_s = float("-inf")
        self.listening_s = float("-inf")
        self.things: dict[str, Thing] = {}
        self.cells: dict[tuple[str, str], Cell] = {}
        self.timers = Timers()
        self._detectors: dict[tuple[str, str], Detector] = {}
        self._pending: dict[str, set[tuple[str, str]]] = {}
        self._holders: dict[tuple[str, str], set[str]] = {}
        self._dirty: set[tuple[str, ...]] = set()
        self._touched: dict[tuple[str, str], None] = {}
        self._pulsed: list[tuple[Thing, str]] = []
        self._out: list[Firing] = []
        self.relations = Relations(self)

    @classmethod
    def restored(
        cls, rules: Iterable[m.Rule], rows: Iterable[tuple[str, bytes]], clock_s: float, listening_s: float
    ) -> "Engine":
        """Go on with the rules, rows, `clock_s` and `listening_s` that there were."""
        engine = cls(rules)
        engine.clock_s, engine.listening_s = clock_s, listening_s
        for key, row in rows:
            kind, *rest = key.split(SEPARATOR)
            if kind == "t":
                engine.things[rest[0]] = _thing(row)
            elif kind == "c":
                engine.cells[rest[0], rest[1]] = _cell(row)
            else:
                detector = engine._detector(rest[0], rest[1])
                detector.restore(row)
        for id in sorted(engine.things):
            engine._arm(engine.things[id])
            engine.relations.restore(engine.things[id])
            engine._hold(engine.things[id])
        for (rule, subject), cell in engine.cells.items():
            engine._arm_cell(rule, subject, cell)
        return engine

    def take(self) -> dict[str, bytes | None]:
        """Return the rows that changed since the last time, None for those that are gone."""
        rows: dict[str, bytes | None] = {}
        for key in self._dirty:
            if key[0] == "t":
                row = self.things.get(key[1])
            elif key[0] == "c":
                row = self.cells.get((key[1], key[2]))
            else:
                detector = self._detectors.get((key[1], key[2]))
                rows[SEPARATOR.join(key)] = None if detector is None else detector.state()
                continue
            rows[SEPARATOR.join(key)] = None if row is None else _pack(row)
        self._dirty.clear()
        return rows

    def feed(self, reading: Reading) -> list[Firing]:
        """Take a change; return what fired until and by it."""
        self._until(reading.at_s)
        thing = self.things.get(reading.id)
        if reading.deleted:
            if thing is not None:
                self._forget(thing)
        elif plans := [self.plan.types[type] for type in reading.types if type in self.plan.types]:
            self._read(thing, reading, plans, arrived=True)
        self._settle()
        return self._taken()

    def listen(self, at_s: float) -> None:
        """Note that nobody was listened to until ``at_s``: silence, and what has to hold for a time, count from then.

        Windows, rates and what has been told already stay as they are.
        """
        self.listening_s = max(self.listening_s, at_s)

    def load(self, reading: Reading, now_s: float) -> list[Firing]:
        """Take an entity as it is, not as a change: it was heard of at ``reading.at_s``."""
        self._until(now_s)
        if plans := [self.plan.types[type] for type in reading.types if type in self.plan.types]:
            self._read(self.things.get(reading.id), reading, plans, arrived=False)
        self._settle()
        return self._taken()

    def advance(self, now_s: float) -> list[Firing]:
        """Let time pass; return what fired by that."""
        self._until(now_s)
        return self._taken()

    def change_rules(self, rules: Iterable[m.Rule], now_s: float) -> list[Firing]:
        """Go on with other rules: what is gone or is about something else is cleared, the rest stays as it is."""
        self._until(now_s)
        old, self.plan = self.plan, Plan(rules)
        new = self.plan
        stays = {
            id for id, plan in new.rules.items() if id in old.rules and old.rules[id].fingerprint == plan.fingerprint
        }
        for rule, subject in [key for key in self.cells if key[0] not in stays]:
            if self.cells[rule, subject].raised and rule in old.rules:
                self._tell(old.rules[rule], subject, self.cells[rule, subject], "clear")
            self._drop_cell(rule, subject)
        fresh = {key for key in new.leaves if key not in old.leaves}
        self._holders.clear()
        self.relations.clear()
        for id in sorted(self.things):
            self._reconsider(self.things[id], fresh)
        for id in sorted(self.things):
            thing = self.things[id]
            for plan in new.rules.values():
                if plan.rule.id not in stays and self._concerns(plan, thing):
                    self._touched[plan.rule.id, id] = None
        self._settle()
        return self._taken()

    def forget_but(self, ids: set[str], now_s: float) -> list[Firing]:
        """Forget the entities that are none of ``ids``."""
        self._until(now_s)
        for id in sorted(self.things.keys() - ids):
            self._forget(self.things[id])
        self._settle()
        return self._taken()

    # ------------------------------------------------------------------ readings

    def _read(self, thing: Thing | None, reading: Reading, plans: list[TypePlan], *, arrived: bool) -> None:
        now_s = self.clock_s if arrived else reading.at_s
        fresh = thing is None
        if thing is None:
            thing = self.things[reading.id] = Thing(reading.id, tuple(reading.types), now_s)
        thing.heard_s = max(thing.heard_s, now_s)
        observed_s = now_s if reading.observed_s is None else reading.observed_s
        if observed_s > now_s + AHEAD_S:
            observed_s = now_s
        thing.name = _short(reading.values.get("name"))
        self._dirty.add(("t", thing.id))
        if (fresh or "location" in reading.touched) and observed_s >= thing.placed_s:
            thing.placed_s = observed_s
            self._move(thing, reading, plans)
        names = reading.values if fresh or not arrived else reading.touched
        for plan in plans:
            for key, for_s in plan.absences:
                if key in thing.true:
                    self._flip(thing, key, False)
                    self.timers.arm(now_s + for_s, "absence", thing.id, key)
            for name in names:
                if (attr := plan.attrs.get(name)) is not None:
                    self._attribute(thing, name, attr, reading.values.get(name), observed_s, now_s, arrived)
            if fresh:
                for rule in plan.fresh:
                    self._touched[rule.rule.id, thing.id] = None
        if fresh:
            self._arm(thing)
        self._sustain(thing, observed_s)

    def _attribute(
        self, thing: Thing, name: str, plan: AttrPlan, value: object, observed_s: float, now_s: float, arrived: bool
    ) -> None:
        if isinstance(value, int | float) and abs(value) > LARGEST_INT:
            if not abs(value) < LARGEST:
                return
            value = float(value)
        if plan.absences:
            thing.came[name] = now_s
            for key, for_s in plan.absences:
                self._flip(thing, key, False)
                self.timers.arm(now_s + for_s, "absence", thing.id, key)
        newest_s, _ = thing.times.get(name, (float("-inf"), 0.0))
        late = observed_s < newest_s
        old = thing.values.get(name)
        if not late:
            thing.times[name] = observed_s, now_s
        if number(value) and (arrived or observed_s > newest_s):
            for series in plan.series.values():
                self._series(thing, name, series, observed_s, float(value))  # pyright: ignore[reportArgumentType]
        if late:
            return
        if value is None or number(value) or isinstance(value, str | bool):
            kept = value[:LONG_TEXT] if isinstance(value, str) else value
        else:
            return
        for test in plan.tests.between(old, kept):
            self._flip(thing, test.key, test(kept, test.key in thing.true))
        if arrived:
            for key, change in plan.changes:
                if not _same(old, kept):
                    self._change(thing, key, change, old, kept)
            for key, anomaly in plan.anomalies:
                if number(kept):
                    self._dirty.add(("a", thing.id, key))
                    verdict = self._detector(thing.id, key, anomaly).update(observed_s, float(kept))  # pyright: ignore
                    self._flip(thing, key, verdict is not None)
        if kept is None:
            thing.values.pop(name, None)
        else:
            thing.values[name] = kept

    def _change(self, thing: Thing, key: str, change: m.Change, old: object, new: object) -> None:
        came = change.from_ is None or (old is not None and _same(old, change.from_))
        went = change.to is None or _same(new, change.to)
        self._flip(thing, key, came and went and new is not None)
        if key in self.plan.pulses and key in thing.true:
            self._pulsed.append((thing, key))

    def _series(self, thing: Thing, name: str, plan: SeriesPlan, observed_s: float, value: float) -> None:
        series = thing.series.get(plan.key)
        if series is None:
            series = thing.series[plan.key] = Series(plan.span_s, [])
        series.add(observed_s, value, thing.present(name, self.clock_s))
        self._weigh(thing, name, plan, series)

    def _weigh(self, thing: Thing, name: str, plan: SeriesPlan, series: Series) -> None:
        """Look at a window anew, and again when its oldest pane leaves it."""
        present_s = thing.present(name, self.clock_s)
        series.expire(present_s)
        for aggregate, test in plan.tests:
            self._flip(thing, test.key, test(series.value(aggregate), False))
        self._arm_series(thing, name, plan.key, series)
        self._dirty.add(("t", thing.id))

    def _move(self, thing: Thing, reading: Reading, plans: list[TypePlan]) -> None:
        place = point_of(reading.values.get("location"))
        if place == thing.place:
            return
        for plan in plans:
            for rule in plan.placed:
                self._touched[rule.rule.id, thing.id] = None
        self.relations.moved(thing, place)
        thing.place = place
        thing.location = None if place is None else {"type": "Point", "coordinates": list(place)}
        for plan in plans:
            for key, fence, within in plan.fences:
                self._fence(thing, key, fence, place is not None and place in within)

    def _fence(self, thing: Thing, key: str, fence: m.Geofence, inside: bool) -> None:
        before = thing.fences.get(key)
        if before is not None and bool(before) == inside:
            return
        thing.fences[key] = self.clock_s if inside else 0.0
        if fence.on == "dwell":
            if inside:
                self.timers.arm(self.clock_s + fence.dwell_s, "dwell", thing.id, key)
            else:
                self._flip(thing, key, False)
        elif before is None:
            self._flip(thing, key, False)
        else:
            self._flip(thing, key, inside == (fence.on == "enter"))

    def _flip(self, thing: Thing, key: str, holds: bool) -> None:
        """Have a leaf hold of an entity, or not; the rules that look at it are evaluated later."""
        if holds == (key in thing.true):
            return
        (thing.true.add if holds else thing.true.discard)(key)
        self._dirty.add(("t", thing.id))
        for plan in self.plan.uses.get(key, ()):
            self._touched[plan.rule.id, thing.id] = None

    # ------------------------------------------------------------------ rules

    def touch(self, rule: str, id: str) -> None:
        """Have a rule evaluated for an entity."""
        self._touched[rule, id] = None

    def mark(self, thing: Thing) -> None:
        """Have an entity's row written."""
        self._dirty.add(("t", thing.id))

    def _settle(self) -> None:
        """Evaluate what was touched; then let go what held for an instant, and evaluate that."""
        while True:
            while self._touched:
                touched, self._touched = self._touched, {}
                for rule, id in touched:
                    plan, thing = self.plan.rules.get(rule), self.things.get(id)
                    if plan is not None and thing is not None:
                        if plan.joins or plan.sequences:
                            self.relations.update(plan, thing)
                        self._evaluate(plan, thing)
            if not self._pulsed:
                return
            pulsed, self._pulsed = self._pulsed, []
            for thing, key in pulsed:
                self._flip(thing, key, False)

    def _concerns(self, plan: RulePlan, thing: Thing) -> bool:
        return any(leaf.type in thing.types for _, _, leaf in plan.seen)

    def _evaluate(self, plan: RulePlan, thing: Thing) -> None:
        about = any(type in plan.types for type in thing.types)
        inside = about and plan.inside(thing.place)
        if plan.rule.group == "entity":
            if about:
                self._hold_or_not(plan, thing.id, inside and plan.holds(thing.true.__contains__), thing)
            return
        for term in plan.terms:
            holders = self._holders.setdefault((plan.rule.id, term), set())
            (holders.add if inside and term in thing.true else holders.discard)(thing.id)
        self._hold_or_not(plan, "", plan.holds(lambda term: bool(self._holders.get((plan.rule.id, term)))), thing)

    def _hold(self, thing: Thing) -> None:
        """Count an entity among those of which the terms of grouped rules hold."""
        for plan in self.plan.grouped:
            if thing.true and plan.inside(thing.place):
                for term in plan.terms:
                    if term in thing.true:
                        self._holders.setdefault((plan.rule.id, term), set()).add(thing.id)

    def _hold_or_not(self, plan: RulePlan, subject: str, holds: bool, thing: Thing) -> None:
        key = plan.rule.id, subject
        cell = self.cells.get(key)
        if cell is None:
            if not holds:
                return
            cell = self.cells[key] = Cell()
        if holds == cell.on:
            return
        self._dirty.add(("c", *key))
        cell.on = holds
        if holds:
            cell.since_s = cell.observed_s = self.clock_s
            cell.observed_s = max((observed for observed, _ in thing.times.values()), default=self.clock_s)
            if not cell.raised:
                if plan.rule.for_s <= 0:
                    self._raise(plan, subject, cell)
                else:
                    self._arm_cell(*key, cell)
            return
        cell.off_s = self.clock_s
        self._pending.get(thing.id, set()).discard(key)
        if not cell.raised:
            if not cell.raises:
                self._drop_cell(*key)
        elif self._clear_after_s(plan, cell) <= 0:
            self._clear(plan, subject, cell)
        else:
            self._arm_cell(*key, cell)

    def _sustain(self, thing: Thing, observed_s: float) -> None:
        """Raise what readings show to have held long enough, though they came at once."""
        for rule, subject in sorted(self._pending.get(thing.id, ())):
            cell, plan = self.cells.get((rule, subject)), self.plan.rules.get(rule)
            if cell is None or plan is None or cell.raised or (rule, thing.id) in self._touched:
                continue
            if cell.on and observed_s - cell.observed_s >= plan.rule.for_s:
                self._raise(plan, subject, cell)

    def _clear_after_s(self, plan: RulePlan, cell: Cell) -> float:
        flap = plan.rule.flap
        return max(plan.rule.clear_s, flap.in_s if flap is not None and cell.flapping else 0.0)

    def _raise(self, plan: RulePlan, subject: str, cell: Cell) -> None:
        flap = plan.rule.flap
        if flap is not None:
            cell.raises = [at_s for at_s in cell.raises if at_s > self.clock_s - flap.in_s] + [self.clock_s]
            cell.flapping = len(cell.raises) > flap.most
        cell.raised = True
        self._pending.get(subject, set()).discard((plan.rule.id, subject))
        self._dirty.add(("c", plan.rule.id, subject))
        self._show(plan, subject, cell)
        self._tell(plan, subject, cell, "raise")

    def _clear(self, plan: RulePlan, subject: str, cell: Cell) -> None:
        cell.raised = False
        if cell.flapping:
            cell.flapping, cell.raises = False, []
        self._tell(plan, subject, cell, "clear")
        if plan.rule.flap is None or not cell.raises:
            self._drop_cell(plan.rule.id, subject)
        else:
            self._dirty.add(("c", plan.rule.id, subject))
            self._arm_cell(plan.rule.id, subject, cell)

    def _show(self, plan: RulePlan, subject: str, cell: Cell) -> None:
        """Note what a detection says: entities, place, values, name."""
        if subject:
            ids = [subject, *self.relations.others(plan, self.things[subject])]
        else:
            holders = (self._holders.get((plan.rule.id, term), set()) for term in plan.terms)
            ids = sorted(set[str]().union(*holders))
        things = [self.things[id] for id in ids[:MOST_ENTITIES] if id in self.things]
        cell.entities = tuple(thing.id for thing in things)
        cell.location = next((thing.location for thing in things if thing.location is not None), None)
        cell.name = things[0].name if things else None
        cell.values = {}
        for name, key, leaf in plan.seen:
            for thing in things:
                if leaf.type in thing.types and (value := self._value(thing, leaf)) is not None:
                    if key in thing.true or name not in cell.values:
                        cell.values[name] = value
                    if key in thing.true:
                        break
        if cell.flapping:
            cell.values["flapping"] = True

    def _value(self, thing: Thing, leaf: m.Leaf) -> object:
        match leaf:
            case m.Window() | m.Rate():
                span_s = leaf.over_s if isinstance(leaf, m.Window) else leaf.per_s
                series = thing.series.get(f"{leaf.attr}/{span_s:g}")
                value = None if series is None else series.value(leaf.agg if isinstance(leaf, m.Window) else "rise")
                return None if value is None else round(value, 6)
            case m.Absence():
                came_s = thing.heard_s if leaf.attr is None else thing.came.get(leaf.attr, thing.heard_s)
                return round(self.clock_s - came_s, 3)
            case m.Geofence():
                return None if thing.place is None else list(thing.place)
            case _:
                return thing.values.get(leaf.attr)

    def _tell(self, plan: RulePlan, subject: str, cell: Cell, kind: str) -> None:
        key = f"{plan.rule.id}:{subject}" if subject else plan.rule.id
        self._out.append(
            Firing(
                plan.rule.id,
                key,
                "raise" if kind == "raise" else "clear",
                self.clock_s,
                cell.entities,
                cell.location,
                dict(cell.values),
                cell.name,
            )
        )

    def _taken(self) -> list[Firing]:
        out, self._out = self._out, []
        return out

    # ------------------------------------------------------------------ time

    def _until(self, now_s: float) -> None:
        for due_s, kind, a, b in self.timers.until(now_s):
            self.clock_s = max(self.clock_s, due_s)
            self._due(kind, a, b)
            self._settle()
        self.clock_s = max(self.clock_s, now_s)

    def _due(self, kind: str, a: str, b: str) -> None:
        if kind == "cell":
            if (cell := self.cells.get((a, b))) is not None and (plan := self.plan.rules.get(a)) is not None:
                self._cell_due(plan, b, cell)
            return
        thing = self.things.get(a)
        if thing is None:
            return
        if kind == "absence":
            leaf = self.plan.leaves.get(b)
            if isinstance(leaf, m.Absence):
                came_s = thing.heard_s if leaf.attr is None else thing.came.get(leaf.attr, thing.heard_s)
                came_s = max(came_s, self.listening_s)
                if came_s + leaf.for_s > self.clock_s:
                    self.timers.arm(came_s + leaf.for_s, kind, a, b)
                else:
                    self._flip(thing, b, True)
        elif kind == "series":
            name = b.rpartition("/")[0]
            for type in thing.types:
                attr = self.plan.types[type].attrs.get(name) if type in self.plan.types else None
                if attr is not None and b in attr.series and b in thing.series:
                    self._weigh(thing, name, attr.series[b], thing.series[b])
        elif kind == "dwell":
            leaf, since_s = self.plan.leaves.get(b), thing.fences.get(b)
            if isinstance(leaf, m.Geofence) and since_s:
                if since_s + leaf.dwell_s > self.clock_s:
                    self.timers.arm(since_s + leaf.dwell_s, kind, a, b)
                else:
                    self._flip(thing, b, True)
        else:
            self.relations.due(thing, b)

    def _cell_due(self, plan: RulePlan, subject: str, cell: Cell) -> None:
        due_s = self._due_s(plan, cell)
        if due_s is None:
            return
        if due_s > self.clock_s:
            self.timers.arm(due_s, "cell", plan.rule.id, subject)
        elif cell.on:
            self._raise(plan, subject, cell)
        elif cell.raised:
            self._clear(plan, subject, cell)
        else:
            self._drop_cell(plan.rule.id, subject)

    def _due_s(self, plan: RulePlan, cell: Cell) -> float | None:
        """Return when a cell changes by itself: raised, cleared, or its past raises forgotten."""
        if cell.on:
            return None if cell.raised else max(cell.since_s, self.listening_s) + plan.rule.for_s
        if cell.raised:
            return cell.off_s + self._clear_after_s(plan, cell)
        if cell.raises and plan.rule.flap is not None:
            return cell.raises[-1] + plan.rule.flap.in_s
        return self.clock_s

    def _arm_cell(self, rule: str, subject: str, cell: Cell) -> None:
        plan = self.plan.rules.get(rule)
        if plan is not None and (due_s := self._due_s(plan, cell)) is not None:
            self.timers.arm(due_s, "cell", rule, subject)
            if cell.on and not cell.raised and subject:
                self._pending.setdefault(subject, set()).add((rule, subject))

    def _arm(self, thing: Thing) -> None:
        """Set every timer of an entity anew."""
        for type in thing.types:
            if (plan := self.plan.types.get(type)) is None:
                continue
            for key, for_s in plan.absences:
                if key not in thing.true:
                    self.timers.arm(max(thing.heard_s + for_s, self.clock_s), "absence", thing.id, key)
            for name, attr in plan.attrs.items():
                for key, for_s in attr.absences:
                    if key not in thing.true:
                        came_s = thing.came.get(name, thing.heard_s)
                        self.timers.arm(max(came_s + for_s, self.clock_s), "absence", thing.id, key)
                for series in attr.series.values():
                    if (kept := thing.series.get(series.key)) is not None:
                        self._arm_series(thing, name, series.key, kept)
            for key, fence, _ in plan.fences:
                if fence.on == "dwell" and thing.fences.get(key) and key not in thing.true:
                    self.timers.arm(thing.fences[key] + fence.dwell_s, "dwell", thing.id, key)

    def _arm_series(self, thing: Thing, name: str, key: str, series: Series) -> None:
        """Wait for the oldest pane to leave a window, at an instant that follows from what is kept alone."""
        if (ends_s := series.ends_s()) is not None:
            observed_s, accepted_s = thing.times[name]
            self.timers.arm(round(accepted_s + (ends_s - observed_s) + 1e-3, 6), "series", thing.id, key)

    # ------------------------------------------------------------------ comings and goings

    def _forget(self, thing: Thing) -> None:
        """Forget a deleted entity: nothing holds of it any more."""
        self.relations.forgotten(thing)
        thing.true.clear()
        for plan in self.plan.rules.values():
            if not self._concerns(plan, thing):
                continue
            if plan.rule.group == "entity":
                if (plan.rule.id, thing.id) in self.cells:
                    self._hold_or_not(plan, thing.id, False, thing)
            else:
                self._evaluate_without(plan, thing)
        for id, key in [key for key in self._detectors if key[0] == thing.id]:
            del self._detectors[id, key]
            self._dirty.add(("a", id, key))
        self._pending.pop(thing.id, None)
        del self.things[thing.id]
        self._dirty.add(("t", thing.id))

    def _evaluate_without(self, plan: RulePlan, thing: Thing) -> None:
        for term in plan.terms:
            self._holders.get((plan.rule.id, term), set()).discard(thing.id)
        holds = plan.holds(lambda term: bool(self._holders.get((plan.rule.id, term))))
        self._hold_or_not(plan, "", holds and len(self.things) > 1, thing)

    def _drop_cell(self, rule: str, subject: str) -> None:
        self.cells.pop((rule, subject), None)
        self._pending.get(subject, set()).discard((rule, subject))
        self._dirty.add(("c", rule, subject))

    def _reconsider(self, thing: Thing, fresh: set[str]) -> None:
        """Keep of an entity what the rules of now ask for; have new leaves look at it as it is."""
        plan = self.plan
        kept = thing.true & plan.keys
        own = [plan.types[type] for type in thing.types if type in plan.types]
        series = {one.key for each in own for attr in each.attrs.values() for one in attr.series.values()}
        if kept != thing.true or not thing.series.keys() <= series or thing.steps or thing.ended or thing.fences:
            self._dirty.add(("t", thing.id))
        thing.true = kept
        thing.series = {key: one for key, one in thing.series.items() if key in series}
        thing.fences = {key: since for key, since in thing.fences.items() if key in plan.leaves}
        thing.ended = {key: at for key, at in thing.ended.items() if key in plan.keys}
        thing.steps = {key: steps for key, steps in thing.steps.items() if key in plan.keys}
        thing.completed = {key: by for key, by in thing.completed.items() if key in plan.keys}
        for id, key in [key for key in self._detectors if key[0] == thing.id and key[1] not in plan.leaves]:
            del self._detectors[id, key]
            self._dirty.add(("a", id, key))
        for one in own:
            for name, attr in one.attrs.items():
                for test in attr.tests.all:
                    if test.key in fresh and name in thing.values:
                        self._flip(thing, test.key, test(thing.values[name], False))
            for key, fence, within in one.fences:
                if key in fresh and thing.place is not None:
                    self._fence(thing, key, fence, thing.place in within)
        self._arm(thing)
        self.relations.restore(thing)
        self._hold(thing)

    def _detector(self, id: str, key: str, leaf: m.Anomaly | None = None) -> Detector:
        detector = self._detectors.get((id, key))
        if detector is None:
            leaf = leaf or next((one for one in [self.plan.leaves.get(key)] if isinstance(one, m.Anomaly)), None)
            detector = Detector(Config(leaf.sensitivity if leaf is not None else "medium"))
            self._detectors[id, key] = detector
        return detector


def _same(a: object, b: object) -> bool:
    return alike(a, b) and a == b


def _short(name: object) -> object:
    """Return a name to show: a text, or texts by language."""
    if isinstance(name, str):
        return name[:LONG_TEXT]
    if isinstance(name, Mapping):
        inner: object = name.get("languageMap", name)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        if isinstance(inner, Mapping):
            return {str(k)[:16]: str(v)[:LONG_TEXT] for k, v in list(inner.items())[:8]}  # pyright: ignore
    return None
