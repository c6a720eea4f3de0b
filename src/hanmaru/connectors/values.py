"""From a source's cell to a typed JSON value; each reader raises `BadRow` with a reason."""

import math
import re
from collections.abc import Callable
from typing import Any, Literal, cast
from urllib.parse import quote

import msgspec

from hanmaru.connectors.errors import BadRow

Json = Any
Kind = Literal["number", "integer", "text", "boolean", "time", "list", "json"]
Read = Callable[[object], Json]

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII).fullmatch
_TRUE = frozenset(("true", "yes", "y", "1", "t", "on", "예", "참"))
_FALSE = frozenset(("false", "no", "n", "0", "f", "off", "아니오", "아니요", "거짓"))
_LIMIT = 2**53


def shown(value: object) -> str:
    """Return a value as it may stand in a reason: short, on one line."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"


def number_reader(decimal: str = ".", thousands: str = "") -> Read:
    """Return the reader of numbers that are written with the given decimal sign and grouping sign."""
    grouped = re.compile(rf"[+-]?\d{{1,3}}(?:{re.escape(thousands)}\d{{3}})+(?:{re.escape(decimal)}\d*)?").fullmatch

    def read(value: object) -> int | float:
        if isinstance(value, str):
            text = value.strip()
            if thousands and thousands in text and grouped(text):
                text = text.replace(thousands, "")
            if thousands == ".":
                text = text.replace(".", "?")
            if decimal != ".":
                text = text.replace(decimal, ".")
            if not _NUMBER(text):
                raise BadRow(f"{shown(value)} is not a number")
            number = float(text)
            if number.is_integer() and not ("." in text or "e" in text or "E" in text):
                number = int(text) if len(text) < 20 else _LIMIT
        elif isinstance(value, int | float) and not isinstance(value, bool):
            number = value
        else:
            raise BadRow(f"{shown(value)} is not a number")
        if not math.isfinite(number) or (isinstance(number, int) and abs(number) >= _LIMIT):
            raise BadRow(f"{shown(value)} is no finite number of at most 53 bits")
        return number

    return read


def integer_reader(number: Read) -> Read:
    """Return the reader of whole numbers (``3.0`` is one)."""

    def read(value: object) -> int:
        found = number(value)
        if found != int(found):
            raise BadRow(f"{shown(value)} is not a whole number")
        return int(found)

    return read


def read_text(value: object) -> str:
    """Return a cell as text without surrounding space."""
    if value is None or isinstance(value, bool | dict | list):
        raise BadRow(f"{shown(cast(object, value))} is not text")
    text = value.strip() if isinstance(value, str) else str(value)
    if "\0" in text:
        raise BadRow(f"{shown(text)} contains a NUL character")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise BadRow(f"{shown(text)} is not valid Unicode") from None
    return text


def read_boolean(value: object) -> bool:
    """Return a cell as truth: yes/no, true/false, 1/0, on/off, 예/아니오."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise BadRow(f"{shown(value)} is neither true nor false")


def list_reader(separator: str) -> Read:
    """Return the reader of lists: a JSON array, or text split at the separator."""

    def read(value: object) -> list[Json]:
        if isinstance(value, list):
            return [read_text(item) for item in cast("list[object]", value)]
        return [part for part in (p.strip() for p in read_text(value).split(separator)) if part]

    return read


def read_json(value: object) -> Json:
    """Return a value of a JSON source as it is."""
    try:
        msgspec.json.encode(value)
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError):
        raise BadRow(f"{shown(value)} is not a JSON value") from None
    return value


def uri_part(text: str) -> str:
    """Return text as it may stand in a URI: letters outside ASCII and reserved signs percent-encoded."""
    return quote(text, safe="-._~")
