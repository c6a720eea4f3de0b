"""The service of the how-to, installed as a stranger's package would be, on a real hub."""

import json
import re
import time
from base64 import b64encode
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.running import Running, running

PAGE = Path(__file__).parents[2] / "docs/how-to/add-a-service.md"


def request(hub: Running, method: str, path: str, body: Any = None, account: str = "admin") -> tuple[int, Any]:
    parts = urlsplit(hub.url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    secret = b64encode(f"{account}:{hub.passwords()[account]}".encode()).decode()
    headers = {"Authorization": f"Basic {secret}", "Content-Type": "application/json"}
    try:
        connection.request(method, path, json.dumps(body) if body else None, headers)
        response = connection.getresponse()
        raw = response.read()
        return response.status, json.loads(raw) if raw else None
    finally:
        connection.close()


def eventually(true: Callable[[], bool], timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def install(folder: Path) -> None:
    """Put the page's module and its entry point on a folder, as an installer does."""
    text = PAGE.read_text("utf-8")
    blocks = re.findall(r"```(?:python|toml)\n# (\S+)\n(.*?)```", text, re.DOTALL)
    files = dict(blocks)
    (folder / "bikes.py").write_text(files["bikes.py"], "utf-8")
    entry_points = re.search(r'\[project.entry-points\."hanmaru.services"\]\n(\w+) = "(\S+)"', files["pyproject.toml"])
    assert entry_points
    info = folder / "city_bikes-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: city-bikes\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(f"[hanmaru.services]\n{entry_points[1]} = {entry_points[2]}\n")


def test_a_strangers_service_answers_computes_and_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages, data = tmp_path / "packages", tmp_path / "data"
    packages.mkdir()
    data.mkdir()
    install(packages)
    monkeypatch.setenv("PYTHONPATH", str(packages))
    with running(data, "--demo") as hub:
        dock = {
            "id": "urn:ngsi-ld:BikeHireDockingStation:1",
            "type": "BikeHireDockingStation",
            "availableBikeNumber": {"type": "Property", "value": 7},
        }
        assert request(hub, "POST", "/ngsi-ld/v1/entities", dock)[0] == 201
        assert request(hub, "GET", "/api/bikes/v1/count", account="reader") == (200, {"bikes": 7})
        total = "/ngsi-ld/v1/entities/urn:ngsi-ld:BikeTotal:city?options=keyValues"
        eventually(lambda: (request(hub, "GET", total)[1] or {}).get("bikes") == 7)
        manifest = request(hub, "GET", "/api/shell/v1/manifest", account="reader")[1]
        assert "bikes.docks" in [layer["id"] for layer in manifest["layers"]]
        assert "/api/bikes/v1/count" in request(hub, "GET", "/openapi.json")[1]["paths"]
