"""Structured logs on standard error: coloured lines for a person, JSON for a machine, one worker name on each.

No secret is written: what a line says under a secret's name is masked, and so is what looks like one in any text,
tracebacks included. Tracebacks show source lines, never the values of variables.
"""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, Literal

import structlog
from structlog.types import EventDict, Processor

Format = Literal["auto", "console", "json"]

MASK = "***"
_NAME = r"passw(?:or)?d|passphrase|secret|token|authorization|cookie|credential|api_?key|private_?key|otp|session"
_SECRET_NAME = re.compile(rf"(?i)^(?:.*[_\-.])?(?:key|code|.*(?:{_NAME}).*)$")
_IN_TEXT = (
    (re.compile(r"(?i)\b(bearer|basic|dpop)(\s+)[\w.~+/=-]{8,}"), rf"\1\2{MASK}"),
    (re.compile(r"\bhm[a-z]_[\w-]{8,}"), MASK),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"), MASK),
    (re.compile(r"(://[^\s/:@]*):[^\s/]+@"), rf"\1:{MASK}@"),
    (re.compile(rf"(?i)((?:[\w-]*(?:{_NAME})[\w-]*|\bcode)=)[^&;,\s\"'\\]+"), rf"\1{MASK}"),
    (
        re.compile(rf"(?i)((?P<q>\\*[\"'])(?:[\w-]*(?:{_NAME})[\w-]*|code)(?P=q)\s*:\s*(?P<w>b?\\*[\"'])).+?(?P=w)"),
        rf"\1{MASK}\g<w>",
    ),
)
"""What looks like a secret in a text: credentials of HTTP, API keys, JSON web tokens, passwords in addresses, and the
values of parameters and members that have a secret's name."""
_DEEPEST = 6


def set_up(worker: str, *, format: Format = "auto", level: str = "info") -> None:
    """Route this process's structlog and standard-library logs to standard error.

    ``auto`` writes for a person when standard error is a terminal and JSON when it is not.
    """

    def name_worker(_logger: object, _method: str, event: EventDict) -> EventDict:
        event["worker"] = worker
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        name_worker,
    ]

    def mask(_logger: object, _method: str, event: EventDict) -> EventDict:
        found = {name: _masked(value, name) for name, value in event.items()}
        if not person:  # JSON escapes by itself
            return found
        return {name: _printable(value) if isinstance(value, str) else value for name, value in found.items()}

    person = format == "console" or (format == "auto" and sys.stderr.isatty())
    render: list[Processor] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if person
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _Masking(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, mask, *render],
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("aiohttp.access", "asyncio", "uvicorn", "mqtt"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


class _Masking(structlog.stdlib.ProcessorFormatter):
    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))


def masked(text: str) -> str:
    """Return a text with everything that looks like a secret replaced by `MASK`."""
    for pattern, mask in _IN_TEXT:
        text = pattern.sub(mask, text)
    return text


def _printable(text: str) -> str:
    """Return a text in which nothing ends a line or speaks to a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _masked(value: Any, name: str, depth: int = 0) -> Any:
    if _SECRET_NAME.match(name) and isinstance(value, str | bytes | list | tuple | dict):
        return MASK
    if isinstance(value, Mapping):
        items = value.items() if depth < _DEEPEST else ()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        return {key: _masked(member, str(key), depth + 1) for key, member in items}  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if isinstance(value, list | tuple):
        return [_masked(member, "", depth + 1) for member in value] if depth < _DEEPEST else []  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return value
