"""Evidence as columns: rows of every source but the phone's, in one shape."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hanmaru.trace.domain import Bools, Floats, Ints

FLAGS = ("ping-pong", "load-sharing", "late-posting", "online", "other-person", "outlier", "duplicate")
"""What may be said of a row; flags are bits in this order, those of points as `engine.clean` sets them."""
PING_PONG, LOAD_SHARING, LATE_POSTING, ONLINE, OTHER_PERSON, OUTLIER, DUPLICATE = (1 << i for i in range(len(FLAGS)))


@dataclass(frozen=True, eq=False, slots=True)
class Rows:
    """n rows of evidence; (n,) each. ``kind`` indexes ``kinds``, ``number`` is the row in its table, from 1.

    From ``start_s`` to ``end_s`` (equal for an instant) ``subject`` was within ``radius_m`` of ``lat``, ``lon`` (NaN
    where a row has no place), at ``place`` of the catalogue or -1. ``wrong`` is the prior probability that it was
    somebody else, ``late`` that the time is that of a later posting; ``before_s``, ``after_s`` how long around people
    usually stay, ``early_s`` how long before a stay's start it may be and belong to it. ``located`` says whether the
    row says where the subject was at all, ``flags`` what is known of it.
    """

    kinds: tuple[str, ...]
    kind: Ints
    number: Ints
    subject: Ints
    start_s: Ints
    end_s: Ints
    lat: Floats
    lon: Floats
    radius_m: Floats
    place: Ints
    wrong: Floats
    late: Floats
    before_s: Ints
    after_s: Ints
    early_s: Ints
    located: Bools
    flags: Ints
    label: Sequence[str]

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.number)

    def take(self, which: Ints) -> "Rows":
        """Return some of the rows, in that order."""
        columns = {name: getattr(self, name)[which] for name in _COLUMNS}
        return replace(self, **columns, label=[self.label[i] for i in which.tolist()])


_COLUMNS = tuple(name for name in Rows.__slots__ if name not in ("kinds", "label"))


def joined(parts: Sequence[Rows]) -> Rows:
    """Return the rows of several sources, sorted by subject, start."""
    whole, real = np.zeros(0, np.int64), np.zeros(0)
    parts = parts or [rows("", whole, whole, whole, whole, real, real, real, [])]
    kinds = tuple(dict.fromkeys(kind for part in parts for kind in part.kinds))
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS if name != "kind"}
    recoded = [np.array([kinds.index(k) for k in part.kinds], np.int64)[part.kind] for part in parts]
    all_ = Rows(
        kinds=kinds,
        kind=np.concatenate(recoded),
        label=[label for part in parts for label in part.label],
        **columns,
    )
    return all_.take(np.lexsort((all_.number, all_.start_s, all_.subject)))


def rows(
    kind: str,
    number: Ints,
    subject: Ints,
    start_s: Ints,
    end_s: Ints,
    lat: Floats,
    lon: Floats,
    radius_m: Floats,
    label: Sequence[str],
    *,
    place: Ints | None = None,
    wrong: Floats | float = 0.0,
    late: Floats | float = 0.0,
    before_s: Ints | int = 0,
    after_s: Ints | int = 0,
    early_s: Ints | int = 0,
    flags: Ints | None = None,
) -> Rows:
    """Return rows of one source; what is the same for all of them may be one number."""
    n = len(number)

    def reals(value: Floats | float) -> Floats:
        return np.broadcast_to(np.asarray(value, np.float64), n).copy()

    def whole(value: Ints | int) -> Ints:
        return np.broadcast_to(np.asarray(value, np.int64), n).copy()

    return Rows(
        kinds=(kind,),
        kind=np.zeros(n, np.int64),
        number=number,
        subject=subject,
        start_s=start_s,
        end_s=end_s,
        lat=lat,
        lon=lon,
        radius_m=radius_m,
        place=whole(-1) if place is None else place,
        wrong=reals(wrong),
        late=reals(late),
        before_s=whole(before_s),
        after_s=whole(after_s),
        early_s=whole(early_s),
        located=np.isfinite(lat) & np.isfinite(lon),
        flags=whole(0) if flags is None else flags,
        label=label,
    )
