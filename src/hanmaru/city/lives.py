"""The kernel behind `days`: plans one person's day and walks through it. Compiled on first use, cached on disk.

Plans are in hours of the local day, which runs from 4 to 28. Every probability and hour here is an assumption unless
`days` names its source.
"""

from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt

from hanmaru.city import places as place
from hanmaru.city.kernels import draw, kernel, stream
from hanmaru.city.noise import Floats, Ints
from hanmaru.city.venues import ACADEMY, BAR, CAFE, CHURCH, CLINIC, GYM, PARK, RESTAURANT, RETAIL

KINDERGARTEN, ELEMENTARY, MIDDLE, HIGH = place.KINDERGARTEN, place.ELEMENTARY, place.MIDDLE, place.HIGH
UNIVERSITY, OFFICE, GOVERNMENT = place.UNIVERSITY, place.OFFICE, place.GOVERNMENT
FACTORY, SHOP, ELSEWHERE = place.FACTORY, place.SHOP, place.ELSEWHERE
DAY_START_H, DAY_END_H = 4.0, 28.0
WALK_MPS, DRIVE_MPS, DETOUR = 1.25, 9.0, 1.3
"""Speeds of the two ways to go, and how much longer streets are than the crow flies."""

# Whose numbers: a person's, a household's, ...
PERSON, HOUSE, TABLE, UNIT, NEIGHBOURS, FRIENDS, FAVOURITE, JOURNEYS = range(8)
_PARTS, _DRAWS = 16, 20
CHOOSE, HOST = -1, -2
"""Instead of a place in a plan: a venue of choice; the home of the household that is visited."""


PERSON_TYPE = np.dtype(
    [
        (name, np.int64)
        for name in ("age", "household", "home", "work", "kind", "unit", "table", "neighbours", "friends")
    ]
    + [(name, np.int64) for name in ("carer", "carer_kind")]
)
"""What a plan needs to know of a person; ``kind`` is the work's or school's kind of place, -1 for none; children under
12 have a ``carer``, with whom they go out, and that one's kind of work.
"""

Person = dict[str, int]
"""A row of `PERSON_TYPE` as a kernel sees it."""


class Facts(NamedTuple):
    """What the kernels know of a city: ``people`` (n,) of `PERSON_TYPE`, the members' homes of each circle, the homes
    of households, the positions of places, and the venues around each (`venues.Venues`).
    """

    people: npt.NDArray[np.void]
    neighbours_homes: Ints
    friends_homes: Ints
    household_home: Ints
    xy: Floats
    cell: Ints
    near: Ints
    filled: Ints


class Plan(NamedTuple):
    """A day's parts: ``hours`` (parts, 2) from and to; ``where`` (parts, 6): the place, or who chooses one (whose
    numbers, the owner, the day of the choice or 0 for always), a use and the place around which.
    """

    hours: Floats
    where: Ints


@kernel
def host(seed: int, house: int, day: int, households: int) -> int:
    """Return the household that a household visits, the same one for four weeks."""
    return int(draw(stream(seed, HOUSE, house, day // 28), 900) * households)


@kernel
def hosts(seed: int, house: Ints, day: Ints, households: int) -> Ints:
    """Return `host` for each of some households and days."""
    out = np.empty(len(house), np.int64)
    for k in range(len(house)):
        out[k] = host(seed, house[k], day[k], households)
    return out


@kernel
def travel_h(metres: float, noise: float) -> float:
    """Return the hours of a way as the crow flies: on foot up to 900 m, else 5 minutes and a drive.

    ``noise`` in (0, 1) adds up to 35 %.
    """
    way = metres * DETOUR
    seconds = 60.0 + way / WALK_MPS if metres < 900 else 300.0 + way / DRIVE_MPS
    return seconds * (1.0 + 0.35 * noise) / 3600


@kernel
def _metres(xy: Floats, a: int, b: int) -> float:
    return np.hypot(xy[a, 0] - xy[b, 0], xy[a, 1] - xy[b, 1])


@kernel
def _fill(out: Floats, seed: int, who: int, owner: int, day: int) -> None:
    """Write the numbers in (0, 1) that an owner has on a day."""
    start = stream(seed, who, owner, day)
    for k in range(len(out)):
        out[k] = draw(start, k)


@kernel
def _bell(u: Floats, k: int) -> float:
    """Return a nearly normal number of mean 0 and deviation 1 from three uniform ones."""
    return 2.0 * (u[k] + u[k + 1] + u[k + 2] - 1.5)


@kernel
def _venue(
    seed: int, who: int, owner: int, day: int, use: int, anchor: int, cell: Ints, near: Ints, count: Ints
) -> int:
    """Return the venue of a use around an anchor place that somebody (or a circle) goes to, -1 where there is none.

    The favourite of rank k with probability ~ k^-1.2 up to 60; it is the venue of attraction rank r, r ~ r^-0.84.
    """
    n = count[use]
    if n == 0:
        return -1
    k = int((1.0 - draw(stream(seed, who, owner, day), 100 + use) * (1.0 - 61.0**-0.2)) ** -5.0)
    u = draw(stream(seed, FAVOURITE, owner * 8 + who, use), k)
    r = int((1.0 + u * ((n + 1.0) ** 0.16 - 1.0)) ** (1 / 0.16)) - 1
    return near[cell[anchor], use, min(r, n - 1)]


@kernel
def _add(
    plan: Plan, k: int, start: float, end: float, spot: int, who: int, owner: int, day: int, use: int, anchor: int
) -> int:
    """Add a part to a plan if it starts after all that is planned; return how many parts there are."""
    if k >= _PARTS or (k and start < plan.hours[k - 1, 1] - 0.25):
        return k
    plan.hours[k, 0], plan.hours[k, 1] = start, end
    plan.where[k, 0], plan.where[k, 1], plan.where[k, 2] = spot, who, owner
    plan.where[k, 3], plan.where[k, 4], plan.where[k, 5] = day, use, anchor
    return k + 1


@kernel
def _hours(kind: int, age: int, shift: float, habit: float, u: Floats, unit: Floats) -> tuple[float, float]:
    """Return when somebody comes to work or school and leaves; ``habit`` is his own, ``unit`` his class's numbers."""
    today, late = _bell(u, 2), u[5]
    if kind == KINDERGARTEN:
        return 9.0 + 0.08 * today, 15.5
    if kind == ELEMENTARY:
        return 8.7 + 0.05 * today, 13.7 + 0.28 * (age - 6)
    if kind == MIDDLE:
        return 8.5 + 0.05 * today, 16.2
    if kind == HIGH:
        return 8.1 + 0.05 * today, 21.3 if late < 0.25 else 17.2
    if kind == UNIVERSITY:
        begin = 9.2 + 1.5 * unit[0]
        return begin, begin + 4.0 + 3.5 * late
    if kind == FACTORY:
        return 8.2 + 0.15 * habit + 0.06 * today, 17.4 + (2.0 if late < 0.2 else 0.3 * late)
    if kind == SHOP:
        begin = (13.5 if shift < 0.3 else 9.8) + 0.5 * habit + 0.06 * today
        return begin, min(begin + 8.4 + 0.3 * late, 23.0)
    if kind == ELSEWHERE:
        return 8.0 + 0.45 * habit + 0.12 * today, min(18.5 + 0.5 * habit - 0.7 * np.log(late), 23.0)
    return 8.9 + 0.3 * habit + 0.12 * today, min(18.1 + 0.25 * habit - 0.45 * np.log(late), 23.0)


@kernel
def _works(kind: int, i: int, day: int, weekend: bool, u: float) -> bool:
    """Return whether somebody with a work or school of a kind goes there on a day. Shops open every day, in shifts."""
    if kind < 0:
        return False
    if kind == SHOP:
        return (i + day) % 7 < 5 and u < 0.98
    if kind in (OFFICE, GOVERNMENT, FACTORY, ELSEWHERE):
        return u < (0.05 if weekend else 0.93)
    return not weekend and u < (0.78 if kind == UNIVERSITY else 0.97)


@kernel
def _by_day(
    i: int,
    day: int,
    busy: bool,
    joins: bool,
    u: Floats,
    house: Floats,
    faith: float,
    me: Person,
    plan: Plan,
) -> int:
    """Plan what somebody does before the afternoon beside work: church, an errand, the household's outing."""
    age, home, family = me["age"], me["home"], me["household"]
    weekend = (day + 6) % 7 >= 5  # days are proleptic Gregorian ordinals
    k = 0
    if busy:
        return k
    if (day + 6) % 7 == 6 and faith < 0.17 and house[0] < 0.8 and joins:
        k = _add(plan, k, 11.0, 12.4, CHOOSE, HOUSE, family, 0, CHURCH, home)
    if age >= 15 and u[6] < 0.30 and not k:
        start, v = 9.3 + 1.2 * u[7], u[6]
        use = RETAIL if v < 0.10 else CLINIC if v < (0.15 if age >= 60 else 0.12) else GYM if v > 0.24 else PARK
        k = _add(plan, k, start, start + 0.4 + 0.7 * u[8], CHOOSE, PERSON, i, day, use, home)
    if joins and house[1] < (0.45 if weekend else 0.22):
        start = (11.0 if weekend else 10.5) + 4.0 * house[2]
        end, v = start + 1.0 + 1.5 * house[3], house[4]
        use = RETAIL if v < 0.50 else RESTAURANT if v < 0.72 else CAFE if v < 0.80 else PARK
        spot = HOST if v < 0.14 else CHOOSE
        k = _add(plan, k, start, end, spot, HOUSE, family, day, use, home)
    return k


@kernel
def _at_work(day: int, k: int, habit: Floats, u: Floats, table: Floats, unit: Floats, me: Person, plan: Plan) -> int:
    """Plan work or school, with lunch out at the table's choice and a cup of coffee after it."""
    work, kind, lunch = me["work"], me["kind"], 0.0
    begin, end = _hours(kind, me["age"], habit[0], _bell(habit, 1), u, unit)
    if kind in (OFFICE, GOVERNMENT):
        lunch = 0.6
    elif kind == UNIVERSITY:
        lunch = 0.45
    elif kind in (SHOP, FACTORY):
        lunch = 0.15
    noon = 11.75 + 0.4 * unit[1] + 0.2 * table[0]
    if table[1] < lunch and u[9] < 0.85 and begin < 11.0 and end > 13.5:
        k = _add(plan, k, begin, noon, work, 0, 0, 0, 0, 0)
        begin = noon + 0.55 + 0.35 * table[2]
        k = _add(plan, k, noon, begin, CHOOSE, TABLE, me["table"], day, RESTAURANT, work)
        if table[3] < 0.3:
            k = _add(plan, k, begin, begin + 0.25, CHOOSE, TABLE, me["table"], day, CAFE, work)
            begin += 0.25
    return _add(plan, k, begin, end, work, 0, 0, 0, 0, 0)


@kernel
def _afternoon(i: int, day: int, k: int, out: bool, u: Floats, weekly: Floats, me: Person, plan: Plan) -> int:
    """Plan the afternoon: pupils' private lessons on their days of the week, or play; others' errands."""
    age, home, kind = me["age"], me["home"], me["kind"]
    weekday = (day + 6) % 7
    free = plan.hours[k - 1, 1] if k else DAY_START_H
    if (kind in (ELEMENTARY, MIDDLE, HIGH)) and weekday < 5:
        start = (15.4 if kind == ELEMENTARY else 17.3 if kind == MIDDLE else 18.6) + 0.5 * weekly[1]
        if out and age >= 7 and weekly[0] < 0.55:
            k = _add(plan, k, start, start + (1.6 if kind == ELEMENTARY else 2.7), CHOOSE, PERSON, i, 0, ACADEMY, home)
        elif out and age >= 7 and u[10] < 0.25:
            k = _add(plan, k, free + 0.2, free + 1.2, CHOOSE, PERSON, i, day, PARK, home)
    elif not out and age >= 13 and u[10] < 0.38:
        start, v = 13.3 + 3.2 * u[11], u[12]
        use = RETAIL if v < 0.42 else CAFE if v < 0.66 else PARK if v < 0.86 else CLINIC if v < 0.92 else RESTAURANT
        k = _add(plan, k, start, start + 0.4 + 0.9 * u[13], CHOOSE, PERSON, i, day, use, home)
    return k


@kernel
def _with_friends(
    day: int, k: int, who: int, circle: int, homes: Ints, goes: float, u: Floats, me: Person, plan: Plan
) -> int:
    """Plan an evening with a circle of friends: a meal, coffee or a member's home, and for grown-ups a bar after."""
    weekday, age = (day + 6) % 7, me["age"]
    age -= age % 6  # the circle's, so that all its members agree
    if u[0] >= (0.17 if weekday >= 4 else 0.07) or goes > 0.7:
        return k
    size = 0
    while size < len(homes) and homes[size] >= 0:
        size += 1
    around = homes[int(u[1] * size)]
    start, v = 18.7 + 1.0 * u[2], u[3]
    if age < 18 or age >= 66:
        start -= 2.5 if weekday >= 5 or age >= 66 else 0.0
    use = RESTAURANT if v < 0.65 and age >= 18 else CAFE if v < 0.85 else RETAIL
    k = _add(plan, k, start, start + 1.3 + 0.9 * u[4], around if v < 0.15 else CHOOSE, who, circle, day, use, around)
    if 18 <= age < 60 and u[5] < 0.45:
        until = 22.7 + (2.5 if weekday in (4, 5) and age < 42 else 0.4) * u[6]
        k = _add(plan, k, start + 2.3, until, CHOOSE, who, circle, day, BAR, around)
    return k


@kernel
def _evening(
    i: int, day: int, k: int, joins: bool, habit: Floats, u: Floats, house: Floats, me: Person, plan: Plan
) -> int:
    """Plan what is left of the day: dinner out with the household, an errand, the gym, a walk."""
    age, home = me["age"], me["home"]
    if joins and house[5] < (0.20 if (day + 6) % 7 >= 5 else 0.10):
        start = 18.4 + 0.7 * house[6]
        use = RESTAURANT if house[7] < 0.6 else RETAIL
        k = _add(plan, k, start, start + 1.1, CHOOSE, HOUSE, me["household"], day, use, home)
    if age < 16:
        return k
    free, v = max(plan.hours[k - 1, 1] + 0.1, 17.8) if k else 17.8, u[14]
    if v < 0.24:
        k = _add(plan, k, free, free + 0.2 + 0.4 * u[15], CHOOSE, PERSON, i, day, RETAIL, home)
    elif v < 0.34 and habit[4] < 0.4 and free < 21:
        k = _add(plan, k, free + 0.3, free + 1.4, CHOOSE, PERSON, i, 0, GYM, home)
    elif v > 0.90 and free < 21.5:
        k = _add(plan, k, free + 0.5, free + 1.2, CHOOSE, PERSON, i, day, PARK, home)
    return k


@kernel
def _plan(i: int, day: int, seed: int, me: Person, near_homes: Ints, far_homes: Ints, plan: Plan, draws: Floats) -> int:
    """Write a person's plan of a day and return how many parts it has. ``draws`` (9, 20) is room to work in."""
    habit, u, house, table, unit = draws[0], draws[1], draws[2], draws[3], draws[4]
    weekly, near, far, faith = draws[5], draws[6], draws[7], draws[8]
    family, kind = me["household"], me["kind"]
    _fill(habit[:5], seed, PERSON, i, 0)
    _fill(u[:20], seed, PERSON, i, day)
    _fill(house[:8], seed, HOUSE, family, day)
    _fill(table[:4], seed, TABLE, me["table"], day)
    _fill(unit[:3], seed, UNIT, me["unit"], day)
    _fill(weekly[:2], seed, PERSON, i, -1 - day % 7)
    _fill(near[:7], seed, NEIGHBOURS, me["neighbours"], day)
    _fill(far[:7], seed, FRIENDS, me["friends"], day)
    _fill(faith[:1], seed, HOUSE, family, 0)
    age = me["age"]
    out = _works(kind, i, day, (day + 6) % 7 >= 5, u[0])
    joins, busy = u[1] < (0.5 if age < 19 else 0.85), out
    if me["carer"] >= 0:
        start = stream(seed, PERSON, me["carer"], day)
        joins = draw(start, 1) < 0.85
        busy |= _works(me["carer_kind"], me["carer"], day, (day + 6) % 7 >= 5, draw(start, 0))
    k = _by_day(i, day, busy, joins, u, house, faith[0], me, plan)
    if out:
        k = _at_work(day, k, habit, u, table, unit, me, plan)
    k = _afternoon(i, day, k, out, u, weekly, me, plan)
    if out and kind >= OFFICE and me["unit"] >= 0 and unit[2] < 0.05 and u[16] < 0.75:
        k = _add(plan, k, 18.7, 20.7, CHOOSE, UNIT, me["unit"], day, RESTAURANT, me["work"])
        if u[17] < 0.4:
            k = _add(plan, k, 20.9, 22.8, CHOOSE, UNIT, me["unit"], day, BAR, me["work"])
    for which in range(2):
        circle = me["neighbours"] if which == 0 else me["friends"]
        if circle >= 0:
            homes = near_homes[circle] if which == 0 else far_homes[circle]
            who, shared = (NEIGHBOURS, near) if which == 0 else (FRIENDS, far)
            k = _with_friends(day, k, who, circle, homes, u[18 + which], shared, me, plan)
    return _evening(i, day, k, joins, habit, u, house, me, plan)


@kernel
def _put(out: Ints, v: int, person: int, spot: int, start: int, end: int, low: int, high: int) -> int:
    """Write a visit, clipped to the period and joined with one before it that it continues; return how many are."""
    start, end = max(start, low), min(end, high)
    if end <= start:
        return v
    if v and out[v - 1, 0] == person and out[v - 1, 1] == spot and out[v - 1, 3] == start:
        out[v - 1, 3] = end
        return v
    out[v, 0], out[v, 1], out[v, 2], out[v, 3] = person, spot, start, end
    return v + 1


@kernel
def _resolve(plan: Plan, p: int, seed: int, day: int, cell: Ints, near: Ints, count: Ints, household_home: Ints) -> int:
    """Return the place of a plan's part, -1 where there is none of that use."""
    spot, who, owner = plan.where[p, 0], plan.where[p, 1], plan.where[p, 2]
    if spot == CHOOSE:
        return _venue(seed, who, owner, plan.where[p, 3], plan.where[p, 4], plan.where[p, 5], cell, near, count)
    return household_home[host(seed, owner, day, len(household_home))] if spot == HOST else spot


@kernel
def _live(
    i: int, zero: int, home: int, parts: int, plan: Plan, noise: Floats, xy: Floats, out: Ints, v: int,
    low: int, high: int,
) -> tuple[int, float]:  # fmt: skip
    """Write a person's visits of a day but the last, at home; return how many there are and when that begins.

    The walk keeps to the plan: it leaves in time, goes home in between if 36 minutes or more are left there, and drops
    a part for which it would be 45 minutes late or that would end after the day.
    """
    at, since, until = home, DAY_START_H, DAY_START_H
    for p in range(parts):
        start, end, spot = plan.hours[p, 0], plan.hours[p, 1], plan.where[p, 0]
        if spot < 0:
            continue
        if at != home:
            way, there = travel_h(_metres(xy, at, home), noise[p]), travel_h(_metres(xy, home, spot), noise[p])
            if start - until > way + there + 0.6:
                v = _put(out, v, i, at, zero + int(since * 3600), zero + int(until * 3600), low, high)
                since = until = until + way
                at = home
        way = travel_h(_metres(xy, at, spot), noise[p]) if spot != at else 0.0
        leave = max(until, start - way)
        if leave + way > min(start + 0.75, end - 0.1) or end + travel_h(_metres(xy, spot, home), 1.0) > DAY_END_H:
            continue
        if spot != at:
            v = _put(out, v, i, at, zero + int(since * 3600), zero + int(leave * 3600), low, high)
            since, at = leave + way, spot
        until = end
    if at != home:
        v = _put(out, v, i, at, zero + int(since * 3600), zero + int(until * 3600), low, high)
        since = until + travel_h(_metres(xy, at, home), noise[_PARTS])
    return v, since


@kernel
def _walk(who: Ints, people: list[Person], day: Ints, midnight: Ints, seed: int, facts: Facts, out: Ints) -> int:
    plan, draws = Plan(np.empty((_PARTS, 2)), np.empty((_PARTS, 6), np.int64)), np.empty((9, _DRAWS))
    noise, low, high = np.empty(_PARTS + 1), midnight[1], midnight[-1]
    _, near_homes, far_homes, household_home, xy, cell, near, count = facts
    v = 0
    for row in range(len(who)):
        i = int(who[row])
        home = people[i]["home"]
        for d in range(len(day) - 1):
            _fill(noise, seed, JOURNEYS, i, day[d])
            parts = _plan(i, day[d], seed, people[i], near_homes, far_homes, plan, draws)
            for p in range(parts):
                plan.where[p, 0] = _resolve(plan, p, seed, day[d], cell, near, count, household_home)
            v, since = _live(i, midnight[d], home, parts, plan, noise, xy, out, v, low, high)
            until = midnight[d + 1] + int(DAY_START_H * 3600)
            v = _put(out, v, i, home, midnight[d] + int(since * 3600), until, low, high)
    return v


def walk(who: Ints, day: Ints, midnight: Ints, seed: int, facts: Facts) -> Ints:
    """Return the visits, rows of (person, place, start, end), of people between the second midnight and the last.

    ``day`` are proleptic Gregorian ordinals, ``midnight`` their starts in Unix seconds; the first is the eve.
    """
    out = np.empty((len(who) * (2 * _PARTS * (len(day) - 1) + 1), 4), np.int64)
    people = cast(list[Person], facts.people)  # what a kernel sees of it
    return out[: _walk(who, people, day, midnight, seed, facts, out)]
