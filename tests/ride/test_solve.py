"""``hanmaru ride solve`` and ``check``, as a script meets them."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.ride.instances_of_chance import CORDEAU, LILIM
from tests.running import COMMAND, environment

pytestmark = pytest.mark.kernels


def ride(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, "ride", *arguments], cwd=folder, env=environment(), capture_output=True, text=True, timeout=120
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lilim.txt").write_text(LILIM)
    (tmp_path / "cordeau.txt").write_text(CORDEAU)
    return tmp_path


def test_an_instance_is_solved_and_its_solution_checked(folder: Path) -> None:
    done = ride(folder, "solve", "lilim.txt", "--seconds", "0.5", "--out", "lilim.sol", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list(found) == ["vehicles", "cost", "feasible", "routes", "seconds"]
    assert (found["vehicles"], found["feasible"]) == (1, True)
    assert sorted(found["routes"][0]) == [1, 2, 3, 4]
    assert found["seconds"] > 0.4
    checked = ride(folder, "check", "lilim.txt", "lilim.sol", "--json")
    assert checked.returncode == 0
    assert json.loads(checked.stdout) == {
        "feasible": True,
        "vehicles": 1,
        "cost": found["cost"],
        "violations": [],
    }


def test_a_dial_a_ride_instance_is_solved_for_people_to_read(folder: Path) -> None:
    done = ride(folder, "solve", "cordeau.txt", "--seconds", "0.5")
    assert done.returncode == 0, done.stderr
    *routes, totals = done.stdout.splitlines()
    assert sorted(place for route in routes for place in route.split()[1:]) == ["1", "2", "3", "4"]
    assert totals.startswith("cordeau: 2 requests, ")


def test_a_wrong_solution_is_said_with_status_1(folder: Path) -> None:
    (folder / "wrong.json").write_text('{"routes": [[1, 3], [4, 2]]}')
    done = ride(folder, "check", "lilim.txt", "wrong.json")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "lilim: 2 vehicles, 36.22; breaks rules 1 times",
        "route 2: delivery 4 comes before its pick-up 2",
    ]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["solve", "nothing.txt"], 1, "nothing.txt cannot be read"),
        (["solve", "lilim.txt", "--format", "cordeau"], 1, "in the format cordeau"),
        (["solve", "lilim.txt", "--format", "solomon"], 2, "solomon"),
        (["solve", "lilim.txt", "--seconds", "0"], 2, "--seconds is a number above 0"),
        (["check", "lilim.txt", "cordeau.txt"], 1, "cordeau.txt has no routes"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(folder: Path, arguments: list[str], status: int, said: str) -> None:
    done = ride(folder, *arguments)
    assert done.returncode == status
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
