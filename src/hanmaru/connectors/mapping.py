"""Mappings: what a source's columns mean, written in TOML (docs/reference/mapping.md), as frozen values.

Parsing checks everything that can be checked without the data; whatever is wrong raises `MappingError` with the
file, the key and the remedy.
"""

import hashlib
import re
from collections.abc import Mapping as Table_
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, time, timedelta, tzinfo
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, cast

from hanmaru.connectors import units
from hanmaru.connectors.errors import MappingError, nearest
from hanmaru.connectors.tables import Table, parse_toml
from hanmaru.connectors.times import parse_step, parser, sequence, zone_of
from hanmaru.connectors.values import Kind

Format = Literal["csv", "jsonl", "json", "geojson", "parquet"]
FORMATS: tuple[Format, ...] = ("csv", "jsonl", "json", "geojson", "parquet")
MISSING = ("-", "NA", "N/A", "null", "NaN")
_KINDS: tuple[Kind, ...] = ("number", "integer", "text", "boolean", "time", "list", "json")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*").fullmatch
_PLACE = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Source:
    """How the source is written. ``missing`` texts mean that a value is absent; empty always does."""

    format: Format | None = None
    encoding: str = "utf-8"
    delimiter: str = ","
    header: bool | tuple[str, ...] = True
    header_from: str | None = None
    skip_lines: int = 0
    records: str | None = None
    missing: tuple[str, ...] = MISSING
    decimal: str = "."
    thousands: str = ""


@dataclass(frozen=True, slots=True)
class Time:
    """Where ``observedAt`` comes from: columns and a format, or a start and a step, or the moment of receipt."""

    columns: tuple[str, ...] = ()
    format: str = "iso"
    zone: tzinfo | None = None
    midnight: Literal["same-day", "next-day"] = "same-day"
    start: str | None = None
    step: timedelta | None = None
    received: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """One placeholder of a template: a column (or ``row``, ``row_name``) and the map that its value goes through."""

    column: str
    map: str | None = None


@dataclass(frozen=True, slots=True)
class Template:
    """Text with placeholders: ``texts`` stand before, between and after ``parts``."""

    texts: tuple[str, ...]
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Location:
    """A fixed geometry, or two columns with WGS 84 degrees, or a column with a GeoJSON geometry."""

    fixed: Table_[str, Any] | None = None
    lon: str | None = None
    lat: str | None = None
    geometry: str | None = None
    observed: bool = False


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute: exactly one of ``column``, ``value``, ``text`` or ``relationship`` says where it comes from."""

    name: str
    column: str | None = None
    value: Any = None
    text: Template | None = None
    relationship: Template | None = None
    kind: Kind | None = None
    unit: str | None = None
    source_unit: str | None = None
    factor: float = 1.0
    round: int | None = None
    map: str | None = None
    otherwise: Literal["reject", "keep", "missing"] = "reject"
    missing: tuple[str, ...] = ()
    unless: tuple[tuple[str, tuple[str, ...]], ...] = ()
    separator: str = ","
    strip: str = ""
    format: str = "iso"
    observed: bool = False
    dataset: Template | None = None
    properties: tuple["Attribute", ...] = ()


@dataclass(frozen=True, slots=True)
class Unpivot:
    """Wide to long: each of ``columns`` (patterns) becomes a row with its name and value in two new columns."""

    columns: tuple[str, ...]
    but: tuple[str, ...]
    name: str
    value: str
    diagonal: bool = True


@dataclass(frozen=True, slots=True)
class Mapping:
    """A whole mapping; ``digest`` changes whenever its text does."""

    name: str
    file: str
    title: Table_[str, str]
    files: tuple[str, ...]
    source: Source
    type: str
    id: Template
    mode: Literal["state", "series"]
    attributes: tuple[Attribute, ...]
    time: Time | None = None
    location: Location | None = None
    unpivot: Unpivot | None = None
    skip: tuple[tuple[str, tuple[str, ...]], ...] = ()
    maps: Table_[str, Table_[str, Any]] = field(default_factory=dict[str, Table_[str, Any]])
    schema: str | None = None
    digest: str = ""

    def columns(self) -> list[str]:
        """Return every column that the mapping reads, in order of first mention."""
        found: dict[str, None] = {}

        def template(t: Template | None) -> None:
            found.update(dict.fromkeys(part.column for part in (t.parts if t else ())))

        def attribute(a: Attribute) -> None:
            found.update({a.column: None} if a.column else {})
            for t in (a.text, a.relationship, a.dataset):
                template(t)
            found.update(dict.fromkeys(column for column, _ in a.unless))
            for p in a.properties:
                attribute(p)

        template(self.id)
        found.update(dict.fromkeys(self.time.columns if self.time else ()))
        if self.location:
            found.update(dict.fromkeys(c for c in (self.location.lon, self.location.lat, self.location.geometry) if c))
        for a in self.attributes:
            attribute(a)
        found.update(dict.fromkeys(column for column, _ in self.skip))
        computed = {"row", "row_name"}
        if self.unpivot:
            computed |= {self.unpivot.name, self.unpivot.value}
        return [column for column in found if column not in computed]


def load(name: str | Path, base: Path | None = None) -> Mapping:
    """Return a mapping by path, or by the name of one that is shipped; paths are relative to ``base``.

    Raises `MappingError`; for an unknown name it suggests the near ones.
    """
    text_name = str(name)
    path = (base or Path()) / text_name
    if text_name.endswith(".toml") or path.is_file():
        try:
            return parse(path.read_text("utf-8-sig"), str(path), path.stem)
        except (OSError, UnicodeDecodeError) as error:
            raise MappingError(str(path), "", f"cannot be read: {error}") from None
    shipped = files("hanmaru.connectors") / "mappings" / f"{text_name}.toml"
    if not shipped.is_file():
        known = shipped_names()
        hint = nearest(text_name, known) or f"; shipped are {', '.join(known)}"
        raise MappingError(text_name, "", f"no mapping of that name is shipped and no such file exists{hint}")
    return parse(shipped.read_text("utf-8"), f"{text_name}.toml", text_name)


def shipped_names() -> list[str]:
    """Return the names of the mappings that come with the package."""
    folder = files("hanmaru.connectors") / "mappings"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def parse(text: str, file: str, name: str) -> Mapping:
    """Return the mapping that a TOML text describes."""
    top = Table(file, "", parse_toml(text, file))
    maps = _maps(top.table("maps"))
    title = top.content.get("title", name)
    top.has("title")
    when = _time(top.table("time")) if top.has("time") else None
    entity = top.table("entity")
    type_ = entity.need("type", str, '"AirQualityObserved"')
    unpivot = _unpivot(top.table("unpivot")) if top.has("unpivot") else None
    mapping = Mapping(
        name=name,
        file=file,
        title={"en": title} if isinstance(title, str) else cast("dict[str, str]", title),
        files=top.texts("files"),
        source=_source(top.table("source")),
        type=type_,
        id=_template(entity, "id", entity.need("id", str, f'"urn:ngsi-ld:{type_}:{{column}}"'), maps),
        mode=cast('Literal["state", "series"]', entity.choice("mode", ("state", "series"), "state")),
        attributes=tuple(
            _attribute(n, t, maps, when is not None) for n, t in top.table("attributes").members("column")
        ),
        time=when,
        location=_location(entity.table("location"), when is not None) if entity.has("location") else None,
        unpivot=unpivot,
        skip=tuple(_condition(t) for t in top.tables("skip")),
        maps=maps,
        schema=entity.optional("schema", str),
        digest=hashlib.sha256(text.encode()).hexdigest()[:16],
    )
    entity.done()
    top.done()
    if not mapping.attributes and not mapping.location:
        raise top.fail("attributes", 'is missing; write for example [attributes]\\nname = { column = "name" }')
    if mapping.mode == "series" and not when:
        raise top.fail("time", 'mode "series" needs a time for each row; add a [time] table')
    return mapping


def _source(t: Table) -> Source:
    header: bool | tuple[str, ...] = True
    if t.has("header"):
        header = t.content["header"] if isinstance(t.content["header"], bool) else t.texts("header")
    encoding = t.get("encoding", str, "utf-8")
    try:
        if "a\n".encode(encoding) != b"a\n":
            raise t.fail("encoding", f"{encoding!r} does not keep ASCII; save the file as UTF-8 first")
    except LookupError:
        raise t.fail("encoding", f'there is no encoding {encoding!r}; write "utf-8" or "cp949"') from None
    source = Source(
        format=cast("Format | None", t.choice("format", FORMATS, "csv") if t.has("format") else None),
        encoding=encoding,
        delimiter=t.get("delimiter", str, ","),
        header=header,
        header_from=t.optional("header_from", str),
        skip_lines=t.get("skip_lines", int, 0),
        records=t.optional("records", str),
        missing=t.texts("missing", MISSING),
        decimal=t.get("decimal", str, "."),
        thousands=t.get("thousands", str, ""),
    )
    for key in ("delimiter", "decimal"):
        if len(t.get(key, str, ",")) != 1 or t.get(key, str, ",") in '"\n\r':
            raise t.fail(key, 'must be one character, such as "," or "\\t"')
    if len(source.thousands) > 1 or source.thousands == source.decimal:
        raise t.fail("thousands", "must be one character, and not the decimal sign")
    t.done()
    return source


def _time(t: Table) -> Time:
    columns = t.texts("column") + t.texts("columns")
    start, step = t.optional("start", str), t.optional("step", str)
    received = t.get("received", bool, False)
    if [bool(columns), start is not None, received].count(True) != 1:
        raise t.fail("column", 'give exactly one of column = "…", start = "…" with step = "…", or received = true')
    zone_name = t.get("zone", str, "") if received else t.need("zone", str, '"Asia/Seoul" (or "UTC")')
    format = t.get("format", str, "iso")
    try:
        zone = zone_of(zone_name or "UTC")
    except ValueError as error:
        raise t.fail("zone", str(error)) from None
    midnight = cast('Literal["same-day", "next-day"]', t.choice("midnight", ("same-day", "next-day"), "same-day"))
    try:
        parser(format, zone, midnight)
    except ValueError as error:
        raise t.fail("format", f'{error}; write "iso", "epoch", "epoch_ms" or such as "%Y-%m-%d %H:%M"') from None
    length = None
    if start is not None:
        try:
            length = parse_step(t.need("step", str, '"5min"') if step is None else step)
            sequence(start, length, zone)
        except ValueError as error:
            raise t.fail("step" if length is None else "start", str(error)) from None
    t.done()
    return Time(columns, format, zone, midnight, start, length, received)


def _location(t: Table, timed: bool) -> Location:
    observed = t.get("observed", bool, False)
    if observed and not timed:
        raise t.fail("observed", "needs a [time] table")
    if t.has("geometry"):
        location = Location(geometry=t.get("geometry", str, ""), observed=observed)
    elif t.has("lon_column") or t.has("lat_column"):
        lon, lat = t.need("lon_column", str, '"경도"'), t.need("lat_column", str, '"위도"')
        location = Location(lon=lon, lat=lat, observed=observed)
    else:
        lon, lat = t.need("lon", float, "127.289"), t.need("lat", float, "36.480")
        if not (-180 <= lon <= 180 and -90 <= lat <= 90):
            raise t.fail("lon", "longitude must lie in -180…180 and latitude in -90…90, in WGS 84 degrees")
        location = Location(fixed={"type": "Point", "coordinates": [lon, lat]}, observed=observed)
    t.done()
    return location


def _attribute(
    name: str, t: Table, maps: Table_[str, Table_[str, Any]], timed: bool, nested: bool = False
) -> Attribute:
    if not _NAME(name) or name in ("id", "type", "scope"):
        raise t.fail("", f"{name!r} cannot be an attribute's name; use Latin letters, digits and _, as in pm25")
    sources = [key for key in ("column", "value", "text", "relationship") if t.has(key)]
    if len(sources) != 1:
        raise t.fail("column", "give exactly one of column, value (fixed), text or relationship (with {column} inside)")
    unit, source_unit = t.optional("unit", str), t.optional("from", str)
    if unit is not None:
        found = units.find(unit)
        if source_unit and not found:
            raise t.fail("unit", f"there is no unit {unit!r} in the table{nearest(unit, units.names())}")
        if found and not found.code:
            raise t.fail("unit", f"{found.symbol} has no UN/CEFACT code; it can only stand in from = …")
        unit = found.code if found else unit
    if source_unit is not None:
        if unit is None:
            raise t.fail("unit", f'is missing; say what {source_unit} becomes, for example unit = "KMH"')
        try:
            units.converter(source_unit, unit)
        except units.UnitError as error:
            raise t.fail("from", f"{error.remedy}{nearest(source_unit, units.names())}") from None
    map_name = t.optional("map", str)
    if map_name is not None and map_name not in maps:
        raise t.fail("map", f"there is no [maps.{map_name}]{nearest(map_name, maps)}")
    text, relationship, dataset = (
        _template(t, key, t.get(key, str, ""), maps) if t.has(key) else None
        for key in ("text", "relationship", "dataset")
    )
    value: Any = t.content.get("value")
    attribute = Attribute(
        name=name,
        column=t.optional("column", str),
        value=value.isoformat() if isinstance(value, date | time) else value,
        text=text,
        relationship=relationship,
        kind=cast("Kind | None", t.choice("as", _KINDS, "text") if t.has("as") else None),
        unit=unit,
        source_unit=source_unit,
        factor=t.get("factor", float, 1.0),
        round=t.optional("round", int),
        map=map_name,
        otherwise=cast(Any, t.choice("otherwise", ("reject", "keep", "missing"), "reject")),
        missing=t.texts("missing"),
        unless=tuple(_condition(u) for u in _one_or_many(t, "unless")),
        separator=t.get("separator", str, ","),
        strip=t.get("strip", str, ""),
        format=t.get("format", str, "iso"),
        observed=t.get("observed", bool, timed and sources[0] in ("column", "text")),
        dataset=dataset,
        properties=tuple(_attribute(n, p, maps, False, True) for n, p in t.table("properties").members("column")),
    )
    if attribute.observed and not timed and not nested:
        raise t.fail("observed", "needs a [time] table")
    if not attribute.separator:
        raise t.fail("separator", 'must not be empty; write for example ";"')
    try:
        parser(attribute.format, zone_of("UTC"))
    except ValueError as error:
        raise t.fail("format", str(error)) from None
    t.done()
    return attribute


def _one_or_many(t: Table, key: str) -> Sequence[Table]:
    return t.tables(key) if isinstance(t.content.get(key), list) else [t.table(key)] if t.has(key) else []


def _condition(t: Table) -> tuple[str, tuple[str, ...]]:
    column = t.need("column", str, '"Functioning Day"')
    if not t.has("is"):
        raise t.fail("is", 'is missing; write the value or values, for example is = "No"')
    condition = (column, t.texts("is"))
    t.done()
    return condition


def _unpivot(t: Table) -> Unpivot:
    unpivot = Unpivot(
        columns=t.texts("columns", ("*",)),
        but=t.texts("but"),
        name=t.need("name", str, '"sensor"'),
        value=t.need("value", str, '"reading"'),
        diagonal=t.get("diagonal", bool, True),
    )
    t.done()
    return unpivot


def _maps(t: Table) -> dict[str, dict[str, Any]]:
    return {name: dict(m.content) for name, m in t.members()}


def _template(t: Table, key: str, text: str, maps: Table_[str, Table_[str, Any]]) -> Template:
    pieces = _PLACE.split(text)
    parts: list[Part] = []
    for place in pieces[1::2]:
        column, bar, map_name = place.partition("|")
        if not column:
            raise t.fail(key, "a placeholder {} is empty; write a column's name in it, as in {station}")
        if bar and map_name not in maps:
            raise t.fail(key, f"there is no [maps.{map_name}] for {{{place}}}{nearest(map_name, maps)}")
        parts.append(Part(column, map_name if bar else None))
    if any("{" in p or "}" in p for p in pieces[::2]):
        raise t.fail(key, "braces must come in pairs, one column in each, as in {station}")
    if key in ("id", "relationship", "dataset") and not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:.", text):
        raise t.fail(key, f'must be a URI, for example "urn:ngsi-ld:Device:{{column}}", not {text!r}')
    return Template(tuple(pieces[::2]), tuple(parts))
