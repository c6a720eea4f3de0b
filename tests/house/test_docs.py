"""Documentation that cannot go stale unnoticed: links, settings, commands."""

import re
import subprocess
from pathlib import Path

import pytest
from pydantic import BaseModel

from hanmaru.config import Settings

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


def test_every_make_target_explains_itself() -> None:
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("run", "test", "check", "bench", "soak", "web", "lock", "clean"):
        assert re.search(rf"make {target} +\w", told), target
