"""Structured logs on standard error: coloured lines for a person, JSON for a machine, one worker name on each."""

import logging
import sys
from typing import Literal

import structlog
from structlog.types import EventDict, Processor

Format = Literal["auto", "console", "json"]


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
    person = format == "console" or (format == "auto" and sys.stderr.isatty())
    render: list[Processor] = (
        [structlog.dev.ConsoleRenderer()]
        if person
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
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
