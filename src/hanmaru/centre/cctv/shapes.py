"""The nouns of cameras as their HTTP interface and their register have them. Pure."""

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

Id: TypeAlias = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,63}\Z")]
Share: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
"""A share of the frame's width (x, from the left) or height (y, from the top)."""
Corner: TypeAlias = tuple[Share, Share]
Words: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]
State: TypeAlias = Literal["live", "lost", "off"]
Kind: TypeAlias = Literal["person", "vehicle"]

MOST_MINUTES = 30
"""Longest grant to see faces."""
MOST_CLIP_S = 900
"""Longest evidence clip, seconds."""


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"start": "from", "end": "to"}):
    """A line whose crossings are counted: ``in`` is from its left to its right, looking from ``from`` to ``to``."""

    id: Id
    name: Words
    start: Corner
    end: Corner


class Zone(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An area of the frame in which persons and vehicles are counted: its corners in order."""

    id: Id
    name: Words
    polygon: Annotated[tuple[Corner, ...], Meta(min_length=3, max_length=24)]


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where pictures come from: ``rtsp://user:password@host/path``, or a file's name in the room's ``video`` folder.

    The address can be written and is never given back.
    """

    kind: Literal["rtsp", "file"]
    address: Annotated[str, Meta(min_length=1, max_length=500)] | None = None


class Point(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A GeoJSON point, WGS 84 lon, lat."""

    coordinates: tuple[Annotated[float, Meta(ge=-180, le=180)], Annotated[float, Meta(ge=-90, le=90)]]
    type: Literal["Point"] = "Point"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a supervisor or a CCTV officer sets of a camera; the body of POST and PUT.

    ``direction_deg`` is where it looks, clockwise from north; ``fov_deg`` 360 is a camera that sees all around. ``use``
    is the purpose that the law has the operator post (crime prevention, traffic, disaster, facilities).
    """

    name: Annotated[dict[Annotated[str, Meta(pattern=r"^[a-z]{2,3}\Z")], Words], Meta(min_length=1, max_length=8)]
    location: Point
    direction_deg: Annotated[float, Meta(ge=0, lt=360)] = 0.0
    fov_deg: Annotated[float, Meta(gt=0, le=360)] = 360.0
    range_m: Annotated[float, Meta(gt=0, le=5000)] = 60.0
    source: Source | None = None
    use: Literal["crimePrevention", "traffic", "disaster", "facility", "other"] = "crimePrevention"
    retention_days: Annotated[int, Meta(ge=1, le=90)] = 30
    record: bool = False
    analyse: bool = True
    lines: Annotated[tuple[Line, ...], Meta(max_length=8)] = ()
    zones: Annotated[tuple[Zone, ...], Meta(max_length=8)] = ()


class New(Settings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The body of POST /cameras: settings, and an id where it should not be made."""

    id: Id | None = None


class Camera(Settings, frozen=True, kw_only=True):
    """A camera as it is told.

    ``state``: ``live`` (pictures come), ``lost`` (they should), ``off`` (no source, or not watched over yet);
    ``since`` when that began; ``notice`` why in words. ``fps`` is what arrives; ``width`` and ``height`` in pixels.
    ``distance_m`` and ``sees`` (whether the place lies in its field of view) only when asked what is near.
    """

    id: str
    entity: str
    state: State = "off"
    since: str | None = None
    notice: Mapping[str, str] | None = None
    fps: float | None = None
    width: int | None = None
    height: int | None = None
    analysis: Literal["on", "off", "missing"] = "off"
    """``missing``: there is no detector file here; ``notice`` of GET /cameras says how to fetch it."""
    distance_m: float | None = None
    sees: bool | None = None


class Live(msgspec.Struct, frozen=True):
    """What the camera process tells of one camera."""

    state: State
    since: str
    fps: float = 0.0
    width: int = 0
    height: int = 0
    notice: Mapping[str, str] | None = None


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /cameras/{id}/unblur."""

    purpose: Words
    reason: Words
    event: Annotated[str, Meta(max_length=64)] = ""
    minutes: Annotated[int, Meta(ge=1, le=MOST_MINUTES)] = 10


class Grant(msgspec.Struct, frozen=True):
    """That an account may see the faces of one camera until an instant; ``revoked`` ends it sooner."""

    grant: str
    camera: str
    who: str
    session: str
    purpose: str
    event: str
    reason: str
    at: str
    until: str
    revoked: str | None = None


class WantedClip(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /clips: what of which camera, for which event, why. Instants with their zone."""

    camera: Id
    start: str
    end: str
    reason: Words
    event: Annotated[str, Meta(max_length=64)] = ""


class Custody(msgspec.Struct, frozen=True):
    """One touch of a clip: who did what when, the SHA-256 of what was touched, chained and signed.

    ``signature`` is Ed25519 in hexadecimal digits over the JSON array ``[clip, seq, at, who, what, sha256, detail,
    previous]``; ``previous`` is the signature of the entry before, empty for the first.
    """

    seq: int
    at: str
    who: str
    what: str
    sha256: str
    detail: str
    previous: str
    signature: str


class Clip(msgspec.Struct, frozen=True, kw_only=True):
    """An evidence clip. ``state``: ``wanted``, ``ready`` or ``failed`` (``problem`` says why).

    ``sha256`` and ``bytes`` are of the original; ``blurred_sha256`` of the rendition with faces blurred. ``subject`` is
    what a hand-over asks for, with the blobs ``["clip", "original"]`` and ``["clip", "blurred"]``. ``start`` and
    ``end`` are what the clip really spans: whole groups of pictures around what was asked for.
    """

    id: str
    camera: str
    event: str
    reason: str
    who: str
    asked_start: str
    asked_end: str
    at: str
    state: Literal["wanted", "ready", "failed"]
    start: str | None = None
    end: str | None = None
    problem: str | None = None
    subject: str | None = None
    sha256: str | None = None
    blurred_sha256: str | None = None
    bytes: int | None = None
    until: str | None = None
    """When retention destroys the clip's key."""


class Counts(msgspec.Struct, frozen=True):
    """Counts of one line or zone in one minute: nothing of any person.

    A line has ``in`` and ``out`` by kind; a zone the ``mean`` and the ``most`` that were there at once.
    """

    camera: str
    place: str
    kind: Kind
    at: str
    values: Mapping[str, float]
