"""The work of an investigation, as arrays: everybody's evidence through the same kernels at once, then the case's own
closely. `investigate` tells in words what this finds.
"""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false, reportMissingTypeStubs=false
# PyArrow brings no types.

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from hanmaru.trace import tables
from hanmaru.trace.domain import Bools, Floats, Ints, Meetings, Pairs, Points, Stays, TraceError, Visits
from hanmaru.trace.engine import anchors, clean, exposure, hotspots, places, route, serving
from hanmaru.trace.engine.anchors import Anchors, Fused
from hanmaru.trace.engine.places import Placed
from hanmaru.trace.engine.plane import Plane
from hanmaru.trace.engine.route import Moves
from hanmaru.trace.evidence import cameras, catalogue, checkins, gps, payments, phone, sightings, statements
from hanmaru.trace.evidence.cameras import Cameras, Whereabouts
from hanmaru.trace.evidence.catalogue import Register
from hanmaru.trace.evidence.inputs import CaseInputs
from hanmaru.trace.evidence.phone import Located
from hanmaru.trace.evidence.rows import LATE_POSTING, ONLINE, OTHER_PERSON, Rows, joined

Progress = Callable[[str, float], None]
"""Is told the stage that begins, and the share of the work that is done, 0 to 1."""

SURE: Final = 0.9
"""From this probability on a stay's likeliest place is taken for its place."""
HOLDS: Final = 0.5
"""Anchors that are less probably the subject's are flagged and not used."""


@dataclass(frozen=True, eq=False, slots=True)
class Found:
    """All that an investigation worked out, as arrays.

    ``subjects`` are everybody's ids; ``me`` is the case's index, -1 where there is no evidence of them. ``own``
    are the case's own points by kind with their flags; ``judged`` everybody's anchors and ``anchor_stay``
    the fused stay of each, -1 for none. ``fused`` are everybody's stays,
    ``visits`` the same with places where they are known, ``mine`` (m,) the case's among them, ``placed`` their
    places; ``at_home`` (v,) which are the case's at home.
    """

    subjects: list[str]
    me: int
    plane: Plane
    register: Register
    cameras: Cameras
    points: Points
    own: list[tuple[str, Located, Ints]]
    cell_ids: list[str]
    judged: "Judged"
    anchor_stay: Ints
    fused: Fused
    visits: Visits
    mine: Ints
    placed: Placed
    at_home: Bools
    moves: Moves
    pairs: Pairs
    meetings: Meetings
    hotspots: hotspots.Hotspots
    retrieval: list[dict[str, Any]]
    counts: dict[str, int]
    refused: dict[str, int]


def work_out(inputs: CaseInputs, progress: Progress = lambda stage, share: None) -> Found:
    """Return what is found; ``progress`` is told each stage as it begins. Raises TraceError where no table says where
    anything is.
    """
    progress("evidence", 0.0)
    counted = Counter(inputs.refused)
    case, reference = inputs.case, inputs.reference
    plane = _plane(inputs)
    tables_ = [(name, table, True) for name, table in inputs.own.items() if name not in ("statements", "sightings")]
    tables_ += [(name, table, False) for name, table in inputs.others.items()]
    only = pa.chunked_array([pa.array([case.subject])])
    subjects, codes = tables.encode(only, *(table["subject"] for _, table, _ in tables_))
    me = int(codes[0][0])
    register = catalogue.read(reference.get("places"), reference.get("merchants"), case.own, me, plane)
    seen_by = cameras.read(reference.get("cameras"), plane)
    rows, unknown = _anchors(inputs, tables_, codes[1:], register, seen_by, me)
    counted.update(unknown)

    cells = phone.cells(reference.get("cells"))
    parts: list[tuple[str, bool, Located]] = []
    for (name, table, mine), code in zip(tables_, codes[1:], strict=True):
        if name in ("phone", "gps"):
            where = phone.locate(table, code, cells, plane) if name == "phone" else gps.read(table, code, plane)
            counted["unknown_cell"] += where.unknown
            parts.append((name, mine, where))
    progress("stays", 0.15)
    points, cell, flags = _cleaned([where for *_, where in parts])
    own = [(name, where, flag) for (name, mine, where), flag in zip(parts, flags, strict=True) if mine]
    stays = _stays(points, cell)
    progress("places", 0.4)
    judged = _judged(rows, points, plane)
    known = _known(register, stays, me, case.zone)
    fused = judged.fuse(stays, known, register)
    anchor_stay = np.full(len(rows), -1, np.int64)
    anchor_stay[judged.chosen] = fused.stay_of
    mine = np.flatnonzero(fused.stays.subject == me)
    placed = _placed(fused, register, mine, case.zone)
    at_home = np.zeros(len(fused.stays), np.bool_)
    homes = [p.kind == "home" for p in register.places] + [False]
    at_home[mine] = np.array(homes)[placed.place[:, 0]] & (placed.probability[:, 0] >= HOLDS)
    visits = _visits(fused, register, mine, placed)
    progress("route", 0.5)
    moves = _moves(visits, mine, points, me, judged)
    progress("cameras", 0.55)
    listed = cameras.retrieval(seen_by, _whereabouts(visits, mine, moves)) if len(seen_by.ids) else []
    progress("contacts", 0.6)
    pairs, meetings = exposure.contacts(visits, np.array([me], np.int64))
    progress("hotspots", 0.85)
    weight = np.zeros(len(subjects))
    weight[pairs.subject] = pairs.probability
    weight[me] = 1.0
    hot = hotspots.find(visits, weight)
    counts = {
        "points": len(points),
        "subjects": len(subjects),
        "stays": len(mine),
        "visits": len(visits),
        "moves": len(moves),
        "anchors": len(rows),
        "contacts": len(pairs),
        "hotspots": len(hot),
        "cameras": len(listed),
    }
    return Found(
        subjects, me, plane, register, seen_by, points, own, cells.ids.to_pylist(), judged, anchor_stay, fused, visits,
        mine, placed, at_home, moves, pairs, meetings, hot, listed, counts, {key: n for key, n in counted.items() if n},
    )  # fmt: skip


def _plane(inputs: CaseInputs) -> Plane:
    """Return the plane about what is known to lie in the city: cells, else places, else the evidence itself."""
    for name in ("cells", "places", "cameras", "merchants"):
        table = inputs.reference.get(name)
        if table is not None and len(table):
            lon, lat = tables.floats(table, "lon"), tables.floats(table, "lat")
            there = np.isfinite(lon) & np.isfinite(lat)
            if there.any():
                return Plane.about(lon[there], lat[there])
    for name in ("phone", "gps", "statements"):
        table = inputs.own.get(name, inputs.others.get(name))
        if table is not None and len(table):
            lon, lat = tables.floats(table, "lon"), tables.floats(table, "lat")
            there = np.isfinite(lon) & np.isfinite(lat)
            if there.any():
                return Plane.about(lon[there], lat[there])
    raise TraceError("nothing says where anything is: add cells.csv, places.csv or positions to the evidence")


def _anchors(
    inputs: CaseInputs,
    named: list[tuple[str, pa.Table, bool]],
    codes: list[Ints],
    register: Register,
    seen_by: Cameras,
    me: int,
) -> tuple[Rows, dict[str, int]]:
    """Return everybody's rows that are not points, and how many name what no reference table knows."""
    parts: list[Rows] = []
    unknown: Counter[str] = Counter()
    for (name, table, mine), code in zip(named, codes, strict=True):
        if name == "cards":
            card, transit, missing = payments.read(table, code, register)
            parts += [card, transit]
            unknown["unknown_merchant"] += missing
        elif name == "checkins":
            part, missing = checkins.read(table, code, register)
            parts.append(part)
            unknown["unknown_place"] += missing
        del mine
    if (table := inputs.own.get("statements")) is not None:
        part, missing = statements.read(table, me, register)
        parts.append(part)
        unknown["unknown_place"] += missing
    if (table := inputs.own.get("sightings")) is not None:
        part, missing = sightings.read(table, me, seen_by)
        parts.append(part)
        unknown["unknown_camera"] += missing
    return joined(parts), unknown


def _cleaned(parts: list[Located]) -> tuple[Points, Ints, list[Ints]]:
    """Return the points of all sources that say where somebody was, sorted by subject, time, the serving cell of each
    (-1: none), and the flags of each source's rows.
    """
    none, real = np.zeros(0, np.int64), np.zeros(0)
    points = Points(
        np.concatenate([none, *(part.points.subject for part in parts)]),
        np.concatenate([none, *(part.points.time_s for part in parts)]),
        np.concatenate([real, *(part.points.x_m for part in parts)]),
        np.concatenate([real, *(part.points.y_m for part in parts)]),
        np.concatenate([real, *(part.points.radius_m for part in parts)]),
    )
    cell = np.concatenate([none, *(part.cell for part in parts)])
    order = np.lexsort((points.time_s, points.subject)) if len(parts) > 1 else np.arange(len(cell))
    if len(parts) > 1:
        points, cell = Points(*(getattr(points, name)[order] for name in Points.__slots__)), cell[order]
    sizes = [len(part.row) for part in parts]
    cleaned = clean.clean(points, cell)
    flags = np.empty(len(order), np.int64)
    flags[order] = cleaned.flags
    return cleaned.points, cell[cleaned.row], np.split(flags, np.cumsum(sizes)[:-1]) if parts else []


def _stays(points: Points, cell: Ints) -> Stays:
    """Return everybody's stays; each fix that no cell served is news of its own."""
    fixes = cell < 0
    return serving.find(points, np.where(fixes, int(cell.max(initial=0)) + 1 + np.arange(len(cell)), cell))


@dataclass(frozen=True, eq=False, slots=True)
class Judged:
    """Everybody's ``rows``, the same as ``anchors``, and ``held`` (n,), the probability that each is its subject's;
    ``chosen`` (c,) are those that shape stays.
    """

    rows: Rows
    anchors: Anchors
    held: Floats
    chosen: Ints
    lo_s: Ints
    hi_s: Ints

    def used(self) -> Bools:
        """Return which rows results rest on (n,): neither online, nor late, nor somebody else's."""
        return self.rows.located & (self.rows.flags & (LATE_POSTING | ONLINE | OTHER_PERSON) == 0)

    def fuse(self, stays: Stays, known: Floats, register: Register) -> Fused:
        """Return the stays with the chosen anchors joined to them."""
        sound = self.anchors.take(self.chosen)
        long_s = np.append(register.engine.long_s(), 0.0)[sound.place]
        return anchors.fuse(stays, sound, self.held[self.chosen], self.lo_s, self.hi_s, known, long_s)


def _judged(rows: Rows, points: Points, plane: Plane) -> Judged:
    """Return the rows, flagged, with the probability that each holds."""
    x, y = plane.xy(np.nan_to_num(rows.lon, nan=plane.lon), np.nan_to_num(rows.lat, nan=plane.lat))
    every = Anchors(
        rows.subject, rows.start_s, rows.end_s, x, y, rows.radius_m, rows.place, rows.wrong, rows.late,
        rows.before_s, rows.after_s, rows.early_s,
    )  # fmt: skip
    held, late, _ = anchors.judge(every, points)
    held = np.where(rows.located, held, 0.0)
    is_late = rows.located & (late > HOLDS) & (held >= HOLDS)
    flags = rows.flags | np.where(is_late, LATE_POSTING, 0) | np.where(rows.located & (held < HOLDS), OTHER_PERSON, 0)
    instant = (rows.before_s + rows.after_s == 0) & (rows.end_s == rows.start_s)
    chosen = np.flatnonzero(rows.located & (flags & (LATE_POSTING | OTHER_PERSON) == 0) & ~instant)
    lo_s, hi_s = anchors.spans(every.take(chosen), points)
    return Judged(replace(rows, flags=flags), every, held, chosen, lo_s, hi_s)


def _hours(time_s: Ints, zone: str) -> Ints:
    """Return the local hour of instants; the zone's offset at the first one is taken for all."""
    if not len(time_s):
        return time_s
    try:
        offset = datetime.fromtimestamp(int(time_s.min()), UTC).astimezone(ZoneInfo(zone)).utcoffset()
    except (KeyError, ValueError, OverflowError):
        raise TraceError(f"timezone {zone} is not known; write it like Asia/Seoul") from None
    assert offset is not None
    return (time_s + int(offset.total_seconds())) // 3600 % 24


def _weighed(stays: Stays, register: Register, which: Ints, zone: str) -> Placed:
    return places.weigh(
        register.engine,
        stays.subject[which],
        stays.x_m[which],
        stays.y_m[which],
        stays.radius_m[which],
        _hours(stays.start_s[which], zone),
        (stays.end_s[which] - stays.start_s[which]) / 60,
    )


def _known(register: Register, stays: Stays, me: int, zone: str) -> Floats:
    """Return the probability (s,) that a stay is at its subject's known home or work: 0 for other people's."""
    out = np.zeros(len(stays))
    own = np.flatnonzero(stays.subject == me)
    placed = _weighed(stays, register, own, zone)
    is_own = np.append(register.engine.owner == me, False)[placed.place]
    out[own] = (placed.probability * is_own).sum(axis=1)
    return out


def _placed(fused: Fused, register: Register, mine: Ints, zone: str) -> Placed:
    """Return the places of the case's stays: what an anchor gives with its probability, the rest by position."""
    placed = _weighed(fused.stays, register, mine, zone)
    place, probability, unknown = placed.place.copy(), placed.probability.copy(), placed.unknown.copy()
    for i, s in enumerate(mine.tolist()):
        held, at = float(fused.held[s]), int(fused.place[s])
        if held <= 0:
            continue
        if at < 0:  # an anchor that is no place: where it says, somewhere unlisted
            place[i], probability[i], unknown[i] = -1, 0.0, 1.0
            continue
        others = [(int(p), (1 - held) * float(w)) for p, w in zip(place[i], probability[i], strict=True) if p != at]
        kept = sorted(((at, held + (1 - held) * float(probability[i][place[i] == at].sum())), *others), key=_weight)
        kept = kept[: places.KEPT]
        place[i] = [p for p, _ in kept] + [-1] * (places.KEPT - len(kept))
        probability[i] = [w for _, w in kept] + [0.0] * (places.KEPT - len(kept))
        unknown[i] = max(0.0, 1.0 - float(probability[i].sum()))
    return Placed(place, probability, unknown)


def _weight(each: tuple[int, float]) -> float:
    return -each[1]


def _visits(fused: Fused, register: Register, mine: Ints, placed: Placed) -> Visits:
    """Return the stays as visits: of other people at a place where an anchor says so, of the case also where the
    posterior is `SURE`. The case's home or work is the listed place around it, if there is one.
    """
    s = fused.stays
    x, y, radius, place = s.x_m.copy(), s.y_m.copy(), s.radius_m.copy(), fused.place.copy()
    engine = register.engine
    sure = (placed.probability[:, 0] >= SURE) if len(mine) else np.zeros(0, np.bool_)
    at = placed.place[sure, 0]
    rows = mine[sure]
    x[rows], y[rows], radius[rows], place[rows] = engine.x_m[at], engine.y_m[at], engine.radius_m[at], at
    listed = {int(p): _listed(register, int(p)) for p in np.flatnonzero(engine.owner >= 0)}
    for own, same in listed.items():
        place[place == own] = same
    return Visits(s.subject, s.start_s, s.end_s, x, y, radius, place)


def _listed(register: Register, own: int) -> int:
    """Return the listed place that somebody's own place is in, -1 for none."""
    engine = register.engine
    metres = np.hypot(engine.x_m - engine.x_m[own], engine.y_m - engine.y_m[own])
    metres[(engine.owner >= 0) | (metres > np.maximum(engine.radius_m, catalogue.SAME_M))] = np.inf
    return int(np.argmin(metres)) if np.isfinite(metres).any() else -1


def _moves(visits: Visits, mine: Ints, points: Points, me: int, judged: Judged) -> Moves:
    """Return the case's moves between stays, by its phone's points and what anchors say on the way."""
    a, b = np.searchsorted(points.subject, [me, me + 1])
    every = judged.anchors
    at = np.flatnonzero((every.subject == me) & judged.used() & (every.start_s == every.end_s))
    time_s = np.concatenate((points.time_s[a:b], every.start_s[at]))
    order = np.argsort(time_s, kind="stable")
    seen = (
        time_s[order],
        np.concatenate((points.x_m[a:b], every.x_m[at]))[order],
        np.concatenate((points.y_m[a:b], every.y_m[at]))[order],
        np.concatenate((points.radius_m[a:b], every.radius_m[at]))[order],
    )
    return route.between(
        visits.start_s[mine], visits.end_s[mine], visits.x_m[mine], visits.y_m[mine], visits.radius_m[mine], seen
    )


def _whereabouts(visits: Visits, mine: Ints, moves: Moves) -> tuple[Whereabouts, Whereabouts]:
    """Return where the case was: its stays, and its moves' steps."""
    stays = Whereabouts(
        visits.start_s[mine],
        visits.end_s[mine],
        visits.x_m[mine],
        visits.y_m[mine],
        visits.radius_m[mine],
        np.arange(len(mine)),
        tuple(f"s{i + 1}" for i in range(len(mine))),
        "stay",
    )
    of = np.repeat(np.arange(len(moves)), moves.last - moves.first)
    ends = moves.end_s[of]
    following = np.append(moves.time_s[1:], 0)
    same = np.append(of[1:] == of[:-1], False)
    way = Whereabouts(
        moves.time_s,
        np.where(same, following, ends),
        moves.x_m,
        moves.y_m,
        moves.radius_m,
        of,
        tuple(f"m{i + 1}" for i in range(len(moves))),
        "move",
    )
    return stays, way
