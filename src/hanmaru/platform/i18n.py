"""Texts in several languages: pick one, and find the language that a request prefers.

Texts that services declare are mappings by language tag (`hanmaru.platform.services.Text`); English is always there.
"""

from collections.abc import Iterable, Mapping

FALLBACK = "en"


def pick(text: Mapping[str, str], language: str) -> str:
    """Return the text in a language: the exact tag, its primary language, else English."""
    return text.get(language) or text.get(language.partition("-")[0]) or text[FALLBACK]


def preferred(accept_language: str, available: Iterable[str], fallback: str = FALLBACK) -> str:
    """Return which available language an ``Accept-Language`` value (RFC 9110, 12.5.4) asks for first.

    Tags are shortened until one is there (RFC 4647 look-up); what cannot be read is passed over.

    >>> preferred("fr;q=0.9, ko-KR;q=0.8, en;q=0.1", ["en", "ko"])
    'ko'
    """
    known = {tag.lower(): tag for tag in available}
    wishes: list[tuple[float, str]] = []
    for item in accept_language.split(","):
        tag, _, weight = item.strip().partition(";q=")
        try:
            wishes.append((float(weight or 1), tag.strip().lower()))
        except ValueError:
            continue
    for weight, tag in sorted(wishes, key=lambda wish: -wish[0]):
        while tag and weight > 0:
            if tag in known:
                return known[tag]
            tag = tag.rpartition("-")[0]
    return fallback
