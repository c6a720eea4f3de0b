"""``hanmaru care import``: Bundles and resources from files into a server's records, or into a data folder's."""

import asyncio
import base64
import http.client
import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final, Protocol, cast
from urllib.parse import urlencode, urlsplit

import msgspec

from hanmaru.care.domain import CareError
from hanmaru.care.fhir.outcome import outcome
from hanmaru.care.fhir.parcels import Parcel, parcels
from hanmaru.platform.console import say
from hanmaru.platform.problems import Problem

VARIABLE: Final = "FHIR_CLIENT_SECRET"
"""The environment variable of a client's secret: a command line is seen by others."""
SHOWN: Final = 20
"""Reasons that are told of one file."""
TRIES: Final = 6
_WAIT_S: Final = 0.5


class Sink(Protocol):
    """Where Bundles go."""

    async def send(self, parcel: Parcel) -> tuple[int, Mapping[str, Any]]:
        """Return the HTTP status and the Bundle or OperationOutcome that a Bundle is answered with."""
        ...


class AwayError(CareError):
    """The server cannot be asked; nothing that follows would be."""


class Report(msgspec.Struct):
    """What became of a file."""

    file: str
    entries: int = 0
    done: int = 0
    refused: int = 0
    reasons: list[str] = []
    seconds: float = 0.0


def run(files: Sequence[Path], url: str | None, data: Path | None, client: str | None, as_json: bool) -> None:
    """Import files one after another, telling of each; what is refused leaves the others as they are.

    Raises CareError at the end where something was refused, and at once where the server cannot be reached.
    """
    if (url is None) == (data is None):
        raise CareError("say where to: --url of a FHIR server, or --data of a folder whose hub is not needed")
    sink = _server(url, client) if url else _folder(cast("Path", data))
    reports = asyncio.run(_all(files, sink, quiet=as_json))
    refused = sum(report.refused for report in reports)
    told = f"{sum(r.done for r in reports):,} resources from {len(reports)} files, {refused:,} refused"
    say([msgspec.to_builtins(report) for report in reports], told, as_json)
    if refused:
        raise CareError(f"{refused:,} of {sum(r.entries for r in reports):,} entries were refused; the rest is kept")


async def _all(files: Sequence[Path], opening: "AbstractAsyncContextManager[Sink]", *, quiet: bool) -> list[Report]:
    reports: list[Report] = []
    async with opening as sink:
        for number, file in enumerate(files, 1):
            report = await _one(file, sink)
            reports.append(report)
            if not quiet:
                said = f"{report.done:,} kept" + (f", {report.refused:,} refused" if report.refused else "")
                print(f"[{number}/{len(files)}] {file}: {said} in {report.seconds:.1f} s", file=sys.stderr, flush=True)
                for reason in report.reasons[:SHOWN]:
                    print(f"    {reason}", file=sys.stderr)
                if len(report.reasons) > SHOWN:
                    print(f"    and {len(report.reasons) - SHOWN} more", file=sys.stderr)
    return reports


async def _one(file: Path, sink: Sink) -> Report:
    report, began = Report(str(file)), time.monotonic()
    try:
        for parcel in parcels(file):
            report.entries += parcel.entries
            status, answer = await sink.send(parcel)
            _count(report, parcel, status, answer)
    except AwayError:
        raise
    except CareError as error:
        report.entries, report.refused = report.entries + 1, report.refused + 1
        report.reasons.append(str(error))
    report.seconds = round(time.monotonic() - began, 3)
    return report


def _count(report: Report, parcel: Parcel, status: int, answer: Mapping[str, Any]) -> None:
    if status != 200:
        report.refused += parcel.entries
        report.reasons += _reasons(answer)
        return
    for at, each in enumerate(answer.get("entry", ())):
        said = each["response"]
        if said["status"][:1] == "2" or said["status"][:3] == "304":
            report.done += 1
        else:
            report.refused += 1
            report.reasons += [f"entry {at}: {reason}" for reason in _reasons(said.get("outcome", {}))]


def _reasons(answer: Mapping[str, Any]) -> list[str]:
    issues: Sequence[Mapping[str, Any]] = answer.get("issue", ())
    return [str(issue.get("diagnostics", issue.get("code", ""))) for issue in issues if issue["severity"] != "warning"]


# ---- a server


@asynccontextmanager
async def _server(url: str, client: str | None) -> AsyncGenerator[Sink]:
    yield Server(url, client)


class Server:
    """A FHIR server, over one kept connection."""

    def __init__(self, url: str, client: str | None) -> None:
        """Name the server by its FHIR address, or by its home, and the client that asks."""
        parts = urlsplit(url.rstrip("/"))
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise CareError(f"{url} is no address; give one such as https://city.example/fhir/R4")
        self.parts, self.path = parts, parts.path or "/fhir/R4"
        self.client = client
        self.secret = os.environ.get(VARIABLE, "") if client else ""
        if client and not self.secret:
            raise CareError(f"set the environment variable {VARIABLE} to the secret of {client}")
        self.token, self.answered = "", False
        self.connection: http.client.HTTPConnection | None = None

    async def send(self, parcel: Parcel) -> tuple[int, Mapping[str, Any]]:
        """Send a Bundle; again, for the same effect, where the connection breaks or the server is busy."""
        return await asyncio.to_thread(self._send, parcel)

    def _send(self, parcel: Parcel) -> tuple[int, Mapping[str, Any]]:
        headers = {"content-type": "application/fhir+json", "idempotency-key": parcel.key}
        renewed = False
        for attempt in range(TRIES):
            if self.client and not self.token:
                self.token = self._fetch_token()
            if self.token:
                headers["authorization"] = f"Bearer {self.token}"
            try:
                status, body = self._ask("POST", self.path, parcel.body, headers)
            except (OSError, http.client.HTTPException) as error:
                self.connection = None
                if attempt == TRIES - 1 or not self.answered:
                    raise AwayError(f"{self.parts.netloc} cannot be reached: {error}; run it again to go on") from None
                time.sleep(_WAIT_S * 2**attempt)
                continue
            if status in (429, 503) and attempt < TRIES - 1:
                time.sleep(_WAIT_S * 2**attempt)
            elif status == 401 and self.client and not renewed:
                renewed, self.token = True, ""
            else:
                return status, _document(status, body)
        raise AwayError(f"{self.parts.netloc} stays busy; run it again to go on")

    def _fetch_token(self) -> str:
        basic = base64.b64encode(f"{self.client}:{self.secret}".encode()).decode()
        headers = {"authorization": f"Basic {basic}", "content-type": "application/x-www-form-urlencoded"}
        form = urlencode({"grant_type": "client_credentials"}).encode()
        try:
            status, body = self._ask("POST", "/oauth2/token", form, headers)
        except (OSError, http.client.HTTPException) as error:
            raise AwayError(f"{self.parts.netloc} cannot be reached: {error}") from None
        if status != 200:
            raise AwayError(f"{self.parts.netloc} gives {self.client} no token (status {status}): check its secret")
        return str(_document(status, body).get("access_token", ""))

    def _ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        if self.connection is None:
            host, port = self.parts.hostname or "", self.parts.port
            self.connection = (
                http.client.HTTPSConnection(host, port, timeout=120, context=ssl.create_default_context())
                if self.parts.scheme == "https"
                else http.client.HTTPConnection(host, port, timeout=120)
            )
        self.connection.request(method, path, body, dict(headers))
        answer = self.connection.getresponse()
        self.answered = True
        return answer.status, answer.read()


def _document(status: int, body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise AwayError(f"what answers with status {status} is no FHIR server")
    answer = cast("Mapping[str, Any]", found)
    if "title" in answer and "resourceType" not in answer:
        return outcome(Problem(status, str(answer["title"]), str(answer.get("detail", ""))))
    return answer


# ---- a folder


@asynccontextmanager
async def _folder(data: Path) -> AsyncGenerator[Sink]:
    """Open a data folder's records, whether or not a hub runs on it."""
    from zoneinfo import ZoneInfo

    from hanmaru.care.fhir.records import Reader, Records
    from hanmaru.care.service import service
    from hanmaru.city.profile import load
    from hanmaru.platform.audit.record import Record, at_command_line
    from hanmaru.platform.audit.trail import Trail
    from hanmaru.platform.policy import Policy
    from hanmaru.platform.vault import Vaults

    settings = await asyncio.to_thread(_settings, data)
    folder, keys = Path(settings["data"]), Path(settings["keys"] or Path(settings["data"]) / "keys")
    policy = Policy([service.policies] if service.policies else [], actions=list(service.permissions))
    with Trail(folder, keys, "cli") as trail:
        trail.record(Record(at_command_line(), "care.import", "FHIR resources from files"))
        vaults = await asyncio.to_thread(Vaults, folder, keys, trail, policy)
        zone = ZoneInfo(load(settings["city"]).zone)
        records = Records(folder / "services" / "care", vaults.room("care"), trail, zone)
        try:
            await records.open()
            yield Folder(records, Reader(at_command_line(), "all"))
            await records.close()
        finally:
            vaults.close()


class Folder:
    """A folder's records."""

    def __init__(self, records: Any, reader: Any) -> None:
        """Take what `bundle.process` needs."""
        self.records, self.reader = records, reader

    async def send(self, parcel: Parcel) -> tuple[int, Mapping[str, Any]]:
        """Do what a Bundle asks."""
        from hanmaru.care.fhir import bundle

        try:
            return 200, await bundle.process(self.records, self.reader, parcel.body, idempotency=parcel.key)
        except Problem as problem:
            return problem.status, outcome(problem)


def _settings(data: Path) -> Mapping[str, Any]:
    """Return the folder's settings as the hub's own command tells them: a room does not read them itself."""
    command = [sys.executable, "-c", "from hanmaru.cli import main; main()", "config", "--json"]
    environment = {**os.environ, "HANMARU_DATA": str(data)}
    told = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)  # noqa: S603 - ours
    if told.returncode:
        raise CareError(told.stderr.strip().removeprefix("hanmaru: ") or "the settings cannot be read")
    return json.loads(told.stdout)
