"""Taking records out of the trail, so that who receives them can check them: JSON lines or CSV, with an anchor beside.

Each line carries its hash and the hash before it, and its record as the trail has it, byte by byte. The anchor beside
the file holds the file's own hash, signed, and the heads of all chains.
"""

import csv
import heapq
import io
import os
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hanmaru.platform.audit.anchor import Exported, make_anchor, read_anchor, write_private
from hanmaru.platform.audit.index import Query, micros
from hanmaru.platform.audit.lines import GENESIS, Entry, chains, link, raw_lines, segments
from hanmaru.platform.audit.seal import TrailError
from hanmaru.platform.audit.walk import Finding

Format = Literal["jsonl", "csv"]
ANCHOR = ".anchor.json"
COLUMNS = (*Entry.__struct_fields__, "previous", "hash", "record")
_FORMULA = ("=", "+", "-", "@")


class Line(msgspec.Struct, frozen=True):
    """A line of the trail: its entry, its hash and the hash it hangs on, its body; ``sound`` when they fit."""

    entry: Entry
    previous: bytes
    hash: bytes
    body: bytes
    sound: bool


def lines_of(chain: Path, progress: Callable[[int], None]) -> Iterator[Line]:
    """Yield a chain's records in order, also those whose hash does not fit; what is no record is left out."""
    previous = GENESIS
    decoder = msgspec.json.Decoder(Entry)
    for path in segments(chain):
        with path.open("rb") as file:
            for raw in raw_lines(file):
                progress(len(raw))
                digest, body = raw[:64], raw[65:-1]
                sound = link(previous, body) == digest and raw[64:65] == b" " and raw.endswith(b"\n")
                try:
                    entry = decoder.decode(body)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    continue
                yield Line(entry, previous, digest, body, sound)
                previous = digest


def selected(folder: Path, query: Query, progress: Callable[[int], None] = lambda taken: None) -> Iterator[Line]:
    """Yield the records that fit, oldest first along all chains; ``progress`` is told bytes read."""

    def fits(line: Line) -> bool:
        entry = line.entry
        if query.since is not None or query.until is not None:
            at = micros(entry.at)
            if (query.since is not None and at < query.since) or (query.until is not None and at >= query.until):
                return False
        return (
            query.subject in (None, *entry.subjects)
            and query.who in (None, entry.who)
            and query.action in (None, entry.action)
            and query.decision in (None, entry.decision)
        )

    def chosen(name: str) -> Iterator[Line]:
        return filter(fits, lines_of(folder / name, progress))

    return heapq.merge(*map(chosen, chains(folder)), key=lambda line: line.entry.at)


def row(line: Line) -> list[str]:
    """Return a line's cells for CSV: each on one line, and none that a spreadsheet takes for a formula.

    The last one, ``record``, has the record exactly.
    """
    entry = line.entry
    cells = [
        *(str(entry.seq), entry.at, entry.chain, entry.who, entry.action, entry.what, entry.decision, entry.purpose),
        " ".join(entry.subjects),
        *(entry.where, entry.request),
        msgspec.json.encode(entry.detail).decode() if entry.detail else "",
        *(line.previous.decode(errors="replace"), line.hash.decode(errors="replace"), line.body.decode()),
    ]
    plain = ("".join(c if c.isprintable() else " " for c in cell) for cell in cells[:-1])
    return [*(f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in plain), cells[-1]]


def rendered(lines: Iterator[Line], format: Format) -> Iterator[bytes]:
    """Yield the file's pieces: each line of JSON lines, the heading and each row of CSV."""
    if format == "jsonl":
        for line in lines:
            yield b'{"previous":"%s","hash":"%s","record":%s}\n' % (line.previous, line.hash, line.body)
        return
    yield _csv(list(COLUMNS))
    for line in lines:
        yield _csv(row(line))


def _csv(cells: list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


def export(
    data: Path,
    keys: Path,
    query: Query,
    out: Path,
    format: Format = "jsonl",
    progress: Callable[[int], None] = lambda taken: None,
) -> tuple[int, int]:
    """Write the records that fit to ``out`` and an anchor to ``out`` + `ANCHOR`; neither may be there already.

    Returns how many records there are and how many of them have a hash that does not fit. Raises TrailError.
    """
    anchor = out.with_name(out.name + ANCHOR)
    if anchor.exists():
        raise TrailError(f"{anchor} is there already; choose another name")
    digest, records, changed = sha256(), 0, 0

    def counted() -> Iterator[Line]:
        nonlocal records, changed
        for line in selected(data / "audit", query, progress):
            records += 1
            changed += not line.sound
            yield line

    try:
        fd = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise TrailError(f"{out} is there already; choose another name") from None
    with os.fdopen(fd, "wb", buffering=2**20) as file:
        for piece in rendered(counted(), format):
            digest.update(piece)
            file.write(piece)
    only = {name: str(value) for name, value in msgspec.to_builtins(query).items() if value is not None}
    only.pop("limit", None)
    write_private(anchor, make_anchor(keys, Exported(digest.hexdigest(), records, format, only)).encode())
    return records, changed


def check_export(path: Path, key: Ed25519PublicKey) -> list[Finding]:
    """Return what is wrong with an export, by the anchor beside it and by each line's own hash.

    Raises TrailError where the anchor is missing, was changed, or is not of this trail.
    """
    stated = read_anchor(path.with_name(path.name + ANCHOR), key).export
    if stated is None:
        raise TrailError(f"{path}{ANCHOR} is an anchor of the trail, not of an export")
    findings: list[Finding] = []
    digest, number, byte = sha256(), 0, 0
    with path.open("rb") as file:
        for number, raw in enumerate(iter(lambda: file.readline(2**20), b""), 1):
            digest.update(raw)
            if len(findings) < 100 and not _unchanged(raw, number, stated.format):
                findings.append(Finding(path.name, number, byte, "changed: its hash does not fit its content"))
            byte += len(raw)
    records = number - (stated.format == "csv")
    if digest.hexdigest() != stated.sha256:
        what = f"not the file that was exported: {records} records are in it, {stated.records} were exported"
        findings.append(Finding(path.name, 0, 0, what))
    return findings


class _Exported(msgspec.Struct):
    previous: str
    hash: str
    record: msgspec.Raw


def _unchanged(raw: bytes, number: int, format: str) -> bool:
    """Return whether a line of an export is what `rendered` makes of the record that it carries."""
    if format == "csv" and number == 1:
        return raw == _csv(list(COLUMNS))
    try:
        if format == "jsonl":
            given = msgspec.json.decode(raw, type=_Exported)
            previous, hash, body = given.previous, given.hash, bytes(given.record)
        else:
            *_, previous, hash, body = next(csv.reader([raw.decode()]))
            body = body.encode()
        line = Line(msgspec.json.decode(body, type=Entry), previous.encode(), hash.encode(), body, True)
    except (msgspec.DecodeError, ValueError, csv.Error, StopIteration):
        return False
    made = [*rendered(iter((line,)), "jsonl" if format == "jsonl" else "csv")][-1]
    return made == raw and link(line.previous, body) == line.hash
