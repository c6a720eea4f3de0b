"""The catalogue of places that stays may have been at, and what is usual at places of a kind.

Weights, dwell times and hours are round figures by judgement, not fitted to anybody's truth: they decide between places
that the position leaves open, and an exact anchor outweighs them by orders of magnitude.
"""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false, reportMissingTypeStubs=false
# PyArrow brings no types.

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from scipy.spatial import KDTree

from hanmaru.trace import tables
from hanmaru.trace.domain import Floats, Ints
from hanmaru.trace.engine.places import Catalogue
from hanmaru.trace.engine.plane import Plane

PLACES: Final = {
    "place_id": tables.TEXT,
    "name": tables.MAYBE_TEXT,
    "kind": tables.MAYBE_TEXT,
    "lat": tables.LAT,
    "lon": tables.LON,
    "radius_m": tables.MAYBE_METRES,
}
MERCHANTS: Final = {
    "merchant_id": tables.TEXT,
    "name": tables.MAYBE_TEXT,
    "category": tables.MAYBE_TEXT,
    "lat": tables.MAYBE_LAT,
    "lon": tables.MAYBE_LON,
    "online": tables.MAYBE_NUMBER,
}
RADIUS_M = 25.0
"""Radius of a place whose table gives none: a shop, or an entrance of a larger building."""
SAME_M = 30.0
"""A merchant nearer than this to a place of the same name, or else of the same kind, is that place."""


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual at a kind of place: ``weight`` of a stay there, median ``minutes`` and the ``spread`` of their
    logarithm, local hours ``opens`` to ``closes``, and whether people ``pay_first``.
    """

    weight: float
    minutes: float
    spread: float = 0.7
    opens: int = 9
    closes: int = 21
    pay_first: bool = False


USUAL: Final[Mapping[str, Usual]] = {
    "home": Usual(8.0, 540, 0.9, 0, 24),
    "work": Usual(4.0, 240, 0.9, 7, 19),
    "apartment": Usual(0.4, 240, 1.1, 0, 24),
    "house": Usual(0.1, 240, 1.1, 0, 24),
    "office": Usual(1.5, 200, 0.9, 7, 19),
    "government": Usual(1.5, 200, 0.9, 8, 18),
    "factory": Usual(1.0, 240, 0.8, 0, 24),
    "kindergarten": Usual(1.0, 300, 0.7, 8, 16),
    "elementary_school": Usual(1.5, 320, 0.6, 8, 16),
    "middle_school": Usual(1.5, 400, 0.6, 8, 18),
    "high_school": Usual(1.5, 480, 0.6, 7, 22),
    "school": Usual(1.5, 360, 0.7, 8, 18),
    "university": Usual(2.0, 240, 0.8, 8, 22),
    "hospital": Usual(2.0, 90, 1.0, 0, 24),
    "clinic": Usual(1.0, 40, 0.6, 9, 18),
    "pharmacy": Usual(0.5, 12, 0.6, 9, 20),
    "restaurant": Usual(1.5, 55, 0.5, 11, 22),
    "cafe": Usual(1.5, 50, 0.7, 8, 22, pay_first=True),
    "bar": Usual(1.0, 100, 0.5, 17, 26),
    "karaoke": Usual(0.5, 80, 0.5, 14, 27, pay_first=True),
    "pc_room": Usual(0.5, 120, 0.6, 10, 26, pay_first=True),
    "gym": Usual(1.0, 75, 0.5, 6, 23, pay_first=True),
    "academy": Usual(1.0, 110, 0.5, 14, 22),
    "cinema": Usual(0.7, 140, 0.4, 10, 25, pay_first=True),
    "church": Usual(0.7, 90, 0.5, 6, 21),
    "convenience": Usual(1.0, 8, 0.7, 0, 24),
    "mart": Usual(1.5, 40, 0.6, 9, 23),
    "shop": Usual(1.0, 35, 0.9, 9, 22),
    "retail": Usual(1.0, 30, 0.8, 9, 22),
    "park": Usual(0.5, 45, 0.8, 6, 22),
    "station": Usual(0.3, 8, 0.6, 5, 24),
    "transit-stop": Usual(0.1, 6, 0.6, 5, 24),
    "elsewhere": Usual(0.5, 300, 1.0, 6, 22),
}
OTHER: Final = Usual(0.7, 60, 1.0, 7, 23)
"""A kind that is not listed."""
SHUT = 0.05
"""Stays that begin out of hours, against the same while open."""


@dataclass(frozen=True, eq=False, slots=True)
class Place:
    """A place of the catalogue as results show it."""

    id: str
    name: str
    kind: str
    lat: float
    lon: float


@dataclass(frozen=True, eq=False)
class Register:
    """The catalogue with what its numbers stand for: places, then merchants elsewhere, then the subject's own places.

    ``place_at`` takes a place's id to its number, ``merchant_at`` a merchant's; ``online`` are merchants' ids.
    """

    engine: Catalogue
    places: tuple[Place, ...]
    usual: tuple[Usual, ...]
    lat: Floats
    lon: Floats
    place_at: Mapping[str, int]
    merchant_at: Mapping[str, int]
    online: frozenset[str]
    merchant_names: Mapping[str, str]

    def around_s(self, place: Ints, paid: bool) -> tuple[Ints, Ints]:
        """Return how long before and after a payment, or else an entry, people usually are at places (n,), seconds.

        Who pays when leaving was there for most of the dwell time before; who pays or enters first, after.
        """
        minutes = np.array([u.minutes for u in self.usual] + [OTHER.minutes])[place]
        first = np.array([u.pay_first or not paid for u in self.usual] + [not paid])[place]
        most, least = (60 * 0.9 * minutes).astype(np.int64), (60 * 0.1 * minutes).astype(np.int64)
        return np.where(first, least, most), np.where(first, most, least)


def read(
    places: pa.Table | None,
    merchants: pa.Table | None,
    own: Mapping[str, tuple[float, float]],
    owner: int,
    plane: Plane,
) -> Register:
    """Return the register of tables as `PLACES` and `MERCHANTS` have them; ``own`` are the places of the subject
    ``owner`` by kind (home, work), as lat, lon.
    """
    found: list[Place] = []
    radius: list[float] = []
    if places is not None:
        names = _text(places, "name")
        for i, (id_, kind, lat, lon, r) in enumerate(
            zip(
                places["place_id"].to_pylist(),
                _text(places, "kind"),
                places["lat"].to_pylist(),
                places["lon"].to_pylist(),
                places["radius_m"].to_pylist(),
                strict=True,
            )
        ):
            found.append(Place(id_, names[i] or id_, kind, lat, lon))
            radius.append(RADIUS_M if r is None else max(r, 1.0))
    place_at = {place.id: i for i, place in enumerate(found)}
    merchant_at, online, merchant_names = _merchants(merchants, found, radius, plane)
    owners = [-1] * len(found)
    for kind, (lat, lon) in own.items():
        found.append(Place(kind, kind, kind, lat, lon))
        radius.append(RADIUS_M)
        owners.append(owner)
    kinds = list(dict.fromkeys(place.kind for place in found))
    usual = [USUAL.get(kind, OTHER) for kind in kinds]
    hours = np.array([[1.0 if _open(u, h) else SHUT for h in range(24)] for u in usual]).reshape(-1, 24)
    lat, lon = np.array([p.lat for p in found]), np.array([p.lon for p in found])
    x, y = plane.xy(lon, lat)
    engine = Catalogue(
        x_m=x,
        y_m=y,
        radius_m=np.array(radius),
        kind=np.array([kinds.index(p.kind) for p in found], np.int64),
        owner=np.array(owners, np.int64),
        weight=np.array([u.weight for u in usual]),
        open=hours / hours.mean(axis=1, keepdims=True) if len(hours) else hours,
        dwell_min=np.array([u.minutes for u in usual]),
        spread=np.array([u.spread for u in usual]),
    )
    each = tuple(USUAL.get(p.kind, OTHER) for p in found)
    return Register(engine, tuple(found), each, lat, lon, place_at, merchant_at, online, merchant_names)


def _merchants(
    merchants: pa.Table | None, found: list[Place], radius: list[float], plane: Plane
) -> tuple[dict[str, int], frozenset[str], dict[str, str]]:
    """Add merchants that are no place yet; return their numbers, who sells online, and all names."""
    at: dict[str, int] = {}
    if merchants is None:
        return at, frozenset(), {}
    listed = KDTree(np.column_stack(_xy(plane, [p.lon for p in found], [p.lat for p in found]))) if found else None
    x, y = plane.xy(tables.floats(merchants, "lon"), tables.floats(merchants, "lat"))
    sells = np.nan_to_num(tables.floats(merchants, "online")) == 0
    some = np.flatnonzero(np.isfinite(x) & np.isfinite(y) & sells)
    spots = np.column_stack((x, y))[some]
    near = listed.query_ball_point(spots, SAME_M) if listed is not None and len(some) else [[] for _ in some]
    ids: list[str] = merchants["merchant_id"].to_pylist()
    named, kinds = _text(merchants, "name"), _text(merchants, "category")
    lat, lon = merchants["lat"].to_pylist(), merchants["lon"].to_pylist()
    names = {id_: name or id_ for id_, name in zip(ids, named, strict=True)}
    online = {ids[i] for i in np.flatnonzero(~sells).tolist()}
    for m, around, spot in zip(some.tolist(), near, spots, strict=True):
        id_, name, kind = ids[m], named[m], kinds[m]
        same = [p for p in around if found[p].id == id_ or (name and found[p].name == name)]
        same = same or [p for p in around if kind and found[p].kind == kind]
        if same and listed is not None:
            at[id_] = min(same, key=lambda p: float(np.hypot(*(listed.data[p] - spot))))
            continue
        at[id_] = len(found)
        found.append(Place(f"merchant:{id_}", name or id_, kind, lat[m], lon[m]))
        radius.append(RADIUS_M)
    return at, frozenset(online), names


def _xy(plane: Plane, lon: list[float], lat: list[float]) -> tuple[Floats, Floats]:
    return plane.xy(np.array(lon), np.array(lat))


def _text(table: pa.Table, column: str) -> list[str]:
    return [value or "" for value in table[column].to_pylist()]


def _open(usual: Usual, hour: int) -> bool:
    return usual.opens <= hour < usual.closes or hour + 24 < usual.closes
