"""The command line as a person or a script meets it."""

import json
import subprocess
import time
from pathlib import Path

import pytest

from tests.running import COMMAND, environment

COMMANDS = [
    "up",
    "config",
    "user add",
    "user list",
    "user remove",
    "user password",
    "user setup-link",
    "user reset-factors",
    "client add",
    "client list",
    "client rotate",
    "client remove",
    "trace stays",
    "trace contacts",
    "trace index",
    "trace present",
    "trace links",
    "trace investigate",
    "trace synth",
    "ride solve",
    "ride check",
    "ride simulate",
    "ride network",
    "care grade",
    "care import",
    "care risk",
    "centre agency",
    "centre model",
]


def hanmaru(*arguments: str, cwd: Path, stdin: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments],
        cwd=cwd,
        input=stdin,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.alone
def test_help_is_quick_and_names_every_command(tmp_path: Path) -> None:
    took = []
    for _ in range(3):
        started = time.perf_counter()
        done = hanmaru("--help", cwd=tmp_path)
        took.append(time.perf_counter() - started)
    assert done.returncode == 0
    assert all(name in done.stdout for name in ("up", "city", "ingest", "user", "config"))
    assert min(took) < 1


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_an_example(tmp_path: Path, command: str) -> None:
    done = hanmaru(*command.split(), "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "Example: " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        (["upp"], 2, "No such command"),
        (["up", "--prot", "1"], 2, "--prot"),
        (["up", "--port", "many"], 2, "--port"),
        (["up", "--city", "atlantis"], 1, "atlantis"),
        (["user", "add", "kim", "--role", "king"], 2, "king"),
        (["user", "remove", "nobody"], 1, "there is no account 'nobody'"),
    ],
)
def test_errors_are_one_line_on_standard_error(tmp_path: Path, arguments: list[str], status: int, reason: str) -> None:
    done = hanmaru(*arguments, cwd=tmp_path)
    assert done.returncode == status
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("hanmaru: ")
    assert reason in done.stderr


def test_a_group_without_a_command_shows_its_help_and_no_error(tmp_path: Path) -> None:
    done = hanmaru("trace", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "")
    assert "investigate" in done.stdout


def test_settings_are_shown_as_json(tmp_path: Path) -> None:
    done = hanmaru("config", "--json", cwd=tmp_path, PORT="9000")
    assert json.loads(done.stdout)["port"] == 9000
    assert "port = 9000" in hanmaru("config", cwd=tmp_path, PORT="9000").stdout


def test_a_misspelt_setting_is_wrong_usage(tmp_path: Path) -> None:
    done = hanmaru("up", cwd=tmp_path, PROT="1")
    assert done.returncode == 2
    assert done.stderr == "hanmaru: unknown setting 'prot' in the environment; did you mean 'port'?\n"


def test_accounts_are_added_listed_and_removed(tmp_path: Path) -> None:
    added = hanmaru("user", "add", "lee", "--role", "admin", "--json", cwd=tmp_path, stdin="writes things\n")
    assert json.loads(added.stdout) == {"name": "lee", "roles": ["admin"]}
    both = ("--role", "writer", "--role", "auditor")
    assert hanmaru("user", "add", "kim", *both, cwd=tmp_path, stdin="reads things\n").returncode == 0
    assert hanmaru("user", "password", "kim", cwd=tmp_path, stdin="short\n").returncode == 1
    assert hanmaru("user", "list", cwd=tmp_path).stdout == "kim  writer auditor\nlee  admin\n"
    link = hanmaru("user", "setup-link", "kim", cwd=tmp_path, PUBLIC_URL="https://hub.city.example")
    assert link.stdout.startswith("https://hub.city.example/setup#")
    assert hanmaru("user", "reset-factors", "kim", cwd=tmp_path).returncode == 0
    assert hanmaru("user", "remove", "kim", cwd=tmp_path).returncode == 0
    last = hanmaru("user", "remove", "lee", cwd=tmp_path)
    assert last.stderr == "hanmaru: 'lee' is the last administrator; make another one first\n"
    listed = hanmaru("user", "list", "--json", cwd=tmp_path)
    assert json.loads(listed.stdout) == [{"name": "lee", "roles": ["admin"]}]


def test_the_version_is_told(tmp_path: Path) -> None:
    assert hanmaru("--version", cwd=tmp_path).stdout.startswith("hanmaru 0.")


def test_a_machine_is_added_listed_rotated_and_removed(tmp_path: Path) -> None:
    added = hanmaru("client", "add", "weather feed", "--role", "writer", "--key", "--json", cwd=tmp_path)
    assert added.returncode == 0, added.stderr
    made = json.loads(added.stdout)
    assert made["secret"].startswith(f"hmk_{made['id']}_")
    assert "weather feed  writer" in hanmaru("client", "list", cwd=tmp_path).stdout
    rotated = hanmaru("client", "rotate", "weather feed", "--overlap-h", "0", cwd=tmp_path)
    assert rotated.stdout.startswith("hmk_")
    assert rotated.stdout.strip() != made["secret"]
    assert hanmaru("client", "remove", made["id"], cwd=tmp_path).returncode == 0
    assert json.loads(hanmaru("client", "list", "--json", cwd=tmp_path).stdout) == []
    trail = hanmaru("audit", "search", "--json", cwd=tmp_path).stdout
    assert all(action in trail for action in ("client.add", "client.rotate", "client.remove"))
    assert made["secret"] not in trail


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        (["add", "x", "--role", "emperor"], 2, "'emperor' is no role"),
        (["add", "x", "--days", "0"], 1, "1 to 1825 days"),
        (["remove", "x"], 1, "there is no machine 'x'"),
        (["rotate", "x"], 1, "there is no machine 'x'"),
    ],
)
def test_what_cannot_be_done_with_a_machine_is_one_line(
    tmp_path: Path, arguments: list[str], status: int, reason: str
) -> None:
    done = hanmaru("client", *arguments, cwd=tmp_path)
    assert done.returncode == status
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_policy_that_cannot_be_used_stops_the_start_in_one_line(tmp_path: Path) -> None:
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "city.cedar").write_text('@id("x") permit (principal, action == Action::"raed", resource);')
    done = hanmaru("up", "--data", str(tmp_path / "data"), cwd=tmp_path, POLICIES=str(policies))
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert "city.cedar" in line
    assert "raed" in line
