"""Files of cases, visits and contact pairs, read into what `engine.links` reasons on.

Only columns of a known meaning are read. A column that states who infected whom, from where, in which generation or in
which cluster is never one of them, whatever else its name says (`states_source`).
"""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import numpy as np

from hanmaru.trace import tables
from hanmaru.trace.domain import Floats, Ints, TraceError, Visits
from hanmaru.trace.engine.crossings import crossings
from hanmaru.trace.engine.plane import Plane
from hanmaru.trace.engine.weights import ALWAYS, Cases, Encounters, Grouping

SOURCE_WORDS = frozenset(
    "infector infectors infected infectedby infectee infectees infection infections source sources generation gen"
    " cluster clusters edge edges parent ancestor chain order origin index link links linked transmission"
    " contact contacts note notes comment comments".split()
)
SOURCE_PARTS = ("감염", "전파", "집단", "군집", "세대", "접촉", "비고")
FROM_NAMES = frozenset("start_source exposure_start exposure_from exposed_from".split())
UNTIL_NAMES = frozenset("end_source exposure_end exposure_until exposed_until".split())
REPORT_NAMES = frozenset(
    "confirmed confirmed_date confirm_date confirmation_date date_confirmed date_of_confirmation reported reported_date"
    " report_date date_reported date_of_report date_of_reporting diagnosed diagnosis_date date_of_diagnosis".split()
)
ISOLATED_NAMES = frozenset(
    "isolated isolated_date isolation_date date_of_isolation quarantined quarantine_date hospitalised hospitalized"
    " date_of_hospitalisation date_of_hospitalization hospitalisation_date hospitalization_date admitted"
    " admission_date".split()
)
GLOBE_NAMES = (("lon", "lat"), ("lng", "lat"), ("long", "lat"), ("longitude", "latitude"))
PLANE_NAMES = (("x_loc", "y_loc"), ("x_m", "y_m"), ("x", "y"))
AREA_WORDS = frozenset(
    "city town village district municipality province county region prefecture postcode postal zip dong gu"
    " neighbourhood neighborhood street 시도 시군구 읍면동 동 구 시 도".split()
)
HOME_WORDS = frozenset("family household house home hh address 가구 가족 세대주 주소".split())
OUTER_WORDS = frozenset(
    "school kindergarten academy university workplace work company office employer hospital clinic facility institution"
    " church congregation dormitory dorm club group 학교 학원 직장 회사 병원 시설 교회".split()
)
INNER_WORDS = frozenset("class classroom grade ward department team room floor 학급 반 병동 부서".split())
MEASURE_WORDS = frozenset("age size count number type kind status date time lat lon phone email".split())
NOON, END = 12, 24
IMPORTED = "imported"
"""The infector of who was infected by nobody in the list."""
NOT_HOME = frozenset("hospital clinic airport station transportation transport 병원 공항".split())
NO_GROUP = frozenset("na n/a nan none null unknown other etc -".split())


@dataclass(frozen=True, eq=False, slots=True)
class CaseFile:
    """Cases with their ``ids`` (n,), which columns were ``used`` and ``unread``, and ``warnings`` to show."""

    ids: list[str]
    cases: Cases
    used: list[str]
    unread: list[str]
    warnings: list[str]


def states_source(name: str) -> bool:
    """Return whether a column may state who infected a case, its generation or its cluster; such are never read."""
    plain = _plain(name)
    if plain in FROM_NAMES | UNTIL_NAMES:
        return False
    words = {re.sub(r"\d+$", "", word) for word in plain.split("_")}
    return bool(words & SOURCE_WORDS) or any(part in plain for part in SOURCE_PARTS)


def read_cases(path: Path) -> CaseFile:
    """Return the cases of a file with ``case_id``, ``onset`` and attribute columns (docs/reference/trace-files.md).

    A case without an onset is dated by its report; without either it is left out with a warning. Raises TraceError for
    a file, row or value that cannot be read.
    """
    columns, rows = _text(path)
    names = {_plain(column): column for column in reversed(list(columns)) if not states_source(column)}
    for needed in ("case_id", "onset"):
        if needed not in names:
            raise TraceError(f"{path.name} lacks the column {needed}; it has {', '.join(columns) or 'nothing'}")
    used = {"case_id", "onset"}

    def dates(wanted: frozenset[str], hour: int) -> list[int | None]:
        """Return the earliest of the wanted columns' times, a date as that hour of it."""
        best: list[int | None] = [None] * rows
        for plain in sorted(wanted & set(names)):
            used.add(plain)
            for i, text in enumerate(columns[names[plain]]):
                when = _when(text, f"{path.name}, row {_row(path, i)}, column {names[plain]}", hour)
                earlier = best[i]
                if when is not None and (earlier is None or when < earlier):
                    best[i] = when
        return best

    onset, report = dates(frozenset(["onset"]), NOON), dates(REPORT_NAMES, NOON)
    isolated = dates(ISOLATED_NAMES | REPORT_NAMES, END)
    since, until = dates(FROM_NAMES, 0), dates(UNTIL_NAMES, END)
    ids = columns[names["case_id"]]
    seen: dict[str, int] = {}
    for i, case_id in enumerate(ids):
        if not case_id:
            raise TraceError(f"{path.name}, row {_row(path, i)}, column case_id is empty")
        if case_id == IMPORTED:
            raise TraceError(
                f"{path.name}, row {_row(path, i)}: {IMPORTED} is what sources outside the list are called"
            )
        if case_id in seen:
            raise TraceError(f"{path.name}, row {_row(path, i)}: case_id {case_id} is there twice")
        seen[case_id] = i
        a, b = since[i], until[i]
        if a is not None and b is not None and a > b:
            raise TraceError(f"{path.name}, row {_row(path, i)}: the exposure window ends before it begins")
    kept = [i for i in range(rows) if onset[i] is not None or report[i] is not None]
    warnings: list[str] = []
    if len(kept) < rows:
        warnings.append(f"{rows - len(kept)} cases have neither onset nor report date and are left out")
    pick = np.array(kept, dtype=np.int64)
    groups = _groupings({plain: [columns[names[plain]][i] for i in kept] for plain in names}, used)
    x, y = _positions(path, columns, names, used, rows)
    cases = Cases(
        onset_s=np.array([_first(onset[i], report[i]) for i in kept], dtype=np.int64),
        reported=np.array([onset[i] is None for i in kept], dtype=np.bool_),
        exposed_from_s=_bounds([since[i] for i in kept], -ALWAYS),
        exposed_to_s=_bounds([until[i] for i in kept], ALWAYS),
        isolated_s=_bounds([isolated[i] for i in kept], ALWAYS),
        groups=groups,
        x_m=x[pick],
        y_m=y[pick],
    )
    unread = [column for column in columns if _plain(column) not in used or names.get(_plain(column)) != column]
    return CaseFile([ids[i] for i in kept], cases, [names[plain] for plain in names if plain in used], unread, warnings)


def with_visits(file: CaseFile, path: Path) -> CaseFile:
    """Return the cases with the crossings of their visits: ``subject``, ``lat``, ``lon`` and ``start,end`` or ``date``.

    If no case has a position, it gets the median of its visits', those left out whose ``type`` is of `NOT_HOME`: people
    from everywhere are treated in one hospital. Visits of others are left out and counted.
    """
    columns, rows = _text(path)
    names = {_plain(column): column for column in columns}
    for needed in ("subject", "lat", "lon"):
        if needed not in names:
            raise TraceError(f"{path.name} lacks the column {needed}; it has {', '.join(columns) or 'nothing'}")
    start = names.get("start", names.get("date"))
    if start is None:
        raise TraceError(f"{path.name} lacks the columns start and end, or date; it has {', '.join(columns)}")
    end = names.get("end", start)
    known = {case_id: i for i, case_id in enumerate(file.ids)}
    places: dict[str, int] = {}
    place_column = columns[names["place_id"]] if "place_id" in names else [""] * rows
    kind = next((names[name] for name in ("type", "kind") if name in names), None)
    kinds = columns[kind] if kind else [""] * rows
    made: list[tuple[int, int, int, float, float, int, bool]] = []
    others = 0
    for i, subject in enumerate(columns[names["subject"]]):
        where = f"{path.name}, row {_row(path, i)}, column"
        begun = _when(columns[start][i], f"{where} {start}", 0)
        ended = _when(columns[end][i], f"{where} {end}", END)
        lat, lon = (
            _number(columns[names[name]][i], f"{where} {name}", limit) for name, limit in (("lat", 90), ("lon", 180))
        )
        if begun is None or ended is None:
            raise TraceError(f"{where} {start if begun is None else end} is empty")
        if ended < begun:
            raise TraceError(f"{path.name}, row {_row(path, i)}: the visit ends before it begins")
        if subject not in known:
            others += 1
            continue
        place = places.setdefault(place_column[i], len(places)) if place_column[i] else -1
        made.append((known[subject], begun, ended, lat, lon, place, bool(set(_plain(kinds[i]).split("_")) & NOT_HOME)))
    warnings = [*file.warnings, *([f"{others} visits are of nobody in the list and are left out"] if others else [])]
    if not made:
        return replace(file, warnings=warnings)
    subject, begun_s, ended_s, lat, lon, place, away = (np.array(column) for column in zip(*made, strict=True))
    finite = np.isfinite(lat) & np.isfinite(lon)
    plane = Plane.about(lon[finite], lat[finite])
    x, y = plane.xy(lon, lat)
    visits = Visits(subject, begun_s, ended_s, x, y, np.zeros(len(x)), place)
    cases = replace(file.cases, encounters=(*file.cases.encounters, crossings(visits)))
    if not np.isfinite(file.cases.x_m).any():
        home_x, home_y = np.full(len(file.ids), np.nan), np.full(len(file.ids), np.nan)
        usual = finite & ~away
        for i in np.unique(subject[usual]):
            mine = usual & (subject == i)
            home_x[i], home_y[i] = np.median(x[mine]), np.median(y[mine])
        cases = replace(cases, x_m=home_x, y_m=home_y)
    return replace(file, cases=cases, warnings=warnings)


def with_contacts(file: CaseFile, path: Path) -> CaseFile:
    """Return the cases with known contact pairs: ``case_id,contact_id`` or ``index,subject`` (as ``trace contacts``
    writes), optionally ``date`` or ``start``, and ``probability`` as weight. Pairs with somebody unknown are counted.
    """
    columns, rows = _text(path)
    names = {_plain(column): column for column in columns}
    pair = next((pair for pair in (("case_id", "contact_id"), ("index", "subject")) if set(pair) <= set(names)), None)
    if pair is None:
        has = ", ".join(columns) or "nothing"
        raise TraceError(f"{path.name} lacks the columns case_id and contact_id, or index and subject; it has {has}")
    known = {case_id: i for i, case_id in enumerate(file.ids)}
    when = next((names[name] for name in ("date", "start") if name in names), None)
    made: list[tuple[int, int, int, float]] = []
    others = 0
    for i in range(rows):
        where = f"{path.name}, row {_row(path, i)}, column"
        a, b = (known.get(columns[names[name]][i]) for name in pair)
        moment = _when(columns[when][i], f"{where} {when}", NOON) if when else None
        weight = 1.0
        if "probability" in names and columns[names["probability"]][i]:
            weight = _number(columns[names["probability"]][i], f"{where} probability", 1)
            if weight < 0:
                raise TraceError(f"{where} probability: {weight:g} is not between 0 and 1")
        if a is None or b is None or a == b:
            others += 1
        elif weight > 0:
            made.append((min(a, b), max(a, b), -ALWAYS if moment is None else moment, weight))
    warnings = [*file.warnings, *([f"{others} contact pairs are not of two cases in the list"] if others else [])]
    if not made:
        return replace(file, warnings=warnings)
    first, second, time_s, weights = (np.array(column) for column in zip(*made, strict=True))
    encounters = Encounters("contact", first, second, time_s, weights)
    return replace(file, cases=replace(file.cases, encounters=(*file.cases.encounters, encounters)), warnings=warnings)


def _text(path: Path) -> tuple[dict[str, list[str]], int]:
    """Return a file's columns as text, and how many rows there are."""
    import pyarrow as pa
    import pyarrow.csv as arrow_csv
    import pyarrow.parquet as pq

    source: Path | bytes = path
    try:
        with path.open("rb") as file:
            parquet = file.read(4) == tables.PARQUET
        if parquet:
            sink = io.BytesIO()
            table = pq.read_table(path)
            for i, field in enumerate(table.schema):
                if pa.types.is_dictionary(field.type):
                    table = table.set_column(i, field.name, table[i].cast(field.type.value_type))
            arrow_csv.write_csv(table, sink)
            source = sink.getvalue()
            header = table.column_names
        else:
            with path.open(encoding="utf-8-sig", newline="") as lines:
                header = next(csv.reader(lines), [])
    except FileNotFoundError:
        raise TraceError(f"{path}: there is no such file") from None
    except (OSError, UnicodeDecodeError, csv.Error, pa.ArrowException) as error:
        raise TraceError(f"{path.name} cannot be read: {error}") from None
    header = [name for name in dict.fromkeys(header) if name.strip()]
    if not header:
        raise TraceError(f"{path.name} is empty; its first line names the columns")
    table = tables.read(source, dict.fromkeys(header, tables.MAYBE_TEXT), name=path.name)
    columns = {name: [(value or "").strip() for value in table[name].to_pylist()] for name in header}
    return {
        name: ["" if value in tables.BLANK else value for value in values] for name, values in columns.items()
    }, len(table)


def _row(path: Path, i: int) -> int:
    return i + (1 if path.suffix == ".parquet" else 2)


def _plain(name: str) -> str:
    return re.sub(r"[^\w]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.strip())).strip("_").lower()


def _when(text: str, where: str, hour: int) -> int | None:
    """Return Unix seconds of a time with a zone, or of that ``hour`` (UTC) of a date; None for an empty value."""
    if not text:
        return None
    shown = text if len(text) <= 40 else text[:40] + "…"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise TraceError(
            f"{where}: {shown} is no date or time; write it as 2020-05-01 or 2020-05-01T09:00:00+09:00"
        ) from None
    if moment.tzinfo is None:
        if moment.time() != time():
            raise TraceError(f"{where}: {shown} has no zone; write it as 2020-05-01T09:00:00+09:00 or …Z")
        return (moment.replace(tzinfo=UTC) - tables.EPOCH) // timedelta(seconds=1) + hour * 3600
    return (moment - tables.EPOCH) // timedelta(seconds=1)


def _number(text: str, where: str, limit: float) -> float:
    if not text:
        return np.nan
    try:
        number = float(text)
    except ValueError:
        raise TraceError(f"{where}: {text[:40]} is not a number") from None
    if not abs(number) <= limit:
        raise TraceError(f"{where}: {text[:40]} is not between -{limit:g} and {limit:g}")
    return number


def _first(onset: int | None, report: int | None) -> int:
    return onset if onset is not None else report if report is not None else 0


def _bounds(times: Sequence[int | None], none: int) -> Ints:
    return np.array([none if when is None else when for when in times], dtype=np.int64)


def _groupings(columns: dict[str, list[str]], used: set[str]) -> tuple[Grouping, ...]:
    """Return the columns that form groups; a class within its school, a town within its region."""
    kinds: dict[str, str] = {}
    inner: set[str] = set()
    for plain in columns:
        words = set(plain.split("_"))
        if plain in used or words & MEASURE_WORDS:
            continue
        if words & AREA_WORDS:
            kinds[plain] = "area"
        elif words & HOME_WORDS:
            kinds[plain] = "household"
        elif words & (INNER_WORDS | OUTER_WORDS):
            kinds[plain] = "group"
            if words & INNER_WORDS:
                inner.add(plain)
    values = {plain: ["" if v.lower() in NO_GROUP else v for v in columns[plain]] for plain in kinds}
    areas = sorted((p for p, kind in kinds.items() if kind == "area"), key=lambda p: (len(set(values[p])), p))
    outer = sorted(p for p, kind in kinds.items() if kind == "group" and p not in inner)
    made: list[Grouping] = []
    for plain, kind in sorted(kinds.items()):
        within = areas[: areas.index(plain)] if kind == "area" else outer if plain in inner else []
        joined = list(zip(values[plain], *(values[other] for other in within), strict=True))
        code: dict[tuple[str, ...], int] = {}
        codes = np.array([code.setdefault(v, len(code)) if v[0] else -1 for v in joined], dtype=np.int64)
        if 1 < len(code) < int((codes >= 0).sum()):  # some share a value, and others do not
            made.append(Grouping(plain, kind, codes))
            used.add(plain)
    return tuple(made)


def _positions(
    path: Path, columns: dict[str, list[str]], names: dict[str, str], used: set[str], rows: int
) -> tuple[Floats, Floats]:
    def numbers(plain: str, limit: float) -> Floats:
        used.add(plain)
        where = f"{path.name}, row {{}}, column {names[plain]}"
        return np.array([_number(v, where.format(_row(path, i)), limit) for i, v in enumerate(columns[names[plain]])])

    for x, y in GLOBE_NAMES:
        if x in names and y in names:
            lon, lat = numbers(x, 180), numbers(y, 90)
            known = np.isfinite(lon) & np.isfinite(lat)
            return Plane.about(lon[known], lat[known]).xy(lon, lat)
    for x, y in PLANE_NAMES:
        if x in names and y in names:
            return numbers(x, 1e9), numbers(y, 1e9)
    return np.full(rows, np.nan), np.full(rows, np.nan)
