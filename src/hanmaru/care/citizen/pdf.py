"""A citizen's report as a tagged PDF, set by Typst in Korean or English."""

import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from hanmaru.care.citizen.report import Item, Report, Value, shown, word
from hanmaru.care.citizen.scale import Scale
from hanmaru.care.domain import CareError
from hanmaru.platform.typeset import TypesetError, as_pdf

TEMPLATE = Path(__file__).with_name("report.typ")

Language = Literal["ko", "en"]


@cache
def words() -> Mapping[str, Mapping[str, Any]]:
    """Return the printed report's words by language."""
    return tomllib.loads(Path(__file__).with_name("words.toml").read_text("utf-8"))


def render(report: Report, name: str, lang: Language, zone: str) -> bytes:
    """Return a report as PDF/UA-1, its times in the zone.

    Raises CareError where the fonts have not been built or the report cannot be set.
    """
    try:
        return as_pdf(TEMPLATE, _Writer(lang, ZoneInfo(zone)).document(report, name))
    except TypesetError as error:
        raise CareError(f"The report is not there: {error}") from None


class _Writer:
    """Puts a report into one language."""

    def __init__(self, lang: Language, zone: ZoneInfo) -> None:
        self.lang: Language = lang
        self.words = words()[lang]
        self.zone = zone

    def document(self, report: Report, name: str) -> dict[str, Any]:
        """Return what the template shows."""
        facts = {"name": name, "at": self.moment(report.at), "place": report.place.get(self.lang, "")}
        alerted = self.words["seen"] if report.seen else self.words["alerted"] if report.alerted else ""
        items = [item for group in report.groups for item in group.items]
        return {
            "lang": self.lang,
            "words": self.words,
            "title": self.words["title"],
            "made": f"{datetime.now(self.zone):%Y-%m-%d}",
            "facts": [[self.words[key], value] for key, value in facts.items() if value],
            "summary": {
                "level": report.summary.level,
                "word": self.said(report.summary.word),
                "text": self.said(report.summary.text),
            },
            "urgent": [
                {"title": self.said(one.title), "text": self.said(one.text), "alerted": alerted}
                for one in report.urgent
            ],
            "next": [
                {
                    "when": "" if one.level == "urgent" else self.word("by", date=one.when),
                    "what": self.said(one.what),
                    "text": self.said(one.text),
                    "about": self.said(one.about),
                }
                for one in report.next
            ],
            "groups": [
                {
                    "title": self.said(group.title),
                    "level": group.level,
                    "word": self.said(group.word),
                    "items": [self.item(item) for item in group.items if not item.beside],
                    "beside": [
                        {"title": self.said(item.title), "text": self.said(item.text)}
                        for item in group.items
                        if item.beside
                    ],
                }
                for group in report.groups
            ],
            "measurements": [[self.said(one.title), self.value(one)] for one in report.measurements],
            "sources": list(dict.fromkeys(f"{self.said(item.title)}: {item.source}" for item in items if item.source)),
        }

    def word(self, key: str, **values: object) -> str:
        return str(self.words[key]).format(**values)

    def said(self, text: Mapping[str, str]) -> str:
        return text.get(self.lang) or text.get("en") or ""

    def moment(self, instant: str) -> str:
        return f"{datetime.fromisoformat(instant).astimezone(self.zone):%Y-%m-%d %H:%M}" if instant else ""

    def value(self, one: Value) -> str:
        return str(self.words[one.shown]) if one.shown in self.words else f"{one.shown} {self.said(one.unit)}".strip()

    def item(self, item: Item) -> dict[str, Any]:
        earlier = item.previous
        return {
            "title": self.said(item.title),
            "shown": f"{item.shown} {self.said(item.unit)}".strip() if item.shown else "",
            "level": item.level,
            "word": self.said(item.word),
            "text": self.said(item.text),
            "cannot": self.said(item.cannot),
            "previous": self.word("previous", date=self.moment(earlier.at)[:10], shown=earlier.shown)
            if earlier
            else "",
            "scales": [self.scale(one) for one in item.scales],
        }

    def scale(self, one: Scale) -> dict[str, Any]:
        """Return a scale in shares of its width, and as a sentence."""

        def at(value: float) -> float:
            return min(max((value - one.low) / (one.high - one.low), 0.0), 1.0)

        of = one.unit["ko"]
        level = "" if one.value is None else one.level(one.value)
        stretches = [
            (at(one.low if s.low is None else s.low), at(one.high if s.high is None else s.high), s)
            for s in one.segments
        ]
        parts = [
            {"from": start, "to": end, "level": s.level, "here": one.value is not None and s.has(one.value)}
            for start, end, s in stretches
            if end > start
        ]
        edges = [{"at": at(s.low), "text": shown(s.low, of)} for s in one.segments[1:] if s.low is not None]
        return {
            "title": self.said(one.title),
            "said": self._scale_said(one, level),
            "parts": parts,
            "edges": edges,
            "place": None if one.value is None else at(one.value),
        }

    def _scale_said(self, one: Scale, level: str) -> str:
        if one.value is None:
            return ""
        of = one.unit["ko"]
        facts = {"value": shown(one.value, of), "unit": self.said(one.unit), "word": self.said(word(level))}
        if one.healthy is None:
            return self.word("scale_plain", **facts)
        low, high = (None if end is None else shown(end, of) for end in one.healthy)
        key = "below" if low is None else "above" if high is None else "between"
        return self.word("scale_said", **facts, range=self.word(key, low=low, high=high))


def stamp(report: Report) -> str:
    """Return the day of a report for a file's name."""
    return datetime.fromisoformat(report.at).astimezone(UTC).strftime("%Y-%m-%d") if report.at else "report"
