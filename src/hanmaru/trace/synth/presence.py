"""Cell-presence requests: who else's phone was around when and where a case's phone was.

For each quarter of an hour in which a case's phone stayed around one spot away from home, a request names the cells
around it, of all carriers; a carrier answers with the phones that were there. (In May 2020 Seoul asked for phones
that had been near 17 base stations for 30 minutes or more, and got all their points of 13 days.)
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from hanmaru.trace.domain import Floats, Ints
from hanmaru.trace.synth import near
from hanmaru.trace.synth.cells import Network
from hanmaru.trace.synth.phones import Events
from hanmaru.trace.synth.spots import Small

Mask = npt.NDArray[np.uint64]

SLOT_S = 900
STAYED_M, AWAY_M = 500.0, 400.0
"""A phone stayed where the median positions of two quarters of an hour are less far apart; it is away from home where
they are further than that from it."""
AROUND_M = 250.0
"""Cells are asked for whose middle is that near, or within one and a half radii of the case's own positions."""
AT_LEAST = 2
"""Quarters of an hour, of the same day or not, from which a phone counts as present."""
MOST_CASES = 64


@dataclass(frozen=True, eq=False, slots=True)
class Requests:
    """A day's requests: bit k of ``mask`` (96, cells) is set where case k asks for a cell in a quarter of an hour."""

    day_s: int
    mask: Mask


def requests(network: Network, seen: Events, cases: Ints, homes: Floats, day_s: int) -> Requests:
    """Return what cases (k,), people with homes (k, 2), ask for, from their own events of a day."""
    slots = 86400 // SLOT_S
    mask = np.zeros((slots, len(network)), np.uint64)
    for k, person in enumerate(cases.tolist()):
        mine = slice(*np.searchsorted(seen.subject, (person, person + 1)))
        at, radius = _medians(seen, mine, day_s, slots)
        away = np.hypot(*(at - homes[k]).T) > AWAY_M
        with np.errstate(invalid="ignore"):
            step = np.hypot(*np.diff(at, axis=0).T) < STAYED_M
        stays = away & (np.append(step, False) | np.append(False, step))
        slot_of = np.flatnonzero(stays)
        asked = near.around(network.anchor, at[slot_of], np.maximum(AROUND_M, 1.5 * radius[slot_of]))
        for slot, cells in zip(slot_of.tolist(), asked, strict=True):
            mask[slot, cells] |= np.uint64(1 << k)
    return Requests(day_s, mask)


def _medians(seen: Events, mine: slice, day_s: int, slots: int) -> tuple[Floats, Floats]:
    """Return the median position (slots, 2) and radius of one phone's events in each slot; where it was silent between
    two that are alike, that of the one before; else NaN.
    """
    at, radius = np.full((slots, 2), np.nan), np.full(slots, np.nan)
    slot = (seen.time_s[mine] - day_s) // SLOT_S
    for s in np.unique(slot).tolist():
        some = slot == s
        at[s] = np.median(seen.x_m[mine][some]), np.median(seen.y_m[mine][some])
        radius[s] = np.median(seen.radius_m[mine][some])
    heard = np.flatnonzero(~np.isnan(radius))
    for a, b in zip(heard[:-1].tolist(), heard[1:].tolist(), strict=True):
        if b - a > 1 and np.hypot(*(at[a] - at[b])) < STAYED_M:
            at[a + 1 : b], radius[a + 1 : b] = at[a], radius[a]
    return at, radius


def count(requests: Requests, seen: Events, people: Ints, counts: npt.NDArray[np.uint16]) -> None:
    """Add to ``counts`` (people, cases) the slots in which each phone was where each case asks."""
    row = np.searchsorted(people, seen.subject)
    slot = ((seen.time_s - requests.day_s) // SLOT_S).astype(np.int64)
    _count(row, slot, seen.cell, requests.mask, counts)


@njit(cache=True, nogil=True)
def _count(row: Ints, slot: Ints, cell: Small, mask: Mask, counts: npt.NDArray[np.uint16]) -> None:
    n = counts.shape[1]
    last = np.full(n, -1)
    before = -1
    for i in range(len(row)):
        if row[i] != before:
            before = row[i]
            last[:] = -1
        bits = mask[slot[i], cell[i]]
        if bits == 0:
            continue
        for k in range(n):
            if (bits >> np.uint64(k)) & np.uint64(1) and last[k] != slot[i]:
                last[k] = slot[i]
                counts[row[i], k] += 1
