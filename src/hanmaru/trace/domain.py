"""The room's nouns as arrays. Positions are metres in a local plane (`engine.plane`), times Unix seconds UTC.

Subjects and places are indices into a list of ids that the caller keeps; -1 is no place. A radius holds 68 % of the
error of its position.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class TraceError(Exception):
    """What cannot be done, in one readable line that says what to do about it."""


@dataclass(frozen=True, eq=False, slots=True)
class Points:
    """n observed positions, sorted by subject, time: ``subject``, ``time_s`` (n,) and ``x_m``, ``y_m``, ``radius_m``
    (n,).
    """

    subject: Ints
    time_s: Ints
    x_m: Floats
    y_m: Floats
    radius_m: Floats

    def __len__(self) -> int:
        """Return how many points there are."""
        return len(self.time_s)


@dataclass(frozen=True, eq=False, slots=True)
class Stays:
    """s stays, sorted by subject, start: where a subject was from ``start_s`` to ``end_s``, with its uncertainty.

    ``confidence`` (s,) is the probability that the subject stayed there for most of that time; ``first``, ``last``
    (s,) are the points it rests on, as a half-open range of the points' indices.
    """

    subject: Ints
    start_s: Ints
    end_s: Ints
    x_m: Floats
    y_m: Floats
    radius_m: Floats
    confidence: Floats
    first: Ints
    last: Ints

    def __len__(self) -> int:
        """Return how many stays there are."""
        return len(self.start_s)


@dataclass(frozen=True, eq=False, slots=True)
class Visits:
    """v visits, sorted by subject, start: as stays, with the ``place`` (v,) where that is known, else -1."""

    subject: Ints
    start_s: Ints
    end_s: Ints
    x_m: Floats
    y_m: Floats
    radius_m: Floats
    place: Ints

    def __len__(self) -> int:
        """Return how many visits there are."""
        return len(self.start_s)


@dataclass(frozen=True, eq=False, slots=True)
class Pairs:
    """p subjects who may have been exposed to index cases, sorted by ``index``, ``rank`` (from 1).

    ``probability`` (p,) of a contact, calibrated; ``minutes`` of expected time together; ``start_s``, ``end_s`` and
    ``x_m``, ``y_m`` of the likeliest occasion; ``first``, ``last`` a half-open range of the `Meetings` behind it.
    """

    index: Ints
    subject: Ints
    probability: Floats
    minutes: Floats
    start_s: Ints
    end_s: Ints
    x_m: Floats
    y_m: Floats
    rank: Ints
    first: Ints
    last: Ints

    def __len__(self) -> int:
        """Return how many pairs there are."""
        return len(self.index)


@dataclass(frozen=True, eq=False, slots=True)
class Meetings:
    """m occasions on which two visits overlap, sorted by pair: ``mine``, ``theirs`` (m,) index the visits.

    ``together`` (m,) is the probability that both were at one place, ``minutes`` the overlap, ``weight`` (m,) what the
    occasion adds to the log odds of a contact.
    """

    mine: Ints
    theirs: Ints
    start_s: Ints
    end_s: Ints
    together: Floats
    minutes: Floats
    weight: Floats

    def __len__(self) -> int:
        """Return how many meetings there are."""
        return len(self.mine)


@dataclass(frozen=True, eq=False, slots=True)
class Links:
    """k plausible sources of infection, sorted by ``infectee``, ``rank`` (from 1): ``infector`` (k,) is a case's index,
    -1 for a source outside the list; the ``probability`` (k,) of each infectee's sources sums to 1.
    """

    infectee: Ints
    infector: Ints
    probability: Floats
    rank: Ints

    def __len__(self) -> int:
        """Return how many links there are."""
        return len(self.infectee)
