"""HTTP of events and of the procedures that they follow, thin."""

import hashlib
import math
import re
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute

from hanmaru.centre.agencies import api as agencies
from hanmaru.centre.agencies.delivery import plain
from hanmaru.centre.domain import SEVERITIES, Severity, Text
from hanmaru.centre.events import rows, shapes
from hanmaru.centre.events.feed import NOTICE, Tail, notice
from hanmaru.centre.events.folding import apart_m, point_of
from hanmaru.centre.events.model import STATES, VERBS, Act, Event
from hanmaru.centre.events.opening import opener
from hanmaru.centre.procedures import api as procedures
from hanmaru.centre.procedures.model import Deed, Role, Run
from hanmaru.hub.client import HubClient
from hanmaru.platform.bodies import answer, idempotency_key, read
from hanmaru.platform.policy import GuardedRoute, audit_of, caller_of, policy_of, record_of, refusal
from hanmaru.platform.problems import Problem, invalid_request, not_found
from hanmaru.platform.services import Context

DOES: Mapping[Role, str] = {"operator": "centre.act", "supervisor": "centre.rules", "cctv-officer": "centre.clips"}
"""Which permission does the steps, and reads the messages, of a role."""
MOST = 200
MOST_SCANNED = 5_000
MOST_LANGUAGES = 10
_CATEGORY = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,39}")


class Raised(msgspec.Struct, forbid_unknown_fields=True):
    """The body of ``POST /events``: an event that somebody saw or was told of."""

    category: str
    severity: Severity
    title: str | dict[str, str]
    location: dict[str, Any] | None = None
    note: str = ""
    procedure: str | None = None


class Wanted(msgspec.Struct, forbid_unknown_fields=True):
    """The body of ``POST /events/{id}/procedure``."""

    procedure: str


def routes(ctx: Context[HubClient]) -> Sequence[BaseRoute]:
    """Return the routes."""
    opened = opener(ctx)
    tails: list[Tail] = []

    async def listed(request: Request) -> Response:
        """Return events, newest first."""
        limit = whole(request, "limit", 50, MOST)
        before = whole(request, "before", 2**62, 2**62)
        where, values, area = _filters(request)
        book = await opened()

        def find(db: rows.Db) -> tuple[list[Event], int | None]:
            found: list[Event] = []
            last, scanned = before, 0
            while scanned < MOST_SCANNED:
                page = db.execute(
                    f"SELECT ord, body, seq FROM event WHERE ord < ? AND {where} ORDER BY ord DESC LIMIT ?",  # noqa: S608
                    (last, *values, limit),
                ).fetchall()
                for last, body, seq in page:
                    event = rows.decoded(body, seq)
                    point = point_of(event.location)
                    if area is None or (point and apart_m(point, area[:2]) <= area[2]):
                        found.append(event)
                    if len(found) == limit:
                        return found, last
                if len(page) < limit:
                    return found, None
                scanned += len(page)
            return found, last

        events, last = await book.read(find)
        now = time.time()
        return answer({"items": [shapes.event(one, now) for one in events], "next": last and str(last)})

    async def raised(request: Request) -> Response:
        """Begin an event by hand."""
        body = await read(request, Raised, '{"category", "severity", "title", "location"?, "note"?, "procedure"?}')
        if not _CATEGORY.fullmatch(body.category):
            raise invalid_request("category is letters, digits and hyphens, at most 40, such as security.")
        if len(body.note) > 2000:
            raise invalid_request("note is at most 2000 characters.")
        event = await (await opened()).raise_by_hand(
            caller_of(request).name,
            body.category,
            body.severity,
            _title(body.title),
            _point(body.location),
            body.note.strip(),
            body.procedure,
            (key, hashlib.sha256(msgspec.json.encode(body)).digest()) if (key := idempotency_key(request)) else None,
        )
        return await shown(event.id, 201)

    async def shown(id: str, status: int = 200) -> Response:
        book = await opened()
        event, timeline = await book.read(lambda db: (rows.event(db, id), rows.timeline(db, id)))
        return answer(shapes.event(event, time.time(), timeline), status)

    async def one(request: Request) -> Response:
        """Return an event with its timeline."""
        return await shown(request.path_params["id"])

    async def acted(request: Request) -> Response:
        """Do something with an event."""
        verb = request.path_params["verb"]
        if verb not in VERBS:
            raise not_found(f"An event is not worked on with {verb[:40]!r}: use {', '.join(VERBS)}.")
        act = await read(request, Act, '{"reason"?, "text"?, "severity"?, "into"?, "to"?}')
        id = request.path_params["id"]
        book = await opened()
        await book.read(lambda db: rows.event(db, id))
        caller = caller_of(request)
        may_end = policy_of(request).allows(caller, DOES["supervisor"])
        await book.act(id, verb, act, caller.name, may_end=may_end)
        return await shown(id)

    async def stream(request: Request) -> Response:
        """Stream what changes."""
        seen = request.headers.get("last-event-id") or request.query_params.get("after")
        if seen is not None and not re.fullmatch(r"[0-9]{1,18}", seen):
            raise invalid_request("Last-Event-ID (or after) has to be a sequence number.")
        caller, policy = caller_of(request), policy_of(request)
        if not tails:
            tails.append(Tail(await opened()))
            ctx.closing.push_async_callback(tails[0].close)

        def roles() -> set[str]:
            """Return whose messages the viewer reads; policy may change while they look."""
            if not policy.allows(caller, "centre.watch"):
                return set()
            return {"all", *(role for role, action in DOES.items() if policy.allows(caller, action))}

        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        body = tails[0].stream(int(seen) if seen else None, roles)
        return StreamingResponse(body, media_type="text/event-stream", headers=headers)

    async def begun(request: Request) -> Response:
        """Begin a procedure for an event."""
        body = await read(request, Wanted, '{"procedure"}')
        id, book = request.path_params["id"], await opened()
        await book.read(lambda db: rows.event(db, id))
        _, run = await book.begin_procedure(id, body.procedure, caller_of(request).name)
        return answer(shapes.run(run), 201)

    async def going(request: Request) -> Response:
        """Return how far an event's procedure has come."""
        id, book = request.path_params["id"], await opened()
        run = await book.read(lambda db: rows.run(db, rows.event(db, id)))
        if run is None:
            raise not_found("This event follows no procedure: start one.")
        return answer(shapes.run(run))

    async def stepped(request: Request) -> Response:
        """Do something with a step, as who may do the steps of its role."""
        deed = await read(request, Deed, '{"do", "item"?, "option"?, "reason"?, "text"?}')
        id, step, book = request.path_params["id"], request.path_params["step"], await opened()
        caller, policy = caller_of(request), policy_of(request)
        may_skip = policy.allows(caller, DOES["supervisor"])

        def check(run: Run) -> None:
            found = run.step(step)
            action = DOES[found[0].role] if found else "centre.act"
            if not (policy.allows(caller, action) or (deed.do == "skip" and may_skip)):
                raise refusal(caller, action)

        await book.read(lambda db: rows.event(db, id))
        try:
            _, run = await book.step(id, step, deed, caller.name, may_skip=may_skip, check=check)
        except Problem as problem:
            if problem.status == 403 and (audit := audit_of(request)):
                await audit.commit(record_of(request, "centre.act", allowed=False))
            raise
        return answer(shapes.run(run))

    async def notices(request: Request) -> Response:
        """Return the messages to the caller's roles, newest first."""
        limit, before = whole(request, "limit", 50, MOST), whole(request, "before", 2**62, 2**62)
        caller, policy = caller_of(request), policy_of(request)
        roles = ["all", *(role for role, action in DOES.items() if policy.allows(caller, action))]
        marks = ",".join("?" * len(roles))
        book = await opened()
        found = await book.read(
            lambda db: db.execute(
                f"SELECT {NOTICE} WHERE n.seq < ? AND n.role IN ({marks}) ORDER BY n.seq DESC LIMIT ?",
                (before, *roles, limit),
            ).fetchall()
        )
        items = [notice(row) for row in found]
        return answer({"items": items, "next": str(items[-1]["seq"]) if len(items) == limit else None})

    async def seen(request: Request) -> Response:
        """Note that the caller has read a message; the first reader is kept."""
        seq, who = request.path_params["seq"], caller_of(request).name
        caller, policy, book = caller_of(request), policy_of(request), await opened()

        def work(db: rows.Db) -> Any:
            row = db.execute(f"SELECT {NOTICE} WHERE n.seq = ?", (seq,)).fetchone()
            action = DOES.get(row[4], "centre.watch") if row else ""
            if row is None or not policy.allows(caller, action):
                raise not_found("There is no such message to you.")
            db.execute("UPDATE notice SET seen_by = ?, seen_at = ? WHERE seq = ? AND seen_by IS NULL",
                       (who, time.time(), seq))  # fmt: skip
            return db.execute(f"SELECT {NOTICE} WHERE n.seq = ?", (seq,)).fetchone()

        return answer(notice(await book.write(work)))

    act, watch = "centre.act", "centre.watch"
    return [
        GuardedRoute("/events", listed, permission=watch),
        GuardedRoute("/events", raised, permission=act, methods=["POST"]),
        GuardedRoute("/events/stream", stream, permission=watch),
        GuardedRoute("/events/{id}", one, permission=watch),
        GuardedRoute("/events/{id}/procedure", going, permission=watch),
        GuardedRoute("/events/{id}/procedure", begun, permission=act, methods=["POST"]),
        GuardedRoute("/events/{id}/procedure/steps/{step}", stepped, permission=watch, methods=["POST"]),
        GuardedRoute("/events/{id}/{verb}", acted, permission=act, methods=["POST"]),
        GuardedRoute("/notices", notices, permission=watch),
        GuardedRoute("/notices/{seq:int}/seen", seen, permission=watch, methods=["POST"]),
        *procedures.routes(opened),
        *agencies.routes(ctx, opened),
    ]


Area = tuple[float, float, float]


def _filters(request: Request) -> tuple[str, list[Any], Area | None]:
    """Return the query string's filters as SQL and values, and the circle that is asked for. Raises Problem 400."""
    query = request.query_params
    parts, values = ["1"], list[Any]()
    for name, allowed in (("state", STATES), ("severity", SEVERITIES)):
        if wanted := [one for one in query.get(name, "").split(",") if one]:
            if not {*wanted} <= {*allowed}:
                raise invalid_request(f"{name} is some of {', '.join(allowed)}, separated by commas.")
            parts.append(f"{name} IN ({','.join('?' * len(wanted))})")
            values += wanted
    if category := query.get("category"):
        parts.append("category = ?")
        values.append(category)
    for name, compare in (("from", ">="), ("to", "<")):
        if text := query.get(name):
            parts.append(f"opened {compare} ?")
            values.append(_instant(name, text))
    if text := query.get("q", "").strip().casefold()[:100]:
        parts.append("instr(words, ?)")
        values.append(text)
    area = None
    if text := query.get("area"):
        area = _area(text)
        lon, lat, reach = area
        north = math.degrees(reach / 6_371_000) * 1.01
        east = north / max(math.cos(math.radians(lat)), 0.01)
        parts.append("lon BETWEEN ? AND ? AND lat BETWEEN ? AND ?")
        values += [lon - east, lon + east, lat - north, lat + north]
    return " AND ".join(parts), values, area


def _area(text: str) -> Area:
    try:
        lon, lat, reach = (float(part) for part in text.split(","))
    except ValueError:
        lon = lat = reach = math.nan
    if not (-180 <= lon <= 180 and -90 <= lat <= 90 and 0 < reach <= 100_000):
        raise invalid_request("area is lon,lat,metres, such as 127.28,36.48,500.")
    return lon, lat, reach


def _instant(name: str, text: str) -> float:
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise ValueError
        return at.timestamp()
    except (ValueError, OverflowError):
        raise invalid_request(f"{name} is an instant such as 2026-11-23T09:00:00Z.") from None


def whole(request: Request, name: str, default: int, most: int) -> int:
    """Return a whole number from the query string: 1 to ``most``. Raises Problem 400."""
    text = request.query_params.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,19}", text) or not 1 <= int(text) <= most:
        raise invalid_request(f"{name} is a whole number from 1 to {most}.")
    return int(text)


def _title(title: str | dict[str, str]) -> Text:
    given = {"en": title, "ko": title} if isinstance(title, str) else title
    if any(not (tag.isascii() and tag.isalpha() and len(tag) <= 8) for tag in given) or len(given) > MOST_LANGUAGES:
        raise invalid_request(f"title is in at most {MOST_LANGUAGES} languages, named as en and ko are.")
    texts = {tag: shown for tag, text in given.items() if (shown := plain(text, 301).strip())}
    if not texts or any(len(text) > 300 for text in texts.values()):
        raise invalid_request("title is a text of at most 300 characters, or one in each language.")
    return texts if "en" in texts else {**texts, "en": next(iter(texts.values()))}


def _point(location: dict[str, Any] | None) -> dict[str, Any] | None:
    if location is None:
        return None
    match location:
        case {"type": "Point", "coordinates": [int() | float() as lon, int() | float() as lat]} if (
            not isinstance(lon, bool) and not isinstance(lat, bool) and -180 <= lon <= 180 and -90 <= lat <= 90
        ):
            return {"type": "Point", "coordinates": [lon, lat]}
        case _:
            raise invalid_request('location is {"type": "Point", "coordinates": [lon, lat]}.')
