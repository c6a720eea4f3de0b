"""Who probably infected whom among the cases, and the clusters: worked out by the engine, kept in the vault.

It goes by onsets, by contacts that became cases, and by the visits that investigations found.
"""

import asyncio
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from hanmaru.platform.vault import Desk
from hanmaru.trace.cases.records import CLINICAL, LINK, Clinical
from hanmaru.trace.cases.room import Room
from hanmaru.trace.cases.rows import CaseRow

if TYPE_CHECKING:
    from hanmaru.trace.engine.weights import Encounters

KIND = "chain"
VISITS = "visits"
PURPOSE = "chain of infections"
MOST_CASES = 500
MOST_VISITS = 500
SHOWN = 3
"""Infectors that are told of each case, the likeliest."""


def visits_of(results: dict[str, Any]) -> dict[str, Any]:
    """Return the document that is kept of a case's visits: [start, end, lat, lon]."""
    stays = results.get("stays", ())
    return {"visits": [[one.get(name) for name in ("start", "end", "lat", "lon")] for one in stays][:MOST_VISITS]}


async def read(room: Room, desk: Desk, disease: str) -> dict[str, Any]:
    """Return the chain of a disease as it was last worked out, of cases that are not destroyed."""
    rows = await asyncio.to_thread(lambda: room.book.cases(disease=disease, limit=MOST_CASES))
    alive = {row.id: row for row in rows if row.status != "destroyed"}
    subject = await asyncio.to_thread(room.book.known, KIND)
    kept = (await desk.get(subject, KIND, disease) if subject else None) or {"links": [], "clusters": []}
    clinical = await desk.get_many([(id, CLINICAL, CLINICAL) for id in alive]) if alive else []
    onsets = {id: msgspec.convert(one or {}, Clinical).onset for id, one in zip(alive, clinical, strict=True)}
    links = [one for one in kept["links"] if one["infectee"] in alive and one["infector"] in {*alive, "imported"}]
    clusters = [{**one, "cases": [id for id in one["cases"] if id in alive]} for one in kept["clusters"]]
    cluster_of = {id: one["id"] for one in clusters for id in one["cases"]}
    return {
        "cases": [
            {"id": id, "label": row.label, "onset": onsets[id], "cluster": cluster_of.get(id), "status": row.status}
            for id, row in alive.items()
        ],
        "links": links,
        "clusters": [one for one in clusters if len(one["cases"]) > 1],
    }


async def work_out(room: Room) -> None:
    """Work out the chains of all diseases and keep them."""
    desk = room.own_desk(PURPOSE)
    subject = await asyncio.to_thread(room.book.known, KIND)
    if subject is None:
        made = await desk.open_subject(KIND)
        subject = await asyncio.to_thread(room.book.once, KIND, made)
    for disease in room.profiles:
        rows = await asyncio.to_thread(lambda: room.book.cases(disease=disease, limit=MOST_CASES))  # noqa: B023 - now
        alive = [row for row in rows if row.status != "destroyed"]
        if not alive:
            if rows:  # what was worked out of them goes with the last
                await desk.put(subject, KIND, disease, {"links": [], "clusters": []})
            continue
        clinical = await desk.get_many([(row.id, CLINICAL, CLINICAL) for row in alive])
        linked = await desk.get_many([(row.id, LINK, LINK) for row in alive])
        found = [row.results for row in alive if row.results]
        kept = await desk.get_many([(one, VISITS, VISITS) for one in found]) if found else []
        visits = {one: document["visits"] for one, document in zip(found, kept, strict=True) if document}
        facts = [msgspec.convert(one or {}, Clinical) for one in clinical]
        chain = await asyncio.to_thread(infer, room, disease, alive, facts, linked, visits)
        await desk.put(subject, KIND, disease, chain)


def infer(
    room: Room,
    disease: str,
    rows: Sequence[CaseRow],
    clinical: Sequence[Clinical],
    linked: Sequence[dict[str, Any] | None],
    visits: dict[str, list[list[Any]]],
) -> dict[str, Any]:
    """Return links and clusters of cases; those whose day of onset or sample is not known are left out."""
    import numpy as np

    from hanmaru.trace.engine import clusters, links, weights
    from hanmaru.trace.engine.onsets import COURSES, DAY_S

    known = [i for i, one in enumerate(clinical) if one.reference is not None]
    if len(known) < 2:
        return {"links": [], "clusters": []}
    ids, n = [rows[i].id for i in known], len(known)
    days = np.array([clinical[i].reference.toordinal() for i in known], np.int64)  # type: ignore[union-attr]
    onset_s = (days - 719_163) * DAY_S  # 719,163 is the ordinal of 1 January 1970
    always = np.full(n, weights.ALWAYS, np.int64)
    profile = room.profiles[disease]
    met: list[Encounters] = [_contacts(ids, [linked[i] for i in known]), _crossings([rows[i] for i in known], visits)]
    cases = weights.Cases(
        onset_s,
        np.array([clinical[i].onset is None for i in known]),
        onset_s - profile.exposure.to_days * DAY_S,
        onset_s - max(0, profile.exposure.from_days - 1) * DAY_S,
        always,
        (),
        np.full(n, math.nan),
        np.full(n, math.nan),
        tuple(one for one in met if len(one.a)),
    )
    course = COURSES.get(disease, COURSES["covid-19"])
    found = links.infer(cases, course)
    told: list[dict[str, Any]] = []
    for infectee, infector, probability, rank in zip(
        *(column.tolist() for column in (found.links.infectee, found.links.infector, found.links.probability,
                                         found.links.rank)), strict=True,
    ):  # fmt: skip
        if rank <= SHOWN:
            why = links.reasons(cases, course, found, infectee, infector) if infector >= 0 else []
            told.append(
                {
                    "infectee": ids[infectee],
                    "infector": ids[infector] if infector >= 0 else "imported",
                    "probability": round(probability, 4),
                    "rank": rank,
                    "reasons": [{"kind": one.kind, "log_ratio": round(one.log_ratio, 3)} for one in why],
                }
            )
    groups = clusters.clusters(n, found.links)
    return {
        "links": told,
        "clusters": [
            {
                "id": f"k{number}",
                "cases": [ids[i] for i in group.cases.tolist()],
                "probability": round(group.probability, 4),
            }
            for number, group in enumerate(groups, 1)
        ],
    }


def _contacts(ids: Sequence[str], linked: Sequence[dict[str, Any] | None]) -> "Encounters":
    """Return the encounters by name: cases that were opened for a contact of another."""
    import numpy as np

    from hanmaru.trace.engine.weights import ALWAYS, Encounters

    index = {id: i for i, id in enumerate(ids)}
    pairs = [(index[one["case"]], i) for i, one in enumerate(linked) if one and one["case"] in index]
    a, b = (np.array([pair[side] for pair in pairs], np.int64) for side in (0, 1))
    return Encounters("contact", a, b, np.full(len(pairs), -ALWAYS, np.int64), np.ones(len(pairs)))


def _crossings(rows: Sequence[CaseRow], visits: dict[str, list[list[Any]]]) -> "Encounters":
    """Return the encounters of cases at places, out of the visits that their investigations found."""
    from datetime import datetime

    import numpy as np

    from hanmaru.trace.domain import Visits
    from hanmaru.trace.engine.crossings import crossings
    from hanmaru.trace.engine.weights import Encounters

    every = [
        (i, int(datetime.fromisoformat(start).timestamp()), int(datetime.fromisoformat(end).timestamp()), lat, lon)
        for i, row in enumerate(rows)
        for start, end, lat, lon in visits.get(row.results or "", ())
    ]
    if not every:
        none = np.zeros(0, np.int64)
        return Encounters("visit", none, none, none, np.zeros(0))
    subject, start_s, end_s, lat, lon = (np.array(column) for column in zip(*sorted(every), strict=True))
    metres = 6_371_008.8 * math.pi / 180
    x, y = metres * lon * math.cos(math.radians(float(lat.mean()))), metres * lat
    nowhere = np.full(len(every), -1, np.int64)
    return crossings(Visits(subject, start_s, end_s, x, y, np.zeros(len(every)), nowhere))
