"""The engine: a mapping, compiled for a source's columns, turns rows into readings. Pure: no I/O, no clock."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple, cast

from hanmaru.connectors import units
from hanmaru.connectors.errors import BadRow, MappingError, nearest
from hanmaru.connectors.mapping import Attribute, Template
from hanmaru.connectors.mapping import Mapping as Mapping_
from hanmaru.connectors.schemas import EntityType
from hanmaru.connectors.times import parser, sequence, zone_of
from hanmaru.connectors.values import (
    Json,
    Read,
    integer_reader,
    list_reader,
    number_reader,
    read_boolean,
    read_json,
    read_text,
    shown,
    uri_part,
)

Row = Sequence[object]
Get = Callable[[Row], object]
"""A cell's content, or None where it is missing."""
Make = Callable[[Row], Json]
"""An attribute's value, or None where it is missing; raises `BadRow`."""
Instance = dict[str, Any]
"""An attribute instance in NGSI-LD's normalised form."""

_GEOMETRIES = frozenset(("Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon"))


class Reading(NamedTuple):
    """What one row says of one entity: attributes with ``observedAt`` (``observed``) and without (``static``)."""

    id: str
    at: str | None
    observed: list[tuple[str, Instance]]
    static: list[tuple[str, Instance]]


class Fault(NamedTuple):
    """Why a row (of an unpivoted table: its cell in ``column``) gives no reading."""

    reason: str
    column: str | None = None


class _Spec(NamedTuple):
    name: str
    make: Make
    member: str
    base: Instance
    observed: bool
    dataset: Make | None
    properties: tuple[tuple[str, Make, Instance], ...]


class RowMapper:
    """Converts rows of a source with the given columns.

    Raises `MappingError` when the mapping names a column that the source does not have.
    """

    def __init__(self, mapping: Mapping_, columns: Sequence[str], type: EntityType, received: str = "") -> None:
        """Compile; ``received`` is the time that ``[time] received = true`` gives to every row."""
        self.mapping, self._type, self.received = mapping, type, received
        self._names = list(columns)
        pivot = mapping.unpivot
        self._wide: list[tuple[str, int]] = []
        computed = ["row", "row_name"]
        if pivot:
            self._wide = [
                (name, i)
                for i, name in enumerate(columns)
                if any(fnmatchcase(name, p) for p in pivot.columns) and not any(fnmatchcase(name, p) for p in pivot.but)
            ]
            if not self._wide:
                raise MappingError(mapping.file, "unpivot.columns", f"no column matches {', '.join(pivot.columns)}")
            computed += [pivot.name, pivot.value]
        needed = mapping.columns()
        for column in needed:
            if column not in self._names:
                hint = nearest(column, columns) or f"; it has {', '.join(map(repr, columns[:20]))}"
                raise MappingError(mapping.file, "", f"the source has no column {column!r}{hint}")
        self._pick = [self._names.index(column) for column in needed]
        self._index = {column: i for i, column in enumerate([*needed, *computed])}
        self._missing = frozenset(mapping.source.missing)
        self._number = number_reader(mapping.source.decimal, mapping.source.thousands)
        self._id = self._template(mapping.id, quoted=True)
        self._time = self._timer()
        self._skip = [(self._get(c), frozenset(values)) for c, values in mapping.skip]
        self._constant: Instance = {"type": mapping.type}
        self._fixed: list[tuple[str, Instance]] = []
        self._specs: list[_Spec] = []
        self._add_location()
        for attribute in mapping.attributes:
            self._add(attribute)
        self._says_observed = mapping.mode == "series" and any(s.observed for s in self._specs)

    def convert(self, number: int, row: Row) -> Iterator[Reading | Fault | None]:
        """Yield what row ``number`` (from 1) says: readings, faults, and None for what it leaves out on purpose."""
        picked = [row[i] for i in self._pick]
        name = self._names[number - 1] if number <= len(self._names) else None
        picked += (number, name)
        if not self._wide:
            yield self._guarded(picked, None)
            return
        diagonal = self.mapping.unpivot is None or self.mapping.unpivot.diagonal
        for column, i in self._wide:
            if diagonal or column != name:
                cell = row[i]
                empty = cell is None or (
                    isinstance(cell, str) and ((cell := cell.strip()) == "" or cell in self._missing)
                )
                yield None if empty else self._guarded([*picked, column, cell], column)

    def place(self, column: str) -> int:
        """Return where a column stands in the source's rows."""
        return self._names.index(column)

    def _guarded(self, row: Row, column: str | None) -> Reading | Fault | None:
        try:
            return self._one(row)
        except BadRow as bad:
            return Fault(str(bad), column)

    def _one(self, row: Row) -> Reading | None:
        for get, values in self._skip:
            if str(get(row)) in values:
                return None
        at = self._time(row)
        id_ = self._id(row)
        if id_ is None:
            raise BadRow("id: a column of the id template is empty")
        simple = {"id": id_, **self._constant}
        observed: list[tuple[str, Instance]] = []
        static = self._fixed.copy()
        name = ""
        try:
            for name, make, member, base, is_observed, dataset, properties in self._specs:
                value = make(row)
                if value is None:
                    continue
                simple[name] = value
                instance = base.copy()
                instance[member] = value
                for key, make_property, property_base in properties:
                    inner = make_property(row)
                    if inner is not None:
                        instance[key] = {**property_base, "value": inner}
                if dataset:
                    instance["datasetId"] = dataset(row)
                if is_observed:
                    instance["observedAt"] = at
                    observed.append((name, instance))
                else:
                    static.append((name, instance))
        except BadRow as bad:
            raise BadRow(f"{name}: {bad}") from None
        if not observed and self._says_observed:
            return None
        if not self._type.valid(simple):
            raise BadRow(self._type.problem(simple) or "does not fit the type's schema")
        return Reading(id_, at, observed, static)

    def _timer(self) -> Callable[[Row], str | None]:
        time = self.mapping.time
        if time is None:
            return lambda row: None
        zone = time.zone or zone_of("UTC")
        row_at = self._index["row"]
        if time.received:
            return lambda row: self.received
        if time.start is not None and time.step is not None:
            at = sequence(time.start, time.step, zone)
            return lambda row: at(row[row_at] - 1)  # type: ignore[operator] - the row number is always an int
        parse = parser(time.format, zone, time.midnight)
        gets = [self._get(c) for c in time.columns]

        def joined(row: Row) -> str:
            cells = [get(row) for get in gets]
            if None in cells:
                raise BadRow(f"time: column {time.columns[cells.index(None)]!r} is empty")
            try:
                return parse(cells[0] if len(cells) == 1 else " ".join(map(str, cells)))
            except BadRow as bad:
                raise BadRow(f"time: {bad}") from None

        return joined

    def _get(self, column: str, missing: Sequence[str] = ()) -> Get:
        index = self._index[column]
        absent = self._missing | frozenset(missing)

        def get(row: Row) -> object:
            value = row[index]
            if isinstance(value, str) and (
                not value or value in absent or not (value := value.strip()) or value in absent
            ):
                return None
            return value

        return get

    def _template(self, template: Template, quoted: bool) -> Make:
        texts = template.texts
        parts = [(self._get(p.column), self.mapping.maps[p.map] if p.map else None, p.map) for p in template.parts]

        def fill(row: Row) -> str | None:
            out = texts[0]
            for (get, table, map_name), after in zip(parts, texts[1:], strict=True):
                value = get(row)
                if value is None:
                    return None
                text = read_text(value)
                if table is not None:
                    if text not in table:
                        raise BadRow(f"{shown(text)} is not in [maps.{map_name}]")
                    text = str(table[text])
                out += (uri_part(text) if quoted else text) + after
            return out

        return fill

    def _add_location(self) -> None:
        place = self.mapping.location
        if place is None:
            return
        base = {"type": "GeoProperty"}
        if place.fixed:
            self._constant["location"] = place.fixed
            self._fixed.append(("location", {**base, "value": place.fixed}))
            return
        make = self._geometry(place.geometry) if place.geometry else self._point(place.lon or "", place.lat or "")
        self._specs.append(_Spec("location", make, "value", base, place.observed, None, ()))

    def _point(self, lon_column: str, lat_column: str) -> Make:
        lon_of, lat_of, number = self._get(lon_column), self._get(lat_column), self._number

        def point(row: Row) -> Json:
            lon, lat = lon_of(row), lat_of(row)
            if lon is None or lat is None:
                return None
            x, y = number(lon), number(lat)
            if not (-180 <= x <= 180 and -90 <= y <= 90):
                raise BadRow(f"lon {x}, lat {y} are no WGS 84 degrees (are the two columns exchanged?)")
            return {"type": "Point", "coordinates": [x, y]}

        return point

    def _geometry(self, column: str) -> Make:
        get = self._get(column)

        def geometry(row: Row) -> Json:
            value = get(row)
            if value is None:
                return None
            if not isinstance(value, dict) or cast(Instance, value).get("type") not in _GEOMETRIES:
                raise BadRow(f"{shown(cast(object, value))} is not a GeoJSON geometry")
            return read_json(cast(object, value))

        return geometry

    def _add(self, a: Attribute) -> None:
        member, kind = ("object", "Relationship") if a.relationship else ("value", "Property")
        base: Instance = {"type": kind}
        if a.unit:
            base["unitCode"] = a.unit
        if (
            a.column is None
            and a.text is None
            and a.relationship is None
            and not (a.observed or a.unless or a.properties)
        ):
            self._constant[a.name] = a.value
            self._fixed.append((a.name, {**base, "value": a.value}))
            return
        dataset = self._template(a.dataset, quoted=True) if a.dataset else None
        properties = tuple(
            (p.name, self._make(p), {"type": "Property"} | ({"unitCode": p.unit} if p.unit else {}))
            for p in a.properties
        )
        self._specs.append(_Spec(a.name, self._make(a), member, base, a.observed, dataset, properties))

    def _make(self, a: Attribute) -> Make:
        if a.relationship or a.text:
            template = a.relationship or a.text
            assert template is not None
            make = self._template(template, quoted=a.relationship is not None)
        elif a.column is None:
            make: Make = lambda row: a.value  # noqa: E731
        else:
            make = self._column(a, a.column)
        if not a.unless:
            return make
        conditions = [(self._get(c), frozenset(values)) for c, values in a.unless]
        return lambda row: None if any(str(get(row)) in values for get, values in conditions) else make(row)

    def _column(self, a: Attribute, column: str) -> Make:
        get, read = self._get(column, a.missing), self._reader(a)
        table: Mapping[str, Any] | None = self.mapping.maps[a.map] if a.map else None
        change = units.converter(a.source_unit, a.unit) if a.source_unit and a.unit else None
        ending, digits, factor, missing = a.strip, a.round, a.factor, frozenset(a.missing)

        def make(row: Row) -> Json:
            value = get(row)
            if value is None or (missing and str(value) in missing):
                return None
            if ending and isinstance(value, str):
                value = value.removesuffix(ending)
            if table is not None:
                word = str(value)
                if word in table:
                    return table[word]
                if a.otherwise != "keep":
                    if a.otherwise == "missing":
                        return None
                    raise BadRow(f"{shown(word)} is not in [maps.{a.map}]")
            result = read(value)
            if factor != 1:
                result = float(f"{result * factor:.12g}")
            if change:
                result = change(result)
            return round(result, digits) if digits is not None and isinstance(result, float) else result

        return make

    def _reader(self, a: Attribute) -> Read:
        kind = a.kind or ("number" if a.unit or a.factor != 1 else self._type.kind(a.name)) or "text"
        if kind == "time":
            time = self.mapping.time
            parse = parser(a.format, (time.zone if time else None) or zone_of("UTC"))
            return lambda value: parse(value)
        return {
            "number": self._number,
            "integer": integer_reader(self._number),
            "text": read_text,
            "boolean": read_boolean,
            "list": list_reader(a.separator),
            "json": read_json,
        }[kind]
