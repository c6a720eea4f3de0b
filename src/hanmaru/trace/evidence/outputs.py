"""An investigation's results as files: tables, GeoJSON, the document, reports. Test data says so in each."""

from collections.abc import Callable, Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np

from hanmaru.platform import disk
from hanmaru.trace import tables
from hanmaru.trace.domain import TraceError

Row = dict[str, Any]
Take = Callable[[Row], Any]


def write(out: Path, results: Mapping[str, Any]) -> list[Path]:
    """Write all files of an investigation but the reports into a folder, made if missing; return them.

    With test data every table has a column ``test_data`` and every document a member of that name. Files are readable
    by their owner alone.
    """
    try:
        out.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise TraceError(f"{out} cannot be made: {error.strerror}") from None
    test = bool(results["test_data"])
    me = results["subject"]
    same: Mapping[str, Take] = {"start": _time("start"), "end": _time("end")}
    at_stays: Mapping[str, Take] = {
        "subject": lambda s: me,
        **same,
        **_plain("lat", "lon", "radius_m", "confidence"),
        "place_id": lambda s: s["places"][0]["id"] if s["places"] else None,
        "place": lambda s: s["places"][0]["name"] if s["places"] else None,
        "probability": lambda s: s["places"][0]["probability"] if s["places"] else None,
        "evidence": lambda s: " ".join(s["evidence"][:20]),
    }
    _table(out / "stays.csv", results["stays"], at_stays, test)
    of_contacts: Mapping[str, Take] = {
        "index": lambda c: me,
        **_plain("subject", "probability", "minutes"),
        **same,
        **_plain("lat", "lon", "rank"),
        "place": lambda c: c["place"]["name"] if c["place"] else None,
        "reasons": lambda c: " ".join(dict.fromkeys(str(r["kind"]) for r in c["reasons"])),
    }
    _table(out / "contacts.csv", results["contacts"], of_contacts, test)
    windows = [{**camera, **window} for camera in results["cameras"] for window in camera["windows"]]
    windows.sort(key=lambda w: (-w["probability"], w["start"]))
    retrieval(out / "cameras.csv", windows, test)
    _geojson(out / "moves.geojson", [_line(m) for m in results["moves"]], test)
    _geojson(out / "hotspots.geojson", [_point(h) for h in results["hotspots"]], test)
    _json(out / "results.json", results)
    names = ("stays.csv", "contacts.csv", "cameras.csv", "moves.geojson", "hotspots.geojson", "results.json")
    return [out / name for name in names]


def retrieval(out: Path, windows: list[Row], test: bool) -> None:
    """Write the list of footage to ask for: a row for each camera and window, the likeliest first."""
    columns: Mapping[str, Take] = {
        **_plain("camera_id", "lat", "lon"),
        "start": _time("start"),
        "end": _time("end"),
        **_plain("probability"),
        "during": lambda w: w.get("stay") or w.get("move"),
    }
    _table(out, windows, columns, test)


def reports(out: Path, case: dict[str, Any], results: dict[str, Any]) -> list[Path]:
    """Write the report as PDF in Korean and English; return the files."""
    from hanmaru.trace.report import pdf

    made: list[Path] = []
    languages: tuple[pdf.Language, ...] = ("ko", "en")
    for lang in languages:
        path = out / f"report-{lang}.pdf"
        disk.replace(path, pdf.render(case, results, lang, bool(results["test_data"])))
        made.append(path)
    return made


def _table(path: Path, rows: list[Row], columns: Mapping[str, Take], test: bool) -> None:
    made = {name: _column(name, [take(row) for row in rows]) for name, take in columns.items()}
    if test:
        made["test_data"] = ["true"] * len(rows)
    tables.write(path, made)


def _column(name: str, values: list[Any]) -> Any:
    if name not in ("start", "end"):
        return values
    return cast(Any, tables).times(np.array(values, "datetime64[s]").astype(np.int64))


def _plain(*names: str) -> dict[str, Take]:
    return {name: itemgetter(name) for name in names}


def _time(name: str) -> Take:
    def take(row: Row) -> str:
        return str(row[name]).removesuffix("Z")

    return take


def _line(move: dict[str, Any]) -> dict[str, Any]:
    properties = {key: value for key, value in move.items() if key != "path"}
    return {"type": "Feature", "id": move["id"], "geometry": {"type": "LineString", "coordinates": move["path"]},
            "properties": properties}  # fmt: skip


def _point(hotspot: dict[str, Any]) -> dict[str, Any]:
    properties = {key: value for key, value in hotspot.items() if key not in ("lat", "lon")}
    geometry = {"type": "Point", "coordinates": [hotspot["lon"], hotspot["lat"]]}
    return {"type": "Feature", "id": hotspot["id"], "geometry": geometry, "properties": properties}


def _geojson(path: Path, features: list[dict[str, Any]], test: bool) -> None:
    _json(path, {"type": "FeatureCollection", **({"test_data": True} if test else {}), "features": features})


def _json(path: Path, document: Mapping[str, Any]) -> None:
    disk.replace(path, msgspec.json.encode(document))
