"""Mappings: what they can say, and how they are refused."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmaru.connectors import units
from hanmaru.connectors.errors import MappingError
from hanmaru.connectors.mapping import load, shipped_names
from hanmaru.connectors.rows import Fault, Reading, RowMapper
from hanmaru.connectors.schemas import TypeRegistry
from tests.connectors.conftest import mapping

ENTITY = '[entity]\ntype = "AirQualityObserved"\nid = "urn:ngsi-ld:AirQualityObserved:{station}"\n'
TIME = '[time]\ncolumn = "time"\nzone = "Asia/Seoul"\n'
REGISTRY = TypeRegistry()


def convert(text: str, row: dict[str, object], number: int = 1) -> list[Reading | Fault | None]:
    """Return what a mapping makes of one row."""
    m = mapping(text)
    mapper = RowMapper(m, list(row), REGISTRY.need(m.type, m.file))
    return list(mapper.convert(number, list(row.values())))


def values(text: str, row: dict[str, object]) -> dict[str, Any]:
    """Return the values of the one reading that a row gives."""
    (found,) = convert(text, row)
    assert isinstance(found, Reading), found
    return {name: i.get("value", i.get("object")) for name, i in found.observed + found.static}


def test_a_row_becomes_a_reading_in_utc_with_unit_codes() -> None:
    text = TIME + ENTITY + '[attributes]\npm10 = { column = "PM10", unit = "µg/m³" }\nname = { value = "Jongno" }'
    (found,) = convert(text, {"station": "종로 1", "time": "2024-03-01T09:00", "PM10": " 31.5 "})
    assert found == Reading(
        "urn:ngsi-ld:AirQualityObserved:%EC%A2%85%EB%A1%9C%201",
        "2024-03-01T00:00:00Z",
        [("pm10", {"type": "Property", "unitCode": "GQ", "value": 31.5, "observedAt": "2024-03-01T00:00:00Z"})],
        [("name", {"type": "Property", "value": "Jongno"})],
    )


def test_missing_values_are_absent_and_no_error() -> None:
    text = '[source]\nmissing = ["-", "NA"]\n' + ENTITY + '[attributes]\nno2 = "NO2"\nco = "CO"\no3 = "O3"\nname = "n"'
    assert values(text, {"station": "a", "NO2": "-", "CO": "", "O3": None, "n": "x"}) == {"name": "x"}


def test_the_schema_says_how_text_is_read() -> None:
    text = ENTITY.replace("AirQualityObserved", "RoadAccident") + (
        '[attributes]\nlocalId = "station"\ntotalInjured = "n"\npedestriansInvolved = "p"\naccidentType = "t"\n'
        'accidentDate = "d"'
    )
    row: dict[str, object] = {"station": "007", "n": "3", "p": "예", "t": "a, b", "d": "2024-01-01T00:00:00+09:00"}
    assert values(text, row) == {
        "localId": "007",
        "totalInjured": 3,
        "pedestriansInvolved": True,
        "accidentType": ["a", "b"],
        "accidentDate": "2023-12-31T15:00:00Z",
    }


def test_units_numbers_maps_suffixes_and_conditions() -> None:
    text = (
        '[source]\ndecimal = ","\nthousands = "."\n'
        + ENTITY
        + '[maps]\nlevel = { "좋음" = "good" }\n[attributes]\n'
        + 'windSpeed = { column = "wind", from = "mph", unit = "MTS", round = 2 }\n'
        + 'temperature = { column = "t", from = "°F", unit = "CEL", strip = " F", round = 1 }\n'
        + 'airQualityLevel = { column = "level", map = "level", otherwise = "keep" }\n'
        + 'pm10 = { column = "pm", unit = "GQ", unless = { column = "open", is = ["no", "No"] } }\n'
        + 'tsp = { column = "pm", factor = 0.1, unit = "GQ" }'
    )
    row: dict[str, object] = {
        "station": "a",
        "wind": "10,0",
        "t": "50 F",
        "level": "나쁨",
        "pm": "1.234,5",
        "open": "No",
    }
    assert values(text, row) == {"windSpeed": 4.47, "temperature": 10.0, "airQualityLevel": "나쁨", "tsp": 123.45}


def test_relationships_locations_and_properties_of_attributes() -> None:
    text = (
        '[entity]\ntype = "Device"\nid = "urn:ngsi-ld:Device:{n}"\nlocation = { lon_column = "x", lat_column = "y" }\n'
        '[attributes.refDeviceModel]\nrelationship = "urn:ngsi-ld:DeviceModel:{model}"\n'
        'dataset = "urn:ngsi-ld:dataset:{model}"\nproperties = { since = { column = "year", as = "integer" } }'
    )
    (found,) = convert(text, {"n": "1", "x": "127.3", "y": "36.5", "model": "S/1", "year": "2020"})
    assert isinstance(found, Reading)
    assert dict(found.static) == {
        "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [127.3, 36.5]}},
        "refDeviceModel": {
            "type": "Relationship",
            "object": "urn:ngsi-ld:DeviceModel:S%2F1",
            "datasetId": "urn:ngsi-ld:dataset:S%2F1",
            "since": {"type": "Property", "value": 2020},
        },
    }


def test_wide_tables_become_long_and_the_row_number_gives_the_time() -> None:
    text = (
        '[time]\nstart = "2012-03-01"\nstep = "5min"\nzone = "America/Los_Angeles"\n'
        '[unpivot]\ncolumns = ["s*"]\nbut = ["s9"]\nname = "sensor"\nvalue = "mph"\n'
        '[entity]\ntype = "TrafficFlowObserved"\nid = "urn:ngsi-ld:TrafficFlowObserved:{sensor}"\nmode = "series"\n'
        '[attributes]\naverageVehicleSpeed = { column = "mph", from = "mph", unit = "KMH", round = 1 }'
    )
    found = convert(text, {"s1": "10", "s2": "x", "s3": "", "s9": "1", "other": "1"}, number=13)
    first, bad, empty = found
    assert isinstance(first, Reading)
    assert (first.id, first.at) == ("urn:ngsi-ld:TrafficFlowObserved:s1", "2012-03-01T09:00:00Z")
    assert first.observed[0][1]["value"] == 16.1
    assert bad == Fault("averageVehicleSpeed: 'x' is not a number", "s2"), "one bad cell spoils no other"
    assert empty is None


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"station": "", "time": "2024-01-01", "PM10": "1"}, "id: a column of the id template is empty"),
        ({"station": "a", "time": "", "PM10": "1"}, "time: column 'time' is empty"),
        ({"station": "a", "time": "yesterday", "PM10": "1"}, "time: 'yesterday' is not a time of the format 'iso'"),
        ({"station": "a", "time": "2024-01-01", "PM10": "1,5"}, "pm10: '1,5' is not a number"),
        ({"station": "a", "time": "2024-01-01", "PM10": "-3"}, "pm10: -3 is less than the minimum of 0"),
        ({"station": "a", "time": "2024-01-01", "PM10": "1e999"}, "pm10: '1e999' is no finite number"),
        ({"station": "a", "time": "2024-01-01", "PM10": True}, "pm10: True is not a number"),
    ],
)
def test_bad_rows_are_refused_with_the_reason(row: dict[str, object], reason: str) -> None:
    text = TIME + ENTITY + '[attributes]\npm10 = "PM10"'
    (found,) = convert(text, row)
    assert isinstance(found, Fault)
    assert found.reason.startswith(reason)


def test_exchanged_coordinates_are_noticed() -> None:
    text = '[entity]\ntype = "Device"\nid = "urn:d:{n}"\nlocation = { lon_column = "x", lat_column = "y" }'
    (found,) = convert(text, {"n": "1", "x": "36.5", "y": "127.3"})
    assert isinstance(found, Fault)
    assert "exchanged" in found.reason


@pytest.mark.parametrize(
    ("text", "key", "remedy"),
    [
        ("[entity", "", "is not valid TOML"),
        ("", "entity.type", "is missing; write for example"),
        ('[entity]\ntype = "Device"', "entity.id", "is missing; write for example"),
        (ENTITY.replace('"urn:', '"x y:') + "", "entity.id", "must be a URI"),
        (ENTITY.replace("{station}", "{station|x}"), "entity.id", "there is no [maps.x]"),
        (ENTITY + 'mode = "serie"', "entity.mode", "must be one of 'state', 'series'"),
        (ENTITY + 'mode = "series"\n[attributes]\npm10 = "x"', "time", "needs a time for each row"),
        (ENTITY + '[attributes]\npm10 = { colum = "x" }', "attributes.pm10.column", "give exactly one of"),
        (ENTITY + '[attributes]\npm10 = { column = "x", uni = "GQ" }', "attributes.pm10.uni", "did you mean 'unit'"),
        (ENTITY + '[attributes]\npm10 = { column = "x", from = "mhp", unit = "KMH" }', "attributes.pm10.from", "mph"),
        (
            ENTITY + '[attributes]\npm10 = { column = "x", from = "mph", unit = "CEL" }',
            "attributes.pm10.from",
            "cannot",
        ),
        (ENTITY + '[attributes]\npm10 = { column = "x", map = "a" }', "attributes.pm10.map", "there is no [maps.a]"),
        (ENTITY + '[attributes]\n"pm 10" = "x"', "attributes.pm 10", "cannot be an attribute's name"),
        (ENTITY + '[time]\ncolumn = "t"\n[attributes]\npm10 = "x"', "time.zone", 'for example "Asia/Seoul"'),
        (ENTITY + '[time]\ncolumn = "t"\nzone = "Asia/Soul"\n[attributes]\npm10 = "x"', "time.zone", "no time zone"),
        (ENTITY + TIME + 'format = "%Q"\n[attributes]\npm10 = "x"', "time.format", "%Q is not known"),
        (ENTITY + '[source]\nencoding = "cp-949x"\n[attributes]\npm10 = "x"', "source.encoding", "no encoding"),
        (ENTITY + '[source]\nencoding = "utf-16"\n[attributes]\npm10 = "x"', "source.encoding", "UTF-8 first"),
        (ENTITY + '[sauce]\n[attributes]\npm10 = "x"', "sauce", "did you mean 'source'"),
    ],
)
def test_a_wrong_mapping_names_file_key_and_remedy(text: str, key: str, remedy: str) -> None:
    with pytest.raises(MappingError) as caught:
        mapping(text, "mine")
    assert (caught.value.file, caught.value.key.strip(".")) == ("mine.toml", key)
    assert remedy in str(caught.value)


def test_an_unknown_column_is_named_with_the_nearest() -> None:
    m = mapping(ENTITY + '[attributes]\npm10 = "미세먼지 농도"')
    with pytest.raises(MappingError, match=r"no column '미세먼지 농도'; did you mean '미세먼지농도'\?"):
        RowMapper(m, ["station", "미세먼지농도"], REGISTRY.need(m.type, m.file))


def test_unknown_types_and_names_suggest_near_ones() -> None:
    with pytest.raises(MappingError, match="did you mean 'AirQualityObserved'"):
        REGISTRY.need("AirQuailtyObserved", "m.toml")
    with pytest.raises(MappingError, match="did you mean 'seoul_air'"):
        load("soul_air")


def test_services_may_add_types() -> None:
    schema = {"properties": {"seats": {"$ref": "#/$defs/seats"}}, "$defs": {"seats": {"type": "integer", "minimum": 1}}}
    type_ = TypeRegistry({"Bus": schema}).need("Bus", "m.toml")
    assert type_.valid({"id": "urn:b:1", "type": "Bus", "seats": 3})
    assert type_.problem({"id": "urn:b:1", "type": "Bus", "seats": 0}) == "seats: 0 is less than the minimum of 1"
    assert type_.problem({"id": "urn:b:1", "type": "Car"}) is not None


@pytest.mark.parametrize("name", shipped_names())
def test_shipped_mappings_are_sound(name: str) -> None:
    m = load(name)
    type_ = REGISTRY.need(m.type, m.file)
    unknown = {a.name for a in m.attributes} - set(type_.properties)
    assert not unknown, "every attribute is in the type's schema"


@given(st.sampled_from(units.names()), st.floats(-1e9, 1e9))
def test_conversion_there_and_back_is_the_identity(name: str, x: float) -> None:
    unit = units.find(name)
    assert unit is not None
    for other in units.names():
        target = units.find(other)
        if target and target.dimension == unit.dimension:
            back = units.converter(other, name)(units.converter(name, other)(x))
            assert math.isclose(back, x, rel_tol=1e-9, abs_tol=1e-6 * max(1.0, 1 / unit.factor))


@pytest.mark.parametrize(
    ("source", "target", "x", "expected"),
    [
        ("mph", "KMH", 60, 96.56064),
        ("°F", "CEL", 212, 100),
        ("K", "°C", 0, -273.15),
        ("%", "C62", 69.9, 0.699),
        ("kWh", "3B", 1, 3.6),
        ("ppb", "ppm", 21, 0.021),
        ("MJ/m2/h", "D54", 3.6, 1000),
        ("kn", "m/s", 1, 0.514444444444),
    ],
)
def test_conversions(source: str, target: str, x: float, expected: float) -> None:
    assert units.converter(source, target)(x) == pytest.approx(expected, rel=1e-11)
