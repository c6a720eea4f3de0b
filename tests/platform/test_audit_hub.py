"""The audit trail of a real hub, one of whose workers is killed."""

import subprocess
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import msgspec

from hanmaru.platform.audit.lines import Entry, segments
from tests.running import COMMAND, Running, environment, running


def create(hub: Running, n: int) -> None:
    body = b'{"id": "urn:ngsi-ld:Thing:%d", "type": "Thing"}' % n
    headers = {"Content-Type": "application/json", "Hanmaru-Purpose": "stocktaking"}
    urlopen(Request(f"{hub.url}/ngsi-ld/v1/entities", data=body, headers=headers), timeout=30).close()


def test_every_write_is_in_the_trail_though_a_worker_was_killed(tmp_path: Path) -> None:
    done: list[int] = []
    with running(tmp_path, AUTH="off") as hub:
        for n in range(30):
            if n == 15:
                hub.workers()[0].kill()
            for _ in range(1000):  # until the worker's successor answers
                try:
                    create(hub, n)
                except (URLError, ConnectionError) as error:
                    if getattr(error, "code", 0) == 409:
                        break  # the killed worker had written it
                else:
                    done.append(n)
                    break
        lines = b"".join(path.read_bytes() for path in segments(tmp_path / "audit" / "web-1")).splitlines()
    entries = [msgspec.json.decode(line[65:], type=Entry) for line in lines]
    written = [entry for entry in entries if entry.action == "write"]
    assert len(done) >= 29
    assert len(written) >= len(done)
    assert {(entry.who, entry.purpose, entry.decision) for entry in written} == {("owner", "stocktaking", "allow")}
    verified = subprocess.run(
        [COMMAND, "audit", "verify", "--data", str(tmp_path)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert verified.returncode == 0, verified.stdout
