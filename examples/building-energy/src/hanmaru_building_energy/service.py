"""The manifest: what a building would have used, what it used, and what was saved."""

from pathlib import Path

from hanmaru.hub.client import HubClient
from hanmaru.platform.services import Attr, Context, EntityType, Layer, Panel, Service, Task
from hanmaru_building_energy.api import routes
from hanmaru_building_energy.demo import introduce, stream
from hanmaru_building_energy.work import keep_savings

HERE = Path(__file__).parent

SAVINGS = Attr(
    "savingsPercent",
    {"en": "Savings", "ko": "절감률"},
    "%",
    1,
    steps=((-100, "#cc3b37"), (-2, "#c77700"), (2, "#6c8f3d"), (10, "#1f8149"), (20, "#0b5d53")),
)
"""Coloured from waste through nothing to a fifth and more."""

ATTRS = (
    SAVINGS,
    Attr("savingsUncertainty", {"en": "± at 90 %", "ko": "± (90 %)"}, "%", 1),
    Attr("savedEnergy", {"en": "Saved", "ko": "절감량"}, "kWh", 0),
    Attr("savedEnergyUncertainty", {"en": "± at 90 %", "ko": "± (90 %)"}, "kWh", 0),
    Attr("baselineEnergy", {"en": "Baseline", "ko": "기준 사용량"}, "kWh", 0),
    Attr("baselineCvRmse", {"en": "CV(RMSE)", "ko": "CV(RMSE)"}, "%", 1),
)

BUILDING = {
    "type": "object",
    "properties": {
        "name": {},
        "category": {"type": "array", "items": {"type": "string"}},
        "refMeter": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        "refWeather": {"type": "string"},
        "measureStartedAt": {"type": "string", "format": "date-time"},
        "measureCompletedAt": {"type": "string", "format": "date-time"},
        "savedEnergy": {"type": "number", "x-unit": "KWH"},
        "savedEnergyUncertainty": {"type": "number", "minimum": 0, "x-unit": "KWH"},
        "savingsPercent": {"type": "number", "x-unit": "P1"},
        "savingsUncertainty": {"type": "number", "minimum": 0, "x-unit": "P1"},
        "baselineEnergy": {"type": "number", "x-unit": "KWH"},
        "savingsStatus": {"type": "string", "enum": ["ok", "too-little-data", "does-not-fit", "nothing-after"]},
        "baselineCvRmse": {"type": "number", "minimum": 0, "x-unit": "P1"},
    },
}
"""The Smart Data Models' ``Building`` (dataModel.Building) as far as it is used, and what the service adds to it."""


async def savings(context: Context[HubClient]) -> None:
    """Estimate savings for as long as the hub is up; in the demo city, of its buildings."""
    await introduce(context)
    await keep_savings(context)


service: Service[HubClient] = Service(
    name="energy",
    title={"en": "Building energy", "ko": "건물 에너지"},
    entity_types=[EntityType("Building", {"en": "Buildings", "ko": "건물"}, BUILDING)],
    routes=routes,
    tasks=[Task("savings", savings), Task("demo meters", stream)],
    layers=[
        Layer(
            "buildings",
            {"en": "Energy savings", "ko": "에너지 절감"},
            "Building",
            ATTRS[:3],
            "#5b6b7a",
            "savingsPercent",
            "energy",
        )
    ],
    panels=[
        Panel("figures", {"en": "Savings", "ko": "절감 결과"}, "values", "entity", ["Building"], ATTRS),
        Panel(
            "savings",
            {"en": "Measured against the baseline", "ko": "실측과 기준의 비교"},
            "module",
            "entity",
            ["Building"],
            module="savings.js",
        ),
    ],
    static=HERE / "static",
    permissions={"energy.manage": {"en": "Say when a measure was taken", "ko": "절감 조치 시점 지정"}},
    roles={"energy-manager": {"en": "Energy manager", "ko": "에너지 관리자"}},
    policies=HERE / "policies",
)
