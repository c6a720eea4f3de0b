"""Which cameras could have seen somebody; what they saw comes back as evidence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmaru.trace.engine import visibility
from hanmaru.trace.engine.places import R68
from hanmaru.trace.evidence import work
from hanmaru.trace.evidence.investigate import investigate
from tests.trace import small_town as town


def seen(x: float, y: float, radius: float, azimuth: float = 0.0, fov: float = 90.0, reach: float = 50.0) -> float:
    one = lambda v: np.array([float(v)])  # noqa: E731
    *_, probability = visibility.views(
        one(x), one(y), one(radius), one(0), one(0), one(azimuth), one(fov), one(reach), least=-1.0
    )
    return float(probability[0]) if len(probability) else 0.0


def test_a_camera_sees_ahead_within_its_angle_and_range() -> None:
    assert seen(0, 20, 3) == 1
    assert seen(0, -20, 3) == 0
    assert seen(0, 80, 3) == 0
    assert seen(20, 20, 3) == pytest.approx(0.5, abs=0.1)
    assert seen(20, 0, 3, azimuth=90) == 1
    assert seen(-15, -15, 2, azimuth=225) == 1
    assert seen(0, -20, 3, fov=360) == 1


def test_wide_uncertainty_leaves_the_sectors_share_of_it() -> None:
    sigma = 400 / R68
    area = np.pi * 50**2 / 4
    assert seen(0, 0, 400) == pytest.approx(area / (2 * np.pi * sigma**2), rel=0.03)


@settings(max_examples=60, deadline=None)
@given(st.floats(-300, 300), st.floats(-300, 300), st.floats(1, 500), st.floats(0, 720), st.floats(1, 359))
def test_opposite_sectors_share_the_disc(x, y, radius, azimuth, fov) -> None:
    there, back = seen(x, y, radius, azimuth, fov), seen(x, y, radius, azimuth + 180, 360 - fov)
    assert 0 <= there <= 1
    assert there + back == pytest.approx(seen(x, y, radius, 0, 360), abs=0.09)


def test_windows_close_in_time_are_one_and_the_likeliest_come_first() -> None:
    camera, start, end = np.array([1, 1, 0, 1]), np.array([0, 100, 50, 5000]), np.array([60, 200, 90, 5060])
    c, a, b, p = visibility.windows(camera, start, end, np.array([0.1, 0.4, 0.9, 0.2]))
    assert (c.tolist(), a.tolist(), b.tolist(), p.tolist()) == (
        [0, 1, 1],
        [50, 0, 5000],
        [90, 200, 5060],
        [0.9, 0.4, 0.2],
    )


def test_the_retrieval_list_names_the_camera_before_the_restaurant_not_the_one_behind() -> None:
    found = investigate(town.inputs())
    cameras = {c["camera_id"]: c["windows"] for c in found["cameras"]}
    best = cameras["k-bistro"][0]
    at = next(s for s in found["stays"] if s["id"] == best["stay"])
    assert at["places"][0]["id"] == "bistro"
    assert best["probability"] > 0.8
    assert at["start"] <= best["start"] < best["end"] <= at["end"]
    assert max((w["probability"] for w in cameras.get("k-back", [])), default=0) < 0.5


def test_a_reviewed_sighting_comes_back_and_sharpens_the_route() -> None:
    before = work.work_out(town.inputs())
    at = int(before.moves.start_s[1] + before.moves.end_s[1]) // 2
    hour = (at - town.MIDNIGHT) / town.HOUR
    sighting = f"camera_id,time,end,certainty,reviewer\nk-road,{town.iso(hour)},{town.iso(hour + 0.01)},sure,officer\n"
    after = work.work_out(town.inputs(sightings=sighting))

    def radius(found: work.Found) -> float:
        v, m = found.visits, found.moves
        inside = found.mine[(v.start_s[found.mine] <= at) & (v.end_s[found.mine] >= at)]
        return float(v.radius_m[inside[0]]) if len(inside) else float(np.interp(at, m.time_s, m.radius_m))

    assert radius(after) < 0.5 * radius(before)
    told = investigate(town.inputs(sightings=sighting))
    row = next(e for e in told["evidence"] if e["kind"] == "sighting")
    assert (row["id"], row["used"], row["why"]) == ("sighting:1", True, "seen-by-camera")
    assert any("sighting:1" in s["evidence"] for s in told["stays"])
