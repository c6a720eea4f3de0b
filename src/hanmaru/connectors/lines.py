"""Lines of a byte stream with their offsets, decoded one by one, so that text is resumable and bad bytes harmless."""

import zlib
from collections import deque
from collections.abc import Sequence
from typing import BinaryIO, NamedTuple

LINE_LIMIT = 1 << 20
"""Bytes; a longer line is damaged and is not kept whole."""


class Line(NamedTuple):
    """A line's text, where it starts and ends, what is wrong with it, and whether it ended with a newline."""

    text: str
    start: int
    end: int
    fault: str | None
    terminated: bool


class Lines:
    """Iterates over the lines from the stream's present place; a line that cannot be decoded comes with its fault.

    Encodings must keep ASCII as it is (UTF-8, cp949, EUC-KR, Latin…), so that a newline byte is always a newline.
    """

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        """Read from ``stream``."""
        self._stream, self._encoding = stream, encoding
        self._offset = stream.tell()
        self._back: deque[Line] = deque()
        self.broken: str | None = None

    def __iter__(self) -> "Lines":
        """Return itself."""
        return self

    def __next__(self) -> Line:
        """Return the next line; StopIteration at the end, also after a read error (which `broken` then names)."""
        if self._back:
            return self._back.popleft()
        try:
            data = self._stream.readline(LINE_LIMIT)
            start, size, rest = self._offset, len(data), data
            while rest and not rest.endswith(b"\n") and len(rest) == LINE_LIMIT:
                rest = self._stream.readline(LINE_LIMIT)
                size += len(rest)
        except (OSError, EOFError, zlib.error) as error:
            self.broken = f"the file cannot be read further: {error}"
            raise StopIteration from None
        if not data:
            raise StopIteration
        self._offset = start + size
        terminated = rest.endswith(b"\n")
        if size > len(data):
            return Line(
                data[:200].decode(self._encoding, "replace"), start, self._offset, "line of over 1 MiB", terminated
            )
        fault = None
        try:
            text = data.decode(self._encoding)
        except UnicodeDecodeError as error:
            text = data.decode(self._encoding, "replace")
            fault = f"not valid {self._encoding} at byte {error.start} of the line"
        return Line(text, start, self._offset, fault, terminated)

    def push_back(self, lines: Sequence[Line]) -> None:
        """Give lines back, to be returned again in the same order."""
        self._back.extendleft(reversed(lines))
