"""An investigation's results as files: tables, GeoJSON, the document, reports. Test data says so in each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from hanmaru.platform import disk
from hanmaru.trace import tables
from hanmaru.trace.domain import TraceError


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
    stays = results["stays"]
    _table(
        out / "stays.csv",
        stays,
        {
            "subject": lambda s: me,
            "start": _time("start"),
            "end": _time("end"),
            **_plain("lat", "lon", "radius_m", "confidence"),
            "place_id": lambda s: s["places"][0]["id"] if s["places"] else None,
            "place": lambda s: s["places"][0]["name"] if s["places"] else None,
            "probability": lambda s: s["places"][0]["probability"] if s["places"] else None,
            "evidence": lambda s: " ".join(s["evidence"][:20]),
        },
        test,
    )
    _table(
        out / "contacts.csv",
        results["contacts"],
        {
            "index": lambda c: me,
            **_plain("subject", "probability", "minutes"),
            "start": _time("start"),
            "end": _time("end"),
            **_plain("lat", "lon", "rank"),
            "place": lambda c: c["place"]["name"] if c["place"] else None,
            "reasons": lambda c: " ".join(dict.fromkeys(r["kind"] for r in c["reasons"])),
        },
        test,
    )
    windows = [{**camera, **window} for camera in results["cameras"] for window in camera["windows"]]
    windows.sort(key=lambda w: (-w["probability"], w["start"]))
    retrieval(out / "cameras.csv", windows, test)
    _geojson(out / "moves.geojson", [_line(m) for m in results["moves"]], test)
    _geojson(out / "hotspots.geojson", [_point(h) for h in results["hotspots"]], test)
    _json(out / "results.json", results)
    names = ("stays.csv", "contacts.csv", "cameras.csv", "moves.geojson", "hotspots.geojson", "results.json")
    return [out / name for name in names]


def retrieval(out: Path, windows: list[dict[str, Any]], test: bool) -> None:
    """Write the list of footage to ask for: a row for each camera and window, the likeliest first."""
    columns = {
        "camera_id": lambda w: w["camera_id"],
        **_plain("lat", "lon"),
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


def _table(path: Path, rows: list[dict[str, Any]], columns: Mapping[str, Any], test: bool) -> None:
    made = {name: _column([take(row) for row in rows], name) for name, take in columns.items()}
    if test:
        made["test_data"] = ["true"] * len(rows)
    tables.write(path, made)


def _column(values: list[Any], name: str) -> Any:
    if name in ("start", "end"):
        return tables.times(np.array(values, "datetime64[s]").astype(np.int64))
    return values


def _plain(*names: str) -> dict[str, Any]:
    return {name: (lambda row, name=name: row[name]) for name in names}


def _time(name: str) -> Any:
    return lambda row: row[name].removesuffix("Z")


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
