"""What is in a picture: persons and vehicles (FastestDet), faces (CenterFace), motion. One thread each.

Pictures are arrays of shape (height, width, 3), uint8, blue-green-red; boxes (n, 4), float32, x1, y1, x2, y2 in pixels.
"""

# pyright: basic
# (cv2 and onnxruntime have no types)

import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Boxes = NDArray[np.float32]

SIDE = 352
"""FastestDet's input, pixels."""
LEAST_SCORE = 0.3
OVERLAP = 0.45
"""Of two boxes of a kind that overlap by more (IoU), the weaker goes; as FastestDet's own example has it."""
PERSON, VEHICLE = 0, 1
KINDS = ("person", "vehicle")
_COCO = {0: PERSON, 1: VEHICLE, 2: VEHICLE, 3: VEHICLE, 5: VEHICLE, 7: VEHICLE}
"""COCO's person; bicycle, car, motorcycle, bus, truck."""

FACE_SIZE = (320, 192)
"""CenterFace's input here, width and height in multiples of 32: 11 ms where 640x352 takes 38."""
FACE_SCORE = 0.25
"""Lower than the usual 0.5: a patch blurred for nothing does no harm, a face left does."""

cv2.setNumThreads(1)


class Detector:
    """Persons and vehicles."""

    def __init__(self, path: Path) -> None:
        """Load the network; raises onnxruntime's errors for a file that is none."""
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._classes = np.array(list(_COCO)) + 5
        self._kinds = np.array(list(_COCO.values()))

    def find(self, picture: Picture) -> tuple[Boxes, NDArray[np.float32], NDArray[np.int64]]:
        """Return boxes, scores (0..1) and kinds (`PERSON`, `VEHICLE`).

        A cell's score is objectness^0.6 times class^0.4, its box by tanh and sigmoid, as the network was trained
        (FastestDet, 2022).
        """
        height, width = picture.shape[:2]
        small = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
        blob = np.ascontiguousarray(small.transpose(2, 0, 1)[None], dtype=np.float32) / 255
        out: Any = self._session.run(None, {self._input: blob})[0]  # (1, 85, rows, columns)
        out = out[0]
        chances = out[self._classes]
        scores = out[0] ** 0.6 * chances.max(axis=0) ** 0.4
        # What another class (a chair, a dog) claims more strongly is neither person nor vehicle.
        ours = chances.max(axis=0) >= out[5:].max(axis=0)
        row, column = np.nonzero((scores > LEAST_SCORE) & ours)
        if not len(row):
            return np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int64)
        cells = out[:, row, column]
        rows, columns = out.shape[1:]
        x = (column + np.tanh(cells[1])) / columns * width
        y = (row + np.tanh(cells[2])) / rows * height
        w, h = _sigmoid(cells[3]) * width, _sigmoid(cells[4]) * height
        boxes = np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], axis=1).astype(np.float32)
        kinds = self._kinds[chances[:, row, column].argmax(axis=0)]
        score = scores[row, column].astype(np.float32)
        kept = cv2.dnn.NMSBoxesBatched(_corner_and_size(boxes), score.tolist(), kinds.tolist(), LEAST_SCORE, OVERLAP)
        kept = np.asarray(kept, np.int64).ravel()
        limit = np.array([width, height, width, height], np.float32)
        return np.clip(boxes[kept], 0, limit), score[kept], kinds[kept]


class Faces:
    """Faces."""

    def __init__(self, path: Path) -> None:
        """Load the network; raises cv2.error for a file that is none."""
        self._net = cv2.dnn.readNetFromONNX(str(path))
        self._lock = threading.Lock()  # a network is for one thread at a time; clips are blurred beside the stream
        self._outputs = ["537", "538", "539", "540"]

    def find(self, picture: Picture) -> Boxes:
        """Return boxes of faces: heat map, size and offset at a quarter of the input (Xu et al., 2019, section 3)."""
        height, width = picture.shape[:2]
        w, h = FACE_SIZE
        blob = cv2.dnn.blobFromImage(picture, 1.0, (w, h), (0, 0, 0), swapRB=True, crop=False)
        with self._lock:
            self._net.setInput(blob)
            heat, size, offset, _ = (out[0].copy() for out in self._net.forward(self._outputs))
        row, column = np.nonzero(heat[0] > FACE_SCORE)
        if not len(row):
            return np.empty((0, 4), np.float32)
        tall, wide = np.exp(size[0, row, column]) * 4, np.exp(size[1, row, column]) * 4
        y = (row + offset[0, row, column] + 0.5) * 4
        x = (column + offset[1, row, column] + 0.5) * 4
        scale = np.array([width / w, height / h, width / w, height / h], np.float32)
        boxes = np.stack([x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2], axis=1) * scale
        boxes = boxes.astype(np.float32)
        kept = cv2.dnn.NMSBoxes(_corner_and_size(boxes), heat[0, row, column].tolist(), FACE_SCORE, 0.3)
        return boxes[np.asarray(kept, np.int64).ravel()]


class Motion:
    """Where something moves: what differs from a slow mean of the pictures, at a quarter of the size."""

    RATE, STEP, LEAST = 0.05, 18, 0.0008
    """The mean's weight of the newest; grey levels that are a difference; the share of the picture that is motion."""

    def __init__(self) -> None:
        """Begin with the first picture as what is still."""
        self._mean: NDArray[np.float32] | None = None

    def find(self, picture: Picture) -> NDArray[np.uint8]:
        """Return a mask (height/4, width/4), 255 where something moves."""
        height, width = picture.shape[:2]
        grey = cv2.cvtColor(cv2.resize(picture, (width // 4, height // 4), interpolation=cv2.INTER_AREA), 6)
        grey = cv2.GaussianBlur(grey, (5, 5), 0)
        if self._mean is None or self._mean.shape != grey.shape:
            self._mean = grey.astype(np.float32)
            return np.full(grey.shape, 255, np.uint8)
        mask = cv2.threshold(cv2.absdiff(grey, cv2.convertScaleAbs(self._mean)), self.STEP, 255, 0)[1]
        cv2.accumulateWeighted(grey, self._mean, self.RATE)
        return cv2.dilate(mask, np.ones((5, 5), np.uint8)).astype(np.uint8, copy=False)

    @classmethod
    def any(cls, mask: NDArray[np.uint8]) -> bool:
        """Return whether a mask is more than noise."""
        return cv2.countNonZero(mask) > cls.LEAST * mask.size


def _corner_and_size(boxes: Boxes) -> list[list[float]]:
    return np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]]).tolist()


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))
