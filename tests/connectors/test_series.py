"""Every published series goes into one hub; counts and values agree with what the csv module says of the files.

The expected figures are computed here, from the files, by other code than the connectors'.
"""

import csv
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio

from hanmaru.connectors.ingest import Summary, ingest_file
from hanmaru.connectors.mapping import load, shipped_names
from hanmaru.hub.client import HubClient, Query
from hanmaru.hub.local import open_hub
from hanmaru.platform.access import Access
from tests.connectors.conftest import instants

pytestmark = pytest.mark.asyncio(loop_scope="module")
Path_ = Callable[[str], Path]
SEOUL = timedelta(hours=9)
FILES = {name: f"{name}.csv" for name in shipped_names()} | {"seoul_bike_weather": "seoul_bike_hourly.csv"}


class City(NamedTuple):
    """The hub with everything in it, and what each ingestion reported."""

    hub: HubClient
    done: dict[str, Summary]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def city(series: Path_, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[City]:
    """Ingest all series, each with its shipped mapping."""
    folder = tmp_path_factory.mktemp("series")
    paths = {name: series(file) for name, file in FILES.items()}
    async with open_hub(f"sqlite:///{folder / 'hub.db'}") as opened:
        hub = opened.client(Access(write=True))
        done = {name: await ingest_file(hub, load(name), path, folder) for name, path in paths.items()}
        yield City(hub, done)


def rows(path: Path, encoding: str = "utf-8-sig") -> list[dict[str, str]]:
    with path.open(encoding=encoding, newline="") as file:
        return list(csv.DictReader(file))


def utc(local: datetime, offset: timedelta = SEOUL) -> str:
    return (local - offset).isoformat() + "Z"


async def test_every_shipped_mapping_has_its_series() -> None:
    assert len(shipped_names()) == 14
    for name in shipped_names():
        assert any(Path(FILES[name]).match(pattern) for pattern in load(name).files)
        assert set(load(name).title) == {"en", "ko"}


async def test_nothing_is_quarantined(city: City) -> None:
    assert {name: s.quarantined for name, s in city.done.items() if s.quarantined} == {}
    values, seconds = sum(s.values for s in city.done.values()), sum(s.seconds for s in city.done.values())
    print(f"\n{values:,} values in {seconds:.1f} s, {values / seconds:,.0f} values/s")
    assert values > 1_200_000


async def test_accidents(city: City, series: Path_) -> None:
    expected = rows(series("sejong_accidents.csv"))
    found = {e["localId"]: e for e in await city.hub.query(Query(type="RoadAccident", limit=2000), simplified=True)}
    assert len(found) == len(expected) == 932
    for row in expected:
        entity = found[row["사고번호"]]
        year, month, day, hour = (int("".join(filter(str.isdigit, part))) for part in row["사고일시"].split())
        assert entity["accidentDate"] == utc(datetime(year, month, day, hour))
        assert entity["id"].endswith(row["사고번호"])
        assert entity["totalDeadPeopleWithin30Days"] == int(row["사망자수"])
        assert entity["injuryReported"] == int(row["부상신고자수"])
        assert entity["areaServed"] == row["시군구"]
        assert ("secondParty" in entity) == (row["피해운전자 차종"] not in ("", "기타불명"))
        assert not any("세" in str(v) and str(v)[:-1].isdigit() for v in entity.values()), "nobody's age"
    severities = {"사망사고": "fatal", "중상사고": "serious", "경상사고": "slight", "부상신고사고": "reported"}
    assert Counter(e["severity"] for e in found.values()) == Counter(severities[r["사고내용"]] for r in expected)
    assert sum(e["totalDeadPeopleWithin30Days"] for e in found.values()) == 17


async def test_sejong_weather(city: City, series: Path_) -> None:
    expected = rows(series("asos_daily_sejong.csv"), "cp949")
    id = "urn:ngsi-ld:WeatherObserved:kma:239"
    for attr, column, scale in (
        ("temperature", "평균기온(°C)", 1.0),
        ("windSpeed", "평균 풍속(m/s)", 1.0),
        ("relativeHumidity", "평균 상대습도(%)", 0.01),
        ("atmosphericPressure", "평균 현지기압(hPa)", 1.0),
        ("temperatureMin", "최저기온(°C)", 1.0),
    ):
        wanted = [(utc(datetime.fromisoformat(r["일시"])), float(r[column]) * scale) for r in expected if r[column]]
        assert await instants(city.hub, id, attr) == [(t, pytest.approx(v)) for t, v in wanted]
    now = await city.hub.retrieve(id)
    assert now is not None
    assert now["temperature"]["observedAt"] == "2021-12-30T15:00:00Z"
    assert now["temperature"]["unitCode"] == "CEL"
    assert now["location"]["value"]["coordinates"] == [127.2444, 36.4852]


async def test_seoul_air(city: City, series: Path_) -> None:
    expected: dict[str, dict[str, str]] = {}
    for row in rows(series("seoul_air.csv")):
        day, clock = row["일시"].split()
        expected[utc(datetime.fromisoformat(day) + timedelta(hours=int(clock[:2])))] = row
    assert len(expected) == 43_776
    for attr, column in (("no2", "이산화탄소"), ("co", "일산화탄소"), ("pm25", "초미세먼지"), ("so2", "아황산가스")):
        wanted = [(t, float(r[column])) for t, r in sorted(expected.items()) if r[column] != "-"]
        assert await instants(city.hub, "urn:ngsi-ld:AirQualityObserved:seoul:mean", attr) == wanted
    done = city.done["seoul_air"]
    assert (done.rows, done.repeated, done.left_out) == (43_800, 24 * 6, 0)


async def test_seoul_air_by_station(city: City, series: Path_) -> None:
    expected = rows(series("seoul_air_2021.csv"), "cp949")
    stations = [
        e
        for e in await city.hub.query(Query(type="AirQualityObserved", limit=100), simplified=True)
        if e["id"].split(":")[-2] == "seoul" and not e["id"].endswith(":mean")
    ]
    assert len(stations) == 50
    for station in stations[::7]:
        mine = [r for r in expected if r["측정소명"] == station["name"]]
        for attr, column in (("pm10", "미세먼지농도(㎍/㎥)"), ("no2", "이산화질소농도(ppm)")):
            wanted = [(utc(datetime.strptime(r["측정일시"], "%Y%m%d")), float(r[column])) for r in mine if r[column]]
            assert await instants(city.hub, station["id"], attr) == wanted
    empty = sum(not any(list(r.values())[2:]) for r in expected)
    assert city.done["seoul_air_2021"].left_out == empty == 32


async def test_bikes_and_their_weather(city: City, series: Path_) -> None:
    expected = rows(series("seoul_bike_hourly.csv"))

    def at(r: dict[str, str]) -> str:
        day, month, year = map(int, r["Date"].split("/"))
        return utc(datetime(year, month, day, int(r["Hour"])))

    hires = [(at(r), int(r["Rented Bike Count"])) for r in expected if r["Functioning Day"] == "Yes"]
    assert len(hires) == 8760 - 295
    assert await instants(city.hub, "urn:ngsi-ld:BikeHireObserved:seoul", "hires") == hires
    weather = "urn:ngsi-ld:WeatherObserved:seoul:bike-series"
    humid = [(at(r), int(r["Humidity(percentage)"]) / 100) for r in expected if r["Humidity(percentage)"] != "0"]
    assert await instants(city.hub, weather, "relativeHumidity") == [(t, pytest.approx(v)) for t, v in humid]
    sun = [(at(r), float(r["Solar Radiation (MJ/m2)"]) * 1e6 / 3600) for r in expected]
    assert await instants(city.hub, weather, "solarRadiation") == [(t, pytest.approx(v, abs=0.051)) for t, v in sun]
    seen = [(at(r), int(r["Visibility (10m)"]) * 10) for r in expected]
    assert await instants(city.hub, weather, "visibility") == seen


async def test_steel(city: City, series: Path_) -> None:
    expected = rows(series("steel_energy_gwangyang_15min.csv"))
    first = datetime(2018, 1, 1, 0, 15)
    times = [utc(first + i * timedelta(minutes=15)) for i in range(len(expected))]
    id = "urn:ngsi-ld:ACMeasurement:gwangyang:steel"
    found = await instants(city.hub, id, "intervalActiveEnergy")
    assert found == [(t, float(r["Usage_kWh"])) for t, r in zip(times, expected, strict=True)]
    assert len(found) == 35_040
    assert found[-1][0] == "2018-12-31T15:00:00Z", "the last quarter hour ends at the year's end, local time"
    power = await instants(city.hub, id, "totalActivePower")
    assert [v for _, v in power] == pytest.approx([float(r["Usage_kWh"]) * 4 for r in expected])
    factor = await instants(city.hub, id, "powerFactorLagging")
    assert [v for _, v in factor] == pytest.approx([float(r["Lagging_Current_Power_Factor"]) / 100 for r in expected])


async def test_los_angeles_speeds(city: City, series: Path_) -> None:
    with series("metr_la_week.csv").open(encoding="utf-8", newline="") as file:
        detectors, *speeds = list(csv.reader(file))
    assert (len(detectors), len(speeds)) == (207, 2016)
    begin = datetime(2012, 3, 1, tzinfo=ZoneInfo("America/Los_Angeles")).astimezone(UTC).replace(tzinfo=None)
    times = [utc(begin + i * timedelta(minutes=5), timedelta()) for i in range(len(speeds))]
    total = 0
    for i, detector in enumerate(detectors):
        id = f"urn:ngsi-ld:TrafficFlowObserved:metr-la:{detector}"
        history = await city.hub.history(id, attrs=["averageVehicleSpeed"], temporal_values=True)
        assert history is not None
        found = history["averageVehicleSpeed"]["values"]
        total += len(found)
        assert [t for _, t in found] == times
        assert [v for v, _ in found] == pytest.approx([float(r[i]) * 1.609344 for r in speeds], abs=0.00051)
    assert total == 417_312
    assert city.done["metr_la_week"].values >= total


async def test_los_angeles_neighbours(city: City, series: Path_) -> None:
    with series("metr_la_week.csv").open(encoding="utf-8", newline="") as file:
        detectors = next(csv.reader(file))
    with series("metr_la_adj.csv").open(encoding="utf-8", newline="") as file:
        matrix = [[float(cell) for cell in row] for row in csv.reader(file)]
    expected: dict[str, dict[str, float]] = defaultdict(dict)
    for i, row in enumerate(matrix):
        for j, weight in enumerate(row):
            if weight and i != j:
                expected[detectors[i]][detectors[j]] = weight
    edges = 0
    for entity in await city.hub.query(Query(type="TrafficFlowObserved", limit=300)):
        near: Any = entity.get("adjacentTo", [])
        near = near if isinstance(near, list) else [near]
        found = {n["object"].rpartition(":")[2]: n["weight"]["value"] for n in near}
        assert found == expected[entity["id"].rpartition(":")[2]]
        assert all(n["type"] == "Relationship" for n in near)
        edges += len(found)
    assert edges == 2833 - 207


async def test_korea_air_and_weather(city: City, series: Path_) -> None:
    expected = rows(series("kr_air_weather_daily.csv"))
    id = "urn:ngsi-ld:AirQualityObserved:korea:mean"
    for attr, column, tolerance in (
        ("pm25", "PM25_Avg", 6e-4),
        ("o3", "O3_Avg", 6e-7),
        ("temperature", "Temperature_Avg", 0),
    ):
        wanted = [(utc(datetime.fromisoformat(r["date"])), float(r[column])) for r in expected if r[column] != "NA"]
        assert await instants(city.hub, id, attr) == [(t, pytest.approx(v, abs=tolerance)) for t, v in wanted]
    assert sum(r["PM25_Avg"] == "NA" for r in expected) == 3652


async def test_crime(city: City, series: Path_) -> None:
    expected = {r["관서명"]: r for r in rows(series("crime_in_Seoul.csv"), "cp949")}
    found = await city.hub.query(Query(type="CrimeObserved", limit=100), simplified=True)
    assert {e["policeStation"] for e in found} == set(expected)
    for entity in found:
        row = expected[entity["policeStation"]]
        assert entity["theftReported"] == int(row["절도 발생"].replace(",", ""))
        assert entity["violenceCleared"] == int(row["폭력 검거"].replace(",", ""))
        assert entity["murderReported"] == int(row["살인 발생"])
    assert sum(e["theftReported"] for e in found) == sum(
        int(r["절도 발생"].replace(",", "")) for r in expected.values()
    )


async def test_cameras_by_district(city: City, series: Path_) -> None:
    expected = {r["기관명"]: r for r in rows(series("CCTV_in_Seoul.csv"))}
    found = await city.hub.query(Query(type="KeyPerformanceIndicator", limit=100), simplified=True)
    assert {e["area"]: e["kpiValue"] for e in found} == {name: int(r["소계"]) for name, r in expected.items()}
    assert {e["area"]: e["camerasInstalled2016"] for e in found} == {n: int(r["2016년"]) for n, r in expected.items()}


async def test_sensor_sites(city: City, series: Path_) -> None:
    expected = {r["시리얼"]: [float(r["경도"]), float(r["위도"])] for r in rows(series("sdot_sensor_locations.csv"))}
    found = await city.hub.query(Query(type="Device", limit=1000), simplified=True)
    assert {e["serialNumber"]: e["location"]["coordinates"] for e in found} == expected
    near = await city.hub.query(Query(type="Device", near=(126.978, 37.5665, 1000.0), limit=1000))
    assert 0 < len(near) < 100


async def test_places(city: City, series: Path_) -> None:
    expected = {r["AREA_CD"]: r["AREA_NM_KR"].strip() for r in rows(series("seoul_115_places.csv"))}
    found = await city.hub.query(Query(type="PointOfInterest", limit=200), simplified=True)
    assert {e["localId"]: e["name"] for e in found} == expected


async def test_a_second_run_reads_nothing(city: City, series: Path_, tmp_path: Path) -> None:
    before = await city.hub.head()
    again = await ingest_file(city.hub, load("sejong_accidents"), series("sejong_accidents.csv"), tmp_path)
    assert (again.rows, again.values, again.quarantined) == (932, 0, 0), "without a checkpoint: read, but all known"
    once_more = await ingest_file(city.hub, load("sejong_accidents"), series("sejong_accidents.csv"), tmp_path)
    assert (once_more.rows, once_more.values) == (0, 0)
    assert await city.hub.head() == before
