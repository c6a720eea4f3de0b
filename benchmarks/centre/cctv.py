"""Cameras: pictures analysed a second on one core, faces missed by the blur, latency of a wall of 16, loss and return.

``analysed``: both clips of the data folder at 640x360, each picture decoded, searched for motion, persons, vehicles and
faces, followed, veiled and encoded as JPEG, by one thread; pictures a second of processor time of the whole process
(``process_time``), so that other work on the machine does not count. ``as it runs`` skips the search in pictures where
nothing moves; ``every picture`` does not. ``faces``: what the same networks find in the full picture at 768x448 with a
score of 0.5 is taken as the truth; a face counts as missed where less than ``COVERED`` of it is veiled. It is a measure
against a stronger look, not against people who labelled faces. ``wall``: 16 file cameras of 640x360 at 10 pictures a
second, recorded four at a time, watched by one viewer at 180 lines: from a packet's arrival to the viewer's end of the
socket. ``loss``: an RTSP camera that hangs, and one that is cut off and comes back, as the viewer is told.
"""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import av
import numpy as np

from hanmaru.centre.cctv import demo, models, veil, vision, wire
from hanmaru.centre.cctv.analysis import Analyser, Networks
from hanmaru.centre.cctv.counting import Counting
from hanmaru.centre.cctv.shapes import Line
from hanmaru.centre.cctv.station import Shot
from tests.centre import test_cctv as town
from tests.centre.rtsp import Camera

DATA = Path(os.environ.get("HANMARU_TEST_DATA", "../shared/data"))
CLIPS = ("one-by-one-person-detection.mp4", "car-detection.mp4")
REFERENCE = (768, 448)
REFERENCE_SCORE = 0.5
COVERED = 0.6
LINE = Line("line", "line", (0.5, 0.0), (0.5, 1.0))


def pictures(name: str, most: int) -> Any:
    """Yield (seconds, picture of 640x360) of a clip, decoded by one thread."""
    with av.open(str(DATA / "cctv" / name)) as source:
        video = source.streams.video[0]
        video.codec_context.thread_count = 1
        for number, frame in enumerate(source.decode(video)):
            if number == most:
                return
            yield float(frame.time or 0), frame.reformat(width=640, height=360, format="bgr24").to_ndarray()


def analysed(networks: Networks, name: str, most: int, every: bool) -> dict[str, float]:
    """Return pictures a second of processor time."""
    counting = Counting([LINE], [])
    analyser = Analyser(networks, counting)
    count, moving, began = 0, 0, time.process_time()
    for at_s, picture in pictures(name, most):
        if every:
            analyser._last = None  # pyright: ignore[reportPrivateUsage] - so that no look is spared
        look = analyser.look(picture, at_s)
        Shot("x", count, at_s, picture, look).jpeg(360, False)
        count, moving = count + 1, moving + look.moving
    spent = time.process_time() - began
    crossed = sum(sum(values.values()) for values in counting.take().values())
    return {"pictures_per_core_s": round(count / spent, 1), "moving": round(moving / count, 2), "crossings": crossed}


def faces(networks: Networks, name: str, most: int) -> dict[str, float]:
    """Return how many faces of the reference are not veiled."""
    assert networks.faces is not None
    analyser, found, missed = Analyser(networks, None), 0, 0
    size, score = vision.FACE_SIZE, vision.FACE_SCORE
    for at_s, picture in pictures(name, most):
        boxes: list[Sequence[float]] = []
        original = veil.veil

        def note(image: Any, parts: Any, boxes: list[Sequence[float]] = boxes, original: Any = original) -> Any:
            boxes.extend(parts)
            return original(image, boxes)

        veil.veil = note
        try:
            analyser.look(picture, at_s)
        finally:
            veil.veil = original
        vision.FACE_SIZE, vision.FACE_SCORE = REFERENCE, REFERENCE_SCORE
        try:
            truth = networks.faces.find(picture)
        finally:
            vision.FACE_SIZE, vision.FACE_SCORE = size, score
        mask = np.zeros(picture.shape[:2], np.bool_)
        for x1, y1, x2, y2 in boxes:
            mask[max(0, int(y1)) : int(y2) + 1, max(0, int(x1)) : int(x2) + 1] = True
        for x1, y1, x2, y2 in truth:
            part = mask[max(0, int(y1)) : int(y2) + 1, max(0, int(x1)) : int(x2) + 1]
            found, missed = found + 1, missed + (part.size > 0 and part.mean() < COVERED)
    return {"faces": found, "missed": missed, "missed_share": round(missed / max(1, found), 4)}


async def live(folder: Path, seconds: float) -> dict[str, Any]:
    """Return latency and processor time of a wall of 16, and how soon loss is told and pictures return."""
    names = await asyncio.to_thread(demo.demo_cameras, folder / "centre")
    result: dict[str, Any] = {}
    async with town.open_hub(f"sqlite:///{folder / 'hub.db'}") as hub:
        with town.locks_of(folder / "locks") as locks:
            egress = town.Egress()
            site = town.Site(hub.client(town.Access(write=True)), folder / "centre", locks, egress)
            ids = [f"cam-{k:02}" for k in range(16)]
            for k, id in enumerate(ids):
                made = await site.register(id, "file", names[k % len(names)], record=k < 4)
                assert made.status == 201, made.body
            camera = Camera(folder / "centre" / "video" / names[0]).start()
            await site.register("rtsp", "rtsp", camera.address)
            try:
                async with site.working():
                    result["wall"] = await _wall(site, ids, seconds)
                    result["loss"] = await _loss(site, camera)
            finally:
                camera.stop()
    return result


async def _wall(site: Any, ids: list[str], seconds: float) -> dict[str, Any]:
    late: list[float] = []
    async with site.watching(wire.Watch(ids, 180, 10)) as stream:
        await town.first(stream, wire.PICTURE)
        end, spent = time.monotonic() + seconds, time.process_time()
        async for kind, header, _ in stream:
            if kind == wire.PICTURE:
                late.append(time.time() - datetime.fromisoformat(header["at"]).timestamp())
            if time.monotonic() > end:
                break
    p50, p99 = np.percentile(late, [50, 99])
    return {
        "pictures_per_camera_s": round(len(late) / len(ids) / seconds, 1),
        "latency_p50_ms": round(p50 * 1000),
        "latency_p99_ms": round(p99 * 1000),
        "cores": round((time.process_time() - spent) / seconds, 2),
    }


async def _loss(site: Any, camera: Camera) -> dict[str, float]:
    async with site.watching(wire.Watch(["rtsp"], 180, 10)) as stream:
        await town.first(stream, wire.PICTURE)
        began = time.monotonic()
        camera.freeze()
        await town.first(stream, wire.STATE, state="lost", within_s=20)
        hung = time.monotonic() - began
        camera.stop()
        await asyncio.sleep(2)
        camera.start()
        began = time.monotonic()
        await town.first(stream, wire.PICTURE, within_s=20)
        back = time.monotonic() - began
        began = time.monotonic()
        camera.stop()
        await town.first(stream, wire.STATE, state="lost", within_s=20)
        return {
            "hung_shown_s": round(hung, 2),
            "cut_shown_s": round(time.monotonic() - began, 2),
            "back_after_s": round(back, 2),
        }


def run(quick: bool) -> dict[str, Any]:
    """Measure."""
    os.environ.setdefault("HANMARU_TEST_DATA", str(DATA))  # where the camera process finds the detector
    networks = models.load(DATA / "models" / models.NAME)
    most = 150 if quick else 400
    folder = Path(tempfile.mkdtemp())
    try:
        return {
            "analysed": {
                name: {
                    "as it runs": analysed(networks, name, most, False),
                    "every picture": analysed(networks, name, most, True),
                }
                for name in CLIPS
            },
            "faces": faces(networks, CLIPS[0], most),
            **asyncio.run(live(folder, 5 if quick else 15)),
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)
