"""A new service's package: written, checked, built, installed beside the hub, and run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.async_api import expect

from hanmaru.scaffold.package import ScaffoldError, check_name, rendered, words, write
from tests.house.strangers import Environment, build, environment, install
from tests.house.test_cli import hanmaru
from tests.running import running
from tests.screens.conftest import Screens, browser, chromium, screens, web

__all__ = ["browser", "chromium", "screens", "web"]


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


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package as the command writes it."""
    folder = tmp_path_factory.mktemp("work")
    done = hanmaru("service", "new", "city-benches", "--folder", str(folder), "--json", cwd=folder)
    assert json.loads(done.stdout)["folder"] == str(folder / "city-benches")
    return folder / "city-benches"


@pytest.fixture(scope="module")
def beside(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment beside the hub with the package's wheel in it."""
    beside = environment(tmp_path_factory.mktemp("beside") / "environment")
    install(build(made, tmp_path_factory.mktemp("dist")), beside)
    (made / "src").rename(made / "elsewhere")  # what is tested is what is installed
    return beside


def test_a_new_package_is_tidy(made: Path) -> None:
    ruff = Path(sys.executable).with_name("ruff")
    assert subprocess.run([ruff, "check", "--quiet", "."], cwd=made).returncode == 0
    assert subprocess.run([ruff, "format", "--quiet", "--check", "."], cwd=made).returncode == 0


def test_a_new_package_is_built_installed_tested_and_listed(made: Path, beside: Environment, tmp_path: Path) -> None:
    assert (beside.packages / "city_benches/policies/city-benches.cedar").is_file()
    assert (beside.packages / "city_benches/static/panel.js").is_file()
    (found,) = [
        one
        for one in json.loads(beside.hanmaru("service", "list", "--json", cwd=tmp_path))
        if one["name"] == "city-benches"
    ]
    assert (found["package"], found["version"]) == ("city-benches", "0.1.0")

    # Its own tests start a hub: the route, the task, the layer and the panel, the policies.
    assert "8 passed" in beside.run("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=made)
    asked = ("policy", "explain", "city-benches.report", "--role")
    assert "allow" in beside.hanmaru(*asked, "city-benches-reporter", cwd=tmp_path)
    added = (
        "user",
        "add",
        "kim",
        "--role",
        "city-benches-reporter",
        "--password-stdin",
        "--data",
        str(tmp_path / "data"),
    )
    assert "city-benches-reporter" in beside.hanmaru(*added, cwd=tmp_path, stdin="correct horse battery staple\n")


@pytest.mark.asyncio(loop_scope="session")
async def test_a_new_packages_panel_draws(screens: Screens, web: None, beside: Environment, tmp_path: Path) -> None:
    point = {"type": "Point", "coordinates": [127.289, 36.480]}
    bench = {
        "id": "urn:ngsi-ld:CityBenches:1",
        "type": "CityBenches",
        "name": {"type": "Property", "value": "Bench 1"},
        "location": {"type": "GeoProperty", "value": point},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(beside.packages), os.environ.get("PYTHONPATH")])))
        with running(tmp_path, AUTH="off", SERVICES="centre,city-benches") as hub:
            screen = await screens.viewer(hub.url)
            await screen.upsert(bench)
            page = await screen.open(f"#entity={bench['id']}")
            await expect(page.get_by_text("No values yet.")).to_be_visible()
            for value in (3, 5, 4):
                path = f"{hub.url}/api/city-benches/v1/all/{bench['id']}/values"
                assert (await page.request.post(path, data={"value": value})).status == 204
            figure = page.locator("[data-panel='city-benches.latest'] figure")
            await expect(figure).to_have_attribute("data-points", "3")
            await expect(page.get_by_role("img", name="3 values, from 3 to 5, now 4")).to_be_visible()
            row = page.get_by_role("listitem").filter(has_text="City benches")
            await expect(row.locator(".layer-count")).to_have_text("1")
            assert screen.complaints == []
