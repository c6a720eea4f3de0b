"""How reports speak: texts by language, local times, lengths of time, numbers as their instruments show them."""

import tomllib
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast
from zoneinfo import ZoneInfo

from hanmaru.centre.reports.figures import instant

WORDS = Path(__file__).with_name("words.toml")
Language = Literal["ko", "en"]


@cache
def words() -> Mapping[str, Mapping[str, Any]]:
    """Return the reports' words by language."""
    return tomllib.loads(WORDS.read_text("utf-8"))


class Speech:
    """Puts what is known into words, for readers of one language in one time zone."""

    def __init__(self, lang: Language, zone: str) -> None:
        """Speak ``lang``; times are those of ``zone``."""
        self.lang: Language = lang
        self.words = words()[lang]
        self.zone = ZoneInfo(zone)

    def word(self, key: str, **values: object) -> str:
        """Return a sentence with its values."""
        return str(self.words[key]).format(**values)

    def code(self, group: str, key: Any) -> str:
        """Return the word for a code, the code itself where there is none."""
        return str(self.words[group].get(str(key), key)) if key is not None else "–"

    def told(self, text: Any) -> str:
        """Return a text that may be one in several languages."""
        if isinstance(text, Mapping):
            text = cast("Mapping[str, str]", text)
            return text.get(self.lang) or text.get("en") or next(iter(text.values()), "")
        return str(text or "")

    def local(self, at: str) -> datetime:
        """Return an instant in the city's zone."""
        return instant(at).astimezone(self.zone)

    def moment(self, at: str | None) -> str:
        """Return an instant to the minute."""
        return f"{self.local(at):%Y-%m-%d %H:%M}" if at else "–"

    def second(self, at: str | None) -> str:
        """Return an instant to the second."""
        return f"{self.local(at):%m-%d %H:%M:%S}" if at else "–"

    def span(self, start: str, end: str) -> str:
        """Return a span of time; its day once where both ends are of one."""
        a, b = self.local(start), self.local(end)
        last = f"{b:%H:%M}" if a.date() == b.date() else f"{b:%Y-%m-%d %H:%M}"
        return f"{a:%Y-%m-%d %H:%M} – {last}"

    def lasting(self, start: str, end: str) -> str:
        """Return the time between two instants: seconds under two minutes, then minutes, hours, days."""
        seconds = max(0, round((instant(end) - instant(start)).total_seconds()))
        if seconds < 120:
            return self.word("seconds", count=seconds)
        minutes = seconds // 60
        if minutes < 120:
            return self.word("minutes", count=minutes)
        if minutes < 48 * 60:
            return self.word("hours", hours=minutes // 60, minutes=minutes % 60)
        return self.word("days", days=minutes // 1440, hours=minutes % 1440 // 60)

    def number(self, value: float, decimals: int | None) -> str:
        """Return a number with an instrument's decimals, thousands set apart."""
        return f"{value:,.{decimals or 0}f}"

    def place(self, event: Mapping[str, Any]) -> str:
        """Return an event's place in words, or its coordinates."""
        from hanmaru.centre.reports.drawn import point_of

        if event.get("place"):
            return self.told(event["place"])
        point = point_of(event.get("location"))
        return self.word("at_place", lat=f"{point[1]:.5f}", lon=f"{point[0]:.5f}") if point else ""
