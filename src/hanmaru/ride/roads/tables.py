"""Rows of CSV and GeoJSON files, read so that every error names its file, row and column."""

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
import shapely

from hanmaru.ride.domain import Floats, RideError

MOST_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Row:
    """A row: ``where`` it is (file and line or feature), its values by folded name, and its points if it has any."""

    where: str
    values: Mapping[str, str]
    points: Floats | None

    def text(self, *names: str) -> str | None:
        """Return the first of some columns that holds something."""
        return next((self.values[n] for n in map(fold, names) if self.values.get(n, "") != ""), None)

    def must(self, *names: str) -> str:
        """Return `text`, or raise RideError."""
        found = self.text(*names)
        if found is None:
            raise RideError(f"{self.where}: no value in column {' or '.join(names)}")
        return found

    def number(self, *names: str, low: float, high: float) -> float | None:
        """Return the first of some columns as a number, None where it is empty. Raises RideError outside the bounds."""
        text = self.text(*names)
        if text is None:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise RideError(f"{self.where}, column {names[0]}: {text[:40]!r} is no number from {low:g} to {high:g}")
        return value


def fold(name: str) -> str:
    """Return a column's name without case, underscores and spaces."""
    return name.strip().lower().replace("_", "").replace(" ", "")


def rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a ``.csv`` or GeoJSON file. Raises RideError.

    Points come from the GeoJSON geometry, a ``wkt`` or ``geometry`` column, or columns ``lat`` and ``lon``; those of
    Korea's projected plane (EPSG:5186, what the standard node-link is published in) become WGS 84.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise RideError(f"{path}: larger than 1 GiB; cut the file to the area of the service")
        content = path.read_bytes()
    except OSError as error:
        raise RideError(f"{path}: {error.strerror or error}") from None
    found = _csv(path, content) if path.suffix.lower() == ".csv" else _geojson(path, content)
    yield from _placed(found)


def _csv(path: Path, content: bytes) -> Iterator[Row]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = content.decode("cp949")  # what Korean offices' spreadsheets write
        except UnicodeDecodeError:
            raise RideError(f"{path}: neither UTF-8 nor CP949 text; save it as UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        header = [fold(name) for name in next(reader, list[str]())]
        if len(set(header)) < len(header):
            raise RideError(f"{path}: two columns have the same name")
        for line in reader:
            if not any(line):
                continue
            where = f"{path}, line {reader.line_num}"
            if len(line) > len(header):
                raise RideError(f"{where}: {len(line)} values for {len(header)} columns")
            values = {name: value.strip() for name, value in zip(header, line, strict=False)}
            yield Row(where, values, _shape(where, values))
    except csv.Error as error:
        raise RideError(f"{path}, line {reader.line_num}: {error}") from None


def _shape(where: str, values: Mapping[str, str]) -> Floats | None:
    wkt = values.get("wkt") or values.get("geometry")
    if wkt:
        try:
            return _points(where, shapely.from_wkt(wkt))
        except shapely.GEOSException:
            raise RideError(f"{where}: the geometry is no WKT such as LINESTRING (127.1 36.5, 127.2 36.6)") from None
    row = Row(where, values, None)
    lon = row.number("lon", "lng", "longitude", low=-180, high=180)
    lat = row.number("lat", "latitude", low=-85, high=85)
    return None if lon is None or lat is None else np.array([[lon, lat]])


def _points(where: str, shape: Any) -> Floats:
    lines = [part for part in shapely.get_parts(shape) if part.geom_type in ("Point", "LineString")]
    if len(lines) != 1:
        raise RideError(f"{where}: the geometry must be one line or one point")
    return np.asarray(shapely.get_coordinates(lines[0]), np.float64)


def _geojson(path: Path, content: bytes) -> Iterator[Row]:
    try:
        found: Any = msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError) as error:
        raise RideError(f"{path}: not JSON: {error}; a table must end in .csv") from None
    features: Any = cast("dict[str, Any]", found).get("features") if isinstance(found, dict) else None
    if not isinstance(features, list):
        raise RideError(f"{path}: not a GeoJSON FeatureCollection")
    for i, feature in enumerate(cast("list[Any]", features)):
        where = f"{path}, feature {i + 1}"
        try:
            properties: dict[str, Any] = feature.get("properties") or {}
            geometry = feature.get("geometry")
            values = {fold(k): _text(v) for k, v in properties.items()}
            points = None if geometry is None else _coordinates(geometry)
        except (AttributeError, TypeError, ValueError, KeyError):
            raise RideError(f"{where}: not a GeoJSON feature with a line or a point") from None
        if points is not None and not np.isfinite(points).all():
            raise RideError(f"{where}: a coordinate is no finite number")
        yield Row(where, values, points)


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()


def _coordinates(geometry: Mapping[str, Any]) -> Floats:
    kind, found = geometry["type"], geometry["coordinates"]
    if kind == "MultiLineString" and len(found) == 1:
        kind, found = "LineString", found[0]
    if kind not in ("Point", "LineString"):
        raise ValueError(kind)
    points = [found] if kind == "Point" else found
    return np.array([(float(p[0]), float(p[1])) for p in points]).reshape(-1, 2)


def _placed(found: Iterable[Row]) -> Iterator[Row]:
    change: Any = None
    for row in found:
        points = row.points
        if points is not None and (np.abs(points) > (180.0, 90.0)).any():
            if change is None:
                from pyproj import Transformer

                change = Transformer.from_crs(5186, 4326, always_xy=True)
            points = np.stack(change.transform(points[:, 0], points[:, 1]), axis=1)
            if not ((points > (124.0, 32.8)) & (points < (132.0, 43.1))).all():
                raise RideError(f"{row.where}: coordinates are neither lon, lat nor Korea's plane (EPSG:5186)")
        yield Row(row.where, row.values, points)
