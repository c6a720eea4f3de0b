"""Whatever a kiosk sends is either a reading that a body can have, or told by column what is wrong with it."""

from hypothesis import given
from hypothesis import strategies as st

from hanmaru.care.rules.columns import COLUMNS
from hanmaru.care.rules.plausibility import LIMITS
from hanmaru.care.visits.measures import UNITS, Measurement, Posture, combined, readings

NAMES = st.sampled_from(sorted(COLUMNS)) | st.text(min_size=1, max_size=20)
SHOWN = st.sampled_from(sorted({one.unit for one in COLUMNS.values()} | {u for more in UNITS.values() for u in more}))
RAW = st.none() | st.text("0123456789abcdef ", max_size=60) | st.text(max_size=20)
VALUES = st.floats() | st.integers(-300, 300).map(float)
SENT = st.builds(
    Measurement,
    column=NAMES,
    value=VALUES,
    unit=SHOWN | st.text(max_size=8),
    at=st.just("now"),
    how=st.sampled_from(["device", "manual"]),
    raw=RAW,
    repeat=st.none() | st.integers(1, 10),
)
POSTURES = st.none() | st.builds(Posture, angles=st.dictionaries(NAMES, VALUES, max_size=4), model=st.just("pose"))


@given(st.lists(SENT, max_size=8), POSTURES)
def test_each_reading_is_kept_or_told_what_is_wrong(sent: list[Measurement], posture: Posture | None) -> None:
    kept, troubles = readings(sent, posture, 0, lambda _: 0)
    assert len(kept) + len(troubles) == len(sent) + (len(posture.angles) if posture else 0)
    for one in kept:
        limits = LIMITS[one.column]
        assert limits.impossible_low <= one.value <= limits.impossible_high
        assert one.unlikely == (not limits.low <= one.value <= limits.high)
    assert all(each.text["ko"] and each.text["en"] for each in troubles)
    assert combined(kept).keys() == {one.column for one in kept}
