"""A case's folder as an investigator has it: `case.toml` and tables, as docs/reference/trace-files.md has them."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false, reportMissingTypeStubs=false
# PyArrow brings no types.

import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, cast

import pyarrow as pa

from hanmaru.trace import tables
from hanmaru.trace.domain import TraceError
from hanmaru.trace.evidence.inputs import EVIDENCE, OTHERS, REFERENCE, Case, CaseInputs
from hanmaru.trace.evidence.scope import Grant, Sieve

SUFFIXES: Final = (".parquet", ".csv")
MOST_S: Final = 366 * 86400
"""Longest period of a case, seconds."""


def case(folder: Path) -> Case:
    """Return the facts of `case.toml`; TraceError says what is wrong in it."""
    path = folder / "case.toml"
    try:
        facts = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise TraceError(f"{folder} is no case's folder: it has no case.toml") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TraceError(f"{path}: {error}") from None
    period = facts.get("period")
    if not isinstance(period, dict):
        raise TraceError(f"{path}: period = {{ start = …, end = … }} is missing")
    start, end = (
        _instant(cast("dict[str, Any]", period).get(key), f"{path}: period.{key}") for key in ("start", "end")
    )
    if not 0 < end - start <= MOST_S:
        raise TraceError(f"{path}: period ends before it starts, or is longer than a year")
    own: dict[str, tuple[float, float]] = {}
    places = facts.get("places")
    among: Mapping[str, Any] = {**(cast("dict[str, Any]", places) if isinstance(places, dict) else {}), **facts}
    for kind in ("home", "work"):
        if isinstance(where := among.get(kind), dict):
            own[kind] = _position(cast("dict[str, Any]", where), f"{path}: {kind}")
    return Case(
        id=_text(facts, "id", path),
        subject=_text(facts, "subject", path),
        start_s=start,
        end_s=end,
        own=own,
        disease=str(facts.get("disease", "")),
        zone=str(facts.get("timezone", "Asia/Seoul")),
    )


def read(folder: Path, facts: Case, grants: Sequence[Grant] | None, *, test_data: bool = False) -> CaseInputs:
    """Return what a case's folder holds, within the grants; None for test data, which needs none.

    Rows that cannot be read are counted; TraceError for a table that cannot be read at all, or no evidence.
    """
    refused: Counter[str] = Counter()
    reference = {
        name: table
        for name, columns in REFERENCE.items()
        if (table := _table(folder, name, columns, refused)) is not None
    }
    sieve = Sieve(facts.start_s, facts.end_s, grants, refused, reference)
    own = {
        name: sieve.own(name, table, facts.subject)
        for name, columns in EVIDENCE.items()
        if (table := _table(folder, name, columns, refused)) is not None
    }
    others: dict[str, pa.Table] = {}
    present: list[str] | None = None
    for name in OTHERS:
        if (table := _table(folder / "others", name, EVIDENCE[name], refused)) is not None:
            others[name] = sieve.others(name, table, facts.subject, present)
            if name == "phone":
                present = others[name]["subject"].unique().to_pylist()
    if not own and not others:
        raise TraceError(f"{folder} has no evidence: put phone.csv, cards.csv or another table there")
    requests = {name: ",".join(grant.request for grant in grants or ()) for name in own if name != "statements"}
    return CaseInputs(facts, reference, own, others, requests, dict(refused), test_data)


def _table(folder: Path, name: str, columns: tables.Columns, refused: Counter[str]) -> pa.Table | None:
    found = [path for suffix in SUFFIXES if (path := folder / (name + suffix)).exists()]
    if len(found) > 1:
        raise TraceError(f"{folder} has both {name}.parquet and {name}.csv; leave one")
    if not found:
        return None
    spoiled: list[TraceError] = []
    table = tables.read(found[0], columns, spoiled=spoiled)
    refused["unreadable"] += len(spoiled)
    return table


def _text(facts: dict[str, Any], key: str, path: Path) -> str:
    value = facts.get(key)
    if not isinstance(value, str) or not value:
        raise TraceError(f"{path}: {key} is missing")
    return value


def _instant(value: object, where: str) -> int:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise TraceError(f"{where} is no time; write it as 2020-05-01T00:00:00+09:00") from None
    if isinstance(value, datetime) and value.tzinfo is not None:
        return int(value.timestamp())
    raise TraceError(f"{where} is a time with a zone, such as 2020-05-01T00:00:00+09:00")


def _position(where: dict[str, Any], named: str) -> tuple[float, float]:
    lat, lon = where.get("lat"), where.get("lon")
    if isinstance(lat, int | float) and isinstance(lon, int | float) and abs(lat) <= 90 and abs(lon) <= 180:
        return float(lat), float(lon)
    raise TraceError(f"{named} is {{ lat = …, lon = … }} in degrees")
