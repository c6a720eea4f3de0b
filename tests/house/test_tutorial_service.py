"""The tutorial of the first service, block by block as a reader would run it, and then looked at."""

import os
import re
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.house.strangers import ROOT, Environment, build, environment, install
from tests.house.test_example_energy import anonymous
from tests.house.test_stranger import eventually
from tests.running import Running, running
from tests.screens.conftest import Screens, browser, chromium, screens, web

__all__ = ["browser", "chromium", "screens", "web"]

PAGE = ROOT / "docs" / "tutorials" / "first-service.md"
BLOCK = re.compile(r"```(sh|python|js)\n(.*?)```", re.DOTALL)
OFFICE = "urn:ngsi-ld:OfficeEnergy:1"


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Environment]:
    """Follow the page up to where the hub is started: files are written and commands run in their order.

    Two commands are done otherwise, for want of a network: ``pip install`` and ``build``, whose wheel is installed.
    """
    work = tmp_path_factory.mktemp("reader")
    beside = environment(work / "environment")
    folder, ran = work, list[str]()
    for language, text in BLOCK.findall(PAGE.read_text("utf-8")):
        named = re.match(r"(?:#|//) (\S+\.(?:py|js))\n", text)
        if language != "sh" and named:
            target = folder / named[1]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text[named.end() :], "utf-8")
            continue
        for line in text.splitlines():
            command = line.partition("  #")[0].strip()
            words = command.split()
            if not command or command.startswith("#"):
                continue
            ran.append(command)
            if words[0] == "cd":
                folder = folder / words[1]
            elif words[0] == "hanmaru":
                beside.hanmaru(*words[1:], cwd=folder)
            elif words[0] == "rm":
                subprocess.run(words, cwd=folder, check=True)
            elif words[:3] == ["python", "-m", "pytest"]:
                (beside.packages / "reader.pth").write_text(str(folder / "src"))
                beside.run(*words[1:], "-p", "no:cacheprovider", cwd=folder)
                (beside.packages / "reader.pth").unlink()
            else:
                assert words[0] in ("pip", "python", "curl") or "hanmaru up" in command, command
    assert any("hanmaru up" in command for command in ran)
    assert any("meters.py" in command for command in ran)
    install(build(folder, work / "dist"), beside)
    return folder, beside


@pytest.fixture(scope="module")
def hub(reader: tuple[Path, Environment], web: None, tmp_path_factory: pytest.TempPathFactory) -> Generator[Running]:
    """The hub that the page starts, with the page's meters."""
    folder, beside = reader
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(beside.packages), os.environ.get("PYTHONPATH")])))
        with running(tmp_path_factory.mktemp("data"), AUTH="off") as hub:
            beside.run("meters.py", hub.url, cwd=folder)
            yield hub


def test_what_the_page_writes_is_tidy(reader: tuple[Path, Environment]) -> None:
    ruff = Path(sys.executable).with_name("ruff")
    for command in (["check", "--quiet", "."], ["format", "--quiet", "--check", "."]):
        done = subprocess.run([ruff, *command], cwd=reader[0], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_the_service_says_what_was_saved(hub: Running) -> None:
    def saved() -> float | None:
        found = anonymous(hub, "GET", "/api/office-energy/v1/offices")[1]
        return found[0].get("savedPercent") if found else None

    eventually(lambda: saved() is not None, 30)
    assert saved() == pytest.approx(20, abs=0.1)
    week = anonymous(hub, "GET", f"/api/office-energy/v1/offices/{OFFICE}/week")[1]
    assert len(week) == 168
    assert anonymous(hub, "GET", "/api/office-energy/v1/offices/urn:none/week")[0] == 404


@pytest.mark.asyncio(loop_scope="session")
async def test_the_map_has_the_layer_and_the_chart(screens: Screens, hub: Running) -> None:
    screen = await screens.viewer(hub.url)
    page = await screen.open(f"#entity={OFFICE}")
    await expect(page.get_by_role("article", name="Office 1")).to_be_visible()
    await expect(page.locator("[data-panel='office-energy.week'] figure")).to_have_attribute("data-hours", "168")
    await expect(page.get_by_role("img", name="Used")).to_be_visible()
    row = page.get_by_role("listitem").filter(has_text="Office energy")
    await expect(row.locator(".layer-count")).to_have_text("1")
    assert screen.complaints == []
