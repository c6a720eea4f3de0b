"""HTTP of cameras, thin: the register, pictures of many cameras in one response, grants to see faces, clips, counts.

The stream of pictures is described in `hanmaru.centre.cctv.wire`.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute

from hanmaru.centre.cctv import custody, wire
from hanmaru.centre.cctv.imports import import_cameras
from hanmaru.centre.cctv.register import Register, nearest, new_id, now, stamp
from hanmaru.centre.cctv.sealed import Secrets
from hanmaru.centre.cctv.shapes import (
    MOST_CLIP_S,
    Ask,
    Camera,
    Clip,
    Grant,
    Live,
    New,
    Settings,
    Source,
    WantedClip,
)
from hanmaru.centre.cctv.sources import check_address
from hanmaru.centre.domain import CentreError
from hanmaru.centre.streams import Places, Stream
from hanmaru.hub.client import HubClient
from hanmaru.platform.bodies import answer, read
from hanmaru.platform.origin import address_of
from hanmaru.platform.policy import GuardedRoute, caller_of, policy_of, purpose_of, record_of, refusal
from hanmaru.platform.problems import Problem, invalid_request, not_found, sentence
from hanmaru.platform.services import Context

STATES_S = 1.0
"""For how long states that the camera process told are told on."""
STILL_S = 5.0
"""How often a stream asks whether its viewer is still who they were."""
LIFE_S = 3600.0
MOST_STREAMS = 16
"""Streams that one person may watch at a time: a wall of 512 cameras."""
MOST_WAITING = 100
"""Clips that may wait to be cut."""
PAGE = 1000
BYTES = 64 * 1024
SETTINGS = '{"name": {"ko": …}, "location": {"type": "Point", "coordinates": [lon, lat]}, "source": …, …}'
NO_ANSWER = {"en": "The camera process does not answer.", "ko": "영상 처리 프로세스가 응답하지 않습니다."}
NO_MODEL = {
    "en": "Persons and vehicles are not detected: the detector's file is missing. Run: hanmaru centre model",
    "ko": "사람·차량 검출이 꺼져 있습니다. 검출 모델 파일이 없습니다. 실행: hanmaru centre model",
}

T = TypeVar("T")


class Desk:
    """What the routes share, in one web worker."""

    def __init__(self, ctx: Context[HubClient]) -> None:
        """Open nothing yet."""
        self.ctx = ctx
        self._made: tuple[Register, Secrets] | None = None
        self._making = threading.Lock()
        self._states: dict[str, Live] | None = None
        self._asked = 0.0

    def _make(self) -> tuple[Register, Secrets]:
        with self._making:
            if self._made is None:
                register = Register(self.ctx.data_dir)
                self._made = register, Secrets(self.ctx.trust.vault, register, self.ctx.data_dir)
            return self._made

    async def register(self) -> Register:
        """Return the register."""
        return (await asyncio.to_thread(self._make))[0]

    async def secrets(self) -> Secrets:
        """Return the secrets."""
        return (await asyncio.to_thread(self._make))[1]

    async def close(self) -> None:
        """Close the register."""
        if self._made is not None:
            await asyncio.to_thread(self._made[0].close)

    async def states(self) -> dict[str, Live] | None:
        """Return the cameras' states; None when the camera process does not answer."""
        if time.monotonic() - self._asked > STATES_S:
            try:
                self._states = await wire.states(self.ctx.data_dir)
            except CentreError:
                self._states = None
            self._asked = time.monotonic()
        return self._states

    async def camera(self, id: str) -> tuple[str, Settings]:
        """Return a camera; raises Problem 404."""
        found = await asyncio.to_thread((await self.register()).camera, id) if _plain(id) else None
        if found is None:
            raise not_found("There is no such camera.")
        return found

    async def clip(self, id: str) -> Clip:
        """Return a clip; raises Problem 404."""
        found = await asyncio.to_thread((await self.register()).clip, id) if _plain(id) else None
        if found is None:
            raise not_found("There is no such clip.")
        return found

    async def told(self, cameras: dict[str, tuple[str, Settings]]) -> list[Camera]:
        """Return cameras as they are told, with their states and without their addresses."""
        states = await self.states()
        missing = not await asyncio.to_thread(_model_there, self.ctx)
        return [_camera(id, *one, states, missing) for id, one in cameras.items()]


def routes(ctx: Context[HubClient]) -> Sequence[BaseRoute]:
    """Return the routes of cameras."""
    desk, places = Desk(ctx), Places(MOST_STREAMS)
    ctx.closing.push_async_callback(desk.close)

    async def cameras(request: Request) -> Response:
        """List cameras by id, after ``after``; with ``near=lon,lat`` the nearest, first those that see the place."""
        register = await desk.register()
        every = await asyncio.to_thread(register.cameras)
        limit = _whole(request, "limit", 100, PAGE)
        near = request.query_params.get("near")
        notice = None if await asyncio.to_thread(_model_there, ctx) else NO_MODEL
        if near is not None:
            found = nearest(every, _place(near), limit)
            told = {one.id: one for one in await desk.told({id: every[id] for id, _, _ in found})}
            items = [msgspec.structs.replace(told[id], distance_m=far, sees=sees) for id, far, sees in found]
            return answer({"items": items, "next": None, "notice": notice})
        after, text = request.query_params.get("after", ""), request.query_params.get("q", "").casefold()
        chosen = {
            id: one
            for id, one in every.items()
            if id > after and text in "\n".join((id, *one[1].name.values())).casefold()
        }
        page = dict(list(chosen.items())[:limit])
        following = list(page)[-1] if len(chosen) > limit else None
        return answer({"items": await desk.told(page), "next": following, "notice": notice})

    async def add(request: Request) -> Response:
        """Register a camera."""
        new = await read(request, New, SETTINGS)
        id = new.id or new_id("cam")
        settings = msgspec.convert(
            {k: v for k, v in msgspec.to_builtins(new).items() if k != "id"}, Settings, from_attributes=True
        )
        register = await desk.register()
        if await asyncio.to_thread(register.camera, id):
            raise Problem(409, "Already exists", "There is a camera of this id: change that one, or choose another id.")
        await _keep(desk, id, settings, new=True)
        return answer((await desk.told({id: await desk.camera(id)}))[0], 201)

    async def one(request: Request) -> Response:
        """Show a camera."""
        id = request.path_params["id"]
        return answer((await desk.told({id: await desk.camera(id)}))[0])

    async def change(request: Request) -> Response:
        """Change a camera; a source without an address keeps the one that is kept."""
        id = request.path_params["id"]
        await desk.camera(id)
        await _keep(desk, id, await read(request, Settings, SETTINGS), new=False)
        return answer((await desk.told({id: await desk.camera(id)}))[0])

    async def remove(request: Request) -> Response:
        """Remove a camera; its recordings go when their retention is over."""
        await desk.camera(request.path_params["id"])
        register = await desk.register()
        await asyncio.to_thread(register.remove, request.path_params["id"])
        return Response(status_code=204)

    async def bring(request: Request) -> Response:
        """Register the hub's Camera entities that have a location and are not registered yet."""
        return answer({"added": await import_cameras(ctx.hub, await desk.register())})

    async def stream(request: Request) -> Response:
        """Give the pictures of many cameras in one response, the newest of each, faces blurred."""
        query = request.query_params
        ids = [id for id in query.get("ids", "").split(",") if id]
        if not 1 <= len(ids) <= wire.MOST_CAMERAS or not all(map(_plain, ids)):
            raise invalid_request(f"ids is 1 to {wire.MOST_CAMERAS} ids of cameras, with commas between them.")
        height = _whole(request, "height", 180, max(wire.HEIGHTS))
        if height not in wire.HEIGHTS:
            raise invalid_request(f"height is one of {', '.join(map(str, wire.HEIGHTS))}.")
        fps = _whole(request, "fps", 10, 25)
        register = await desk.register()
        caller, policy = caller_of(request), policy_of(request)
        needed = ["centre.watch"]
        clear: dict[str, tuple[str, str, str]] = {}
        if given := query.get("grant"):
            if not policy.allows(caller, "centre.unblur"):  # it may have been taken away since the grant
                raise refusal(caller, "centre.unblur")
            needed.append("centre.unblur")
            grant = await _granted(request, register, given, ids)
            clear[grant.camera] = grant.grant, grant.who, grant.session
            detail = {"grant": given, "event": grant.event}
            facts = msgspec.structs.replace(
                record_of(request, "centre.unblur.use", detail=detail), purpose=grant.purpose
            )
            await ctx.trust.audit.commit(msgspec.structs.replace(facts, what=f"camera:{grant.camera}"))
        give_back = places.take(caller.name)
        try:
            reader, writer = await wire.open_socket(ctx.data_dir, wire.Watch(ids, height, fps, clear))
        except CentreError as error:
            give_back()
            raise Problem(503, "Not available", sentence(error), retry_after_s=2) from None
        except BaseException:
            give_back()
            raise

        def over() -> None:
            writer.close()
            give_back()

        body = _pass_on(request, reader, lambda: all(policy.allows(caller, action) for action in needed))
        return Stream(body, "application/octet-stream", over)

    async def unblur(request: Request) -> Response:
        """Grant the caller to see one camera's faces for a purpose, at most half an hour."""
        id = request.path_params["id"]
        await desk.camera(id)
        asked = await read(request, Ask, '{"purpose": …, "reason": …, "event": …, "minutes": 1–30}')
        _readable(asked.purpose, asked.reason, asked.event)
        until = stamp((datetime.now(UTC) + timedelta(minutes=asked.minutes)).timestamp())
        who, session = caller_of(request).name, _session(request)
        grant = Grant(new_id("grant"), id, who, session, asked.purpose, asked.event, asked.reason, now(), until)
        detail = {"grant": grant.grant, "until": until, "event": asked.event, "reason": asked.reason}
        facts = record_of(request, "centre.unblur.grant", detail=detail)
        await ctx.trust.audit.commit(msgspec.structs.replace(facts, purpose=asked.purpose, what=f"camera:{id}"))
        register = await desk.register()
        await asyncio.to_thread(register.give, grant)
        return answer({"grant": grant.grant, "until": until}, 201)

    async def grants(request: Request) -> Response:
        """List who may see a camera's faces now."""
        id = request.path_params["id"]
        await desk.camera(id)
        found = await asyncio.to_thread((await desk.register()).grants, id)
        hidden = [{k: v for k, v in msgspec.structs.asdict(one).items() if k != "session"} for one in found]
        return answer({"items": hidden, "next": None})

    async def revoke(request: Request) -> Response:
        """End a grant at once."""
        register, id = await desk.register(), request.path_params["grant"]
        grant = await asyncio.to_thread(register.grant, id) if _plain(id) else None
        if grant is None or grant.camera != request.path_params["id"]:
            raise not_found("There is no such grant.")
        facts = record_of(request, "centre.unblur.revoke", detail={"grant": id, "of": grant.who})
        await ctx.trust.audit.commit(
            msgspec.structs.replace(facts, purpose=grant.purpose, what=f"camera:{grant.camera}")
        )
        await asyncio.to_thread(register.give, msgspec.structs.replace(grant, revoked=now()))
        return Response(status_code=204)

    async def counts(request: Request) -> Response:
        """Return counts of lines and zones by minute, newest first."""
        id = request.path_params["id"]
        await desk.camera(id)
        hours = _whole(request, "hours", 1, 24 * 30)
        end = datetime.now(UTC) + timedelta(minutes=1)
        start = end - timedelta(hours=hours, minutes=1)
        register = await desk.register()
        found = await asyncio.to_thread(register.counts, id, stamp(start.timestamp()), stamp(end.timestamp()))
        return answer({"items": found, "next": None})

    async def ask_clip(request: Request) -> Response:
        """Ask for an evidence clip; it is cut from what is recorded."""
        wanted = await read(request, WantedClip, '{"camera": …, "start": …, "end": …, "reason": …, "event": …}')
        await desk.camera(wanted.camera)
        _readable(wanted.reason, wanted.event)
        start, end = _instant(wanted.start, "start"), _instant(wanted.end, "end")
        if not 0 < (end - start).total_seconds() <= MOST_CLIP_S:
            raise invalid_request(f"A clip ends after it starts, at most {MOST_CLIP_S} s later.")
        if start > datetime.now(UTC):
            raise invalid_request("Nothing is recorded yet of a time to come.")
        register = await desk.register()
        waiting, _ = await asyncio.to_thread(lambda: register.clips(state="wanted", limit=MOST_WAITING))
        if len(waiting) >= MOST_WAITING:
            detail = f"{MOST_WAITING} clips are waiting to be cut: ask again in a minute."
            raise Problem(503, "Too many clips", detail, retry_after_s=60)
        who = caller_of(request).name
        clip = Clip(
            id=new_id("clip"),
            camera=wanted.camera,
            event=wanted.event,
            reason=wanted.reason,
            who=who,
            asked_start=stamp(start.timestamp()),
            asked_end=stamp(end.timestamp()),
            at=now(),
            state="wanted",
        )
        await _touch(request, clip, "asked", detail=wanted.reason)
        await asyncio.to_thread(register.put_clip, clip)
        return answer(clip, 202)

    async def clips(request: Request) -> Response:
        """List clips, newest first."""
        query = request.query_params
        before = query.get("before", "")
        if before and not (before.isascii() and before.isdecimal() and len(before) < 18):
            raise invalid_request("before is the 'next' of an earlier page.")
        limit = _whole(request, "limit", 100, PAGE)
        register = await desk.register()
        found, following = await asyncio.to_thread(
            lambda: register.clips(
                state=query.get("state", ""),
                camera=query.get("camera", ""),
                event=query.get("event", ""),
                before=int(before) if before else None,
                limit=limit,
            )
        )
        return answer({"items": found, "next": following})

    async def one_clip(request: Request) -> Response:
        """Show a clip with its custody log, and whether that holds."""
        clip = await desk.clip(request.path_params["id"])
        log = await asyncio.to_thread((await desk.register()).custody, clip.id)
        key = (await (await desk.secrets()).signer()).public_key()
        try:
            custody.check(clip.id, log, key)
            damage = None
        except CentreError as error:
            damage = str(error)
        return answer({**msgspec.structs.asdict(clip), "custody": log, "intact": damage is None, "damage": damage})

    async def video(request: Request) -> Response:
        """Give a clip's original; the purpose stands in Hanmaru-Purpose."""
        if not (purpose := purpose_of(request)):
            raise Problem(403, "State the purpose", "Say in the header Hanmaru-Purpose what for.", needs="purpose")
        return await _video(request, "original", purpose)

    async def blurred(request: Request) -> Response:
        """Give a clip's rendition with faces blurred."""
        return await _video(request, "blurred", purpose_of(request) or "watching a clip")

    async def _video(request: Request, rendition: str, purpose: str) -> Response:
        clip = await desk.clip(request.path_params["id"])
        if clip.state != "ready" or clip.subject is None:
            raise Problem(409, "Not ready", clip.problem or "The clip is still being cut: look again in some seconds.")
        sha256 = clip.sha256 if rendition == "original" else clip.blurred_sha256
        await _touch(request, clip, f"opened {rendition}", sha256 or "", purpose)
        parts = await (await desk.secrets()).desk(purpose).get_blob(clip.subject, "clip", rendition)
        if parts is None:
            raise not_found("This rendition is not there: its retention is over.")
        name = f"{clip.id}-{rendition}.mp4"
        headers = {"cache-control": "no-store", "content-disposition": f'attachment; filename="{name}"'}
        return StreamingResponse(parts, media_type="video/mp4", headers=headers)

    async def _touch(request: Request, clip: Clip, what: str, sha256: str = "", detail: str = "") -> None:
        facts = record_of(request, "centre.clip", detail={"what": what, "event": clip.event, "sha256": sha256})
        subjects = (clip.subject,) if clip.subject else ()
        facts = msgspec.structs.replace(
            facts, what=f"clip:{clip.id}", subjects=subjects, where=address_of(request.scope)
        )
        await ctx.trust.audit.commit(facts)
        who = caller_of(request).name
        await custody.touch(await desk.register(), await desk.secrets(), clip.id, who, what, sha256, detail)

    watch, act, manage = "centre.watch", "centre.act", "centre.cameras"
    return [
        GuardedRoute("/cameras", cameras, permission=watch),
        GuardedRoute("/cameras", add, permission=manage, methods=["POST"]),
        GuardedRoute("/cameras/import", bring, permission=manage, methods=["POST"]),
        GuardedRoute("/cameras/stream", stream, permission=watch),
        GuardedRoute("/cameras/{id}", one, permission=watch),
        GuardedRoute("/cameras/{id}", change, permission=manage, methods=["PUT"]),
        GuardedRoute("/cameras/{id}", remove, permission=manage, methods=["DELETE"]),
        GuardedRoute("/cameras/{id}/unblur", unblur, permission="centre.unblur", methods=["POST"]),
        GuardedRoute("/cameras/{id}/unblur", grants, permission=manage),
        GuardedRoute("/cameras/{id}/unblur/{grant}", revoke, permission=manage, methods=["DELETE"]),
        GuardedRoute("/cameras/{id}/counts", counts, permission=watch),
        GuardedRoute("/clips", ask_clip, permission=act, methods=["POST"]),
        GuardedRoute("/clips", clips, permission=watch),
        GuardedRoute("/clips/{id}", one_clip, permission=watch),
        GuardedRoute("/clips/{id}/video", video, permission="centre.clips"),
        GuardedRoute("/clips/{id}/blurred", blurred, permission=watch),
    ]


async def _keep(desk: Desk, id: str, settings: Settings, *, new: bool) -> None:
    source = settings.source
    if source is not None and source.address is not None:
        try:
            await asyncio.to_thread(check_address, source, desk.ctx.data_dir, desk.ctx.egress)
        except CentreError as error:
            raise invalid_request(sentence(error)) from None
        await (await desk.secrets()).put_address(id, source.address)
    elif source is not None:
        kept = None if new else (await desk.camera(id))[1].source
        if kept is None or kept.kind != source.kind:
            raise invalid_request("A new source needs its address.")
    bare = msgspec.structs.replace(settings, source=Source(source.kind) if source else None)
    try:
        register = await desk.register()
        await asyncio.to_thread(lambda: register.put(id, bare, new=new))
    except CentreError as error:
        raise Problem(409, "Not possible", sentence(error)) from None


async def _granted(request: Request, register: Register, id: str, ids: Sequence[str]) -> Grant:
    """Return the grant that the caller shows, for one of the cameras asked for; raises Problem 403."""
    grant = await asyncio.to_thread(register.grant, id) if _plain(id) else None
    if grant is not None and grant.camera in ids:
        who, session = caller_of(request).name, _session(request)
        if found := await asyncio.to_thread(register.allows, id, grant.camera, who, session):
            return found
    raise Problem(403, "Not permitted", "This grant is over, or another's, or for another camera: ask for one again.")


async def _pass_on(request: Request, reader: asyncio.StreamReader, allowed: Callable[[], bool]) -> AsyncIterator[bytes]:
    """Give on what the camera process sends, for as long as the viewer is who they were and may see it."""
    still, asked, ends = request.scope.get("still"), time.monotonic(), time.monotonic() + LIFE_S
    while time.monotonic() < ends:
        part = await reader.read(BYTES)
        if not part:
            return
        if time.monotonic() - asked > STILL_S:
            asked = time.monotonic()
            if not allowed() or (still is not None and not await still()):
                return
        yield part


def _camera(id: str, entity: str, settings: Settings, states: dict[str, Live] | None, missing: bool) -> Camera:
    live = None if states is None else states.get(id)
    notice = NO_ANSWER if states is None and settings.source else (live.notice if live else None)
    return Camera(
        **msgspec.structs.asdict(settings),
        id=id,
        entity=entity,
        state=live.state if live else ("lost" if settings.source and states is None else "off"),
        since=live.since if live else None,
        notice=notice,
        fps=live.fps if live and live.state == "live" else None,
        width=live.width or None if live else None,
        height=live.height or None if live else None,
        analysis="missing" if settings.analyse and missing else ("on" if settings.analyse else "off"),
    )


def _model_there(ctx: Context[HubClient]) -> bool:
    from hanmaru.centre.cctv.models import detector_path

    return detector_path(ctx.data_dir) is not None


def _session(request: Request) -> str:
    session = request.scope.get("session")
    return session.id if session is not None else ""


def _plain(id: str) -> bool:
    return 0 < len(id) <= 64 and id.isascii() and id.replace("-", "").isalnum()


def _readable(*texts: str) -> None:
    if not all(text.isprintable() for text in texts) or not all(text.strip() for text in texts[:-1]):
        raise invalid_request("Purpose, reason and event are printable text; purpose and reason are not empty.")


def _whole(request: Request, name: str, default: int, most: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 7 and 1 <= int(text) <= most):
        raise invalid_request(f"{name} is a whole number from 1 to {most}.")
    return int(text)


def _place(text: str) -> tuple[float, float]:
    try:
        lon, lat = (float(part) for part in text.split(","))
    except ValueError:
        lon = lat = 999.0
    if not (-180 <= lon <= 180 and -90 <= lat <= 90):
        raise invalid_request("near is lon,lat in degrees, such as 127.28,36.48.")
    return lon, lat


def _instant(text: str, name: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None or not 2000 <= at.year < 2200:
        raise invalid_request(f"{name} is an instant with its zone, such as 2026-05-01T08:30:00Z.")
    return at.astimezone(UTC)
