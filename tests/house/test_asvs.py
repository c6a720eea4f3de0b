"""The ASVS page: every requirement of level 2 once, in a known state, shown by something that exists."""

import re
from functools import cache
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "asvs.md"

REQUIREMENTS = """
V1 1:22 2:111112222 3:11222222222 4:222 5:12
V2 1:122 2:112 3:1222 4:2
V3 2:11 3:1222 4:112222 5:11122 7:22
V4 1:122 2:2 3:22 4:1222
V5 1:2 2:112 3:11 4:222
V6 1:122 2:111111112222 3:1122 4:1122 5:22222 6:222 8:2222
V7 1:222 2:1111 3:22 4:11222 5:22 6:22
V8 1:12 2:112 3:1 4:2
V9 1:111 2:1222
V10 1:22 2:22 3:2222 4:11111222222 5:22222 6:22 7:222
V11 1:22 2:222 3:112 4:1222 5:2 6:2
V12 1:122 2:11 3:2222
V13 1:2 2:22222 3:22 4:12222
V14 1:22 2:1222 3:122
V15 1:122 2:122 3:1222222
V16 1:2 2:22222 3:2222 4:222 5:222
V17 1:2 2:2222 3:22
"""
"""ASVS 5.0.0, levels 1 and 2: chapter, then each section with the level of each of its requirements in order."""

STATES = ("met", "met by configuration", "partly", "open", "not applicable")
LINE = re.compile(
    r"\| (?P<id>\d+\.\d+\.\d+) \| (?P<level>[12]) \| (?P<what>[^|]+) \| (?P<state>[^|]+) \| (?P<shown>[^|]*) \|"
)
OPEN = re.compile(r"\| (?P<id>\d+\.\d+\.\d+) \| (?P<state>open|partly) \| (?P<what>[^|]+) \| (?P<missing>[^|]+) \|")
LINK = re.compile(r"\[(?P<text>[^\]]+)\]\((?P<target>[^)#]+)(?:#[^)]*)?\)")


@cache
def page() -> str:
    return PAGE.read_text("utf-8")


@cache
def lines() -> list[dict[str, str]]:
    return [found.groupdict() for line in page().splitlines() if (found := LINE.fullmatch(line))]


def state(line: dict[str, str]) -> str:
    return line["state"].partition(":")[0]


def links(line: dict[str, str]) -> list[tuple[str, Path]]:
    return [(text, (PAGE.parent / target).resolve()) for text, target in LINK.findall(line["shown"] + line["state"])]


def required() -> dict[str, str]:
    """Return the level of each requirement by its number."""
    found: dict[str, str] = {}
    for chapter in REQUIREMENTS.split("\n"):
        name, *sections = chapter.split() or [""]
        for section, levels in (each.split(":") for each in sections):
            found |= {f"{name[1:]}.{section}.{n}": level for n, level in enumerate(levels, 1)}
    return found


def test_every_requirement_is_there_once_with_its_level() -> None:
    assert len(required()) == 253
    assert [(line["id"], line["level"]) for line in lines()] == list(required().items())


def test_every_state_is_one_of_the_known_and_counted() -> None:
    for line in lines():
        assert state(line) in STATES, line["id"]
        reason = line["state"].partition(": ")[2]
        assert bool(reason) == (state(line) in ("met by configuration", "not applicable")), line["id"]
    for name in STATES:
        count = sum(state(line) == name for line in lines())
        assert f"| {name} | {count} |" in page()


def test_what_is_open_stands_at_the_top_with_what_is_missing() -> None:
    top = [found.groupdict() for line in page().splitlines() if (found := OPEN.fullmatch(line))]
    unfinished = {(line["id"], state(line), line["what"]) for line in lines() if state(line) in ("open", "partly")}
    assert {(each["id"], each["state"], each["what"]) for each in top} == unfinished
    assert len(top) == len(unfinished)
    assert page().index("## Open") < page().index("## V1 ")


@pytest.mark.parametrize("line", lines(), ids=lambda line: line["id"])
def test_what_shows_a_requirement_exists(line: dict[str, str]) -> None:
    shown = links(line)
    assert shown or state(line) == "not applicable"
    for text, path in shown:
        assert path.is_file(), path
        if text.startswith("`test_"):
            assert re.search(rf"^(async )?def {re.escape(text.strip('`'))}\(", path.read_text("utf-8"), re.MULTILINE)
