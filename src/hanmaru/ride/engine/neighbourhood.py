"""Large-neighbourhood search: take some riders out of their tours and put them back better, under simulated annealing.

Strings of neighbouring stops are taken out, in the way of Christiaens & Vanden Berghe (2020, "Slack induction by string
removals"), or riders that are alike (Shaw 1998; Ropke & Pisinger 2006); each goes back where it costs least, in an
order that varies, now and then passing over a van. Riders who fit nowhere wait for the next turn.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hanmaru.city.kernels import GOLDEN, bare, mixed, unit
from hanmaru.ride.engine.partition import Pool, record
from hanmaru.ride.engine.schedule import CLOSE, OPEN
from hanmaru.ride.engine.tours import (
    NEVER,
    Ints,
    Memory,
    Network,
    Scratch,
    Tours,
    cheapest,
    memory,
    put_in,
    refresh,
    scratch,
    take_out,
    tours,
)

Words = npt.NDArray[np.uint64]

MEAN_REMOVED = 10.0
LONGEST_STRING = 10.0
BLINK = 0.02


class Search(NamedTuple):
    """One walk: the plan that it changes, the last accepted, the best, and what it remembers."""

    now: Tours
    kept: Tours
    best: Tours
    seen: Memory
    room: Scratch
    out: Ints
    """(n,) the jobs taken out."""
    touched: npt.NDArray[np.bool_]
    """(K,) the tours changed since the last accepted plan."""
    keys: npt.NDArray[np.float64]
    """(orders, n) what jobs are sorted by before they are put back."""
    absent: Ints
    """(n,) what leaving a job out costs."""
    job_of: Ints
    """(N,) the job of each node, -1 for none."""
    random: Words
    """(1,) state of the random numbers."""
    stamp: Ints
    """(1,) the last version given."""


def begin(net: Network, routes: list[list[int]], van: Ints, absent: int, seed: int) -> Search | None:
    """Return a walk from a plan, or None if it cannot be driven. ``absent``: what leaving a job out costs."""
    n, vans = len(net.drop), len(routes)
    most = max(map(len, routes)) + 2 * n
    now, kept, best = (tours(routes, van, most) for _ in range(3))
    room = scratch(len(net.nodes), most)
    if not all(refresh(k, k, net, now, room) for k in range(vans)):
        return None
    copy_plan(now, kept)
    copy_plan(now, best)
    job_of = np.full(len(net.nodes), -1)
    job_of[net.drop] = np.arange(n)
    job_of[net.pick[net.pick >= 0]] = np.flatnonzero(net.pick >= 0)
    first = np.where(net.pick >= 0, net.pick, net.drop)
    opens = net.nodes[first, OPEN].astype(np.float64)
    widths = net.nodes[first, CLOSE] - opens
    return Search(
        now=now,
        kept=kept,
        best=best,
        seen=memory(n, vans),
        room=room,
        out=np.zeros(n, np.int64),
        touched=np.zeros(vans, np.bool_),
        keys=np.stack([opens, widths, net.time[first, net.drop].astype(np.float64)]),
        absent=np.full(n, absent),
        job_of=job_of,
        random=np.array([seed], np.uint64),
        stamp=np.array([vans], np.int64),
    )


@bare
def draw(state: Words) -> float:
    """Return the next random number in (0, 1)."""
    state[0] += GOLDEN
    return unit(mixed(state[0], 0))


@bare
def total(plan: Tours, absent: Ints) -> int:
    """Return what a plan costs, with what it leaves out."""
    value = plan.cost.sum()
    for job in range(len(plan.van)):
        if plan.van[job] < 0:
            value += absent[job]
    return value


@bare
def _copy(source: Ints, target: Ints) -> None:
    for x in range(len(source)):
        target[x] = source[x]


@bare
def copy_tour(k: int, source: Tours, target: Tours) -> None:
    """Copy one tour with all that follows from it, except for who is in it."""
    m = source.length[k]
    for x in range(m):
        target.route[k, x] = source.route[k, x]
        target.early[k, x] = source.early[k, x]
        target.late[k, x] = source.late[k, x]
        target.load[k, x, 0] = source.load[k, x, 0]
        target.load[k, x, 1] = source.load[k, x, 1]
    target.length[k] = m
    target.cost[k] = source.cost[k]
    target.version[k] = source.version[k]


@bare
def copy_plan(source: Tours, target: Tours) -> None:
    """Copy a whole plan."""
    for k in range(len(source.length)):
        copy_tour(k, source, target)
    _copy(source.van, target.van)


@bare
def _remove(job: int, count: int, net: Network, s: Search) -> int:
    """Take a job out and return how many are out."""
    s.touched[s.now.van[job]] = True
    take_out(job, net, s.now)
    s.out[count] = job
    return count + 1


@bare
def _string(job: int, want: int, count: int, net: Network, s: Search) -> int:
    """Take out jobs of neighbouring stops around one of a job's; return how many are out."""
    k = s.now.van[job]
    m = s.now.length[k]
    centre = net.drop[job] if net.pick[job] < 0 or draw(s.random) < 0.5 else net.pick[job]
    left = 0
    while s.now.route[k, left] != centre:
        left += 1
    right = left + 1
    chosen = s.out[count : count + want]
    chosen[0] = job
    got = 1
    while got < want and (left > net.locked[k] or right < m - 1):
        if right >= m - 1 or (left > net.locked[k] and draw(s.random) < 0.5):
            left -= 1
            node = s.now.route[k, left]
        else:
            node = s.now.route[k, right]
            right += 1
        other = s.job_of[node]
        if other >= 0:
            fresh = True
            for x in range(got):
                fresh &= chosen[x] != other
            if fresh:
                chosen[got] = other
                got += 1
    for x in range(got):
        count = _remove(chosen[x], count, net, s)
    return count


@bare
def _ruin(net: Network, s: Search) -> int:
    """Take some jobs out; return how many are out, with those that were not in before."""
    n = len(net.drop)
    count = 0
    inside = 0
    for job in range(n):
        if s.now.van[job] < 0:
            s.out[count] = job
            count += 1
        else:
            inside += 1
    if inside == 0:
        return count
    seed = int(draw(s.random) * n)
    how = draw(s.random)
    if count > 0 and draw(s.random) < 0.5:
        seed = s.out[int(draw(s.random) * count)]
    if how < 0.6:
        vans = len(s.now.length)
        longest = min(LONGEST_STRING, inside / vans)
        strings = int(draw(s.random) * (4.0 * MEAN_REMOVED / (1.0 + longest) - 1.0)) + 1
        for x in range(-1, n - 1):
            job = seed if x < 0 else net.near[seed, x]
            k = s.now.van[job]
            if k < 0 or s.touched[k]:
                continue
            size = (s.now.length[k] - 2) // 2
            want = int(draw(s.random) * min(longest, size)) + 1
            count = _string(job, want, count, net, s)
            strings -= 1
            if strings == 0:
                break
    else:
        want = count + min(inside, 1 + int(draw(s.random) * 2.0 * MEAN_REMOVED))
        power = 6.0 if how < 0.9 else 1.0
        if s.now.van[seed] >= 0:
            count = _remove(seed, count, net, s)
        for _ in range(4 * n):
            if count >= want:
                break
            job = net.near[seed, int(draw(s.random) ** power * (n - 1))]
            if s.now.van[job] >= 0:
                count = _remove(job, count, net, s)
    return count


@bare
def _sort(count: int, s: Search) -> None:
    """Sort the jobs that are out by a random key."""
    which = int(draw(s.random) * (len(s.keys) + 2))
    sign = 1.0 if draw(s.random) < 0.5 else -1.0
    if which >= len(s.keys):
        for x in range(count - 1, 0, -1):
            y = int(draw(s.random) * (x + 1))
            s.out[x], s.out[y] = s.out[y], s.out[x]
        return
    for x in range(1, count):
        job = s.out[x]
        y = x - 1
        while y >= 0 and sign * s.keys[which, s.out[y]] > sign * s.keys[which, job]:
            s.out[y + 1] = s.out[y]
            y -= 1
        s.out[y + 1] = job


@bare
def _recreate(count: int, net: Network, s: Search) -> bool:
    """Put back the jobs that are out, each where it costs least; False if that made a tour that cannot be driven.

    Which only travel times without the triangle inequality do, like rounded ones.
    """
    vans = len(s.now.length)
    for x in range(count):
        job = s.out[x]
        best, at = NEVER, -1
        empty = False
        for k in range(vans):
            if s.now.length[k] == 2 and net.alike:  # one idle van stands for all
                if empty:
                    continue
                empty = True
            if draw(s.random) < BLINK:
                continue
            added = cheapest(job, k, best, net, s.now, s.seen, s.room)
            if added < best:
                best, at = added, k
        if at >= 0:
            s.touched[at] = True
            s.stamp[0] += 1
            if not put_in(job, at, s.seen.pick[job, at], s.seen.drop[job, at], s.stamp[0], net, s.now, s.room):
                return False
    return True


@bare
def anneal(steps: int, hot: float, cold: float, net: Network, s: Search, pool: Pool) -> None:
    """Walk a number of steps, from one temperature to another, both in units of cost."""
    vans = len(s.now.length)
    current = total(s.kept, s.absent)
    best = total(s.best, s.absent)
    for step in range(steps):
        heat = hot * (cold / hot) ** (step / steps)
        for k in range(vans):
            s.touched[k] = False
        count = _ruin(net, s)
        possible = True
        for k in range(vans):
            if s.touched[k]:
                s.stamp[0] += 1
                possible &= refresh(k, s.stamp[0], net, s.now, s.room)
        if possible:
            _sort(count, s)
            possible = _recreate(count, net, s)
        value = total(s.now, s.absent)
        if possible and value < current - heat * np.log(draw(s.random)):
            for k in range(vans):
                if s.touched[k]:
                    record(k, s.job_of, s.now, pool)
                    copy_tour(k, s.now, s.kept)
            _copy(s.now.van, s.kept.van)
            current = value
            if value < best:
                best = value
                copy_plan(s.now, s.best)
        else:
            for k in range(vans):
                if s.touched[k]:
                    copy_tour(k, s.kept, s.now)
            _copy(s.kept.van, s.now.van)
