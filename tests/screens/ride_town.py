"""A small town with call vans for the screens: streets in a grid, nine stops, three vans that nobody drives yet."""

import json
from pathlib import Path
from typing import Any

WEST, SOUTH = 127.276, 36.470
EAST_STEP, NORTH_STEP = 0.0045, 0.0036
"""400 m between streets."""
STREETS = 7
STOPS = {
    "Market": (0, 0), "School": (0, 3), "Library": (0, 6), "Hospital": (3, 0), "City hall": (3, 3), "Station": (3, 6),
    "Park": (6, 0), "Stadium": (6, 3), "Museum": (6, 6),
}  # fmt: skip
"""Each beside the crossing of two streets, counted from the south-west."""

SERVICE = """\
name = {{ en = "Town vans", ko = "마을 부름버스" }}
hours = ["00:00", "24:00"]
roads = "roads.geojson"
stops = "stops.csv"

[limits]
max_walk_m = 400

[promise]
window_s = 120
grace_s = 3600

[layers]
assign_every_s = 0
improve_s = 0
rebalance_every_s = 0
{vans}
"""
VAN = """
[[vans]]
id = "van-{n}"
plate = "70바 100{n}"
seats = 8
wheelchairs = 1
driver = "{driver}"
depot = [{lon}, {lat}]
"""


def crossing(east: float, north: float) -> tuple[float, float]:
    return round(WEST + east * EAST_STEP, 6), round(SOUTH + north * NORTH_STEP, 6)


def place(name: str) -> dict[str, float]:
    lon, lat = crossing(*STOPS[name])
    return {"lon": lon, "lat": lat}


def write(folder: Path) -> None:
    """Write the room's settings, roads and stops to its folder."""
    folder.mkdir(parents=True)
    vans = [(1, "driver", 0.5, 0.0), (2, "", 6.0, 5.5), (3, "", 5.5, 6.0)]
    made = (VAN.format(n=n, driver=driver, lon=crossing(x, y)[0], lat=crossing(x, y)[1]) for n, driver, x, y in vans)
    (folder / "service.toml").write_text(SERVICE.format(vans="".join(made)), "utf-8")
    rows = [f"{k},{name},{crossing(*at)[1]},{crossing(*at)[0]},yes" for k, (name, at) in enumerate(STOPS.items())]
    (folder / "stops.csv").write_text("\n".join(["id,name,lat,lon,accessible", *rows]), "utf-8")
    links: list[dict[str, Any]] = []
    kind = {"MAX_SPD": 50, "ROAD_RANK": "106", "ONEWAY": "no"}
    for a in range(STREETS):
        for b in range(STREETS):
            links += [
                {
                    "type": "Feature",
                    "geometry": {"type": "LineString", "coordinates": [crossing(a, b), crossing(*end)]},
                    "properties": {"LINK_ID": f"{a}{b}-{end[0]}{end[1]}", **kind},
                }
                for end in ((a + 1, b), (a, b + 1))
                if max(end) < STREETS
            ]  # fmt: skip
    (folder / "roads.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": links}), "utf-8")
