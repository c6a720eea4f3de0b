"""Whose records a reader sees, as a condition that is part of every query.

A version belongs to nobody (everyone sees it), to one patient, to several, to an organisation or to the room. A
patient sees what is theirs alone. An organisation sees what is its own, and what belongs to patients each of whom has a
grant for it in force. The room sees all. Nothing is fetched first and filtered after.
"""

from typing import Final

from hanmaru.care.fhir.schema import EVERYONE, SEVERAL
from hanmaru.care.fhir.values import Reader

Condition = tuple[str, tuple[str | int, ...]]
"""SQL and the values of its question marks, in order."""

_OWN: Final = "SELECT key FROM owner WHERE kind = ? AND id = ?"
_GRANTED: Final = "SELECT 1 FROM grants g WHERE g.organisation = ? AND g.owner = {of} AND ? BETWEEN g.since AND g.until"


def seen(reader: Reader, alias: str, now: int) -> Condition:
    """Return the condition that a row ``alias`` of ``resource`` or ``version`` (owner, seq) may be seen at an instant.

    ``now`` is in µs since 1970. Put it beside every such row that a query touches, of chains and includes, too.
    """
    if reader.kind == "all":
        return "1", ()
    own = f"{alias}.owner IN ({EVERYONE}, ({_OWN}))"
    if reader.kind == "patient":
        return own, ("patient", reader.id)
    granted = _GRANTED.format(of=f"{alias}.owner")
    each = (
        f"{alias}.owner = {SEVERAL} AND NOT EXISTS (SELECT 1 FROM owners o WHERE o.seq = {alias}.seq"
        f" AND NOT EXISTS ({_GRANTED.format(of='o.owner')}))"
    )
    sql = f"({own} OR EXISTS ({granted}) OR ({each}))"
    return sql, ("organisation", reader.id, reader.id, now, reader.id, now)
