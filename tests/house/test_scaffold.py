"""A new service's package: written, checked, built, installed beside the hub, and run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hanmaru.scaffold.package import ScaffoldError, check_name, rendered, words, write
from tests.house.strangers import build, environment, install
from tests.house.test_cli import hanmaru


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("City", "lower-case"),
        ("1st", "lower-case"),
        ("city_bikes", "lower-case"),
        ("city--bikes", "lower-case"),
        ("-bikes", "lower-case"),
        ("../bikes", "lower-case"),
        ("자전거", "lower-case"),
        ("a" * 41, "at most 40"),
        ("trace", "already"),
        ("centre", "already"),
        ("rented", "already"),
        ("class", "Python's own"),
        ("json", "Python's own"),
        ("numpy", "installed already"),
    ],
)
def test_a_name_that_cannot_be_is_refused(name: str, reason: str) -> None:
    with pytest.raises(ScaffoldError, match=reason):
        check_name(name, {"rented"})


def test_a_name_becomes_a_module_a_type_and_a_title() -> None:
    assert list(words("city-bikes").values()) == ["city-bikes", "city_bikes", "CityBikes", "City bikes"]
    check_name("city-bikes", ())


def test_nothing_of_the_template_is_left() -> None:
    for licence in ("Apache-2.0", "MIT"):
        for path, content in rendered("city-bikes", licence).items():
            for word in ("ample_", "ample-", "SampleType", "Sample title", "SPDX-licence", ".tmpl"):
                assert word not in path + content, path


def test_the_licence_is_chosen() -> None:
    assert "Apache License" in rendered("city-bikes", "Apache-2.0")["LICENSE"]
    assert rendered("city-bikes", "MIT")["LICENSE"].startswith("MIT License")
    assert 'license = "MIT"' in rendered("city-bikes", "MIT")["pyproject.toml"]


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "city-bikes").mkdir()
    with pytest.raises(ScaffoldError, match="exists already"):
        write("city-bikes", tmp_path)
    assert list((tmp_path / "city-bikes").iterdir()) == []
    done = hanmaru("service", "new", "city-bikes", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "hanmaru: city-bikes exists already; nothing was written\n"


def test_installed_services_are_listed(tmp_path: Path) -> None:
    listed = json.loads(hanmaru("service", "list", "--json", cwd=tmp_path).stdout)
    assert ("centre", "hanmaru") in [(one["name"], one["package"]) for one in listed]
    assert "centre" in hanmaru("service", "list", cwd=tmp_path).stdout


@pytest.mark.parametrize("command", ["new", "list"])
def test_the_commands_show_an_example(tmp_path: Path, command: str) -> None:
    assert "Example: " in hanmaru("service", command, "--help", cwd=tmp_path).stdout


def test_a_new_package_is_built_installed_tested_and_listed(tmp_path: Path) -> None:
    done = hanmaru("service", "new", "city-benches", "--folder", str(tmp_path / "work"), "--json", cwd=tmp_path)
    made = Path(json.loads(done.stdout)["folder"])
    ruff = Path(sys.executable).with_name("ruff")
    assert subprocess.run([ruff, "check", "--quiet", "."], cwd=made).returncode == 0
    assert subprocess.run([ruff, "format", "--quiet", "--check", "."], cwd=made).returncode == 0

    beside = environment(tmp_path / "environment")
    install(build(made, tmp_path / "dist"), beside)
    assert (beside.packages / "city_benches/policies/city-benches.cedar").is_file()
    assert (beside.packages / "city_benches/static/panel.js").is_file()
    (found,) = [
        one
        for one in json.loads(beside.hanmaru("service", "list", "--json", cwd=tmp_path))
        if one["name"] == "city-benches"
    ]
    assert (found["package"], found["version"]) == ("city-benches", "0.1.0")

    # Its own tests start a hub: the route, the task, the layer and the panel, the policies.
    (made / "src").rename(made / "elsewhere")  # what is tested is what is installed
    assert "8 passed" in beside.run("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=made)
    asked = ("policy", "explain", "city-benches.report", "--role")
    assert "allow" in beside.hanmaru(*asked, "city-benches-reporter", cwd=tmp_path)
