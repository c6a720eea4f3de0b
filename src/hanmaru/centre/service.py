"""The centre's manifest: the layers and panels of the city's own entity types, and the live map's routes."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hanmaru.centre.api import routes
from hanmaru.hub.client import HubClient
from hanmaru.platform.services import Attr, Context, EntityType, Layer, Page, Panel, Service, Task, Text

if TYPE_CHECKING:
    import typer

GOOD, MODERATE, BAD, VERY_BAD = "#2470c8", "#1f8149", "#c77700", "#cc3b37"
"""Korea's four grades of air quality, as its public displays colour them."""


def text(en: str, ko: str) -> Text:
    """Return a text in English and Korean."""
    return {"en": en, "ko": ko}


def grades(moderate: float, bad: float, very_bad: float) -> tuple[tuple[float, str], ...]:
    """Return colour steps from the lower bounds of the comprehensive air-quality index (AirKorea)."""
    return ((0, GOOD), (moderate, MODERATE), (bad, BAD), (very_bad, VERY_BAD))


NAME = Attr("name", text("Name", "이름"))

AIR = (
    Attr("pm25", text("PM2.5", "초미세먼지"), "µg/m³", 0, steps=grades(16, 36, 76)),
    Attr("pm10", text("PM10", "미세먼지"), "µg/m³", 0, steps=grades(31, 81, 151)),
    Attr("o3", text("Ozone", "오존"), "ppm", 3, steps=grades(0.031, 0.091, 0.151)),
    Attr("no2", text("NO₂", "이산화질소"), "ppm", 3, steps=grades(0.031, 0.061, 0.201)),
    Attr("airQualityIndex", text("Air index", "통합지수"), "", 0, steps=grades(51, 101, 251)),
)

WEATHER = (
    Attr("temperature", text("Temp.", "기온"), "°C", 1),
    Attr("relativeHumidity", text("Humidity", "상대 습도"), "%", 0, 100),
    Attr("windSpeed", text("Wind", "풍속"), "m/s", 1),
    Attr("precipitation", text("Rain", "강수량"), "mm", 1),
    Attr("atmosphericPressure", text("Pressure", "기압"), "hPa", 0),
)

SPEED_STEPS = ((0, VERY_BAD), (15, BAD), (30, MODERATE), (50, GOOD))
"""Congested, slow, moving, free, by speed in km/h as Korea's urban road displays have them (TOPIS), free added."""

TRAFFIC = (
    Attr("averageVehicleSpeed", text("Mean speed", "평균 속도"), "km/h", 0, steps=SPEED_STEPS),
    Attr("intensity", text("Flow", "교통량"), "veh/h", 0),
    Attr("occupancy", text("Occupancy", "점유율"), "%", 0, 100),
)

NOISE = (
    Attr("LAeq", text("Sound level", "소음도"), "dB", 0, steps=((0, GOOD), (55, MODERATE), (65, BAD), (75, VERY_BAD))),
)
WATER = (
    Attr("height", text("Water level", "수위"), "m", 2),
    Attr("flow", text("Flow", "유량"), "m³/s", 1),
)
UNDERPASS = (
    Attr("currentLevel", text("Water standing", "침수 깊이"), "cm", 0, steps=((0, GOOD), (5, BAD), (15, VERY_BAD))),
)
CROWD = (Attr("peopleCount", text("People", "인원"), "", 0),)
CAMERA = (
    Attr("cameraUsage", text("Use", "용도")),
    Attr("on", text("On", "작동")),
)
DEVICE = (
    Attr("category", text("Category", "분류")),
    Attr("deviceState", text("State", "상태")),
    Attr("batteryLevel", text("Battery", "배터리"), "%", 0, 100, ((0, VERY_BAD), (10, BAD), (30, MODERATE))),
)
LIGHT = (
    Attr("powerState", text("Power", "전원")),
    Attr("illuminanceLevel", text("Dimming", "밝기"), "%", 0, 100),
)
ENERGY = (
    Attr("totalActivePower", text("Power", "유효 전력"), "kW", 1),
    Attr("totalActiveEnergyImport", text("Energy", "누적 전력량"), "kWh", 0),
)
WASTE = (
    Attr(
        "fillingLevel",
        text("Filled", "적재율"),
        "%",
        0,
        100,
        ((0, MODERATE), (60, BAD), (85, VERY_BAD)),
    ),
)
PARKING = (
    Attr("availableSpotNumber", text("Free spaces", "빈 자리"), "", 0, steps=((0, VERY_BAD), (5, BAD), (20, MODERATE))),
    Attr("totalSpotNumber", text("Spaces", "전체 자리"), "", 0),
)
CHARGING = (
    Attr(
        "availableCapacity", text("Free chargers", "빈 충전기"), "", 0, steps=((0, VERY_BAD), (1, BAD), (2, MODERATE))
    ),
    Attr("capacity", text("Chargers", "전체 충전기"), "", 0),
)
MEDICAL = (
    Attr("availableBeds", text("Free beds", "빈 병상"), "", 0, steps=((0, VERY_BAD), (3, BAD), (10, MODERATE))),
    Attr("emergencyWaitingTime", text("Waiting time", "대기 시간"), "min", 0),
    Attr("totalBeds", text("Beds", "전체 병상"), "", 0),
)
VEHICLE = (
    Attr("speed", text("Speed", "속도"), "km/h", 0),
    Attr("serviceStatus", text("Service", "운행 상태")),
)
ALERT = (
    Attr("severity", text("Severity", "심각도")),
    Attr("category", text("Category", "분류")),
    Attr("dateIssued", text("Issued", "발령 시각")),
    Attr("validTo", text("Valid to", "유효 시각")),
)

LAYERS = (
    Layer(
        "traffic", text("Traffic", "교통"), "TrafficFlowObserved", TRAFFIC, "#1b7f6b", "averageVehicleSpeed", "traffic"
    ),
    Layer("light", text("Street lights", "가로등"), "Streetlight", LIGHT, "#8a6d1d", None, "light", visible=False),
    Layer("camera", text("Safety cameras", "방범 카메라"), "Camera", CAMERA, "#5b4b9a", None, "camera"),
    Layer("device", text("Emergency bells", "비상벨"), "Device", DEVICE, "#56657a", None, "device"),
    Layer("energy", text("Energy", "에너지"), "ACMeasurement", ENERGY, "#b0562a", None, "energy", visible=False),
    Layer(
        "waste",
        text("Waste containers", "쓰레기통"),
        "WasteContainer",
        WASTE,
        "#7a5a3c",
        "fillingLevel",
        "waste",
        visible=False,
    ),
    Layer("noise", text("Noise", "소음"), "NoiseLevelObserved", NOISE, "#a0447a", "LAeq", "noise"),
    Layer("crowd", text("Crowds", "유동 인구"), "CrowdFlowObserved", CROWD, "#3d6fb4", None, "people"),
    Layer(
        "charging",
        text("EV charging", "전기차 충전소"),
        "EVChargingStation",
        CHARGING,
        "#2f8f9d",
        "availableCapacity",
        "plug",
        visible=False,
    ),
    Layer(
        "parking", text("Parking", "주차장"), "OffStreetParking", PARKING, "#2f62ad", "availableSpotNumber", "parking"
    ),
    Layer("vehicle", text("Buses", "버스"), "Vehicle", VEHICLE, "#c2410c", None, "bus"),
    Layer("stop", text("Bus stops", "버스 정류장"), "PublicTransportStop", (), "#8b4a2b", None, "pin", visible=False),
    Layer("water", text("Rivers", "하천"), "WaterObserved", WATER, "#1f78b4", None, "flood"),
    Layer(
        "underpass", text("Underpasses", "지하차도"), "FloodMonitoring", UNDERPASS, "#0e7490", "currentLevel", "flood"
    ),
    Layer("medical", text("Emergency care", "응급 의료"), "Hospital", MEDICAL, "#c0392b", "availableBeds", "hospital"),
    Layer("weather", text("Weather", "날씨"), "WeatherObserved", WEATHER, "#4a6fa5", None, "weather"),
    Layer("air", text("Air quality", "대기질"), "AirQualityObserved", AIR, "#2a7f62", "pm25", "air"),
    Layer("alert", text("Alerts", "알림"), "Alert", ALERT, "#b3261e", None, "alert"),
)
"""Bottom to top on the map; a list shows them the other way round."""

PANELS = (
    Panel("alerts", text("Alerts", "알림"), "table", "city", ["Alert"], ALERT),
    Panel("air-now", text("Air", "대기"), "values", "city", ["AirQualityObserved"], AIR[:4]),
    Panel("weather-now", text("Weather", "날씨"), "values", "city", ["WeatherObserved"], WEATHER[:4]),
    Panel("traffic-now", text("Traffic", "교통"), "values", "city", ["TrafficFlowObserved"], TRAFFIC),
)

PERMISSIONS: Mapping[str, Text] = {
    "centre.watch": text("Watch the city", "관제 화면 보기"),
    "centre.act": text("Act on events", "사건 대응"),
    "centre.rules": text("Set rules and procedures", "규칙과 절차 관리"),
    "centre.cameras": text("Manage cameras", "카메라 관리"),
    "centre.unblur": text("See faces in camera pictures", "영상 얼굴 확인"),
    "centre.clips": text("Open evidence clips", "증거 영상 열람"),
    "centre.agency": text("Send receipts of hand-overs", "이관 접수 통보"),
}

ROLES: Mapping[str, Text] = {
    "operator": text("Operator", "관제요원"),
    "supervisor": text("Supervisor", "관제 책임자"),
    "cctv-officer": text("CCTV officer", "영상정보 담당자"),
    "agency": text("Agency (machine)", "유관기관 (기계)"),
}

PAGES = (
    Page("events", text("Events", "사건"), "/events", "page.js", "centre.watch"),
    Page("cctv", text("Cameras", "카메라"), "/cctv", "page.js", "centre.watch"),
    Page("board", text("Boards", "현황판"), "/board", "page.js", "centre.watch"),
    Page("rules", text("Rules", "규칙"), "/rules", "page.js", "centre.rules"),
    Page("report", text("Reports", "보고서"), "/report", "page.js", "centre.watch"),
)


def commands() -> "typer.Typer":
    """Return ``hanmaru centre``."""
    from hanmaru.centre.cli import app

    return app


async def events(context: Context[HubClient]) -> None:
    """Make events of detections, keep procedures' time, hand over to agencies, tell the hub."""
    from hanmaru.centre.events.process import run

    await run(context)


async def cctv(context: Context[HubClient]) -> None:
    """Be the camera process: keep sources open, look at pictures, serve them blurred, record."""
    from hanmaru.centre.cctv.task import run

    await run(context)


async def detect(context: Context[HubClient]) -> None:
    """Run the rules over the stream, in a process of their own."""
    from hanmaru.centre.detect.follow import run

    await run(context)


async def demo(context: Context[HubClient]) -> None:
    """Give a demo city agencies, and its operators a first alarm."""
    if context.city.get("demo"):
        from hanmaru.centre.demo import run

        await run(context)


TASKS: tuple[Task[HubClient], ...] = (
    Task("events", events),
    Task("detect", detect, apart=True),
    Task("cctv", cctv, apart=True),
    Task("demo", demo),
)

service: Service[HubClient] = Service(
    name="centre",
    title=text("City information centre", "도시통합정보센터"),
    entity_types=[EntityType(layer.type, layer.title) for layer in LAYERS],
    routes=routes,
    tasks=TASKS,
    layers=LAYERS,
    panels=PANELS,
    pages=PAGES,
    permissions=PERMISSIONS,
    roles=ROLES,
    entrusted=("centre.unblur", "centre.clips"),
    policies=Path(__file__).with_name("policies"),
    commands=commands,
    static=Path(__file__).parents[1] / "web" / "services" / "centre",
)
