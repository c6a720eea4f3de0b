"""Every text of the screen is there in every language."""

import json
import re

import pytest

from hanmaru.centre.service import service
from hanmaru.platform.services import Attr
from tests.screens.conftest import ROOT

SOURCES = ROOT / "web" / "src"
LANGUAGES = {file.stem: json.loads(file.read_text()) for file in (SOURCES / "i18n").glob("*.json")}


def keys(language: str) -> set[str]:
    return {key for key in LANGUAGES[language] if not key.startswith("text.")}


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_a_language_has_every_text(language: str) -> None:
    assert keys(language) == keys("en")


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_a_text_takes_the_same_parameters(language: str) -> None:
    for key in keys("en"):
        found, expected = (set(re.findall(r"\{(\w+)\}", LANGUAGES[tag][key])) for tag in (language, "en"))
        assert found == expected, key


def test_every_text_that_the_code_names_is_there() -> None:
    code = "".join(file.read_text() for file in SOURCES.rglob("*.ts*"))
    named = set(re.findall(r"""\bt\((?:[^()]*\? )?["']([\w.]+)["']""", code))
    assert named
    assert named <= keys("en")


def test_the_centre_says_everything_in_korean_and_english() -> None:
    attrs: list[Attr] = [attr for shown in (*service.layers, *service.panels) for attr in shown.attrs]
    texts = [service.title, *(shown.title for shown in (*service.layers, *service.panels)), *(a.label for a in attrs)]
    for text in texts:
        assert {"ko", "en"} <= set(text), text
