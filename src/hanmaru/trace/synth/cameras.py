"""Public cameras: the city's own at crossings and others at entrances, who passes them when, and who is recognised.

Nobody watches them all: footage is asked for by camera and window, and somebody reviews it. So a pass is truth;
`review` is what a reviewer of some windows would report.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from hanmaru.city import days as city_days
from hanmaru.city import places as place
from hanmaru.city import venues
from hanmaru.city.build import City
from hanmaru.city.days import Days
from hanmaru.city.noise import Bools, Floats, Ints, channel, uniform
from hanmaru.city.rhythms import local
from hanmaru.trace.synth.paths import LONGEST, Moves, Nodes, Ways, walk
from hanmaru.trace.synth.spots import Spots

STREET_FOV_DEG, STREET_RANGE_M = 80.0, 40.0
DOOR_FOV_DEG, DOOR_RANGE_M = 90.0, 15.0
SEEN = (0.75, 0.10, 0.25)
"""How often a reviewer recognises somebody who passes on foot, in a bus, in a car; assumed."""
SEEN_AT_DOOR, AT_NIGHT = 0.85, 0.7
MISTAKEN = 0.03
"""The share of sightings in which the reviewer takes somebody else for the person."""
_DOORS = {place.HOSPITAL: 1.0, place.GOVERNMENT: 1.0, place.UNIVERSITY: 1.0, place.CLINIC: 0.2, place.OFFICE: 0.1}
_SHOP_DOORS = {venues.BAR: 0.6, venues.GYM: 0.5, venues.ACADEMY: 0.4, venues.CAFE: 0.4, venues.RESTAURANT: 0.3}


@dataclass(frozen=True, eq=False, slots=True)
class Cameras:
    """k cameras: ``xy`` (k, 2) metres, ``azimuth_deg`` clockwise from north, ``fov_deg``, ``range_m`` (k,); ``node``
    (k,) the crossing that one watches or -1, ``place`` (k,) the entrance or -1. Those at crossings come first.
    """

    xy: Floats
    azimuth_deg: Floats
    fov_deg: Floats
    range_m: Floats
    node: Ints
    place: Ints

    def __len__(self) -> int:
        """Return how many cameras there are."""
        return len(self.node)


@dataclass(frozen=True, eq=False, slots=True)
class Passes:
    """k passes, sorted by camera, time: ``person`` (k,) in ``camera``'s field at ``time_s``; ``seen`` (k,) whether a
    reviewer would recognise them.
    """

    camera: Ints
    person: Ints
    time_s: Ints
    seen: Bools

    def __len__(self) -> int:
        """Return how many passes there are."""
        return len(self.camera)


def make(city: City) -> Cameras:
    """Return the cameras of a city, a function of the city alone."""
    r, seed = city.roads, city.profile.seed
    street = city.sensors.get("Camera")
    xy = street.xy if street is not None else np.empty((0, 2))
    node = r.source[street.site] if street is not None else np.empty(0, np.int64)
    ahead = r.xy[r.target[street.site]] - xy if street is not None else np.empty((0, 2))
    use = city_days.habits(city)[1].use
    chance = np.zeros(len(use))
    for kind, share in _DOORS.items():
        chance[city.places.kind == kind] = share
    for what, share in _SHOP_DOORS.items():
        chance[use == what] = share
    doors = np.flatnonzero(uniform(seed, channel("camera/door"), np.arange(len(use))) < chance)
    turn = 2 * np.pi * uniform(seed, channel("camera/turn"), doors)
    outward = np.stack((np.sin(turn), np.cos(turn)), axis=1)
    towards = np.degrees(np.concatenate((np.arctan2(ahead[:, 0], ahead[:, 1]), turn + np.pi))) % 360
    n, m = len(xy), len(doors)
    return Cameras(
        np.concatenate((xy, city.places.xy[doors] + 8 * outward)),
        np.round(towards).astype(np.float64),
        np.repeat((STREET_FOV_DEG, DOOR_FOV_DEG), (n, m)),
        np.repeat((STREET_RANGE_M, DOOR_RANGE_M), (n, m)),
        np.append(node, np.full(m, -1)),
        np.append(np.full(n, -1), doors),
    )


def passes(city: City, cameras: Cameras, spots: Spots, ways: Ways, days: Days, moves: Moves, seed: int) -> Passes:
    """Return who is in which camera's field when, in all of the visits and moves."""
    watched = np.full(len(city.roads.xy), -1)
    street = np.flatnonzero(cameras.node >= 0)
    watched[cameras.node[street]] = street
    half = np.radians(cameras.fov_deg / 2)
    trip, camera, at = _passed(
        ways.xy, ways.row, ways.towards, spots.xy, spots.node, moves.from_spot, moves.to_spot, watched,
        cameras.xy[:, 0], cameras.xy[:, 1], np.radians(cameras.azimuth_deg), half,
        cameras.range_m,
    )  # fmt: skip
    time = moves.start_s[trip] + ((moves.end_s - moves.start_s)[trip] * at).astype(np.int64)
    at_door = np.full(len(city.places.kind), -1)
    doors = np.flatnonzero(cameras.place >= 0)
    at_door[cameras.place[doors]] = doors
    v = np.flatnonzero(at_door[days.place] >= 0)
    person = np.concatenate((moves.person[trip], days.person[v], days.person[v]))
    camera = np.concatenate((camera, at_door[days.place[v]], at_door[days.place[v]]))
    time = np.concatenate((time, days.start_s[v], days.end_s[v]))
    likely = np.append(np.asarray(SEEN)[moves.mode[trip]], np.full(2 * len(v), SEEN_AT_DOOR))
    hour = local(city.profile.tz, time.astype(np.float64)).hour
    likely = np.where((hour < 6) | (hour >= 20), likely * AT_NIGHT, likely)
    seen = uniform(seed, channel("camera/seen"), person, camera, time) < likely
    order = np.lexsort((person, time, camera))
    return Passes(camera[order], person[order], time[order], seen[order])


@njit(cache=True, nogil=True)
def _passed(
    nodes: Floats, row: Ints, towards: Nodes, xy: Floats, node: Ints, origin: Ints, goal: Ints, watched: Ints,
    camera_x: Floats, camera_y: Floats, azimuth: Floats, half: Floats, reach: Floats,
) -> tuple[Ints, Ints, Floats]:  # fmt: skip
    """Return, for each time that a move is in a street camera's field, the move, the camera and how far it has come."""
    line, along, ends = np.empty((LONGEST, 2)), np.empty(LONGEST), np.empty((2, 2))
    trips, seen_by, shares = [0 for _ in range(0)], [0 for _ in range(0)], [0.0 for _ in range(0)]
    for i in range(len(origin)):
        ends[0], ends[1] = xy[origin[i]], xy[goal[i]]
        here, target = int(node[origin[i]]), int(node[goal[i]])
        n = walk(nodes, row, towards, here, target, ends, line, along)
        for k in range(1, n - 1):
            c = int(watched[here])
            if c >= 0:
                found = False
                for metres in (-30.0, -20.0, -10.0, 10.0, 20.0, 30.0):
                    a = k - 1 if metres < 0 else k
                    length = along[a + 1] - along[a]
                    gone = along[k] + metres - along[a]
                    if found or gone < 0 or gone > length or length == 0:
                        continue
                    x = line[a, 0] + (line[a + 1, 0] - line[a, 0]) * gone / length - camera_x[c]
                    y = line[a, 1] + (line[a + 1, 1] - line[a, 1]) * gone / length - camera_y[c]
                    off = (np.arctan2(x, y) - azimuth[c] + np.pi) % (2 * np.pi) - np.pi
                    if abs(off) <= half[c] and np.hypot(x, y) <= reach[c]:
                        found = True
                        trips.append(i)
                        seen_by.append(c)
                        shares.append((along[k] + metres) / along[n - 1])
            if here == target or row[target] < 0:
                break
            here = int(towards[row[target], here])
            if here < 0:
                break
    return np.array(trips), np.array(seen_by), np.array(shares)


@dataclass(frozen=True, eq=False, slots=True)
class Sightings:
    """k reviewed sightings: ``camera``, ``time_s`` (k,), ``sure`` (k,) the reviewer's word; ``true`` (k,) whether it
    was the person.
    """

    camera: Ints
    time_s: Ints
    sure: Bools
    true: Bools


def review(passes: Passes, person: int, camera: Ints, start_s: Ints, end_s: Ints, seed: int) -> Sightings:
    """Return what a reviewer who looks for a person in windows (w,) of cameras' footage reports.

    Passes are missed as ``seen`` says; `MISTAKEN` of sightings are of somebody else who passed there in the window.
    """
    found: list[tuple[int, int, bool, bool]] = []
    for c, low, high in zip(camera.tolist(), start_s.tolist(), end_s.tolist(), strict=True):
        first, last = np.searchsorted(passes.camera, (c, c + 1)).tolist()
        time = passes.time_s[first:last]
        some: Ints = first + np.flatnonzero((time >= low) & (time < high))
        if not len(some):
            continue
        for k in some[(passes.person[some] == person) & passes.seen[some]].tolist():
            at = int(passes.time_s[k])
            found.append((c, at, bool(uniform(seed, channel("review/sure"), person, c, at)[0] < 0.8), True))
        others: Ints = some[passes.person[some] != person]
        u = uniform(seed, channel("review/mistaken"), person, c, low)[0] / MISTAKEN
        if len(others) and u < 1:
            at = int(passes.time_s[others[int(u * len(others))]])
            found.append((c, at, bool(uniform(seed, channel("review/wrong"), person, c, at)[0] < 0.3), False))
    table = np.array(sorted(found), np.int64).reshape(-1, 4)
    return Sightings(table[:, 0], table[:, 1], table[:, 2] == 1, table[:, 3] == 1)
