"""The ready-made rules: TOML beside this module, one file, read and checked as every rule is."""

import tomllib
from functools import cache
from pathlib import Path

from hanmaru.centre.rules.model import Rule, convert


@cache
def ready() -> tuple[Rule, ...]:
    """Return the rules that come with the product."""
    document = tomllib.loads(Path(__file__).with_name("ready.toml").read_text("utf-8"))
    return tuple(convert({"id": id, **rule}) for id, rule in document.items())
