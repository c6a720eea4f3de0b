"""Providers' answers: which rows are within what was approved, and their way into the vault. Refused rows are counted
and never stored.
"""

# pyright: basic
# (pyarrow has no types)

import asyncio
import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from hanmaru.platform.policy import Caller
from hanmaru.platform.problems import Problem, invalid_request
from hanmaru.platform.vault import lake
from hanmaru.trace.cases.bounded import Counted, require_bounded
from hanmaru.trace.cases.findings import UNFINISHED_S
from hanmaru.trace.cases.records import Scope
from hanmaru.trace.cases.requests import answerable, purpose_of, scope_of, tend, visible, wake
from hanmaru.trace.cases.room import Room, now
from hanmaru.trace.cases.rows import AnswerRow, RequestRow
from hanmaru.trace.domain import TraceError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from hanmaru.trace.tables import Column

DATA: Final = "answer"
PSEUDONYM: Final = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"
"""How providers name people whom nobody named."""
MOST_BYTES: Final = 256 * 2**20
"""Largest answer."""


def columns(table: str) -> "Mapping[str, Column]":
    """Return the columns of an evidence table, as ``docs/reference/trace-files.md`` has them."""
    from hanmaru.trace import tables as t

    text, number, when = t.MAYBE_TEXT, t.MAYBE_NUMBER, t.MAYBE_WHEN
    place = {"lat": t.MAYBE_LAT, "lon": t.MAYBE_LON}
    made: dict[str, dict[str, Column]] = {
        "phone": {"subject": t.TEXT, "time": t.WHEN, "cell_id": text, **place, "accuracy_m": t.MAYBE_METRES},
        "cards": {
            "subject": t.TEXT, "time": t.WHEN, "merchant_id": t.TEXT, "amount_krw": number, "kind": t.TEXT,
            "posted": when, "channel": text,
        },
        "checkins": {"subject": t.TEXT, "time": t.WHEN, "place_id": t.TEXT},
        "gps": {"subject": t.TEXT, "time": t.WHEN, "lat": t.LAT, "lon": t.LON, "accuracy_m": t.MAYBE_METRES},
        "sightings": {"camera_id": t.TEXT, "time": t.WHEN, "end": when, "certainty": text, "reviewer": text},
    }  # fmt: skip
    return made[table]


async def take(
    room: Room, caller: Caller, id: str, named: str, body: bytes, where: str = "", name: str = "the answer"
) -> AnswerRow:
    """Take a provider's answer for a kind of data (or its table's name) and return what came of it.

    The same bytes again are the same answer. Raises Problem 400 for a table that cannot be read, 403 for a kind that
    the caller does not answer, 404, 409 when the request takes no answers.
    """
    request = await visible(room, caller, id)
    return await _take(
        room, caller, request, _kind(room, request, answerable(room, caller, request), named), body, where, name
    )


async def take_dropped(room: Room, id: str, named: str, body: bytes, name: str) -> AnswerRow:
    """Take an answer that a provider dropped as a file, as `take` does."""
    from hanmaru.trace.cases.room import SYSTEM

    request = await asyncio.to_thread(room.book.request, id)
    return await _take(room, SYSTEM, request, _kind(room, request, request.kinds, named), body, "", name)


async def _take(
    room: Room, caller: Caller, request: RequestRow, kind: str, body: bytes, where: str, name: str
) -> AnswerRow:
    what, detail = f"request/{request.id}/answers", {"kind": kind}
    if caller.kind != "system":
        await room.require(caller, "trace.answer", what, [request.case], purpose_of(request.id), where, detail)
    else:
        await room.tell(caller.name, "trace.answer", what, [request.case], purpose_of(request.id), detail=detail)
    if not request.takes_answers(now()):
        raise Problem(409, "Not in this state", f"The request is {request.state}; it takes no answers now.")
    answer_id = hashlib.sha256(f"{kind}|".encode() + body).hexdigest()[:24]
    if known := next((answer for answer in request.answers if answer.id == answer_id), None):
        return known
    scope = await scope_of(room, request)
    kept, counted = await asyncio.to_thread(lambda: sift(room, scope, kind, body, name))
    if len(kept):
        desk = room.own_desk(purpose_of(request.id))
        if (subject := request.data) is None:
            made = await desk.open_subject(DATA)
            await asyncio.to_thread(room.book.doom, made, now() + UNFINISHED_S)  # until the book has it
            subject = await asyncio.to_thread(room.book.keep_under, request.id, made)
            if subject != made:
                await desk.destroy(made, "another answer came at the same time")
        await lake.write_table(desk, subject, f"{room.country.kinds[kind].table}-{kind}-{answer_id}", kept)
    refused = dict(counted)
    answer = AnswerRow(answer_id, kind, caller.name, now(), len(kept) + sum(refused.values()), len(kept), refused)
    try:
        await asyncio.to_thread(room.book.answered, request.id, answer)
    except Problem:  # it was withdrawn meanwhile: what was written must not stay
        await tend(room, request.id)
        raise
    await wake(room, request.id)
    return answer


def sift(room: Room, scope: Scope, kind: str, body: bytes, name: str) -> "tuple[pa.Table, Counter[str]]":
    """Return the rows of an answer that are within what was approved, and how many were refused for which reason.

    ``unreadable``: a value that cannot be read; ``out_of_period``; ``other_subject``: of somebody nobody asked about;
    ``other_kind``: of another kind of data; ``out_of_area``, and ``no_position`` where an area was named and nobody
    knows where the row was. A row is counted once, by the first that fits. Raises Problem 400 for a table that is none.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute

    from hanmaru.trace import tables
    from hanmaru.trace.evidence.area import distance_m, positions

    if len(body) > MOST_BYTES:
        raise Problem(413, "Body too large", f"Send at most {MOST_BYTES} bytes at a time; several answers are fine.")
    rule, spoiled = room.country.kinds[kind], Counted()
    wanted = columns(rule.table)
    require_bounded(body, wanted)
    try:
        table = tables.read(body, wanted, name=name, spoiled=spoiled)
    except (pa.ArrowException, OSError):  # its text may quote what is in the file
        raise invalid_request(f"{name} cannot be read.") from None
    except TraceError as error:
        # The header that was found is not quoted: without one it is somebody's row.
        raise invalid_request(str(error).partition("; it has")[0].encode("utf-8", "replace").decode() + ".") from None
    counted: Counter[str] = Counter({"unreadable": spoiled.count_} if spoiled.count_ else {})
    good = np.ones(len(table), np.bool_)

    def refuse(why: str, bad: "np.ndarray") -> None:
        nonlocal good
        if n := int((good & bad).sum()):
            counted[why] += n
        good = good & ~bad

    at = tables.seconds(table, "time")
    refuse("out_of_period", (at < scope.period.start.timestamp()) | (at >= scope.period.end.timestamp()))
    if "subject" in table.column_names and not rule.others:
        asked = {*scope.subjects}
        refuse("other_subject", np.array([one not in asked for one in table["subject"].to_pylist()], np.bool_))
    elif "subject" in table.column_names:  # a pseudonym, which goes into tables and screens: an id and nothing else
        named: Any = pyarrow.compute
        refuse("unreadable", ~np.asarray(named.match_substring_regex(table["subject"], PSEUDONYM), np.bool_))
    if rule.rows:
        refuse("other_kind", np.array([kind != rule.rows for kind in table["kind"].to_pylist()], np.bool_))
    if scope.area is not None:
        lat, lon = positions(rule.table, table, _places(room, rule.table))
        unknown = np.isnan(lat) | np.isnan(lon)
        refuse("no_position", unknown)
        refuse("out_of_area", ~unknown & (distance_m(lat, lon, scope.area) > scope.area.radius_m))
    return table.filter(pa.array(good)), counted


def reference(room: Room, name: str) -> "Any":
    """Return the path of a reference table (cells, merchants, places, cameras), None where the city has none."""
    for suffix in (".parquet", ".csv"):
        if (path := room.folder / "reference" / (name + suffix)).is_file():
            return path
    return None


def _places(room: Room, name: str) -> "dict[str, pa.Table]":
    """Return the reference table that says where a table's rows were, none where the city has none."""
    from hanmaru.trace import tables
    from hanmaru.trace.evidence.area import WHERE

    listed, key = WHERE.get(name, ("", ""))
    if not listed or (path := reference(room, listed)) is None:
        return {}
    try:
        return {listed: tables.read(path, {key: tables.TEXT, "lat": tables.MAYBE_LAT, "lon": tables.MAYBE_LON})}
    except TraceError:
        raise Problem(
            503, "No reference", f"The city's {path.name} cannot be read; its rows cannot be placed."
        ) from None


def _kind(room: Room, request: RequestRow, own: "list[str] | Any", named: str) -> str:
    """Return which of a request's kinds an answer is, named by itself or by its table."""
    if named in own:
        return named
    fits = [kind for kind in own if room.country.kinds[kind].table == named]
    if len(fits) == 1:
        return fits[0]
    if named in request.kinds or any(room.country.kinds[kind].table == named for kind in request.kinds if not fits):
        raise Problem(403, "Not permitted", "That kind of data is for another provider to answer.")
    raise invalid_request(f"Say in kind what this is: one of {', '.join(own)}.")
