"""Recordings: packets as they come, not encoded again, in segments of some seconds, each sealed as one file.

A segment is Matroska made in memory, sealed with AES-256-GCM under the key of its camera and day (UTC), bound to
camera and beginning. A process that is killed loses the segment that it was filling, at most `SEGMENT_S` and a group of
pictures. When a day's key is destroyed its segments are noise, also in copies of the disk.
"""

import io
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from hanmaru.centre.cctv.register import Register, Segment
from hanmaru.centre.domain import CentreError
from hanmaru.platform import disk
from hanmaru.platform.vault.crypto import Key, place

if TYPE_CHECKING:
    from av.packet import Packet

log = structlog.get_logger()

FOLDER = "recordings"
SEGMENT_S = 6.0
MOST_BYTES = 64 * 2**20
"""Largest segment; a stream without key pictures is cut there."""


def sealed_place(camera: str, file: str) -> str:
    """Return what a segment is authenticated together with."""
    return place("segment", camera, file)


def segment_path(folder: Path, segment: Segment) -> Path:
    """Return where a segment lies."""
    return folder / FOLDER / segment.camera / segment.day / segment.file


def read_segment(folder: Path, segment: Segment, key: Key) -> bytes:
    """Return a segment as Matroska; raises CentreError where it is not what was written."""
    try:
        sealed = segment_path(folder, segment).read_bytes()
    except FileNotFoundError:
        raise CentreError("a segment of the recording is missing") from None
    plain = key.open(sealed, sealed_place(segment.camera, segment.file))
    if plain is None:
        raise CentreError("a segment of the recording was changed since it was written")
    return plain


class Recorder:
    """Records one camera's stream. Blocks: it is its reader's thread's."""

    def __init__(self, camera: str, folder: Path, register: Register, key: Callable[[str, str], Key]) -> None:
        """Begin with nothing; ``key`` gives the key of a camera's day."""
        self._camera, self._folder, self._register, self._key = camera, folder, register, key
        self._out: Any = None
        self._file = io.BytesIO()
        self._stream: Any = None
        self._first = 0
        self._last_dts: int | None = None
        self._start = self._end = 0.0

    def add(self, packet: "Packet[Any]", at_s: float) -> None:
        """Take a packet that came at an instant (Unix seconds)."""
        if packet.dts is None or packet.pts is None:
            return
        back = self._last_dts is not None and packet.dts <= self._last_dts
        long = at_s - self._start >= SEGMENT_S and packet.is_keyframe
        if self._out is not None and (back or long or self._file.tell() > MOST_BYTES):
            self.finish()
        if self._out is None:
            if not packet.is_keyframe:
                return
            self._begin(packet, at_s)
        self._last_dts, self._end = packet.dts, at_s
        template, pts, dts = packet.stream, packet.pts, packet.dts
        packet.stream = self._stream
        packet.pts, packet.dts = pts - self._first, dts - self._first
        try:
            self._out.mux(packet)  # pyright: ignore[reportOptionalMemberAccess] - `_begin` made it
        finally:
            packet.stream, packet.pts, packet.dts = template, pts, dts

    def _begin(self, packet: "Packet[Any]", at_s: float) -> None:
        import av

        self._file = io.BytesIO()
        self._out = av.open(self._file, "w", format="matroska")
        self._stream = self._out.add_stream_from_template(packet.stream)
        self._first, self._start, self._last_dts = packet.dts or 0, at_s, None

    def finish(self) -> None:
        """Seal what was gathered; on return it is on disk and in the register."""
        if self._out is None:
            return
        self._out.close()
        self._out = None
        content = self._file.getvalue()
        self._file = io.BytesIO()
        if not content or self._end <= self._start:
            return
        day = datetime.fromtimestamp(self._start, UTC).strftime("%Y-%m-%d")
        file = f"{int(self._start * 1000)}.sealed"
        segment = Segment(self._camera, self._start, self._end, day, file, len(content))
        try:
            sealed = self._key(self._camera, day).seal(content, sealed_place(self._camera, file))
            disk.replace(segment_path(self._folder, segment), sealed)
            self._register.add_segment(segment)
        except Exception as error:  # the camera is still shown
            log.error("a segment could not be kept", camera=self._camera, error=type(error).__name__)
