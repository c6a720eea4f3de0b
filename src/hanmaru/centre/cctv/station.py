"""One camera in the camera process: a thread that keeps its source open, takes its newest picture and records."""

# pyright: basic
# (PyAV's frames have partial types)

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from hanmaru.centre.cctv.analysis import HEIGHT, MOST_WIDTH, Analyser, Look
from hanmaru.centre.cctv.recorder import Recorder
from hanmaru.centre.cctv.register import stamp
from hanmaru.centre.cctv.shapes import Live, Settings, Source, State
from hanmaru.centre.cctv.sources import Opened
from hanmaru.centre.domain import CentreError
from hanmaru.platform.egress import Egress

log = structlog.get_logger()

AGAIN_S = (0.3, 0.6, 1.0, 2.0)
"""How long it waits before each next try to open a lost source; the last one from then on."""
KO = "영상이 들어오지 않습니다."


@dataclass(slots=True)
class Shot:
    """A picture that was looked at: ``clear`` as it came, ``shown`` fit for everybody, JPEG by (height, clear)."""

    camera: str
    seq: int
    at_s: float
    clear: Any
    look: Look
    jpegs: dict[tuple[int, bool], bytes] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def jpeg(self, height: int, clear: bool) -> bytes:
        """Return it as JPEG, encoded once for everybody; blocks for about a millisecond."""
        import cv2

        with self.lock:
            if (height, clear) not in self.jpegs:
                picture = self.clear if clear else self.look.shown
                if height != picture.shape[0]:
                    width = round(picture.shape[1] * height / picture.shape[0])
                    picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
                self.jpegs[height, clear] = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 75])[1].tobytes()
            return self.jpegs[height, clear]

    def header(self, height: int, clear: bool) -> Mapping[str, Any]:
        """Return its header as the stream has it."""
        tall, wide = self.clear.shape[:2]
        tracks = [
            {"id": track.id, "kind": track.kind, "box": [round(v, 4) for v in track.box]} for track in self.look.tracks
        ]
        return {
            "camera": self.camera,
            "at": stamp(self.at_s),
            "seq": self.seq,
            "width": round(wide * height / tall),
            "height": height,
            "state": "live",
            "veil": "none" if clear else self.look.veil,
            "tracks": tracks,
        }


class Station:
    """A camera's thread. What others read of it is replaced as a whole, never changed."""

    def __init__(
        self,
        id: str,
        settings: Settings,
        address: str,
        folder: Path,
        egress: Egress,
        recorder: Recorder | None,
        changed: Callable[[str], None],
    ) -> None:
        """Name the camera; ``changed`` is called, from the thread, when its state does."""
        self.id, self.settings, self.address = id, settings, address
        self._source = Source(settings.source.kind if settings.source else "file", address)
        self._folder, self._egress, self._recorder, self._changed = folder, egress, recorder, changed
        self.live = Live("lost", stamp(time.time()))
        self.viewers = 0
        self.analyser: Analyser | None = None
        self.shot: Shot | None = None
        self.looked_s = self.due_s = 0.0
        """When it was last looked at, and from when it may be again; the looking thread's."""
        self._newest: tuple[int, float, Any] | None = None
        self._seq = 0
        self._arrivals: deque[float] = deque(maxlen=50)
        self._stop = threading.Event()
        self._opened: Opened | None = None
        self._thread = threading.Thread(target=self._run, name=f"camera {id}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; what was recorded is on disk when the thread has ended."""
        self._stop.set()

    def join(self, timeout_s: float) -> None:
        """Wait until the thread has ended."""
        self._thread.join(timeout_s)

    @property
    def wanted(self) -> bool:
        """Whether anybody needs its pictures."""
        return self.settings.analyse or self.viewers > 0

    def take(self) -> tuple[int, float, Any] | None:
        """Return the newest picture that was not taken yet: its number, when it came, and the frame."""
        newest, self._newest = self._newest, None
        return newest

    @property
    def waiting(self) -> bool:
        """Whether there is a picture that was not taken."""
        return self._newest is not None

    def _run(self) -> None:
        tries = 0
        while not self._stop.is_set():
            try:
                self._opened = opened = Opened(self._source, self._folder, self._egress)
                try:
                    for packet, at_s in opened.packets():
                        if self._stop.is_set():
                            break
                        self._take(packet, at_s, opened)
                        tries = 0
                    else:
                        raise CentreError("the camera ended its stream")
                finally:
                    opened.close()
                    if self._recorder is not None:
                        self._recorder.finish()
            except CentreError as error:
                self._lose({"en": f"{error}.", "ko": KO})
            except Exception:
                log.exception("a camera's source failed", camera=self.id)
                self._lose({"en": "the source cannot be read.", "ko": KO})
            if not self._stop.wait(AGAIN_S[min(tries, len(AGAIN_S) - 1)]):
                tries += 1

    def _take(self, packet: Any, at_s: float, opened: Opened) -> None:
        from av.error import InvalidDataError

        if self._recorder is not None:
            self._recorder.add(packet, at_s)
        self._arrivals.append(at_s)
        context = opened.stream.codec_context
        if self.live.state != "live" or (context.width, context.height) != (self.live.width, self.live.height):
            self._tell(Live("live", stamp(at_s), 0.0, context.width, context.height))
        if not self.wanted:
            opened.skipped = True
            return
        if opened.skipped and not packet.is_keyframe:
            return
        opened.skipped = False
        try:
            for frame in packet.decode():
                self._seq += 1
                self._newest = self._seq, at_s, frame
        except InvalidDataError:
            return  # a damaged packet; the next key picture is whole again
        if self._newest is not None:
            self._changed("")

    def rate(self) -> float:
        """Return how many pictures a second arrive."""
        arrivals = list(self._arrivals)
        span = arrivals[-1] - arrivals[0] if len(arrivals) > 1 else 0.0
        return round((len(arrivals) - 1) / span, 1) if span > 0 and time.time() - arrivals[-1] < 5 else 0.0

    def _lose(self, notice: Mapping[str, str]) -> None:
        self._newest = self.shot = None
        if self.live.state != "lost" or self.live.notice != notice:
            since = self.live.since if self.live.state == "lost" else stamp(time.time())
            self._tell(Live("lost", since, 0.0, self.live.width, self.live.height, notice))

    def _tell(self, live: Live) -> None:
        state: State = live.state
        log.info("camera", camera=self.id, state=state, reason=(live.notice or {}).get("en", ""))
        self.live = live
        self._changed(self.id)


def picture_of(frame: Any) -> Any:
    """Return a frame as a picture of `HEIGHT` lines in the frame's proportions."""
    width = min(MOST_WIDTH, max(32, round(frame.width * HEIGHT / frame.height) // 4 * 4))
    return frame.reformat(width=width, height=HEIGHT, format="bgr24").to_ndarray()
