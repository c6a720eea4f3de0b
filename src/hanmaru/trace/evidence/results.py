"""An investigation's results as a document: what was found, and the rows of evidence behind each of it."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from hanmaru.trace.domain import Ints
from hanmaru.trace.engine import places, route
from hanmaru.trace.engine.clean import DROPPED
from hanmaru.trace.evidence.inputs import CaseInputs
from hanmaru.trace.evidence.rows import (
    DUPLICATE,
    FLAGS,
    LATE_POSTING,
    LOAD_SHARING,
    ONLINE,
    OTHER_PERSON,
    OUTLIER,
    PING_PONG,
)
from hanmaru.trace.evidence.work import Found

PHONE_ROWS: Final = 20_000
"""Most phone rows that are told; more are thinned evenly."""
BEHIND: Final = 50
"""Most rows named behind one result."""
NIGHT_H: Final = 4
LIVES_THERE: Final = 0.3
"""Somebody who is at the case's home for four hours, and as probably as this a contact, may be of the household."""
WHY: Final = {
    PING_PONG: "ping-pong",
    LOAD_SHARING: "load-sharing",
    OUTLIER: "outlier",
    DUPLICATE: "duplicate",
    ONLINE: "online",
    LATE_POSTING: "late-posting",
    OTHER_PERSON: "other-person",
}
"""Why a row is not used."""
USED: Final = {
    "phone": "served-by-cell",
    "card": "paid-at",
    "transit": "tapped-at",
    "checkin": "entered",
    "gps": "fixed-at",
    "statement": "stated",
    "sighting": "seen-by-camera",
}
"""Why a row is used: what it says."""
TABLE: Final = {"card": "cards", "transit": "cards", "checkin": "checkins", "sighting": "sightings"}
"""The table that rows of a kind come from, for its request."""


def document(inputs: CaseInputs, found: Found) -> dict[str, Any]:
    """Return the document ``results.json``, times as ISO 8601 in UTC."""
    evidence, behind = _evidence(inputs, found)
    stays = _stays(found, behind)
    return {
        "version": 1,
        "made_at": _iso(int(datetime.now(UTC).timestamp())),
        "case": inputs.case.id,
        "subject": inputs.case.subject,
        "test_data": inputs.test_data,
        "period": {"start": _iso(inputs.case.start_s), "end": _iso(inputs.case.end_s)},
        "engine": {
            "unlisted_weight": places.UNLISTED,
            "diffusion_m2_s": route.DIFFUSION,
            "gap_s": route.GAP_S,
        },
        "evidence": evidence,
        "stays": stays,
        "moves": _moves(found, behind),
        "contacts": _contacts(found, behind),
        "hotspots": _hotspots(found),
        "cameras": [
            {
                **camera,
                "windows": [
                    {**w, "start": _iso(w["start"]), "end": _iso(w["end"]), "probability": round(w["probability"], 4)}
                    for w in camera["windows"]
                ],
            }
            for camera in found.retrieval
        ],
        "counts": found.counts,
        "refused": found.refused,
    }


class Behind:
    """The rows of evidence that are told, by time, and what each fused stay rests on."""

    def __init__(self, found: Found, phone: list[tuple[int, str]], kinds: dict[int, list[tuple[str, str]]]) -> None:
        """Take the told phone rows (seconds, id), sorted, and each fused stay's anchors (kind, id)."""
        self._times = np.array([t for t, _ in phone], np.int64)
        self._ids = [id_ for _, id_ in phone]
        self._kinds = kinds
        self._found = found

    def kinds(self, stay: int) -> list[tuple[str, str]]:
        """Return the anchors of a fused stay."""
        return self._kinds.get(stay, [])

    def during(self, start_s: int, end_s: int, most: int = BEHIND) -> list[str]:
        """Return phone rows between two instants, thinned evenly."""
        a, b = (int(i) for i in np.searchsorted(self._times, [start_s, end_s + 1]))
        if b - a <= most:
            return self._ids[a:b]
        return [self._ids[i] for i in range(a, b, -(-(b - a) // most))]

    def stay(self, stay: int) -> list[str]:
        """Return the rows behind a fused stay: its anchors, then phone rows."""
        s = self._found.fused.stays
        return [id_ for _, id_ in self.kinds(stay)] + self.during(int(s.start_s[stay]), int(s.end_s[stay]))


def _evidence(inputs: CaseInputs, found: Found) -> tuple[list[dict[str, Any]], Behind]:
    told: list[dict[str, Any]] = []
    phone: list[tuple[int, str]] = []
    for kind, where, flags in found.own:
        at = np.arange(len(where.row))
        if len(at) > PHONE_ROWS:
            at = np.linspace(0, len(at) - 1, PHONE_ROWS).astype(np.int64)
        lon, lat = found.plane.lonlat(where.points.x_m[at], where.points.y_m[at])
        request = inputs.requests.get(kind) or None
        for i, x, y in zip(at.tolist(), lon.tolist(), lat.tolist(), strict=True):
            id_ = f"{kind}:{int(where.row[i]) + 1}"
            t, flag = int(where.points.time_s[i]), int(flags[i])
            if not flag & DROPPED:
                phone.append((t, id_))
            told.append(
                {
                    "id": id_,
                    "kind": kind,
                    "start": _iso(t),
                    "end": None,
                    "lat": round(y, 6),
                    "lon": round(x, 6),
                    "radius_m": round(float(where.points.radius_m[i]), 1),
                    "label": found.cell_ids[int(where.cell[i])] if kind == "phone" and where.cell[i] >= 0 else "",
                    "request": request,
                    "flags": _flags(flag),
                    "used": not flag & DROPPED,
                    "why": WHY.get(flag & -flag, USED[kind]),
                }
            )
    rows, held, used = found.judged.rows, found.judged.held, found.judged.used()
    kinds: dict[int, list[tuple[str, str]]] = {}
    for i in np.flatnonzero(rows.subject == found.me).tolist():
        kind = rows.kinds[int(rows.kind[i])]
        id_, flag, located = f"{kind}:{int(rows.number[i])}", int(rows.flags[i]), bool(rows.located[i])
        if found.anchor_stay[i] >= 0:
            kinds.setdefault(int(found.anchor_stay[i]), []).append((kind, id_))
        place = int(rows.place[i])
        told.append(
            {
                "id": id_,
                "kind": kind,
                "start": _iso(int(rows.start_s[i])),
                "end": _iso(int(rows.end_s[i])) if rows.end_s[i] > rows.start_s[i] else None,
                "lat": round(float(rows.lat[i]), 6) if located else None,
                "lon": round(float(rows.lon[i]), 6) if located else None,
                "radius_m": round(float(rows.radius_m[i]), 1) if located else None,
                "label": rows.label[i],
                "place": found.register.places[place].id if place >= 0 else None,
                "request": inputs.requests.get(TABLE.get(kind, kind)) or None,
                "flags": _flags(flag),
                "used": bool(used[i]),
                "probability": round(float(held[i]), 4) if located else None,
                "why": USED[kind] if used[i] else WHY.get(flag & -flag, "no-position"),
            }
        )
    told.sort(key=lambda each: (each["start"], each["id"]))
    return told, Behind(found, sorted(phone), kinds)


def _stays(found: Found, behind: Behind) -> list[dict[str, Any]]:
    visits, lonlat = found.visits, found.plane.lonlat
    out: list[dict[str, Any]] = []
    lon, lat = lonlat(visits.x_m[found.mine], visits.y_m[found.mine])
    seen_s = np.sort(np.concatenate([np.zeros(0, np.int64), *(where.points.time_s for _, where, _ in found.own)]))
    for i, s in enumerate(found.mine.tolist()):
        likely = zip(found.placed.place[i].tolist(), found.placed.probability[i].tolist(), strict=True)
        out.append(
            {
                "id": f"s{i + 1}",
                "start": _iso(int(visits.start_s[s])),
                "end": _iso(int(visits.end_s[s])),
                "lat": round(float(lat[i]), 6),
                "lon": round(float(lon[i]), 6),
                "radius_m": round(float(visits.radius_m[s]), 1),
                "confidence": round(float(found.fused.stays.confidence[s]), 4),
                "places": [
                    {**_place(found, p), "probability": round(w, 4)} for p, w in likely if p >= 0 and w >= 0.005
                ],
                "unknown": round(float(found.placed.unknown[i]), 4),
                "gap": route.silent(seen_s, int(visits.start_s[s]), int(visits.end_s[s])),
                "evidence": behind.stay(s),
            }
        )
    return out


def _moves(found: Found, behind: Behind) -> list[dict[str, Any]]:
    m = found.moves
    lon, lat = found.plane.lonlat(m.x_m, m.y_m)
    rows = found.judged.rows
    at = np.flatnonzero((rows.subject == found.me) & found.judged.used() & (found.anchor_stay < 0))
    out: list[dict[str, Any]] = []
    for i, (a, b) in enumerate(zip(m.first.tolist(), m.last.tolist(), strict=True)):
        start, end = int(m.start_s[i]), int(m.end_s[i])
        on_the_way = [j for j in at.tolist() if start <= rows.start_s[j] <= end]
        path = zip(lon[a:b].tolist(), lat[a:b].tolist(), strict=True)
        out.append(
            {
                "id": f"m{i + 1}",
                "start": _iso(start),
                "end": _iso(end),
                "path": [[round(x, 6), round(y, 6)] for x, y in path],
                "times": [_iso(t) for t in m.time_s[a:b].tolist()],
                "radius_m": [round(r, 1) for r in m.radius_m[a:b].tolist()],
                "gap": bool(m.gap[i]),
                "evidence": [f"{rows.kinds[int(rows.kind[j])]}:{int(rows.number[j])}" for j in on_the_way]
                + behind.during(start, end),
            }
        )
    return out


def _contacts(found: Found, behind: Behind) -> list[dict[str, Any]]:
    pairs, meetings, visits = found.pairs, found.meetings, found.visits
    lon, lat = found.plane.lonlat(pairs.x_m, pairs.y_m)
    theirs = _their_kinds(found)
    out: list[dict[str, Any]] = []
    for i in range(len(pairs)):
        a, b = int(pairs.first[i]), int(pairs.last[i])
        top = a + int(np.argmax(meetings.weight[a:b])) if b > a else -1
        place = int(visits.place[meetings.mine[top]]) if top >= 0 else -1
        if place >= 0 and visits.place[meetings.theirs[top]] not in (place, -1):
            place = -1
        out.append(
            {
                "id": f"c{i + 1}",
                "subject": found.subjects[int(pairs.subject[i])],
                "probability": round(float(pairs.probability[i]), 4),
                "minutes": round(float(pairs.minutes[i]), 1),
                "start": _iso(int(pairs.start_s[i])),
                "end": _iso(int(pairs.end_s[i])),
                "lat": round(float(lat[i]), 6),
                "lon": round(float(lon[i]), 6),
                "rank": int(pairs.rank[i]),
                "place": _place(found, place) if place >= 0 else None,
                "reasons": _reasons(found, behind, theirs, a, b, float(pairs.probability[i]) >= LIVES_THERE),
            }
        )
    return out


def _their_kinds(found: Found) -> dict[int, list[str]]:
    """Return the kinds of other people's anchors at each of their fused stays."""
    rows = found.judged.rows
    out: dict[int, list[str]] = {}
    for i in np.flatnonzero((found.anchor_stay >= 0) & (rows.subject != found.me)).tolist():
        out.setdefault(int(found.anchor_stay[i]), []).append(rows.kinds[int(rows.kind[i])])
    return out


def _reasons(
    found: Found, behind: Behind, theirs: dict[int, list[str]], a: int, b: int, sure: bool
) -> list[dict[str, Any]]:
    """Return why a pair is listed: its meetings by kind, the weightiest first."""
    meetings = found.meetings
    groups: dict[str, list[int]] = {}
    for j in range(a, b):
        groups.setdefault(_kind(found, behind, theirs, j, sure), []).append(j)
    days = {int(meetings.start_s[j]) // 86400 for j in range(a, b)}
    out = [_reason(found, behind, theirs, kind, group) for kind, group in groups.items()]
    if len(days) > 1:
        repeated = _reason(found, behind, theirs, "repeated", list(range(a, b)))
        out.append({**repeated, "weight": 0.0, "evidence": [], "days": len(days)})
    return sorted(out, key=lambda each: -each["weight"])


def _reason(
    found: Found, behind: Behind, theirs: dict[int, list[str]], kind: str, group: Sequence[int]
) -> dict[str, Any]:
    meetings, s = found.meetings, found.fused.stays
    best = sorted(group, key=lambda j: -float(meetings.weight[j]))[:5]
    others = {int(meetings.theirs[j]) for j in group}
    return {
        "kind": kind,
        "minutes": round(float(sum(meetings.minutes[j] for j in group)), 1),
        "start": _iso(min(int(meetings.start_s[j]) for j in group)),
        "end": _iso(max(int(meetings.end_s[j]) for j in group)),
        "weight": round(float(sum(meetings.weight[j] for j in group)), 4),
        "evidence": list(dict.fromkeys(_first(behind, [int(meetings.mine[j]) for j in best])))[:BEHIND],
        "other_evidence": sum(max(0, int(s.last[t] - s.first[t])) + len(theirs.get(t, ())) for t in others),
    }


def _first(behind: Behind, stays: Iterable[int]) -> Iterable[str]:
    for stay in stays:
        yield from behind.stay(stay)[:10]


def _kind(found: Found, behind: Behind, theirs: dict[int, list[str]], j: int, sure: bool) -> str:
    """Return what kind of evidence says that two were together."""
    mine, other = int(found.meetings.mine[j]), int(found.meetings.theirs[j])
    kinds = [kind for kind, _ in behind.kinds(mine)] + theirs.get(other, [])
    for kind in ("sighting", "checkin", "card"):
        if kind in kinds:
            return kind
    hours = (int(found.meetings.end_s[j]) - int(found.meetings.start_s[j])) / 3600
    if sure and found.at_home[mine] and hours >= NIGHT_H:
        return "household"
    place = int(found.visits.place[mine])
    return "same_place" if place >= 0 and place == int(found.visits.place[other]) else "same_cell"


def _hotspots(found: Found) -> list[dict[str, Any]]:
    h, visits, engine = found.hotspots, found.visits, found.register.engine
    lon, lat = found.plane.lonlat(h.x_m, h.y_m)
    out: list[dict[str, Any]] = []
    for i in range(len(h)):
        mine = found.mine
        near = np.hypot(visits.x_m[mine] - h.x_m[i], visits.y_m[mine] - h.y_m[i]) <= h.radius_m[i]
        during = (visits.start_s[mine] < h.end_s[i]) & (visits.end_s[mine] > h.start_s[i])
        at = np.flatnonzero(near & during)
        place = _main_place(visits.place[mine][at])
        inside = place >= 0 and bool(
            np.hypot(engine.x_m[place] - h.x_m[i], engine.y_m[place] - h.y_m[i]) <= h.radius_m[i]
        )
        out.append(
            {
                "id": f"h{i + 1}",
                "lat": round(float(lat[i]), 6),
                "lon": round(float(lon[i]), 6),
                "radius_m": round(float(h.radius_m[i]), 1),
                "start": _iso(int(h.start_s[i])),
                "end": _iso(int(h.end_s[i])),
                "people": round(float(h.people[i]), 2),
                "expected": round(float(h.expected[i]), 2),
                "probability": round(float(h.probability[i]), 4),
                "place": _place(found, place) if inside else None,
                "stays": [f"s{k + 1}" for k in at.tolist()],
            }
        )
    return out


def _main_place(place: Ints) -> int:
    known = place[place >= 0]
    return int(np.bincount(known).argmax()) if len(known) else -1


def _place(found: Found, place: int) -> dict[str, Any]:
    p = found.register.places[place]
    return {"id": p.id, "name": p.name, "kind": p.kind, "lat": p.lat, "lon": p.lon}


def _flags(flags: int) -> list[str]:
    return [name for i, name in enumerate(FLAGS) if flags >> i & 1]


def _iso(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
