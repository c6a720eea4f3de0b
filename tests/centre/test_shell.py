"""The shell's routes: the manifest, a service's files, the built web app and how they may be cached."""

import gzip
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from hanmaru.edge import on_problem
from hanmaru.platform import shell
from hanmaru.platform.i18n import pick, preferred
from hanmaru.platform.policy import Caller
from hanmaru.platform.problems import Problem
from hanmaru.platform.services import Attr, Layer, Page, Panel, Service
from tests.asgi import Answer, ask

CITY = {
    "name": {"en": "Hanbit", "ko": "한빛시"},
    "centre": [128.1, 37.1],
    "zone": "Asia/Seoul",
    "languages": ["ko", "en"],
    "seed": 7,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    web, static = tmp_path / "web", tmp_path / "static"
    (web / "assets").mkdir(parents=True)
    static.mkdir()
    (web / "index.html").write_text("<!doctype html>")
    (web / "assets" / "app-1.js").write_text("app" * 1000)
    (web / "assets" / "app-1.js.gz").write_bytes(gzip.compress(b"app" * 1000))
    (static / "panel.js").write_text("export function mount() {}")
    (static / "notes.md").write_text("not to be served")
    (tmp_path / "secret.json").write_text("{}")
    return tmp_path


class App:
    def __init__(self, folder: Path) -> None:
        level = Attr("level", {"en": "Level"}, "m", scale=0.01, steps=[(1, "#123456")])
        services: list[Service[Any]] = [
            Service(
                "wells",
                {"en": "Wells"},
                layers=[Layer("all", {"en": "Wells"}, "Well", [level], colour_by="level")],
                panels=[Panel("own", {"en": "Own"}, "module", module="panel.js")],
                pages=[
                    Page("logs", {"en": "Logs"}, "/wells", "panel.js", "wells.read"),
                    Page("plans", {"en": "Plans"}, "/wells/plans", "panel.js"),
                ],
                static=folder / "static",
            )
        ]
        routes = shell.routes(services, CITY, web_dir=folder / "web")
        self.app = Starlette(routes=routes, exception_handlers={Problem: on_problem})

    async def get(self, path: str, roles: tuple[Any, ...] = ("reader",), **headers: str) -> Answer:
        async def as_caller(scope: Any, receive: Any, send: Any) -> None:
            await self.app({**scope, "caller": Caller("somebody", roles)}, receive, send)

        return await ask(as_caller, path, headers={k.replace("_", "-"): v for k, v in headers.items()})


@pytest.fixture
def app(folder: Path) -> App:
    return App(folder)


async def test_the_manifest_says_what_services_declare(app: App) -> None:
    document = (await app.get("/api/shell/v1/manifest")).json()
    (layer,), (panel,) = document["layers"], document["panels"]
    assert (layer["id"], layer["service"], layer["type"], layer["colourBy"]) == ("wells.all", "wells", "Well", "level")
    assert layer["attrs"][0]["scale"] == 0.01
    assert layer["attrs"][0]["steps"] == [[1, "#123456"]]
    assert panel["module"] == "/services/wells/panel.js"
    assert document["city"] == {key: CITY[key] for key in ("name", "centre", "zone", "languages")}


async def test_a_page_has_its_own_addresses_and_says_who_may_open_it(app: App) -> None:
    pages = (await app.get("/api/shell/v1/manifest")).json()["pages"]
    assert [(page["path"], page["permission"]) for page in pages] == [
        ("/wells", "wells.read"),
        ("/wells/plans", "read"),
    ]
    assert pages[0]["module"] == "/services/wells/panel.js"
    for path in ("/wells", "/wells/7/levels", "/wells/plans"):
        page = await app.get(path, roles=())
        assert page.body == b"<!doctype html>"
        assert "unsafe" not in page.headers["content-security-policy"]
    assert (await app.get("/wellsprings")).status == 404


async def test_the_manifest_is_for_who_may_read(app: App) -> None:
    assert (await app.get("/api/shell/v1/manifest", roles=())).status == 403
    assert (await app.get("/api/shell/v1/city", roles=())).json()["name"]["ko"] == "한빛시"


async def test_the_page_has_a_strict_policy_and_is_asked_for_again(app: App) -> None:
    page = await app.get("/", roles=())
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-cache"
    policy = page.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "worker-src 'self' blob:" in policy
    assert (await app.get("/", if_none_match=page.headers["etag"])).status == 304


async def test_assets_are_kept_and_travel_packed(app: App) -> None:
    plain = await app.get("/assets/app-1.js")
    packed = await app.get("/assets/app-1.js", accept_encoding="gzip, br")
    assert plain.headers["cache-control"] == shell.IMMUTABLE
    assert plain.headers["content-type"].startswith("text/javascript")
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert packed.headers["etag"] != plain.headers["etag"]


async def test_a_services_module_is_served(app: App) -> None:
    assert (await app.get("/services/wells/panel.js")).headers["content-type"].startswith("text/javascript")
    assert (await app.get("/services/nobody/panel.js")).status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../index.html",
        "/assets/%2e%2e/index.html",
        "/services/wells/../../secret.json",
        "/services/wells//etc/passwd",
        "/services/wells/notes.md",
        "/services/wells/",
        "/assets/" + "x" * 5000 + ".js",
        "/assets/a\0.js",
    ],
)
async def test_no_path_leads_out_of_its_folder(app: App, path: str) -> None:
    assert (await app.get(path)).status == 404


async def test_a_link_leads_out_of_its_folder_neither(app: App, folder: Path) -> None:
    (folder / "static" / "link.json").symlink_to(folder / "secret.json")
    assert (await app.get("/services/wells/link.json")).status == 404


async def test_without_a_build_the_page_says_what_to_do(tmp_path: Path, folder: Path) -> None:
    (folder / "web" / "index.html").unlink()
    answer = await App(folder).get("/")
    assert answer.status == 503
    assert "build_web" in answer.json()["detail"]


def test_a_language_is_chosen_as_the_browser_wishes() -> None:
    assert preferred("ko-KR,ko;q=0.9,en;q=0.8", ["en", "ko"]) == "ko"
    assert preferred("fr, en;q=0.5, ko;q=0.7", ["en", "ko"]) == "ko"
    assert preferred("ko;q=0", ["en", "ko"]) == "en"
    assert preferred("", ["ko"]) == "en"
    assert preferred("ko;q=x", ["ko"]) == "en"
    assert pick({"en": "Level", "ko": "수위"}, "ko-KR") == "수위"
    assert pick({"en": "Level"}, "ja") == "Level"
