"""The trail's file format: one record a line, each line's hash over the hash of the line before.

A line is ``<hash> <body>\\n``: the hash is the SHA-256, as 64 hexadecimal digits, of the previous line's 64 digits
followed by the body; the body is a JSON object. So ``printf %s%s "$previous" "$body" | sha256sum`` checks one by hand.
A chain is a folder of segments ``000001.log``, ``000002.log``, …; a segment's first line follows the last of the one
before, and the first of all follows 64 zeros.
"""

import re
import time
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import msgspec

from hanmaru.platform.audit.record import Outcome, Record

GENESIS = b"0" * 64
BODY_BYTES = 4096
"""The most that a body takes; longer texts are cut, and more subjects than fit are spread over several records."""
LINE_BYTES = 65 + BODY_BYTES + 1
CUT = "…[cut]"
CHECKPOINT, RECOVERED = "audit.checkpoint", "audit.recovered"
_TEXT_BYTES = {"who": 256, "action": 128, "what": 512, "purpose": 640, "where": 128, "request": 128}
_DETAIL_BYTES, _SUBJECTS_BYTES, _SUBJECT_BYTES = 800, 1200, 128
_SEGMENT = re.compile(r"(\d{6,})\.log")


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A record in its place: the members of `Record`, and which line of which chain it is, written when.

    ``seq`` counts from 1 along the chain; ``at`` is RFC 3339 in UTC with microseconds, so that texts sort as times.
    """

    seq: int
    at: str
    chain: str
    who: str
    action: str
    what: str
    decision: Outcome
    purpose: str = ""
    subjects: tuple[str, ...] = ()
    where: str = ""
    request: str = ""
    detail: Mapping[str, str] = {}


_second: tuple[int, str] = (-1, "")


def now_text() -> str:
    """Return this instant as `Entry.at` has it; the text of a second is made once."""
    global _second
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    known, text = _second
    if known != seconds:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        _second = seconds, text
    return f"{text}.{nanoseconds // 1000:06}Z"


def link(previous: bytes, body: bytes) -> bytes:
    """Return the hash of a line with this body, after a line with the hash ``previous``; both as 64 digits."""
    return sha256(previous + body).hexdigest().encode()


def place(record: Record, seq: int, at: str, chain: str) -> bytes:
    """Return the record's body in its place. Raises UnicodeEncodeError for a text that is not Unicode."""
    return msgspec.json.encode(
        Entry(
            seq,
            at,
            chain,
            record.who,
            record.action,
            record.what,
            record.decision,
            record.purpose,
            record.subjects,
            record.where,
            record.request,
            record.detail,
        )
    )


def fitted(record: Record) -> list[Record]:
    """Return records that say the same within `BODY_BYTES` each: texts cut, subjects never lost but spread.

    A text that cannot be encoded, such as a lone surrogate, is spelled with backslashes.
    """
    texts = {name: _cut(getattr(record, name), most) for name, most in _TEXT_BYTES.items()}
    detail: dict[str, str] = {}
    left = _DETAIL_BYTES
    for name, value in record.detail.items():
        name, value = _cut(name, 64), _cut(value, max(16, left // 2))
        left -= _size(name) + _size(value) + 2
        if left < 0:
            detail[CUT] = CUT
            break
        detail[name] = value
    groups: list[list[str]] = [[]]
    for subject in (_cut(subject, _SUBJECT_BYTES) for subject in record.subjects):
        if sum(_size(each) + 1 for each in (*groups[-1], subject)) > _SUBJECTS_BYTES:
            groups.append([])
        groups[-1].append(subject)
    return [
        Record(
            **texts,
            decision=record.decision,
            subjects=tuple(group),
            detail=detail if len(groups) == 1 else {**detail, "part": f"{n}/{len(groups)}"},
        )
        for n, group in enumerate(groups, 1)
    ]


def _size(text: str) -> int:
    return len(msgspec.json.encode(text))


def _cut(text: str, most: int) -> str:
    text = text.encode("utf-8", "backslashreplace").decode()
    if _size(text) <= most:
        return text
    kept = text[:most]
    while kept and _size(kept + CUT) > most:
        kept = kept[: len(kept) * 3 // 4]
    return kept + CUT


def segments(chain: Path) -> list[Path]:
    """Return a chain's segments in order; none for a folder that is not there."""
    try:
        found = [(int(match[1]), path) for path in chain.iterdir() if (match := _SEGMENT.fullmatch(path.name))]
    except FileNotFoundError:
        return []
    return [path for _, path in sorted(found)]


def segment(chain: Path, number: int) -> Path:
    """Return the path of a chain's segment by its number, from 1."""
    return chain / f"{number:06}.log"


def chains(folder: Path) -> list[str]:
    """Return the names of the chains that have a segment, sorted."""
    try:
        return sorted(path.name for path in folder.iterdir() if path.is_dir() and segments(path))
    except FileNotFoundError:
        return []


def raw_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield a segment's lines with their ends, from where the file is; one too long to be a line comes in pieces."""
    while line := file.readline(LINE_BYTES + 1):
        yield line


def last_line(path: Path) -> bytes:
    """Return a segment's last line with its end, or what there is of it; nothing for an empty file."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 2 * LINE_BYTES))
        tail = file.read()
    return tail[tail.rfind(b"\n", 0, -1) + 1 :]
