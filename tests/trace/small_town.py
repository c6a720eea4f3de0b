"""A town of nine masts and a day in it, small enough to know everything: who was where, and what it left behind."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from hanmaru.trace import tables
from hanmaru.trace.engine.plane import Plane
from hanmaru.trace.evidence.inputs import EVIDENCE, REFERENCE, Case, CaseInputs

PLANE = Plane(127.29, 36.6)
MIDNIGHT = int(datetime(2026, 3, 1, 15, tzinfo=UTC).timestamp())
"""2 March 2026 in Seoul."""
HOUR = 3600
HOME, WORK, BISTRO, CAFE, GROCER = (0.0, 0.0), (1600.0, 0.0), (800.0, 800.0), (860.0, 860.0), (40.0, 60.0)
PLACES = {"home-block": HOME, "mill": WORK, "bistro": BISTRO, "cafe-blue": CAFE, "grocer": GROCER}
KINDS = {"home-block": "apartment", "mill": "factory", "bistro": "restaurant", "cafe-blue": "cafe", "grocer": "retail"}
MASTS = [(x, y) for x in (0.0, 800.0, 1600.0) for y in (-800.0, 0.0, 800.0)]
DAY = [(0.0, 8.0, HOME), (8.5, 18.0, WORK), (18.5, 20.0, BISTRO), (20.5, 24.0, HOME)]
"""The case's true day: hours, and where."""
FRIEND = [(0.0, 18.0, WORK), (18.5, 20.0, BISTRO), (20.5, 24.0, WORK)]
STRANGER = [(0.0, 24.0, (1600.0, -800.0))]


def at(hour: float) -> int:
    """Return an instant of the day, Unix seconds."""
    return MIDNIGHT + round(hour * HOUR)


def iso(hour: float) -> str:
    """Return an instant of the day as files have it."""
    return datetime.fromtimestamp(at(hour), UTC).isoformat()


def where(day: list[tuple[float, float, tuple[float, float]]], hour: float) -> tuple[float, float]:
    """Return where somebody was: between two places on the straight line."""
    for start, end, xy in day:
        if start <= hour <= end:
            return xy
    k = next(i for i in range(len(day) - 1) if day[i][1] < hour < day[i + 1][0])
    share = (hour - day[k][1]) / (day[k + 1][0] - day[k][1])
    return tuple(a + share * (b - a) for a, b in zip(day[k][2], day[k + 1][2], strict=True))  # type: ignore[return-value]


def degrees(xy: tuple[float, float]) -> tuple[float, float]:
    """Return lat, lon of a position in metres."""
    lon, lat = PLANE.lonlat(np.array([xy[0]]), np.array([xy[1]]))
    return round(float(lat[0]), 7), round(float(lon[0]), 7)


def phone(subject: str, day: list[tuple[float, float, tuple[float, float]]], every_min: float = 6.0) -> str:
    """Return CSV rows of a phone served by the nearest mast."""
    lines: list[str] = []
    for hour in np.arange(0.02, 23.98, every_min / 60).tolist():
        x, y = where(day, hour)
        nearest = min(range(len(MASTS)), key=lambda m: (MASTS[m][0] - x) ** 2 + (MASTS[m][1] - y) ** 2)
        lines.append(f"{subject},{iso(hour)},mast-{nearest}")
    return "\n".join(lines) + "\n"


def files() -> dict[str, str]:
    """Return the files of the case's folder by path."""

    def rows(header: str, lines: list[str]) -> str:
        return "\n".join([header, *lines]) + "\n"

    def position(name: str) -> str:
        lat, lon = degrees(PLACES[name])
        return f"{lat},{lon}"

    home, work = degrees(HOME), degrees(WORK)
    return {
        "case.toml": (
            f'id = "case-1"\nsubject = "P1"\ndisease = "covid-19"\nonset = 2026-03-04\ntimezone = "Asia/Seoul"\n'
            f'period = {{ start = "2026-03-02T00:00:00+09:00", end = "2026-03-03T00:00:00+09:00" }}\n'
            f"home = {{ lat = {home[0]}, lon = {home[1]} }}\nwork = {{ lat = {work[0]}, lon = {work[1]} }}\n"
        ),
        "cells.csv": rows(
            "cell_id,lat,lon,radius_m", [f"mast-{i},{a},{b},400" for i, (a, b) in enumerate(map(degrees, MASTS))]
        ),
        "places.csv": rows(
            "place_id,name,kind,lat,lon,radius_m", [f"{p},{p.title()},{KINDS[p]},{position(p)},20" for p in PLACES]
        ),
        "merchants.csv": rows(
            "merchant_id,name,category,lat,lon,online",
            [
                f"m-bistro,Bistro,restaurant,{position('bistro')},0",
                f"m-grocer,Corner shop,retail,{position('grocer')},0",
                "m-far,Far shop,retail,{},{},0".format(*degrees((9000.0, 3000.0))),
                "m-web,Web shop,online,37.56,126.98,1",
            ],
        ),
        "cameras.csv": rows(
            "camera_id,lat,lon,azimuth_deg,fov_deg,range_m",
            [
                "{},{},{},{},90,60".format("k-bistro", *degrees((800.0, 760.0)), 0),
                "{},{},{},{},90,60".format("k-back", *degrees((800.0, 760.0)), 180),
                "{},{},{},{},90,40".format("k-road", *degrees((1200.0, 380.0)), 0),
            ],
        ),
        "phone.csv": "subject,time,cell_id\n" + phone("P1", DAY),
        "cards.csv": rows(
            "subject,time,merchant_id,amount_krw,kind,posted,channel",
            [
                f"P1,{iso(19.8)},m-bistro,24000,card,{iso(19.8)},in-person",
                f"P1,{iso(21.0)},m-web,9900,card,{iso(21.0)},online",
                f"P1,{iso(10.0)},m-grocer,5000,card,{iso(40.0)},in-person",
                f"P1,{iso(11.0)},nobody-knows,5000,card,{iso(11.0)},in-person",
            ],
        ),
        "checkins.csv": rows("subject,time,place_id", [f"P1,{iso(18.55)},bistro"]),
        "others/phone.csv": "subject,time,cell_id\n" + phone("P2", FRIEND) + phone("P3", STRANGER),
        "others/checkins.csv": rows("subject,time,place_id", [f"P2,{iso(18.6)},bistro"]),
    }


def write(folder: Path, **changed: str | None) -> Path:
    """Write the case's folder, some files changed (by path with ``/`` and ``.`` as ``_``), or left out (None)."""
    for path, text in files().items():
        text = changed.pop(path.replace("/", "_").replace(".", "_"), text)
        if text is not None:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, "utf-8")
    for name, text in changed.items():
        if text is not None:
            (folder / name.replace("_csv", ".csv").replace("_toml", ".toml")).write_text(text, "utf-8")
    return folder


def table(name: str, text: str) -> pa.Table:
    """Return a table of evidence or reference from CSV."""
    return tables.read(text.encode(), {**EVIDENCE, **REFERENCE}[name], name=name)


def inputs(**own: str) -> CaseInputs:
    """Return the case as the engine takes it, with some of its own tables changed or added."""
    given = files()
    texts = {name: given[f"{name}.csv"] for name in ("phone", "cards", "checkins")} | own
    case = Case("case-1", "P1", MIDNIGHT, at(24), {"home": degrees(HOME), "work": degrees(WORK)})
    return CaseInputs(
        case,
        {name: table(name, given[f"{name}.csv"]) for name in REFERENCE},
        {name: table(name, text) for name, text in texts.items() if text},
        {name: table(name, given[f"others/{name}.csv"]) for name in ("phone", "checkins")},
    )
