"""Places and routes of simulated people against where they truly were."""

import pytest

from benchmarks.trace import investigate
from hanmaru.trace import synth

pytestmark = pytest.mark.kernels


@pytest.fixture(scope="module")
def scored() -> dict:
    return investigate.true(synth.city(people=100, days=1, seed=3, layout="A"), 10)


def test_homes_and_workplaces_are_found_by_cells_alone(scored: dict) -> None:
    right, visits = (scored["cells alone"][name] for name in ("likeliest place right", "of visits"))
    assert visits["home"] >= 10
    assert right["home"] >= 0.8


def test_each_source_finds_more_places_and_none_fewer(scored: dict) -> None:
    def right(source: str) -> float:
        share, visits = scored[source]["likeliest place right"], scored[source]["of visits"]
        return sum(share[kind] * visits[kind] for kind in visits)

    assert right("cells alone") <= right("+ cards") + 0.5 <= right("+ QR") + 1.0


def test_radii_hold_what_they_say_or_more(scored: dict) -> None:
    """Homes and workplaces are exact, so that stays are better than said."""
    for source in ("cells alone", "+ cards", "+ QR"):
        assert scored[source]["stay radius holds"] >= 0.6
        assert scored[source]["move radius holds"] >= 0.4
        assert scored[source]["stay error, m"]["50 %"] <= 100
