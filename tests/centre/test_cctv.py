"""Cameras on a real hub: a real RTSP camera, pictures over the socket, grants, recordings, clips, what is refused."""

import asyncio
import contextlib
import dataclasses
import hashlib
import inspect
import io
import json
import os
import shutil
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Mount

from hanmaru.centre.cctv import api, clips, custody, demo, models, publish, recorder, retention, veil, wire
from hanmaru.centre.cctv.analysis import Analyser, Networks
from hanmaru.centre.cctv.counting import Counting, side
from hanmaru.centre.cctv.process import Process
from hanmaru.centre.cctv.recorder import FOLDER as RECORDINGS
from hanmaru.centre.cctv.register import stamp
from hanmaru.centre.cctv.shapes import Counts, Line, Settings, Source, Zone
from hanmaru.centre.cctv.sources import Opened
from hanmaru.centre.cctv.station import picture_of
from hanmaru.centre.domain import CentreError
from hanmaru.centre.service import service
from hanmaru.edge import on_problem
from hanmaru.hub.client import HubClient
from hanmaru.hub.local import open_hub
from hanmaru.platform.access import Access
from hanmaru.platform.audit.lines import Entry, chains, segments
from hanmaru.platform.audit.trail import Trail
from hanmaru.platform.egress import Egress
from hanmaru.platform.handover import Handover
from hanmaru.platform.handover.api import routes as handover_routes
from hanmaru.platform.jobs import declared
from hanmaru.platform.jobs.client import Jobs
from hanmaru.platform.jobs.database import url_of
from hanmaru.platform.policy import Caller, Door, Policy
from hanmaru.platform.problems import Problem
from hanmaru.platform.services import Context
from hanmaru.platform.trust import Locks
from hanmaru.platform.vault import Vaults
from hanmaru.trace.service import service as tracing
from tests.asgi import Answer, ask
from tests.centre.rtsp import Camera

OPERATOR, SUPERVISOR, OFFICER = ("operator",), ("supervisor",), ("cctv-officer",)
INVESTIGATOR, PRIVACY = ("investigator",), ("privacy",)
HANDOVERS = "/api/handover/v1/requests"
PLACE = {"type": "Point", "coordinates": [127.28, 36.48]}


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a street of four seconds, drawn."""
    path = tmp_path_factory.mktemp("video") / "street.mp4"
    demo.draw(path, 1, seconds=4)
    return path


class Site:
    """The centre in a folder, its HTTP, and, while `working`, its camera process."""

    def __init__(self, hub: HubClient, folder: Path, locks: Locks, egress: Egress) -> None:
        self.hub, self.folder, self.locks = hub, folder, locks
        self.context = Context(hub, folder, {}, locks.of("centre"), egress=egress)
        self.mount()

    def mount(self) -> None:
        routes = [Mount("/c", routes=list(api.routes(self.context))), *handover_routes(self.locks.handover)]
        self.app = Starlette(routes=routes, exception_handlers={Problem: on_problem})
        self.app.state.door = Door(self.locks.policy, self.locks.audit)

    def as_caller(self, roles: tuple[str, ...], name: str = "", session: str = "") -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            caller = Caller(name or roles[0], roles, "person", second_factor=True)
            known = type("Session", (), {"id": session})() if session else None
            await self.app({**scope, "caller": caller, "session": known}, receive, send)

        return app

    async def ask(
        self,
        path: str,
        roles: tuple[str, ...] = OPERATOR,
        body: Any = None,
        method: str = "",
        name: str = "",
        **headers: str,
    ) -> Answer:
        sent = {key.replace("_", "-"): value for key, value in headers.items()}
        method = method or ("GET" if body is None else "POST")
        content = b"" if body is None else json.dumps(body).encode()
        full = path if path.startswith("/api/") else "/c" + path
        return await ask(self.as_caller(roles, name), full, method=method, headers=sent, body=content)

    async def register(self, id: str, kind: str, address: str, **others: Any) -> Answer:
        body = {"id": id, "name": {"en": id}, "location": PLACE, "source": {"kind": kind, "address": address}, **others}
        return await self.ask("/cameras", SUPERVISOR, body)

    @asynccontextmanager
    async def working(self) -> AsyncGenerator[Process]:
        process = Process(self.context)
        task = asyncio.create_task(process.run())
        try:
            await until((self.folder / wire.SOCKET).exists)
            yield process
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    @asynccontextmanager
    async def watching(self, watch: wire.Watch) -> AsyncGenerator[AsyncIterator[tuple[int, dict[str, Any], bytes]]]:
        reader, writer = await wire.open_socket(self.folder, watch)
        try:
            yield messages(reader)
        finally:
            writer.close()


async def until(find: Callable[[], Any], within_s: float = 15) -> Any:
    """Return what is found as soon as it is."""
    end = time.monotonic() + within_s
    while True:
        found = find()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < end, "it did not come"
        await asyncio.sleep(0.03)


async def messages(reader: asyncio.StreamReader) -> AsyncGenerator[tuple[int, dict[str, Any], bytes]]:
    while True:
        body = await reader.readexactly(int.from_bytes(await reader.readexactly(4)))
        head = int.from_bytes(body[1:3])
        yield body[0], json.loads(body[3 : 3 + head]), body[3 + head :]


async def first(stream: Any, kind: int, within_s: float = 8, **wanted: Any) -> tuple[dict[str, Any], bytes]:
    """Return the first message of a kind whose header has what is wanted."""
    async with asyncio.timeout(within_s):
        async for found, header, body in stream:
            if found == kind and all(header.get(key) == value for key, value in wanted.items()):
                return header, body
    raise AssertionError("the stream ended")


def picture(jpeg: bytes) -> Any:
    import cv2

    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)


@pytest.fixture
def site_folder(tmp_path: Path) -> Path:
    (tmp_path / "video").mkdir()
    return tmp_path


@contextlib.contextmanager
def locks_of(folder: Path) -> Generator[Locks]:
    """Give real locks with the policies of the centre and of the room for tracing."""
    data, keys, rooms = folder / "data", folder / "keys", (service, tracing)
    policy = Policy(
        [room.policies for room in rooms if room.policies],
        actions=[action for room in rooms for action in room.permissions],
        entrusted=[action for room in rooms for action in room.entrusted],
    )
    with Trail(data, keys, "test") as trail:
        vaults, jobs = Vaults(data, keys, trail, policy), Jobs(url_of(data, "sqlite"), declared([]))
        handover = Handover(data, vaults, trail, policy, jobs)
        try:
            yield Locks(policy, trail, vaults, jobs, handover)
        finally:
            handover.close()
            jobs.close()
            vaults.close()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncGenerator[Site]:
    async with open_hub(f"sqlite:///{tmp_path / 'hub.db'}") as hub:
        with locks_of(tmp_path / "locks") as locks:
            folder = tmp_path / "centre"
            (folder / "video").mkdir(parents=True)
            made = Site(hub.client(Access(write=True)), folder, locks, Egress())
            yield made
            await made.context.closing.aclose()


async def test_an_rtsp_camera_is_shown_blurred_lost_within_five_seconds_and_comes_back(
    site: Site, street: Path
) -> None:
    camera = Camera(street, password=True).start()
    try:
        made = await site.register("gate", "rtsp", camera.address)
        assert made.status == 201, made.body
        assert b"s3cret" not in made.body
        assert b"rtsp://" not in made.body
        assert b"s3cret" not in b"".join(path.read_bytes() for path in site.folder.iterdir() if path.is_file())
        async with site.working() as process, site.watching(wire.Watch(["gate"], 180, 10)) as stream:
            header, body = await first(stream, wire.PICTURE, camera="gate")
            assert picture(body).shape == (180, 320, 3)
            assert (header["veil"], header["state"]) == ("faces", "live")
            header, _ = await first(stream, wire.PICTURE)
            late_s = time.time() - datetime.fromisoformat(header["at"]).timestamp()
            assert 0 <= late_s < 1.5
            told = (await site.ask("/cameras/gate")).json()
            assert (told["state"], told["width"], told["height"]) == ("live", 640, 360)
            began = time.monotonic()
            camera.freeze()  # still connected: the worst kind of loss
            header, _ = await first(stream, wire.STATE, state="lost")
            assert time.monotonic() - began < 5
            assert "camera" in header["notice"]["en"]
            camera.stop()
            await asyncio.sleep(0.3)
            camera.start()
            await first(stream, wire.PICTURE, camera="gate")
            await until(lambda: process.stations["gate"].live.state == "live" and process.changed.empty())

            async def entity() -> Any:
                found = await site.hub.retrieve("urn:ngsi-ld:Camera:gate", simplified=True)
                return found is not None and found["on"] and found["state"] == "live"

            await until(entity)
    finally:
        camera.stop()


def audited(folder: Path) -> list[Entry]:
    """Read the whole trail."""
    lines = [
        line.split(b" ", 1)[1]
        for chain in chains(folder / "data" / "audit")
        for segment in segments(folder / "data" / "audit" / chain)
        for line in segment.read_bytes().splitlines()
    ]
    return sorted((msgspec.json.decode(line, type=Entry) for line in lines), key=lambda entry: entry.at)


async def granted(site: Site, id: str, name: str = "park", minutes: int = 5) -> str:
    body = {"purpose": "find a lost child", "event": "2026-0001", "minutes": minutes, "reason": "seen near the gate"}
    made = await site.ask(f"/cameras/{id}/unblur", OFFICER, body, name=name)
    assert made.status == 201, made.body
    return made.json()["grant"]


async def test_faces_are_seen_with_a_grant_only_which_is_bound_and_ends(site: Site, street: Path) -> None:
    shutil.copy(street, site.folder / "video" / "street.mp4")
    assert (await site.register("gate", "file", "street.mp4")).status == 201
    ask_for = {"purpose": "curiosity", "minutes": 5, "reason": "none"}
    assert (await site.ask("/cameras/gate/unblur", OPERATOR, ask_for)).status == 403
    assert (await site.ask("/cameras/gate/unblur", OFFICER, ask_for | {"minutes": 31})).status == 400
    async with site.working():
        grant = await granted(site, "gate")
        for name, ids in (("other", "gate"), ("park", "yard")):  # another account; another camera
            refused = await site.ask(f"/cameras/stream?ids={ids}&grant={grant}", OFFICER, name=name)
            assert refused.status == 403
        # Whoever gets at the socket itself is believed no more than HTTP is: the process looks the grant up.
        for claim in (("grant-0", "park", ""), (grant, "other", ""), (grant, "park", "another session")):
            async with site.watching(wire.Watch(["gate"], 180, 25, {"gate": claim})) as stream:
                assert (await first(stream, wire.PICTURE))[0]["veil"] == "faces"
        async with site.watching(wire.Watch(["gate"], 180, 25, {"gate": (grant, "park", "")})) as stream:
            await first(stream, wire.PICTURE, veil="none")
            assert (await site.ask(f"/cameras/gate/unblur/{grant}", OFFICER, method="DELETE")).status == 204
            await first(stream, wire.PICTURE, within_s=3, veil="faces")
        assert (await site.ask(f"/cameras/stream?ids=gate&grant={grant}", OFFICER, name="park")).status == 403
    trail = [entry for entry in audited(site.folder.parent / "locks") if entry.action.startswith("centre.unblur.")]
    assert [entry.action for entry in trail] == ["centre.unblur.grant", "centre.unblur.revoke"]
    assert trail[0].purpose == "find a lost child"


async def test_a_clip_is_cut_as_recorded_blurred_logged_handed_over_and_destroyed(
    site: Site, street: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "SEGMENT_S", 1.0)
    shutil.copy(street, site.folder / "video" / "street.mp4")
    await site.register("gate", "file", "street.mp4", record=True, analyse=False, retention_days=1)
    began = time.time()
    async with site.working() as process:
        await until(lambda: len(process.register.segments("gate", began, time.time())) > 1)
        monkeypatch.setattr(clips, "SETTLE_S", 0.0)
        sealed_ones = process.register.segments("gate", began, time.time())
        span = {"start": stamp(sealed_ones[0].start + 0.5), "end": stamp(sealed_ones[-1].end - 0.2)}
        asked = await site.ask("/clips", body={"camera": "gate", "event": "2026-0001", "reason": "a fall", **span})
        assert asked.status == 202, asked.body
        id = asked.json()["id"]

        async def cut() -> Any:
            found = (await site.ask(f"/clips/{id}")).json()
            return found if found["state"] != "wanted" else None

        clip = await until(cut)
        assert clip["state"] == "ready", clip
        # The original is not encoded again: its packets are the source's own.
        assert (await site.ask(f"/clips/{id}/video", OPERATOR, hanmaru_purpose="evidence")).status == 403
        assert (await site.ask(f"/clips/{id}/video", OFFICER)).status == 403
        original = (await site.ask(f"/clips/{id}/video", OFFICER, hanmaru_purpose="evidence")).body
        assert hashlib.sha256(original).hexdigest() == clip["sha256"]
        with av.open(io.BytesIO(original), "r") as mp4, av.open(str(street)) as source:
            recorded = {bytes(packet) for packet in source.demux(video=0) if packet.size}
            taken = [bytes(packet) for packet in mp4.demux(video=0) if packet.size]
        assert len(taken) > 5
        assert set(taken) <= recorded
        blurred = (await site.ask(f"/clips/{id}/blurred", OPERATOR)).body
        assert hashlib.sha256(blurred).hexdigest() == clip["blurred_sha256"]
        with av.open(io.BytesIO(blurred), "r") as rendition:
            assert sum(1 for _ in rendition.decode(video=0)) == len(taken)
        # What lies on the disk opens with the vault's keys only.
        sealed = next((site.folder / RECORDINGS).rglob("*.sealed"))
        assert b"matroska" not in sealed.read_bytes()
        # Hand-over to trace: asked there, approved by somebody else, copied vault to vault.
        purpose = "contacts of case 12"
        wanted = {
            "from": "centre", "to": "trace", "subject": clip["subject"], "blobs": [["clip", "original"]],
            "purpose": purpose, "legal_basis": "감염병예방법 제76조의2",
            "until": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
        }  # fmt: skip
        for roles, body in (
            (OPERATOR, wanted),
            (OFFICER, wanted),
            (PRIVACY, wanted),
            (INVESTIGATOR, {**wanted, "from": "trace", "to": "centre"}),
        ):
            assert (await site.ask(HANDOVERS, roles, body)).status == 403, roles
        for field in ("purpose", "legal_basis"):
            assert (await site.ask(HANDOVERS, INVESTIGATOR, {**wanted, field: " "})).status == 400, field
        made = await site.ask(HANDOVERS, INVESTIGATOR, wanted, name="lee")
        assert made.status == 201, made.body
        request = f"{HANDOVERS}/{made.json()['id']}"
        yes = {"reason": "a confirmed case"}
        for roles in (INVESTIGATOR, OFFICER, OPERATOR):
            assert (await site.ask(f"{request}/approve", roles, yes)).status == 403, roles
        both = (*INVESTIGATOR, *PRIVACY)
        assert (await site.ask(f"{request}/approve", both, yes, name="lee")).status == 403  # never one's own
        assert (await site.ask(f"{request}/approve", PRIVACY, yes, name="choi")).json()["state"] == "approved"
        await site.locks.handover.deliver(made.json()["id"])
        given = (await site.ask(request, INVESTIGATOR)).json()
        assert (given["state"], [one["id"] for one in given["receipt"]]) == ("delivered", ["original"])
        trace, lee = site.locks.handover.room("trace"), Caller("lee", INVESTIGATOR, second_factor=True)
        parts = await trace.read_blob(lee, given["id"], "clip", "original", purpose)
        assert b"".join([part async for part in parts]) == original
        for who, why in ((lee, "curiosity"), (Caller("kim", OFFICER, second_factor=True), purpose)):
            with pytest.raises(Problem) as refused:
                await trace.read_blob(who, given["id"], "clip", "original", why)
            assert refused.value.status == 403
        await clips.note_handovers(process)
        await clips.note_handovers(process)  # noted once
        log = (await site.ask(f"/clips/{id}")).json()
        assert log["intact"] is True
        assert [entry["what"] for entry in log["custody"]] == [
            "asked",
            "cut original",
            "made blurred",
            "opened original",
            "opened blurred",
            f"hand-over {given['id']} to trace: delivered",
        ]
        last = log["custody"][-1]
        assert (last["who"], last["detail"], last["sha256"]) == ("lee", f"original: {purpose}", clip["sha256"])
        # Who changes an entry, or leaves one out, is found out.
        kept, key = process.register.custody(id), (await process.secrets.signer()).public_key()
        for forged in ([msgspec.structs.replace(kept[0], who="nobody"), *kept[1:]], kept[1:], [*kept[:2], *kept[3:]]):
            with pytest.raises(CentreError, match="was changed"):
                custody.check(id, forged, key)
        # Retention destroys keys; then nothing of that day opens.
        assert await retention.once(process, datetime.now(UTC) + timedelta(days=1)) == 0
        assert await retention.once(process, datetime.now(UTC) + timedelta(days=3)) >= 1
        assert not process.register.segments("gate", began, began + 3)
    late = await site.ask("/clips", body={"camera": "gate", "reason": "too late", **span})
    assert late.status == 202


async def test_addresses_that_lead_elsewhere_are_refused(site: Site, street: Path, tmp_path: Path) -> None:
    shutil.copy(street, tmp_path / "secret.mp4")
    (site.folder / "video" / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    site.context = dataclasses.replace(site.context, egress=Egress(["public"]))
    site.mount()
    for kind, address in (
        ("file", "../../secret.mp4"),
        ("file", str(tmp_path / "secret.mp4")),
        ("file", "link.mp4"),
        ("file", "concat:a.mp4|b.mp4"),
        ("file", "."),
        ("rtsp", "rtsp://127.0.0.1:554/x"),
        ("rtsp", "rtsp://[::ffff:169.254.169.254]/x"),
        ("rtsp", "rtsp://10.0.0.1/x"),
        ("rtsp", "http://example.org/x"),
        ("rtsp", "file:///etc/passwd"),
        ("rtsp", "rtsp:///x"),
        ("rtsp", "rtsp://host:99999/x"),
    ):
        refused = await site.register("bad", kind, address)
        assert refused.status == 400, (address, refused.body)
        assert b"secret" not in refused.body
    assert (await site.ask("/cameras")).json()["items"] == []


def test_a_play_list_in_a_video_file_is_not_followed(site_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.ts").write_text("secret")
    (site_folder / "video" / "list.mp4").write_text(f"#EXTM3U\n#EXTINF:1,\n{tmp_path / 'secret.ts'}\n")
    with pytest.raises(CentreError, match="no video that can be read"):
        Opened(Source("file", "list.mp4"), site_folder, Egress())


def test_a_camera_that_sends_elsewhere_is_not_followed(site_folder: Path, street: Path) -> None:
    inner = Camera(street).start()
    outer = Camera(street, redirect=inner.address).start()
    try:
        with pytest.raises(CentreError, match="sends to another address"):
            Opened(Source("rtsp", outer.address), site_folder, Egress())
        assert inner.served == 0
    finally:
        outer.stop()
        inner.stop()


def test_what_cannot_be_looked_at_is_shown_coarse() -> None:
    class Broken:
        def find(self, picture: Any) -> Any:
            raise RuntimeError("no memory")

    sharp = np.random.default_rng(1).integers(0, 255, (360, 640, 3), np.uint8)
    faces: Any = Broken()
    for networks in (Networks(None, None), Networks(None, faces)):
        look = Analyser(networks, None).look(sharp, 1.0)
        assert look.veil == "whole"
        assert look.shown.std() < sharp.std() / 5


def test_a_part_stays_veiled_when_a_detection_drops_out() -> None:
    held, face = veil.Held(), np.array([[100, 100, 140, 140]], np.float32)
    assert len(held.add(0.0, face)) == 1
    assert len(held.add(0.2, face + 2)) == 1  # found again: not twice
    (kept,) = held.add(0.6, face[:0])
    assert kept[0] < 100 < 140 < kept[2]
    assert len(held.add(0.2 + veil.HOLD_S + 0.1, face[:0])) == 0


@given(
    steps=st.lists(st.tuples(st.floats(0.01, 0.99), st.floats(0.01, 0.99)), min_size=2, max_size=30),
    end=st.floats(0.1, 0.9),
)
def test_what_crosses_a_whole_line_in_and_out_ends_on_the_side_that_the_counts_say(
    steps: list[tuple[float, float]], end: float
) -> None:
    line = Line("line", "line", (end, 0.0), (1 - end, 1.0))
    counting = Counting([line], [])
    for k, place in enumerate(steps):
        counting.add(k * 0.1, [(1, "person", place)])
    values = counting.take()["line", "person"]
    sides = [side(line, place) >= 0 for place in (steps[0], steps[-1])]
    assert values["in"] - values["out"] == sides[1] - sides[0]


def test_counts_of_a_zone_are_means_and_most() -> None:
    square = ((0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 0.5))
    counting = Counting([], [Zone("zone", "zone", square)])
    counting.add(0.0, [(1, "vehicle", (0.2, 0.2)), (2, "vehicle", (0.3, 0.3)), (3, "vehicle", (0.9, 0.2))])
    counting.add(0.1, [])
    assert counting.take()["zone", "vehicle"] == {"mean": 1.0, "most": 2.0}


async def test_the_nearest_cameras_that_see_a_place_come_first(site: Site) -> None:
    for id, east_m, direction in (("far", 80, 270), ("away", 10, 90), ("near", 40, 270)):
        place = {"type": "Point", "coordinates": [127.28 + east_m / 89_500, 36.48]}
        body = {
            "id": id,
            "name": {"en": id},
            "location": place,
            "direction_deg": direction,
            "fov_deg": 90,
            "range_m": 100,
        }
        assert (await site.ask("/cameras", SUPERVISOR, body)).status == 201
    found = (await site.ask("/cameras?near=127.28,36.48&limit=4")).json()["items"]
    assert [(one["id"], one["sees"]) for one in found] == [("near", True), ("far", True), ("away", False)]
    assert found[0]["distance_m"] == pytest.approx(40, abs=0.5)
    assert (await site.ask("/cameras?near=x")).status == 400
    assert (await site.ask("/cameras", OPERATOR, {"name": {"en": "x"}, "location": PLACE})).status == 403


async def test_the_hub_is_told_counts_and_nothing_of_persons(site: Site, street: Path) -> None:
    data = os.environ.get("HANMARU_TEST_DATA", "../shared/data")
    detector = Path(data) / "models" / models.NAME
    if not detector.is_file():
        pytest.skip(f"the detector is not at {detector}")
    networks, line = models.load(detector), Line("road", "road", (0.5, 0.0), (0.5, 1.0))
    counting = Counting([line], [])
    analyser = Analyser(networks, counting)
    with av.open(str(street)) as source:
        for frame in source.decode(video=0):
            analyser.look(picture_of(frame), float(frame.time or 0))
    settings = msgspec.convert({"name": {"en": "x"}, "location": PLACE, "lines": [msgspec.to_builtins(line)]}, Settings)
    made = [Counts("gate", place, kind, stamp(0), values) for (place, kind), values in counting.take().items()]
    entities = publish.count_entities("gate", "urn:ngsi-ld:Camera:gate", settings, made)
    assert not (await site.hub.upsert(list(entities))).failures
    assert {entity["type"] for entity in entities} == {"CrowdFlowObserved", "TrafficFlowObserved"}
    assert not any(word in json.dumps(entities) for word in ("track", "box", "image"))


def test_a_file_that_is_not_the_known_detector_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(CentreError, match="not the detector"):
        models.keep(tmp_path, b"something else")
    assert not (tmp_path / "models").exists()
