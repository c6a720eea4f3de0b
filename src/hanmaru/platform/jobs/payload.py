"""What may be kept of a workflow: small JSON, because it carries ids and pseudonyms and never content."""

import re
from typing import Any

import msgspec

MOST_BYTES = 8 * 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@:+-]{0,127}")


class JobError(Exception):
    """What is wrong with a workflow, its input, a message or an id; the text says what to change."""


class NotFoundError(JobError):
    """There is no such workflow."""


class EndedError(JobError):
    """The workflow has ended and can be neither sent to nor cancelled."""


def checked(value: Any, what: str) -> Any:
    """Return a value as plain JSON data (dict, list, str, int, float, bool, None), as it will be read back.

    Raises JobError for what is not JSON, has NaN or infinity in it, or takes more than 8 KiB; the text never quotes
    the value.
    """
    try:
        data = msgspec.json.encode(value)
        plain = msgspec.json.decode(data)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise JobError(f"{what} is not JSON: {type(error).__name__}; give ids and pseudonyms as plain values") from None
    if len(data) > MOST_BYTES:
        raise JobError(
            f"{what} has {len(data):,} bytes, more than {MOST_BYTES:,}: keep content in the vault and give its id"
        )
    if b"null" in data and _has_nan(value):
        raise JobError(f"{what} holds a number that JSON does not know")
    return plain


def checked_name(name: str, what: str) -> str:
    """Return a name or id that is safe in paths and logs; raises JobError for another."""
    if not _NAME.fullmatch(name):
        raise JobError(f"{what} is 1 to 128 of A-Z a-z 0-9 . _ @ : + -, beginning with a letter or digit")
    return name


def _has_nan(value: Any) -> bool:
    if isinstance(value, float):
        return value != value or value in (float("inf"), float("-inf"))
    if isinstance(value, dict):
        return any(_has_nan(member) for member in value.values())  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list | tuple | set | frozenset):
        return any(_has_nan(member) for member in value)  # pyright: ignore[reportUnknownVariableType]
    return False
