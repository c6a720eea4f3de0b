"""A CSV file of visits: its header by name or in Korean, its cells as columns, and what could not be read.

Units are part of a column's name. A header in another unit is refused, as a value in pounds taken for kilograms would
be graded and look right.
"""

import csv
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import numpy as np

from hanmaru.care.domain import CareError
from hanmaru.care.rules.columns import COLUMNS, Column, Columns, Floats

BLOCK: Final = 8192
"""Rows read and graded at a time."""

SEXES: Final[Mapping[str, float]] = {
    **dict[str, float].fromkeys(("male", "m", "남", "남자", "남성"), 0.0),
    **dict[str, float].fromkeys(("female", "f", "여", "여자", "여성"), 1.0),
}
"""Words for sex. Numbers are refused: 1 is male in some files and female in others."""

_ANSWERS: Final[Mapping[str, float]] = {
    **dict[str, float].fromkeys(("yes", "y", "true", "1", "예", "네", "o"), 1.0),
    **dict[str, float].fromkeys(("no", "n", "false", "0", "아니오", "아니요", "x"), 0.0),
}

_ALIASES: Final[Mapping[str, str]] = {
    **{column.ko: name for name, column in COLUMNS.items()},
    **{"연령": "age_years", "만나이": "age_years", "신장": "height_cm", "체중": "weight_kg", "수축기혈압": "sbp_mmhg"},
    **{"최고혈압": "sbp_mmhg", "이완기혈압": "dbp_mmhg", "최저혈압": "dbp_mmhg", "맥박수": "pulse_bpm"},
    **{"심박수": "pulse_bpm", "엉덩이": "hip_cm", "허리": "waist_cm", "체지방율": "body_fat_pct", "BMI": "bmi"},
    **{"악력(좌)": "grip_left_kg", "악력(우)": "grip_right_kg", "좌악력": "grip_left_kg", "우악력": "grip_right_kg"},
    **{"식전혈당": "glucose_mg_dl", "트리글리세라이드": "triglycerides_mg_dl", "HDL": "hdl_mg_dl", "LDL": "ldl_mg_dl"},
    **{"혈청크레아티닌": "creatinine_mg_dl", "흡연여부": "smoker", "SPPB": "sppb_score"},
}

_UNITS: Final[Mapping[str, tuple[str, ...]]] = {
    "cm": ("mm", "m", "in", "inch", "inches", "ft"),
    "kg": ("lb", "lbs", "g", "pound", "pounds", "n"),
    "mmhg": ("kpa", "cmh2o"),
    "mg_dl": ("mmol_l", "mmol", "umol_l", "g_l"),
    "pct": ("mmol_mol", "ratio"),
    "mg_g": ("mg_mmol",),
    "s": ("ms", "min"),
    "m": ("ft", "km", "yd"),
    "m_s": ("km_h", "kmh", "mph"),
    "years": ("months", "days"),
}
"""For a unit as columns end, others in which the same thing is measured."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What could not be read: the row as a spreadsheet numbers it, the column's heading, and why."""

    row: int
    column: str
    message: str


class Block(NamedTuple):
    """Some rows of the file: ``cells`` as they stand, ``columns`` of the same rows, and what could not be read."""

    cells: list[list[str]]
    columns: Columns
    unreadable: list[list[str]]
    problems: list[Problem]
    position: int


def _plain(heading: str) -> str:
    return re.sub(r"[\s_·-]", "", unicodedata.normalize("NFKC", heading)).lower()


_BY_PLAIN: Final = {_plain(alias): name for alias, name in _ALIASES.items()} | {_plain(name): name for name in COLUMNS}


def column_of(heading: str) -> str | None:
    """Return the column that a heading names (``sbp_mmhg``, ``수축기 혈압``, ``체중(kg)``), None for another's.

    Raises:
        CareError: for a column in another unit.
    """
    whole = _plain(heading)
    if whole in _BY_PLAIN:
        return _BY_PLAIN[whole]
    parted = re.fullmatch(r"(.+?)[(\[](.+)[)\]]", whole)
    if parted and parted[1] in _BY_PLAIN:
        name = _BY_PLAIN[parted[1]]
        if parted[2] not in _spellings(COLUMNS[name]):
            raise _other_unit(heading, parted[2], name)
        return name
    return _refused(heading)


def _spellings(column: Column) -> frozenset[str]:
    """How a column's unit may be written in brackets."""
    ways = {_plain(column.unit), _plain(column.ucum), _plain(_ending(column.name))}
    return frozenset(ways | {"bpm", "회/분"} if column.name == "pulse_bpm" else ways | {"년", "만"})


def _ending(name: str) -> str:
    """Return the unit that a column's name ends with, empty if none."""
    return max((unit for unit in _UNITS if name.endswith(f"_{unit}")), key=len, default="")


def _refused(heading: str) -> None:
    """Refuse a known thing in another unit; leave what is not ours alone."""
    plain = _plain(heading)
    for name in COLUMNS:
        ending = _ending(name)
        base = _plain(name.removesuffix(f"_{ending}"))
        for other in _UNITS.get(ending, ()):
            if plain in (base + _plain(other), f"{base}({_plain(other)})", f"{base}[{_plain(other)}]"):
                raise _other_unit(heading, other, name)


def _other_unit(heading: str, unit: str, name: str) -> CareError:
    wanted = COLUMNS[name].unit or "no unit"
    return CareError(f"column {heading!r} is in {unit}; convert it to {wanted} and call it {name}")


class Screenings:
    """A file of visits, open: ``header`` as it stands, ``names`` the columns that were understood, by place."""

    def __init__(self, path: Path, files: ExitStack) -> None:
        self.path = path
        try:
            self._raw: BinaryIO = files.enter_context(path.open("rb"))
            self.size = path.stat().st_size
            encoding = _encoding(self._raw)
            self._raw.seek(0)
            text = TextIOWrapper(self._raw, encoding=encoding, errors="replace", newline="")
        except OSError as error:
            raise CareError(f"{path} cannot be read: {error.strerror}") from None
        self._rows = csv.reader(text)
        self.header = [heading.strip() for heading in next(self._guarded(), list[str]())]
        if not self.header:
            raise CareError(f"{path} is empty")
        self.names = self._understood()

    def _understood(self) -> dict[int, str]:
        names: dict[int, str] = {}
        for place, heading in enumerate(self.header):
            try:
                name = column_of(heading)
            except CareError as error:
                raise CareError(f"{self.path}, row 1: {error}") from None
            if name in names.values():
                raise CareError(f"{self.path}, row 1: column {heading!r} gives {name} a second time; leave one out")
            if name is not None:
                names[place] = name
        if not names:
            raise CareError(f"{self.path}, row 1: no column is known; see docs/reference/care-files.md for their names")
        return names

    def _guarded(self) -> Iterator[list[str]]:
        try:
            yield from self._rows
        except csv.Error as error:
            raise CareError(f"{self.path}, row {self._rows.line_num}: {error}") from None

    def blocks(self) -> Iterator[Block]:
        """Yield the rows in blocks; a row or cell that cannot be read is told and loses nothing else."""
        rows = ((self._rows.line_num, row) for row in self._guarded() if row)
        while taken := list(islice(rows, BLOCK)):
            yield self._block(taken)

    def _block(self, taken: list[tuple[int, list[str]]]) -> Block:
        problems: list[Problem] = []
        unreadable: list[list[str]] = [[] for _ in taken]
        width = len(self.header)
        for i, (line, row) in enumerate(taken):
            if len(row) != width:
                problems.append(Problem(line, "", f"{len(row)} cells where the header has {width}; not graded"))
                unreadable[i].append("row=unreadable")
                taken[i] = (line, [*row[:width], *[""] * (width - len(row))])
        whole = np.array([not marks for marks in unreadable])
        arrays: dict[str, Floats] = {}
        for place, name in self.names.items():
            values, bad = numbers(name, [row[place] for _, row in taken])
            for i in bad:
                line, row = taken[i]
                if whole[i]:
                    problems.append(Problem(line, self.header[place], why_not(name, row[place])))
                    unreadable[i].append(f"{name}=unreadable")
            arrays[name] = values
        columns = Columns({name: np.where(whole, values, np.nan) for name, values in arrays.items()}, len(taken))
        problems.sort(key=lambda problem: problem.row)
        return Block([row for _, row in taken], columns, unreadable, problems, self._raw.tell())


def _encoding(raw: BinaryIO) -> str:
    """Return UTF-8, or the Korean code page where the file's beginning is no UTF-8, as spreadsheets still write it."""
    head = raw.read(1 << 16).rpartition(b"\n")[0]
    try:
        head.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "cp949"
    return "utf-8-sig"


def numbers(name: str, cells: Sequence[str]) -> tuple[Floats, list[int]]:
    """Return the cells as numbers, NaN where there is none, and the places of those that are no number."""
    kind = COLUMNS[name].kind
    words = SEXES if kind == "sex" else _ANSWERS if kind == "flag" else None
    try:  # nearly all columns are clean, and then this is several times quicker
        clean = [(words[cell] if words else float(cell)) if cell else np.nan for cell in cells]
    except (ValueError, KeyError):
        return _sorted_out(words, cells)
    values = np.array(clean, np.float64)
    return (values, []) if np.isfinite(values).sum() == len(cells) - cells.count("") else _sorted_out(words, cells)


def _sorted_out(words: Mapping[str, float] | None, cells: Sequence[str]) -> tuple[Floats, list[int]]:
    values = np.full(len(cells), np.nan)
    bad: list[int] = []
    for i, cell in enumerate(map(str.strip, cells)):
        if not cell:
            continue
        try:
            value = float(cell) if words is None else words[cell.lower()]
        except (ValueError, KeyError):
            value = np.nan
        if np.isfinite(value):
            values[i] = value
        else:
            bad.append(i)
    return values, bad


def why_not(name: str, cell: str) -> str:
    """Say what a cell of a column should have been."""
    kind = COLUMNS[name].kind
    wanted = {"sex": "male or female (남, 여)", "flag": "yes or no (예, 아니오)", "number": "a number"}[kind]
    return f"{cell.strip()[:40]!r} is not {wanted}; taken as not known"
