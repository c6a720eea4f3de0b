"""Machines at a real hub with several workers: let in, narrowed, and shut out everywhere at once."""

import json
import subprocess
from base64 import b64encode
from collections.abc import Generator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from tests.running import COMMAND, Running, environment, running

TYPES = "/ngsi-ld/v1/types"
ROOM = {"id": "urn:ngsi-ld:Room:1", "type": "Room"}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Generator[Running]:
    with running(tmp_path_factory.mktemp("data"), "--no-demo", WEB_WORKERS="3") as hub:
        yield hub


def client(hub: Running, *arguments: str) -> Any:
    """Run ``hanmaru client`` beside the running hub and return what it prints."""
    command = [COMMAND, "client", *arguments, "--data", str(hub.data), "--json"]
    done = subprocess.run(command, env=environment(), cwd=hub.data, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def status(hub: Running, path: str, body: Any = None, **headers: str) -> int:
    """Ask on a connection of its own, which any worker may take, and return the status."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    data = None if body is None else json.dumps(body).encode()
    request = Request(hub.url + path, data, {"connection": "close", "content-type": "application/json", **sent})
    try:
        with urlopen(request, timeout=20) as answer:
            return answer.status
    except HTTPError as error:
        with error:
            return error.code


def token(hub: Running, made: dict[str, str], **form: str) -> dict[str, Any]:
    basic = b64encode(f"{made['id']}:{made['secret']}".encode()).decode()
    body = urlencode({"grant_type": "client_credentials", **form}).encode()
    with urlopen(Request(f"{hub.url}/oauth2/token", body, {"authorization": f"Basic {basic}"}), timeout=20) as answer:
        return json.load(answer)


def everywhere(hub: Running, path: str, **headers: str) -> set[int]:
    """Ask so often that every worker has answered."""
    return {status(hub, path, **headers) for _ in range(12)}  # fewer than are too many wrong ones


def test_a_key_is_good_in_every_worker_until_it_is_removed(hub: Running) -> None:
    made = client(hub, "add", "feed", "--role", "reader", "--key")
    assert everywhere(hub, TYPES, x_api_key=made["secret"]) == {200}
    assert status(hub, "/ngsi-ld/v1/entities", ROOM, x_api_key=made["secret"]) == 403
    client(hub, "remove", "feed")
    assert everywhere(hub, TYPES, x_api_key=made["secret"]) == {401}


def test_a_token_is_good_in_every_worker_and_ends_with_its_clients_secret(hub: Running) -> None:
    made = client(hub, "add", "etl", "--role", "reader", "--role", "writer")
    given = token(hub, made)
    narrow = token(hub, made, scope="reader")["access_token"]
    bearer = f"Bearer {given['access_token']}"
    assert everywhere(hub, TYPES, authorization=bearer) == {200}
    assert status(hub, "/ngsi-ld/v1/entities", ROOM, authorization=f"Bearer {narrow}") == 403
    assert status(hub, "/ngsi-ld/v1/entities", ROOM, authorization=bearer) == 201
    client(hub, "rotate", "etl", "--overlap-h", "0")
    assert everywhere(hub, TYPES, authorization=bearer) == {401}
    with pytest.raises(HTTPError, match="401") as refused:
        token(hub, made)
    with refused.value as answer:
        assert json.load(answer)["error"] == "invalid_client"


def test_the_trail_tells_who_came_in_and_who_did_not_and_holds_no_secret(hub: Running) -> None:
    made = client(hub, "add", "watched")
    secret = token(hub, made)["access_token"]
    assert status(hub, TYPES, authorization=f"Bearer {secret}x") == 401
    trail = b"".join(path.read_bytes() for path in (hub.data / "audit").rglob("*") if path.is_file())
    for word in (b"token.issue", b"client:watched", b"client.refuse", b"client.add", b"cli:"):
        assert word in trail
    everything = trail + json.dumps(hub.logs).encode()
    for text in (secret, made["secret"]):
        assert text.encode() not in everything


def test_no_secret_lies_in_the_data_folder(hub: Running) -> None:
    made = client(hub, "add", "kept", "--key")
    assert everywhere(hub, TYPES, x_api_key=made["secret"]) == {200}
    for path in Path(hub.data).rglob("*"):
        if path.is_file():
            assert made["secret"][-43:].encode() not in path.read_bytes(), path
