"""Policies decide, default to denial, become what a caller sees, and cannot be broken by what is fed to them."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmaru.platform.access import EVERYTHING, Grant
from hanmaru.platform.policy import cases, cedar
from hanmaru.platform.policy.cedar import Caller, Policy, PolicyError

SQUARE = {"type": "Polygon", "coordinates": [[[127, 36], [128, 36], [128, 37], [127, 37], [127, 36]]]}
BUSES = """
@id("bus-company-keeps-its-buses")
permit (principal in Role::"bus-company", action in [Action::"read", Action::"write"], resource == View::"buses");
@id("bus-company-sees-air")
permit (principal in Role::"bus-company", action == Action::"read", resource == View::"air");
"""
VIEWS = """
[buses]
tenants = [""]
types = ["Vehicle"]
scopes = ["/transit"]
area = "square.geojson"
[air]
types = ["AirQualityObserved"]
attributes = ["pm10", "location"]
"""


@pytest.fixture
def city(tmp_path: Path) -> Path:
    (tmp_path / "buses.cedar").write_text(BUSES)
    (tmp_path / "views.toml").write_text(VIEWS)
    (tmp_path / "square.geojson").write_text(json.dumps({"type": "Feature", "geometry": SQUARE}))
    return tmp_path


def test_the_built_in_cases_hold_and_decide_by_every_policy() -> None:
    outcome = cases.run()
    assert outcome.asked > 40
    assert outcome.wrong == []
    assert outcome.untested == []


def test_a_wrong_case_is_told(tmp_path: Path) -> None:
    (tmp_path / "mine.test.toml").write_text('[[case]]\nit = "all may"\nroles = []\nallow = ["write View::everything"]')
    (wrong,) = cases.run([tmp_path]).wrong
    assert "all may" in wrong
    assert "no policy permits it" in wrong


def test_what_policy_permits_is_the_union_of_views(city: Path) -> None:
    policy = Policy([city], expand=lambda name: "https://example.org/" + name)
    company = Caller("company", ("bus-company",), "machine")
    area = cedar.Area(json.dumps(SQUARE))
    buses = Grant(frozenset({"https://example.org/Vehicle"}), ("/transit",), None, area)
    air = Grant(
        frozenset({"https://example.org/AirQualityObserved"}),
        None,
        frozenset({"https://example.org/pm10", "https://example.org/location"}),
    )
    seen = policy.access(company, "read")
    assert set(seen.grants) == {buses, air}
    assert not seen.write
    written = policy.access(company, "write")
    assert written.grants == (buses,)
    assert written.write
    assert policy.access(company, "read", "busan").grants == (air,)
    assert policy.access(Caller("nobody"), "read").grants == ()
    assert policy.access(Caller("kim", ("reader", "bus-company")), "read").grants == (EVERYTHING,)
    assert "bus-company" in policy.roles


def test_views_that_differ_in_types_alone_become_one_grant(city: Path) -> None:
    (city / "views.toml").write_text('[buses]\ntypes = ["A"]\n[air]\ntypes = ["B"]\n')
    assert Policy([city]).access(Caller("x", ("bus-company",)), "read").grants == (Grant(frozenset({"A", "B"})),)


def test_a_changed_file_counts_at_once_and_a_broken_one_does_not(city: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cedar, "LOOK_AGAIN_S", -1)
    policy, company = Policy([city]), Caller("x", ("bus-company",))
    assert policy.access(company, "write").grants
    (city / "buses.cedar").write_text("permit everything")
    assert policy.access(company, "write").grants  # what was in force stays so
    (city / "buses.cedar").write_text(BUSES.replace('Action::"write"', 'Action::"account"'))
    assert not policy.access(company, "write").grants


def replaced(old: str, new: str) -> Callable[[Path], None]:
    def change(city: Path) -> None:
        for path in city.iterdir():
            path.write_text(path.read_text().replace(old, new))

    return change


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (replaced('Action::"write"', 'Action::"wriet"'), "wriet"),
        (replaced("permit (", "permit"), "buses.cedar"),
        (replaced('@id("bus-company-sees-air")', ""), "@id"),
        (replaced("bus-company-sees-air", "bus-company-keeps-its-buses"), "taken"),
        (replaced('View::"air"', 'View::"water"'), "no view 'water'"),
        (replaced("types", "typos"), "typos"),
        (replaced("Polygon", "Point"), "square.geojson"),
        (lambda city: (city / "square.geojson").unlink(), "square.geojson"),
        (lambda city: (city / "buses.cedar").write_bytes(b"\xff"), "cannot be read"),
    ],
)
def test_policies_that_cannot_be_used_are_refused_by_file(
    city: Path, break_it: Callable[[Path], None], said: str
) -> None:
    break_it(city)
    with pytest.raises(PolicyError, match=said):
        Policy([city])


def test_a_city_replaces_a_built_in_file(tmp_path: Path) -> None:
    (tmp_path / "roles.cedar").write_text('@id("all-read") permit (principal, action == Action::"read", resource);')
    policy = Policy([tmp_path])
    assert policy.access(Caller("anyone"), "read").grants == (EVERYTHING,)
    assert not policy.allows(Caller("kim", ("admin",), second_factor=True), "accounts.manage")


def test_a_services_permission_is_denied_until_a_policy_has_it(tmp_path: Path) -> None:
    mechanic = Caller("kim", ("mechanic",))
    assert not Policy(actions=["bikes.repair"]).allows(mechanic, "bikes.repair")
    (tmp_path / "bikes.cedar").write_text(
        '@id("mechanics") permit (principal in Role::"mechanic", action == Action::"bikes.repair", resource);'
    )
    assert Policy([tmp_path], actions=["bikes.repair"]).allows(mechanic, "bikes.repair")
    with pytest.raises(PolicyError, match="bikes"):
        Policy([tmp_path])


names = st.text(max_size=30)


@settings(deadline=None, max_examples=200)
@given(name=names, roles=st.lists(names, max_size=3), action=names, resource=names, purpose=names)
def test_nothing_that_is_fed_to_policy_gets_through(
    name: str, roles: list[str], action: str, resource: str, purpose: str
) -> None:
    policy = POLICY
    caller = Caller(name, tuple(role for role in roles if role not in policy.roles))
    assert not policy.allows(caller, action, f"Vault::{json.dumps(resource)}", purpose)
    assert not policy.decide(caller, "read", f"View::{json.dumps(resource)}", tenant=purpose).allowed
    assert policy.access(caller, "read", name).grants == ()


@settings(deadline=None, max_examples=100)
@given(text=st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode("latin-1")))
def test_a_file_of_anything_is_an_error_or_permits_nothing(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("policies")
    (folder / f"fuzz{os.getpid()}.cedar").write_text(text, "utf-8", errors="replace")
    (folder / "views.toml").write_text("")
    try:
        policy = Policy([folder])
    except PolicyError:
        return
    assert not policy.allows(Caller("x"), "read", 'View::"everything"')


POLICY = Policy()


def test_a_services_policies_do_not_take_the_place_of_others(tmp_path: Path) -> None:
    mine, other, city = tmp_path / "mine", tmp_path / "other", tmp_path / "city"
    for folder in (mine, other, city):
        folder.mkdir()
    (mine / "mine.cedar").write_text('@id("mine") forbid (principal, action, resource == Vault::"mine");')
    cedar.require_apart([mine, other])
    (other / "mine.cedar").write_text('@id("other") permit (principal, action, resource == Vault::"other");')
    with pytest.raises(PolicyError, match=r"other/mine.cedar: give the file another name"):
        cedar.require_apart([mine, other])
    (other / "mine.cedar").rename(other / "second-factor.cedar")
    with pytest.raises(PolicyError, match=r"second-factor.cedar: give the file another name"):
        cedar.require_apart([mine, other])
    (other / "second-factor.cedar").unlink()
    (mine / "views.toml").write_text('[air]\ntypes = ["Air"]')
    (other / "views.toml").write_text("[air]")
    with pytest.raises(PolicyError, match=r"other/views.toml: there is a view 'air' already"):
        cedar.require_apart([mine, other])


def test_many_policies_in_a_file_are_told_apart(tmp_path: Path) -> None:
    lines = [f'@id("p{n}") permit (principal in Role::"r{n}", action == Action::"read", resource);' for n in range(40)]
    (tmp_path / "many.cedar").write_text("\n".join(lines))
    policy = Policy([tmp_path])
    for n in range(40):
        view = 'View::"everything"'
        assert policy.decide(Caller("kim", (f"r{n}",)), "read", view).because == (f"p{n}",)
