"""Boards that are there from the start. Whoever wants one otherwise keeps a copy of it."""

from collections.abc import Mapping

from hanmaru.centre.boards.model import Aggregate, Ask, Tile
from hanmaru.centre.domain import Text

READY = "ready-"


def _value(
    id: str, title: Text, type: str, attr: str, at: tuple[int, int], agg: Aggregate = "mean", q: str = ""
) -> Tile:
    ask = Ask("value", type, attr, agg, q, hours=6)
    return Tile(id, "value", at[0], at[1], 3, 2, title, ask)


def _chart(
    id: str, title: Text, type: str, attr: str, at: tuple[int, int], agg: Aggregate = "mean", *, bars: bool = False
) -> Tile:
    return Tile(id, "chart", at[0], at[1], 6, 3, title, Ask("series", type, attr, agg), bars)


def _list(id: str, title: Text, type: str, attr: str, at: tuple[int, int], *, low: bool = False) -> Tile:
    return Tile(id, "list", at[0], at[1], 6, 4, title, Ask("list", type, attr, order="low" if low else "high"))


def _events(at: tuple[int, int], rows: int) -> Tile:
    return Tile("events", "events", at[0], at[1], 6, rows, {"en": "Open events", "ko": "진행 중인 사건"})


def t(en: str, ko: str) -> Text:
    """Return a text in English and Korean."""
    return {"en": en, "ko": ko}


AIR, TRAFFIC, WEATHER = "AirQualityObserved", "TrafficFlowObserved", "WeatherObserved"

BOARDS: Mapping[str, tuple[Text, tuple[Tile, ...]]] = {
    READY + "city": (
        t("City now", "도시 현황"),
        (
            _value("pm25", t("Fine dust PM2.5", "초미세먼지"), AIR, "pm25", (0, 0)),
            _value("temperature", t("Temperature", "기온"), WEATHER, "temperature", (3, 0)),
            _value("speed", t("Traffic speed", "교통 속도"), TRAFFIC, "averageVehicleSpeed", (6, 0)),
            _value("beds", t("Free emergency beds", "응급실 빈 병상"), "Hospital", "availableBeds", (9, 0), "sum"),
            _events((0, 2), 5),
            _chart("crowd", t("People on the streets", "유동 인구"), "CrowdFlowObserved", "peopleCount", (6, 2), "sum"),
            _value("rain", t("Rain", "강수량"), WEATHER, "precipitation", (6, 5), "max"),
            _value("alerts", t("Alerts", "알림"), "Alert", "", (9, 5), "count"),
        ),
    ),
    READY + "air": (
        t("Air", "대기"),
        (
            _value("pm25", t("Fine dust PM2.5", "초미세먼지"), AIR, "pm25", (0, 0)),
            _value("pm10", t("Dust PM10", "미세먼지"), AIR, "pm10", (3, 0)),
            _value("o3", t("Ozone", "오존"), AIR, "o3", (6, 0)),
            _value("no2", t("Nitrogen dioxide", "이산화질소"), AIR, "no2", (9, 0)),
            _chart("pm25-day", t("PM2.5 of the day", "초미세먼지 24시간"), AIR, "pm25", (0, 2)),
            _chart("wind-day", t("Wind of the day", "풍속 24시간"), WEATHER, "windSpeed", (6, 2)),
            _list("worst", t("Highest PM2.5", "초미세먼지 높은 곳"), AIR, "pm25", (0, 5)),
            _list("noise", t("Loudest places", "소음 높은 곳"), "NoiseLevelObserved", "LAeq", (6, 5)),
        ),
    ),
    READY + "traffic": (
        t("Traffic", "교통"),
        (
            _value("speed", t("Mean speed", "평균 속도"), TRAFFIC, "averageVehicleSpeed", (0, 0)),
            _value("slow", t("Slow roads", "정체 구간"), TRAFFIC, "", (3, 0), "count", "averageVehicleSpeed<15"),
            _value(
                "parking",
                t("Free parking spaces", "주차 빈 자리"),
                "OffStreetParking",
                "availableSpotNumber",
                (6, 0),
                "sum",
            ),
            _value("buses", t("Buses", "버스"), "Vehicle", "", (9, 0), "count"),
            _chart("speed-day", t("Speed of the day", "평균 속도 24시간"), TRAFFIC, "averageVehicleSpeed", (0, 2)),
            _chart("flow-day", t("Flow of the day", "교통량 24시간"), TRAFFIC, "intensity", (6, 2), bars=True),
            _list("slowest", t("Slowest roads", "가장 느린 구간"), TRAFFIC, "averageVehicleSpeed", (0, 5), low=True),
            _list(
                "parked",
                t("Fullest car parks", "빈 자리가 적은 주차장"),
                "OffStreetParking",
                "availableSpotNumber",
                (6, 5),
                low=True,
            ),
        ),
    ),
    READY + "safety": (
        t("Safety", "안전"),
        (
            _value("cameras", t("Cameras on", "작동 중인 카메라"), "Camera", "", (0, 0), "count", "on==true"),
            _value("dark", t("Cameras off", "꺼진 카메라"), "Camera", "", (3, 0), "count", "on==false"),
            _value("water", t("Highest water level", "최고 수위"), "WaterObserved", "height", (6, 0), "max"),
            _value(
                "wait",
                t("Longest emergency wait", "응급실 최장 대기"),
                "Hospital",
                "emergencyWaitingTime",
                (9, 0),
                "max",
            ),
            _events((0, 2), 7),
            _chart("water-day", t("Water level of the day", "수위 24시간"), "WaterObserved", "height", (6, 2), "max"),
            _list("crowds", t("Most people", "사람이 많은 곳"), "CrowdFlowObserved", "peopleCount", (6, 5)),
        ),
    ),
}
