"""No secret reaches a log line, wherever it was."""

import json
import subprocess
import sys

import pytest

from hanmaru.platform.logs import masked

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
