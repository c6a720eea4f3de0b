"""The connectors' errors: a mapping that is wrong stops at once, a row that is wrong never stops anything."""

from collections.abc import Iterable
from difflib import get_close_matches


class ConnectorError(Exception):
    """Something that the person who wrote the mapping or the configuration can put right; the text says how."""


class MappingError(ConnectorError):
    """A mapping (or connector configuration) that cannot be used: names the file, the key and the remedy."""

    def __init__(self, file: str, key: str, remedy: str) -> None:
        """Make the error; ``key`` is a dotted path inside the file, ``remedy`` says what to write instead."""
        super().__init__(f"{file}: {key}: {remedy}" if key else f"{file}: {remedy}")
        self.file, self.key, self.remedy = file, key, remedy


class BadRow(Exception):  # noqa: N818 - a row's condition, not the program's
    """Why one row cannot become entities; it goes to quarantine with this reason."""


def nearest(word: str, choices: Iterable[str], count: int = 3) -> str:
    """Return a hint such as ``; did you mean 'pm25'?``, or an empty string when nothing is near."""
    known = list(choices)
    matches = (
        get_close_matches(word, known, count, 0.5)
        or [c for c in known if word and (word.lower() in c.lower() or c.lower() in word.lower())][:count]
    )
    return f"; did you mean {' or '.join(repr(m) for m in matches)}?" if matches else ""
