"""A city and a hospital, each a Hanmaru of its own: a referral there and back, over a city killed in between."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.running import COMMAND, Running, environment, running

FHIR = "/fhir/R4"
API = "/api/care/v1"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def machine(data: Path, name: str, role: str, *more: str) -> dict[str, Any]:
    command = [COMMAND, "client", "add", name, "--role", role, "--json", *more]
    made = subprocess.run(
        command, env=environment(DATA=str(data)), cwd=data, capture_output=True, text=True, timeout=60
    )
    assert made.returncode == 0, made.stderr
    return json.loads(made.stdout)


def eventually(ask: Callable[[], Any], within_s: float = 30) -> Any:
    end = time.monotonic() + within_s
    while not (found := ask()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
    return found


class Both:
    """The city, which can be killed and comes back, and the hospital."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.city_data, self.hospital_data = folder / "city", folder / "hospital"
        for data in (self.city_data, self.hospital_data):
            data.mkdir()
        self.keys = {
            name: machine(self.city_data, name, role, "--key")["secret"]
            for name, role in (("kim", "citizen"), ("doctor", "physician"), ("manager", "care-manager"))
        }
        client = machine(self.city_data, "hospital", "hospital")
        self.ward = machine(self.hospital_data, "ward", "physician", "--key")["secret"]
        self.stack, self.city_port, self.hospital_port = stack, free_port(), free_port()
        self.city = self.start_city()
        room = self.hospital_data / "services" / "care"
        room.mkdir(parents=True)
        partner = room / "partner.toml"
        partner.touch(mode=0o600)
        partner.write_text(
            f'city = "http://127.0.0.1:{self.city_port}"\norganisation = "hospital-1"\n'
            f'client_id = "{client["id"]}"\nclient_secret = "{client["secret"]}"\n'
            f'endpoint = "http://127.0.0.1:{self.hospital_port}{API}/partner/notifications"\n'
        )
        self.ask("manager", "PUT", "/manage/organisations/hospital-1", {"name": {"ko": "한빛병원", "en": "Hanbit"}})
        self.ask("manager", "PUT", "/manage/parties/client:hospital", {"organisation": "hospital-1"})
        self.patient = self.ask("kim", "POST", "/me", {"name": "김하나", "birth_date": "1961-03-04", "sex": "female"})
        self.patient = self.patient["patient"]
        for consent in ("store:Organization/health-centre", "follow-up:Organization/health-centre"):
            self.ask("kim", "PUT", "/me/consents", {"id": consent, "given": True})

    def start_city(self) -> Running:
        return self.stack.enter_context(running(self.city_data, port=self.city_port))

    def start_hospital(self) -> Running:
        return self.stack.enter_context(running(self.hospital_data, port=self.hospital_port))

    def ask(self, who: str, method: str, path: str, body: Any = None, status: int | None = None) -> Any:
        """Ask the city's API as somebody; the answer must be a success, or have this status."""
        url = f"http://127.0.0.1:{self.city_port}{path if path.startswith('/fhir') else API + path}"
        headers = {"X-API-Key": self.keys[who]}
        answer = httpx2.request(method, url, json=body, headers=headers, timeout=20)
        assert answer.status_code == status if status else answer.is_success, (
            answer.status_code,
            answer.text,
            self.city.logs[-2:],
        )
        return answer.json() if answer.content else None

    def hospital(self, method: str, path: str, body: Any = None, key: bool = True) -> httpx2.Response:
        """Ask the hospital's API as its ward does, or as nobody."""
        headers = {"X-API-Key": self.ward} if key else {}
        url = f"http://127.0.0.1:{self.hospital_port}{API}/partner{path}"
        return httpx2.request(method, url, json=body, headers=headers, timeout=20)

    def state(self, referral: str) -> str:
        found = self.ask("doctor", "GET", "/referrals?state=open")["referrals"]
        found += self.ask("doctor", "GET", "/referrals?state=ended")["referrals"]
        return next(one["state"] for one in found if one["id"] == referral)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with ExitStack() as stack:
        yield Both(tmp_path_factory.mktemp("both"), stack)


def test_a_referral_goes_there_and_back_over_a_city_that_is_killed(both: Both) -> None:
    wanted = {"to": "hospital-1", "reason": "혈압 182/112", "priority": "urgent"}
    both.ask(
        "doctor", "POST", f"/patients/{both.patient}/refer", wanted, status=409
    )  # the hospital may not see her yet
    both.ask("kim", "PUT", "/me/consents", {"id": "hospital:Organization/hospital-1", "given": True})

    both.start_hospital()
    eventually(
        lambda: [s for s in both.ask("manager", "GET", "/subscriptions")["subscriptions"] if s["state"] == "well"]
    )
    referral = both.ask("doctor", "POST", f"/patients/{both.patient}/refer", wanted, status=201)
    both.ask("doctor", "POST", f"/patients/{both.patient}/refer", wanted, status=409)  # already under way
    os.kill(both.city.process.pid, signal.SIGKILL)
    both.city.process.wait(10)
    both.city = both.start_city()
    eventually(lambda: both.state(referral["id"]) == "received")

    seen = both.hospital("GET", f"/referrals/{referral['id']}").json()
    assert seen["patient"]["id"] == both.patient
    assert seen["request"]["reasonCode"][0]["text"] == "혈압 182/112"
    assert both.hospital("POST", f"/referrals/{referral['id']}/complete", {"conclusion": "?"}).status_code == 422
    start = (datetime.now(UTC) + timedelta(days=2)).isoformat(timespec="seconds")
    assert both.hospital("POST", f"/referrals/{referral['id']}/accept", {"start": start}).json()["state"] == "accepted"
    assert both.hospital("POST", f"/referrals/{referral['id']}/begin").json()["state"] == "in-progress"
    done = both.hospital("POST", f"/referrals/{referral['id']}/complete", {"conclusion": "본태성 고혈압. 약을 시작함."})
    assert done.json()["state"] == "completed", done.text

    [ended] = both.ask("doctor", "GET", "/referrals?state=ended")["referrals"]
    assert ended["appointment"]["status"] == "booked"
    assert [result["text"] for result in ended["results"]] == ["본태성 고혈압. 약을 시작함."]
    mine = both.ask("kim", "GET", "/me/referrals")["referrals"]
    assert [one["state"] for one in mine] == ["completed"]
    request = eventually(
        lambda: (
            (r := both.ask("doctor", "GET", f"{FHIR}/ServiceRequest/{ended['request']}"))["status"] != "active" and r
        )
    )
    assert request["status"] == "completed"


def test_what_the_citizen_takes_back_the_hospital_sees_no_more(both: Both) -> None:
    referrals = both.ask("doctor", "GET", "/referrals?state=ended")["referrals"]
    both.ask("kim", "PUT", "/me/consents", {"id": "hospital:Organization/hospital-1", "given": False})
    assert both.hospital("GET", f"/referrals/{referrals[0]['id']}").status_code == 404


def test_nobody_else_puts_notifications_into_the_hospitals_inbox(both: Both) -> None:
    body = {
        "resourceType": "Bundle",
        "type": "history",
        "entry": [{"response": {"location": "Task/forged/_history/1"}}],
    }
    assert both.hospital("POST", "/notifications", body, key=False).status_code == 403
    assert "forged" not in both.hospital("GET", "/referrals").text
