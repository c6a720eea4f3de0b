"""Walking along a chain, each line checked against the one before: what verification and recovery share."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path

import msgspec

from hanmaru.platform.audit.lines import CHECKPOINT, GENESIS, RECOVERED, Entry, link, raw_lines
from hanmaru.platform.audit.seal import Head


class Finding(msgspec.Struct, frozen=True):
    """Something that is not as the writer left it: in which file, at which line (from 1) and byte (from 0).

    One that is not ``grave`` is a fact to know, such as a recovery after a power failure; it does not fail a
    verification.
    """

    file: str
    line: int
    byte: int
    what: str
    grave: bool = True

    def __str__(self) -> str:
        """Return one line for a person."""
        where = f"{self.file}: line {self.line}, byte {self.byte}" if self.line else self.file
        return f"{where}: {self.what}"


class Brief(msgspec.Struct, frozen=True):
    """The members of an entry that every line is checked for."""

    seq: int
    at: str
    chain: str
    action: str


class Damage:
    """A run of lines that do not fit the line before, until one does; what it says is held as a hash, not in memory."""

    def __init__(self, file: str, line: int, byte: int) -> None:
        """Begin it at a line (from 1) and byte (from 0) of a file."""
        self.file, self.line, self.byte, self.lines, self.bytes = file, line, byte, 0, 0
        self.digest = sha256()
        self.next: tuple[bytes, ...] = ()
        self.seq = 0
        self.ended = True

    def add(self, raw: bytes, previous: tuple[bytes, ...]) -> None:
        """Add a line, as far as there is one; ``previous`` are the hashes that the line before it may have had."""
        self.lines += 1
        self.bytes += len(raw)
        self.digest.update(raw)
        self.ended = raw.endswith(b"\n")
        body = raw[65:-1]
        # What follows may hang on the hash that is written here, or on the one that should be.
        self.next = (raw[:64], *(link(each, body) for each in previous[:2]))
        try:
            self.seq = msgspec.json.decode(body, type=Brief).seq
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.seq = 0


class Walker:
    """One chain's reader: give it the segments in order, then `finish` it.

    ``seq``, ``hash`` and ``at`` are those of the last sound line. ``report`` is told of findings. ``expected`` are
    heads that the chain must contain, by where they are stated; ``signed`` tells whether a checkpoint's signature of a
    head is genuine.
    """

    def __init__(
        self,
        chain: str,
        report: Callable[[Finding], None],
        *,
        expected: Mapping[str, Head] | None = None,
        signed: Callable[[Head, str], bool] | None = None,
    ) -> None:
        """Stand before the chain's first line."""
        self.chain, self._report, self._signed = chain, report, signed
        self.seq, self.hash, self.at = 0, GENESIS, ""
        self.damage: Damage | None = None
        self.unended: Finding | None = None
        self._file, self._line, self._byte = "", 0, 0
        self._due: dict[int, list[tuple[str, Head]]] = {}
        for source, head in (expected or {}).items():
            self._due.setdefault(head.seq, []).append((source, head))

    def follow(self, seq: int, hash: bytes) -> None:
        """Begin after a line with this number and hash instead of before the first."""
        self.seq, self.hash = seq, hash

    def walk(self, path: Path, lines: Iterable[bytes] | None = None) -> Iterator[int]:
        """Go along a segment, or the ``lines`` given of it; yields after each line how many bytes it took."""
        self._file, self._line, self._byte = f"{path.parent.name}/{path.name}", 0, 0
        if lines is not None:
            yield from self._each(lines)
            return
        with path.open("rb") as file:
            yield from self._each(raw_lines(file))

    def _each(self, lines: Iterable[bytes]) -> Iterator[int]:
        for raw in lines:
            self._line += 1
            self._one(raw)
            self._byte += len(raw)
            yield len(raw)

    def _one(self, raw: bytes) -> None:
        digest, body = raw[:64], raw[65:-1]
        whole = raw[64:65] == b" " and raw[-1:] == b"\n"
        if whole and sha256(self.hash + body).hexdigest().encode() == digest:
            return self._accept(digest, body)
        if raw[-1:] != b"\n" and raw[64:65] == b" " and link(self.hash, raw[65:]) == digest:
            # Everything but the line's end: the record is whole.
            self._accept(digest, raw[65:])
            self.unended = Finding(self._file, self._line, self._byte, "this line lacks its end")
            return None
        damage = self.damage
        if damage and whole and any(link(previous, body) == digest for previous in damage.next):
            missing = damage.seq - self.seq - 1
            self._tell_damage(
                f"{_records(self.seq + 1, damage.seq - 1)} missing before this line"
                if missing > 0 and damage.lines == 1
                else "changed: its hash does not fit its content and the line before"
            )
            self.seq, self.damage = damage.seq or self.seq + 1, None
            return self._accept(digest, body)
        if damage is None:
            damage = self.damage = Damage(self._file, self._line, self._byte)
            damage.add(raw, (self.hash,))
        else:
            damage.add(raw, damage.next)
        return None

    def _accept(self, digest: bytes, body: bytes) -> None:
        try:
            brief = msgspec.json.decode(body, type=Brief)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.hash, self.seq = digest, self.seq + 1
            return self._tell("not a record, though its hash fits: written by somebody else")
        if brief.action == RECOVERED:
            self._recovered(body)
        elif self.damage or self.unended:
            self._tell_rest()
        if brief.seq != self.seq + 1 or brief.chain != self.chain:
            self._tell(
                f"says that it is record {brief.seq} of chain {brief.chain!r}, but record {self.seq + 1} is due here"
            )
        if brief.at < self.at:
            self._tell(f"the clock was set back, from {self.at} to {brief.at}", grave=False)
        if brief.action == CHECKPOINT and self._signed:
            self._checkpoint(body)
        self.hash, self.seq, self.at = digest, brief.seq, brief.at
        if self._due and (due := self._due.pop(self.seq, None)):
            for source, head in due:
                if head.hash.encode() != digest:
                    self._tell(f"not the record {head.seq} that {source} states, signed at {head.at}")
        return None

    def _recovered(self, body: bytes) -> None:
        """Hold what a ``recovered`` record says against the damage before it."""
        detail = msgspec.json.decode(body, type=Entry).detail
        damage = self.damage
        stated = (detail.get("bytes", "0"), detail.get("sha256", ""))
        if damage and stated == (str(damage.bytes), damage.digest.hexdigest()):
            self._tell_damage("unfinished when the writer stopped; closed when it started again", grave=False)
        elif damage:
            self._tell_rest()
        self.damage = self.unended = None
        if "sealed" in detail:
            sealed = f"the record {detail['sealed']} that was sealed before" if detail["sealed"] else "the sealed head"
            self._tell(f"when the writer started again, {sealed} was not found")

    def _checkpoint(self, body: bytes) -> None:
        entry = msgspec.json.decode(body, type=Entry)
        head = Head(self.chain, self.seq, self.hash.decode(), entry.at)
        if not self._signed or not self._signed(head, entry.detail.get("signature", "")):
            self._tell("a checkpoint that the trail's key did not sign")

    def finish(self) -> None:
        """Report what is wrong at the chain's end."""
        self._tell_rest()
        for source, head in (each for due in self._due.values() for each in due):
            if head.seq > self.seq:
                lost = _records(self.seq + 1, head.seq)
                self._tell(f"the chain ends too early: {lost} missing that {source} states, signed at {head.at}")

    def _tell_rest(self) -> None:
        if self.damage:
            self._tell_damage("not a sound line" if self.damage.ended else "an unfinished line")
        elif self.unended:
            self._report(self.unended)
        self.damage = self.unended = None

    def _tell_damage(self, what: str, *, grave: bool = True) -> None:
        assert self.damage
        damage = self.damage
        if damage.lines > 1:
            what = f"this and the {damage.lines - 1} lines after it: {what}"
        self._report(Finding(damage.file, damage.line, damage.byte, f"{what} ({damage.bytes} bytes)", grave))

    def _tell(self, what: str, *, grave: bool = True) -> None:
        self._report(Finding(self._file, self._line, self._byte, what, grave))


def _records(first: int, last: int) -> str:
    return f"record {first} is" if first == last else f"records {first} to {last} are"
