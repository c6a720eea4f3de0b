"""A real hub with a stranger's service installed, and a real Chromium to look at it."""

import os
import shutil
import tomllib
from collections.abc import AsyncGenerator, Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from tests.running import Running, running

ROOT = Path(__file__).parents[2]
STRANGER = Path(__file__).with_name("stranger")
CENTRE = (127.2890, 36.4800)
expect.set_options(timeout=20_000)  # as for actions: four browsers share the processors
ARGUMENTS = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


def install(package: Path, target: Path) -> None:
    """Install a pure Python package as an installer does: its files, and its metadata with the entry points."""
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    module = project["name"].replace("-", "_")
    shutil.copytree(package / module, target / module)
    info = target / f"{module}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = [
        f"[{group}]\n{name} = {value}\n" for group, e in project["entry-points"].items() for name, value in e.items()
    ]
    (info / "entry_points.txt").write_text("".join(lines))


@pytest.fixture(scope="session")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium: install Debian's chromium")
    return found


@pytest.fixture(scope="session")
def web() -> None:
    if not (ROOT / "src" / "hanmaru" / "web" / "index.html").is_file():
        pytest.skip("the front end is not built: run python tools/build_web.py")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Generator[Path]:
    """Return a folder on the path of new processes, with the stranger's package installed in it."""
    site = tmp_path_factory.mktemp("site")
    install(STRANGER, site)
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(site), before]))
    yield site
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


def start(data: Path, *, port: int = 0, auth: str = "off") -> AbstractContextManager[Running]:
    """Run a hub with the stranger's service enabled."""
    return running(data, "--no-demo", port=port, AUTH=auth, SERVICES="centre,bees", WEB_WORKERS="1")


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory, site: Path, web: None) -> Generator[Running]:
    with start(tmp_path_factory.mktemp("data")) as hub:
        yield hub


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def browser(chromium: str) -> AsyncGenerator[Browser]:
    async with async_playwright() as playwright:
        sandbox = os.geteuid() != 0
        browser = await playwright.chromium.launch(executable_path=chromium, chromium_sandbox=sandbox, args=ARGUMENTS)
        yield browser
        await browser.close()


@dataclass
class Screen:
    """One viewer's page, and what it complained about."""

    page: Page
    url: str
    complaints: list[str]

    async def open(self, fragment: str = "") -> Page:
        """Go to the screen and wait until the map has drawn what the hub holds."""
        await self.page.goto(f"{self.url}/{fragment}")
        await self.page.locator(".map[data-drawn]").wait_for(state="attached", timeout=60_000)
        return self.page

    async def upsert(self, *entities: dict[str, Any]) -> None:
        """Write to the hub as any NGSI-LD client does."""
        answer = await self.page.request.post(
            f"{self.url}/ngsi-ld/v1/entityOperations/upsert?options=update", data=list(entities)
        )
        assert answer.status in (201, 204), await answer.text()

    async def delete(self, id: str) -> None:
        assert (await self.page.request.delete(f"{self.url}/ngsi-ld/v1/entities/{id}")).status == 204


class Screens:
    """Opens viewers on a hub."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self.opened: list[Screen] = []

    async def viewer(self, url: str, *, width: int = 1280, height: int = 800, **options: Any) -> Screen:
        context = await self._browser.new_context(
            viewport={"width": width, "height": height}, **{"locale": "en-GB", "timezone_id": "Europe/Paris"} | options
        )
        self._contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(20_000)
        screen = Screen(page, url, [])
        page.on("console", lambda m: screen.complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: screen.complaints.append(str(error)))
        self.opened.append(screen)
        return screen

    async def close(self) -> None:
        for context in self._contexts:
            await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def screens(browser: Browser) -> AsyncGenerator[Screens]:
    screens = Screens(browser)
    yield screens
    await screens.close()


def station(number: int, pm25: float, *, minutes_ago: float = 0, place: bool = True) -> dict[str, Any]:
    """An air-quality station near the city's centre."""
    at = (datetime.now(UTC) - timedelta(minutes=minutes_ago)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    entity: dict[str, Any] = {
        "id": f"urn:ngsi-ld:AirQualityObserved:test:{number}",
        "type": "AirQualityObserved",
        "pm25": {"type": "Property", "value": pm25, "unitCode": "GQ", "observedAt": at},
        "dateObserved": {"type": "Property", "value": {"@type": "DateTime", "@value": at}},
    }
    if place:
        names = {"en": f"Station {number}", "ko": f"측정소 {number}"}
        lon, lat = CENTRE[0] + 0.004 * (number % 25), CENTRE[1] + 0.004 * (number // 25)
        entity |= {
            "name": {"type": "LanguageProperty", "languageMap": names},
            "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [lon, lat]}},
        }
    return entity


def hive(number: int, weight: float) -> dict[str, Any]:
    """An entity of the stranger's type."""
    point = {"type": "Point", "coordinates": [CENTRE[0] - 0.01 * number, CENTRE[1]]}
    return {
        "id": f"urn:ngsi-ld:Beehive:test:{number}",
        "type": "Beehive",
        "name": {"type": "Property", "value": f"Hive {number}"},
        "weight": {"type": "Property", "value": weight, "unitCode": "KGM"},
        "location": {"type": "GeoProperty", "value": point},
    }
