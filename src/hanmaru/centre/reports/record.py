"""What the record of events holds for reports: the events of a period in an area, and all of one event. Blocks."""

import time
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hanmaru.centre.events import rows, shapes
from hanmaru.centre.reports.area import Area
from hanmaru.centre.reports.drawn import point_of
from hanmaru.centre.reports.figures import Period

MOST: Final = 200
MOST_LOOKED: Final = 5_000

Json = dict[str, Any]


def events(db: rows.Db, area: Area, period: Period, *, whole: bool) -> tuple[list[Json], int]:
    """Return the events that went on in a period, the newest first, and how many more there were.

    An event lies where its location's first position does; what has none belongs to the ``whole`` city only. At most
    `MOST` are told, of the `MOST_LOOKED` newest. A closed one has its closing entry as its only line of timeline.
    """
    start, end = period.start.timestamp(), period.end.timestamp()
    found = [
        rows.decoded(body, seq)
        for body, seq in db.execute(
            "SELECT body, seq FROM event WHERE opened < ? ORDER BY ord DESC LIMIT ?", (end, MOST_LOOKED)
        )
    ]
    points = [point_of(event.location) for event in found]
    inside = area.holding([{"type": "Point", "coordinates": point} if point else None for point in points])
    told = [
        event
        for event, point, there in zip(found, points, inside, strict=True)
        if (there or (whole and point is None)) and (event.closed is None or event.closed >= start)
    ]
    shown = told[:MOST]
    marks = ",".join("?" * len(shown))
    last = {
        id: {"what": "closed", "text": msgspec.json.decode(text)}
        for id, text in db.execute(
            f"SELECT event, text FROM entry WHERE what = 'closed' AND event IN ({marks}) ORDER BY seq",  # noqa: S608
            [event.id for event in shown],
        )
    }
    now = time.time()
    listed = [{**shapes.event(event, now), "timeline": [last[event.id]] if event.id in last else []} for event in shown]
    return listed, len(told) - len(shown)


def whole(db: rows.Db, id: str) -> Mapping[str, Any]:
    """Return an event with its timeline, its procedure and its hand-overs. Raises CentreError for none."""
    event = rows.event(db, id)
    run = rows.run(db, event)
    handed = db.execute(
        "SELECT h.step, h.state, h.attempts, h.at, h.reference, h.reason, a.name, h.agency, h.kind FROM handover h"
        " LEFT JOIN agency a ON a.id = h.agency WHERE h.event = ? ORDER BY h.at LIMIT 500",
        (id,),
    )
    return {
        "event": shapes.event(event, time.time(), rows.timeline(db, id)),
        "run": None if run is None else shapes.run(run),
        "handovers": [
            {
                "step": step,
                "state": state,
                "attempts": attempts,
                "at": shapes.instant(at),
                "reference": reference,
                "reason": reason,
                "agency": msgspec.json.decode(name) if name else agency or kind,
            }
            for step, state, attempts, at, reference, reason, name, agency, kind in handed
        ],
    }
