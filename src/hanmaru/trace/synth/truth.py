"""The truth beside the records: who was where, met whom, paid what, passed which camera."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeStubs=false
# PyArrow brings no types.

import numpy as np
import pyarrow as pa

from hanmaru.city import days as city_days
from hanmaru.city import places as place
from hanmaru.trace.synth import phones
from hanmaru.trace.synth.cameras import Passes
from hanmaru.trace.synth.cells import CARRIERS
from hanmaru.trace.synth.files import coded, subjects, times
from hanmaru.trace.synth.paths import MODES
from hanmaru.trace.synth.payments import ERRORS, Payments
from hanmaru.trace.synth.records import Columns, camera_id, place_ids, position
from hanmaru.trace.synth.world import World


def people(world: World) -> Columns:
    """Return everybody of the world: age, household, home and work, department or class, carrier."""
    p, who = world.city.population, world.people
    work, unit = p.work[who], city_days.habits(world.city)[0].unit[who]
    ids = place_ids(world)
    owned = world.phones.owned[who]
    return {
        "subject": subjects(who),
        "age": p.age[who],
        "male": p.male[who],
        "household": p.household[who],
        "home_id": coded(p.home[who], ids),
        **{f"home_{k}": v for k, v in position(world, world.city.places.xy[p.home[who]]).items()},
        "work_id": coded(work, ids),
        "away": (work >= 0) & (world.city.places.kind[work] == place.ELSEWHERE),
        "unit": pa.array(unit, mask=unit < 0),
        "carrier": coded(np.where(owned, world.phones.carrier[who], -1), CARRIERS),
    }


def visits(world: World) -> Columns:
    """Return the visits, with the position of who is out of town too (where ``place_id`` is a way out)."""
    d = world.days
    spot = world.spots.of(world.city.profile.seed, d.person, d.place)
    return {
        "subject": subjects(d.person),
        "start": times(d.start_s),
        "end": times(d.end_s),
        **position(world, world.spots.xy[spot]),
        "place_id": coded(d.place, place_ids(world)),
        "kind": coded(world.city.places.kind[d.place], place.KINDS),
    }


def moves(world: World) -> Columns:
    """Return the moves between visits; paths follow the quickest way on the city's roads at an even speed."""
    m, ids = world.moves, place_ids(world)
    return {
        "subject": subjects(m.person),
        "start": times(m.start_s),
        "end": times(m.end_s),
        "from_place_id": coded(m.origin, ids),
        "to_place_id": coded(m.goal, ids),
        "mode": coded(m.mode, MODES),
    }


def encounters(world: World) -> Columns:
    """Return the face-to-face encounters among the people of the world."""
    e = world.encounters
    return {
        "a": subjects(e.a),
        "b": subjects(e.b),
        "place_id": coded(e.place, place_ids(world)),
        "start": times(e.start_s),
        "end": times(e.end_s),
    }


def infections(world: World) -> Columns:
    """Return who infected whom when and where; without an infector from outside the city or the sample."""
    i = world.infections
    return {
        "infectee": subjects(i.infectee),
        "infector": subjects(i.infector),
        "time": times(i.time_s),
        "place_id": coded(i.place, place_ids(world)),
        "onset": times(i.onset_s),
        "reported": times(i.reported_s, i.reported_s < 0),
    }


def offline(world: World, day_s: int) -> Columns:
    """Return the phones that are off for a span of a day or left at home."""
    who = world.people[world.phones.owned[world.people]]
    off_from, off_to, left = phones.fates(who, day_s, world.seed)
    some = (off_to > 0) | left
    none = off_to[some] == 0
    return {
        "subject": subjects(who[some]),
        "day": times(np.full(int(some.sum()), day_s)),
        "off_from": times(off_from[some], none),
        "off_to": times(off_to[some], none),
        "left_at_home": left[some],
    }


def payments(paid: Payments, merchants: pa.Array) -> Columns:
    """Return who paid when, for each record of the cards in the same order, and what is wrong with the record."""
    return {
        "subject": subjects(paid.subject),
        "time": times(paid.time_s),
        "payer": subjects(paid.payer),
        "true_time": times(paid.true_s),
        "merchant_id": coded(paid.merchant, merchants),
        "error": coded(paid.error, ERRORS),
    }


def passes(seen: Passes) -> Columns:
    """Return who passed which camera when, and whether a reviewer of the footage would recognise them."""
    return {
        "camera_id": camera_id(seen.camera),
        "subject": subjects(seen.person),
        "time": times(seen.time_s),
        "seen": seen.seen,
    }
