"""A profile is read, checked and explained."""

from pathlib import Path

import pytest

from hanmaru.city import profile
from hanmaru.city.profile import ProfileError


@pytest.mark.parametrize("name", profile.available())
def test_built_in_profiles_load_and_come_back_from_plain_data(name: str) -> None:
    loaded = profile.load(name)
    assert loaded.id == name
    assert {"ko", "en"} <= set(loaded.languages)
    assert profile.from_dict(loaded.as_dict()) == loaded


def test_the_default_is_sejong() -> None:
    sejong = profile.load()
    assert (sejong.name.ko, sejong.zone, sejong.population.total) == ("세종특별자치시", "Asia/Seoul", 390_000)
    assert sejong.centre == (127.289, 36.480)
    assert len(sejong.districts) == 33


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("total = 38000", 'total = "many"', "expected `int`, got `str` at population.total"),
        ("total = 38000", "total = 0", "population.total: must be positive"),
        ('zone = "Asia/Seoul"', 'zone = "Asia/Soul"', "write one such as Asia/Seoul"),
        ("seed = 7", "seeds = 7", "seeds"),
        ('id = "hanbit"', 'id = "Han Bit"', "city.id: use lower-case letters"),
        ("centre = [128.100, 37.100]\nseed", "centre = [37.1, 128.1]\nseed", "write [longitude, latitude]"),
        ("[0.070, 0.085, 0.125,", "[0.470, 0.085, 0.125,", "population.age_shares.eup: nine shares"),
        ('ko = "서면"', 'ko = "동면"', "two districts have the same name"),
        ("wind_mps = [1.3, ", "wind_mps = [", "climate.wind_mps"),
        ("Hospital = 2", "Hospital = -2", "sensors.Hospital: must not be negative"),
        ("[city]", "[city", "not valid TOML"),
    ],
)
def test_a_bad_profile_says_which_key_and_what_to_do(old: str, new: str, says: str) -> None:
    text = profile.source("hanbit")
    assert old in text
    with pytest.raises(ProfileError) as error:
        profile.parse(text.replace(old, new, 1), "mine.toml")
    assert error.value.detail.startswith("mine.toml: ")
    assert says in error.value.detail


def test_unknown_names_and_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="take one of hanbit, sejong"):
        profile.load("atlantis")
    with pytest.raises(ProfileError, match="cannot read"):
        profile.load(tmp_path / "none.toml")


def test_a_profile_file_is_loaded_by_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(profile.source("hanbit").replace('id = "hanbit"', 'id = "mine"'), encoding="utf-8")
    assert profile.load(path).id == "mine"
    assert profile.load(str(path)) == profile.load(path)
