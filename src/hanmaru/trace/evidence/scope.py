"""What was approved, applied to tables: rows of others, of another time or of another kind are refused and counted."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false, reportMissingTypeStubs=false
# PyArrow brings no types.

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hanmaru.trace import tables
from hanmaru.trace.cases.records import Area
from hanmaru.trace.domain import Bools
from hanmaru.trace.evidence.area import distance_m, positions

KINDS: Final = {"phone": "location", "gps": "location", "checkins": "checkin", "sightings": "cctv"}
"""The kind of data that approvals name for each table; of cards it is the row's own, of statements none."""
PRESENCE: Final = "cell-presence"
"""The kind under which a carrier answers for people whom nobody named."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What one approval grants: kinds of data, of ``subjects``, from ``start_s`` up to ``end_s``, within ``area``."""

    request: str
    kinds: frozenset[str]
    subjects: frozenset[str]
    start_s: int
    end_s: int
    area: Area | None = None


@dataclass(slots=True)
class Sieve:
    """Refuses what no grant covers, and what lies outside the case's period; counts it in ``refused``.

    Without grants (test data) only the period counts. ``reference`` tells where rows without a position were.
    """

    start_s: int
    end_s: int
    grants: Sequence[Grant] | None
    refused: Counter[str]
    reference: Mapping[str, pa.Table] = field(default_factory=dict[str, pa.Table])

    def own(self, name: str, table: pa.Table, subject: str) -> pa.Table:
        """Return the rows of the case's own table that may be used."""
        mine = _is_in(table, [subject]) if "subject" in table.column_names else np.ones(len(table), np.bool_)
        allowed = np.zeros(len(table), np.bool_)
        for grant in self.grants or ():
            if subject in grant.subjects:
                allowed |= self._kinds(name, table, grant.kinds) & self._within(name, table, grant)
        return self._sift(table, mine & (allowed if self.grants is not None and name != "statements" else mine))

    def others(self, name: str, table: pa.Table, subject: str, present: Sequence[str] | None) -> pa.Table:
        """Return the rows of other people's table that may be used.

        Rows need an approval of their own kind that names their subject. Phone rows of people whom nobody named need
        one of `PRESENCE`, whose area and period are the whole permission. Other rows are taken only of the people
        ``present`` whom the phone rows named.
        """
        who = ~_is_in(table, [subject])
        if present is not None:
            who &= _is_in(table, present)
        allowed = np.zeros(len(table), np.bool_)
        for grant in self.grants or ():
            granted = self._kinds(name, table, grant.kinds) & _is_in(table, sorted(grant.subjects))
            if name == "phone" and PRESENCE in grant.kinds and grant.area is not None:
                granted[:] = True
            allowed |= granted & self._within(name, table, grant)
        return self._sift(table, who & (allowed if self.grants is not None else who))

    def _sift(self, table: pa.Table, in_scope: Bools) -> pa.Table:
        time = "time" if "time" in table.column_names else "start"
        at = tables.seconds(table, time)
        now = (at >= self.start_s) & (at < self.end_s)
        self.refused["out_of_period"] += int((~now).sum())
        self.refused["out_of_scope"] += int((now & ~in_scope).sum())
        good = now & in_scope
        return table if good.all() else table.filter(pa.array(good))

    @staticmethod
    def _kinds(name: str, table: pa.Table, kinds: frozenset[str]) -> Bools:
        if name != "cards":
            return np.full(len(table), KINDS.get(name, name) in kinds)
        transit = np.array([kind == "transit" for kind in table["kind"].to_pylist()], np.bool_)
        return np.where(transit, "transit" in kinds, "card" in kinds)

    def _within(self, name: str, table: pa.Table, grant: Grant) -> Bools:
        at = tables.seconds(table, "time") if "time" in table.column_names else tables.seconds(table, "start")
        during = (at >= grant.start_s) & (at < grant.end_s)
        if grant.area is None:
            return during
        lat, lon = positions(name, table, self.reference)
        return during & (distance_m(lat, lon, grant.area) <= grant.area.radius_m)  # NaN, which nobody knows, is not


def _is_in(table: pa.Table, subjects: Sequence[str]) -> Bools:
    found = cast(Any, pc).is_in(table["subject"], value_set=pa.array(list(subjects), pa.string()))
    return np.asarray(found, np.bool_)
