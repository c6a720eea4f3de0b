"""Evidence clips: cut from the recording without encoding again, with a rendition in which faces are blurred.

A clip is wanted by a row of the register; the camera process cuts it, and cuts it again from the beginning when it was
killed meanwhile. Original and rendition lie in the room's vault as blobs of a subject of their own, which is what a
hand-over to another room copies.
"""

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from hanmaru.centre.cctv import custody
from hanmaru.centre.cctv.recorder import read_segment
from hanmaru.centre.cctv.register import Segment, stamp
from hanmaru.centre.cctv.sealed import SYSTEM
from hanmaru.centre.cctv.shapes import Clip
from hanmaru.centre.domain import CentreError
from hanmaru.platform.problems import Problem, sentence

if TYPE_CHECKING:
    from hanmaru.centre.cctv.analysis import Networks
    from hanmaru.centre.cctv.process import Process

log = structlog.get_logger()

LOOK_S = 1.0
SETTLE_S = 10.0
"""After a clip's end it is waited for so long: until then the segment that has it may not be sealed."""
HANDOVERS_S = 30.0
KEEP_DAYS = 90
"""For how long evidence is kept; what was handed over is kept by the other room."""
MOST_BYTES = 256 * 2**20
TIME_BASE = Fraction(1, 90_000)
PART = 1 << 20

Piece = tuple[Segment, bytes]


async def work(process: "Process") -> None:
    """Cut the clips that are wanted, one after the other."""
    while True:
        wanted, _ = await asyncio.to_thread(lambda: process.register.clips(state="wanted", limit=500))
        for clip in reversed(wanted):
            over = datetime.fromisoformat(clip.asked_end) + timedelta(seconds=SETTLE_S)
            if over <= datetime.now(UTC):
                await make(process, clip)
        await asyncio.sleep(LOOK_S)


async def make(process: "Process", clip: Clip) -> Clip:
    """Cut one clip; one that cannot be cut is failed and says why."""
    try:
        done = await _make(process, clip)
    except (CentreError, Problem) as error:
        text = error.detail if isinstance(error, Problem) else sentence(error)
        log.warning("a clip could not be cut", clip=clip.id, reason=text)
        done = msgspec.structs.replace(clip, state="failed", problem=text)
        await custody.touch(process.register, process.secrets, clip.id, SYSTEM.name, "failed", detail=text)
    except Exception as error:
        log.exception("a clip could not be cut", clip=clip.id)
        done = msgspec.structs.replace(clip, state="failed", problem="The recording could not be read; see the log.")
        what = type(error).__name__
        await custody.touch(process.register, process.secrets, clip.id, SYSTEM.name, "failed", detail=what)
    await asyncio.to_thread(process.register.put_clip, done)
    return done


async def _make(process: "Process", clip: Clip) -> Clip:
    register, secrets, folder = process.register, process.secrets, process.ctx.data_dir
    start = datetime.fromisoformat(clip.asked_start).timestamp()
    end = datetime.fromisoformat(clip.asked_end).timestamp()
    segments = await asyncio.to_thread(register.segments, clip.camera, start, end)
    pieces: list[Piece] = []
    for segment in segments:
        if (key := await secrets.day_key(clip.camera, segment.day)) is None:
            raise CentreError("the recording of that day is destroyed")
        pieces.append((segment, await asyncio.to_thread(read_segment, folder, segment, key)))
    if not pieces:
        raise CentreError("nothing was recorded by this camera at that time")
    original, first, last = await asyncio.to_thread(cut, pieces, start, end)
    sha256 = hashlib.sha256(original).hexdigest()
    desk = secrets.desk("evidence")
    subject = clip.subject
    if subject is None:
        subject = await desk.open_subject("clip")
        clip = msgspec.structs.replace(clip, subject=subject)
        await asyncio.to_thread(register.put_clip, clip)  # whoever is killed now finds the subject again
    await desk.put_blob(subject, "clip", "original", _parts(original))
    span = f"{stamp(first)} to {stamp(last)}, {len(segments)} segments, not encoded again"
    await custody.touch(register, secrets, clip.id, SYSTEM.name, "cut original", sha256, span)
    blurred = await asyncio.to_thread(render, original, process.networks)
    blurred_sha256 = hashlib.sha256(blurred).hexdigest()
    await desk.put_blob(subject, "clip", "blurred", _parts(blurred))
    await custody.touch(register, secrets, clip.id, SYSTEM.name, "made blurred", blurred_sha256)
    return msgspec.structs.replace(
        clip,
        state="ready",
        start=stamp(first),
        end=stamp(last),
        sha256=sha256,
        blurred_sha256=blurred_sha256,
        bytes=len(original),
        until=stamp((datetime.now(UTC) + timedelta(days=KEEP_DAYS)).timestamp()),
    )


def cut(pieces: Sequence[Piece], start: float, end: float) -> tuple[bytes, float, float]:
    """Return MP4 of a span (Unix seconds) and the span that it really has; blocks.

    Packets are taken as they were recorded, from the last key picture at or before the span's beginning. Raises
    CentreError where there is none or the clip is too large.
    """
    import av

    file = io.BytesIO()
    out: Any = None
    target: Any = None
    zero = last = 0.0
    kept: list[tuple[Any, float, float]] = []
    dts_before = -1
    for segment, content in pieces:
        source: Any
        with av.open(io.BytesIO(content), format="matroska") as source:
            video = source.streams.video[0]
            if out is None:
                out = av.open(file, "w", format="mp4")
                target = out.add_stream_from_template(video)
            base: float | None = None
            for packet in source.demux(video):
                if packet.dts is None or packet.pts is None or packet.time_base is None:
                    continue
                base = float(packet.dts * packet.time_base) if base is None else base
                dts = segment.start + float(packet.dts * packet.time_base) - base
                pts = segment.start + float(packet.pts * packet.time_base) - base
                if dts >= end:
                    break
                if packet.is_keyframe and (dts <= start or not kept) and dts_before < 0:
                    kept = []
                    zero = dts
                elif not kept and dts_before < 0:
                    continue
                kept.append((packet, dts, pts))
                if dts >= start:
                    dts_before, last = _mux(out, target, kept, zero, dts_before), dts
                    kept = []
                    if file.tell() > MOST_BYTES:
                        raise CentreError("the clip is too large: ask for a shorter one")
            if kept:
                dts_before, last = _mux(out, target, kept, zero, dts_before), kept[-1][1]
                kept = []
    if out is None or dts_before < 0:
        raise CentreError("nothing was recorded by this camera at that time")
    out.close()
    return file.getvalue(), zero, last


def _mux(out: Any, target: Any, packets: Sequence[tuple[Any, float, float]], zero: float, before: int) -> int:
    for packet, dts, pts in packets:
        at = max(before + 1, round((dts - zero) / TIME_BASE))
        shift = at - round((dts - zero) / TIME_BASE)
        packet.stream = target
        packet.time_base = TIME_BASE
        packet.dts, packet.pts = at, max(at, round((pts - zero) / TIME_BASE) + shift)
        out.mux(packet)
        before = at
    return before


def render(original: bytes, networks: "Networks") -> bytes:
    """Return MP4 with faces blurred in every picture, at the height that cameras are shown at; blocks long."""
    import av

    from hanmaru.centre.cctv.analysis import Analyser
    from hanmaru.centre.cctv.station import picture_of

    file, analyser = io.BytesIO(), Analyser(networks, None)
    source: Any
    out: Any
    with av.open(io.BytesIO(original)) as source, av.open(file, "w", format="mp4") as out:
        video = source.streams.video[0]
        video.codec_context.thread_count = 1
        target: Any = None
        for frame in source.decode(video):
            picture = picture_of(frame)
            if target is None:
                target = out.add_stream("libx264", rate=25, options={"preset": "veryfast", "threads": "1"})
                target.height, target.width = picture.shape[:2]
                target.pix_fmt, target.time_base = "yuv420p", TIME_BASE
                target.codec_context.time_base = TIME_BASE
            at_s = float(frame.time or 0.0)
            shown = av.VideoFrame.from_ndarray(analyser.look(picture, at_s).shown, format="bgr24")
            shown.pts, shown.time_base = round(at_s / TIME_BASE), TIME_BASE
            out.mux(target.encode(shown))
        if target is None:
            raise CentreError("the clip has no picture that can be read")
        out.mux(target.encode(None))
    return file.getvalue()


async def follow_handovers(process: "Process") -> None:
    """Note in the custody log of a clip that it was handed over, or that a hand-over of it ended."""
    while True:
        try:
            await note_handovers(process)
        except Problem as problem:
            log.warning("hand-overs of clips are not noted now", reason=problem.detail)
        await asyncio.sleep(HANDOVERS_S)


async def note_handovers(process: "Process") -> None:
    """Note what hand-overs did with clips and is not noted yet."""
    handover = process.ctx.trust.handover.handover
    page = await handover.list(None, "centre", 500)
    told = [one for one in page.requests if one.giving == "centre" and one.state in ("delivered", "expired", "revoked")]
    if not told:
        return
    clips, _ = await asyncio.to_thread(lambda: process.register.clips(state="ready", limit=1000))
    by_subject = {clip.subject: clip for clip in clips if clip.subject}
    for request in told:
        if (clip := by_subject.get(request.subject)) is None:
            continue
        what = f"hand-over {request.id} to {request.receiving}: {request.state}"
        log_ = await asyncio.to_thread(process.register.custody, clip.id)
        if all(entry.what != what for entry in log_):
            files = ",".join(one.id for one in request.receipt if one.form == "blob")
            sha256 = (clip.sha256 if "original" in files else clip.blurred_sha256) or ""
            detail = f"{files}: {request.purpose}"
            await custody.touch(process.register, process.secrets, clip.id, request.requested_by, what, sha256, detail)


async def _parts(content: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(content), PART):
        yield content[at : at + PART]
