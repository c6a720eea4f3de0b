"""No secret reaches a log line, wherever it was."""

import json
import subprocess
import sys
from base64 import b64encode
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from hanmaru.platform.logs import masked
from tests.running import COMMAND, environment, running

SECRET = "correct-horse-battery"

SCRIPT = """
import logging, sys
import structlog
from hanmaru.platform import logs
logs.set_up("test", format=sys.argv[1])
secret = sys.argv[2]
log = structlog.get_logger()
log.info("signing in", password=secret, headers={"Authorization": "Basic " + secret, "cookie": ["a", secret]})
log.info("deep", given=[{"body": {"client_secret": secret, "name": "kim"}}], token=secret.encode(), key=secret)
log.info(f"asked /callback?code={secret}&state=1 with Bearer {secret} at https://kim:{secret}@db.example/hub")
logging.getLogger("library").warning("cannot reach postgresql://hub:%s@db/hub", secret)
try:
    given = {"password": secret}
    raise ValueError(f"not accepted: {given} {given['password'] and ''}")
except ValueError:
    log.exception("failed", path="/x")
    logging.getLogger("library").exception("failed too")
log.info("kept", name="kim", seconds=1.5, status=200, keys=3)
"""


@pytest.mark.parametrize("format", ["json", "console"])
def test_no_secret_is_written_under_any_name_in_any_text_or_traceback(format: str) -> None:
    command = [sys.executable, "-c", SCRIPT, format, SECRET]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert SECRET not in done.stderr
    assert "Traceback" in done.stderr
    for kept in ("signing in", "kim", "db.example", "1.5", "state=1"):
        assert kept in done.stderr
    if format == "json":
        lines = [json.loads(line) for line in done.stderr.splitlines()]
        assert lines[-1] | {"timestamp": ""} == {
            **{"event": "kept", "name": "kim", "seconds": 1.5, "status": 200, "keys": 3},
            **{"level": "info", "worker": "test", "timestamp": ""},
        }


@pytest.mark.parametrize(
    "text",
    [
        "urn:ngsi-ld:AirQualityObserved:7 changed",
        "GET https://hub.example/a/path?type=Device&limit=10",
        "no key of this name; the code is 404",
        '{"event": "request failed", "status": 500, "path": "/api/session"}',
        "basic facts: 12:30 at 127.0.0.1:8000",
    ],
)
def test_a_plain_text_stays_as_it_is(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "hmk_3f9XcorrectA-b_c",
        "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJraW0ifQ.c2lnbmVk-and",
        "cookie: hanmaru_session=3f9XcorrectA; other=1",
        '{"new_password":"3f9XcorrectA"}',
        '"body": "{\\"password\\": \\"3f9XcorrectA\\"}"',
        "redis://:3f9XcorrectA@host",
        "api-token=3f9XcorrectA",
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str) -> None:
    assert "***" in masked(text)
    assert "3f9X" not in masked(text)
    assert "eyJzdWIi" not in masked(text)


FORGER = """
import logging, sys
import structlog
from hanmaru.platform import logs
logs.set_up("test", format=sys.argv[1])
for path in ("/a\\nforged line", "/b\\x1b[2Jcleared", "/c\\u2028\\r\\x00"):
    structlog.get_logger().warning("slow request", path=path)
    logging.getLogger("library").warning("refused %s", path)
"""


@pytest.mark.parametrize("format", ["json", "console"])
def test_nothing_that_is_logged_forges_a_line_or_speaks_to_the_terminal(format: str) -> None:
    command = [sys.executable, "-c", FORGER, format]
    written = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    assert written.count("\n") == 6
    assert format == "json" or len(written.splitlines()) == 6  # JSON lines end at \n alone
    assert "\x1b[2J" not in written
    assert "\x00" not in written
    assert not [line for line in written.splitlines() if line.startswith("forged")]


def send(url: str, method: str, path: str, body: object = None, **headers: str) -> int:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    try:
        content = body if isinstance(body, str) else None if body is None else json.dumps(body)
        given = {"content-type": "application/json", **{n.replace("_", "-"): v for n, v in headers.items()}}
        connection.request(method, path, content, given)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def test_a_hub_that_logs_everything_writes_no_secret_that_it_is_sent(tmp_path: Path) -> None:
    add = [COMMAND, "user", "add", "kim", "--role", "admin", "--password-stdin", "--data", str(tmp_path)]
    subprocess.run(add, env=environment(), input=f"{SECRET}\n", text=True, check=True, capture_output=True)
    right = "Basic " + b64encode(f"kim:{SECRET}".encode()).decode()
    wrong = "Basic " + b64encode(f"kim:{SECRET}x".encode()).decode()
    form = {"content_type": "application/x-www-form-urlencoded"}
    with running(tmp_path, SERVICES="", LOG__LEVEL="debug", LOG__SLOW_REQUEST_S="0.0000001") as hub:
        assert send(hub.url, "GET", "/ngsi-ld/v1/types", authorization=right) == 200
        for authorization in (wrong, f"Bearer hmk_{SECRET}", f"Bearer {SECRET}", SECRET, f"Basic {SECRET}"):
            assert send(hub.url, "GET", "/ngsi-ld/v1/types", authorization=authorization) == 401
        send(hub.url, "GET", "/ngsi-ld/v1/types", cookie=f"hanmaru_session={SECRET}; __Host-hanmaru_session={SECRET}")
        for path in ("/ngsi-ld/v1/entities", "/api/session/oidc/callback", "/nowhere", "/setup", "/"):
            send(hub.url, "GET", f"{path}?code={SECRET}&token={SECRET}&q=secret=={SECRET}", authorization=right)
        credentials = {"name": "kim", "password": SECRET, "token": SECRET, "code": SECRET, "secret": SECRET}
        for path in ("/api/session", "/api/setup", "/api/session/passkey", "/ngsi-ld/v1/entities", "/oauth2/token"):
            send(hub.url, "POST", path, credentials, origin=hub.url)
            send(hub.url, "POST", path, credentials, authorization=right)
            send(hub.url, "POST", path, f"{{broken {SECRET}", authorization=right)
        send(hub.url, "POST", "/oauth2/token", f"grant_type=client_credentials&client_secret={SECRET}", **form)
        send(hub.url, "POST", "/oauth2/revoke", f"token={SECRET}", **form)
        hub.stop()
    assert [line for line in hub.logs if line["event"] == "slow request"], "every request was logged"
    assert not [line for line in hub.logs if "?" in line.get("path", "")]
    written = [json.dumps(line) for line in hub.logs]
    written += [path.read_text("utf-8", "replace") for path in (tmp_path / "audit").rglob("*.log")]
    for text in written:
        assert SECRET not in text
        assert right.removeprefix("Basic ") not in text
        assert wrong.removeprefix("Basic ") not in text


def test_a_store_that_cannot_be_reached_does_not_tell_its_password(tmp_path: Path) -> None:
    command = [COMMAND, "up", "--port", "0", "--data", str(tmp_path)]
    settings = environment(STORE=f"postgresql://hub:{SECRET}@127.0.0.1:1/hub?connect_timeout=2", SERVICES="")
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=settings, **pipes) as process:
        assert process.stderr
        first = next(line for line in process.stderr if "127.0.0.1" in line)  # that it cannot be reached
        process.terminate()
        assert SECRET not in first + process.stderr.read()
