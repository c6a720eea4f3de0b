"""The kernel behind `days`: plans one person's day and walks through it. Compiled on first use, cached on disk.

Plans are in hours of the local day, which runs from 4 to 28. Every probability and hour here is an assumption unless
`days` names its source.
"""

import numpy as np
from numba import njit  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

from hanmaru.city import places as place
from hanmaru.city.noise import Floats, Ints
from hanmaru.city.venues import ACADEMY, BAR, CAFE, CHURCH, CLINIC, GYM, PARK, RESTAURANT, RETAIL

KINDERGARTEN, ELEMENTARY, MIDDLE, HIGH = place.KINDERGARTEN, place.ELEMENTARY, place.MIDDLE, place.HIGH
UNIVERSITY, OFFICE, GOVERNMENT = place.UNIVERSITY, place.OFFICE, place.GOVERNMENT
FACTORY, SHOP, ELSEWHERE = place.FACTORY, place.SHOP, place.ELSEWHERE
DAY_START_H, DAY_END_H = 4.0, 28.0
WALK_MPS, DRIVE_MPS, DETOUR = 1.25, 9.0, 1.3
"""Speeds of the two ways to go, and how much longer streets are than the crow flies."""
_PERSON, _HOUSE, _TABLE, _CIRCLE, _UNIT = 1, 2, 3, 4, 5
_PARTS = 16
"""The most parts of a day's plan."""


@njit(cache=True, inline="never")
def chance(seed: int, who: int, owner: int, day: int, what: int) -> float:
    """Return a number in (0, 1) that a person (or circle: ``who`` says which sort) has for a purpose on a day."""
    state = np.uint64(seed)
    for key in (who, owner, day, what):
        state = (state ^ np.uint64(key)) + np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state = state ^ (state >> np.uint64(31))
    return (float(state >> np.uint64(11)) + 0.5) * 2.0**-53


@njit(cache=True)
def _bell(seed: int, who: int, owner: int, day: int, what: int) -> float:
    """Return a nearly normal number of mean 0 and deviation 1 (the sum of three uniform ones)."""
    total = 0.0
    for k in range(3):
        total += chance(seed, who, owner, day, what + 1000 * (k + 1))
    return 2.0 * (total - 1.5)


@njit(cache=True)
def _venue(
    seed: int, who: int, owner: int, day: int, what: int, use: int, anchor: int, cell: Ints, near: Ints, count: Ints
) -> int:
    """Return the venue of a use that somebody (or a circle) at an anchor place goes to, -1 where there is none.

    Which favourite: rank k ~ k^-1.2 up to 60; the k-th favourite is the venue of attraction rank r ~ r^-0.84.
    """
    if count[use] == 0:
        return -1
    k = int((1.0 - chance(seed, who, owner, day, what) * (1.0 - 61.0**-0.2)) ** -5.0)
    u = chance(seed, who, owner, -k, use + 100)
    r = int((1.0 + u * ((count[use] + 1.0) ** 0.16 - 1.0)) ** (1 / 0.16)) - 1
    return near[cell[anchor], use, min(r, count[use] - 1)]


@njit(cache=True)
def travel_h(metres: float, noise: float) -> float:
    """Return the hours a way takes: on foot up to 900 m, else 5 minutes and a drive; ``noise`` in (0, 1) adds 0-35 %."""
    way = metres * DETOUR
    seconds = 60.0 + way / WALK_MPS if metres < 900 else 300.0 + way / DRIVE_MPS
    return seconds * (1.0 + 0.35 * noise) / 3600


@njit(cache=True)
def _add(plan: Floats, k: int, where: int, start: float, end: float) -> int:
    """Add a part to the plan where its place exists and it comes after what is planned; return how many there are."""
    if where < 0 or k >= _PARTS or (k and start < plan[k - 1, 2] - 0.25):
        return k
    plan[k, 0], plan[k, 1], plan[k, 2] = where, start, end
    return k + 1


@njit(cache=True)
def _plan(i: int, day: int, seed: int, people, belong, homes, where, plan: Floats) -> int:  # type: ignore[no-untyped-def]
    """Write a person's plan of a day, parts of (place, start, end), and return how many there are."""
    age_, household_, home_, work_, household_home = people
    unit_, table_, neighbours_, friends_ = belong
    kind_, _, cell, near, count = where
    age, house, home, work = age_[i], household_[i], home_[i], work_[i]
    unit, table = unit_[i], table_[i]
    weekday = (day + 6) % 7  # of a proleptic Gregorian ordinal; Monday is 0
    weekend = weekday >= 5
    k = 0
    kind = kind_[work] if work >= 0 else -1
    school = kind == KINDERGARTEN or kind == ELEMENTARY or kind == MIDDLE or kind == HIGH
    u = chance(seed, _PERSON, i, day, 1)
    if school:
        out = not weekend and u < 0.97
    elif kind == UNIVERSITY:
        out = not weekend and u < 0.78
    elif kind == SHOP:
        out = (i + day) % 7 < 5 and u < 0.98
    else:
        out = work >= 0 and u < (0.05 if weekend else 0.93)
    # What the household does together: who is not at work or school comes along by day, nearly everybody at night.
    join = 1.0 if age < 12 else (0.5 if age < 19 else 0.85)
    joins = chance(seed, _PERSON, i, day, 2) < join
    together = chance(seed, _HOUSE, house, day, 3) < (0.45 if weekend else 0.22) and joins and not out
    dinner = chance(seed, _HOUSE, house, day, 4) < (0.20 if weekend else 0.10) and joins
    if (
        weekday == 6
        and chance(seed, _HOUSE, house, 0, 5) < 0.17
        and chance(seed, _HOUSE, house, day, 6) < 0.8
        and joins
    ):
        if not out:
            k = _add(plan, k, _venue(seed, _HOUSE, house, 0, 7, CHURCH, home, cell, near, count), 11.0, 12.4)
    morning = chance(seed, _PERSON, i, day, 8)
    if not out and age >= 15 and morning < 0.30 and not k:
        use = RETAIL if morning < 0.10 else (CLINIC if morning < (0.15 if age >= 60 else 0.12) else PARK)
        use = GYM if morning > 0.24 and age < 70 else use
        start = 9.3 + 1.2 * chance(seed, _PERSON, i, day, 9)
        length = 0.4 + 0.7 * chance(seed, _PERSON, i, day, 10)
        k = _add(plan, k, _venue(seed, _PERSON, i, day, 11, use, home, cell, near, count), start, start + length)
    if together:
        u = chance(seed, _HOUSE, house, day, 12)
        start = (11.0 if weekend else 10.5) + (4.0 if weekend else 4.5) * chance(seed, _HOUSE, house, day, 13)
        length = 1.0 + 1.5 * chance(seed, _HOUSE, house, day, 14)
        if u < 0.14:
            spot = household_home[int(chance(seed, _HOUSE, house, day // 28, 15) * len(household_home))]
        else:
            use = RETAIL if u < 0.50 else (RESTAURANT if u < 0.72 else (CAFE if u < 0.80 else PARK))
            spot = _venue(seed, _HOUSE, house, day, 16, use, home, cell, near, count)
        k = _add(plan, k, spot, start, start + length)
    if out:
        habit, today = _bell(seed, _PERSON, i, 0, 20), _bell(seed, _PERSON, i, day, 20)
        begin, end = 8.9 + 0.3 * habit + 0.12 * today, 18.1
        late = chance(seed, _PERSON, i, day, 21)
        if kind == KINDERGARTEN:
            begin, end = 9.0 + 0.08 * today, 15.5
        elif kind == ELEMENTARY:
            begin, end = 8.7 + 0.05 * today, 13.7 + 0.28 * (age - 6)
        elif kind == MIDDLE:
            begin, end = 8.5 + 0.05 * today, 16.2
        elif kind == HIGH:
            begin, end = 8.1 + 0.05 * today, 21.3 if late < 0.25 else 17.2
        elif kind == UNIVERSITY:
            begin = 9.2 + 1.5 * chance(seed, _UNIT, unit, day, 22)
            end = begin + 4.0 + 3.5 * late
        elif kind == FACTORY:
            begin, end = 8.2 + 0.15 * habit + 0.06 * today, 17.4 + (2.0 if late < 0.2 else 0.3 * late)
        elif kind == SHOP:
            begin = (13.5 if chance(seed, _PERSON, i, 0, 23) < 0.3 else 9.8) + 0.5 * habit + 0.06 * today
            end = begin + 8.4 + 0.3 * late
        elif kind == ELSEWHERE:
            begin, end = 8.0 + 0.45 * habit + 0.12 * today, 18.5 + 0.5 * habit - 0.7 * np.log(late)
        else:
            end += 0.25 * habit - 0.45 * np.log(late)
        end = min(end, 23.0)
        lunch = 0.0
        if kind == OFFICE or kind == GOVERNMENT:
            lunch = 0.6
        elif kind == UNIVERSITY:
            lunch = 0.45
        elif kind == SHOP or kind == FACTORY:
            lunch = 0.15
        eats = chance(seed, _TABLE, table, day, 24) < lunch and chance(seed, _PERSON, i, day, 25) < 0.85
        noon = 11.75 + 0.4 * chance(seed, _UNIT, unit, 0, 26) + 0.2 * chance(seed, _TABLE, table, day, 26)
        if eats and begin < 11.0 and end > 13.5:
            k = _add(plan, k, work, begin, noon)
            back = noon + 0.55 + 0.35 * chance(seed, _TABLE, table, day, 27)
            k = _add(plan, k, _venue(seed, _TABLE, table, day, 28, RESTAURANT, work, cell, near, count), noon, back)
            if chance(seed, _TABLE, table, day, 29) < 0.3:
                cup = back + 0.25
                k = _add(plan, k, _venue(seed, _TABLE, table, day, 30, CAFE, work, cell, near, count), back, cup)
                back = cup
            begin = back
        k = _add(plan, k, work, begin, end)
    free = plan[k - 1, 2] if k else DAY_START_H
    # Afternoons of those who are free by then.
    if age >= 7 and (kind == ELEMENTARY or kind == MIDDLE or kind == HIGH) and not weekend:
        goes = chance(seed, _PERSON, i, weekday, 40) < 0.55
        start = 15.4 if kind == ELEMENTARY else (17.3 if kind == MIDDLE else 18.6)
        start += 0.5 * chance(seed, _PERSON, i, weekday, 41)
        if goes:
            spot = _venue(seed, _PERSON, i, 0, 42, ACADEMY, home, cell, near, count)
            k = _add(plan, k, spot, start, start + (1.6 if kind == ELEMENTARY else 2.7))
        elif chance(seed, _PERSON, i, day, 43) < 0.25:
            spot = _venue(seed, _PERSON, i, day, 44, PARK, home, cell, near, count)
            k = _add(plan, k, spot, free + 0.2, free + 1.2)
    elif not out and age >= 13 and chance(seed, _PERSON, i, day, 45) < 0.38:
        u = chance(seed, _PERSON, i, day, 46)
        use = (
            RETAIL if u < 0.42 else (CAFE if u < 0.66 else (PARK if u < 0.86 else (CLINIC if u < 0.92 else RESTAURANT)))
        )
        start = 13.3 + 3.2 * chance(seed, _PERSON, i, day, 47)
        length = 0.4 + 0.9 * chance(seed, _PERSON, i, day, 48)
        k = _add(plan, k, _venue(seed, _PERSON, i, day, 49, use, home, cell, near, count), start, start + length)
    # Evenings: the team's dinner, friends, the household's dinner, then what one does alone.
    if out and not school and unit >= 0 and chance(seed, _UNIT, unit, day, 50) < 0.05:
        if chance(seed, _PERSON, i, day, 51) < 0.75:
            k = _add(plan, k, _venue(seed, _UNIT, unit, day, 52, RESTAURANT, work, cell, near, count), 18.7, 20.7)
            if chance(seed, _PERSON, i, day, 53) < 0.4:
                k = _add(plan, k, _venue(seed, _UNIT, unit, day, 54, BAR, work, cell, near, count), 20.9, 22.8)
    for which in range(2):
        circle = neighbours_[i] if which == 0 else friends_[i]
        key = 2 * circle + which
        often = 0.17 if weekend or weekday == 4 else 0.07
        if (
            circle < 0
            or chance(seed, _CIRCLE, key, day, 60) >= often
            or chance(seed, _PERSON, i, day, 61 + which) > 0.7
        ):
            continue
        members = homes[0] if which == 0 else homes[1]
        size = 0
        while size < members.shape[1] and members[circle, size] >= 0:
            size += 1
        host = members[circle, int(chance(seed, _CIRCLE, key, day, 63) * size)]
        start = 18.7 + 1.0 * chance(seed, _CIRCLE, key, day, 64)
        u = chance(seed, _CIRCLE, key, day, 65)
        grown = age >= 20
        if u < 0.15:
            spot = host
        else:
            use = RESTAURANT if u < 0.65 and grown else (CAFE if u < 0.85 else RETAIL)
            spot = _venue(seed, _CIRCLE, key, day, 66, use, host, cell, near, count)
        if not grown or age >= 65:
            start -= 2.5 if weekend or age >= 65 else 0.0
        k = _add(plan, k, spot, start, start + 1.3 + 0.9 * chance(seed, _CIRCLE, key, day, 67))
        if grown and age < 60 and chance(seed, _CIRCLE, key, day, 68) < 0.45:
            until = 22.7 + (2.5 if weekday >= 4 and weekday < 6 and age < 40 else 0.4) * chance(
                seed, _CIRCLE, key, day, 69
            )
            k = _add(plan, k, _venue(seed, _CIRCLE, key, day, 70, BAR, host, cell, near, count), start + 2.0, until)
    if dinner:
        start = 18.4 + 0.7 * chance(seed, _HOUSE, house, day, 80)
        use = RESTAURANT if chance(seed, _HOUSE, house, day, 81) < 0.6 else RETAIL
        k = _add(plan, k, _venue(seed, _HOUSE, house, day, 82, use, home, cell, near, count), start, start + 1.1)
    if age >= 16:
        free = max(plan[k - 1, 2] + 0.1, 17.8) if k else 17.8
        u = chance(seed, _PERSON, i, day, 83)
        if u < 0.24:
            spot = _venue(seed, _PERSON, i, day, 84, RETAIL, home, cell, near, count)
            k = _add(plan, k, spot, free, free + 0.2 + 0.4 * chance(seed, _PERSON, i, day, 85))
        elif u < 0.34 and chance(seed, _PERSON, i, 0, 86) < 0.4 and free < 21:
            spot = _venue(seed, _PERSON, i, 0, 87, GYM, home, cell, near, count)
            k = _add(plan, k, spot, free + 0.3, free + 1.4)
        elif u > 0.90 and free < 21.5:
            spot = _venue(seed, _PERSON, i, day, 88, PARK, home, cell, near, count)
            k = _add(plan, k, spot, free + 0.5, free + 1.2)
    return k


@njit(cache=True)
def _metres(xy: Floats, a: int, b: int) -> float:
    return np.hypot(xy[a, 0] - xy[b, 0], xy[a, 1] - xy[b, 1])


@njit(cache=True)
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


@njit(cache=True)
def _walk(who: Ints, day: Ints, midnight: Ints, seed: int, people, belong, homes, where, out: Ints) -> int:  # type: ignore[no-untyped-def]
    """Write the visits of people over days to ``out`` (rows of person, place, start, end); return how many."""
    home_, xy = people[2], where[1]
    low, high = midnight[1], midnight[len(midnight) - 1]
    plan = np.empty((_PARTS, 3))
    v = 0
    for i in who:
        home = home_[i]
        for d in range(len(day) - 1):
            zero = midnight[d]
            parts = _plan(i, day[d], seed, people, belong, homes, where, plan)
            at, since, until = home, DAY_START_H, DAY_START_H
            for p in range(parts):
                spot, start, end = int(plan[p, 0]), plan[p, 1], plan[p, 2]
                noise = chance(seed, _PERSON, i, day[d], 200 + p)
                if at != home:  # home in between, where there is time for it
                    way = travel_h(_metres(xy, at, home), noise)
                    there = travel_h(_metres(xy, home, spot), noise)
                    if start - until > way + there + 0.6:
                        v = _put(out, v, i, at, zero + int(since * 3600), zero + int(until * 3600), low, high)
                        since = until = until + way
                        at = home
                way = travel_h(_metres(xy, at, spot), noise) if spot != at else 0.0
                leave = max(until, start - way)
                arrive = leave + way
                back = travel_h(_metres(xy, spot, home), 1.0)
                if arrive > start + 0.75 or arrive > end - 0.1 or end + back > DAY_END_H:
                    continue
                if spot != at:
                    v = _put(out, v, i, at, zero + int(since * 3600), zero + int(leave * 3600), low, high)
                    since, at = arrive, spot
                until = end
            if at != home:
                v = _put(out, v, i, at, zero + int(since * 3600), zero + int(until * 3600), low, high)
                noise = chance(seed, _PERSON, i, day[d], 199)
                since = until + travel_h(_metres(xy, at, home), noise)
            v = _put(out, v, i, home, zero + int(since * 3600), midnight[d + 1] + int(DAY_START_H * 3600), low, high)
    return v


def walk(
    who: Ints, day: Ints, midnight: Ints, seed: int, people, belong, homes, where
) -> tuple[Ints, Ints, Ints, Ints]:  # type: ignore[no-untyped-def]
    """Return the visits (person, place, start, end) of people over the days between the second and the last midnight.

    ``day`` are proleptic Gregorian ordinals, ``midnight`` their starts in Unix seconds; the first is the eve.
    """
    out = np.empty((len(who) * (2 * _PARTS * (len(day) - 1) + 1), 4), np.int64)
    v = _walk(who, day, midnight, seed, people, belong, homes, where, out)
    return out[:v, 0].copy(), out[:v, 1].copy(), out[:v, 2].copy(), out[:v, 3].copy()
