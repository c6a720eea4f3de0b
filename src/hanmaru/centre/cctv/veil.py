"""Faces made unknowable: which parts of a picture, and how. What cannot be looked at is made coarse as a whole.

A veiled part is averaged to `CELLS` blocks across and then softened: a head of 40 pixels keeps 5x5 mean colours, below
the about 8x8 at which people (Harmon, 1973) and networks (McPherson, Shokri, Shmatikov, 2016) still tell faces apart.
"""

# pyright: basic
# (cv2 has no types)

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from hanmaru.centre.cctv.vision import Boxes, Picture

CELLS = 5
COARSE = 24
"""Blocks across a picture that is veiled as a whole."""
HEAD_HEIGHT, HEAD_MARGIN = 0.3, 0.15
"""A standing person's head is an eighth of the height; bent, near or cut off at the frame's edge it takes more."""
FACE_MARGIN = 0.35
HOLD_S = 1.0
"""How long a part stays veiled after its face or head was last found, growing meanwhile."""
GROW_PER_S = 0.3
AGAIN = 0.3


def heads(persons: Boxes) -> Boxes:
    """Return where persons' heads are: the top of their boxes, with a margin."""
    if not len(persons):
        return persons
    w, h = persons[:, 2] - persons[:, 0], persons[:, 3] - persons[:, 1]
    tall = np.where(w > 0.7 * h, 0.5, HEAD_HEIGHT) * h  # whoever is near is cut off below: the head takes more
    out = persons.copy()
    out[:, 0] -= HEAD_MARGIN * w
    out[:, 2] += HEAD_MARGIN * w
    out[:, 1] -= HEAD_MARGIN * h / 2
    out[:, 3] = persons[:, 1] + tall
    return out


def widened(boxes: Boxes, share: float) -> Boxes:
    """Return boxes that are larger by a share of their size on each side."""
    if not len(boxes):
        return boxes
    margin = (boxes[:, 2:] - boxes[:, :2]) * share
    return np.hstack([boxes[:, :2] - margin, boxes[:, 2:] + margin]).astype(np.float32)


class Held:
    """The parts that are veiled: what is found now, and what was found lately where nothing was found again."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._parts: list[tuple[float, Boxes]] = []

    def add(self, at: float, boxes: Boxes) -> Boxes:
        """Take what is found at an instant (seconds); return all that is veiled then."""
        lately = [(when, old) for when, old in self._parts if at - HOLD_S <= when <= at]
        self._parts = [(when, old[~_found_again(old, boxes)]) for when, old in lately]
        if len(boxes):
            self._parts.append((at, boxes))
        parts = [widened(old, GROW_PER_S * (at - when)) for when, old in self._parts]
        return np.concatenate(parts) if parts else np.empty((0, 4), np.float32)


def _found_again(old: Boxes, new: Boxes) -> NDArray[np.bool_]:
    """Return which of the old boxes overlap a new one by `AGAIN` (IoU)."""
    if not len(old) or not len(new):
        return np.zeros(len(old), np.bool_)
    both = np.minimum(old[:, None, 2:], new[None, :, 2:]) - np.maximum(old[:, None, :2], new[None, :, :2])
    shared = np.prod(np.clip(both, 0, None), axis=2)
    areas = np.prod(old[:, 2:] - old[:, :2], axis=1)[:, None] + np.prod(new[:, 2:] - new[:, :2], axis=1)[None]
    return (shared / np.maximum(areas - shared, 1e-6) > AGAIN).any(axis=1)


def veil(picture: Picture, boxes: Iterable[Iterable[float]]) -> Picture:
    """Return a copy with some parts veiled."""
    out = picture.copy()
    height, width = out.shape[:2]
    for x1, y1, x2, y2 in boxes:
        left, top = max(0, int(x1)), max(0, int(y1))
        right, bottom = min(width, int(x2) + 1), min(height, int(y2) + 1)
        if right - left < 2 or bottom - top < 2:
            continue
        out[top:bottom, left:right] = _coarse(picture[top:bottom, left:right], CELLS)
    return out


def coarse(picture: Picture) -> Picture:
    """Return a copy that is veiled as a whole."""
    return _coarse(picture, COARSE)


def _coarse(part: Picture, cells: int) -> Picture:
    height, width = part.shape[:2]
    across, down = min(cells, width), max(1, min(cells * height // max(width, 1), height, 2 * cells))
    small = cv2.resize(part, (across, down), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)
