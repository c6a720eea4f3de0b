"""A demo city's cameras: a small street, drawn by this module into files that are played as cameras.

Nothing is footage of anybody: cars are boxes that keep to their lane, people are an ellipse on a trapezium.
"""

# pyright: basic
# (cv2 has no types)

import asyncio
from fractions import Fraction
from pathlib import Path

import cv2
import msgspec
import numpy as np
import structlog

from hanmaru.centre.cctv.register import Register, nearest
from hanmaru.centre.cctv.sealed import Secrets
from hanmaru.centre.cctv.shapes import Line, Source
from hanmaru.centre.cctv.sources import FOLDER
from hanmaru.centre.demo import site
from hanmaru.hub.client import HubClient
from hanmaru.platform.services import Context

log = structlog.get_logger()

WIDTH, HEIGHT, FPS, SECONDS = 640, 360, 10, 24
SCENES = 4
CAMERAS = 8
"""How many of a demo city's cameras have pictures."""
RECORDED = 4


def demo_cameras(data_dir: Path, n: int = SCENES) -> list[str]:
    """Draw ``n`` scenes into the room's folder of videos, where they are missing; return their names. Blocks."""
    folder = data_dir / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    names: list[str] = []
    for scene in range(n):
        path = folder / f"street-{scene + 1}.mp4"
        if not path.exists():
            draft = path.with_suffix(".new")
            draw(draft, scene)
            draft.replace(path)
        names.append(path.name)
    return names


def draw(path: Path, scene: int, seconds: int = SECONDS, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    """Draw one scene into a file, H.264 in MP4, that ends as it began."""
    import av

    width, height = size
    with av.open(str(path), "w", format="mp4") as out:
        options = {"preset": "veryfast", "g": str(FPS * 2), "threads": "1", "bf": "0"}
        stream = out.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        street = _street(scene)
        random = np.random.default_rng(1000 + scene)
        cars = [(random.random(), random.integers(1, 4), bool(random.integers(2)), _colour(random)) for _ in range(4)]
        people = [(random.random(), random.integers(1, 3), random.random(), _colour(random)) for _ in range(4)]
        for k in range(seconds * FPS):
            share = k / (seconds * FPS)
            picture = street.copy()
            for offset, laps, right, colour in cars:
                _car(picture, (offset + share * laps) % 1, right, colour)
            for offset, laps, depth, colour in people:
                _person(picture, (offset + share * laps) % 1, depth, colour, k)
            if (width, height) != (WIDTH, HEIGHT):
                picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = k, Fraction(1, FPS)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def _colour(random: np.random.Generator) -> tuple[int, int, int]:
    b, g, r = (int(v) for v in random.integers(40, 220, 3))
    return b, g, r


def _street(scene: int) -> np.ndarray:
    """Return the still part: sky, houses, pavement, road."""
    random = np.random.default_rng(scene)
    picture = np.full((HEIGHT, WIDTH, 3), (214, 190, 160), np.uint8)
    x = 0
    while x < WIDTH:
        w, h = int(random.integers(60, 130)), int(random.integers(60, 130))
        shade = int(random.integers(120, 190))
        cv2.rectangle(picture, (x, 150 - h), (x + w, 160), (shade, shade, shade + 15), -1)
        for wx in range(x + 10, x + w - 12, 22):
            for wy in range(158 - h, 140, 26):
                cv2.rectangle(picture, (wx, wy), (wx + 11, wy + 14), (90, 80, 60), -1)
        x += w
    cv2.rectangle(picture, (0, 160), (WIDTH, 215), (168, 170, 172), -1)
    cv2.rectangle(picture, (0, 215), (WIDTH, 320), (82, 80, 78), -1)
    for x in range(-20 + 13 * scene, WIDTH, 80):
        cv2.rectangle(picture, (x, 265), (x + 40, 269), (225, 225, 225), -1)
    cv2.rectangle(picture, (0, 320), (WIDTH, HEIGHT), (160, 164, 166), -1)
    noise = random.normal(0, 3, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def _car(picture: np.ndarray, share: float, right: bool, colour: tuple[int, int, int]) -> None:
    x = int(share * (WIDTH + 200)) - 100
    x, y = (x, 300) if right else (WIDTH - x, 252)
    cv2.rectangle(picture, (x - 46, y - 24), (x + 46, y), colour, -1)
    roof = np.array([[x - 30, y - 24], [x - 20, y - 42], [x + 22, y - 42], [x + 34, y - 24]])
    cv2.fillPoly(picture, [roof], colour)
    cv2.fillPoly(picture, [(roof * 0.82 + np.array([x, y - 33]) * 0.18).astype(int)], (190, 170, 140))
    for wheel in (x - 28, x + 28):
        cv2.circle(picture, (wheel, y), 9, (25, 25, 25), -1)
        cv2.circle(picture, (wheel, y), 4, (150, 150, 150), -1)
    cv2.circle(picture, (x + (44 if right else -44), y - 15), 3, (180, 240, 255), -1)


def _person(picture: np.ndarray, share: float, depth: float, colour: tuple[int, int, int], k: int) -> None:
    near = depth > 0.5
    y, tall = (350, 92) if near else (int(185 + 25 * depth), 56)
    x = int(share * (WIDTH + 80)) - 40
    x = x if int(depth * 100) % 2 else WIDTH - x
    step = int(np.sin(k * 0.9) * tall * 0.13)
    hip, neck = y - int(tall * 0.47), y - int(tall * 0.83)
    wide = int(tall * 0.13)
    for foot in (x - step, x + step):
        cv2.line(picture, (x, hip), (foot, y), (60, 50, 45), max(3, tall // 12), cv2.LINE_AA)
    body = np.array([[x - wide, neck], [x + wide, neck], [x + wide - 2, hip + 2], [x - wide + 2, hip + 2]])
    cv2.fillPoly(picture, [body], colour, cv2.LINE_AA)
    cv2.line(picture, (x - wide, neck + 3), (x - wide - step // 2, hip), colour, max(2, tall // 18), cv2.LINE_AA)
    cv2.line(picture, (x + wide, neck + 3), (x + wide + step // 2, hip), colour, max(2, tall // 18), cv2.LINE_AA)
    head = (x, neck - int(tall * 0.09))
    cv2.ellipse(picture, head, (int(tall * 0.065), int(tall * 0.09)), 0, 0, 360, (150, 180, 220), -1, cv2.LINE_AA)
    cv2.ellipse(picture, head, (int(tall * 0.068), int(tall * 0.09)), 0, 180, 360, (30, 30, 35), -1, cv2.LINE_AA)


async def prepare(ctx: Context[HubClient], register: Register, n: int = CAMERAS) -> None:
    """Give the cameras nearest to the demo's building site pictures, unless some camera has a source."""
    cameras = await asyncio.to_thread(register.cameras)
    if not cameras or any(settings.source for _, settings in cameras.values()):
        return
    names = await asyncio.to_thread(demo_cameras, ctx.data_dir)
    secrets = Secrets(ctx.trust.vault, register, ctx.data_dir)
    for number, (id, _, _) in enumerate(nearest(cameras, site(ctx.city), n)):
        entity, settings = cameras[id]
        await secrets.put_address(id, names[number % len(names)])
        line = Line("road", "차도 Road", (0.5, 0.55), (0.5, 0.95))
        told = msgspec.structs.replace(
            settings,
            source=Source("file"),
            record=number < RECORDED,
            retention_days=1,
            lines=(line,),
            direction_deg=settings.direction_deg or float(number * 45 % 360),
            fov_deg=min(settings.fov_deg, 90.0),
        )
        await asyncio.to_thread(register.put, id, told, entity)
    log.info("demo cameras are ready", cameras=min(n, len(cameras)))
