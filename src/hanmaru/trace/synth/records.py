"""The test city's tables: each kind of record as the columns that docs/reference/trace-files.md describes."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeStubs=false
# PyArrow brings no types.

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from hanmaru.city import days as city_days
from hanmaru.city import places as place
from hanmaru.city import venues
from hanmaru.city.noise import Floats, Ints
from hanmaru.trace.synth.cells import BEAM_DEG, CARRIERS
from hanmaru.trace.synth.checkins import Checkins, Fixes
from hanmaru.trace.synth.files import coded, subjects, times
from hanmaru.trace.synth.payments import CATEGORIES, CHANNELS, Payments
from hanmaru.trace.synth.phones import Events
from hanmaru.trace.synth.reported import Case
from hanmaru.trace.synth.statements import Statements
from hanmaru.trace.synth.world import World

Columns = Mapping[str, Any]

_USE_KO = ("소매점", "식당", "카페", "주점", "체육시설", "교회", "학원")
_RADIUS_M = {place.HOUSE: 10, place.APARTMENT: 35, place.SHOP: 15, place.CLINIC: 15, place.OFFICE: 25, place.PARK: 90}
_LARGE_M = 60


def place_id(index: Ints) -> list[str]:
    """Return the ids of places."""
    return [f"L{i:05d}" for i in index.tolist()]


def place_ids(world: World) -> pa.Array:
    """Return the ids of all places, the ways out of town among them."""
    return pa.array(place_id(np.arange(len(world.city.places.kind))))


def camera_id(index: Ints) -> list[str]:
    """Return the ids of cameras."""
    return [f"K{i:04d}" for i in index.tolist()]


def position(world: World, xy: Floats, digits: int = 6) -> dict[str, Floats]:
    """Return ``lat`` and ``lon`` columns of positions (n, 2) in the city's plane."""
    lonlat = world.city.land.plane.lonlat(xy)
    return {"lat": lonlat[:, 1].round(digits), "lon": lonlat[:, 0].round(digits)}


def cells(world: World) -> Columns:
    """Return the cell table."""
    n = world.network
    sector = ~np.isnan(n.azimuth_deg)
    return {
        "cell_id": n.ids,
        **position(world, n.xy),
        "azimuth_deg": pa.array(n.azimuth_deg, mask=~sector),
        "beam_deg": pa.array(np.where(sector, BEAM_DEG, 360.0)),
        "radius_m": n.radius_m,
        "carrier": coded(n.carrier, CARRIERS),
    }


def places(world: World) -> Columns:
    """Return the places of the city with names in both languages; shops by what they are."""
    city = world.city
    p, use = city.places, city_days.habits(city)[1].use
    inside = world.inside
    shop = np.isin(p.kind, (place.SHOP,)) & (use >= 0)
    kind = np.where(shop, len(place.KINDS) + use, p.kind)[inside]
    kinds = (*place.KINDS, *venues.USES)
    korean = (*(n.ko for n in place.NAMES), *_USE_KO)
    district = p.district[inside]
    order = np.lexsort((inside, kind, district))
    fresh = np.append(True, (np.diff(kind[order]) != 0) | (np.diff(district[order]) != 0))
    start = np.maximum.accumulate(np.where(fresh, np.arange(len(order)), 0))
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(len(order)) - start + 1
    dongs = [d.name for d in city.profile.districts]
    rows = list(zip(district.tolist(), kind.tolist(), number.tolist(), strict=True))
    radius = np.full(len(p.kind), _LARGE_M)
    for what, metres in _RADIUS_M.items():
        radius[p.kind == what] = metres
    return {
        "place_id": place_id(inside),
        "name": [f"{dongs[d].ko} {korean[k]} {n}" for d, k, n in rows],
        "name_en": [f"{dongs[d].en} {kinds[k].replace('_', ' ')} {n}" for d, k, n in rows],
        "kind": coded(kind, kinds),
        **position(world, p.xy[inside]),
        "radius_m": radius[inside],
    }


def merchants(world: World) -> Columns:
    """Return the merchants as the card firms know them, with the address on file."""
    m = world.shops
    number = np.arange(len(m))
    return {
        "merchant_id": merchant_id(number),
        "name": [f"{CATEGORIES[c]} {i}" for c, i in zip(m.category.tolist(), number.tolist(), strict=True)],
        "category": coded(m.category, CATEGORIES),
        "lat": m.lonlat[:, 1].round(6),
        "lon": m.lonlat[:, 0].round(6),
        "online": m.online.astype(np.int8),
    }


def reference(world: World) -> dict[str, Columns]:
    """Return the tables that say where things are, by name."""
    return {
        "cells": cells(world),
        "places": places(world),
        "merchants": merchants(world),
        "cameras": cameras(world),
    }


def merchant_id(index: Ints) -> list[str]:
    """Return the ids of merchants."""
    return [f"M{i:05d}" for i in index.tolist()]


def cameras(world: World) -> Columns:
    """Return the camera table."""
    c = world.cameras
    return {
        "camera_id": camera_id(np.arange(len(c))),
        **position(world, c.xy),
        "azimuth_deg": c.azimuth_deg,
        "fov_deg": c.fov_deg,
        "range_m": c.range_m,
    }


def phone(world: World, seen: Events, ids: pa.Array) -> Columns:
    """Return phone events; ``ids`` are the network's cell ids as an array."""
    return {
        "subject": subjects(seen.subject),
        "time": times(seen.time_s),
        "cell_id": coded(seen.cell, ids),
        **position(world, np.stack((seen.x_m, seen.y_m), axis=1), 5),
        "accuracy_m": seen.radius_m.astype(np.float32),
        "carrier": coded(world.network.carrier[seen.cell], CARRIERS),
    }


def cards(paid: Payments, ids: pa.Array) -> Columns:
    """Return card payments and transit taps; ``ids`` are the merchants' ids."""
    return {
        "subject": subjects(paid.subject),
        "time": times(paid.time_s),
        "merchant_id": coded(paid.merchant, ids),
        "amount_krw": paid.amount_krw,
        "kind": coded(paid.transit.astype(np.int32), ("card", "transit")),
        "posted": times(paid.posted_s),
        "channel": coded(paid.channel, CHANNELS),
    }


def checkins(seen: Checkins, ids: pa.Array) -> Columns:
    """Return QR check-ins; ``ids`` are the places' ids."""
    return {"subject": subjects(seen.subject), "time": times(seen.time_s), "place_id": coded(seen.place, ids)}


def gps(world: World, seen: Fixes) -> Columns:
    """Return satellite fixes."""
    return {
        "subject": subjects(seen.subject),
        "time": times(seen.time_s),
        **position(world, np.stack((seen.x_m, seen.y_m), axis=1)),
        "accuracy_m": seen.radius_m,
    }


def cases(world: World, some: Sequence[Case]) -> Columns:
    """Return reported cases as a list of cases has them: no word on who infected whom."""
    p, who = world.city.population, np.array([c.person for c in some], np.int64)
    dongs = [d.name.ko for d in world.city.profile.districts]
    return {
        "case_id": [c.id for c in some],
        "subject": subjects(who),
        "disease": [c.disease for c in some],
        "onset": times(np.array([c.onset_s for c in some], np.int64)),
        "confirmed": times(np.array([c.confirmed_s for c in some], np.int64)),
        "symptoms": [" ".join(c.symptoms) for c in some],
        "age": p.age[who],
        "sex": coded(p.male[who].astype(np.int32), ("female", "male")),
        "district": coded(p.district[who], dongs),
        "household": [f"H{h:06d}" for h in p.household[who].tolist()],
        "work_id": coded(p.work[who], place_ids(world)),
    }


def statements(world: World, told: Statements, ids: pa.Array, names: Sequence[str]) -> Columns:
    """Return what a case said; ``ids`` are all places' ids, ``names`` those of the places in the city."""
    row = np.searchsorted(world.inside, told.place)
    return {
        "start": times(told.start_s),
        "end": times(told.end_s),
        "place_id": coded(told.place, ids),
        **position(world, world.city.places.xy[told.place]),
        "text": [names[i] for i in row.tolist()],
        "certainty": coded(1 - told.sure.astype(np.int32), ("sure", "unsure")),
    }
