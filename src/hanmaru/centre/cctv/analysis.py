"""One camera's pictures looked at: motion, persons and vehicles with their tracks, and what is veiled."""

# pyright: basic
# (trackers and supervision have no usable types)

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import structlog

from hanmaru.centre.cctv import veil
from hanmaru.centre.cctv.counting import Counting
from hanmaru.centre.cctv.vision import KINDS, PERSON, Boxes, Detector, Faces, Motion, Picture

log = structlog.get_logger()

STILL_LOOK_S = 1.0
"""How long a look holds for a picture in which nothing moves."""
HEIGHT = 360
"""Pictures are looked at and shown at this height, in pixels."""
MOST_WIDTH = 1280
ACTIVATE, SURE = 0.5, 0.45
"""Scores from which ByteTrack begins a track, and matches first (Zhang et al., 2022, arXiv:2110.06864)."""


@dataclass(frozen=True, slots=True)
class Track:
    """Somebody or something followed: number, kind, and box in shares of the frame."""

    id: int
    kind: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen in a picture; ``shown`` is fit to be shown: ``faces`` are blurred, or the ``whole`` is coarse."""

    shown: Picture
    veil: str
    tracks: Sequence[Track]
    moving: bool


@dataclass(frozen=True, slots=True)
class Networks:
    """The networks of a process, shared by its cameras; None for one whose file is missing or does not load."""

    detector: Detector | None
    faces: Faces | None


def tracker() -> Any:
    """Return a new tracker; its import is slow."""
    from trackers import ByteTrackTracker

    return ByteTrackTracker(
        lost_track_buffer=30,
        frame_rate=10.0,
        track_activation_threshold=ACTIVATE,
        high_conf_det_threshold=SURE,
        minimum_consecutive_frames=2,
    )


class Analyser:
    """Looks at one camera's pictures, in order. For one thread."""

    def __init__(self, networks: Networks, counting: Counting | None, new_tracker: Callable[[], Any] = tracker) -> None:
        """Begin; ``counting`` takes the tracks of a camera that is analysed."""
        self._networks, self.counting = networks, counting
        self._motion, self._held = Motion(), veil.Held()
        self._tracker = new_tracker() if networks.detector else None
        self._last: tuple[float, Boxes, Sequence[Track]] | None = None
        self._failing = False

    def look(self, picture: Picture, at_s: float) -> Look:
        """Look at a picture that came at an instant (Unix seconds).

        Whatever fails on the way, what is returned is fit to be shown: coarse as a whole in that case.
        """
        try:
            look = self._look(picture, at_s)
            self._failing = False
            return look
        except Exception:
            if not self._failing:
                log.exception("pictures cannot be looked at: they are shown coarse")
            self._failing = True
            return Look(veil.coarse(picture), "whole", (), True)

    def _look(self, picture: Picture, at_s: float) -> Look:
        faces, detector = self._networks.faces, self._networks.detector
        if faces is None:
            return Look(veil.coarse(picture), "whole", self._follow(picture, at_s)[1], True)
        mask = self._motion.find(picture)
        moving = Motion.any(mask)
        if not moving and self._last is not None and 0 <= at_s - self._last[0] < STILL_LOOK_S:
            _, boxes, tracks = self._last
            self._count(at_s, tracks)
            return Look(veil.veil(picture, boxes), "faces", tracks, False)
        persons, tracks = self._follow(picture, at_s)
        found = [veil.widened(faces.find(picture), veil.FACE_MARGIN), veil.heads(persons)]
        if detector is None and moving:
            found.append(_moving(mask))
        boxes = self._held.add(at_s, np.concatenate(found))
        self._last = at_s, boxes, tracks
        return Look(veil.veil(picture, boxes), "faces", tracks, moving)

    def _follow(self, picture: Picture, at_s: float) -> tuple[Boxes, Sequence[Track]]:
        """Return the boxes of all that may be persons, and the tracks."""
        detector = self._networks.detector
        if detector is None or self._tracker is None:
            return np.empty((0, 4), np.float32), ()
        import supervision as sv

        boxes, scores, kinds = detector.find(picture)
        found = sv.Detections(boxes, confidence=scores, class_id=kinds) if len(boxes) else sv.Detections.empty()
        followed: Any = self._tracker.update(found, timestamp=at_s)
        height, width = picture.shape[:2]
        tracks: list[Track] = []
        if followed.tracker_id is not None:
            for box, kind, id in zip(followed.xyxy, followed.class_id, followed.tracker_id, strict=True):
                if id >= 0:
                    x1, y1, x2, y2 = (float(v) for v in box)
                    shares = (x1 / width, y1 / height, x2 / width, y2 / height)
                    tracks.append(Track(int(id), KINDS[int(kind)], shares))
        self._count(at_s, tracks)
        return boxes[kinds == PERSON], tracks

    def _count(self, at_s: float, tracks: Sequence[Track]) -> None:
        if self.counting is not None:
            seen = ((t.id, t.kind, ((t.box[0] + t.box[2]) / 2, t.box[3])) for t in tracks)
            self.counting.add(at_s, seen)  # type: ignore[arg-type]


def _moving(mask: np.ndarray) -> Boxes:
    """Return boxes of what moves: without a detector of persons, all of that is veiled."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask)
    corners = [[x * 4, y * 4, (x + w) * 4, (y + h) * 4] for x, y, w, h, _ in stats[1:]]
    return np.array(corners, np.float32).reshape(-1, 4)
