"""Readings out of the ordinary for one sensor and hour of the week. Pure.

A reading x at hour-of-week h is standardised, z = (x - B(h)) / S(h), by a robust location B and scale S that are
learnt as readings come: Huber's location, that is, a running mean of clipped deviations (Huber 1964,
doi:10.1214/aoms/1177703732) with Robbins-Monro steps, once an hour whatever the rate of the readings. While an hour of
the week has been seen seldom, B and S shrink to the hour of the day's and those to the whole's, by n / (n + `SHRINK`)
after n visits.
What season and weather do to z for days is its level L; what is left carries over to the next reading by its
autocorrelation φ: foreseen is L + φ (z' - L). So

- **spike**: one innovation (z less what was foreseen) is too large; **shift**: a spike after which readings stay there;
- **drift**: z - L, smoothed over `LEVEL_S`, is too large without such a jump;
- **noise**: innovations, smoothed over `NOISE_N` readings, are too large;
- **stuck**: the same value again and again, too improbable for how often it repeats at these hours of the day;
- **dropout**: zero, where this sensor has hardly ever sent zero.

"Too large" is measured against this sensor's own past, not against a normal distribution: a factor times the level
that the statistic exceeded in one reading of 200 (a streaming quantile, as the peaks-over-threshold detectors' first
level; Siffer et al. 2017, doi:10.1145/3097983.3098144). Hours are UTC's: a zone only names them differently.
"""

from array import array
from math import exp, inf, log
from typing import Literal, TypeAlias

import msgspec

from hanmaru.centre.domain import CentreError

Kind: TypeAlias = Literal["spike", "shift", "drift", "noise", "stuck", "dropout"]
Sensitivity: TypeAlias = Literal["low", "medium", "high"]

HOUR_S, DAY_S = 3600, 86_400
WEEK_H = 168
WHOLE = WEEK_H + 24
"""Bins: 168 hours of the week, 24 hours of the day, the whole."""
SHRINK, SHRINK_SCALE = 1.0, 12.0
"""Visits after which a bin weighs half: a scale is harder to know than a location."""
CLIP = 2.0
"""Deviations beyond so many scales count as so many: Huber's k, in mean absolute deviations."""
SLOWEST = 0.1
"""The least step by which a bin follows what it sees: ten visits, about a quarter of a year for an hour of the week."""
LEVEL_S = 6 * HOUR_S
LONG_S = 4 * DAY_S
NOISE_N = 8
WARM_S, WARM_N = 2 * DAY_S, 48
"""Nothing is said before so much is known."""
TAIL = 0.005
LEAST_RUN = 9.0
"""A run of one value as improbable as e to the minus this, as once in some thousand readings, is no surprise."""
HOLD_S = DAY_S
"""How long readings may stay at a new level before it counts as theirs."""
MARGIN = 1.65
"""So many times the level that one reading of 200 exceeds is too large; chosen by `benchmarks/centre/anomaly.py`."""
LARGEST = 1e30
FACTORS: dict[Sensitivity, float] = {"low": 1.5, "medium": 1.0, "high": 0.75}


class Config(msgspec.Struct, frozen=True):
    """How easily a detector speaks; the rest it learns."""

    sensitivity: Sensitivity = "medium"


class Verdict(msgspec.Struct, frozen=True):
    """What is wrong with a reading. ``score``: how many times what is tolerated, at least 1.

    ``expected``, ``low``, ``high``: what a reading was expected to be now, in the sensor's unit; ``since_s``: the time
    of the reading that this began with.
    """

    kind: Kind
    score: float
    expected: float
    low: float
    high: float
    since_s: float


class _State(msgspec.Struct):
    """All that is remembered, but for the bins; times in seconds since 1970, the rest in standardised units."""

    first_s: float = inf
    at_s: float = -inf
    value: float = 0.0
    z: float = 0.0
    n: int = 0
    gap_s: float = 0.0
    hour: int = -1
    # of the hour that is running
    sum_dev: float = 0.0
    sum_abs: float = 0.0
    in_hour: int = 0
    # dynamics
    level: float = 0.0
    moved: float = 0.0
    c0: float = 1.0
    c1: float = 0.5
    scale: float = 0.5
    smooth: float = 0.0
    noise: float = 1.0
    # what one reading of 200 exceeds
    q_spike: float = 5.0
    q_level: float = 3.0
    q_noise: float = 2.5
    # runs of one value
    run: float = 0.0
    longest: float = 0.0
    # the episode that is running
    since_s: float = 0.0
    jump_s: float = -inf
    anchor: float = 0.0
    jump: float = 0.0
    stayed: int = 0
    kind: str = ""
    bins: bytes = b""


class Detector:
    """Learns one attribute of one sensor and judges each reading; a few KB, some microseconds a reading."""

    __slots__ = ("_b", "_centre", "_factor", "_s", "_spread")

    def __init__(self, config: Config | None = None) -> None:
        self._factor = FACTORS[(config or Config()).sensitivity]
        self._s = _State()
        # location, scale and visits of each bin; then, by hour of the day, how often what repeats
        self._b = array("f", bytes(4 * (3 * (WHOLE + 1) + 4 * 24)))
        self._centre = [0.0, 0.0, 0.0]
        self._spread = 1.0

    def state(self) -> bytes:
        """Return all that is remembered; `restore` goes on as if nothing had been in between."""
        self._s.bins = self._b.tobytes()
        return msgspec.msgpack.encode(self._s)

    def restore(self, state: bytes) -> None:
        """Take what `state` returned. Raises `CentreError` where it is not that."""
        try:
            s = msgspec.msgpack.decode(state, type=_State)
        except msgspec.DecodeError:
            raise CentreError("the state of an anomaly detector is damaged; start it anew") from None
        if len(s.bins) != 4 * len(self._b):
            raise CentreError("the state of an anomaly detector is of another version; start it anew")
        self._s = s
        self._b = array("f", s.bins)
        if s.hour >= 0:
            self._look_up(s.hour)

    def update(self, at_s: float, value: float) -> Verdict | None:
        """Judge a reading, ``at_s`` seconds since 1970, and learn from it.

        What is not finite, not after the reading before or larger than `LARGEST` is passed over.
        """
        s = self._s
        if not (-LARGEST < value < LARGEST and s.at_s < at_s < 1e12):
            return None
        if s.n == 0:
            s.first_s = at_s
        hour = int(at_s // HOUR_S)
        if hour != s.hour:
            self._close_hour()
            s.hour = hour
            self._look_up(hour)
        gap_s = at_s - s.at_s if s.n else 0.0
        if s.n:
            s.gap_s += (min(gap_s, 4 * s.gap_s or gap_s) - s.gap_s) / min(s.n, 50)
        expected, spread = self._expected(at_s), self._spread
        z = (value - expected) / spread if s.n else 0.0
        warm = s.n >= WARM_N and at_s - s.first_s >= WARM_S

        phi = max(0.0, min(0.98, s.c1 / s.c0)) if gap_s <= 3 * s.gap_s else 0.0
        foreseen = s.level + phi * (s.z - s.level)
        innovation = z - foreseen
        unit = abs(innovation) / s.scale
        verdict = self._judge(at_s, value, z, innovation, unit, gap_s, warm)
        self._learn(at_s, value, z, innovation, unit, gap_s, expected, verdict is not None, warm)
        if verdict is None:
            s.kind = ""
            return None
        kind, score = verdict
        if not s.kind:
            s.since_s = at_s
        s.kind = kind
        centre, wide = (
            (s.level, self._limit(s.q_level, 2.0))
            if kind in ("drift", "shift")
            else (foreseen, self._limit(s.q_spike, 4.0) * s.scale)
        )
        middle = expected + centre * spread
        return Verdict(kind, score, middle, middle - wide * spread, middle + wide * spread, s.since_s)

    def _limit(self, quantile: float, least: float) -> float:
        return self._factor * max(least, MARGIN * quantile)

    def _judge(
        self, at_s: float, value: float, z: float, innovation: float, unit: float, gap_s: float, warm: bool
    ) -> tuple[Kind, float] | None:
        """Return what is wrong with a reading and how much, and keep account of jumps and runs."""
        s = self._s
        # readings that stay where a jump took them
        held = None
        if s.jump:
            if abs(z - s.anchor) > 0.5 * abs(s.jump) and (z > s.anchor) == (s.jump > 0) and at_s - s.jump_s < HOLD_S:
                s.stayed += 1
                if s.stayed >= 3:
                    held = abs(z - s.anchor) / abs(s.jump) + 0.5
            else:
                s.jump = 0.0
                s.stayed = 0
        # runs of the same value: how improbable they are, in nats
        day_hour = 3 * (WHOLE + 1) + 4 * (s.hour % 24)
        seen, repeats, zeros, rests = self._b[day_hour : day_hour + 4]
        if s.n and value == s.value:
            # what rests at zero rests for longer than readings repeat
            s.run -= log((rests + 1.0) / (zeros + 2.0) if value == 0.0 else (repeats + 1.0) / (seen - zeros + 2.0))
        else:
            run = min(s.run, 1.3 * max(s.longest, LEAST_RUN)) if s.kind == "stuck" else s.run
            s.longest = max(s.longest * 0.999, run)
            s.run = 0.0
        if not warm:
            return None
        stuck = s.run / (self._factor * 1.5 * max(LEAST_RUN, s.longest))
        if value == 0.0 and (zeros + 0.5) / (seen + 1.0) < 0.02 and abs(z) > 1.0:
            return "dropout", max(1.0, abs(z))
        if stuck > 1.0:
            return "stuck", stuck
        spike = unit / self._limit(s.q_spike, 4.0)
        if held is not None:
            return "shift", max(1.0, held)
        if spike > 1.0:
            if not s.jump:
                s.jump, s.anchor, s.jump_s, s.stayed = innovation, z - innovation, at_s, 0
            return "spike", spike
        drift = abs(s.smooth) / self._limit(s.q_level, 2.0)
        if drift > 1.0:
            return "drift", drift
        noise = s.noise / self._limit(s.q_noise, 2.0)
        if noise > 1.0:
            return "noise", noise
        return None

    def _learn(
        self,
        at_s: float,
        value: float,
        z: float,
        innovation: float,
        unit: float,
        gap_s: float,
        expected: float,
        wrong: bool,
        warm: bool,
    ) -> None:
        s, b = self._s, self._b
        trust = 0.1 if wrong else 1.0
        # by hour of the day: readings, repeats of others than zero, zeros, repeats of zero; old ones fade
        i = 3 * (WHOLE + 1) + 4 * (s.hour % 24)
        if not wrong:
            repeats = value == s.value and s.n > 0
            b[i] += 1.0
            b[i + 1] += repeats and value != 0.0
            b[i + 2] += value == 0.0
            b[i + 3] += repeats and value == 0.0
            if b[i] > 2000.0:
                for j in range(i, i + 4):
                    b[j] *= 0.5
        # of the running hour
        spread = self._spread
        deviation = value - expected - s.level * spread * (s.n >= WARM_N)
        bound = CLIP * spread if s.n >= 3 else inf
        clipped = max(-bound, min(bound, deviation))
        s.sum_dev += trust * clipped
        s.sum_abs += trust * min(abs(deviation), 1.5 * bound)
        s.in_hour += 1
        # dynamics
        rate = max(1.0 / (s.n + 1.0), 0.005) * trust
        near, before = max(-4.0, min(4.0, z - s.level)), max(-4.0, min(4.0, s.z - s.level))
        s.c0 += rate * (before * before - s.c0)
        s.c1 += rate * (near * before - s.c1)
        s.c0 = max(s.c0, 1e-6)
        s.scale += rate * (min(abs(innovation), 4.0 * s.scale) - s.scale)
        s.scale = max(s.scale, 0.02)
        step = 1.0 - exp(-gap_s / LEVEL_S) if s.n else 1.0
        s.smooth += min(step, 0.25) * (max(-8.0, min(8.0, z - s.level)) - s.smooth)
        s.noise += (min(unit, 8.0) - s.noise) / NOISE_N
        s.level += trust * (1.0 - exp(-gap_s / LONG_S)) * near
        if s.n >= WARM_N // 2:
            faster = 0.3 if not warm else 0.1
            s.q_spike = _follow(s.q_spike, unit, faster * trust)
            s.q_level = _follow(s.q_level, abs(s.smooth), faster * trust * min(1.0, 4.0 * step))
            s.q_noise = _follow(s.q_noise, s.noise, faster * trust * 0.5)
        s.z, s.value, s.at_s = z, value, at_s
        s.n += 1

    def _close_hour(self) -> None:
        """Let the bins of the hour that has ended follow what was seen in it."""
        s, b = self._s, self._b
        if s.in_hour:
            moved, size = s.sum_dev / s.in_hour, s.sum_abs / s.in_hour
            # the deviation is from the shrunk location: each bin's own is reached through what it was seen as
            target = self._centre[1] + moved
            for i in (s.hour % WEEK_H, WEEK_H + s.hour % 24, WHOLE):
                i *= 3
                visits = b[i + 2]
                least = SLOWEST if i < 3 * WEEK_H else SLOWEST / 7 if i < 3 * WHOLE else SLOWEST / 168
                step = max(1.0 / (visits + 1.0), least)
                b[i] += step * (target - b[i])
                b[i + 1] += step * (size - b[i + 1])
                b[i + 2] = min(visits + 1.0, 1e4)
        s.sum_dev = s.sum_abs = 0.0
        s.in_hour = 0

    def _look_up(self, hour: int) -> None:
        """Shrink the bins of this hour of the week and its neighbours to what is expected in them."""
        b = self._b
        whole = 3 * WHOLE
        spread = b[whole + 1]
        for k in (0, 1, 2):
            at = hour + k - 1
            i, j = 3 * (at % WEEK_H), 3 * (WEEK_H + at % 24)
            day, week = b[j + 2] / (b[j + 2] + SHRINK), b[i + 2] / (b[i + 2] + SHRINK)
            centre = day * b[j] + (1.0 - day) * b[whole]
            self._centre[k] = week * b[i] + (1.0 - week) * centre
            if k == 1:
                day, week = b[j + 2] / (b[j + 2] + SHRINK_SCALE), b[i + 2] / (b[i + 2] + SHRINK_SCALE)
                size = day * b[j + 1] + (1.0 - day) * spread
                size = week * b[i + 1] + (1.0 - week) * size
                self._spread = max(size, 0.2 * spread, 1e-6 * abs(self._centre[1]), 1e-9)

    def _expected(self, at_s: float) -> float:
        """Return the location now; between the middles of hours where several readings come in an hour."""
        before, here, after = self._centre
        if self._s.gap_s > HOUR_S / 2 or not self._s.n:
            return here
        part = at_s / HOUR_S % 1.0 - 0.5
        return here + part * (after - here) if part > 0 else here - part * (before - here)


def _follow(quantile: float, value: float, rate: float) -> float:
    """Move an estimate of the quantile that `TAIL` of the values exceed (Robbins-Monro, on a logarithmic scale)."""
    return max(0.1, min(1e3, quantile * exp(rate * ((value > quantile) - TAIL))))
