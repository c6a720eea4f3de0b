"""Documentation that cannot go stale unnoticed: links, settings, commands."""

import ast
import re
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest
from pydantic import BaseModel

from hanmaru.config import Settings
from hanmaru.platform.policy import Policy
from hanmaru.platform.services import Service

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text("utf-8"))
    broken = [t for t in targets if not t.startswith("http") and not (page.parent / t).exists()]
    assert broken == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    todo = [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page in seen or not page.is_file():
            continue
        seen.add(page)
        todo += [(page.parent / t).resolve() for t in re.findall(r"\]\(([^)#]+\.md)", page.read_text("utf-8"))]
    assert set(PAGES) - seen == set()


def test_every_setting_is_described() -> None:
    page = (ROOT / "docs/reference/configuration.md").read_text("utf-8")
    described = set(re.findall(r"^\| `([\w.]+)` \|", page, re.MULTILINE))
    names: set[str] = set()
    for name, info in Settings.model_fields.items():
        nested = isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)
        names |= {f"{name}.{member}" for member in info.annotation.model_fields} if nested else {name}
    assert described == names


def test_every_action_is_described() -> None:
    described = set(re.findall(r"`([\w.-]+)`", (ROOT / "docs/reference/policy.md").read_text("utf-8")))
    assert Policy().actions - described <= {"sensitive", "personal"}


def test_every_action_that_the_platform_records_is_described() -> None:
    spaces = "session|account|client|token|vault|handover|jobs|audit|policy|data"
    name = re.compile(rf"({spaces})\.(?!db$|json$|lock$|test)[a-z][a-z.-]+")
    said: set[str] = set()
    for path in (ROOT / "src/hanmaru").rglob("*.py"):
        constants = (
            node.value for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Constant)
        )
        said |= {text for text in constants if isinstance(text, str) and name.fullmatch(text)}
    described = (ROOT / "docs/explanation/audit.md").read_text("utf-8")
    assert {action for action in said if f"`{action}`" not in described} <= Policy().actions


def test_every_member_of_the_service_manifest_is_described() -> None:
    page = (ROOT / "docs/reference/service.md").read_text("utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == {field.name for field in fields(Service)}


def test_every_make_target_explains_itself() -> None:
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("run", "test", "check", "bench", "soak", "web", "lock", "clean"):
        assert re.search(rf"make {target} +\w", told), target
