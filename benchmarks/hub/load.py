"""Load by wrk: what to send as a few lines of Lua, what came of it as figures."""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from tempfile import NamedTemporaryFile

DOCUMENT = """
local function entity(n, id)
  local seed = n * 2654435761 % 4294967296
  local lon, lat = 127.1 + seed % 30000 / 100000, 36.4 + math.floor(seed / 30000) % 30000 / 100000
  return string.format(
    '{"id":"urn:ngsi-ld:AirQualityObserved:%s","type":"AirQualityObserved",'
    .. '"pm25":{"type":"Property","value":%d,"unitCode":"GQ","observedAt":"2026-11-23T06:00:00Z"},'
    .. '"pm10":{"type":"Property","value":%d,"unitCode":"GQ","observedAt":"2026-11-23T06:00:00Z"},'
    .. '"no2":{"type":"Property","value":%.4f,"unitCode":"59","observedAt":"2026-11-23T06:00:00Z"},'
    .. '"name":{"type":"Property","value":"station %s"},'
    .. '"address":{"type":"Property","value":{"addressLocality":"Sejong","streetAddress":"Hannuri-daero 2130"}},'
    .. '"refDevice":{"type":"Relationship","object":"urn:ngsi-ld:Device:%s"},'
    .. '"location":{"type":"GeoProperty","value":{"type":"Point","coordinates":[%.5f,%.5f]}}}',
    id or n, math.random(0, 199), math.random(0, 299), math.random(), n, n, lon, lat)
end
local function batch(size, entities)
  local found = {}
  for i = 1, size do found[i] = entity(math.random(1, entities)) end
  return "[" .. table.concat(found, ",") .. "]"
end
"""
"""An entity of about 0.9 KB, as a sensor sends it: its readings differ every time, its place and name do not."""


@dataclass(frozen=True)
class Figures:
    """Requests per second, median and 99th percentile latency in milliseconds, and how many answers were errors."""

    rate: float
    p50_ms: float
    p99_ms: float
    errors: int


def measure(url: str, lua: str, *, seconds: int, connections: int = 32) -> Figures:
    """Run wrk on one thread with a script that defines ``request``."""
    if shutil.which("wrk") is None:
        sys.exit("The hub benchmark sends its load with wrk: apt-get install wrk")
    with NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(DOCUMENT + lua)
        script.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "10s"]
        ran = subprocess.run([*command, "-s", script.name, url], capture_output=True, text=True, check=True)
    out = ran.stdout
    assert "requests in" in out, out + ran.stderr
    errors = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
    return Figures(
        rate=float(_found(r"Requests/sec:\s+([\d.]+)", out)),
        p50_ms=_ms(_found(r"(?m)^ +50%\s+(\S+)", out)),
        p99_ms=_ms(_found(r"(?m)^ +99%\s+(\S+)", out)),
        errors=(int(errors[1]) if errors else 0) + (sum(map(int, sockets.groups())) if sockets else 0),
    )


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match, text
    return match[1]


def _ms(text: str) -> float:
    match = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    assert match, text
    number, unit = match.groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1_000, "m": 60_000}[unit]
