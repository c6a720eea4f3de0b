"""Long-running connectors as configured: ``[[connectors]]`` tables of ``hanmaru.toml``, as frozen values."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hanmaru.connectors import mapping as mappings
from hanmaru.connectors.tables import Table

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}").fullmatch
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_FIELD = re.compile(r"\{([^{}/]+)\}").fullmatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Connector:
    """What all kinds have: name, mapping, tenant, and the shortest and longest pause after a failure."""

    name: str
    mapping: mappings.Mapping
    tenant: str = ""
    backoff_s: float = 1.0
    backoff_max_s: float = 300.0

    @property
    def kind(self) -> str:
        """Return the kind as configuration names it."""
        return {"FileWatch": "file-watch", "HttpPoll": "http", "Mqtt": "mqtt"}[type(self).__name__]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileWatch(Connector):
    """Files that match ``path`` (a pattern such as ``/data/in/*.csv``), looked at every ``interval_s`` seconds.

    A last line without a newline is taken once the file has not changed for ``settle_s`` seconds.
    """

    path: str
    interval_s: float = 5.0
    settle_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpPoll(Connector):
    """A URL that is asked every ``interval_s`` seconds; ``${NAME}`` in URL and headers is an environment variable."""

    url: str
    interval_s: float = 60.0
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    timeout_s: float = 30.0
    max_bytes: int = 256 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Mqtt(Connector):
    """An MQTT subscription. A topic's level ``{name}`` is a wildcard; the mapping sees its text as ``topic.name``."""

    host: str
    port: int = 1883
    topics: tuple[str, ...] = ()
    qos: int = 1
    username: str | None = None
    password: str | None = None
    client_id: str | None = None
    tls: bool = False


def parse_connectors(
    tables: Sequence[Mapping[str, Any]], file: str = "hanmaru.toml", base: Path | None = None
) -> list[Connector]:
    """Return the connectors of ``[[connectors]]`` tables; mapping and file paths are relative to ``base``.

    Raises `MappingError` naming the table, the key and the remedy.
    """
    found: list[Connector] = []
    for i, content in enumerate(tables):
        t = Table(file, f"connectors[{i}]", content)
        connector = _connector(t, base)
        if connector.name in (c.name for c in found):
            raise t.fail("name", f"there are two connectors {connector.name!r}; names must differ")
        t.done()
        found.append(connector)
    return found


def _connector(t: Table, base: Path | None) -> Connector:
    name = t.need("name", str, '"seoul-air"')
    if not _NAME(name):
        raise t.fail("name", "may have Latin letters, digits, '.', '_' and '-' only")
    kind = t.choice("kind", ("file-watch", "http", "mqtt"), "")
    common: dict[str, Any] = {
        "name": name,
        "mapping": mappings.load(t.need("mapping", str, '"seoul_air" or "my-mapping.toml"'), base),
        "tenant": t.get("tenant", str, ""),
        "backoff_s": _positive(t, "backoff_s", 1.0),
        "backoff_max_s": _positive(t, "backoff_max_s", 300.0),
    }
    if kind == "file-watch":
        path = t.need("path", str, '"/data/in/*.csv"')
        return FileWatch(
            path=str((base or Path()) / path),
            interval_s=_positive(t, "interval_s", 5.0),
            settle_s=t.get("settle_s", float, 10.0),
            **common,
        )
    if kind == "http":
        headers = t.table("headers")
        url = from_environment(t, "url", t.need("url", str, '"https://data.example.org/air.json"'))
        if not url.startswith(("http://", "https://")):
            raise t.fail("url", "must begin with http:// or https://")
        return HttpPoll(
            url=url,
            interval_s=_positive(t, "interval_s", 60.0),
            headers={k: from_environment(headers, k, headers.get(k, str, "")) for k in headers.content},
            timeout_s=_positive(t, "timeout_s", 30.0),
            max_bytes=t.get("max_bytes", int, 256 << 20),
            **common,
        )
    topics = t.texts("topic") + t.texts("topics")
    if not topics:
        raise t.fail("topic", 'is missing; write for example topic = "city/{district}/air/{station}"')
    for topic in topics:
        try:
            topic_filter(topic)
        except ValueError as error:
            raise t.fail("topic", str(error)) from None
    qos = t.get("qos", int, 1)
    if qos not in (0, 1):
        raise t.fail("qos", "must be 0 or 1; with 1 nothing is lost and nothing is counted twice")
    password = t.optional("password", str)
    return Mqtt(
        host=t.need("host", str, '"broker.example.org"'),
        port=t.get("port", int, 1883),
        topics=topics,
        qos=qos,
        username=t.optional("username", str),
        password=None if password is None else from_environment(t, "password", password),
        client_id=t.optional("client_id", str),
        tls=t.get("tls", bool, False),
        **common,
    )


def _positive(t: Table, key: str, default: float) -> float:
    value = t.get(key, float, default)
    if not value > 0:
        raise t.fail(key, "must be more than 0")
    return value


def from_environment(t: Table, key: str, text: str) -> str:
    """Return text with each ``${NAME}`` replaced by that environment variable, so that secrets stay out of files."""
    for name in _VARIABLE.findall(text):
        if name not in os.environ:
            raise t.fail(key, f"the environment variable {name} is not set")
    return _VARIABLE.sub(lambda m: os.environ[m[1]], text)


def topic_filter(topic: str) -> tuple[str, dict[int, str]]:
    """Return the MQTT filter of a topic with ``{name}`` levels, and the names by level.

    >>> topic_filter("city/{district}/air/#")
    ('city/+/air/#', {1: 'district'})
    """
    levels = topic.split("/")
    names: dict[int, str] = {}
    for i, level in enumerate(levels):
        match = _FIELD(level)
        if match:
            names[i] = match[1]
            levels[i] = "+"
        elif "{" in level or "}" in level or ("+" in level and level != "+") or ("#" in level and level != "#"):
            raise ValueError(f"level {level!r} must be wholly text, {{name}}, + or #")
        elif level == "#" and i < len(levels) - 1:
            raise ValueError("# may only be the last level")
    if len(set(names.values())) != len(names):
        raise ValueError("a name occurs twice")
    return "/".join(levels), names
