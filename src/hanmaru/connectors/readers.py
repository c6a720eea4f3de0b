"""Readers: rows of a file of any supported format, streamed in bounded memory, with a position to resume from."""

import csv
import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol, cast

import ijson  # pyright: ignore[reportMissingTypeStubs]
import msgspec

from hanmaru.connectors.errors import ConnectorError, MappingError
from hanmaru.connectors.lines import Line, Lines
from hanmaru.connectors.mapping import Format, Mapping
from hanmaru.connectors.rows import Row

_ENDINGS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".geojson": "geojson",
    ".parquet": "parquet",
}
_ROW_LINES = 100


class Damaged(NamedTuple):
    """A record that cannot even be read: the reason and what can be shown of it."""

    reason: str
    raw: object


class Position(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where reading stopped: records read, and for text the byte offset.

    ``open_from`` is where the last line starts when it had no newline yet: a writer may still be adding to it.
    """

    row: int = 0
    offset: int | None = None
    open_from: int | None = None


class Reader(Protocol):
    """Rows of one file. ``columns`` are their names; ``position`` and ``progress`` speak of what was read so far."""

    columns: list[str]

    def __iter__(self) -> Iterator[Row | Damaged]:
        """Yield the rows that follow."""
        ...

    def position(self) -> Position:
        """Return where to resume."""
        ...

    def progress(self) -> float:
        """Return the fraction that is read, 0 to 1."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


def format_of(path: Path, mapping: Mapping) -> Format:
    """Return the format that the mapping or else the file's ending names; ConnectorError when neither does."""
    if mapping.source.format:
        return mapping.source.format
    name = path.name.removesuffix(".gz")
    found = _ENDINGS.get(Path(name).suffix.lower())
    if not found:
        raise ConnectorError(
            f'{path.name}: the ending names no known format; add [source] format = "csv" to the mapping'
        )
    return found


def open_reader(path: Path, mapping: Mapping, after: Position | None = None, *, tail: bool = False) -> Reader:
    """Open a file at the position ``after`` (None: the beginning).

    ``tail`` leaves a last line without a newline for later. Raises `ConnectorError` when the file cannot be opened or
    its header cannot be read.
    """
    after = after or Position()
    try:
        format = format_of(path, mapping)
        if format == "parquet":
            from hanmaru.connectors.parquet import ParquetReader

            return ParquetReader(path, mapping, after)
        raw = path.open("rb")
        stream = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if path.name.endswith(".gz") else raw
        size = path.stat().st_size
        try:
            if format == "csv":
                return _Csv(path, mapping, stream, raw, size, after, tail)
            if format == "jsonl":
                return _JsonLines(mapping, stream, raw, size, after, tail)
            return _Json(mapping, stream, raw, size, after, format)
        except BaseException:
            stream.close()
            raw.close()
            raise
    except (OSError, EOFError) as error:
        raise ConnectorError(f"{path}: cannot be read: {error}") from None


def look_up(record: object, path: str) -> object:
    """Return a member by name, or by dotted path into nested objects and lists; None where there is none."""
    if isinstance(record, dict) and path in record:
        return cast("dict[str, object]", record)[path]
    for part in path.split("."):
        if isinstance(record, dict):
            record = cast("dict[str, object]", record).get(part)
        elif isinstance(record, list) and part.isascii() and part.isdigit():
            items = cast("list[object]", record)
            record = items[int(part)] if len(part) < 9 and int(part) < len(items) else None
        else:
            return None
    return cast(object, record)


class _Text:
    """What the line formats share."""

    columns: list[str]

    def __init__(self, mapping: Mapping, stream: BinaryIO, raw: BinaryIO, size: int, tail: bool) -> None:
        self._mapping, self._stream, self._raw, self._size, self._tail = mapping, stream, raw, size, tail
        self._at = Position(offset=0)
        self._lines = Lines(stream, mapping.source.encoding)

    def _seek(self, after: Position, first: int) -> None:
        row, offset = after.row, max(after.offset or 0, first)
        if after.open_from is not None:
            self._stream.seek(offset)
            if self._stream.read(1) not in (b"\n", b"\r", b""):
                row, offset = row - 1, after.open_from
        self._stream.seek(offset)
        self._lines = Lines(self._stream, self._mapping.source.encoding)
        self._at = Position(row, offset, None if offset == after.open_from else after.open_from)

    def _read(self, last: Line) -> None:
        self._at = Position(self._at.row + 1, last.end, None if last.terminated else last.start)

    def position(self) -> Position:
        return self._at

    def progress(self) -> float:
        return min(1.0, self._raw.tell() / self._size) if self._size else 1.0

    def close(self) -> None:
        self._stream.close()
        self._raw.close()


class _Csv(_Text):
    def __init__(
        self, path: Path, mapping: Mapping, stream: BinaryIO, raw: BinaryIO, size: int, after: Position, tail: bool
    ) -> None:
        super().__init__(mapping, stream, raw, size, tail)
        self._taken: list[Line] = []
        source = mapping.source
        for _ in range(source.skip_lines):
            next(self._lines, None)
        header = source.header
        if source.header_from:
            self.columns = _header_of(path.parent / source.header_from, mapping)
        elif header is True:
            self.columns = self._header()
        elif header:
            self.columns = list(header)
        else:
            line, no_cells = next(self._lines, None), cast("list[str]", [])
            cells = next(csv.reader([line.text], delimiter=source.delimiter), no_cells) if line else no_cells
            self.columns = [str(i + 1) for i in range(len(cells))]
            self._lines.push_back([line] if line else [])
        self._first = self._taken[-1].end if self._taken else 0
        if after.row:
            self._seek(after, self._first)

    def _header(self) -> list[str]:
        lines = _Feed(self._lines, self._taken)
        try:
            cells = next(csv.reader(lines, delimiter=self._mapping.source.delimiter, strict=True), None)
        except csv.Error as error:
            raise MappingError(self._mapping.file, "source", f"the header line is not CSV: {error}") from None
        if any(line.fault for line in self._taken):
            raise MappingError(
                self._mapping.file, "source.encoding", f'the header line is {self._taken[0].fault}; is it "cp949"?'
            )
        names: list[str] = []
        for cell in cells or []:
            name = cell.strip().removeprefix("\ufeff").strip().strip('"')
            names.append(name if name not in names else f"{name}.{names.count(name) + 1}")
        return names

    def __iter__(self) -> Iterator[Row | Damaged]:
        taken, lines = self._taken, self._lines
        rows = csv.reader(_Feed(lines, taken), delimiter=self._mapping.source.delimiter, strict=True)
        width = len(self.columns)
        while True:
            taken.clear()
            try:
                row = next(rows, None)
            except csv.Error as error:
                lines.push_back(taken[1:])
                self._read(taken[0])
                yield Damaged(f"not CSV: {error}", taken[0].text.rstrip("\r\n"))
                continue
            if row is None:
                break
            if self._tail and not taken[-1].terminated:
                return
            if not row:
                self._at = Position(self._at.row, taken[-1].end)
                continue
            self._read(taken[-1])
            fault = next((line.fault for line in taken if line.fault), None)
            if fault:
                yield Damaged(fault, row)
            elif len(row) != width:
                yield Damaged(f"{len(row)} cells where the header has {width}", row)
            else:
                yield row
        if lines.broken:
            yield Damaged(lines.broken, None)


class _Feed:
    """Lines as the csv module wants them, noting which ones it took."""

    def __init__(self, lines: Lines, taken: list[Line]) -> None:
        self._lines, self._taken = lines, taken

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        if len(self._taken) >= _ROW_LINES:
            raise csv.Error(f"a quotation mark is still open after {_ROW_LINES} lines")
        line = next(self._lines)
        self._taken.append(line)
        return line.text


def _header_of(path: Path, mapping: Mapping) -> list[str]:
    try:
        with path.open("rb") as stream:
            line = next(Lines(stream, mapping.source.encoding), None)
    except OSError as error:
        raise MappingError(
            mapping.file, "source.header_from", f"cannot read {path.name} beside the file: {error}"
        ) from None
    cells = next(csv.reader([line.text if line else ""]), None)
    return [cell.strip().removeprefix("\ufeff") for cell in cells or ()]


class _JsonLines(_Text):
    def __init__(
        self, mapping: Mapping, stream: BinaryIO, raw: BinaryIO, size: int, after: Position, tail: bool
    ) -> None:
        super().__init__(mapping, stream, raw, size, tail)
        self.columns = mapping.columns()
        if after.row:
            self._seek(after, 0)

    def __iter__(self) -> Iterator[Row | Damaged]:
        for line in self._lines:
            if self._tail and not line.terminated:
                return
            text = line.text.strip().removeprefix("\ufeff")
            if not text:
                self._at = Position(self._at.row, line.end)
                continue
            self._read(line)
            if line.fault:
                yield Damaged(line.fault, text[:1000])
                continue
            try:
                record = msgspec.json.decode(text)
            except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
                yield Damaged(f"not JSON: {error}", text[:1000])
                continue
            yield _row(record, self.columns)
        if self._lines.broken:
            yield Damaged(self._lines.broken, None)


def _row(record: object, columns: Sequence[str]) -> Row | Damaged:
    if not isinstance(record, dict):
        return Damaged("not a JSON object", record)
    return [look_up(cast(object, record), column) for column in columns]


class _Json:
    def __init__(
        self, mapping: Mapping, stream: BinaryIO, raw: BinaryIO, size: int, after: Position, format: Format
    ) -> None:
        self.columns = mapping.columns()
        self._stream, self._raw, self._size, self._row, self._after = stream, raw, size, 0, after.row
        self._geo = format == "geojson"
        if self._geo:
            self._prefix = "features.item"
        elif mapping.source.records:
            self._prefix = f"{mapping.source.records}.item"
        else:
            start = stream.read(512).lstrip(b"\xef\xbb\xbf \t\r\n")
            self._prefix = "item" if start.startswith(b"[") else ""
        stream.seek(0)
        if stream.read(3) != b"\xef\xbb\xbf":
            stream.seek(0)

    def __iter__(self) -> Iterator[Row | Damaged]:
        try:
            for record in cast("Iterator[Any]", ijson.items(self._stream, self._prefix, use_float=True)):
                self._row += 1
                if self._row <= self._after:
                    continue
                yield _row(_feature(record) if self._geo else record, self.columns)
        except (ijson.JSONError, ValueError, OSError, EOFError, RecursionError) as error:
            self._row += 1
            if self._row > self._after:
                yield Damaged(f"not valid JSON from here on: {str(error)[:200]}", None)

    def position(self) -> Position:
        return Position(self._row)

    def progress(self) -> float:
        return min(1.0, self._raw.tell() / self._size) if self._size else 1.0

    def close(self) -> None:
        self._stream.close()
        self._raw.close()


def _feature(feature: object) -> object:
    """Return a GeoJSON feature as one flat record: its properties, ``geometry``, and ``id`` where it has one."""
    if not isinstance(feature, dict):
        return feature
    found = cast("dict[str, object]", feature)
    properties = found.get("properties")
    record = dict(cast("dict[str, object]", properties)) if isinstance(properties, dict) else {}
    if "id" in found:
        record.setdefault("id", found["id"])
    record["geometry"] = found.get("geometry")
    return record
