"""What the tests of the city share: the demo city, made once, and the published data to measure it against."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hanmaru.city import profile
from hanmaru.city.build import City, build

DATA = Path(os.environ.get("HANMARU_TEST_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")).resolve()


@pytest.fixture(scope="session")
def sejong() -> City:
    return build(profile.load("sejong"))


@pytest.fixture(scope="session")
def hanbit() -> City:
    return build(profile.load("hanbit"))


@pytest.fixture(scope="session")
def published() -> Callable[[str], Path]:
    """Return the path of a published data file, or skip the test where it is not there."""

    def find(name: str) -> Path:
        path = DATA / name
        if not path.exists():
            pytest.skip(f"the published data {name} is not at {DATA} (set HANMARU_TEST_DATA)")
        return path

    return find
